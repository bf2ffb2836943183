"""s3fs: a file system over aiobotocore, as pandas, dask and Hugging Face use it. Environment as boto3_transfer.py."""

import hashlib
import os

import s3fs

from checks import body, check, done, leave

MIB = 1 << 20
B = os.environ["BUCKET"]


def main():
    fs = s3fs.S3FileSystem(
        key=os.environ["AWS_ACCESS_KEY_ID"], secret=os.environ["AWS_SECRET_ACCESS_KEY"],
        endpoint_url=os.environ["ENDPOINT"], client_kwargs={"verify": os.environ.get("CA") or None},
        config_kwargs={"retries": {"max_attempts": 1, "mode": "standard"}}, default_block_size=5 * MIB,
    )
    fs.retries = 1
    fs.mkdir(B)
    check("exists", fs.exists(B), True)
    for name, size in (("empty", 0), ("a b+c é", 1000), ("dir/x;y=1&2", 70_001), ("dir/sub/large", 17 * MIB + 3)):
        data = body(name, size)
        with fs.open(f"{B}/{name}", "wb") as f:  # beyond a block: multipart
            for at in range(0, len(data), 1_000_003):
                f.write(data[at : at + 1_000_003])
        check(name, hashlib.sha256(fs.cat_file(f"{B}/{name}")).hexdigest(), hashlib.sha256(data).hexdigest())
        check(f"{name} size", fs.info(f"{B}/{name}")["size"], size)
        leave(name, data)
    large = body("dir/sub/large", 17 * MIB + 3)
    with fs.open(f"{B}/dir/sub/large", "rb", block_size=MIB) as f:
        f.seek(9 * MIB + 1)
        check("seek", f.read(100_000), large[9 * MIB + 1 : 9 * MIB + 100_001])
    check("range", fs.cat_file(f"{B}/dir/sub/large", start=-10), large[-10:])
    fs.pipe({f"{B}/many/{i:03}": body(str(i), i) for i in range(40)})
    got = fs.cat(fs.find(f"{B}/many"))
    check("many", {k.rsplit("/", 1)[1]: v for k, v in got.items()}, {f"{i:03}": body(str(i), i) for i in range(40)})
    fs.invalidate_cache()
    check("find", len(fs.find(B)), 44)
    check("ls", sorted(e.rsplit("/", 1)[1] for e in fs.ls(B)), ["a b+c é", "dir", "empty", "many"])
    check("glob", len(fs.glob(f"{B}/many/01*")), 10)
    fs.mv(f"{B}/many/039", f"{B}/moved/thirty nine")
    leave("moved/thirty nine", body("39", 39))
    fs.copy(f"{B}/dir/sub/large", f"{B}/copied")
    leave("copied", large)
    fs.touch(f"{B}/touched")
    leave("touched", b"")
    check("copied", hashlib.sha256(fs.cat_file(f"{B}/copied")).digest(), hashlib.sha256(large).digest())
    fs.setxattr(f"{B}/empty", op="s3fs")
    check("xattr", fs.getxattr(f"{B}/empty", "op"), "s3fs")
    fs.rm(f"{B}/many", recursive=True)
    fs.invalidate_cache()
    check("after rm", fs.exists(f"{B}/many/000"), False)
    with fs.open(f"{B}/appended", "wb") as f:
        f.write(b"x" * 6 * MIB)
    with fs.open(f"{B}/appended", "ab") as f:  # a part copied from itself, then more
        f.write(b"tail")
    check("appended", fs.cat_file(f"{B}/appended"), b"x" * 6 * MIB + b"tail")
    leave("appended", b"x" * 6 * MIB + b"tail")
    done()


main()

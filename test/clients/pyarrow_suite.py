"""pyarrow's S3 file system, which is the AWS SDK for C++. Environment as boto3_transfer.py."""

import hashlib
import os
import urllib.parse

import pyarrow as pa
import pyarrow.dataset as ds
import pyarrow.parquet as pq
from pyarrow import fs

from checks import body, check, done, leave, left

MIB = 1 << 20
B = os.environ["BUCKET"]


def main():
    url = urllib.parse.urlsplit(os.environ["ENDPOINT"])
    more = {"tls_ca_file_path": os.environ["CA"]} if os.environ.get("CA") else {}
    s3 = fs.S3FileSystem(
        access_key=os.environ["AWS_ACCESS_KEY_ID"], secret_key=os.environ["AWS_SECRET_ACCESS_KEY"], region="us-east-1",
        scheme=url.scheme, endpoint_override=url.netloc, allow_bucket_creation=True, allow_bucket_deletion=True,
        retry_strategy=fs.AwsStandardS3RetryStrategy(max_attempts=1),
        # The SDK gives up after three seconds without a byte, which a first bucket, with all its
        # backends to be probed, takes on a busy machine.
        connect_timeout=30, request_timeout=30, **more,
    )
    s3.create_dir(B, recursive=False)
    check("bucket", s3.get_file_info(B).type, fs.FileType.Directory)
    for name, size in (("small", 1000), ("a b+c é", 70_001), ("large", 21 * MIB + 5)):
        data = body(name, size)
        with s3.open_output_stream(f"{B}/raw/{name}", metadata={"Content-Type": "text/x-arrow"}) as f:  # always multipart
            f.write(data)
        with s3.open_input_stream(f"{B}/raw/{name}") as f:
            check(name, hashlib.sha256(f.read()).digest(), hashlib.sha256(data).digest())
            check(f"{name} type", f.metadata()["Content-Type"], b"text/x-arrow")
        leave(f"raw/{name}", data)
    with s3.open_input_file(f"{B}/raw/large") as f:
        check("read at", f.read_at(1000, 9 * MIB), body("large", 21 * MIB + 5)[9 * MIB : 9 * MIB + 1000])
    table = pa.table({"n": list(range(50_000)), "kind": [f"k {i % 3}" for i in range(50_000)]})
    ds.write_dataset(table, f"{B}/set", filesystem=s3, format="parquet", partitioning=["kind"], partitioning_flavor="hive",
                     existing_data_behavior="delete_matching")
    got = ds.dataset(f"{B}/set", filesystem=s3, format="parquet", partitioning="hive").to_table().sort_by("n")
    check("dataset", got["n"].to_pylist() == list(range(50_000)) and got["kind"].to_pylist() == table["kind"].to_pylist(), True)
    files = s3.get_file_info(fs.FileSelector(f"{B}/set", recursive=True))
    check("files", len([f for f in files if f.type == fs.FileType.File]), 3)
    pq.write_table(table, f"{B}/one.parquet", filesystem=s3, compression="zstd")
    check("one", pq.read_table(f"{B}/one.parquet", filesystem=s3, columns=["n"])["n"].to_pylist(), list(range(50_000)))
    with s3.open_input_stream(f"{B}/one.parquet") as f:
        leave("one.parquet", f.read())
    s3.copy_file(f"{B}/raw/large", f"{B}/raw/copy")
    leave("raw/copy", body("large", 21 * MIB + 5))
    s3.move(f"{B}/raw/small", f"{B}/raw/moved")
    check("moved", s3.get_file_info(f"{B}/raw/small").type, fs.FileType.NotFound)
    leave("raw/moved", body("small", 1000))
    del left["raw/small"]
    leave("raw/", b"")  # the directory, which it keeps when a file leaves it
    s3.delete_dir(f"{B}/set")
    check("deleted", s3.get_file_info(f"{B}/set").type, fs.FileType.NotFound)
    # Directories are empty objects with a slash at their end, whose list we leave to the server.
    s3.create_dir(f"{B}/made", recursive=True)
    check("made", s3.get_file_info(f"{B}/made").type, fs.FileType.Directory)
    s3.delete_dir(f"{B}/made")
    done()


main()

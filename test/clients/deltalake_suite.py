"""deltalake: several writers commit to one table by conditional PUT alone, without a lock service.

Environment as boto3_transfer.py. Every commit that was acknowledged is one version of the table,
and its rows are there once: a lost or doubled commit shows at once.
"""

import os
import urllib.parse
from concurrent.futures import ThreadPoolExecutor

import pyarrow as pa
from deltalake import CommitProperties, DeltaTable, write_deltalake
from pyarrow import fs

from checks import check, done, leave

B = os.environ["BUCKET"]
WRITERS, COMMITS, ROWS = 4, 6, 50
OPTIONS = {
    "AWS_ENDPOINT_URL": os.environ["ENDPOINT"], "AWS_REGION": "us-east-1", "AWS_VIRTUAL_HOSTED_STYLE_REQUEST": "false",
    "AWS_ACCESS_KEY_ID": os.environ["AWS_ACCESS_KEY_ID"], "AWS_SECRET_ACCESS_KEY": os.environ["AWS_SECRET_ACCESS_KEY"],
    "AWS_ALLOW_HTTP": "true", "aws_conditional_put": "etag",
    "allow_invalid_certificates": "true",  # rustls refuses a certificate that is its own authority, as the test's is
}


def rows(writer, commit):
    return pa.table({
        "id": pa.array([writer * 1_000_000 + commit * 1_000 + i for i in range(ROWS)], pa.int64()),
        "text": [f"{writer}/{commit}/{i}" for i in range(ROWS)],
    })


def write(uri, writer):
    for commit in range(COMMITS):
        # A commit that lost the race for its number is tried again with the next one.
        write_deltalake(uri, rows(writer, commit), mode="append", storage_options=OPTIONS,
                        commit_properties=CommitProperties(max_commit_retries=100))


def arrow():
    """pyarrow's client, for what deltalake does not do: the bucket, and a look at the files."""
    url = urllib.parse.urlsplit(os.environ["ENDPOINT"])
    more = {"tls_ca_file_path": os.environ["CA"]} if os.environ.get("CA") else {}
    return fs.S3FileSystem(
        access_key=os.environ["AWS_ACCESS_KEY_ID"], secret_key=os.environ["AWS_SECRET_ACCESS_KEY"], region="us-east-1",
        scheme=url.scheme, endpoint_override=url.netloc, allow_bucket_creation=True, **more,
    )


def main():
    s3 = arrow()
    s3.create_dir(B)
    uri = f"s3://{B}/table"
    write_deltalake(uri, rows(99, 0), storage_options=OPTIONS)
    with ThreadPoolExecutor(WRITERS) as pool:
        for job in [pool.submit(write, uri, w) for w in range(WRITERS)]:
            job.result()
    table = DeltaTable(uri, storage_options=OPTIONS)
    check("versions", table.version(), WRITERS * COMMITS)
    want = sorted(i for w, c in [(99, 0)] + [(w, c) for w in range(WRITERS) for c in range(COMMITS)]
                  for i in rows(w, c)["id"].to_pylist())
    check("rows", sorted(table.to_pyarrow_table()["id"].to_pylist()), want)
    table.delete("id < 1000000")
    table.optimize.compact()
    table = DeltaTable(uri, storage_options=OPTIONS)
    check("rows after a delete and a compaction", sorted(table.to_pyarrow_table()["id"].to_pylist()),
          [i for i in want if i >= 1_000_000])
    check("an old version", DeltaTable(uri, version=0, storage_options=OPTIONS).to_pyarrow_table().num_rows, ROWS)
    gone = table.vacuum(retention_hours=0, enforce_retention_duration=False, dry_run=False)
    check("vacuum", len(gone) >= WRITERS * COMMITS, True)
    check("rows after vacuum", DeltaTable(uri, storage_options=OPTIONS).to_pyarrow_table().num_rows, len(want) - COMMITS * ROWS)
    for file in s3.get_file_info(fs.FileSelector(B, recursive=True)):
        if file.type == fs.FileType.File:
            with s3.open_input_stream(file.path) as f:
                leave(file.path.removeprefix(B + "/"), f.read())
    done()


main()

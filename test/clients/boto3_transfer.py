"""boto3's transfer manager with many threads, which splits, sends out of order and reads by ranges.

Environment: ENDPOINT, BUCKET (which must not exist), CA (a certificate file, for https), and the
usual AWS_* credentials. Prints "N checks passed", what it leaves, and exits 0, or the first failure.
"""

import hashlib
import io
import os
from concurrent.futures import ThreadPoolExecutor

import boto3
from boto3.s3.transfer import TransferConfig
from botocore.config import Config

from checks import body, check, done, leave

MIB = 1 << 20
BUCKET = os.environ["BUCKET"]
PARTS = TransferConfig(multipart_threshold=8 * MIB, multipart_chunksize=5 * MIB, max_concurrency=10, io_chunksize=MIB)


class Pipe(io.RawIOBase):
    """A stream that can be read once and has no length, as a pipe is."""

    def __init__(self, data):
        self.data = io.BytesIO(data)

    def readable(self):
        return True

    def readinto(self, b):
        return self.data.readinto(b)

    def seekable(self):
        return False


def there_and_back(s3, key, data, source=None, **more):
    s3.upload_fileobj(source or io.BytesIO(data), BUCKET, key, Config=PARTS, ExtraArgs=more or None)
    got = io.BytesIO()
    s3.download_fileobj(BUCKET, key, got, Config=PARTS)
    check(f"{key} bytes", hashlib.sha256(got.getvalue()).hexdigest(), hashlib.sha256(data).hexdigest())
    leave(key, data)


def main():
    s3 = boto3.client(
        "s3", endpoint_url=os.environ["ENDPOINT"], verify=os.environ.get("CA") or None,
        config=Config(retries={"max_attempts": 1, "mode": "standard"}, s3={"addressing_style": "path"}, max_pool_connections=20),
    )
    s3.create_bucket(Bucket=BUCKET)
    for size in (0, 1, 8191, 8192, 8193, 5 * MIB - 1, 5 * MIB, 5 * MIB + 1, 8 * MIB, 23 * MIB + 7):
        there_and_back(s3, f"size/{size}", body(str(size), size))
    there_and_back(s3, "pipe", body("pipe", 12 * MIB + 5), io.BufferedReader(Pipe(body("pipe", 12 * MIB + 5))))
    for algorithm in ("SHA1", "SHA256"):
        there_and_back(s3, f"parts/{algorithm}", body(algorithm, 11 * MIB), ChecksumAlgorithm=algorithm)
    with ThreadPoolExecutor(8) as pool:  # threads that share one client
        jobs = [pool.submit(there_and_back, s3, f"thread/{i}", body(f"t{i}", 700_000 * (i + 1) + i)) for i in range(16)]
        for job in jobs:
            job.result()
    big = body(str(23 * MIB + 7), 23 * MIB + 7)
    s3.copy({"Bucket": BUCKET, "Key": f"size/{23 * MIB + 7}"}, BUCKET, "copy/of big", Config=PARTS)
    got = s3.get_object(Bucket=BUCKET, Key="copy/of big")
    check("the copy", hashlib.sha256(got["Body"].read()).hexdigest(), hashlib.sha256(big).hexdigest())
    leave("copy/of big", big)
    check("no upload is left", s3.list_multipart_uploads(Bucket=BUCKET).get("Uploads", []), [])
    done()


main()

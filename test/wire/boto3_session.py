"""One session of boto3 for the capture: ENDPOINT, CA, and the usual AWS_* variables."""

import os
import ssl
import urllib.request

import boto3
from botocore.config import Config

BUCKET = "boto3"
BODY = (b"the quick brown fox jumps over the lazy dog\n" * 4000)[:150_000]

s3 = boto3.client(
    "s3",
    endpoint_url=os.environ["ENDPOINT"],
    verify=os.environ["CA"] or None,
    config=Config(signature_version="s3v4", s3={"addressing_style": "path"}, retries={"total_max_attempts": 1}),
)
s3.create_bucket(Bucket=BUCKET)
s3.head_bucket(Bucket=BUCKET)
s3.get_bucket_location(Bucket=BUCKET)
s3.list_buckets()
s3.put_object(Bucket=BUCKET, Key="small é+b c", Body=b"small", ContentType="text/plain", Metadata={"by": "boto3"})
s3.put_object(Bucket=BUCKET, Key="large", Body=BODY)
s3.put_object(Bucket=BUCKET, Key="empty", Body=b"", IfNoneMatch="*")
etag = s3.head_object(Bucket=BUCKET, Key="large")["ETag"]
assert s3.get_object(Bucket=BUCKET, Key="large")["Body"].read() == BODY
assert s3.get_object(Bucket=BUCKET, Key="large", Range="bytes=100-199", IfMatch=etag)["Body"].read() == BODY[100:200]
assert s3.get_object(Bucket=BUCKET, Key="small é+b c")["Body"].read() == b"small"
try:
    s3.get_object(Bucket=BUCKET, Key="large", IfMatch='"other"')
    raise SystemExit("a condition that does not hold was ignored")
except s3.exceptions.ClientError as e:
    assert e.response["Error"]["Code"] == "PreconditionFailed", e
s3.list_objects(Bucket=BUCKET, Prefix="s", Delimiter="/")
page = s3.list_objects_v2(Bucket=BUCKET, MaxKeys=1)
s3.list_objects_v2(Bucket=BUCKET, MaxKeys=1, ContinuationToken=page["NextContinuationToken"])


def by_url(method, data=None, **params):
    url = s3.generate_presigned_url(method, Params={"Bucket": BUCKET, **params}, ExpiresIn=3600)
    verb = {"put_object": "PUT", "get_object": "GET", "delete_object": "DELETE"}[method]
    context = ssl.create_default_context(cafile=os.environ["CA"]) if os.environ["CA"] else None
    with urllib.request.urlopen(urllib.request.Request(url, data=data, method=verb), context=context) as answer:
        return answer.read()


by_url("put_object", data=b"by url", Key="presigned", ContentType="application/x-www-form-urlencoded")
assert by_url("get_object", Key="presigned", ResponseContentType="text/x-mine") == b"by url"
by_url("delete_object", Key="presigned")
for key in ["small é+b c", "large", "empty"]:
    s3.delete_object(Bucket=BUCKET, Key=key)
s3.delete_bucket(Bucket=BUCKET)

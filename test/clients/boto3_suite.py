"""What boto3 users do, against one endpoint, with every answer checked.

Environment: ENDPOINT, BUCKET, KEYS (a JSON list of keys), CA (a certificate file, for https),
and the usual AWS_* credentials. Prints "N checks passed" and exits 0, or the first failure.
"""

import hashlib
import json
import os

import boto3
from botocore.config import Config

from checks import body, check, done, refused

ENDPOINT, BUCKET = os.environ["ENDPOINT"], os.environ["BUCKET"]
KEYS = json.loads(os.environ["KEYS"])
SIZES = [0, 1, 1000, 8192, 65537, 1 << 20, 5 << 20]


def client(**config):
    return boto3.client(
        "s3",
        endpoint_url=ENDPOINT,
        verify=os.environ.get("CA") or None,
        config=Config(
            retries={"max_attempts": 1, "mode": "standard"},
            s3={"addressing_style": "path"},
            **config,
        ),
    )


def buckets(s3):
    s3.create_bucket(Bucket=BUCKET)
    s3.head_bucket(Bucket=BUCKET)
    check("list_buckets", BUCKET in [b["Name"] for b in s3.list_buckets()["Buckets"]], True)
    check("location", s3.get_bucket_location(Bucket=BUCKET)["LocationConstraint"], None)
    refused("head of no bucket", 404, "404", s3.head_bucket, Bucket="no-such-bucket")
    refused("create again", 409, "BucketAlreadyOwnedByYou", s3.create_bucket, Bucket=BUCKET)


def whole(s3, key, size):
    """One object there and back, with all that belongs to it."""
    data = body(key, size)
    md5 = hashlib.md5(data).hexdigest()
    meta = {"op": str(size), "spaces": "two  spaces"}
    put = s3.put_object(
        Bucket=BUCKET, Key=key, Body=data, Metadata=meta, ContentType="text/x-boto",
        CacheControl="max-age=1", ContentDisposition="inline", ContentLanguage="en",
    )
    check(f"{key!r} etag", put["ETag"], f'"{md5}"')
    got = s3.get_object(Bucket=BUCKET, Key=key, ChecksumMode="ENABLED")
    check(f"{key!r} bytes", hashlib.md5(got["Body"].read()).hexdigest(), md5)
    check(f"{key!r} checksum", got.get("ChecksumCRC32"), put.get("ChecksumCRC32"))
    for what, answer in (("get", got), ("head", s3.head_object(Bucket=BUCKET, Key=key))):
        check(f"{key!r} {what} length", answer["ContentLength"], size)
        check(f"{key!r} {what} etag", answer["ETag"], put["ETag"])
        check(f"{key!r} {what} metadata", answer["Metadata"], meta)
        check(f"{key!r} {what} type", answer["ContentType"], "text/x-boto")
        check(f"{key!r} {what} cache", answer["CacheControl"], "max-age=1")
        check(f"{key!r} {what} disposition", answer["ContentDisposition"], "inline")
        check(f"{key!r} {what} language", answer["ContentLanguage"], "en")
        check(f"{key!r} {what} encoding", answer.get("ContentEncoding"), None)


def reads(s3):
    """Ranges, conditions and overrides."""
    key, data = "reads", body("reads", 20000)
    etag = s3.put_object(Bucket=BUCKET, Key=key, Body=data)["ETag"]
    at = dict(Bucket=BUCKET, Key=key)
    for asked, want in (("bytes=0-0", data[:1]), ("bytes=100-199", data[100:200]),
                        ("bytes=19990-", data[19990:]), ("bytes=-5", data[-5:]), ("bytes=19000-99999", data[19000:])):
        got = s3.get_object(Range=asked, **at)
        check(f"range {asked}", got["Body"].read(), want)
        check(f"range {asked} status", got["ResponseMetadata"]["HTTPStatusCode"], 206)
    refused("range beyond", 416, "InvalidRange", s3.get_object, Range="bytes=20000-", **at)
    check("If-Match", s3.get_object(IfMatch=etag, **at)["Body"].read(), data)
    refused("If-Match of another", 412, "PreconditionFailed", s3.get_object, IfMatch='"0"', **at)
    refused("If-None-Match", 304, "304", s3.get_object, IfNoneMatch=etag, **at)
    when = s3.head_object(**at)["LastModified"]
    refused("If-Modified-Since", 304, "304", s3.get_object, IfModifiedSince=when, **at)
    check("If-Unmodified-Since", s3.get_object(IfUnmodifiedSince=when, **at)["Body"].read(), data)
    got = s3.get_object(ResponseContentType="text/x-other", ResponseCacheControl="no-store", **at)
    check("override type", got["ContentType"], "text/x-other")
    check("override cache", got["CacheControl"], "no-store")
    refused("no such key", 404, "NoSuchKey", s3.get_object, Bucket=BUCKET, Key="absent")
    refused("no such bucket", 404, "NoSuchBucket", s3.get_object, Bucket="no-such-bucket", Key="x")


def conditions(s3):
    """Conditional writes: what locks and table formats are built on."""
    at = dict(Bucket=BUCKET, Key="conditional")
    first = s3.put_object(Body=b"1", IfNoneMatch="*", **at)["ETag"]
    refused("create again", 412, "PreconditionFailed", s3.put_object, Body=b"2", IfNoneMatch="*", **at)
    second = s3.put_object(Body=b"3", IfMatch=first, **at)["ETag"]
    refused("replace what is gone", 412, "PreconditionFailed", s3.put_object, Body=b"4", IfMatch=first, **at)
    check("the winner stands", s3.get_object(**at)["Body"].read(), b"3")
    refused("delete what is gone", 412, "PreconditionFailed", s3.delete_object, IfMatch=first, **at)
    s3.delete_object(IfMatch=second, **at)
    refused("deleted", 404, "NoSuchKey", s3.get_object, **at)
    refused("replace nothing", 404, "NoSuchKey", s3.put_object, Body=b"5", IfMatch=first, **at)
    s3.put_object(Body=b"6", IfNoneMatch="*", **at)
    check("created after the delete", s3.get_object(**at)["Body"].read(), b"6")


def checksums(s3):
    """The algorithms that need nothing but Python."""
    for algorithm in ("CRC32", "SHA1", "SHA256"):
        key, data = f"checksum-{algorithm}", body(algorithm, 70000)
        put = s3.put_object(Bucket=BUCKET, Key=key, Body=data, ChecksumAlgorithm=algorithm)
        got = s3.get_object(Bucket=BUCKET, Key=key, ChecksumMode="ENABLED")  # botocore verifies it
        check(f"{algorithm} bytes", got["Body"].read(), data)
        check(f"{algorithm} returned", got["Checksum" + algorithm], put["Checksum" + algorithm])


def lists(s3):
    names = [f"list/{d}/{i:02}" for d in ("a", "b", "c d") for i in range(7)] + ["list/top"]
    for name in names:
        s3.put_object(Bucket=BUCKET, Key=name, Body=name.encode())
    for kind in ("list_objects_v2", "list_objects"):
        pages = list(s3.get_paginator(kind).paginate(Bucket=BUCKET, Prefix="list/", PaginationConfig={"PageSize": 4}))
        found = [(o["Key"], o["Size"], o["ETag"]) for p in pages for o in p.get("Contents", [])]
        want = [(n, len(n), f'"{hashlib.md5(n.encode()).hexdigest()}"') for n in sorted(names)]
        check(f"{kind} by pages", found, want)
        check(f"{kind} pages", len(pages), 6)
        pages = list(s3.get_paginator(kind).paginate(
            Bucket=BUCKET, Prefix="list/", Delimiter="/", PaginationConfig={"PageSize": 2}))
        prefixes = [c["Prefix"] for p in pages for c in p.get("CommonPrefixes", [])]
        check(f"{kind} prefixes", prefixes, ["list/a/", "list/b/", "list/c d/"])
        check(f"{kind} beside them", [o["Key"] for p in pages for o in p.get("Contents", [])], ["list/top"])
    got = s3.list_objects_v2(Bucket=BUCKET, Prefix="list/", StartAfter="list/c d/05")
    check("StartAfter", [o["Key"] for o in got["Contents"]], ["list/c d/06", "list/top"])


def deletes(s3, keys):
    for key in keys:
        s3.delete_object(Bucket=BUCKET, Key=key)
        s3.delete_object(Bucket=BUCKET, Key=key)  # again: nothing to do is done
        refused(f"{key!r} deleted", 404, "404", s3.head_object, Bucket=BUCKET, Key=key)


def main():
    s3 = client()
    buckets(s3)
    for i, key in enumerate(KEYS):
        for size in SIZES if i == 0 else (0, 1000 + i):
            whole(s3, key, size)
    reads(s3)
    conditions(s3)
    checksums(s3)
    lists(s3)
    found = {o["Key"] for p in s3.get_paginator("list_objects_v2").paginate(Bucket=BUCKET) for o in p["Contents"]}
    check("every key is listed", [k for k in KEYS if k not in found], [])
    deletes(s3, KEYS[::2])
    plain = client(request_checksum_calculation="when_required", response_checksum_validation="when_required")
    for key in KEYS[::2]:
        whole(plain, key, 3000)
    deletes(s3, KEYS[1::2])
    done()


main()

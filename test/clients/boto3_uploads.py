"""What boto3 users do with large objects, copies, batches, tags and attributes, every answer checked.

Environment: ENDPOINT, BUCKET (which must not exist), CHAPTERS (names of what is asked, all if it is not
set), LENIENT_BATCHES for a server that knows neither Quiet nor a limit of keys, and the usual AWS_*
credentials. Prints "N checks passed" and exits 0, or the first failure.
"""

import base64
import hashlib
import io
import os
import zlib

import boto3
from boto3.s3.transfer import TransferConfig
from botocore.config import Config

from checks import body, check, done, refused

ENDPOINT, BUCKET = os.environ["ENDPOINT"], os.environ["BUCKET"]
STRICT_BATCHES = os.environ.get("LENIENT_BATCHES") is None
MIB = 1 << 20


def multipart_etag(parts):
    return f'"{hashlib.md5(b"".join(hashlib.md5(p).digest() for p in parts)).hexdigest()}-{len(parts)}"'


def crc32(data):
    return zlib.crc32(data).to_bytes(4, "big")


def b64(digest):
    return base64.b64encode(digest).decode()


def pieces(data, size):
    return [data[i : i + size] for i in range(0, len(data), size)]


s3 = boto3.client("s3", endpoint_url=ENDPOINT, config=Config(retries={"max_attempts": 1, "mode": "standard"}, s3={"addressing_style": "path"}))


def transfers():
    data = body("transfer", 17 * MIB + 3)
    config = TransferConfig(multipart_threshold=6 * MIB, multipart_chunksize=5 * MIB, max_concurrency=4)
    parts = pieces(data, 5 * MIB)
    for extra in [
        {},
        {"ChecksumAlgorithm": "SHA256"},
        {"ChecksumType": "FULL_OBJECT"},
        {"Metadata": {"a": "b c"}, "Tagging": "x=y&z=w", "ContentType": "text/x-thing"},
    ]:
        s3.upload_fileobj(io.BytesIO(data), BUCKET, "large", ExtraArgs=extra, Config=config)
        head = s3.head_object(Bucket=BUCKET, Key="large", ChecksumMode="ENABLED")
        check(f"ETag with {extra}", head["ETag"], multipart_etag(parts))
        check(f"size with {extra}", head["ContentLength"], len(data))
        if "ChecksumAlgorithm" in extra:
            want = b64(hashlib.sha256(b"".join(hashlib.sha256(p).digest() for p in parts)).digest()) + f"-{len(parts)}"
            check("composite SHA-256", head.get("ChecksumSHA256"), want)
        elif "ChecksumType" in extra:
            check("full CRC32", head.get("ChecksumCRC32"), b64(crc32(data)))
        else:
            check("composite CRC32", head.get("ChecksumCRC32"), b64(crc32(b"".join(crc32(p) for p in parts))) + f"-{len(parts)}")
        out = io.BytesIO()
        s3.download_fileobj(BUCKET, "large", out, Config=config)
        check(f"content with {extra}", out.getvalue() == data, True)
    check("metadata", head["Metadata"], {"a": "b c"})
    check("content type", head["ContentType"], "text/x-thing")
    for n, p in enumerate(parts, 1):
        got = s3.get_object(Bucket=BUCKET, Key="large", PartNumber=n)
        check(f"part {n}", (got["Body"].read() == p, got["PartsCount"], got["ResponseMetadata"]["HTTPStatusCode"]), (True, len(parts), 206))
    refused("a part behind the last", 416, "InvalidPartNumber", s3.get_object, Bucket=BUCKET, Key="large", PartNumber=len(parts) + 1)
    s3.copy({"Bucket": BUCKET, "Key": "large"}, BUCKET, "copied by parts", Config=config)
    head = s3.head_object(Bucket=BUCKET, Key="copied by parts")
    check("ETag of a copy by parts", head["ETag"], multipart_etag(parts))
    check("metadata of a copy by parts", head["Metadata"], {"a": "b c"})
    attributes = s3.get_object_attributes(Bucket=BUCKET, Key="large", ObjectAttributes=["ETag", "ObjectSize", "Checksum"])
    check("attributes", (attributes["ETag"].strip('"'), attributes["ObjectSize"]), (multipart_etag(parts).strip('"'), len(data)))


def uploads():
    key = "by hand"
    a, b = body("a", 5 * MIB), body("b", 7)
    args = {"Bucket": BUCKET, "Key": key}
    upload = s3.create_multipart_upload(**args, Metadata={"m": "1"})["UploadId"]
    args["UploadId"] = upload
    # boto3 gives each part a CRC32 though the upload was begun without checksums.
    two = s3.upload_part(**args, PartNumber=2, Body=b)
    check("ETag of a part", two["ETag"], f'"{hashlib.md5(b).hexdigest()}"')
    check("checksum of a part", two.get("ChecksumCRC32"), b64(crc32(b)))
    s3.upload_part(**args, PartNumber=1, Body=b"to be replaced")
    one = s3.upload_part(**args, PartNumber=1, Body=a)
    listed = s3.list_parts(**args)["Parts"]
    check("parts", [(p["PartNumber"], p["Size"], p["ETag"]) for p in listed], [(1, len(a), one["ETag"]), (2, len(b), two["ETag"])])
    check("a page of parts", s3.list_parts(**args, MaxParts=1)["NextPartNumberMarker"], 1)
    check("uploads", [(u["Key"], u["UploadId"]) for u in s3.list_multipart_uploads(Bucket=BUCKET)["Uploads"]], [(key, upload)])
    named = [{"PartNumber": 1, "ETag": one["ETag"]}, {"PartNumber": 2, "ETag": two["ETag"]}]

    def complete(parts, **more):
        return s3.complete_multipart_upload(**args, MultipartUpload={"Parts": parts}, **more)

    refused("parts in disorder", 400, "InvalidPartOrder", complete, parts=[named[0], named[0]])
    refused("another ETag", 400, "InvalidPart", complete, parts=[{"PartNumber": 1, "ETag": two["ETag"]}])
    refused("a part that is not there", 400, "InvalidPart", complete, parts=[{"PartNumber": 3, "ETag": two["ETag"]}])
    refused("no parts", 400, "MalformedXML", complete, parts=[])
    refused("part 0", 400, "InvalidArgument", s3.upload_part, **args, PartNumber=0, Body=b"x")
    refused("part 10001", 400, "InvalidArgument", s3.upload_part, **args, PartNumber=10001, Body=b"x")
    refused("another key's upload", 404, "NoSuchUpload", s3.upload_part, Bucket=BUCKET, Key="other", UploadId=upload, PartNumber=1, Body=b"x")
    done = complete(named, IfNoneMatch="*")
    check("ETag", done["ETag"], multipart_etag([a, b]))
    check("content", s3.get_object(Bucket=BUCKET, Key=key)["Body"].read() == a + b, True)
    check("metadata", s3.head_object(Bucket=BUCKET, Key=key)["Metadata"], {"m": "1"})

    args["UploadId"] = s3.create_multipart_upload(Bucket=BUCKET, Key=key)["UploadId"]
    small = [s3.upload_part(**args, PartNumber=n, Body=b"x") for n in (1, 2)]
    parts = [{"PartNumber": n, "ETag": p["ETag"]} for n, p in enumerate(small, 1)]
    refused("small parts", 400, "EntityTooSmall", complete, parts=parts)
    refused("a condition", 412, "PreconditionFailed", complete, parts=parts[:1], IfNoneMatch="*")
    s3.abort_multipart_upload(**args)
    refused("after the abort", 404, "NoSuchUpload", s3.upload_part, **args, PartNumber=1, Body=b"x")
    refused("complete after the abort of an object that is not there", 404, "NoSuchUpload", s3.complete_multipart_upload,
            Bucket=BUCKET, Key="never", UploadId=args["UploadId"], MultipartUpload={"Parts": parts[:1]})
    check("content after all that", s3.get_object(Bucket=BUCKET, Key=key)["Body"].read() == a + b, True)
    check("no uploads are left", s3.list_multipart_uploads(Bucket=BUCKET).get("Uploads", []), [])


def copies():
    data = body("copy", 1000)
    source = {"Bucket": BUCKET, "Key": "source é+ x"}
    etag = s3.put_object(**source, Body=data, Metadata={"a": "1"}, ContentType="text/a")["ETag"]
    got = s3.copy_object(Bucket=BUCKET, Key="copy", CopySource=source)
    check("ETag of a copy", got["CopyObjectResult"]["ETag"], etag)
    head = s3.head_object(Bucket=BUCKET, Key="copy")
    check("what is copied", (head["Metadata"], head["ContentType"]), ({"a": "1"}, "text/a"))
    s3.copy_object(Bucket=BUCKET, Key="copy", CopySource=source, MetadataDirective="REPLACE", Metadata={"b": "2"}, ContentType="text/b")
    head = s3.head_object(Bucket=BUCKET, Key="copy")
    check("what is replaced", (head["Metadata"], head["ContentType"]), ({"b": "2"}, "text/b"))
    refused("a copy to itself", 400, "InvalidRequest", s3.copy_object, Bucket=BUCKET, Key="copy", CopySource=f"{BUCKET}/copy")
    refused("no source", 404, "NoSuchKey", s3.copy_object, Bucket=BUCKET, Key="copy", CopySource=f"{BUCKET}/nothing")
    refused("another source", 412, "PreconditionFailed", s3.copy_object, Bucket=BUCKET, Key="copy", CopySource=source, CopySourceIfMatch='"x"')
    check("content", s3.get_object(Bucket=BUCKET, Key="copy")["Body"].read() == data, True)
    large = body("large copy", 3 * MIB + 7)
    s3.put_object(Bucket=BUCKET, Key="large source", Body=large, Metadata={"a": "1"})
    one = TransferConfig(multipart_threshold=64 * MIB)
    s3.copy({"Bucket": BUCKET, "Key": "large source"}, BUCKET, "large copy", Config=one)
    check("a large copy", s3.get_object(Bucket=BUCKET, Key="large copy")["Body"].read() == large, True)
    check("its ETag", s3.head_object(Bucket=BUCKET, Key="large copy")["ETag"], f'"{hashlib.md5(large).hexdigest()}"')
    s3.copy_object(Bucket=BUCKET, Key="large copy", CopySource={"Bucket": BUCKET, "Key": "large copy"}, MetadataDirective="REPLACE", Metadata={"b": "2"})
    head = s3.head_object(Bucket=BUCKET, Key="large copy")
    check("a copy to itself that changes it", (head["Metadata"], head["ContentLength"]), ({"b": "2"}, len(large)))


def batches():
    keys = ["batch/a b+c", "batch/é <&>", "batch/d"] + [f"batch/{n}" for n in range(20)]
    for key in keys:
        s3.put_object(Bucket=BUCKET, Key=key, Body=key.encode())
    got = s3.delete_objects(Bucket=BUCKET, Delete={"Objects": [{"Key": k} for k in keys[:3] + ["batch/nothing"]]})
    check("deleted", sorted(d["Key"] for d in got["Deleted"]), sorted(keys[:3] + ["batch/nothing"]))
    got = s3.delete_objects(Bucket=BUCKET, Delete={"Quiet": True, "Objects": [{"Key": k} for k in keys]})
    check("quiet", (got.get("Errors", []), got.get("Deleted", []) if STRICT_BATCHES else []), ([], []))
    check("left", s3.list_objects_v2(Bucket=BUCKET, Prefix="batch/")["KeyCount"], 0)
    if STRICT_BATCHES:
        stands = s3.put_object(Bucket=BUCKET, Key="batch/stands", Body=b"x")["ETag"]
        named = [{"Key": "batch/stands", "ETag": '"0"'}, {"Key": "batch/nothing"}]
        got = s3.delete_objects(Bucket=BUCKET, Delete={"Objects": named})
        check("another ETag", [(e["Key"], e["Code"]) for e in got["Errors"]], [("batch/stands", "PreconditionFailed")])
        check("beside it", [d["Key"] for d in got["Deleted"]], ["batch/nothing"])
        got = s3.delete_objects(Bucket=BUCKET, Delete={"Objects": [{"Key": "batch/stands", "ETag": stands, "Size": 1}]})
        check("the right ETag", ([d["Key"] for d in got["Deleted"]], got.get("Errors", [])), (["batch/stands"], []))
        refused("1001 keys", 400, "MalformedXML", s3.delete_objects, Bucket=BUCKET, Delete={"Objects": [{"Key": str(n)} for n in range(1001)]})


def tags():
    key = {"Bucket": BUCKET, "Key": "tagged"}
    s3.put_object(**key, Body=b"x", Tagging="a%20b=1%2B1")

    def now():
        return {t["Key"]: t["Value"] for t in s3.get_object_tagging(**key)["TagSet"]}

    def put(**pairs):
        s3.put_object_tagging(**key, Tagging={"TagSet": [{"Key": k, "Value": v} for k, v in pairs.items()]})

    check("tags of a put", now(), {"a b": "1+1"})
    check("their number", s3.get_object(**key)["TagCount"], 1)
    put(k="v é", l="")
    check("tags", now(), {"k": "v é", "l": ""})
    refused("a bad tag", 400, "InvalidTag", put, k="&")
    refused("eleven tags", 400, "BadRequest", put, **{f"k{n}": "v" for n in range(11)})
    s3.delete_object_tagging(**key)
    check("no tags", now(), {})
    put(t="1")
    copy = {"Bucket": BUCKET, "Key": "copy of tagged"}
    s3.copy_object(**copy, CopySource=key)
    check("tags of a copy", s3.get_object_tagging(**copy)["TagSet"], [{"Key": "t", "Value": "1"}])
    s3.copy_object(**copy, CopySource=key, TaggingDirective="REPLACE", Tagging="u=2")
    check("replaced tags", s3.get_object_tagging(**copy)["TagSet"], [{"Key": "u", "Value": "2"}])
    refused("tags of nothing", 404, "NoSuchKey", s3.get_object_tagging, Bucket=BUCKET, Key="nothing")


CHAPTERS = {f.__name__: f for f in (transfers, uploads, copies, batches, tags)}
s3.create_bucket(Bucket=BUCKET)
for name in os.environ.get("CHAPTERS", " ".join(CHAPTERS)).split():
    CHAPTERS[name]()
done()

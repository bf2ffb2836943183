// AWS SDK for JavaScript v3 with lib-storage, and what a browser does with presigned requests: a PUT
// by fetch, a POST form by FormData. Environment: ENDPOINT, BUCKET (which must not exist), AWS_*;
// NODE_EXTRA_CA_CERTS for https. Prints "N checks passed", what it leaves, and exits 0, or the first
// failure.
"use strict";
const { createHash, randomBytes } = require("node:crypto");
const { Readable } = require("node:stream");
const assert = require("node:assert/strict");
const s3sdk = require("@aws-sdk/client-s3");
const { Upload } = require("@aws-sdk/lib-storage");
const { getSignedUrl } = require("@aws-sdk/s3-request-presigner");
const { createPresignedPost } = require("@aws-sdk/s3-presigned-post");

const Bucket = process.env.BUCKET;
const MiB = 1 << 20;
const client = new s3sdk.S3Client({ endpoint: process.env.ENDPOINT, region: "us-east-1", forcePathStyle: true, maxAttempts: 1 });
let passed = 0;
const left = {};

const sum = (data) => createHash("sha256").update(data).digest("hex");
function check(what, got, want) {
  assert.deepEqual(got, want, what);
  passed++;
}
function leave(key, data) {
  left[key] = sum(data);
}
async function refused(what, name, call) {
  await assert.rejects(call, (e) => (assert.equal(e.name, name, `${what}: ${e}`), true));
  passed++;
}
const send = (command) => client.send(command);
async function read(Key) {
  const got = await send(new s3sdk.GetObjectCommand({ Bucket, Key, ChecksumMode: "ENABLED" })); // checks the checksum
  return { ...got, data: Buffer.from(await got.Body.transformToByteArray()) };
}

async function objects() {
  for (const [key, size] of [["empty", 0], ["a b+c é 😀", 1000], ["%2F;,:@&=$!*'()", 8193], ["dir/large", 3 * MiB + 1]]) {
    const Body = randomBytes(size);
    const put = await send(new s3sdk.PutObjectCommand({ Bucket, Key: key, Body, ContentType: "text/x-js", Metadata: { op: "js" } }));
    const got = await read(key);
    check(`${key} bytes`, sum(got.data), sum(Body));
    check(`${key} etag`, got.ETag, put.ETag);
    check(`${key} type`, got.ContentType, "text/x-js");
    check(`${key} metadata`, got.Metadata, { op: "js" });
    check(`${key} encoding`, got.ContentEncoding, undefined);
    leave(key, Body);
  }
  for (const ChecksumAlgorithm of ["CRC32C", "CRC64NVME", "SHA1", "SHA256"]) {
    const Body = randomBytes(70_001);
    const put = await send(new s3sdk.PutObjectCommand({ Bucket, Key: `sum/${ChecksumAlgorithm}`, Body, ChecksumAlgorithm }));
    const got = await read(`sum/${ChecksumAlgorithm}`);
    check(ChecksumAlgorithm, got[`Checksum${ChecksumAlgorithm}`], put[`Checksum${ChecksumAlgorithm}`]);
    check(`${ChecksumAlgorithm} bytes`, sum(got.data), sum(Body));
    leave(`sum/${ChecksumAlgorithm}`, Body);
  }
  const part = await send(new s3sdk.GetObjectCommand({ Bucket, Key: "dir/large", Range: "bytes=1000000-1000009" }));
  check("range", part.ContentRange, `bytes 1000000-1000009/${3 * MiB + 1}`);
  await refused("absent", "NoSuchKey", () => send(new s3sdk.GetObjectCommand({ Bucket, Key: "absent" })));
  await refused("head of absent", "NotFound", () => send(new s3sdk.HeadObjectCommand({ Bucket, Key: "absent" })));
  await refused("create again", "PreconditionFailed", () => send(new s3sdk.PutObjectCommand({ Bucket, Key: "empty", Body: "x", IfNoneMatch: "*" })));
}

// uploads sends streams of unknown length in parts, several at once.
async function uploads() {
  for (const [Key, size, stream] of [["parts/buffer", 23 * MiB + 7, false], ["parts/stream", 12 * MiB + 5, true]]) {
    const data = randomBytes(size);
    const pieces = function* () {
      for (let at = 0; at < size; at += 300_001) yield data.subarray(at, at + 300_001);
    };
    const Body = stream ? Readable.from(pieces()) : data;
    await new Upload({ client, params: { Bucket, Key, Body }, partSize: 5 * MiB, queueSize: 4 }).done();
    check(`${Key} bytes`, sum((await read(Key)).data), sum(data));
    leave(Key, data);
    await send(new s3sdk.CopyObjectCommand({ Bucket, Key: `${Key} copy é`, CopySource: `${Bucket}/${encodeURIComponent(Key)}` }));
    check(`${Key} copy`, sum((await read(`${Key} copy é`)).data), sum(data));
    leave(`${Key} copy é`, data);
  }
}

async function lists() {
  const keys = Array.from({ length: 25 }, (_, i) => `list/${i % 5}/${String(i).padStart(2, "0")}`);
  await Promise.all(keys.map((Key) => send(new s3sdk.PutObjectCommand({ Bucket, Key, Body: Key }))));
  const found = [];
  for await (const page of s3sdk.paginateListObjectsV2({ client, pageSize: 7 }, { Bucket, Prefix: "list/" })) {
    found.push(...page.Contents.map((o) => o.Key));
  }
  check("pages", found, keys.toSorted());
  const { CommonPrefixes } = await send(new s3sdk.ListObjectsV2Command({ Bucket, Prefix: "list/", Delimiter: "/" }));
  check("prefixes", CommonPrefixes.map((p) => p.Prefix), [0, 1, 2, 3, 4].map((i) => `list/${i}/`));
  const gone = await send(new s3sdk.DeleteObjectsCommand({ Bucket, Delete: { Objects: [...keys, "list/none"].map((Key) => ({ Key })) } }));
  check("batch", [gone.Deleted.length, gone.Errors], [26, undefined]);
  check("emptied", (await send(new s3sdk.ListObjectsV2Command({ Bucket, Prefix: "list/" }))).KeyCount, 0);
}

async function browser() {
  const data = randomBytes(200_001);
  const put = await getSignedUrl(client, new s3sdk.PutObjectCommand({ Bucket, Key: "browser/put é", ContentType: "image/png" }), { expiresIn: 600 });
  let answer = await fetch(put, { method: "PUT", body: new Blob([data], { type: "image/png" }) });
  check("presigned PUT", [answer.status, await answer.text()], [200, ""]);
  const get = await getSignedUrl(client, new s3sdk.GetObjectCommand({ Bucket, Key: "browser/put é", ResponseContentDisposition: "attachment" }));
  answer = await fetch(get);
  check("presigned GET", sum(Buffer.from(await answer.arrayBuffer())), sum(data));
  check("its header", answer.headers.get("content-disposition"), "attachment");
  leave("browser/put é", data);
  answer = await fetch(put.replace(/Signature=..../, "Signature=0000"), { method: "PUT", body: new Blob([data], { type: "image/png" }) });
  check("forged PUT", [answer.status, /SignatureDoesNotMatch/.test(await answer.text())], [403, true]);

  const { url, fields } = await createPresignedPost(client, {
    Bucket, Key: "browser/post ${filename}", Fields: { "Content-Type": "text/plain", success_action_status: "201" },
    Conditions: [["content-length-range", 1, MiB]], Expires: 600,
  });
  const post = async (body) => {
    const form = new FormData();
    for (const [name, value] of Object.entries(fields)) form.append(name, value);
    form.append("file", new Blob([body], { type: "text/plain" }), "näme.txt");
    return fetch(url, { method: "POST", body: form });
  };
  answer = await post(data);
  check("POST form", answer.status, 201);
  check("its answer", /<Key>browser\/post näme.txt<\/Key>/.test(await answer.text()), true);
  check("POST bytes", sum((await read("browser/post näme.txt")).data), sum(data));
  leave("browser/post näme.txt", data);
  answer = await post(randomBytes(MiB + 1));
  check("POST beyond its policy", [answer.status, /EntityTooLarge/.test(await answer.text())], [400, true]);
}

async function main() {
  await send(new s3sdk.CreateBucketCommand({ Bucket }));
  await objects();
  await uploads();
  await lists();
  await browser();
  client.destroy(); // its idle connections keep node from ending
  console.log(`${passed} checks passed`);
  console.log(`LEFT ${JSON.stringify(left)}`);
}

main().catch((e) => {
  console.error(e);
  process.exit(1);
});

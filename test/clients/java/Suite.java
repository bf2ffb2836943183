// AWS SDK for Java v2: the synchronous client, the asynchronous one that splits, and the transfer
// manager. Run from its source: java -cp '.tools/java/*' Suite.java. Environment: ENDPOINT, BUCKET
// (which must not exist), AWS_*; TRUST, a PKCS#12 file, for https. Prints "N checks passed", what it
// leaves, and exits 0, or the first failure.

import java.io.ByteArrayInputStream;
import java.io.InputStream;
import java.net.URI;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.MessageDigest;
import java.time.Duration;
import java.util.ArrayList;
import java.util.HexFormat;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.TreeMap;
import java.util.concurrent.Executors;
import software.amazon.awssdk.core.ResponseBytes;
import software.amazon.awssdk.core.async.AsyncRequestBody;
import software.amazon.awssdk.core.async.AsyncResponseTransformer;
import software.amazon.awssdk.core.sync.RequestBody;
import software.amazon.awssdk.regions.Region;
import software.amazon.awssdk.services.s3.S3AsyncClient;
import software.amazon.awssdk.services.s3.S3Client;
import software.amazon.awssdk.services.s3.S3Configuration;
import software.amazon.awssdk.services.s3.model.ChecksumAlgorithm;
import software.amazon.awssdk.services.s3.model.ChecksumMode;
import software.amazon.awssdk.services.s3.model.GetObjectResponse;
import software.amazon.awssdk.services.s3.model.NoSuchKeyException;
import software.amazon.awssdk.services.s3.model.ObjectIdentifier;
import software.amazon.awssdk.services.s3.model.S3Exception;
import software.amazon.awssdk.services.s3.presigner.S3Presigner;
import software.amazon.awssdk.transfer.s3.S3TransferManager;

public class Suite {
    static final int MIB = 1 << 20;
    static final URI ENDPOINT = URI.create(System.getenv("ENDPOINT"));
    static final String BUCKET = System.getenv("BUCKET");
    static final Map<String, String> left = new TreeMap<>();
    static int passed;

    static String sum(byte[] data) throws Exception {
        return HexFormat.of().formatHex(MessageDigest.getInstance("SHA-256").digest(data));
    }

    static byte[] body(String name, int size) {
        byte[] data = new byte[size];
        new Random(name.hashCode()).nextBytes(data);
        return data;
    }

    static void check(String what, Object got, Object want) {
        if (got == null ? want != null : !got.equals(want)) {
            throw new AssertionError(what + ": got " + got + ", want " + want);
        }
        passed++;
    }

    static void leave(String key, byte[] data) throws Exception {
        left.put(key, sum(data));
    }

    static void refused(String what, int status, String code, Runnable call) {
        try {
            call.run();
        } catch (S3Exception e) {
            check(what, e.statusCode() + " " + e.awsErrorDetails().errorCode(), status + " " + code);
            return;
        }
        throw new AssertionError(what + ": it succeeded");
    }

    static ResponseBytes<GetObjectResponse> read(S3Client s3, String key) {
        return s3.getObjectAsBytes(b -> b.bucket(BUCKET).key(key).checksumMode(ChecksumMode.ENABLED)); // checks the checksum
    }

    static void sync(S3Client s3) throws Exception {
        s3.createBucket(b -> b.bucket(BUCKET));
        String[] keys = {"empty", "a b+c é 😀", "%2F;,:@&=$!*'()", "dir/large"};
        int[] sizes = {0, 1000, 128 * 1024 + 1, 6 * MIB + 1};
        for (int i = 0; i < keys.length; i++) {
            String key = keys[i];
            byte[] data = body(key, sizes[i]);
            var put = s3.putObject(b -> b.bucket(BUCKET).key(key).contentType("text/x-java").metadata(Map.of("op", "java")),
                RequestBody.fromBytes(data));
            var got = read(s3, key);
            check(key + " bytes", sum(got.asByteArray()), sum(data));
            check(key + " etag", got.response().eTag(), put.eTag());
            check(key + " type", got.response().contentType(), "text/x-java");
            check(key + " metadata", got.response().metadata(), Map.of("op", "java"));
            check(key + " encoding", got.response().contentEncoding(), null);
            leave(key, data);
        }
        for (var algorithm : List.of(ChecksumAlgorithm.CRC32, ChecksumAlgorithm.CRC32_C, ChecksumAlgorithm.SHA1, ChecksumAlgorithm.SHA256)) {
            byte[] data = body(algorithm.toString(), 300_001);
            s3.putObject(b -> b.bucket(BUCKET).key("sum/" + algorithm).checksumAlgorithm(algorithm),
                RequestBody.fromInputStream(new ByteArrayInputStream(data), data.length));
            check(algorithm + " bytes", sum(read(s3, "sum/" + algorithm).asByteArray()), sum(data));
            leave("sum/" + algorithm, data);
        }
        byte[] large = body("dir/large", 6 * MIB + 1);
        try (InputStream in = s3.getObject(b -> b.bucket(BUCKET).key("dir/large").range("bytes=5000000-5000009"))) {
            check("range", sum(in.readAllBytes()), sum(java.util.Arrays.copyOfRange(large, 5000000, 5000010)));
        }
        s3.copyObject(b -> b.sourceBucket(BUCKET).sourceKey("dir/large").destinationBucket(BUCKET).destinationKey("copy é"));
        check("copy", sum(read(s3, "copy é").asByteArray()), sum(large));
        leave("copy é", large);
        refused("create again", 412, "PreconditionFailed",
            () -> s3.putObject(b -> b.bucket(BUCKET).key("empty").ifNoneMatch("*"), RequestBody.fromString("x")));
        try {
            read(s3, "absent");
            throw new AssertionError("an absent key is read");
        } catch (NoSuchKeyException e) {
            passed++;
        }
        List<ObjectIdentifier> all = new ArrayList<>();
        for (int i = 0; i < 25; i++) {
            String key = String.format("list/%02d", i);
            s3.putObject(b -> b.bucket(BUCKET).key(key), RequestBody.fromString(key));
            all.add(ObjectIdentifier.builder().key(key).build());
        }
        var pages = s3.listObjectsV2Paginator(b -> b.bucket(BUCKET).prefix("list/").maxKeys(7));
        check("listed", pages.contents().stream().map(o -> o.key()).toList(), all.stream().map(o -> o.key()).toList());
        check("batch", s3.deleteObjects(b -> b.bucket(BUCKET).delete(d -> d.objects(all))).deleted().size(), 25);
        check("emptied", s3.listObjectsV2(b -> b.bucket(BUCKET).prefix("list/")).keyCount(), 0);
    }

    // A client that splits by itself: parts go out and come back several at once.
    static void split(S3AsyncClient s3) throws Exception {
        byte[] data = body("split", 23 * MIB + 7);
        s3.putObject(b -> b.bucket(BUCKET).key("split/bytes"), AsyncRequestBody.fromBytes(data)).join();
        var pool = Executors.newFixedThreadPool(4);
        s3.putObject(b -> b.bucket(BUCKET).key("split/stream"), // of unknown length
            AsyncRequestBody.fromInputStream(c -> c.inputStream(new ByteArrayInputStream(data)).executor(pool))).join();
        pool.shutdown();
        for (String key : List.of("split/bytes", "split/stream")) {
            var got = s3.getObject(b -> b.bucket(BUCKET).key(key), AsyncResponseTransformer.toBytes()).join();
            check(key, sum(got.asByteArray()), sum(data));
            leave(key, data);
        }
        s3.copyObject(b -> b.sourceBucket(BUCKET).sourceKey("split/bytes").destinationBucket(BUCKET).destinationKey("split/copy")).join();
        check("split/copy", sum(s3.getObject(b -> b.bucket(BUCKET).key("split/copy"), AsyncResponseTransformer.toBytes()).join().asByteArray()), sum(data));
        leave("split/copy", data);
    }

    static void transfers(S3TransferManager tm, Path dir) throws Exception {
        for (int i = 0; i < 12; i++) {
            Files.write(dir.resolve("f " + i), body("f" + i, i * 1_000_003));
            leave("tree/f " + i, body("f" + i, i * 1_000_003));
        }
        var up = tm.uploadDirectory(b -> b.bucket(BUCKET).s3Prefix("tree").source(dir)).completionFuture().join();
        check("uploaded", up.failedTransfers(), List.of());
        Path back = Files.createTempDirectory("back");
        var down = tm.downloadDirectory(b -> b.bucket(BUCKET).listObjectsV2RequestTransformer(l -> l.prefix("tree/")).destination(back))
            .completionFuture().join();
        check("downloaded", down.failedTransfers(), List.of());
        for (int i = 0; i < 12; i++) {
            String name = "f " + i;
            try (var found = Files.walk(back)) {
                Path file = found.filter(p -> p.getFileName().toString().equals(name)).findFirst().orElseThrow();
                check(name, sum(Files.readAllBytes(file)), left.get("tree/" + name));
            }
        }
    }

    static void presigned(S3Presigner presigner) throws Exception {
        byte[] data = body("presigned", 100_001);
        var put = presigner.presignPutObject(p -> p.signatureDuration(Duration.ofMinutes(10)).putObjectRequest(b -> b.bucket(BUCKET).key("presigned é")));
        var connection = (java.net.HttpURLConnection) put.url().openConnection();
        connection.setRequestMethod("PUT");
        connection.setDoOutput(true);
        try (var out = connection.getOutputStream()) {
            out.write(data);
        }
        check("presigned PUT", connection.getResponseCode(), 200);
        var get = presigner.presignGetObject(p -> p.signatureDuration(Duration.ofMinutes(10)).getObjectRequest(b -> b.bucket(BUCKET).key("presigned é")));
        try (InputStream in = get.url().openStream()) {
            check("presigned GET", sum(in.readAllBytes()), sum(data));
        }
        leave("presigned é", data);
    }

    static String json(String s) {
        return '"' + s.replace("\\", "\\\\").replace("\"", "\\\"") + '"';
    }

    public static void main(String[] args) throws Exception {
        if (System.getenv("TRUST") != null) {
            System.setProperty("javax.net.ssl.trustStore", System.getenv("TRUST"));
            System.setProperty("javax.net.ssl.trustStoreType", "PKCS12");
            System.setProperty("javax.net.ssl.trustStorePassword", "changeit");
        }
        var settings = S3Configuration.builder().pathStyleAccessEnabled(true).build();
        try (var s3 = S3Client.builder().endpointOverride(ENDPOINT).region(Region.US_EAST_1).forcePathStyle(true)
                 .overrideConfiguration(o -> o.retryStrategy(r -> r.maxAttempts(1))).build();
             var async = S3AsyncClient.builder().endpointOverride(ENDPOINT).region(Region.US_EAST_1).forcePathStyle(true)
                 .overrideConfiguration(o -> o.retryStrategy(r -> r.maxAttempts(1)))
                 .multipartEnabled(true).multipartConfiguration(m -> m.minimumPartSizeInBytes(5L * MIB).thresholdInBytes(8L * MIB)).build();
             var tm = S3TransferManager.builder().s3Client(async).build();
             var presigner = S3Presigner.builder().endpointOverride(ENDPOINT).region(Region.US_EAST_1).serviceConfiguration(settings).build()) {
            sync(s3);
            split(async);
            transfers(tm, Files.createTempDirectory("tree"));
            presigned(presigner);
        }
        System.out.println(passed + " checks passed");
        List<String> pairs = new ArrayList<>();
        left.forEach((key, sum) -> pairs.add(json(key) + ": " + json(sum)));
        System.out.write(("LEFT {" + String.join(", ", pairs) + "}\n").getBytes(java.nio.charset.StandardCharsets.UTF_8));
        System.out.flush();
    }
}

package gateway_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	awss3 "github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
	"github.com/aws/smithy-go"
	"github.com/minio/minio-go/v7"
	"github.com/minio/minio-go/v7/pkg/credentials"

	"github.com/s3mirror/s3mirror/internal/gateway"
)

// clientKeys are awkward in one way each.
var clientKeys = []string{"plain", "a b", "a+b", "a%2Fb", "é", "!*'()", "//x//y", "dir/", "a;b", "😀", "..", "a/../b", strings.Repeat("k", 1024)}

// clientSizes are the sizes at which buffers and chunks end.
var clientSizes = []int{0, 1, 8191, 8192, 8193, 65536, 300_000}

func randomBytes(n int) []byte {
	b := make([]byte, n)
	rand.NewChaCha8([32]byte{byte(n), byte(n >> 8), byte(n >> 16)}).Read(b)
	return b
}

// serveTLS serves the handler with TLS and returns a client that trusts it.
func (f *fixture) serveTLS(t *testing.T) (url string, client *http.Client) {
	t.Helper()
	plain := httptest.NewUnstartedServer(nil)
	plain.StartTLS() // for its certificate only
	t.Cleanup(plain.Close)
	l := gateway.Listen(listen(t), plain.TLS)
	server := gateway.NewServer(f.handler)
	go server.Serve(l)
	t.Cleanup(func() { server.Close() })
	return "https://" + l.Addr().String(), plain.Client()
}

func awsClient(url string, client *http.Client) *awss3.Client {
	return awss3.NewFromConfig(aws.Config{
		Region: "eu-central-1", HTTPClient: client, RetryMaxAttempts: 1,
		RequestChecksumCalculation: aws.RequestChecksumCalculationWhenSupported,
		ResponseChecksumValidation: aws.ResponseChecksumValidationWhenSupported,
		Credentials: aws.CredentialsProviderFunc(func(context.Context) (aws.Credentials, error) {
			return aws.Credentials{AccessKeyID: testKey, SecretAccessKey: string(testSecret)}, nil
		}),
	}, func(o *awss3.Options) { o.BaseEndpoint, o.UsePathStyle = &url, true })
}

// TestAWSSDK does all that is done, with the SDK of AWS, plain and with TLS,
// where it frames its bodies in another way.
func TestAWSSDK(t *testing.T) {
	for _, tls := range []bool{false, true} {
		f := newFixture(t)
		url, client := "http://"+f.addr, http.DefaultClient
		if tls {
			url, client = f.serveTLS(t)
		}
		c := awsClient(url, client)
		t.Run(fmt.Sprintf("TLS %v", tls), func(t *testing.T) {
			awsBuckets(t, c)
			awsObjects(t, c)
			awsConditions(t, c)
			awsLists(t, c)
			awsRefusals(t, c)
			awsTags(t, c)
		})
		client.CloseIdleConnections()
	}
}

// codeOf is the S3 code that the SDK read.
func codeOf(err error) string {
	var api smithy.APIError
	if errors.As(err, &api) {
		return api.ErrorCode()
	}
	return fmt.Sprint(err)
}

func statusOf(err error) int {
	var resp *awshttp.ResponseError
	if errors.As(err, &resp) {
		return resp.HTTPStatusCode()
	}
	return 0
}

func awsBuckets(t *testing.T, c *awss3.Client) {
	ctx := t.Context()
	name := aws.String("sdk-bucket")
	made, err := c.CreateBucket(ctx, &awss3.CreateBucketInput{Bucket: name, CreateBucketConfiguration: &types.CreateBucketConfiguration{
		LocationConstraint: types.BucketLocationConstraintEuCentral1,
	}})
	if err != nil || aws.ToString(made.Location) != "/sdk-bucket" {
		t.Errorf("create: %+v, %v", made, err)
	}
	_, err = c.CreateBucket(ctx, &awss3.CreateBucketInput{Bucket: name})
	if owned := (*types.BucketAlreadyOwnedByYou)(nil); !errors.As(err, &owned) {
		t.Errorf("create again: %v", err)
	}
	there, err := c.HeadBucket(ctx, &awss3.HeadBucketInput{Bucket: name})
	if err != nil || aws.ToString(there.BucketRegion) != "us-east-1" {
		t.Errorf("head: %+v, %v", there, err)
	}
	where, err := c.GetBucketLocation(ctx, &awss3.GetBucketLocationInput{Bucket: name})
	if err != nil || where.LocationConstraint != "" {
		t.Errorf("location: %+v, %v", where, err)
	}
	all, err := c.ListBuckets(ctx, &awss3.ListBucketsInput{})
	if err != nil || len(all.Buckets) != 2 || aws.ToString(all.Buckets[1].Name) != "sdk-bucket" || all.Buckets[1].CreationDate.IsZero() {
		t.Errorf("list: %+v, %v", all, err)
	}
	if _, err := c.DeleteBucket(ctx, &awss3.DeleteBucketInput{Bucket: name}); err != nil {
		t.Errorf("delete: %v", err)
	}
	_, err = c.HeadBucket(ctx, &awss3.HeadBucketInput{Bucket: name})
	if missing := (*types.NotFound)(nil); !errors.As(err, &missing) {
		t.Errorf("head of none: %v", err)
	}
}

func awsObjects(t *testing.T, c *awss3.Client) {
	ctx, bucket := t.Context(), aws.String("photos")
	for i, key := range clientKeys {
		data := randomBytes(clientSizes[i%len(clientSizes)])
		algorithm := []types.ChecksumAlgorithm{"", types.ChecksumAlgorithmCrc32c, types.ChecksumAlgorithmSha256, types.ChecksumAlgorithmCrc64nvme, types.ChecksumAlgorithmSha1}[i%5]
		put, err := c.PutObject(ctx, &awss3.PutObjectInput{
			Bucket: bucket, Key: &key, Body: bytes.NewReader(data), ContentType: aws.String("text/plain"), ChecksumAlgorithm: algorithm,
			Metadata: map[string]string{"colour": "blue  green"},
		})
		if err != nil {
			t.Errorf("put %.20q: %v", key, err)
			continue
		}
		// The SDK verifies the checksum of what it reads.
		got, err := c.GetObject(ctx, &awss3.GetObjectInput{Bucket: bucket, Key: &key, ChecksumMode: types.ChecksumModeEnabled})
		if err != nil {
			t.Errorf("get %.20q: %v", key, err)
			continue
		}
		body, err := io.ReadAll(got.Body)
		if err != nil || !bytes.Equal(body, data) || aws.ToString(got.ETag) != aws.ToString(put.ETag) || got.Metadata["colour"] != "blue  green" ||
			aws.ToString(got.ContentType) != "text/plain" || got.ChecksumType != types.ChecksumTypeFullObject {
			t.Errorf("get %.20q: %d bytes of %d, %v, %+v", key, len(body), len(data), err, got)
		}
		seen, err := c.HeadObject(ctx, &awss3.HeadObjectInput{Bucket: bucket, Key: &key})
		if err != nil || aws.ToInt64(seen.ContentLength) != int64(len(data)) || seen.ReplicationStatus == "" {
			t.Errorf("head %.20q: %+v, %v", key, seen, err)
		}
		if _, err := c.DeleteObject(ctx, &awss3.DeleteObjectInput{Bucket: bucket, Key: &key}); err != nil {
			t.Errorf("delete %.20q: %v", key, err)
		}
		_, err = c.GetObject(ctx, &awss3.GetObjectInput{Bucket: bucket, Key: &key})
		if missing := (*types.NoSuchKey)(nil); !errors.As(err, &missing) {
			t.Errorf("get deleted %.20q: %v", key, err)
		}
	}
}

func awsConditions(t *testing.T, c *awss3.Client) {
	ctx, bucket, key := t.Context(), aws.String("photos"), aws.String("conditions")
	put := func(in awss3.PutObjectInput) (*awss3.PutObjectOutput, error) {
		in.Bucket, in.Key, in.Body = bucket, key, strings.NewReader("hello world")
		return c.PutObject(ctx, &in)
	}
	if _, err := put(awss3.PutObjectInput{IfNoneMatch: aws.String("*")}); err != nil {
		t.Errorf("first: %v", err)
	}
	if _, err := put(awss3.PutObjectInput{IfNoneMatch: aws.String("*")}); codeOf(err) != "PreconditionFailed" {
		t.Errorf("second: %v", err)
	}
	if _, err := put(awss3.PutObjectInput{IfMatch: aws.String(helloETag)}); err != nil {
		t.Errorf("over the right one: %v", err)
	}
	if _, err := put(awss3.PutObjectInput{IfMatch: aws.String(`"other"`)}); codeOf(err) != "PreconditionFailed" {
		t.Errorf("over another one: %v", err)
	}
	part, err := c.GetObject(ctx, &awss3.GetObjectInput{Bucket: bucket, Key: key, Range: aws.String("bytes=6-"), IfMatch: aws.String(helloETag)})
	if err != nil || aws.ToString(part.ContentRange) != "bytes 6-10/11" {
		t.Errorf("part: %+v, %v", part, err)
	} else if body, _ := io.ReadAll(part.Body); string(body) != "world" {
		t.Errorf("part: %q", body)
	}
	if _, err := c.GetObject(ctx, &awss3.GetObjectInput{Bucket: bucket, Key: key, Range: aws.String("bytes=11-")}); codeOf(err) != "InvalidRange" {
		t.Errorf("part beyond the end: %v", err)
	}
	if _, err := c.GetObject(ctx, &awss3.GetObjectInput{Bucket: bucket, Key: key, IfNoneMatch: aws.String(helloETag)}); statusOf(err) != 304 {
		t.Errorf("not modified: %v", err)
	}
	if _, err := c.DeleteObject(ctx, &awss3.DeleteObjectInput{Bucket: bucket, Key: key, IfMatch: aws.String(`"other"`)}); codeOf(err) != "PreconditionFailed" {
		t.Errorf("delete another one: %v", err)
	}
	if _, err := c.DeleteObject(ctx, &awss3.DeleteObjectInput{Bucket: bucket, Key: key, IfMatch: aws.String(helloETag)}); err != nil {
		t.Errorf("delete the right one: %v", err)
	}
}

func awsLists(t *testing.T, c *awss3.Client) {
	ctx, bucket := t.Context(), aws.String("photos")
	want := slices.Clone(clientKeys)
	slices.Sort(want)
	for _, key := range want {
		if _, err := c.PutObject(ctx, &awss3.PutObjectInput{Bucket: bucket, Key: &key, Body: strings.NewReader("x")}); err != nil {
			t.Fatal(err)
		}
	}
	var got []string
	for p := awss3.NewListObjectsV2Paginator(c, &awss3.ListObjectsV2Input{Bucket: bucket, MaxKeys: aws.Int32(4)}); p.HasMorePages(); {
		page, err := p.NextPage(ctx)
		if err != nil {
			t.Fatal(err)
		}
		for _, o := range page.Contents {
			got = append(got, aws.ToString(o.Key))
		}
	}
	if !slices.Equal(got, want) {
		t.Errorf("version 2: %q, want %q", got, want)
	}
	first, err := c.ListObjects(ctx, &awss3.ListObjectsInput{Bucket: bucket, MaxKeys: aws.Int32(1), Delimiter: aws.String("/"), Prefix: aws.String("a/")})
	if err != nil || len(first.CommonPrefixes) != 1 || aws.ToString(first.CommonPrefixes[0].Prefix) != "a/../" || aws.ToBool(first.IsTruncated) {
		t.Errorf("version 1: %+v, %v", first, err)
	}
	awsDeletes(t, c, want)
}

// awsDeletes removes the keys at once, and asks for it again.
func awsDeletes(t *testing.T, c *awss3.Client, keys []string) {
	ctx, bucket := t.Context(), aws.String("photos")
	all := &types.Delete{}
	for _, key := range keys {
		all.Objects = append(all.Objects, types.ObjectIdentifier{Key: &key})
	}
	for _, quiet := range []bool{false, true} {
		all.Quiet = &quiet
		got, err := c.DeleteObjects(ctx, &awss3.DeleteObjectsInput{Bucket: bucket, Delete: all})
		if err != nil || len(got.Errors) > 0 || !quiet && len(got.Deleted) != len(keys) || quiet && len(got.Deleted) > 0 {
			t.Fatalf("%+v, %v", got, err)
		}
		for i, d := range got.Deleted {
			if aws.ToString(d.Key) != keys[i] {
				t.Errorf("deleted %.20q, want %.20q", aws.ToString(d.Key), keys[i])
			}
		}
	}
	left, err := c.ListObjectsV2(ctx, &awss3.ListObjectsV2Input{Bucket: bucket})
	if err != nil || len(left.Contents) > 0 {
		t.Errorf("left %+v, %v", left, err)
	}
}

// awsTags has an object's tags change in every way.
func awsTags(t *testing.T, c *awss3.Client) {
	t.Helper()
	ctx, bucket, key := t.Context(), aws.String("photos"), aws.String("tagged")
	must := func(_ any, err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	want := func(count int32, tags ...string) {
		t.Helper()
		got, err := c.GetObjectTagging(ctx, &awss3.GetObjectTaggingInput{Bucket: bucket, Key: key})
		var have []string
		if err == nil {
			for _, tag := range got.TagSet {
				have = append(have, *tag.Key+"="+*tag.Value)
			}
		}
		obj, getErr := c.GetObject(ctx, &awss3.GetObjectInput{Bucket: bucket, Key: key})
		if err != nil || getErr != nil || !slices.Equal(have, tags) || aws.ToInt32(obj.TagCount) != count {
			t.Errorf("got %v, %v, %v, want %v", have, err, getErr, tags)
			return
		}
		obj.Body.Close()
	}
	must(c.PutObject(ctx, &awss3.PutObjectInput{Bucket: bucket, Key: key, Body: strings.NewReader("x"), Tagging: aws.String("a=1&b=")}))
	want(2, "a=1", "b=")
	must(c.PutObjectTagging(ctx, &awss3.PutObjectTaggingInput{Bucket: bucket, Key: key, Tagging: &types.Tagging{TagSet: []types.Tag{{Key: aws.String("c"), Value: aws.String("é 1")}}}}))
	want(1, "c=é 1")
	must(c.CopyObject(ctx, &awss3.CopyObjectInput{Bucket: bucket, Key: aws.String("tagged2"), CopySource: aws.String("photos/tagged")}))
	must(c.DeleteObjectTagging(ctx, &awss3.DeleteObjectTaggingInput{Bucket: bucket, Key: key}))
	want(0)
	must(c.DeleteObject(ctx, &awss3.DeleteObjectInput{Bucket: bucket, Key: key}))
	key = aws.String("tagged2")
	want(1, "c=é 1")
	must(c.DeleteObject(ctx, &awss3.DeleteObjectInput{Bucket: bucket, Key: key}))
}

// awsRefusals asks for what is not done: the SDK understands the answer.
func awsRefusals(t *testing.T, c *awss3.Client) {
	ctx, bucket, key := t.Context(), aws.String("photos"), aws.String("k")
	all := map[string]error{}
	_, err := c.PutObjectLegalHold(ctx, &awss3.PutObjectLegalHoldInput{Bucket: bucket, Key: key, LegalHold: &types.ObjectLockLegalHold{Status: types.ObjectLockLegalHoldStatusOn}})
	if codeOf(err) != "InvalidRequest" || statusOf(err) != 400 {
		t.Errorf("a legal hold in a bucket without object lock: %v", err)
	}
	_, all["CreateBucket with object lock"] = c.CreateBucket(ctx, &awss3.CreateBucketInput{Bucket: aws.String("locked"), ObjectLockEnabledForBucket: aws.Bool(true)})
	_, all["PutBucketVersioning"] = c.PutBucketVersioning(ctx, &awss3.PutBucketVersioningInput{Bucket: bucket, VersioningConfiguration: &types.VersioningConfiguration{Status: types.BucketVersioningStatusEnabled}})
	if _, err := c.GetObject(ctx, &awss3.GetObjectInput{Bucket: bucket, Key: key, VersionId: aws.String("1")}); codeOf(err) != "InvalidArgument" || statusOf(err) != 400 {
		t.Errorf("a version that there is not: %v", err)
	}
	_, all["PutObject encrypted"] = c.PutObject(ctx, &awss3.PutObjectInput{Bucket: bucket, Key: key, Body: strings.NewReader("x"), ServerSideEncryption: types.ServerSideEncryptionAes256})
	for name, err := range all {
		if codeOf(err) != "NotImplemented" || statusOf(err) != 501 {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := c.HeadObject(ctx, &awss3.HeadObjectInput{Bucket: bucket, Key: key}); statusOf(err) != 404 {
		t.Errorf("refusals left an object: %v", err)
	}
}

// TestMinioGo does the same with the client of MinIO, which signs its chunks
// over plain HTTP.
func TestMinioGo(t *testing.T) {
	f := newFixture(t)
	c, err := minio.New(f.addr, &minio.Options{Creds: credentials.NewStaticV4(testKey, string(testSecret), "")})
	if err != nil {
		t.Fatal(err)
	}
	ctx := t.Context()
	if err := c.MakeBucket(ctx, "minio-bucket", minio.MakeBucketOptions{}); err != nil {
		t.Error(err)
	}
	if err := c.MakeBucket(ctx, "minio-bucket", minio.MakeBucketOptions{}); minio.ToErrorResponse(err).Code != "BucketAlreadyOwnedByYou" {
		t.Errorf("make again: %v", err)
	}
	if ok, err := c.BucketExists(ctx, "minio-bucket"); !ok || err != nil {
		t.Errorf("exists: %v, %v", ok, err)
	}
	if all, err := c.ListBuckets(ctx); len(all) != 2 || err != nil {
		t.Errorf("buckets: %v, %v", all, err)
	}
	for i, key := range []string{"plain", "a b", "a+b", "a%2Fb", "é", "!*'()", "dir/", "a;b", "😀", strings.Repeat("k", 1024)} {
		minioObject(t, c, key, randomBytes(clientSizes[i%len(clientSizes)]), i%2 == 0)
	}
	if err := c.RemoveBucket(ctx, "minio-bucket"); err != nil {
		t.Errorf("remove: %v", err)
	}
	if _, err := c.StatObject(ctx, "photos", "absent", minio.StatObjectOptions{}); minio.ToErrorResponse(err).Code != "NoSuchKey" {
		t.Errorf("stat of none: %v", err)
	}
}

func minioObject(t *testing.T, c *minio.Client, key string, data []byte, md5 bool) {
	t.Helper()
	ctx := t.Context()
	put, err := c.PutObject(ctx, "minio-bucket", key, bytes.NewReader(data), int64(len(data)), minio.PutObjectOptions{
		SendContentMd5: md5, DisableMultipart: true, ContentType: "text/plain", UserMetadata: map[string]string{"Colour": "blue"},
	})
	if err != nil {
		t.Errorf("put %.20q: %v", key, err)
		return
	}
	got, err := c.GetObject(ctx, "minio-bucket", key, minio.GetObjectOptions{})
	if err != nil {
		t.Errorf("get %.20q: %v", key, err)
		return
	}
	defer got.Close()
	body, err := io.ReadAll(got)
	if err != nil || !bytes.Equal(body, data) {
		t.Errorf("get %.20q: %d bytes of %d, %v", key, len(body), len(data), err)
	}
	info, err := c.StatObject(ctx, "minio-bucket", key, minio.StatObjectOptions{})
	if err != nil || info.Size != int64(len(data)) || info.ETag != put.ETag || info.UserMetadata["Colour"] != "blue" || !info.LastModified.Equal(testTime) {
		t.Errorf("stat %.20q: %+v, %v", key, info, err)
	}
	n := 0
	for o := range c.ListObjects(ctx, "minio-bucket", minio.ListObjectsOptions{Recursive: true}) {
		if n++; o.Err != nil || o.Key != key {
			t.Errorf("list: %+v, want %.20q", o, key)
		}
	}
	if n != 1 {
		t.Errorf("list: %d objects", n)
	}
	if err := c.RemoveObject(ctx, "minio-bucket", key, minio.RemoveObjectOptions{}); err != nil {
		t.Errorf("remove %.20q: %v", key, err)
	}
}

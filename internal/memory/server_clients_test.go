package memory_test

import (
	"bytes"
	"context"
	"crypto/md5"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	awss3 "github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
	"github.com/aws/smithy-go"
	"github.com/minio/minio-go/v7"
	"github.com/minio/minio-go/v7/pkg/credentials"

	"github.com/s3mirror/s3mirror/internal/memory"
)

var (
	sizes = []int{0, 1, 8191, 8192, 65_536, 65_537, 300_000, 2<<20 + 1}
	keys  = []string{"a b", "a+b", "a%2Fb", "é", "!*'()", "//x", "dir/", "a;b&c=d", "emoji \U0001F600", strings.Repeat("k", 1024)}
)

func random(size int) []byte {
	data := make([]byte, size)
	rand.NewChaCha8([32]byte{byte(size), byte(size >> 8)}).Read(data)
	return data
}

// awsClient is the AWS SDK with its defaults, as most programs have it.
func awsClient(endpoint string, hc *http.Client) *awss3.Client {
	return awss3.New(awss3.Options{
		BaseEndpoint: aws.String(endpoint), Region: region, UsePathStyle: true, RetryMaxAttempts: 1, HTTPClient: hc,
		Credentials: aws.CredentialsProviderFunc(func(context.Context) (aws.Credentials, error) {
			return aws.Credentials{AccessKeyID: accessKey, SecretAccessKey: secretKey}, nil
		}),
		RequestChecksumCalculation: aws.RequestChecksumCalculationWhenSupported,
		ResponseChecksumValidation: aws.ResponseChecksumValidationWhenSupported,
	})
}

func TestAWSClient(t *testing.T) {
	_, plain := serve(t, memory.Options{})
	secure := serveTLS(t)
	for name, c := range map[string]*awss3.Client{
		"http":  awsClient(plain, &http.Client{Transport: transport(t)}),
		"https": awsClient(secure.URL, secure.Client()),
	} {
		t.Run(name, func(t *testing.T) { testAWS(t, c) })
	}
}

func transport(t *testing.T) *http.Transport {
	tr := &http.Transport{}
	t.Cleanup(tr.CloseIdleConnections)
	return tr
}

func testAWS(t *testing.T, c *awss3.Client) {
	b := aws.String("aws-bucket")
	if _, err := c.CreateBucket(bg, &awss3.CreateBucketInput{Bucket: b, CreateBucketConfiguration: &types.CreateBucketConfiguration{
		LocationConstraint: region,
	}}); err != nil {
		t.Fatal(err)
	}
	for _, algorithm := range []types.ChecksumAlgorithm{"", "CRC32", "CRC32C", "CRC64NVME", "SHA1", "SHA256"} {
		for _, size := range sizes {
			data := random(size)
			out, err := c.PutObject(bg, &awss3.PutObjectInput{Bucket: b, Key: aws.String("body"), Body: bytes.NewReader(data), ChecksumAlgorithm: algorithm})
			if err != nil {
				t.Fatalf("%s, %d bytes: %v", algorithm, size, err)
			}
			sum := md5.Sum(data)
			if aws.ToString(out.ETag) != `"`+hex.EncodeToString(sum[:])+`"` {
				t.Errorf("ETag %s", aws.ToString(out.ETag))
			}
			got, err := c.GetObject(bg, &awss3.GetObjectInput{Bucket: b, Key: aws.String("body")})
			if err != nil {
				t.Fatal(err)
			}
			// The SDK verifies the checksum that comes back.
			read, err := io.ReadAll(got.Body)
			got.Body.Close()
			if err != nil || !bytes.Equal(read, data) {
				t.Errorf("%s, %d bytes: read %d, %v", algorithm, size, len(read), err)
			}
			if algorithm == types.ChecksumAlgorithmSha256 && aws.ToString(got.ChecksumSHA256) == "" {
				t.Error("the checksum was not kept")
			}
		}
	}
	for _, key := range keys {
		if _, err := c.PutObject(bg, &awss3.PutObjectInput{Bucket: b, Key: &key, Body: strings.NewReader(key), Metadata: map[string]string{"k": "v"}}); err != nil {
			t.Fatalf("%q: %v", key, err)
		}
		head, err := c.HeadObject(bg, &awss3.HeadObjectInput{Bucket: b, Key: &key})
		if err != nil || aws.ToInt64(head.ContentLength) != int64(len(key)) || head.Metadata["k"] != "v" {
			t.Errorf("%q: %+v, %v", key, head, err)
		}
	}
	testAWSList(t, c, b)
	testAWSConditions(t, c, b)

	_, err := c.DeleteBucket(bg, &awss3.DeleteBucketInput{Bucket: b})
	code(t, err, "BucketNotEmpty")
	for _, key := range append(keys, "body", "cond") {
		if _, err := c.DeleteObject(bg, &awss3.DeleteObjectInput{Bucket: b, Key: &key}); err != nil {
			t.Error(err)
		}
	}
	if _, err := c.DeleteBucket(bg, &awss3.DeleteBucketInput{Bucket: b}); err != nil {
		t.Error(err)
	}
	_, err = c.HeadBucket(bg, &awss3.HeadBucketInput{Bucket: b})
	code(t, err, "NotFound")
}

func testAWSList(t *testing.T, c *awss3.Client, b *string) {
	want := append(slices.Clone(keys), "body")
	slices.Sort(want)
	var got []string
	pages := awss3.NewListObjectsV2Paginator(c, &awss3.ListObjectsV2Input{Bucket: b, MaxKeys: aws.Int32(3)})
	for pages.HasMorePages() {
		page, err := pages.NextPage(bg)
		if err != nil {
			t.Fatal(err)
		}
		for _, o := range page.Contents {
			got = append(got, *o.Key)
		}
	}
	if !slices.Equal(got, want) {
		t.Errorf("listed %q, want %q", got, want)
	}
	v1, err := c.ListObjects(bg, &awss3.ListObjectsInput{Bucket: b, Delimiter: aws.String("/"), Marker: aws.String("a%2Fb")})
	if err != nil || len(v1.CommonPrefixes) != 1 || *v1.CommonPrefixes[0].Prefix != "dir/" {
		t.Errorf("%+v, %v", v1.CommonPrefixes, err)
	}
	buckets, err := c.ListBuckets(bg, &awss3.ListBucketsInput{})
	if err != nil || len(buckets.Buckets) != 1 || *buckets.Buckets[0].Name != *b {
		t.Errorf("%+v, %v", buckets, err)
	}
	where, err := c.GetBucketLocation(bg, &awss3.GetBucketLocationInput{Bucket: b})
	if err != nil || where.LocationConstraint != region {
		t.Errorf("%+v, %v", where, err)
	}
}

func testAWSConditions(t *testing.T, c *awss3.Client, b *string) {
	in := func(data string) *awss3.PutObjectInput {
		return &awss3.PutObjectInput{Bucket: b, Key: aws.String("cond"), Body: strings.NewReader(data)}
	}
	first := in("one")
	first.IfNoneMatch = aws.String("*")
	out, err := c.PutObject(bg, first)
	if err != nil {
		t.Fatal(err)
	}
	again := in("two")
	again.IfNoneMatch = aws.String("*")
	_, err = c.PutObject(bg, again)
	code(t, err, "PreconditionFailed")
	other := in("two")
	other.IfMatch = aws.String(`"0123456789abcdef0123456789abcdef"`)
	_, err = c.PutObject(bg, other)
	code(t, err, "PreconditionFailed")
	_, err = c.DeleteObject(bg, &awss3.DeleteObjectInput{Bucket: b, Key: aws.String("cond"), IfMatch: other.IfMatch})
	code(t, err, "PreconditionFailed")
	same := in("two")
	same.IfMatch = out.ETag
	if _, err := c.PutObject(bg, same); err != nil {
		t.Error(err)
	}
	missing := in("x")
	missing.Key, missing.IfMatch = aws.String("nothing"), out.ETag
	_, err = c.PutObject(bg, missing)
	code(t, err, "NoSuchKey")
	_, err = c.GetObject(bg, &awss3.GetObjectInput{Bucket: b, Key: aws.String("cond"), IfNoneMatch: aws.String("*")})
	code(t, err, "NotModified")
	part, err := c.GetObject(bg, &awss3.GetObjectInput{Bucket: b, Key: aws.String("cond"), Range: aws.String("bytes=-2")})
	if err != nil || aws.ToString(part.ContentRange) != "bytes 1-2/3" {
		t.Fatalf("%+v, %v", part, err)
	}
	part.Body.Close()
	_, err = c.GetObject(bg, &awss3.GetObjectInput{Bucket: b, Key: aws.String("cond"), Range: aws.String("bytes=3-")})
	code(t, err, "InvalidRange")
	_, err = c.GetObjectAcl(bg, &awss3.GetObjectAclInput{Bucket: b, Key: aws.String("cond")})
	code(t, err, "NotImplemented")
}

// code checks the code of an error.
func code(t *testing.T, err error, want string) {
	t.Helper()
	var e smithy.APIError
	if !errors.As(err, &e) || e.ErrorCode() != want {
		var re *smithy.OperationError
		if errors.As(err, &re) && strings.Contains(re.Error(), want) {
			return
		}
		t.Errorf("%v, want %s", err, want)
	}
}

func TestMinioClient(t *testing.T) {
	_, plain := serve(t, memory.Options{})
	secure := serveTLS(t)
	creds := credentials.NewStaticV4(accessKey, secretKey, "")
	for name, o := range map[string]struct {
		endpoint string
		o        minio.Options
	}{
		"http":            {strings.TrimPrefix(plain, "http://"), minio.Options{Creds: creds, Transport: transport(t)}},
		"http, trailers":  {strings.TrimPrefix(plain, "http://"), minio.Options{Creds: creds, Transport: transport(t), TrailingHeaders: true}},
		"https":           {strings.TrimPrefix(secure.URL, "https://"), minio.Options{Creds: creds, Secure: true, Transport: secure.Client().Transport}},
		"https, trailers": {strings.TrimPrefix(secure.URL, "https://"), minio.Options{Creds: creds, Secure: true, Transport: secure.Client().Transport, TrailingHeaders: true}},
	} {
		t.Run(name, func(t *testing.T) {
			c, err := minio.New(o.endpoint, &o.o)
			if err != nil {
				t.Fatal(err)
			}
			testMinio(t, c)
		})
	}
}

func testMinio(t *testing.T, c *minio.Client) {
	const b = "minio-bucket"
	if ok, err := c.BucketExists(bg, b); err != nil || ok {
		t.Fatal(ok, err)
	}
	must(t, c.MakeBucket(bg, b, minio.MakeBucketOptions{Region: region}))
	for _, size := range sizes {
		data := random(size)
		info, err := c.PutObject(bg, b, "body", bytes.NewReader(data), int64(size), minio.PutObjectOptions{
			ContentType: "text/x-thing", UserMetadata: map[string]string{"Utf8": "héllo", "Plain": "v"}, SendContentMd5: size%2 == 1,
		})
		if err != nil {
			t.Fatalf("%d bytes: %v", size, err)
		}
		obj, err := c.GetObject(bg, b, "body", minio.GetObjectOptions{})
		must(t, err)
		read, err := io.ReadAll(obj)
		if err != nil || !bytes.Equal(read, data) {
			t.Errorf("%d bytes: read %d, %v", size, len(read), err)
		}
		stat, err := obj.Stat()
		if err != nil || stat.ETag != info.ETag || stat.ContentType != "text/x-thing" || stat.UserMetadata["Plain"] != "v" {
			t.Errorf("%+v, %v", stat, err)
		}
		// It travels as RFC 2047, which the client decodes.
		if got := stat.UserMetadata["Utf8"]; got != "héllo" {
			t.Errorf("metadata %q", got)
		}
		obj.Close()
	}
	for _, key := range keys[:5] {
		_, err := c.PutObject(bg, b, key, strings.NewReader(key), int64(len(key)), minio.PutObjectOptions{})
		must(t, err)
	}
	var listed []string
	for o := range c.ListObjects(bg, b, minio.ListObjectsOptions{Recursive: true, MaxKeys: 2}) {
		must(t, o.Err)
		listed = append(listed, o.Key)
	}
	want := append(slices.Clone(keys[:5]), "body")
	if slices.Sort(want); !slices.Equal(listed, want) {
		t.Errorf("listed %q, want %q", listed, want)
	}
	for _, key := range want {
		must(t, c.RemoveObject(bg, b, key, minio.RemoveObjectOptions{}))
	}
	if _, err := c.StatObject(bg, b, "body", minio.StatObjectOptions{}); minio.ToErrorResponse(err).Code != "NoSuchKey" {
		t.Error(err)
	}
	must(t, c.RemoveBucket(bg, b))
	if got := fmt.Sprint(c.RemoveBucket(bg, b)); !strings.Contains(got, "bucket") {
		t.Error(got)
	}
}

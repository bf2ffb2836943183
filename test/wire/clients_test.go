package wire

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/minio/minio-go/v7"
	"github.com/minio/minio-go/v7/pkg/credentials"

	"github.com/s3mirror/s3mirror/test/e2e/harness"
)

// site is the endpoint as a client is told of it.
type site struct {
	scheme, addr string
	ca           string // certificate file, for https
}

func (s site) url() string { return s.scheme + "://" + s.addr }

// clients run one session each, in a bucket of their own name, and return
// their version.
var clients = []struct {
	name string
	run  func(t *testing.T, s site) string
}{
	{"aws-cli", awsCLI}, {"aws-sdk-go", awsSDKGo}, {"boto3", boto3}, {"minio-go", minioGo}, {"rclone", rclone},
}

// body is text, so that the captures compress.
func body(size int) []byte {
	return bytes.Repeat([]byte("the quick brown fox jumps over the lazy dog\n"), size/44+1)[:size]
}

// sizes are the objects that a session with a Go client writes, in order.
func sizes(yield func(key string, size int) bool) {
	_ = yield("small é+b c", 5) && yield("large", largeBytes) && yield("empty", 0)
}

const largeBytes = 150_000 // several of minio-go's chunks, and of TLS's records

func run(t *testing.T, env []string, args ...string) string {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), args[0], args[1:]...)
	cmd.Env = env
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%s: %v\n%s", strings.Join(args, " "), err, out)
	}
	return string(out)
}

func (s site) env(t *testing.T) []string {
	env := append(harness.CleanEnv(t), "AWS_ACCESS_KEY_ID="+accessKey, "AWS_SECRET_ACCESS_KEY="+secretKey,
		"AWS_DEFAULT_REGION="+region, "AWS_EC2_METADATA_DISABLED=true", "AWS_MAX_ATTEMPTS=1", "PYTHONDONTWRITEBYTECODE=1",
		"ENDPOINT="+s.url(), "CA="+s.ca)
	if s.ca != "" {
		env = append(env, "AWS_CA_BUNDLE="+s.ca)
	}
	return env
}

func files(t *testing.T) (small, large string) {
	t.Helper()
	dir := t.TempDir()
	small, large = filepath.Join(dir, "small"), filepath.Join(dir, "large")
	at := time.Date(2026, 3, 4, 5, 6, 7, 0, time.UTC) // rclone sends it along
	for file, size := range map[string]int{small: 5, large: largeBytes} {
		if err := os.WriteFile(file, body(size), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Chtimes(file, at, at); err != nil {
			t.Fatal(err)
		}
	}
	return small, large
}

func boto3(t *testing.T, s site) string {
	python := harness.Tool(t, "py-aws/bin/python", "scripts/tools.sh")
	run(t, s.env(t), python, "boto3_session.py")
	return strings.TrimSpace(run(t, s.env(t), python, "-c", "import boto3, botocore; print(boto3.__version__, 'botocore', botocore.__version__)"))
}

func awsCLI(t *testing.T, s site) string {
	bin := harness.Tool(t, "py-aws/bin/aws", "scripts/tools.sh")
	small, large := files(t)
	const at = "s3://aws-cli/"
	back := filepath.Join(t.TempDir(), "back")
	for _, args := range [][]string{
		{"s3", "mb", "s3://aws-cli"},
		{"s3", "cp", small, at + "dir/a b+c é"},
		{"s3", "cp", large, at + "large"},
		{"s3", "cp", at + "large", back},
		{"s3", "ls", at},
		{"s3api", "put-object", "--bucket", "aws-cli", "--key", "api", "--body", small, "--metadata", "by=cli"},
		{"s3api", "head-object", "--bucket", "aws-cli", "--key", "api"},
		{"s3api", "get-object", "--bucket", "aws-cli", "--key", "large", "--range", "bytes=-7", back},
		{"s3api", "list-objects", "--bucket", "aws-cli", "--delimiter", "/"},
		{"s3", "rm", at + "large"},
		{"s3", "rm", at + "api"},
		{"s3", "rm", at + "dir/a b+c é"},
		{"s3", "rb", "s3://aws-cli"},
	} {
		run(t, s.env(t), append([]string{bin, "--endpoint-url", s.url()}, args...)...)
	}
	return strings.Fields(run(t, s.env(t), bin, "--version"))[0]
}

// rclone uses the provider Other, whose listings and checks differ from AWS's
// most.
func rclone(t *testing.T, s site) string {
	bin := harness.Tool(t, "py-rclone/bin/rclone", "scripts/tools.sh")
	env := append(harness.CleanEnv(t), "RCLONE_CONFIG_R_TYPE=s3", "RCLONE_CONFIG_R_PROVIDER=Other",
		"RCLONE_CONFIG_R_ACCESS_KEY_ID="+accessKey, "RCLONE_CONFIG_R_SECRET_ACCESS_KEY="+secretKey,
		"RCLONE_CONFIG_R_ENDPOINT="+s.url(), "RCLONE_CONFIG_R_REGION="+region, "RCLONE_CONFIG_R_FORCE_PATH_STYLE=true",
		"RCLONE_RETRIES=1", "RCLONE_LOW_LEVEL_RETRIES=1", "RCLONE_CONFIG="+filepath.Join(t.TempDir(), "none"))
	if s.ca != "" {
		env = append(env, "RCLONE_CA_CERT="+s.ca)
	}
	small, large := files(t)
	for _, args := range [][]string{
		{"mkdir", "r:rclone"},
		{"copyto", small, "r:rclone/dir/a b+c é"},
		{"copyto", large, "r:rclone/large"},
		{"cat", "r:rclone/large"},
		{"cat", "--offset", "10", "--count", "20", "r:rclone/large"},
		{"lsf", "r:rclone"},
		{"deletefile", "r:rclone/large"},
		{"deletefile", "r:rclone/dir/a b+c é"},
		{"rmdir", "r:rclone"},
	} {
		run(t, env, append([]string{bin}, args...)...)
	}
	version, _, _ := strings.Cut(run(t, env, bin, "version"), "\n")
	return version
}

func (s site) transport(t *testing.T) *http.Transport {
	t.Helper()
	tr := &http.Transport{DisableCompression: true}
	if s.ca != "" {
		pem, err := os.ReadFile(s.ca)
		if err != nil {
			t.Fatal(err)
		}
		pool := x509.NewCertPool()
		pool.AppendCertsFromPEM(pem)
		tr.TLSClientConfig = &tls.Config{RootCAs: pool}
	}
	t.Cleanup(tr.CloseIdleConnections)
	return tr
}

// moduleVersion is the version of a module that this test is built with.
func moduleVersion(t *testing.T, path string) string {
	t.Helper()
	return strings.TrimSpace(run(t, os.Environ(), "go", "list", "-m", "-f", "{{.Version}}", path))
}

// must ends the session at the first thing that fails.
func must[T any](t *testing.T) func(T, error) T {
	return func(v T, err error) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
}

// byURL does what a URL is for, with Go's own client.
func (s site) byURL(t *testing.T, method, url string, data []byte) {
	t.Helper()
	r := must[*http.Request](t)(http.NewRequestWithContext(t.Context(), method, url, bytes.NewReader(data)))
	resp := must[*http.Response](t)((&http.Client{Transport: s.transport(t)}).Do(r))
	defer resp.Body.Close()
	if text := must[[]byte](t)(io.ReadAll(resp.Body)); resp.StatusCode/100 != 2 {
		t.Fatalf("%s by URL: %d\n%s", method, resp.StatusCode, text)
	}
}

func awsSDKGo(t *testing.T, s site) string {
	ctx, bucket := t.Context(), aws.String("aws-sdk-go")
	c := s3.New(s3.Options{
		BaseEndpoint: aws.String(s.url()), Region: region, UsePathStyle: true, RetryMaxAttempts: 1,
		HTTPClient:                 &http.Client{Transport: s.transport(t)},
		RequestChecksumCalculation: aws.RequestChecksumCalculationWhenSupported,
		ResponseChecksumValidation: aws.ResponseChecksumValidationWhenSupported,
		Credentials: aws.CredentialsProviderFunc(func(context.Context) (aws.Credentials, error) {
			return aws.Credentials{AccessKeyID: accessKey, SecretAccessKey: secretKey}, nil
		}),
	})
	must[*s3.CreateBucketOutput](t)(c.CreateBucket(ctx, &s3.CreateBucketInput{Bucket: bucket}))
	must[*s3.HeadBucketOutput](t)(c.HeadBucket(ctx, &s3.HeadBucketInput{Bucket: bucket}))
	must[*s3.ListBucketsOutput](t)(c.ListBuckets(ctx, &s3.ListBucketsInput{}))
	var keys []string
	for key, size := range sizes {
		keys = append(keys, key)
		must[*s3.PutObjectOutput](t)(c.PutObject(ctx, &s3.PutObjectInput{
			Bucket: bucket, Key: &key, Body: bytes.NewReader(body(size)), Metadata: map[string]string{"by": "aws-sdk-go"},
		}))
		must[*s3.HeadObjectOutput](t)(c.HeadObject(ctx, &s3.HeadObjectInput{Bucket: bucket, Key: &key}))
		got := must[*s3.GetObjectOutput](t)(c.GetObject(ctx, &s3.GetObjectInput{Bucket: bucket, Key: &key}))
		must[[]byte](t)(io.ReadAll(got.Body))
		got.Body.Close()
	}
	part := must[*s3.GetObjectOutput](t)(c.GetObject(ctx, &s3.GetObjectInput{Bucket: bucket, Key: aws.String("large"), Range: aws.String("bytes=100-199")}))
	must[[]byte](t)(io.ReadAll(part.Body))
	part.Body.Close()
	must[*s3.ListObjectsOutput](t)(c.ListObjects(ctx, &s3.ListObjectsInput{Bucket: bucket, Delimiter: aws.String("/")}))
	page := must[*s3.ListObjectsV2Output](t)(c.ListObjectsV2(ctx, &s3.ListObjectsV2Input{Bucket: bucket, MaxKeys: aws.Int32(2)}))
	must[*s3.ListObjectsV2Output](t)(c.ListObjectsV2(ctx, &s3.ListObjectsV2Input{Bucket: bucket, ContinuationToken: page.NextContinuationToken}))
	urls := s3.NewPresignClient(c)
	key := aws.String("presigned")
	put, err := urls.PresignPutObject(ctx, &s3.PutObjectInput{Bucket: bucket, Key: key})
	if err != nil {
		t.Fatal(err)
	}
	get, err := urls.PresignGetObject(ctx, &s3.GetObjectInput{Bucket: bucket, Key: key})
	if err != nil {
		t.Fatal(err)
	}
	s.byURL(t, "PUT", put.URL, []byte("by url"))
	s.byURL(t, "GET", get.URL, nil)
	for _, key := range append(keys, "presigned") {
		must[*s3.DeleteObjectOutput](t)(c.DeleteObject(ctx, &s3.DeleteObjectInput{Bucket: bucket, Key: &key}))
	}
	must[*s3.DeleteBucketOutput](t)(c.DeleteBucket(ctx, &s3.DeleteBucketInput{Bucket: bucket}))
	return moduleVersion(t, "github.com/aws/aws-sdk-go-v2/service/s3")
}

func minioGo(t *testing.T, s site) string {
	ctx := t.Context()
	const bucket = "minio-go"
	for _, trailing := range []bool{false, true} {
		c := must[*minio.Client](t)(minio.New(s.addr, &minio.Options{
			Creds: credentials.NewStaticV4(accessKey, secretKey, ""), Secure: s.scheme == "https",
			Transport: s.transport(t), TrailingHeaders: trailing, MaxRetries: 1,
		}))
		if err := c.MakeBucket(ctx, bucket, minio.MakeBucketOptions{}); err != nil {
			t.Fatal(err)
		}
		must[bool](t)(c.BucketExists(ctx, bucket))
		for key, size := range sizes {
			o := minio.PutObjectOptions{UserMetadata: map[string]string{"by": "minio-go"}, DisableContentSha256: trailing && size == 5}
			must[minio.UploadInfo](t)(c.PutObject(ctx, bucket, key, bytes.NewReader(body(size)), int64(size), o))
			must[minio.ObjectInfo](t)(c.StatObject(ctx, bucket, key, minio.StatObjectOptions{}))
			got := must[*minio.Object](t)(c.GetObject(ctx, bucket, key, minio.GetObjectOptions{}))
			must[[]byte](t)(io.ReadAll(got))
			got.Close()
		}
		part := minio.GetObjectOptions{}
		if err := part.SetRange(100, 199); err != nil {
			t.Fatal(err)
		}
		got := must[*minio.Object](t)(c.GetObject(ctx, bucket, "large", part))
		must[[]byte](t)(io.ReadAll(got))
		got.Close()
		for _, v1 := range []bool{false, true} {
			for range c.ListObjects(ctx, bucket, minio.ListObjectsOptions{UseV1: v1}) {
			}
		}
		put, err := c.PresignedPutObject(ctx, bucket, "presigned", time.Hour)
		if err != nil {
			t.Fatal(err)
		}
		s.byURL(t, "PUT", put.String(), []byte("by url"))
		for _, key := range []string{"small é+b c", "large", "empty", "presigned"} {
			if err := c.RemoveObject(ctx, bucket, key, minio.RemoveObjectOptions{}); err != nil {
				t.Fatal(err)
			}
		}
		if err := c.RemoveBucket(ctx, bucket); err != nil {
			t.Fatal(err)
		}
	}
	return moduleVersion(t, "github.com/minio/minio-go/v7")
}

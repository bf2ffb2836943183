//go:build e2e

package e2e

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/feature/s3/transfermanager"
	tmtypes "github.com/aws/aws-sdk-go-v2/feature/s3/transfermanager/types"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
	"github.com/aws/smithy-go"
	"github.com/minio/minio-go/v7"
	"github.com/minio/minio-go/v7/pkg/credentials"

	"github.com/s3mirror/s3mirror/test/e2e/harness"
)

// transport trusts the certificate of the site.
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

// sdk is the AWS SDK for Go v2 with its defaults, but one attempt.
func (s site) sdk(t *testing.T) *s3.Client {
	t.Helper()
	return s3.New(s3.Options{
		BaseEndpoint: aws.String(s.url()), Region: s.keys.Region, UsePathStyle: true, RetryMaxAttempts: 1,
		HTTPClient:                 &http.Client{Transport: s.transport(t)},
		RequestChecksumCalculation: aws.RequestChecksumCalculationWhenSupported,
		ResponseChecksumValidation: aws.ResponseChecksumValidationWhenSupported,
		Credentials: aws.CredentialsProviderFunc(func(context.Context) (aws.Credentials, error) {
			return aws.Credentials{AccessKeyID: s.keys.Access, SecretAccessKey: s.keys.Secret}, nil
		}),
	})
}

// read is what a key holds.
func (s site) read(t *testing.T, c *s3.Client, bucket, key string) []byte {
	t.Helper()
	got, err := c.GetObject(t.Context(), &s3.GetObjectInput{Bucket: &bucket, Key: &key})
	if err != nil {
		t.Fatalf("%q: %v", key, err)
	}
	defer got.Body.Close()
	body, err := io.ReadAll(got.Body)
	if err != nil {
		t.Fatalf("%q: %v", key, err)
	}
	return body
}

// list is every key of a bucket.
func (s site) list(t *testing.T, c *s3.Client, bucket string) []string {
	t.Helper()
	var keys []string
	for p := s3.NewListObjectsV2Paginator(c, &s3.ListObjectsV2Input{Bucket: &bucket}); p.HasMorePages(); {
		page, err := p.NextPage(t.Context())
		if err != nil {
			t.Fatalf("list of %s: %v", bucket, err)
		}
		for _, o := range page.Contents {
			keys = append(keys, *o.Key)
		}
	}
	return keys
}

// minioGo sends signed chunks over http and, asked for trailers, a checksum
// after the body.
func minioGo(t *testing.T, s site, bucket string) int {
	ctx := t.Context()
	puts := 0
	for _, trailing := range []bool{false, true} {
		c, err := minio.New(s.addr, &minio.Options{
			Creds:  credentials.NewStaticV4(s.keys.Access, s.keys.Secret, ""),
			Secure: s.scheme == "https", Transport: s.transport(t), TrailingHeaders: trailing, MaxRetries: 1,
		})
		if err != nil {
			t.Fatal(err)
		}
		if ok, err := c.BucketExists(ctx, bucket); err != nil || ok != trailing {
			t.Fatalf("bucket exists: %v, %v", ok, err)
		}
		if !trailing {
			if err := c.MakeBucket(ctx, bucket, minio.MakeBucketOptions{}); err != nil {
				t.Fatal(err)
			}
		}
		for i, key := range fileKeys {
			o := minio.PutObjectOptions{UserMetadata: map[string]string{"op": "minio-go"}, ContentType: "text/x-minio",
				DisableContentSha256: trailing && i%2 == 0, SendContentMd5: !trailing && i%2 == 0}
			minioRoundTrip(t, c, bucket, key, harness.Body(key, i*i*9000), o)
			puts++
		}
	}
	floor(t, "round trips with minio-go", int64(puts), 20)
	return len(fileKeys) - minioRemove(t, s, bucket, fileKeys[3:])
}

// minioRemove deletes keys in one batch and returns how many there were.
func minioRemove(t *testing.T, s site, bucket string, keys []string) int {
	t.Helper()
	c, err := minio.New(s.addr, &minio.Options{
		Creds: credentials.NewStaticV4(s.keys.Access, s.keys.Secret, ""), Secure: s.scheme == "https", Transport: s.transport(t), MaxRetries: 1,
	})
	if err != nil {
		t.Fatal(err)
	}
	names := make(chan minio.ObjectInfo, len(keys))
	for _, key := range keys {
		names <- minio.ObjectInfo{Key: key}
	}
	close(names)
	for failed := range c.RemoveObjects(t.Context(), bucket, names, minio.RemoveObjectsOptions{}) {
		t.Errorf("%q: %v", failed.ObjectName, failed.Err)
	}
	for _, key := range keys {
		if _, err := c.StatObject(t.Context(), bucket, key, minio.StatObjectOptions{}); minio.ToErrorResponse(err).Code != "NoSuchKey" {
			t.Errorf("%q is not gone: %v", key, err)
		}
	}
	return len(keys)
}

func minioRoundTrip(t *testing.T, c *minio.Client, bucket, key string, body []byte, o minio.PutObjectOptions) {
	t.Helper()
	ctx := t.Context()
	info, err := c.PutObject(ctx, bucket, key, bytes.NewReader(body), int64(len(body)), o)
	if err != nil {
		t.Fatalf("%q: %v", key, err)
	}
	got, err := c.GetObject(ctx, bucket, key, minio.GetObjectOptions{Checksum: true})
	if err != nil {
		t.Fatalf("%q: %v", key, err)
	}
	defer got.Close()
	back, err := io.ReadAll(got)
	if err != nil || !bytes.Equal(back, body) {
		t.Errorf("%q: read back %d bytes that are not the %d written, %v", key, len(back), len(body), err)
	}
	st, err := got.Stat()
	if err != nil || st.ETag != info.ETag || st.ContentType != "text/x-minio" || st.UserMetadata["Op"] != "minio-go" ||
		st.Metadata.Get("Content-Encoding") != "" {
		t.Errorf("%q: stat %+v, %v", key, st, err)
	}
}

// awsSDKGo sends a literal hash over http, and an unsigned body with a
// trailer and a Content-Length over https.
func awsSDKGo(t *testing.T, s site, bucket string) int {
	ctx, c := t.Context(), s.sdk(t)
	if _, err := c.CreateBucket(ctx, &s3.CreateBucketInput{Bucket: &bucket}); err != nil {
		t.Fatal(err)
	}
	for i, key := range fileKeys {
		body := harness.Body(key, i*i*9000)
		if _, err := c.PutObject(ctx, &s3.PutObjectInput{
			Bucket: &bucket, Key: &key, Body: bytes.NewReader(body), Metadata: map[string]string{"op": "aws-sdk-go"},
		}); err != nil {
			t.Fatalf("%q: %v", key, err)
		}
		got, err := c.GetObject(ctx, &s3.GetObjectInput{Bucket: &bucket, Key: &key})
		if err != nil {
			t.Fatalf("%q: %v", key, err)
		}
		back, err := io.ReadAll(got.Body) // verifies the checksum
		got.Body.Close()
		if err != nil || !bytes.Equal(back, body) || got.Metadata["op"] != "aws-sdk-go" || got.ContentEncoding != nil {
			t.Errorf("%q: read back %d bytes of %d, %v, metadata %v", key, len(back), len(body), err, got.Metadata)
		}
	}
	if _, err := c.DeleteObject(ctx, &s3.DeleteObjectInput{Bucket: &bucket, Key: &fileKeys[0]}); err != nil {
		t.Error(err)
	}
	_, err := c.GetObject(ctx, &s3.GetObjectInput{Bucket: &bucket, Key: &fileKeys[0]})
	var api smithy.APIError
	if !errors.As(err, &api) || api.ErrorCode() != "NoSuchKey" {
		t.Errorf("a deleted key: %v", err)
	}
	page, err := c.ListObjectsV2(ctx, &s3.ListObjectsV2Input{Bucket: &bucket})
	if err != nil || len(page.Contents) != len(fileKeys)-1 {
		t.Errorf("list: %v, %v", fmt.Sprint(page), err)
	}
	return len(fileKeys) - 1
}

// transferManager splits and joins by itself: parts go out and come back
// several at once, with checksums of its own choice.
func transferManager(t *testing.T, s site, bucket string) sums {
	ctx, c, left := t.Context(), s.sdk(t), sums{}
	if _, err := c.CreateBucket(ctx, &s3.CreateBucketInput{Bucket: &bucket}); err != nil {
		t.Fatal(err)
	}
	for i, algorithm := range []types.ChecksumAlgorithm{"", types.ChecksumAlgorithmCrc32c, types.ChecksumAlgorithmCrc64nvme, types.ChecksumAlgorithmSha256} {
		tm := transfermanager.New(c, func(o *transfermanager.Options) {
			o.PartSizeBytes, o.MultipartUploadThreshold, o.Concurrency = 5<<20, 8<<20, 5
			o.GetObjectType = []tmtypes.GetObjectType{tmtypes.GetObjectParts, tmtypes.GetObjectRanges}[i%2]
		})
		for _, size := range []int{0, 8<<20 - 1, 23<<20 + 7} {
			key := fmt.Sprintf("sum %s/%d é", algorithm, size)
			body := harness.Body(key, size)
			if _, err := tm.UploadObject(ctx, &transfermanager.UploadObjectInput{
				Bucket: &bucket, Key: &key, Body: bytes.NewReader(body), ChecksumAlgorithm: tmtypes.ChecksumAlgorithm(algorithm),
			}); err != nil {
				t.Fatalf("%q: %v", key, err)
			}
			back := tmtypes.NewWriteAtBuffer(nil)
			if _, err := tm.DownloadObject(ctx, &transfermanager.DownloadObjectInput{Bucket: &bucket, Key: &key, WriterAt: back}); err != nil {
				t.Fatalf("%q: %v", key, err)
			}
			if !bytes.Equal(back.Bytes(), body) {
				t.Errorf("%q: read back %d bytes that are not the %d written", key, len(back.Bytes()), len(body))
			}
			left.add(key, body)
		}
	}
	return left
}

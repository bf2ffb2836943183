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
	"github.com/aws/aws-sdk-go-v2/service/s3"
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
	ctx := t.Context()
	c := s3.New(s3.Options{
		BaseEndpoint: aws.String(s.url()), Region: s.keys.Region, UsePathStyle: true, RetryMaxAttempts: 1,
		HTTPClient:                 &http.Client{Transport: s.transport(t)},
		RequestChecksumCalculation: aws.RequestChecksumCalculationWhenSupported,
		ResponseChecksumValidation: aws.ResponseChecksumValidationWhenSupported,
		Credentials: aws.CredentialsProviderFunc(func(context.Context) (aws.Credentials, error) {
			return aws.Credentials{AccessKeyID: s.keys.Access, SecretAccessKey: s.keys.Secret}, nil
		}),
	})
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

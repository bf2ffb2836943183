package auth_test

import (
	"bytes"
	"context"
	"crypto/md5"
	"encoding/hex"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awss3 "github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
	"github.com/minio/minio-go/v7"
	"github.com/minio/minio-go/v7/pkg/credentials"

	"github.com/s3mirror/s3mirror/internal/auth"
	"github.com/s3mirror/s3mirror/internal/sigv4"
)

// sink is a server that takes uploads and does nothing but verify them.
type sink struct {
	*httptest.Server
	mu   sync.Mutex // guards the rest
	data []byte
	mode sigv4.Mode
	alg  string
	errs []error
}

func newSink(t *testing.T, tls bool) *sink {
	t.Helper()
	s := &sink{}
	v := auth.NewVerifier(auth.Root(testKey, testSecret), time.Now)
	s.Server = httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { s.serve(v, w, r) }))
	s.Config.ErrorLog = log.New(io.Discard, "", 0)
	if tls {
		s.StartTLS()
	} else {
		s.Start()
	}
	t.Cleanup(s.Close)
	return s
}

func (s *sink) serve(v *auth.Verifier, w http.ResponseWriter, r *http.Request) {
	data, mode, alg, err := take(v, r)
	s.mu.Lock()
	s.data, s.mode, s.alg = data, mode, alg
	if err != nil {
		s.errs = append(s.errs, err)
	}
	s.mu.Unlock()
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	sum := md5.Sum(data)
	w.Header().Set("ETag", `"`+hex.EncodeToString(sum[:])+`"`)
}

func take(v *auth.Verifier, r *http.Request) ([]byte, sigv4.Mode, string, error) {
	verified, err := v.Verify(r)
	if err != nil {
		return nil, 0, "", err
	}
	b, err := verified.Body(r)
	if err != nil {
		return nil, 0, "", err
	}
	data, err := io.ReadAll(b)
	alg, _ := b.Checksum()
	return data, verified.Mode, alg, err
}

func (s *sink) took(t *testing.T, name string, want []byte, mode sigv4.Mode, alg string) {
	t.Helper()
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.errs) > 0 || !bytes.Equal(s.data, want) || s.mode != mode || s.alg != alg {
		t.Errorf("%s: %d bytes of %d, mode %v, checksum %q, errors %v", name, len(s.data), len(want), s.mode, s.alg, s.errs)
	}
	s.errs = nil
}

func TestMinioGoUploads(t *testing.T) {
	for _, tls := range []bool{false, true} {
		s := newSink(t, tls)
		c, err := minio.New(s.Listener.Addr().String(), &minio.Options{
			Creds: credentials.NewStaticV4(testKey, string(testSecret), ""), Secure: tls, Transport: s.Client().Transport, Region: "us-east-1",
		})
		if err != nil {
			t.Fatal(err)
		}
		c.SetAppInfo("test", "1")
		mode := sigv4.Signed
		if tls {
			mode = sigv4.Unsigned
		}
		for _, size := range []int{0, 1, 65536, 300 << 10} {
			data := randomBytes(size)
			_, err := c.PutObject(t.Context(), "bucket", "a key/+é//..", bytes.NewReader(data), int64(size), minio.PutObjectOptions{
				SendContentMd5: size > 1, UserMetadata: map[string]string{"a": "b  c"}, ContentType: "text/plain", DisableMultipart: true,
			})
			if err != nil {
				t.Errorf("%d bytes, TLS %v: %v", size, tls, err)
			}
			s.took(t, "minio-go", data, mode, "")
		}
	}
}

func TestMinioGoTrailers(t *testing.T) {
	s := newSink(t, true)
	c, err := minio.New(s.Listener.Addr().String(), &minio.Options{
		Creds: credentials.NewStaticV4(testKey, string(testSecret), ""), Secure: true, Transport: s.Client().Transport, Region: "us-east-1", TrailingHeaders: true,
	})
	if err != nil {
		t.Fatal(err)
	}
	data := randomBytes(200_000)
	for checksum, alg := range map[minio.ChecksumType]string{minio.ChecksumCRC32C: "crc32c", minio.ChecksumSHA256: "sha256", minio.ChecksumCRC64NVME: "crc64nvme"} {
		if _, err := c.PutObject(t.Context(), "bucket", "key", bytes.NewReader(data), int64(len(data)), minio.PutObjectOptions{Checksum: checksum, DisableMultipart: true}); err != nil {
			t.Error(err)
		}
		s.took(t, alg, data, sigv4.UnsignedTrailer, alg)
	}
}

func TestAWSSDKUploads(t *testing.T) {
	data := randomBytes(300 << 10)
	for _, tc := range []struct {
		name      string
		tls       bool
		algorithm types.ChecksumAlgorithm
		body      func() io.Reader
		mode      sigv4.Mode
		want      string
	}{
		{"http, default", false, "", func() io.Reader { return bytes.NewReader(data) }, sigv4.Literal, "crc32"},
		{"https, default", true, "", func() io.Reader { return bytes.NewReader(data) }, sigv4.UnsignedTrailer, "crc32"},
		{"https, sha256", true, types.ChecksumAlgorithmSha256, func() io.Reader { return bytes.NewReader(data) }, sigv4.UnsignedTrailer, "sha256"},
		{"https, crc64nvme", true, types.ChecksumAlgorithmCrc64nvme, func() io.Reader { return bytes.NewReader(data) }, sigv4.UnsignedTrailer, "crc64nvme"},
		{"https, stream", true, types.ChecksumAlgorithmCrc32c, func() io.Reader { return io.LimitReader(bytes.NewReader(data), int64(len(data))) }, sigv4.UnsignedTrailer, "crc32c"},
	} {
		s := newSink(t, tc.tls)
		c := awss3.NewFromConfig(aws.Config{
			Region: "us-east-1", HTTPClient: s.Client(), RetryMaxAttempts: 1,
			RequestChecksumCalculation: aws.RequestChecksumCalculationWhenSupported,
			Credentials: aws.CredentialsProviderFunc(func(context.Context) (aws.Credentials, error) {
				return aws.Credentials{AccessKeyID: testKey, SecretAccessKey: string(testSecret)}, nil
			}),
		}, func(o *awss3.Options) { o.BaseEndpoint, o.UsePathStyle = aws.String(s.URL), true })
		_, err := c.PutObject(t.Context(), &awss3.PutObjectInput{
			Bucket: aws.String("bucket"), Key: aws.String("a key/+é//.."), Body: tc.body(), ContentLength: aws.Int64(int64(len(data))),
			ChecksumAlgorithm: tc.algorithm, Metadata: map[string]string{"a": "b"},
		})
		if err != nil {
			t.Errorf("%s: %v", tc.name, err)
		}
		s.took(t, tc.name, data, tc.mode, tc.want)
	}
}

// TestContinueIsSentForABodyOnly: refusing a request costs its client no
// upload, because nothing of the body is read before.
func TestContinueIsSentForABodyOnly(t *testing.T) {
	s := newSink(t, false)
	r, err := http.NewRequest("PUT", s.URL+"/b/k", mustNotBeRead{t})
	if err != nil {
		t.Fatal(err)
	}
	r.ContentLength = 1 << 20
	r.Header.Set("Expect", "100-continue")
	sigv4.NewSigner(testKey, "wrong", "eu").Sign(r, "/b/k", "", sigv4.Unsigned.String(), time.Now())
	client := &http.Client{Transport: &http.Transport{ExpectContinueTimeout: time.Minute}}
	defer client.CloseIdleConnections()
	resp, err := client.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if text, _ := io.ReadAll(resp.Body); resp.StatusCode != 400 || !strings.Contains(string(text), "SignatureDoesNotMatch") {
		t.Errorf("got %d %s", resp.StatusCode, text)
	}
}

type mustNotBeRead struct{ t *testing.T }

func (r mustNotBeRead) Read([]byte) (int, error) {
	r.t.Error("the body was sent")
	return 0, io.EOF
}

// TestConnectionServesTheNextRequest: the outer body is read to its end, so
// nothing of it is taken for the next request on the connection.
func TestConnectionServesTheNextRequest(t *testing.T) {
	s := newSink(t, false)
	var conns atomic.Int32
	transport := &http.Transport{DialContext: func(ctx context.Context, network, addr string) (net.Conn, error) {
		conns.Add(1)
		return new(net.Dialer).DialContext(ctx, network, addr)
	}}
	defer transport.CloseIdleConnections()
	data := randomBytes(11_000)
	for range 5 {
		r, err := http.NewRequest("PUT", s.URL+"/b/k", nil)
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("X-Amz-Trailer", "x-amz-checksum-crc32")
		r.Header.Set("X-Amz-Decoded-Content-Length", "11000")
		signer := sigv4.NewSigner(testKey, testSecret, "eu").Sign(r, "/b/k", "", sigv4.UnsignedTrailer.String(), time.Now())
		framed := put{mode: sigv4.UnsignedTrailer, data: data, checksum: checksumOf("crc32", data)}.frame(signer, "x-amz-checksum-crc32")
		r.Body, r.ContentLength = io.NopCloser(bytes.NewReader(framed)), -1 // in HTTP chunks, as boto3 sends it
		resp, err := (&http.Client{Transport: transport}).Do(r)
		if err != nil {
			t.Fatal(err)
		}
		io.Copy(io.Discard, resp.Body)
		resp.Body.Close()
		s.took(t, "chunks in chunks", data, sigv4.UnsignedTrailer, "crc32")
	}
	if n := conns.Load(); n != 1 {
		t.Errorf("%d connections for 5 requests", n)
	}
}

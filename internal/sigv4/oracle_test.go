package sigv4_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"hash"
	"io"
	"maps"
	"math/rand/v2"
	"net/http"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"
	miniosigner "github.com/minio/minio-go/v7/pkg/signer"

	"github.com/s3mirror/s3mirror/internal/sigv4"
)

// received turns an outgoing request into what a server sees of it.
func received(t testing.TB, r *http.Request) *http.Request {
	t.Helper()
	var raw bytes.Buffer
	if err := r.Write(&raw); err != nil {
		t.Fatal(err)
	}
	got := readRequest(raw.Bytes())
	if got == nil {
		t.Fatalf("cannot be read back:\n%s", raw.Bytes())
	}
	return got
}

func outgoing(t testing.TB, method, path, query string, body io.Reader) *http.Request {
	t.Helper()
	r, err := http.NewRequest(method, "http://s3.test:9000", body)
	if err != nil {
		t.Fatal(err)
	}
	r.URL.Path, r.URL.RawPath, r.URL.RawQuery = mustDecode(t, path), path, query
	return r
}

func mustDecode(t testing.TB, raw string) string {
	t.Helper()
	s, err := sigv4.DecodePath(raw)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// randomRequest is a request as the SDK would build it: path and query in
// canonical encoding, any headers.
func randomRequest(t testing.TB, rng *rand.Rand) *http.Request {
	word := func(n int) string {
		const letters = "abz09-._~ !$&'()*+,;=:@%/?é\xc3\xa9世"
		var b strings.Builder
		for range rng.IntN(n) {
			b.WriteByte(letters[rng.IntN(len(letters))])
		}
		return b.String()
	}
	query := sigv4.CanonicalQuery("!" + sigv4.EscapeQuery(word(8)) + "=" + sigv4.EscapeQuery(word(8)) + "&prefix=" + sigv4.EscapeQuery(word(12)) + "&uploads")
	method := []string{"GET", "PUT", "HEAD", "DELETE", "POST"}[rng.IntN(5)]
	r := outgoing(t, method, sigv4.EscapePath("/bucket/"+word(20)), query, nil)
	r.Header.Set("X-Amz-Content-Sha256", "UNSIGNED-PAYLOAD")
	for range rng.IntN(4) {
		r.Header.Add("X-Amz-Meta-"+string(rune('a'+rng.IntN(3))), strings.TrimSpace("v  "+strings.Map(printable, word(9))))
	}
	if rng.IntN(2) == 0 {
		r.Header.Set("Content-Type", "text/plain;  charset=utf-8")
	}
	return r
}

func printable(r rune) rune {
	if r < ' ' || r > '~' {
		return 'x'
	}
	return r
}

func TestVerifiesWhatTheSDKSigns(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	signer := v4.NewSigner(func(o *v4.SignerOptions) { o.DisableURIPathEscaping = true })
	creds := aws.Credentials{AccessKeyID: testKey, SecretAccessKey: string(testSecret)}
	for range 500 {
		r := randomRequest(t, rng)
		if err := signer.SignHTTP(context.Background(), creds, r, "UNSIGNED-PAYLOAD", "s3", testRegion, testTime); err != nil {
			t.Fatal(err)
		}
		verified(t, received(t, r), testTime, testSecret)
	}
}

func TestVerifiesWhatMinioSigns(t *testing.T) {
	rng := rand.New(rand.NewPCG(3, 4))
	for range 500 {
		plain := randomRequest(t, rng)
		if !utf8.ValidString(plain.URL.Path) {
			continue // minio-go gives up on the encoding then
		}
		_, plain.URL.RawQuery, _ = strings.Cut(plain.URL.RawQuery, "&") // and sorts odd names before encoding them
		r := miniosigner.SignV4(*plain, testKey, string(testSecret), "", testRegion)
		verified(t, received(t, r), time.Now(), testSecret) // that signer takes the time from the system
	}
}

// TestSignsAsTheSDK signs the same request twice and compares the signatures.
func TestSignsAsTheSDK(t *testing.T) {
	rng := rand.New(rand.NewPCG(5, 6))
	theirs := v4.NewSigner(func(o *v4.SignerOptions) { o.DisableURIPathEscaping = true })
	ours := sigv4.NewSigner(testKey, testSecret, testRegion)
	creds := aws.Credentials{AccessKeyID: testKey, SecretAccessKey: string(testSecret)}
	for range 500 {
		r := randomRequest(t, rng)
		other := r.Clone(context.Background())
		if err := theirs.SignHTTP(context.Background(), creds, other, "UNSIGNED-PAYLOAD", "s3", testRegion, testTime); err != nil {
			t.Fatal(err)
		}
		ours.Sign(r, r.URL.EscapedPath(), r.URL.RawQuery, "UNSIGNED-PAYLOAD", testTime)
		if got, want := r.Header.Get("Authorization"), other.Header.Get("Authorization"); got != want {
			t.Fatalf("%s %s\ngot  %s\nwant %s", r.Method, r.URL.RequestURI(), got, want)
		}
		verified(t, received(t, r), testTime, testSecret)
	}
}

func TestReadsMinioStreams(t *testing.T) {
	for _, size := range []int{0, 1, 8191, 8192, 65535, 65536, 65537, 200_000} {
		data := randomBytes(size)
		for _, trailer := range []http.Header{nil, {"X-Amz-Checksum-Crc32c": {"AAAAAA=="}}} {
			r := outgoing(t, "PUT", "/b/k", "", bytes.NewReader(data))
			r.Trailer = maps.Clone(trailer)
			r = miniosigner.StreamingSignV4(r, testKey, string(testSecret), "", testRegion, int64(size), testTime, sha{sha256.New()})
			body, err := io.ReadAll(r.Body)
			if err != nil {
				t.Fatal(err)
			}
			var names []string
			mode := sigv4.Signed
			if trailer != nil {
				names, mode = []string{"x-amz-checksum-crc32c"}, sigv4.SignedTrailer
			}
			q := verified(t, received(t, headOf(r)), testTime, testSecret)
			if q.Mode != mode {
				t.Fatalf("mode %v, want %v", q.Mode, mode)
			}
			c := q.Chunks(bytes.NewReader(body), int64(size), names)
			got, err := io.ReadAll(c)
			if err != nil || !bytes.Equal(got, data) {
				t.Errorf("%d bytes, trailer %v: got %d bytes, %v", size, trailer, len(got), err)
			}
			if trailer != nil && trailerOf(c, "x-amz-checksum-crc32c") != "AAAAAA==" {
				t.Errorf("trailer %v", c.Trailer())
			}
		}
	}
}

func TestReadsMinioUnsignedStreams(t *testing.T) {
	data := randomBytes(100_000)
	r := outgoing(t, "PUT", "/b/k", "", bytes.NewReader(data))
	r.Header.Set("X-Amz-Content-Sha256", sigv4.UnsignedTrailer.String())
	r.ContentLength = int64(len(data))
	r = miniosigner.SignV4Trailer(*r, testKey, string(testSecret), "", testRegion, http.Header{"X-Amz-Checksum-Crc32c": {"AAAAAA=="}})
	body, err := io.ReadAll(r.Body)
	if err != nil {
		t.Fatal(err)
	}
	q := verified(t, received(t, headOf(r)), time.Now(), testSecret)
	c := q.Chunks(bytes.NewReader(body), int64(len(data)), []string{"X-Amz-Checksum-Crc32c"})
	if got, err := io.ReadAll(c); err != nil || !bytes.Equal(got, data) {
		t.Errorf("got %d bytes, %v", len(got), err)
	}
}

// TestFramesAsMinio compares our signed framing with theirs byte by byte.
func TestFramesAsMinio(t *testing.T) {
	for _, size := range []int{1, 5000, 65536, 200_000} {
		data := randomBytes(size)
		r := outgoing(t, "PUT", "/b/k", "", bytes.NewReader(data))
		r = miniosigner.StreamingSignV4(r, testKey, string(testSecret), "", testRegion, int64(size), testTime, sha{sha256.New()})
		theirs, err := io.ReadAll(r.Body)
		if err != nil {
			t.Fatal(err)
		}
		o := outgoing(t, "PUT", "/b/k", "", nil)
		for name, v := range r.Header {
			o.Header[name] = v
		}
		s := sigv4.NewSigner(testKey, testSecret, testRegion).Sign(o, "/b/k", "", sigv4.Signed.String(), testTime)
		if ours := encode(s, sigv4.Signed, data, 65536, "", ""); !bytes.Equal(ours, theirs) {
			t.Errorf("%d bytes: framing differs", size)
		}
	}
}

// headOf is the request without its body.
func headOf(r *http.Request) *http.Request {
	h := r.Clone(context.Background())
	h.Body, h.ContentLength = nil, 0
	return h
}

// sha is md5-simd's idea of a hash.
type sha struct{ hash.Hash }

func (sha) Close() {}

func randomBytes(n int) []byte {
	b := make([]byte, n)
	rng := rand.New(rand.NewPCG(uint64(n), 7))
	for i := range b {
		b[i] = byte(rng.Uint32())
	}
	return b
}

func hexSum(b []byte) string {
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:])
}

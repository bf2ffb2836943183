package auth_test

import (
	"bufio"
	"bytes"
	"context"
	"crypto/md5"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"strconv"
	"testing"
	"time"

	"github.com/s3mirror/s3mirror/internal/auth"
	"github.com/s3mirror/s3mirror/internal/s3"
	"github.com/s3mirror/s3mirror/internal/sigv4"
)

const (
	testKey    = "AKROOT"
	testSecret = sigv4.Secret("root's secret")
)

var testTime = time.Date(2026, 3, 4, 5, 6, 7, 0, time.UTC)

func testNow() time.Time { return testTime }

func rootVerifier() *auth.Verifier { return auth.NewVerifier(auth.Root(testKey, testSecret), testNow) }

var allModes = []sigv4.Mode{sigv4.Literal, sigv4.Unsigned, sigv4.UnsignedTrailer, sigv4.Signed, sigv4.SignedTrailer}

// put is an upload as a client would send it, with whatever is wrong with it.
type put struct {
	mode      sigv4.Mode
	data      []byte
	chunk     int    // bytes; default 64 KiB
	algorithm string // of the checksum, in the trailer when the mode has one, else in a header
	checksum  string // its base64; default: the right one
	noTrailer bool   // announce the trailer but do not send it
	hash      string // of a literal; default: the right one
	decoded   int64  // announced length, when it differs: added to the real one
	headers   map[string]string
	mutate    func(body []byte) []byte // after framing; Content-Length stays that of the unmutated
	extra     string                   // after the end of the framed body, counted in Content-Length
	length    int                      // Content-Length: 0 the right one, -1 none
}

// request frames and signs the upload and returns it as a server receives it.
func (p put) request(t testing.TB) *http.Request {
	t.Helper()
	r := &http.Request{Method: "PUT", Host: "s3.test", Header: http.Header{}}
	payload := p.mode.String()
	if p.mode == sigv4.Literal {
		if payload = p.hash; payload == "" {
			sum := sha256.Sum256(p.data)
			payload = hex.EncodeToString(sum[:])
		}
	}
	if p.algorithm != "" && p.checksum == "" {
		p.checksum = checksumOf(p.algorithm, p.data)
	}
	trailer := ""
	switch {
	case p.algorithm == "":
	case p.mode.Trailing():
		trailer = "x-amz-checksum-" + p.algorithm
		r.Header.Set("X-Amz-Trailer", trailer)
	default:
		r.Header.Set("X-Amz-Checksum-"+p.algorithm, p.checksum)
	}
	if p.mode.Chunked() {
		r.Header.Set("X-Amz-Decoded-Content-Length", strconv.FormatInt(int64(len(p.data))+p.decoded, 10))
	}
	for name, value := range p.headers {
		r.Header.Set(name, value)
	}
	signer := sigv4.NewSigner(testKey, testSecret, "eu").Sign(r, "/b/k", "", payload, testTime)
	if p.noTrailer {
		trailer = ""
	}
	body := append(p.frame(signer, trailer), p.extra...)
	length := len(body)
	if p.length != 0 {
		length = p.length
	}
	if p.mutate != nil {
		body = p.mutate(body)
	}
	return receive(t, r, body, length)
}

func (p put) frame(signer *sigv4.ChunkSigner, trailer string) []byte {
	if !p.mode.Chunked() {
		return bytes.Clone(p.data)
	}
	size := 64 << 10
	if p.chunk != 0 {
		size = p.chunk
	}
	b := make([]byte, 0, sigv4.EncodedLength(sigv4.SignedTrailer, int64(len(p.data)), size, "x-amz-checksum-crc64nvme", 64))
	header := func(data []byte) {
		if p.mode.ChunksSigned() {
			b = signer.ChunkHeader(b, len(data), sha256.Sum256(data))
		} else {
			b = sigv4.ChunkHeader(b, len(data))
		}
	}
	for data := p.data; len(data) > 0; {
		n := min(size, len(data))
		header(data[:n])
		b = append(append(b, data[:n]...), sigv4.CRLF...)
		data = data[n:]
	}
	header(nil)
	switch {
	case p.mode == sigv4.SignedTrailer:
		if trailer == "" {
			return append(b, sigv4.CRLF...)
		}
		return signer.Trailer(b, trailer, p.checksum)
	case trailer != "":
		return sigv4.Trailer(b, trailer, p.checksum)
	}
	return append(b, sigv4.CRLF...)
}

// receive sends the request through net/http's own parser, so that the body
// behaves as a server's does: it ends at length, or in io.ErrUnexpectedEOF. A
// negative length leaves Content-Length out.
func receive(t testing.TB, r *http.Request, body []byte, length int) *http.Request {
	t.Helper()
	var raw bytes.Buffer
	fmt.Fprintf(&raw, "%s /b/k HTTP/1.1\r\nHost: %s\r\n", r.Method, r.Host)
	if length >= 0 {
		fmt.Fprintf(&raw, "Content-Length: %d\r\n", length)
	}
	if err := r.Header.Write(&raw); err != nil {
		t.Fatal(err)
	}
	raw.WriteString("\r\n")
	got, err := http.ReadRequest(bufio.NewReader(io.MultiReader(&raw, bytes.NewReader(body))))
	if err != nil {
		t.Fatal(err)
	}
	return got
}

func checksumOf(algorithm string, data []byte) string {
	h := s3.NewChecksum(algorithm)
	h.Write(data)
	return base64.StdEncoding.EncodeToString(h.Sum(nil))
}

func md5Of(data []byte) string {
	sum := md5.Sum(data)
	return base64.StdEncoding.EncodeToString(sum[:])
}

// open verifies the request and returns its body.
func open(t testing.TB, r *http.Request) (*auth.Body, error) {
	t.Helper()
	v, err := rootVerifier().Verify(r)
	if err != nil {
		t.Fatalf("the request itself: %v", err)
	}
	return v.Body(r)
}

// fails reads an upload for its error only.
func (p put) fails(t testing.TB) error {
	t.Helper()
	b, err := open(t, p.request(t))
	if err == nil {
		_, err = io.CopyBuffer(struct{ io.Writer }{io.Discard}, b, make([]byte, 256<<10))
	}
	return err
}

// upload reads the whole upload, or what could be read of it.
func (p put) upload(t testing.TB) ([]byte, *auth.Body, error) {
	t.Helper()
	b, err := open(t, p.request(t))
	if err != nil {
		return nil, nil, err
	}
	data, err := io.ReadAll(b)
	return data, b, err
}

// code is the S3 code of an error, "" for nil; any other error is a mistake.
func code(t testing.TB, err error) s3.Code {
	t.Helper()
	if err == nil {
		return ""
	}
	var e *s3.Error
	if !errors.As(err, &e) {
		t.Fatalf("no *s3.Error: %v", err)
	}
	return e.Code
}

func randomBytes(n int) []byte {
	b := make([]byte, n)
	rng := rand.NewChaCha8([32]byte{byte(n), byte(n >> 8), byte(n >> 16)})
	rng.Read(b)
	return b
}

// keysFunc is a Keys made of a function.
type keysFunc func(id string) (sigv4.Secret, auth.Identity, error)

func (keysFunc) Used(string) {}

func (f keysFunc) Secret(_ context.Context, id string) (sigv4.Secret, auth.Identity, error) {
	return f(id)
}

package memory_test

import (
	"bufio"
	"bytes"
	"cmp"
	"context"
	"crypto/md5"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"hash/crc32"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/s3mirror/s3mirror/internal/backend"
	"github.com/s3mirror/s3mirror/internal/backend/backendtest"
	"github.com/s3mirror/s3mirror/internal/memory"
	"github.com/s3mirror/s3mirror/internal/s3"
	"github.com/s3mirror/s3mirror/internal/sigv4"
)

// raw is a PUT that a test builds, and breaks, by hand.
type raw struct {
	mode    sigv4.Mode
	payload string // instead of the mode's
	header  map[string]string
	data    []byte
	length  int64 // Content-Length; -1: that of the body as framed
	spoil   func(wire []byte) []byte
	late    map[string]string // headers set after signing
	secret  sigv4.Secret
	key     string
	at      time.Time
	target  string // path and query; default /bucket/key
}

const crcName = "x-amz-checksum-crc32"

func crc(data []byte) string {
	h := crc32.NewIEEE()
	h.Write(data)
	return base64.StdEncoding.EncodeToString(h.Sum(nil))
}

// frame returns the framed body; sign must have been called.
func (p raw) frame(signer *sigv4.ChunkSigner) []byte {
	if !p.mode.Chunked() {
		return p.data
	}
	var b []byte
	for rest := p.data; ; rest = rest[min(len(rest), 64<<10):] {
		chunk := rest[:min(len(rest), 64<<10)]
		if p.mode.ChunksSigned() {
			b = signer.ChunkHeader(b, len(chunk), sha256.Sum256(chunk))
		} else {
			b = sigv4.ChunkHeader(b, len(chunk))
		}
		if len(chunk) == 0 {
			break
		}
		b = append(append(b, chunk...), sigv4.CRLF...)
	}
	switch p.mode {
	case sigv4.SignedTrailer:
		return signer.Trailer(b, crcName, crc(p.data))
	case sigv4.UnsignedTrailer:
		return sigv4.Trailer(b, crcName, crc(p.data))
	default:
		return append(b, sigv4.CRLF...)
	}
}

// send makes the request on a connection of its own and returns status and
// code. A body that is shorter than its Content-Length ends in a close.
func (p raw) send(t *testing.T, endpoint string) (int, s3.Code) {
	t.Helper()
	u, _ := url.Parse(endpoint)
	r := &http.Request{Method: "PUT", Host: u.Host, URL: u, Header: http.Header{}}
	if p.mode.Chunked() {
		r.Header.Set("X-Amz-Decoded-Content-Length", fmt.Sprint(len(p.data)))
		if p.mode.Trailing() {
			r.Header.Set("X-Amz-Trailer", crcName)
		}
	}
	for k, v := range p.header {
		if v == "" {
			r.Header.Del(k)
		} else {
			r.Header.Set(k, v)
		}
	}
	payload := p.payload
	if payload == "" && p.mode == sigv4.Literal {
		sum := sha256.Sum256(p.data)
		payload = hex.EncodeToString(sum[:])
	} else if payload == "" {
		payload = p.mode.String()
	}
	if p.secret == "" {
		p.secret = secretKey
	}
	if p.key == "" {
		p.key = accessKey
	}
	if p.at.IsZero() {
		p.at = time.Now()
	}
	target := cmp.Or(p.target, "/bucket/key")
	path, query, _ := strings.Cut(target, "?")
	signer := sigv4.NewSigner(p.key, p.secret, region).Sign(r, path, query, payload, p.at)
	for k, v := range p.late {
		r.Header.Set(k, v)
	}
	wire := p.frame(signer)
	if p.length == 0 {
		p.length = int64(len(wire))
	}
	if p.spoil != nil {
		wire = p.spoil(bytes.Clone(wire))
	}
	if p.length < 0 {
		p.length = int64(len(wire))
	}

	c, err := net.Dial("tcp", u.Host)
	must(t, err)
	defer c.Close()
	var head bytes.Buffer
	fmt.Fprintf(&head, "PUT %s HTTP/1.1\r\nHost: %s\r\nContent-Length: %d\r\n", target, u.Host, p.length)
	r.Header.Write(&head)
	head.WriteString("\r\n")
	c.Write(append(head.Bytes(), wire...))
	if int64(len(wire)) < p.length {
		c.(*net.TCPConn).CloseWrite()
	}
	resp, err := http.ReadResponse(bufio.NewReader(c), r)
	if err != nil {
		return 0, ""
	}
	defer resp.Body.Close()
	if resp.StatusCode == 200 {
		return 200, ""
	}
	return resp.StatusCode, s3.DecodeError(resp.StatusCode, resp.Body).Code
}

func replace(old, with string) func([]byte) []byte {
	return func(b []byte) []byte {
		i := bytes.LastIndex(b, []byte(old))
		if i < 0 {
			panic("nothing to spoil")
		}
		return append(append(bytes.Clone(b[:i]), with...), b[i+len(old):]...)
	}
}

// flip changes a byte at a share of the way.
func flip(share float64) func([]byte) []byte {
	return func(b []byte) []byte {
		b[int(share*float64(len(b)))] ^= 1
		return b
	}
}

func cut(n int) func([]byte) []byte { return func(b []byte) []byte { return b[:len(b)-n] } }

// breach is one way to break a body, and what is said of it.
type breach struct {
	name  string
	modes []sigv4.Mode
	put   raw
	code  s3.Code // empty: any
}

func breaches() []breach {
	all := []sigv4.Mode{sigv4.Literal, sigv4.Unsigned, sigv4.UnsignedTrailer, sigv4.Signed, sigv4.SignedTrailer}
	trailing := []sigv4.Mode{sigv4.UnsignedTrailer, sigv4.SignedTrailer}
	chunked := append([]sigv4.Mode{sigv4.Signed}, trailing...)
	wrongMD5 := base64.StdEncoding.EncodeToString(make([]byte, md5.Size))
	return []breach{
		{"cut at the start", all, raw{spoil: func(b []byte) []byte { return b[:0] }}, "IncompleteBody"},
		{"cut in the middle", all, raw{spoil: func(b []byte) []byte { return b[:len(b)/2] }}, "IncompleteBody"},
		{"cut at the last byte", all, raw{spoil: cut(1)}, "IncompleteBody"},
		{"a shorter body, and its length", chunked, raw{spoil: cut(40), length: -1}, ""},
		{"wrong decoded length", chunked, raw{header: map[string]string{"X-Amz-Decoded-Content-Length": "12"}}, "IncompleteBody"},
		{"no decoded length", chunked, raw{header: map[string]string{"X-Amz-Decoded-Content-Length": ""}}, "MissingContentLength"},
		{"wrong Content-MD5", all, raw{header: map[string]string{"Content-MD5": wrongMD5}}, "BadDigest"},
		{"no Content-MD5", all, raw{header: map[string]string{"Content-MD5": "bm8="}}, "InvalidDigest"},
		{"another body", []sigv4.Mode{sigv4.Literal}, raw{spoil: flip(0.5)}, "XAmzContentSHA256Mismatch"},
		{"another last byte", []sigv4.Mode{sigv4.Literal}, raw{spoil: flip(0.999999)}, "XAmzContentSHA256Mismatch"},
		{"wrong header checksum", []sigv4.Mode{sigv4.Literal, sigv4.Unsigned, sigv4.Signed}, raw{header: map[string]string{crcName: "AAAAAA=="}}, "BadDigest"},
		{"another chunk", []sigv4.Mode{sigv4.Signed, sigv4.SignedTrailer}, raw{spoil: replace("\r\nd", "\r\ne")}, "SignatureDoesNotMatch"},
		{"no trailer", trailing, raw{spoil: replace(crcName+":", "x-amz-other:"), length: -1}, "MalformedTrailerError"},
		{"an end without trailer", []sigv4.Mode{sigv4.UnsignedTrailer}, raw{spoil: cut(len(crcName) + 13), length: -1}, ""},
		{"extra bytes", chunked, raw{spoil: func(b []byte) []byte { return append(b, "GET / HTTP/1.1\r\n\r\n"...) }, length: -1}, ""},
		{"an unsigned header", all, raw{late: map[string]string{"X-Amz-Meta-A": "b"}}, "AccessDenied"},
		{"another secret", all, raw{secret: "guess"}, "SignatureDoesNotMatch"},
		{"another key", all, raw{key: "somebody"}, "InvalidAccessKeyId"},
		{"an hour ago", all, raw{at: time.Now().Add(-time.Hour)}, "RequestTimeTooSkewed"},
		{"a session token", all, raw{header: map[string]string{"X-Amz-Security-Token": "x"}}, "InvalidToken"},
		{"an unknown mode", []sigv4.Mode{sigv4.Literal}, raw{payload: "STREAMING-OTHER"}, "InvalidArgument"},
		{"encryption", all, raw{header: map[string]string{"X-Amz-Server-Side-Encryption": "AES256"}}, "NotImplemented"},
		{"a copy source", []sigv4.Mode{sigv4.Literal, sigv4.Unsigned}, raw{header: map[string]string{"X-Amz-Copy-Source": "/bucket/other"}}, "InvalidRequest"},
		{"a copy source and chunks", chunked, raw{header: map[string]string{"X-Amz-Copy-Source": "/bucket/other"}}, "NotImplemented"},
	}
}

// TestStrictness: nothing but a body that passes every check it came with is
// stored, whatever the framing and the size.
func TestStrictness(t *testing.T) {
	_, endpoint := serve(t, memory.Options{})
	r := connect(t, endpoint)
	for _, size := range []int{1, 1000, 300_000, 2 << 20} {
		for _, b := range breaches() {
			for _, mode := range b.modes {
				t.Run(fmt.Sprintf("%s, %v, %d", b.name, mode, size), func(t *testing.T) {
					must(t, put(r, "key", "old"))
					b := b
					b.put.mode, b.put.data = mode, bytes.Repeat([]byte("d"), size)
					status, code := b.put.send(t, endpoint)
					if status == 200 || b.code != "" && status != 0 && code != b.code {
						t.Errorf("answered %d %s, want %s", status, code, b.code)
					}
					obj, err := r.Get(bg, "bucket", "key", backend.GetOptions{})
					must(t, err)
					defer obj.Body.Close()
					if got, err := io.ReadAll(obj.Body); err != nil || string(got) != "old" {
						t.Errorf("%d bytes stand, %v", len(got), err)
					}
				})
			}
		}
	}
}

// TestServerKeepsTheContract: it is a backend like any other.
func TestServerKeepsTheContract(t *testing.T) {
	for name, p := range map[string]memory.Personality{
		"AWS":    {MinPartBytes: 600},
		"blanks": {MinPartBytes: 600, Blanks: 5},
		"opaque": {MinPartBytes: 600, OpaqueETags: true, ForgetsCompleted: true, AbortsAnything: true},
	} {
		t.Run(name, func(t *testing.T) {
			_, endpoint := serve(t, memory.Options{Personality: p})
			backendtest.Run(t, func(t *testing.T) backendtest.Target {
				return backendtest.Target{Endpoint: connect(t, endpoint), Bucket: "suite", MinPart: 600, OpaqueETags: p.OpaqueETags}
			})
		})
	}
}

// TestUnspoiled: what TestStrictness breaks is good before.
func TestUnspoiled(t *testing.T) {
	srv, endpoint := serve(t, memory.Options{})
	r := connect(t, endpoint)
	for _, mode := range []sigv4.Mode{sigv4.Literal, sigv4.Unsigned, sigv4.UnsignedTrailer, sigv4.Signed, sigv4.SignedTrailer} {
		for _, size := range []int{0, 1, 8192, 300_000} {
			data := bytes.Repeat([]byte("d"), size)
			if status, code := (raw{mode: mode, data: data}).send(t, endpoint); status != 200 {
				t.Errorf("%v, %d bytes: %d %s", mode, size, status, code)
			}
			seen, err := r.Head(bg, "bucket", "key")
			must(t, err)
			sum := md5.Sum(data)
			if seen.Size != int64(size) || seen.ETag != hex.EncodeToString(sum[:]) {
				t.Errorf("%v, %d bytes: %+v", mode, size, seen)
			}
		}
	}
	if st := srv.Stats(); st != (memory.Stats{Buckets: 1, Objects: 1, Bytes: 300_000}) {
		t.Errorf("%+v", st)
	}
}

// TestMemoryIsBounded: bodies on their way count, and what failed is given
// back.
func TestMemoryIsBounded(t *testing.T) {
	srv, endpoint := serve(t, memory.Options{MaxBytes: 1000})
	r := connect(t, endpoint)
	must(t, put(r, "a", strings.Repeat("a", 600)))
	err := put(r, "b", strings.Repeat("b", 401))
	if !strings.Contains(fmt.Sprint(err), string(s3.InsufficientStorage)) {
		t.Errorf("%v", err)
	}
	(raw{data: []byte("dddd"), spoil: cut(2)}).send(t, endpoint)
	if st := srv.Stats(); st.Bytes != 600 {
		t.Errorf("%+v", st)
	}
	must(t, put(r, "b", strings.Repeat("b", 400)))
	must(t, r.Delete(bg, "bucket", "a"))
	must(t, put(r, "b", strings.Repeat("b", 500))) // old and new stand side by side for a moment
	if st := srv.Stats(); st.Bytes != 500 {
		t.Errorf("%+v", st)
	}
	srv.Wipe()
	if st := srv.Stats(); st != (memory.Stats{}) {
		t.Errorf("after a wipe: %+v", st)
	}
	if err := put(r, "b", "b"); !backend.IsMisconfigured(err) {
		t.Errorf("after a wipe: %v", err)
	}
}

// TestExpect: what can be refused without the body is.
func TestExpect(t *testing.T) {
	_, endpoint := serve(t, memory.Options{MaxBytes: 1 << 20})
	r := connect(t, endpoint)
	_, err := r.Put(bg, backend.PutRequest{Bucket: "bucket", Key: "key", Size: 2 << 20, Body: untouched{t},
		Framing: backend.Framing{Mode: sigv4.UnsignedTrailer, Algorithm: "crc32c"}})
	if backend.OutcomeOf(err) != backend.Throttled {
		t.Errorf("%v", err)
	}
}

type untouched struct{ t *testing.T }

func (u untouched) Next(_ context.Context, max int) ([]byte, error) {
	u.t.Error("the body was asked for")
	return make([]byte, max), nil
}
func (untouched) Sum(context.Context, int) (s [32]byte, err error) { return s, nil }
func (untouched) Trailer() (string, error)                         { return "AAAAAA==", nil }

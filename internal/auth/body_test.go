package auth_test

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/s3mirror/s3mirror/internal/auth"
	"github.com/s3mirror/s3mirror/internal/s3"
	"github.com/s3mirror/s3mirror/internal/sigv4"
)

var sizes = []int{0, 1, 8191, 8192, 8193, 300 << 10, 9 << 20}

var algorithms = []string{"crc32", "crc32c", "crc64nvme", "sha1", "sha256"}

func TestBodies(t *testing.T) {
	for _, mode := range allModes {
		for _, size := range sizes {
			data := randomBytes(size)
			for _, algorithm := range append([]string{""}, algorithms...) {
				if size > 1<<20 && algorithm != "" && algorithm != "crc32c" {
					continue
				}
				name := fmt.Sprintf("%v, %d bytes, %q", mode, size, algorithm)
				if algorithm == "" && mode == sigv4.SignedTrailer {
					continue // that mode is a signed trailer or nothing
				}
				got, b, err := put{mode: mode, data: data, algorithm: algorithm}.upload(t)
				if err != nil || !bytes.Equal(got, data) || b.Size() != int64(size) {
					t.Errorf("%s: %d bytes, %v", name, len(got), err)
					continue
				}
				alg, value := b.Checksum()
				if alg != algorithm || algorithm != "" && value != checksumOf(algorithm, data) {
					t.Errorf("%s: checksum %s %s", name, alg, value)
				}
				if n, err := b.Read(make([]byte, 1)); n != 0 || !errors.Is(err, io.EOF) {
					t.Errorf("%s: after the end %d, %v", name, n, err)
				}
			}
		}
	}
}

// fault is one thing wrong with an upload, and what S3 says about it.
type fault struct {
	name  string
	spoil func(p *put)
	want  s3.Code
}

func cutAt(permille int) func(p *put) {
	return func(p *put) { p.mutate = func(b []byte) []byte { return b[:len(b)*permille/1000] } }
}

// faultsOf are the faults that an upload of this mode and size can have.
func faultsOf(mode sigv4.Mode, size int) []fault {
	faults := []fault{
		{"wrong Content-MD5", func(p *put) { p.headers = map[string]string{"Content-MD5": md5Of([]byte("other"))} }, s3.BadDigest},
	}
	for _, algorithm := range algorithms {
		if size > 1<<20 && algorithm != "crc32c" {
			continue // the same for every size, and slow
		}
		faults = append(faults, fault{"wrong " + algorithm, func(p *put) {
			p.algorithm, p.checksum = algorithm, checksumOf(algorithm, []byte("other"))
		}, s3.BadDigest})
	}
	if size > 0 || mode.Chunked() {
		faults = append(faults,
			fault{"cut at once", cutAt(0), s3.IncompleteBody},
			fault{"cut in the middle", cutAt(500), s3.IncompleteBody},
			fault{"cut near the end", cutAt(999), s3.IncompleteBody},
			fault{"cut by a byte", func(p *put) { p.mutate = func(b []byte) []byte { return b[:len(b)-1] } }, s3.IncompleteBody})
	}
	if mode == sigv4.Literal {
		faults = append(faults, fault{"wrong hash", func(p *put) { p.hash = strings.Repeat("ab", 32) }, s3.XAmzContentSHA256Mismatch})
	}
	if mode.Chunked() {
		faults = append(faults, chunkFaults(size)...)
	}
	if mode.ChunksSigned() {
		faults = append(faults, signatureFaults(size)...)
	}
	if mode.Trailing() {
		faults = append(faults, fault{"no trailer", func(p *put) { p.algorithm, p.noTrailer = "crc32", true }, s3.MalformedTrailer})
	}
	return faults
}

func chunkFaults(size int) []fault {
	faults := []fault{
		{"decoded length too large", func(p *put) { p.decoded = 1 }, s3.IncompleteBody},
		{"decoded length far too large", func(p *put) { p.decoded = 1 << 40 }, s3.IncompleteBody},
		{"extra byte", func(p *put) { p.extra = "x" }, s3.IncompleteBody},
		{"extra chunks", func(p *put) { p.extra = "0\r\n\r\n" }, s3.IncompleteBody},
	}
	if size > 0 {
		faults = append(faults, fault{"decoded length too small", func(p *put) { p.decoded = -1 }, s3.IncompleteBody})
	}
	if size > 64<<10 {
		faults = append(faults, fault{"short chunks in the middle", func(p *put) { p.chunk = 8191 }, s3.InvalidChunkSize})
	}
	return faults
}

func signatureFaults(size int) []fault {
	other := func(p *put, at func(b []byte) int) {
		p.mutate = func(b []byte) []byte {
			if i := at(b); b[i] == '0' {
				b[i] = '1'
			} else {
				b[i] = '0'
			}
			return b
		}
	}
	faults := []fault{
		{"first signature", func(p *put) { other(p, func(b []byte) int { return bytes.IndexByte(b, '=') + 1 }) }, s3.SignatureDoesNotMatch},
		{"last signature", func(p *put) { other(p, func(b []byte) int { return len(b) - 5 }) }, s3.SignatureDoesNotMatch},
	}
	if size > 0 {
		middle := func(b []byte) int { return bytes.IndexByte(b, '\n') + 1 + min(size, 64<<10)/2 }
		faults = append(faults, fault{"a byte of the data", func(p *put) { other(p, middle) }, s3.SignatureDoesNotMatch})
	}
	return faults
}

// TestBodiesThatMustNotLand breaks every promise in every mode at every size.
func TestBodiesThatMustNotLand(t *testing.T) {
	for _, mode := range allModes {
		for _, size := range sizes {
			good := put{mode: mode, data: randomBytes(size)}
			if mode == sigv4.SignedTrailer {
				good.algorithm = "crc32c"
			}
			for _, f := range faultsOf(mode, size) {
				p := good
				f.spoil(&p)
				if err := p.fails(t); code(t, err) != f.want {
					t.Errorf("%v, %d bytes, %s: got %v, want %s", mode, size, f.name, err, f.want)
				}
			}
		}
	}
}

func TestGoodContentMD5(t *testing.T) {
	data := randomBytes(20_000)
	for _, mode := range allModes {
		p := put{mode: mode, data: data, algorithm: "crc32", headers: map[string]string{"Content-MD5": md5Of(data)}}
		_, b, err := p.upload(t)
		if err != nil || base64.StdEncoding.EncodeToString(b.MD5()) != md5Of(data) || !bytes.Equal(b.ContentMD5(), b.MD5()) {
			t.Errorf("%v: %v", mode, err)
		}
	}
}

func TestMismatchesShowBothSides(t *testing.T) {
	data := []byte("hello")
	var e *s3.Error
	_, _, err := put{data: data, hash: sigv4.EmptySHA256}.upload(t)
	if !errors.As(err, &e) || e.Field("ClientComputedContentSHA256") != sigv4.EmptySHA256 ||
		e.Field("S3ComputedContentSHA256") != "2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824" {
		t.Errorf("got %+v", e)
	}
	_, _, err = put{data: data, headers: map[string]string{"Content-MD5": md5Of(nil)}}.upload(t)
	if !errors.As(err, &e) || e.Field("ExpectedDigest") != "d41d8cd98f00b204e9800998ecf8427e" || e.Field("CalculatedDigest") != md5Of(data) {
		t.Errorf("got %+v", e)
	}
	_, _, err = put{data: data, algorithm: "crc64nvme", checksum: "AAAAAAAAAAA="}.upload(t)
	if !errors.As(err, &e) || e.Message != "The CRC64NVME you specified did not match the calculated checksum." {
		t.Errorf("got %+v", e)
	}
}

func TestTrailerOfWrongForm(t *testing.T) {
	for _, mode := range []sigv4.Mode{sigv4.UnsignedTrailer, sigv4.SignedTrailer} {
		// Not base64, of another length, and with bits that no encoder leaves.
		for _, value := range []string{"invalid", "AAAA", "AAAAAAAAAAA=", "!!!!!!==", "AAAAAB=="} {
			_, b, err := put{mode: mode, data: []byte("x"), algorithm: "crc32", checksum: value}.upload(t)
			if code(t, err) != s3.InvalidRequest || !strings.Contains(err.Error(), "Value for x-amz-checksum-crc32 trailing header is invalid.") {
				t.Errorf("%v %q: got %v", mode, value, err)
			}
			if b.Promised().Value != nil {
				t.Errorf("%v %q: promised %x", mode, value, b.Promised().Value)
			}
		}
	}
}

// TestHeaderFaults are told before the body is read.
func TestHeaderFaults(t *testing.T) {
	unread := func([]byte) []byte { return nil }
	h := func(pairs ...string) map[string]string {
		m := map[string]string{}
		for i := 0; i < len(pairs); i += 2 {
			m[pairs[i]] = pairs[i+1]
		}
		return m
	}
	for _, tc := range []struct {
		name    string
		mode    sigv4.Mode
		headers map[string]string
		length  int
		code    s3.Code
		text    string
	}{
		{"no length", sigv4.Unsigned, nil, -1, s3.MissingContentLength, "Content-Length"},
		{"no decoded length", sigv4.Signed, h("X-Amz-Decoded-Content-Length", ""), 0, s3.MissingContentLength, ""},
		{"decoded length is no number", sigv4.UnsignedTrailer, h("X-Amz-Decoded-Content-Length", "12x"), 0, s3.MissingContentLength, ""},
		{"decoded length is negative", sigv4.UnsignedTrailer, h("X-Amz-Decoded-Content-Length", "-1"), 0, s3.MissingContentLength, ""},
		{"decoded length overflows", sigv4.UnsignedTrailer, h("X-Amz-Decoded-Content-Length", "9223372036854775808"), 0, s3.MissingContentLength, ""},
		{"MD5 is no base64", sigv4.Unsigned, h("Content-MD5", "not base64"), 0, s3.InvalidDigest, ""},
		{"MD5 is short", sigv4.Unsigned, h("Content-MD5", "AAAA"), 0, s3.InvalidDigest, ""},
		{"MD5 is empty", sigv4.Unsigned, h("Content-MD5", ""), 0, s3.InvalidDigest, ""},
		{"two checksums", sigv4.Unsigned, h("X-Amz-Checksum-Crc32", "AAAAAA==", "X-Amz-Checksum-Crc32c", "AAAAAA=="), 0, s3.InvalidRequest, "Expecting a single x-amz-checksum- header"},
		{"checksum is no base64", sigv4.Unsigned, h("X-Amz-Checksum-Crc32", "!"), 0, s3.InvalidRequest, "Value for x-amz-checksum-crc32 header is invalid"},
		{"checksum is short", sigv4.Literal, h("X-Amz-Checksum-Sha256", "AAAAAA=="), 0, s3.InvalidRequest, "Value for x-amz-checksum-sha256 header is invalid"},
		{"unknown checksum", sigv4.Unsigned, h("X-Amz-Checksum-Crc31", "AAAAAA=="), 0, s3.InvalidRequest, "algorithm type"},
		{"algorithm without checksum", sigv4.Unsigned, h("X-Amz-Sdk-Checksum-Algorithm", "CRC32"), 0, s3.InvalidRequest, "no corresponding"},
		{"algorithm of another checksum", sigv4.Unsigned, h("X-Amz-Sdk-Checksum-Algorithm", "SHA1", "X-Amz-Checksum-Crc32", "AAAAAA=="), 0, s3.InvalidRequest, "x-amz-sdk-checksum-algorithm"},
		{"algorithm of another trailer", sigv4.UnsignedTrailer, h("X-Amz-Sdk-Checksum-Algorithm", "SHA1", "X-Amz-Trailer", "x-amz-checksum-crc32"), 0, s3.InvalidRequest, "x-amz-sdk-checksum-algorithm"},
		{"trailer and checksum", sigv4.UnsignedTrailer, h("X-Amz-Trailer", "x-amz-checksum-crc32", "X-Amz-Checksum-Crc32", "AAAAAA=="), 0, s3.InvalidRequest, "Expecting a single"},
		{"unknown trailer", sigv4.UnsignedTrailer, h("X-Amz-Trailer", "x-amz-meta-a"), 0, s3.InvalidRequest, "x-amz-trailer header is not supported"},
		{"two trailers", sigv4.UnsignedTrailer, h("X-Amz-Trailer", "x-amz-checksum-crc32,x-amz-checksum-sha1"), 0, s3.InvalidRequest, "x-amz-trailer header is not supported"},
		{"trailer in a mode without", sigv4.Signed, h("X-Amz-Trailer", "x-amz-checksum-crc32"), 0, s3.InvalidRequest, "needs a payload mode with a trailer"},
		{"trailer of a plain body", sigv4.Unsigned, h("X-Amz-Trailer", "x-amz-checksum-crc32"), 0, s3.InvalidRequest, "needs a payload mode with a trailer"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			p := put{mode: tc.mode, data: []byte("x"), headers: tc.headers, mutate: unread, length: tc.length}
			_, err := open(t, p.request(t))
			if code(t, err) != tc.code || !strings.Contains(err.Error(), tc.text) {
				t.Errorf("got %v, want %s: %s", err, tc.code, tc.text)
			}
		})
	}
}

func TestDecodedLengthTwice(t *testing.T) {
	r := put{mode: sigv4.UnsignedTrailer, data: []byte("x")}.request(t)
	v, err := rootVerifier().Verify(r)
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Add("X-Amz-Decoded-Content-Length", "1")
	if _, err := v.Body(r); code(t, err) != s3.MissingContentLength {
		t.Errorf("got %v", err)
	}
}

func TestUnknownLength(t *testing.T) {
	r := put{mode: sigv4.Unsigned, data: []byte("x"), headers: map[string]string{"Transfer-Encoding": "chunked"}, length: -1,
		mutate: func(b []byte) []byte { return []byte("1\r\nx\r\n0\r\n\r\n") }}.request(t)
	if r.ContentLength != -1 {
		t.Fatalf("length %d", r.ContentLength)
	}
	if _, err := open(t, r); code(t, err) != s3.MissingContentLength {
		t.Errorf("got %v", err)
	}
}

// TestChunkedInChunked is boto3 over TLS: aws-chunked inside of HTTP chunks.
func TestChunkedInChunked(t *testing.T) {
	data := randomBytes(11_000)
	httpChunks := func(end string) func(b []byte) []byte {
		return func(b []byte) []byte { return fmt.Appendf(nil, "%x\r\n%s\r\n%s", len(b), b, end) }
	}
	p := put{mode: sigv4.UnsignedTrailer, data: data, algorithm: "crc32", length: -1, headers: map[string]string{"Transfer-Encoding": "chunked"}}
	p.mutate = httpChunks("0\r\n\r\n")
	if got, b, err := p.upload(t); err != nil || !bytes.Equal(got, data) || b.Size() != 11_000 {
		t.Errorf("%d bytes, %v", len(got), err)
	}
	p.mutate = httpChunks("") // the trailer is there, the end of the HTTP body is not
	if _, _, err := p.upload(t); code(t, err) != s3.IncompleteBody {
		t.Errorf("no HTTP end: %v", err)
	}
	p.mutate = httpChunks("1\r\nx\r\n0\r\n\r\n")
	if _, _, err := p.upload(t); code(t, err) != s3.IncompleteBody {
		t.Errorf("more after the trailer: %v", err)
	}
}

func TestBrokenConnections(t *testing.T) {
	for _, mode := range allModes {
		for _, tc := range []struct {
			cause error
			want  s3.Code
		}{
			{io.ErrUnexpectedEOF, s3.IncompleteBody},
			{errors.New("connection reset by peer"), s3.IncompleteBody},
			{fmt.Errorf("read: %w", os.ErrDeadlineExceeded), s3.RequestTimeout},
		} {
			r := put{mode: mode, data: randomBytes(20_000), algorithm: "crc32"}.request(t)
			v, err := rootVerifier().Verify(r)
			if err != nil {
				t.Fatal(err)
			}
			r.Body = io.NopCloser(io.MultiReader(io.LimitReader(r.Body, 9000), iotest.ErrReader(tc.cause)))
			b, err := v.Body(r)
			if err != nil {
				t.Fatal(err)
			}
			_, err = io.ReadAll(b)
			if code(t, err) != tc.want || !errors.Is(err, tc.cause) {
				t.Errorf("%v: got %v, want %s", mode, err, tc.want)
			}
			if _, again := b.Read(make([]byte, 9)); !errors.Is(again, err) {
				t.Errorf("%v: the error changed to %v", mode, again)
			}
		}
	}
}

// TestSourceThatLies covers bodies that do not keep to Content-Length, which
// net/http itself never lets happen.
func TestSourceThatLies(t *testing.T) {
	for length, want := range map[int]s3.Code{9: s3.IncompleteBody, 10: "", 11: s3.IncompleteBody} {
		r := put{mode: sigv4.Unsigned, data: randomBytes(10)}.request(t)
		r.Body = io.NopCloser(bytes.NewReader(randomBytes(length)))
		b, err := open(t, r)
		if err != nil {
			t.Fatal(err)
		}
		got, err := io.ReadAll(b)
		if code(t, err) != want || len(got) > 10 {
			t.Errorf("%d bytes of 10: %d came out, %v", length, len(got), err)
		}
	}
	r := put{mode: sigv4.Unsigned}.request(t)
	r.Body = nil
	r.Header.Set("Content-Length", "0")
	b, err := open(t, r)
	if err != nil {
		t.Fatal(err)
	}
	if got, err := io.ReadAll(b); len(got) != 0 || err != nil {
		t.Errorf("no body at all: %q, %v", got, err)
	}
	if n, err := b.Read(nil); n != 0 || !errors.Is(err, io.EOF) {
		t.Errorf("got %d, %v", n, err)
	}
}

// TestDataAndErrorsApart: whatever the source does, Read returns one of them.
func TestDataAndErrorsApart(t *testing.T) {
	r := put{mode: sigv4.Literal, data: []byte("hello"), hash: sigv4.EmptySHA256}.request(t)
	r.Body = io.NopCloser(iotest.DataErrReader(strings.NewReader("hello")))
	b, err := open(t, r)
	if err != nil {
		t.Fatal(err)
	}
	p := make([]byte, 10)
	if n, err := b.Read(nil); n != 0 || err != nil {
		t.Errorf("empty read: %d, %v", n, err)
	}
	if n, err := b.Read(p); n != 5 || err != nil {
		t.Errorf("first read: %d, %v", n, err)
	}
	if n, err := b.Read(p); n != 0 || code(t, err) != s3.XAmzContentSHA256Mismatch {
		t.Errorf("second read: %d, %v", n, err)
	}
}

func TestWhatIsKnownBeforeTheBody(t *testing.T) {
	data := []byte("hello")
	b, err := open(t, put{data: data, algorithm: "crc32c", headers: map[string]string{"Content-MD5": md5Of(data)}}.request(t))
	if err != nil {
		t.Fatal(err)
	}
	sum, ok := b.SHA256()
	alg, value := b.Checksum()
	if !ok || hex.EncodeToString(sum[:4]) != "2cf24dba" || alg != "crc32c" || value != checksumOf("crc32c", data) || b.Size() != 5 || len(b.ContentMD5()) != 16 {
		t.Errorf("got %x %v, %s %s, %d", sum, ok, alg, value, b.Size())
	}
	if b.MD5() != nil || b.Sum("crc32c") != "" || b.Sum("sha256") != "" {
		t.Errorf("computed before anything was read: %x %s", b.MD5(), b.Sum("crc32c"))
	}
	b, err = open(t, put{mode: sigv4.UnsignedTrailer, data: data, algorithm: "sha1"}.request(t))
	if err != nil {
		t.Fatal(err)
	}
	if alg, value := b.Checksum(); alg != "sha1" || value != "" || b.Promised().Value != nil {
		t.Errorf("trailer: %s %q", alg, value)
	}
	if _, ok := b.SHA256(); ok || b.ContentMD5() != nil {
		t.Error("promises that the client did not make")
	}
	if _, err := io.ReadAll(b); err != nil {
		t.Fatal(err)
	}
	if alg, value := b.Checksum(); alg != "sha1" || value != checksumOf("sha1", data) || len(b.Promised().Value) != 20 {
		t.Errorf("trailer, after the end: %s %q", alg, value)
	}
}

func TestComputeOnDemand(t *testing.T) {
	data := randomBytes(100_000)
	for _, mode := range []sigv4.Mode{sigv4.Literal, sigv4.Unsigned, sigv4.Signed} {
		b, err := open(t, put{mode: mode, data: data}.request(t))
		if err != nil {
			t.Fatal(err)
		}
		b.ComputeChecksum("crc32c")
		b.ComputeChecksum("sha256")
		b.ComputeChecksum("crc32c")
		b.ComputeMD5()
		if _, err := io.ReadAll(b); err != nil {
			t.Fatal(err)
		}
		alg, value := b.Checksum()
		if alg != "crc32c" || value != checksumOf("crc32c", data) || b.Sum("sha256") != checksumOf("sha256", data) ||
			base64.StdEncoding.EncodeToString(b.MD5()) != md5Of(data) || b.Sum("sha1") != "" {
			t.Errorf("%v: %s %s", mode, alg, value)
		}
	}
	// The client's own stays the object's.
	b, err := open(t, put{mode: sigv4.UnsignedTrailer, data: data, algorithm: "sha1"}.request(t))
	if err != nil {
		t.Fatal(err)
	}
	b.ComputeChecksum("crc32c")
	if _, err := io.ReadAll(b); err != nil {
		t.Fatal(err)
	}
	if alg, _ := b.Checksum(); alg != "sha1" || b.Sum("crc32c") != checksumOf("crc32c", data) {
		t.Errorf("got %s", alg)
	}
}

func TestComputePanics(t *testing.T) {
	for name, f := range map[string]func(b *auth.Body){
		"unknown algorithm": func(b *auth.Body) { b.ComputeChecksum("crc31") },
		"checksum too late": func(b *auth.Body) { b.Read(make([]byte, 1)); b.ComputeChecksum("crc32") },
		"MD5 too late":      func(b *auth.Body) { b.Read(make([]byte, 1)); b.ComputeMD5() },
	} {
		b, err := open(t, put{data: []byte("x")}.request(t))
		if err != nil {
			t.Fatal(err)
		}
		func() {
			defer func() {
				if recover() == nil {
					t.Errorf("%s: no panic", name)
				}
			}()
			f(b)
		}()
	}
}

func TestDocuments(t *testing.T) {
	const xml = "<Delete/>"
	read := func(p put, limit int64) (string, error) {
		r := p.request(t)
		v, err := rootVerifier().Verify(r)
		if err != nil {
			t.Fatal(err)
		}
		got, err := v.Document(r, limit)
		return string(got), err
	}
	for _, tc := range []struct {
		name string
		put  put
		max  int64
		want s3.Code
	}{
		{"literal", put{data: []byte(xml)}, 100, ""},
		{"as long as allowed", put{data: []byte(xml)}, int64(len(xml)), ""},
		{"unsigned", put{mode: sigv4.Unsigned, data: []byte(xml), algorithm: "crc32"}, 100, ""},
		{"too long", put{data: []byte(xml)}, 8, s3.MaxMessageLengthExceeded},
		{"wrong hash", put{data: []byte(xml), hash: sigv4.EmptySHA256}, 100, s3.XAmzContentSHA256Mismatch},
		{"wrong MD5", put{data: []byte(xml), headers: map[string]string{"Content-MD5": md5Of(nil)}}, 100, s3.BadDigest},
		{"malformed MD5", put{data: []byte(xml), headers: map[string]string{"Content-MD5": "x"}}, 100, s3.InvalidDigest},
		{"cut", put{data: []byte(xml), mutate: func(b []byte) []byte { return b[:3] }}, 100, s3.IncompleteBody},
		{"unsigned chunks", put{mode: sigv4.UnsignedTrailer, data: []byte(xml)}, 100, s3.InvalidRequest},
		{"signed chunks", put{mode: sigv4.Signed, data: []byte(xml)}, 100, s3.InvalidRequest},
	} {
		got, err := read(tc.put, tc.max)
		if code(t, err) != tc.want || err == nil && got != xml {
			t.Errorf("%s: %q, %v, want %q", tc.name, got, err, tc.want)
		}
	}
	// Without any length it is empty; in HTTP chunks it is as long as it is.
	if got, err := read(put{length: -1}, 100); got != "" || err != nil {
		t.Errorf("no body: %q, %v", got, err)
	}
	if _, err := read(put{hash: strings.Repeat("ab", 32), length: -1}, 100); code(t, err) != s3.XAmzContentSHA256Mismatch {
		t.Errorf("no body, wrong hash: %v", err)
	}
	chunked := put{data: []byte(xml), length: -1, headers: map[string]string{"Transfer-Encoding": "chunked"},
		mutate: func(b []byte) []byte { return fmt.Appendf(nil, "%x\r\n%s\r\n0\r\n\r\n", len(b), b) }}
	if got, err := read(chunked, 100); got != xml || err != nil {
		t.Errorf("HTTP chunks: %q, %v", got, err)
	}
	if _, err := read(chunked, 8); code(t, err) != s3.MaxMessageLengthExceeded {
		t.Errorf("HTTP chunks, too long: %v", err)
	}
}

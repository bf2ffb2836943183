package sigv4_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"runtime"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/s3mirror/s3mirror/internal/sigv4"
)

const (
	crcName  = "x-amz-checksum-crc32c"
	crcValue = "AAAAAA==" // what it should be is the caller's question
)

// framed is a whole chunked upload.
type framed struct {
	q     *sigv4.Request
	body  []byte
	data  []byte
	names []string
}

func frame(t testing.TB, mode sigv4.Mode, data []byte, sizes ...int) framed {
	t.Helper()
	q, s := upload(t, mode)
	f := framed{q: q, data: data}
	if mode.Trailing() {
		f.names = []string{crcName}
		f.body = encodeChunks(s, mode, data, sizes, crcName, crcValue)
	} else {
		f.body = encodeChunks(s, mode, data, sizes, "", "")
	}
	return f
}

func (f framed) reader(body io.Reader) *sigv4.ChunkReader {
	return f.q.Chunks(body, int64(len(f.data)), f.names)
}

func (f framed) read(body []byte) ([]byte, error) {
	return io.ReadAll(f.reader(bytes.NewReader(body)))
}

func TestChunksRoundTrip(t *testing.T) {
	big := randomBytes(700_000)
	for _, mode := range chunkedModes {
		for _, sizes := range [][]int{
			{}, {1}, {8191}, {8192}, {8192, 1}, {8193, 8192, 5}, {65536, 65536, 100},
			{sigv4.VerifiedFirst}, {sigv4.VerifiedFirst + 1}, {300_000, 400_000}, {8192, 500_000, 8192, 3},
		} {
			n := 0
			for _, s := range sizes {
				n += s
			}
			f := frame(t, mode, big[:n], sizes...)
			for _, buffer := range []int{1, 7, 512, 4096, 8192, 65536, 1 << 20} {
				if n > 100_000 && buffer < 512 {
					continue
				}
				c := f.reader(bytes.NewReader(f.body))
				got, err := readBy(c, buffer)
				if err != nil || !bytes.Equal(got, f.data) {
					t.Errorf("%v %v, Read of %d: %d bytes, %v", mode, sizes, buffer, len(got), err)
				}
				if want := mode.Trailing(); want != (trailerOf(c, crcName) == crcValue) {
					t.Errorf("%v: trailer %v", mode, c.Trailer())
				}
				if n, err := c.Read(make([]byte, 1)); n != 0 || !errors.Is(err, io.EOF) {
					t.Errorf("after the end: %d, %v", n, err)
				}
			}
		}
	}
}

// trailerOf is the value of the one trailer of a name.
func trailerOf(c *sigv4.ChunkReader, name string) string {
	if values := c.Trailer()[name]; len(values) == 1 {
		return values[0]
	}
	return ""
}

// readBy reads all in pieces of at most n bytes.
func readBy(r io.Reader, n int) ([]byte, error) {
	var got []byte
	p := make([]byte, n)
	for {
		k, err := r.Read(p)
		got = append(got, p[:k]...)
		if err == io.EOF {
			return got, nil
		}
		if err != nil {
			return got, err
		}
	}
}

// bodies are a short upload and one of two chunks, with the places where
// something may happen to them: everywhere, and around the second header.
func bodies(t *testing.T, mode sigv4.Mode) map[*framed][]int {
	short, long := frame(t, mode, randomBytes(300), 300), frame(t, mode, randomBytes(8292), 8192, 100)
	second := bytes.Index(long.body, long.data[8000:8192]) + 192
	places := func(from, to int) []int {
		var p []int
		for i := from; i < to; i++ {
			p = append(p, i)
		}
		return p
	}
	return map[*framed][]int{
		&short: places(0, len(short.body)),
		&long:  append(places(0, 100), places(second-50, len(long.body))...),
	}
}

func TestChunksHoweverTheBodyArrives(t *testing.T) {
	for _, mode := range chunkedModes {
		for f, places := range bodies(t, mode) {
			for _, i := range places {
				c := f.reader(io.MultiReader(bytes.NewReader(f.body[:i]), bytes.NewReader(f.body[i:])))
				if got, err := io.ReadAll(c); err != nil || !bytes.Equal(got, f.data) {
					t.Fatalf("%v parted at %d: %d bytes, %v", mode, i, len(got), err)
				}
			}
		}
		f := frame(t, mode, randomBytes(9000), 8192, 808)
		for name, r := range map[string]io.Reader{
			"byte by byte":  iotest.OneByteReader(bytes.NewReader(f.body)),
			"end with data": iotest.DataErrReader(bytes.NewReader(f.body)),
			"halves":        iotest.HalfReader(bytes.NewReader(f.body)),
		} {
			if got, err := io.ReadAll(f.reader(r)); err != nil || !bytes.Equal(got, f.data) {
				t.Errorf("%v %s: %d bytes, %v", mode, name, len(got), err)
			}
		}
	}
}

func TestCutChunksNeverEnd(t *testing.T) {
	for _, mode := range chunkedModes {
		for f, places := range bodies(t, mode) {
			for _, i := range places {
				if _, err := f.read(f.body[:i]); code(err) != "IncompleteBody" || !errors.Is(err, io.ErrUnexpectedEOF) {
					t.Fatalf("%v cut at %d of %d: %v", mode, i, len(f.body), err)
				}
			}
		}
		f := frame(t, mode, randomBytes(9000), 8192, 808)
		for _, cause := range []error{io.ErrUnexpectedEOF, errors.New("reset")} {
			body := io.MultiReader(bytes.NewReader(f.body[:500]), iotest.ErrReader(cause))
			c := f.reader(body)
			_, err := io.ReadAll(c)
			if !errors.Is(err, cause) {
				t.Errorf("%v: %v, want %v", mode, err, cause)
			}
			if _, again := c.Read(make([]byte, 9)); !errors.Is(again, err) {
				t.Errorf("%v: the error changed from %v to %v", mode, err, again)
			}
		}
		// The end of the data is not known to be the end of the body.
		if mode == sigv4.UnsignedTrailer {
			c := f.q.Chunks(io.MultiReader(bytes.NewReader(f.body[:6+100]), iotest.ErrReader(io.ErrNoProgress)), 100, f.names)
			if _, err := io.ReadAll(c); !errors.Is(err, io.ErrNoProgress) {
				t.Errorf("excess that cannot be read: %v", err)
			}
		}
		// The client announced more than it sent: all is there but the end.
		body := io.MultiReader(bytes.NewReader(f.body), iotest.ErrReader(io.ErrUnexpectedEOF))
		if _, err := io.ReadAll(f.reader(body)); code(err) != "IncompleteBody" {
			t.Errorf("%v: %v, want IncompleteBody", mode, err)
		}
	}
}

// TestMutatedChunksNeverPass flips bits of every byte that a signature or the
// framing covers.
func TestMutatedChunksNeverPass(t *testing.T) {
	for _, mode := range []sigv4.Mode{sigv4.Signed, sigv4.SignedTrailer} {
		for f, places := range bodies(t, mode) {
			for _, i := range places {
				for _, flip := range []byte{1, 0x80} {
					b := bytes.Clone(f.body)
					b[i] ^= flip
					if _, err := f.read(b); err == nil {
						t.Fatalf("%v: byte %d changed from %q to %q passes", mode, i, f.body[i], b[i])
					}
				}
			}
		}
	}
}

// TestNothingUnverifiedIsHandedOut: of a chunk that can be verified first, no
// byte comes out when its signature is wrong; of a longer one not its end.
func TestNothingUnverifiedIsHandedOut(t *testing.T) {
	for _, tc := range []struct {
		size, max int
	}{{65536, 0}, {sigv4.VerifiedFirst, 0}, {sigv4.VerifiedFirst + 1, sigv4.VerifiedFirst}} {
		f := frame(t, sigv4.Signed, randomBytes(tc.size), tc.size)
		for _, buffer := range []int{1000, 1 << 20} {
			b := bytes.Clone(f.body)
			b[len(b)/2] ^= 1
			got, err := readBy(f.reader(bytes.NewReader(b)), buffer)
			if code(err) != "SignatureDoesNotMatch" || len(got) > tc.max {
				t.Errorf("chunk of %d, Read of %d: %d bytes came out, %v", tc.size, buffer, len(got), err)
			}
		}
	}
}

func TestChunksOfAnother(t *testing.T) {
	f, other := frame(t, sigv4.Signed, randomBytes(20_000), 8192, 8192, 3616), frame(t, sigv4.Signed, randomBytes(20_000), 10_000, 10_000)
	first := len("2000;chunk-signature=") + 64 + 2 + 8192 + 2
	swapped := append(append(append([]byte{}, f.body[first:2*first]...), f.body[:first]...), f.body[2*first:]...)
	dropped := append(append([]byte{}, f.body[:first]...), f.body[2*first:]...)
	repeated := append(append([]byte{}, f.body[:first]...), f.body...)
	for name, body := range map[string][]byte{"swapped": swapped, "dropped": dropped, "repeated": repeated} {
		if _, err := f.read(body); code(err) != "SignatureDoesNotMatch" {
			t.Errorf("%s: %v", name, err)
		}
	}
	c := f.q.Chunks(bytes.NewReader(other.body), 20_000, nil)
	if _, err := io.ReadAll(c); err != nil {
		t.Errorf("same request, other chunks: %v", err)
	}
}

const (
	cutText    = "The request body terminated unexpectedly"
	lengthText = "You did not provide the number of bytes specified by the Content-Length HTTP header"
)

func TestUnsignedChunkFaults(t *testing.T) {
	const crc = "x-amz-checksum-crc64nvme"
	const line = crc + ":dPVWc2vU1+Q=\r\n"
	for _, tc := range []struct {
		name    string
		body    string
		decoded int64
		trailer string
		code    string
		text    string
	}{
		{"good", "A\r\ndummy data\r\n0\r\n" + line + "\r\n", 10, crc, "", ""},
		{"good, lower case, leading noughts", "000a\r\ndummy data\r\n00\r\n" + line + "\r\n", 10, crc, "", ""},
		{"good, no trailer", "a\r\ndummy data\r\n0\r\n\r\n", 10, "", "", ""},
		{"good, name in capitals", "a\r\ndummy data\r\n0\r\nX-Amz-Checksum-CRC64NVME: dPVWc2vU1+Q= \r\n\r\n", 10, crc, "", ""},
		{"good, ended as minio-go does", "a\r\ndummy data\r\n0\r\n" + crc + ":dPVWc2vU1+Q=\n\r\n\r\n", 10, crc, "", ""},
		{"line feed only", "A\ndummy data\r\n0\r\n\r\n", 10, crc, "IncompleteBody", cutText},
		{"no line end after data", "A\r\ndummy data0\r\n\r\n", 10, crc, "IncompleteBody", cutText},
		{"more data than declared", "3\r\ndummy data\r\n0\r\n\r\n", 10, crc, "IncompleteBody", cutText},
		{"less data than declared", "B\r\ndummy data\r\n0\r\n\r\n", 10, crc, "IncompleteBody", cutText},
		{"header only", "A\r\n", 10, crc, "IncompleteBody", cutText},
		{"header twice", "A\r\nA\r\ndummy data\r\n0\r\n\r\n", 10, crc, "IncompleteBody", cutText},
		{"size is no number", "size\r\ndummy data\r\n0\r\n" + line + "\r\n", 10, crc, "IncompleteBody", cutText},
		{"size is signed", "+A\r\ndummy data\r\n0\r\n" + line + "\r\n", 10, crc, "IncompleteBody", cutText},
		{"size is negative", "-A\r\ndummy data\r\n0\r\n" + line + "\r\n", 10, crc, "IncompleteBody", cutText},
		{"size is prefixed", "0xA\r\ndummy data\r\n0\r\n" + line + "\r\n", 10, crc, "IncompleteBody", cutText},
		{"size overflows", "10000000000000000\r\ndummy data\r\n0\r\n\r\n", 10, crc, "IncompleteBody", cutText},
		{"size is empty", "\r\ndummy data\r\n0\r\n\r\n", 10, crc, "IncompleteBody", cutText},
		{"chunk extension", "A;x=y\r\ndummy data\r\n0\r\n\r\n", 10, crc, "IncompleteBody", cutText},
		{"endless header", strings.Repeat("0", 5000) + "A\r\ndummy data\r\n0\r\n\r\n", 10, crc, "IncompleteBody", cutText},
		{"long header", strings.Repeat("0", 1100) + "A\r\ndummy data\r\n0\r\n\r\n", 10, crc, "IncompleteBody", cutText},
		{"decoded length too small", "b\r\nabcdefghijk\r\n0\r\n\r\n", 5, "", "IncompleteBody", lengthText},
		{"decoded length too small by a chunk", "2000\r\n" + strings.Repeat("x", 8192) + "\r\n1\r\ny\r\n0\r\n\r\n", 8192, "", "IncompleteBody", lengthText},
		{"decoded length too large", "b\r\nabcdefghijk\r\n0\r\n\r\n", 200, "", "IncompleteBody", lengthText},
		{"decoded length nought", "b\r\nabcdefghijk\r\n0\r\n\r\n", 0, "", "IncompleteBody", lengthText},
		{"trailer missing", "a\r\ndummy data\r\n0\r\n\r\n", 10, crc, "MalformedTrailerError", "trailing data"},
		{"trailer not announced", "a\r\ndummy data\r\n0\r\n" + line + "\r\n", 10, "", "MalformedTrailerError", "trailing data"},
		{"trailer of another name", "a\r\ndummy data\r\n0\r\nx-amz-checksum-crc32:AAAAAA==\r\n\r\n", 10, crc, "MalformedTrailerError", "trailing data"},
		{"trailer without name", "a\r\ndummy data\r\n0\r\n:dPVWc2vU1+Q=\r\n\r\n", 10, crc, "MalformedTrailerError", "trailing data"},
		{"trailer without colon", "a\r\ndummy data\r\n0\r\n" + crc + "\r\n\r\n", 10, crc, "MalformedTrailerError", "trailing data"},
		{"trailer twice", "a\r\ndummy data\r\n0\r\n" + line + line + "\r\n", 10, crc, "MalformedTrailerError", "trailing data"},
		{"trailer sets a header", "a\r\ndummy data\r\n0\r\n" + line + "x-amz-acl:public-read\r\n\r\n", 10, crc, "MalformedTrailerError", "trailing data"},
		{"no line end after trailer", "a\r\ndummy data\r\n0\r\n" + line, 10, crc, "IncompleteBody", cutText},
		{"carriage return in trailer", "a\r\ndummy data\r\n0\r\n" + crc + ":dPV\rWc2vU1+Q=\r\n\r\n", 10, crc, "IncompleteBody", cutText},
		{"trailer ends in a line feed", "a\r\ndummy data\r\n0\r\n" + crc + ":dPVWc2vU1+Q=\n\n", 10, crc, "IncompleteBody", cutText},
		{"long trailer", "a\r\ndummy data\r\n0\r\n" + crc + ":" + strings.Repeat("x", 1100) + "\r\n\r\n", 10, crc, "IncompleteBody", cutText},
		{"endless trailer", "a\r\ndummy data\r\n0\r\n" + crc + ":" + strings.Repeat("x", 9000), 10, crc, "IncompleteBody", cutText},
		{"more after the end", "a\r\ndummy data\r\n0\r\n" + line + "\r\nx", 10, crc, "IncompleteBody", cutText},
		{"another body after the end", "a\r\ndummy data\r\n0\r\n\r\n0\r\n\r\n", 10, "", "IncompleteBody", cutText},
		{"empty body", "", 0, "", "IncompleteBody", cutText},
	} {
		t.Run(tc.name, func(t *testing.T) {
			q, _ := upload(t, sigv4.UnsignedTrailer)
			var names []string
			if tc.trailer != "" {
				names = []string{tc.trailer}
			}
			got, err := io.ReadAll(q.Chunks(strings.NewReader(tc.body), tc.decoded, names))
			if code(err) != tc.code || err != nil && !strings.Contains(err.Error(), tc.text) {
				t.Errorf("got %q, %v, want %s: %s", got, err, tc.code, tc.text)
			}
			if int64(len(got)) > tc.decoded {
				t.Errorf("%d bytes came out, announced were %d", len(got), tc.decoded)
			}
		})
	}
}

// TestSignedChunkFaults replaces part of a good body.
func TestSignedChunkFaults(t *testing.T) {
	type fault struct {
		name, old, new, code string
	}
	sig := strings.Repeat("0", 64)
	faults := func(body string, trailer bool) []fault {
		first, zero := body[strings.Index(body, "=")+1:][:64], body[strings.LastIndex(body, "0;chunk-signature=")+18:][:64]
		f := []fault{
			{"signature of the chunk", first, sig, "SignatureDoesNotMatch"},
			{"signature of the last chunk", zero, sig, "SignatureDoesNotMatch"},
			{"signature in capitals", first, strings.ToUpper(first), "SignatureDoesNotMatch"},
			{"data", "dummy data", "dummy dada", "SignatureDoesNotMatch"},
			{"size", "a;chunk", "j;chunk", "IncompleteBody"},
			{"no signature", "a;chunk-signature=" + first, "a", "IncompleteBody"},
			{"other extension", "a;chunk-signature=", "a;chunk=signature=", "IncompleteBody"},
			{"short signature", first, first[5:], "IncompleteBody"},
			{"long signature", first, first + "0", "IncompleteBody"},
			{"signature is no hex", first, first[:63] + "x", "IncompleteBody"},
			{"no line end after header", first + "\r\n", first, "IncompleteBody"},
			{"no line end after data", "data\r\n", "data", "IncompleteBody"},
			{"something after data", "data\r\n", "data???\r\n", "IncompleteBody"},
			{"no second signature", ";chunk-signature=" + zero, "", "IncompleteBody"},
		}
		if !trailer {
			return append(f,
				fault{"wrong end", zero + "\r\n\r\n", zero + "bbbb", "IncompleteBody"},
				fault{"last byte wrong", zero + "\r\n\r\n", zero + "\r\n\rs", "IncompleteBody"},
				fault{"last byte missing", zero + "\r\n\r\n", zero + "\r\n\r", "IncompleteBody"},
				fault{"trailer", zero + "\r\n\r\n", zero + "\r\nx-amz-checksum-crc32:AAAAAA==\r\n\r\n", "MalformedTrailerError"})
		}
		last := body[strings.LastIndex(body, ":")+1:][:64]
		return append(f,
			fault{"signature of the trailer", last, sig, "SignatureDoesNotMatch"},
			fault{"value of the trailer", crcValue, "AAAABB==", "SignatureDoesNotMatch"},
			fault{"name of the trailer", crcName, "x-amz-checksum-crc32", "MalformedTrailerError"},
			fault{"no trailer", crcName + ":" + crcValue + "\r\n", "", "MalformedTrailerError"},
			fault{"no trailer at all", crcName + ":" + crcValue + "\r\nx-amz-trailer-signature:" + last + "\r\n", "", "MalformedTrailerError"},
			fault{"trailer not signed", "x-amz-trailer-signature:" + last + "\r\n", "", "IncompleteBody"},
			fault{"name of the signature", "x-amz-trailer-signature", "x-aminvalidiler-signature", "IncompleteBody"},
			fault{"long signature of the trailer", last, last + "0", "IncompleteBody"},
			fault{"second trailer", last + "\r\n", last + "\r\nx-amz-acl:public-read\r\n", "MalformedTrailerError"},
			fault{"wrong end", last + "\r\n\r\n", last + "erty", "IncompleteBody"},
			fault{"more after the end", last + "\r\n\r\n", last + "\r\n\r\n0", "IncompleteBody"})
	}
	for _, mode := range []sigv4.Mode{sigv4.Signed, sigv4.SignedTrailer} {
		good := frame(t, mode, []byte("dummy data"), 10)
		for _, fault := range faults(string(good.body), mode.Trailing()) {
			body := strings.Replace(string(good.body), fault.old, fault.new, 1)
			if body == string(good.body) {
				t.Fatalf("%v %s: nothing changed", mode, fault.name)
			}
			if _, err := good.read([]byte(body)); code(err) != fault.code {
				t.Errorf("%v %s: got %v, want %s", mode, fault.name, err, fault.code)
			}
		}
	}
}

func TestSignedTrailerNeedsItsAnnouncement(t *testing.T) {
	f := frame(t, sigv4.SignedTrailer, []byte("hello"), 5)
	f.names = nil
	if _, err := f.read(f.body); code(err) != "MalformedTrailerError" {
		t.Errorf("got %v", err)
	}
}

func TestSeveralTrailers(t *testing.T) {
	q, _ := upload(t, sigv4.UnsignedTrailer)
	for body, want := range map[string]string{
		"0\r\na:1\r\nb:2\r\n\r\n":        "",
		"0\r\nb:2\r\na:1\r\n\r\n":        "",
		"0\r\na:1\r\na:2\r\n\r\n":        "MalformedTrailerError",
		"0\r\na:1\r\n\r\n":               "MalformedTrailerError",
		"0\r\na:1\r\nb:2\r\nc:3\r\n\r\n": "MalformedTrailerError",
		"0\r\na:1\r\nb:2\r\n\r\nb:2\r\n": "IncompleteBody",
	} {
		c := q.Chunks(strings.NewReader(body), 0, []string{"A", "b"})
		if _, err := io.ReadAll(c); code(err) != want {
			t.Errorf("%q: got %v, want %q", body, err, want)
		} else if want == "" && (trailerOf(c, "a") != "1" || trailerOf(c, "b") != "2") {
			t.Errorf("%q: trailer %v", body, c.Trailer())
		} else if want != "" && len(c.Trailer()) > 0 {
			t.Errorf("%q: trailer %v of a body that failed", body, c.Trailer())
		}
	}
}

func TestDecodedLengthOfSignedChunks(t *testing.T) {
	f := frame(t, sigv4.Signed, randomBytes(12), 12)
	for _, decoded := range []int64{0, 10, 11, 13, 1 << 40} {
		c := f.q.Chunks(bytes.NewReader(f.body), decoded, nil)
		if _, err := io.ReadAll(c); code(err) != "IncompleteBody" || !strings.Contains(err.Error(), lengthText) {
			t.Errorf("decoded length %d: %v", decoded, err)
		}
	}
}

func TestChunkSizes(t *testing.T) {
	for _, tc := range []struct {
		sizes []int
		bad   int // number of the chunk that is too short, 0 for none
	}{
		{[]int{8192, 8192, 100}, 0}, {[]int{100}, 0}, {[]int{10000, 9500, 20}, 0}, {[]int{8200, 8201, 10000, 10}, 0},
		{[]int{100, 8192, 100}, 1}, {[]int{8192, 10, 100}, 2}, {[]int{10, 10, 10}, 1}, {[]int{10000, 10, 8192, 8192}, 2}, {[]int{8191, 1}, 1},
	} {
		n := 0
		for _, s := range tc.sizes {
			n += s
		}
		for _, mode := range chunkedModes {
			f := frame(t, mode, randomBytes(n), tc.sizes...)
			_, err := f.read(f.body)
			want := ""
			if tc.bad > 0 {
				want = "InvalidChunkSizeError"
			}
			if code(err) != want {
				t.Errorf("%v %v: %v", mode, tc.sizes, err)
				continue
			}
			var e *sigv4.Error
			if errors.As(err, &e) && (e.Fields["Chunk"] != fmt.Sprint(tc.bad) || e.Fields["BadChunkSize"] != fmt.Sprint(tc.sizes[tc.bad-1])) {
				t.Errorf("%v %v: %v", mode, tc.sizes, e.Fields)
			}
		}
	}
}

// TestDeclaredSizeAllocatesNothing: a chunk header alone must not make us
// reserve what it declares.
func TestDeclaredSizeAllocatesNothing(t *testing.T) {
	q, s := upload(t, sigv4.Signed)
	header := s.ChunkHeader(nil, 1<<40, [32]byte{})
	const rounds = 50
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	for range rounds {
		io.ReadAll(q.Chunks(bytes.NewReader(header), 1<<41, nil))
	}
	runtime.ReadMemStats(&after)
	if perOp := (after.TotalAlloc - before.TotalAlloc) / rounds; perOp > 32<<10 {
		t.Errorf("%d bytes allocated", perOp)
	}
}

func TestEmptyRead(t *testing.T) {
	f := frame(t, sigv4.Signed, []byte("x"), 1)
	c := f.reader(bytes.NewReader(f.body))
	if n, err := c.Read(nil); n != 0 || err != nil {
		t.Errorf("got %d, %v", n, err)
	}
}

func TestChunksPanics(t *testing.T) {
	plain := simple("/b/k").handSigned("/b/k", "", simpleSigned, simpleValues(), emptyHash)
	literal := verified(t, plain.parse(t), testTime, testSecret)
	unverified, err := sigv4.Parse(plain.parse(t), testTime)
	if err != nil {
		t.Fatal(err)
	}
	for name, q := range map[string]*sigv4.Request{"not chunked": literal, "not verified": unverified} {
		func() {
			defer func() {
				if recover() == nil {
					t.Errorf("%s: no panic", name)
				}
			}()
			q.Chunks(strings.NewReader(""), 0, nil)
		}()
	}
}

// FuzzChunks feeds any body to each mode. Nothing may panic; what passes in a
// signed mode can only be the body that was signed; in the unsigned mode it
// must have the announced length.
func FuzzChunks(f *testing.F) {
	data := []byte("dummy data")
	var good [3]framed
	for i, mode := range chunkedModes {
		good[i] = frame(f, mode, data, 10)
		f.Add(i, good[i].body)
		f.Add(i, good[i].body[:len(good[i].body)-1])
	}
	f.Add(0, []byte("a\r\ndummy data\r\n0\r\n"+crcName+":AAAAAA==\n\r\n\r\n"))
	f.Add(0, []byte("ffffffffffffffff\r\n"))
	f.Add(1, []byte(";\r\n\r\n"))
	f.Fuzz(func(t *testing.T, which int, body []byte) {
		g := good[uint(which)%3]
		got, err := g.read(body)
		if slow, err2 := readBy(g.reader(iotest.OneByteReader(bytes.NewReader(body))), 3); code(err) != code(err2) || err == nil && !bytes.Equal(got, slow) {
			t.Fatalf("read at once: %v, byte by byte: %v", err, err2)
		}
		if err != nil {
			return
		}
		if len(got) != len(data) {
			t.Fatalf("%d bytes passed", len(got))
		}
		if g.q.Mode.ChunksSigned() && !bytes.Equal(got, data) {
			t.Fatalf("%q passed", got)
		}
	})
}

package gateway

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"net"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// requests are streams that are in order.
var requests = []string{
	"GET / HTTP/1.1\r\nHost: h\r\n\r\n",
	"GET / HTTP/1.0\r\n\r\n",
	"PUT /b/k HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\n\r\nhello",
	"PUT /b/k HTTP/1.1\r\nHost: h\r\ncontent-length:\t0 \r\n\r\n",
	"PUT /b/k HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n",
	"PUT /b/k HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n00a;name=value\r\n0123456789\r\n1 \r\nx\r\n000\r\nTrailer: Content-Length: 1\r\n\r\n",
	"PUT /b/k HTTP/1.1\r\nHost: h\r\nContent-Length: 43\r\n\r\nContent-Length: 1\r\nTransfer-Encoding: x\r\n\r\n\r\n",
	"PUT /b/k HTTP/1.1\r\nHost: h\r\nContent-Length-Not: 7\r\nX: Content-Length: 9\r\n\r\n",
	"POST /b HTTP/1.1\r\nHost: h\r\nContent-Length: 1\r\n\r\nx\r\n\r\nGET / HTTP/1.1\r\nHost: h\r\n\r\n",
	"GET /" + strings.Repeat("k", 70_000) + " HTTP/1.1\r\nHost: h\r\n\r\n",
}

// ambiguous are streams that two servers could frame differently.
var ambiguous = map[string]struct {
	text string
	want error
}{
	"length and chunks":         {"PUT / HTTP/1.1\r\nHost: h\r\nContent-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", errTwoFramings},
	"chunks and length":         {"PUT / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\nContent-Length: 4\r\n\r\n0\r\n\r\n", errTwoFramings},
	"in another case":           {"PUT / HTTP/1.1\r\nHost: h\r\ntransfer-ENCODING: chunked\r\nCONTENT-length: 4\r\n\r\n0\r\n\r\n", errTwoFramings},
	"length and another coding": {"PUT / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: identity\r\nContent-Length: 4\r\n\r\n", errTwoFramings},
	"two lengths":               {"PUT / HTTP/1.1\r\nHost: h\r\nContent-Length: 4\r\nContent-Length: 5\r\n\r\n", errTwoFramings},
	"one length twice":          {"PUT / HTTP/1.1\r\nHost: h\r\nContent-Length: 4\r\nContent-Length: 4\r\n\r\n", errTwoFramings},
	"two codings":               {"PUT / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n", errTwoFramings},
	"list of lengths":           {"PUT / HTTP/1.1\r\nHost: h\r\nContent-Length: 4, 4\r\n\r\n", errBadLength},
	"signed length":             {"PUT / HTTP/1.1\r\nHost: h\r\nContent-Length: +4\r\n\r\n", errBadLength},
	"negative length":           {"PUT / HTTP/1.1\r\nHost: h\r\nContent-Length: -4\r\n\r\n", errBadLength},
	"no number":                 {"PUT / HTTP/1.1\r\nHost: h\r\nContent-Length:\r\n\r\n", errBadLength},
	"hexadecimal length":        {"PUT / HTTP/1.1\r\nHost: h\r\nContent-Length: 0x4\r\n\r\n", errBadLength},
	"chunks before chunks were": {"PUT / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", errOldChunked},
	"folded":                    {"PUT / HTTP/1.1\r\nHost: h\r\nX: a\r\n Content-Length: 4\r\n\r\n", errFolded},
	"folded by a tab":           {"PUT / HTTP/1.1\r\nHost: h\r\nContent-Length:\r\n\t4\r\n\r\n", errBadLength},
	"bare LF in the first line": {"PUT / HTTP/1.1\nHost: h\r\n\r\n", errBareLF},
	"bare LF in a header":       {"PUT / HTTP/1.1\r\nHost: h\nX: y\r\n\r\n", errBareLF},
	"bare LF at the end":        {"PUT / HTTP/1.1\r\nHost: h\r\n\n", errBareLF},
	"bare LF after a chunk":     {"PUT / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nx\n0\r\n\r\n", errBareLF},
	"chunk of no size":          {"PUT / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n\r\n", errBadChunk},
	"chunk of an odd size":      {"PUT / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n0x1\r\nx\r\n0\r\n\r\n", errBadChunk},
	"chunk of a huge size":      {"PUT / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\nffffffffffffffff\r\n", errBadChunk},
	"chunk that is longer":      {"PUT / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nxy\r\n0\r\n\r\n", errBadChunk},
	"second request":            {"GET / HTTP/1.1\r\nHost: h\r\n\r\nPUT / HTTP/1.1\r\nContent-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n", errTwoFramings},
	"after a body":              {"PUT / HTTP/1.1\r\nContent-Length: 1\r\n\r\nxPUT / HTTP/1.1\r\nContent-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n", errTwoFramings},
	"after chunks":              {"PUT / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\nPUT / HTTP/1.1\r\nContent-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n", errTwoFramings},
	"line without end":          {"GET /" + strings.Repeat("k", maxLine) + " HTTP/1.1\r\n\r\n", errLongLine},
}

// scanned scans text in pieces of the size and returns the ends of its
// requests.
func scanned(text []byte, size int) (ends []int, clean int, err error) {
	var f framing
	for at := 0; at < len(text); {
		piece := text[at:min(at+size, len(text))]
		n, err := f.scan(piece)
		if at += n; err != nil {
			return ends, at, err
		}
		if size == 1 && f.expect == requestLine && len(f.part) == 0 {
			ends = append(ends, at)
		}
	}
	return ends, len(text), nil
}

func TestFramingInOrder(t *testing.T) {
	for _, text := range append(requests, strings.Join(requests, "")) {
		for _, size := range []int{1, 2, 3, 7, 1000, len(text)} {
			if _, _, err := scanned([]byte(text), size); err != nil {
				t.Errorf("%.200q in pieces of %d: %v", text, size, err)
			}
		}
	}
}

func TestFramingInDoubt(t *testing.T) {
	for name, tc := range ambiguous {
		for _, size := range []int{1, 2, 3, 7, 1000, len(tc.text)} {
			_, clean, err := scanned([]byte(tc.text), size)
			if !errors.Is(err, tc.want) {
				t.Errorf("%s, in pieces of %d: %v, want %v", name, size, err, tc.want)
			}
			if _, err := http.ReadRequest(bufio.NewReader(strings.NewReader(tc.text[:clean]))); err == nil && !strings.Contains(tc.text[:clean], "\r\n\r\n") {
				t.Errorf("%s, in pieces of %d: what was let through is a request", name, size)
			}
		}
	}
}

// TestHalfCloseIsAskedFor of the connection below, which may not know it.
func TestHalfCloseIsAskedFor(t *testing.T) {
	client, server := net.Pipe()
	defer client.Close()
	defer server.Close()
	if err := (&strictConn{Conn: server}).CloseWrite(); !errors.Is(err, errors.ErrUnsupported) {
		t.Errorf("a pipe: %v", err)
	}
}

// TestFramingForgets: a long line does not stay in memory as long as its
// connection does.
func TestFramingForgets(t *testing.T) {
	var f framing
	text := []byte(requests[len(requests)-1])
	f.scan(text[:60_000])
	f.scan(text[60_000:])
	if cap(f.part) > keepLine {
		t.Errorf("%d bytes are kept", cap(f.part))
	}
}

// goEnds are the ends of the requests of a stream as net/http sees them.
func goEnds(text []byte) (ends []int) {
	src := bytes.NewReader(text)
	br := bufio.NewReader(src)
	for {
		r, err := http.ReadRequest(br)
		if err != nil {
			return ends
		}
		if _, err := io.Copy(io.Discard, r.Body); err != nil {
			return ends
		}
		ends = append(ends, len(text)-src.Len()-br.Buffered())
	}
}

// FuzzFraming: wherever net/http and we both see requests, they end at the same
// byte, and how the stream is cut into pieces changes nothing.
func FuzzFraming(f *testing.F) {
	for _, text := range requests[:9] { // not the long one
		f.Add([]byte(text))
	}
	for _, tc := range ambiguous {
		if len(tc.text) < maxLine {
			f.Add([]byte(tc.text))
		}
	}
	f.Add([]byte(strings.Join(requests[:9], "")))
	f.Fuzz(func(t *testing.T, text []byte) {
		ends, clean, err := scanned(text, 1)
		for _, size := range []int{2, 5, 64, max(len(text), 1)} {
			_, n, other := scanned(text, size)
			if !errors.Is(other, err) || err == nil && n != clean || n > clean {
				t.Errorf("pieces of %d: %d bytes, %v; single bytes: %d, %v", size, n, other, clean, err)
			}
		}
		for _, end := range goEnds(text) {
			if end > clean || err != nil && end >= clean {
				break // we have refused what net/http takes
			}
			if !slices.Contains(ends, end) {
				t.Errorf("net/http sees a request that ends at %d, we at %v: %s", end, ends, strconv.Quote(string(text)))
			}
		}
	})
}

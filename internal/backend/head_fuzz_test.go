package backend

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"maps"
	"net"
	"net/http"
	"slices"
	"testing"
	"testing/iotest"
)

// heads are answers, and what is nearly one.
var heads = []string{
	"HTTP/1.1 200 OK\r\nETag: \"e\"\r\nContent-Length: 3\r\n\r\nabc",
	"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nabcdef",
	"HTTP/1.1 200\r\nContent-Length: 0\r\n\r\n",
	"HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nContent-Length: 1\r\n\r\nx",
	"HTTP/1.1 200 OK\r\n\r\nuntil the end",
	"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n",
	"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3;x=y\r\nabc\r\n0\r\nA: b\r\n\r\nmore",
	"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nContent-Length: 3\r\n\r\n0\r\n\r\n",
	"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
	"HTTP/1.1 200 OK\r\nContent-Length: 3\r\nContent-Length: 3\r\n\r\nabc",
	"HTTP/1.1 200 OK\r\nContent-Length: +3\r\n\r\nabc",
	"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 206 Partial Content\r\nContent-Range: bytes 0-0/2\r\nContent-Length: 1\r\n\r\na",
	"HTTP/1.1 101 Switching Protocols\r\n\r\n",
	"HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\nHTTP/1.1 304 Not Modified\r\nContent-Length: 7\r\n\r\n",
	"HTTP/1.1 404 Not Found\r\nx-amz-meta-a: 1\r\nX-Amz-Meta-A: 2\r\nConnection: close\r\nContent-Length: 0\r\n\r\n",
	"HTTP/1.1 200 OK\r\nA: b\r\n c\r\nContent-Length: 0\r\n\r\n",
	"HTTP/1.1 200 OK\r\nA : b\r\nContent-Length: 0\r\n\r\n",
	"HTTP/1.1 200 OK\nContent-Length: 0\n\n",
	"HTTP/1.1 200 OK\r\nA: b\nContent-Length: 0\r\n\r\n",
	"HTTP/2.0 200 OK\r\n\r\n", "ICY 200 OK\r\n\r\n", "\r\n\r\n", "",
	"HTTP/1.1 20 OK\r\n\r\n", "HTTP/1.1 2000 OK\r\n\r\n", "HTTP/1.1 999 OK\r\n\r\n",
}

// understood is an answer to a GET, read to its end, as some reader understood it.
type understood struct {
	status int
	length int64
	header http.Header
	body   []byte
	err    error // of the body
	last   bool
}

// ours reads an answer as an exchange does.
func ours(text []byte, chop bool) (understood, *answer, error) {
	var r io.Reader = bytes.NewReader(text)
	if chop {
		r = iotest.OneByteReader(r)
	}
	a := &answer{conn: &conn{Conn: readConn{r: r}}}
	h, rest, err := readHead(a.conn, nil, func(int) {})
	if err != nil {
		return understood{}, a, err
	}
	a.rest = rest
	resp := a.response(h, http.MethodGet)
	u := understood{status: resp.StatusCode, length: resp.ContentLength, header: resp.Header, last: a.last}
	u.body, u.err = io.ReadAll(resp.Body)
	return u, a, nil
}

// readConn is a connection that only gives.
type readConn struct {
	net.Conn
	r io.Reader
}

func (c readConn) Read(p []byte) (int, error) { return c.r.Read(p) }

// theirs reads an answer as net/http does.
func theirs(text []byte) (understood, error) {
	r := bufio.NewReader(bytes.NewReader(text))
	resp, err := http.ReadResponse(r, nil)
	for err == nil && resp.StatusCode < 200 {
		resp, err = http.ReadResponse(r, nil)
	}
	if err != nil {
		return understood{}, err
	}
	defer resp.Body.Close()
	u := understood{status: resp.StatusCode, length: resp.ContentLength, header: resp.Header, last: resp.Close}
	u.body, u.err = io.ReadAll(resp.Body)
	return u, nil
}

// FuzzHead: what we take for an answer net/http takes for the same one, and what
// it ends connections for, we do. The other way round it is more lenient.
func FuzzHead(f *testing.F) {
	for _, s := range heads {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		got, a, err := ours(text, false)
		again, _, errAgain := ours(text, true)
		if (err == nil) != (errAgain == nil) || err == nil && (got.status != again.status || !bytes.Equal(got.body, again.body)) {
			t.Fatalf("in one piece %+v, %v; byte by byte %+v, %v", got, err, again, errAgain)
		}
		if err != nil {
			return
		}
		if a.whole.Load() && got.err != nil {
			t.Fatalf("whole, and yet %v", got.err)
		}
		want, err := theirs(text)
		if err != nil {
			if got.header["Trailer"] == nil { // which may announce what net/http does not take
				t.Fatalf("net/http refuses it: %v", err)
			}
			return
		}
		for _, h := range []http.Header{got.header, want.header} {
			delete(h, "Transfer-Encoding")
			delete(h, "Trailer")
			delete(h, "Connection")
		}
		if got.status != want.status || !maps.EqualFunc(got.header, want.header, slices.Equal) {
			t.Fatalf("%+v, net/http %+v", got, want)
		}
		if want.last && !got.last {
			t.Fatal("net/http would not use the connection again")
		}
		if got.status != http.StatusNoContent && got.status != http.StatusNotModified && got.length != want.length {
			t.Fatalf("%d bytes, net/http %d", got.length, want.length)
		}
		if got.err == nil && (want.err != nil || !bytes.Equal(got.body, want.body)) {
			t.Fatalf("body %q, net/http %q, %v", got.body, want.body, want.err)
		}
	})
}

// TestHeadsThatAreRefused: what a server in between could read in another way.
func TestHeadsThatAreRefused(t *testing.T) {
	long := "HTTP/1.1 200 OK\r\nA: " + string(make([]byte, 10)) + "\r\n\r\n"
	many := "HTTP/1.1 200 OK\r\n" + string(bytes.Repeat([]byte("A: b\r\n"), maxFields+1)) + "\r\n"
	endless := "HTTP/1.1 200 OK\r\n" + string(bytes.Repeat([]byte("A: b\r\n"), maxHead/6+1))
	interims := string(bytes.Repeat([]byte("HTTP/1.1 102 X\r\n\r\n"), maxInterim+1)) + "HTTP/1.1 200 OK\r\n\r\n"
	for text, want := range map[string]error{
		heads[7]: errFraming, heads[8]: errFraming, heads[9]: errFraming, heads[10]: errFraming,
		heads[12]: ErrAnswer, heads[15]: errBadField, heads[16]: errBadField, heads[17]: errBareLF, heads[18]: errBareLF,
		heads[19]: errBadLine, heads[20]: errBadLine, heads[21]: errBadLine, heads[22]: errNoAnswer,
		heads[23]: errBadLine, heads[24]: errBadLine, heads[25]: errBadLine,
		"HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n": errFraming,
		"HTTP/1.1 200 OK": errNoAnswer, long: errBadField, many: errLongHead, endless: errLongHead, interims: ErrAnswer,
	} {
		for _, chop := range []bool{false, true} {
			if _, _, err := ours([]byte(text), chop); !errors.Is(err, want) {
				t.Errorf("%.60q: %v, want %v", text, err, want)
			}
		}
	}
}

// TestAnswersAreReadToTheirEnd: when a connection may serve others.
func TestAnswersAreReadToTheirEnd(t *testing.T) {
	for text, want := range map[string]struct {
		body  string
		fails bool
		whole bool
		last  bool
	}{
		heads[0]:  {"abc", false, true, false},
		heads[1]:  {"abc", false, false, false}, // somebody's bytes follow
		heads[3]:  {"x", false, true, true},
		heads[4]:  {"until the end", false, false, true},
		heads[5]:  {"abc", false, true, false},
		heads[6]:  {"abc", false, false, false},
		heads[11]: {"a", false, true, false},
		heads[13]: {"", false, true, false},
		heads[14]: {"", false, true, true},
		"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nabc":                                         {"abc", true, false, false},
		"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n":                       {"abc", true, false, false},
		"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\nno header\r\n\r\n": {"abc", true, false, false},
		"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\nA: b\n\r\n":        {"abc", true, false, false},
		"HTTP/1.1 200 OK\r\nConnection: Keep-Alive, Close\r\nContent-Length: 0\r\n\r\n":           {"", false, true, true},
		"HTTP/1.1 204 X\r\nContent-Length: 5\r\n\r\n":                                             {"", false, true, false},
	} {
		got, a, err := ours([]byte(text), false)
		if err != nil {
			t.Errorf("%q: %v", text, err)
			continue
		}
		if string(got.body) != want.body || (got.err != nil) != want.fails || a.whole.Load() != want.whole || a.last != want.last {
			t.Errorf("%q: %q, %v, whole %v, last %v", text, got.body, got.err, a.whole.Load(), a.last)
		}
	}
}

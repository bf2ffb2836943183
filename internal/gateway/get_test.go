package gateway_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/s3mirror/s3mirror/internal/object"
	"github.com/s3mirror/s3mirror/internal/s3"
)

var errReplica = errors.New("every replica died")

// failing ends in an error after n bytes.
func failing(n int64) func(io.Reader) io.Reader {
	return func(r io.Reader) io.Reader {
		return io.MultiReader(io.LimitReader(r, n), readerFunc(func([]byte) (int, error) { return 0, errReplica }))
	}
}

// TestBodyThatBreaksOffIsCut: a body that cannot be sent to its end never ends
// cleanly, at whichever byte it breaks off.
func TestBodyThatBreaksOffIsCut(t *testing.T) {
	f := newFixture(t)
	f.put(t, "/photos/k", strings.Repeat("x", 1<<20))
	for _, n := range []int64{1, 1000, 4096, 1 << 19, 1<<20 - 1} {
		for name, body := range map[string]func(io.Reader) io.Reader{
			"fails":           failing(n),
			"ends":            func(r io.Reader) io.Reader { return io.LimitReader(r, n) },
			"fails with data": func(r io.Reader) io.Reader { return &lastRead{r: io.LimitReader(r, n)} },
		} {
			f.body = body
			a, err := readAnswer("GET", f.raw(t, get("/photos/k").text(f.addr)))
			if !errors.Is(err, io.ErrUnexpectedEOF) || n > 4096 && a.status != 200 || int64(len(a.body)) > n {
				t.Errorf("%s after %d bytes: %d bytes came, then %v", name, n, len(a.body), err)
			}
			if line := f.log.last(t); line["cut"] != true || line["status"] != 200.0 {
				t.Errorf("%s after %d bytes: logged %v", name, n, line)
			}
		}
	}
	if n := f.counter(t, "s3mirror_gateway_requests_total", "GetObject", "cut"); n != 15 {
		t.Errorf("%v counted as cut", n)
	}
}

// lastRead gives its error together with the last data.
type lastRead struct{ r io.Reader }

func (l *lastRead) Read(p []byte) (int, error) {
	n, err := l.r.Read(p)
	if n > 0 && l.r.(*io.LimitedReader).N == 0 {
		err = errReplica
	}
	return n, err
}

// TestBodyThatIsTooLong must not reach into the next answer.
func TestBodyThatIsTooLong(t *testing.T) {
	f := newFixture(t)
	f.body = func(r io.Reader) io.Reader { return io.MultiReader(r, strings.NewReader("HTTP/1.1 200 OK\r\n\r\n")) }
	for _, size := range []int{11, 1 << 20} {
		f.put(t, "/photos/k", strings.Repeat("x", size))
		raw := f.raw(t, get("/photos/k").text(f.addr))
		if _, body, _ := strings.Cut(raw, "\r\n\r\n"); len(body) > size {
			t.Errorf("sent %d bytes of %d", len(body), size)
		}
		if line := f.log.last(t); line["cut"] != true {
			t.Errorf("logged %v", line)
		}
	}
}

// TestBodyThatFailsAtOnce has an answer of its own.
func TestBodyThatFailsAtOnce(t *testing.T) {
	f := newFixture(t, debugHeaders)
	f.put(t, "/photos/k", "hello world", "X-Amz-Meta-A", "b", "Cache-Control", "no-cache")
	f.body = failing(0)
	a := f.send(t, get("/photos/k"))
	if a.String() != "500 InternalError" || strings.Contains(a.body, errReplica.Error()) {
		t.Errorf("answered %s", a.raw)
	}
	for name := range a.header {
		switch name {
		case "Content-Length", "Content-Type", "Connection", "Date", "Server", "X-Amz-Id-2", "X-Amz-Request-Id":
		default:
			t.Errorf("the error has the header %s", name)
		}
	}
	f.body = func(io.Reader) io.Reader { return strings.NewReader("") }
	if a := f.send(t, get("/photos/k")); a.String() != "500 InternalError" {
		t.Errorf("an end at once: %s", a.raw)
	}
}

// TestWholeBodies: what went in comes out, of every size that matters.
func TestWholeBodies(t *testing.T) {
	f := newFixture(t)
	for _, size := range []int{0, 1, 2047, 2048, 4096, 32 << 10, 256 << 10, 5<<20 + 1} {
		data := make([]byte, size)
		rand.NewChaCha8([32]byte{byte(size)}).Read(data)
		f.put(t, "/photos/k", string(data))
		a := f.send(t, get("/photos/k"))
		if !bytes.Equal([]byte(a.body), data) {
			t.Errorf("%d bytes: got %d others", size, len(a.body))
		}
	}
}

// TestSmallBodiesLeaveWithTheirHead: in one write, and so in one read of a pipe.
func TestSmallBodiesLeaveWithTheirHead(t *testing.T) {
	f := newHandler(newStore("photos"))
	for _, tc := range []struct {
		size  int
		whole bool
	}{{3, true}, {4096, true}, {32<<10 - 1, true}, {32 << 10, false}, {4096, true}} {
		f.replace("photos", "k", strings.Repeat("x", tc.size))
		c := connect(t, f)
		if _, err := io.WriteString(c, get("/photos/k").text("pipe")); err != nil {
			t.Fatal(err)
		}
		piece := make([]byte, 64<<10)
		n, err := c.Read(piece)
		if err != nil {
			t.Fatal(err)
		}
		_, body, _ := strings.Cut(string(piece[:n]), "\r\n\r\n")
		if !strings.HasPrefix(string(piece[:n]), "HTTP/1.1 200 ") || (len(body) == tc.size) != tc.whole {
			t.Errorf("%d bytes: the first write has %d of them: %.20q", tc.size, len(body), piece[:n])
		}
		if _, err := io.CopyN(io.Discard, c, int64(tc.size-len(body))); err != nil {
			t.Fatal(err)
		}
	}
}

// TestWhatReadsAskFor: a request of its own only where the answer is likely to
// have no body.
func TestWhatReadsAskFor(t *testing.T) {
	f := newFixture(t)
	f.put(t, "/photos/k", "hello world")
	for _, tc := range []struct {
		headers []string
		want    []string
	}{
		{nil, []string{"Get"}},
		{[]string{"Range", "bytes=0-1", "If-Match", helloETag}, []string{"Get"}},
		{[]string{"Range", "bytes=0-1", "If-Range", helloETag}, []string{"Get"}},
		{[]string{"If-None-Match", helloETag}, []string{"Head"}},
		{[]string{"If-None-Match", `"other"`}, []string{"Head", "Get"}},
		{[]string{"If-Modified-Since", "Wed, 04 Mar 2026 05:06:07 GMT"}, []string{"Head"}},
	} {
		f.called()
		f.send(t, get("/photos/k", tc.headers...))
		if got := f.called(); !slices.Equal(got, tc.want) {
			t.Errorf("%v: called %v, want %v", tc.headers, got, tc.want)
		}
	}
}

// TestConditionsAreOnTheServedVersion: the version may be replaced between the
// look and the read.
func TestConditionsAreOnTheServedVersion(t *testing.T) {
	f := newFixture(t)
	for _, tc := range []struct {
		headers []string
		status  int
		body    string
	}{
		{[]string{"If-None-Match", `"new"`}, 304, ""},
		{[]string{"If-None-Match", `"other"`}, 200, "new"},
		{[]string{"If-None-Match", `"other"`, "If-Match", helloETag}, 412, ""},
		{[]string{"If-None-Match", `"other"`, "Range", "bytes=0-1", "If-Range", helloETag}, 200, "new"},
	} {
		f.before = nil
		f.put(t, "/photos/k", "hello world")
		f.before = func(_ context.Context, method string) error {
			if method == "Get" {
				f.replace("photos", "k", "new")
			}
			return nil
		}
		a := f.send(t, get("/photos/k", tc.headers...))
		if a.status != tc.status || tc.body != "" && a.body != tc.body {
			t.Errorf("%v: %s", tc.headers, a.raw)
		}
		if a.status < 400 && a.header.Get("ETag") != `"new"` {
			t.Errorf("%v: the ETag is %s", tc.headers, a.header.Get("ETag"))
		}
	}
}

// TestVersionThatGoesAway between the look and the read.
func TestVersionThatGoesAway(t *testing.T) {
	f := newFixture(t)
	f.put(t, "/photos/k", "hello world")
	f.before = func(_ context.Context, method string) error {
		if method == "Get" {
			return s3.Err(s3.NoSuchKey)
		}
		return nil
	}
	if a := f.send(t, get("/photos/k", "If-None-Match", `"other"`)); a.String() != "404 NoSuchKey" || a.header.Get("ETag") != "" {
		t.Errorf("answered %s", a.raw)
	}
}

// replace puts another version in the place of an object, under an ETag that
// its text begins with.
func (s *store) replace(bucket, key, text string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.buckets[bucket][key] = &stored{data: []byte(text), info: object.Info{
		Kind: object.Present, ETag: text[:3], Size: int64(len(text)), ModTime: testTime,
	}}
}

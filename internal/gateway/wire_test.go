package gateway_test

import (
	"bufio"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/s3mirror/s3mirror/internal/sigv4"
)

// insert puts a line, or what looks like one, behind the request line.
func insert(text, line string) string {
	first, rest, _ := strings.Cut(text, "\r\n")
	return first + "\r\n" + line + rest
}

// TestSmuggling: a request that a server in front of us could frame otherwise
// is refused, ends the connection, and leaves nothing.
func TestSmuggling(t *testing.T) {
	f := newFixture(t)
	signed := func(a ask) string { a.keep = true; return a.text(f.addr) }
	chunks := framed("/photos/k", "hello world", sigv4.UnsignedTrailer)
	chunks.keep = true
	put := signed(upload("/photos/k", "hello world"))
	for name, text := range map[string]string{
		"length beside chunks":       insert(chunks.encode(f.addr, "chunked"), "Content-Length: 7\r\n"),
		"chunks beside a length":     insert(put, "Transfer-Encoding: chunked\r\n"),
		"two lengths":                insert(put, "Content-Length: 7\r\n"),
		"one length twice":           insert(put, "Content-Length: 11\r\n"),
		"folded header":              insert(put, "X-Folded: a\r\n Transfer-Encoding: chunked\r\n"),
		"bare LF":                    insert(put, "X-Bare: a\n"),
		"blank before the colon":     insert(put, "Content-Length : 7\r\n"),
		"chunks of HTTP/1.0":         strings.Replace(chunks.encode(f.addr, "chunked"), "HTTP/1.1", "HTTP/1.0", 1),
		"NUL in a header":            insert(put, "X-Nul: a\x00b\r\n"),
		"two hosts":                  insert(put, "Host: other\r\n"),
		"no host":                    strings.Replace(put, "Host: "+f.addr+"\r\n", "", 1),
		"blank in the target":        strings.Replace(put, "/photos/k", "/photos/k k", 1),
		"broken escape":              strings.Replace(put, "/photos/k", "/photos/%zz", 1),
		"second on the connection":   signed(get("/photos/absent")) + insert(put, "Transfer-Encoding: chunked\r\n"),
		"hidden behind a short body": signed(upload("/nothing/k", "x")) + insert(put, "Transfer-Encoding: chunked\r\n"),
	} {
		raw := f.raw(t, text+"GET /hidden HTTP/1.1\r\nHost: h\r\n\r\n")
		answers := strings.Split(raw, "HTTP/1.1 ")[1:]
		if last := answers[len(answers)-1]; !strings.HasPrefix(last, "400 ") {
			t.Errorf("%s: answered %q", name, raw)
		}
		for _, line := range f.log.lines(t) {
			if line["path"] == "/hidden" || line["bucket"] == "hidden" {
				t.Errorf("%s: a hidden request was seen", name)
			}
		}
	}
	if got := f.snapshot(); len(got) != 1 {
		t.Errorf("left %v", got)
	}
}

// TestOtherCodingsAreNotKnown: what net/http answers itself is no 2xx.
func TestOtherCodingsAreNotKnown(t *testing.T) {
	f := newFixture(t)
	a := upload("/photos/k", "hello world")
	a.keep = true
	for _, coding := range []string{"gzip", "identity", "chunked, gzip", "gzip, chunked", " chunked x"} {
		text := strings.Replace(a.text(f.addr), "Content-Length: 11\r\n", "Transfer-Encoding: "+coding+"\r\n", 1)
		if raw := f.raw(t, text); !strings.HasPrefix(raw, "HTTP/1.1 501 ") {
			t.Errorf("%s: %q", coding, raw)
		}
	}
	if got := f.snapshot(); len(got) != 1 {
		t.Errorf("left %v", got)
	}
}

// TestHeadTooLarge is net/http's too.
func TestHeadTooLarge(t *testing.T) {
	f := newFixture(t)
	a := get("/photos/k", "X-Big", strings.Repeat("x", 80<<10))
	a.keep = true
	if raw := f.raw(t, a.text(f.addr)); !strings.HasPrefix(raw, "HTTP/1.1 431 ") {
		t.Errorf("answered %.200q", raw)
	}
}

// TestTrailersOfHTTP cannot bring what a signature must cover.
func TestTrailersOfHTTP(t *testing.T) {
	f := newFixture(t)
	a := framed("/photos/k", "hello world", sigv4.UnsignedTrailer)
	text := insert(a.encode(f.addr, "chunked"), "Trailer: X-Amz-Meta-Forged, If-None-Match\r\n")
	text = strings.TrimSuffix(text, "\r\n") + "X-Amz-Meta-Forged: 1\r\nIf-None-Match: *\r\nX-Amz-Copy-Source: /photos/other\r\n\r\n"
	if got := parse(t, "PUT", f.raw(t, text)); got.status != 200 {
		t.Errorf("answered %s", got.raw)
	}
	if got := f.send(t, get("/photos/k")); got.body != "hello world" || got.header.Get("X-Amz-Meta-Forged") != "" {
		t.Errorf("stored %s", got.raw)
	}
}

// TestHopByHop: a name in Connection takes nothing away.
func TestHopByHop(t *testing.T) {
	f := newFixture(t)
	a := upload("/photos/k", "hello world", "X-Amz-Meta-A", "b")
	a.after = func(h http.Header) {
		h["Connection"] = []string{"close, authorization, x-amz-meta-a, x-amz-content-sha256"}
	}
	a.keep = true
	if got := f.send(t, a); got.status != 200 {
		t.Errorf("answered %s", got.raw)
	}
	if got := f.send(t, head("/photos/k")); got.header.Get("X-Amz-Meta-A") != "b" {
		t.Errorf("stored %s", got.raw)
	}
}

// TestKeysAreBytes: nothing cleans a path, and no redirect says so.
func TestKeysAreBytes(t *testing.T) {
	f := newFixture(t)
	for path, key := range map[string]string{
		"/photos//a//b": "/a//b", "/photos/./a": "./a", "/photos/a/../b": "a/../b", "/photos/%2e%2e/b": "../b", "/photos/a%2Fb": "a/b",
		"/photos/a+b%20c": "a+b c", "/photos/%C3%A9": "é", "/photos/a;b=c&d": "a;b=c&d", "/photos/dir/": "dir/", `/photos/a\b`: `a\b`,
		"/photos/" + strings.Repeat("%41", 1024): strings.Repeat("A", 1024),
	} {
		f.put(t, path, key)
		if got := f.snapshot()["photos/"+key]; got != key {
			t.Errorf("%s is not stored under %q", path, key)
		}
		if got := f.send(t, get(path)); got.body != key {
			t.Errorf("%s: %s", path, got.raw)
		}
	}
	for _, path := range []string{"/photos/%ff", "/photos/%00", "/photos/.s3mirror/x", "/photos/%2es3mirror%2fx", "/photos/x/../.s3mirror/y"} {
		if got := f.send(t, upload(path, "x")); got.status/100 != 4 {
			t.Errorf("%s: %s", path, got.raw)
		}
	}
}

// TestAbsoluteForm names a host that no signature covers.
func TestAbsoluteForm(t *testing.T) {
	f := newFixture(t)
	text := upload("/photos/k", "hello world").text(f.addr)
	if got := parse(t, "PUT", f.raw(t, strings.Replace(text, "PUT /", "PUT http://other/", 1))); got.status/100 != 4 {
		t.Errorf("answered %s", got.raw)
	}
}

// TestVirtualHost: the bucket comes from the host below a domain of ours, and
// from nowhere else.
func TestVirtualHost(t *testing.T) {
	f := newFixture(t)
	a := upload("/k", "hello world")
	a.host = "photos.s3.test:9000"
	if got := f.send(t, a); got.status != 200 {
		t.Errorf("answered %s", got.raw)
	}
	a = get("/photos/k", "X-Forwarded-Host", "other.s3.test")
	a.host = "photos.elsewhere.test"
	if got := f.send(t, a); got.body != "hello world" {
		t.Errorf("answered %s", got.raw)
	}
}

// TestManyRequestsOnOneConnection, errors among them.
func TestManyRequestsOnOneConnection(t *testing.T) {
	f := newFixture(t)
	c := f.dial(t)
	r := bufio.NewReader(c)
	for i := range 50 {
		a := [...]ask{upload("/photos/k", "x"), get("/photos/k"), get("/photos/absent"), head("/photos/k"), get("/photos"), get("/photos/k", "If-None-Match", "*"),
			get("/photos/k", "Range", "bytes=9-"), remove("/photos/absent")}[i%8]
		a.keep = true
		io.WriteString(c, a.text(f.addr))
		resp, err := http.ReadResponse(r, &http.Request{Method: a.method})
		if err != nil || resp.Close {
			t.Fatalf("request %d: %v, %v", i, resp, err)
		}
		io.Copy(io.Discard, resp.Body)
	}
}

// TestPipelining: answers come in order.
func TestPipelining(t *testing.T) {
	f := newFixture(t)
	c := f.dial(t)
	var all strings.Builder
	for i := range 10 {
		a := upload(fmt.Sprintf("/photos/%d", i), strings.Repeat("x", i*1000))
		a.keep = true
		all.WriteString(a.text(f.addr))
	}
	go io.WriteString(c, all.String())
	r := bufio.NewReader(c)
	for i := range 10 {
		if resp, err := http.ReadResponse(r, nil); err != nil || resp.StatusCode != 200 {
			t.Fatalf("answer %d: %v, %v", i, resp, err)
		}
	}
	if got := f.snapshot(); len(got["photos/9"]) != 9000 {
		t.Errorf("stored %d bytes", len(got["photos/9"]))
	}
}

// TestServerBounds: what is bounded and what must not be.
func TestServerBounds(t *testing.T) {
	s := newServer(newHandler(newStore()).handler)
	if s.ReadHeaderTimeout != 10*time.Second || s.IdleTimeout != 2*time.Minute || s.MaxHeaderBytes != 64<<10 ||
		s.ReadTimeout != 0 || s.WriteTimeout != 0 || s.Protocols.HTTP2() || !s.Protocols.HTTP1() {
		t.Errorf("%+v", s)
	}
}

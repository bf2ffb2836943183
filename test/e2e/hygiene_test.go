//go:build e2e

package e2e

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"fmt"
	"io"
	"net"
	"net/http"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/s3mirror/s3mirror/test/e2e/harness"
	"github.com/s3mirror/s3mirror/test/e2e/wire"
)

// line is one connection to a gateway, on which requests are written byte by byte as a
// test wants them.
type line struct {
	t    *testing.T
	g    *harness.Gateway
	conn net.Conn
	r    *bufio.Reader
}

func dialLine(t *testing.T, g *harness.Gateway) *line {
	t.Helper()
	conn, err := net.Dial("tcp", g.S3Addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	if err := conn.SetDeadline(time.Now().Add(2 * time.Minute)); err != nil { // nothing here may hang for ever
		t.Fatal(err)
	}
	return &line{t, g, conn, bufio.NewReader(conn)}
}

// head is the signed head of a request whose body is announced and not sent.
func (l *line) head(method, path, query string, size int64, header ...wire.Field) []byte {
	r := wire.Request{Method: method, Host: l.g.S3Addr, Path: path, Query: query, Header: header}
	payload := "UNSIGNED-PAYLOAD"
	if size >= 0 {
		r.Header = append(r.Header, wire.Field{Name: "Content-Length", Value: fmt.Sprint(size)})
	} else {
		payload = wire.Hash(nil)
	}
	l.g.Keys.Sign(&r, payload, time.Now())
	return r.Head()
}

func (l *line) write(data []byte) {
	l.t.Helper()
	if _, err := l.conn.Write(data); err != nil {
		l.t.Fatalf("write: %v", err)
	}
}

// answer reads one answer with its body.
func (l *line) answer(method string) (*http.Response, string) {
	l.t.Helper()
	resp, err := http.ReadResponse(l.r, &http.Request{Method: method})
	if err != nil {
		l.t.Fatalf("no answer to %s: %v", method, err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		l.t.Fatalf("answer to %s breaks off after %d bytes: %v", method, len(body), err)
	}
	return resp, string(body)
}

// ended tells whether the gateway closes the connection, and fails if it says more.
func (l *line) ended() {
	l.t.Helper()
	if n, err := io.Copy(io.Discard, l.r); n > 0 {
		l.t.Errorf("%d bytes follow the last answer (%v)", n, err)
	}
}

// TestEarlyErrors: a client that pushes a body which is refused for its head reads the
// answer, whole, whether it waits for 100 Continue or not.
func TestEarlyErrors(t *testing.T) {
	t.Parallel()
	g := harness.StartGateway(t, harness.StartBackends(t, 1), harness.Options{})
	createBucket(t, g.Client, "proof")
	const size = 64 << 20
	wrong := wire.Field{Name: "If-None-Match", Value: "*"}
	if a, err := g.Client.Put(t.Context(), "proof", "there", wire.Literal, []byte("x")); err != nil || a.Status != 200 {
		t.Fatalf("%v, %v", a, err)
	}
	for name, c := range map[string]struct {
		path string
		size int64
		more []wire.Field
		want int
		code string
	}{
		"no such bucket":         {"/nowhere/k", size, nil, 404, "NoSuchBucket"},
		"a condition":            {"/proof/there", size, []wire.Field{wrong}, 412, "PreconditionFailed"},
		"not done":               {"/proof/k?torrent", size, nil, 501, "NotImplemented"},
		"larger than an object":  {"/proof/k", 6 << 30, nil, 400, "EntityTooLarge"},
		"checksum of no meaning": {"/proof/k", size, []wire.Field{{Name: "x-amz-checksum-crc16", Value: "AA=="}}, 400, "InvalidRequest"},
	} {
		path, query, _ := strings.Cut(c.path, "?")
		t.Run("waiting/"+name, func(t *testing.T) {
			l := dialLine(t, g)
			l.write(l.head("PUT", path, query, c.size, append(c.more, wire.Field{Name: "Expect", Value: "100-continue"})...))
			resp, body := l.answer("PUT")
			if resp.StatusCode != c.want || !strings.Contains(body, "<Code>"+c.code+"<") {
				t.Errorf("%s\n%s", resp.Status, body)
			}
			l.ended() // no client sends the body now, and none may be read as a request
		})
		t.Run("pushing/"+name, func(t *testing.T) {
			l := dialLine(t, g)
			l.write(l.head("PUT", path, query, c.size, c.more...))
			pushed := make(chan int64, 1)
			go func() {
				n, _ := io.CopyN(l.conn, zeros{}, min(c.size, size)) // the gateway may hang up before the end
				pushed <- n
			}()
			resp, body := l.answer("PUT")
			if resp.StatusCode != c.want || !strings.Contains(body, "<Code>"+c.code+"<") || !resp.Close {
				t.Errorf("%s, close %v\n%s", resp.Status, resp.Close, body)
			}
			l.conn.Close()
			if n := <-pushed; n == size && c.size == size {
				t.Errorf("all %d bytes of a refused body were taken", n)
			}
		})
	}
}

type zeros struct{}

func (zeros) Read(p []byte) (int, error) { clear(p); return len(p), nil }

// TestExpect: what is taken is asked for with 100 Continue, once, and the connection goes
// on.
func TestExpect(t *testing.T) {
	t.Parallel()
	g := harness.StartGateway(t, harness.StartBackends(t, 1), harness.Options{})
	createBucket(t, g.Client, "proof")
	l := dialLine(t, g)
	for i := range 3 {
		l.write(l.head("PUT", "/proof/k", "", 5, wire.Field{Name: "Expect", Value: "100-continue"}))
		if resp, _ := l.answer("PUT"); resp.StatusCode != http.StatusContinue {
			t.Fatalf("request %d: %s before the body", i, resp.Status)
		}
		l.write([]byte("hello"))
		if resp, body := l.answer("PUT"); resp.StatusCode != 200 {
			t.Fatalf("request %d: %s %s", i, resp.Status, body)
		}
	}
	l.write(l.head("PUT", "/proof/empty", "", 0, wire.Field{Name: "Expect", Value: "100-continue"}))
	resp, _ := l.answer("PUT")
	if resp.StatusCode == http.StatusContinue { // which it need not be
		resp, _ = l.answer("PUT")
	}
	if resp.StatusCode != 200 {
		t.Errorf("nothing, announced with Expect: %s", resp.Status)
	}
	l.write(l.head("GET", "/proof/k", "", -1))
	if resp, body := l.answer("GET"); resp.StatusCode != 200 || body != "hello" {
		t.Errorf("afterwards: %s %q", resp.Status, body)
	}
}

// TestConnectionsOutliveErrors: an error is an answer like another, and the connection
// goes on behind it.
func TestConnectionsOutliveErrors(t *testing.T) {
	t.Parallel()
	g := harness.StartGateway(t, harness.StartBackends(t, 1), harness.Options{})
	createBucket(t, g.Client, "proof")
	a, err := g.Client.Put(t.Context(), "proof", "k", wire.Literal, []byte("hello"))
	if err != nil || a.Status != 200 {
		t.Fatalf("%v, %v", a, err)
	}
	l := dialLine(t, g)
	for range 3 {
		for _, c := range []struct {
			method, path, query string
			size                int64
			body                string
			header              []wire.Field
			want                int
		}{
			{"GET", "/proof/none", "", -1, "", nil, 404},
			{"HEAD", "/proof/none", "", -1, "", nil, 404},
			{"HEAD", "/proof/k", "", -1, "", nil, 200},
			{"GET", "/proof/k", "", -1, "", field("If-None-Match", a.Header.Get("ETag")), 304},
			{"GET", "/proof/k", "", -1, "", field("If-Match", "other"), 412},
			{"GET", "/proof/k", "", -1, "", field("Range", "bytes=99-"), 416},
			{"GET", "/proof/k", "torrent=", -1, "", nil, 501},
			{"GET", "/proof", "max-keys=many", -1, "", nil, 400},
			{"PUT", "/proof/k", "", 5, "hallo", field("Content-MD5", "XUFAKrxLKna5cZ2REBfFkg=="), 400}, // of hello
			{"PUT", "/nowhere/k", "", 5, "hello", nil, 404},
			{"DELETE", "/proof/none", "", -1, "", nil, 204},
			{"DELETE", "/nowhere/none", "", -1, "", nil, 404},
			{"POST", "/proof", "delete=", 9, "<Delete></", nil, 400},
			{"GET", "/proof/k", "", -1, "", nil, 200},
		} {
			if c.method == "POST" {
				c.size = int64(len(c.body))
			}
			l.write(append(l.head(c.method, c.path, c.query, c.size, c.header...), c.body...))
			resp, body := l.answer(c.method)
			if resp.StatusCode != c.want || resp.Close {
				t.Fatalf("%s %s?%s: %s, close %v, want %d\n%s", c.method, c.path, c.query, resp.Status, resp.Close, c.want, body)
			}
			if c.want == 200 && c.method == "GET" && body != "hello" {
				t.Fatalf("the object is %q", body)
			}
		}
	}
}

// TestPipelinedRequests: many requests in one write are answered in their order.
func TestPipelinedRequests(t *testing.T) {
	t.Parallel()
	g := harness.StartGateway(t, harness.StartBackends(t, 1), harness.Options{})
	createBucket(t, g.Client, "proof")
	l := dialLine(t, g)
	var all bytes.Buffer
	const n = 20
	for i := range n {
		body := strings.Repeat(fmt.Sprint(i), 3)
		key := fmt.Sprintf("/proof/%d", i)
		all.Write(append(l.head("PUT", key, "", int64(len(body))), body...))
		all.Write(l.head("GET", key, "", -1))
		all.Write(l.head("GET", "/proof/none", "", -1))
	}
	go func() { _, _ = l.conn.Write(all.Bytes()) }() // what does not arrive has no answer
	for i := range n {
		if resp, body := l.answer("PUT"); resp.StatusCode != 200 {
			t.Fatalf("PUT %d: %s %s", i, resp.Status, body)
		}
		if resp, body := l.answer("GET"); resp.StatusCode != 200 || body != strings.Repeat(fmt.Sprint(i), 3) {
			t.Fatalf("GET %d: %s %q", i, resp.Status, body)
		}
		if resp, _ := l.answer("GET"); resp.StatusCode != 404 {
			t.Fatalf("GET of nothing after %d: %s", i, resp.Status)
		}
	}
}

// TestSlowAndVanishingClients: who sends byte by byte is served; whoever leaves in the
// middle, of a download or an upload, leaves nothing behind: no request under way, no
// object, no open file.
func TestSlowAndVanishingClients(t *testing.T) {
	t.Parallel()
	g := harness.StartGateway(t, harness.StartBackends(t, 2), harness.Options{})
	createBucket(t, g.Client, "proof")
	big := bytes.Repeat([]byte("0123456789abcdef"), 2<<20) // 32 MiB: more than sockets hold
	if a, err := g.Client.Put(t.Context(), "proof", "big", wire.Literal, big); err != nil || a.Status != 200 {
		t.Fatalf("%v, %v", a, err)
	}
	slow := dialLine(t, g)
	creep := make(chan struct{})
	go func() {
		defer close(creep)
		for _, b := range append(slow.head("PUT", "/proof/slow", "", 26), "abcdefghijklmnopqrstuvwxyz"...) {
			if _, err := slow.conn.Write([]byte{b}); err != nil {
				return
			}
			time.Sleep(time.Millisecond) // it is slow
		}
	}()
	files := openFiles(t, g)
	for i := range 30 {
		l := dialLine(t, g)
		switch i % 3 {
		case 0: // a download of which the first megabyte is read
			l.write(l.head("GET", "/proof/big", "", -1))
			if _, err := io.CopyN(io.Discard, l.r, 1<<20); err != nil {
				t.Fatal(err)
			}
		case 1: // an upload of which half is sent
			l.write(append(l.head("PUT", "/proof/cut", "", 2<<20), big[:1<<20]...))
		case 2: // a head of which half is sent
			head := l.head("GET", "/proof/big", "", -1)
			l.write(head[:len(head)/2])
		}
		if tcp, ok := l.conn.(*net.TCPConn); ok && i%2 == 0 {
			_ = tcp.SetLinger(0) // half of them by a reset
		}
		l.conn.Close()
	}
	<-creep
	if resp, body := slow.answer("PUT"); resp.StatusCode != 200 {
		t.Errorf("the slow client: %s %s", resp.Status, body)
	}
	slow.conn.Close()
	harness.Eventually(t, "nobody is served any more", func() error {
		if n := openFiles(t, g); n > files+8 { // connections to backends may be kept
			return fmt.Errorf("%d files are open, %d were before", n, files)
		}
		return nil
	})
	for key, want := range map[string]int{"big": 200, "slow": 200, "cut": 404} {
		a, err := g.Client.Get(t.Context(), "proof", key)
		if err != nil || a.Status != want || key == "big" && sha256.Sum256(a.Body) != sha256.Sum256(big) {
			t.Errorf("%s: %v, %v, want %d", key, a.Status, err, want)
		}
	}
}

// TestNoAnswerShowsABackend: not its address, key, region or redirect, in headers or in
// bodies, whatever is wrong.
func TestNoAnswerShowsABackend(t *testing.T) {
	t.Parallel()
	backends := harness.StartBackends(t, 2)
	good := harness.StartGateway(t, backends, harness.Options{S3: "region: eu-here-1"})
	createBucket(t, good.Client, "proof")
	if a, err := good.Client.Put(t.Context(), "proof", "k", wire.Literal, []byte("hello")); err != nil || a.Status != 200 {
		t.Fatalf("%v, %v", a, err)
	}
	// Its backends refuse its signatures, in words that name its key.
	bad := harness.NewGateway(t, backends, harness.Options{Secret: func(*harness.Backend) string { return "wrong" }})
	bad.Launch(t)
	harness.Eventually(t, "it listens, though it will never be ready", func() error {
		conn, err := net.Dial("tcp", bad.S3Addr)
		if err == nil {
			err = conn.Close()
		}
		return err
	})
	region := regexp.MustCompile(`(?i)<Region>|us-east-1|<StringToSign>|<CanonicalRequest>`)
	for name, g := range map[string]*harness.Gateway{"good": good, "bad": bad} {
		l := dialLine(t, g)
		asked := 0
		for _, c := range []struct{ method, path, query string }{
			{"GET", "/", ""}, {"HEAD", "/proof", ""}, {"GET", "/proof", ""}, {"GET", "/proof", "location="}, {"GET", "/proof", "versioning="},
			{"HEAD", "/nowhere", ""}, {"GET", "/nowhere", ""}, {"GET", "/proof/k", ""}, {"HEAD", "/proof/k", ""}, {"GET", "/proof/none", ""},
			{"GET", "/proof/k", "attributes="}, {"GET", "/proof/k", "acl="}, {"GET", "/proof", "uploads="}, {"POST", "/proof/k", "uploads="},
			{"DELETE", "/proof/none", ""}, {"PUT", "/proof-2", ""}, {"DELETE", "/proof-2", ""}, {"GET", "/proof/k", "uploadId=none"},
		} {
			l.write(l.head(c.method, c.path, c.query, -1))
			resp, body := l.answer(c.method)
			asked++
			var head strings.Builder
			_ = resp.Header.Write(&head) // into memory
			text := head.String() + body
			if resp.StatusCode/100 == 3 {
				t.Errorf("%s: %s %s?%s is redirected: %s", name, c.method, c.path, c.query, text)
			}
			for _, b := range backends {
				for _, secret := range []string{b.Addr, b.Keys.Access, b.Dir} {
					if strings.Contains(text, secret) {
						t.Errorf("%s: %s %s?%s shows %q of a backend: %s", name, c.method, c.path, c.query, secret, text)
					}
				}
			}
			if name == "good" && region.MatchString(text) || strings.Contains(strings.ToLower(text), "versitygw") {
				t.Errorf("%s: %s %s?%s shows a region or a make: %s", name, c.method, c.path, c.query, text)
			}
			if got := resp.Header.Get("x-amz-bucket-region"); got != "" && name == "good" && got != "eu-here-1" {
				t.Errorf("%s %s?%s: region %q", c.method, c.path, c.query, got)
			}
			if got := resp.Header.Get("Server"); got != "s3mirror" {
				t.Errorf("%s %s?%s: Server %q", c.method, c.path, c.query, got)
			}
			if resp.Close {
				l = dialLine(t, g)
			}
		}
		floor(t, "answers of the "+name+" gateway", int64(asked), 18)
	}
}

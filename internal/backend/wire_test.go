package backend_test

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"sync"
	"testing"

	"github.com/s3mirror/s3mirror/internal/backend"
	"github.com/s3mirror/s3mirror/internal/sigv4"
)

// script is a server that does to each connection what a test says. Run tells
// how many connections have come before.
type script struct {
	endpoint *url.URL
	mu       sync.Mutex
	log      []string // request lines
}

func newScript(t *testing.T, run func(s *script, n int, c net.Conn)) *script {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := &script{endpoint: &url.URL{Scheme: "http", Host: l.Addr().String()}}
	var wg sync.WaitGroup
	wg.Go(func() {
		for n := 0; ; n++ {
			c, err := l.Accept()
			if err != nil {
				return
			}
			wg.Go(func() {
				defer c.Close()
				run(s, n, c)
			})
		}
	})
	t.Cleanup(func() {
		l.Close()
		wg.Wait()
	})
	return s
}

// request reads the head of a request and notes it. The body is left unread.
func (s *script) request(r *bufio.Reader) (*http.Request, error) {
	req, err := http.ReadRequest(r)
	if err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.log = append(s.log, req.Method+" "+req.RequestURI)
	return req, nil
}

func (s *script) seen() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]string(nil), s.log...)
}

const okEmpty = "HTTP/1.1 200 OK\r\nETag: \"e\"\r\nContent-Length: 0\r\n\r\n"

func putRequest(data []byte, f backend.Framing) backend.PutRequest {
	body, err := backend.NewBody(bytes.NewReader(data), f)
	if err != nil {
		panic(err)
	}
	return backend.PutRequest{Bucket: "bucket", Key: "key", Size: int64(len(data)), Body: body, Framing: f}
}

func literal(data []byte) backend.Framing {
	return backend.Framing{Mode: sigv4.Literal, SHA256: sha256.Sum256(data)}
}

// TestRequestsOnTheWire holds the heads that leave against what S3 wants: an
// exact length, never Transfer-Encoding, and the path byte for byte as signed.
func TestRequestsOnTheWire(t *testing.T) {
	type head struct {
		uri, host string
		req       *http.Request
		body      int
	}
	heads := make(chan head, 1)
	s := newScript(t, func(s *script, _ int, c net.Conn) {
		r := bufio.NewReader(c)
		for {
			req, err := s.request(r)
			if err != nil {
				return
			}
			if req.Header.Get("Expect") != "" {
				io.WriteString(c, "HTTP/1.1 100 Continue\r\n\r\n")
			}
			body, _ := io.ReadAll(req.Body)
			if _, err := sigv4.Parse(req, timeOf(t, req)); err != nil {
				t.Errorf("%s: %v", req.RequestURI, err)
			}
			heads <- head{req.RequestURI, req.Host, req, len(body)}
			io.WriteString(c, okEmpty)
		}
	})
	path := newRemote(t, s.endpoint)
	virtual := newRemote(t, s.endpoint, func(o *backend.Options) {
		o.VirtualHost = true
		o.Dial = func(ctx ctx, network, _ string) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, network, s.endpoint.Host)
		}
	})
	for key, want := range map[string]string{
		"a+b c":   "a%2Bb%20c",
		"a/b%2Fc": "a/b%252Fc",
		"!*'()":   "%21%2A%27%28%29",
		"é;":      "%C3%A9%3B",
		"/x//..":  "/x//..",
		"~-._":    "~-._",
	} {
		path.Delete(t.Context(), "bucket", key)
		if h := <-heads; h.uri != "/bucket/"+want || h.host != s.endpoint.Host {
			t.Errorf("key %q: %s at %s", key, h.uri, h.host)
		}
		virtual.Delete(t.Context(), "bucket", key)
		if h := <-heads; h.uri != "/"+want || h.host != "bucket."+s.endpoint.Host {
			t.Errorf("key %q: %s at %s", key, h.uri, h.host)
		}
	}

	for _, mode := range []sigv4.Mode{sigv4.Literal, sigv4.UnsignedTrailer, sigv4.Signed, sigv4.SignedTrailer} {
		for _, size := range []int{0, 1, 9000, 1<<20 + 1} {
			data := make([]byte, size)
			f := backend.Framing{Mode: mode, SHA256: sha256.Sum256(data), Algorithm: "crc32c"}
			if _, err := path.Put(t.Context(), putRequest(data, f)); err != nil {
				t.Fatal(err)
			}
			h := <-heads
			if len(h.req.TransferEncoding) != 0 || h.req.ContentLength != int64(h.body) || h.req.Header.Get("Content-Length") != fmt.Sprint(h.body) {
				t.Errorf("%v, %d bytes: length %d, body %d, encoding %q", mode, size, h.req.ContentLength, h.body, h.req.TransferEncoding)
			}
			if expect := h.req.Header.Get("Expect") != ""; expect != (size > 1<<20) {
				t.Errorf("%v, %d bytes: Expect %v", mode, size, expect)
			}
			if h.req.Header.Get("Content-Encoding") != "" {
				t.Errorf("%v: Content-Encoding %q", mode, h.req.Header.Get("Content-Encoding"))
			}
		}
	}
}

// TestMutationsAreSentOnce: a kept connection dies with a request on it, and
// net/http sends that request again, but only if it reads.
func TestMutationsAreSentOnce(t *testing.T) {
	for name, test := range map[string]struct {
		do   func(*backend.Remote) error
		want int // how often the request arrives
		out  backend.Outcome
	}{
		"delete": {func(r *backend.Remote) error { return r.Delete(bg, "bucket", "key") }, 1, backend.Ambiguous},
		"empty put": {func(r *backend.Remote) error {
			_, err := r.Put(bg, backend.PutRequest{Bucket: "bucket", Key: "key"})
			return err
		}, 1, backend.Ambiguous},
		"put": {func(r *backend.Remote) error {
			_, err := r.Put(bg, putRequest([]byte("x"), literal([]byte("x"))))
			return err
		}, 1, backend.Ambiguous},
		"create bucket": {func(r *backend.Remote) error { return r.CreateBucket(bg, "bucket") }, 1, backend.Ambiguous},
		"delete bucket": {func(r *backend.Remote) error { return r.DeleteBucket(bg, "bucket") }, 1, backend.Ambiguous},
		"head": {func(r *backend.Remote) error {
			_, err := r.Head(bg, "bucket", "key")
			return err
		}, 2, backend.OK},
	} {
		t.Run(name, func(t *testing.T) {
			s := newScript(t, func(s *script, n int, c net.Conn) {
				r := bufio.NewReader(c)
				for i := 0; ; i++ {
					req, err := s.request(r)
					if err != nil {
						return
					}
					io.Copy(io.Discard, req.Body)
					if n == 0 && i == 1 {
						return // with the second request read and not answered
					}
					io.WriteString(c, okEmpty)
				}
			})
			r := newRemote(t, s.endpoint)
			if err := r.HeadBucket(bg, "warm-up"); err != nil {
				t.Fatal(err)
			}
			err := test.do(r)
			if got := len(s.seen()) - 1; got != test.want || backend.OutcomeOf(err) != test.out {
				t.Errorf("arrived %d times, want %d; %v: %q", got, test.want, err, s.seen())
			}
		})
	}
}

// TestDeadConnection: a kept connection dies while the endpoint is asked
// whether it wants the body. The body is fresh, so the upload starts over.
func TestDeadConnection(t *testing.T) {
	data := make([]byte, 3<<20)
	bodies := 0
	s := newScript(t, func(s *script, n int, c net.Conn) {
		r := bufio.NewReader(c)
		for {
			req, err := s.request(r)
			if err != nil {
				return
			}
			if req.Method == "PUT" {
				if n == 0 {
					return
				}
				io.WriteString(c, "HTTP/1.1 100 Continue\r\n\r\n")
				if k, _ := io.Copy(io.Discard, req.Body); k == int64(len(data)) {
					bodies++
				}
			}
			io.WriteString(c, okEmpty)
		}
	})
	r := newRemote(t, s.endpoint)
	if err := r.HeadBucket(bg, "warm-up"); err != nil {
		t.Fatal(err)
	}
	if _, err := r.Put(bg, putRequest(data, literal(data))); err != nil {
		t.Fatal(err)
	}
	if bodies != 1 || len(s.seen()) != 3 {
		t.Errorf("%d bodies, %q", bodies, s.seen())
	}
}

// TestRefusedConnection: nobody listens.
func TestRefusedConnection(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	l.Close()
	r := newRemote(t, &url.URL{Scheme: "http", Host: l.Addr().String()})
	_, putErr := r.Put(bg, putRequest([]byte("x"), literal([]byte("x"))))
	_, headErr := r.Head(bg, "bucket", "key")
	for _, err := range []error{putErr, headErr, r.Delete(bg, "bucket", "key")} {
		var e *backend.Error
		if !errors.As(err, &e) || e.Outcome != backend.NotSent || e.Released || e.Status != 0 {
			t.Errorf("%v", err)
		}
	}
}

package backend_test

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/s3mirror/s3mirror/internal/backend"
	"github.com/s3mirror/s3mirror/internal/object"
)

// deafConn takes nothing once it is deaf, as a socket that was reset.
type deafConn struct {
	net.Conn
	deaf *atomic.Bool
}

func (c deafConn) Write(p []byte) (int, error) {
	if c.deaf.Load() {
		c.Close()
		return 0, syscall.EPIPE
	}
	return c.Conn.Write(p)
}

// TestNothingLeftOnADeadConnection: a kept connection takes not a byte of the
// request. Whatever it is, it goes over a fresh one, and arrives once; on a fresh
// one that is deaf too it fails, and nothing was sent.
func TestNothingLeftOnADeadConnection(t *testing.T) {
	data := bytes.Repeat([]byte("x"), 3<<20)
	for name, do := range map[string]func(*backend.Remote) error{
		"delete": func(r *backend.Remote) error { return r.Delete(bg, "bucket", "key") },
		"small put": func(r *backend.Remote) error {
			body, framing := backend.FromBytes([]byte("small"))
			_, err := r.Put(bg, backend.PutRequest{Bucket: "bucket", Key: "key", Size: 5, Body: body, Framing: framing})
			return err
		},
		"large put": func(r *backend.Remote) error {
			_, err := r.Put(bg, putRequest(data, literal(data)))
			return err
		},
		"create bucket": func(r *backend.Remote) error { return r.CreateBucket(bg, "bucket") },
	} {
		for _, fresh := range []bool{true, false} {
			s := newScript(t, func(s *script, n int, c net.Conn) {
				r := bufio.NewReader(c)
				for {
					req, err := s.request(r)
					if err != nil {
						return
					}
					if req.Header.Get("Expect") != "" {
						io.WriteString(c, "HTTP/1.1 100 Continue\r\n\r\n")
					}
					io.Copy(io.Discard, req.Body)
					io.WriteString(c, okEmpty)
				}
			})
			var deaf [2]atomic.Bool
			dialled := 0
			r := newRemote(t, s.endpoint, func(o *backend.Options) {
				o.Dial = func(ctx context.Context, network, addr string) (net.Conn, error) {
					c, err := new(net.Dialer).DialContext(ctx, network, addr)
					dialled++
					return deafConn{c, &deaf[min(dialled-1, 1)]}, err
				}
			})
			if err := r.HeadBucket(bg, "warm-up"); err != nil {
				t.Fatal(err)
			}
			deaf[0].Store(true)
			deaf[1].Store(!fresh)
			err := do(r)
			var e *backend.Error
			switch {
			case fresh && (err != nil || len(s.seen()) != 2):
				t.Errorf("%s: %v, arrived: %q", name, err, s.seen())
			case !fresh && (!errors.As(err, &e) || e.Outcome != backend.NotSent || e.Released || len(s.seen()) != 1):
				t.Errorf("%s, twice: %v, arrived: %q", name, err, s.seen())
			}
		}
	}
}

// TestEarlyAnswers: an endpoint that refuses an upload before it has read it, and
// reads no more, is heard at once, to the last byte of its reason.
func TestEarlyAnswers(t *testing.T) {
	data := make([]byte, 64<<20) // more than sockets hold
	for name, test := range map[string]struct {
		expect bool
		status int
		code   string
		want   backend.Outcome
	}{
		"refused instead of asked for": {true, 403, "QuotaExceeded", backend.Refused},
		"refused in the middle":        {false, 400, "EntityTooLarge", backend.Refused},
		"full in the middle":           {false, 507, "XMinioStorageFull", backend.Throttled},
		"failing in the middle":        {false, 500, "InternalError", backend.NotSent},
		"done in the middle":           {false, 200, "", backend.Ambiguous},
	} {
		t.Run(name, func(t *testing.T) {
			over := make(chan struct{})
			s := newScript(t, func(s *script, _ int, c net.Conn) {
				req, err := s.request(bufio.NewReader(c))
				if err != nil {
					return
				}
				if !test.expect {
					io.WriteString(c, "HTTP/1.1 100 Continue\r\n\r\n")
					io.CopyN(io.Discard, req.Body, 1<<20)
				}
				doc := ""
				if test.code != "" {
					doc = "<Error><Code>" + test.code + "</Code><Message>" + strings.Repeat("m", 20_000) + "</Message></Error>"
				}
				io.WriteString(c, answerWith(test.status, "application/xml", doc))
				<-over
			})
			defer close(over)
			_, err := newRemote(t, s.endpoint).Put(bg, putRequest(data, literal(data)))
			var e *backend.Error
			if !errors.As(err, &e) || e.Outcome != test.want || e.Released || e.Status != test.status {
				t.Errorf("%v", err)
			}
			if e != nil && test.code != "" && (e.S3 == nil || len(e.S3.Message) == 0 || e.S3.Err != nil) {
				t.Errorf("its reason was lost: %+v", e.S3)
			}
		})
	}
}

// TestAnswersAfterTheLastByteCount: what comes when all was sent is the answer,
// even if the endpoint closes at once.
func TestAnswersAfterTheLastByteCount(t *testing.T) {
	data := make([]byte, 8<<20)
	s := newScript(t, func(s *script, _ int, c net.Conn) {
		req, err := s.request(bufio.NewReader(c))
		if err != nil {
			return
		}
		io.WriteString(c, "HTTP/1.1 100 Continue\r\n\r\n")
		io.Copy(io.Discard, req.Body)
		io.WriteString(c, "HTTP/1.1 200 OK\r\nETag: \"e\"\r\nConnection: close\r\nContent-Length: 0\r\n\r\n")
	})
	for range 50 {
		if res, err := newRemote(t, s.endpoint).Put(bg, putRequest(data, literal(data))); err != nil || res.ETag != "e" {
			t.Fatalf("%+v, %v", res, err)
		}
	}
}

// TestLastWords: the connection takes no more, but the endpoint said why.
func TestLastWords(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for name, test := range map[string]struct {
			answer string
			want   backend.Outcome
			after  time.Duration
		}{
			"an answer": {xmlAnswer(503, "SlowDown"), backend.Throttled, 0},
			"silence":   {"", backend.NotSent, time.Second},
		} {
			data := make([]byte, 4<<20)
			var wg sync.WaitGroup
			r := newRemote(t, endpointOf("pipe"), func(o *backend.Options) {
				o.Dial = func(context.Context, string, string) (net.Conn, error) {
					near, far := net.Pipe()
					half := &halfConn{Conn: near, closed: make(chan struct{})}
					wg.Go(func() {
						defer far.Close()
						req, err := http.ReadRequest(bufio.NewReader(far))
						if err != nil {
							return
						}
						io.WriteString(far, "HTTP/1.1 100 Continue\r\n\r\n")
						io.Copy(io.Discard, io.LimitReader(req.Body, 1<<19))
						half.shut.Store(true)
						wg.Go(func() { io.Copy(io.Discard, far) }) // a write that is under way ends
						io.WriteString(far, test.answer)
						<-half.closed
					})
					return half, nil
				}
			})
			start := time.Now()
			_, err := r.Put(bg, putRequest(data, literal(data)))
			if backend.OutcomeOf(err) != test.want || time.Since(start) != test.after {
				t.Errorf("%s: %v after %v", name, err, time.Since(start))
			}
			wg.Wait()
		}
	})
}

// halfConn takes no more once it is shut.
type halfConn struct {
	net.Conn
	shut   atomic.Bool
	closed chan struct{}
	once   sync.Once
}

func (c *halfConn) Close() error {
	c.once.Do(func() { close(c.closed) })
	return c.Conn.Close()
}

func (c *halfConn) Write(p []byte) (int, error) {
	if c.shut.Load() {
		return 0, syscall.EPIPE
	}
	return c.Conn.Write(p)
}

// TestNoRequestWithinARequest: what would end a line of the head is not sent.
func TestNoRequestWithinARequest(t *testing.T) {
	s := newScript(t, func(s *script, _ int, c net.Conn) { s.request(bufio.NewReader(c)) })
	r := newRemote(t, s.endpoint)
	data := []byte("x")
	for name, change := range map[string]func(*backend.PutRequest){
		"MD5":  func(p *backend.PutRequest) { p.ContentMD5 = "x\r\nHost: other" },
		"name": func(p *backend.PutRequest) { p.Headers = object.Headers{"x-amz-meta-a b": "v"} },
		"end":  func(p *backend.PutRequest) { p.Headers = object.Headers{"x-amz-meta-a\r\nb": "v"} },
	} {
		req := putRequest(data, literal(data))
		change(&req)
		if _, err := r.Put(bg, req); backend.OutcomeOf(err) != backend.NotSent || !errors.Is(err, backend.ErrRequest) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := r.Get(bg, "a b", "key", backend.GetOptions{IfMatch: "x\"\n"}); backend.OutcomeOf(err) != backend.NotSent {
		t.Errorf("get: %v", err)
	}
	if len(s.seen()) != 0 {
		t.Errorf("arrived: %q", s.seen())
	}
}

// TestConnectionsAreKept: over any number of requests, of every kind of answer.
func TestConnectionsAreKept(t *testing.T) {
	var conns atomic.Int64
	s := newScript(t, func(s *script, _ int, c net.Conn) {
		conns.Add(1)
		r := bufio.NewReader(c)
		for {
			req, err := s.request(r)
			if err != nil {
				return
			}
			io.Copy(io.Discard, req.Body)
			switch req.Method {
			case "GET":
				io.WriteString(c, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\n<a>\r\n4\r\n</a>\r\n0\r\nA: b\r\n\r\n")
			case "DELETE":
				io.WriteString(c, xmlAnswer(404, "NoSuchKey"))
			default:
				io.WriteString(c, okEmpty)
			}
		}
	})
	r := newRemote(t, s.endpoint)
	for range 5 {
		_, _ = r.ListBuckets(bg)
		_, err := r.Put(bg, putRequest(make([]byte, 300_000), literal(make([]byte, 300_000))))
		if err := errors.Join(err, r.Delete(bg, "b", "k"), r.HeadBucket(bg, "b")); err != nil {
			t.Fatal(err)
		}
	}
	if n := conns.Load(); n != 1 {
		t.Errorf("%d connections for one request at a time", n)
	}
}

package backend_test

import (
	"bufio"
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"net/http/httptest"
	"syscall"
	"testing"

	"github.com/s3mirror/s3mirror/internal/backend"
)

// TestUploadsEndInAReset: whichever way an upload ends before its last byte, the
// server reads a reset, never an end that it could take for the end of the
// body. Over TLS no notice of an orderly close may come before.
func TestUploadsEndInAReset(t *testing.T) {
	data := make([]byte, 400_000)
	for name, end := range map[string]func(cancel func()) backend.Body{
		"body fails": func(func()) backend.Body {
			return &partBody{left: 200_000, end: func() error { return errors.New("gone") }}
		},
		"caller gives up": func(cancel func()) backend.Body {
			return &partBody{left: 200_000, end: func() error { cancel(); return nil }}
		},
		"nothing was sent": func(cancel func()) backend.Body {
			return &partBody{left: 0, end: func() error { cancel(); return nil }}
		},
	} {
		for _, secure := range []bool{false, true} {
			t.Run(name+map[bool]string{true: ", TLS"}[secure], func(t *testing.T) {
				ends := make(chan error, 1)
				s := newScript(t, func(s *script, _ int, c net.Conn) {
					watched := &watchedConn{Conn: c}
					var stream io.Reader = watched
					if secure {
						stream = tls.Server(watched, certificate(t))
					}
					req, err := s.request(bufio.NewReader(stream))
					if err == nil {
						_, err = io.Copy(io.Discard, req.Body)
					}
					if err == nil || errors.Is(err, io.EOF) && watched.last == nil {
						t.Errorf("the body ended in %v", err)
					}
					ends <- watched.last
				})
				change := func(o *backend.Options) {}
				if secure {
					s.endpoint.Scheme = "https"
					change = trust(certified(t))
				}
				ctx, cancel := context.WithCancel(bg)
				defer cancel()
				req := putRequest(data, literal(data))
				req.Body = end(cancel)
				_, err := newRemote(t, s.endpoint, change).Put(ctx, req)
				if backend.OutcomeOf(err) != backend.NotSent {
					t.Errorf("%v", err)
				}
				if last := <-ends; !errors.Is(last, syscall.ECONNRESET) {
					t.Errorf("the server read %v, want a reset", last)
				}
			})
		}
	}
}

// watchedConn remembers how reading ended.
type watchedConn struct {
	net.Conn
	last error
}

func (w *watchedConn) Read(p []byte) (int, error) {
	n, err := w.Conn.Read(p)
	if err != nil {
		w.last = err
	}
	return n, err
}

// partBody gives left bytes and then calls end, once.
type partBody struct {
	left int
	end  func() error
}

func (p *partBody) Next(ctx context.Context, max int) ([]byte, error) {
	if p.left > 0 {
		n := min(max, p.left)
		p.left -= n
		return make([]byte, n), nil
	}
	if err := p.end(); err != nil {
		return nil, err
	}
	<-ctx.Done()
	return nil, context.Cause(ctx)
}

func (*partBody) Sum(context.Context, int) ([32]byte, error) { panic("not signed") }
func (*partBody) Trailer() (string, error)                   { panic("no trailer") }

// certified is a TLS server whose certificate is good for 127.0.0.1.
func certified(t *testing.T) *httptest.Server {
	srv := httptest.NewTLSServer(nil)
	t.Cleanup(srv.Close)
	return srv
}

func certificate(t *testing.T) *tls.Config {
	srv := httptest.NewTLSServer(nil)
	defer srv.Close()
	return &tls.Config{Certificates: srv.TLS.Certificates}
}

// TestHeldUploadOfALostConnection: the endpoint closes a connection whose upload
// is waiting for its release. The waiting ends, and nothing was applied.
func TestHeldUploadOfALostConnection(t *testing.T) {
	s := newScript(t, func(s *script, _ int, c net.Conn) {
		r := bufio.NewReader(c)
		req, err := s.request(r)
		if err != nil {
			return
		}
		io.CopyN(io.Discard, req.Body, 1000)
	})
	data := make([]byte, 100_000)
	req := putRequest(data, literal(data))
	req.Body = &partBody{left: 1000, end: func() error { return nil }}
	_, err := newRemote(t, s.endpoint).Put(bg, req)
	var e *backend.Error
	if !errors.As(err, &e) || e.Outcome != backend.NotSent || e.Released || errors.Is(err, backend.ErrBody) {
		t.Errorf("%v", err)
	}
}

package backend_test

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/url"
	"testing"
	"testing/synctest"
	"time"

	"github.com/s3mirror/s3mirror/internal/backend"
)

// pipes is a network of net.Pipe, on which synctest can advance time. serve is
// called for each connection.
func pipes(t *testing.T, serve func(net.Conn)) *backend.Remote {
	return newRemote(t, &url.URL{Scheme: "http", Host: "pipe"}, func(o *backend.Options) {
		o.Dial = func(context.Context, string, string) (net.Conn, error) {
			near, far := net.Pipe()
			go func() {
				defer far.Close()
				serve(far)
			}()
			return near, nil
		}
	})
}

// silent reads a request whole and says no more than the answer.
func silent(answer string) func(net.Conn) {
	return func(c net.Conn) {
		r := bufio.NewReader(c)
		req, err := http.ReadRequest(r)
		if err != nil {
			return
		}
		io.Copy(io.Discard, req.Body)
		io.WriteString(c, answer)
		io.Copy(io.Discard, r)
	}
}

func TestTimeouts(t *testing.T) {
	data := []byte("data")
	for name, test := range map[string]struct {
		answer string
		do     func(*backend.Remote) error
		after  time.Duration
		want   backend.Outcome
	}{
		"head": {"", func(r *backend.Remote) error {
			_, err := r.Head(bg, "bucket", "key")
			return err
		}, 15 * time.Second, backend.Ambiguous},
		"list, in the middle of a page": {"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n<List", func(r *backend.Remote) error {
			_, err := r.List(bg, "bucket", backend.ListRequest{})
			return err
		}, 30 * time.Second, backend.Ambiguous},
		"delete": {"", func(r *backend.Remote) error { return r.Delete(bg, "bucket", "key") }, 60 * time.Second, backend.Ambiguous},
		"put": {"", func(r *backend.Remote) error {
			_, err := r.Put(bg, putRequest(data, literal(data)))
			return err
		}, 60 * time.Second, backend.Ambiguous},
		"deadline of the caller": {"", func(r *backend.Remote) error {
			ctx, cancel := context.WithTimeout(bg, 3*time.Second)
			defer cancel()
			return r.Delete(ctx, "bucket", "key")
		}, 3 * time.Second, backend.Ambiguous},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := pipes(t, silent(test.answer))
				start := time.Now()
				err := test.do(r)
				if took := time.Since(start); took != test.after || backend.OutcomeOf(err) != test.want {
					t.Errorf("%v after %v, want %v after %v", err, took, test.want, test.after)
				}
			})
		})
	}
}

// TestBodyStalls: a body that stops coming fails; a reader that takes its time
// does not make it fail.
func TestBodyStalls(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := pipes(t, silent("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabcdef"))
		obj, err := r.Get(bg, "bucket", "key", backend.GetOptions{})
		if err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Hour) // the client of the gateway is slow
		start := time.Now()
		data, err := io.ReadAll(obj.Body)
		if !errors.Is(err, backend.ErrStalled) || string(data) != "abcdef" || time.Since(start) != 30*time.Second {
			t.Errorf("%q, %v after %v", data, err, time.Since(start))
		}
		obj.Body.Close()
	})
}

// TestBodyOfACancelledContext: the context of Get governs the body.
func TestBodyOfACancelledContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := pipes(t, silent("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n"))
		ctx, cancel := context.WithCancelCause(bg)
		obj, err := r.Get(ctx, "bucket", "key", backend.GetOptions{})
		if err != nil {
			t.Fatal(err)
		}
		why := errors.New("why")
		time.AfterFunc(time.Second, func() { cancel(why) })
		if _, err := io.ReadAll(obj.Body); !errors.Is(err, why) {
			t.Errorf("%v", err)
		}
		obj.Body.Close()
		obj.Body.Close()
		if _, err := obj.Body.Read(make([]byte, 1)); err == nil || err == io.EOF {
			t.Errorf("read of a closed body: %v", err)
		}
	})
}

// TestExpectIsNotWaitedForLong: an endpoint that does not know Expect gets the
// body after a second.
func TestExpectIsNotWaitedForLong(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		data := make([]byte, 2<<20)
		r := pipes(t, func(c net.Conn) {
			req, err := http.ReadRequest(bufio.NewReader(c))
			if err != nil {
				return
			}
			body, _ := io.ReadAll(req.Body)
			if bytes.Equal(body, data) {
				io.WriteString(c, okEmpty)
			}
		})
		start := time.Now()
		if _, err := r.Put(bg, putRequest(data, literal(data))); err != nil || time.Since(start) != time.Second {
			t.Errorf("%v after %v", err, time.Since(start))
		}
	})
}

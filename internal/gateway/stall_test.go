package gateway_test

import (
	"bufio"
	"errors"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/s3mirror/s3mirror/internal/gateway"
	"github.com/s3mirror/s3mirror/internal/sigv4"
)

// pipes is a listener within the process, so that a test owns the clock.
type pipes struct {
	conns chan net.Conn
	once  sync.Once
	done  chan struct{}
}

func (p *pipes) Accept() (net.Conn, error) {
	select {
	case c := <-p.conns:
		return c, nil
	case <-p.done:
		return nil, net.ErrClosed
	}
}

func (p *pipes) Close() error {
	p.once.Do(func() { close(p.done) })
	return nil
}

func (p *pipes) Addr() net.Addr { return &net.UnixAddr{Name: "pipe"} }

// connect serves the handler on a pipe and returns the client's end. All ends
// with the test.
func connect(t *testing.T, f *fixture) net.Conn {
	t.Helper()
	l := &pipes{conns: make(chan net.Conn), done: make(chan struct{})}
	server := newServer(f.handler)
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		server.Serve(gateway.Listen(l, nil))
	}()
	client, end := net.Pipe()
	l.conns <- end
	t.Cleanup(func() {
		client.Close()
		server.Close()
		<-ended
	})
	return client
}

func newServer(h *gateway.Handler) *http.Server { return gateway.NewServer(h) }

// bubble runs a test under a clock of its own, with an object of a megabyte.
func bubble(t *testing.T, test func(t *testing.T, f *fixture, c net.Conn)) {
	synctest.Test(t, func(t *testing.T) {
		f := newHandler(newStore("photos"))
		f.replace("photos", "old", strings.Repeat("o", 1<<20))
		test(t, f, connect(t, f))
	})
}

// within reads an answer and tells when it came.
func within(t *testing.T, c io.Reader) (*http.Response, time.Duration) {
	t.Helper()
	start := time.Now()
	resp, err := http.ReadResponse(bufio.NewReader(c), nil)
	if err != nil {
		t.Fatalf("after %v: %v", time.Since(start), err)
	}
	return resp, time.Since(start)
}

// TestBodyThatStalls is given up after the stall time, counted from its last
// byte.
func TestBodyThatStalls(t *testing.T) {
	for _, size := range []int{0, 10, 5000} {
		bubble(t, func(t *testing.T, f *fixture, c net.Conn) {
			text := upload("/photos/k", strings.Repeat("x", 10_000)).text("h")
			head := len(text) - 10_000
			io.WriteString(c, text[:head+size])
			resp, took := within(t, c)
			body, _ := io.ReadAll(resp.Body)
			if resp.StatusCode != 400 || !strings.Contains(string(body), "RequestTimeout") || took < 30*time.Second || took > 40*time.Second {
				t.Errorf("%d bytes: after %v %v %s", size, took, resp, body)
			}
			if _, ok := f.snapshot()["photos/k"]; ok {
				t.Errorf("%d bytes: stored", size)
			}
		})
	}
}

// TestBodyThatCreepsGoesOn: what counts is progress, not time.
func TestBodyThatCreepsGoesOn(t *testing.T) {
	for _, mode := range []sigv4.Mode{sigv4.Literal, sigv4.UnsignedTrailer} {
		bubble(t, func(t *testing.T, f *fixture, c net.Conn) {
			text := upload("/photos/k", "hello world").text("h")
			if mode.Chunked() {
				text = framed("/photos/k", "hello world", mode).encode("h", "")
			}
			head := strings.Index(text, "\r\n\r\n") + 4
			io.WriteString(c, text[:head])
			for i := head; i < len(text); i++ {
				time.Sleep(25 * time.Second)
				io.WriteString(c, text[i:i+1])
			}
			if resp, _ := within(t, c); resp.StatusCode != 200 {
				t.Errorf("%v: %v", mode, resp)
			}
			if got := f.snapshot()["photos/k"]; got != "hello world" {
				t.Errorf("%v: stored %q", mode, got)
			}
		})
	}
}

// TestReplicasMayTakeTheirTime: the client is not blamed for what happens once
// its body is there.
func TestReplicasMayTakeTheirTime(t *testing.T) {
	bubble(t, func(t *testing.T, f *fixture, c net.Conn) {
		f.before = slow(10 * time.Minute)
		f.after = 10 * time.Minute
		io.WriteString(c, upload("/photos/k", "hello world").text("h"))
		if resp, took := within(t, c); resp.StatusCode != 200 || took < 20*time.Minute {
			t.Errorf("after %v %v", took, resp)
		}
	})
}

// TestRefusalDoesNotWait for a body that does not come.
func TestRefusalDoesNotWait(t *testing.T) {
	for _, length := range []string{"1", "200000", "3000000000"} {
		bubble(t, func(t *testing.T, f *fixture, c net.Conn) {
			a := upload("/nothing/k", "", "Content-Length", length)
			a.keep, a.mode = true, "UNSIGNED-PAYLOAD"
			io.WriteString(c, a.text("h"))
			resp, took := within(t, c)
			if resp.StatusCode != 404 || took > 5*time.Second {
				t.Errorf("%s bytes: after %v %v", length, took, resp)
			}
			start := time.Now()
			io.Copy(io.Discard, resp.Body)
			if _, err := io.ReadAll(c); err != nil || time.Since(start) > 10*time.Second {
				t.Errorf("%s bytes: the connection stood %v longer", length, time.Since(start))
			}
		})
	}
}

// TestReaderThatStalls is given up, and the object's reader is closed.
func TestReaderThatStalls(t *testing.T) {
	bubble(t, func(t *testing.T, f *fixture, c net.Conn) {
		start := time.Now()
		io.WriteString(c, get("/photos/old").text("h"))
		io.ReadFull(c, make([]byte, 1000))
		time.Sleep(10 * time.Minute)
		synctest.Wait()
		line := f.log.last(t)
		if took := time.Duration(line["duration"].(float64)); took < 30*time.Second || took > 5*time.Minute || line["cut"] != true {
			t.Errorf("after %v: %v", time.Since(start), line)
		}
		rest, err := io.ReadAll(c)
		if len(rest) > 1<<20 {
			t.Errorf("%d bytes came, %v", len(rest), err)
		}
	})
}

// TestReaderThatCreepsGoesOn at some kilobytes a second.
func TestReaderThatCreepsGoesOn(t *testing.T) {
	bubble(t, func(t *testing.T, f *fixture, c net.Conn) {
		io.WriteString(c, get("/photos/old").text("h"))
		resp, _ := within(t, &creeping{c})
		n, err := io.Copy(io.Discard, resp.Body)
		if n != 1<<20 || err != nil {
			t.Errorf("%d bytes, %v", n, err)
		}
	})
}

// creeping takes four kilobytes a second.
type creeping struct{ io.Reader }

func (c *creeping) Read(p []byte) (int, error) {
	time.Sleep(time.Second)
	return c.Reader.Read(p[:min(len(p), 4<<10)])
}

// TestHeadThatStalls and the connection that idles end too.
func TestHeadThatStalls(t *testing.T) {
	for text, limit := range map[string]time.Duration{
		"GET / HTTP/1.1\r\n": 10 * time.Second,
		"GET":                10 * time.Second,
	} {
		bubble(t, func(t *testing.T, _ *fixture, c net.Conn) {
			start := time.Now()
			io.WriteString(c, text)
			if _, err := io.ReadAll(c); err != nil && !errors.Is(err, io.ErrClosedPipe) || time.Since(start) != limit {
				t.Errorf("ended after %v: %v", time.Since(start), err)
			}
		})
	}
}

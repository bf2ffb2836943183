package backend_test

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http/httptest"
	"net/url"
	"os"
	"runtime"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/s3mirror/s3mirror/internal/backend"
	"github.com/s3mirror/s3mirror/internal/memory"
)

func onlyOnLinux(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("splice is Linux's")
	}
}

// sockets are the two ends of a connection.
func sockets(t *testing.T) (near, far *net.TCPConn) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	c, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	d, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close(); d.Close() })
	return c.(*net.TCPConn), d.(*net.TCPConn)
}

func randomData(n int) []byte {
	data := make([]byte, n)
	rand.NewChaCha8([32]byte{byte(n)}).Read(data)
	return data
}

// giving answers each GET with size announced and data sent, and then does what
// after says.
func giving(t *testing.T, size int, data []byte, conns *atomic.Int64, after func(c net.Conn) (goOn bool)) *script {
	return newScript(t, func(s *script, _ int, c net.Conn) {
		conns.Add(1)
		r := bufio.NewReader(c)
		for {
			if _, err := s.request(r); err != nil {
				return
			}
			fmt.Fprintf(c, "HTTP/1.1 200 OK\r\nETag: \"e\"\r\nContent-Length: %d\r\n\r\n", size)
			c.Write(data)
			if !after(c) {
				return
			}
		}
	})
}

// spliceAll moves a body in pieces until it ends or fails.
func spliceAll(obj *backend.Object, dst *net.TCPConn, piece int64) (total int64, err error) {
	for total < obj.Length && err == nil {
		var n int64
		n, err = obj.Body.(backend.Splicer).SpliceTo(dst, piece)
		total += n
	}
	return total, err
}

// TestSplice: what the endpoint gives arrives, whatever the pieces, and the
// connection serves others.
func TestSplice(t *testing.T) {
	onlyOnLinux(t)
	data := randomData(3<<20 + 17)
	var conns atomic.Int64
	s := giving(t, len(data), data, &conns, func(net.Conn) bool { return true })
	r := backend.Wrap(newRemote(t, s.endpoint), backend.WrapOptions{})
	for _, piece := range []int64{1000, 256 << 10, 1 << 40} {
		near, far := sockets(t)
		var got []byte
		var wg sync.WaitGroup
		wg.Go(func() { got, _ = io.ReadAll(far) })
		obj, err := r.Get(bg, "bucket", "key", backend.GetOptions{})
		if err != nil {
			t.Fatal(err)
		}
		first := make([]byte, 10)
		if _, err := io.ReadFull(obj.Body, first); err != nil {
			t.Fatal(err)
		}
		obj.Length -= 10
		n, err := spliceAll(obj, near, piece)
		near.Close()
		wg.Wait()
		if err != nil || n != obj.Length || !bytes.Equal(append(first, got...), data) {
			t.Errorf("pieces of %d: %d bytes, %d arrived, %v", piece, n, len(got), err)
		}
		if n, err := obj.Body.Read(first); n != 0 || err != io.EOF {
			t.Errorf("at the end: %d, %v", n, err)
		}
		obj.Body.Close()
	}
	if n := conns.Load(); n != 1 {
		t.Errorf("%d connections", n)
	}
}

// TestSpliceOfABodyThatBreaksOff: the endpoint is to blame, and what it gave has
// arrived, to the byte.
func TestSpliceOfABodyThatBreaksOff(t *testing.T) {
	onlyOnLinux(t)
	data := randomData(700_000)
	for name, test := range map[string]struct {
		after func(c net.Conn) bool
		want  error
	}{
		"ends":   {func(net.Conn) bool { return false }, io.ErrUnexpectedEOF},
		"resets": {func(c net.Conn) bool { c.(*net.TCPConn).SetLinger(0); return false }, nil},
		"stalls": {func(c net.Conn) bool { io.Copy(io.Discard, c); return false }, backend.ErrStalled},
	} {
		t.Run(name, func(t *testing.T) {
			var conns atomic.Int64
			s := giving(t, 1<<20, data, &conns, test.after)
			r := backend.Wrap(newRemote(t, s.endpoint, func(o *backend.Options) { o.StallTimeout = 50 * time.Millisecond }), backend.WrapOptions{})
			near, far := sockets(t)
			var got []byte
			var wg sync.WaitGroup
			wg.Go(func() { got, _ = io.ReadAll(far) })
			obj, err := r.Get(bg, "bucket", "key", backend.GetOptions{})
			if err != nil {
				t.Fatal(err)
			}
			defer obj.Body.Close()
			n, err := spliceAll(obj, near, 100_000)
			near.Close()
			wg.Wait()
			var sink *backend.SinkError
			if err == nil || errors.As(err, &sink) || test.want != nil && !errors.Is(err, test.want) {
				t.Errorf("%v", err)
			}
			if n != int64(len(got)) || !bytes.Equal(got, data[:n]) || name != "resets" && n != int64(len(data)) {
				t.Errorf("%d bytes told, %d arrived of %d", n, len(got), len(data))
			}
			if h := r.Breaker.Health(); h.LastError == nil {
				t.Errorf("the endpoint was not blamed: %+v", h)
			}
		})
	}
}

// TestSpliceToAClientThatIsSlowOrGone is no fault of the endpoint's.
func TestSpliceToAClientThatIsSlowOrGone(t *testing.T) {
	onlyOnLinux(t)
	data := randomData(32 << 20) // more than sockets hold
	for name, test := range map[string]struct {
		end  func(near, far *net.TCPConn)
		want error
	}{
		"slow":  {func(near, _ *net.TCPConn) { near.SetWriteDeadline(time.Now().Add(2500 * time.Millisecond)) }, os.ErrDeadlineExceeded},
		"gone":  {func(_, far *net.TCPConn) { far.SetLinger(0); far.Close() }, syscall.ECONNRESET},
		"ended": {func(near, _ *net.TCPConn) { near.CloseWrite() }, syscall.EPIPE},
	} {
		t.Run(name, func(t *testing.T) {
			var conns atomic.Int64
			s := giving(t, len(data), data, &conns, func(net.Conn) bool { return false })
			r := backend.Wrap(newRemote(t, s.endpoint, func(o *backend.Options) { o.StallTimeout = time.Second }), backend.WrapOptions{}) // less than the slow client has
			obj, err := r.Get(bg, "bucket", "key", backend.GetOptions{})
			if err != nil {
				t.Fatal(err)
			}
			defer obj.Body.Close()
			near, far := sockets(t)
			test.end(near, far)
			n, err := spliceAll(obj, near, 1<<20)
			var sink *backend.SinkError
			if !errors.As(err, &sink) || !errors.Is(err, test.want) && !errors.Is(err, syscall.EPIPE) || n >= int64(len(data)) {
				t.Errorf("%d bytes, %v", n, err)
			}
			if h := r.Breaker.Health(); h.LastError != nil || h.State != backend.Up {
				t.Errorf("the endpoint was blamed: %+v", h)
			}
		})
	}
}

// TestCloseEndsASplice that waits for the endpoint.
func TestCloseEndsASplice(t *testing.T) {
	onlyOnLinux(t)
	var conns atomic.Int64
	s := giving(t, 1<<20, nil, &conns, func(c net.Conn) bool { io.Copy(io.Discard, c); return false })
	obj, err := newRemote(t, s.endpoint).Get(bg, "bucket", "key", backend.GetOptions{})
	if err != nil {
		t.Fatal(err)
	}
	near, _ := sockets(t)
	var wg sync.WaitGroup
	wg.Go(func() { obj.Body.Close() })
	if n, err := obj.Body.(backend.Splicer).SpliceTo(near, 1<<20); n != 0 || err == nil {
		t.Errorf("%d bytes, %v", n, err)
	}
	wg.Wait()
}

// TestNoSpliceOverTLS, nor of a body that yields to clients.
func TestNoSpliceOverTLS(t *testing.T) {
	srv := httptest.NewTLSServer(memory.New(memory.Options{AccessKeyID: accessKey, SecretAccessKey: secretKey}))
	defer srv.Close()
	u, _ := url.Parse(srv.URL)
	stack := backend.Wrap(newRemote(t, u, trust(srv)), backend.WrapOptions{})
	if err := stack.CreateBucket(bg, "bucket"); err != nil {
		t.Fatal(err)
	}
	data := randomData(300_000)
	if _, err := stack.Put(bg, putRequest(data, literal(data))); err != nil {
		t.Fatal(err)
	}
	obj, err := stack.Get(bg, "bucket", "key", backend.GetOptions{})
	if err != nil {
		t.Fatal(err)
	}
	defer obj.Body.Close()
	near, _ := sockets(t)
	if n, err := obj.Body.(backend.Splicer).SpliceTo(near, 1<<20); n != 0 || !errors.Is(err, errors.ErrUnsupported) {
		t.Errorf("%d bytes, %v", n, err)
	}
	if got, err := io.ReadAll(obj.Body); err != nil || !bytes.Equal(got, data) {
		t.Errorf("then %d bytes, %v", len(got), err)
	}
	paced, err := stack.Paced.Get(bg, "bucket", "key", backend.GetOptions{})
	if err != nil {
		t.Fatal(err)
	}
	defer paced.Body.Close()
	if _, ok := paced.Body.(backend.Splicer); ok {
		t.Error("the limit can be gone round")
	}
}

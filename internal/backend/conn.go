package backend

import (
	"context"
	"io"
	"net"
	"net/http/httptrace"
	"sync"
	"sync/atomic"
	"time"
)

// userTimeout is how long sent bytes may stay unacknowledged, or the peer's
// window shut, before the kernel ends the connection (RELIABILITY H32). Without
// it a killed process's bytes would be retried for a quarter of an hour.
const userTimeout = 10 * time.Second

// copyBuffers serve the copies of framed bodies to connections. io.Copy would
// allocate one for each upload.
var copyBuffers = sync.Pool{New: func() any { return new([64 << 10]byte) }}

// DialFunc opens a connection, as net.Dialer.DialContext does.
type DialFunc func(ctx context.Context, network, addr string) (net.Conn, error)

// dialer returns the dial function of a transport. Its connections end in a
// reset, never in an orderly close: what the kernel has not sent yet is
// dropped, and a server that is in the middle of a body can not mistake the end
// of the connection for the end of the body. That holds for kill -9 too.
func dialer(dial DialFunc) DialFunc {
	if dial == nil {
		d := &net.Dialer{Timeout: 5 * time.Second, KeepAlive: 15 * time.Second, Control: setUserTimeout}
		dial = d.DialContext
	}
	return func(ctx context.Context, network, addr string) (net.Conn, error) {
		c, err := dial(ctx, network, addr)
		if err != nil {
			return nil, err
		}
		if t, ok := c.(*net.TCPConn); ok {
			_ = t.SetLinger(0) // fails only on a connection that is dead already
		}
		return &conn{Conn: c}, nil
	}
}

// conn is a connection to an endpoint. It counts what it sent, and tells the
// request that uses it when it is closed: a transport that has lost a
// connection waits for the request body's Read to return, and that Read may be
// waiting for the release of a held tail.
type conn struct {
	net.Conn
	sent atomic.Int64

	mu     sync.Mutex // guards the following
	closed bool
	rider  *flight // the last request that used it
}

func (c *conn) Write(b []byte) (int, error) {
	n, err := c.Conn.Write(b)
	c.sent.Add(int64(n))
	return n, err
}

// ReadFrom implements io.ReaderFrom, which net/http uses for request bodies.
func (c *conn) ReadFrom(r io.Reader) (int64, error) {
	buf := copyBuffers.Get().(*[64 << 10]byte)
	defer copyBuffers.Put(buf)
	return io.CopyBuffer(writerOnly{c}, readerOnly{r}, buf[:])
}

// Only the methods that io.Copy must see.
type (
	writerOnly struct{ io.Writer }
	readerOnly struct{ io.Reader }
)

// Close ends the connection at once and tells the request that uses it.
func (c *conn) Close() error {
	c.mu.Lock()
	c.closed = true
	rider := c.rider
	c.mu.Unlock()
	if rider != nil {
		rider.lost()
	}
	return c.Conn.Close()
}

// board makes f the request that uses the connection.
func (c *conn) board(f *flight) {
	c.mu.Lock()
	c.rider = f
	closed := c.closed
	c.mu.Unlock()
	if closed {
		f.lost()
	}
}

// leave takes f off, unless another request has the connection by now.
func (c *conn) leave(f *flight) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.rider == f {
		c.rider = nil
	}
}

// closeFor closes the connection if f still has it.
func (c *conn) closeFor(f *flight) {
	c.mu.Lock()
	mine := c.rider == f
	c.closed = c.closed || mine
	c.mu.Unlock()
	if mine {
		_ = c.Close()
	}
}

// flight is one request's hold on the connection it travels on.
type flight struct {
	lost func() // called when the connection is closed under the request

	mu     sync.Mutex // guards the following
	conn   *conn
	reused bool
	before int64 // bytes that conn had sent before this request
}

// trace makes the transport report the connection. It may report several: it
// sends a request again when a kept connection turns out dead before a byte of
// it was written.
func (f *flight) trace(ctx context.Context) context.Context {
	return httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{GotConn: f.got})
}

func (f *flight) got(info httptrace.GotConnInfo) {
	c := info.Conn
	if t, ok := c.(interface{ NetConn() net.Conn }); ok {
		c = t.NetConn() // below TLS
	}
	own, ok := c.(*conn)
	if !ok {
		return
	}
	f.leave()
	f.mu.Lock()
	f.conn, f.reused, f.before = own, info.Reused, own.sent.Load()
	f.mu.Unlock()
	own.board(f)
}

// leave lets go of the connection, which may then serve another request.
func (f *flight) leave() {
	if c := f.current(); c != nil {
		c.leave(f)
	}
}

// cut resets the connection. It goes below TLS, whose own way to close sends a
// notice that looks like an orderly end.
func (f *flight) cut() {
	if c := f.current(); c != nil {
		c.closeFor(f)
	}
}

func (f *flight) current() *conn {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.conn
}

// kept tells whether the request travelled on a connection that had served
// others before.
func (f *flight) kept() bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.reused
}

// sent tells whether any byte of the request may have left. It is exact after
// cut: nothing is written to a closed connection.
func (f *flight) sent() bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.conn != nil && f.conn.sent.Load() > f.before
}

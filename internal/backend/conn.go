package backend

import (
	"context"
	"crypto/tls"
	"io"
	"net"
	"sync"
	"time"
)

// userTimeout is how long sent bytes may stay unacknowledged, or the peer's
// window shut, before the kernel ends the connection (RELIABILITY H32). Without
// it a killed process's bytes would be retried for a quarter of an hour.
const userTimeout = 10 * time.Second

// Bounds of opening a connection.
const (
	dialTimeout      = 5 * time.Second
	handshakeTimeout = 5 * time.Second
)

// DialFunc opens a connection, as net.Dialer.DialContext does.
type DialFunc func(ctx context.Context, network, addr string) (net.Conn, error)

// conn is a connection to an endpoint. One exchange has it at a time; of that
// one a goroutine may read while another writes. It always ends in a reset,
// never in an orderly close: what the kernel has not sent yet is dropped, and a
// server that is in the middle of a body can not mistake the end of the
// connection for the end of the body. That holds for kill -9 too.
type conn struct {
	net.Conn              // what is spoken on: TLS, or the connection itself
	raw      net.Conn     // below TLS
	tcp      *net.TCPConn // the same, where nothing lies above it: it takes many pieces in one call, and can be spliced
	probe    func() bool  // whether the peer has neither closed nor said anything; nil: nobody knows
	place    string       // network address, for the pool
	since    time.Time    // when it was put into the pool; guarded by the pool
}

// dial opens a connection to addr, with TLS when config is not nil.
func dial(ctx context.Context, f DialFunc, addr string, config *tls.Config) (*conn, error) {
	if f == nil {
		d := &net.Dialer{Timeout: dialTimeout, KeepAlive: 15 * time.Second, Control: setUserTimeout}
		f = d.DialContext
	}
	raw, err := f(ctx, "tcp", addr)
	if err != nil {
		return nil, err
	}
	c := &conn{Conn: raw, raw: raw, place: addr}
	if t, ok := raw.(*net.TCPConn); ok {
		_ = t.SetLinger(0) // fails only on a connection that is dead already
		c.probe = prober(t)
		c.tcp = t
	}
	if config == nil {
		return c, nil
	}
	c.tcp = nil
	ctx, cancel := context.WithTimeout(ctx, handshakeTimeout)
	defer cancel()
	secure := tls.Client(raw, config)
	if err := secure.HandshakeContext(ctx); err != nil {
		c.cut()
		return nil, err
	}
	c.Conn = secure
	return c, nil
}

// cut resets the connection. It goes below TLS, whose own way to close sends a
// notice that looks like an orderly end. It may be called from anywhere, often.
func (c *conn) cut() { _ = c.raw.Close() }

// alive tells whether an idle connection can be used: one that the peer has
// closed, or on which it said something that nobody asked for, can not. It costs
// one system call and sends nothing.
func (c *conn) alive() bool { return c.probe == nil || c.probe() }

// gathered is how much of small pieces is put together before it is sent, in
// bytes: where the kernel can not take many at once, and where all of it is so
// little that a copy is cheaper.
const gathered = 16 << 10

var gatherBuffers = sync.Pool{New: func() any { return new([gathered]byte) }}

// writeAll sends the pieces, and tells how many of their bytes left: those that
// the kernel took, or that stand in TLS records which it took whole. It consumes
// what it sent of pieces.
func (c *conn) writeAll(pieces *net.Buffers) (int64, error) {
	if c.tcp != nil && !small(*pieces) {
		return pieces.WriteTo(c.tcp)
	}
	buf := gatherBuffers.Get().(*[gathered]byte)
	defer gatherBuffers.Put(buf)
	w := gatherer{w: c.Conn, buf: buf[:0]}
	for len(*pieces) > 0 {
		if err := w.add((*pieces)[0]); err != nil {
			return w.sent, err
		}
		*pieces = (*pieces)[1:]
	}
	err := w.flush()
	return w.sent, err
}

// small tells whether all pieces fit into one buffer.
func small(pieces net.Buffers) bool {
	n := 0
	for _, p := range pieces {
		n += len(p)
	}
	return n <= gathered
}

// gatherer puts small pieces together.
type gatherer struct {
	w    io.Writer
	buf  []byte
	sent int64
}

func (g *gatherer) add(p []byte) error {
	if len(p) > cap(g.buf)-len(g.buf) {
		if err := g.flush(); err != nil {
			return err
		}
	}
	if len(p) > cap(g.buf) {
		return g.write(p)
	}
	g.buf = append(g.buf, p...)
	return nil
}

func (g *gatherer) flush() error {
	if len(g.buf) == 0 {
		return nil
	}
	p := g.buf
	g.buf = g.buf[:0]
	return g.write(p)
}

func (g *gatherer) write(p []byte) error {
	n, err := g.w.Write(p)
	g.sent += int64(n)
	return err
}

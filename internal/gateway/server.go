package gateway

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"sync"
	"time"
)

// NewServer is an http.Server for the handler with every bound set that is not
// one of progress. It speaks HTTP/1.1 only, as S3 does: SDKs are tuned for many
// connections, and would put all uploads of a process on one. There is no
// ReadTimeout and no WriteTimeout, which would cap how long a transfer may take.
//
// Serve it on Listen's listener, with Serve: TLS is the listener's business.
func NewServer(h *Handler) *http.Server {
	protocols := new(http.Protocols)
	protocols.SetHTTP1(true)
	return &http.Server{
		Handler:           h,
		Protocols:         protocols,
		ReadHeaderTimeout: 10 * time.Second,
		IdleTimeout:       2 * time.Minute,
		MaxHeaderBytes:    64 << 10,
		ConnContext:       withConn,
		ErrorLog:          slog.NewLogLogger(h.Log.Handler(), slog.LevelDebug), // the noise of broken clients
	}
}

// Listen returns l with TLS on it, unless config is nil, and with framing that
// is strict: see framing. Closing it closes l.
func Listen(l net.Listener, config *tls.Config) net.Listener {
	if config != nil {
		config = config.Clone()
		config.NextProtos = []string{"http/1.1"}
		l = tls.NewListener(l, config)
	}
	return strictListener{l}
}

type strictListener struct{ net.Listener }

func (l strictListener) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	return &strictConn{Conn: c, tcp: plain(c)}, nil
}

// plain is the socket of a connection on which nothing is spoken but HTTP; nil
// where there is something between, as TLS.
func plain(c net.Conn) *net.TCPConn {
	switch c := c.(type) {
	case *net.TCPConn:
		return c
	case interface{ TCPConn() (*net.TCPConn, bool) }: // behind a PROXY protocol header
		tcp, _ := c.TCPConn()
		return tcp
	}
	return nil
}

// strictConn is a connection whose requests are framed without doubt. What is
// not ends in an error from Read, which net/http answers with 400 and by closing
// the connection.
type strictConn struct {
	net.Conn
	tcp *net.TCPConn // of plain

	holds bool   // see hold; of whoever writes
	held  []byte // what was written since

	mu      sync.Mutex // guards the rest: net/http reads from two goroutines, in turn
	framing framing
	bad     error // once found
}

// Read gives what is in order, and the error with the next call: net/http
// answers an error within a request, but not one between two.
func (c *strictConn) Read(p []byte) (int, error) {
	c.mu.Lock()
	bad := c.bad
	c.mu.Unlock()
	if bad != nil {
		return 0, bad
	}
	n, err := c.Conn.Read(p)
	c.mu.Lock()
	defer c.mu.Unlock()
	if n, c.bad = c.framing.scan(p[:n]); c.bad == nil || n > 0 {
		return n, err
	}
	return 0, c.bad
}

// hold keeps what is written until release: net/http gives the head of an answer and a
// small body to the connection one after the other, and each write is a system call, a
// packet and a wake-up of the client.
func (c *strictConn) hold() {
	c.holds, c.held = true, heldBuffers.Get().(*heldBuffer)[:0]
}

// release ends hold. It writes what was held, unless drop is set: the connection is
// going to be cut.
func (c *strictConn) release(drop bool) (err error) {
	if !drop {
		_, err = c.Conn.Write(c.held)
	}
	if cap(c.held) == len(heldBuffer{}) {
		heldBuffers.Put((*heldBuffer)(c.held[:len(heldBuffer{})]))
	}
	c.holds, c.held = false, nil
	return err
}

// heldBuffer has room for a head and the smallest of the bodies that are held.
type heldBuffer [8 << 10]byte

var heldBuffers = sync.Pool{New: func() any { return new(heldBuffer) }}

// Write implements net.Conn.
func (c *strictConn) Write(p []byte) (int, error) {
	if c.holds {
		c.held = append(c.held, p...)
		return len(p), nil
	}
	return c.Conn.Write(p)
}

// ReadFrom implements io.ReaderFrom, by which net/http lets the kernel move the
// body of an answer.
func (c *strictConn) ReadFrom(r io.Reader) (int64, error) {
	if piece, ok := r.(*io.LimitedReader); ok && c.tcp != nil {
		if src, ok := piece.R.(splicer); ok {
			n, err := src.SpliceTo(c.tcp, piece.N)
			piece.N -= n
			return n, err
		}
	}
	return io.Copy(struct{ io.Writer }{c.Conn}, r)
}

// splicer is a body that the kernel can move: a part of what replica gives.
type splicer interface {
	SpliceTo(dst *net.TCPConn, max int64) (int64, error)
}

type connKey struct{}

// withConn makes the connection known to its requests.
func withConn(ctx context.Context, c net.Conn) context.Context {
	if c, ok := c.(*strictConn); ok {
		ctx = context.WithValue(ctx, connKey{}, c)
	}
	return ctx
}

// connOf is the connection of a request; nil where it did not come by Listen's.
func connOf(r *http.Request) *strictConn {
	c, _ := r.Context().Value(connKey{}).(*strictConn)
	return c
}

// canSplice tells whether an answer leaves through a plain socket.
func (c *strictConn) canSplice() bool { return c != nil && c.tcp != nil }

// CloseWrite lets net/http end its half first, so that an answer is not lost
// to a reset.
func (c *strictConn) CloseWrite() error {
	if half, ok := c.Conn.(interface{ CloseWrite() error }); ok {
		return half.CloseWrite()
	}
	return errors.ErrUnsupported
}

package backend

import (
	"errors"
	"fmt"
	"io"
	"net"
)

// Splicer is implemented by bodies of objects whose bytes the kernel can move
// from one socket to another, past our memory.
type Splicer interface {
	// SpliceTo moves what Read would give next to dst, at most max bytes, and
	// tells how many dst took. Fewer without an error are possible. What dst
	// failed with is a *SinkError, and the body is of no use any more; any other
	// error is the body's, as from Read, and dst has all that came before it.
	// errors.ErrUnsupported means that nothing was moved nor will be: the body
	// must be read. dst's write deadline bounds how long dst may take.
	SpliceTo(dst *net.TCPConn, max int64) (n int64, err error)
}

// SinkError is a failure of the socket that bytes were to be moved to.
type SinkError struct{ Err error }

func (e *SinkError) Error() string { return "send: " + e.Err.Error() }

// Unwrap gives the cause.
func (e *SinkError) Unwrap() error { return e.Err }

// SpliceTo implements Splicer, where the endpoint is reached without TLS and said
// how long the body is.
func (b *body) SpliceTo(dst *net.TCPConn, max int64) (n int64, err error) {
	sized, ok := b.resp.Body.(*sizedBody)
	if !ok || sized.a.conn.tcp == nil {
		return 0, errors.ErrUnsupported
	}
	a := sized.a
	if max = min(max, a.left); len(a.rest) > 0 && max > 0 {
		k, err := dst.Write(a.rest[:min(max, int64(len(a.rest)))])
		a.rest = a.rest[k:]
		a.recycle()
		b.took(sized, int64(k))
		if err != nil {
			return int64(k), &SinkError{err}
		}
		return int64(k), nil
	}
	p, err := b.pool.pipe()
	if err != nil {
		return 0, fmt.Errorf("%w: %w", errors.ErrUnsupported, err)
	}
	n, err = b.splice(p, sized, dst, max)
	b.pool.putPipe(p)
	return n, err
}

// splice moves up to max bytes through p.
func (b *body) splice(p *pipe, sized *sizedBody, dst *net.TCPConn, max int64) (n int64, err error) {
	src := sized.a.conn.tcp
	for n < max {
		b.timer.Reset(b.stall)
		k, err := p.fill(src, max-n)
		b.timer.Stop() // the pace of dst is none of the endpoint's
		if err == nil && k == 0 {
			err = io.ErrUnexpectedEOF
		}
		if err != nil {
			return n, fmt.Errorf("body of the object, %d bytes short: %w", b.left, b.reason(err))
		}
		b.took(sized, k)
		moved, err := p.drain(dst, k)
		if n += moved; err != nil {
			return n, &SinkError{err}
		}
	}
	return n, nil
}

// took notes that n bytes more have left the connection.
func (b *body) took(sized *sizedBody, n int64) {
	sized.took(n)
	b.left -= n
}

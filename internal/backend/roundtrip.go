package backend

import (
	"bytes"
	"errors"
	"fmt"
	"net"
	"net/http"
	"sync"
	"time"
)

const (
	// expectTimeout is how long an endpoint may take to ask for a body that was
	// announced. One that does not know Expect says nothing.
	expectTimeout = time.Second
	// lastWords is how long an answer is waited for on a connection that takes
	// no more of the request: the endpoint's reason is often there.
	lastWords = time.Second
	// headSize is what is read at once in the hope of an answer's head, in bytes.
	headSize = 8 << 10
)

var (
	errLost     = errors.New("connection was closed by the endpoint")
	errAnswered = errors.New("endpoint has answered")
)

var answerBuffers = sync.Pool{New: func() any { return new([headSize]byte) }}

// RoundTrip implements http.RoundTripper for this one exchange: it sends the
// request and returns the head of the answer. When a kept connection turned out
// dead it takes a fresh one, once, if not a byte of the request left; of a GET or
// HEAD, if not a byte of an answer came.
func (x *exchange) RoundTrip(req *http.Request) (*http.Response, error) {
	head := headBuffers.Get().(*bytes.Buffer)
	head.Reset()
	defer headBuffers.Put(head)
	if err := appendHead(head, req); err != nil {
		return nil, err
	}
	first, err := x.first(head.Bytes(), req)
	if err != nil {
		return nil, err
	}
	resp, err := x.attempt(req, first, false)
	if err != nil && x.stale() {
		x.abandon()
		resp, err = x.attempt(req, first, true)
	}
	return resp, err
}

// first are the pieces that are sent first: the head, and what of the body is
// there. A body that is announced waits for the endpoint's leave.
func (x *exchange) first(head []byte, req *http.Request) (net.Buffers, error) {
	pieces := net.Buffers{head}
	if x.body != nil {
		pieces = append(pieces, x.body)
	}
	if x.upload == nil || req.Header.Get("Expect") != "" {
		return pieces, nil
	}
	return x.upload.batch(pieces, false)
}

// stale tells whether an attempt failed because its kept connection was dead, in
// a way that makes another one harmless.
func (x *exchange) stale() bool {
	idempotent := x.method == http.MethodGet || x.method == http.MethodHead
	return x.kept && x.why.Load() == nil && (x.sent == 0 || idempotent && !x.heard.Load())
}

// abandon drops the connection, of which another one takes the place.
func (x *exchange) abandon() {
	if c, _ := x.leave(); c != nil {
		x.pool.drop(c)
	}
}

// attempt sends the request on one connection.
func (x *exchange) attempt(req *http.Request, first net.Buffers, fresh bool) (*http.Response, error) {
	addr, name := address(req)
	c, kept, err := x.pool.take(x.ctx, addr, name, fresh)
	if err != nil {
		return nil, err
	}
	x.kept = kept
	if !x.board(c) {
		x.pool.drop(c)
		return nil, errEnded // abort knows why
	}
	x.sent = 0
	x.pieces = append(x.pieces[:0], first...) // a copy: first may be needed again
	err = x.write(c, int64(len(first[0])))
	switch {
	case err != nil && x.sent == 0:
		return nil, err
	case x.upload != nil && !x.upload.given():
		return x.stream(c, req, err)
	}
	return x.hear(c, err)
}

// write sends x.pieces, whose first bytes, as many as head says, are no part of
// an upload.
func (x *exchange) write(c *conn, head int64) error {
	x.out = x.pieces // which stays what it is, while out is consumed
	n, err := c.writeAll(&x.out)
	x.sent += n
	if x.upload != nil {
		x.upload.took(max(n-head, 0))
	}
	return err
}

// hear waits for the answer to a request that was sent, or failed to be.
func (x *exchange) hear(c *conn, failure error) (*http.Response, error) {
	x.awaitAnswer(c, failure)
	h, err := x.listen(c, func(int) {})
	return x.heed(c, h, err, failure)
}

// awaitAnswer sets the time for the answer.
func (x *exchange) awaitAnswer(c *conn, failure error) {
	switch {
	case failure != nil:
		_ = c.SetReadDeadline(time.Now().Add(lastWords))
	case x.answers > 0:
		x.timer.Reset(x.answers)
	}
}

// listen reads the head of the answer.
func (x *exchange) listen(c *conn, interim func(status int)) (head, error) {
	buf := answerBuffers.Get().(*[headSize]byte)
	h, rest, err := readHead(hearing{c, x}, buf[:0], interim)
	if err != nil {
		answerBuffers.Put(buf)
		return head{}, err
	}
	x.answer.conn, x.answer.rest, x.answer.buf = c, rest, buf
	return h, nil
}

// hearing notes that something of an answer came.
type hearing struct {
	*conn
	x *exchange
}

func (h hearing) Read(p []byte) (int, error) {
	n, err := h.conn.Read(p)
	if n > 0 {
		h.x.heard.Store(true)
	}
	return n, err
}

// heed concludes an attempt: an answer counts for more than a request that could
// not be sent to its end.
func (x *exchange) heed(c *conn, h head, err, failure error) (*http.Response, error) {
	switch {
	case err != nil && (failure == nil || errors.Is(failure, errLost)):
		return nil, err
	case err != nil:
		return nil, fmt.Errorf("%w; and no answer: %w", failure, err)
	}
	x.whole = failure == nil
	if failure != nil {
		_ = c.SetReadDeadline(time.Time{}) // the timer is there
	}
	return x.answer.response(h, x.method), nil
}

// stream sends the body of an upload while it listens for the answer: an
// endpoint may refuse an upload at any time, and the connection may die while its
// end is held back. failure is of the head.
func (x *exchange) stream(c *conn, req *http.Request, failure error) (*http.Response, error) {
	l := x.listenAside(c)
	if failure == nil && req.Header.Get("Expect") != "" {
		l.leave()
	}
	for failure == nil && !x.upload.given() {
		if x.pieces, failure = x.upload.batch(x.pieces[:0], true); failure == nil {
			failure = x.write(c, 0)
		}
	}
	if x.upload.fault() != nil {
		c.cut() // half a body must not look whole, and no answer to it is of interest
		<-l.done
		return nil, failure
	}
	x.awaitAnswer(c, failure)
	<-l.done
	_ = c.SetWriteDeadline(time.Time{})
	return x.heed(c, l.head, l.err, failure)
}

// listener hears the answer to an upload that is being sent.
type listener struct {
	head      head
	err       error
	continued chan struct{} // has room for one: the endpoint wants the body
	done      chan struct{} // closed when head and err are there
}

// listenAside listens in a goroutine of its own, which whoever sends must wait
// for. Its end ends the sending, too: what an endpoint that has answered, or is
// gone, has not read is of no use to it.
func (x *exchange) listenAside(c *conn) *listener {
	l := &listener{continued: make(chan struct{}, 1), done: make(chan struct{})}
	go func() {
		defer close(l.done)
		l.head, l.err = x.listen(c, func(status int) {
			if status == http.StatusContinue {
				select {
				case l.continued <- struct{}{}:
				default:
				}
			}
		})
		cause := errAnswered
		if l.err != nil {
			l.err = fmt.Errorf("%w: %w", errLost, l.err)
			cause = l.err
		}
		x.upload.quit(cause)
		_ = c.SetWriteDeadline(time.Unix(1, 0)) // long ago
	}()
	return l
}

// leave waits for the endpoint's leave to send, and not for long.
func (l *listener) leave() {
	t := time.NewTimer(expectTimeout)
	defer t.Stop()
	select {
	case <-l.continued:
	case <-l.done:
	case <-t.C:
	}
}

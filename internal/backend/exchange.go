package backend

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"net"
	"net/http"
	"net/url"
	"sync"
	"sync/atomic"
	"time"

	"github.com/s3mirror/s3mirror/internal/s3"
	"github.com/s3mirror/s3mirror/internal/sigv4"
)

// maxDrain is how many bytes of an unwanted answer are read so that its
// connection can be kept.
const maxDrain = 64 << 10

var errEnded = errors.New("operation has ended")

// call is one request to the endpoint.
type call struct {
	op          Op
	method      string
	bucket, key string // empty where there is none
	query       string // escaped, without the question mark
	header      http.Header
	payload     string // x-amz-content-sha256; empty: of no body
	body        []byte // a small one, instead of upload
	upload      *upload
	length      int64 // of the framed upload, in bytes
	slow        bool  // the answer may take minutes: the caller's context alone bounds it
}

// exchange is one attempt at a call. It ends in one of three ways: the caller's
// context is done, a timer fires, or end is called. The first two give the
// upload up and reset the connection, so that nothing of the request can follow
// and no TLS notice makes the cut look like an orderly end.
//
// It is owned by the goroutine that called begin, save for abort, which anybody
// may call.
type exchange struct {
	call
	pool    *pool
	answers time.Duration   // how long the answer may take once a mutation is sent; 0: the timer runs
	ctx     context.Context // of waiting for a connection
	cancel  context.CancelCauseFunc
	stop    func() bool // stops listening to the caller's context
	timer   *time.Timer
	resp    *http.Response
	answer  answer
	why     atomic.Pointer[error] // what aborted it, set before anybody can feel it

	pieces, out net.Buffers // what is sent next, and what of it is still to be sent

	kept  bool        // the connection had served others before
	sent  int64       // bytes of the request that left
	whole bool        // all of them did
	heard atomic.Bool // a byte of an answer came

	mu      sync.Mutex // guards the following
	conn    *conn      // nil: not yet, or not any more
	aborted bool
}

// begin sends the request and waits for the head of the answer. wait bounds the
// time from here until the timer is reset or the exchange ends; zero: it may take
// as long as it needs to be sent, and then the time for answers. The caller must
// end the exchange, failed or not.
func (r *Remote) begin(ctx context.Context, c call, wait time.Duration) (*exchange, error) {
	x := &exchange{call: c, pool: r.pool}
	if wait <= 0 {
		wait = math.MaxInt64
		if !c.slow {
			x.answers = r.o.AnswerTimeout
		}
	}
	// Waiting for a connection ends by abort, last of all.
	x.ctx, x.cancel = context.WithCancelCause(context.WithoutCancel(ctx))
	x.timer = time.AfterFunc(wait, x.late)
	x.stop = context.AfterFunc(ctx, func() { x.abort(context.Cause(ctx)) })
	if err := context.Cause(ctx); err != nil {
		return x, err
	}
	req := r.request(c)
	signer := r.sign(req, c)
	if c.upload != nil {
		c.upload.signer = signer
	}
	var wire http.RoundTripper = x
	if r.o.Wire != nil {
		wire, req = r.o.Wire(x), req.WithContext(x.ctx) //nolint:contextcheck // see above; and a copy, which x itself does not need
	}
	var err error
	x.resp, err = wire.RoundTrip(req) //nolint:bodyclose // end does what is needed
	return x, err
}

// late is called by the timer.
func (x *exchange) late() { x.abort(fmt.Errorf("%w: no answer in time", ErrStalled)) }

// abort ends the exchange from outside.
func (x *exchange) abort(cause error) {
	x.why.CompareAndSwap(nil, &cause)
	if x.upload != nil {
		x.upload.quit(cause)
	}
	x.mu.Lock()
	x.aborted = true
	x.mu.Unlock()
	x.cut()
	x.cancel(cause)
}

// cut resets the connection.
func (x *exchange) cut() {
	x.mu.Lock()
	c := x.conn
	x.mu.Unlock()
	if c != nil {
		c.cut()
	}
}

// board makes c the connection that abort will cut; false: it came too late.
func (x *exchange) board(c *conn) bool {
	x.mu.Lock()
	defer x.mu.Unlock()
	if !x.aborted {
		x.conn = c
	}
	return !x.aborted
}

// leave lets go of the connection, and tells whether nobody aborted it before.
func (x *exchange) leave() (c *conn, intact bool) {
	x.mu.Lock()
	defer x.mu.Unlock()
	c, x.conn = x.conn, nil
	return c, !x.aborted
}

// end releases what the exchange holds. The connection is kept for others when
// all was sent and the answer was read to its end.
func (x *exchange) end() {
	x.stop()
	x.timer.Stop()
	if c, intact := x.leave(); c != nil {
		if intact && x.resp != nil && x.whole && x.answer.whole.Load() && !x.answer.last {
			x.pool.give(c)
		} else {
			x.pool.drop(c)
		}
	}
	x.cancel(errEnded)
}

// settle tells whether the request left: of an upload the last data byte, of a
// request without data any byte. What did not leave, or got no answer, is cut, so
// that the verdict stands.
func (x *exchange) settle() (released bool) {
	if x.upload == nil {
		if x.resp != nil {
			return true
		}
		x.cut()
		return x.sent > 0
	}
	x.upload.quit(errEnded)
	released = x.upload.released()
	if !released || x.resp == nil {
		x.cut()
	}
	return released
}

// run does a call whose answer is a small document, which read (nil: nothing)
// consumes. The error is an *Error or nil.
func (r *Remote) run(ctx context.Context, c call, read func(*http.Response) error) error {
	wait := time.Duration(0)
	if c.op.Reads() {
		wait = r.o.ReadTimeout
	}
	x, err := r.begin(ctx, c, wait)
	defer x.end()
	if err == nil {
		x.timer.Reset(r.o.StallTimeout)
	}
	if err := r.judge(x, err); err != nil {
		return err
	}
	if read != nil {
		if err := read(x.resp); err != nil {
			return r.failed(x, err)
		}
	}
	drain(x.resp)
	return nil
}

// drain reads what is left of an answer, so that its connection can be kept.
func drain(resp *http.Response) { _, _ = io.CopyN(io.Discard, resp.Body, maxDrain) }

// judge returns nil for a success, and settles everything else.
func (r *Remote) judge(x *exchange, err error) error {
	switch {
	case err != nil:
		return r.failed(x, err)
	case x.resp.StatusCode/100 != 2:
		return r.refused(x)
	case !x.settle():
		// It can not have the whole body, whatever it says.
		e := r.failed(x, fmt.Errorf("%w: status %d before the body was whole", ErrAnswer, x.resp.StatusCode))
		e.Outcome = Ambiguous
		return e
	}
	return nil
}

// failed is the error of an exchange that got no usable answer.
func (r *Remote) failed(x *exchange, err error) *Error {
	e := &Error{Backend: r.o.Name, Op: x.op, Outcome: Ambiguous, Released: x.settle()}
	if !e.Released {
		e.Outcome = NotSent
	}
	e.Err = x.reason(err)
	if x.resp != nil {
		e.Status = x.resp.StatusCode
	}
	return e
}

// reason is why the exchange ended. What the transport says may be but the
// consequence of a connection that was cut on purpose.
func (x *exchange) reason(err error) error {
	if x.upload != nil {
		if fault := x.upload.fault(); fault != nil {
			return fault
		}
	}
	if cause := x.why.Load(); cause != nil {
		return *cause
	}
	return err
}

// refused is the error of an answer that is no success.
func (r *Remote) refused(x *exchange) *Error {
	var body io.Reader = x.resp.Body
	if x.method == http.MethodHead {
		body = nil
	}
	s := s3.DecodeError(x.resp.StatusCode, body)
	drain(x.resp)
	released := x.settle()
	return &Error{
		Backend:       r.o.Name,
		Op:            x.op,
		Outcome:       r.outcome(x.op, s, released),
		Misconfigured: misconfigured(x.op, x.method, s),
		Released:      released,
		Status:        s.Status,
		S3:            s,
	}
}

// request builds the HTTP request, unsigned. Its body is the exchange's business.
func (r *Remote) request(c call) *http.Request {
	u := r.url(c)
	h := c.header
	if h == nil {
		h = http.Header{}
	}
	req := &http.Request{
		Method: c.method,
		URL:    u,
		Host:   u.Host,
		Header: h,
		Proto:  "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
	}
	switch {
	case c.upload != nil:
		req.ContentLength = c.length
	case c.body != nil:
		req.ContentLength = int64(len(c.body))
	}
	return req
}

// sign signs the request; headers that are set later are not signed.
func (r *Remote) sign(req *http.Request, c call) *sigv4.ChunkSigner {
	payload := c.payload
	switch {
	case payload != "":
	case c.body != nil:
		payload = hexSum(c.body)
	default:
		payload = emptySHA256
	}
	signer := r.signer.Sign(req, req.URL.RawPath, req.URL.RawQuery, payload, r.o.Now())
	req.Header.Set("User-Agent", "s3mirror")
	req.Header.Set("Accept-Encoding", "identity")
	return signer
}

// url names the resource. RawPath is sent byte for byte.
func (r *Remote) url(c call) *url.URL {
	u := &url.URL{Scheme: r.o.Endpoint.Scheme, Host: r.o.Endpoint.Host, RawQuery: c.query}
	switch {
	case c.bucket == "":
		u.Path = "/"
	case r.o.VirtualHost:
		u.Host = c.bucket + "." + u.Host
		u.Path = "/" + c.key
	case c.key == "":
		u.Path = "/" + c.bucket
	default:
		u.Path = "/" + c.bucket + "/" + c.key
	}
	u.RawPath = sigv4.EscapePath(u.Path)
	return u
}

package gateway

import (
	"io"
	"net/http"
	"time"
)

// upload is the raw body of a request: it gives every read a deadline, so that
// a client that sends nothing for a stall time is given up. Owned by the
// goroutine that reads it, one at a time.
type upload struct {
	src    io.ReadCloser
	conn   *http.ResponseController
	stall  time.Duration
	armed  time.Time // when the deadline was last moved
	size   int64     // as in http.Request.ContentLength: -1 when unknown
	bytes  int64     // read so far
	expect bool      // the client waits for "100 Continue", which the first read sends
	last   bool      // the connection ends with this request
	done   bool      // nothing is left to read

	lookout *lookout // nil until the sender is known
}

func newUpload(r *http.Request, conn *http.ResponseController, stall time.Duration) *upload {
	return &upload{
		src: r.Body, conn: conn, stall: stall, size: r.ContentLength,
		expect: r.Header.Get("Expect") != "",
		last:   r.Close,
		done:   r.ContentLength == 0,
	}
}

func (u *upload) Read(p []byte) (int, error) {
	if u.lookout == nil { // what nobody is known to have sent is not looked at
		u.arm()
		return u.read(p)
	}
	if !u.done && (u.size < 0 || u.size > shortBody) {
		u.lookout.begin(reading)
	}
	u.arm()
	if err := u.lookout.verdict(reading); err != nil { // after arm: what interrupts later interrupts this read
		return 0, err
	}
	n, err := u.read(p)
	cut := u.lookout.verdict(reading)
	if u.done {
		cut = u.lookout.last()
	}
	if cut != nil {
		return 0, cut
	}
	return n, err
}

func (u *upload) read(p []byte) (int, error) {
	n, err := u.src.Read(p)
	u.bytes += int64(n)
	if err == io.EOF {
		u.done = true
	}
	return n, err
}

// arm moves the read deadline. It is not moved for every piece, since it takes
// a lock of the runtime, and never behind the end of the body: from there on
// net/http reads the connection itself, to learn that the client is gone, and a
// deadline would look like that.
func (u *upload) arm() {
	now := time.Now()
	if u.done || now.Sub(u.armed) < u.stall/16 {
		return
	}
	u.armed = now
	_ = u.conn.SetReadDeadline(now.Add(u.stall)) // not supported: a test's writer
}

// Close is net/http's business.
func (u *upload) Close() error { return nil }

// left is how many bytes of the body are still to come, -1 when that is not
// known.
func (u *upload) left() int64 {
	if u.size < 0 {
		return -1
	}
	return u.size - u.bytes
}

// awaited tells whether the client still waits for leave to send.
func (u *upload) awaited() bool { return u.expect && u.armed.IsZero() }

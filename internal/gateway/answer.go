package gateway

import (
	"io"
	"net/http"
	"time"
)

// answer is the ResponseWriter of one request: it remembers what was answered,
// and gives every write a deadline. Owned by the goroutine of the request.
type answer struct {
	http.ResponseWriter
	conn   *http.ResponseController
	stall  time.Duration
	status int
	bytes  int64 // of bodies
	wrote  bool  // the header is out: an error can no longer be told
	cut    bool  // the connection must not end cleanly
	drain  bool  // see refused

	lookout *lookout // nil until the receiver is known
}

func newAnswer(w http.ResponseWriter, stall time.Duration) *answer {
	return &answer{ResponseWriter: w, conn: http.NewResponseController(w), stall: stall}
}

func (a *answer) WriteHeader(status int) {
	if !a.wrote {
		a.wrote, a.status = true, status
		a.arm(0)
	}
	a.ResponseWriter.WriteHeader(status)
}

func (a *answer) Write(p []byte) (int, error) {
	if !a.wrote {
		a.WriteHeader(http.StatusOK)
	}
	n := 0
	for {
		piece := p[n:min(len(p), n+maxWrite)]
		if err := a.may(len(piece)); err != nil {
			return n, err
		}
		m, err := a.ResponseWriter.Write(piece)
		a.bytes += int64(m)
		if n += m; err != nil || n == len(p) {
			return n, err
		}
	}
}

// ReadFrom lets the kernel move what it can of src, in pieces that each have a
// deadline. It ends with the first piece that is empty.
func (a *answer) ReadFrom(src io.Reader) (n int64, err error) {
	for {
		if err := a.may(maxWrite); err != nil {
			return n, err
		}
		m, err := a.ResponseWriter.(io.ReaderFrom).ReadFrom(&io.LimitedReader{R: src, N: maxWrite})
		a.bytes += m
		if n += m; err != nil || m == 0 {
			return n, err
		}
	}
}

// FlushError sends what was written so far, for http.ResponseController: a client that waits
// long is to see the blanks while the work goes on.
func (a *answer) FlushError() error {
	a.arm(0)
	return a.conn.Flush()
}

// may gives the next write of n bytes its deadline, unless the receiver may not
// have more.
func (a *answer) may(n int) error {
	if a.lookout == nil {
		a.arm(n)
		return nil
	}
	if a.bytes+int64(n) > shortBody {
		a.lookout.begin(writing)
	}
	a.arm(n)
	return a.lookout.verdict(writing)
}

const (
	// maxWrite is the most that is given to the kernel at once, in bytes.
	maxWrite = 256 << 10
	// stallPiece is how much a reader must take in one stall time, in bytes.
	stallPiece = 64 << 10
)

// arm moves the write deadline. A write of n bytes may take a stall time for
// each piece of it, because progress within a write cannot be seen.
func (a *answer) arm(n int) {
	pieces := time.Duration(1 + n/stallPiece)
	_ = a.conn.SetWriteDeadline(time.Now().Add(pieces * a.stall)) // not supported: a test's writer
}

const (
	// maxUnread is how much of an unread body net/http takes in by itself, so
	// that the connection can be used again.
	maxUnread = 256 << 10
	// lingerBytes and lingerTime bound what is taken in of a larger body after
	// the answer: many clients read no answer while they send, and a connection
	// that is closed with data unread is reset, which can destroy the answer.
	lingerBytes = 1 << 20
	lingerTime  = 3 * time.Second
)

// refused prepares an answer that comes before the body was read: the
// connection of a large body is given up, and what is left of a small one must
// come soon. net/http takes nothing in when the connection ends anyway.
func (a *answer) refused(u *upload) {
	if u.done {
		return
	}
	if left := u.left(); left < 0 || left > maxUnread || u.last {
		a.drain = true
		a.Header().Set("Connection", "close")
	}
	a.limit()
}

// linger takes in a part of a body that was refused unread, after the answer
// went out. A client that waits for "100 Continue" will send none.
func (a *answer) linger(u *upload) {
	if !a.drain || u.awaited() {
		return
	}
	_ = a.conn.Flush() // whatever comes of this, the connection ends
	a.limit()
	_, _ = io.CopyN(io.Discard, u.src, lingerBytes)
}

// limit is the time for the rest of a body that nobody wants.
func (a *answer) limit() { _ = a.conn.SetReadDeadline(time.Now().Add(lingerTime)) }

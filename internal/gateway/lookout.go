package gateway

import (
	"context"
	"errors"
	"net/http"
	"sync"
	"time"

	"github.com/s3mirror/s3mirror/internal/auth"
	"github.com/s3mirror/s3mirror/internal/s3"
)

const (
	// lookEvery is the pause between two looks at a sender whose body is under way.
	// Users are never known older than four seconds, and read anew after two by who
	// asks: so a change is in force within five on transfers too.
	lookEvery = time.Second
	// lookTime bounds one look.
	lookTime = time.Second
	// shortBody is the size, in bytes, up to which a body costs no timer. An answer
	// of that size fits into the buffers of the connection, and an upload is looked at
	// when it has ended, if it took long.
	shortBody = 64 << 10
)

// lookout looks, while a body is on its way, whether its sender still may do what
// he was let do: whoever is made inactive, or loses his key or his right, must not
// go on for as long as a transfer takes. What he may not do any more ends like a
// client that goes away: an upload whose body is cut is never released, and what was
// released goes on (R6), because nothing but the body is touched.
//
// A request moves one body, so one lookout is enough. The zero lookout looks at
// nobody; watch makes it one that can.
type lookout struct {
	handler *Handler
	request *request
	conn    *http.ResponseController

	began time.Time   // of the body
	timer *time.Timer // nil: it does not look by itself. Owned by the goroutine of the request, as began and side
	side  side

	mu   sync.Mutex // guards what follows; held while the connection is interrupted, so that no later request is
	stop context.CancelFunc
	cut  error // why he may not go on
	over bool
}

// side is which way a body goes.
type side uint8

const (
	reading side = iota
	writing
)

// begin begins to look by itself, unless that was done.
func (l *lookout) begin(s side) {
	if l.handler == nil || l.timer != nil {
		return
	}
	ctx, stop := context.WithCancel(l.request.Context())
	l.mu.Lock()
	defer l.mu.Unlock()
	l.stop, l.side = stop, s
	l.timer = time.AfterFunc(lookEvery, func() { l.look(ctx, s) })
}

// look is the timer's.
func (l *lookout) look(ctx context.Context, s side) {
	err := l.still(ctx)
	l.mu.Lock()
	defer l.mu.Unlock()
	switch {
	case l.over:
	case err != nil:
		l.cut = err
		l.interrupt(s)
	default:
		l.timer.Reset(lookEvery)
	}
}

// past is a deadline that has passed.
var past = time.Unix(1, 0)

// interrupt ends the read or the write that waits.
func (l *lookout) interrupt(s side) {
	if s == reading {
		_ = l.conn.SetReadDeadline(past) // not supported: a test's writer
	} else {
		_ = l.conn.SetWriteDeadline(past)
	}
}

// verdict is why the body on this side may not go on; nil while it may. The answer
// to an upload that may not is none.
func (l *lookout) verdict(s side) error {
	if l.timer == nil || l.side != s {
		return nil
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.cut
}

// last is the verdict at the end of an upload, before anything comes of it. One
// that was not looked at, and took its time all the same, is looked at now.
func (l *lookout) last() error {
	if l.handler == nil || l.timer == nil && time.Since(l.began) < lookEvery {
		return nil
	}
	if l.timer == nil {
		return l.still(l.request.Context())
	}
	l.end()
	return l.verdict(reading)
}

// end ends the looking: the connection is not touched any more.
func (l *lookout) end() {
	if l.timer == nil {
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.over = true
	l.timer.Stop()
	l.stop()
}

// watch has the sender of a request looked after while its body moves, until the
// lookout is ended.
func (h *Handler) watch(a *answer, r *request) {
	if h.Presence != nil {
		r.lookout.handler, r.lookout.request, r.lookout.conn, r.lookout.began = h, r, a.conn, time.Now()
	}
	a.lookout, r.upload.lookout = &r.lookout, &r.lookout
}

// still tells whether the sender may still do what he does: nil, or AccessDenied.
// While that is not known he goes on: he was let in when it was.
func (l *lookout) still(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, lookTime)
	defer cancel()
	u, err := l.request.sender.User, error(nil)
	if !l.request.nameless() {
		u, err = l.handler.Presence.Present(ctx, l.request.sender.Identity)
	}
	switch {
	case errors.Is(err, auth.ErrNoUser), errors.Is(err, auth.ErrNoKey), errors.Is(err, auth.ErrToken):
		return s3.Errorf(s3.AccessDenied, "Access Denied: the user, key or session is gone.").Because(err)
	case err != nil:
		return nil
	}
	if err = l.handler.mayStill(ctx, l.request, u, l.request.op.Key); errors.Is(err, s3.AccessDenied) {
		return err
	}
	return nil
}

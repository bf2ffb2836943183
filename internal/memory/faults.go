package memory

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"slices"
	"sync"
	"time"

	"github.com/s3mirror/s3mirror/internal/s3"
)

// Faults is how a server misbehaves. The zero value behaves. Rates are from 0
// (never) to 1 (always). A request meets, in this order: a hang, a delay, an
// error before anything was done; then its effect, which may come late or be
// less than promised; then the loss of its answer.
type Faults struct {
	// Ops that the faults befall; empty: all.
	Ops []s3.OperationName

	// Hang takes requests and answers none of them, until faults are set anew;
	// then it goes on with those whose client is still there.
	Hang bool
	// Delay before anything is done.
	Delay time.Duration

	// ErrorRate of answers that are an error, without any effect: ErrorCode, or,
	// when that is empty, ErrorStatus with a text that is not S3's, as something
	// in between would send it. Neither: InternalError.
	ErrorRate   float64
	ErrorCode   s3.Code
	ErrorStatus int

	// LateRate of mutations that are applied only LateBy after the connection
	// was reset without an answer.
	LateRate float64
	LateBy   time.Duration
	// DropRate of requests that are done and not answered: the connection is
	// reset.
	DropRate float64

	// CutRate of answers to GetObject that end, without notice, after CutAfter
	// bytes of the body.
	CutRate  float64
	CutAfter int64

	// TruncateRate of PutObjects that are answered as they should be, and stored
	// without the second half of their body.
	TruncateRate float64

	// LosePartRate of UploadParts that are answered as they should be, and not
	// stored.
	LosePartRate float64

	// KeyErrorRate of keys of a DeleteObjects that are not deleted, and answered
	// with InternalError.
	KeyErrorRate float64

	// StartOrdered makes a server that orders the writes of a key by the start of
	// their requests: one that began earlier and ends later is answered 200 and
	// is not to be seen.
	StartOrdered bool
}

// SetFaults replaces the faults, for requests that have not met them yet.
func (s *Server) SetFaults(f Faults) { s.faults.set(f) }

// Faults returns the faults in force.
func (s *Server) Faults() Faults {
	s.faults.mu.Lock()
	defer s.faults.mu.Unlock()
	return s.faults.now
}

// Pending counts the late effects that are still to come.
func (s *Server) Pending() int {
	s.faults.mu.Lock()
	defer s.faults.mu.Unlock()
	return len(s.faults.pending)
}

// mishap is what befalls one request.
type mishap struct {
	late, drop, short, startOrdered bool
	losePart                        bool
	keyErrorRate                    float64
	lateBy                          time.Duration
	cut                             int64 // bytes; negative: no cut
}

var errAborted = errors.New("request was aborted")

// plainAnswer is the HTTP status of an answer that no S3 server gives.
type plainAnswer int

func (p plainAnswer) Error() string { return fmt.Sprintf("plain answer %d", int(p)) }

// faulty throws the dice.
type faulty struct {
	mu      sync.Mutex // guards what follows
	now     Faults
	rand    *rand.Rand
	changed chan struct{} // closed when faults are set or the power is off
	cut     uint64        // counts power cuts
	pending map[*time.Timer]struct{}
}

func (f *faulty) init(seed uint64) {
	f.rand = rand.New(rand.NewPCG(seed, 0))
	f.changed = make(chan struct{})
	f.pending = map[*time.Timer]struct{}{}
}

func (f *faulty) set(now Faults) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.now = now
	f.now.Ops = slices.Clone(now.Ops)
	f.wake()
}

// wake is called with mu held.
func (f *faulty) wake() {
	close(f.changed)
	f.changed = make(chan struct{})
}

// powerCut ends the requests that hang.
func (f *faulty) powerCut() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.cut++
	f.wake()
}

// stop drops late effects: the process is about to end.
func (f *faulty) stop() {
	f.mu.Lock()
	defer f.mu.Unlock()
	for t := range f.pending {
		t.Stop()
	}
	clear(f.pending)
}

// before lets a request meet what comes before its effect, and says what else
// it will meet.
func (f *faulty) before(q *request) (mishap, error) {
	now, err := f.hang(q)
	if err != nil {
		return mishap{}, err
	}
	m := mishap{startOrdered: now.StartOrdered, cut: -1}
	if !now.befall(q) {
		return m, nil
	}
	if now.Delay > 0 && !pause(q.Context(), now.Delay) {
		return m, errAborted
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	hit := func(rate float64) bool { return rate > 0 && f.rand.Float64() < rate }
	if hit(now.ErrorRate) {
		return m, now.failure()
	}
	m.late, m.lateBy = hit(now.LateRate), now.LateBy
	m.drop = hit(now.DropRate)
	m.short = hit(now.TruncateRate)
	m.losePart, m.keyErrorRate = hit(now.LosePartRate), now.KeyErrorRate
	if q.op.Name == s3.GetObject && hit(now.CutRate) {
		m.cut = now.CutAfter
	}
	return m, nil
}

// hang waits while the server hangs, and returns the faults in force.
func (f *faulty) hang(q *request) (Faults, error) {
	f.mu.Lock()
	born := f.cut
	f.mu.Unlock()
	for {
		f.mu.Lock()
		now, changed, cut := f.now, f.changed, f.cut
		f.mu.Unlock()
		switch {
		case cut != born:
			return now, errAborted
		case !now.Hang || !now.befall(q):
			return now, nil
		}
		select {
		case <-changed:
		case <-q.Context().Done():
			return now, errAborted
		}
	}
}

func (f Faults) befall(q *request) bool {
	return len(f.Ops) == 0 || slices.Contains(f.Ops, q.op.Name)
}

func (f Faults) failure() error {
	switch {
	case f.ErrorCode != "":
		return s3.Err(f.ErrorCode)
	case f.ErrorStatus != 0:
		return plainAnswer(f.ErrorStatus)
	}
	return s3.Err(s3.InternalError)
}

// hits throws the dice once more.
func (f *faulty) hits(rate float64) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return rate > 0 && f.rand.Float64() < rate
}

// later runs an effect after a while.
func (f *faulty) later(d time.Duration, effect func() error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	var t *time.Timer
	t = time.AfterFunc(d, func() {
		_ = effect() // nobody is left to hear of an error
		f.mu.Lock()
		defer f.mu.Unlock()
		delete(f.pending, t)
	})
	f.pending[t] = struct{}{}
}

func pause(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-ctx.Done():
		return false
	}
}

// finish applies the effect (nil: none) and sends the answer, whose headers are
// set, as far as the mishaps of the request let it.
func (s *Server) finish(q *request, effect func() error, status int, body ...func(io.Writer) error) error {
	if effect != nil {
		if q.faults.late {
			s.faults.later(q.faults.lateBy, effect)
			return errAborted
		}
		if err := effect(); err != nil {
			return err
		}
	}
	if q.faults.drop {
		return errAborted
	}
	if status != 0 { // else it has been sent
		q.w.WriteHeader(status)
	}
	var w io.Writer = q.w
	if q.faults.cut >= 0 {
		w = &cutWriter{q.w, q.faults.cut}
	}
	for _, write := range body {
		if err := write(w); errors.Is(err, errCut) {
			_ = http.NewResponseController(q.w).Flush()
			panic(http.ErrAbortHandler) // ends the connection
		} else if err != nil {
			return nil // the client has gone
		}
	}
	return nil
}

var errCut = errors.New("answer was cut")

// cutWriter fails after left bytes.
type cutWriter struct {
	w    io.Writer
	left int64
}

func (c *cutWriter) Write(p []byte) (int, error) {
	n, err := c.w.Write(p[:min(int64(len(p)), c.left)])
	c.left -= int64(n)
	if err == nil && n < len(p) {
		err = errCut
	}
	return n, err
}

// reset ends the connection of a request without an answer.
func reset(w http.ResponseWriter) {
	c, _, err := http.NewResponseController(w).Hijack()
	if err != nil {
		panic(http.ErrAbortHandler)
	}
	if t, ok := c.(*net.TCPConn); ok {
		_ = t.SetLinger(0)
	}
	c.Close()
}

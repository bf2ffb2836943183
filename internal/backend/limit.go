package backend

import (
	"cmp"
	"context"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/time/rate"
)

const (
	// limitBurst is how many bytes may pass at once after a pause.
	limitBurst = 1 << 20

	// While clients use the endpoint, one operation that yields goes on at a time,
	// and after it the endpoint is left to them for yieldShare times as long as it
	// took, yieldMost at the longest. So it takes a fifth at most, and never stops.
	yieldShare = 4
	yieldMost  = time.Second
	yieldLook  = 10 * time.Millisecond // between two looks whether clients are still there
)

// Limits hold the traffic of one endpoint back that must yield to clients: heal,
// resync, scrub. There are token buckets, which may be changed while in use, and
// clients come first in any case. HEADs have to keep a beat (RELIABILITY R19): they
// take their tokens, and wait for nobody else. Safe for concurrent use; shared by
// all Endpoints that Limit made with them.
type Limits struct {
	bytes    *rate.Limiter
	requests *rate.Limiter

	crowd  func() int   // operations of the endpoint under way; nil: clients are not seen
	own    atomic.Int64 // of these, the ones that yield
	turn   chan struct{}
	waited func(waitedFor, time.Duration) // nil: nobody wants to know

	mu      sync.Mutex    // guards what follows
	changed chan struct{} // closed by Set
	rest    time.Time     // until then the endpoint is left to clients
}

// waitedFor is why an operation waited.
type waitedFor string

const (
	waitedForTokens  waitedFor = "limit"
	waitedForClients waitedFor = "clients"
)

// NewLimits returns limits of so many bytes and requests per second, to each
// endpoint and from it together; 0 means no limit.
func NewLimits(bytesPerSecond int64, requestsPerSecond float64) *Limits {
	l := &Limits{
		bytes:    rate.NewLimiter(rate.Inf, limitBurst),
		requests: rate.NewLimiter(rate.Inf, 1),
		turn:     make(chan struct{}, 1),
		changed:  make(chan struct{}),
	}
	l.Set(bytesPerSecond, requestsPerSecond)
	return l
}

// Set changes the limits, at once and for those who wait already.
func (l *Limits) Set(bytesPerSecond int64, requestsPerSecond float64) {
	l.bytes.SetLimit(limitOf(float64(bytesPerSecond)))
	l.requests.SetLimit(limitOf(requestsPerSecond))
	l.mu.Lock()
	defer l.mu.Unlock()
	close(l.changed)
	l.changed = make(chan struct{})
}

// Current returns the limits in force, 0 for none.
func (l *Limits) Current() (bytesPerSecond int64, requestsPerSecond float64) {
	if v := l.bytes.Limit(); v != rate.Inf {
		bytesPerSecond = int64(v)
	}
	if v := l.requests.Limit(); v != rate.Inf {
		requestsPerSecond = float64(v)
	}
	return bytesPerSecond, requestsPerSecond
}

func limitOf(perSecond float64) rate.Limit {
	if perSecond <= 0 {
		return rate.Inf
	}
	return rate.Limit(perSecond)
}

// Pay waits as one request with so many bytes would, which is then sent through
// Stack.Paid without delay: what a row's intent waits for must not wait for a limit.
// done must be called when it is over.
func (l *Limits) Pay(ctx context.Context, bytes int64) (done func(), err error) {
	held, err := l.admit(ctx)
	if err != nil {
		return nil, err
	}
	if err := l.spend(ctx, int(min(bytes, 1<<40))); err != nil {
		l.leave(held)
		return nil, err
	}
	return func() { l.leave(held) }, nil
}

// admit waits for clients and for a token of a request. held is not zero when the
// endpoint's one turn was taken: then leave must be called.
func (l *Limits) admit(ctx context.Context) (held time.Time, err error) {
	if held, err = l.yield(ctx); err != nil {
		return held, err
	}
	if err = l.take(ctx, l.requests, 1); err != nil {
		l.leave(held)
		return time.Time{}, err
	}
	return held, nil
}

// take waits for tokens.
func (l *Limits) take(ctx context.Context, of *rate.Limiter, n int) error {
	for {
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		l.mu.Lock()
		changed := l.changed
		l.mu.Unlock()
		began := time.Now()
		r := of.ReserveN(began, n)
		d := r.DelayFrom(began)
		if d <= 0 {
			return nil
		}
		timer := time.NewTimer(d)
		select {
		case <-timer.C:
			l.tell(waitedForTokens, began)
			return nil
		case <-changed: // another limit is in force: what was reserved is given back
		case <-ctx.Done():
		}
		timer.Stop()
		r.Cancel()
		l.tell(waitedForTokens, began)
	}
}

// spend waits for n bytes' worth of tokens.
func (l *Limits) spend(ctx context.Context, n int) error {
	for n > 0 {
		part := min(n, limitBurst)
		if err := l.take(ctx, l.bytes, part); err != nil {
			return err
		}
		n -= part
	}
	return nil
}

// busy tells whether clients use the endpoint now.
func (l *Limits) busy() bool { return l.crowd != nil && int64(l.crowd()) > l.own.Load() }

// yield waits until clients leave room.
func (l *Limits) yield(ctx context.Context) (held time.Time, err error) {
	if !l.busy() {
		return held, nil
	}
	began := time.Now()
	defer l.tell(waitedForClients, began)
	tick := time.NewTicker(yieldLook)
	defer tick.Stop()
	for {
		select {
		case l.turn <- struct{}{}:
			return l.restOut(ctx, tick)
		case <-tick.C:
			if !l.busy() {
				return held, nil
			}
		case <-ctx.Done():
			return held, context.Cause(ctx)
		}
	}
}

// restOut waits, with the turn taken, until the last rest is over or the clients
// are gone.
func (l *Limits) restOut(ctx context.Context, tick *time.Ticker) (held time.Time, err error) {
	for {
		now := time.Now()
		l.mu.Lock()
		over := !now.Before(l.rest)
		l.mu.Unlock()
		if over {
			return now, nil
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			<-l.turn
			return held, context.Cause(ctx)
		}
		if !l.busy() {
			<-l.turn
			return held, nil
		}
	}
}

// leave ends a turn.
func (l *Limits) leave(held time.Time) {
	if held.IsZero() {
		return
	}
	now := time.Now()
	l.mu.Lock()
	l.rest = now.Add(min(yieldShare*now.Sub(held), yieldMost))
	l.mu.Unlock()
	<-l.turn
}

// tell counts a wait.
func (l *Limits) tell(why waitedFor, began time.Time) {
	if l.waited != nil {
		l.waited(why, time.Since(began))
	}
}

// Limit returns e slowed down to l.
func Limit(e Endpoint, l *Limits) Endpoint {
	return limited{layer: layer{next: e, watch: turns{e.Name(), l}}, limits: l}
}

// turns makes requests wait for their turn. A caller that gives up while waiting
// has sent nothing. What before returns is when the one turn was taken, or zero.
type turns struct {
	name   string
	limits *Limits
}

func (t turns) before(ctx context.Context, op Op) (held time.Time, err error) {
	switch op { //nolint:exhaustive // all others wait for both
	case OpCompleteUpload: // the end of a copy that was released: an intent waits for it
	case OpHead:
		err = t.limits.take(ctx, t.limits.requests, 1)
	default:
		held, err = t.limits.admit(ctx)
	}
	if err != nil {
		return held, &Error{Backend: t.name, Op: op, Outcome: NotSent, Err: cmp.Or(context.Cause(ctx), err)}
	}
	return held, nil
}

func (t turns) after(_ context.Context, _ Op, held time.Time, _ int, _ error) bool {
	t.limits.leave(held)
	return false
}

// yielding counts the operations that yield, so that they are not taken for clients.
func yielding(e Endpoint, l *Limits) Endpoint {
	return own{layer{next: e, watch: counted{l}}, l}
}

type counted struct{ limits *Limits }

func (c counted) before(context.Context, Op) (time.Time, error) {
	c.limits.own.Add(1)
	return time.Time{}, nil
}

func (c counted) after(context.Context, Op, time.Time, int, error) bool {
	c.limits.own.Add(-1)
	return false
}

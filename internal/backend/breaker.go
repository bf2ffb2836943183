package backend

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"math/rand/v2"
	"net"
	"sync"
	"sync/atomic"
	"time"
)

// BreakerOptions tune a Breaker. Zero fields take the defaults named.
type BreakerOptions struct {
	// Failures in a row that open the breaker: 5.
	Failures int
	// Rate of failures, 0 to 1, that opens it: 0.5, once MinCalls (20) ended
	// within Window (10 s).
	Rate     float64
	MinCalls int
	Window   time.Duration

	// Probe asks the endpoint, below the breaker, whether it may serve again;
	// nil means yes. It is called by Run only, one at a time: a HEAD of the
	// identity object, and whatever else must hold before traffic returns. Nil
	// lists the buckets.
	Probe func(context.Context, Endpoint) error
	// ProbeEvery is the first pause before a probe (500 ms). It doubles up to
	// ProbeMax (5 s). ProbeTimeout ends one (5 s).
	ProbeEvery, ProbeMax, ProbeTimeout time.Duration

	Now func() time.Time // time.Now
	Log *slog.Logger     // slog.Default()
}

func (o *BreakerOptions) defaults() {
	setDefault(&o.Failures, 5)
	setDefault(&o.Rate, 0.5)
	setDefault(&o.MinCalls, 20)
	setDefault(&o.Window, 10*time.Second)
	setDefault(&o.ProbeEvery, 500*time.Millisecond)
	setDefault(&o.ProbeMax, 5*time.Second)
	setDefault(&o.ProbeTimeout, 5*time.Second)
	if o.Probe == nil {
		o.Probe = func(ctx context.Context, e Endpoint) error {
			_, err := e.ListBuckets(ctx)
			return err
		}
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Log == nil {
		o.Log = slog.Default()
	}
}

func setDefault[T comparable](v *T, d T) {
	var zero T
	if *v == zero {
		*v = d
	}
}

// degradedRate is the share of failures above which an endpoint counts as
// degraded.
const degradedRate = 0.1

// Breaker refuses the operations of an endpoint that fails, so that a dead one
// costs no time. It judges by real operations: what got no answer, a 5xx, a
// throttle, or refused credentials counts against the endpoint; what one key or
// one bucket is refused, a caller that went away, and a body of ours that
// failed do not. Once open, only Run's probe closes it.
//
// It is own code rather than failsafe-go's because that one opens by a streak or
// by a rate, not by either; lets client traffic be the trial of a half-open
// endpoint; and keeps no account of what was seen.
//
// Safe for concurrent use. Nothing runs until Run does.
type Breaker struct {
	layer
	o      BreakerOptions
	opened chan struct{} // wakes Run

	mu       sync.Mutex // guards what follows
	open     bool
	streak   int
	window   window
	health   Health
	reads    latency // of GET and HEAD
	onChange func(State)
}

// NewBreaker puts a breaker around e.
func NewBreaker(e Endpoint, o BreakerOptions) *Breaker {
	o.defaults()
	b := &Breaker{o: o, opened: make(chan struct{}, 1)}
	b.window.slot = max(o.Window/windowSlots, 1)
	b.layer = layer{next: e, watch: b}
	return b
}

// before implements watch.
func (b *Breaker) before(_ context.Context, op Op) (time.Time, error) {
	if !b.admit() {
		return time.Time{}, &Error{Backend: b.Name(), Op: op, Outcome: NotSent, Err: ErrOpen}
	}
	return b.o.Now(), nil
}

// after implements watch.
func (b *Breaker) after(ctx context.Context, op Op, began time.Time, _ int, err error) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.health.InFlight--
	switch blame(ctx, err) {
	case innocent:
		b.success()
		if err == nil && (op == OpGet || op == OpHead) {
			b.smooth(b.o.Now().Sub(began))
		}
	case guilty:
		b.failure(err)
	case unknown:
		if errors.Is(context.Cause(ctx), ErrOvertaken) {
			b.smooth(b.o.Now().Sub(began)) // at least: it might have taken longer
		}
	}
	return false
}

// Slow is how long all but a twentieth of the last reads took to be answered at
// most; 0: too few are known to tell.
func (b *Breaker) Slow() time.Duration {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.reads.p95
}

// Get counts a body that breaks off, too.
func (b *Breaker) Get(ctx context.Context, bucket, key string, o GetOptions) (*Object, error) {
	obj, err := b.layer.Get(ctx, bucket, key, o)
	if err == nil {
		b.carry(1)
		obj.Body = &watchedBody{ReadCloser: obj.Body, ctx: ctx, b: b}
	}
	return obj, err
}

// inFlight is how many operations have not ended, open bodies of GETs among them.
func (b *Breaker) inFlight() int {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.health.InFlight
}

// carry counts what is in flight.
func (b *Breaker) carry(n int) {
	b.mu.Lock()
	b.health.InFlight += n
	b.mu.Unlock()
}

type watchedBody struct {
	io.ReadCloser
	ctx    context.Context // of the Get, which governs the body
	b      *Breaker
	told   bool
	closed atomic.Bool
}

func (w *watchedBody) Close() error {
	if w.closed.CompareAndSwap(false, true) {
		w.b.carry(-1)
	}
	return w.ReadCloser.Close()
}

func (w *watchedBody) Read(p []byte) (int, error) {
	n, err := w.ReadCloser.Read(p)
	if err != nil && !errors.Is(err, io.EOF) {
		w.tell(err)
	}
	return n, err
}

// SpliceTo implements Splicer.
func (w *watchedBody) SpliceTo(dst *net.TCPConn, max int64) (int64, error) {
	s, ok := w.ReadCloser.(Splicer)
	if !ok {
		return 0, errors.ErrUnsupported
	}
	n, err := s.SpliceTo(dst, max)
	var sink *SinkError
	if err != nil && !errors.As(err, &sink) && !errors.Is(err, errors.ErrUnsupported) {
		w.tell(err)
	}
	return n, err
}

// tell counts the end of a body once, unless it was closed by then.
func (w *watchedBody) tell(err error) {
	if w.told || w.closed.Load() {
		return
	}
	w.told = true
	if blame(w.ctx, err) == guilty {
		w.b.Observe(err)
	}
}

// Observe counts a failure that no operation's end tells: a caller that stops
// waiting for a straggler but leaves its request running.
func (b *Breaker) Observe(err error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.failure(err)
}

// Open opens the breaker at once, for a reason that only the caller can see: a
// bucket that is not the one it should be. Run's probe closes it.
func (b *Breaker) Open(reason error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.note(reason)
	b.trip()
}

// Health returns a snapshot.
func (b *Breaker) Health() Health {
	b.mu.Lock()
	defer b.mu.Unlock()
	h := b.health
	h.State = b.state()
	return h
}

// state is called with mu held.
func (b *Breaker) state() State {
	if b.open {
		return Down
	}
	ok, fail := b.window.count(b.o.Now())
	if fail > 0 && float64(fail) >= degradedRate*float64(ok+fail) {
		return Degraded
	}
	return Up
}

func (b *Breaker) admit() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	if !b.open {
		b.health.InFlight++
	}
	return !b.open
}

// The following are called with mu held.

func (b *Breaker) success() {
	now := b.o.Now()
	b.streak = 0
	b.window.add(now, false)
	b.health.LastSuccess = now
}

func (b *Breaker) failure(err error) {
	b.note(err)
	b.streak++
	now := b.o.Now()
	b.window.add(now, true)
	ok, fail := b.window.count(now)
	total := ok + fail
	if b.streak >= b.o.Failures || total >= b.o.MinCalls && float64(fail) >= b.o.Rate*float64(total) {
		b.trip()
	}
}

func (b *Breaker) note(err error) {
	b.health.LastFailure = b.o.Now()
	b.health.LastError = err
	b.health.Misconfigured = IsMisconfigured(err)
}

func (b *Breaker) trip() {
	if b.open {
		return
	}
	b.open = true
	b.health.Opens++
	b.changed(Down)
	select {
	case b.opened <- struct{}{}:
	default:
	}
	b.o.Log.Warn("backend is down", "backend", b.Name(), "error", b.health.LastError)
}

func (b *Breaker) close() {
	b.open = false
	b.streak = 0
	b.window.reset()
	b.health.LastSuccess = b.o.Now()
	b.changed(Up)
	b.o.Log.Info("backend is up", "backend", b.Name())
}

func (b *Breaker) changed(s State) {
	b.health.Since = b.o.Now()
	if b.onChange != nil {
		b.onChange(s)
	}
}

// smooth keeps a moving average in which the last ten operations weigh most.
func (b *Breaker) smooth(d time.Duration) {
	b.reads.add(d)
	if b.health.Latency == 0 {
		b.health.Latency = d
		return
	}
	b.health.Latency += (d - b.health.Latency) / 10
}

// Run probes the endpoint whenever the breaker is open, and closes it. It
// returns nil when ctx is done. Call it once.
func (b *Breaker) Run(ctx context.Context) error {
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-b.opened:
		}
		for pause := b.o.ProbeEvery; ; pause = min(2*pause, b.o.ProbeMax) {
			// Jitter keeps gateways from probing in step.
			if !sleep(ctx, pause*3/4+rand.N(pause/2+1)) {
				return nil
			}
			if b.probe(ctx) {
				break
			}
		}
	}
}

// probe asks once. A probe that a shutdown ended says nothing.
func (b *Breaker) probe(ctx context.Context) (up bool) {
	pctx, cancel := context.WithTimeout(ctx, b.o.ProbeTimeout)
	defer cancel()
	err := b.o.Probe(pctx, b.next)
	b.mu.Lock()
	defer b.mu.Unlock()
	if err == nil {
		b.close()
		return true
	}
	if ctx.Err() == nil {
		b.note(err)
	}
	return false
}

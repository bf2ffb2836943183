package backend

import (
	"context"
	"math/rand/v2"
	"sync"
	"time"
)

const (
	// retryShare is how many retries each operation that does not need one
	// pays for. A share instead of a count keeps an endpoint that is down from
	// getting twice its traffic.
	retryShare = 0.1
	// retryReserve bounds what is saved up, and is there at the start.
	retryReserve = 10

	retryPause = 50 * time.Millisecond // doubled once, with jitter
	retryTries = 3                     // attempts in all
)

// Retry returns e with reads repeated when they got no answer, were throttled
// or failed with a 5xx: at most twice, and at most for a tenth of all reads.
// Mutations pass through as they are (RELIABILITY H34).
//
// It is own code because failsafe-go's budget bounds how many retries run at
// once, which says nothing about a slow trickle of them.
func Retry(e Endpoint) Endpoint {
	r := &retry{tokens: retryReserve}
	return layer{next: e, watch: r}
}

type retry struct {
	mu     sync.Mutex
	tokens float64 // guarded by mu
}

// before implements watch.
func (r *retry) before(context.Context, Op) (time.Time, error) { return time.Time{}, nil }

// after implements watch.
func (r *retry) after(ctx context.Context, op Op, _ time.Time, tries int, err error) bool {
	if !op.Reads() {
		return false
	}
	if tries == 1 {
		r.earn()
	}
	if tries == retryTries || !retryable(err) || !r.spend() {
		return false
	}
	pause := retryPause << (tries - 1)
	return sleep(ctx, pause/2+rand.N(pause))
}

// retryable leaves out what another attempt would not change: a verdict on the
// request, an endpoint that nobody may call now, a caller that has gone.
func retryable(err error) bool {
	switch OutcomeOf(err) {
	case Throttled, Ambiguous:
		return !IsMisconfigured(err)
	case NotSent:
		return !isOpen(err)
	default:
		return false
	}
}

func (r *retry) earn() {
	r.mu.Lock()
	r.tokens = min(r.tokens+retryShare, retryReserve)
	r.mu.Unlock()
}

func (r *retry) spend() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.tokens < 1 {
		return false
	}
	r.tokens--
	return true
}

// sleep pauses and tells whether ctx is still alive.
func sleep(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return ctx.Err() == nil
	case <-ctx.Done():
		return false
	}
}

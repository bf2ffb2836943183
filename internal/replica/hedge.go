package replica

import (
	"context"
	"sync"
	"sync/atomic"
	"time"

	"github.com/s3mirror/s3mirror/internal/backend"
	"github.com/s3mirror/s3mirror/internal/commit"
	"github.com/s3mirror/s3mirror/internal/object"
)

const (
	// hedgeShare is how many second requests each read pays for: the most that
	// hedging may add to the load of the backends.
	hedgeShare = 0.05
	// hedgeReserve bounds what is saved up.
	hedgeReserve = 10
	// hedgeFloor is the least that a replica may take before another one is asked
	// as well. Below it a second request costs more than it can save.
	hedgeFloor = 5 * time.Millisecond
)

// hedges is the budget of second requests.
type hedges struct {
	mu     sync.Mutex
	tokens float64 // guarded by mu
}

func (h *hedges) earn() {
	h.mu.Lock()
	h.tokens = min(h.tokens+hedgeShare, hedgeReserve)
	h.mu.Unlock()
}

func (h *hedges) spend() bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.tokens < 1 {
		return false
	}
	h.tokens--
	return true
}

// contender is one of two replicas that are asked the same.
type contender struct {
	read    *read
	replica string
	ctx     context.Context
	cancel  context.CancelCauseFunc
	event   commit.Showed
	obj     *backend.Object
}

func (r *read) contender(replica string) *contender {
	c := &contender{read: r, replica: replica}
	c.ctx, c.cancel = context.WithCancelCause(r.client)
	return c
}

// ask asks the replica, and has the other one left alone if it is the first that
// did not fail.
func (c *contender) ask(won *atomic.Pointer[contender], other *contender) {
	c.event, c.obj = c.read.question(c.ctx, c.replica)
	if !c.event.Failed && won.CompareAndSwap(nil, c) {
		other.cancel(backend.ErrOvertaken)
	}
}

// askEither asks a replica, and another one as well when the first takes longer
// than nearly all of its answers did and the budget allows it. Which may be asked
// is commit's decision, and what the answer is worth too.
func (r *read) askEither(first, second string) commit.Event {
	r.set.hedges.earn()
	patience := time.Duration(0)
	if stack := r.set.stack(first); stack != nil {
		patience = stack.Breaker.Slow()
	}
	if patience == 0 {
		return r.ask(first)
	}
	var won atomic.Pointer[contender]
	a, b := r.contender(first), r.contender(second)
	over := make(chan struct{})
	asked := false
	timer := time.AfterFunc(max(patience+patience/8, hedgeFloor), func() { // answers that all take about as long are not slow
		defer close(over)
		if asked = r.set.hedges.spend(); asked {
			b.ask(&won, a)
		}
	})
	a.ask(&won, b)
	if !timer.Stop() {
		<-over // soon: whoever lost was cancelled
	}
	winner := won.Load()
	for _, c := range []*contender{a, b} {
		if c != winner {
			c.cancel(backend.ErrOvertaken)
			if c.obj != nil {
				c.obj.Body.Close()
			}
		}
	}
	if asked {
		r.set.metrics.hedge(winner == b)
	}
	if winner == nil {
		return a.event
	}
	r.keep(winner.replica, winner.obj)
	return winner.event
}

// question asks a replica.
func (r *read) question(ctx context.Context, replica string) (commit.Showed, *backend.Object) {
	failed := commit.Showed{Replica: replica, Failed: true}
	if ctx.Err() != nil {
		return failed, nil
	}
	at, err := r.set.at(ctx, r.b, replica, clients)
	if err != nil {
		return failed, nil
	}
	seen, obj, err := r.how(ctx, at)
	switch {
	case backend.IsAbsent(err):
		return commit.Showed{Replica: replica, Seen: object.Seen{Info: object.Info{Kind: object.Tombstone}}}, nil
	case err != nil:
		r.set.o.Logger.DebugContext(ctx, "replica did not answer a read", "key", r.key, "backend", replica, "error", err)
		return failed, nil
	}
	return commit.Showed{Replica: replica, Seen: seen}, obj
}

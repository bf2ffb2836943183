//go:build e2e

package e2e

import (
	"testing"

	"github.com/s3mirror/s3mirror/test/e2e/harness"
)

// TestGatewayKilled kills the gateway (-9) twenty times under load and starts
// it again on the same data folder. Whatever it acknowledged is there, whatever
// it did not is there whole or not at all, and the replicas are equal.
func TestGatewayKilled(t *testing.T) {
	t.Parallel()
	const kills = 20
	backends := harness.StartBackends(t, 3)
	g := harness.StartGateway(t, backends, harness.Options{})
	createBucket(t, g.Client, "proof")
	l := newLoad(g.Client, "proof", 120, 5)
	rnd := newRand(55)
	ctx := t.Context()
	for round := range kills {
		crashed := make(chan struct{})
		wait := l.run(8, func(w *worker) {
			// What the last crash left must be readable before it is written over.
			for _, k := range w.keys {
				if round > 0 {
					w.read(ctx, k)
				}
			}
			w.until(t, crashed)
		})
		l.reach(t, l.ops.Load()+int64(250+rnd.IntN(150)))
		close(crashed) // nobody begins anything new; what is under way meets the crash
		g.Kill()
		wait()
		g.Start(t)
	}
	l.verdict(t)
	l.explain(t, g)
	floor(t, "kills", kills, 20)
	floor(t, "writes acknowledged", l.acked.Load(), 1500)
	floor(t, "writes under way when it died", int64(l.doubt["no answer"]), 40)
	floor(t, "reads checked", l.reads.Load(), 1500)
	l.settle(t, g, backends)
}

// until does one thing after the other until end is closed; what it has begun then it ends.
func (w *worker) until(t *testing.T, end <-chan struct{}) {
	for {
		select {
		case <-end:
			return
		default:
		}
		w.step(t)
	}
}

// step does what comes next: mostly writes, of all sizes up to a few MB.
func (w *worker) step(t *testing.T) {
	k := w.keys[w.rnd.IntN(len(w.keys))]
	switch d := w.rnd.IntN(100); {
	case d < 55:
		w.put(t.Context(), k, small(w.rnd))
	case d < 58:
		w.put(t.Context(), k, 1<<20+w.rnd.IntN(3<<20))
	case d < 75:
		w.delete(t.Context(), k)
	default:
		w.read(t.Context(), k)
	}
}

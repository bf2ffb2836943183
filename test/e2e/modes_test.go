//go:build e2e

package e2e

import (
	"encoding/json"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/s3mirror/s3mirror/test/e2e/harness"
)

// modeOf is what `s3mirror mode` tells of all buckets.
func modeOf(t *testing.T, g *harness.Gateway, args ...string) (mode, primary string) {
	t.Helper()
	code, stdout, stderr := g.CLI(t, append([]string{"mode", "--output", "json"}, args...)...)
	var m struct{ Mode, Primary string }
	if code != 0 || json.Unmarshal([]byte(stdout), &m) != nil {
		t.Fatalf("mode %v: exit %d\n%s%s", args, code, stdout, stderr)
	}
	return m.Mode, m.Primary
}

// TestModesUnderLoad disables replication, moves the primary, and makes it active
// again while clients work, a backend is killed, and the gateway too. Every client
// is the only one that touches its keys, so each read is judged; in the end all
// replicas hold the same, and it is what was acknowledged.
func TestModesUnderLoad(t *testing.T) {
	t.Parallel()
	backends := harness.StartBackends(t, 3)
	counts, seen := countAll(t, backends)
	g := harness.StartGateway(t, seen, harness.Options{Ack: "quorum"})
	createBucket(t, g.Client, "modes")
	l := newLoad(g.Client, "modes", 160, 5)
	ctx := t.Context()
	var enough atomic.Bool
	var open sync.RWMutex // closed while the gateway is down: whatever fails then at once says nothing
	wait := l.run(8, func(w *worker) {
		for !enough.Load() {
			open.RLock()
			k := w.keys[w.rnd.IntN(len(w.keys))]
			switch d := w.rnd.IntN(10); {
			case d < 5:
				size := small(w.rnd)
				if w.rnd.IntN(40) == 0 {
					size = 1_000_000 + w.rnd.IntN(3_000_000)
				}
				w.put(ctx, k, size)
			case d < 6:
				w.delete(ctx, k)
			default:
				w.read(ctx, k)
			}
			open.RUnlock()
		}
	})
	t.Cleanup(func() { enough.Store(true) })
	more := func(n int64) { t.Helper(); l.reach(t, l.ops.Load()+n) }
	written := func(i int) int64 {
		return counts[i].of("PUT", "/modes/dir") + counts[i].of("DELETE", "/modes/dir")
	}
	// alone lets the load go on for a while and wants one backend to be written only.
	alone := func(primary int) {
		t.Helper()
		more(50) // what was under way at the switch is over
		for _, c := range counts {
			c.reset()
		}
		acked := l.acked.Load()
		more(500)
		floor(t, "writes acknowledged by "+backends[primary].Name+" alone", l.acked.Load()-acked, 100)
		for i := range counts {
			if n := written(i); i != primary && n != 0 {
				t.Errorf("backend %s was written %d times while %s was the primary", backends[i].Name, n, backends[primary].Name)
			}
		}
		floor(t, "writes that reached it", written(primary), 100)
	}

	more(300)
	if mode, primary := modeOf(t, g, "disabled", "--primary", "b-2"); mode != "disabled" || primary != "b-2" {
		t.Fatalf("mode %s, primary %s", mode, primary)
	}
	alone(1)
	status := g.Status(t)
	floor(t, "keys that b-1 missed", status.Backend("b-1").LaggingKeys, 50)
	floor(t, "keys that b-3 missed", status.Backend("b-3").LaggingKeys, 50)

	backends[2].Kill()
	more(200)
	failed := l.unknown.Load() + l.readErrors.Load()
	if failed > 0 {
		t.Errorf("%d operations failed though the primary was there", failed)
	}
	g.Kill() // -9: the mode is in the log
	open.Lock()
	g.Start(t)
	open.Unlock()
	if mode, primary := modeOf(t, g); mode != "disabled" || primary != "b-2" {
		t.Fatalf("after a crash: mode %s, primary %s", mode, primary)
	}
	more(200)
	modeOf(t, g, "disabled", "--primary", "b-1") // it is brought what it lacks, and reads find it meanwhile
	alone(0)
	harness.Eventually(t, "the new primary has caught up", func() error {
		if n := g.Status(t).Backend("b-1").LaggingKeys; n != 0 {
			return fmt.Errorf("it lags by %d keys", n)
		}
		return nil
	})
	if mode, _ := modeOf(t, g, "active"); mode != "active" {
		t.Fatalf("mode %s", mode)
	}
	more(300)
	backends[2].Start(t)
	more(300)
	enough.Store(true)
	wait()
	l.verdict(t)
	floor(t, "writes acknowledged", l.acked.Load(), 1000)
	floor(t, "reads checked", l.reads.Load(), 500)
	l.settle(t, g, backends)
	if t.Failed() {
		l.explain(t, g)
	}
}

// TestBackendPausedUnderLoad pauses a backend while clients work: nothing reaches it,
// nothing fails, and resumed it gets what it missed.
func TestBackendPausedUnderLoad(t *testing.T) {
	t.Parallel()
	backends := harness.StartBackends(t, 3)
	counts, seen := countAll(t, backends)
	g := harness.StartGateway(t, seen, harness.Options{Ack: "quorum"})
	createBucket(t, g.Client, "modes")
	l := newLoad(g.Client, "modes", 80, 6)
	var enough atomic.Bool
	var open sync.RWMutex // closed while the gateway is down: whatever fails then at once says nothing
	wait := l.run(4, func(w *worker) {
		for !enough.Load() {
			open.RLock()
			k := w.keys[w.rnd.IntN(len(w.keys))]
			switch d := w.rnd.IntN(10); {
			case d < 5:
				w.put(t.Context(), k, small(w.rnd))
			case d < 6:
				w.delete(t.Context(), k)
			default:
				w.read(t.Context(), k)
			}
			open.RUnlock()
		}
	})
	t.Cleanup(func() { enough.Store(true) })
	more := func(n int64) { t.Helper(); l.reach(t, l.ops.Load()+n) }
	more(200)
	if code, _, stderr := g.CLI(t, "backend", "pause", "b-3"); code != 0 {
		t.Fatalf("pause: %s", stderr)
	}
	if code, _, stderr := g.CLI(t, "backend", "pause", "b-2"); code != 1 {
		t.Errorf("a pause below the ack rule: exit %d, %s", code, stderr)
	}
	more(50)
	counts[2].reset()
	more(300)
	for _, verb := range []string{"PUT", "DELETE", "GET", "HEAD"} {
		if n := counts[2].of(verb, "/modes/dir"); n != 0 {
			t.Errorf("the paused backend got %d %ss", n, verb)
		}
	}
	if failed := l.unknown.Load() + l.readErrors.Load(); failed > 0 {
		t.Errorf("%d operations failed with two backends of three", failed)
	}
	g.Kill() // keys that it dies with may be answered 503 for a settle time
	open.Lock()
	g.Start(t)
	open.Unlock()
	more(200)
	status := g.Status(t)
	if state := status.Backend("b-3").State; state != "paused" {
		t.Errorf("after a crash its state is %q", state)
	}
	floor(t, "keys that it missed", status.Backend("b-3").LaggingKeys, 30)
	if code, _, stderr := g.CLI(t, "backend", "resume", "b-3"); code != 0 {
		t.Fatalf("resume: %s", stderr)
	}
	more(200)
	enough.Store(true)
	wait()
	l.verdict(t)
	l.settle(t, g, backends)
}

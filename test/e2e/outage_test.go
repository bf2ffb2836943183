//go:build e2e

package e2e

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/s3mirror/s3mirror/test/e2e/harness"
	"github.com/s3mirror/s3mirror/test/e2e/wire"
)

// TestBackendKilled writes 500 objects of 0 B to 20 MB, overwrites and
// deletes, while one backend is killed (-9) in the middle and comes back
// later. In the end all three hold the same, and it is what was acknowledged.
func TestBackendKilled(t *testing.T) {
	t.Parallel()
	const (
		objects = 500
		workers = 8
		large   = 16 // of the objects have 5 to 11 MB, one 20 MB
	)
	backends := harness.StartBackends(t, 3)
	g := harness.StartGateway(t, backends, harness.Options{})
	createBucket(t, g.Client, "proof")
	l := newLoad(g.Client, "proof", objects, 2)
	ctx := t.Context()
	wait := l.run(workers, func(w *worker) {
		for i, k := range w.keys {
			size := small(w.rnd)
			if i < large/workers {
				size = 5_000_000 + w.rnd.IntN(6_000_000)
			}
			if k == l.keys[0] {
				size = 20_000_000
			}
			w.put(ctx, k, size)
			if i%4 == 0 {
				w.read(ctx, w.keys[w.rnd.IntN(i+1)])
			}
		}
		for range 2 * len(w.keys) {
			k := w.keys[w.rnd.IntN(len(w.keys))]
			switch d := w.rnd.IntN(10); {
			case d < 4:
				w.put(ctx, k, small(w.rnd))
			case d < 6:
				w.delete(ctx, k)
			default:
				w.read(ctx, k)
			}
		}
	})
	l.reach(t, 150)
	backends[1].Kill()
	l.reach(t, 1100)
	missed := g.Status(t)
	backends[1].Start(t)
	wait()
	l.verdict(t)

	floor(t, "writes acknowledged", l.acked.Load(), 1000)
	floor(t, "reads checked", l.reads.Load(), 400)
	floor(t, "keys the dead backend missed", missed.Lagging.Keys, 100)
	floor(t, "keys it is charged with", missed.Backend("b-2").LaggingKeys, 100)
	// One backend of three is down and the rule asks for any: nothing may fail.
	if failed := l.unknown.Load() + l.readErrors.Load(); failed > 0 {
		t.Errorf("%d writes and %d reads failed while two of three backends were up", l.unknown.Load(), l.readErrors.Load())
	}
	l.settle(t, g, backends)
	tamperingShows(t, g, backends)
}

// tamperingShows is the control of the comparison: what someone changes behind
// the gateway's back on one backend does not pass for equal.
func tamperingShows(t *testing.T, g *harness.Gateway, backends []*harness.Backend) {
	t.Helper()
	var copies []harness.Snapped
	var victim string
	for _, b := range backends {
		objects, err := harness.Snapshot(t.Context(), b.Client, "proof")
		if err != nil {
			t.Fatal(err)
		}
		copies = append(copies, harness.Snapped{Backend: b.Name, Objects: objects})
		victim = slices.Sorted(maps.Keys(objects))[0]
	}
	if a, err := backends[2].Client.Put(t.Context(), "proof", victim, wire.Literal, []byte("tampered")); err != nil || a.Status != 200 {
		t.Fatalf("tampering: %v, %v", a, err)
	}
	objects, err := harness.Snapshot(t.Context(), backends[2].Client, "proof")
	if err != nil {
		t.Fatal(err)
	}
	copies[2].Objects = objects
	if diffs := harness.Differences(copies, g.StampKey(), "proof"); len(diffs) == 0 || !strings.Contains(diffs[0], victim) {
		t.Errorf("tampering with %q on %s shows as %q", victim, backends[2].Name, diffs)
	}
}

// TestBackendOut shows that a backend that is dead or hangs costs no write
// once its breaker is open, and that what it slept through reaches it later.
func TestBackendOut(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		name string
		out  func(*harness.Backend)
		back func(*testing.T, *harness.Backend)
	}{
		{"hung", (*harness.Backend).Hang, func(_ *testing.T, b *harness.Backend) { b.Resume() }},
		{"dead", (*harness.Backend).Kill, func(t *testing.T, b *harness.Backend) { b.Start(t) }},
	} {
		t.Run(tc.name, func(t *testing.T) {
			backends := harness.StartBackends(t, 3)
			g := harness.StartGateway(t, backends, harness.Options{Ack: "quorum"})
			createBucket(t, g.Client, "proof")
			warm := newLoad(g.Client, "proof", 40, 7)
			warm.run(4, func(w *worker) {
				for _, k := range w.keys {
					w.put(t.Context(), k, 1000)
				}
			})()
			tc.out(backends[2])
			untilDown(t, g, warm, "b-3")
			warm.verdict(t)

			l, pace := manyWrites(t, g, 1500)
			l.verdict(t)
			t.Logf("writes with %s %s: median %v, 99 %% %v, longest %v", backends[2].Name, tc.name,
				pace[len(pace)/2], pace[len(pace)*99/100], pace[len(pace)-1])
			floor(t, "writes tried", l.acked.Load()+l.unknown.Load(), 1500)
			if failed := l.unknown.Load(); failed*1000 > l.acked.Load()+failed {
				t.Errorf("%d of %d writes failed, more than 0.1 %%", failed, l.acked.Load()+failed)
			}
			floor(t, "keys that "+backends[2].Name+" missed", g.Status(t).Backend("b-3").LaggingKeys, 200)
			tc.back(t, backends[2])
			l.keys = append(l.keys, warm.keys...)
			l.settle(t, g, backends)
		})
	}
}

// untilDown writes until the gateway has noticed that the backend is down.
func untilDown(t *testing.T, g *harness.Gateway, l *load, backend string) {
	t.Helper()
	harness.Eventually(t, backend+" is seen to be down", func() error {
		l.run(4, func(w *worker) {
			for _, k := range w.keys[:3] {
				w.put(t.Context(), k, 1000)
			}
		})()
		if state := g.Status(t).Backend(backend).State; state != "down" {
			return fmt.Errorf("its state is %q", state)
		}
		return nil
	})
}

// manyWrites puts n small objects over a few hundred keys and returns how long
// each took, sorted.
func manyWrites(t *testing.T, g *harness.Gateway, n int) (*load, []time.Duration) {
	t.Helper()
	l := newLoad(g.Client, "proof", 300, 11)
	for _, k := range l.keys {
		k.Name = "many/" + k.Name
	}
	var mu sync.Mutex
	var pace []time.Duration
	const workers = 8
	l.run(workers, func(w *worker) {
		for i := range (n + workers - 1) / workers {
			start := time.Now()
			w.put(t.Context(), w.keys[i%len(w.keys)], 1000)
			mu.Lock()
			pace = append(pace, time.Since(start))
			mu.Unlock()
		}
	})()
	slices.Sort(pace)
	return l, pace
}

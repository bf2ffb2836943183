package main

import (
	"runtime"
	"runtime/debug"
	"testing"
	"time"
)

func TestGarbageFollowsTheLoad(t *testing.T) {
	start := time.Unix(1e9, 0)
	now := start
	g := &garbage{allowed: leastGarbage, since: start}
	// pass lets the collector run so many times in so many seconds.
	pass := func(runs int, seconds time.Duration, live int64) (percent int) {
		for i := range runs {
			now = start.Add(seconds * time.Second * time.Duration(i+1) / time.Duration(runs))
			percent = g.after(now, live)
		}
		start = now
		return percent
	}
	const live = 8 << 20
	for i, c := range []struct {
		runs    int
		seconds time.Duration
		percent int
	}{
		{7, 1, 50}, {1, 1, 50}, // a start
		{2, 1, 50}, {2, 1, 100}, {9, 1, 200}, {9, 1, 400}, {9, 1, 400}, // load, up to the most
		{1, 1, 400}, {2, 1, 400}, // it is worth it
		{1, 2, 200}, {1, 9, 100}, {1, 9, 50}, {1, 9, 50},
	} {
		if got := pass(c.runs, c.seconds, live); got != c.percent {
			t.Errorf("%d: %d runs in %d s: %d percent, want %d", i, c.runs, c.seconds, got, c.percent)
		}
	}
	if got := pass(1, 1, 1<<30); got != leastPercent {
		t.Errorf("of a large heap %d percent may gather, want %d", got, leastPercent)
	}
	if got := pass(1, 1, 0); got != 400 {
		t.Errorf("of an empty heap: %d percent", got)
	}
}

func TestGarbageIsWatched(t *testing.T) {
	t.Setenv("GOGC", "")
	restore := allowGarbage()
	within := debug.SetGCPercent(leastPercent)
	g := &garbage{before: leastPercent, allowed: mostGarbage, since: time.Now()}
	g.watch()
	for g.run() == 0 {
		runtime.GC()
		runtime.Gosched()
	}
	g.restore()
	restore()
	if within != leastPercent {
		t.Errorf("%d percent at a start", within)
	}
}

func (g *garbage) run() int {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.runs
}

func TestGarbageOfWhoSetGOGC(t *testing.T) {
	t.Setenv("GOGC", "70")
	before := debug.SetGCPercent(70)
	allowGarbage()()
	if got := debug.SetGCPercent(before); got != 70 {
		t.Errorf("it is %d", got)
	}
}

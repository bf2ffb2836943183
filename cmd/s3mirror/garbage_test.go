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
	// second is one in which the collector runs so many times.
	second := func(runs int, live int64) (percent int) {
		for i := range runs {
			now = start.Add(time.Second * time.Duration(i+1) / time.Duration(runs))
			percent = g.after(now, live)
		}
		start = now
		return percent
	}
	const live = 8 << 20
	for i, c := range []struct{ runs, percent int }{
		{2, 50}, {7, 50}, // a start
		{8, 100}, {20, 200}, {20, 400}, {20, 400}, // load, up to the most
		{4, 400}, // it is worth it
		{1, 200}, {1, 100}, {1, 50}, {1, 50},
	} {
		if got := second(c.runs, live); got != c.percent {
			t.Errorf("%d: %d runs: %d percent, want %d", i, c.runs, got, c.percent)
		}
	}
	if got := second(1, 1<<30); got != leastPercent {
		t.Errorf("of a large heap %d percent may gather, want %d", got, leastPercent)
	}
	if got := second(1, 0); got != 400 {
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

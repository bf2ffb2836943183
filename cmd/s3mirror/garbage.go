package main

import (
	"os"
	"runtime"
	"runtime/debug"
	"runtime/metrics"
	"sync"
	"time"
)

// How much garbage may gather before the collector runs, in bytes. By itself it runs
// whenever the heap has doubled, and the live heap of a gateway is a few MiB: under load
// that is many times a second, and a seventh of the CPU time of small writes. Without
// load, and for long bodies, which leave next to no garbage, the least is enough.
const (
	leastGarbage = 4 << 20
	mostGarbage  = 32 << 20

	// leastPercent is what may gather at least, in percent of the live heap: collecting
	// costs what is alive.
	leastPercent = 50

	// often is how many collections in each of two seconds, one after the other, double the
	// garbage that is allowed: a start is over by then. seldom is how few halve it.
	often, seldom = 2, 0.5
)

// garbage allows as much of it as the load makes worth it. It is the one owner of the
// runtime's setting while it is there.
type garbage struct {
	before int // the setting to be restored

	mu      sync.Mutex // guards what follows
	over    bool
	percent int   // in force
	allowed int64 // bytes
	since   time.Time
	runs    int  // of the collector, since then
	busy    bool // it ran often in the second before
}

// allowGarbage begins; the caller calls restore. Who set GOGC is left alone.
func allowGarbage() (restore func()) {
	if os.Getenv("GOGC") != "" {
		return func() {}
	}
	g := &garbage{allowed: leastGarbage, percent: leastPercent, since: time.Now()}
	g.before = debug.SetGCPercent(g.percent)
	g.watch()
	return g.restore
}

// sentinel is what the collector finds dead each time it runs. The pointer keeps it from
// sharing a block with others.
type sentinel struct{ _ *sentinel }

// watch has collected called after the next run.
func (g *garbage) watch() { runtime.AddCleanup(new(sentinel), (*garbage).collected, g) }

func (g *garbage) restore() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.over = true
	debug.SetGCPercent(g.before)
}

// collected is called once after each run of the collector.
func (g *garbage) collected() {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.over {
		return
	}
	live := []metrics.Sample{{Name: "/gc/heap/live:bytes"}}
	metrics.Read(live)
	if percent := g.after(time.Now(), int64(live[0].Value.Uint64())); percent != g.percent {
		g.percent = percent
		debug.SetGCPercent(percent)
	}
	g.watch()
}

// after is the setting after a run that left so many bytes alive. Called with mu held.
func (g *garbage) after(now time.Time, live int64) (percent int) {
	g.runs++
	if d := now.Sub(g.since); d >= time.Second {
		rate := float64(g.runs) / d.Seconds()
		switch {
		case rate >= often && g.busy:
			g.allowed = min(2*g.allowed, mostGarbage)
		case rate <= seldom:
			g.allowed = max(g.allowed/2, leastGarbage)
		}
		g.since, g.runs, g.busy = now, 0, rate >= often
	}
	return int(max(100*g.allowed/max(live, 1<<20), leastPercent))
}

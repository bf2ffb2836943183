package backend

import (
	"slices"
	"time"
)

const (
	latencySamples = 64 // how many answers the percentile is taken of
	latencyEvery   = 16 // it is taken anew after so many
)

// latency remembers how long the last answers took. Guarded by who owns it.
type latency struct {
	last [latencySamples]time.Duration
	seen int
	p95  time.Duration
}

func (l *latency) add(d time.Duration) {
	l.last[l.seen%latencySamples] = d
	l.seen++
	if l.seen%latencyEvery == 0 {
		sorted := l.last
		known := sorted[:min(l.seen, latencySamples)]
		slices.Sort(known)
		l.p95 = known[len(known)*95/100]
	}
}

// Package crew keeps goroutines for the next piece of work. A request to a
// backend, or a commit, runs deep; a fresh goroutine grows its stack on the way
// down, by copying it again and again, which was a tenth of the CPU time of a
// small write.
//
// It promises that work begins at once, whatever else is under way: it is no pool
// that bounds anything.
package crew

import (
	"sync"
	"sync/atomic"
)

// Crew runs functions on goroutines. Safe for concurrent use.
type Crew struct {
	jobs  chan func()     // unbuffered: whoever idles takes one
	over  <-chan struct{} // from here on nobody idles
	idle  atomic.Int64    // those who wait for a job
	going sync.WaitGroup  // all of them
}

// maxIdle bounds the goroutines that are kept.
const maxIdle = 64

// New returns a Crew of nobody. Once over is closed no goroutine is kept, and
// Wait tells when the last has ended.
func New(over <-chan struct{}) *Crew { return &Crew{jobs: make(chan func()), over: over} }

// Go runs f on a goroutine of its own for as long as it takes, and returns at
// once.
func (c *Crew) Go(f func()) {
	select {
	case c.jobs <- f:
	default:
		c.going.Go(func() { c.work(f) })
	}
}

func (c *Crew) work(f func()) {
	for f != nil {
		f()
		f = c.next()
	}
}

// next waits for the next job; nil when there will be none.
func (c *Crew) next() func() {
	defer c.idle.Add(-1)
	if c.idle.Add(1) > maxIdle {
		return nil
	}
	select {
	case f := <-c.jobs:
		return f
	case <-c.over:
		return nil
	}
}

// Wait returns when nothing runs any more. It must be called after over was
// closed and the last Go has returned.
func (c *Crew) Wait() { c.going.Wait() }

package main

import (
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// Objects that only one turn uses, and those that are read again and again.
const (
	freshPrefix = "f-"
	keptPrefix  = "k-"
)

// freshKeys names n objects that nobody has written before.
func (b *bench) freshKeys(n int) []string {
	all := make([]string, n)
	for i := range all {
		b.keysMade++
		all[i] = fmt.Sprintf("%s%08d", freshPrefix, b.keysMade)
	}
	return all
}

func (b *bench) freshKey() string { return b.freshKeys(1)[0] }

// each does n operations with so many clients at once, the next one as soon as
// one is done.
func each(clients, n int, do func(i int) error) (measure, error) {
	var next atomic.Int64
	var wg sync.WaitGroup
	var failure error
	var once sync.Once
	took := make([]time.Duration, n)
	start := time.Now()
	for range clients {
		wg.Go(func() {
			for {
				i := int(next.Add(1)) - 1
				if i >= n {
					return
				}
				began := time.Now()
				if err := do(i); err != nil {
					next.Store(int64(n)) // one failure ends it for all
					once.Do(func() { failure = err })
					return
				}
				took[i] = time.Since(began)
			}
		})
	}
	wg.Wait()
	m := measure{wall: time.Since(start), ops: n}
	m.p50, m.p99 = percentiles(took)
	return m, failure
}

// paced does n operations at a steady rate, whatever they take: each is timed
// from the moment when it was due, so that one which waits for its client is as
// slow as it was to its user. An operation that fails is counted.
func paced(clients, n int, perSecond float64, do func(i int) error) measure {
	var next, failed atomic.Int64
	var wg sync.WaitGroup
	took := make([]time.Duration, n)
	start := time.Now()
	for range clients {
		wg.Go(func() {
			for {
				i := int(next.Add(1)) - 1
				if i >= n {
					return
				}
				due := start.Add(time.Duration(float64(i) / perSecond * float64(time.Second)))
				time.Sleep(time.Until(due))
				if do(i) != nil {
					failed.Add(1)
				}
				took[i] = time.Since(due)
			}
		})
	}
	wg.Wait()
	m := measure{wall: time.Since(start), ops: n, failed: int(failed.Load())}
	m.p50, m.p99 = percentiles(took)
	return m
}

// percentiles sorts.
func percentiles(took []time.Duration) (p50, p99 time.Duration) {
	if len(took) == 0 {
		return 0, 0
	}
	slices.Sort(took)
	return took[len(took)/2], took[len(took)*99/100]
}

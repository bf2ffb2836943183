package sim

import (
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
)

// playSchedules plays half as many schedules of a kind as there are ordinary ones, and
// fails when one of them does or when none of them had what all of them must strike.
func playSchedules(t *testing.T, kind string, mustStrike []string, options func(seed uint64) Options) {
	t.Helper()
	playSome(t, *schedules/2, kind, mustStrike, options)
}

// playSome is playSchedules with so many of them.
func playSome(t *testing.T, n int, kind string, mustStrike []string, options func(seed uint64) Options) {
	t.Helper()
	total := map[string]int{}
	var ops int
	var mu sync.Mutex // guards the two above
	var next atomic.Uint64
	next.Store(*firstSeed)
	last := *firstSeed + uint64(max(n, 1))
	var wg sync.WaitGroup
	for range runtime.GOMAXPROCS(0) {
		wg.Go(func() {
			for seed := next.Add(1) - 1; seed < last; seed = next.Add(1) - 1 {
				r := Run(options(seed))
				mu.Lock()
				ops += r.Operations
				for k, n := range r.Counts {
					total[k] += n
				}
				mu.Unlock()
				if r.Err != nil {
					t.Error(r.Err)
				}
			}
		})
	}
	wg.Wait()
	t.Logf("%d schedules with %s, %d client operations", last-*firstSeed, kind, ops)
	for _, name := range mustStrike {
		t.Logf("  %-40s %d", name, total[name])
		if total[name] == 0 {
			t.Errorf("no schedule had %q", name)
		}
	}
}

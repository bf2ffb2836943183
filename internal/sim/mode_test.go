package sim

import (
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
)

// modesMustStrike is what schedules with switches of the mode must have seen.
var modesMustStrike = []string{
	"mode switched", "answered after a switch", "acknowledged while disabled", "copy to the primary while disabled",
	"read while disabled", "calm while disabled", "backend killed", "backend hung", "gateway killed", "gateway stalled",
	"late apply", "cas unknown, applied",
}

// TestModes plays schedules in which replication is disabled, moved to another
// primary and made active again under load and faults. Histories are linearizable
// across every switch, no acknowledged write is lost, no delete comes back, and
// when the bucket is active again it heals by itself.
func TestModes(t *testing.T) {
	total := map[string]int{}
	var ops int
	var mu sync.Mutex // guards the two above
	var next atomic.Uint64
	next.Store(*firstSeed)
	last := *firstSeed + uint64(max(*schedules/2, 1))
	var wg sync.WaitGroup
	for range runtime.GOMAXPROCS(0) {
		wg.Go(func() {
			for seed := next.Add(1) - 1; seed < last; seed = next.Add(1) - 1 {
				r := Run(Options{Seed: seed, Modes: true})
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
	t.Logf("%d schedules with switches, %d client operations", last-*firstSeed, ops)
	for _, name := range modesMustStrike {
		t.Logf("  %-40s %d", name, total[name])
		if total[name] == 0 {
			t.Errorf("no schedule had %q", name)
		}
	}
}

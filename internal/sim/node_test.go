package sim

import (
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
)

// nodesMustStrike is what schedules with leases must have seen.
var nodesMustStrike = []string{
	"mode set", "mode answered", "a node was buried", "a lease had run out", "stall before a sign of life",
	"gateway killed", "gateway stalled", "stall between decision and deed", "late apply",
	"cas unknown, applied", "cas unknown, not applied", "cas unknown, late",
}

// TestNodes plays schedules in which two to four gateways hold leases on one log, and
// operators change the mode: whatever begins after a change was answered has it, on
// whichever node, also on one that slept past its lease (H17). Compare-and-sets of
// rows, records and settings stay unknown, applied, not applied, or applied later.
func TestNodes(t *testing.T) {
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
				r := Run(Options{Seed: seed, Nodes: true})
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
	t.Logf("%d schedules with leases, %d client operations", last-*firstSeed, ops)
	for _, name := range nodesMustStrike {
		t.Logf("  %-40s %d", name, total[name])
		if total[name] == 0 {
			t.Errorf("no schedule had %q", name)
		}
	}
}

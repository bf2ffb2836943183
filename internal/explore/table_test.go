package explore

import (
	"math/rand/v2"
	"testing"
)

// TestTheTableHoldsWhatItWasGiven, and nothing else, while it grows.
func TestTheTableHoldsWhatItWasGiven(t *testing.T) {
	var table table
	rng := rand.New(rand.NewPCG(1, 2))                                         //nolint:gosec // no secret
	draw := func() stateID { return stateID{rng.Uint64(), rng.Uint64() % 64} } // crowded
	held := map[stateID]bool{}
	for range 50_000 {
		id := draw()
		if table.has(id) != held[id] || table.add(id) == held[id] || !table.has(id) {
			t.Fatalf("%v: held %v", id, held[id])
		}
		held[id] = true
		if other := draw(); table.has(other) != held[other] {
			t.Fatalf("%v: held %v", other, held[other])
		}
	}
}

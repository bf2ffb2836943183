package sim

import "testing"

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
	playSchedules(t, "leases", nodesMustStrike, func(seed uint64) Options { return Options{Seed: seed, Nodes: true} })
}

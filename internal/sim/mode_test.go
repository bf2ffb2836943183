package sim

import "testing"

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
	playSchedules(t, "switches", modesMustStrike, func(seed uint64) Options { return Options{Seed: seed, Modes: true} })
}

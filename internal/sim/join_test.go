package sim

import "testing"

// joinsMustStrike is what schedules with joins must have seen.
var joinsMustStrike = []string{
	"replica joined", "replica restored", "repair dawdled", "joined replica was lost for long", "copy to the joined replica waited", "scrub left a key to its row",
	"scrub found a difference", "backend killed", "backend hung", "gateway killed", "gateway stalled", "late apply", "cas unknown, applied",
}

// TestJoins plays schedules in which a server joins the replica set under load and faults.
// It holds nothing then, or something else. When every key was looked at it serves, while
// nodes live that know of it late and machines that never did; nothing that it lacks is
// forgotten, and no deleted key comes back by it.
func TestJoins(t *testing.T) {
	playSchedules(t, "joins", joinsMustStrike, func(seed uint64) Options { return Options{Seed: seed, Joins: true} })
}

// TestJoinsWithTags: the same where clients change tags, and some servers keep none.
func TestJoinsWithTags(t *testing.T) {
	playSchedules(t, "joins and tags", nil, func(seed uint64) Options { return Options{Seed: seed, Joins: true, Tags: true} })
}

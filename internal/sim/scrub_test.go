package sim

import "testing"

// TestScrubs plays schedules in which replicas are compared while clients work: nothing
// is found where nothing is, rot is healed, and a replica that was withdrawn from reads
// comes back without anybody having been shown what it lacked, or held alone.
func TestScrubs(t *testing.T) {
	playSchedules(t, "scrubs", []string{
		"replica withdrawn", "replica restored", "copy rotted", "scrub found a difference", "scrub left a key to its row",
	}, func(seed uint64) Options { return Options{Seed: seed, Scrubs: true} })
}

// TestScrubsOfTags plays fewer of them with tags, which deep scrubs compare while they change.
func TestScrubsOfTags(t *testing.T) {
	playSome(t, *schedules/15, "scrubs and tags", []string{
		"replica withdrawn", "replica restored", "scrub found a difference", "tags mended",
	}, func(seed uint64) Options { return Options{Seed: seed, Scrubs: true, Tags: true} })
}

// The schedules that found what was wrong with the first form of it: a base taken from the
// withdrawn replica when the intent over it was cleared, and a key taken for alike since
// the withdrawn replica alone had answered.
func TestScrubsThatFoundSomething(t *testing.T) {
	for _, seed := range []uint64{632, 1964} {
		if r := Run(Options{Seed: seed, Scrubs: true}); r.Err != nil {
			t.Error(r.Err)
		}
	}
}

package sim

import "testing"

// TestBehind plays schedules in which rows go without a replica that was left behind, and
// in which it comes back: nobody is shown what it missed or kept, and all are equal in the end.
func TestBehind(t *testing.T) {
	playSome(t, *schedules/10, "a replica left behind", []string{
		"replica withdrawn", "row went without the replica left behind", "replica back", "replica restored", "scrub found a difference", "scrub left a key to its row",
	}, func(seed uint64) Options { return Options{Seed: seed, Behind: true, Tags: seed%2 == 0} })
}

// The schedules that found what was wrong when this came: nothing left of what a liar alone held
// before; a change of tags that was overtaken while nobody knew whether it was applied; a copy that
// rotted where no other backend keeps tags, and was never copied over.
func TestBehindRegressions(t *testing.T) {
	for _, o := range []Options{{Seed: 43}, {Seed: 610, Tags: true}, {Seed: 295, Tags: true}, {Seed: 496, Tags: true}} {
		o.Behind = true
		if r := Run(o); r.Err != nil {
			t.Error(r.Err)
		}
	}
}

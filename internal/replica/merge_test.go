package replica_test

import (
	"fmt"
	"testing"
	"time"
)

// What a backend missed of a key is one unit of work, however much it was: only
// the newest state of the key is brought to it (issue 7, "Merge").
func TestWhatWasMissedIsMerged(t *testing.T) {
	for _, tc := range []struct {
		name   string
		had    bool                             // the backend holds an object under the key when it goes away
		misses func(r *rig, put func(size int)) // while it is away
		verb   string                           // the one request that the rest costs; "" for none
	}{
		{"fifty PUTs and a DELETE of what it had", true, func(r *rig, put func(int)) {
			for range 50 {
				put(1000)
			}
			r.mustDelete("k")
		}, "DELETE"},
		{"fifty PUTs and a DELETE of what it never had", false, func(r *rig, put func(int)) {
			for range 50 {
				put(1000)
			}
			r.mustDelete("k")
		}, ""},
		{"fifty PUTs", true, func(_ *rig, put func(int)) {
			for range 50 {
				put(1000)
			}
		}, "PUT"},
		{"PUTs and DELETEs by turns, a large PUT last", true, func(r *rig, put func(int)) {
			for range 25 {
				put(10)
				r.mustDelete("k")
			}
			put(700_000)
		}, "PUT"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			inBubble(t, func(t *testing.T, r *rig) {
				n := uint64(0)
				put := func(size int) { n++; r.mustPut("k", content(size, n)) }
				if tc.had {
					put(100)
					r.converge()
				}
				r.wires["b"].plug(true)
				time.Sleep(time.Second)
				tc.misses(r, put)
				time.Sleep(30 * time.Second)
				for _, c := range r.counts {
					c.reset()
				}
				r.wires["b"].plug(false)
				r.converge()
				r.equal()
				for _, verb := range []string{"PUT", "DELETE"} {
					want := 0
					if verb == tc.verb {
						want = 1
					}
					if got := r.counts["b"].of(verb, "k"); got != want {
						t.Errorf("the backend that was away got %d %ss of the key, want %d", got, verb, want)
					}
				}
				for _, name := range []string{"a", "c"} {
					if got := r.counts[name].of("", "k"); got != 0 {
						t.Errorf("backend %s missed nothing and got %d writes", name, got)
					}
				}
				if got := r.counts["a"].of("GET", "k") + r.counts["c"].of("GET", "k"); tc.verb == "PUT" && got != 1 {
					t.Errorf("the version was read %d times", got)
				}
			})
		})
	}
}

// A unit of work is of a key and a replica: two that were away cost one each, and
// many keys cost one each.
func TestEachReplicaCostsItsOwn(t *testing.T) {
	inBubble(t, func(t *testing.T, r *rig) {
		r.wires["b"].plug(true)
		r.wires["c"].plug(true)
		time.Sleep(time.Second)
		const keys = 20
		r.each(keys, func(i int) {
			for round := range 5 {
				r.mustPut(fmt.Sprint("k", i), content(100, uint64(round)))
			}
		})
		time.Sleep(30 * time.Second)
		for _, c := range r.counts {
			c.reset()
		}
		r.wires["b"].plug(false)
		r.wires["c"].plug(false)
		r.converge()
		r.equal()
		for i := range keys {
			for _, name := range []string{"b", "c"} {
				if got := r.counts[name].of("PUT", fmt.Sprint("k", i)); got != 1 {
					t.Errorf("backend %s got k%d %d times", name, i, got)
				}
			}
		}
	})
}

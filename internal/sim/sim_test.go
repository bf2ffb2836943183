package sim

import (
	"flag"
	"fmt"
	"maps"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
)

var (
	schedules = flag.Int("sim.schedules", 200, "how many random schedules to play")
	firstSeed = flag.Uint64("sim.first", 1, "the first seed")
	oneSeed   = flag.Uint64("sim.seed", 0, "play only this seed, and print every event")
	oneModes  = flag.Bool("sim.modes", false, "with -sim.seed: the mode is switched under load")
	refusals  = flag.Bool("sim.refusals", false, "with the seed: servers refuse keys")
	tagged    = flag.Bool("sim.tags", false, "with the seed: the schedule with tags")
	repeats   = flag.Bool("sim.repeats", false, "with the seed: the schedule with repeated uploads")
	summed    = flag.Bool("sim.sums", false, "with the seed: the schedule with checksums")
	joining   = flag.Bool("sim.joins", false, "with the seed: a replica joins")
	uploads   = flag.Bool("sim.uploads", false, "with the seed: the schedule with uploads")
)

// mustStrike are the faults, and the outcomes, that a run must have seen.
var mustStrike = []string{
	"5xx", "answer lost", "backend hung", "backend hung longer than T_settle", "backend killed",
	"bucket renamed", "cas unknown, applied", "cas unknown, late", "cas unknown, not applied", "client hung up", "clock jumped",
	"connection refused", "crash between decision and deed", "died in hand", "gateway killed",
	"gateway stalled", "halved", "late apply", "list resolved an open base", "log full",
	"log no space", "log outage", "lost race, 200 all the same", "read unavailable", "request lost",
	"request refused", "slow body", "stall between decision and deed", "upload ended before the release",
	"upload stalled", "acknowledged", "condition failed", "definitely failed", "unknown to the client",
	"read", "list", "alarm",
}

// mustStrikeUploads are those of schedules with uploads, copies and batches.
var mustStrikeUploads = []string{
	"200 for an upload that is not there", "200 with an error inside", "abort acknowledged", "complete acknowledged",
	"complete echoed", "complete repeated", "complete twice at once", "create failed", "fence", "invalid part",
	"no such upload", "part acknowledged", "part failed", "part landed after an abort", "part overwritten",
	"slow complete", "complete with other parts", "the same bytes again",
	"stray upload swept", "upload created", "upload forgotten", "upload vanished",
	"batch delete", "deletes in one request",
	"copy", "copied by a replica itself", "source is gone", "source is another",
}

// TestSeed replays one schedule with its trace: go test ./internal/sim -run TestSeed -sim.seed=N
func TestSeed(t *testing.T) {
	if *oneSeed == 0 {
		return
	}
	r := Run(Options{Seed: *oneSeed, Modes: *oneModes, Uploads: *uploads, Refusals: *refusals, Tags: *tagged, Sums: *summed, Joins: *joining, Repeats: *repeats, Trace: func(s string) { fmt.Println(s) }})
	if r.Err != nil {
		t.Fatal(r.Err)
	}
}

// TestSchedules plays random schedules; the seed of a failure replays it.
func TestSchedules(t *testing.T) { play(t, Options{}, mustStrike) }

// TestSchedulesWithUploads plays as many in which clients make multipart uploads, copies
// and batches of deletes too.
func TestSchedulesWithUploads(t *testing.T) {
	play(t, Options{Uploads: true}, slices.Concat(mustStrike, mustStrikeUploads))
}

// TestSchedulesWithRefusals plays as many in which servers hold nothing under some keys,
// for a while or for ever: what others took stands, such a server is named by the row and
// never good, everything else converges, and a delete or its change of mind settles it.
func TestSchedulesWithRefusals(t *testing.T) {
	play(t, Options{Refusals: true}, slices.Concat(mustStrike, []string{
		"key refused", "rests with a refusal", "refused key deleted", "server takes the key at last",
	}))
}

// mustStrikeTags are those of schedules with tags.
var mustStrikeTags = []string{"tagged", "tags read", "tags mended", "tags unavailable"}

// TestSchedulesWithTags plays as many in which clients read and change tags too.
func TestSchedulesWithTags(t *testing.T) {
	play(t, Options{Tags: true}, slices.Concat(mustStrike, mustStrikeTags))
}

// TestSchedulesWithTaggedUploads plays schedules in which uploads and copies come with
// tags, which are read and changed between them, while the mode is switched.
func TestSchedulesWithTaggedUploads(t *testing.T) {
	must := slices.Concat(mustStrikeTags, []string{
		"mode switched", "acknowledged while disabled", "complete acknowledged", "complete repeated", "copy",
		"copied by a replica itself", "the same bytes again", "batch delete",
	})
	playSchedules(t, "tagged uploads and switches", must, func(seed uint64) Options {
		return Options{Seed: seed, Tags: true, Uploads: true, Modes: seed%2 == 0}
	})
}

// TestSchedulesWithStalls plays fewer in which replicas hold parts up that are sent at once:
// whoever lacks an acknowledged part has left the upload.
func TestSchedulesWithStalls(t *testing.T) {
	total := map[string]int{}
	for seed := *firstSeed; seed < *firstSeed+uint64(max(*schedules/10, 1)); seed++ {
		r := Run(Options{Seed: seed, Stalls: true, Modes: seed%4 == 0})
		for k, n := range r.Counts {
			total[k] += n
		}
		if r.Err != nil {
			t.Error(r.Err)
		}
	}
	for _, name := range []string{"part stalled", "replica leaves before the release", "part acknowledged", "complete acknowledged"} {
		if t.Logf("  %-40s %d", name, total[name]); total[name] == 0 {
			t.Errorf("no schedule had %q", name)
		}
	}
}

// TestSchedulesWithSums plays schedules in which objects have checksums that some servers
// do not keep: one version is shown with one checksum, whoever answers and for as long as
// it stands.
func TestSchedulesWithSums(t *testing.T) {
	must := []string{"checksum shown", "complete acknowledged", "copy", "tagged"}
	playSchedules(t, "checksums", must, func(seed uint64) Options {
		return Options{Seed: seed, Sums: true, Uploads: seed%3 == 0, Tags: seed%4 == 0}
	})
}

// TestSchedulesWithRepeats plays schedules in which uploads of the same bytes follow one
// another on one key, and Completes that told their client nothing are repeated.
func TestSchedulesWithRepeats(t *testing.T) {
	must := []string{
		"200 for an upload that is not there", "complete acknowledged", "complete before its last part", "complete repeated",
		"complete with other parts", "no such upload", "the same bytes again", "upload vanished",
	}
	playSchedules(t, "repeated uploads", must, func(seed uint64) Options { return Options{Seed: seed, Repeats: true} })
}

// The schedule in which a Complete of other parts was let go while an earlier one could
// still land, since a third had failed for sure and opened the upload again.
func TestRepeatsThatFoundSomething(t *testing.T) {
	if r := Run(Options{Seed: 2625, Repeats: true}); r.Err != nil {
		t.Error(r.Err)
	}
}

func play(t *testing.T, o Options, must []string) {
	t.Helper()
	var mu sync.Mutex
	var failed []error
	total := map[string]int{}
	var ops, oneAcked, oneWrites int
	var next atomic.Uint64
	next.Store(*firstSeed)
	last := *firstSeed + uint64(*schedules)
	var wg sync.WaitGroup
	for range runtime.GOMAXPROCS(0) {
		wg.Go(func() {
			for seed := next.Add(1) - 1; seed < last; seed = next.Add(1) - 1 {
				o := o
				o.Seed = seed
				r := Run(o)
				mu.Lock()
				ops += r.Operations
				for k, n := range r.Counts {
					total[k] += n
				}
				if r.OneFault {
					oneAcked += r.Counts["acknowledged"]
					oneWrites += r.Counts["acknowledged"] + r.Counts["unknown to the client"] + r.Counts["definitely failed"]
				}
				if r.Err != nil {
					failed = append(failed, r.Err)
				}
				mu.Unlock()
			}
		})
	}
	wg.Wait()
	mean := float64(ops) / float64(*schedules)
	share := 100 * float64(oneAcked) / float64(max(oneWrites, 1))
	t.Logf("%d schedules, %d client operations (%.0f a schedule), %d failures; acknowledged share with one fault at a time: %.1f %%",
		*schedules, ops, mean, len(failed), share)
	for _, name := range slices.Sorted(maps.Keys(total)) {
		t.Logf("  %-40s %d", name, total[name])
	}
	if mean < 50 {
		t.Errorf("only %.0f client operations a schedule: the generator went blind", mean)
	}
	if share < 80 {
		t.Errorf("only %.1f %% of the writes were acknowledged with one fault at a time", share)
	}
	for _, name := range must {
		if total[name] == 0 {
			t.Errorf("no schedule had the fault %q", name)
		}
	}
	for i, err := range failed {
		if i == 12 {
			t.Errorf("... and %d more", len(failed)-i)
			break
		}
		t.Error(err)
	}
}

// TestHedgedReads plays schedules in which every read that may asks two replicas:
// what is read is as right as ever.
func TestHedgedReads(t *testing.T) {
	won := 0
	for seed := *firstSeed; seed < *firstSeed+uint64(max(*schedules/4, 1)); seed++ {
		r := Run(Options{Seed: seed, Hedge: true})
		won += r.Counts["hedge won"]
		if r.Err != nil {
			t.Error(r.Err)
		}
	}
	if won == 0 {
		t.Error("no second replica was ever quicker")
	}
	t.Logf("the second replica was quicker %d times", won)
}

// found are schedules that broke the protocol while it was built; each breaks it
// again when the mend that is named is taken out. The directed tests of package
// commit hold the same mends without chance.
var found = []struct {
	seed uint64
	mend string
}{
	{53, "a late OK is not good once somebody else changed the row"},
	{64, "a replica that counts as good and shows something else stays named"},
	{100, "half of an open write is not the base"},
	{322, "half of a version does not settle a request for it"},
	{348, "a late OK waits for a write that overlaps it"},
}

func TestFoundSchedules(t *testing.T) {
	for _, f := range found {
		if r := Run(Options{Seed: f.seed}); r.Err != nil {
			t.Errorf("%s: %v", f.mend, r.Err)
		}
	}
}

// TestBrokenAssumptions plays backends that break an assumption, one in each
// schedule. Nobody can promise anything on them; what is asked is that the breach
// is seen, by an alarm or by the checker, so that the probes that refuse such a
// backend are worth their while. A backend that only stores wrong bytes must not
// even fool a reader: identity, ETag and size of what is served are the row's.
func TestBrokenAssumptions(t *testing.T) {
	for _, p := range []Personality{Truncating, Forgetful, Stale, RetryingProxy, Wiped} {
		t.Run(p.String(), func(t *testing.T) {
			alarms, illegal, struck := 0, 0, 0
			for seed := uint64(1); seed <= 150; seed++ {
				r := Run(Options{Seed: seed, Only: &p})
				alarms += r.Counts["alarm"]
				struck += r.Counts[p.fault()]
				if r.Err != nil {
					illegal++
					if p == Truncating {
						t.Error(r.Err)
					}
				}
			}
			t.Logf("struck %d times; %d alarms, %d histories broken", struck, alarms, illegal)
			if struck == 0 {
				t.Error("the personality never showed")
			}
			if alarms+illegal == 0 {
				t.Error("nobody noticed")
			}
		})
	}
}

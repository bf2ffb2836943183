package commit

import (
	"slices"
	"testing"
	"time"

	"github.com/s3mirror/s3mirror/internal/object"
	"github.com/s3mirror/s3mirror/internal/oplog"
)

func TestRepairSettlesAPutThatIsSeen(t *testing.T) {
	r := row(version(2), object.NewReplicas("A"), entry(1, object.Present, "B"))
	_, eff := visit(t, config("A", "B"), &Memory{}, at(0), r, map[string]object.Seen{"A": seen(version(2)), "B": seen(version(1))})
	next := only[Swap](t, eff).Row
	if len(next.Unsettled) != 0 || !next.Good.Equal(object.NewReplicas("A")) {
		t.Fatalf("got %+v", next)
	}
}

func TestRepairNeverSettlesADeleteByAbsence(t *testing.T) { // R26
	r := row(version(2), object.NewReplicas("A"), entry(1, object.Tombstone, "B"))
	_, eff := visit(t, config("A", "B"), &Memory{}, at(0), r, map[string]object.Seen{"A": seen(version(2)), "B": {}})
	none[Swap](t, eff)
	only[Examined](t, eff)
}

func TestRepairDoesNotTakeHalfAWriteForItsEnd(t *testing.T) {
	// The half was left there by an earlier request of the same version: it says
	// nothing of the one that the entry names.
	r := row(version(2), object.NewReplicas("A"), oplog.Entry{
		Op: id(9), ID: id(2), Ver: 2, Kind: object.Present, Type: oplog.OpHeal, Replica: "B", Size: 10, ETag: etag(2),
	})
	_, eff := visit(t, config("A", "B"), &Memory{}, at(0), r, map[string]object.Seen{"A": seen(version(2)), "B": half(2)})
	none[Swap](t, eff)
}

// watch visits every second so that the series of all replicas are unbroken.
func watch(t *testing.T, cfg Config, mem *Memory, from, to time.Duration, r *oplog.Row, shown map[string]object.Seen) {
	t.Helper()
	for d := from; d < to; d += time.Second {
		_, eff := visit(t, cfg, mem, at(d), r, shown)
		only[Examined](t, eff)
	}
}

func TestRepairSettlesByTimeOnlyUnderAnUnbrokenWatch(t *testing.T) { // R19
	cfg, mem := config("A", "B"), &Memory{}
	r := row(version(2), object.NewReplicas("A"), entry(1, object.Tombstone, "B"))
	shown := map[string]object.Seen{"A": seen(version(2)), "B": {}}
	watch(t, cfg, mem, 0, 19*time.Second, r, shown)
	visit(t, cfg, mem, at(19*time.Second), r, map[string]object.Seen{"A": seen(version(2))}) // B does not answer: hung
	watch(t, cfg, mem, 20*time.Second, 40*time.Second, r, shown)
	_, eff := visit(t, cfg, mem, at(40*time.Second), r, shown)
	if next := only[Swap](t, eff).Row; len(next.Unsettled) != 0 {
		t.Fatalf("got %+v", next)
	}
}

func TestRepairRestartsTheWatchAfterAPause(t *testing.T) { // R19
	cfg, mem := config("A", "B"), &Memory{}
	r := row(version(2), object.NewReplicas("A"), entry(1, object.Tombstone, "B"))
	shown := map[string]object.Seen{"A": seen(version(2)), "B": {}}
	watch(t, cfg, mem, 0, 19*time.Second, r, shown)
	_, eff := visit(t, cfg, mem, at(25*time.Second), r, shown) // nobody looked for 6 s
	none[Swap](t, eff)
}

func TestRepairKeepsWhatIsLeftOfAKey(t *testing.T) {
	// The current version is nowhere in sight, A does not answer, and B shows a
	// newer write. Settling its entry would leave a key that nobody can decide.
	cfg := config("A", "B", "C")
	r := row(version(2), object.NewReplicas("A"), entry(3, object.Present, "B"))
	shown, mem := map[string]object.Seen{"B": seen(version(3)), "C": seen(version(1))}, &Memory{}
	watch(t, cfg, mem, 0, 30*time.Second, r, shown)
	shown["A"] = seen(version(1))
	_, eff := visit(t, cfg, mem, at(30*time.Second), r, shown)
	next := only[Swap](t, eff).Row
	if next.Cur.ID != id(3) || next.Cur.Ver != 3 || !next.Good.Equal(object.NewReplicas("B")) { // R25
		t.Fatalf("got %+v", next)
	}
}

func TestRollForwardTakesNoHalf(t *testing.T) {
	r := row(version(2), object.NewReplicas("A"), entry(3, object.Present, "A"), entry(3, object.Present, "B"))
	_, eff := visit(t, config("A", "B"), &Memory{}, at(0), r, map[string]object.Seen{"A": half(3), "B": seen(version(3))})
	if next := only[Swap](t, eff).Row; !next.Good.Equal(object.NewReplicas("B")) || next.Cur.ETag != etag(3) {
		t.Fatalf("got %+v", next)
	}
}

func TestRollForwardNeedsAnAnchor(t *testing.T) {
	r := row(version(2), object.NewReplicas("A"), entry(1, object.Tombstone, "A"), entry(3, object.Present, "A"))
	_, eff := visit(t, config("A"), &Memory{}, at(0), r, map[string]object.Seen{"A": seen(version(3))})
	none[Swap](t, eff) // the older DELETE may still strike
}

func TestNothingIsRolledForwardBelowWhatMayStillLand(t *testing.T) {
	// B shows 3, and 4 may still land there: then it would be the only version left,
	// and be decided over 3, which its condition was never judged against.
	cfg, mem := config("A", "B"), &Memory{}
	r := row(version(2), object.NewReplicas("A"), entry(3, object.Present, "A"), entry(4, object.Present, "A"), entry(4, object.Present, "B"))
	shown := map[string]object.Seen{"A": seen(version(4)), "B": seen(version(3))}
	_, eff := visit(t, cfg, mem, at(0), r, shown)
	none[Swap](t, eff)

	// In the end what did not land is settled, and what did is decided.
	watch(t, cfg, mem, time.Second, 20*time.Second, r, shown)
	_, eff = visit(t, cfg, mem, at(20*time.Second), r, shown)
	r = only[Swap](t, eff).Row
	if len(r.Unsettled) != 1 || r.Unsettled[0].ID != id(4) || r.Unsettled[0].Replica != "A" {
		t.Fatalf("got %+v", r)
	}
	_, eff = visit(t, cfg, mem, at(20*time.Second), r, shown)
	if next := only[Swap](t, eff).Row; next.Cur.ID != id(4) || !next.Good.Equal(object.NewReplicas("A")) {
		t.Fatalf("got %+v", next)
	}
}

func TestOfTwoDeletesThatMayBothHaveLandedTheNewerIsDecided(t *testing.T) {
	// A missed both deletes, B and C show nothing: absence tells of either, and of neither.
	cfg, mem := config("A", "B", "C"), &Memory{}
	r := row(version(2), object.NewReplicas("B"),
		entry(3, object.Tombstone, "B"), entry(3, object.Tombstone, "C"), entry(4, object.Tombstone, "B"), entry(4, object.Tombstone, "C"))
	shown := map[string]object.Seen{"A": seen(version(1)), "B": seen(absent(4)), "C": seen(absent(4))}
	_, eff := visit(t, cfg, mem, at(0), r, shown)
	next := only[Swap](t, eff).Row
	if next.Cur.ID != id(4) || next.Cur.Kind != object.Tombstone || !next.Good.Equal(object.NewReplicas("B", "C")) {
		t.Fatalf("got %+v", next)
	}

	// The older one stays named until it is settled, and A has a delete to come.
	for _, replica := range []string{"B", "C"} {
		if !hasEntry(next.Unsettled, id(3), replica) {
			t.Errorf("the request to %s is not named any more: %+v", replica, next.Unsettled)
		}
	}

	// A newer request that is no delete would leave something else: the deletes wait.
	r = row(version(2), object.NewReplicas("B"),
		entry(3, object.Tombstone, "B"), entry(3, object.Tombstone, "C"), entry(4, object.Tombstone, "B"), entry(4, object.Tombstone, "C"),
		entry(5, object.Present, "B"), entry(5, object.Present, "C"))
	_, eff = visit(t, cfg, &Memory{}, at(0), r, shown)
	none[Swap](t, eff)
}

func TestRepairKeepsAGoodReplicaThatTheVersionStandsOn(t *testing.T) {
	// B is good and shows a newer, unsettled write; A holds the version, but an
	// older request may still strike it. Dropping B would leave no anchor, so B
	// stays good, and must stay named.
	r := row(version(2), object.NewReplicas("A", "B"), entry(1, object.Present, "A"), entry(3, object.Present, "B"))
	_, eff := visit(t, config("A", "B"), &Memory{}, at(0), r, map[string]object.Seen{"A": seen(version(2)), "B": seen(version(3))})
	none[Swap](t, eff)
}

func TestAGoodReplicaStaysNamedByWhatItShows(t *testing.T) {
	cfg, mem := config("A", "B"), &Memory{}
	r := row(version(2), object.NewReplicas("A", "B"),
		entry(0, object.Tombstone, "A"), entry(1, object.Tombstone, "B"), entry(3, object.Present, "B"))
	shown := map[string]object.Seen{"A": seen(version(2)), "B": seen(version(3))}
	watch(t, cfg, mem, 0, 20*time.Second, r, shown)
	_, eff := visit(t, cfg, mem, at(20*time.Second), r, shown)
	next := only[Swap](t, eff).Row
	if len(next.Unsettled) != 1 || next.Unsettled[0].ID != id(3) || !next.Good.Has("B") {
		t.Fatalf("got %+v", next)
	}
}

func TestRepairDropsAReplicaThatForgot(t *testing.T) { // H26
	r := row(version(2), object.NewReplicas("A", "B"))
	r.Changed = wall0.Add(-time.Hour)
	_, eff := visit(t, config("A", "B"), &Memory{}, at(0), r, map[string]object.Seen{"A": seen(version(2)), "B": seen(version(1))})
	only[Alarm](t, eff)
	if next := only[Swap](t, eff).Row; !next.Good.Equal(object.NewReplicas("A")) {
		t.Fatalf("got %+v", next)
	}
}

func TestRepairHealsOnlyCleanReplicas(t *testing.T) { // R27
	shown := map[string]object.Seen{"A": seen(version(2)), "B": seen(version(1))}
	r := row(version(2), object.NewReplicas("A"), entry(9, object.Tombstone, "B"))
	_, eff := visit(t, config("A", "B"), &Memory{}, at(0), r, shown)
	none[Copy](t, eff)
	_, eff = visit(t, config("A", "B"), &Memory{}, at(0), row(version(2), object.NewReplicas("A")), shown)
	if c := only[Copy](t, eff); c.Target != "B" || !c.Sources.Equal(object.NewReplicas("A")) {
		t.Fatalf("got %+v", c)
	}
}

func TestRepairDropsTheRowOnlyAfterRetentionAndALook(t *testing.T) { // R28
	r := row(version(2), object.NewReplicas("A", "B"))
	cfg, equal := config("A", "B"), map[string]object.Seen{"A": seen(version(2)), "B": seen(version(2))}
	p := NewRepair(cfg)
	p.Step(at(0), Examine{Memory: &Memory{}})
	only[Examined](t, p.Step(at(59*time.Second), RowRead{Row: r}))
	_, eff := visit(t, cfg, &Memory{}, at(61*time.Second), r, map[string]object.Seen{"A": seen(version(2))})
	none[Swap](t, eff) // B does not answer
	_, eff = visit(t, cfg, &Memory{}, at(61*time.Second), r, equal)
	if s := only[Swap](t, eff); s.Row != nil || s.Old != r.Epoch {
		t.Fatalf("got %+v", s)
	}
	r.ETags = map[string]string{"B": "other-form"}
	p = NewRepair(cfg)
	p.Step(at(0), Examine{Memory: &Memory{}})
	only[Examined](t, p.Step(at(2*time.Hour), RowRead{Row: r})) // a map row stays for ever
}

// ---- resolve (R24)

func withIntent(r *oplog.Row, n byte, kind object.Kind, reps ...string) *oplog.Row {
	info := version(n)
	typ := oplog.OpPut
	if kind == object.Tombstone {
		info, typ = absent(n), oplog.OpDelete
	}
	r.Intent = &oplog.Intent{
		Op: id(n), ID: id(n), Ver: object.Version(n), Kind: kind, Type: typ, Owner: "G2#a", Nonce: id(n),
		Reps: object.NewReplicas(reps...), Info: info,
	}
	return r
}

// resolved visits a key whose intent has expired.
func resolved(t *testing.T, cfg Config, r *oplog.Row, shown map[string]object.Seen) []Effect {
	t.Helper()
	_, eff := visit(t, cfg, &Memory{Nonce: r.Intent.Nonce, Since: time.Hour - 10*time.Second}, at(0), r, shown)
	return eff
}

func TestResolveLeavesALiveIntent(t *testing.T) {
	r := withIntent(row(version(1), object.NewReplicas("A", "B")), 2, object.Present, "A", "B")
	_, eff := visit(t, config("A", "B"), &Memory{}, at(0), r, map[string]object.Seen{"A": seen(version(2)), "B": seen(version(1))})
	none[Swap](t, eff)
}

func TestResolveForward(t *testing.T) {
	r := withIntent(row(version(1), object.NewReplicas("A", "B")), 2, object.Present, "A", "B")
	next := only[Swap](t, resolved(t, config("A", "B"), r, map[string]object.Seen{"A": seen(version(2))})).Row
	if next.Cur.ID != id(2) || !next.Good.Equal(object.NewReplicas("A")) || len(next.Unsettled) != 1 || next.Unsettled[0].Replica != "B" {
		t.Fatalf("got %+v", next)
	}
}

func TestResolveForwardNeedsAnAnchor(t *testing.T) {
	r := withIntent(row(version(1), object.NewReplicas("A", "B"), entry(0, object.Tombstone, "A")), 2, object.Present, "A", "B")
	next := only[Swap](t, resolved(t, config("A", "B"), r, map[string]object.Seen{"A": seen(version(2)), "B": seen(version(1))})).Row
	if next.Cur.ID != id(1) || next.Intent != nil || len(next.Unsettled) != 3 {
		t.Fatalf("got %+v", next)
	}
}

func TestResolveOfADeleteKeepsAllItsRequests(t *testing.T) { // R26
	r := withIntent(row(version(1), object.NewReplicas("A", "B")), 2, object.Tombstone, "A", "B")
	next := only[Swap](t, resolved(t, config("A", "B"), r, map[string]object.Seen{"A": {}, "B": seen(version(1))})).Row
	if next.Cur.Kind != object.Tombstone || next.Cur.ID != id(2) || len(next.Unsettled) != 2 {
		t.Fatalf("got %+v", next)
	}
}

func TestResolveBackNeedsTheVersionInSight(t *testing.T) {
	r := withIntent(row(version(1), object.NewReplicas("A")), 2, object.Present, "A", "B")
	eff := resolved(t, config("A", "B"), r, map[string]object.Seen{"B": seen(version(7))})
	none[Swap](t, eff) // A, the only good one, does not answer: it may show either
}

func TestResolveRecordsTheBase(t *testing.T) { // R4
	r := withIntent(&oplog.Row{Epoch: oplog.Epoch{1}, Open: true, Good: object.NewReplicas("A", "B"), Changed: wall0}, 2, object.Present, "A", "B")
	foreign := object.Seen{Info: object.Info{Kind: object.Present, ETag: etag(77), Size: 3}}
	next := only[Swap](t, resolved(t, config("A", "B"), r, map[string]object.Seen{"A": foreign})).Row
	if next.Open || next.Cur.ETag != etag(77) || next.Cur.Ver != 0 || len(next.Unsettled) != 2 || !next.Good.Equal(object.NewReplicas("A", "B")) {
		t.Fatalf("got %+v", next)
	}
}

func TestTheRecordedBaseIsGoodOnlyWhereItStands(t *testing.T) { // R24: data before absence
	r := withIntent(&oplog.Row{Epoch: oplog.Epoch{1}, Open: true, Good: object.NewReplicas("A", "B", "C"), Changed: wall0}, 2, object.Present, "A", "B")
	foreign := object.Seen{Info: object.Info{Kind: object.Present, ETag: etag(77), Size: 3}}
	next := only[Swap](t, resolved(t, config("A", "B", "C"), r, map[string]object.Seen{"A": {}, "B": foreign})).Row
	if next.Cur.ETag != etag(77) || !next.Good.Equal(object.NewReplicas("B", "C")) {
		t.Fatalf("got %+v", next)
	}
}

func TestResolveOfAHealNamesItsRequest(t *testing.T) {
	r := withIntent(row(version(1), object.NewReplicas("A")), 1, object.Present, "B")
	r.Intent.Type, r.Intent.Op = oplog.OpHeal, id(9)
	next := only[Swap](t, resolved(t, config("A", "B"), r, map[string]object.Seen{"A": seen(version(1)), "B": seen(version(1))})).Row
	if next.Intent != nil || len(next.Unsettled) != 1 || next.Unsettled[0].Op != id(9) {
		t.Fatalf("got %+v", next)
	}
}

// TestAReplicaThatRefusesIsOfferedTheKeyRarely: the pause doubles from a gap to the
// longest, and is each replica's own: one that only lags is healed meanwhile.
func TestAReplicaThatRefusesIsOfferedTheKeyRarely(t *testing.T) {
	cfg, mem := config("A", "B", "C"), &Memory{}
	cfg.Times.Refused = 10 * time.Second
	r := row(version(2), object.NewReplicas("A"))
	r.Refused = []oplog.Refusal{{Replica: "B", Code: "KeyTooLongError"}}
	shown := map[string]object.Seen{"A": seen(version(2)), "B": seen(version(1)), "C": seen(version(1))}
	p, eff := visit(t, cfg, mem, at(0), r, shown)
	if c := only[Copy](t, eff); c.Target != "C" {
		t.Fatalf("got %+v", c)
	}
	only[ReadRow](t, p.Step(at(0), Copied{Target: "C", OK: true}))
	r.Good = object.NewReplicas("A", "C")
	shown["C"] = seen(version(2))
	var offered []time.Duration
	for d := time.Duration(0); d <= 40*time.Second; {
		p, eff := visit(t, cfg, mem, at(d), r, shown)
		next := time.Duration(0)
		for _, e := range eff {
			switch e := e.(type) {
			case Copy:
				offered = append(offered, d)
				p.Step(at(d), Copied{Target: e.Target}) // refused again
			case Examined:
				next = e.Report.Next
			default:
				t.Fatalf("got %+v", e)
			}
		}
		d += next
	}
	want := []time.Duration{2 * time.Second, 6 * time.Second, 14 * time.Second, 24 * time.Second, 34 * time.Second}
	if !slices.Equal(offered, want) {
		t.Errorf("offered at %v, want %v", offered, want)
	}
	r.Refused = nil // another version came, and B was away
	if _, eff := visit(t, cfg, mem, at(41*time.Second), r, shown); only[Copy](t, eff).Target != "B" {
		t.Errorf("got %+v", eff)
	}
}

// TestARefusalWithoutAPauseIsTriedOnEachVisit: no longest pause, no pause.
func TestARefusalWithoutAPauseIsTriedOnEachVisit(t *testing.T) {
	cfg, mem := config("A", "B"), &Memory{}
	r := row(version(2), object.NewReplicas("A"))
	r.Refused = []oplog.Refusal{{Replica: "B", Code: "KeyTooLongError"}}
	_, eff := visit(t, cfg, mem, at(0), r, map[string]object.Seen{"A": seen(version(2)), "B": seen(version(1))})
	only[Copy](t, eff)
}

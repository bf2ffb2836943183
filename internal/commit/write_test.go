package commit

import (
	"testing"
	"time"

	"github.com/s3mirror/s3mirror/internal/object"
	"github.com/s3mirror/s3mirror/internal/oplog"
)

// driver plays the log and the client for one write.
type driver struct {
	t *testing.T
	w *Write
	n byte // of the epochs that it hands out
}

func put(n byte, stream bool) Op {
	return Op{ID: id(n), Type: oplog.OpPut, Stream: stream}
}

func begin(t *testing.T, cfg Config, op Op, now Now, r *oplog.Row) (*driver, []Effect) {
	t.Helper()
	d := &driver{t: t, w: NewWrite(cfg, op), n: 100}
	only[ReadRow](t, d.w.Step(now, Begin{Up: cfg.Replicas}))
	return d, d.w.Step(now, RowRead{Row: r})
}

// intent plays a write up to the swap of its intent.
func intent(t *testing.T, cfg Config, op Op, now Now, r *oplog.Row) (*driver, Swap) {
	t.Helper()
	d, eff := begin(t, cfg, op, now, r)
	only[Accept](t, eff)
	only[ReadRow](t, d.w.Step(now, Verified{Info: object.Info{Size: 10}}))
	return d, only[Swap](t, d.w.Step(now, RowRead{Row: r}))
}

// released plays a write up to its release.
func released(t *testing.T, cfg Config, op Op, now Now, r *oplog.Row) *driver {
	t.Helper()
	d, _ := intent(t, cfg, op, now, r)
	eff := d.applied(now)
	n := 0
	for _, e := range eff {
		if _, ok := e.(Release); ok {
			n++
		}
	}
	if n != len(cfg.Replicas) {
		t.Fatalf("want %d releases, got %+v", len(cfg.Replicas), eff)
	}
	return d
}

func (d *driver) applied(now Now) []Effect {
	d.n++
	return d.w.Step(now, Swapped{Outcome: Applied, Epoch: oplog.Epoch{d.n}})
}

func (d *driver) yes(now Now, r string) []Effect {
	return d.w.Step(now, Answered{Replica: r, Answer: Answer{Class: Yes, ETag: etag(50)}})
}

func TestWriteDecidesAndAcks(t *testing.T) {
	d := released(t, config("A", "B"), put(5, false), at(0), row(version(1), object.NewReplicas("A", "B")))
	none[Swap](t, d.yes(at(0), "A"))
	next := only[Swap](t, d.yes(at(0), "B")).Row
	if next.Cur.ID != id(5) || next.Cur.Ver <= 1 || next.Cur.ETag != etag(50) || !next.Good.Equal(object.NewReplicas("A", "B")) || next.Intent != nil {
		t.Fatalf("got %+v", next)
	}
	if res := only[Done](t, d.applied(at(0))).Result; res.Kind != Acked || !d.w.Over() {
		t.Fatalf("got %+v", res)
	}
}

func TestEarlyDecideNamesItsStragglers(t *testing.T) { // R14
	d := released(t, config("A", "B"), put(5, false), at(0), row(version(1), object.NewReplicas("A", "B")))
	if s := only[Sleep](t, d.yes(at(10*time.Millisecond), "A")); s.Timer != TimerFloor || s.For != 5*time.Millisecond {
		t.Fatalf("the answer may wait half as long as the write took, got %+v", s)
	}
	next := only[Swap](t, d.w.Step(at(15*time.Millisecond), Fired{TimerFloor})).Row
	if !hasEntry(next.Unsettled, id(5), "B") || hasEntry(next.Unsettled, id(5), "A") {
		t.Fatalf("got %+v", next.Unsettled)
	}
	only[Done](t, d.applied(at(15*time.Millisecond)))
	next = only[Swap](t, d.yes(at(time.Second), "B")).Row // the late OK is folded in
	if len(next.Unsettled) != 0 || !next.Good.Equal(object.NewReplicas("A", "B")) {
		t.Fatalf("got %+v", next)
	}
}

func TestNoDecideWithoutAnAnchor(t *testing.T) { // R15
	cfg := config("A", "B")
	d := released(t, cfg, put(5, false), at(0), row(version(1), object.NewReplicas("A", "B"), entry(0, object.Tombstone, "A")))
	none[Swap](t, d.yes(at(time.Second), "A"))
	eff := d.w.Step(at(time.Second), Answered{Replica: "B", Answer: Answer{Class: Ambiguous}})
	none[Swap](t, eff)
	if res := only[Done](t, eff).Result; res.Kind != Doubt {
		t.Fatalf("got %+v", res)
	}
}

func TestTheAnchorIsJudgedAtTheIntent(t *testing.T) { // R15: never by the row at decide time
	cfg := config("A", "B")
	r := row(version(1), object.NewReplicas("A", "B"), entry(0, object.Tombstone, "A"))
	d := released(t, cfg, put(5, false), at(0), r)
	d.yes(at(time.Second), "A")
	next := only[Swap](t, d.w.Step(at(3*time.Second), Fired{TimerRenew})).Row
	d.w.Step(at(3*time.Second), Swapped{Outcome: Conflict})
	other := next.Clone() // another node settled the entry meanwhile: it may still have struck before
	other.Epoch, other.Unsettled = oplog.Epoch{77}, nil
	none[Swap](t, d.w.Step(at(3*time.Second), RowRead{Row: other}))
	none[Swap](t, d.w.Step(at(4*time.Second), Fired{TimerFloor}))
}

func TestNoAckWithoutAnAnchorEvenIfHelped(t *testing.T) { // 4.3 step 5
	cfg := config("A", "B")
	r := row(version(1), object.NewReplicas("A", "B"), entry(0, object.Tombstone, "A"))
	d := released(t, cfg, put(5, false), at(0), r)
	d.yes(at(time.Second), "A")
	only[Swap](t, d.w.Step(at(3*time.Second), Fired{TimerRenew}))
	helped := row(version(5), object.NewReplicas("B"), entry(0, object.Tombstone, "A"), entry(5, object.Present, "A"))
	helped.Epoch = oplog.Epoch{60}
	none[Done](t, d.reread(at(3*time.Second), helped))
	none[Done](t, d.yes(at(4*time.Second), "B"))
	eff := d.applied(at(4 * time.Second)) // B was clean: now it may be told
	if res := only[Done](t, eff).Result; res.Kind != Acked {
		t.Fatalf("got %+v", res)
	}
}

func TestALogOutageAfterAnUnknownIntentIsNoFailure(t *testing.T) { // R1
	cfg := config("A")
	d, _ := intent(t, cfg, put(5, false), at(0), row(version(1), cfg.Replicas))
	d.w.Step(at(0), Swapped{Outcome: Unknown, Epoch: oplog.Epoch{101}})
	d.w.Step(at(11*time.Second), Fired{TimerWait})
	if res := only[Done](t, d.w.Step(at(11*time.Second), RowRead{Failed: true})).Result; res.Kind != Doubt {
		t.Fatalf("got %+v", res)
	}
}

func TestALogThatTakesNothingKeepsNoClientWaiting(t *testing.T) {
	d := released(t, config("A"), put(5, false), at(0), row(version(1), object.NewReplicas("A")))
	again := func(now Now) Swap { // the write tries once more
		t.Helper()
		only[ReadRow](t, d.w.Step(now, Fired{TimerWait}))
		return only[Swap](t, d.w.Step(now, RowRead{Row: d.w.row}))
	}
	only[Swap](t, d.yes(at(0), "A"))
	eff := d.w.Step(at(0), Swapped{Outcome: NotApplied})
	none[Done](t, eff)
	only[Sleep](t, eff)
	again(at(time.Minute))
	eff = d.w.Step(at(time.Minute), Swapped{Outcome: NotApplied})
	if res := only[Done](t, eff).Result; res.Kind != Doubt {
		t.Fatalf("got %+v", res)
	}
	only[Sleep](t, eff)
	if s := again(at(time.Hour)); s.Row.Cur.ID != id(5) { // it is decided all the same
		t.Fatalf("got %+v", s.Row)
	}
	none[Done](t, d.applied(at(time.Hour)))
	if !d.w.Over() {
		t.Fatal("the write goes on")
	}
}

func TestAllRefusedFailsOnlyWhenTheLogSaysSo(t *testing.T) { // R16
	d := released(t, config("A"), put(5, false), at(0), row(version(1), object.NewReplicas("A")))
	eff := d.w.Step(at(0), Answered{Replica: "A", Answer: Answer{Class: No, Code: "InvalidArgument"}})
	if next := only[Swap](t, eff).Row; next.Intent != nil || next.Cur.ID != id(1) {
		t.Fatalf("got %+v", next)
	}
	none[Done](t, eff)
	if res := only[Done](t, d.applied(at(0))).Result; res.Kind != Failed || res.No["A"] != "InvalidArgument" {
		t.Fatalf("got %+v", res)
	}
}

func TestADropThatIsNotKnownIsAskedForAgain(t *testing.T) { // R16
	// The row was made for the write, all replicas refuse it, and the log is away until after
	// the answers are no longer waited for: the client still learns of it.
	d := released(t, config("A"), put(5, false), at(0), nil)
	eff := d.w.Step(at(0), Answered{Replica: "A", Answer: Answer{Class: No, Code: "InvalidRequest"}})
	if only[Swap](t, eff).Row != nil {
		t.Fatalf("got %+v", eff)
	}
	only[ReadRow](t, d.w.Step(at(0), Swapped{Outcome: Unknown}))
	if s := only[Sleep](t, d.w.Step(at(0), RowRead{Failed: true})); s.Timer != TimerWait {
		t.Fatalf("got %+v", s)
	}
	only[ReadRow](t, d.w.Step(at(time.Second), Fired{TimerWait}))
}

func TestAnAmbiguousAnswerIsNeverAFailure(t *testing.T) { // R12
	d := released(t, config("A"), put(5, false), at(0), row(version(1), object.NewReplicas("A")))
	eff := d.w.Step(at(0), Answered{Replica: "A", Answer: Answer{Class: Ambiguous}})
	if res := only[Done](t, eff).Result; res.Kind != Doubt {
		t.Fatalf("got %+v", res)
	}
}

func TestAnotherETagIsNoYes(t *testing.T) { // H12
	op := put(5, false)
	op.Info.ETag = etag(50)
	d, _ := begin(t, config("A"), op, at(0), nil)
	d.w.Step(at(0), Verified{Info: object.Info{Size: 10, ETag: etag(50)}})
	d.w.Step(at(0), RowRead{})
	d.applied(at(0))
	eff := d.w.Step(at(0), Answered{Replica: "A", Answer: Answer{Class: Yes, ETag: etag(51)}})
	if res := only[Done](t, eff).Result; res.Kind != Doubt {
		t.Fatalf("got %+v", res)
	}
}

func TestAStreamThatWasOvertakenLooksAtEachReplica(t *testing.T) { // R13
	cfg := config("A")
	d, eff := begin(t, cfg, put(5, true), at(0), row(version(1), cfg.Replicas))
	only[Open](t, eff)
	d.w.Step(at(time.Second), Verified{Info: object.Info{Size: 10}})
	newer := row(version(3), cfg.Replicas)
	newer.Epoch = oplog.Epoch{9}
	only[Swap](t, d.w.Step(at(time.Second), RowRead{Row: newer}))
	only[Release](t, d.applied(at(time.Second)))
	eff = d.yes(at(time.Second), "A")
	only[Head](t, eff)
	none[Swap](t, eff)
	eff = d.w.Step(at(time.Second), Showed{Replica: "A", Seen: seen(version(3))}) // start-ordered: the newer one stands (R8)
	if next := only[Swap](t, eff).Row; next.Cur.ID != id(3) || next.Intent != nil {
		t.Fatalf("got %+v", next)
	}
	if res := only[Done](t, d.applied(at(time.Second))).Result; res.Kind != Failed {
		t.Fatalf("got %+v", res)
	}
}

func TestNothingIsReleasedLate(t *testing.T) { // R11
	cfg := config("A")
	d, _ := intent(t, cfg, put(5, false), at(0), row(version(1), cfg.Replicas))
	d.n++
	eff := d.w.Step(at(4*time.Second+time.Millisecond), Swapped{Outcome: Applied, Epoch: oplog.Epoch{d.n}})
	none[Release](t, eff)
	if next := only[Swap](t, eff).Row; next.Intent != nil {
		t.Fatalf("got %+v", next)
	}
	only[ReadRow](t, d.applied(at(5*time.Second))) // and tries again
}

func TestAStaleAbsenceIsTakenBack(t *testing.T) { // R10
	cfg := config("A")
	cfg.Times.Lease, cfg.Times.Margin = time.Hour, time.Minute
	d, s := intent(t, cfg, put(5, false), at(0), nil)
	if !s.Old.IsZero() || !s.Row.Open {
		t.Fatalf("got %+v", s)
	}
	eff := d.w.Step(at(31*time.Second), Swapped{Outcome: Applied, Epoch: oplog.Epoch{101}})
	none[Release](t, eff)
	if s := only[Swap](t, eff); s.Row != nil {
		t.Fatalf("got %+v", s)
	}
}

func TestAnUnknownIntentIsNeverAFailure(t *testing.T) { // R1, H29
	cfg := config("A")
	r := row(version(1), cfg.Replicas)
	d, _ := intent(t, cfg, put(5, false), at(0), r)
	only[Sleep](t, d.w.Step(at(0), Swapped{Outcome: Unknown, Epoch: oplog.Epoch{101}}))
	only[ReadRow](t, d.w.Step(at(0), Fired{TimerWait}))
	moved := r.Clone()
	moved.Epoch = oplog.Epoch{55}
	if res := only[Done](t, d.w.Step(at(0), RowRead{Row: moved})).Result; res.Kind != Doubt {
		t.Fatalf("got %+v", res)
	}
}

func TestAnUnknownIntentThatStandsIsUsed(t *testing.T) { // R1
	cfg := config("A")
	d, s := intent(t, cfg, put(5, false), at(0), row(version(1), cfg.Replicas))
	d.w.Step(at(0), Swapped{Outcome: Unknown, Epoch: oplog.Epoch{101}})
	d.w.Step(at(0), Fired{TimerWait})
	placed := s.Row.Clone()
	placed.Epoch = oplog.Epoch{101}
	only[Release](t, d.w.Step(at(0), RowRead{Row: placed}))
}

func TestALogThatRefusesFailsTheWrite(t *testing.T) {
	cfg := config("A")
	d, _ := intent(t, cfg, put(5, false), at(0), row(version(1), cfg.Replicas))
	eff := d.w.Step(at(0), Swapped{Outcome: NotApplied})
	if res := only[Done](t, eff).Result; res.Kind != Failed || res.Code != "SlowDown" {
		t.Fatalf("got %+v", res)
	}
}

func TestNoCleanReplicaNoWrite(t *testing.T) { // R5
	cfg := config("A")
	d, eff := begin(t, cfg, put(5, false), at(0), row(version(1), cfg.Replicas, entry(3, object.Present, "A")))
	only[Accept](t, eff)
	d.w.Step(at(0), Verified{Info: object.Info{Size: 10}})
	eff = d.w.Step(at(0), RowRead{Row: row(version(1), cfg.Replicas, entry(3, object.Present, "A"))})
	if res := only[Done](t, eff).Result; res.Kind != Failed {
		t.Fatalf("got %+v", res)
	}
}

func TestVersionsOnlyGrow(t *testing.T) { // R7
	cfg := config("A")
	far := object.Tick(wall0.Add(time.Hour), 0) // a faster clock wrote it
	cur := version(1)
	cur.Ver = far
	_, s := intent(t, cfg, put(5, false), at(0), row(cur, cfg.Replicas))
	if s.Row.Intent.Ver != far+1 {
		t.Fatalf("got %d after %d", s.Row.Intent.Ver, far)
	}
}

func create(cur object.Info) string {
	if cur.Kind == object.Present {
		return "PreconditionFailed"
	}
	return ""
}

func TestAConditionFailsOnlyOnWhatIsDecided(t *testing.T) { // R6
	cfg := config("A")
	op := put(5, false)
	op.If = create
	d, eff := begin(t, cfg, op, at(0), nil)
	only[Head](t, eff)
	eff = d.w.Step(at(0), Showed{Replica: "A", Seen: seen(version(7))})
	none[Done](t, eff)
	only[ReadRow](t, eff) // what it showed may be a write that is not decided
	open := withIntent(&oplog.Row{Epoch: oplog.Epoch{1}, Open: true, Good: cfg.Replicas}, 7, object.Present, "A")
	only[Accept](t, d.w.Step(at(0), RowRead{Row: open}))

	d, _ = begin(t, cfg, op, at(0), nil)
	d.w.Step(at(0), Showed{Replica: "A", Seen: seen(version(7))})
	if res := only[Done](t, d.w.Step(at(0), RowRead{})).Result; res.Code != "PreconditionFailed" {
		t.Fatalf("got %+v", res)
	}
}

func TestTheVerdictFallsInTheLoop(t *testing.T) { // R6
	cfg := config("A")
	op := put(5, false)
	op.If = create
	d, eff := begin(t, cfg, op, at(0), row(absent(1), cfg.Replicas))
	only[Accept](t, eff)
	d.w.Step(at(0), Verified{Info: object.Info{Size: 10}})
	eff = d.w.Step(at(0), RowRead{Row: row(version(2), cfg.Replicas)}) // somebody created it meanwhile
	if res := only[Done](t, eff).Result; res.Code != "PreconditionFailed" {
		t.Fatalf("got %+v", res)
	}
}

func TestAForeignIntentIsResolvedOnlyAfterALease(t *testing.T) { // R2
	cfg := config("A")
	r := withIntent(row(version(1), cfg.Replicas), 4, object.Present, "A")
	d, _ := begin(t, cfg, put(5, false), at(0), r)
	d.w.Step(at(0), Verified{Info: object.Info{Size: 10}})
	only[Sleep](t, d.w.Step(at(0), RowRead{Row: r}))
	d.w.Step(at(7*time.Second), Fired{TimerWait})
	none[Resolve](t, d.w.Step(at(7*time.Second), RowRead{Row: r}))
	d.w.Step(at(8*time.Second), Fired{TimerWait})
	if e := only[Resolve](t, d.w.Step(at(8*time.Second), RowRead{Row: r})); e.Expired != id(4) {
		t.Fatalf("got %+v", e)
	}
	only[Sleep](t, d.w.Step(at(8*time.Second), Repaired{})) // and not at once again
	cfg.Exclusive = true                                    // one process owns the log: another owner is dead at once
	d, _ = begin(t, cfg, put(5, false), at(0), r)
	d.w.Step(at(0), Verified{Info: object.Info{Size: 10}})
	only[Resolve](t, d.w.Step(at(0), RowRead{Row: r}))
}

func TestALostLeaseIsConfessed(t *testing.T) { // R18
	cfg := config("A", "B")
	d := released(t, cfg, put(5, false), at(0), row(version(1), cfg.Replicas))
	d.yes(at(0), "A")
	only[Swap](t, d.yes(at(0), "B"))
	d.w.Step(at(0), Swapped{Outcome: Conflict})
	next := only[Swap](t, d.w.Step(at(0), RowRead{Row: row(version(8), cfg.Replicas)})).Row
	if !hasEntry(next.Unsettled, id(5), "A") || !hasEntry(next.Unsettled, id(5), "B") || next.Cur.ID != id(8) {
		t.Fatalf("got %+v", next)
	}
}

// decidedEarly is a write of A and B that was decided with A alone.
func decidedEarly(t *testing.T, cfg Config) *driver {
	d := released(t, cfg, put(5, false), at(0), row(version(1), cfg.Replicas))
	d.yes(at(10*time.Millisecond), "A")
	only[Swap](t, d.w.Step(at(15*time.Millisecond), Fired{TimerFloor}))
	only[Done](t, d.applied(at(15*time.Millisecond)))
	return d
}

// reread lets the write's next swap conflict and shows it another row.
func (d *driver) reread(now Now, r *oplog.Row) []Effect {
	d.w.Step(now, Swapped{Outcome: Conflict})
	return d.w.Step(now, RowRead{Row: r})
}

func TestALateYesWaitsForAnOverlappingWrite(t *testing.T) {
	// Which of the two landed last nobody knows; without the entry the newer
	// write's decide would count B as good for sure.
	cfg := config("A", "B")
	d := decidedEarly(t, cfg)
	d.yes(at(time.Second), "B")
	now5 := version(5)
	over := withIntent(row(now5, object.NewReplicas("A"), entry(5, object.Present, "B")), 6, object.Present, "A", "B")
	over.Epoch = oplog.Epoch{60}
	eff := d.reread(at(time.Second), over)
	none[Swap](t, eff)
	only[Sleep](t, eff)
}

func TestALateYesIsNotGoodOnceTheRowMoved(t *testing.T) {
	// Another write was released and taken back meanwhile and may have landed
	// after this one: only a look tells what B holds.
	cfg := config("A", "B")
	d := decidedEarly(t, cfg)
	d.yes(at(time.Second), "B")
	mine := version(5)
	mine.ETag = etag(50)
	moved := row(mine, object.NewReplicas("A"), entry(5, object.Present, "B"))
	moved.Epoch = oplog.Epoch{60}
	next := only[Swap](t, d.reread(at(time.Second), moved)).Row
	if next.Good.Has("B") || len(next.Unsettled) != 0 {
		t.Fatalf("got %+v", next)
	}
}

func TestAnOvertakenWriteDoesNotConfess(t *testing.T) {
	cfg := config("A", "B")
	d := decidedEarly(t, cfg)
	d.yes(at(time.Second), "B")
	newer := row(version(8), cfg.Replicas)
	newer.Epoch = oplog.Epoch{60}
	none[Swap](t, d.reread(at(time.Second), newer)) // its requests were named and settled; nothing is left to say
}

func TestALateYesLeavesAnAnchor(t *testing.T) { // I3
	// B, the newer version's only safe replica, may hold this older write now. It
	// can not be dropped; so it stays named until somebody looked.
	cfg := config("A", "B")
	d := decidedEarly(t, cfg)
	d.yes(at(time.Second), "B")
	newer := row(version(8), cfg.Replicas, entry(5, object.Present, "B"), entry(3, object.Present, "A"))
	newer.Epoch = oplog.Epoch{60}
	none[Swap](t, d.reread(at(time.Second), newer))
}

func TestHealCopiesOnlyWhatIsStillCurrent(t *testing.T) { // R27
	cfg := config("A", "B")
	op := Op{ID: id(9), Type: oplog.OpHeal, Info: version(2), Target: "B"}
	_, stale := begin(t, cfg, op, at(0), row(version(3), object.NewReplicas("A")))
	if res := only[Done](t, stale).Result; res.Kind != Failed {
		t.Fatalf("got %+v", res)
	}
	d, eff := begin(t, cfg, op, at(0), row(version(2), object.NewReplicas("A")))
	only[Accept](t, eff)
	d.w.Step(at(0), Verified{Info: version(2)})
	s := only[Swap](t, d.w.Step(at(0), RowRead{Row: row(version(2), object.NewReplicas("A"))}))
	if in := s.Row.Intent; in.Ver != 2 || in.ID != id(2) || !in.Reps.Equal(object.NewReplicas("B")) {
		t.Fatalf("got %+v", in)
	}
	only[Release](t, d.applied(at(0)))
	next := only[Swap](t, d.w.Step(at(0), Answered{Replica: "B", Answer: Answer{Class: Yes, ETag: etag(2)}})).Row
	if !next.Good.Equal(cfg.Replicas) || next.Cur.ID != id(2) {
		t.Fatalf("got %+v", next)
	}
	if res := only[Done](t, d.applied(at(0))).Result; res.Kind != Acked {
		t.Fatalf("got %+v", res)
	}
}

func TestARefusalIsNamed(t *testing.T) {
	no := Answer{Class: No, Code: "KeyTooLongError"}
	cfg := config("A", "B")
	op := Op{ID: id(9), Type: oplog.OpHeal, Info: version(2), Target: "B"}
	lagging := row(version(2), object.NewReplicas("A"))
	d, _ := begin(t, cfg, op, at(0), lagging)
	d.w.Step(at(0), Verified{Info: version(2)})
	d.w.Step(at(0), RowRead{Row: lagging})
	only[Release](t, d.applied(at(0)))
	next := only[Swap](t, d.w.Step(at(0), Answered{Replica: "B", Answer: no})).Row
	if len(next.Refused) != 1 || next.Refused[0] != (oplog.Refusal{Replica: "B", Code: "KeyTooLongError"}) || next.Good.Has("B") {
		t.Fatalf("got %+v", next)
	}

	d = decidedEarly(t, cfg)
	next = only[Swap](t, d.w.Step(at(time.Second), Answered{Replica: "B", Answer: no})).Row // a late one
	if len(next.Refused) != 1 || len(next.Unsettled) != 0 {
		t.Fatalf("got %+v", next)
	}
	d.applied(at(time.Second))
	if !d.w.Over() {
		t.Fatal("a write whose every answer is in the row goes on")
	}
}

// TestARefusalThatPassesIsNone: who could not take it just now lags like any other.
func TestARefusalThatPassesIsNone(t *testing.T) {
	for _, c := range []struct {
		answer Answer
		want   int
	}{
		{Answer{Class: No, Code: "OperationAborted", Words: "Try again."}, 0},
		{Answer{Class: No}, 0},
		{Answer{Class: No, Code: "KeyTooLongError", Words: "Too long for me."}, 1},
	} {
		d := decidedEarly(t, config("A", "B"))
		next := only[Swap](t, d.w.Step(at(time.Second), Answered{Replica: "B", Answer: c.answer})).Row
		if len(next.Refused) != c.want || c.want > 0 && next.Refused[0].Words != c.answer.Words || len(next.Unsettled) != 0 {
			t.Errorf("%+v: got %+v", c.answer, next)
		}
	}
}

func TestASlowReplicaLeavesOnlyIfTheWriteCanDoWithoutIt(t *testing.T) { // H14
	cfg := config("A", "B")
	d, _ := begin(t, cfg, put(5, true), at(0), row(version(1), cfg.Replicas))
	none[Leave](t, d.w.Step(at(time.Second), Stalled{Replica: "A", For: time.Second}))
	only[Leave](t, d.w.Step(at(2*time.Second), Stalled{Replica: "A", For: 2 * time.Second}))
	none[Leave](t, d.w.Step(at(4*time.Second), Stalled{Replica: "B", For: 4 * time.Second}))
	if res := only[Done](t, d.w.Step(at(5*time.Second), Lost{Replica: "B"})).Result; res.Kind != Failed {
		t.Fatalf("got %+v", res)
	}
}

func TestABrokenBodyLeavesEveryUpload(t *testing.T) {
	cfg := config("A", "B")
	d, _ := begin(t, cfg, put(5, true), at(0), row(version(1), cfg.Replicas))
	eff := d.w.Step(at(time.Second), Broken{})
	if len(eff) != 3 || !d.w.Over() {
		t.Fatalf("got %+v", eff)
	}
	only[Done](t, eff)
}

func TestALiveOwnerRenewsItsNonce(t *testing.T) { // R3
	cfg := config("A")
	d := released(t, cfg, put(5, false), at(0), row(version(1), cfg.Replicas))
	next := only[Swap](t, d.w.Step(at(3*time.Second), Fired{TimerRenew})).Row
	if next.Intent == nil || next.Intent.Nonce == id(5) || next.Intent.Op != id(5) {
		t.Fatalf("got %+v", next.Intent)
	}
}

package commit

import (
	"testing"
	"time"

	"github.com/s3mirror/s3mirror/internal/object"
	"github.com/s3mirror/s3mirror/internal/oplog"
)

var red, blue = object.Tags{"colour": "red"}, object.Tags{"colour": "blue"}

// tagConfig is config where all but the named replicas keep tags.
func tagConfig(bare object.Replicas, replicas ...string) Config {
	cfg := config(replicas...)
	cfg.Bare = bare
	return cfg
}

func tagged(r *oplog.Row, tags object.Tags) *oplog.Row {
	r.Cur.Tags, r.Tagged = tags, true
	return r
}

// tagging plays a change of tags up to its compare-and-set.
func changeTags(t *testing.T, cfg Config, r *oplog.Row, op TagOp) (*Tag, Swap) {
	t.Helper()
	m := NewTag(cfg, op)
	only[ReadRow](t, m.Step(at(0), Begin{Up: cfg.Replicas}))
	return m, only[Swap](t, m.Step(at(0), RowRead{Row: r}))
}

func applied(n byte) Swapped { return Swapped{Outcome: Applied, Epoch: oplog.Epoch{n}} }

func yes(replica string) Retagged { return Retagged{Replica: replica, Answer: Answer{Class: Yes}} }

func TestTagsAreTheRowsAndRequestsAreNamedFirst(t *testing.T) { // T1, T2
	cfg := tagConfig(nil, "A", "B")
	m, swap := changeTags(t, cfg, tagged(row(version(2), cfg.Replicas), red), TagOp{ID: id(7), Tags: blue})
	next := swap.Row
	if !next.Tagged || !next.Cur.Tags.Equal(blue) || next.Cur.Ver != 2 || next.Intent != nil || !next.Mistagged.Equal(cfg.Replicas) {
		t.Fatalf("got %+v", next)
	}
	for _, r := range cfg.Replicas {
		if !hasEntry(next.Tagging, id(7), r) {
			t.Errorf("%s is sent a request that no row names", r)
		}
	}
	eff := m.Step(at(0), applied(2))
	sent := 0
	for _, e := range eff {
		if e, ok := e.(Retag); ok && e.Tags.Equal(blue) {
			sent++
		}
	}
	if sent != 2 {
		t.Fatalf("got %+v", eff)
	}
	none[Done](t, m.Step(at(0), yes("A")))
	eff = m.Step(at(0), yes("B"))
	if res := only[Done](t, eff).Result; res.Kind != Acked || !res.OK.Equal(cfg.Replicas) {
		t.Fatalf("got %+v", res)
	}
	if next := only[Swap](t, eff).Row; len(next.Tagging) > 0 || len(next.Mistagged) > 0 {
		t.Fatalf("got %+v", next)
	}
	if m.Step(at(0), applied(3)); !m.Over() {
		t.Error("it goes on")
	}
}

func TestAnAnswerEndsNoMistaggingOnceTheRowMoved(t *testing.T) { // T3
	cfg := tagConfig(nil, "A", "B")
	m, swap := changeTags(t, cfg, tagged(row(version(2), cfg.Replicas), red), TagOp{ID: id(7), Tags: blue})
	m.Step(at(0), applied(2))
	m.Step(at(0), yes("A"))
	m.Step(at(0), yes("B"))
	only[ReadRow](t, m.Step(at(0), Swapped{Outcome: Conflict}))
	moved := swap.Row.Clone() // another change came between, and landed before or after this one
	moved.Epoch, moved.Cur.Tags = oplog.Epoch{9}, red
	next := only[Swap](t, m.Step(at(0), RowRead{Row: moved})).Row
	if len(next.Tagging) > 0 || !next.Mistagged.Equal(cfg.Replicas) {
		t.Fatalf("got %+v", next)
	}
}

func TestADecideKeepsWhoIsMistagged(t *testing.T) { // T4: a late request strikes the newer version
	cfg := tagConfig(nil, "A", "B")
	had := tagged(row(version(2), cfg.Replicas), red)
	had.Mistagged = object.NewReplicas("B")
	w := NewWrite(cfg, Op{ID: id(3), Type: oplog.OpPut})
	w.Step(at(0), Begin{Up: cfg.Replicas})
	w.Step(at(0), RowRead{Row: had})
	info := version(3)
	info.Tags = blue
	w.Step(at(0), Verified{Info: info})
	intent := only[Swap](t, w.Step(at(0), RowRead{Row: had})).Row
	if !intent.Intent.Info.Tags.Equal(blue) || !intent.Cur.Tags.Equal(red) {
		t.Fatalf("got %+v", intent)
	}
	w.Step(at(0), applied(2))
	w.Step(at(0), Answered{Replica: "A", Answer: Answer{Class: Yes, ETag: etag(3)}})
	next := only[Swap](t, w.Step(at(0), Answered{Replica: "B", Answer: Answer{Class: Yes, ETag: etag(3)}})).Row
	if next.Cur.ID != id(3) || !next.Tagged || !next.Cur.Tags.Equal(blue) || !next.Mistagged.Equal(object.NewReplicas("B")) {
		t.Fatalf("got %+v", next)
	}
}

func showAll(cfg Config, n byte) map[string]object.Seen {
	out := map[string]object.Seen{}
	for _, r := range cfg.Replicas {
		out[r] = seen(version(n))
	}
	return out
}

func TestALookEndsMistaggingAndOtherTagsAreMended(t *testing.T) { // T5
	cfg := tagConfig(nil, "A", "B")
	r := tagged(row(version(2), cfg.Replicas), red)
	r.Mistagged = object.NewReplicas("A", "B")
	p, eff := visit(t, cfg, &Memory{}, at(0), r, showAll(cfg, 2))
	none[Swap](t, eff)
	if len(eff) != 2 {
		t.Fatalf("want both asked, got %+v", eff)
	}
	p.Step(at(0), ToldTags{Replica: "A", Tags: red})
	next := only[Swap](t, p.Step(at(0), ToldTags{Replica: "B", Tags: blue})).Row
	if !next.Mistagged.Equal(object.NewReplicas("B")) {
		t.Fatalf("got %+v", next)
	}
	only[ReadRow](t, p.Step(at(0), applied(2)))
	p.Step(at(0), RowRead{Row: next})
	p.Step(at(0), Showed{Replica: "A", Seen: seen(version(2))})
	only[AskTags](t, p.Step(at(0), Showed{Replica: "B", Seen: seen(version(2))}))
	if mend := only[Mend](t, p.Step(at(0), ToldTags{Replica: "B", Tags: blue})); mend.Target != "B" || !mend.Tags.Equal(red) {
		t.Fatalf("got %+v", mend)
	}
	only[ReadRow](t, p.Step(at(0), Copied{Target: "B", OK: true})) // and the next look tells
}

func TestAMendNamesItsRequestAndOnlyThat(t *testing.T) {
	cfg := tagConfig(nil, "A", "B")
	r := tagged(row(version(2), cfg.Replicas), red)
	r.Mistagged = object.NewReplicas("B")
	m, swap := changeTags(t, cfg, r, TagOp{ID: id(7), Tags: red, Heal: "B"})
	if len(swap.Row.Tagging) != 1 || !swap.Row.Mistagged.Equal(object.NewReplicas("B")) {
		t.Fatalf("got %+v", swap.Row)
	}
	only[Retag](t, m.Step(at(0), applied(2)))
	if next := only[Swap](t, m.Step(at(0), yes("B"))).Row; len(next.Mistagged)+len(next.Tagging) > 0 {
		t.Fatalf("got %+v", next)
	}
	for name, change := range map[string]func(*oplog.Row){
		"other tags":   func(r *oplog.Row) { r.Cur.Tags = blue },
		"an intent":    func(r *oplog.Row) { r.Intent = &oplog.Intent{} },
		"not good":     func(r *oplog.Row) { r.Good = object.NewReplicas("A") },
		"another one":  func(r *oplog.Row) { r.Tagging = []oplog.Entry{{Op: id(1), Replica: "B"}} },
		"an old write": func(r *oplog.Row) { r.Unsettled = []oplog.Entry{entry(1, object.Present, "B")} },
		"tagged right": func(r *oplog.Row) { r.Mistagged = nil },
		"deleted":      func(r *oplog.Row) { r.Cur.Kind = object.Tombstone },
	} {
		late := r.Clone()
		change(late)
		m := NewTag(cfg, TagOp{ID: id(7), Tags: red, Heal: "B"})
		m.Step(at(0), Begin{Up: cfg.Replicas})
		if res := only[Done](t, m.Step(at(0), RowRead{Row: late})).Result; res.Kind != Failed {
			t.Errorf("%s: %+v", name, res)
		}
	}
}

func TestAVersionIsNotCopiedBeforeItsTagsAreKnown(t *testing.T) { // T6
	cfg := tagConfig(object.NewReplicas("B"), "A", "B", "C")
	r := row(version(2), object.NewReplicas("A", "B"))
	shown := showAll(cfg, 2)
	shown["C"] = object.Seen{}
	p, eff := visit(t, cfg, &Memory{}, at(0), r, shown)
	none[Copy](t, eff)
	if ask := only[AskTags](t, eff); ask.Replica != "A" { // B keeps none
		t.Fatalf("got %+v", ask)
	}
	next := only[Swap](t, p.Step(at(0), ToldTags{Replica: "A", Tags: red})).Row
	if !next.Tagged || !next.Cur.Tags.Equal(red) || !next.Bare.Equal(object.NewReplicas("B")) {
		t.Fatalf("got %+v", next)
	}
	p.Step(at(0), applied(2))
	p.Step(at(0), RowRead{Row: next})
	for _, name := range cfg.Replicas {
		eff = p.Step(at(0), Showed{Replica: name, Seen: shown[name]})
	}
	if c := only[Copy](t, eff); c.Target != "C" || !c.Info.Tags.Equal(red) {
		t.Fatalf("got %+v", c)
	}
}

func TestARottenCopyTellsTheTagsThatNobodyElseKeeps(t *testing.T) { // T6
	cfg := tagConfig(object.NewReplicas("A"), "A", "B") // A, which is sound, keeps none
	r := row(version(2), object.NewReplicas("A"))
	r.Rotten = object.NewReplicas("B")
	p, eff := visit(t, cfg, &Memory{}, at(0), r, showAll(cfg, 2))
	none[Copy](t, eff)
	if ask := only[AskTags](t, eff); ask.Replica != "B" {
		t.Fatalf("got %+v", ask)
	}
	next := only[Swap](t, p.Step(at(0), ToldTags{Replica: "B", Tags: red})).Row
	if !next.Tagged || !next.Cur.Tags.Equal(red) || !next.Rotten.Equal(r.Rotten) || !next.Good.Equal(r.Good) {
		t.Fatalf("got %+v", next)
	}
	_, eff = visit(t, cfg, &Memory{}, at(0), next, showAll(cfg, 2))
	if c := only[Copy](t, eff); c.Target != "B" || !c.Info.Tags.Equal(red) {
		t.Fatalf("got %+v", c)
	}

	// A sound one comes first, and none is asked that a request may be on its way to.
	cfg = tagConfig(object.NewReplicas("A"), "A", "B", "C")
	r = row(version(2), object.NewReplicas("A", "C"))
	r.Rotten = object.NewReplicas("B")
	_, eff = visit(t, cfg, &Memory{}, at(0), r, showAll(cfg, 2))
	if ask := only[AskTags](t, eff); ask.Replica != "C" {
		t.Fatalf("got %+v", ask)
	}
	r = row(version(2), object.NewReplicas("A"), entry(3, object.Present, "B"))
	r.Rotten = object.NewReplicas("B")
	_, eff = visit(t, tagConfig(object.NewReplicas("A"), "A", "B"), &Memory{}, at(0), r, showAll(cfg, 2))
	none[AskTags](t, eff)
}

func TestWhoDoesNotTellItsTagsIsAskedOnceAVisit(t *testing.T) {
	cfg := tagConfig(nil, "A", "B")
	r := row(version(2), object.NewReplicas("A"))
	p, _ := visit(t, cfg, &Memory{}, at(0), r, map[string]object.Seen{"A": seen(version(2)), "B": {}})
	eff := p.Step(at(0), ToldTags{Replica: "A", Failed: true})
	none[Copy](t, eff)
	only[Examined](t, eff)
}

func TestTheRowStaysWhereAReplicaKeepsNoTags(t *testing.T) { // T7
	cfg := tagConfig(object.NewReplicas("B"), "A", "B")
	m, swap := changeTags(t, cfg, row(version(2), cfg.Replicas), TagOp{ID: id(7), Tags: blue})
	if !swap.Row.IsMap() || !swap.Row.Bare.Equal(object.NewReplicas("B")) {
		t.Fatalf("got %+v", swap.Row)
	}
	if r := only[Retag](t, m.Step(at(0), applied(2))); r.Replica != "A" {
		t.Fatalf("got %+v", r)
	}
	eff := m.Step(at(0), yes("A"))
	if res := only[Done](t, eff).Result; res.Kind != Acked || !res.OK.Equal(cfg.Replicas) {
		t.Fatalf("got %+v", res)
	}
	next := only[Swap](t, eff).Row
	if !next.Quiet(cfg.Replicas) {
		t.Fatalf("got %+v", next)
	}
	_, gone := changeTags(t, cfg, next, TagOp{ID: id(8)})
	if gone.Row.IsMap() {
		t.Error("without tags nothing is left that the row must keep")
	}
}

func TestWhereNobodyKeepsTagsTheRowDoes(t *testing.T) {
	cfg := tagConfig(object.NewReplicas("A", "B"), "A", "B")
	m, swap := changeTags(t, cfg, row(version(2), cfg.Replicas), TagOp{ID: id(7), Tags: blue})
	if res := only[Done](t, m.Step(at(0), applied(2))).Result; res.Kind != Acked || !swap.Row.Quiet(cfg.Replicas) || !m.Over() {
		t.Fatalf("got %+v, %+v", res, swap.Row)
	}
	again := NewTag(cfg, TagOp{ID: id(7), Tags: blue})
	again.Step(at(0), Begin{Up: cfg.Replicas})
	again.Step(at(0), RowRead{Row: row(version(2), cfg.Replicas)})
	again.Step(at(0), Swapped{Outcome: Unknown, Epoch: oplog.Epoch{4}})
	again.Step(at(1), Fired{TimerWait})
	stands := swap.Row.Clone()
	stands.Epoch = oplog.Epoch{4}
	if res := only[Done](t, again.Step(at(1), RowRead{Row: stands})).Result; res.Kind != Acked {
		t.Fatalf("got %+v", res)
	}
}

func readTags(t *testing.T, cfg Config, r *oplog.Row) (*TagRead, []Effect) {
	t.Helper()
	g := NewTagRead(cfg)
	only[ReadRow](t, g.Step(at(0), Look{Order: cfg.Replicas}))
	return g, g.Step(at(0), RowRead{Row: r})
}

func TestTagsAreReadFromTheRow(t *testing.T) {
	cfg := tagConfig(nil, "A", "B")
	_, eff := readTags(t, cfg, tagged(row(version(2), cfg.Replicas), red))
	if got := only[ServeTags](t, eff); !got.Tags.Equal(red) || got.Info.ID != id(2) {
		t.Fatalf("got %+v", got)
	}
	_, eff = readTags(t, cfg, row(absent(2), cfg.Replicas))
	only[Absent](t, eff)
}

func TestTagsOfAReplicaAreThoseOfOneVersion(t *testing.T) { // T8
	cfg := tagConfig(nil, "A", "B")
	g, eff := readTags(t, cfg, nil)
	only[Head](t, eff)
	only[AskTags](t, g.Step(at(0), Showed{Replica: "A", Seen: seen(version(2))}))
	only[Head](t, g.Step(at(0), ToldTags{Replica: "A", Tags: red}))
	if next := only[Head](t, g.Step(at(0), Showed{Replica: "A", Seen: seen(version(3))})); next.Replica != "B" {
		t.Fatalf("got %+v", next)
	}
	only[AskTags](t, g.Step(at(0), Showed{Replica: "B", Seen: seen(version(3))}))
	g.Step(at(0), ToldTags{Replica: "B", Tags: red})
	only[ReadRow](t, g.Step(at(0), Showed{Replica: "B", Seen: seen(version(3))}))
	none[ServeTags](t, g.Step(at(0), RowRead{Row: tagged(row(version(3), cfg.Replicas), blue)})) // changed meanwhile
	only[ReadRow](t, g.Step(at(0), Fired{TimerWait}))
	if got := only[ServeTags](t, g.Step(at(0), RowRead{Row: tagged(row(version(3), cfg.Replicas), blue)})); !got.Tags.Equal(blue) {
		t.Fatalf("got %+v", got)
	}
}

func TestNoTagsOfAKeyThatIsNotThere(t *testing.T) {
	cfg := tagConfig(nil, "A", "B")
	g, _ := readTags(t, cfg, nil)
	only[ReadRow](t, g.Step(at(0), Showed{Replica: "A"}))
	only[Head](t, g.Step(at(0), RowRead{}))
	only[Absent](t, g.Step(at(0), Showed{Replica: "B"}))

	m := NewTag(cfg, TagOp{ID: id(7), Tags: red})
	m.Step(at(0), Begin{Up: cfg.Replicas})
	only[Head](t, m.Step(at(0), RowRead{}))
	only[ReadRow](t, m.Step(at(0), Showed{Replica: "A"}))
	if res := only[Done](t, m.Step(at(0), RowRead{})).Result; res.Kind != Failed || res.Code != codeNoSuchKey {
		t.Fatalf("got %+v", res)
	}
}

func TestTagsOfABaseUnderAnIntentAreTheBases(t *testing.T) {
	cfg := tagConfig(nil, "A", "B")
	open := &oplog.Row{Epoch: oplog.Epoch{1}, Open: true, Good: cfg.Replicas, Changed: wall0,
		Intent: &oplog.Intent{Op: id(5), ID: id(5), Kind: object.Present, Type: oplog.OpPut, Nonce: id(5), Reps: cfg.Replicas, Info: version(5)}}
	g, _ := readTags(t, cfg, open)
	if next := only[Head](t, g.Step(at(0), Showed{Replica: "A", Seen: seen(version(5))})); next.Replica != "B" {
		t.Fatal("the intent's work was taken for the base")
	}
	g.Step(at(0), Showed{Replica: "B", Seen: seen(version(1))})
	g.Step(at(0), ToldTags{Replica: "B", Tags: red})
	g.Step(at(0), Showed{Replica: "B", Seen: seen(version(1))})
	if got := only[ServeTags](t, g.Step(at(0), RowRead{Row: open})); !got.Tags.Equal(red) {
		t.Fatalf("got %+v", got)
	}
	m := NewTag(cfg, TagOp{ID: id(7), Tags: red})
	m.Step(at(0), Begin{Up: cfg.Replicas})
	only[Sleep](t, m.Step(at(0), RowRead{Row: open})) // which version would get them is not known
	m.Step(at(9*time.Second), Fired{TimerWait})
	only[Resolve](t, m.Step(at(9*time.Second), RowRead{Row: open}))
}

func TestNoTagRequestIsSentLate(t *testing.T) { // T9
	cfg := tagConfig(nil, "A", "B")
	m, swap := changeTags(t, cfg, row(version(2), cfg.Replicas), TagOp{ID: id(7), Tags: blue})
	eff := m.Step(at(5*time.Second), applied(2))
	none[Retag](t, eff)
	if res := only[Done](t, eff).Result; res.Kind != Doubt { // readers see the tags already
		t.Fatalf("got %+v", res)
	}
	if next := only[Swap](t, eff).Row; len(next.Tagging) > 0 || !next.Mistagged.Equal(cfg.Replicas) || !swap.Row.Cur.Tags.Equal(blue) {
		t.Fatalf("got %+v", next)
	}
}

func TestNoTagsAreChangedWithoutANodesLease(t *testing.T) { // N1, N2
	cfg := tagConfig(nil, "A", "B")
	late := Now{Wall: wall0, Boot: 10 * time.Second, Lease: 9 * time.Second}
	if res := only[Done](t, NewTag(cfg, TagOp{ID: id(7), Tags: blue}).Step(late, Begin{Up: cfg.Replicas})).Result; res.Kind != Failed {
		t.Fatalf("got %+v", res)
	}
	m, _ := changeTags(t, cfg, row(version(2), cfg.Replicas), TagOp{ID: id(7), Tags: blue})
	soon := at(0)
	soon.Lease = soon.Boot + cfg.Times.Margin/2
	none[Retag](t, m.Step(soon, applied(2)))
}

func TestATagRowOnAnOldReadIsTakenBack(t *testing.T) { // R10
	cfg := tagConfig(nil, "A", "B")
	m := NewTag(cfg, TagOp{ID: id(7), Tags: blue})
	m.Step(at(0), Begin{Up: cfg.Replicas})
	m.Step(at(0), RowRead{})
	only[Swap](t, m.Step(at(0), Showed{Replica: "A", Seen: seen(version(1))}))
	eff := m.Step(at(40*time.Second), applied(2))
	none[Retag](t, eff)
	if swap := only[Swap](t, eff); swap.Row != nil || swap.Old != (oplog.Epoch{2}) {
		t.Fatalf("got %+v", swap)
	}
	if res := only[Done](t, m.Step(at(40*time.Second), Swapped{Outcome: Applied})).Result; res.Kind != Doubt {
		t.Fatalf("got %+v", res)
	}

	m = NewTag(cfg, TagOp{ID: id(7), Tags: blue})
	m.Step(at(0), Begin{Up: cfg.Replicas})
	m.Step(at(0), RowRead{})
	none[Swap](t, m.Step(at(40*time.Second), Showed{Replica: "A", Seen: seen(version(1))})) // not even made
}

func TestAnUnknownChangeOfTagsIsNeverAFailure(t *testing.T) {
	cfg := tagConfig(nil, "A", "B")
	begin := func() *Tag {
		m, _ := changeTags(t, cfg, row(version(2), cfg.Replicas), TagOp{ID: id(7), Tags: blue})
		m.Step(at(0), Swapped{Outcome: Unknown, Epoch: oplog.Epoch{3}})
		only[ReadRow](t, m.Step(at(1), Fired{TimerWait}))
		return m
	}
	m := begin()
	only[Swap](t, m.Step(at(1), RowRead{Row: row(version(2), cfg.Replicas)})) // it still stands as it was: once more
	if res := only[Done](t, m.Step(at(1), Swapped{Outcome: NotApplied})).Result; res.Kind != Doubt {
		t.Fatalf("got %+v", res)
	}
	moved := row(version(3), cfg.Replicas)
	moved.Epoch = oplog.Epoch{8}
	if res := only[Done](t, begin().Step(at(1), RowRead{Row: moved})).Result; res.Kind != Doubt {
		t.Fatalf("got %+v", res)
	}
	_, swap := changeTags(t, cfg, row(version(2), cfg.Replicas), TagOp{ID: id(7), Tags: blue})
	stands := swap.Row.Clone()
	stands.Epoch = oplog.Epoch{3}
	if eff := begin().Step(at(1), RowRead{Row: stands}); len(eff) != 3 {
		t.Fatalf("it stands, and is sent: %+v", eff)
	}
}

func TestTagsWithoutAnAckRuleAreInDoubt(t *testing.T) {
	cfg := tagConfig(nil, "A", "B")
	cfg.Ack = Rule{Need: 2}
	m, _ := changeTags(t, cfg, row(version(2), cfg.Replicas), TagOp{ID: id(7), Tags: blue})
	m.Step(at(0), applied(2))
	m.Step(at(0), Retagged{Replica: "B", Answer: Answer{Class: No, Code: "AccessDenied"}})
	eff := m.Step(at(0), yes("A"))
	if res := only[Done](t, eff).Result; res.Kind != Doubt || res.No["B"] != "AccessDenied" {
		t.Fatalf("got %+v", res)
	}
	if next := only[Swap](t, eff).Row; !next.Mistagged.Equal(object.NewReplicas("B")) {
		t.Fatalf("got %+v", next)
	}
	few := NewTag(cfg, TagOp{ID: id(7), Tags: blue})
	few.Step(at(0), Begin{Up: object.NewReplicas("A")})
	if res := only[Done](t, few.Step(at(0), RowRead{Row: row(version(2), cfg.Replicas)})).Result; res.Kind != Failed {
		t.Fatalf("nothing was released, and it says %+v", res)
	}
}

func TestARequestForTagsSettlesByTimeAlone(t *testing.T) {
	cfg, mem := tagConfig(nil, "A", "B"), &Memory{}
	r := tagged(row(version(2), cfg.Replicas), red)
	r.Tagging = []oplog.Entry{{Op: id(9), ID: id(2), Ver: 2, Kind: object.Present, Type: oplog.OpTag, Replica: "B", Tags: red, Slow: cfg.Times.Lease}}
	r.Mistagged = object.NewReplicas("B")
	watch(t, cfg, mem, 0, 36*time.Second, r, showAll(cfg, 2))
	_, eff := visit(t, cfg, mem, at(36*time.Second), r, showAll(cfg, 2))
	if next := only[Swap](t, eff).Row; len(next.Tagging) > 0 || !next.Mistagged.Equal(object.NewReplicas("B")) {
		t.Fatalf("got %+v", next)
	}
	dead := r.Clone()
	dead.Cur = absent(2)
	dead.Mistagged = cfg.Replicas
	_, eff = visit(t, cfg, &Memory{}, at(0), dead, map[string]object.Seen{"A": {}, "B": {}})
	if next := only[Swap](t, eff).Row; len(next.Tagging) != 1 || !next.Mistagged.Equal(object.NewReplicas("B")) {
		t.Fatalf("absence has no tags, but what may land later: %+v", next)
	}
}

func TestTagsThatLandOnANewerVersionAreSeen(t *testing.T) {
	// The change of tags is known to stand only when a newer version was written: what A
	// acknowledges it has, it has of that one.
	cfg := tagConfig(nil, "A")
	m, swap := changeTags(t, cfg, tagged(row(version(2), cfg.Replicas), red), TagOp{ID: id(7), Tags: blue})
	only[Sleep](t, m.Step(at(0), Swapped{Outcome: Unknown, Epoch: oplog.Epoch{7}}))
	only[ReadRow](t, m.Step(at(0), Fired{TimerWait}))
	newer := tagged(row(version(3), cfg.Replicas), nil)
	newer.Epoch, newer.Tagging, newer.Mistagged = oplog.Epoch{8}, swap.Row.Tagging, swap.Row.Mistagged
	only[Retag](t, m.Step(at(0), RowRead{Row: newer}))
	next := only[Swap](t, m.Step(at(0), Retagged{Replica: "A", Answer: Answer{Class: Yes}})).Row
	if len(next.Tagging) != 0 || !next.Mistagged.Has("A") {
		t.Errorf("got %+v", next)
	}
}

package commit

import (
	"testing"
	"time"

	"github.com/s3mirror/s3mirror/internal/oplog"
)

// leased is a moment of a node whose lease lasts until another.
func leased(d, until time.Duration) Now {
	now := at(d)
	now.Lease = time.Hour + until
	return now
}

func TestNothingIsReleasedAfterTheNodesLease(t *testing.T) { // N1
	cfg := config("A")
	for left, released := range map[time.Duration]bool{4 * time.Second: true, 4*time.Second - 1: false, -time.Second: false} {
		d, _ := intent(t, cfg, put(5, false), leased(0, 20*time.Second), row(version(1), cfg.Replicas))
		d.n++
		eff := d.w.Step(leased(time.Second, time.Second+left), Swapped{Outcome: Applied, Epoch: oplog.Epoch{d.n}})
		if released {
			only[Release](t, eff)
			continue
		}
		none[Release](t, eff)
		if next := only[Swap](t, eff).Row; next.Intent != nil {
			t.Fatalf("got %+v", next)
		}
	}
}

func TestNothingBeginsWithoutALease(t *testing.T) { // N2
	cfg := config("A")
	op := put(5, true)
	w := NewWrite(cfg, op)
	eff := w.Step(leased(time.Second, 0), Begin{Up: cfg.Replicas})
	none[ReadRow](t, eff)
	if res := only[Done](t, eff).Result; res.Kind != Failed || res.Code != codeSlowDown || !w.Over() {
		t.Fatalf("got %+v", res)
	}
	p := NewPart(cfg, oplog.Part{}, nil)
	if res := only[Done](t, p.Step(leased(time.Second, 0), Begin{Up: cfg.Replicas})).Result; res.Kind != Failed || !p.Over() {
		t.Fatalf("a part: %+v", res)
	}
	c := NewComplete(cfg, CompleteOp{})
	if res := only[Done](t, c.Step(leased(time.Second, 0), Begin{Up: cfg.Replicas})).Result; res.Kind != Failed || !c.Over() {
		t.Fatalf("a Complete: %+v", res)
	}
}

// hall is the records of nodes as the log holds them, and the settings.
type hall struct {
	t        *testing.T
	docs     []NodeDoc // in order of their names
	revision uint64
	writes   int
	lose     CAS // what becomes of the next write of a node's own; Applied: nothing
}

// guest is a member, and what it was told of itself.
type guest struct {
	h       *hall
	name    string
	m       *Member
	stand   MemberStanding
	read    uint64
	written *NodeRecord // last one it wrote
	buried  []string
}

func (h *hall) guest(name, home string) *guest {
	return &guest{h: h, name: name, m: NewMember(MemberOptions{
		Name: name, Times: config("A").Times, Beat: time.Second,
		Record: NodeRecord{Life: name + "#1", Home: home, Codecs: Codecs{1, 1}},
	})}
}

func (h *hall) find(name string) int {
	for i, d := range h.docs {
		if d.Name == name {
			return i
		}
	}
	return -1
}

// swap is the log's.
func (h *hall) swap(e WriteNode) (oplog.Epoch, bool) {
	h.writes++
	i := h.find(e.Name)
	have := oplog.Epoch{}
	if i >= 0 {
		have = h.docs[i].Epoch
	}
	if have != e.Old {
		return oplog.Epoch{}, false
	}
	epoch := oplog.Epoch{0: 1, 15: byte(h.writes)}
	switch {
	case e.Record == nil:
		h.docs = append(h.docs[:i:i], h.docs[i+1:]...)
	case i < 0:
		h.docs = append(h.docs, NodeDoc{Name: e.Name, Epoch: epoch, Record: *e.Record})
	default:
		h.docs = append([]NodeDoc(nil), h.docs...)
		h.docs[i] = NodeDoc{Name: e.Name, Epoch: epoch, Record: *e.Record}
	}
	return epoch, true
}

// step feeds one event and carries out what follows until an effect of the type
// that it stops before, or until the member rests.
func (g *guest) step(now Now, ev Event, stop func(Effect) bool) (rest time.Duration) {
	g.h.t.Helper()
	for ev != nil {
		effects := g.m.Step(now, ev)
		ev = nil
		for _, e := range effects {
			if stop != nil && stop(e) {
				return 0
			}
			switch e := e.(type) {
			case ReadNodes:
				ev = NodesRead{Nodes: append([]NodeDoc(nil), g.h.docs...)}
			case ReadSettings:
				g.read = g.h.revision
				ev = SettingsRead{Revision: g.read}
			case WriteNode:
				ev = g.write(e)
			case Standing:
				g.stand = e.Standing
			case Sleep:
				rest = e.For
			}
		}
	}
	return rest
}

func (g *guest) write(e WriteNode) Event {
	if e.Name != g.name {
		g.h.swap(e)
		g.buried = append(g.buried, e.Name)
		return nil
	}
	if fate := g.h.lose; fate != Applied {
		g.h.lose = Applied
		return NodeSwapped{Outcome: fate, Epoch: oplog.Epoch{1, 2}}
	}
	g.written = e.Record
	epoch, ok := g.h.swap(e)
	if !ok {
		return NodeSwapped{Outcome: Conflict}
	}
	return NodeSwapped{Outcome: Applied, Epoch: epoch}
}

func (g *guest) beat(now Now) time.Duration {
	return g.step(now, Fired{TimerWait}, nil)
}

// begin brings a guest in who has nobody to wait for.
func (g *guest) begin(now Now) {
	g.h.t.Helper()
	g.step(now, Begin{}, nil)
	for range 3 {
		g.beat(now)
	}
	if g.stand.Until != now.Boot+8*time.Second {
		g.h.t.Fatalf("%s has no lease: %+v", g.name, g.stand)
	}
}

// serves tells whether a guest has a lease at a moment.
func (g *guest) serves(now Now) bool { return g.stand.Fault == "" && g.stand.Until > now.Boot }

// hallOf has two guests that know each other.
func hallOf(t *testing.T) (h *hall, a, b *guest) {
	t.Helper()
	h = &hall{t: t}
	a, b = h.guest("a", "x:/a"), h.guest("b", "x:/b")
	a.begin(at(0))
	b.step(at(0), Begin{}, nil)
	b.beat(at(0))
	if b.serves(at(0)) {
		t.Fatal("b serves before a has met it")
	}
	a.beat(at(0))
	for range 3 {
		b.beat(at(0))
	}
	if !b.serves(at(0)) || !a.serves(at(0)) {
		t.Fatalf("a %+v, b %+v", a.stand, b.stand)
	}
	a.beat(at(0)) // it sees b serve
	return h, a, b
}

func TestTheFirstNodeWaitsForNobody(t *testing.T) {
	h := &hall{t: t, revision: 7}
	a := h.guest("a", "x:/a")
	a.begin(at(0))
	if a.written.Joining || a.written.Config != 7 || a.written.Life != "a#1" {
		t.Errorf("it wrote %+v", a.written)
	}
	// It renews before a third of what it may lose is over, and not at each beat.
	before := h.writes
	if rest := a.beat(at(time.Second)); h.writes != before || rest != time.Second {
		t.Errorf("%d writes after a second, rest %v", h.writes-before, rest)
	}
	a.beat(at(1400 * time.Millisecond))
	if a.stand.Until != time.Hour+9400*time.Millisecond {
		t.Errorf("renewed until %v", a.stand.Until)
	}
}

func TestARestartWaitsForNobody(t *testing.T) {
	h := &hall{t: t}
	h.guest("a", "x:/a").begin(at(0))
	again := h.guest("a", "x:/a") // its folder has one process
	again.m.o.Record.Life = "a#2"
	again.begin(at(0))
}

func TestANodeIsDeadAfterAWholeLease(t *testing.T) { // N3
	_, a, b := hallOf(t)
	for s := time.Duration(1); s < 8; s++ {
		a.beat(at(s * time.Second))
		if len(a.stand.Live) != 1 || len(a.buried) > 0 {
			t.Fatalf("after %d s: live %v, buried %v", s, a.stand.Live, a.buried)
		}
	}
	a.beat(at(8*time.Second + time.Millisecond))
	if len(a.stand.Live) != 0 || len(a.buried) != 1 || a.buried[0] != "b" {
		t.Fatalf("live %v, buried %v", a.stand.Live, a.buried)
	}
	// b was only asleep: it begins anew.
	wakes := at(9 * time.Second)
	b.beat(wakes)
	if b.serves(wakes) || !b.written.Joining {
		t.Fatalf("b: %+v, wrote %+v", b.stand, b.written)
	}
	a.beat(wakes)
	for range 3 {
		b.beat(wakes)
	}
	if !b.serves(wakes) {
		t.Errorf("b: %+v", b.stand)
	}
}

func TestALookThatTookLongBuriesNobody(t *testing.T) { // N3: the look must have begun after the lease
	_, a, _ := hallOf(t)
	a.step(at(time.Second), Fired{TimerWait}, func(e Effect) bool { _, ok := e.(ReadNodes); return ok })
	a.step(at(20*time.Second), NodesRead{Nodes: a.h.docs}, nil)
	if len(a.buried) > 0 {
		t.Errorf("buried %v by what was read before their lease was over", a.buried)
	}
}

// A node sleeps past its lease with a renewal on its lips, that says what it knew
// before: it gets no lease by that.
func TestALeaseCountsOnceTheSettingsWereRead(t *testing.T) { // N4
	h, a, b := hallOf(t)
	b.step(at(7900*time.Millisecond), Fired{TimerWait}, func(e Effect) bool { _, ok := e.(WriteNode); return ok })
	h.revision++ // while b sleeps, and a takes it for dead
	a.beat(at(8001 * time.Millisecond))
	if !a.stand.Acked(1) {
		t.Fatalf("a waits for the dead: %+v", a.stand)
	}
	epoch, ok := h.swap(WriteNode{"b", oplog.Epoch{}, &NodeRecord{Life: "b#1", Home: "x:/b", Config: 0}}) // its late renewal
	if !ok {
		t.Fatal("b was not buried")
	}
	wakes := at(8500 * time.Millisecond)
	b.step(wakes, NodeSwapped{Outcome: Applied, Epoch: epoch}, nil)
	if b.serves(wakes) {
		t.Fatalf("b serves with settings of before: %+v", b.stand)
	}
	for range 3 {
		b.beat(wakes)
	}
	if !b.serves(wakes) || b.written.Config != 1 {
		t.Errorf("b: %+v, wrote %+v", b.stand, b.written)
	}
}

func TestAChangeWaitsForEveryNode(t *testing.T) { // N5
	h, a, b := hallOf(t)
	h.revision = 3
	a.beat(at(time.Second))
	if a.stand.Acked(3) {
		t.Fatal("b has not acknowledged it")
	}
	b.beat(at(time.Second)) // it writes at once
	a.beat(at(time.Second))
	if !a.stand.Acked(3) {
		t.Errorf("b has acknowledged it: %+v", a.stand.Live)
	}
	// Who joins may have read the settings of before.
	c := h.guest("c", "x:/c")
	c.step(at(time.Second), Begin{}, nil)
	h.revision = 4
	a.beat(at(time.Second))
	b.beat(at(time.Second))
	a.beat(at(time.Second))
	if a.stand.Acked(4) {
		t.Error("c joins, and is not waited for")
	}
}

func TestClocksThatAreApart(t *testing.T) {
	late := func(d time.Duration) Now { now := at(d); now.Wall = now.Wall.Add(-2 * time.Second); return now }
	for name, side := range map[string][2]func(time.Duration) Now{"who joins is behind": {at, late}, "who joins is ahead": {late, at}} {
		t.Run(name, func(t *testing.T) {
			h := &hall{t: t}
			a, b := h.guest("a", "x:/a"), h.guest("b", "x:/b")
			a.begin(side[0](0))
			b.step(side[1](0), Begin{}, nil)
			for s := range 5 {
				d := time.Duration(s) * 100 * time.Millisecond
				a.beat(side[0](d))
				b.beat(side[1](d))
			}
			if b.serves(side[1](0)) || b.stand.Fault != FaultClocks || b.stand.From != "a" || b.stand.Apart < 1500*time.Millisecond {
				t.Errorf("who joins: %+v", b.stand)
			}
			if a.stand.Fault != "" {
				t.Errorf("who serves: %+v", a.stand)
			}
		})
	}
	t.Run("while they serve", func(t *testing.T) {
		_, a, b := hallOf(t)
		for s := time.Duration(1); s < 4; s++ {
			a.beat(at(s * time.Second))
			b.beat(late(s * time.Second))
		}
		if a.stand.Fault != FaultClocks || b.stand.Fault != FaultClocks {
			t.Fatalf("a %+v, b %+v", a.stand, b.stand)
		}
		for s := time.Duration(4); s < 40; s++ { // the clock is set right
			a.beat(at(s * time.Second))
			b.beat(at(s * time.Second))
		}
		if a.stand.Fault != "" || b.stand.Fault != "" || !a.serves(at(39*time.Second)) {
			t.Errorf("a %+v, b %+v", a.stand, b.stand)
		}
	})
	t.Run("by little more than they may", func(t *testing.T) {
		_, a, b := hallOf(t)
		ahead := 1100 * time.Millisecond
		// a looks at b's record so long after it was written, for so many seconds.
		look := func(from, to time.Duration, after time.Duration, each func()) {
			for s := from; s < to; s++ {
				now := at(s*time.Second - after)
				now.Wall = now.Wall.Add(ahead)
				b.beat(now)
				a.beat(at(s * time.Second))
				each()
			}
		}
		look(1, 10, 500*time.Millisecond, func() {})
		if a.stand.Fault != "" {
			t.Fatalf("what is not seen: %+v", a.stand)
		}
		look(10, 13, 10*time.Millisecond, func() {})
		if a.stand.Fault != FaultClocks {
			t.Fatalf("what is seen: %+v", a.stand)
		}
		look(13, 100, 500*time.Millisecond, func() {
			if a.stand.Fault != FaultClocks {
				t.Fatalf("a serves again beside a clock that is not right: %+v", a.stand)
			}
		})
		if b.stand.Fault != FaultClocks {
			t.Errorf("b does not know: %+v", b.stand)
		}
		ahead = 400 * time.Millisecond
		look(100, 130, 500*time.Millisecond, func() {})
		if !a.serves(at(129*time.Second)) || a.stand.Fault != "" || b.stand.Fault != "" {
			t.Errorf("the clock is right again: a %+v, b %+v", a.stand, b.stand)
		}
	})
	t.Run("a record that is long under way shows nothing", func(t *testing.T) {
		h, a, _ := hallOf(t)
		for i := range h.docs {
			h.docs[i].Epoch, h.docs[i].Record.Clock = oplog.Epoch{9, byte(i)}, wall0.Add(-time.Minute)
		}
		a.beat(at(time.Second))
		if a.stand.Apart != 0 || a.stand.Fault != "" {
			t.Errorf("%+v", a.stand)
		}
	})
}

func TestANameThatAnotherProcessHas(t *testing.T) {
	h := &hall{t: t}
	a := h.guest("a", "x:/a")
	a.begin(at(0))
	copied := h.guest("a", "y:/a") // its data folder was copied
	copied.m.o.Record.Life = "a#2"
	copied.step(at(0), Begin{}, nil)
	copied.beat(at(time.Second))
	if copied.serves(at(time.Second)) || copied.stand.Fault != "" {
		t.Fatalf("%+v", copied.stand)
	}
	a.beat(at(2 * time.Second))
	copied.beat(at(3 * time.Second))
	if copied.stand.Fault != FaultTaken {
		t.Errorf("it moves: %+v", copied.stand)
	}

	moved := h.guest("a", "z:/a") // the folder was moved, and the first process is over
	moved.m.o.Record.Life = "a#3"
	moved.step(at(10*time.Second), Begin{}, nil)
	moved.beat(at(17 * time.Second))
	if moved.stand.Until != 0 {
		t.Errorf("it did not wait: %+v", moved.stand)
	}
	for range 4 {
		moved.beat(at(19 * time.Second))
	}
	if !moved.serves(at(19 * time.Second)) {
		t.Errorf("%+v", moved.stand)
	}
	a.beat(at(20 * time.Second))
	if a.stand.Fault != FaultTaken || a.serves(at(20*time.Second)) {
		t.Errorf("whom it replaced: %+v", a.stand)
	}
	before := h.writes
	a.step(at(21*time.Second), Quit{}, nil)
	if h.writes != before || !a.m.Over() {
		t.Error("it took the other one's record away")
	}
}

func TestVersionsThatDoNotFit(t *testing.T) {
	for codecs, fits := range map[Codecs]bool{{1, 1}: true, {1, 2}: true, {2, 2}: false, {0, 0}: false} {
		h := &hall{t: t}
		h.guest("a", "x:/a").begin(at(0))
		b := h.guest("b", "x:/b")
		b.m.o.Record.Codecs = codecs
		b.step(at(0), Begin{}, nil)
		if got := b.stand.Fault == ""; got != fits {
			t.Errorf("%+v: %+v", codecs, b.stand)
		}
	}
}

func TestAMemberOutlivesFailuresOfTheLog(t *testing.T) {
	h, a, b := hallOf(t)
	for i, fate := range []CAS{Unknown, NotApplied, Conflict} {
		now := at(time.Duration(i+1) * 1500 * time.Millisecond)
		h.lose = fate
		if rest := a.beat(now); rest != time.Second/8 {
			t.Errorf("%v: it rests for %v", fate, rest)
		}
		until := a.stand.Until
		a.beat(now) // and settles it by a write of its own
		if a.stand.Until != now.Boot+8*time.Second || until == a.stand.Until {
			t.Errorf("%v: until %v, then %v", fate, until, a.stand.Until)
		}
		b.beat(now)
	}
	now := at(6 * time.Second)
	until := a.stand.Until
	a.step(now, Fired{TimerWait}, func(e Effect) bool { _, ok := e.(ReadNodes); return ok })
	a.step(now, NodesRead{Failed: true}, nil)
	a.step(now, Fired{TimerWait}, func(e Effect) bool { _, ok := e.(ReadSettings); return ok })
	a.step(now, SettingsRead{Failed: true}, nil) // nothing is claimed on what could not be read
	if a.stand.Until != until {
		t.Errorf("until %v, then %v", until, a.stand.Until)
	}
}

func TestWhoQuitsIsNotWaitedFor(t *testing.T) {
	h, a, b := hallOf(t)
	b.step(at(time.Second), Quit{}, nil)
	if !b.m.Over() || h.find("b") >= 0 || b.serves(at(time.Second)) {
		t.Errorf("%+v", h.docs)
	}
	a.beat(at(time.Second))
	if len(a.stand.Live) != 0 || len(a.buried) != 0 {
		t.Errorf("%+v", a.stand)
	}
	// One that is in the middle of a beat ends after it.
	a.step(at(3*time.Second), Fired{TimerWait}, func(e Effect) bool { _, ok := e.(ReadNodes); return ok })
	a.step(at(3*time.Second), Quit{}, nil)
	if a.m.Over() {
		t.Fatal("it is over while it asks")
	}
	a.step(at(3*time.Second), NodesRead{Nodes: h.docs}, nil)
	if !a.m.Over() || len(h.docs) != 0 {
		t.Errorf("%+v", h.docs)
	}
}

func TestWhatALiveNodeHasIsNotTaken(t *testing.T) { // N6
	node := func(name string) NodeDoc { return NodeDoc{Name: name, Record: NodeRecord{Life: name + "#1"}} }
	self, other := node("a"), node("b")
	both := &MemberStanding{Live: []NodeDoc{other}}
	alone := &MemberStanding{}
	owners := map[string]int{}
	for i := range 40 {
		share := string(rune('A' + i))
		owner := shareOwner(share, self, both)
		if again := shareOwner(share, other, &MemberStanding{Live: []NodeDoc{self}}); again != owner {
			t.Fatalf("%s: the nodes do not agree: %s, %s", share, owner, again)
		}
		owners[owner]++
		doc := func(life string) ShareDoc {
			return ShareDoc{Name: share, Epoch: oplog.Epoch{1}, Record: ShareRecord{Life: life}}
		}
		want := map[string]ShareAct{"": ShareTake, "a#1": ShareLeave, "b#1": ShareLost, "dead#1": ShareTake}
		if owner == "b#1" {
			want = map[string]ShareAct{"": ShareLost, "a#1": ShareYield, "b#1": ShareLost, "dead#1": ShareLost}
		}
		for life, act := range want {
			if got := JudgeShare(doc(life), self, both); got != act {
				t.Errorf("%s, which %q has and %s should have: got %v, want %v", share, life, owner, got, act)
			}
		}
		if got := JudgeShare(doc("b#1"), self, alone); got != ShareTake {
			t.Errorf("of a node that is gone: %v", got)
		}
	}
	if owners["a#1"] < 12 || owners["b#1"] < 12 {
		t.Errorf("the shares are %v", owners)
	}
	other.Record.Joining = true
	if got := shareOwner("x", self, &MemberStanding{Live: []NodeDoc{other}}); got != "a#1" {
		t.Errorf("who joins has nothing yet, and %s got it", got)
	}
}

// What is written every node that lives can read, those that join included; and who can
// not read what may stand in the log does not serve.
func TestRowsAreWrittenAsAllReadThem(t *testing.T) { // N7
	reads := func(oldest, newest int) NodeDoc {
		return NodeDoc{Record: NodeRecord{Joining: newest == 1, Codecs: Codecs{Oldest: oldest, Newest: newest}}}
	}
	mine := Codecs{Oldest: 1, Newest: 3}
	for want, live := range map[int][]NodeDoc{3: {reads(1, 3), reads(2, 4)}, 2: {reads(1, 3), reads(1, 2)}, 1: {reads(1, 1), reads(1, 3)}} {
		if got := (&MemberStanding{Live: live}).Format(mine); got != want {
			t.Errorf("beside %+v: format %d, want %d", live, got, want)
		}
	}
	if got := (&MemberStanding{}).Format(mine); got != 3 {
		t.Errorf("alone: format %d, want 3", got)
	}
	for _, c := range []struct {
		format int
		fault  string
	}{{0, ""}, {1, ""}, {2, FaultCodecs}} {
		m := NewMember(MemberOptions{Name: "a", Record: NodeRecord{Life: "a#1", Codecs: Codecs{Oldest: 1, Newest: 1}}, Times: Times{Lease: 8 * time.Second}, Beat: time.Second})
		m.Step(Now{}, Begin{})
		m.Step(Now{}, NodesRead{})
		out := m.Step(Now{}, SettingsRead{Revision: 1, Format: c.format})
		if st := out[0].(Standing).Standing; st.Fault != c.fault {
			t.Errorf("format %d may stand in the log: fault %q, want %q", c.format, st.Fault, c.fault)
		}
		if _, writes := out[1].(WriteNode); writes != (c.fault == "") {
			t.Errorf("format %d: %v", c.format, out)
		}
		m.Step(Now{Boot: time.Second}, Fired{TimerWait})
		out = m.Step(Now{Boot: time.Second}, NodesRead{})
		if c.fault != "" {
			if st := out[0].(Standing).Standing; st.Fault != c.fault {
				t.Errorf("format %d, the next look: fault %q", c.format, st.Fault)
			}
		}
	}
}

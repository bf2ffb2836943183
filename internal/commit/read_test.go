package commit

import (
	"testing"
	"time"

	"github.com/s3mirror/s3mirror/internal/object"
	"github.com/s3mirror/s3mirror/internal/oplog"
)

// look plays a read up to the answer of its first replica.
func look(t *testing.T, cfg Config, now Now, r *oplog.Row, s object.Seen) (*Read, []Effect) {
	t.Helper()
	m := NewRead(cfg)
	only[ReadRow](t, m.Step(now, Look{Order: cfg.Replicas}))
	g := only[Get](t, m.Step(now, RowRead{Row: r}))
	return m, m.Step(now, Showed{Replica: g.Replica, Seen: s})
}

func TestReadServesOnlyWhatTheRowNames(t *testing.T) { // R21
	cfg := config("A", "B")
	for name, s := range map[string]object.Seen{"another version": seen(version(3)), "half of it": half(2), "nothing": {}} {
		m, eff := look(t, cfg, at(0), row(version(2), cfg.Replicas), s)
		none[Serve](t, eff)
		if g := only[Get](t, eff); g.Replica != "B" {
			t.Fatalf("%s: got %+v", name, g)
		}
		if got := only[Serve](t, m.Step(at(0), Showed{Replica: "B", Seen: seen(version(2))})); got.Info.ID != id(2) || got.Replica != "B" {
			t.Fatalf("%s: got %+v", name, got)
		}
	}
}

func TestATombstoneAnswersByItself(t *testing.T) {
	m := NewRead(config("A"))
	m.Step(at(0), Look{Order: []string{"A"}})
	only[Absent](t, m.Step(at(0), RowRead{Row: row(absent(2), object.NewReplicas("A"))}))
}

func TestAQuietKeyIsLookedAtTwice(t *testing.T) { // R20
	cfg := config("A", "B")
	old := seen(version(2))
	old.Uploaded = wall0.Add(-31 * time.Second)
	_, eff := look(t, cfg, at(0), nil, old)
	only[Serve](t, eff) // a small body, older than half the retention
	for name, change := range map[string]func(*object.Seen){
		"young":    func(s *object.Seen) { s.Uploaded = wall0.Add(-29 * time.Second) },
		"stream":   func(s *object.Seen) { s.Flag = object.FlagStream },
		"no stamp": func(s *object.Seen) { s.Flag = object.FlagNone },
	} {
		s := old
		change(&s)
		m, eff := look(t, cfg, at(0), nil, s)
		none[Serve](t, eff)
		only[ReadRow](t, eff)
		if name == "young" {
			only[Serve](t, m.Step(at(0), RowRead{}))
		}
	}
}

func TestAnAbsenceWithoutRowIsConfirmed(t *testing.T) { // H19
	cfg := config("A", "B")
	m, _ := look(t, cfg, at(0), nil, object.Seen{})
	only[Head](t, m.Step(at(0), RowRead{}))
	only[Absent](t, m.Step(at(0), Showed{Replica: "B"}))

	m, _ = look(t, cfg, at(0), nil, object.Seen{})
	m.Step(at(0), RowRead{})
	eff := m.Step(at(0), Showed{Replica: "B", Seen: seen(version(2))})
	only[Alarm](t, eff)
	if s := only[Swap](t, eff); !s.Old.IsZero() || s.Row.Cur.ID != id(2) || !s.Row.Good.Equal(object.NewReplicas("B")) {
		t.Fatalf("data wins over absence, got %+v", s)
	}
}

func openPut(n byte) *oplog.Row {
	return withIntent(row(version(1), object.NewReplicas("A", "B")), n, object.Present, "A", "B")
}

func TestTheOldVersionIsServedUntilTheDecide(t *testing.T) {
	_, eff := look(t, config("A", "B"), at(0), openPut(2), seen(version(1)))
	only[Serve](t, eff)
}

func TestAReaderHelpsBeforeItServes(t *testing.T) { // R22
	cfg := config("A", "B")
	m, eff := look(t, cfg, at(0), openPut(2), seen(version(2)))
	none[Serve](t, eff)
	only[Sleep](t, eff) // the writer normally wins
	m.Step(at(time.Second), Fired{TimerWait})
	g := only[Get](t, m.Step(at(time.Second), RowRead{Row: openPut(2)}))
	eff = m.Step(at(time.Second), Showed{Replica: g.Replica, Seen: seen(version(2))})
	none[Serve](t, eff)
	s := only[Swap](t, eff)
	if s.Row.Cur.ID != id(2) || !hasEntry(s.Row.Unsettled, id(2), "B") || hasEntry(s.Row.Unsettled, id(2), "A") {
		t.Fatalf("got %+v", s.Row)
	}
	only[Serve](t, m.Step(at(time.Second), Swapped{Outcome: Applied, Epoch: oplog.Epoch{9}}))
}

func TestAnUnknownHelpServesNothing(t *testing.T) {
	cfg := config("A")
	m, _ := look(t, cfg, at(0), openPut(2), seen(version(2)))
	m.Step(at(0), Fired{TimerWait})
	m.Step(at(0), RowRead{Row: openPut(2)})
	only[Swap](t, m.Step(at(0), Showed{Replica: "A", Seen: seen(version(2))}))
	none[Serve](t, m.Step(at(0), Swapped{Outcome: Unknown, Epoch: oplog.Epoch{9}}))
}

func TestAReaderDoesNotHelpWithoutAnAnchor(t *testing.T) { // R22
	r := openPut(2)
	r.Unsettled = []oplog.Entry{entry(0, object.Tombstone, "A")}
	_, eff := look(t, config("A", "B"), at(0), r, seen(version(2)))
	if g := only[Get](t, eff); g.Replica != "B" {
		t.Fatalf("got %+v", eff)
	}
}

func TestAnOpenBaseIsServedOnlyWhileTheIntentStands(t *testing.T) { // R4
	cfg := config("A")
	open := withIntent(&oplog.Row{Epoch: oplog.Epoch{1}, Open: true, Good: cfg.Replicas}, 2, object.Present, "A")
	m, eff := look(t, cfg, at(0), open, seen(version(7)))
	none[Serve](t, eff)
	only[ReadRow](t, eff)
	only[Serve](t, m.Step(at(0), RowRead{Row: open}))

	m, _ = look(t, cfg, at(0), open, seen(version(7)))
	eff = m.Step(at(0), RowRead{Row: row(version(2), cfg.Replicas)}) // decided meanwhile
	none[Serve](t, eff)
}

func TestHalfOfAnOpenWriteIsNotTheBase(t *testing.T) {
	cfg := config("A")
	open := withIntent(&oplog.Row{Epoch: oplog.Epoch{1}, Open: true, Good: cfg.Replicas}, 2, object.Present, "A")
	_, eff := look(t, cfg, at(0), open, half(2))
	none[ReadRow](t, eff)
	none[Serve](t, eff)
}

func TestReadersGiveUpWithAnAnswer(t *testing.T) {
	m := NewRead(config("A"))
	m.Step(at(0), Look{Order: []string{"A"}})
	only[Unavailable](t, m.Step(at(0), RowRead{Failed: true})) // H38

	m = NewRead(config("A"))
	m.Step(at(0), Look{Order: []string{"A"}})
	eff := m.Step(at(0), RowRead{Row: row(version(2), object.NewReplicas("A"))})
	for range readRounds {
		only[Get](t, eff)
		eff = m.Step(at(0), Showed{Replica: "A", Failed: true})
		if m.Over() {
			break
		}
		only[Sleep](t, eff)
		m.Step(at(0), Fired{TimerWait})
		eff = m.Step(at(0), RowRead{Row: row(version(2), object.NewReplicas("A"))})
	}
	only[Unavailable](t, eff)
}

func TestAHeadIsAnsweredByTheRow(t *testing.T) {
	m := NewRead(config("A"))
	m.Step(at(0), Look{Order: []string{"A"}, HeadOnly: true})
	if s := only[Serve](t, m.Step(at(0), RowRead{Row: row(version(2), object.NewReplicas("A"))})); s.Replica != "" || s.Info.ID != id(2) {
		t.Fatalf("got %+v", s)
	}
}

// TestASlowReplicaIsNotWaitedFor: another one that is as good may be asked as
// well, and its answer counts as if it had been asked first; the slow one, which
// has shown nothing, is still there to be asked.
func TestASlowReplicaIsNotWaitedFor(t *testing.T) {
	cfg := config("A", "B", "C")
	start := func(r *oplog.Row) (*Read, Get) {
		m := NewRead(cfg)
		m.Step(at(0), Look{Order: []string{"A", "B", "C"}, Hedge: true})
		return m, only[Get](t, m.Step(at(0), RowRead{Row: r}))
	}
	decided := row(version(2), cfg.Replicas)
	m, g := start(decided)
	if g != (Get{"A", "B"}) {
		t.Fatalf("got %+v", g)
	}
	if s := only[Serve](t, m.Step(at(0), Showed{Replica: "B", Seen: seen(version(2))})); s.Replica != "B" {
		t.Fatalf("got %+v", s)
	}
	// R21 holds for whoever answers.
	m, _ = start(decided)
	eff := m.Step(at(0), Showed{Replica: "B", Seen: seen(version(3))})
	none[Serve](t, eff)
	if g := only[Get](t, eff); g != (Get{"C", "A"}) {
		t.Fatalf("got %+v", g)
	}
	if eff := m.Step(at(0), Showed{Replica: "B", Seen: seen(version(2))}); len(eff) > 0 {
		t.Fatalf("an answer that nobody waits for gave %+v", eff)
	}
	if s := only[Serve](t, m.Step(at(0), Showed{Replica: "A", Seen: seen(version(2))})); s.Replica != "A" {
		t.Fatalf("got %+v", s)
	}
	// A failure is the first one's, and the other may be asked by itself.
	m, _ = start(decided)
	if g := only[Get](t, m.Step(at(0), Showed{Replica: "A", Failed: true})); g != (Get{"B", "C"}) {
		t.Fatalf("got %+v", g)
	}
	// An absence without row is looked at again, and confirmed by a third.
	m, _ = start(nil)
	only[ReadRow](t, m.Step(at(0), Showed{Replica: "B"}))
	if h := only[Head](t, m.Step(at(0), RowRead{})); h.Replica != "C" {
		t.Fatalf("got %+v", h)
	}
	// Who did not ask for it gets none.
	m = NewRead(cfg)
	m.Step(at(0), Look{Order: []string{"A", "B"}})
	if g := only[Get](t, m.Step(at(0), RowRead{Row: decided})); g != (Get{Replica: "A"}) {
		t.Fatalf("got %+v", g)
	}
	if eff := m.Step(at(0), Showed{Replica: "B", Seen: seen(version(2))}); len(eff) > 0 {
		t.Fatalf("an answer of one that was not asked gave %+v", eff)
	}
	// Under an open intent the good ones come first, one by one.
	if _, g := start(openPut(2)); g.Or != "" {
		t.Fatalf("got %+v", g)
	}
}

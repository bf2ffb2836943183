package commit

import (
	"testing"
	"time"

	"github.com/s3mirror/s3mirror/internal/object"
	"github.com/s3mirror/s3mirror/internal/oplog"
)

// Package sim plays replicas that join; these are single moments of it.

func TestARowOutlivesWhoKnowsTheSetFromLongAgo(t *testing.T) { // J1
	cfg := config("A", "B")
	shown := map[string]object.Seen{"A": seen(version(2)), "B": seen(version(2))}
	late := at(2 * time.Minute) // the retention is a minute
	for _, c := range []struct {
		age   time.Duration
		drops bool
	}{{0, true}, {30 * time.Second, true}, {31 * time.Second, false}} {
		cfg.Read = late.Boot - c.age
		_, eff := visit(t, cfg, &Memory{}, late, row(version(2), cfg.Replicas), shown)
		if !c.drops {
			none[Swap](t, eff)
			only[Examined](t, eff)
		} else if swap := only[Swap](t, eff); swap.Row != nil {
			t.Errorf("got %+v", swap.Row)
		}
	}
}

// filling is a resync's look at a key: C joined the set.
func filling(cfg Config, r *oplog.Row) *scrubbing {
	cfg.Serving, cfg.Epoch = cfg.Replicas.Without("C"), 2
	return &scrubbing{cfg: cfg, op: Inspect{Act: true, Trust: cfg.Serving, Fill: object.NewReplicas("C")}, first: r, second: r}
}

func TestAResyncTouchesTheRowsThatItLeavesBehind(t *testing.T) { // J2
	ab := object.NewReplicas("A", "B")
	old := row(version(2), ab)
	old.Cfg = 1
	s := filling(config("A", "B", "C"), old)
	v, next := s.play(t)
	if v.State != Pending || !v.Known {
		t.Fatalf("got %+v", v)
	}
	if next == nil || next.Cfg != 2 || !next.Good.Equal(ab) || next.Intent != nil || next.Cur.ID != id(2) {
		t.Fatalf("got %+v", next)
	}
	for name, r := range map[string]*oplog.Row{
		"is touched already": {Cfg: 2, Cur: version(2), Good: ab},
		"has an intent, whose end touches it": {Cfg: 1, Cur: version(2), Good: ab,
			Intent: &oplog.Intent{Op: id(3), ID: id(3), Ver: 3, Kind: object.Present, Reps: ab}},
	} {
		if v, next := filling(config("A", "B", "C"), r).play(t); v.State != Pending || next != nil {
			t.Errorf("a row that %s: %+v, %+v", name, v, next)
		}
	}
	made := &oplog.Row{Epoch: oplog.Epoch{1}, Cfg: 2, Cur: version(2), Good: ab, Tagging: []oplog.Entry{entry(2, object.Present, "A")}}
	if _, next := filling(config("A", "B", "C"), made).play(t); next == nil {
		t.Error("a row that a change of tags may take back is left as it is")
	}
	s = filling(config("A", "B", "C"), old)
	s.op = Inspect{Act: true, Trust: ab} // no resync
	if v, next := s.play(t); v.State != Pending || next != nil {
		t.Errorf("%+v, %+v", v, next)
	}
}

func TestATouchMovesTheChange(t *testing.T) { // J2
	old := row(version(2), object.NewReplicas("A", "B"))
	old.Changed = wall0.Add(-time.Hour)
	_, next := filling(config("A", "B", "C"), old).play(t)
	if next == nil || !next.Changed.Equal(wall0) {
		t.Fatalf("got %+v", next)
	}
}

func TestAKeyWhoseRowMayGoAgainIsNotCompared(t *testing.T) { // J3
	ab := object.NewReplicas("A", "B")
	open := &oplog.Row{Epoch: oplog.Epoch{1}, Cfg: 2, Open: true, Good: ab, Changed: wall0,
		Intent: &oplog.Intent{Op: id(3), ID: id(3), Ver: 3, Kind: object.Present, Reps: ab}}
	if v, next := filling(config("A", "B", "C"), open).play(t); v.State != Unknowing || next != nil {
		t.Fatalf("got %+v, %+v", v, next)
	}
	s := filling(config("A", "B", "C"), open)
	s.op = Inspect{Act: true, Trust: ab}
	if v, _ := s.play(t); v.State != Pending {
		t.Errorf("no resync: %+v", v)
	}
	// One that counts C beside the others, since it lost its bucket, is a resync too.
	s = filling(config("A", "B", "C"), open)
	s.op = Inspect{Act: true, Trust: s.cfg.Replicas}
	if v, _ := s.play(t); v.State != Unknowing {
		t.Errorf("beside: %+v", v)
	}
}

func TestWhoJoinedCountsAsMistagged(t *testing.T) { // J4
	// G1 does not know of C, which holds the version, of D, whose heal is on its way, and
	// of E, of whose heal nobody knows how it ended.
	r := tagged(row(version(2), object.NewReplicas("A", "B", "C")), red)
	r.Cfg = 2
	r.Intent = &oplog.Intent{Op: id(8), ID: id(2), Ver: 2, Kind: object.Present, Type: oplog.OpHeal, Reps: object.NewReplicas("D")}
	r.Unsettled = []oplog.Entry{entry(2, object.Present, "E")}
	_, swap := changeTags(t, tagConfig(nil, "A", "B"), r, TagOp{ID: id(7), Tags: blue})
	if want := object.NewReplicas("A", "B", "C", "D", "E"); !swap.Row.Mistagged.Equal(want) || swap.Row.Cfg != 1 {
		t.Fatalf("got %+v", swap.Row)
	}
}

func TestWhoWasFoundWithTheVersionCountsAsMistagged(t *testing.T) { // J4
	// The tags were changed by a node that does not know of C, which shows the version.
	cfg := tagConfig(nil, "A", "B", "C")
	cfg.Epoch = 2
	r := tagged(row(version(2), object.NewReplicas("A", "B")), blue)
	r.Cfg = 1
	_, eff := visit(t, cfg, &Memory{}, at(0), r, showAll(cfg, 2))
	if next := only[Swap](t, eff).Row; !next.Good.Has("C") || !next.Mistagged.Equal(object.NewReplicas("C")) {
		t.Fatalf("got %+v", next)
	}
	r.Cfg = 2
	_, eff = visit(t, cfg, &Memory{}, at(0), r, showAll(cfg, 2))
	if next := only[Swap](t, eff).Row; !next.Good.Has("C") || len(next.Mistagged) != 0 {
		t.Fatalf("who was in the set then: %+v", next)
	}
}

func TestTagsThatNobodyKeepsAreNotWaitedFor(t *testing.T) {
	// A keeps none, and C, which does, has joined: the version is copied without any.
	cfg := tagConfig(object.NewReplicas("A"), "A", "C")
	_, eff := visit(t, cfg, &Memory{}, at(0), row(version(2), object.NewReplicas("A")), map[string]object.Seen{"A": seen(version(2)), "C": {}})
	if c := only[Copy](t, eff); c.Target != "C" {
		t.Fatalf("got %+v", c)
	}
	// One that does not answer may know them.
	cfg = tagConfig(object.NewReplicas("A"), "A", "B", "C")
	_, eff = visit(t, cfg, &Memory{}, at(0), row(version(2), object.NewReplicas("A")), map[string]object.Seen{"A": seen(version(2)), "C": {}})
	none[Copy](t, eff)
}

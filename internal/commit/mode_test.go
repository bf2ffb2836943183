package commit

import (
	"fmt"
	"testing"
	"time"

	"github.com/s3mirror/s3mirror/internal/object"
	"github.com/s3mirror/s3mirror/internal/oplog"
)

// disabled is the configuration of a bucket whose replication is disabled.
func disabled(primary string, replicas ...string) Config {
	cfg := config(replicas...)
	cfg.Mode = Mode{Primary: primary}
	return cfg
}

// releases are the replicas that something was released to.
func releases(effects []Effect) (out []string) {
	for _, e := range effects {
		if r, ok := e.(Release); ok {
			out = append(out, r.Replica)
		}
	}
	return out
}

func TestADisabledModeWritesToThePrimaryAlone(t *testing.T) {
	for _, r := range []*oplog.Row{nil, row(version(1), object.NewReplicas("A", "B", "C")), row(version(1), object.NewReplicas("C"))} {
		d, s := intent(t, disabled("B", "A", "B", "C"), put(5, false), at(0), r)
		if !s.Row.Intent.Reps.Equal(object.NewReplicas("B")) {
			t.Fatalf("the intent names %v", s.Row.Intent.Reps)
		}
		if got := releases(d.applied(at(0))); fmt.Sprint(got) != "[B]" {
			t.Fatalf("released to %v", got)
		}
		next := only[Swap](t, d.yes(at(0), "B")).Row
		if !next.Good.Equal(object.NewReplicas("B")) || next.Cur.ID != id(5) {
			t.Fatalf("what the others miss is not in the row: %+v", next)
		}
		if res := only[Done](t, d.applied(at(0))).Result; res.Kind != Acked {
			t.Fatalf("got %+v", res)
		}
	}
}

func TestADisabledModeAcksByThePrimary(t *testing.T) {
	cfg := disabled("B", "A", "B", "C")
	cfg.Ack = Rule{Need: 3}
	d, _ := intent(t, cfg, put(5, false), at(0), row(version(1), cfg.Replicas))
	d.applied(at(0))
	only[Swap](t, d.yes(at(0), "B"))
	if res := only[Done](t, d.applied(at(0))).Result; res.Kind != Acked || !res.OK.Equal(object.NewReplicas("B")) {
		t.Fatalf("got %+v", res)
	}

	cfg.Ack = Rule{Need: 1}
	w := NewWrite(cfg, put(6, false))
	only[ReadRow](t, w.Step(at(0), Begin{Up: object.NewReplicas("A", "C")})) // the primary is away
	if res := only[Done](t, w.Step(at(0), RowRead{Row: row(version(1), cfg.Replicas)})).Result; res.Kind != Failed {
		t.Fatalf("got %+v", res)
	}
}

// A replica that an older request may still strike is no anchor; the primary has
// nobody beside it.
func TestADisabledModeWaitsForAnUncleanPrimary(t *testing.T) {
	cfg := disabled("B", "A", "B")
	r := row(version(2), cfg.Replicas, entry(1, object.Present, "B"))
	d, eff := begin(t, cfg, put(5, false), at(0), r)
	only[Accept](t, eff)
	d.w.Step(at(0), Verified{Info: object.Info{Size: 10}})
	eff = d.w.Step(at(0), RowRead{Row: r})
	none[Swap](t, eff)
	if res := only[Done](t, eff).Result; res.Kind != Failed {
		t.Fatalf("got %+v", res)
	}
}

func TestADisabledModeAsksThePrimaryFirst(t *testing.T) {
	cfg := disabled("B", "A", "B", "C")
	for _, tc := range []struct {
		name  string
		row   *oplog.Row
		order []string
		want  string
	}{
		{"no row", nil, []string{"A", "B", "C"}, "B"},
		{"all good", row(version(2), cfg.Replicas), []string{"C", "A", "B"}, "B"},
		{"the primary lags", row(version(2), object.NewReplicas("A")), []string{"C", "A", "B"}, "A"},
		{"the primary is away", nil, []string{"C", "A"}, "C"},
	} {
		m := NewRead(cfg)
		only[ReadRow](t, m.Step(at(0), Look{Order: tc.order, Hedge: true}))
		if get := only[Get](t, m.Step(at(0), RowRead{Row: tc.row})); get.Replica != tc.want || get.Or != "" {
			t.Errorf("%s: asked %s, or %q", tc.name, get.Replica, get.Or)
		}
	}
}

// What the others miss is not healed, and they are not even asked; the primary is.
func TestADisabledModeHealsThePrimaryAlone(t *testing.T) {
	all := map[string]object.Seen{"A": seen(version(2)), "B": seen(version(2)), "C": seen(version(1))}
	cfg := disabled("B", "A", "B", "C")
	p := NewRepair(cfg)
	only[ReadRow](t, p.Step(at(0), Examine{Memory: &Memory{}}))
	eff := p.Step(at(time.Hour), RowRead{Row: row(version(2), object.NewReplicas("A", "B"))})
	none[Head](t, eff)
	if rep := only[Examined](t, eff).Report; rep.Row == nil || rep.Failed {
		t.Fatalf("got %+v", rep)
	}

	all["B"] = seen(version(1))
	_, eff = visit(t, cfg, &Memory{}, at(0), row(version(2), object.NewReplicas("A")), all)
	if c := only[Copy](t, eff); c.Target != "B" || !c.Sources.Equal(object.NewReplicas("A")) {
		t.Fatalf("got %+v", c)
	}

	// A copy that was asked for before the switch.
	w := NewWrite(cfg, Op{ID: id(9), Type: oplog.OpHeal, Info: version(2), Target: "C"})
	only[ReadRow](t, w.Step(at(0), Begin{Up: cfg.Replicas}))
	if res := only[Done](t, w.Step(at(0), RowRead{Row: row(version(2), object.NewReplicas("A", "B"))})).Result; res.Kind != Failed {
		t.Fatalf("got %+v", res)
	}

	// Active again.
	cfg.Mode = Mode{}
	_, eff = visit(t, cfg, &Memory{}, at(0), row(version(2), object.NewReplicas("B")), map[string]object.Seen{
		"A": seen(version(1)), "B": seen(version(2)), "C": seen(version(1)),
	})
	if c := only[Copy](t, eff); c.Target == "B" {
		t.Fatalf("got %+v", c)
	}
}

// The mode never says what is known of a key: a row that others need stays, and a
// version that another replica holds is not given up because the primary lacks it.
func TestADisabledModeJudgesByAllReplicas(t *testing.T) {
	cfg := disabled("B", "A", "B")
	p := NewRepair(cfg)
	only[ReadRow](t, p.Step(at(0), Examine{Memory: &Memory{}}))
	eff := p.Step(at(time.Hour), RowRead{Row: row(version(2), object.NewReplicas("B"))})
	for _, name := range []string{"A", "B"} {
		eff = append(eff, p.Step(at(time.Hour), Showed{Replica: name, Seen: seen(version(2))})...)
	}
	none[Swap](t, eff)

	r := row(version(2), object.NewReplicas("A"), entry(3, object.Present, "B"))
	_, eff = visit(t, cfg, &Memory{}, at(0), r, map[string]object.Seen{"A": seen(version(2)), "B": seen(version(3))})
	if next := only[Swap](t, eff).Row; next == nil || next.Cur.ID != id(2) || !next.Good.Has("A") {
		t.Fatalf("got %+v", next)
	}
}

func TestABucketThatItsPrimaryDoesNotHoldIsActive(t *testing.T) {
	cfg := disabled("X", "A", "B")
	if !cfg.Targets().Equal(cfg.Replicas) {
		t.Fatalf("writes go to %v", cfg.Targets())
	}
	released(t, cfg, put(5, false), at(0), row(version(1), cfg.Replicas))
}

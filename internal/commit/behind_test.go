package commit

import (
	"testing"
	"time"

	"github.com/s3mirror/s3mirror/internal/object"
	"github.com/s3mirror/s3mirror/internal/oplog"
)

// leftBehind is a configuration in which C was left behind.
func leftBehind() Config {
	cfg := config("A", "B", "C")
	cfg.Serving, cfg.Behind = object.NewReplicas("A", "B"), object.NewReplicas("C")
	return cfg
}

func TestARowWaitsForNoReplicaThatWasLeftBehind(t *testing.T) { // R28 behind
	held := map[string]object.Seen{"A": seen(version(2)), "B": seen(version(2))} // C does not answer
	r := row(version(2), object.NewReplicas("A", "B"))
	_, eff := visit(t, leftBehind(), &Memory{}, at(2*time.Minute), r, held)
	if s := only[Swap](t, eff); s.Row != nil || s.Old != r.Epoch {
		t.Fatalf("got %+v", s)
	}

	// Its tags were changed while C was away, which may show the version under others; and a row that
	// was made since then counts it as good no more.
	keeps := leftBehind()
	keeps.Bare = nil // all keep tags
	for _, good := range []object.Replicas{object.NewReplicas("A", "B", "C"), r.Good} {
		tagged := row(version(2), good)
		tagged.Mistagged, tagged.Tagged = object.NewReplicas("C"), true
		_, eff = visit(t, keeps, &Memory{}, at(2*time.Minute), tagged, held)
		none[Swap](t, eff)
	}

	// It waits for all that were not, and for the end of what was sent to C.
	for name, r := range map[string]*oplog.Row{
		"B lacks it":        row(version(2), object.NewReplicas("A")),
		"C may yet take it": row(version(2), object.NewReplicas("A", "B"), entry(1, object.Present, "C")),
	} {
		_, eff := visit(t, leftBehind(), &Memory{}, at(2*time.Minute), r, held)
		for _, e := range eff {
			if s, ok := e.(Swap); ok && s.Row == nil {
				t.Errorf("%s: the row goes", name)
			}
		}
	}

	// Nobody is asked before its time has come.
	p := NewRepair(leftBehind())
	only[ReadRow](t, p.Step(at(0), Examine{Memory: &Memory{}}))
	only[Examined](t, p.Step(at(30*time.Second), RowRead{Row: r}))

	// With all wanted the same row is work to be done.
	cfg := leftBehind()
	cfg.Behind = nil
	_, eff = visit(t, cfg, &Memory{}, at(2*time.Minute), r, held)
	none[Swap](t, eff)
	held["C"] = seen(version(1))
	_, eff = visit(t, cfg, &Memory{}, at(2*time.Minute), r, held)
	if c := only[Copy](t, eff); c.Target != "C" {
		t.Fatalf("got %+v", c)
	}
}

// A version that the replica left behind alone holds is still its to give.
func TestAReplicaThatWasLeftBehindIsASource(t *testing.T) {
	_, eff := visit(t, leftBehind(), &Memory{}, at(2*time.Minute), row(version(2), object.NewReplicas("C")), map[string]object.Seen{
		"A": seen(version(1)), "B": seen(version(1)), "C": seen(version(2)),
	})
	if c := only[Copy](t, eff); !c.Sources.Equal(object.NewReplicas("C")) || c.Target == "C" {
		t.Fatalf("got %+v", c)
	}
}

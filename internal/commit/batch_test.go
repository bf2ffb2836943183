package commit

import (
	"slices"
	"testing"
	"time"

	"github.com/s3mirror/s3mirror/internal/oplog"
)

func TestABatchGoesInOnePass(t *testing.T) {
	b := NewBatch(config("A"), 3)
	if s := only[Sleep](t, b.Step(at(0), Asked{1})); s.For != 2*time.Second {
		t.Fatalf("half of what the lease allows, got %v", s.For)
	}
	none[Let](t, b.Step(at(0), Ended{0})) // its condition failed
	if l := only[Let](t, b.Step(at(0), Asked{2})); !slices.Equal(l.Writes, []int{1, 2}) {
		t.Fatalf("got %v", l.Writes)
	}
	none[Let](t, b.Step(at(2*time.Second), Fired{TimerWait}))
	b.Step(at(3*time.Second), Ended{1})
	if b.Over() {
		t.Error("over before every write has ended")
	}
	if b.Step(at(3*time.Second), Ended{2}); !b.Over() {
		t.Error("not over")
	}
}

func TestAContendedKeyKeepsNoBatchWaiting(t *testing.T) {
	b := NewBatch(config("A"), 3)
	b.Step(at(0), Asked{0})
	b.Step(at(0), Asked{1})
	if l := only[Let](t, b.Step(at(2*time.Second), Fired{TimerWait})); !slices.Equal(l.Writes, []int{0, 1}) {
		t.Fatalf("got %v", l.Writes)
	}
	none[Let](t, b.Step(at(2*time.Second), Ended{0})) // it was let go, and is over
	if b.Over() {
		t.Fatal("one is left")
	}
	if l := only[Let](t, b.Step(at(3*time.Second), Asked{2})); !slices.Equal(l.Writes, []int{2}) {
		t.Fatalf("got %v", l.Writes)
	}
	// A permit that came too late was of no use: the write asks again.
	if l := only[Let](t, b.Step(at(4*time.Second), Asked{1})); !slices.Equal(l.Writes, []int{1}) || b.Over() {
		t.Fatalf("got %v", l.Writes)
	}
}

func TestABatchInWhichNothingIsLeft(t *testing.T) {
	b := NewBatch(config("A"), 2)
	none[Let](t, b.Step(at(0), Ended{0}))
	none[Let](t, b.Step(at(0), Ended{1}))
	if !b.Over() {
		t.Error("not over")
	}
}

// A permit after too much of the lease is of no use: nothing is released late, and the
// intent is taken back.
func TestAPermitComesTooLate(t *testing.T) { // R11
	cfg := config("A")
	op := Op{ID: id(5), Type: oplog.OpDelete}
	op.Ask = true
	d, _ := intent(t, cfg, op, at(0), row(version(1), cfg.Replicas))
	eff := d.applied(at(0))
	none[Release](t, eff)
	only[Ask](t, eff)
	eff = d.w.Step(at(5*time.Second), Permit{})
	none[Release](t, eff)
	if next := only[Swap](t, eff).Row; next.Intent != nil {
		t.Fatalf("got %+v", next)
	}
	only[ReadRow](t, d.applied(at(5*time.Second))) // it tries again, and asks again
	only[Swap](t, d.w.Step(at(5*time.Second), RowRead{Row: row(version(1), cfg.Replicas)}))
	only[Ask](t, d.applied(at(5*time.Second)))
	only[Release](t, d.w.Step(at(5*time.Second), Permit{}))
}

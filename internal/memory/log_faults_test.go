package memory_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/s3mirror/s3mirror/internal/memory"
	"github.com/s3mirror/s3mirror/internal/object"
	"github.com/s3mirror/s3mirror/internal/oplog"
	"github.com/s3mirror/s3mirror/internal/oplog/oplogtest"
)

var (
	logCtx = context.Background()
	logKey = object.Key{Bucket: "photos", Name: "logKey"}
)

func logRow() *oplog.Row { return &oplog.Row{Epoch: oplog.NewEpoch()} }

func wantEpoch(t *testing.T, log oplog.Log, want oplog.Epoch) {
	t.Helper()
	got, err := log.Row(logCtx, logKey)
	if err != nil && !errors.Is(err, oplog.ErrNoRow) || got.Epoch != want {
		t.Errorf("row is %x, %v; want %x", got.Epoch, err, want)
	}
}

func TestFaultyLogWithoutFaultsKeepsTheContract(t *testing.T) {
	oplogtest.Run(t, oplogtest.Tolerance{}, func(*testing.T) oplogtest.Harness {
		return oplogtest.Harness{Log: memory.NewFaultyLog(memory.NewLog(), nil)}
	})
}

func TestEachFateOfAChange(t *testing.T) {
	for fate, c := range map[memory.LogFate]struct {
		want    error
		applied bool
	}{
		memory.LogPass: {nil, true},
		memory.LogFail: {oplog.ErrNotApplied, false},
		memory.LogFull: {oplog.ErrNoSpace, false},
		memory.LogLose: {oplog.ErrUnknown, true},
		memory.LogGone: {oplog.ErrUnknown, false},
		memory.LogLate: {oplog.ErrUnknown, false},
	} {
		log := memory.NewFaultyLog(memory.NewLog(), memory.LogScript(fate))
		r := logRow()
		if err := log.Swap(logCtx, logKey, oplog.Epoch{}, r); !errors.Is(err, c.want) {
			t.Errorf("%v: got %v, want %v", fate, err, c.want)
		}
		want := oplog.Epoch{}
		if c.applied {
			want = r.Epoch
		}
		wantEpoch(t, log, want)
		if n := log.Counts()[fate]; n == 0 {
			t.Errorf("%v was not counted", fate)
		}
	}
}

func TestFatesOfParts(t *testing.T) {
	log := memory.NewFaultyLog(memory.NewLog(), memory.LogScript(memory.LogLose, memory.LogGone, memory.LogFail, memory.LogLate))
	upload := object.NewID()
	add := func() error {
		return log.AddPart(logCtx, oplog.Part{Upload: upload, Number: 1, Attempt: object.NewID()})
	}
	for i, want := range []error{oplog.ErrUnknown, oplog.ErrUnknown, oplog.ErrNotApplied} {
		if err := add(); !errors.Is(err, want) {
			t.Errorf("add %d: got %v, want %v", i, err, want)
		}
	}
	if err := log.DropParts(logCtx, upload); !errors.Is(err, oplog.ErrUnknown) {
		t.Errorf("drop: %v", err)
	}
	count := func() int {
		parts, err := log.Parts(logCtx, upload, oplog.PartName{}, 10)
		if err != nil {
			t.Fatal(err)
		}
		return len(parts)
	}
	if n := count(); n != 1 {
		t.Errorf("%d parts, want the one whose answer was lost", n)
	}
	if n := log.ApplyLate(); n != 1 || count() != 0 {
		t.Errorf("%d late changes, %d parts after them", n, count())
	}
	log.SetDown(true)
	if _, err := log.Parts(logCtx, upload, oplog.PartName{}, 10); err == nil {
		t.Error("a log that is down lists parts")
	}
}

func TestFatesOfDocumentsAndHistory(t *testing.T) {
	log := memory.NewFaultyLog(memory.NewLog(), memory.LogScript(memory.LogLose, memory.LogLose, memory.LogGone, memory.LogFail))
	doc := oplog.Doc{Kind: oplog.DocNode, Name: "n", Epoch: oplog.NewEpoch(), Body: []byte("1")}
	if err := log.SwapDoc(logCtx, oplog.Epoch{}, doc); !errors.Is(err, oplog.ErrUnknown) {
		t.Errorf("document: %v", err)
	}
	if err := log.Append(logCtx, oplog.Event{Op: "put"}); !errors.Is(err, oplog.ErrUnknown) {
		t.Errorf("append: %v", err)
	}
	if err := log.Append(logCtx, oplog.Event{Op: "put"}); !errors.Is(err, oplog.ErrUnknown) {
		t.Errorf("append: %v", err)
	}
	if err := log.Expire(logCtx, time.Now()); !errors.Is(err, oplog.ErrNotApplied) {
		t.Errorf("expire: %v", err)
	}
	if got, err := log.Doc(logCtx, oplog.DocNode, "n"); err != nil || got.Epoch != doc.Epoch {
		t.Errorf("document whose answer was lost: %+v, %v", got, err)
	}
	if got, err := log.Events(logCtx, oplog.HistoryQuery{}); err != nil || len(got) != 1 {
		t.Errorf("events: %+v, %v; want the one whose answer was lost", got, err)
	}
}

// A change applied late lands only on the state that it expected: once a
// compare-and-set of one's own moved the epoch, it is over (R29).
func TestALateChangeIsFencedByTheEpoch(t *testing.T) {
	for _, settled := range []bool{false, true} {
		log := memory.NewFaultyLog(memory.NewLog(), memory.LogScript(memory.LogLate))
		late, own := logRow(), logRow()
		if err := log.Swap(logCtx, logKey, oplog.Epoch{}, late); !errors.Is(err, oplog.ErrUnknown) {
			t.Fatal(err)
		}
		want := late.Epoch
		if settled {
			if err := log.Swap(logCtx, logKey, oplog.Epoch{}, own); err != nil {
				t.Fatal(err)
			}
			want = own.Epoch
		}
		if n := log.ApplyLate(); n != 1 {
			t.Errorf("%d late changes, want 1", n)
		}
		wantEpoch(t, log, want)
	}
}

func TestLateChangesApplyAfterTheirTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		inner := memory.NewLog()
		log := memory.NewFaultyLog(inner, memory.LogScript(memory.LogLate, memory.LogLate))
		log.SetLate(time.Minute)
		r := logRow()
		if err := log.Swap(logCtx, logKey, oplog.Epoch{}, r); !errors.Is(err, oplog.ErrUnknown) {
			t.Fatal(err)
		}
		wantEpoch(t, log, oplog.Epoch{})
		time.Sleep(time.Minute)
		synctest.Wait()
		wantEpoch(t, log, r.Epoch)

		if err := log.Swap(logCtx, logKey, r.Epoch, nil); !errors.Is(err, oplog.ErrUnknown) {
			t.Fatal(err)
		}
		if err := log.Close(); err != nil { // what is still held never applies
			t.Fatal(err)
		}
		time.Sleep(time.Hour)
	})
}

func TestModesComeAndGo(t *testing.T) {
	log := memory.NewFaultyLog(memory.NewLog(), nil)
	first := logRow()
	if err := log.Swap(logCtx, logKey, oplog.Epoch{}, first); err != nil {
		t.Fatal(err)
	}
	log.SetFull(true)
	if err := log.Swap(logCtx, logKey, first.Epoch, logRow()); !errors.Is(err, oplog.ErrNoSpace) {
		t.Errorf("full: %v, want ErrNoSpace", err)
	}
	wantEpoch(t, log, first.Epoch)
	log.SetFull(false)

	log.SetDown(true)
	if err := log.Swap(logCtx, logKey, first.Epoch, logRow()); !errors.Is(err, oplog.ErrNotApplied) || errors.Is(err, oplog.ErrNoSpace) {
		t.Errorf("down: %v, want ErrNotApplied", err)
	}
	errs := map[string]error{}
	_, errs["row"] = log.Row(logCtx, logKey)
	_, _, errs["due"] = log.Due(logCtx, 0, "", 1)
	_, errs["range"] = log.Range(logCtx, "photos", "", "", 1)
	_, errs["doc"] = log.Doc(logCtx, oplog.DocNode, "n")
	_, errs["docs"] = log.Docs(logCtx, oplog.DocNode, "", 1)
	_, errs["events"] = log.Events(logCtx, oplog.HistoryQuery{})
	_, errs["stats"] = log.Stats(logCtx)
	for name, err := range errs {
		if err == nil || errors.Is(err, oplog.ErrNoRow) {
			t.Errorf("down: %s answered %v", name, err)
		}
	}
	log.SetDown(false)
	if err := log.Swap(logCtx, logKey, first.Epoch, nil); err != nil {
		t.Errorf("up again: %v", err)
	}
}

func TestChaosIsReplayableAndLinearizable(t *testing.T) {
	rates := map[memory.LogFate]float64{
		memory.LogFail: 0.05, memory.LogFull: 0.05, memory.LogLose: 0.1, memory.LogGone: 0.05, memory.LogLate: 0.1,
	}
	a, b := memory.LogChaos(7, rates), memory.LogChaos(7, rates)
	for n := range uint64(1000) {
		if a(n, true) != b(n, true) || a(n, false) != b(n, false) {
			t.Fatalf("call %d has two fates", n)
		}
	}
	for seed := range uint64(10) {
		log := memory.NewFaultyLog(memory.NewLog(), memory.LogChaos(seed, rates))
		log.SetLate(time.Microsecond) // any time: the history decides
		out := oplogtest.CheckRegister(t, log, oplogtest.Workload{Keys: 3, Clients: 6, Ops: 60, Seed: seed})
		if out.Applied == 0 || out.Unknown == 0 || out.Refused == 0 || out.ReadErrors == 0 {
			t.Errorf("seed %d: outcomes %+v, want each", seed, out)
		}
		for fate, n := range log.Counts() {
			if n == 0 {
				t.Errorf("seed %d: no call met %v", seed, fate)
			}
		}
		log.SetDown(false)
		if err := log.Close(); err != nil {
			t.Error(err)
		}
	}
}

func ExampleLogScript() {
	log := memory.NewFaultyLog(memory.NewLog(), memory.LogScript(memory.LogFail, memory.LogLose))
	first, second := logRow(), logRow()
	fmt.Println(errors.Is(log.Swap(logCtx, logKey, oplog.Epoch{}, first), oplog.ErrNotApplied))
	fmt.Println(errors.Is(log.Swap(logCtx, logKey, oplog.Epoch{}, second), oplog.ErrUnknown))
	got, err := log.Row(logCtx, logKey)
	fmt.Println(got.Epoch == second.Epoch, err)
	// Output:
	// true
	// true
	// true <nil>
}

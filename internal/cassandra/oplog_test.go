package cassandra

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/s3mirror/s3mirror/internal/object"
	"github.com/s3mirror/s3mirror/internal/oplog"
	"github.com/s3mirror/s3mirror/internal/oplog/oplogtest"
)

// The suite on a store in memory; test/cassandra runs it on the real one.
func TestContract(t *testing.T) {
	oplogtest.Run(t, oplogtest.Tolerance{Repeats: true}, func(t *testing.T) oplogtest.Harness {
		s := newFakeStore()
		return oplogtest.Harness{
			Log:    testLog(s, nil),
			Reopen: func(*testing.T) oplog.Log { return testLog(s, nil) },
		}
	})
}

// nodes spreads calls over several logs on one store, as a balancer does.
type nodes struct {
	oplog.Log
	all  []*Log
	next atomic.Uint64
}

func (n *nodes) pick() *Log { return n.all[n.next.Add(1)%uint64(len(n.all))] }

func (n *nodes) Row(ctx context.Context, k object.Key) (oplog.Row, error) {
	return n.pick().Row(ctx, k)
}

func (n *nodes) Swap(ctx context.Context, k object.Key, old oplog.Epoch, row *oplog.Row) error {
	return n.pick().Swap(ctx, k, old, row)
}

// Statements that are refused, time out or lose their answer, at every place and
// from three nodes at once, while sweeps run: histories stay those of a register,
// and no row is without a mark.
func TestRegisterUnderFaults(t *testing.T) {
	for seed := range uint64(20) {
		s, at := newFakeStore(), newClock()
		n := &nodes{}
		for range 3 {
			n.all = append(n.all, testLog(s, at.now))
		}
		n.Log = n.all[0]
		rng := rand.New(rand.NewPCG(seed, 7))
		s.SetFault(func(Statement) Fate { // under the store's lock
			switch x := rng.IntN(100); {
			case x < 4:
				return FateUnavailable
			case x < 8:
				return FateTimeout
			case x < 16:
				return FateLost
			}
			return FatePass
		})
		ctx, stop := context.WithCancel(bg)
		var wg sync.WaitGroup
		wg.Go(func() {
			for ctx.Err() == nil {
				at.advance(20 * time.Minute)
				_ = n.all[1].sweepAll(ctx)
			}
		})
		out := oplogtest.CheckRegister(t, n, oplogtest.Workload{Keys: 4, Clients: 6, Ops: 60, Seed: seed})
		stop()
		wg.Wait()
		if out.Applied == 0 || out.Conflicts == 0 || out.Unknown == 0 || out.Refused == 0 {
			t.Errorf("seed %d: outcomes %+v, want each", seed, out)
		}
		s.SetFault(nil)
		var keys []object.Key
		for i := range 4 {
			keys = append(keys, object.Key{Bucket: "register", Name: fmt.Sprintf("k%d", i)})
		}
		oplogtest.CheckIndex(t, n.Log, keys)
	}
}

// clock is a clock that the test turns.
type clock struct{ ns atomic.Int64 }

func newClock() *clock {
	c := &clock{}
	c.ns.Store(time.Date(2026, 11, 24, 12, 0, 0, 0, time.UTC).UnixNano())
	return c
}

func (c *clock) now() time.Time          { return time.Unix(0, c.ns.Load()).UTC() }
func (c *clock) advance(d time.Duration) { c.ns.Add(int64(d)) }

var bg = context.Background()

func newRow() *oplog.Row { return &oplog.Row{Epoch: oplog.NewEpoch()} }

func photo(name string) object.Key { return object.Key{Bucket: "photos", Name: name} }

func mustSwap(t *testing.T, l *Log, k object.Key, old oplog.Epoch, row *oplog.Row) {
	t.Helper()
	if err := l.Swap(bg, k, old, row); err != nil {
		t.Fatal(err)
	}
}

// only makes one sort of statement meet a fate, all others pass.
func only(s *fakeStore, what Statement, fate Fate) {
	s.SetFault(func(st Statement) Fate {
		if st == what {
			return fate
		}
		return FatePass
	})
}

// What each sort of failure means, at each kind of compare-and-set.
func TestErrorsAreTold(t *testing.T) {
	for _, c := range []struct {
		name    string
		what    Statement
		fate    Fate
		create  error
		replace error
		drop    error
	}{
		{"unavailable", StatementCAS, FateUnavailable, oplog.ErrNotApplied, oplog.ErrNotApplied, oplog.ErrNotApplied},
		{"timeout", StatementCAS, FateTimeout, oplog.ErrUnknown, oplog.ErrUnknown, oplog.ErrUnknown},
		{"answer lost", StatementCAS, FateLost, oplog.ErrUnknown, oplog.ErrUnknown, oplog.ErrUnknown},
		{"mark", StatementMark, FateTimeout, oplog.ErrNotApplied, nil, nil},
		{"mark lost", StatementMark, FateLost, oplog.ErrNotApplied, nil, nil},
		{"unmark", StatementUnmark, FateTimeout, nil, nil, nil},
		{"scan", StatementScan, FateTimeout, nil, nil, nil},
		{"read", StatementRead, FateTimeout, nil, nil, oplog.ErrNotApplied},
	} {
		s := newFakeStore()
		l := testLog(s, nil)
		row := newRow()
		mustSwap(t, l, photo("there"), oplog.Epoch{}, row)
		gone := newRow()
		mustSwap(t, l, photo("gone"), oplog.Epoch{}, gone)
		only(s, c.what, c.fate)
		for act, got := range map[string][2]error{
			"create":  {l.Swap(bg, photo("new"), oplog.Epoch{}, newRow()), c.create},
			"replace": {l.Swap(bg, photo("there"), row.Epoch, newRow()), c.replace},
			"drop":    {l.Swap(bg, photo("gone"), gone.Epoch, nil), c.drop},
		} {
			if !errors.Is(got[0], got[1]) {
				t.Errorf("%s, %s: got %v, want %v", c.name, act, got[0], got[1])
			}
		}
	}
}

func TestReadsFailWithTheirStatements(t *testing.T) {
	for _, what := range []Statement{StatementRead, StatementScan} {
		s := newFakeStore()
		l := testLog(s, nil)
		mustSwap(t, l, photo("k"), oplog.Epoch{}, newRow())
		if err := l.SwapDoc(bg, oplog.Epoch{}, oplog.Doc{Kind: oplog.DocNode, Name: "n", Epoch: oplog.NewEpoch(), Body: []byte("{}")}); err != nil {
			t.Fatal(err)
		}
		if err := l.Append(bg, oplog.Event{Time: time.Now(), Bucket: "photos"}); err != nil {
			t.Fatal(err)
		}
		only(s, what, FateTimeout)
		_, ranged := l.Range(bg, "photos", "", "", 10)
		_, _, due := l.Due(bg, oplog.ShardOf(photo("k")), "", 10)
		_, docs := l.Docs(bg, oplog.DocNode, "", 10)
		for name, err := range map[string]error{"range": ranged, "due": due, "docs": docs} {
			if err == nil {
				t.Errorf("%s was silent about a %s that failed", name, what)
			}
		}
		_, row := l.Row(bg, photo("k"))
		_, doc := l.Doc(bg, oplog.DocNode, "n")
		if failed := what == StatementRead; failed != (row != nil) || failed != (doc != nil) {
			t.Errorf("%s: row %v, doc %v", what, row, doc)
		}
		_, stats := l.Stats(bg)
		_, events := l.Events(bg, oplog.HistoryQuery{})
		expire := l.Expire(bg, time.Now().Add(3*time.Hour))
		if failed := what == StatementScan; failed != (stats != nil) || failed != (events != nil) || failed != (expire != nil) {
			t.Errorf("%s: stats %v, events %v, expire %v", what, stats, events, expire)
		}
	}
}

func TestHistoryThatCannotBeWrittenIsToldSo(t *testing.T) {
	for _, what := range []Statement{StatementMark, StatementUnmark} {
		s := newFakeStore()
		l := testLog(s, nil)
		old := time.Now().Add(-5 * time.Hour)
		if err := l.Append(bg, oplog.Event{Time: old, Bucket: "photos"}); err != nil {
			t.Fatal(err)
		}
		only(s, what, FateTimeout)
		err := l.Append(bg, oplog.Event{Time: old, Bucket: "other"})
		if what == StatementUnmark {
			err = l.Expire(bg, time.Now())
		}
		if !errors.Is(err, oplog.ErrUnknown) {
			t.Errorf("%s: got %v, want ErrUnknown", what, err)
		}
		s.SetFault(nil)
		if err := l.Expire(bg, time.Now()); err != nil {
			t.Fatal(err)
		}
		if left, err := l.Events(bg, oplog.HistoryQuery{}); err != nil || len(left) != 0 {
			t.Errorf("%d events after expiry, %v", len(left), err)
		}
	}
}

func TestPartsFailWithTheirStatements(t *testing.T) {
	s := newFakeStore()
	l := testLog(s, nil)
	part := oplog.Part{Upload: object.NewID(), Number: 1, Attempt: object.NewID()}
	only(s, StatementMark, FateLost)
	if err := l.AddPart(bg, part); !errors.Is(err, oplog.ErrUnknown) {
		t.Errorf("add: got %v, want ErrUnknown", err)
	}
	only(s, StatementUnmark, FateLost)
	if err := l.DropParts(bg, part.Upload); !errors.Is(err, oplog.ErrUnknown) {
		t.Errorf("drop: got %v, want ErrUnknown", err)
	}
	only(s, StatementScan, FateTimeout)
	if _, err := l.Parts(bg, part.Upload, oplog.PartName{}, 10); err == nil {
		t.Error("parts: no error")
	}
}

// A creation whose caller gave up before the insert was sent makes nothing.
func TestAnAbandonedCreationStopsBeforeItsInsert(t *testing.T) {
	s := newFakeStore()
	l := testLog(s, nil)
	ctx, cancel := context.WithCancel(bg)
	s.setHook(func(statement string) {
		if statement == "put mark" {
			cancel()
		}
	})
	err := l.Swap(ctx, photo("k"), oplog.Epoch{}, newRow())
	if !errors.Is(err, context.Canceled) {
		t.Fatalf("got %v, want one that wraps context.Canceled", err)
	}
	if err := l.Close(); err != nil { // waits for what was abandoned
		t.Fatal(err)
	}
	again := testLog(s, nil)
	if _, err := again.Row(bg, photo("k")); !errors.Is(err, oplog.ErrNoRow) {
		t.Errorf("row: %v, want ErrNoRow", err)
	}
	if n := countMarks(t, again); n != 0 {
		t.Errorf("%d marks left, want none", n)
	}
}

func countMarks(t *testing.T, l *Log) int64 {
	t.Helper()
	stats, err := l.Stats(bg)
	if err != nil {
		t.Fatal(err)
	}
	return stats.Rows
}

func TestStatementsOfACompareAndSet(t *testing.T) {
	s := newFakeStore()
	l := testLog(s, nil)
	mustSwap(t, l, photo("warm"), oplog.Epoch{}, newRow()) // enters some partition of marks
	k := photo("warm too")
	for i := 0; oplog.ShardOf(k) != oplog.ShardOf(photo("warm")); i++ {
		k = photo(fmt.Sprintf("warm %d", i))
	}
	row, next := newRow(), newRow()
	count := func(do func() error) map[Statement]int {
		before := s.Calls()
		if err := do(); err != nil {
			t.Error(err)
		}
		after := s.Calls()
		for st, n := range before {
			if after[st] -= n; after[st] == 0 {
				delete(after, st)
			}
		}
		return after
	}
	create := count(func() error { return l.Swap(bg, k, oplog.Epoch{}, row) })
	read := count(func() error { _, err := l.Row(bg, k); return err })
	update := count(func() error { return l.Swap(bg, k, row.Epoch, next) })
	drop := count(func() error { return l.Swap(bg, k, next.Epoch, nil) })
	for name, c := range map[string]struct{ got, want map[Statement]int }{
		"create": {create, map[Statement]int{StatementMark: 1, StatementCAS: 1}},
		"read":   {read, map[Statement]int{StatementRead: 1}},
		"update": {update, map[Statement]int{StatementCAS: 1}},
		"drop": {drop, map[Statement]int{
			StatementRead: 1, StatementCAS: 1, StatementScan: 1, StatementUnmark: 1}},
	} {
		if fmt.Sprint(c.got) != fmt.Sprint(c.want) {
			t.Errorf("%s took %v, want %v", name, c.got, c.want)
		}
	}
}

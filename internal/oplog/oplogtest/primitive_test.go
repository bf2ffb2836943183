package oplogtest_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync/atomic"
	"testing"
	"time"

	"github.com/s3mirror/s3mirror/internal/memory"
	"github.com/s3mirror/s3mirror/internal/object"
	"github.com/s3mirror/s3mirror/internal/oplog"
	"github.com/s3mirror/s3mirror/internal/oplog/oplogtest"
)

var bg = context.Background()

func TestPrimitiveKeepsTheContract(t *testing.T) {
	oplogtest.Run(t, oplogtest.Tolerance{Repeats: true}, func(t *testing.T) oplogtest.Harness {
		store := oplogtest.NewStore()
		return oplogtest.Harness{
			Log:    oplogtest.NewPrimitive(store, nil),
			Reopen: func(*testing.T) oplog.Log { return oplogtest.NewPrimitive(store, nil) },
		}
	})
}

func TestFaultyPrimitiveWithoutFaultsKeepsTheContract(t *testing.T) {
	oplogtest.Run(t, oplogtest.Tolerance{Repeats: true}, func(t *testing.T) oplogtest.Harness {
		return oplogtest.Harness{Log: memory.NewFaultyLog(oplogtest.NewPrimitive(oplogtest.NewStore(), nil), nil)}
	})
}

// nodes spreads calls over several logs on one store, as a balancer does.
type nodes struct {
	oplog.Log
	all  []*oplogtest.Primitive
	next atomic.Uint64
}

func (n *nodes) pick() *oplogtest.Primitive { return n.all[n.next.Add(1)%uint64(len(n.all))] }

func (n *nodes) Row(ctx context.Context, k object.Key) (oplog.Row, error) {
	return n.pick().Row(ctx, k)
}

func (n *nodes) Swap(ctx context.Context, k object.Key, old oplog.Epoch, row *oplog.Row) error {
	return n.pick().Swap(ctx, k, old, row)
}

// Statements that are refused, time out or lose their answer, at every place of
// the index discipline and from three nodes at once: histories stay those of a
// register, and no row is without its mark.
func TestPrimitiveUnderFaults(t *testing.T) {
	for seed := range uint64(20) {
		store := oplogtest.NewStore()
		n := &nodes{}
		for range 3 {
			n.all = append(n.all, oplogtest.NewPrimitive(store, nil))
		}
		n.Log = n.all[0]
		rng := rand.New(rand.NewPCG(seed, 99))
		store.SetFault(func(oplogtest.Statement) oplogtest.Fate { // under the store's lock
			switch x := rng.IntN(100); {
			case x < 5:
				return oplogtest.FateUnavailable
			case x < 10:
				return oplogtest.FateTimeout
			case x < 20:
				return oplogtest.FateLost
			}
			return oplogtest.FatePass
		})
		out := oplogtest.CheckRegister(t, n, oplogtest.Workload{Keys: 4, Clients: 6, Ops: 60, Seed: seed})
		if out.Applied == 0 || out.Conflicts == 0 || out.Unknown == 0 || out.Refused == 0 {
			t.Errorf("seed %d: outcomes %+v, want each", seed, out)
		}
		store.SetFault(nil)
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

func newRow() *oplog.Row { return &oplog.Row{Epoch: oplog.NewEpoch()} }

func sweepAll(t *testing.T, log *oplogtest.Primitive) error {
	t.Helper()
	var errs error
	for shard := range oplog.Shards {
		errs = errors.Join(errs, log.Sweep(bg, shard))
	}
	return errs
}

func countMarks(t *testing.T, log oplog.Log) int64 {
	t.Helper()
	stats, err := log.Stats(bg)
	if err != nil {
		t.Fatal(err)
	}
	return stats.Rows
}

func TestSweepKeepsRowsAndThrowsStaleMarksAway(t *testing.T) {
	store, at := oplogtest.NewStore(), newClock()
	log := oplogtest.NewPrimitive(store, at.now)
	var keys []object.Key
	for i := range 30 {
		k := object.Key{Bucket: "photos", Name: fmt.Sprintf("%d/\x00\xff", i)}
		keys = append(keys, k)
		row := newRow()
		if err := log.Swap(bg, k, oplog.Epoch{}, row); err != nil {
			t.Fatal(err)
		}
		if i%3 == 0 { // dropped, and nobody removes the mark
			store.SetFault(func(s oplogtest.Statement) oplogtest.Fate {
				if s == oplogtest.StatementUnmark {
					return oplogtest.FateTimeout
				}
				return oplogtest.FatePass
			})
			if err := log.Swap(bg, k, row.Epoch, nil); err != nil {
				t.Fatal(err)
			}
			store.SetFault(nil)
		}
	}
	if n := countMarks(t, log); n != 30 {
		t.Fatalf("%d marks, want 30", n)
	}
	oplogtest.CheckIndex(t, log, keys)

	for _, hours := range []int{1, 1, 1, 5} {
		at.advance(time.Duration(hours) * time.Hour)
		if err := sweepAll(t, log); err != nil {
			t.Fatal(err)
		}
		oplogtest.CheckIndex(t, log, keys)
	}
	if n := countMarks(t, log); n != 20 {
		t.Errorf("%d marks after sweeping, want 20", n)
	}
}

// A sweep that fails at any statement loses no row, and can be repeated.
func TestSweepMayFailAnywhere(t *testing.T) {
	for failAt := range 200 {
		store, at := oplogtest.NewStore(), newClock()
		log := oplogtest.NewPrimitive(store, at.now)
		var keys []object.Key
		for i := range 6 {
			k := object.Key{Bucket: "photos", Name: fmt.Sprint(i)}
			keys = append(keys, k)
			if err := log.Swap(bg, k, oplog.Epoch{}, newRow()); err != nil {
				t.Fatal(err)
			}
		}
		at.advance(3 * time.Hour)
		n := 0
		store.SetFault(func(oplogtest.Statement) oplogtest.Fate {
			if n++; n-1 != failAt {
				return oplogtest.FatePass
			}
			return []oplogtest.Fate{oplogtest.FateTimeout, oplogtest.FateLost}[failAt%2]
		})
		failed := sweepAll(t, log)
		store.SetFault(nil)
		oplogtest.CheckIndex(t, log, keys)
		if err := sweepAll(t, log); err != nil {
			t.Fatal(err)
		}
		oplogtest.CheckIndex(t, log, keys)
		if n := countMarks(t, log); n != 6 {
			t.Errorf("failure at %d: %d marks, want 6", failAt, n)
		}
		if failed == nil {
			if failAt < 30 {
				t.Errorf("a sweep has only %d statements", failAt)
			}
			return
		}
	}
	t.Error("every sweep failed")
}

// A sweep that moves marks while a range or a walk is on its way hides no row,
// wherever between two of its statements that happens.
func TestASweepHidesNoRow(t *testing.T) {
	const rows = 6
	for name, look := range map[string]func(log *oplogtest.Primitive) (int, error){
		"range": func(log *oplogtest.Primitive) (int, error) {
			page, err := log.Range(bg, "photos", "", "", 100)
			return len(page), err
		},
		"due": func(log *oplogtest.Primitive) (int, error) {
			seen := map[object.Key]bool{}
			for shard := range oplog.Shards {
				for at := oplog.Cursor(""); ; {
					page, next, err := log.Due(bg, shard, at, 2)
					if err != nil {
						return 0, err
					}
					for _, kr := range page {
						seen[kr.Key] = true
					}
					if at = next; at == "" {
						break
					}
				}
			}
			return len(seen), nil
		},
	} {
		for moment := 1; ; moment++ {
			store, at := oplogtest.NewStore(), newClock()
			log, other := oplogtest.NewPrimitive(store, at.now), oplogtest.NewPrimitive(store, at.now)
			for i := range rows {
				if err := log.Swap(bg, object.Key{Bucket: "photos", Name: fmt.Sprint(i)}, oplog.Epoch{}, newRow()); err != nil {
					t.Fatal(err)
				}
			}
			calls := 0
			store.SetHook(func(oplogtest.Statement) {
				if calls++; calls == moment {
					at.advance(3 * time.Hour)
					if err := sweepAll(t, other); err != nil {
						t.Error(err)
					}
				}
			})
			if n, err := look(log); err != nil || n != rows {
				t.Errorf("%s, swept before statement %d: %d rows, want %d; %v", name, moment, n, rows, err)
			}
			if calls < moment {
				break // it had fewer statements
			}
		}
	}
}

// A node that stalls between its mark and its insert marks again before it goes
// on: the sweep may have dropped the first partition.
func TestAStalledCreationIsStillMarked(t *testing.T) {
	store, at := oplogtest.NewStore(), newClock()
	log, other := oplogtest.NewPrimitive(store, at.now), oplogtest.NewPrimitive(store, at.now)
	k := object.Key{Bucket: "photos", Name: "k"}
	stalled := false
	store.SetFault(func(s oplogtest.Statement) oplogtest.Fate {
		if s == oplogtest.StatementMark && !stalled { // the directory's record; the mark follows
			stalled = true
			at.advance(4 * time.Hour)
		}
		return oplogtest.FatePass
	})
	if err := log.Swap(bg, k, oplog.Epoch{}, newRow()); err != nil {
		t.Fatal(err)
	}
	if err := sweepAll(t, other); err != nil {
		t.Fatal(err)
	}
	oplogtest.CheckIndex(t, other, []object.Key{k})
}

// Only the nonce of the row that was dropped is removed: marks of a creation
// that is under way meanwhile stay.
func TestADropLeavesOthersMarks(t *testing.T) {
	store := oplogtest.NewStore()
	log := oplogtest.NewPrimitive(store, nil)
	k := object.Key{Bucket: "photos", Name: "k"}
	first := newRow()
	if err := log.Swap(bg, k, oplog.Epoch{}, first); err != nil {
		t.Fatal(err)
	}
	// The creation's insert is refused and its mark stays, as a creator that has
	// died before its insert leaves it.
	store.SetFault(func(s oplogtest.Statement) oplogtest.Fate {
		if s == oplogtest.StatementUnmark {
			return oplogtest.FateUnavailable
		}
		return oplogtest.FatePass
	})
	if err := log.Swap(bg, k, oplog.Epoch{}, newRow()); !errors.Is(err, oplog.ErrConflict) {
		t.Fatal(err)
	}
	store.SetFault(nil)
	if n := countMarks(t, log); n != 2 {
		t.Fatalf("%d marks, want 2", n)
	}
	if err := log.Swap(bg, k, first.Epoch, nil); err != nil {
		t.Fatal(err)
	}
	if n := countMarks(t, log); n != 1 {
		t.Errorf("%d marks after the drop, want the other creation's", n)
	}
}

func TestPrimitiveSpeaksOnlyOfOneRowAtATime(t *testing.T) {
	store := oplogtest.NewStore()
	log := oplogtest.NewPrimitive(store, nil)
	k, row, next := object.Key{Bucket: "photos", Name: "k"}, newRow(), newRow()
	count := func(do func() error) map[oplogtest.Statement]int {
		before := store.Calls()
		if err := do(); err != nil {
			t.Error(err)
		}
		after := store.Calls()
		for s, n := range before {
			after[s] -= n
		}
		return after
	}
	create := count(func() error { return log.Swap(bg, k, oplog.Epoch{}, row) })
	update := count(func() error { return log.Swap(bg, k, row.Epoch, next) })
	drop := count(func() error { return log.Swap(bg, k, next.Epoch, nil) })
	if create[oplogtest.StatementCAS] != 1 || create[oplogtest.StatementMark] != 2 || create[oplogtest.StatementRead] != 0 {
		t.Errorf("creating took %v", create)
	}
	if update[oplogtest.StatementCAS] != 1 || update[oplogtest.StatementMark]+update[oplogtest.StatementRead]+update[oplogtest.StatementScan] != 0 {
		t.Errorf("updating took %v, want one statement", update)
	}
	if drop[oplogtest.StatementCAS] != 1 || drop[oplogtest.StatementRead] != 1 || drop[oplogtest.StatementUnmark] != 1 {
		t.Errorf("dropping took %v", drop)
	}
}

package cassandra

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/s3mirror/s3mirror/internal/object"
	"github.com/s3mirror/s3mirror/internal/oplog"
	"github.com/s3mirror/s3mirror/internal/oplog/oplogtest"
)

func TestSlots(t *testing.T) {
	at := time.Date(2026, 11, 24, 12, 59, 0, 0, time.UTC)
	for _, c := range []struct {
		s    slot
		when time.Time
		over bool
	}{
		{hourSlot(at), at, false},
		{hourSlot(at), at.Add(time.Hour), false}, // late marks may still come
		{hourSlot(at), at.Add(2 * time.Hour), true},
		{daySlot(at), at.Add(35 * time.Hour), false},
		{daySlot(at), at.Add(36 * time.Hour), true},
	} {
		if got := c.s.over(c.when); got != c.over {
			t.Errorf("slot %d is over at %v: %v", c.s, c.when, got)
		}
	}
	if hourSlot(at.AddDate(1000, 0, 0)) >= daySlot(at.AddDate(-50, 0, 0)) {
		t.Error("a slot of an hour sorts after one of a day")
	}
}

func TestSweepKeepsRowsAndThrowsStaleMarksAway(t *testing.T) {
	s, at := newFakeStore(), newClock()
	l := testLog(s, at.now)
	var keys []object.Key
	for i := range 30 {
		k := photo(fmt.Sprintf("%d/\x00\xff", i))
		keys = append(keys, k)
		row := newRow()
		mustSwap(t, l, k, oplog.Epoch{}, row)
		if i%3 == 0 { // dropped, and nobody erases the mark
			only(s, StatementUnmark, FateTimeout)
			mustSwap(t, l, k, row.Epoch, nil)
			s.SetFault(nil)
		}
	}
	doc := oplog.Doc{Kind: oplog.DocUser, Name: "u", Epoch: oplog.NewEpoch(), Body: []byte("{}")}
	if err := l.SwapDoc(bg, oplog.Epoch{}, doc); err != nil {
		t.Fatal(err)
	}
	if n := countMarks(t, l); n != 30 {
		t.Fatalf("%d marks, want 30", n)
	}
	oplogtest.CheckIndex(t, l, keys)
	for _, hours := range []int{1, 1, 1, 5, 24, 24, 100} {
		at.advance(time.Duration(hours) * time.Hour)
		if err := l.sweepAll(bg); err != nil {
			t.Fatal(err)
		}
		oplogtest.CheckIndex(t, l, keys)
		if docs, err := l.Docs(bg, oplog.DocUser, "", 10); err != nil || len(docs) != 1 {
			t.Fatalf("%d documents after %d hours more, %v", len(docs), hours, err)
		}
	}
	if n := countMarks(t, l); n != 20 {
		t.Errorf("%d marks after sweeping, want 20", n)
	}
	for i, k := range keys { // marks that moved are erased with their row
		if row, err := l.Row(bg, k); err == nil && i%2 == 0 {
			mustSwap(t, l, k, row.Epoch, nil)
		}
	}
	if n := countMarks(t, l); n != 10 {
		t.Errorf("%d marks after half of the rows were dropped, want 10", n)
	}
}

// A partition of more marks than one page of a sweep.
func TestSweepOfManyMarks(t *testing.T) {
	s, at := newFakeStore(), newClock()
	l := testLog(s, at.now)
	const docs = sweepPage + 100
	for i := range docs {
		doc := oplog.Doc{Kind: oplog.DocUser, Name: fmt.Sprint(i), Epoch: oplog.NewEpoch(), Body: []byte("{}")}
		if err := l.SwapDoc(bg, oplog.Epoch{}, doc); err != nil {
			t.Fatal(err)
		}
	}
	at.advance(3 * time.Hour)
	if err := l.sweepAll(bg); err != nil {
		t.Fatal(err)
	}
	if all, err := l.Docs(bg, oplog.DocUser, "", 10*docs); err != nil || len(all) != docs {
		t.Errorf("%d documents after the sweep, want %d; %v", len(all), docs, err)
	}
}

// A sweep that fails at any statement loses no row, and can be repeated.
func TestSweepMayFailAnywhere(t *testing.T) {
	for failAt := range 400 {
		s, at := newFakeStore(), newClock()
		l := testLog(s, at.now)
		var keys []object.Key
		for i := range 6 {
			keys = append(keys, photo(fmt.Sprint(i)))
			mustSwap(t, l, keys[i], oplog.Epoch{}, newRow())
		}
		at.advance(3 * time.Hour)
		n := 0
		s.SetFault(func(Statement) Fate {
			if n++; n-1 != failAt {
				return FatePass
			}
			return []Fate{FateTimeout, FateLost}[failAt%2]
		})
		failed := l.sweepAll(bg)
		s.SetFault(nil)
		oplogtest.CheckIndex(t, l, keys)
		if err := l.sweepAll(bg); err != nil {
			t.Fatal(err)
		}
		oplogtest.CheckIndex(t, l, keys)
		if n := countMarks(t, l); n != 6 {
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

// A node that stalls between its mark and its insert, or in its insert, marks
// again: a sweep may have dropped the first partition meanwhile. One that stalled
// before the insert does so before it, and may die after it.
func TestAStalledCreationIsStillMarked(t *testing.T) {
	for _, where := range []string{"put mark_space", "put mark", "insert key_row"} {
		s, at := newFakeStore(), newClock()
		l, other := testLog(s, at.now), testLog(s, at.now)
		var stalled atomic.Bool
		s.setHook(func(statement string) {
			if statement == where && stalled.CompareAndSwap(false, true) {
				at.advance(4 * time.Hour)
				if err := other.sweepAll(bg); err != nil {
					t.Error(err)
				}
			}
			if statement == "insert key_row" && where != statement {
				only(s, StatementMark, FateTimeout)
			}
		})
		mustSwap(t, l, photo("k"), oplog.Epoch{}, newRow())
		s.setHook(nil)
		s.SetFault(nil)
		if !stalled.Load() {
			t.Fatalf("nothing is called %q", where)
		}
		if err := other.sweepAll(bg); err != nil {
			t.Fatal(err)
		}
		oplogtest.CheckIndex(t, other, []object.Key{photo("k")})
	}
}

// Only the nonce of the row that was dropped is erased: the mark of a creation
// that is under way meanwhile stays.
func TestADropLeavesOthersMarks(t *testing.T) {
	s := newFakeStore()
	l := testLog(s, nil)
	first := newRow()
	mustSwap(t, l, photo("k"), oplog.Epoch{}, first)
	// The creation's mark stays, as a creator that died before its insert leaves it.
	only(s, StatementUnmark, FateUnavailable)
	if err := l.Swap(bg, photo("k"), oplog.Epoch{}, newRow()); !errors.Is(err, oplog.ErrConflict) {
		t.Fatal(err)
	}
	s.SetFault(nil)
	if n := countMarks(t, l); n != 2 {
		t.Fatalf("%d marks, want 2", n)
	}
	mustSwap(t, l, photo("k"), first.Epoch, nil)
	if n := countMarks(t, l); n != 1 {
		t.Errorf("%d marks after the drop, want the other creation's", n)
	}
}

// TestIndexNeedsItsNonces: two nodes make the row of one key, and one loses and
// takes its mark back. The mark of the one that won is its own, so the row stays
// in the index. Where a mark is anybody's, which is rule R30 broken, it is lost.
func TestIndexNeedsItsNonces(t *testing.T) {
	for _, broken := range []bool{false, true} {
		s := newFakeStore()
		s.forgetsNonces = broken
		first, second := testLog(s, nil), testLog(s, nil)
		mustSwap(t, first, photo("k"), oplog.Epoch{}, newRow())
		if err := second.Swap(bg, photo("k"), oplog.Epoch{}, newRow()); !errors.Is(err, oplog.ErrConflict) {
			t.Fatal(err)
		}
		rows, err := first.Range(bg, "photos", "", "", 10)
		if err != nil {
			t.Fatal(err)
		}
		if found := len(rows) == 1; found == broken {
			t.Errorf("marks without nonce %v: the index shows %d rows", broken, len(rows))
		}
	}
}

// The mark of an earlier row of the key does not make a walk return it twice.
func TestAStaleMarkOfALivingKeyIsPassedBy(t *testing.T) {
	s := newFakeStore()
	l := testLog(s, nil)
	first := newRow()
	mustSwap(t, l, photo("k"), oplog.Epoch{}, first)
	only(s, StatementUnmark, FateTimeout)
	mustSwap(t, l, photo("k"), first.Epoch, nil)
	s.SetFault(nil)
	mustSwap(t, l, photo("k"), oplog.Epoch{}, newRow())
	page, next, err := l.Due(bg, oplog.ShardOf(photo("k")), "", 10)
	if err != nil || next != "" || len(page) != 1 {
		t.Errorf("%d rows, cursor %q, %v; want the one row", len(page), next, err)
	}
}

// A sweep that moves marks while a range or a walk is on its way hides no row,
// wherever between two of its statements that happens.
func TestASweepHidesNoRow(t *testing.T) {
	for name, look := range map[string]func(l *Log) (int, error){
		"range": func(l *Log) (int, error) {
			page, err := l.Range(bg, "photos", "", "", 100)
			return len(page), err
		},
		"range in small pages": func(l *Log) (n int, err error) {
			for after := ""; ; {
				page, err := l.Range(bg, "photos", "", after, 2)
				n += len(page)
				if err != nil || len(page) < 2 {
					return n, err
				}
				after = page[len(page)-1].Key.Name
			}
		},
		"docs": func(l *Log) (int, error) {
			page, err := l.Docs(bg, oplog.DocUser, "", 100)
			return len(page), err
		},
		"due": func(l *Log) (int, error) {
			seen := map[object.Key]bool{}
			for shard := range oplog.Shards {
				for after := oplog.Cursor(""); ; {
					page, next, err := l.Due(bg, shard, after, 2)
					if err != nil {
						return 0, err
					}
					for _, kr := range page {
						seen[kr.Key] = true
					}
					if after = next; after == "" {
						break
					}
				}
			}
			return len(seen), nil
		},
	} {
		const rows = 8
		hit := false
		for moment := 0; ; moment++ {
			s, at := newFakeStore(), newClock()
			l, other := testLog(s, at.now), testLog(s, at.now)
			for i := range rows {
				mustSwap(t, l, photo(fmt.Sprint(i)), oplog.Epoch{}, newRow())
				doc := oplog.Doc{Kind: oplog.DocUser, Name: fmt.Sprint(i), Epoch: oplog.NewEpoch(), Body: []byte("{}")}
				if err := l.SwapDoc(bg, oplog.Epoch{}, doc); err != nil {
					t.Fatal(err)
				}
			}
			var calls atomic.Int64
			s.setHook(func(string) {
				if calls.Add(1) == int64(moment+1) {
					at.advance(3 * time.Hour) // to slots of a day
					if err := other.sweepAll(bg); err != nil {
						t.Error(err)
					}
				}
			})
			n, err := look(l)
			if err != nil || n != rows {
				t.Errorf("%s, swept before statement %d: %d rows, want %d; %v", name, moment+1, n, rows, err)
			}
			if calls.Load() <= int64(moment) {
				break // it had fewer statements
			}
			hit = true
		}
		if !hit {
			t.Errorf("%s has no statements", name)
		}
	}
}

func TestCursors(t *testing.T) {
	for _, p := range []position{
		{}, {space: "b", slot: 7}, {space: "", slot: daySet + 3}, {space: "b\x00", slot: 1, from: key{"", "n"}}, {space: "b", slot: 1, from: key{"k\x00", ""}},
	} {
		if got := parseCursor(p.cursor()); fmt.Sprint(got) != fmt.Sprint(p) {
			t.Errorf("got %v, want %v", got, p)
		}
	}
	for _, bad := range []oplog.Cursor{"", "x", "12345678", "12345678\xff\xff\xff"} {
		if got := parseCursor(bad); fmt.Sprint(got) != fmt.Sprint(position{}) {
			t.Errorf("%q is %v, want the beginning", bad, got)
		}
	}
}

func TestEndOfAPrefix(t *testing.T) {
	for prefix, want := range map[string]key{"": nil, "\xff\xff": nil, "a": {"b"}, "a\xff": {"b"}, "a\xfe": {"a\xff"}, "a\x00": {"a\x01"}} {
		if got := end(prefix); fmt.Sprint(got) != fmt.Sprint(want) {
			t.Errorf("%q ends at %q, want %q", prefix, got, want)
		}
	}
}

// Run sweeps at once, again after its pause, goes on after a failure, and ends
// with its context.
func TestRunSweeps(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newFakeStore()
		l := testLog(s, nil)
		mustSwap(t, l, photo("k"), oplog.Epoch{}, newRow())
		ctx, cancel := context.WithCancel(bg)
		done := make(chan error)
		time.Sleep(3 * time.Hour) // of the bubble's clock
		only(s, StatementScan, FateTimeout)
		go func() { done <- l.Run(ctx, nil) }()
		synctest.Wait()
		s.SetFault(nil)
		before := s.Calls()[StatementUnmark]
		time.Sleep(sweepEvery + time.Second)
		synctest.Wait()
		if got := s.Calls()[StatementUnmark] - before; got != 3 {
			t.Errorf("%d deletions after the pause, want the old partition's and two entries'", got)
		}
		oplogtest.CheckIndex(t, l, []object.Key{photo("k")})
		cancel()
		if err := <-done; err != nil {
			t.Errorf("run: %v", err)
		}
	})
}

// A node that starts has no share of the work yet. It asks again soon, and then sweeps
// at the usual pace.
func TestRunAsksAgainForItsTurn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := testLog(newFakeStore(), nil)
		ctx, cancel := context.WithCancel(bg)
		done := make(chan error)
		began, asked, ended := time.Now(), []time.Duration(nil), 0
		go func() {
			done <- l.Run(ctx, func() (func(), bool) {
				asked = append(asked, time.Since(began))
				return func() { ended++ }, len(asked) > 2
			})
		}()
		time.Sleep(2*claimEvery + sweepEvery + time.Second)
		synctest.Wait()
		cancel()
		if err := <-done; err != nil {
			t.Errorf("run: %v", err)
		}
		want := []time.Duration{0, claimEvery, 2 * claimEvery, 2*claimEvery + sweepEvery}
		if !slices.Equal(asked, want) || ended != 2 {
			t.Errorf("asked at %v, want %v; %d turns ended, want 2", asked, want, ended)
		}
	})
}

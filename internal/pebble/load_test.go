package pebble

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"

	"github.com/cockroachdb/pebble/v2"
	"github.com/s3mirror/s3mirror/internal/object"
	"github.com/s3mirror/s3mirror/internal/oplog"
)

// load drives a log with sequences of swaps and knows what a crash at any moment
// may leave. Each key's states are numbered in order; one writer has it.
type load struct {
	mu   sync.Mutex // guards keys
	keys map[object.Key]*states
}

type states struct {
	epochs  []oplog.Epoch // by number; zero: no row. The first is "none".
	tried   int           // the last one that a swap was begun for
	durable int           // the least that a crash now may leave: acknowledged, or read
}

func newLoad() *load { return &load{keys: map[object.Key]*states{}} }

// run makes, changes and drops rows of one writer's keys. It ends early when
// the log dies; every other error fails the test.
func (w *load) run(t *testing.T, log *Log, writer, swaps int) {
	for i := range swaps {
		k := object.Key{Bucket: "photos", Name: fmt.Sprintf("w%d/%d", writer, i%5)}
		row := benchRow()
		row.Intent = &oplog.Intent{Op: object.NewID(), Reps: row.Good}
		if i%7 == 6 {
			row = nil
		}
		old := w.begin(k, row)
		err := log.Swap(context.Background(), k, old, row)
		switch {
		case err == nil:
			w.ack(k)
		case errors.Is(err, errDead):
			return
		default:
			t.Errorf("swap %v: %v", k, err)
			return
		}
		got, err := log.Row(context.Background(), k)
		if err != nil && !errors.Is(err, oplog.ErrNoRow) && !errors.Is(err, errDead) {
			t.Errorf("row %v: %v", k, err)
		}
		if !errors.Is(err, errDead) && row != nil && got.Epoch != row.Epoch {
			t.Errorf("row %v is %x after a known swap to %x", k, got.Epoch, row.Epoch)
		}
		// History goes along, unsynced.
		if err := log.Append(context.Background(), oplog.Event{Bucket: k.Bucket, Key: k.Name, Op: "put"}); err != nil && !errors.Is(err, errDead) && !errors.Is(err, oplog.ErrNotApplied) {
			t.Errorf("append: %v", err)
		}
	}
}

func (w *load) begin(k object.Key, row *oplog.Row) (old oplog.Epoch) {
	w.mu.Lock()
	defer w.mu.Unlock()
	s := w.keys[k]
	if s == nil {
		s = &states{epochs: []oplog.Epoch{{}}}
		w.keys[k] = s
	}
	old = s.epochs[s.tried]
	next := oplog.Epoch{}
	if row != nil {
		next = row.Epoch
	}
	s.epochs = append(s.epochs, next)
	s.tried++
	return old
}

func (w *load) ack(k object.Key) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.keys[k].durable = w.keys[k].tried
}

// watch reads all keys until stop, in both ways, and holds the log to what it
// shows: a crash must not take it back.
func (w *load) watch(log *Log, stop <-chan struct{}) {
	for {
		select {
		case <-stop:
			return
		default:
		}
		w.mu.Lock()
		keys := make([]object.Key, 0, len(w.keys))
		for k := range w.keys {
			keys = append(keys, k)
		}
		w.mu.Unlock()
		for _, k := range keys {
			if row, err := log.Row(context.Background(), k); err == nil {
				w.saw(k, row.Epoch)
			}
		}
		page, err := log.Range(context.Background(), "photos", "", "", 100)
		if err != nil {
			continue // the log died
		}
		for _, kr := range page {
			w.saw(kr.Key, kr.Row.Epoch)
		}
	}
}

func (w *load) saw(k object.Key, epoch oplog.Epoch) {
	w.mu.Lock()
	defer w.mu.Unlock()
	s := w.keys[k]
	for n := s.durable + 1; n <= s.tried; n++ {
		if s.epochs[n] == epoch {
			s.durable = n
		}
	}
}

// claims is what must hold after a crash at the moment it was taken.
func (w *load) claims() map[object.Key]states {
	w.mu.Lock()
	defer w.mu.Unlock()
	claims := map[object.Key]states{}
	for k, s := range w.keys {
		claims[k] = states{epochs: append([]oplog.Epoch(nil), s.epochs...), tried: s.tried, durable: s.durable}
	}
	return claims
}

// check opens what a crash left. Each key must show a state that is not before
// what the claims from before the crash promise, nor after what those from after
// it know of.
func check(t *testing.T, when string, o Options, least, most map[object.Key]states) {
	t.Helper()
	log, err := Open("data", o)
	if err != nil {
		t.Errorf("%s: %v", when, err) // not Fatal: this may be a goroutine of the engine
		return
	}
	defer func() {
		if err := log.Close(); err != nil {
			t.Errorf("%s: close: %v", when, err)
		}
	}()
	for k, s := range most {
		s.durable = least[k].durable
		row, err := log.Row(context.Background(), k)
		if err != nil && !errors.Is(err, oplog.ErrNoRow) {
			t.Errorf("%s: row %v: %v", when, k, err)
			continue
		}
		ok := false
		for n := s.durable; n <= s.tried; n++ {
			ok = ok || s.epochs[n] == row.Epoch
		}
		if !ok {
			t.Errorf("%s: row %v is %x, which is none of its states %d to %d", when, k, row.Epoch, s.durable, s.tried)
		}
	}
	checkWhole(t, when, log)
}

// checkWhole wants a place in the index for every row, and no other: no batch
// was applied by half.
func checkWhole(t *testing.T, when string, log *Log) {
	t.Helper()
	rows, places := map[string]bool{}, map[string]bool{}
	for family, found := range map[byte]map[string]bool{familyRow: rows, familyShard: places} {
		it, err := log.db.NewIter(&pebble.IterOptions{LowerBound: []byte{family}, UpperBound: end([]byte{family})})
		if err != nil {
			t.Error(err)
			return
		}
		for ok := it.First(); ok; ok = it.Next() {
			key := it.Key()
			if family == familyShard {
				key = rowOfShardKey(nil, key)
			}
			found[string(key)] = true
		}
		if err := errors.Join(it.Error(), it.Close()); err != nil {
			t.Error(err)
		}
	}
	for key := range rows {
		if !places[key] {
			t.Errorf("%s: row %q is not in the index", when, key)
		}
		delete(places, key)
	}
	for key := range places {
		t.Errorf("%s: the index names %q, which has no row", when, key)
	}
}

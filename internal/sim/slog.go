package sim

import (
	"time"

	"github.com/s3mirror/s3mirror/internal/commit"
	"github.com/s3mirror/s3mirror/internal/object"
	"github.com/s3mirror/s3mirror/internal/oplog"
)

// slog is the shared log: linearizable rows, and compare-and-sets whose outcome
// may stay unknown, applied, not applied, or applied only later.
type slog struct {
	w        *world
	rows     map[object.Key]*oplog.Row
	docs     map[object.ID]*uploadDoc   // of uploads
	parts    map[object.ID][]oplog.Part // their parts
	median   time.Duration
	readOnly time.Duration // until then: refuses changes (no space)
	down     time.Duration // until then: answers nothing
}

// read answers after a delay; the row is the one at some instant in between.
func (l *slog) read(key object.Key, done func(commit.RowRead)) {
	w := l.w
	w.after(w.delay(l.median/2), func() {
		if l.down > w.now {
			w.count("log down")
			w.after(w.delay(l.median), func() { done(commit.RowRead{Failed: true}) })
			return
		}
		row := l.rows[key].Clone()
		w.after(w.delay(l.median/2), func() { done(commit.RowRead{Row: row}) })
	})
}

// scan reads all rows of the bucket, at one instant.
func (l *slog) scan(done func(rows []oplog.KeyRow, ok bool)) {
	w := l.w
	w.after(w.delay(l.median/2), func() {
		ok := l.down <= w.now
		var rows []oplog.KeyRow
		for _, key := range w.keys {
			if row := l.rows[key]; row != nil {
				rows = append(rows, oplog.KeyRow{Key: key, Row: *row.Clone()})
			}
		}
		w.after(w.delay(l.median/2), func() { done(rows, ok) })
	})
}

// swap attempts one compare-and-set.
func (l *slog) swap(key object.Key, old oplog.Epoch, row *oplog.Row, done func(commit.Swapped)) {
	w := l.w
	next := row.Clone()
	var fresh oplog.Epoch
	if next != nil {
		fresh = oplog.Epoch(w.id())
		next.Epoch = fresh
	}
	l.fate(func(out commit.CAS) { done(commit.Swapped{Outcome: out, Epoch: fresh}) }, func() bool { return l.apply(key, old, next) })
}

// fate is what becomes of one compare-and-set, which apply makes if it may.
func (l *slog) fate(done func(commit.CAS), apply func() bool) {
	w := l.w
	answer := func(out commit.CAS) {
		w.after(w.delay(l.median/2), func() { done(out) })
	}
	w.after(w.delay(l.median), func() {
		switch {
		case l.readOnly > w.now:
			w.count("log no space")
			answer(commit.NotApplied)
		case l.down > w.now, w.chance(w.faults.CASLost):
			w.count("cas unknown, not applied")
			answer(commit.Unknown)
		case w.chance(w.faults.CASLate):
			w.count("cas unknown, late")
			answer(commit.Unknown)
			w.after(w.between(0, 3*time.Second), func() { apply() })
		case w.chance(w.faults.CASUnknown):
			w.count("cas unknown, applied")
			apply()
			answer(commit.Unknown)
		case apply():
			answer(commit.Applied)
		default:
			answer(commit.Conflict)
		}
	})
}

// apply is the linearization point.
func (l *slog) apply(key object.Key, old oplog.Epoch, next *oplog.Row) bool {
	cur := l.rows[key]
	var have oplog.Epoch
	if cur != nil {
		have = cur.Epoch
	}
	if have != old {
		return false
	}
	if next == nil {
		delete(l.rows, key)
	} else {
		l.rows[key] = next
	}
	l.w.truth.swapped(key, cur, next)
	return true
}

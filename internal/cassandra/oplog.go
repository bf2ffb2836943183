package cassandra

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/s3mirror/s3mirror/internal/object"
	"github.com/s3mirror/s3mirror/internal/oplog"
)

// turnWait is how long a change waits for others of the same row before it is
// refused. As long as a client waits for a key's lock.
const turnWait = 10 * time.Second

// Log is the operation log in Cassandra. Several processes may have one on the
// same keyspace.
type Log struct {
	store  store
	logger *slog.Logger
	now    func() time.Time
	turns  *queue

	swaps  *prometheus.CounterVec // by outcome
	rounds *prometheus.CounterVec // by kind
	seq    atomic.Uint64          // of the last event
	format atomic.Int32           // of the rows that are written
	places places
	hours  hours

	gate   sync.RWMutex // held for reading by every call, for writing by Close
	closed bool         // guarded by gate
}

var (
	_ oplog.Log       = (*Log)(nil)
	_ oplog.Formatter = (*Log)(nil)
)

// newLog makes a log on a store, which it owns. now nil: the wall clock.
func newLog(s store, logger *slog.Logger, now func() time.Time) *Log {
	if now == nil {
		now = time.Now
	}
	rounds := newRounds()
	l := &Log{store: count(s, rounds), logger: logger, now: now, turns: newQueue(turnWait), swaps: newSwaps(), rounds: rounds}
	l.format.Store(oplog.OldestFormat)
	l.seq.Store(uint64(now().UnixNano())) // later than before the restart
	return l
}

// begin admits a call; the caller ends it. ErrClosed, the context's error.
func (l *Log) begin(ctx context.Context) error {
	l.gate.RLock()
	err := ctx.Err()
	if l.closed {
		err = oplog.ErrClosed
	}
	if err != nil {
		l.gate.RUnlock()
	}
	return err
}

func (l *Log) end() { l.gate.RUnlock() }

// beginChange is begin for mutations. ErrNotApplied.
func (l *Log) beginChange(ctx context.Context) error {
	return notApplied(l.begin(ctx))
}

// notApplied says of an error that came before anything was changed that
// nothing was.
func notApplied(err error) error {
	if err == nil || errors.Is(err, oplog.ErrNotApplied) {
		return err
	}
	return oplog.NotApplied(err)
}

// Close implements oplog.Log: it waits for the calls that run, each bounded by
// the time-outs of its statements.
func (l *Log) Close() error {
	l.gate.Lock()
	defer l.gate.Unlock()
	if !l.closed {
		l.closed = true
		l.store.close()
	}
	return nil
}

// Row implements oplog.Log.
func (l *Log) Row(ctx context.Context, key object.Key) (oplog.Row, error) {
	if err := l.begin(ctx); err != nil {
		return oplog.Row{}, err
	}
	defer l.end()
	row, ok, err := l.store.read(ctx, keyRows, keyID(key))
	switch {
	case err != nil:
		return oplog.Row{}, fmt.Errorf("read row of %v: %w", key, err)
	case !ok:
		return oplog.Row{}, oplog.ErrNoRow
	}
	return oplog.DecodeRow(row.body)
}

func keyID(key object.Key) rowID { return rowID{space: key.Bucket, name: key.Name} }

// WriteFormat implements oplog.Formatter.
func (l *Log) WriteFormat(format int) { l.format.Store(int32(format)) }

// Swap implements oplog.Log.
func (l *Log) Swap(ctx context.Context, key object.Key, old oplog.Epoch, row *oplog.Row) error {
	if err := oplog.CheckSwap(old, row); err != nil {
		return err
	}
	c := change{family: keyFamily, id: keyID(key), old: old}
	if row != nil {
		c.epoch, c.body = row.Epoch, oplog.EncodeRowAs(row, int(l.format.Load()))
	}
	return l.swap(ctx, c)
}

// change is one compare-and-set of a row or a document.
type change struct {
	*family
	id    rowID
	old   oplog.Epoch // zero: there must be none
	epoch oplog.Epoch
	body  []byte // nil: drop
}

// swap is the one path of every compare-and-set.
func (l *Log) swap(ctx context.Context, c change) error {
	err := l.trySwap(ctx, c)
	l.swaps.WithLabelValues(outcomeOf(err)).Inc()
	return err
}

// trySwap outlives a caller that gives
// up, so that its turn is not given away while it may still be applied: it then
// ends by itself, bounded by the time-outs of its statements, and keeps Close
// waiting.
func (l *Log) trySwap(ctx context.Context, c change) error {
	if err := l.beginChange(ctx); err != nil {
		return err
	}
	leave, err := l.turns.acquire(ctx, c.rows.name+"\x00"+c.id.space+"\x00"+c.id.name)
	if err != nil {
		l.end()
		return oplog.NotApplied(err)
	}
	done := make(chan error, 1)
	go func() {
		defer l.end()
		err := l.apply(ctx, c)
		leave()
		done <- err
	}()
	select {
	case err = <-done:
		return err
	case <-ctx.Done():
	}
	select {
	case err = <-done: // both were ready
		return err
	default:
		return oplog.Unknown(ctx.Err())
	}
}

// apply makes the change while its row's turn is held. The end of asked stops it
// only as long as nothing was sent that it could not take back.
func (l *Log) apply(asked context.Context, c change) error {
	ctx := context.WithoutCancel(asked)
	switch {
	case c.body == nil:
		return l.drop(ctx, c)
	case c.old.IsZero():
		return l.create(asked, c)
	}
	return verdict(l.store.update(ctx, c.rows, c.id, c.old, c.epoch, c.body))
}

// create marks, then inserts: a row is in the index before it can be read. What
// it knows not to have made it unmarks; a mark that stays is harmless.
//
// The partition of the mark may be dropped once its slot is over for a whole
// slot. Whoever slept that long marks anew, before the insert and after it.
func (l *Log) create(asked context.Context, c change) error {
	ctx := context.WithoutCancel(asked)
	nonce := oplog.NewEpoch()
	at := l.place(c)
	for {
		if err := l.mark(ctx, at, c.id.name, nonce); err != nil {
			return oplog.NotApplied(err)
		}
		now := l.place(c)
		if now == at {
			break
		}
		at = now
	}
	if err := asked.Err(); err != nil { // nobody waits any more, and nothing has happened
		l.unmark(ctx, at, c.id.name, nonce)
		return oplog.NotApplied(err)
	}
	err := verdict(l.store.insert(ctx, c.rows, c.id, stored{epoch: c.epoch, mark: nonce, body: c.body}))
	if errors.Is(err, oplog.ErrConflict) || errors.Is(err, oplog.ErrNotApplied) {
		l.unmark(ctx, at, c.id.name, nonce)
		return err
	}
	if now := l.place(c); now != at {
		if failed := l.mark(ctx, now, c.id.name, nonce); failed != nil {
			l.logger.WarnContext(ctx, "row may be missing in the index once its mark is swept", "error", failed)
		}
	}
	return err
}

// drop deletes, then unmarks: only when it knows that it deleted, and only the
// marks of that very row. An epoch never comes back, so what is read first may
// be believed when it differs.
func (l *Log) drop(ctx context.Context, c change) error {
	row, _, err := l.store.read(ctx, c.rows, c.id)
	switch {
	case err != nil:
		return oplog.NotApplied(err)
	case row.epoch != c.old:
		return oplog.ErrConflict
	case c.old.IsZero():
		return nil
	}
	if err := verdict(l.store.remove(ctx, c.rows, c.id, c.old)); err != nil {
		return err
	}
	l.unmarkAll(ctx, c, row.mark)
	return nil
}

// verdict turns the answer of a conditional statement into the contract's words.
func verdict(applied bool, err error) error {
	if err == nil && !applied {
		return oplog.ErrConflict
	}
	return err
}

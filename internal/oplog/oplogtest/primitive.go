package oplogtest

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/s3mirror/s3mirror/internal/object"
	"github.com/s3mirror/s3mirror/internal/oplog"
)

// Primitive is a Log on a Store: the index discipline of RELIABILITY R30 with
// nothing but what Cassandra offers.
//
// Before a row is made a mark of it, under a fresh nonce, is written into a
// partition of its shard, bucket and slot of time; the row keeps the nonce. Only
// whoever is told that it dropped the row removes marks, and only those of that
// nonce. So a row always has its mark, and a mark without row is harmless: an
// outcome that nobody learnt leaves one behind, and Sweep throws it away with its
// whole partition, after it marked what still stands in the present one.
// Due and Range go through the marks and then read the rows.
//
// It assumes, as the marks' partitions do, that no statement is applied later
// than a slot after it was sent.
type Primitive struct {
	store  *Store
	now    func() time.Time
	seq    atomic.Uint64
	closed atomic.Bool

	sharedMarks bool // breaks R30, for the test of the tests: all marks of a key are one

	mu    sync.Mutex      // guards known
	known map[string]bool // partitions that are in the directory
}

var _ oplog.Log = (*Primitive)(nil)

// slot is how long one partition of marks takes new ones.
const slot = time.Hour

// NewPrimitive makes a log on the store. Several may share it, as nodes do. now
// nil: the wall clock.
func NewPrimitive(store *Store, now func() time.Time) *Primitive {
	if now == nil {
		now = time.Now
	}
	p := &Primitive{store: store, now: now, known: map[string]bool{}}
	p.seq.Store(uint64(now().UnixNano()))
	return p
}

func rowID(key object.Key) RowID { return RowID{Space: "row/" + key.Bucket, Name: key.Name} }

// Row implements oplog.Log.
func (p *Primitive) Row(ctx context.Context, key object.Key) (oplog.Row, error) {
	if p.closed.Load() {
		return oplog.Row{}, oplog.ErrClosed
	}
	stored, ok, err := p.store.Read(ctx, rowID(key))
	if err != nil {
		return oplog.Row{}, fmt.Errorf("read row of %v: %w", key, err)
	}
	if !ok {
		return oplog.Row{}, oplog.ErrNoRow
	}
	return oplog.DecodeRow(stored.Body)
}

// Swap implements oplog.Log.
func (p *Primitive) Swap(ctx context.Context, key object.Key, old oplog.Epoch, row *oplog.Row) error {
	if p.closed.Load() {
		return oplog.ErrClosed
	}
	if err := errors.Join(oplog.CheckBegin(ctx), oplog.CheckSwap(old, row)); err != nil {
		return err
	}
	switch {
	case row == nil:
		return p.drop(ctx, key, old)
	case old.IsZero():
		return p.create(ctx, key, row)
	}
	return verdict(p.store.Update(ctx, rowID(key), old, row.Epoch, oplog.EncodeRow(row)))
}

// create marks, then inserts. What it knows not to have made it unmarks.
func (p *Primitive) create(ctx context.Context, key object.Key, row *oplog.Row) error {
	nonce := oplog.NewEpoch()
	if p.sharedMarks {
		nonce = oplog.Epoch{}
	}
	at := p.slot()
	if err := p.mark(ctx, key, nonce, at); err != nil {
		return oplog.NotApplied(err) // a mark that is there all the same is harmless
	}
	if p.slot() > at { // a stall: that partition may soon be dropped
		if err := p.mark(ctx, key, nonce, p.slot()); err != nil {
			return oplog.NotApplied(err)
		}
	}
	err := verdict(p.store.Insert(ctx, rowID(key), StoredRow{Epoch: row.Epoch, Mark: nonce, Body: oplog.EncodeRow(row)}))
	if errors.Is(err, oplog.ErrConflict) || errors.Is(err, oplog.ErrNotApplied) {
		_ = p.unmark(ctx, key, nonce) // what stays is harmless
	}
	return err
}

// drop deletes, then unmarks: only when it knows that it deleted, and only the
// marks of that very row.
func (p *Primitive) drop(ctx context.Context, key object.Key, old oplog.Epoch) error {
	stored, _, err := p.store.Read(ctx, rowID(key))
	switch {
	case err != nil:
		return oplog.NotApplied(err)
	case stored.Epoch != old:
		return oplog.ErrConflict // an epoch never comes back
	case old.IsZero():
		return nil
	}
	if err := verdict(p.store.Delete(ctx, rowID(key), old)); err != nil {
		return err
	}
	_ = p.unmark(ctx, key, stored.Mark) // what stays is harmless
	return nil
}

// verdict turns the answer of a conditional statement into the contract's words.
func verdict(applied bool, err error) error {
	if err == nil && !applied {
		return oplog.ErrConflict
	}
	return err
}

// Stats implements oplog.Log by counting marks.
func (p *Primitive) Stats(ctx context.Context) (oplog.Stats, error) {
	if p.closed.Load() {
		return oplog.Stats{}, oplog.ErrClosed
	}
	var stats oplog.Stats
	for shard := range oplog.Shards {
		partitions, err := p.partitions(ctx, shard, "")
		if err != nil {
			return oplog.Stats{}, err
		}
		for _, part := range partitions {
			marks, err := p.store.Scan(ctx, part.name(), "", 0)
			if err != nil {
				return oplog.Stats{}, err
			}
			stats.Rows += int64(len(marks))
		}
	}
	return stats, nil
}

// Close implements oplog.Log. The store stays.
func (p *Primitive) Close() error {
	p.closed.Store(true)
	return nil
}

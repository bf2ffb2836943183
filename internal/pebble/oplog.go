package pebble

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"

	"github.com/cockroachdb/pebble/v2"
	"github.com/s3mirror/s3mirror/internal/object"
	"github.com/s3mirror/s3mirror/internal/oplog"
)

// Row implements oplog.Log. It never waits for the disk's writes.
func (l *Log) Row(ctx context.Context, key object.Key) (oplog.Row, error) {
	if err := l.begin(ctx); err != nil {
		return oplog.Row{}, err
	}
	defer l.end()
	var buf [256]byte
	var row oplog.Row
	err := l.view(rowKey(buf[:0], key), func(stored []byte) (err error) {
		row, err = oplog.DecodeRow(stored)
		return err
	})
	if err != nil && !errors.Is(err, oplog.ErrNoRow) {
		err = fmt.Errorf("read row of %v: %w", key, err)
	}
	return row, err
}

// view hands what is durable under the key to use, which must not keep it.
// ErrNoRow.
func (l *Log) view(key []byte, use func(stored []byte) error) error {
	stored, closer, err := l.db.Get(key)
	if err == nil {
		defer func() { _ = closer.Close() }() // releases a block of the cache
	} else if !errors.Is(err, pebble.ErrNotFound) {
		return err
	}
	stored = l.inflight.durable(key, stored)
	if stored == nil {
		return oplog.ErrNoRow
	}
	return use(stored)
}

// Swap implements oplog.Log.
func (l *Log) Swap(ctx context.Context, key object.Key, old oplog.Epoch, row *oplog.Row) error {
	if err := oplog.CheckSwap(old, row); err != nil {
		return err
	}
	s := swap{key: rowKey(nil, key), old: old, admit: func(was []byte) error { return l.admitRow(was, row) }}
	if row != nil {
		s.value = oplog.EncodeRow(row)
	}
	s.also = func(b *pebble.Batch, exists bool) error {
		place := shardKey(nil, oplog.ShardOf(key), s.key)
		switch {
		case row != nil && !exists:
			return b.Set(place, nil, nil)
		case row == nil && exists:
			return b.Delete(place, nil)
		}
		return nil
	}
	s.count = l.rows.add
	return l.swap(ctx, s)
}

// admitRow keeps the last of the space for the outcomes of open intents.
func (l *Log) admitRow(was []byte, row *oplog.Row) error {
	if l.space.short() && row != nil && row.Intent != nil {
		var from *oplog.Row
		if was != nil {
			before, err := oplog.DecodeRow(was)
			if err != nil {
				return oplog.NotApplied(err)
			}
			from = &before
		}
		if oplog.OpensIntent(from, row) {
			return l.space.admit(needLater)
		}
	}
	return l.space.admit(needNow)
}

// swap is one compare-and-set of a stored value that begins with its epoch.
type swap struct {
	key   []byte
	old   oplog.Epoch
	value []byte                                   // nil: drop
	admit func(was []byte) error                   // may refuse, once the epoch is right
	also  func(b *pebble.Batch, exists bool) error // what else changes in the same batch
	count func(delta int64)                        // told of a key made or dropped
}

// swap is the one path of every compare-and-set.
func (l *Log) swap(ctx context.Context, s swap) error {
	err := l.trySwap(ctx, s)
	switch {
	case err == nil:
		l.counters.applied.Add(1)
	case errors.Is(err, oplog.ErrConflict):
		l.counters.conflicts.Add(1)
	case errors.Is(err, oplog.ErrNotApplied):
		l.counters.refused.Add(1)
	default:
		l.counters.unknown.Add(1)
	}
	return err
}

func (l *Log) trySwap(ctx context.Context, s swap) error {
	if err := l.begin(ctx); err != nil {
		return notApplied(err)
	}
	c := l.inflight.acquire(ctx, l.dead, s.key)
	if c == nil {
		l.end()
		return notApplied(errors.Join(ctx.Err(), l.deadErr()))
	}
	batch, was, err := l.prepare(s)
	if err != nil || batch == nil {
		l.inflight.release(c)
		l.end()
		return err
	}
	l.inflight.commit(c, was, s.value == nil)
	return l.commit(ctx, batch, pebble.Sync, func() {
		if s.count != nil && (was == nil) != (s.value == nil) {
			s.count(delta(s.value != nil))
		}
		l.inflight.release(c)
	})
}

// commit applies the batch and ends the call that begin admitted. It outlives a
// caller that gives up: the batch goes on by itself, then runs after, and keeps
// Close waiting.
func (l *Log) commit(ctx context.Context, batch *pebble.Batch, how *pebble.WriteOptions, after func()) error {
	done := make(chan struct{})
	go func() {
		l.apply(batch, how)
		after()
		l.end()
		close(done)
	}()
	select {
	case <-done:
		return nil
	case <-l.dead:
		return oplog.Unknown(errDead)
	case <-ctx.Done():
	}
	select {
	case <-done: // both were ready
		return nil
	default:
		return oplog.Unknown(ctx.Err())
	}
}

// prepare compares and builds the batch; the key is held. A nil batch without
// error means that there is nothing to do.
func (l *Log) prepare(s swap) (batch *pebble.Batch, was []byte, err error) {
	was, err = l.get(s.key)
	if err != nil {
		return nil, nil, oplog.NotApplied(err)
	}
	var at oplog.Epoch
	if was != nil {
		if at, err = oplog.StoredEpoch(was); err != nil {
			return nil, nil, oplog.NotApplied(err)
		}
	}
	switch {
	case at != s.old:
		return nil, nil, oplog.ErrConflict
	case was == nil && s.value == nil:
		return nil, nil, nil
	}
	if err := s.admit(was); err != nil {
		return nil, nil, err
	}
	batch = l.db.NewBatch()
	if s.value == nil {
		err = batch.Delete(s.key, nil)
	} else {
		err = batch.Set(s.key, s.value, nil)
	}
	if err == nil && s.also != nil {
		err = s.also(batch, was != nil)
	}
	if err != nil {
		return nil, nil, oplog.NotApplied(errors.Join(err, batch.Close()))
	}
	return batch, was, nil
}

// apply commits the batch or ends the process. In a dead log it may hang.
func (l *Log) apply(batch *pebble.Batch, how *pebble.WriteOptions) {
	defer func() {
		if r := recover(); r != nil {
			l.fatal(fmt.Errorf("commit: %v", r))
		}
	}()
	if err := errors.Join(batch.Commit(how), batch.Close()); err != nil {
		l.fatal(fmt.Errorf("commit: %w", err))
	}
}

// Due implements oplog.Log; the order is that of bucket and key, with buckets of
// shorter names first.
func (l *Log) Due(ctx context.Context, shard int, after oplog.Cursor, limit int) ([]oplog.KeyRow, oplog.Cursor, error) {
	if err := oplog.CheckShard(shard); err != nil {
		return nil, "", err
	}
	if err := l.begin(ctx); err != nil {
		return nil, "", err
	}
	defer l.end()
	first := []byte{familyShard, byte(shard)}
	it, err := l.db.NewIter(&pebble.IterOptions{LowerBound: first, UpperBound: end(first)})
	if err != nil {
		return nil, "", fmt.Errorf("walk shard %d: %w", shard, err)
	}
	page, next, err := l.due(ctx, it, after, limit)
	if err := errors.Join(err, it.Close()); err != nil {
		return nil, "", fmt.Errorf("walk shard %d: %w", shard, err)
	}
	return page, next, nil
}

// due reads a page of places and the rows that they name. A row that is gone by
// then, or is not durable yet, is left out.
func (l *Log) due(ctx context.Context, it *pebble.Iterator, after oplog.Cursor, limit int) ([]oplog.KeyRow, oplog.Cursor, error) {
	start := append(bytes.Clone([]byte{familyShard}), after...)
	ok := it.First()
	if after != "" {
		ok = it.SeekGE(append(start, 0)) // the first key after the cursor's
	}
	var page []oplog.KeyRow
	var key []byte
	for ; ok; ok = it.Next() {
		if len(page) == limit {
			return page, oplog.Cursor(key), nil
		}
		key = append(key[:0], it.Key()[1:]...)
		kr, err := l.keyRow(rowOfShardKey(nil, it.Key()))
		switch {
		case err == nil:
			page = append(page, kr)
		case !errors.Is(err, oplog.ErrNoRow):
			return nil, "", err
		}
		if err := ctx.Err(); err != nil {
			return nil, "", err
		}
	}
	return page, "", it.Error()
}

func (l *Log) keyRow(stored []byte) (kr oplog.KeyRow, err error) {
	key, ok := parseRowKey(stored)
	if !ok {
		return kr, fmt.Errorf("key %x: %w", stored, oplog.ErrBadRecord)
	}
	kr.Key = key
	err = l.view(stored, func(value []byte) (err error) {
		kr.Row, err = oplog.DecodeRow(value)
		return err
	})
	return kr, err
}

// Range implements oplog.Log.
func (l *Log) Range(ctx context.Context, bucket, prefix, after string, limit int) ([]oplog.KeyRow, error) {
	if err := l.begin(ctx); err != nil {
		return nil, err
	}
	defer l.end()
	lower := rowKey(nil, object.Key{Bucket: bucket, Name: prefix})
	upper := end(lower)
	if after >= prefix {
		lower = append(rowKey(nil, object.Key{Bucket: bucket, Name: after}), 0)
	}
	var page []oplog.KeyRow
	err := l.scan(ctx, lower, upper, limit, func(stored, value []byte) error {
		key, ok := parseRowKey(stored)
		if !ok {
			return fmt.Errorf("key %x: %w", stored, oplog.ErrBadRecord)
		}
		row, err := oplog.DecodeRow(value)
		page = append(page, oplog.KeyRow{Key: key, Row: row})
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("range of %s: %w", bucket, err)
	}
	return page, nil
}

// scan hands the first limit durable values within the bounds to use, which must
// not keep them.
func (l *Log) scan(ctx context.Context, lower, upper []byte, limit int, use func(key, value []byte) error) error {
	if bytes.Compare(lower, upper) >= 0 {
		return nil
	}
	it, err := l.db.NewIter(&pebble.IterOptions{LowerBound: lower, UpperBound: upper})
	if err != nil {
		return err
	}
	err = l.scanOver(ctx, it, limit, use)
	if err == nil {
		err = l.inflight.awaitDrops(ctx, l.dead, lower, upper)
	}
	return errors.Join(err, it.Close())
}

func (l *Log) scanOver(ctx context.Context, it *pebble.Iterator, limit int, use func(key, value []byte) error) error {
	n := 0
	for ok := it.First(); ok && n < limit; ok = it.Next() {
		stored, err := it.ValueAndErr()
		if err != nil {
			return err
		}
		if stored = l.inflight.durable(it.Key(), stored); stored == nil {
			continue
		}
		if err := use(it.Key(), stored); err != nil {
			return err
		}
		n++
		if err := ctx.Err(); err != nil {
			return err
		}
	}
	return it.Error()
}

// Stats implements oplog.Log. The first call counts the rows by their keys;
// later ones know.
func (l *Log) Stats(ctx context.Context) (oplog.Stats, error) {
	if err := l.begin(ctx); err != nil {
		return oplog.Stats{}, err
	}
	defer l.end()
	rows, err := l.rows.total(func() (int64, error) { return l.countRows(ctx) })
	if err != nil {
		return oplog.Stats{}, fmt.Errorf("count rows: %w", err)
	}
	return oplog.Stats{Rows: rows, DiskBytes: int64(l.db.Metrics().DiskSpaceUsage())}, nil
}

// countRows counts the index, which has no bodies.
func (l *Log) countRows(ctx context.Context) (n int64, err error) {
	first := []byte{familyShard}
	it, err := l.db.NewIter(&pebble.IterOptions{LowerBound: first, UpperBound: end(first)})
	if err != nil {
		return 0, err
	}
	for ok := it.First(); ok && err == nil; ok = it.Next() {
		if n++; n%4096 == 0 {
			err = ctx.Err()
		}
	}
	return n, errors.Join(err, it.Error(), it.Close())
}

// rowCount is the number of rows: those counted once, and what came and went.
type rowCount struct {
	changed atomic.Int64
	mu      sync.Mutex // guards what follows
	known   bool
	base    int64
}

func (c *rowCount) add(delta int64) { c.changed.Add(delta) }

func (c *rowCount) total(count func() (int64, error)) (int64, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.known {
		before := c.changed.Load() // changes during the count may be missed or counted twice
		n, err := count()
		if err != nil {
			return 0, err
		}
		c.base, c.known = n-before, true
	}
	return max(0, c.base+c.changed.Load()), nil
}

func delta(made bool) int64 {
	if made {
		return 1
	}
	return -1
}

// notApplied marks what happened before a change began.
func notApplied(err error) error {
	if errors.Is(err, oplog.ErrNotApplied) {
		return err
	}
	return oplog.NotApplied(err)
}

func (l *Log) deadErr() error {
	select {
	case <-l.dead:
		return errDead
	default:
		return nil
	}
}

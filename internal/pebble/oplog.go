package pebble

import (
	"context"
	"errors"
	"fmt"

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
	fresh bool                                     // an insert without epoch: what is there already stays
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
	l.crew.Go(func() {
		l.apply(batch, how)
		after()
		l.end()
		close(done)
	})
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
	if s.fresh && was != nil {
		return nil, nil, nil
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

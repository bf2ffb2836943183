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
		if page == nil {
			page = make([]oplog.KeyRow, 0, min(limit, 32))
		}
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

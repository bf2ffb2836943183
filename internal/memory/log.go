package memory

import (
	"cmp"
	"context"
	"slices"
	"strings"
	"sync"

	"github.com/s3mirror/s3mirror/internal/object"
	"github.com/s3mirror/s3mirror/internal/oplog"
)

// Log is an operation log in memory: all of oplog.Log's promises but that
// nothing outlives the process. Rows, documents and events are kept in their
// stored form, so that nothing is shared with the caller and the codec is used
// as a disk would use it. It is for tests and the demo.
type Log struct {
	mu     sync.RWMutex // guards what follows
	closed bool
	rows   map[object.Key][]byte
	keys   []object.Key // of rows, in order of bucket and key
	docs   map[docName][]byte
	names  []docName                  // of docs, in order
	parts  map[object.ID][]storedPart // by upload, in order
	events []storedEvent
	seq    uint64 // of the last event
	bytes  int64  // of rows
}

type docName struct {
	kind oplog.DocKind
	name string
}

var _ oplog.Log = (*Log)(nil)

// NewLog makes an empty log.
func NewLog() *Log {
	return &Log{rows: map[object.Key][]byte{}, docs: map[docName][]byte{}, parts: map[object.ID][]storedPart{}}
}

// Row implements oplog.Log.
func (l *Log) Row(ctx context.Context, key object.Key) (oplog.Row, error) {
	l.mu.RLock()
	defer l.mu.RUnlock()
	if err := l.readable(ctx); err != nil {
		return oplog.Row{}, err
	}
	data, ok := l.rows[key]
	if !ok {
		return oplog.Row{}, oplog.ErrNoRow
	}
	return oplog.DecodeRow(data)
}

// Swap implements oplog.Log.
func (l *Log) Swap(ctx context.Context, key object.Key, old oplog.Epoch, row *oplog.Row) error {
	if err := oplog.CheckSwap(old, row); err != nil {
		return err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if err := l.writable(ctx); err != nil {
		return err
	}
	was, exists := l.rows[key]
	if err := compare(was, exists, old); err != nil {
		return err
	}
	l.bytes -= int64(len(was))
	switch {
	case row == nil && exists:
		delete(l.rows, key)
		l.keys = without(l.keys, key, compareKeys)
	case row != nil:
		if !exists {
			key.Name, key.Bucket = strings.Clone(key.Name), strings.Clone(key.Bucket)
			l.keys = with(l.keys, key, compareKeys)
		}
		l.rows[key] = oplog.EncodeRow(row)
		l.bytes += int64(len(l.rows[key]))
	}
	return nil
}

// Due implements oplog.Log; the order is that of bucket and key.
func (l *Log) Due(ctx context.Context, shard int, after oplog.Cursor, limit int) ([]oplog.KeyRow, oplog.Cursor, error) {
	if err := oplog.CheckShard(shard); err != nil {
		return nil, "", err
	}
	l.mu.RLock()
	defer l.mu.RUnlock()
	if err := l.readable(ctx); err != nil {
		return nil, "", err
	}
	start := 0
	if bucket, name, ok := strings.Cut(string(after), "\x00"); ok {
		start = l.after(object.Key{Bucket: bucket, Name: name})
	}
	var page []oplog.KeyRow
	for _, key := range l.keys[start:] {
		if oplog.ShardOf(key) != shard {
			continue
		}
		if len(page) == limit {
			last := page[limit-1].Key
			return page, oplog.Cursor(last.Bucket + "\x00" + last.Name), nil
		}
		row, err := oplog.DecodeRow(l.rows[key])
		if err != nil {
			return nil, "", err
		}
		page = append(page, oplog.KeyRow{Key: key, Row: row})
	}
	return page, "", nil
}

// Range implements oplog.Log.
func (l *Log) Range(ctx context.Context, bucket, prefix, after string, limit int) ([]oplog.KeyRow, error) {
	l.mu.RLock()
	defer l.mu.RUnlock()
	if err := l.readable(ctx); err != nil {
		return nil, err
	}
	start := l.after(object.Key{Bucket: bucket, Name: after})
	if prefix > after {
		start, _ = slices.BinarySearchFunc(l.keys, object.Key{Bucket: bucket, Name: prefix}, compareKeys)
	}
	var page []oplog.KeyRow
	for _, key := range l.keys[start:] {
		if len(page) == limit || key.Bucket != bucket || !strings.HasPrefix(key.Name, prefix) {
			break
		}
		row, err := oplog.DecodeRow(l.rows[key])
		if err != nil {
			return nil, err
		}
		page = append(page, oplog.KeyRow{Key: key, Row: row})
	}
	return page, nil
}

// Stats implements oplog.Log; DiskBytes are those of the rows.
func (l *Log) Stats(ctx context.Context) (oplog.Stats, error) {
	l.mu.RLock()
	defer l.mu.RUnlock()
	if err := l.readable(ctx); err != nil {
		return oplog.Stats{}, err
	}
	return oplog.Stats{Rows: int64(len(l.rows)), DiskBytes: l.bytes}, nil
}

// Close implements oplog.Log. What the log held is gone.
func (l *Log) Close() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.closed = true
	l.rows, l.keys, l.docs, l.names, l.parts, l.events = nil, nil, nil, nil, nil, nil
	return nil
}

// readable tells why a read must fail; mu is held.
func (l *Log) readable(ctx context.Context) error {
	if l.closed {
		return oplog.ErrClosed
	}
	return ctx.Err()
}

// writable tells why a change is refused; mu is held.
func (l *Log) writable(ctx context.Context) error {
	if l.closed {
		return oplog.ErrClosed
	}
	return oplog.CheckBegin(ctx)
}

// after is the place of the first key greater than this one; mu is held.
func (l *Log) after(key object.Key) int {
	at, found := slices.BinarySearchFunc(l.keys, key, compareKeys)
	if found {
		at++
	}
	return at
}

// compare holds what is stored against the epoch that a swap expects.
func compare(stored []byte, exists bool, old oplog.Epoch) error {
	var at oplog.Epoch
	if exists {
		var err error
		if at, err = oplog.StoredEpoch(stored); err != nil {
			return oplog.NotApplied(err)
		}
	}
	if at != old {
		return oplog.ErrConflict
	}
	return nil
}

func compareKeys(a, b object.Key) int {
	return cmp.Or(strings.Compare(a.Bucket, b.Bucket), strings.Compare(a.Name, b.Name))
}

// with adds an item to a sorted slice; without takes it out.
func with[T any](sorted []T, item T, order func(a, b T) int) []T {
	at, _ := slices.BinarySearchFunc(sorted, item, order)
	return slices.Insert(sorted, at, item)
}

func without[T any](sorted []T, item T, order func(a, b T) int) []T {
	at, found := slices.BinarySearchFunc(sorted, item, order)
	if !found {
		return sorted
	}
	return slices.Delete(sorted, at, at+1)
}

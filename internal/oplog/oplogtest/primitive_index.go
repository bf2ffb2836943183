package oplogtest

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/s3mirror/s3mirror/internal/object"
	"github.com/s3mirror/s3mirror/internal/oplog"
)

// partition is one partition of marks.
type partition struct {
	shard  int
	bucket string
	slot   uint64
}

func (p partition) name() string { return fmt.Sprintf("due/%d/%d/%s", p.shard, p.slot, p.bucket) }

// entry is its record in the directory of the shard: buckets first, then slots.
func (p partition) entry() string {
	return p.bucket + "\x00" + string(binary.BigEndian.AppendUint64(nil, p.slot))
}

func parseEntry(shard int, entry string) partition {
	at := len(entry) - 8
	return partition{shard: shard, bucket: entry[:at-1], slot: binary.BigEndian.Uint64([]byte(entry[at:]))}
}

func directory(shard int) string { return fmt.Sprintf("dir/%d", shard) }

func (p *Primitive) slot() uint64 { return uint64(p.now().UnixNano() / int64(slot)) }

// mark writes a mark, and before it that its partition exists.
func (p *Primitive) mark(ctx context.Context, key object.Key, nonce oplog.Epoch, at uint64) error {
	part := partition{shard: oplog.ShardOf(key), bucket: key.Bucket, slot: at}
	if !p.isKnown(part.name()) {
		if err := p.store.Mark(ctx, directory(part.shard), part.entry(), nil); err != nil {
			return err
		}
		p.setKnown(part.name(), true)
	}
	return p.store.Mark(ctx, part.name(), key.Name+string(nonce[:]), nil)
}

// unmark removes the marks of one nonce from all partitions where they may be.
func (p *Primitive) unmark(ctx context.Context, key object.Key, nonce oplog.Epoch) error {
	partitions, err := p.partitions(ctx, oplog.ShardOf(key), key.Bucket)
	for _, part := range partitions {
		err = errors.Join(err, p.store.Unmark(ctx, part.name(), key.Name+string(nonce[:])))
	}
	return err
}

// splitMark tells the key and the nonce of a mark.
func splitMark(name string) (key string, nonce oplog.Epoch) {
	at := len(name) - len(nonce)
	copy(nonce[:], name[at:])
	return name[:at], nonce
}

// partitions lists those of a shard, of one bucket or, with none named, of all.
func (p *Primitive) partitions(ctx context.Context, shard int, bucket string) ([]partition, error) {
	from := ""
	if bucket != "" {
		from = bucket + "\x00"
	}
	records, err := p.store.Scan(ctx, directory(shard), from, 0)
	if err != nil {
		return nil, err
	}
	var found []partition
	for _, r := range records {
		part := parseEntry(shard, r.Name)
		if bucket == "" || part.bucket == bucket {
			found = append(found, part)
		}
	}
	return found, nil
}

// Due implements oplog.Log. A mark counts only if its row has its nonce; what is
// marked in two slots, after a sweep that did not end, comes twice.
func (p *Primitive) Due(ctx context.Context, shard int, after oplog.Cursor, limit int) ([]oplog.KeyRow, oplog.Cursor, error) {
	if p.closed.Load() {
		return nil, "", oplog.ErrClosed
	}
	if err := oplog.CheckShard(shard); err != nil {
		return nil, "", err
	}
	entry, from := parseCursor(after)
	var page []oplog.KeyRow
	budget := 4*limit + 16 // marks to look at: a page full of stale ones ends too
	for {
		// Asked for one after the other: a mark that a sweep moves goes to a later
		// partition, which may be new.
		part, ok, err := p.nextPartition(ctx, shard, entry)
		if err != nil {
			return nil, "", fmt.Errorf("walk shard %d: %w", shard, err)
		}
		if !ok {
			return page, "", nil
		}
		if part.entry() > entry {
			from = ""
		}
		marks, err := p.store.Scan(ctx, part.name(), from, budget)
		if err != nil {
			return nil, "", fmt.Errorf("walk shard %d: %w", shard, err)
		}
		for _, mark := range marks {
			kr, ok, err := p.marked(ctx, part.bucket, mark.Name)
			if err != nil {
				return nil, "", fmt.Errorf("walk shard %d: %w", shard, err)
			}
			if ok {
				page = append(page, kr)
			}
			if budget--; budget == 0 || len(page) == limit {
				return page, newCursor(part.entry(), mark.Name+"\x00"), nil
			}
		}
		entry = part.entry() + "\x00"
	}
}

// nextPartition is the first of a shard whose entry is not before the given one.
func (p *Primitive) nextPartition(ctx context.Context, shard int, entry string) (part partition, ok bool, err error) {
	records, err := p.store.Scan(ctx, directory(shard), entry, 1)
	if err != nil || len(records) == 0 {
		return part, false, err
	}
	return parseEntry(shard, records[0].Name), true, nil
}

// marked reads the row that a mark names; false: the mark is stale.
func (p *Primitive) marked(ctx context.Context, bucket, mark string) (kr oplog.KeyRow, ok bool, err error) {
	name, nonce := splitMark(mark)
	kr.Key = object.Key{Bucket: bucket, Name: name}
	stored, ok, err := p.store.Read(ctx, rowID(kr.Key))
	if err != nil || !ok || stored.Mark != nonce {
		return kr, false, err
	}
	kr.Row, err = oplog.DecodeRow(stored.Body)
	return kr, err == nil, err
}

// Range implements oplog.Log: the marks of all the bucket's partitions, then the
// rows in order of their keys.
func (p *Primitive) Range(ctx context.Context, bucket, prefix, after string, limit int) ([]oplog.KeyRow, error) {
	if p.closed.Load() {
		return nil, oplog.ErrClosed
	}
	names, err := p.markedNames(ctx, bucket, prefix, after)
	if err != nil {
		return nil, fmt.Errorf("range of %s: %w", bucket, err)
	}
	var page []oplog.KeyRow
	for _, name := range names {
		if len(page) == limit {
			break
		}
		key := object.Key{Bucket: bucket, Name: name}
		row, err := p.Row(ctx, key)
		switch {
		case err == nil:
			page = append(page, oplog.KeyRow{Key: key, Row: row})
		case !errors.Is(err, oplog.ErrNoRow):
			return nil, fmt.Errorf("range of %s: %w", bucket, err)
		}
	}
	return page, nil
}

// markedNames goes through the partitions from the oldest on, and then through
// those that are new: a sweep moves marks to a newer one before it drops theirs.
func (p *Primitive) markedNames(ctx context.Context, bucket, prefix, after string) ([]string, error) {
	var names []string
	for shard := range oplog.Shards {
		seen := map[partition]bool{}
		for again := true; again; {
			partitions, err := p.partitions(ctx, shard, bucket)
			if err != nil {
				return nil, err
			}
			again = false
			for _, part := range partitions {
				if seen[part] {
					continue
				}
				seen[part], again = true, true
				marks, err := p.store.Scan(ctx, part.name(), max(prefix, after), 0)
				if err != nil {
					return nil, err
				}
				for _, mark := range marks {
					if name, _ := splitMark(mark.Name); strings.HasPrefix(name, prefix) && name > after {
						names = append(names, name)
					}
				}
			}
		}
	}
	slices.Sort(names)
	return slices.Compact(names), nil
}

// Sweep marks what stands in partitions older than the last slot in the present
// one and drops them, stale marks and all. It may be repeated, and run while rows
// change.
func (p *Primitive) Sweep(ctx context.Context, shard int) error {
	now := p.slot()
	partitions, err := p.partitions(ctx, shard, "")
	for _, part := range partitions {
		if err == nil && part.slot+1 < now {
			err = p.sweep(ctx, part, now)
		}
	}
	return err
}

func (p *Primitive) sweep(ctx context.Context, part partition, now uint64) error {
	marks, err := p.store.Scan(ctx, part.name(), "", 0)
	if err != nil {
		return err
	}
	for _, mark := range marks {
		kr, ok, err := p.marked(ctx, part.bucket, mark.Name)
		if err == nil && ok {
			_, nonce := splitMark(mark.Name)
			err = p.mark(ctx, kr.Key, nonce, now)
		}
		if err != nil {
			return err // the partition stays
		}
	}
	p.setKnown(part.name(), false)
	if err := p.store.DropPartition(ctx, part.name()); err != nil {
		return err
	}
	return p.store.Unmark(ctx, directory(part.shard), part.entry())
}

func (p *Primitive) isKnown(partition string) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.known[partition]
}

func (p *Primitive) setKnown(partition string, known bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.known[partition] = known
}

// A cursor is the entry of a partition, counted, and the first mark to read.
func newCursor(entry, from string) oplog.Cursor {
	return oplog.Cursor(append(binary.AppendUvarint(nil, uint64(len(entry))), entry+from...))
}

func parseCursor(c oplog.Cursor) (entry, from string) {
	n, width := binary.Uvarint([]byte(c))
	if width <= 0 || n > uint64(len(c)-width) {
		return "", "" // the beginning
	}
	return string(c[width : width+int(n)]), string(c[width+int(n):])
}

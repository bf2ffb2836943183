package cassandra

import (
	"cmp"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/s3mirror/s3mirror/internal/object"
	"github.com/s3mirror/s3mirror/internal/oplog"
)

// The index: how rows are found without their keys (RELIABILITY R30).
//
// Cassandra cannot range over partitions, so a mark of each row, under a nonce of
// its own, stands in a partition of its space, shard and slot of time. It is
// written before the row is made; the row keeps the nonce; whoever is told that
// it dropped the row erases the marks of that nonce and no other. So a row always
// has a mark, and a mark without row is harmless.
//
// A slot takes new marks for an hour. When it has been over for another hour a
// sweep (sweep.go) copies what still stands into a slot of a day, and drops the
// partition whole, with all that nobody erased; slots of days go the same way. A
// mark moves only from a lower slot to a higher one, and the copy is there before
// the original goes: whoever reads the slots of a shard in rising order, and
// learns of new ones after the old ones were read, meets it.
//
// All this assumes that no statement is applied later than a slot after it was
// sent.

// family is a sort of rows and how they are spread over shards.
type family struct {
	name  string
	rows  *rowTable
	shard func(id rowID) int64
}

var (
	keyFamily = &family{name: "key", rows: keyRows, shard: func(id rowID) int64 {
		return int64(oplog.ShardOf(object.Key{Bucket: id.space, Name: id.name}))
	}}
	// Documents are few.
	docFamily = &family{name: "document", rows: docRows, shard: func(rowID) int64 { return 0 }}
)

// slot is a span of time: of an hour, or, above 1<<48, of a day. It counts from 1970.
type slot int64

const (
	hour   = int64(time.Hour / time.Second)
	day    = 24 * hour
	daySet = 1 << 48 // the slots of days begin here
)

func hourSlot(t time.Time) slot { return slot(t.Unix() / hour) }
func daySlot(t time.Time) slot  { return daySet + slot(t.Unix()/day) }

// over tells whether the slot ended at least a whole slot ago.
func (s slot) over(now time.Time) bool {
	if s >= daySet {
		return s+1 < daySlot(now)
	}
	return s+1 < hourSlot(now)
}

// place is one partition of marks.
type place struct {
	family, space string
	shard         int64
	slot          slot
}

func (p place) partition() key { return key{p.family, p.space, p.shard, int64(p.slot)} }

// place is where a row that is made now is marked.
func (l *Log) place(c change) place {
	return place{family: c.name, space: c.id.space, shard: c.shard(c.id), slot: hourSlot(l.now())}
}

// places remembers which partitions of marks of the present hour this process has
// entered in the directories. Later hours' replace them.
type places struct {
	mu    sync.Mutex // guards what follows
	slot  slot
	known map[place]bool
}

func (p *places) has(at place) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.slot == at.slot && p.known[at]
}

func (p *places) add(at place) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if at.slot > p.slot && at.slot < daySet {
		p.slot, p.known = at.slot, map[place]bool{}
	}
	if at.slot == p.slot {
		p.known[at] = true
	}
}

// mark writes a mark, and before it that its partition exists.
func (l *Log) mark(ctx context.Context, at place, name string, nonce oplog.Epoch) error {
	if !l.places.has(at) {
		if err := l.enter(ctx, at); err != nil {
			return fmt.Errorf("enter a partition of marks: %w", err)
		}
		l.places.add(at)
	}
	if err := l.store.put(ctx, marks, at.partition(), key{name, string(nonce[:])}, nil); err != nil {
		return fmt.Errorf("mark: %w", err)
	}
	return nil
}

// enter notes that a partition of marks exists.
func (l *Log) enter(ctx context.Context, at place) error {
	return errors.Join(
		l.store.put(ctx, markSpaces, key{at.family, at.space}, key{at.shard, int64(at.slot)}, nil),
		l.store.put(ctx, markShards, key{at.family, at.shard}, key{at.space, int64(at.slot)}, nil))
}

// unmark erases a mark of a row that is known not to be there. What stays is
// harmless.
func (l *Log) unmark(ctx context.Context, at place, name string, nonce oplog.Epoch) {
	if err := l.store.erase(ctx, marks, at.partition(), key{name, string(nonce[:])}); err != nil {
		l.logger.DebugContext(ctx, "mark stays until it is swept", "error", err)
	}
}

// unmarkAll erases the marks of one nonce wherever a sweep may have put them.
func (l *Log) unmarkAll(ctx context.Context, c change, nonce oplog.Epoch) {
	shard := c.shard(c.id)
	slots, err := l.store.scan(ctx, markSpaces, key{c.name, c.id.space}, span{from: key{shard}, to: key{shard + 1}})
	if err != nil {
		l.logger.DebugContext(ctx, "mark stays until it is swept", "error", err)
		return
	}
	for _, s := range slots {
		l.unmark(ctx, place{c.name, c.id.space, shard, slot(s.name[1].(int64))}, c.id.name, nonce)
	}
}

// atOnce is how many statements one call has under way at a time.
const atOnce = 16

// each runs do for 0 to n-1, several at a time, and returns the first error.
func each(ctx context.Context, n int, do func(ctx context.Context, i int) error) error {
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(atOnce)
	for i := range n {
		group.Go(func() error { return do(ctx, i) })
	}
	return group.Wait()
}

// Due implements oplog.Log; the order is that of bucket, slot, key. It reads rows
// at QUORUM: whatever is known applied is seen, and a row that is not decided yet
// is not missed, because its writer, or whoever reads it next, decides it.
//
// A mark counts only if its row has its nonce. What is marked in two slots comes
// twice.
func (l *Log) Due(ctx context.Context, shard int, after oplog.Cursor, limit int) ([]oplog.KeyRow, oplog.Cursor, error) {
	if err := oplog.CheckShard(shard); err != nil {
		return nil, "", err
	}
	if err := l.begin(ctx); err != nil {
		return nil, "", err
	}
	defer l.end()
	page, next, err := l.due(ctx, int64(shard), after, limit)
	if err != nil {
		return nil, "", fmt.Errorf("walk shard %d: %w", shard, err)
	}
	return page, next, nil
}

func (l *Log) due(ctx context.Context, shard int64, after oplog.Cursor, limit int) (page []oplog.KeyRow, next oplog.Cursor, err error) {
	at := parseCursor(after)
	for budget := 2*limit + 64; budget > 0; budget-- {
		// Asked anew after each partition: see the top of this file.
		entry, err := l.store.scan(ctx, markShards, key{keyFamily.name, shard}, span{from: key{at.space, int64(at.slot)}, limit: 1})
		if err != nil || len(entry) == 0 {
			return page, "", err
		}
		here := position{space: entry[0].name[0].(string), slot: slot(entry[0].name[1].(int64))}
		if here.space == at.space && here.slot == at.slot {
			here.from = at.from
		}
		from := place{keyFamily.name, here.space, shard, here.slot}
		found, err := l.store.scan(ctx, marks, from.partition(), span{from: here.from, limit: limit - len(page)})
		if err != nil {
			return nil, "", err
		}
		rows, err := l.marked(ctx, here.space, found)
		if err != nil {
			return nil, "", err
		}
		budget -= len(found)
		page = append(page, rows...)
		at = position{space: here.space, slot: here.slot + 1}
		if n := len(found); n == limit-len(page)+len(rows) { // as many as asked for: there may be more
			last := found[n-1].name
			at = position{space: here.space, slot: here.slot, from: key{last[0], last[1].(string) + "\x00"}}
		}
		if len(page) == limit {
			break
		}
	}
	return page, at.cursor(), nil
}

// marked reads the rows that marks of a space name and returns those that have
// their mark's nonce.
func (l *Log) marked(ctx context.Context, space string, found []record) ([]oplog.KeyRow, error) {
	rows := make([]*oplog.KeyRow, len(found))
	err := each(ctx, len(found), func(ctx context.Context, i int) error {
		id := rowID{space: space, name: found[i].name[0].(string)}
		row, ok, err := l.store.glance(ctx, keyRows, id)
		if err != nil || !ok || string(row.mark[:]) != found[i].name[1] {
			return err
		}
		decoded, err := oplog.DecodeRow(row.body)
		rows[i] = &oplog.KeyRow{Key: object.Key{Bucket: id.space, Name: id.name}, Row: decoded}
		return err
	})
	if err != nil {
		return nil, err
	}
	var page []oplog.KeyRow
	for _, kr := range rows {
		if kr != nil {
			page = append(page, *kr)
		}
	}
	return page, nil
}

// position is where a walk over a shard goes on: with the partition of a space
// and slot, and there with the first name to read.
type position struct {
	space string
	slot  slot
	from  key // name and nonce; nil: from the beginning
}

func (p position) cursor() oplog.Cursor {
	c := binary.BigEndian.AppendUint64(nil, uint64(p.slot))
	c = append(binary.AppendUvarint(c, uint64(len(p.space))), p.space...)
	if p.from != nil {
		name, nonce := p.from[0].(string), p.from[1].(string)
		c = append(append(binary.AppendUvarint(c, uint64(len(name))), name...), nonce...)
	}
	return oplog.Cursor(c)
}

// parseCursor reads what cursor wrote; anything else is the beginning.
func parseCursor(c oplog.Cursor) position {
	if len(c) < 8 {
		return position{}
	}
	p := position{slot: slot(binary.BigEndian.Uint64([]byte(c[:8])))}
	var ok bool
	rest := string(c[8:])
	if p.space, rest, ok = uncount(rest); !ok {
		return position{}
	}
	if name, nonce, ok := uncount(rest); ok {
		p.from = key{name, nonce}
	}
	return p
}

func uncount(s string) (text, rest string, ok bool) {
	n, width := binary.Uvarint([]byte(s))
	if width <= 0 || n > uint64(len(s)-width) {
		return "", "", false
	}
	return s[width : width+int(n)], s[width+int(n):], true
}

// Range implements oplog.Log.
func (l *Log) Range(ctx context.Context, bucket, prefix, after string, limit int) ([]oplog.KeyRow, error) {
	if err := l.begin(ctx); err != nil {
		return nil, err
	}
	defer l.end()
	page, err := l.find(ctx, keyFamily, bucket, prefix, after, limit)
	if err != nil {
		return nil, fmt.Errorf("range of %s: %w", bucket, err)
	}
	var rows []oplog.KeyRow
	for _, f := range page {
		row, err := oplog.DecodeRow(f.body)
		if err != nil {
			return nil, fmt.Errorf("range of %s: %w", bucket, err)
		}
		rows = append(rows, oplog.KeyRow{Key: object.Key{Bucket: bucket, Name: f.name}, Row: row})
	}
	return rows, nil
}

// found is a row with its name.
type found struct {
	name string
	stored
}

// find returns the rows of a space in order of their names: those that begin with
// prefix and are greater than after, at most limit. Marks nominate them; what is
// returned was read at SERIAL.
func (l *Log) find(ctx context.Context, f *family, space, prefix, after string, limit int) ([]found, error) {
	from := prefix
	if after >= prefix {
		from = after + "\x00"
	}
	var page []found
	for {
		names, next, err := l.names(ctx, f, space, prefix, from, limit-len(page)+32)
		if err != nil {
			return nil, err
		}
		for len(names) > 0 && len(page) < limit {
			some := names[:min(len(names), limit-len(page))]
			names = names[len(some):]
			rows, err := l.rows(ctx, f, space, some)
			if err != nil {
				return nil, err
			}
			page = append(page, rows...)
		}
		if len(page) == limit || next == "" {
			return page, nil
		}
		from = next
	}
}

// rows reads rows by name, at SERIAL, and returns those that are there.
func (l *Log) rows(ctx context.Context, f *family, space string, names []string) ([]found, error) {
	all := make([]*found, len(names))
	err := each(ctx, len(names), func(ctx context.Context, i int) error {
		row, ok, err := l.store.read(ctx, f.rows, rowID{space: space, name: names[i]})
		if ok {
			all[i] = &found{name: names[i], stored: row}
		}
		return err
	})
	if err != nil {
		return nil, err
	}
	var there []found
	for _, f := range all {
		if f != nil {
			there = append(there, *f)
		}
	}
	return there, nil
}

// names returns the marked names of a space from a name on that begin with
// prefix, in order, each once, and where to go on; empty: these were all. Of each
// partition it reads at most so many marks.
func (l *Log) names(ctx context.Context, f *family, space, prefix, from string, many int) (names []string, next string, err error) {
	seen := map[place]bool{}
	var mu sync.Mutex // guards names and next
	for {
		entries, err := l.store.scan(ctx, markSpaces, key{f.name, space}, span{})
		if err != nil {
			return nil, "", err
		}
		shards := map[int64][]place{} // slots of a shard rise, as the entries do
		for _, e := range entries {
			p := place{f.name, space, e.name[0].(int64), slot(e.name[1].(int64))}
			if !seen[p] {
				seen[p] = true
				shards[p.shard] = append(shards[p.shard], p)
			}
		}
		if len(shards) == 0 { // nothing new since the last look: see the top of this file
			break
		}
		todo := make([][]place, 0, len(shards))
		for _, places := range shards {
			todo = append(todo, places)
		}
		err = each(ctx, len(todo), func(ctx context.Context, i int) error {
			for _, p := range todo[i] {
				marks, err := l.store.scan(ctx, marks, p.partition(), span{from: key{from}, to: end(prefix), limit: many})
				if err != nil {
					return err
				}
				mu.Lock()
				for _, m := range marks {
					names = append(names, m.name[0].(string))
				}
				if len(marks) == many { // beyond the last there may be more
					if beyond := marks[many-1].name[0].(string) + "\x00"; next == "" || beyond < next {
						next = beyond
					}
				}
				mu.Unlock()
			}
			return nil
		})
		if err != nil {
			return nil, "", err
		}
	}
	slices.Sort(names)
	names = slices.Compact(names)
	if next != "" {
		cut, _ := slices.BinarySearchFunc(names, next, cmp.Compare[string])
		names = names[:cut]
	}
	return names, next, nil
}

// end is the first name after all that begin with prefix, as an exclusive bound;
// nil: there is none.
func end(prefix string) key {
	for last := len(prefix) - 1; last >= 0; last-- {
		if prefix[last] != 0xff {
			return key{prefix[:last] + string([]byte{prefix[last] + 1})}
		}
	}
	return nil
}

// Stats implements oplog.Log by counting marks. What the rows take on the disks of
// the cluster is not known.
func (l *Log) Stats(ctx context.Context) (oplog.Stats, error) {
	if err := l.begin(ctx); err != nil {
		return oplog.Stats{}, err
	}
	defer l.end()
	var mu sync.Mutex // guards stats
	var stats oplog.Stats
	err := each(ctx, oplog.Shards, func(ctx context.Context, shard int) error {
		all, err := l.store.scan(ctx, markShards, key{keyFamily.name, int64(shard)}, span{})
		if err != nil {
			return err
		}
		for _, e := range all {
			p := place{keyFamily.name, e.name[0].(string), int64(shard), slot(e.name[1].(int64))}
			n, err := l.store.count(ctx, marks, p.partition())
			if err != nil {
				return err
			}
			mu.Lock()
			stats.Rows += n
			mu.Unlock()
		}
		return nil
	})
	if err != nil {
		return oplog.Stats{}, fmt.Errorf("count rows: %w", err)
	}
	return stats, nil
}

package cassandra

import (
	"context"
	"encoding/binary"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"time"

	"github.com/s3mirror/s3mirror/internal/oplog"
)

// fakeStore is a store in memory that offers only what Cassandra offers, outlives
// the logs made on it, and whose statements fail as Cassandra's do.
type fakeStore struct {
	*partitionStore
	forgetsNonces bool // breaks R30, for the test of the tests: a creation erases the marks of others as well

	mu   sync.Mutex   // guards hook
	hook func(string) // called before each statement, with its name and table
}

func newFakeStore() *fakeStore { return &fakeStore{partitionStore: newPartitionStore()} }

// testLog makes a log on the store, as one more node.
func testLog(s *fakeStore, now func() time.Time) *Log {
	return newLog(s, slog.New(slog.DiscardHandler), now)
}

// setHook makes hook hear of every statement from now on; nil: nobody.
func (s *fakeStore) setHook(hook func(string)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.hook = hook
}

func (s *fakeStore) hear(statement, table string) {
	s.mu.Lock()
	hook := s.hook
	s.mu.Unlock()
	if hook != nil {
		hook(statement + " " + table)
	}
}

func fakeRow(t *rowTable, id rowID) RowID {
	return RowID{Space: t.name + "/" + id.space, Name: id.name}
}

func (s *fakeStore) read(ctx context.Context, t *rowTable, id rowID) (stored, bool, error) {
	s.hear("read", t.name)
	row, ok, err := s.Read(ctx, fakeRow(t, id))
	return stored{epoch: row.Epoch, mark: row.Mark, body: row.Body}, ok, err
}

func (s *fakeStore) glance(ctx context.Context, t *rowTable, id rowID) (stored, bool, error) {
	return s.read(ctx, t, id)
}

func (s *fakeStore) insert(ctx context.Context, t *rowTable, id rowID, row stored) (bool, error) {
	s.hear("insert", t.name)
	return s.Insert(ctx, fakeRow(t, id), StoredRow{Epoch: row.epoch, Mark: row.mark, Body: row.body})
}

func (s *fakeStore) update(ctx context.Context, t *rowTable, id rowID, old, epoch oplog.Epoch, body []byte) (bool, error) {
	s.hear("update", t.name)
	return s.Update(ctx, fakeRow(t, id), old, epoch, body)
}

func (s *fakeStore) remove(ctx context.Context, t *rowTable, id rowID, old oplog.Epoch) (bool, error) {
	s.hear("remove", t.name)
	return s.Delete(ctx, fakeRow(t, id), old)
}

func (s *fakeStore) put(ctx context.Context, t *recordTable, partition, name key, body []byte) error {
	s.hear("put", t.name)
	return s.Mark(ctx, t.name+ordered(partition), ordered(name), body)
}

func (s *fakeStore) erase(ctx context.Context, t *recordTable, partition, name key) error {
	s.hear("erase", t.name)
	if s.forgetsNonces && t == marks {
		found, err := s.scan(ctx, t, partition, span{})
		if err != nil {
			return err
		}
		for _, r := range found {
			if r.name[0] == name[0] {
				if err := s.Unmark(ctx, t.name+ordered(partition), ordered(r.name)); err != nil {
					return err
				}
			}
		}
		return nil
	}
	return s.Unmark(ctx, t.name+ordered(partition), ordered(name))
}

func (s *fakeStore) drop(ctx context.Context, t *recordTable, partition key) error {
	s.hear("drop", t.name)
	return s.DropPartition(ctx, t.name+ordered(partition))
}

func (s *fakeStore) scan(ctx context.Context, t *recordTable, partition key, sp span) ([]record, error) {
	s.hear("scan", t.name)
	all, err := s.Scan(ctx, t.name+ordered(partition), ordered(sp.from), 0)
	if err != nil {
		return nil, err
	}
	var found []record
	for _, r := range all {
		if sp.to == nil || r.Name < ordered(sp.to) {
			found = append(found, record{name: unordered(t, r.Name), body: r.Body})
		}
	}
	if sp.last {
		for i, j := 0, len(found)-1; i < j; i, j = i+1, j-1 {
			found[i], found[j] = found[j], found[i]
		}
	}
	if sp.limit > 0 && len(found) > sp.limit {
		found = found[:sp.limit]
	}
	return found, nil
}

func (s *fakeStore) count(ctx context.Context, t *recordTable, partition key) (int64, error) {
	all, err := s.scan(ctx, t, partition, span{})
	return int64(len(all)), err
}

func (s *fakeStore) close() {}

// ordered is a text that sorts as the key does: bytes with an end that sorts
// before every other byte, numbers of a fixed width.
func ordered(k key) string {
	var b strings.Builder
	for _, v := range k {
		switch v := v.(type) {
		case string:
			b.WriteString(strings.ReplaceAll(v, "\x00", "\x00\xff") + "\x00\x00")
		case int64:
			b.Write(binary.BigEndian.AppendUint64(nil, uint64(v)^1<<63))
		default:
			panic(fmt.Sprintf("%T is no column", v))
		}
	}
	return b.String()
}

// unordered is the inverse of ordered for the name of a record.
func unordered(t *recordTable, s string) key {
	var k key
	for _, c := range t.cluster {
		if c.number {
			k = append(k, int64(binary.BigEndian.Uint64([]byte(s[:8]))^1<<63))
			s = s[8:]
			continue
		}
		at := strings.Index(s, "\x00\x00")
		k = append(k, strings.ReplaceAll(s[:at], "\x00\xff", "\x00"))
		s = s[at+2:]
	}
	return k
}

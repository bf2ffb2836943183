package cassandra

import (
	"context"
	"errors"
	"maps"
	"slices"
	"sync"

	"github.com/s3mirror/s3mirror/internal/oplog"
)

// partitionStore offers what a Cassandra cluster offers, and no more (RELIABILITY 4.6):
//
//   - rows, each a partition of its own, read serially and changed by one
//     conditional statement; there is no way to list or range over them;
//   - marks, plain records in partitions, written, deleted and scanned by
//     partition, in order of their names; there is no condition on them.
//
// It is in memory, linearizable, and outlives the Logs that are made on it. Fault
// draws what befalls a statement.
type partitionStore struct {
	mu    sync.Mutex // guards what follows
	rows  map[RowID]StoredRow
	marks map[string]map[string][]byte // partition -> name -> body
	fault func(Statement) Fate
	calls map[Statement]int
}

// RowID names a row: the whole of a partition key.
type RowID struct{ Space, Name string }

// StoredRow is what a row's partition holds: three columns.
type StoredRow struct {
	Epoch oplog.Epoch
	Mark  oplog.Epoch // set by the insert, left alone by updates
	Body  []byte
}

// Statement is the sort of a statement.
type Statement string

const (
	StatementRead   Statement = "read"   // serial
	StatementCAS    Statement = "cas"    // insert if not exists, update or delete if epoch = ?
	StatementMark   Statement = "mark"   // plain insert
	StatementUnmark Statement = "unmark" // plain delete of a record or a partition
	StatementScan   Statement = "scan"   // plain read of a partition
)

// Fate is what befalls a statement. Every error but Unavailable leaves the
// caller in the dark.
type Fate int

const (
	FatePass        Fate = iota
	FateUnavailable      // refused before any replica was asked: not applied
	FateTimeout          // not applied, and the caller is not told so
	FateLost             // applied, and the caller is not told so
)

var (
	errUnavailable = errors.New("not enough replicas are alive")
	errTimeout     = errors.New("no answer in time")
)

// newPartitionStore makes an empty store.
func newPartitionStore() *partitionStore {
	return &partitionStore{rows: map[RowID]StoredRow{}, marks: map[string]map[string][]byte{}, calls: map[Statement]int{}}
}

// SetFault makes fault draw the fate of each statement from now on; nil: all
// pass. It is called under the store's lock and must not call the store.
func (s *partitionStore) SetFault(fault func(Statement) Fate) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.fault = fault
}

// Calls counts the statements of each sort.
func (s *partitionStore) Calls() map[Statement]int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return maps.Clone(s.calls)
}

// do runs one statement under the lock and its fate.
func (s *partitionStore) do(ctx context.Context, what Statement, effect func()) error {
	if err := ctx.Err(); err != nil {
		return oplog.NotApplied(err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.calls[what]++
	fate := FatePass
	if s.fault != nil {
		fate = s.fault(what)
	}
	if fate == FatePass || fate == FateLost {
		effect()
	}
	switch fate {
	case FateUnavailable:
		return oplog.NotApplied(errUnavailable)
	case FateTimeout, FateLost:
		return oplog.Unknown(errTimeout)
	}
	return nil
}

// Read returns a row at serial consistency; ok false: there is none.
func (s *partitionStore) Read(ctx context.Context, id RowID) (row StoredRow, ok bool, err error) {
	err = s.do(ctx, StatementRead, func() { row, ok = s.rows[id] })
	if err != nil {
		return StoredRow{}, false, err
	}
	return row, ok, nil
}

// Insert makes the row IF NOT EXISTS. applied false without error: it exists.
func (s *partitionStore) Insert(ctx context.Context, id RowID, row StoredRow) (applied bool, err error) {
	row.Body = slices.Clone(row.Body)
	err = s.do(ctx, StatementCAS, func() {
		if _, exists := s.rows[id]; !exists {
			s.rows[id], applied = row, true
		}
	})
	return applied && err == nil, err
}

// Update changes epoch and body IF epoch = old.
func (s *partitionStore) Update(ctx context.Context, id RowID, old, epoch oplog.Epoch, body []byte) (applied bool, err error) {
	body = slices.Clone(body)
	err = s.do(ctx, StatementCAS, func() {
		if row, exists := s.rows[id]; exists && row.Epoch == old {
			s.rows[id], applied = StoredRow{Epoch: epoch, Mark: row.Mark, Body: body}, true
		}
	})
	return applied && err == nil, err
}

// Delete drops the row IF epoch = old.
func (s *partitionStore) Delete(ctx context.Context, id RowID, old oplog.Epoch) (applied bool, err error) {
	err = s.do(ctx, StatementCAS, func() {
		if row, exists := s.rows[id]; exists && row.Epoch == old {
			delete(s.rows, id)
			applied = true
		}
	})
	return applied && err == nil, err
}

// Mark writes a record; one of the same name is replaced.
func (s *partitionStore) Mark(ctx context.Context, partition, name string, body []byte) error {
	return s.do(ctx, StatementMark, func() {
		if s.marks[partition] == nil {
			s.marks[partition] = map[string][]byte{}
		}
		s.marks[partition][name] = slices.Clone(body)
	})
}

// Unmark deletes a record, if it is there.
func (s *partitionStore) Unmark(ctx context.Context, partition, name string) error {
	return s.do(ctx, StatementUnmark, func() { delete(s.marks[partition], name) })
}

// DropPartition deletes all records of a partition.
func (s *partitionStore) DropPartition(ctx context.Context, partition string) error {
	return s.do(ctx, StatementUnmark, func() { delete(s.marks, partition) })
}

// Record is one record of a partition.
type Record struct {
	Name string
	Body []byte
}

// Scan returns the records of a partition from the name on, in order, at most
// limit; zero: all.
func (s *partitionStore) Scan(ctx context.Context, partition, from string, limit int) (records []Record, err error) {
	err = s.do(ctx, StatementScan, func() {
		for _, name := range slices.Sorted(maps.Keys(s.marks[partition])) {
			if name < from {
				continue
			}
			if limit > 0 && len(records) == limit {
				break
			}
			records = append(records, Record{Name: name, Body: slices.Clone(s.marks[partition][name])})
		}
	})
	if err != nil {
		records = nil
	}
	return records, err
}

package cassandra

import (
	"context"

	"github.com/s3mirror/s3mirror/internal/oplog"
)

// store is what the log asks of Cassandra, one statement a method. cql is the
// real one; tests have one in memory, whose statements can fail in every way
// that Cassandra's can.
//
// A conditional statement says with its error whether it may have been applied:
// oplog.ErrNotApplied or oplog.ErrUnknown. applied false without error: the
// condition did not hold. Errors of the others are the driver's.
type store interface {
	// read returns a row at SERIAL: it sees, or ends, every conditional statement
	// that was known applied before.
	read(ctx context.Context, t *rowTable, id rowID) (row stored, ok bool, err error)
	// glance returns a row at QUORUM: everything that was known applied before,
	// and nothing of what is not decided yet.
	glance(ctx context.Context, t *rowTable, id rowID) (row stored, ok bool, err error)
	// insert makes a row IF NOT EXISTS.
	insert(ctx context.Context, t *rowTable, id rowID, row stored) (applied bool, err error)
	// update replaces epoch and body IF epoch = old.
	update(ctx context.Context, t *rowTable, id rowID, old, epoch oplog.Epoch, body []byte) (applied bool, err error)
	// remove drops a row IF epoch = old.
	remove(ctx context.Context, t *rowTable, id rowID, old oplog.Epoch) (applied bool, err error)

	// put writes a record; it may be repeated.
	put(ctx context.Context, t *recordTable, partition, name key, body []byte) error
	// erase deletes a record, if it is there.
	erase(ctx context.Context, t *recordTable, partition, name key) error
	// drop deletes all records of a partition.
	drop(ctx context.Context, t *recordTable, partition key) error
	// scan returns records of a partition.
	scan(ctx context.Context, t *recordTable, partition key, s span) ([]record, error)
	// count counts the records of a partition.
	count(ctx context.Context, t *recordTable, partition key) (int64, error)

	close()
}

// rowTable is a table whose every partition is one row, changed by
// compare-and-set. Its other columns are epoch, mark and body.
type rowTable struct {
	name      string
	partition [2]string // columns of rowID
}

// rowID names a row: the whole of a partition key.
type rowID struct{ space, name string }

// stored is what a row's partition holds.
type stored struct {
	epoch oplog.Epoch
	mark  oplog.Epoch // nonce of the row's marks; set by insert, left alone by update
	body  []byte
}

// recordTable is a table of plain records, in order of their names within a
// partition.
type recordTable struct {
	name      string
	partition []column
	cluster   []column
	descends  bool // order of the first clustering column on disk
	body      bool // has a column body
}

// column is a column of a key: raw bytes, or a number.
type column struct {
	name   string
	number bool
}

// key is a value for each column of a partition, or of a name, or of the first
// few columns of a name: a string for raw bytes, an int64 for a number.
type key []any

// span selects records of a partition by their names.
type span struct {
	from, to key  // bounds, from inclusive and to exclusive; of the first columns, or nil: none
	limit    int  // zero: none
	last     bool // from the end backwards
}

// record is one record.
type record struct {
	name key
	body []byte
}

// The tables, as schema/*.cql makes them.
var (
	keyRows = &rowTable{name: "key_row", partition: [2]string{"bucket", "key"}}
	docRows = &rowTable{name: "document", partition: [2]string{"kind", "name"}}

	// Marks of rows: what stands in key_row and document, by family ("key",
	// "document"), space (bucket, kind), shard and slot of time.
	marks = &recordTable{
		name:      "mark",
		partition: []column{{"family", false}, {"space", false}, {"shard", true}, {"slot", true}},
		cluster:   []column{{"name", false}, {"nonce", false}},
	}
	// Which partitions of marks there are: of a space, and of a shard.
	markSpaces = &recordTable{
		name:      "mark_space",
		partition: []column{{"family", false}, {"space", false}},
		cluster:   []column{{"shard", true}, {"slot", true}},
	}
	markShards = &recordTable{
		name:      "mark_shard",
		partition: []column{{"family", false}, {"shard", true}},
		cluster:   []column{{"space", false}, {"slot", true}},
	}

	// The parts of an upload.
	parts = &recordTable{
		name:      "part",
		partition: []column{{"upload", false}},
		cluster:   []column{{"number", true}, {"attempt", false}},
		body:      true,
	}

	// History: the events of an hour of a bucket, which buckets have events in an
	// hour, which hours have any.
	events = &recordTable{
		name:      "history",
		partition: []column{{"bucket", false}, {"hour", true}, {"shard", true}},
		cluster:   []column{{"at", false}},
		descends:  true, body: true,
	}
	eventBuckets = &recordTable{
		name:      "history_bucket",
		partition: []column{{"hour", true}},
		cluster:   []column{{"bucket", false}, {"shard", true}},
	}
	eventHours = &recordTable{
		name:      "history_hour",
		partition: []column{{"era", true}},
		cluster:   []column{{"hour", true}},
		descends:  true,
	}

	// What migrate knows of the schema, and its lock.
	migrationRows = &rowTable{name: "migration", partition: [2]string{"kind", "name"}}
)

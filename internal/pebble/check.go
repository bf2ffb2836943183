package pebble

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/cockroachdb/pebble/v2"
	"github.com/s3mirror/s3mirror/internal/object"
	"github.com/s3mirror/s3mirror/internal/oplog"
)

// Report is what Check found.
type Report struct {
	Rows, Documents, Parts, Events int64
	// Faults says of the first maxFaults records what is wrong with each.
	Faults []string
	// More is how many faults there are beyond those.
	More int64
}

// maxFaults bounds a report.
const maxFaults = 100

// Sound tells whether nothing is wrong.
func (r *Report) Sound() bool { return len(r.Faults) == 0 }

func (r *Report) fault(format string, args ...any) {
	if len(r.Faults) == maxFaults {
		r.More++
		return
	}
	r.Faults = append(r.Faults, fmt.Sprintf(format, args...))
}

// Check reads every record of the log, and so every block of its files, whose
// checksums the engine compares; and looks whether each can be read, whether
// each row is in the index and the other way round, and likewise each event and
// its name. It changes nothing. An error is one of the context, or of a log that
// was closed: what is wrong with the log is in the report.
func (l *Log) Check(ctx context.Context) (*Report, error) {
	if err := l.begin(ctx); err != nil {
		return nil, err
	}
	defer l.end()
	c := checker{log: l, report: &Report{}}
	if err := l.db.CheckLevels(nil); err != nil {
		c.report.fault("order of the files: %v", err)
	}
	// Family by family: what cannot be read of one hides nothing of the next.
	for first := range 256 {
		if err := c.family(ctx, byte(first)); err != nil {
			return nil, err
		}
	}
	return c.report, nil
}

type checker struct {
	log    *Log
	report *Report
}

// family checks the keys that begin with a byte. The context's error.
func (c *checker) family(ctx context.Context, first byte) error {
	bounds := &pebble.IterOptions{LowerBound: []byte{first}, UpperBound: end([]byte{first})}
	it, err := c.log.db.NewIter(bounds)
	if err != nil {
		c.report.fault("family %q cannot be read: %v", first, err)
		return nil
	}
	var at []byte
	for ok := it.First(); ok && ctx.Err() == nil; ok = it.Next() {
		at = append(at[:0], it.Key()...)
		stored, err := it.ValueAndErr()
		if err == nil {
			err = c.record(at, stored)
		}
		if err != nil {
			c.report.fault("key %q: %v", at, err)
		}
	}
	if err := errors.Join(it.Error(), it.Close()); err != nil {
		c.report.fault("after key %q nothing of family %q can be read: %v", at, first, err)
	}
	return ctx.Err()
}

// record checks one record.
func (c *checker) record(key, stored []byte) error {
	switch key[0] {
	case familyMeta:
		if !bytes.Equal(key, schemaKey()) {
			return errors.New("is not known")
		}
		return nil // Open compared it
	case familyRow:
		c.report.Rows++
		return c.row(key, stored)
	case familyShard:
		return c.place(key)
	case familyDoc:
		c.report.Documents++
		return c.document(key, stored)
	case familyPart:
		c.report.Parts++
		return c.part(key, stored)
	case familyEvent:
		c.report.Events++
		return c.event(key, stored)
	case familyByName:
		return c.name(key)
	}
	return errors.New("belongs to no family of this layout")
}

func (c *checker) row(stored, value []byte) error {
	key, ok := parseRowKey(stored)
	if !ok {
		return fmt.Errorf("no key of a row: %w", oplog.ErrBadRecord)
	}
	row, err := oplog.DecodeRow(value)
	if err != nil {
		return err
	}
	if err := oplog.CheckRow(&row); err != nil {
		return fmt.Errorf("row of %v: %w", key, err)
	}
	return c.wants(shardKey(nil, oplog.ShardOf(key), stored), "row is not in the index: its heals and settles would be forgotten")
}

// place checks a place in the index.
func (c *checker) place(key []byte) error {
	if len(key) < 2 {
		return fmt.Errorf("no place in the index: %w", oplog.ErrBadRecord)
	}
	row := rowOfShardKey(nil, key)
	at, ok := parseRowKey(row)
	if !ok {
		return fmt.Errorf("no place in the index: %w", oplog.ErrBadRecord)
	}
	if shard := oplog.ShardOf(at); shard != int(key[1]) {
		return fmt.Errorf("index has the row in shard %d, want %d", key[1], shard)
	}
	return c.wants(row, "index names a row that is not there")
}

func (c *checker) document(key, value []byte) error {
	kind, name, ok := uncount(key[1:])
	if !ok {
		return fmt.Errorf("no key of a document: %w", oplog.ErrBadRecord)
	}
	doc, err := oplog.DecodeDoc(oplog.DocKind(kind), string(name), value)
	switch {
	case err != nil:
		return err
	case doc.Epoch.IsZero():
		return fmt.Errorf("document %s %q has no epoch", kind, name)
	case !json.Valid(doc.Body):
		return fmt.Errorf("document %s %q is not JSON", kind, name)
	}
	if doc.Kind == oplog.DocUpload {
		if _, _, ok := oplog.ParseUploadName(doc.Name); !ok {
			return fmt.Errorf("document %q has no name of an upload", name)
		}
	}
	return nil
}

func (c *checker) part(key, value []byte) error {
	var upload object.ID
	if len(key) < 1+len(upload) {
		return fmt.Errorf("no key of a part: %w", oplog.ErrBadRecord)
	}
	copy(upload[:], key[1:])
	name, ok := parsePartName(key[1+len(upload):])
	if !ok {
		return fmt.Errorf("no key of a part: %w", oplog.ErrBadRecord)
	}
	part, err := oplog.DecodePart(upload, name, value)
	if err != nil {
		return err
	}
	return oplog.CheckPart(&part)
}

func (c *checker) event(key, value []byte) error {
	bucket, at, err := splitEventKey(key)
	if err != nil {
		return err
	}
	ev, err := oplog.DecodeEvent(value)
	if err != nil {
		return err
	}
	if ev.Bucket != bucket {
		return fmt.Errorf("event of bucket %q lies in bucket %q", ev.Bucket, bucket)
	}
	return c.wants(byNameKey(bucket, ev.Key, at), "event is not found by its key's name")
}

// name checks where events of a key are.
func (c *checker) name(key []byte) error {
	if len(key) < 1+8 {
		return fmt.Errorf("no name of an event: %w", oplog.ErrBadRecord)
	}
	bucket, rest, ok := uncount(key[1+8:])
	if !ok || len(rest) < placeBytes {
		return fmt.Errorf("no name of an event: %w", oplog.ErrBadRecord)
	}
	at, _ := parsePlace(rest[len(rest)-placeBytes:])
	return c.wants(eventKey(string(bucket), at), "name leads to an event that is not there")
}

// wants says what it means that a key is missing.
func (c *checker) wants(key []byte, otherwise string) error {
	_, closer, err := c.log.db.Get(key)
	if errors.Is(err, pebble.ErrNotFound) {
		return errors.New(otherwise)
	}
	if err != nil {
		return err
	}
	return closer.Close()
}

func splitEventKey(key []byte) (bucket string, at place, err error) {
	if len(key) >= 1+8 {
		name, rest, ok := uncount(key[1+8:])
		if at, good := parsePlace(rest); ok && good {
			return string(name), at, nil
		}
	}
	return "", place{}, fmt.Errorf("no key of an event: %w", oplog.ErrBadRecord)
}

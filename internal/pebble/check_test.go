package pebble

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/s3mirror/s3mirror/internal/object"
	"github.com/s3mirror/s3mirror/internal/oplog"
	"github.com/s3mirror/s3mirror/internal/oplog/oplogtest"
)

// stocked is a log with some of everything.
func stocked(t *testing.T, dir string) *Log {
	t.Helper()
	o := quiet(t)
	if dir == "" { // in memory: hundreds of syncs take their time on a busy disk
		o.FS, dir = vfs.NewMem(), "data"
	}
	log := mustOpen(t, dir, o)
	for i := range 40 {
		row := benchRow()
		row.Epoch = oplog.NewEpoch()
		k := object.Key{Bucket: "photos", Name: fmt.Sprintf("\x00%d/é", i)}
		if err := log.Swap(bg, k, oplog.Epoch{}, row); err != nil {
			t.Fatal(err)
		}
		if err := log.Append(bg, oplog.Event{Time: time.Unix(int64(i)*1000, 1), Bucket: k.Bucket, Key: k.Name, Op: "put"}); err != nil {
			t.Fatal(err)
		}
	}
	upload := object.NewID()
	name := oplog.UploadName(object.Key{Bucket: "photos", Name: "large"}, upload)
	for kind, name := range map[oplog.DocKind]string{oplog.DocBucket: "photos", oplog.DocUser: "root", oplog.DocUpload: name} {
		if err := log.SwapDoc(bg, oplog.Epoch{}, oplog.Doc{Kind: kind, Name: name, Epoch: oplog.NewEpoch(), Body: []byte("{}")}); err != nil {
			t.Fatal(err)
		}
	}
	part := oplogtest.Parts().Example(1)
	part.Upload = upload
	if err := log.AddPart(bg, part); err != nil {
		t.Fatal(err)
	}
	return log
}

func TestCheckOfASoundLog(t *testing.T) {
	log := stocked(t, "")
	defer log.Close()
	for range 2 { // from the memtable, then from a table
		r, err := log.Check(bg)
		if err != nil || !r.Sound() {
			t.Fatalf("%v, %v", r, err)
		}
		if r.Rows != 40 || r.Documents != 3 || r.Parts != 1 || r.Events != 40 {
			t.Errorf("counted %+v", r)
		}
		if err := log.db.Flush(); err != nil {
			t.Fatal(err)
		}
	}
}

// Each thing that can be wrong with a record is said of it.
func TestCheckFindsWhatIsWrong(t *testing.T) {
	key := object.Key{Bucket: "photos", Name: "\x001/é"}
	row := rowKey(nil, key)
	good := oplog.EncodeRow(benchRow())
	noEpoch := benchRow()
	noEpoch.Epoch = oplog.Epoch{}
	noReps := benchRow()
	noReps.Intent = &oplog.Intent{Op: object.NewID()}
	noOp := benchRow()
	noOp.Unsettled = []oplog.Entry{{Replica: "eu-1"}}
	at := placeOf(time.Unix(1000, 1), 7)
	event := oplog.EncodeEvent(&oplog.Event{Bucket: "photos", Key: "k"})
	doc := func(d oplog.Doc) []byte { return oplog.EncodeDoc(d) }
	for name, c := range map[string]struct {
		damage func(b *pebble.Batch) error
		want   string
	}{
		"row not indexed":    {func(b *pebble.Batch) error { return b.Delete(shardKey(nil, oplog.ShardOf(key), row), nil) }, "row is not in the index"},
		"row gone":           {func(b *pebble.Batch) error { return b.Delete(row, nil) }, "index names a row that is not there"},
		"row in wrong shard": {func(b *pebble.Batch) error { return b.Set(shardKey(nil, (oplog.ShardOf(key)+1)%16, row), nil, nil) }, "in shard"},
		"row damaged":        {func(b *pebble.Batch) error { return b.Set(row, good[:len(good)-1], nil) }, "cannot be read"},
		"row without epoch":  {func(b *pebble.Batch) error { return b.Set(row, oplog.EncodeRow(noEpoch), nil) }, "without epoch"},
		"intent of nobody":   {func(b *pebble.Batch) error { return b.Set(row, oplog.EncodeRow(noReps), nil) }, "without operation or replicas"},
		"entry of nothing":   {func(b *pebble.Batch) error { return b.Set(row, oplog.EncodeRow(noOp), nil) }, "unsettled entry"},
		"row's key":          {func(b *pebble.Batch) error { return b.Set([]byte{familyRow, 9}, good, nil) }, "no key of a row"},
		"index's key":        {func(b *pebble.Batch) error { return b.Set([]byte{familyShard}, nil, nil) }, "no place in the index"},
		"index's key, cut":   {func(b *pebble.Batch) error { return b.Set([]byte{familyShard, 1, 9}, nil, nil) }, "no place in the index"},
		"document's key":     {func(b *pebble.Batch) error { return b.Set([]byte{familyDoc, 9}, good, nil) }, "no key of a document"},
		"document damaged":   {func(b *pebble.Batch) error { return b.Set(docKey(nil, "user", "x"), []byte{1, 2}, nil) }, "cannot be read"},
		"document, epoch": {func(b *pebble.Batch) error {
			return b.Set(docKey(nil, "user", "x"), doc(oplog.Doc{Body: []byte("{}")}), nil)
		}, "has no epoch"},
		"document, no JSON": {func(b *pebble.Batch) error {
			return b.Set(docKey(nil, "user", "x"), doc(oplog.Doc{Epoch: oplog.NewEpoch(), Body: []byte("{")}), nil)
		}, "is not JSON"},
		"upload's name": {func(b *pebble.Batch) error {
			return b.Set(docKey(nil, "upload", "x"), doc(oplog.Doc{Epoch: oplog.NewEpoch(), Body: []byte("{}")}), nil)
		}, "no name of an upload"},
		"part's key":  {func(b *pebble.Batch) error { return b.Set([]byte{familyPart, 1}, nil, nil) }, "no key of a part"},
		"part's name": {func(b *pebble.Batch) error { return b.Set(append(partsKey(nil, object.NewID()), 1), nil, nil) }, "no key of a part"},
		"part damaged": {func(b *pebble.Batch) error {
			return b.Set(partKey(nil, object.NewID(), oplog.PartName{Number: 1}), []byte{9}, nil)
		}, "cannot be read"},
		"event's key":        {func(b *pebble.Batch) error { return b.Set([]byte{familyEvent, 1}, nil, nil) }, "no key of an event"},
		"event damaged":      {func(b *pebble.Batch) error { return b.Set(eventKey("photos", at), []byte{9}, nil) }, "cannot be read"},
		"event elsewhere":    {func(b *pebble.Batch) error { return b.Set(eventKey("other", at), event, nil) }, "lies in bucket"},
		"event without name": {func(b *pebble.Batch) error { return b.Set(eventKey("photos", at), event, nil) }, "not found by its key's name"},
		"name without event": {func(b *pebble.Batch) error { return b.Set(byNameKey("photos", "k", at), nil, nil) }, "leads to an event that is not there"},
		"name's key":         {func(b *pebble.Batch) error { return b.Set([]byte{familyByName, 1}, nil, nil) }, "no name of an event"},
		"name's key, cut":    {func(b *pebble.Batch) error { return b.Set(append(hourKey(nil, familyByName, 1), 1, 'b'), nil, nil) }, "no name of an event"},
		"of no family":       {func(b *pebble.Batch) error { return b.Set([]byte("zebra"), nil, nil) }, "belongs to no family"},
		"of an unknown kind": {func(b *pebble.Batch) error { return b.Set([]byte{familyMeta, 'x'}, nil, nil) }, "is not known"},
	} {
		t.Run(name, func(t *testing.T) {
			log := stocked(t, "")
			defer log.Close()
			batch := log.db.NewBatch()
			if err := errors.Join(c.damage(batch), batch.Commit(pebble.NoSync)); err != nil {
				t.Fatal(err)
			}
			r, err := log.Check(bg)
			if err != nil {
				t.Fatal(err)
			}
			if text := strings.Join(r.Faults, "\n"); !strings.Contains(text, c.want) || len(r.Faults) > 2 {
				t.Errorf("faults %q, want one of %q", r.Faults, c.want)
			}
		})
	}
}

// Of a log whose every row is wrong the report stays short and says how many there are.
func TestCheckReportsAreBounded(t *testing.T) {
	log := mustOpen(t, t.TempDir(), quiet(t))
	defer log.Close()
	batch := log.db.NewBatch()
	for i := range maxFaults + 7 {
		if err := batch.Set(fmt.Appendf(nil, "z%d", i), nil, nil); err != nil {
			t.Fatal(err)
		}
	}
	if err := batch.Commit(pebble.NoSync); err != nil {
		t.Fatal(err)
	}
	r, err := log.Check(bg)
	if err != nil || len(r.Faults) != maxFaults || r.More != 7 {
		t.Errorf("%d faults, %d more, %v", len(r.Faults), r.More, err)
	}
	ctx, stop := context.WithCancel(bg)
	stop()
	if _, err := log.Check(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("%v, want the context's error", err)
	}
}

// A bit that flipped on the disk is found, by the check or by whoever opens the log.
func TestCheckFindsADamagedBlock(t *testing.T) {
	dir := t.TempDir()
	log := stocked(t, dir)
	if err := errors.Join(log.db.Flush(), log.Close()); err != nil {
		t.Fatal(err)
	}
	tables, err := filepath.Glob(filepath.Join(dir, "db", "*.sst"))
	if err != nil || len(tables) == 0 {
		t.Fatalf("tables %v, %v", tables, err)
	}
	for _, table := range tables {
		b, err := os.ReadFile(table)
		if err != nil {
			t.Fatal(err)
		}
		b[20] ^= 0x10
		if err := os.WriteFile(table, b, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	o := quiet(t)
	o.ReadOnly = true
	log, err = Open(dir, o)
	if pebble.IsCorruptionError(err) {
		return // compactions decide what shares a block with what is read first
	}
	if err != nil {
		t.Fatal(err)
	}
	r, err := log.Check(bg)
	if err != nil || r.Sound() {
		t.Errorf("%+v, %v; want a fault", r, err)
	}
	if err := log.Close(); err != nil {
		t.Error(err)
	}
}

// A log that is opened to be read takes no change, makes no folder and no ballast.
func TestReadOnly(t *testing.T) {
	dir := t.TempDir()
	if err := stocked(t, dir).Close(); err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(filepath.Join(dir, ballastName)); err != nil && !errors.Is(err, os.ErrNotExist) {
		t.Fatal(err)
	}
	o := quiet(t)
	o.ReadOnly = true
	log := mustOpen(t, dir, o)
	row := benchRow()
	for what, err := range map[string]error{
		"row":      log.Swap(bg, object.Key{Bucket: "b", Name: "k"}, oplog.Epoch{}, row),
		"document": log.SwapDoc(bg, oplog.Epoch{}, oplog.Doc{Kind: oplog.DocUser, Name: "x", Epoch: oplog.NewEpoch(), Body: []byte("{}")}),
		"part":     log.AddPart(bg, oplog.Part{Upload: object.NewID(), Number: 1, Attempt: object.NewID()}),
		"parts":    log.DropParts(bg, object.NewID()),
		"event":    log.Append(bg, oplog.Event{}),
		"expiry":   log.Expire(bg, time.Now()),
	} {
		if !errors.Is(err, oplog.ErrNotApplied) || !errors.Is(err, errReadOnly) {
			t.Errorf("%s: %v", what, err)
		}
	}
	if r, err := log.Check(bg); err != nil || !r.Sound() || r.Rows != 40 {
		t.Errorf("%+v, %v", r, err)
	}
	if err := log.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(filepath.Join(dir, ballastName)); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("ballast: %v", err)
	}
	nowhere := filepath.Join(dir, "nowhere")
	if _, err := Open(nowhere, o); !errors.Is(err, ErrFormat) {
		t.Errorf("open where there is none: %v", err)
	}
	if _, err := os.Stat(nowhere); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("folder: %v", err)
	}
}

// A snapshot is of its moment, one at a time, and leaves nothing behind; what a
// crash left of one is thrown away.
func TestSnapshot(t *testing.T) {
	dir := t.TempDir()
	log := stocked(t, dir)
	defer log.Close()
	left := filepath.Join(dir, snapshotName)
	if err := os.MkdirAll(filepath.Join(left, "db"), 0o700); err != nil {
		t.Fatal(err)
	}
	at, done, err := log.Snapshot(bg)
	if err != nil {
		t.Fatal(err)
	}
	if _, _, err := log.Snapshot(bg); !errors.Is(err, ErrLocked) {
		t.Errorf("second: %v", err)
	}
	k := object.Key{Bucket: "photos", Name: "later"}
	row := benchRow()
	if err := log.Swap(bg, k, oplog.Epoch{}, row); err != nil {
		t.Fatal(err)
	}
	if _, err := at.Row(bg, k); !errors.Is(err, oplog.ErrNoRow) {
		t.Errorf("a row that came later: %v", err)
	}
	if r, err := at.Check(bg); err != nil || !r.Sound() || r.Rows != 40 || r.Events != 40 {
		t.Errorf("%+v, %v", r, err)
	}
	if err := done(); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(left); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("what is left: %v", err)
	}
	at, done, err = log.Snapshot(bg)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := at.Row(bg, k); err != nil {
		t.Error(err)
	}
	if err := done(); err != nil {
		t.Error(err)
	}
}

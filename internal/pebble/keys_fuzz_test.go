package pebble

import (
	"bytes"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/s3mirror/s3mirror/internal/object"
	"github.com/s3mirror/s3mirror/internal/oplog"
)

// FuzzRecord: `log check` reads a store that may be damaged, key by key. Whatever stands there,
// it says what it is or that it is nothing; and what a key reads as is written as a key that
// reads the same.
func FuzzRecord(f *testing.F) {
	key := object.Key{Bucket: "photos", Name: "a/b"}
	row := oplog.Row{Epoch: oplog.Epoch{1}, Cur: object.Info{ID: object.ID{2}, Ver: 3, Kind: object.Present, Size: 4, ETag: "5"}, Good: object.NewReplicas("a")}
	stored := rowKey(nil, key)
	f.Add(stored, oplog.EncodeRow(&row))
	f.Add(shardKey(nil, oplog.ShardOf(key), stored), []byte{})
	f.Add(docKey(nil, oplog.DocUpload, "photos/a"), []byte("{}"))
	f.Add(partKey(nil, object.ID{7}, oplog.PartName{Number: 3, Attempt: object.ID{8}}), []byte{1})
	at := placeOf(time.Unix(1e9, 5), 6)
	f.Add(eventKey("photos", at), []byte{1})
	f.Add(byNameKey("photos", "a/b", at), []byte{})
	f.Add(schemaKey(), []byte("1"))
	for _, family := range []byte{familyRow, familyShard, familyDoc, familyPart, familyEvent, familyByName} {
		f.Add([]byte{family}, []byte{})
		f.Add(append([]byte{family}, bytes.Repeat([]byte{0xff}, 12)...), []byte{0xff})
	}
	log := mustOpen(f, "data", Options{FS: vfs.NewMem()})
	f.Cleanup(func() {
		if err := log.Close(); err != nil {
			f.Error(err)
		}
	})
	f.Fuzz(func(t *testing.T, key, value []byte) {
		if len(key) == 0 {
			return // Pebble gives none to a family
		}
		report := Report{}
		c := checker{log: log, report: &report}
		if err := c.record(key, value); err == nil && !bytes.Equal(key, schemaKey()) && key[0] != familyDoc && key[0] != familyPart {
			t.Errorf("key %q: sound, and what it needs beside it is not there", key)
		}
		if k, ok := parseRowKey(key); ok {
			again, ok := parseRowKey(rowKey(nil, k))
			if !ok || again != k {
				t.Errorf("%v reads as %v", k, again)
			}
		}
		if bucket, at, err := splitEventKey(key); err == nil {
			again, then, err := splitEventKey(eventKey(bucket, at))
			if err != nil || again != bucket || then != at {
				t.Errorf("%q at %v reads as %q at %v, %v", bucket, at, again, then, err)
			}
		}
		if name, ok := parsePartName(key); ok {
			upload := object.ID{9}
			again, ok := parsePartName(partKey(nil, upload, name)[1+len(upload):])
			if !ok || again != name {
				t.Errorf("%v reads as %v", name, again)
			}
		}
	})
}

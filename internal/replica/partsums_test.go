package replica_test

import (
	"encoding/base64"
	"maps"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/s3mirror/s3mirror/internal/backend"
	"github.com/s3mirror/s3mirror/internal/memory"
	"github.com/s3mirror/s3mirror/internal/object"
	"github.com/s3mirror/s3mirror/internal/oplog"
	"github.com/s3mirror/s3mirror/internal/s3"
)

// sums are the checksums and sizes of what was put, by number.
func (p *pieces) sums(t *testing.T) (sums []string, sizes []int64) {
	t.Helper()
	for _, number := range slices.Sorted(maps.Keys(p.data)) {
		h, err := backend.NewChecksum(p.sum.Algorithm)
		if err != nil {
			t.Fatal(err)
		}
		h.Write(p.data[number])
		sums = append(sums, base64.StdEncoding.EncodeToString(h.Sum(nil)))
		sizes = append(sizes, int64(len(p.data[number])))
	}
	return sums, sizes
}

// tells holds the checksums of the parts of what stands under the key against want.
func (r *rig) tells(name, when string, sizes []int64, want []string) {
	r.t.Helper()
	v, err := r.set.Head(r.ctx, key(name))
	if err != nil {
		r.t.Fatalf("%s: %v", when, err)
	}
	got, err := r.set.PartSums(r.ctx, key(name), v.Info, sizes)
	if err != nil || !slices.Equal(got, want) {
		r.t.Errorf("%s: checksums of parts %q, %v, want %q", when, got, err, want)
	}
}

// keptSums are the keys whose parts' checksums the log keeps.
func (r *rig) keptSums() (names []string) {
	r.t.Helper()
	docs, err := r.log.Docs(r.ctx, oplog.DocPartSums, "", 100)
	if err != nil {
		r.t.Fatal(err)
	}
	for _, doc := range docs {
		names = append(names, doc.Name)
	}
	return names
}

// TestTheLogTellsChecksumsOfParts: where no server keeps them; also when the upload is
// forgotten, after a restart, and not of a version that is not there any more.
func TestTheLogTellsChecksumsOfParts(t *testing.T) {
	forgets := memory.Personality{ForgetsPartSums: true}
	synctest.Test(t, func(t *testing.T) {
		r := newRigOf(t, memory.NewLog(), map[string]memory.Personality{"a": forgets, "b": forgets, "c": forgets}, "a", "b", "c")
		r.open(uploadTimes)
		r.makeBucket()
		upload := func(sum s3.UploadChecksum, seed uint64) *pieces {
			p := r.begin("k", sum)
			p.put(1, content(5*mib, seed))
			p.put(2, content(5*mib+9, seed+1))
			p.put(5, content(17, seed+2))
			p.complete()
			return p
		}
		composite := s3.UploadChecksum{Algorithm: "sha256", Type: s3.Composite}
		want, sizes := upload(composite, 1).sums(t)
		r.tells("k", "completed", sizes, want)
		if kept := r.keptSums(); len(kept) > 0 {
			t.Errorf("kept twice: %q", kept)
		}
		r.converge()
		r.nothingLeft()
		r.tells("k", "the upload is forgotten", sizes, want)
		r.tells("k", "other sizes", sizes[1:], nil)
		r.close()
		r.open(uploadTimes)
		r.tells("k", "restarted", sizes, want)

		want, sizes = upload(composite, 11).sums(t)
		r.tells("k", "another version", sizes, want)
		r.converge()
		r.nothingLeft()
		r.tells("k", "its upload is forgotten", sizes, want)
		if kept := r.keptSums(); len(kept) != 1 {
			t.Errorf("kept for %q, want one key", kept)
		}

		_, sizes = upload(s3.UploadChecksum{Algorithm: "crc32c", Type: s3.FullObject}, 21).sums(t)
		r.tells("k", "a checksum of the whole", sizes, nil)
		r.converge()
		r.nothingLeft()
		for deadline := time.Now().Add(50 * time.Hour); len(r.keptSums()) > 0; time.Sleep(time.Minute) {
			if time.Now().After(deadline) {
				t.Fatalf("checksums of a version that is gone are kept for %q", r.keptSums())
			}
		}
	})
}

// TestReplicasTellChecksumsOfParts: when the log does not, whichever of them is there.
func TestReplicasTellChecksumsOfParts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRigOf(t, memory.NewLog(), map[string]memory.Personality{"a": {ForgetsPartSums: true}}, "a", "b", "c")
		r.open(uploadTimes)
		r.makeBucket()
		p := r.begin("k", s3.UploadChecksum{Algorithm: "crc32", Type: s3.Composite})
		p.put(1, content(5*mib, 1))
		r.wires["c"].plug(true) // it is healed
		p.put(2, content(20, 2))
		p.complete()
		r.wires["c"].plug(false)
		r.converge()
		r.nothingLeft()
		docs, err := r.log.Docs(r.ctx, oplog.DocPartSums, "", 10)
		if err != nil || len(docs) != 1 {
			t.Fatalf("%d documents, %v", len(docs), err)
		}
		gone := oplog.Doc{Kind: oplog.DocPartSums, Name: docs[0].Name}
		if err := r.log.SwapDoc(r.ctx, docs[0].Epoch, gone); err != nil {
			t.Fatal(err)
		}
		want, sizes := p.sums(t)
		for _, away := range []string{"a", "b", "c"} {
			r.wires[away].plug(true)
			r.tells("k", away+" is away", sizes, want)
			r.wires[away].plug(false)
			time.Sleep(time.Minute)
		}
	})
}

// TestChecksumsOfPartsGoWithTheirBucket: a later one of the name has nothing to do with them.
func TestChecksumsOfPartsGoWithTheirBucket(t *testing.T) {
	withUploads(t, func(t *testing.T, r *rig) {
		p := r.begin("k", s3.UploadChecksum{Algorithm: "crc32", Type: s3.Composite})
		p.put(1, content(20, 2))
		p.complete()
		r.converge()
		r.nothingLeft()
		if kept := r.keptSums(); len(kept) != 1 {
			t.Fatalf("kept for %q", kept)
		}
		r.mustDelete("k")
		r.converge()
		if err := r.set.DeleteBucket(r.ctx, testBucket, "tester", "1"); err != nil {
			t.Fatal(err)
		}
		if kept := r.keptSums(); len(kept) > 0 {
			t.Errorf("kept for %q", kept)
		}
		if got, err := r.set.PartSums(r.ctx, key("k"), object.Info{}, nil); got != nil || err != nil {
			t.Errorf("of nothing: %q, %v", got, err)
		}
	})
}

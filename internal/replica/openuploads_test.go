package replica_test

import (
	"errors"
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/s3mirror/s3mirror/internal/memory"
	"github.com/s3mirror/s3mirror/internal/replica"
	"github.com/s3mirror/s3mirror/internal/s3"
)

// create begins an upload of a key, or says why not.
func (r *rig) create(name string) (id string, err error) {
	return r.set.CreateUpload(r.ctx, replica.CreateUploadRequest{Key: key(name)})
}

// flood begins n uploads at once and returns the ids of those that were begun; the others
// were refused.
func (r *rig) flood(n int) (ids []string) {
	r.t.Helper()
	var mu sync.Mutex
	var wg sync.WaitGroup
	for i := range n {
		wg.Go(func() {
			id, err := r.create(fmt.Sprint("flood", i))
			mu.Lock()
			defer mu.Unlock()
			switch {
			case err == nil:
				ids = append(ids, id)
			case !errors.Is(err, s3.SlowDown):
				r.t.Errorf("refused with %v", err)
			}
		})
	}
	wg.Wait()
	return ids
}

// TestABucketHasOnlySoManyOpenUploads: whoever begins them in a flood does not fill the log.
func TestABucketHasOnlySoManyOpenUploads(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, memory.NewLog(), "a", "b", "c")
		few := func(o *replica.Options) {
			uploadTimes(o)
			o.MaxUploads = 3
		}
		r.open(few)
		r.makeBucket()
		p := r.begin("k", s3.UploadChecksum{})
		p.put(1, content(10, 1))
		if ids := r.flood(20); len(ids) != 2 {
			t.Errorf("%d of a flood were begun, want 2", len(ids))
		}
		synctest.Wait()
		if n := r.leftovers(); n != 3*4 {
			t.Errorf("%d uploads and documents, want 3 on each server and in the log", n)
		}
		p.put(1, content(10, 2)) // what is open goes on
		p.complete()
		time.Sleep(2 * time.Second) // a full bucket is counted again each second
		id, err := r.create("after")
		if err != nil {
			t.Fatalf("in the place of one that was completed: %v", err)
		}
		if _, err := r.create("more"); !errors.Is(err, s3.SlowDown) {
			t.Errorf("one too many: %v", err)
		}

		r.close()
		r.open(few)
		if _, err := r.create("restarted"); !errors.Is(err, s3.SlowDown) {
			t.Errorf("one too many after a restart: %v", err)
		}
		if err := r.set.AbortUpload(r.ctx, replica.AbortRequest{Key: key("after"), UploadID: id}); err != nil {
			t.Fatal(err)
		}
		time.Sleep(2 * time.Second)
		if ids := r.flood(5); len(ids) != 1 {
			t.Errorf("%d were begun in the place of one that was aborted", len(ids))
		}
		time.Sleep(20 * time.Minute) // all expire
		if ids := r.flood(5); len(ids) != 3 {
			t.Errorf("%d were begun when none was open, want 3", len(ids))
		}
	})
}

// TestUploadsWithoutALimit: zero lets any number be open.
func TestUploadsWithoutALimit(t *testing.T) {
	withUploads(t, func(t *testing.T, r *rig) {
		if ids := r.flood(30); len(ids) != 30 {
			t.Errorf("%d of 30 were begun", len(ids))
		}
	})
}

// TestUploadsWhileTheLogIsAway: nothing is begun that was not counted, and of checksums of
// parts that the log alone knows nobody says that there are none.
func TestUploadsWhileTheLogIsAway(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		log := memory.NewFaultyLog(memory.NewLog(), nil)
		forgets := memory.Personality{ForgetsPartSums: true}
		r := newRigOf(t, log, map[string]memory.Personality{"a": forgets, "b": forgets, "c": forgets}, "a", "b", "c")
		r.open(func(o *replica.Options) {
			uploadTimes(o)
			o.MaxUploads = 3
		})
		r.makeBucket()
		p := r.begin("k", s3.UploadChecksum{Algorithm: "crc32", Type: s3.Composite})
		p.put(1, content(10, 1))
		info := p.complete()
		time.Sleep(time.Minute)
		log.SetDown(true)
		if _, err := r.create("other"); !errors.Is(err, s3.SlowDown) {
			t.Errorf("an upload is begun: %v", err)
		}
		if sums, err := r.set.PartSums(r.ctx, p.key, info, []int64{10}); !errors.Is(err, s3.SlowDown) {
			t.Errorf("checksums of parts: %q, %v", sums, err)
		}
		log.SetDown(false)
		if _, err := r.create("other"); err != nil {
			t.Errorf("when it is back: %v", err)
		}
	})
}

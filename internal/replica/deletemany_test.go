package replica_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/s3mirror/s3mirror/internal/memory"
	"github.com/s3mirror/s3mirror/internal/object"
	"github.com/s3mirror/s3mirror/internal/oplog"
	"github.com/s3mirror/s3mirror/internal/replica"
	"github.com/s3mirror/s3mirror/internal/s3"
)

// names are n keys.
func names(n int) []string {
	var all []string
	for i := range n {
		all = append(all, fmt.Sprintf("d/%04d", i))
	}
	return all
}

func (r *rig) deleteMany(ctx context.Context, keys ...string) []error {
	r.t.Helper()
	ask := replica.DeleteManyRequest{Bucket: testBucket, Actor: "tester"}
	for _, k := range keys {
		ask.Objects = append(ask.Objects, replica.DeleteKey{Name: k})
	}
	results, err := r.set.DeleteMany(ctx, ask)
	if err != nil || len(results) != len(keys) {
		r.t.Fatalf("delete of %d keys: %d results, %v", len(keys), len(results), err)
	}
	return results
}

// mustDeleteMany deletes what must go at once.
func (r *rig) mustDeleteMany(keys ...string) {
	r.t.Helper()
	for i, err := range r.deleteMany(r.ctx, keys...) {
		if err != nil {
			r.t.Fatalf("delete of %q: %v", keys[i], err)
		}
	}
}

// deletes counts what reached a backend: batches, and deletes of one key.
func (r *rig) deletes(name string) (batches, single int) {
	c := r.counts[name]
	c.mu.Lock()
	defer c.mu.Unlock()
	for what, n := range c.seen {
		if strings.HasPrefix(what, "DELETE ") {
			single += n
		}
	}
	return c.seen["POST /"+testBucket], single
}

func (r *rig) resetCounts() {
	for _, c := range r.counts {
		c.reset()
	}
}

// What was deleted leaves nothing in memory: a context of each request once did, for the
// life of the process.
func TestABatchLeavesNoContext(t *testing.T) {
	inBubble(t, func(t *testing.T, r *rig) {
		all := names(20)
		r.each(len(all), func(i int) { r.mustPut(all[i], []byte("x")) })
		r.converge()
		synctest.Wait() // nobody makes or ends one while they are counted
		before := r.set.Contexts()
		r.mustDeleteMany(all...)
		r.converge()
		synctest.Wait()
		if after := r.set.Contexts(); after > before {
			t.Errorf("%d contexts, and %d before the batch", after, before)
		}
	})
}

// A thousand keys are one request to each backend.
func TestAThousandKeysAreDeletedInOnePass(t *testing.T) {
	n := s3.MaxDeletes
	if testing.Short() { // the race detector, which runs with -short, bears no more than some 8,000 goroutines
		n = 100
	}
	inBubble(t, func(t *testing.T, r *rig) {
		all := names(n)
		r.each(len(all), func(i int) { r.mustPut(all[i], []byte("x")) })
		r.mustPut("kept", content(10, 1))
		r.converge()
		r.resetCounts()
		r.mustDeleteMany(all...)
		synctest.Wait()
		for _, name := range r.names {
			if posts, deletes := r.deletes(name); posts != 1 || deletes != 0 {
				t.Errorf("%s got %d batches and %d deletes", name, posts, deletes)
			}
		}
		r.mustMiss(all[0])
		r.mustMiss(all[n-1])
		r.mustDeleteMany(all...) // again: nothing to do is done
		r.converge()
		if got := r.equal(); len(got) != 1 {
			t.Errorf("%d keys are left", len(got))
		}
		r.mustGet("kept", content(10, 1))
	})
}

// Each key has its own verdict; what is named twice is judged in its order.
func TestEachKeyOfABatchHasItsVerdict(t *testing.T) {
	inBubble(t, func(t *testing.T, r *rig) {
		put := map[string]object.Info{}
		for _, k := range []string{"a", "b", "c", "e"} {
			put[k] = r.mustPut(k, content(10, uint64(k[0])))
		}
		match := func(etag string) s3.WriteConditions {
			c, err := s3.ParseWriteConditions(map[string][]string{"If-Match": {etag}})
			if err != nil {
				t.Fatal(err)
			}
			return c
		}
		ask := replica.DeleteManyRequest{Bucket: testBucket}
		var want []s3.Code
		for _, o := range []struct {
			key  string
			etag string
			code s3.Code
		}{
			{"a", "", ""}, {"b", put["b"].ETag, ""}, {"c", put["b"].ETag, s3.PreconditionFailed},
			{"none", "", ""}, {"none2", put["b"].ETag, s3.NoSuchKey},
			{"a", "", ""}, // the same again
			{"b", "", ""}, // and without a condition
			{"e", put["a"].ETag, s3.PreconditionFailed}, {"e", put["e"].ETag, ""}, // first refused, then done
			{"e", put["e"].ETag, ""}, // which answers for this one
		} {
			k := replica.DeleteKey{Name: o.key}
			if o.etag != "" {
				k.If = match(o.etag)
			}
			ask.Objects, want = append(ask.Objects, k), append(want, o.code)
		}
		results, err := r.set.DeleteMany(r.ctx, ask)
		if err != nil {
			t.Fatal(err)
		}
		for i, err := range results {
			if (err != nil || want[i] != "") && !errors.Is(err, want[i]) {
				t.Errorf("%d, %q: %v, want %q", i, ask.Objects[i].Name, err, want[i])
			}
		}
		r.mustGet("c", content(10, 'c'))
		r.converge()
		if got := r.equal(); len(got) != 1 {
			t.Errorf("left %v", got)
		}
	})
}

func TestABatchOfNoBucketAndOfAClosedSet(t *testing.T) {
	inBubble(t, func(t *testing.T, r *rig) {
		ask := replica.DeleteManyRequest{Bucket: "nothing", Objects: []replica.DeleteKey{{Name: "k"}, {Name: "k", If: s3.WriteConditions{IfNoneMatchStar: true}}}}
		if _, err := r.set.DeleteMany(r.ctx, ask); !errors.Is(err, s3.NoSuchBucket) {
			t.Errorf("%v", err)
		}
		if results, err := r.set.DeleteMany(r.ctx, replica.DeleteManyRequest{Bucket: testBucket}); err != nil || len(results) != 0 {
			t.Errorf("of nothing: %v, %v", results, err)
		}
		if err := r.set.Close(); err != nil {
			t.Error(err)
		}
		if _, err := r.set.DeleteMany(r.ctx, ask); !errors.Is(err, s3.SlowDown) {
			t.Errorf("closed: %v", err)
		}
	})
}

// What a backend does to a batch costs its keys no more than the lag of that
// backend, which is healed.
func TestABatchWithABackendThatFails(t *testing.T) {
	n := 50
	if testing.Short() {
		n = 20
	}
	ops := []s3.OperationName{s3.DeleteObjects}
	for name, f := range map[string]memory.Faults{
		"some keys fail":   {KeyErrorRate: 0.5, Ops: ops},
		"unavailable":      {ErrorRate: 1, ErrorStatus: 503, Ops: ops},
		"refused":          {ErrorRate: 1, ErrorCode: s3.AccessDenied, Ops: ops},
		"malformed":        {ErrorRate: 1, ErrorCode: s3.MalformedXML, Ops: ops},
		"answer is lost":   {DropRate: 1, Ops: ops},
		"late":             {LateRate: 1, LateBy: 5 * time.Second, Ops: ops},
		"hangs":            {Hang: true, Ops: ops},
		"slow":             {Delay: 3 * time.Second, Ops: ops},
		"knows no batches": {ErrorRate: 1, ErrorCode: s3.MethodNotAllowed, Ops: ops},
		"not implemented":  {ErrorRate: 1, ErrorCode: s3.NotImplemented, Ops: ops},
	} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, func(t *testing.T, r *rig) {
				all := names(n)
				r.each(len(all), func(i int) { r.mustPut(all[i], []byte("x")) })
				r.converge()
				r.servers["b"].SetFaults(f)
				r.mustDeleteMany(all...)
				for _, k := range all {
					r.mustMiss(k)
				}
				r.each(10, func(i int) { r.mustPut(all[i], []byte("again")) })
				time.Sleep(20 * time.Second)
				r.servers["b"].SetFaults(memory.Faults{})
				r.converge()
				if got := r.equal(); len(got) != 10 {
					t.Errorf("%d keys are left", len(got))
				}
				r.mustGet(all[3], []byte("again"))
			})
		})
	}
}

// A backend that knows no batches is given deletes one by one, and is not asked again.
func TestABackendThatKnowsNoBatches(t *testing.T) {
	for _, code := range []s3.Code{s3.MethodNotAllowed, s3.NotImplemented} {
		inBubble(t, func(t *testing.T, r *rig) {
			all := names(100)
			r.each(len(all), func(i int) { r.mustPut(all[i], []byte("x")) })
			r.servers["b"].SetFaults(memory.Faults{ErrorRate: 1, ErrorCode: code, Ops: []s3.OperationName{s3.DeleteObjects}})
			synctest.Wait()
			r.resetCounts()
			r.mustDeleteMany(all[:50]...)
			synctest.Wait()
			if _, got := r.deletes("b"); code == s3.MethodNotAllowed && got != 50 {
				t.Errorf("%s: %d deletes after the refusal", code, got)
			}
			r.converge() // 501 proves nothing: those keys wait until it must be over
			r.resetCounts()
			r.mustDeleteMany(all[50:]...)
			synctest.Wait()
			if posts, deletes := r.deletes("b"); posts != 0 || deletes != 50 {
				t.Errorf("%s: %d batches and %d deletes", code, posts, deletes)
			}
			r.converge()
			if got := r.equal(); len(got) != 0 {
				t.Errorf("%d keys are left", len(got))
			}
		})
	}
}

// One key that is contended keeps the others waiting for half of what a lease allows,
// and no longer; it has its turn later.
func TestAContendedKeyOfABatch(t *testing.T) {
	inBubble(t, func(t *testing.T, r *rig) {
		all := names(20)
		r.each(len(all), func(i int) { r.mustPut(all[i], []byte("x")) })
		synctest.Wait()
		// A write that no replica answers holds the lock of its key for as long as answers are
		// awaited.
		for _, name := range r.names {
			r.servers[name].SetFaults(memory.Faults{Delay: 6 * time.Second, Ops: []s3.OperationName{s3.PutObject}})
		}
		var writing sync.WaitGroup
		writing.Go(func() { r.mustPut(all[7], content(10, 1)) })
		time.Sleep(time.Second)
		began := time.Now()
		gone := make(chan time.Duration, 1)
		writing.Go(func() {
			for {
				if _, err := r.get(all[0]); errors.Is(err, s3.NoSuchKey) {
					gone <- time.Since(began)
					return
				}
				time.Sleep(100 * time.Millisecond)
			}
		})
		r.mustDeleteMany(all...)
		if d := <-gone; d > 3*time.Second {
			t.Errorf("the first key was gone after %v", d)
		}
		if d := time.Since(began); d < 4*time.Second || d > 8*time.Second {
			t.Errorf("the last was gone after %v", d)
		}
		writing.Wait()
		r.mustMiss(all[7])
		for _, name := range r.names {
			r.servers[name].SetFaults(memory.Faults{})
		}
		r.converge()
		if got := r.equal(); len(got) != 0 {
			t.Errorf("left %v", got)
		}
	})
}

// A key that does not get its turn in time costs no other key of its batch anything.
func TestAKeyWithoutATurnCostsNoOther(t *testing.T) {
	inBubble(t, func(t *testing.T, r *rig) {
		all := names(20)
		r.each(len(all), func(i int) { r.mustPut(all[i], []byte("x")) })
		r.converge()
		for _, name := range r.names {
			r.servers[name].SetFaults(memory.Faults{Delay: 11 * time.Second, Ops: []s3.OperationName{s3.PutObject}})
		}
		var writing sync.WaitGroup
		writing.Go(func() { r.mustPut(all[7], content(10, 1)) })
		time.Sleep(100 * time.Millisecond)
		for i, err := range r.deleteMany(r.ctx, all...) {
			if i == 7 && !errors.Is(err, s3.SlowDown) || i != 7 && err != nil {
				t.Errorf("%s: %v", all[i], err)
			}
		}
		writing.Wait()
		for _, name := range r.names {
			r.servers[name].SetFaults(memory.Faults{})
		}
		r.converge()
		if got := r.equal(); len(got) != 1 {
			t.Errorf("left %v", got)
		}
	})
}

// lostBuckets is a log that does not say what becomes of buckets while it is told so.
type lostBuckets struct {
	oplog.Log
	lost atomic.Bool
}

func (l *lostBuckets) Doc(ctx context.Context, kind oplog.DocKind, name string) (oplog.Doc, error) {
	if kind == oplog.DocBucket && l.lost.Load() {
		return oplog.Doc{}, errors.New("lost")
	}
	return l.Log.Doc(ctx, kind, name)
}

// Where it is not known whether a bucket still takes deletes right before the intents, none
// of the batch is begun: the refusal is not the first key's alone.
func TestABatchThatIsNotAdmitted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		log := &lostBuckets{Log: memory.NewLog()}
		r := newRig(t, log, "a", "b", "c")
		r.open(func(o *replica.Options) { o.Exclusive = false })
		r.makeBucket()
		all := names(20)
		r.each(len(all), func(i int) { r.mustPut(all[i], content(10, 1)) })
		r.converge()
		for _, name := range r.names {
			r.servers[name].SetFaults(memory.Faults{Delay: 5 * time.Second, Ops: []s3.OperationName{s3.PutObject}})
		}
		var writing sync.WaitGroup
		writing.Go(func() { r.mustPut(all[0], content(10, 1)) })
		time.Sleep(100 * time.Millisecond)
		writing.Go(func() {
			for i, err := range r.deleteMany(r.ctx, all...) {
				if !errors.Is(err, s3.SlowDown) {
					t.Errorf("%s: %v", all[i], err)
				}
			}
		})
		time.Sleep(100 * time.Millisecond)
		log.lost.Store(true)
		writing.Wait()
		log.lost.Store(false)
		for _, k := range all {
			r.mustGet(k, content(10, 1))
		}
	})
}

// Batches of the same keys, in any order, wait for each other and not for ever.
func TestBatchesOfTheSameKeys(t *testing.T) {
	inBubble(t, func(t *testing.T, r *rig) {
		all := names(60)
		r.each(len(all), func(i int) { r.mustPut(all[i], []byte("x")) })
		synctest.Wait()
		began := time.Now()
		r.each(6, func(i int) {
			mine := append(append([]string(nil), all[i*10:]...), all[:i*10]...)
			r.mustDeleteMany(mine...)
		})
		if d := time.Since(began); d > time.Second {
			t.Errorf("they took %v", d)
		}
		r.converge()
		if got := r.equal(); len(got) != 0 {
			t.Errorf("left %v", got)
		}
	})
}

// A client that leaves leaves what was released to be done, and the rest undone.
func TestTheClientOfABatchLeaves(t *testing.T) {
	inBubble(t, func(t *testing.T, r *rig) {
		all := names(20)
		r.each(len(all), func(i int) { r.mustPut(all[i], []byte("x")) })
		synctest.Wait()
		gone, leave := context.WithCancel(r.ctx)
		leave()
		for i, err := range r.deleteMany(gone, all...) {
			if !errors.Is(err, s3.SlowDown) {
				t.Errorf("%s: %v", all[i], err)
			}
		}
		for _, name := range r.names {
			r.servers[name].SetFaults(memory.Faults{Delay: 2 * time.Second, Ops: []s3.OperationName{s3.DeleteObjects}})
		}
		ctx, cancel := context.WithTimeout(r.ctx, time.Second)
		defer cancel()
		for i, err := range r.deleteMany(ctx, all...) {
			if !errors.Is(err, s3.SlowDown) {
				t.Errorf("%s: %v", all[i], err)
			}
		}
		time.Sleep(3 * time.Second)
		for _, k := range all {
			r.mustMiss(k)
		}
		r.converge()
		if got := r.equal(); len(got) != 0 {
			t.Errorf("left %v", got)
		}
	})
}

// A node that is killed in the middle of a batch leaves every key as it was, or gone.
func TestACrashInTheMiddleOfABatch(t *testing.T) {
	for _, after := range []time.Duration{time.Millisecond, time.Second, 3 * time.Second} {
		t.Run(after.String(), func(t *testing.T) {
			inBubble(t, func(t *testing.T, r *rig) {
				all := names(40)
				r.each(len(all), func(i int) { r.mustPut(all[i], []byte("x")) })
				synctest.Wait()
				for i, name := range r.names {
					r.servers[name].SetFaults(memory.Faults{Delay: time.Duration(i) * time.Second, Ops: []s3.OperationName{s3.DeleteObjects}})
				}
				ask := replica.DeleteManyRequest{Bucket: testBucket}
				for _, k := range all {
					ask.Objects = append(ask.Objects, replica.DeleteKey{Name: k})
				}
				over := make(chan []error, 1)
				go func() {
					results, err := r.set.DeleteMany(r.ctx, ask)
					if err != nil {
						t.Errorf("%v", err)
					}
					over <- results
				}()
				time.Sleep(after)
				r.crash()
				told := <-over
				for _, name := range r.names {
					r.servers[name].SetFaults(memory.Faults{})
				}
				r.open(nil)
				for i, err := range told {
					if err == nil {
						r.mustMiss(all[i])
					}
				}
				r.converge()
				r.equal()
			})
		})
	}
}

package replica_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/s3mirror/s3mirror/internal/commit"
	"github.com/s3mirror/s3mirror/internal/memory"
	"github.com/s3mirror/s3mirror/internal/object"
	"github.com/s3mirror/s3mirror/internal/oplog"
	"github.com/s3mirror/s3mirror/internal/replica"
	"github.com/s3mirror/s3mirror/internal/s3"
)

// More rows than one window of a list holds, on both sides of its borders, while
// the replica that is listed knows none of them.
func TestListsOverMoreRowsThanAWindowHolds(t *testing.T) {
	inBubble(t, func(t *testing.T, r *rig) {
		var live []string
		r.each(60, func(i int) {
			r.mustPut(fmt.Sprintf("dead/%02d", i), nil)
		})
		r.mustPut("dead0", nil)
		r.converge()
		r.wires["a"].plug(true)
		r.each(60, func(i int) { r.mustDelete(fmt.Sprintf("dead/%02d", i)) })
		r.each(60, func(i int) { r.mustPut(fmt.Sprintf("live/%02d", i), nil) })
		time.Sleep(30 * time.Second)
		for i := range 60 {
			live = append(live, fmt.Sprintf("live/%02d", i))
		}
		r.set.SetWindow(25)
		r.hold() // lists while nothing is healed
		r.wires["a"].plug(false)
		time.Sleep(10 * time.Second)
		if got := r.list("", "", 1000); fmt.Sprint(got) != fmt.Sprint(append([]string{"dead0"}, live...)) {
			t.Errorf("flat list has %d keys, want %d", len(got), len(live)+1)
		}
		for _, max := range []int{1, 7, 1000} {
			if got := r.list("", "/", max); fmt.Sprint(got) != fmt.Sprint([]string{"dead0", "live/ prefix"}) {
				t.Errorf("list with a delimiter: %q", got)
			}
			if got := r.list("dead/", "/", max); len(got) != 0 {
				t.Errorf("list of what was deleted: %q", got)
			}
		}
	})
}

// each does something n times, some at once.
func (r *rig) each(n int, do func(i int)) {
	var wg sync.WaitGroup
	for worker := range 8 {
		wg.Go(func() {
			for i := worker; i < n; i += 8 {
				do(i)
			}
		})
	}
	wg.Wait()
}

// hold restarts the Set so that every heal is refused.
func (r *rig) hold() {
	for _, name := range r.names {
		r.servers[name].SetFaults(memory.Faults{ErrorRate: 1, Ops: []s3.OperationName{s3.PutObject, s3.DeleteObject}})
	}
}

// A backend that stores half of what it acknowledges is never read from, and is
// set right.
func TestATruncatingBackend(t *testing.T) {
	inBubble(t, func(t *testing.T, r *rig) {
		r.close()
		r.open(func(o *replica.Options) { o.Defaults.Ack = commit.Rule{Need: 2} })
		r.servers["b"].SetFaults(memory.Faults{TruncateRate: 1, Ops: []s3.OperationName{s3.PutObject}})
		for _, size := range []int{100, 400 << 10} {
			r.mustPut(fmt.Sprint(size), content(size, 1))
			for range 20 {
				r.mustGet(fmt.Sprint(size), content(size, 1))
			}
		}
		r.servers["b"].SetFaults(memory.Faults{})
		r.converge()
		r.equal()
	})
}

// Objects that nobody here wrote are healed as they are, without a stamp.
func TestAForeignObjectIsHealedAsItIs(t *testing.T) {
	onRig(t, func(t *testing.T, r *rig) {
		for _, name := range r.names {
			if err := r.direct(name).CreateBucket(r.ctx, testBucket); err != nil {
				t.Fatal(err)
			}
		}
		for _, name := range []string{"a", "b"} { // the operator was wrong
			r.directPut(name, testBucket, "small", content(100, 1))
			r.directPut(name, testBucket, "large", content(700<<10, 2))
		}
		r.open(func(o *replica.Options) { o.Defaults.AssumeEqual = true })
		for range 50 {
			for name, size := range map[string]int{"small": 100, "large": 700 << 10} {
				got, err := r.get(name)
				if err != nil || len(got) != size {
					t.Fatalf("get %s: %d bytes, %v", name, len(got), err)
				}
			}
		}
		r.converge()
		for name, seen := range r.equal() {
			if !seen.ID.IsZero() || seen.Flag != object.FlagNone {
				t.Errorf("%s has a stamp: %+v", name, seen)
			}
		}
	})
}

// A replica whose bytes rotted is no source of a heal.
func TestRottenBytesAreNotCopied(t *testing.T) {
	inBubble(t, func(t *testing.T, r *rig) {
		r.wires["c"].plug(true)
		r.mustPut("k", content(400<<10, 1))
		time.Sleep(20 * time.Second)
		seen := r.stored("a")["k"]
		for _, name := range []string{"a", "b"} { // same ETag and stamp are what a rotten disk would show; here it is cut short of them
			if got := r.stored(name)["k"]; got.ETag != seen.ETag {
				t.Fatalf("%s shows %+v", name, got)
			}
		}
		r.servers["a"].SetFaults(memory.Faults{CutRate: 1, CutAfter: 100 << 10, Ops: []s3.OperationName{s3.GetObject}})
		r.wires["c"].plug(false)
		r.converge() // from b, while a breaks off
		r.servers["a"].SetFaults(memory.Faults{})
		r.equal()
	})
}

// Deleted keys that a backend has not heard of keep their bucket alive until it
// has.
func TestABucketOfDeletedKeysWaitsForTheHealer(t *testing.T) {
	inBubble(t, func(t *testing.T, r *rig) {
		r.mustPut("k", content(10, 1))
		synctest.Wait()
		r.wires["c"].plug(true)
		r.mustDelete("k")
		time.Sleep(20 * time.Second)
		if err := r.set.DeleteBucket(r.ctx, testBucket, "", ""); !errors.Is(err, s3.SlowDown) {
			t.Fatalf("deletion while a backend is off: %v", err)
		}
		r.wires["c"].plug(false)
		time.Sleep(20 * time.Second)
		if err := r.set.DeleteBucket(r.ctx, testBucket, "", ""); err != nil {
			t.Fatalf("deletion: %v", err)
		}
	})
}

// What every replica refuses alike is told to the client; what lies between us
// and a backend is not.
func TestRefusals(t *testing.T) {
	inBubble(t, func(t *testing.T, r *rig) {
		all := func(f memory.Faults) {
			for _, name := range r.names {
				r.servers[name].SetFaults(f)
			}
		}
		all(memory.Faults{ErrorRate: 1, ErrorCode: s3.InvalidArgument, Ops: []s3.OperationName{s3.PutObject}})
		if _, err := r.put("k", content(10, 1)); !errors.Is(err, s3.InvalidArgument) {
			t.Errorf("put that all refuse: %v", err)
		}
		all(memory.Faults{ErrorRate: 1, ErrorCode: s3.InvalidURI, Ops: []s3.OperationName{s3.PutObject}})
		r.servers["a"].SetFaults(memory.Faults{ErrorRate: 1, ErrorCode: s3.BadName, Ops: []s3.OperationName{s3.PutObject}})
		if _, err := r.put("k", content(10, 1)); !errors.Is(err, s3.BadName) {
			t.Errorf("put of a name that none can hold, each in its own words: %v", err)
		}
		r.servers["a"].SetFaults(memory.Faults{ErrorRate: 1, ErrorCode: s3.InvalidArgument, Ops: []s3.OperationName{s3.PutObject}})
		if _, err := r.put("k", content(10, 1)); !errors.Is(err, s3.SlowDown) {
			t.Errorf("put that all refuse for different reasons: %v", err)
		}
		all(memory.Faults{ErrorRate: 1, ErrorCode: s3.SignatureDoesNotMatch, Ops: []s3.OperationName{s3.PutObject}})
		if _, err := r.put("k", content(10, 1)); !errors.Is(err, s3.SlowDown) {
			t.Errorf("put with wrong credentials of ours: %v", err)
		}
		all(memory.Faults{})
		time.Sleep(10 * time.Second)
		all(memory.Faults{Delay: 5 * time.Millisecond}) // a refusal comes before the others' answers
		r.servers["b"].SetFaults(memory.Faults{ErrorRate: 1, ErrorCode: s3.KeyTooLong, Ops: []s3.OperationName{s3.PutObject}})
		r.mustPut("k", content(10, 1))
		synctest.Wait()
		v, err := r.set.Head(r.ctx, key("k"))
		if err != nil || v.Status != replica.StatusFailed {
			t.Errorf("head of a key that a backend refuses: %+v, %v", v, err)
		}
		st, err := r.set.Status(r.ctx)
		if err != nil || st.Refused != 1 || st.Lagging.Keys != 0 || !st.Converged {
			t.Errorf("status: %+v, %v", st, err)
		}
		refusals, err := r.set.Refusals(r.ctx, key("k"))
		if want := (oplog.Refusal{Replica: "b", Code: string(s3.KeyTooLong), Words: s3.KeyTooLong.Text()}); err != nil || !slices.Equal(refusals, []oplog.Refusal{want}) {
			t.Errorf("refusals: %+v, %v", refusals, err)
		}
		all(memory.Faults{})
		r.converge()
		r.equal()
	})
}

func TestAClosedSetRefuses(t *testing.T) {
	inBubble(t, func(t *testing.T, r *rig) {
		if err := r.set.Close(); err != nil {
			t.Error(err)
		}
		if _, err := r.put("k", nil); !errors.Is(err, s3.SlowDown) {
			t.Errorf("put: %v", err)
		}
		if err := r.set.Delete(r.ctx, replica.DeleteRequest{Key: key("k")}); !errors.Is(err, s3.SlowDown) {
			t.Errorf("delete: %v", err)
		}
		if err := r.set.CreateBucket(r.ctx, "other", "", ""); !errors.Is(err, s3.SlowDown) {
			t.Errorf("create bucket: %v", err)
		}
		if _, err := r.set.Repair(r.ctx, key("k"), object.ID{}); !errors.Is(err, s3.SlowDown) {
			t.Errorf("repair: %v", err)
		}
	})
}

// Drain waits for what was released, however long its client is gone.
func TestDrainAwaitsReleasedWrites(t *testing.T) {
	inBubble(t, func(t *testing.T, r *rig) {
		for _, name := range r.names {
			r.servers[name].SetFaults(memory.Faults{Delay: 3 * time.Second})
		}
		ctx, cancel := context.WithCancel(r.ctx)
		over := make(chan struct{})
		go func() {
			defer close(over)
			r.set.Put(ctx, replica.PutRequest{Key: key("k"), Body: newUpload(content(10, 1))})
		}()
		time.Sleep(time.Second)
		cancel()
		<-over
		if err := r.set.Close(); err != nil {
			t.Errorf("close: %v", err)
		}
		r.stop()
		r.stop = nil
		rows, err := r.log.Range(r.ctx, testBucket, "", "", 10)
		if err != nil || len(rows) != 1 || rows[0].Row.Intent != nil || len(rows[0].Row.Good) != 3 {
			t.Errorf("rows after the drain: %+v, %v", rows, err)
		}
		for _, name := range r.names {
			r.servers[name].SetFaults(memory.Faults{})
		}
		r.open(nil)
		r.mustGet("k", content(10, 1))
	})
}

// A mutation that fails tells why in the history, and no key of ours is listed.
func TestInternalObjectsAreHidden(t *testing.T) {
	inBubble(t, func(t *testing.T, r *rig) {
		r.mustPut(".s3mirrored", nil)
		r.mustPut("k", nil)
		for _, delimiter := range []string{"", "/", "r", "i", "identity", "."} {
			for _, name := range r.list("", delimiter, 1) {
				if strings.HasPrefix(name, object.ReservedPrefix) {
					t.Errorf("with delimiter %q: %q", delimiter, name)
				}
			}
		}
		r.mustDelete(".s3mirrored")
		synctest.Wait()
		for _, delimiter := range []string{"", "/", "r", "i", "identity", "."} {
			if got := r.list("", delimiter, 10); fmt.Sprint(got) != "[k]" {
				t.Errorf("with delimiter %q: %q", delimiter, got)
			}
		}
	})
}

package replica_test

import (
	"errors"
	"fmt"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/s3mirror/s3mirror/internal/heal"
	"github.com/s3mirror/s3mirror/internal/memory"
	"github.com/s3mirror/s3mirror/internal/object"
	"github.com/s3mirror/s3mirror/internal/oplog"
	"github.com/s3mirror/s3mirror/internal/replica"
)

// withBacklog runs a test whose replicas are left behind when they lag by more than some keys.
func withBacklog(t *testing.T, keys int64, do func(t *testing.T, r *rig)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, memory.NewLog(), "a", "b", "c")
		r.open(func(o *replica.Options) { o.Backlog, o.Refills = keys, true })
		r.makeBucket()
		do(t, r)
	})
}

func (r *rig) rows() int {
	r.t.Helper()
	st, err := r.log.Stats(r.ctx)
	if err != nil {
		r.t.Fatal(err)
	}
	return int(st.Rows)
}

// until waits, on virtual time.
func (r *rig) until(what string, holds func() bool) {
	r.t.Helper()
	for deadline := time.Now().Add(30 * time.Minute); !holds(); time.Sleep(time.Second) {
		if time.Now().After(deadline) {
			r.t.Fatalf("never: %s", what)
		}
	}
}

// cut takes servers away, and waits until nothing more is sent to them: what is on its way when
// they go is not settled before they are back.
func (r *rig) cut(names ...string) {
	r.t.Helper()
	for _, name := range names {
		r.wires[name].plug(true)
		r.until(name+" is known to be away", func() bool { return !r.set.Up(name) })
	}
}

// stands is how the test's bucket stands on a backend.
func (r *rig) stands(backend string) replica.Presence {
	r.t.Helper()
	d, err := r.set.Detail(r.ctx, testBucket)
	if err != nil {
		r.t.Fatal(err)
	}
	for _, b := range d.Replicas {
		if b.Backend == backend {
			return b.Presence()
		}
	}
	return ""
}

// A replica that is away while more is written than rows are kept for is left behind: the log
// empties without it, the others go on, and when it is back a resync makes it like them.
func TestABacklogTurnsIntoAResync(t *testing.T) {
	withBacklog(t, 10, func(t *testing.T, r *rig) {
		r.settled(40)
		r.cut("c")
		for i := range 9 {
			r.mustPut(fmt.Sprintf("few%d", i), content(500, uint64(i)))
		}
		time.Sleep(10 * time.Minute)
		if p := r.stands("c"); p != replica.BucketPresent || r.rows() != 9 {
			t.Fatalf("with few keys to catch up with: %s, %d rows", p, r.rows())
		}

		for i := range 20 {
			r.mustPut(fmt.Sprintf("k%03d", i), content(2000+i, uint64(1000+i))) // newer versions
			r.mustPut(fmt.Sprintf("new%d", i), content(300+i, uint64(i)))
		}
		for _, gone := range []string{"k030", "k031"} {
			r.mustDelete(gone)
		}
		r.until("the replica is left behind", func() bool { return r.stands("c") == replica.BucketBehind })
		r.converge() // no row is left, and c lacks 51 keys
		st, err := r.set.Status(r.ctx)
		if err != nil || st.Converged || st.Backends[2].Reason == "" {
			t.Errorf("status: %+v, %v", st, err)
		}
		events, err := r.log.Events(r.ctx, oplog.HistoryQuery{Bucket: testBucket})
		if err != nil || !slices.ContainsFunc(events, func(e oplog.Event) bool { return e.Op == "left-behind" && e.Backends["c"] == "behind" }) {
			t.Errorf("history says nothing of it: %v", err)
		}
		r.mustPut("k000", content(77, 77)) // a write while it is away, to a key of which it has an old version

		r.wires["c"].plug(false)
		var job heal.Job
		r.until("a resync ends", func() bool {
			jobs, err := r.jobs.List(r.ctx)
			if err != nil {
				t.Fatal(err)
			}
			i := slices.IndexFunc(jobs, func(j heal.Job) bool { return j.Kind == heal.KindResync && j.State.Over() })
			if i >= 0 {
				job = jobs[i]
			}
			return i >= 0
		})
		if job.State != heal.JobDone || job.Beside || job.By != "node" || job.Extra != 2 {
			t.Fatalf("it ended so: %+v", job)
		}
		r.converge()
		if p := r.stands("c"); p != replica.BucketPresent {
			t.Errorf("afterwards: %s", p)
		}
		r.bytesEqual()
		r.mustGet("k000", content(77, 77))
		for _, gone := range []string{"k030", "k031"} {
			r.mustMiss(gone)
		}
		if st, err = r.set.Status(r.ctx); err != nil || !st.Converged {
			t.Errorf("status: %+v, %v", st, err)
		}
	})
}

// What rests on the replica alone that is left behind stays in the log, and so does what was
// sent to it without an answer.
func TestABacklogKeepsWhatIsNotElsewhere(t *testing.T) {
	withBacklog(t, 3, func(t *testing.T, r *rig) {
		r.settled(1)
		r.cut("a")
		r.cut("b")
		r.mustPut("only", content(100, 1)) // on c alone
		r.cut("c")
		r.wires["a"].plug(false)
		r.wires["b"].plug(false)
		r.until("the others take writes", func() bool { _, err := r.put("k0", content(100, 0)); return err == nil })
		for i := range 5 {
			r.mustPut(fmt.Sprintf("k%d", i), content(100+i, uint64(i)))
		}
		r.until("the replica is left behind", func() bool { return r.stands("c") == replica.BucketBehind })
		r.until("rows go without it", func() bool { return r.rows() == 1 })
		row, err := r.log.Row(r.ctx, object.Key{Bucket: testBucket, Name: "only"})
		if err != nil || !row.Good.Equal(object.NewReplicas("c")) {
			t.Fatalf("the row that is left: %+v, %v", row, err)
		}
		r.wires["c"].plug(false)
		r.until("it serves again", func() bool { return r.stands("c") == replica.BucketPresent })
		r.converge()
		r.bytesEqual()
		r.mustGet("only", content(100, 1))
	})
}

// What no listing and no checksum tells is not lost either: metadata of a version with the same
// bytes as the one before, and tags.
func TestABacklogOfThingsThatAreListedAlike(t *testing.T) {
	withBacklog(t, 3, func(t *testing.T, r *rig) {
		r.settled(6)
		r.putTagged("tagged", 50, red)
		r.putTagged("later", 60, red)
		r.converge()
		r.cut("c")
		headers := object.Headers{"content-type": "text/html", "x-amz-meta-who": "somebody else"}
		for i := range 5 {
			if _, err := r.set.Put(r.ctx, replica.PutRequest{Key: key(fmt.Sprintf("k%03d", i)), Headers: headers, Body: newUpload(content(1000+i, uint64(i)))}); err != nil {
				t.Fatal(err)
			}
		}
		r.mustTag("tagged", blue)
		r.until("the replica is left behind", func() bool { return r.stands("c") == replica.BucketBehind })
		r.mustTag("later", blue)                                            // a row that is made now counts c as good no more
		r.until("rows go without it", func() bool { return r.rows() == 2 }) // those of the tags stay
		time.Sleep(2 * times.Retention)
		if n := r.rows(); n != 2 {
			t.Fatalf("%d rows are left", n)
		}
		r.wires["c"].plug(false)
		r.until("it serves again", func() bool { return r.stands("c") == replica.BucketPresent })
		r.converge()
		for i := range 5 {
			seen, err := r.direct("c").Head(r.ctx, testBucket, fmt.Sprintf("k%03d", i))
			if err != nil || seen.Headers["x-amz-meta-who"] != "somebody else" {
				t.Errorf("k%03d: %v, %v", i, seen.Headers, err)
			}
		}
		r.tagsAre("tagged", blue)
		r.tagsAre("later", blue)
	})
}

// Replicas that the mode leaves alone are left behind as those that are away, and filled once
// replication is active again; one that is away again in the middle begins anew.
func TestABacklogOfADisabledMode(t *testing.T) {
	withBacklog(t, 5, func(t *testing.T, r *rig) {
		r.settled(30)
		if err := r.set.SetMode(r.ctx, testBucket, replica.Mode{Primary: "a"}); err != nil {
			t.Fatal(err)
		}
		for i := range 20 {
			r.mustPut(fmt.Sprintf("k%03d", i), content(50+i, uint64(500+i)))
		}
		for _, name := range []string{"b", "c"} {
			r.until("is left behind", func() bool { return r.stands(name) == replica.BucketBehind })
		}
		r.converge()
		time.Sleep(5 * time.Minute)
		if jobs, err := r.jobs.List(r.ctx); err != nil || len(jobs) != 0 {
			t.Errorf("while the mode leaves them alone: %+v, %v", jobs, err)
		}
		if err := r.set.SetMode(r.ctx, testBucket, replica.Mode{}); err != nil {
			t.Fatal(err)
		}
		for _, name := range []string{"b", "c"} {
			r.until("serves again", func() bool { return r.stands(name) == replica.BucketPresent })
		}
		r.converge()
		r.bytesEqual()
	})
}

// A replica that was left behind once more while it was compared is not restored by what was
// compared before.
func TestARestoreWaitsForWhoWasLeftBehindAgain(t *testing.T) {
	withBacklog(t, 3, func(t *testing.T, r *rig) {
		r.settled(2)
		if err := r.set.Withdraw(r.ctx, testBucket, "c"); err != nil {
			t.Fatal(err)
		}
		since := r.set.Since(testBucket)
		r.cut("c")
		for i := range 6 {
			r.mustPut(fmt.Sprintf("k%d", i), content(100+i, uint64(i)))
		}
		r.until("the replica is left behind", func() bool { return r.stands("c") == replica.BucketBehind })
		if err := r.set.Restore(r.ctx, testBucket, "c", since); !errors.Is(err, replica.ErrUnfitting) {
			t.Errorf("restored: %v", err)
		}
		r.wires["c"].plug(false)
		r.until("it serves again", func() bool { return r.stands("c") == replica.BucketPresent })
		r.converge()
		r.bytesEqual()
	})
}

// Nor is one whose bucket was lost once more: of what was compared before nothing is left.
func TestARestoreWaitsForWhoWasLostAgain(t *testing.T) {
	inBubble(t, func(t *testing.T, r *rig) {
		r.settled(5)
		if err := r.set.Withdraw(r.ctx, testBucket, "b"); err != nil {
			t.Fatal(err)
		}
		since := r.set.Since(testBucket) // here all keys are compared, and found alike
		r.servers["b"].Wipe()
		r.until("that is noticed", func() bool { return r.set.Since(testBucket) > since })
		if err := r.set.Restore(r.ctx, testBucket, "b", since); !errors.Is(err, replica.ErrUnfitting) {
			t.Errorf("restored: %v", err)
		}
		if p := r.stands("b"); p != replica.BucketFilling {
			t.Errorf("it is %s", p)
		}
		r.done(heal.Want{Kind: heal.KindResync, Bucket: testBucket, Backend: "b"})
		if p := r.stands("b"); p != replica.BucketPresent {
			t.Errorf("afterwards: %s", p)
		}
		r.converge()
		r.bytesEqual()
	})
}

// The last replica that is read is never left behind, nor is one with nothing to lag by.
func TestTheLastReplicaIsNotLeftBehind(t *testing.T) {
	withBacklog(t, 2, func(t *testing.T, r *rig) {
		r.cut("b")
		r.cut("c")
		for i := range 5 {
			r.mustPut(fmt.Sprintf("k%d", i), content(100+i, uint64(i)))
		}
		r.until("both are left behind", func() bool { return r.stands("b") == replica.BucketBehind && r.stands("c") == replica.BucketBehind })
		r.cut("a")
		time.Sleep(10 * time.Minute)
		if p := r.stands("a"); p != replica.BucketPresent {
			t.Errorf("the last one is %s", p)
		}
		for _, name := range r.names {
			r.wires[name].plug(false)
		}
		r.until("all serve", func() bool { return r.stands("b") == replica.BucketPresent && r.stands("c") == replica.BucketPresent })
		r.converge()
		r.bytesEqual()
	})
}

package replica_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/s3mirror/s3mirror/internal/backend"
	"github.com/s3mirror/s3mirror/internal/heal"
	"github.com/s3mirror/s3mirror/internal/memory"
	"github.com/s3mirror/s3mirror/internal/object"
	"github.com/s3mirror/s3mirror/internal/replica"
	"github.com/s3mirror/s3mirror/internal/s3"
)

// start asks for a job.
func (r *rig) start(w heal.Want) heal.Job {
	r.t.Helper()
	job, err := r.jobs.Start(r.ctx, w, "tester")
	if err != nil {
		r.t.Fatalf("start %+v: %v", w, err)
	}
	return job
}

// over waits for the end of a job, on virtual time.
func (r *rig) over(id string) heal.Job {
	r.t.Helper()
	deadline := time.Now().Add(30 * time.Minute)
	for {
		job, err := r.jobs.Job(r.ctx, id)
		switch {
		case err != nil:
			r.t.Fatalf("job %s: %v", id, err)
		case job.State.Over():
			return job
		case time.Now().After(deadline):
			r.t.Fatalf("job does not end: %+v", job)
		}
		time.Sleep(100 * time.Millisecond)
	}
}

// done is over of a job that has to end well.
func (r *rig) done(w heal.Want) heal.Job {
	r.t.Helper()
	job := r.over(r.start(w).ID)
	if job.State != heal.JobDone {
		r.t.Fatalf("job ended so: %+v", job)
	}
	return job
}

// found are the findings of a job: key, backend, what, done.
func (r *rig) found(job heal.Job) (list []string) {
	r.t.Helper()
	for page := range job.Pages {
		found, err := r.jobs.Findings(r.ctx, job.ID, page)
		if err != nil {
			r.t.Fatal(err)
		}
		for _, f := range found {
			list = append(list, fmt.Sprintf("%s %s %s %s", f.Key, f.Backend, f.What, f.Done))
		}
	}
	return list
}

func (r *rig) wantFound(job heal.Job, want ...string) {
	r.t.Helper()
	if got := r.found(job); fmt.Sprint(got) != fmt.Sprint(want) {
		r.t.Errorf("found %q, want %q", got, want)
	}
	if int(job.Differences) != len(want) {
		r.t.Errorf("%d differences are counted, want %d", job.Differences, len(want))
	}
}

// bytesEqual fails the test unless all servers give the same bytes for every key.
func (r *rig) bytesEqual() {
	r.t.Helper()
	for key := range r.equal() {
		var first []byte
		for i, name := range r.names {
			obj, err := r.direct(name).Get(r.ctx, testBucket, key, backend.GetOptions{})
			if err != nil {
				r.t.Fatal(err)
			}
			data, err := io.ReadAll(obj.Body)
			obj.Body.Close()
			if err != nil {
				r.t.Fatal(err)
			}
			if i == 0 {
				first = data
			} else if !bytes.Equal(first, data) {
				r.t.Errorf("key %q: bytes on %s are others", key, name)
			}
		}
	}
}

// settled puts n keys, and waits until the log has forgotten them.
func (r *rig) settled(n int) {
	r.t.Helper()
	for i := range n {
		r.mustPut(fmt.Sprintf("k%03d", i), content(1000+i, uint64(i)))
	}
	r.converge()
}

func TestScrubOfEqualReplicas(t *testing.T) {
	inBubble(t, func(t *testing.T, r *rig) {
		r.settled(20)
		for _, deep := range []bool{false, true} {
			job := r.done(heal.Want{Kind: heal.KindScrub, Deep: deep})
			r.wantFound(job)
			if job.Keys != 20 || (job.Bytes > 0) != deep {
				t.Errorf("deep %v: %d keys, %d bytes", deep, job.Keys, job.Bytes)
			}
		}
		if st, _ := r.log.Stats(r.ctx); st.Rows != 0 {
			t.Errorf("%d rows were made", st.Rows)
		}
	})
}

// What somebody did to one backend behind our back is found and mended: an object that was
// deleted, one that was put there, one that was overwritten.
func TestScrubMendsWhatDiffers(t *testing.T) {
	inBubble(t, func(t *testing.T, r *rig) {
		r.settled(20)
		if err := r.direct("b").Delete(r.ctx, testBucket, "k003"); err != nil {
			t.Fatal(err)
		}
		r.directPut("c", testBucket, "stray", []byte("found on one"))
		r.directPut("a", testBucket, "k007", []byte("overwritten"))
		job := r.done(heal.Want{Kind: heal.KindScrub, Bucket: testBucket})
		r.wantFound(job, "k003 b missing healed", "k007 a size healed", "stray a missing healed", "stray b missing healed")
		r.mustGet("k003", content(1003, 3))
		r.mustGet("k007", content(1007, 7))
		r.mustGet("stray", []byte("found on one"))
		r.converge()
		r.bytesEqual()
		r.wantFound(r.done(heal.Want{Kind: heal.KindScrub}))
	})
}

// Rot shows in no list and no HEAD: a deep scrub finds it, and heals it from a replica
// whose bytes are right, be there two replicas or three.
func TestDeepScrubMendsRot(t *testing.T) {
	for _, names := range [][]string{{"a", "b"}, {"a", "b", "c"}} {
		t.Run(fmt.Sprint(names), func(t *testing.T) {
			onRigOf(t, names, func(t *testing.T, r *rig) {
				r.settled(5)
				if err := r.servers["b"].Rot(testBucket, "k002"); err != nil {
					t.Fatal(err)
				}
				r.wantFound(r.done(heal.Want{Kind: heal.KindScrub}))
				r.wantFound(r.done(heal.Want{Kind: heal.KindScrub, Deep: true}), "k002 b bytes healed")
				r.converge()
				r.bytesEqual()
				r.mustGet("k002", content(1002, 2))
				r.wantFound(r.done(heal.Want{Kind: heal.KindScrub, Deep: true}))
			})
		})
	}
}

// A key whose row still stands is judged by it.
// Tags that somebody changed on one backend are told by a deep scrub alone: those that the log
// knows stand, then those of most replicas.
func TestDeepScrubMendsTags(t *testing.T) {
	inBubble(t, func(t *testing.T, r *rig) {
		r.settled(3)
		for _, name := range []string{"quiet", "known"} {
			r.putTagged(name, 100, red)
		}
		r.converge()
		r.mustTag("known", blue)
		retag := func(name string, tags object.Tags, at ...string) {
			t.Helper()
			for _, server := range at {
				remote := r.remote(server)
				err := remote.PutTags(r.ctx, testBucket, name, tags)
				remote.Close()
				if err != nil {
					t.Fatal(err)
				}
			}
		}
		r.until("the tags are everywhere", func() bool {
			row, err := r.log.Row(r.ctx, key("known"))
			return err == nil && row.Quiet(object.NewReplicas(r.names...))
		})
		retag("quiet", blue, "b")
		retag("known", red, "a", "c")
		r.wantFound(r.done(heal.Want{Kind: heal.KindScrub}))
		var found []string
		for _, f := range r.found(r.done(heal.Want{Kind: heal.KindScrub, Deep: true})) {
			found = append(found, strings.TrimSuffix(strings.TrimSuffix(f, " due"), " healed")) // by the job, or by the healer
		}
		if want := []string{"known a tags", "known c tags", "quiet b tags"}; !slices.Equal(found, want) {
			t.Errorf("found %q, want %q", found, want)
		}
		r.until("tags are mended", func() bool {
			row, err := r.log.Row(r.ctx, key("known"))
			return err == nil && row.Quiet(object.NewReplicas(r.names...))
		})
		r.tagsAre("quiet", red)
		r.tagsAre("known", blue)
		r.wantFound(r.done(heal.Want{Kind: heal.KindScrub, Deep: true}))
		r.converge()
		r.tagsAre("quiet", red)
		r.tagsAre("known", blue)
	})
}

func TestScrubOfKeysWithRows(t *testing.T) {
	inBubble(t, func(t *testing.T, r *rig) {
		for i := range 5 {
			r.mustPut(fmt.Sprintf("k%03d", i), content(1000+i, uint64(i)))
		}
		r.mustPut("gone", content(10, 1))
		time.Sleep(30 * time.Second) // the rows are quiet, and wait out their retention
		r.mustDelete("gone")
		time.Sleep(25 * time.Second)
		if err := r.direct("b").Delete(r.ctx, testBucket, "k003"); err != nil {
			t.Fatal(err)
		}
		if err := r.servers["c"].Rot(testBucket, "k001"); err != nil {
			t.Fatal(err)
		}
		r.directPut("a", testBucket, "gone", []byte("a deleted object came back"))
		r.wantFound(r.done(heal.Want{Kind: heal.KindScrub, Deep: true}), "gone a extra healed", "k001 c bytes healed", "k003 b missing healed")
		r.mustMiss("gone")
		r.converge()
		r.bytesEqual()
		r.mustMiss("gone")
	})
}

// A backend that was replaced by an empty one, with the identity of the old one put back,
// is not for a scrub to fill: it stops, and says what to do. A resync does it.
func TestAnEmptyBackendIsResynced(t *testing.T) {
	inBubble(t, func(t *testing.T, r *rig) {
		r.settled(40)
		for i := range 40 {
			if err := r.direct("b").Delete(r.ctx, testBucket, fmt.Sprintf("k%03d", i)); err != nil {
				t.Fatal(err)
			}
		}
		job := r.over(r.start(heal.Want{Kind: heal.KindScrub}).ID)
		if job.State != heal.JobFailed || !strings.Contains(job.Problem, "backend b lacks 40 of the 40 keys") || !strings.Contains(job.Problem, "s3mirror resync --backend b") {
			t.Fatalf("scrub ended so: %+v", job)
		}
		if got := r.found(job); len(got) != 40 || !strings.HasSuffix(got[0], "missing nothing") {
			t.Errorf("found %q", got)
		}
		id := r.start(heal.Want{Kind: heal.KindResync, Backend: "b"}).ID
		for i := range 40 { // reads pass it by, or know what it lacks
			r.mustGet(fmt.Sprintf("k%03d", i), content(1000+i, uint64(i)))
		}
		if job = r.over(id); job.State != heal.JobDone || job.Differences < 30 { // a read may find a key before
			t.Fatalf("resync ended so: %+v", job)
		}
		r.bytesEqual()
		r.converge()
		r.wantFound(r.done(heal.Want{Kind: heal.KindScrub, Deep: true}))
	})
}

// A replica that was away for so long that nobody knows what it misses comes back with old
// objects and with deleted ones: the others alone count.
func TestALongLostReplicaIsResynced(t *testing.T) {
	inBubble(t, func(t *testing.T, r *rig) {
		r.settled(30)
		old := []byte("from before")
		r.directPut("c", testBucket, "k004", old)
		r.directPut("c", testBucket, "deleted", old)
		if err := r.direct("c").Delete(r.ctx, testBucket, "k005"); err != nil {
			t.Fatal(err)
		}
		job := r.done(heal.Want{Kind: heal.KindResync, Backend: "c", Bucket: testBucket})
		if job.Differences != 3 || job.Extra != 1 {
			t.Errorf("resync: %+v", job)
		}
		r.mustMiss("deleted")
		r.mustGet("k004", content(1004, 4))
		r.converge()
		r.bytesEqual()
		if _, ok := r.equal()["deleted"]; ok {
			t.Error("a deleted object came back")
		}
	})
}

// Whoever names the wrong backend does not lose what only it holds.
func TestAResyncTakesLittleAway(t *testing.T) {
	inBubble(t, func(t *testing.T, r *rig) {
		r.settled(20)
		for i := range 20 {
			r.directPut("a", testBucket, fmt.Sprintf("only-%d", i), []byte("x"))
		}
		job := r.over(r.start(heal.Want{Kind: heal.KindResync, Backend: "a"}).ID)
		if job.State != heal.JobFailed || !strings.Contains(job.Problem, "they would be deleted") {
			t.Fatalf("resync ended so: %+v", job)
		}
		if len(r.stored("a")) != 40 {
			t.Errorf("%d objects are left of 40", len(r.stored("a")))
		}
		time.Sleep(2 * time.Minute) // no node fills it by itself meanwhile
		detail, err := r.set.Detail(r.ctx, testBucket)
		if err != nil || !detail.Replicas[0].Wiped {
			t.Errorf("%+v, %v", detail, err)
		}
		r.done(heal.Want{Kind: heal.KindResync, Backend: "a", MaxLoss: 100})
		r.converge()
		r.bytesEqual()
	})
}

func TestAnExistingBucketIsAdopted(t *testing.T) {
	onRigOf(t, []string{"a", "b", "c"}, func(t *testing.T, r *rig) {
		const bucket = "found"
		for _, name := range []string{"a", "b"} {
			if err := r.direct(name).CreateBucket(r.ctx, bucket); err != nil {
				t.Fatal(err)
			}
		}
		for i := range 30 {
			r.directPut("a", bucket, fmt.Sprintf("k%03d", i), content(1000+i, uint64(i)))
			if i%2 == 0 {
				r.directPut("b", bucket, fmt.Sprintf("k%03d", i), content(1000+i, uint64(i)))
			}
		}
		r.directPut("b", bucket, "k001", []byte("another one"))
		r.directPut("b", bucket, "on b alone", []byte("kept"))
		key := object.Key{Bucket: bucket, Name: "k001"}
		if _, err := r.set.Head(r.ctx, key); err == nil {
			t.Fatal("a bucket with objects was taken over")
		}
		job := r.done(heal.Want{Kind: heal.KindAdopt, Bucket: bucket, Source: "a"})
		if job.Differences == 0 {
			t.Errorf("%+v", job)
		}
		r.converge()
		obj, err := r.set.Get(r.ctx, replica.GetRequest{Key: key})
		if err != nil {
			t.Fatal(err)
		}
		data, _ := io.ReadAll(obj.Body)
		obj.Body.Close()
		if !bytes.Equal(data, content(1001, 1)) {
			t.Error("where two differ the source's does not stand")
		}
		scrubbed := r.done(heal.Want{Kind: heal.KindScrub, Bucket: bucket, Deep: true})
		if r.wantFound(scrubbed); scrubbed.Keys != 31 {
			t.Errorf("%d keys", scrubbed.Keys)
		}
		again := r.done(heal.Want{Kind: heal.KindAdopt, Bucket: bucket})
		if again.Keys != 0 {
			t.Errorf("it was adopted once more: %+v", again)
		}
	})
}

func TestDrainLeavesNothingOnOneBackend(t *testing.T) {
	inBubble(t, func(t *testing.T, r *rig) {
		for _, away := range []string{"b", "c"} {
			r.wires[away].plug(true)
		}
		for range 5 {
			r.mustPut("alone", content(100, 1)) // until the breakers are open
		}
		id := r.start(heal.Want{Kind: heal.KindDrain, Backend: "a"}).ID
		time.Sleep(10 * time.Second)
		if job, _ := r.jobs.Job(r.ctx, id); job.State != heal.JobRunning || job.Left == 0 {
			t.Fatalf("drained while it alone holds a key: %+v", job)
		}
		for _, away := range []string{"b", "c"} {
			r.wires[away].plug(false)
		}
		if job := r.over(id); job.State != heal.JobDone || !r.set.Paused("a") {
			t.Fatalf("drain ended so: %+v", job)
		}
		r.mustGet("alone", content(100, 1))
		if job := r.over(r.start(heal.Want{Kind: heal.KindDrain, Backend: "a"}).ID); job.State != heal.JobDone {
			t.Errorf("drained once more: %+v", job)
		}
	})
}

func TestHealVisitsWhatIsLeft(t *testing.T) {
	inBubble(t, func(t *testing.T, r *rig) {
		r.wires["b"].plug(true)
		for i := range 10 {
			r.mustPut(fmt.Sprint(i), content(100+i, 1))
		}
		job := r.over(r.start(heal.Want{Kind: heal.KindHeal}).ID)
		if job.State != heal.JobFailed || !strings.Contains(job.Problem, "away") {
			t.Fatalf("heal without the backend: %+v", job)
		}
		r.wires["b"].plug(false)
		r.done(heal.Want{Kind: heal.KindHeal, Backend: "b"})
		r.bytesEqual()
	})
}

func TestJobsAreChecked(t *testing.T) {
	inBubble(t, func(t *testing.T, r *rig) {
		for _, w := range []heal.Want{
			{}, {Kind: "other"}, {Kind: heal.KindResync}, {Kind: heal.KindAdopt}, {Kind: heal.KindDrain},
			{Kind: heal.KindHeal, Deep: true}, {Kind: heal.KindScrub, Source: "a"}, {Kind: heal.KindScrub, MaxLoss: 101}, {Kind: heal.KindScrub, Backend: "a"},
		} {
			if _, err := r.jobs.Start(r.ctx, w, "tester"); !errors.Is(err, heal.ErrWrong) {
				t.Errorf("%+v: %v", w, err)
			}
		}
		if _, err := r.jobs.Job(r.ctx, "none"); !errors.Is(err, heal.ErrNoJob) {
			t.Errorf("%v", err)
		}
		if job := r.over(r.start(heal.Want{Kind: heal.KindScrub, Bucket: "nowhere"}).ID); job.State != heal.JobFailed || !strings.Contains(job.Problem, "not there") {
			t.Errorf("%+v", job)
		}
		if job := r.over(r.start(heal.Want{Kind: heal.KindAdopt, Bucket: "nowhere"}).ID); job.State != heal.JobFailed {
			t.Errorf("%+v", job)
		}
	})
}

// A job is ended by who asks for it, is one of its kind, and is forgotten in the end.
func TestJobsAreCancelledAndForgotten(t *testing.T) {
	inBubble(t, func(t *testing.T, r *rig) {
		r.settled(3)
		r.wires["b"].plug(true)
		r.mustPut("missed", content(10, 1))
		waits := r.start(heal.Want{Kind: heal.KindResync, Backend: "b"})
		time.Sleep(5 * time.Second)
		if _, err := r.jobs.Start(r.ctx, heal.Want{Kind: heal.KindResync, Backend: "b", Bucket: testBucket}, "x"); !errors.Is(err, heal.ErrBusy) {
			t.Errorf("a second one of its kind: %v", err)
		}
		if job, _ := r.jobs.Job(r.ctx, waits.ID); job.Problem == "" || job.State != heal.JobRunning {
			t.Errorf("it does not say what it waits for: %+v", job)
		}
		if _, err := r.jobs.End(r.ctx, waits.ID); err != nil {
			t.Fatal(err)
		}
		if job := r.over(waits.ID); job.State != heal.JobCancelled {
			t.Errorf("%+v", job)
		}
		r.wires["b"].plug(false)
		r.done(heal.Want{Kind: heal.KindResync, Backend: "b"})
		if _, err := r.jobs.End(r.ctx, waits.ID); err != nil {
			t.Fatal(err)
		}
		if _, err := r.jobs.Job(r.ctx, waits.ID); !errors.Is(err, heal.ErrNoJob) {
			t.Errorf("%v", err)
		}
		time.Sleep(25 * time.Hour)
		if all, err := r.jobs.List(r.ctx); err != nil || len(all) != 0 {
			t.Errorf("%+v, %v", all, err)
		}
	})
}

// A node that is killed in the middle, again and again: the next one goes on, and what was
// found is told once.
func TestAJobOutlivesItsNode(t *testing.T) {
	inBubble(t, func(t *testing.T, r *rig) {
		const n = 600
		for i := range n {
			for _, name := range r.names {
				if i%50 != 7 || name != "b" {
					r.directPut(name, testBucket, fmt.Sprintf("k%04d", i), []byte(fmt.Sprint(i)))
				}
			}
		}
		for _, name := range r.names {
			r.servers[name].SetFaults(memory.Faults{Delay: 20 * time.Millisecond})
		}
		id := r.start(heal.Want{Kind: heal.KindScrub, Deep: true}).ID
		for crash := 0; ; crash++ {
			time.Sleep(1500 * time.Millisecond)
			job, err := r.jobs.Job(r.ctx, id)
			if err != nil {
				t.Fatal(err)
			}
			if job.State.Over() {
				if crash < 3 {
					t.Fatalf("it was over after %d crashes", crash)
				}
				if job.State != heal.JobDone || len(r.found(job)) != n/50 || job.Differences != n/50 {
					t.Fatalf("%+v, found %q", job, r.found(job))
				}
				break
			}
			if crash < 5 {
				r.crash()
				r.open(nil)
			}
		}
		r.converge()
		r.bytesEqual()
	})
}

func onRigOf(t *testing.T, names []string, do func(t *testing.T, r *rig)) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, memory.NewLog(), names...)
		r.open(nil)
		r.makeBucket()
		do(t, r)
	})
}

// TestWhy: what a job waits for is told in the words of its cause, not in those that S3
// has for clients.
func TestWhy(t *testing.T) {
	cause := errors.New("the log is away")
	for _, tc := range []struct {
		err  error
		want string
	}{
		{cause, "the log is away"},
		{s3.Err(s3.SlowDown).Because(cause), "the log is away"},
		{fmt.Errorf("list: %w", s3.Err(s3.SlowDown).Because(s3.Err(s3.InternalError).Because(cause))), "the log is away"},
		{s3.Err(s3.NoSuchKey), s3.Err(s3.NoSuchKey).Error()},
	} {
		if got := replica.Why(tc.err); got != tc.want {
			t.Errorf("%v: %q, want %q", tc.err, got, tc.want)
		}
	}
}

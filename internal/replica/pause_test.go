package replica_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/s3mirror/s3mirror/internal/commit"
	"github.com/s3mirror/s3mirror/internal/memory"
	"github.com/s3mirror/s3mirror/internal/object"
	"github.com/s3mirror/s3mirror/internal/oplog"
	"github.com/s3mirror/s3mirror/internal/replica"
)

func (r *rig) pause(name string, until time.Time) {
	r.t.Helper()
	if err := r.set.Pause(r.ctx, name, until); err != nil {
		r.t.Fatalf("pause %s: %v", name, err)
	}
}

func (r *rig) resume(name string) {
	r.t.Helper()
	if err := r.set.Resume(r.ctx, name); err != nil {
		r.t.Fatalf("resume %s: %v", name, err)
	}
}

// paused is whether the status says so.
func (r *rig) paused(name string) (paused bool, lagging int64) {
	r.t.Helper()
	st, err := r.set.Status(r.ctx)
	if err != nil {
		r.t.Fatal(err)
	}
	for _, b := range st.Backends {
		if b.Name == name {
			return b.Paused, b.Lagging.Keys
		}
	}
	return false, 0
}

// A paused backend is asked for nothing and is logged as lagging, over a restart
// too; resumed it is healed.
func TestABackendIsPausedAndResumed(t *testing.T) {
	inBubble(t, func(t *testing.T, r *rig) {
		r.mustPut("old", content(100, 1))
		r.converge()
		r.pause("b", time.Time{})
		r.pause("b", time.Time{}) // again is no error
		r.counts["b"].reset()
		work := func(from int) {
			for i := from; i < from+10; i++ {
				name := fmt.Sprint("new", i)
				r.mustPut(name, content(100*i, uint64(i)))
				r.mustGet(name, content(100*i, uint64(i)))
				r.mustGet("old", content(100, 1))
			}
			r.list("", "", 100)
			time.Sleep(5 * time.Minute)
		}
		work(0)
		if paused, lagging := r.paused("b"); !paused || lagging != 10 {
			t.Errorf("paused %v, lagging %d", paused, lagging)
		}
		r.close()
		r.open(nil)
		work(10)
		r.mustDelete("old")
		if err := r.set.CreateBucket(r.ctx, "second", "", ""); err != nil {
			t.Errorf("a bucket while a backend is paused: %v", err)
		}
		if n := r.counts["b"].asked(); n != 0 {
			t.Errorf("a paused backend was asked %d times: %v", n, r.counts["b"])
		}
		if paused, lagging := r.paused("b"); !paused || lagging != 21 {
			t.Errorf("paused %v, lagging %d", paused, lagging)
		}
		if p := r.set.Pauses(); len(p) != 1 || p["b"].Since.IsZero() || !p["b"].Until.IsZero() {
			t.Errorf("pauses %+v", p)
		}
		r.resume("b")
		r.resume("b")
		r.converge()
		if got := r.equal(); len(got) != 20 {
			t.Errorf("%d objects", len(got))
		}
		if st := r.servers["b"].Stats(); st.Buckets != 2 {
			t.Errorf("the bucket that was made meanwhile is missing: %+v", st)
		}
	})
}

// A pause may end by itself.
func TestAPauseEnds(t *testing.T) {
	inBubble(t, func(t *testing.T, r *rig) {
		r.pause("b", time.Now().Add(time.Hour))
		r.mustPut("k", content(10, 1))
		time.Sleep(59 * time.Minute)
		if paused, lagging := r.paused("b"); !paused || lagging != 1 {
			t.Errorf("paused %v, lagging %d", paused, lagging)
		}
		r.pause("b", time.Now().Add(10*time.Minute)) // moves the end
		time.Sleep(9 * time.Minute)
		if _, lagging := r.paused("b"); lagging != 1 {
			t.Errorf("lagging %d", lagging)
		}
		time.Sleep(2 * time.Minute)
		if paused, lagging := r.paused("b"); paused || lagging != 0 || len(r.set.Pauses()) != 0 {
			t.Errorf("paused %v, lagging %d", paused, lagging)
		}
		r.converge()
		r.equal()
	})
}

// What happens to a backend while it is paused nobody sees: it is looked at before
// it serves again.
func TestABackendThatLosesItsBucketsWhilePaused(t *testing.T) {
	for _, restart := range []bool{false, true} {
		inBubble(t, func(t *testing.T, r *rig) {
			for i := range 10 {
				r.mustPut(fmt.Sprint("k", i), content(100, uint64(i)))
			}
			r.converge()
			r.pause("b", time.Time{})
			r.servers["b"].Wipe()
			if restart {
				r.close()
				r.open(nil)
			}
			time.Sleep(time.Minute)
			r.resume("b")
			for range 3 {
				for i := range 10 {
					r.mustGet(fmt.Sprint("k", i), content(100, uint64(i)))
				}
				time.Sleep(2 * time.Second)
			}
			time.Sleep(time.Minute)
			r.converge()
			if got := r.equal(); len(got) != 10 {
				t.Errorf("%d objects", len(got))
			}
		})
	}
}

func TestPausesThatDoNotFitAreRefused(t *testing.T) {
	inBubble(t, func(t *testing.T, r *rig) {
		refused := func(name, says string, want error) {
			t.Helper()
			if err := r.set.Pause(r.ctx, name, time.Time{}); !errors.Is(err, want) || !strings.Contains(err.Error(), says) {
				t.Errorf("pause %s: %v", name, err)
			}
		}
		refused("x", `"x"`, replica.ErrUnknownBackend)
		if err := r.set.Resume(r.ctx, "x"); !errors.Is(err, replica.ErrUnknownBackend) {
			t.Error(err)
		}
		if err := r.set.Pause(r.ctx, "a", time.Now().Add(-time.Second)); !errors.Is(err, replica.ErrUnfitting) {
			t.Error(err)
		}
		r.pause("a", time.Time{})
		r.pause("b", time.Time{})
		refused("c", "its ack rule needs 1 of a, b, c", replica.ErrUnfitting)
		r.resume("a")
		r.resume("b")
		r.setMode("", primary("b"))
		refused("b", "b among them", replica.ErrUnfitting)
		r.setMode("", active)
		r.close()
		r.open(func(o *replica.Options) { o.Defaults.Ack = commit.Rule{Need: 3} })
		refused("a", "3 of a, b, c", replica.ErrUnfitting)
	})
}

// The pace of heals changes while they run, outlives the process, and gives way to
// the configuration's when it is taken back.
func TestThePaceIsSet(t *testing.T) {
	inBubble(t, func(t *testing.T, r *rig) {
		if err := r.set.SetPace(r.ctx, "x", &replica.Pace{}); !errors.Is(err, replica.ErrUnknownBackend) {
			t.Error(err)
		}
		slow := replica.Pace{BytesPerSecond: 1 << 20, RequestsPerSecond: 5}
		for _, err := range []error{r.set.SetPace(r.ctx, "", &slow), r.set.SetPace(r.ctx, "a", &replica.Pace{RequestsPerSecond: 9})} {
			if err != nil {
				t.Fatal(err)
			}
		}
		want := func(life string, a, b replica.Pace) {
			t.Helper()
			if got := r.set.Paces(); got["a"] != a || got["b"] != b || got["c"] != b {
				t.Errorf("%s: paces %+v", life, got)
			}
			for i, want := range []replica.Pace{a, b, b} {
				if bytes, requests := r.stacks[i].Limits.Current(); bytes != want.BytesPerSecond || requests != want.RequestsPerSecond {
					t.Errorf("%s: limits of %s are %d and %v", life, r.names[i], bytes, requests)
				}
			}
		}
		want("set", replica.Pace{RequestsPerSecond: 9}, slow)
		r.crash()
		r.open(nil)
		want("after a restart", replica.Pace{RequestsPerSecond: 9}, slow)
		if err := r.set.SetPace(r.ctx, "", nil); err != nil {
			t.Fatal(err)
		}
		want("taken back", replica.Pace{}, replica.Pace{})
	})
}

// The pace is kept while heals run, and another one is in force at once; a client's
// write to a key that is being healed waits for no limit.
func TestHealsKeepTheirPace(t *testing.T) {
	inBubble(t, func(t *testing.T, r *rig) {
		r.wires["b"].plug(true)
		const keys = 200
		r.each(keys, func(i int) { r.mustPut(fmt.Sprint("k", i), content(1000, uint64(i))) })
		time.Sleep(time.Minute)
		if err := r.set.SetPace(r.ctx, "b", &replica.Pace{RequestsPerSecond: 5}); err != nil {
			t.Fatal(err)
		}
		r.forget()
		r.wires["b"].plug(false)
		asked := func() (n int) {
			for i := range keys {
				k := fmt.Sprint("k", i)
				n += r.counts["b"].of("", k) + r.counts["b"].of("HEAD", k)
			}
			return n
		}
		time.Sleep(20 * time.Second)
		before := asked()
		time.Sleep(20 * time.Second)
		if n := asked() - before; n < 80 || n > 105 {
			t.Errorf("%d requests in 20 seconds at 5 a second", n)
		}
		for i := range keys {
			began := time.Now()
			r.mustPut(fmt.Sprint("k", i), content(1000, uint64(i+1)))
			if d := time.Since(began); d > 100*time.Millisecond {
				t.Fatalf("a client waited %v for the pace of heals", d)
			}
		}
		r.forget()
		r.wires["b"].plug(true)
		r.each(keys, func(i int) { r.mustPut(fmt.Sprint("k", i), content(500, uint64(i))) })
		r.wires["b"].plug(false)
		time.Sleep(10 * time.Second)
		if err := r.set.SetPace(r.ctx, "b", nil); err != nil {
			t.Fatal(err)
		}
		time.Sleep(40 * time.Second) // with the limit it would be twice as long; a heal that was cut has to settle
		for i := range keys {
			if n := r.counts["b"].of("PUT", fmt.Sprint("k", i)); n == 0 {
				t.Fatalf("k%d is not healed when the limit is long gone", i)
			}
		}
		r.converge()
		r.equal()
	})
}

// Nodes that share a log hear of what another one sets.
func TestOtherNodesHearOfSettings(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		shared := func(o *replica.Options) { o.Exclusive = false }
		log := memory.NewLog()
		r := newRig(t, log, "a", "b", "c")
		r.open(shared)
		r.makeBucket()
		other := newRig(t, log, "a", "b", "c")
		other.wires, other.servers, other.counts = r.wires, r.servers, r.counts
		other.open(func(o *replica.Options) { shared(o); o.Node = "other" })

		r.setMode("", primary("b"))
		r.forget()
		other.mustPut("k", content(10, 1))
		if n := r.counts["a"].of("", "k") + r.counts["c"].of("", "k"); n != 0 {
			t.Errorf("others than the primary were written %d times", n)
		}
		other.setMode(testBucket, primary("c"))
		r.forget()
		r.mustPut("l", content(10, 1))
		if n := r.counts["a"].of("", "l") + r.counts["b"].of("", "l"); n != 0 {
			t.Errorf("others than the bucket's primary were written %d times", n)
		}
		other.setMode(testBucket, active)
		other.setMode("", active)
		other.setMode(testBucket, active)
		r.pause("a", time.Time{})
		if paused, _ := other.paused("a"); !paused {
			t.Error("the other node does not know of the pause")
		}
		other.resume("a")
		r.converge()
		r.equal()
	})
}

// Settings that nobody can read are an error at the start, not a guess.
func TestMalformedSettings(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		log := memory.NewLog()
		r := newRig(t, log, "a")
		r.open(nil)
		r.close()
		doc := oplog.Doc{Kind: oplog.DocReplication, Name: "settings", Epoch: oplog.NewEpoch(), Body: []byte("{")}
		if err := log.SwapDoc(r.ctx, oplog.Epoch{}, doc); err != nil {
			t.Fatal(err)
		}
		if _, err := replica.Open(r.ctx, replica.Options{
			Node: "node", Exclusive: true, Log: log, Stacks: r.stacks, Times: times,
			Defaults: replica.Policy{Replicas: object.NewReplicas("a"), Ack: commit.Rule{Need: 1}},
		}); err == nil || !strings.Contains(err.Error(), "settings") {
			t.Errorf("open: %v", err)
		}
	})
}

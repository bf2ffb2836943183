package replica_test

import (
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/s3mirror/s3mirror/internal/backend"
	"github.com/s3mirror/s3mirror/internal/commit"
	"github.com/s3mirror/s3mirror/internal/heal"
	"github.com/s3mirror/s3mirror/internal/object"
	"github.com/s3mirror/s3mirror/internal/replica"
	"github.com/s3mirror/s3mirror/internal/s3"
)

// everyone is an ack rule of the configuration: every backend that a bucket is on.
func everyone(o *replica.Options) {
	o.Defaults.Ack = commit.Rule{Need: len(o.Defaults.Replicas)}
	o.Defaults.NeedOf = func(n int) int { return n }
}

// onTwo is a rig whose bucket is on a and b, and whose ack rule is everyone.
func onTwo(t *testing.T, edit func(*replica.Options)) *rig {
	r := spare(t, "d")
	r.open(func(o *replica.Options) {
		everyone(o)
		if edit != nil {
			edit(o)
		}
	})
	if err := r.set.CreateBucketAt(r.ctx, testBucket, at("a", "b"), "tester", "1"); err != nil {
		t.Fatal(err)
	}
	return r
}

// join has backends join the bucket.
func (r *rig) join(p replica.Placement) {
	r.t.Helper()
	if err := r.set.SetReplicas(r.ctx, testBucket, p); err != nil {
		r.t.Fatalf("%+v: %v", p, err)
	}
}

// filled waits until no replica of the bucket is passed by, on virtual time.
func (r *rig) filled() {
	r.t.Helper()
	for deadline := time.Now().Add(30 * time.Minute); ; time.Sleep(time.Second) {
		d, err := r.set.Detail(r.ctx, testBucket)
		if err != nil {
			r.t.Fatal(err)
		}
		waiting := ""
		for _, one := range d.Replicas {
			if one.Presence() != replica.BucketPresent {
				waiting += fmt.Sprintf("%+v ", one)
			}
		}
		if waiting == "" {
			return
		}
		if time.Now().After(deadline) {
			r.t.Fatalf("not filled: %s", waiting)
		}
	}
}

// A backend joins a bucket that stands while clients write, delete and read: it is filled,
// serves then, and every backend holds the same.
func TestABackendJoinsABucket(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := onTwo(t, nil)
		for i := range 300 {
			r.mustPut(fmt.Sprintf("old-%03d", i), content(50+i, uint64(i)))
		}
		r.mustDelete("old-007")
		time.Sleep(2 * times.Retention) // most keys have no row
		want := map[string][]byte{}     // of the client, until it is awaited
		var client sync.WaitGroup
		client.Go(func() {
			for i := range 900 {
				name := fmt.Sprintf("old-%03d", i*7%300)
				if i%5 == 4 {
					r.mustDelete(name)
					want[name] = nil
				} else {
					want[name] = content(20+i, 9)
					r.mustPut(name, want[name])
				}
				time.Sleep(10 * time.Millisecond)
			}
		})
		time.Sleep(time.Second)
		r.join(at("a", "b", "c"))
		if got := r.set.Replicas(testBucket); !got.Equal(object.NewReplicas("a", "b", "c")) {
			t.Errorf("%v", got)
		}
		client.Wait()
		r.filled()
		r.converge()
		if held := r.equal(); len(held) == 0 {
			t.Fatal("nothing is there")
		}
		for name, data := range want {
			if data == nil {
				r.mustMiss(name)
			} else {
				r.mustGet(name, data)
			}
		}
		// It serves: alone, when the others are away.
		r.wires["a"].plug(true)
		r.wires["b"].plug(true)
		for name, data := range want {
			if data != nil {
				r.mustGet(name, data)
			}
		}
		r.wires["a"].plug(false)
		r.wires["b"].plug(false)
		if all, err := r.jobs.List(r.ctx); err != nil || len(all) != 1 || all[0].Kind != heal.KindResync || all[0].By != "node" || all[0].Backend != "c" || all[0].Beside {
			t.Errorf("%+v, %v", all, err)
		}
	})
}

// Until a backend that joins is filled no write needs it; then every write does, by the rule.
func TestWhoJoinsIsNotNeededUntilItIsFilled(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := onTwo(t, nil)
		r.mustPut("k", content(100, 1))
		up := (&rigUpload{r: r}).begin("large")
		r.join(at("a", "b", "c"))
		r.wires["c"].plug(true)
		for i := range 8 { // until its breaker has opened
			r.mustPut("k", content(100, uint64(i)))
			time.Sleep(3 * time.Second)
		}
		if d, err := r.set.Detail(r.ctx, testBucket); err != nil || d.Ack.Need != 2 {
			t.Errorf("%+v, %v", d.Ack, err)
		}
		r.mustGet("k", content(100, 7))
		r.wires["c"].plug(false)
		r.filled()
		if d, err := r.set.Detail(r.ctx, testBucket); err != nil || d.Ack.Need != 3 {
			t.Errorf("%+v, %v", d.Ack, err)
		}
		up.end() // it was begun when there were two
		r.converge()
		r.equal()
		r.wires["c"].plug(true)
		if _, err := r.put("k", content(10, 1)); err == nil {
			t.Error("acknowledged by two of three")
		}
		r.wires["c"].plug(false)
		time.Sleep(time.Minute)
	})
}

// rigUpload is a multipart upload of two parts.
type rigUpload struct {
	r *rig
	p *pieces
}

func (u *rigUpload) begin(name string) *rigUpload {
	u.p = u.r.begin(name, s3.UploadChecksum{})
	u.p.put(1, content(s3.MinPartBytes, 1))
	return u
}

func (u *rigUpload) end() {
	u.p.put(2, content(1000, 2))
	u.p.complete()
	u.r.mustGet(u.p.key.Name, u.p.whole())
}

// What cannot be is refused in words, and changes nothing.
func TestReplicaSetsThatAreRefused(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := onTwo(t, nil)
		r.mustPut("k", content(10, 1))
		direct := func(server string) *backend.Remote {
			remote, err := r.remoteTo(server, server)
			if err != nil {
				t.Fatal(err)
			}
			return remote
		}
		if err := direct("c").CreateBucket(r.ctx, testBucket); err != nil {
			t.Fatal(err)
		}
		r.directPut("c", testBucket, "stranger", []byte("here before"))
		if err := r.set.CreateBucketAt(r.ctx, "other", replica.Placement{Replicas: object.NewReplicas("a", "c"), Names: map[string]string{"c": "taken"}}, "", ""); err != nil {
			t.Fatal(err)
		}
		named := func(name string) replica.Placement {
			p := at("a", "b", "c")
			p.Names = map[string]string{"c": name}
			return p
		}
		renamed := at("a", "b")
		renamed.Names = map[string]string{"b": "photos-b"}
		for what, c := range map[string]struct {
			at   replica.Placement
			says string
		}{
			"one is left out":       {at("a"), "leaves out b: backends can join"},
			"one is replaced":       {at("a", "c"), "leaves out b"},
			"another name":          {renamed, "bucket photos is photos on backend b"},
			"no such backend":       {at("a", "b", "z"), `there is no backend "z"`},
			"it holds objects":      {at("a", "b", "c"), "holds objects: empty it first"},
			"the name is another's": {named("taken"), "bucket other has that name"},
		} {
			err := r.set.SetReplicas(r.ctx, testBucket, c.at)
			if !errors.Is(err, replica.ErrUnfitting) || !strings.Contains(replica.Unfitting(err), c.says) {
				t.Errorf("%s: %v", what, err)
			}
		}
		if err := r.set.SetReplicas(r.ctx, "none", at("a", "b")); !errors.Is(err, s3.NoSuchBucket) {
			t.Errorf("no bucket: %v", err)
		}
		r.wires["c"].plug(true)
		if err := r.set.SetReplicas(r.ctx, testBucket, at("a", "b", "c")); !errors.Is(err, s3.SlowDown) {
			t.Errorf("away: %v", err)
		}
		r.wires["c"].plug(false)
		r.join(at("b", "a")) // as it is
		if got := r.set.Replicas(testBucket); !got.Equal(object.NewReplicas("a", "b")) {
			t.Errorf("%v", got)
		}
	})
}

// What stands on a backend that joins is made like the others where somebody vouches for it.
func TestABackendJoinsWithObjects(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := onTwo(t, nil)
		remote, err := r.remoteTo("c", "c")
		if err != nil {
			t.Fatal(err)
		}
		if err := remote.CreateBucket(r.ctx, "copies"); err != nil {
			t.Fatal(err)
		}
		r.directPut("c", "copies", "extra", []byte("alone"))
		r.directPut("c", "copies", "k-3", []byte("other bytes"))
		for i := range 20 {
			r.mustPut(fmt.Sprint("k-", i), content(10+i, 1))
		}
		r.mustDelete("k-5")
		r.directPut("c", "copies", "k-5", content(15, 1))
		p := at("a", "b", "c")
		p.Names, p.AssumeEqual = map[string]string{"c": "copies"}, true
		r.join(p)
		r.filled()
		r.converge()
		page, err := remote.List(r.ctx, "copies", backend.ListRequest{})
		if err != nil {
			t.Fatal(err)
		}
		ours := r.stored("a")
		n := 0
		for _, e := range page.Entries {
			if (object.Key{Name: e.Key}).Reserved() {
				continue
			}
			n++
			if ours[e.Key].ETag != e.ETag {
				t.Errorf("%s is %s, want %+v", e.Key, e.ETag, ours[e.Key])
			}
		}
		if n != 19 {
			t.Errorf("%d keys", n)
		}
	})
}

// A second node learns of it, and goes on with the resync when the first one is gone.
func TestAJoinOutlivesTheNodeThatBeganIt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		first := spare(t)
		second := first.sibling()
		first.open(func(o *replica.Options) { member(0)(o); everyone(o) })
		second.open(func(o *replica.Options) { member(1)(o); everyone(o) })
		if err := first.set.CreateBucketAt(first.ctx, testBucket, at("a", "b"), "", ""); err != nil {
			t.Fatal(err)
		}
		for i := range 50 {
			second.mustPut(fmt.Sprint("k-", i), content(100, uint64(i)))
		}
		if err := first.set.SetReplicas(first.ctx, testBucket, at("a", "b", "c")); err != nil {
			t.Fatal(err)
		}
		first.crash()
		second.mustPut("k-7", content(100, 99))
		second.mustDelete("k-8")
		second.filled()
		second.converge()
		if held := second.equal(); len(held) != 49 {
			t.Errorf("%d keys", len(held))
		}
	})
}

// Who is filled is compared with somebody: while all others are away it does not serve, by
// either kind of resync.
func TestWhoIsFilledIsNotComparedWithItself(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := onTwo(t, nil)
		r.mustPut("k", content(100, 1))
		r.converge()
		r.join(at("a", "b", "c"))
		r.wires["a"].plug(true)
		r.wires["b"].plug(true)
		for _, c := range []replica.Comparison{{Target: "c"}, {Beside: "c"}} {
			if n, err := r.set.Nominate(r.ctx, testBucket, c, "", 100); err == nil {
				t.Errorf("%+v: %+v", c, n)
			}
		}
		time.Sleep(5 * time.Minute)
		if _, err := r.get("k"); err == nil || errors.Is(err, s3.NoSuchKey) {
			t.Errorf("it serves, and is empty: %v", err)
		}
		if d, err := r.set.Detail(r.ctx, testBucket); err != nil || d.Replicas[2].Presence() != replica.BucketFilling {
			t.Errorf("%+v, %v", d.Replicas, err)
		}
		r.wires["a"].plug(false)
		r.wires["b"].plug(false)
		r.filled()
		r.converge()
		r.mustGet("k", content(100, 1))
		r.equal()
	})
}

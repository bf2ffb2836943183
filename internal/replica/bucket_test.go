package replica_test

import (
	"errors"
	"fmt"
	"net/url"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/s3mirror/s3mirror/internal/backend"
	"github.com/s3mirror/s3mirror/internal/commit"
	"github.com/s3mirror/s3mirror/internal/memory"
	"github.com/s3mirror/s3mirror/internal/object"
	"github.com/s3mirror/s3mirror/internal/replica"
	"github.com/s3mirror/s3mirror/internal/s3"
)

// direct is a client that goes past the Set.
func (r *rig) direct(name string) *backend.Remote {
	remote, err := backend.NewRemote(backend.Options{
		Name: name, Endpoint: &url.URL{Scheme: "http", Host: name + ".test"}, Region: "us-east-1",
		AccessKeyID: "k", SecretAccessKey: "s", Dial: r.wires[name].dial,
	})
	if err != nil {
		r.t.Fatal(err)
	}
	r.t.Cleanup(func() { remote.Close() })
	return remote
}

func (r *rig) directPut(name, bucket, key string, data []byte) {
	r.t.Helper()
	body, framing := backend.FromBytes(data)
	_, err := r.direct(name).Put(r.ctx, backend.PutRequest{Bucket: bucket, Key: key, Size: int64(len(data)), Body: body, Framing: framing})
	if err != nil {
		r.t.Fatal(err)
	}
}

func onRig(t *testing.T, do func(t *testing.T, r *rig)) {
	synctest.Test(t, func(t *testing.T) { do(t, newRig(t, memory.NewLog(), "a", "b", "c")) })
}

func TestTheLifeOfABucket(t *testing.T) {
	inBubble(t, func(t *testing.T, r *rig) {
		if err := r.set.CreateBucket(r.ctx, testBucket, "", ""); !errors.Is(err, s3.BucketAlreadyOwnedByYou) {
			t.Errorf("second creation: %v", err)
		}
		if err := r.set.HeadBucket(r.ctx, "nobody"); !errors.Is(err, s3.NoSuchBucket) {
			t.Errorf("head of no bucket: %v", err)
		}
		if _, err := r.set.Head(r.ctx, object.Key{Bucket: "nobody", Name: "k"}); !errors.Is(err, s3.NoSuchBucket) {
			t.Errorf("head in no bucket: %v", err)
		}
		if _, err := r.set.Put(r.ctx, replica.PutRequest{Key: object.Key{Bucket: "nobody", Name: "k"}, Body: newUpload(nil)}); !errors.Is(err, s3.NoSuchBucket) {
			t.Errorf("put in no bucket: %v", err)
		}
		if all, err := r.set.Buckets(r.ctx); err != nil || len(all) != 1 || all[0].Name != testBucket || all[0].Created.IsZero() {
			t.Errorf("buckets: %v, %v", all, err)
		}
		r.mustPut("k", content(10, 1))
		if err := r.set.DeleteBucket(r.ctx, testBucket, "", ""); !errors.Is(err, s3.BucketNotEmpty) {
			t.Errorf("deletion of a bucket with something in it: %v", err)
		}
		r.mustDelete("k")
		synctest.Wait()
		r.wires["b"].plug(true)
		if err := r.set.DeleteBucket(r.ctx, testBucket, "", ""); !errors.Is(err, s3.SlowDown) {
			t.Errorf("deletion while a backend is off: %v", err)
		}
		r.wires["b"].plug(false)
		r.mustPut("again", content(10, 1)) // it stands as before
		r.mustDelete("again")
		time.Sleep(10 * time.Second)
		if err := r.set.DeleteBucket(r.ctx, testBucket, "", ""); err != nil {
			t.Fatalf("deletion: %v", err)
		}
		if err := r.set.HeadBucket(r.ctx, testBucket); !errors.Is(err, s3.NoSuchBucket) {
			t.Errorf("head after the deletion: %v", err)
		}
		for _, name := range r.names {
			if st := r.servers[name].Stats(); st.Buckets != 0 {
				t.Errorf("backend %s still has %+v", name, st)
			}
		}
		if st, _ := r.log.Stats(r.ctx); st.Rows != 0 {
			t.Errorf("%d rows are left", st.Rows)
		}
		time.Sleep(10 * time.Second)
		r.makeBucket()
		r.mustMiss("k")
		r.mustPut("k", content(20, 2))
		r.converge()
		r.equal()
	})
}

// A backend that was away when a bucket was made gets it, and all that is in it.
func TestABucketIsMadeWhereItIsMissing(t *testing.T) {
	onRig(t, func(t *testing.T, r *rig) {
		r.wires["c"].plug(true)
		r.open(nil)
		r.makeBucket()
		r.mustPut("k", content(10, 1))
		r.wires["c"].plug(false)
		r.converge()
		if got := r.equal(); len(got) != 1 {
			t.Errorf("stored: %v", got)
		}
	})
}

func TestABucketNeedsTheAckRule(t *testing.T) {
	onRig(t, func(t *testing.T, r *rig) {
		r.wires["b"].plug(true)
		r.wires["c"].plug(true)
		r.open(func(o *replica.Options) { o.Defaults.Ack = commit.Rule{Need: 2} })
		if err := r.set.CreateBucket(r.ctx, testBucket, "", ""); !errors.Is(err, s3.SlowDown) {
			t.Fatalf("creation on one of three: %v", err)
		}
		if _, err := r.put("k", nil); !errors.Is(err, s3.NoSuchBucket) {
			t.Fatalf("put into a bucket in the making: %v", err)
		}
		r.wires["b"].plug(false)
		time.Sleep(30 * time.Second)
		if err := r.set.HeadBucket(r.ctx, testBucket); err != nil {
			t.Fatalf("the bucket was not healed forward: %v", err)
		}
		r.mustPut("k", content(10, 1))
		r.wires["c"].plug(false)
		r.converge()
		r.equal()
	})
}

// First contact: what stands on backends is taken over when it is empty or the
// operator vouches for it, and refused otherwise.
func TestFirstContact(t *testing.T) {
	onRig(t, func(t *testing.T, r *rig) {
		for _, name := range r.names {
			for _, bucket := range []string{"empty", "full", "vouched"} {
				if err := r.direct(name).CreateBucket(r.ctx, bucket); err != nil {
					t.Fatal(err)
				}
			}
			r.directPut(name, "full", "k", []byte("old"))
			r.directPut(name, "vouched", "k", []byte("old"))
		}
		r.open(func(o *replica.Options) {
			p := o.Defaults
			p.AssumeEqual = true
			o.Buckets = map[string]replica.Policy{"vouched": p}
		})
		for _, bucket := range []string{"empty", "vouched"} {
			if err := r.set.HeadBucket(r.ctx, bucket); err != nil {
				t.Errorf("bucket %s: %v", bucket, err)
			}
		}
		for _, err := range []error{r.set.HeadBucket(r.ctx, "full"), r.set.CreateBucket(r.ctx, "full", "", "")} {
			if !errors.Is(err, s3.OperationAborted) || !strings.Contains(err.Error(), "assume_equal") {
				t.Errorf("bucket full: %v", err)
			}
		}
		v, err := r.set.Head(r.ctx, object.Key{Bucket: "vouched", Name: "k"})
		if err != nil || !v.ID.IsZero() || v.Size != 3 {
			t.Errorf("foreign object: %+v, %v", v, err)
		}
		if _, err := r.set.Put(r.ctx, replica.PutRequest{Key: object.Key{Bucket: "vouched", Name: "k"}, Body: newUpload(content(20, 1))}); err != nil {
			t.Errorf("put over a foreign object: %v", err)
		}
		page, err := r.set.List(r.ctx, replica.ListRequest{Bucket: "vouched", Max: 10})
		if err != nil || len(page.Entries) != 1 || page.Entries[0].Size != 20 {
			t.Errorf("list of the vouched bucket: %+v, %v", page, err)
		}
		r.converge()
	})
}

// Another deployment's bucket, or this one's after its log was lost, is not
// touched.
func TestAForeignIdentityIsRefused(t *testing.T) {
	inBubble(t, func(t *testing.T, r *rig) {
		r.mustPut("k", content(10, 1))
		r.close()
		r.log = memory.NewLog()
		r.open(nil)
		if err := r.set.HeadBucket(r.ctx, testBucket); !errors.Is(err, s3.OperationAborted) {
			t.Fatalf("bucket of a lost log: %v", err)
		}
	})
}

// A backend that comes back with an empty disk serves nothing it does not know:
// its bucket is made again, filled, and only then read from (H19).
func TestAWipedBackendIsRefilled(t *testing.T) {
	inBubble(t, func(t *testing.T, r *rig) {
		for i := range 30 {
			r.mustPut(fmt.Sprint(i), content(1000+i, 1))
		}
		r.converge()
		for _, wiped := range []string{"a", "c"} {
			r.wires[wiped].plug(true)
			for range 30 {
				r.mustGet("7", content(1007, 1)) // until its breaker is open
				r.mustPut("extra", content(10, 1))
			}
			r.servers[wiped].Wipe()
			r.wires[wiped].plug(false)
			for range 100 {
				for _, i := range []int{0, 7, 29} {
					r.mustGet(fmt.Sprint(i), content(1000+i, 1))
				}
				if got := r.list("", "", 1000); len(got) != 31 {
					t.Fatalf("a list shows %d of 31 keys", len(got))
				}
				time.Sleep(300 * time.Millisecond)
			}
			r.converge()
			if got := r.equal(); len(got) != 31 {
				t.Fatalf("%d keys after the refill", len(got))
			}
		}
	})
}

func TestMappedNames(t *testing.T) {
	onRig(t, func(t *testing.T, r *rig) {
		r.open(func(o *replica.Options) {
			p := o.Defaults
			p.Names = map[string]string{"b": "photos-b"}
			o.Buckets = map[string]replica.Policy{testBucket: p}
		})
		r.makeBucket()
		r.mustPut("k", content(300<<10, 1))
		synctest.Wait()
		seen, err := r.direct("b").Head(r.ctx, "photos-b", "k")
		if err != nil || seen.Size != 300<<10 {
			t.Errorf("on the backend with another name: %+v, %v", seen, err)
		}
		r.mustGet("k", content(300<<10, 1))
		r.converge()
	})
}

func TestOptionsAreChecked(t *testing.T) {
	_, err := replica.Open(t.Context(), replica.Options{PerUpload: 1 << 20, Memory: 1 << 19, Defaults: replica.Policy{Replicas: object.NewReplicas("x")}})
	for _, want := range []string{"no log", "no backends", "more than the memory", "x is no backend", "ack rule"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("error %v does not say %q", err, want)
		}
	}
}

// TestDeleteBucketWaitsForItsKeys: who empties a bucket and removes it at once does not
// know that a backend still owes something.
func TestDeleteBucketWaitsForItsKeys(t *testing.T) {
	inBubble(t, func(t *testing.T, r *rig) {
		r.mustPut("k", content(10, 1))
		r.servers["b"].SetFaults(memory.Faults{Delay: time.Second, Ops: []s3.OperationName{s3.DeleteObject}})
		r.mustDelete("k")
		began := time.Now()
		if err := r.set.DeleteBucket(r.ctx, testBucket, "", ""); err != nil || time.Since(began) == 0 {
			t.Errorf("deletion while b is still being told: %v after %s", err, time.Since(began))
		}
	})
}

// TestDeleteBucketWaitsForAHeal: nor that one has failed to delete a key and will be told again.
func TestDeleteBucketWaitsForAHeal(t *testing.T) {
	inBubble(t, func(t *testing.T, r *rig) {
		r.mustPut("k", content(10, 1))
		r.converge()
		r.servers["b"].SetFaults(memory.Faults{ErrorRate: 1, ErrorCode: s3.OperationAborted, Ops: []s3.OperationName{s3.DeleteObject}})
		r.mustDelete("k")
		synctest.Wait()
		if len(r.stored("b")) != 1 {
			t.Fatal("b has deleted the key")
		}
		r.servers["b"].SetFaults(memory.Faults{})
		if err := r.set.DeleteBucket(r.ctx, testBucket, "", ""); err != nil {
			t.Errorf("deletion while b is about to be told again: %v", err)
		}
	})
}

// TestABucketThatIsLostIsMissed: a bucket that goes away on a backend which answers all the
// while is noticed without anybody asking for it, made again and filled; until then it is
// counted apart.
func TestABucketThatIsLostIsMissed(t *testing.T) {
	inBubble(t, func(t *testing.T, r *rig) {
		r.close()
		reg := prometheus.NewRegistry()
		r.open(func(o *replica.Options) { o.Registerer = reg })
		stands := func(backend, state string) float64 {
			t.Helper()
			got, there := gauges(t, reg)["s3mirror_backend_buckets "+backend+" "+state]
			if !there {
				t.Fatalf("no figure for %s on %s", state, backend)
			}
			return got
		}
		r.mustPut("k", content(1000, 1))
		r.converge()
		if stands("b", "present") != 1 || stands("b", "pending") != 0 || stands("b", "filling") != 0 || stands("b", "unusable") != 0 {
			t.Errorf("a bucket that stands: %v", gauges(t, reg))
		}
		r.servers["b"].Wipe()
		time.Sleep(3 * time.Minute)
		if got, err := r.direct("b").Head(r.ctx, testBucket, "k"); err != nil || got.Size != 1000 {
			t.Errorf("the lost copy: %+v, %v", got, err)
		}
		if stands("b", "present") != 1 {
			t.Errorf("a bucket that is filled again: %v", gauges(t, reg))
		}
		r.converge()
		r.equal()
	})
}

// TestABucketThatIsNotRightIsCounted: made while a backend is away, or somebody else's there.
func TestABucketThatIsNotRightIsCounted(t *testing.T) {
	onRig(t, func(t *testing.T, r *rig) {
		reg := prometheus.NewRegistry()
		r.open(func(o *replica.Options) { o.Registerer = reg })
		r.wires["c"].plug(true)
		r.makeBucket()
		r.mustPut("k", content(10, 1))
		if got := gauges(t, reg); got["s3mirror_backend_buckets c pending"] != 1 || got["s3mirror_backend_buckets a present"] != 1 {
			t.Errorf("made while c is away: %v", got)
		}
		r.wires["c"].plug(false)
		if err := r.direct("c").CreateBucket(r.ctx, testBucket); err != nil {
			t.Fatal(err)
		}
		r.directPut("c", testBucket, "foreign", []byte("old"))
		time.Sleep(time.Minute)
		if got := gauges(t, reg); got["s3mirror_backend_buckets c unusable"] != 1 || got["s3mirror_backend_buckets c pending"] != 0 {
			t.Errorf("somebody else's on c: %v", got)
		}
		d, err := r.set.Detail(r.ctx, testBucket)
		if err != nil || d.Replicas[2].Presence() != replica.BucketUnusable || !strings.Contains(d.Replicas[2].Reason, "assume_equal") {
			t.Errorf("%+v, %v", d, err)
		}
	})
}

// TestANameThatIsTakenOnABackend: a client that asks for a bucket by the name that another
// one has on a backend is told of nothing, and cannot make it, whether that backend
// answers or not.
func TestANameThatIsTakenOnABackend(t *testing.T) {
	onRig(t, func(t *testing.T, r *rig) {
		r.open(func(o *replica.Options) {
			p := o.Defaults
			p.Names = map[string]string{"b": "photos-b"}
			o.Buckets = map[string]replica.Policy{testBucket: p}
		})
		taken := func() {
			t.Helper()
			if err := r.set.HeadBucket(r.ctx, "photos-b"); !errors.Is(err, s3.NoSuchBucket) {
				t.Errorf("head: %v", err)
			}
			if err := r.set.CreateBucket(r.ctx, "photos-b", "", ""); !errors.Is(err, s3.BucketAlreadyExists) {
				t.Errorf("creation: %v", err)
			}
		}
		taken() // it does not stand yet
		r.makeBucket()
		taken()
		r.wires["b"].plug(true)
		taken()
		r.wires["b"].plug(false)
		r.close()
		r.open(nil) // the configuration forgot it, the record did not
		time.Sleep(time.Minute)
		taken()
		r.mustPut("k", content(10, 1))
		r.converge()
	})
}

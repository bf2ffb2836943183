package replica_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/s3mirror/s3mirror/internal/backend"
	"github.com/s3mirror/s3mirror/internal/memory"
	"github.com/s3mirror/s3mirror/internal/object"
	"github.com/s3mirror/s3mirror/internal/replica"
	"github.com/s3mirror/s3mirror/internal/s3"
)

// wiredTo is a document of a backend that is one of the rig's servers.
func wiredTo(server string) json.RawMessage { return json.RawMessage(`{"server":"` + server + `"}`) }

// remoteTo speaks to a server of the rig.
func (r *rig) remoteTo(name, server string) (*backend.Remote, error) {
	wire := r.wires[server]
	if wire == nil {
		return nil, fmt.Errorf("there is no server %s", server)
	}
	remote, err := backend.NewRemote(backend.Options{
		Name: name, Endpoint: &url.URL{Scheme: "http", Host: server + ".test"}, Region: "us-east-1",
		AccessKeyID: "k", SecretAccessKey: "s", StampKey: object.NewStampKey(make([]byte, 32)), Dial: wire.dial,
	})
	if err == nil {
		r.t.Cleanup(func() { remote.Close() })
	}
	return remote, err
}

// enrolled makes a node follow the documents of wiredTo; dismissed collects the stacks that it gives up.
func (r *rig) enrolled(dismissed *[]string) func(*replica.Options) {
	var mu sync.Mutex
	return func(o *replica.Options) {
		o.Enrol = func(name string, doc json.RawMessage) (*backend.Stack, error) {
			var to struct{ Server string }
			if err := json.Unmarshal(doc, &to); err != nil {
				return nil, err
			}
			remote, err := r.remoteTo(name, to.Server)
			if err != nil {
				return nil, err
			}
			return backend.Wrap(remote, backend.WrapOptions{Breaker: backend.BreakerOptions{Log: o.Logger}}), nil
		}
		o.Dismiss = func(s *backend.Stack) {
			mu.Lock()
			defer mu.Unlock()
			*dismissed = append(*dismissed, s.Name())
		}
	}
}

// spare is a rig with servers that no backend of the configuration is.
func spare(t *testing.T, servers ...string) *rig {
	r := newRig(t, memory.NewLog(), append([]string{"a", "b", "c"}, servers...)...)
	r.names = r.names[:3]
	return r
}

func at(replicas ...string) replica.Placement {
	return replica.Placement{Replicas: object.NewReplicas(replicas...)}
}

// A backend that was added is on every node when that is answered, holds the buckets that
// are put on it, outlasts a restart, and goes when no bucket is on it any more.
func TestABackendIsAddedAndRemoved(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		first := spare(t, "d")
		second := first.sibling()
		var left [2][]string
		open := func(n int, r *rig) {
			r.open(func(o *replica.Options) { member(n)(o); first.enrolled(&left[n])(o) })
		}
		open(0, first)
		open(1, second)
		first.makeBucket()
		if err := first.set.AddBackend(first.ctx, "d", wiredTo("d")); err != nil {
			t.Fatal(err)
		}
		for n, r := range []*rig{first, second} {
			if got := r.set.Names(); !slices.Equal(got, []string{"a", "b", "c", "d"}) {
				t.Errorf("node %d: %v", n, got)
			}
		}
		if got := first.set.Replicas(testBucket); got.Has("d") {
			t.Errorf("bucket of before is on %v", got)
		}
		if err := second.set.CreateBucketAt(first.ctx, "new", replica.Placement{Replicas: object.NewReplicas("a", "d"), Names: map[string]string{"d": "new-4"}}, "tester", "1"); err != nil {
			t.Fatal(err)
		}
		key := object.Key{Bucket: "new", Name: "k"}
		if _, err := first.set.Put(first.ctx, replica.PutRequest{Key: key, Body: newUpload(content(1000, 7))}); err != nil {
			t.Fatal(err)
		}
		first.converge()
		for _, c := range []struct{ server, bucket string }{{"a", "new"}, {"d", "new-4"}} {
			remote, err := first.remoteTo("x", c.server)
			if err != nil {
				t.Fatal(err)
			}
			if seen, err := remote.Head(first.ctx, c.bucket, "k"); err != nil || seen.Size != 1000 {
				t.Errorf("on %s: %+v, %v", c.server, seen, err)
			}
		}
		if st, err := first.set.Status(first.ctx); err != nil || len(st.Backends) != 4 || st.Backends[3].Name != "d" {
			t.Errorf("%+v, %v", st, err)
		}
		second.close()
		open(1, second)
		if got := second.set.Names(); len(got) != 4 {
			t.Errorf("after a restart: %v", got)
		}

		err := second.set.RemoveBackend(first.ctx, "d")
		if !errors.Is(err, replica.ErrUnfitting) || !strings.Contains(err.Error(), "bucket new") && !strings.Contains(err.Error(), "set of new") {
			t.Errorf("removal while a bucket is on it: %v", err)
		}
		if err := first.set.CreateBucketAt(first.ctx, "another", at("d"), "tester", "1"); err != nil {
			t.Errorf("a removal that was refused stays: %v", err)
		}
		if err := first.set.DeleteBucket(first.ctx, "another", "tester", "2"); err != nil {
			t.Fatal(err)
		}
		if err := first.set.Delete(first.ctx, replica.DeleteRequest{Key: key}); err != nil {
			t.Fatal(err)
		}
		first.converge()
		if err := first.set.DeleteBucket(first.ctx, "new", "tester", "3"); err != nil {
			t.Fatal(err)
		}
		if err := first.set.RemoveBackend(first.ctx, "d"); err != nil {
			t.Fatal(err)
		}
		for n, r := range []*rig{first, second} {
			if got := r.set.Names(); len(got) != 3 || !slices.Equal(left[n], []string{"d"}) {
				t.Errorf("node %d: %v, gave up %v", n, got, left[n])
			}
		}
		if err := first.set.CreateBucketAt(first.ctx, "late", at("a", "d"), "tester", "1"); !errors.Is(err, replica.ErrUnfitting) {
			t.Errorf("a bucket on a backend that is no more: %v", err)
		}
	})
}

// A bucket that another node was putting on a backend when its removal began keeps it there.
func TestABackendStaysForABucketThatIsBeingMade(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		first := spare(t, "d")
		second := first.sibling()
		var left [2][]string
		for n, r := range []*rig{first, second} {
			r.open(func(o *replica.Options) { member(n)(o); first.enrolled(&left[n])(o) })
		}
		if err := first.set.AddBackend(first.ctx, "d", wiredTo("d")); err != nil {
			t.Fatal(err)
		}
		first.servers["d"].SetFaults(memory.Faults{Hang: true}) // it is looked at before the bucket's record is written
		made := make(chan error, 1)
		go func() { made <- second.set.CreateBucketAt(first.ctx, "new", at("a", "d"), "tester", "1") }()
		time.Sleep(100 * time.Millisecond)
		brief, cancel := context.WithTimeout(first.ctx, time.Second)
		if err := first.set.RemoveBackend(brief, "d"); !errors.Is(err, s3.SlowDown) {
			t.Errorf("removal that the other node has not acknowledged: %v", err)
		}
		cancel()
		err := first.set.RemoveBackend(first.ctx, "d")
		if !errors.Is(err, replica.ErrUnfitting) || !strings.Contains(err.Error(), "new") {
			t.Errorf("removal while a bucket is being put there: %v", err)
		}
		if err := <-made; err != nil && !errors.Is(err, s3.SlowDown) {
			t.Error(err)
		}
		first.servers["d"].SetFaults(memory.Faults{})
		for n, r := range []*rig{first, second} {
			if got := r.set.Names(); len(got) != 4 {
				t.Errorf("node %d: %v", n, got)
			}
		}
	})
}

// What cannot be done to backends changes nothing.
func TestBackendsThatCannotBe(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := spare(t, "d", "e")
		var left []string
		r.open(r.enrolled(&left))
		r.makeBucket()
		add := func(name string, doc json.RawMessage) error { return r.set.AddBackend(r.ctx, name, doc) }
		if err := add("d", wiredTo("d")); err != nil {
			t.Fatal(err)
		}
		if err := add("d", wiredTo("d")); err != nil {
			t.Errorf("the same again, as after an outcome that was not known: %v", err)
		}
		keep := func(json.RawMessage) (json.RawMessage, error) { return wiredTo("d"), nil }
		for _, c := range []struct {
			what string
			err  error
			want error
		}{
			{"a name of the configuration", add("a", wiredTo("d")), replica.ErrOfFile},
			{"a name that is taken", add("d", wiredTo("e")), replica.ErrBackendExists},
			{"a document that is too long", add("e", json.RawMessage(`"`+strings.Repeat("x", 40<<10)+`"`)), replica.ErrUnfitting},
			{"change of a configured one", r.set.ChangeBackend(r.ctx, "a", keep), replica.ErrOfFile},
			{"change of none", r.set.ChangeBackend(r.ctx, "x", keep), replica.ErrUnknownBackend},
			{"removal of a configured one", r.set.RemoveBackend(r.ctx, "a"), replica.ErrOfFile},
			{"removal of none", r.set.RemoveBackend(r.ctx, "x"), replica.ErrUnknownBackend},
			{"a bucket on a backend that is not", r.set.CreateBucketAt(r.ctx, "new", at("a", "x"), "", ""), replica.ErrUnfitting},
			{"a bucket under another's name", r.set.CreateBucketAt(r.ctx, "new", replica.Placement{Replicas: object.NewReplicas("a"), Names: map[string]string{"a": testBucket}}, "", ""), replica.ErrUnfitting},
		} {
			if !errors.Is(c.err, c.want) {
				t.Errorf("%s: %v", c.what, c.err)
			}
		}
		refusal := errors.New("no")
		if err := r.set.ChangeBackend(r.ctx, "d", func(json.RawMessage) (json.RawMessage, error) { return nil, refusal }); !errors.Is(err, refusal) {
			t.Errorf("what edit says: %v", err)
		}
		if err := r.set.SetMode(r.ctx, "", replica.Mode{Primary: "d"}); !errors.Is(err, replica.ErrUnfitting) {
			t.Errorf("mode on a backend without buckets: %v", err)
		}
		// A document that this node cannot follow is a backend that is away, until it can.
		if err := add("e", wiredTo("nowhere")); err != nil {
			t.Fatal(err)
		}
		if got := r.set.Names(); !slices.Equal(got, []string{"a", "b", "c", "d"}) {
			t.Errorf("%v", got)
		}
		r.mustPut("k", content(10, 1))
		if err := r.set.ChangeBackend(r.ctx, "e", func(json.RawMessage) (json.RawMessage, error) { return wiredTo("e"), nil }); err != nil {
			t.Fatal(err)
		}
		if got := r.set.Names(); !slices.Equal(got, []string{"a", "b", "c", "d", "e"}) {
			t.Errorf("%v", got)
		}
		for i := len(r.set.AddedBackends()); i < 32; i++ {
			if err := add(fmt.Sprint("f", i), wiredTo("d")); err != nil {
				t.Fatal(err)
			}
		}
		if err := add("more", wiredTo("d")); !errors.Is(err, replica.ErrUnfitting) {
			t.Errorf("too many: %v", err)
		}
		r.close()
		r.open(nil) // a program that takes none from the log
		if got := r.set.Names(); len(got) != 3 {
			t.Errorf("%v", got)
		}
		r.mustGet("k", content(10, 1))
	})
}

// Another way to a backend must lead to the same store; its buckets are looked at anew.
func TestABackendMoves(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := spare(t, "d", "e")
		var left []string
		r.open(r.enrolled(&left))
		if err := r.set.AddBackend(r.ctx, "d", wiredTo("d")); err != nil {
			t.Fatal(err)
		}
		if err := r.set.CreateBucketAt(r.ctx, testBucket, at("a", "d"), "", ""); err != nil {
			t.Fatal(err)
		}
		r.mustPut("k", content(100, 1))
		for server, want := range map[string]error{"d": nil, "e": replica.ErrUnfitting} {
			remote, err := r.remoteTo("d", server)
			if err != nil {
				t.Fatal(err)
			}
			if err := r.set.SameStore(r.ctx, "d", remote); !errors.Is(err, want) {
				t.Errorf("to server %s: %v", server, err)
			}
		}
		if name, err := r.set.PlaceOn(r.ctx, "d"); name != testBucket || err != nil {
			t.Errorf("%q, %v", name, err)
		}
		// The same server by another document, and then, though nobody would let it pass,
		// another server: what it misses is no object's end.
		for _, doc := range []string{`{"server": "d"}`, `{"server":"e"}`} {
			if err := r.set.ChangeBackend(r.ctx, "d", func(json.RawMessage) (json.RawMessage, error) { return json.RawMessage(doc), nil }); err != nil {
				t.Fatal(err)
			}
			for range 20 {
				r.mustGet("k", content(100, 1))
			}
		}
		if !slices.Equal(left, []string{"d", "d"}) {
			t.Errorf("gave up %v", left)
		}
		r.mustPut("k", content(200, 2))
		r.converge()
		r.wires["a"].plug(true)
		r.mustGet("k", content(200, 2))
	})
}

// A bucket's ack rule counts the backends that it is on.
func TestAckRuleOfABucketElsewhere(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := spare(t, "d")
		var left []string
		r.open(func(o *replica.Options) {
			r.enrolled(&left)(o)
			o.Defaults.NeedOf = func(n int) int { return n } // all
			o.Defaults.Ack.Need = 3
		})
		if err := r.set.AddBackend(r.ctx, "d", wiredTo("d")); err != nil {
			t.Fatal(err)
		}
		for _, c := range []struct {
			bucket   string
			replicas []string
		}{{"two", []string{"a", "d"}}, {"three", []string{"a", "b", "c"}}, {"four", []string{"a", "b", "c", "d"}}} {
			if err := r.set.CreateBucketAt(r.ctx, c.bucket, at(c.replicas...), "", ""); err != nil {
				t.Fatalf("%s: %v", c.bucket, err)
			}
			if d, err := r.set.Detail(r.ctx, c.bucket); err != nil || d.Ack.Need != len(c.replicas) {
				t.Errorf("%s: %+v, %v", c.bucket, d, err)
			}
		}
	})
}

// A replica that was refused because it holds objects serves once somebody vouches for it,
// and only that bucket's.
func TestReplicasAreVouchedForAtRunTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := spare(t)
		r.open(nil)
		if err := r.set.SetAssumeEqual(r.ctx, testBucket, true); !errors.Is(err, s3.NoSuchBucket) {
			t.Errorf("of no bucket: %v", err)
		}
		r.wires["c"].plug(true)
		for range 8 { // until its breaker has opened
			_ = r.set.HeadBucket(r.ctx, testBucket)
			time.Sleep(3 * time.Second)
		}
		r.makeBucket()
		r.wires["c"].plug(false)
		remote, err := r.remoteTo("c", "c")
		if err != nil {
			t.Fatal(err)
		}
		if err := remote.CreateBucket(r.ctx, testBucket); err != nil {
			t.Fatal(err)
		}
		body, framing := backend.FromBytes([]byte("there before"))
		if _, err := remote.Put(r.ctx, backend.PutRequest{Bucket: testBucket, Key: "old", Size: 12, Body: body, Framing: framing}); err != nil {
			t.Fatal(err)
		}
		state := func() replica.BucketReplica {
			t.Helper()
			time.Sleep(2 * time.Minute) // of the bubble: looks are made meanwhile
			d, err := r.set.Detail(r.ctx, testBucket)
			if err != nil {
				t.Fatal(err)
			}
			return d.Replicas[2]
		}
		if c := state(); c.Presence() != replica.BucketUnusable || !strings.Contains(c.Reason, "not under management") {
			t.Fatalf("%+v", c)
		}
		if err := r.set.SetAssumeEqual(r.ctx, testBucket, true); err != nil {
			t.Fatal(err)
		}
		if c := state(); c.Presence() != replica.BucketPresent {
			t.Errorf("%+v", c)
		}
		r.mustPut("k", content(10, 1))
		r.converge()
		if _, ok := r.stored("c")["k"]; !ok {
			t.Error("it takes no writes")
		}
	})
}

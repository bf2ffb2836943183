package replica_test

import (
	"errors"
	"fmt"
	"net/url"
	"testing"
	"time"

	"github.com/s3mirror/s3mirror/internal/backend"
	"github.com/s3mirror/s3mirror/internal/memory"
	"github.com/s3mirror/s3mirror/internal/object"
	"github.com/s3mirror/s3mirror/internal/replica"
	"github.com/s3mirror/s3mirror/internal/s3"
)

// tombs are the tombstones on one server, by key.
func (r *rig) tombs(name string) map[string]int {
	r.t.Helper()
	remote, err := backend.NewRemote(backend.Options{
		Name: name, Endpoint: &url.URL{Scheme: "http", Host: name + ".test"}, Region: "us-east-1",
		AccessKeyID: "k", SecretAccessKey: "s", StampKey: object.NewStampKey(make([]byte, 32)), Dial: r.wires[name].dial,
	})
	if err != nil {
		r.t.Fatal(err)
	}
	defer remote.Close()
	page, err := remote.List(r.ctx, testBucket, backend.ListRequest{Prefix: replica.TombstoneFolder})
	if err != nil {
		r.t.Fatal(err)
	}
	found := map[string]int{}
	for _, e := range page.Entries {
		key, id, ver, ok, err := replica.ReadTombstone(r.ctx, remote, testBucket, e.Key)
		if err != nil || !ok || id.IsZero() || ver == 0 {
			r.t.Errorf("tombstone %s: %q, %v, %v, %v, %v", e.Key, key, id, ver, ok, err)
		}
		found[key]++
	}
	return found
}

// TestTombstones: a delete that some backend missed is told by an object on each that has
// confirmed it, as long as it is needed; one that all confirmed leaves none.
func TestTombstones(t *testing.T) {
	inBubble(t, func(t *testing.T, r *rig) {
		for _, key := range []string{"all", "missed", "again", "one", "many/1", "many/2"} {
			r.mustPut(key, []byte(key))
		}
		r.converge()
		r.mustDelete("all")
		for _, name := range r.names {
			if got := r.tombs(name); len(got) > 0 {
				t.Errorf("of a delete that all have confirmed: %v", got)
			}
		}
		r.wires["a"].plug(true)
		r.mustDelete("missed")
		r.mustDelete("again")
		r.mustPut("again", []byte("again"))
		results, err := r.set.DeleteMany(r.ctx, replica.DeleteManyRequest{Bucket: testBucket, Objects: []replica.DeleteKey{{Name: "many/1"}, {Name: "many/2"}}})
		if err != nil || errors.Join(results...) != nil {
			t.Fatal(results, err)
		}
		r.wires["c"].plug(true)
		time.Sleep(10 * time.Second)
		r.mustDelete("one")
		r.wires["c"].plug(false)
		time.Sleep(2 * time.Minute) // c is healed, a is not
		for _, name := range []string{"b", "c"} {
			got := r.tombs(name)
			if got["again"] == 0 {
				got["again"] = 1 // a look may have found it needless
			}
			if want := map[string]int{"missed": 1, "again": 1, "one": 1, "many/1": 1, "many/2": 1}; fmt.Sprint(got) != fmt.Sprint(want) {
				t.Errorf("%s: %v, want %v", name, got, want)
			}
		}
		r.wires["a"].plug(false)
		r.converge()
		time.Sleep(15 * time.Minute)
		for _, name := range r.names {
			if got := r.tombs(name); len(got) > 0 {
				t.Errorf("left on %s: %v", name, got)
			}
		}
		if got := r.equal(); len(got) != 1 {
			t.Errorf("%d objects", len(got))
		}
	})
}

// TestDeleteWithoutTombstone: where none can be written the client is not told that its
// delete is safe.
func TestDeleteWithoutTombstone(t *testing.T) {
	inBubble(t, func(t *testing.T, r *rig) {
		r.mustPut("k", []byte("k"))
		r.converge()
		r.wires["a"].plug(true)
		for _, name := range []string{"b", "c"} {
			r.servers[name].SetFaults(memory.Faults{ErrorRate: 1, ErrorCode: s3.QuotaExceeded, Ops: []s3.OperationName{s3.PutObject}})
		}
		err := r.set.Delete(r.ctx, replica.DeleteRequest{Key: object.Key{Bucket: testBucket, Name: "k"}})
		if !errors.Is(err, s3.SlowDown) {
			t.Errorf("%v", err)
		}
		r.servers["c"].SetFaults(memory.Faults{})
		r.mustDelete("k")
		if got := r.tombs("c"); got["k"] != 1 {
			t.Errorf("%v", got)
		}
	})
}

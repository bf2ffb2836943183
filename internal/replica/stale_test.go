package replica_test

import (
	"bytes"
	"errors"
	"io"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/s3mirror/s3mirror/internal/memory"
	"github.com/s3mirror/s3mirror/internal/replica"
	"github.com/s3mirror/s3mirror/internal/s3"
)

// While the log is away for a lease or more, who asks for it is shown what a replica
// has, and told that it may be old. Nobody else is, and nothing is changed.
func TestStaleReads(t *testing.T) {
	for name, optedIn := range map[string]bool{"opted in": true, "not": false} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				log := memory.NewFaultyLog(memory.NewLog(), nil)
				r := newRig(t, log, "a", "b", "c")
				r.open(func(o *replica.Options) {
					member(0)(o)
					o.StaleReads = optedIn
				})
				r.makeBucket()
				r.mustPut("k", content(3000, 1))
				r.mustPut("dir/k", content(10, 2))

				log.SetDown(true)
				for _, ask := range r.peeks() {
					if stale, err := ask(); !errors.Is(err, s3.SlowDown) || stale {
						t.Errorf("while the lease lasts: stale %v, %v; want SlowDown", stale, err)
					}
				}
				time.Sleep(9 * time.Second) // the lease is over
				for i, ask := range r.peeks() {
					stale, err := ask()
					switch {
					case !optedIn && !errors.Is(err, s3.SlowDown):
						t.Errorf("question %d: %v, want SlowDown", i, err)
					case optedIn && (err != nil || !stale):
						t.Errorf("question %d: stale %v, %v", i, stale, err)
					}
				}
				if _, err := r.set.Head(r.ctx, key("k")); !errors.Is(err, s3.SlowDown) {
					t.Errorf("who did not ask for something old: %v", err)
				}
				if _, _, err := r.set.GlanceSetting(r.ctx, testBucket, "policy"); optedIn != (err == nil) {
					t.Errorf("what is asked of the bucket with every request: %v", err)
				}
				if _, err := r.put("k", nil); !errors.Is(err, s3.SlowDown) {
					t.Errorf("a write: %v", err)
				}
				_, err := r.set.Peek(r.ctx, key("nothing"))
				if optedIn && (!errors.Is(err, s3.NoSuchKey) || !errors.Is(err, replica.ErrStale)) || !optedIn && !errors.Is(err, s3.SlowDown) {
					t.Errorf("a key that is not there: %v", err)
				}

				log.SetDown(false)
				time.Sleep(3 * time.Second)
				for i, ask := range r.peeks() {
					if stale, err := ask(); err != nil || stale {
						t.Errorf("question %d when the log is back: stale %v, %v", i, stale, err)
					}
				}
				r.mustGet("k", content(3000, 1))
				r.converge()
				r.equal()
			})
		})
	}
}

// peeks are the questions that may be answered by something old.
func (r *rig) peeks() []func() (stale bool, err error) {
	return []func() (bool, error){
		func() (bool, error) {
			v, err := r.set.Peek(r.ctx, key("k"))
			return v.Stale, err
		},
		func() (bool, error) {
			obj, err := r.set.Get(r.ctx, replica.GetRequest{Key: key("k"), MayBeStale: true})
			if err != nil {
				return false, err
			}
			defer obj.Body.Close()
			got, err := io.ReadAll(obj.Body)
			if !bytes.Equal(got, content(3000, 1)) {
				r.t.Errorf("%d bytes that nobody wrote", len(got))
			}
			if obj.Stale != (obj.Status == "") {
				r.t.Errorf("stale %v, and the status of replication is %q", obj.Stale, obj.Status)
			}
			return obj.Stale, err
		},
		func() (bool, error) {
			page, err := r.set.List(r.ctx, replica.ListRequest{Bucket: testBucket, Delimiter: "/", Max: 10, MayBeStale: true})
			if err == nil && (len(page.Entries) != 1 || page.Entries[0].Key != "k" || !slices.Equal(page.Prefixes, []string{"dir/"})) {
				r.t.Errorf("listed %+v", page)
			}
			return page.Stale, err
		},
	}
}

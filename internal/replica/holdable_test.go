package replica_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/s3mirror/s3mirror/internal/memory"
	"github.com/s3mirror/s3mirror/internal/object"
	"github.com/s3mirror/s3mirror/internal/oplog"
	"github.com/s3mirror/s3mirror/internal/replica"
	"github.com/s3mirror/s3mirror/internal/s3"
)

// foundOf is what the probes say of the servers of each make (package probe tests it).
var foundOf = map[memory.Files]replica.Quality{
	memory.NoFiles: {},
	memory.RefusingFiles: {
		Refuses: object.FileAndFolder | object.FolderWithData | object.LongSegment,
		Mixes:   object.EmptySegment | object.DotSegment | object.DotDotSegment,
	},
	memory.HidingFiles: {
		Refuses: object.DotSegment | object.DotDotSegment | object.LongSegment,
		Mixes:   object.FileAndFolder | object.EmptySegment,
	},
}

// onFiles runs a test over backends of these makes: a, b, and so on.
func onFiles(t *testing.T, files []memory.Files, do func(t *testing.T, r *rig)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		made, names := map[string]memory.Personality{}, []string{}
		for i, f := range files {
			names = append(names, string(rune('a'+i)))
			made[names[i]] = memory.Personality{Files: f}
		}
		r := newRigOf(t, memory.NewLog(), made, names...)
		r.open(func(o *replica.Options) {
			o.Qualify = func(_ context.Context, backend, _ string) (replica.Quality, error) {
				return foundOf[made[backend].Files], nil
			}
		})
		r.makeBucket()
		do(t, r)
	})
}

// touched tells how often a key was written to, or deleted, on any server.
func (r *rig) touched(name string) (n int) {
	for _, c := range r.counts {
		n += c.of("", name)
	}
	return n
}

// TestKeysThatNotEveryReplicaHolds are refused before anything is sent, and no request
// for one touches the key that a server takes it for.
func TestKeysThatNotEveryReplicaHolds(t *testing.T) {
	onFiles(t, []memory.Files{memory.NoFiles, memory.RefusingFiles, memory.HidingFiles}, func(t *testing.T, r *rig) {
		data := content(100, 1)
		for _, name := range []string{"o/x", "d/x", "e"} {
			r.mustPut(name, data)
		}
		long := strings.Repeat("s", 300)
		for _, name := range []string{"o//x", "/o/x", "o/./x", "o/x/.", "o/y/../x", "..", "f/", "l/" + long} {
			_, put := r.put(name, data)
			_, copied := r.copy("o/x", name, nil)
			_, upload := r.set.CreateUpload(r.ctx, replica.CreateUploadRequest{Key: key(name), Headers: object.Headers{}})
			for what, err := range map[string]error{"put": put, "copy": copied, "upload": upload} {
				var e *s3.Error
				if !errors.As(err, &e) || e.Code != s3.InvalidArgument || e.Field("ArgumentValue") != name {
					t.Errorf("%s of %q: %v", what, name, err)
				}
			}
			r.mustMiss(name)
			if err := r.set.Delete(r.ctx, replica.DeleteRequest{Key: key(name)}); err != nil {
				t.Errorf("delete of %q: %v", name, err)
			}
			if errs := r.deleteMany(r.ctx, name, "none"); !slices.Equal(errs, []error{nil, nil}) {
				t.Errorf("delete of %q among many: %v", name, errs)
			}
			if n := r.counts["a"].of("PUT", name); n > 0 {
				t.Errorf("%q was sent %d times", name, n)
			}
		}
		for _, name := range []string{"o/x", "d/x", "e"} {
			r.mustGet(name, data)
		}
		r.mustPut("f/", nil) // a folder that is empty they all hold
		r.mustPut("f/x", data)
		r.converge()
		if got := r.stored("b"); len(got) != 5 {
			t.Errorf("b holds %v", got)
		}
	})
}

// TestFileBesideFolder: where one server refuses it, and another hides one of the two, an
// object whose key another one continues is refused; once that one is deleted it is taken.
func TestFileBesideFolder(t *testing.T) {
	for name, files := range map[string][]memory.Files{
		"one refuses": {memory.NoFiles, memory.RefusingFiles}, "one hides": {memory.NoFiles, memory.HidingFiles}, "all hide": {memory.HidingFiles, memory.HidingFiles},
	} {
		t.Run(name, func(t *testing.T) {
			onFiles(t, files, func(t *testing.T, r *rig) {
				data := content(100, 1)
				refused := func(name string) {
					t.Helper()
					before := r.touched(name)
					if _, err := r.put(name, data); !errors.Is(err, s3.InvalidArgument) || r.touched(name) != before {
						t.Errorf("put of %q: %v", name, err)
					}
				}
				r.mustPut("a/b", data)
				refused("a/b/c")
				refused("a/b/c/d")
				refused("a")
				r.mustPut("a/b", content(100, 2)) // it stands already
				r.mustPut("a/c", data)
				r.mustDelete("a/b")
				refused("a")
				r.mustDelete("a/c")
				r.mustPut("a", data)
				refused("a/b") // this node knows that it is no folder any more
				if _, err := r.put("a/", nil); !errors.Is(err, s3.InvalidArgument) {
					t.Errorf("a folder of an object's name: %v", err)
				}
				r.mustDelete("a")
				time.Sleep(time.Minute)
				r.mustPut("a/", nil)
				r.mustPut("a/b", data)
				refused("a")
				r.converge()
				r.equal()
			})
		})
	}
}

// TestAllRefuseByThemselves: then nobody looks first, and the client hears what they say.
func TestAllRefuseByThemselves(t *testing.T) {
	onFiles(t, []memory.Files{memory.RefusingFiles, memory.RefusingFiles}, func(t *testing.T, r *rig) {
		r.mustPut("a", content(100, 1))
		time.Sleep(time.Second) // one acknowledged it: until both have it
		if _, err := r.put("a/b", content(100, 1)); !errors.Is(err, s3.ObjectParentIsFile) {
			t.Errorf("put: %v", err)
		}
		if n := r.counts["a"].of("PUT", "a/b"); n != 1 {
			t.Errorf("it was sent %d times", n)
		}
		r.mustGet("a", content(100, 1))
		r.converge()
		r.equal()
	})
}

// TestWhatWasTakenBeforeTheProbe: a backend that is known only later is not given keys
// that it would mix up, and says so; what it holds under the other key stands.
func TestWhatWasTakenBeforeTheProbe(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRigOf(t, memory.NewLog(), map[string]memory.Personality{"b": {Files: memory.RefusingFiles}}, "a", "b")
		v := &verdicts{say: map[string]error{"b": errors.New("no answer")}, asked: map[string]int{}}
		r.open(func(o *replica.Options) {
			o.Times.Refused = time.Minute
			o.Qualify = func(ctx context.Context, backend, bucket string) (replica.Quality, error) {
				_, err := v.qualify(ctx, backend, bucket)
				if backend == "b" {
					return foundOf[memory.RefusingFiles], err
				}
				return replica.Quality{}, err
			}
		})
		r.makeBucket()
		right, wrong := content(100, 1), content(100, 2)
		r.mustPut("o/x", right)
		r.mustPut("o//x", wrong)
		v.set("b", nil)
		time.Sleep(2 * time.Minute)
		r.mustGet("o/x", right)
		r.mustGet("o//x", wrong)
		if got := r.stored("b"); len(got) != 1 || got["o/x"].ID.IsZero() {
			t.Errorf("b holds %v", got)
		}
		st, err := r.set.Status(r.ctx)
		if err != nil || st.Refused != 1 || st.Lagging.Keys != 0 {
			t.Errorf("%+v, %v", st, err)
		}
		refusals, err := r.set.Refusals(r.ctx, key("o//x"))
		want := []oplog.Refusal{{Replica: "b", Code: string(s3.InvalidArgument), Words: "The server does not hold keys with an empty segment, as in a//b or /a."}}
		if err != nil || !slices.Equal(refusals, want) {
			t.Errorf("%+v, %v", refusals, err)
		}
		if v, err := r.set.Head(r.ctx, key("o//x")); err != nil || v.Status != replica.StatusFailed {
			t.Errorf("%+v, %v", v, err)
		}
		r.mustDelete("o//x") // which settles it
		r.converge()
		if got := r.equal(); len(got) != 1 {
			t.Errorf("%v stands", got)
		}
	})
}

// TestFindingsAreRecalled: a backend that is away at the start is known by what was found
// before.
func TestFindingsAreRecalled(t *testing.T) {
	inBubble(t, func(t *testing.T, r *rig) {
		r.close()
		r.wires["b"].plug(true)
		r.open(func(o *replica.Options) {
			o.Recall = func(backend string) (replica.Quality, bool) { return foundOf[memory.RefusingFiles], backend == "b" }
			o.Qualify = func(context.Context, string, string) (replica.Quality, error) { return replica.Quality{}, nil }
		})
		if _, err := r.put("o//x", nil); !errors.Is(err, s3.InvalidArgument) {
			t.Errorf("put: %v", err)
		}
		r.mustPut("o/x", content(10, 1))
		r.wires["b"].plug(false)
	})
}

// TestNobodyCanSay whether a key may stand beside others: the write is refused for now.
func TestNobodyCanSay(t *testing.T) {
	log := memory.NewFaultyLog(memory.NewLog(), nil)
	synctest.Test(t, func(t *testing.T) {
		r := newRigOf(t, log, map[string]memory.Personality{"b": {Files: memory.RefusingFiles}}, "a", "b")
		r.open(func(o *replica.Options) {
			o.Qualify = func(_ context.Context, backend, _ string) (replica.Quality, error) {
				if backend == "b" {
					return foundOf[memory.RefusingFiles], nil
				}
				return replica.Quality{}, nil
			}
		})
		r.makeBucket()
		log.SetDown(true)
		for _, name := range []string{"a", "a/b", "a/"} {
			if _, err := r.put(name, nil); !errors.Is(err, s3.SlowDown) {
				t.Errorf("put of %q without a log: %v", name, err)
			}
		}
		log.SetDown(false)
		for _, name := range r.names {
			r.servers[name].SetFaults(memory.Faults{ErrorRate: 1, Ops: []s3.OperationName{s3.ListObjectsV2, s3.ListObjects}})
		}
		if _, err := r.put("a", nil); !errors.Is(err, s3.SlowDown) {
			t.Errorf("put without lists: %v", err)
		}
	})
}

// TestBucketOfAKeyThatAServerRefuses: a server that refuses a key for every verb keeps no
// bucket standing, if it shows nothing of the key; one that holds it does.
func TestBucketOfAKeyThatAServerRefuses(t *testing.T) {
	for _, holds := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			r := newRigOf(t, memory.NewLog(), nil, "a", "b", "c")
			r.open(func(o *replica.Options) { o.Times.Gap, o.Times.Refused = time.Hour, 2*time.Hour })
			r.makeBucket()
			if holds { // taken while the server still took it
				r.mustPut("odd", content(100, 1))
				time.Sleep(time.Minute)
			}
			r.servers["b"].SetFaults(memory.Faults{ErrorRate: 1, ErrorCode: s3.KeyTooLong, Ops: []s3.OperationName{s3.PutObject, s3.DeleteObject, s3.HeadObject, s3.GetObject}})
			r.mustPut("odd", content(100, 2))
			r.mustDelete("odd")
			time.Sleep(time.Minute)
			if st, err := r.set.Status(r.ctx); err != nil || st.Refused != 1 {
				t.Fatalf("holds %v: %+v, %v", holds, st, err)
			}
			r.servers["b"].SetFaults(memory.Faults{}) // of other keys nothing is refused; this one is not tried again soon
			err := r.set.DeleteBucket(r.ctx, testBucket, "", "")
			if holds {
				if !errors.Is(err, s3.SlowDown) {
					t.Errorf("the bucket of a server that still holds the key: %v", err)
				}
				if v, err := r.set.Head(r.ctx, key("odd")); !errors.Is(err, s3.NoSuchKey) {
					t.Errorf("%+v, %v", v, err)
				}
				return
			}
			if err != nil {
				t.Fatalf("the bucket stands: %v", err)
			}
			r.makeBucket()
			if v, err := r.set.Head(r.ctx, key("odd")); !errors.Is(err, s3.NoSuchKey) {
				t.Errorf("in the next bucket of that name: %+v, %v", v, err)
			}
			again := content(100, 3)
			r.mustPut("odd", again)
			r.mustGet("odd", again)
		})
	}
}

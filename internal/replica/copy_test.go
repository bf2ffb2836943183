package replica_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/s3mirror/s3mirror/internal/memory"
	"github.com/s3mirror/s3mirror/internal/object"
	"github.com/s3mirror/s3mirror/internal/replica"
	"github.com/s3mirror/s3mirror/internal/s3"
)

// copying runs a test with three backends, some of which may copy by themselves.
func copying(t *testing.T, copiers []string, do func(t *testing.T, r *rig)) {
	t.Helper()
	inBubble(t, func(t *testing.T, r *rig) {
		r.close()
		r.open(func(o *replica.Options) { o.Copies = object.NewReplicas(copiers...) })
		do(t, r)
	})
}

func keepHeaders(h object.Headers) object.Headers {
	out := object.Headers{}
	for name, value := range h {
		if name == "content-type" || name == "x-amz-meta-who" {
			out[name] = value
		}
	}
	return out
}

func (r *rig) copy(from, to string, edit func(*replica.CopyRequest)) (object.Info, error) {
	ask := replica.CopyRequest{Key: key(to), Source: key(from), Headers: keepHeaders, Actor: "tester"}
	if edit != nil {
		edit(&ask)
	}
	return r.set.Copy(r.ctx, ask)
}

func (r *rig) mustCopy(from, to string) object.Info {
	r.t.Helper()
	info, err := r.copy(from, to, nil)
	if err != nil {
		r.t.Fatalf("copy of %q: %v", from, err)
	}
	return info
}

// A copy is what its source is, whoever makes it: at once, without a row, and on
// every replica.
func TestACopyIsItsSource(t *testing.T) {
	for _, copiers := range [][]string{nil, {"b"}, {"a", "b", "c"}} {
		t.Run(fmt.Sprint(copiers), func(t *testing.T) {
			copying(t, copiers, func(t *testing.T, r *rig) {
				for _, size := range sizes {
					name := fmt.Sprint(size)
					source := r.mustPut(name, content(size, 7))
					synctest.Wait()
					r.resetCounts()
					info := r.mustCopy(name, "copy of "+name)
					synctest.Wait()
					if info.Size != source.Size || info.ETag == "" || info.ID == source.ID {
						t.Errorf("%d bytes: the copy is %+v, its source %+v", size, info, source)
					}
					for _, replica := range r.names {
						if got := r.counts[replica].of("PUT", "copy of "+name); got != 1 {
							t.Errorf("%d bytes: %s got %d requests", size, replica, got)
						}
					}
					gets := 0
					for _, replica := range r.names {
						gets += r.counts[replica].of("GET", name)
					}
					if direct := len(copiers) == 3 && size > 256<<10; direct && gets > 0 || !direct && gets != 1 {
						t.Errorf("%d bytes: the source was read %d times", size, gets)
					}
				}
				check := func() {
					for _, size := range sizes {
						r.mustGet("copy of "+fmt.Sprint(size), content(size, 7))
						v, err := r.set.Head(r.ctx, key("copy of "+fmt.Sprint(size)))
						if err != nil || v.Headers["x-amz-meta-who"] != fmt.Sprint(size) || v.Headers["content-type"] != "text/plain" || v.Headers["x-amz-checksum-crc32c"] == "" {
							t.Errorf("head of %d bytes: %+v, %v", size, v, err)
						}
					}
				}
				check()
				if got := r.equal(); len(got) != 2*len(sizes) {
					t.Errorf("%d objects stand", len(got))
				}
				r.converge()
				check()
			})
		})
	}
}

// What is asked of the copy: conditions on both sides, headers, an algorithm.
func TestWhatACopyIsAskedFor(t *testing.T) {
	copying(t, []string{"a", "b", "c"}, func(t *testing.T, r *rig) {
		for _, size := range []int{1000, 600 << 10} {
			from := fmt.Sprint(size)
			r.mustPut(from, content(size, 1))
			no := s3.Err(s3.PreconditionFailed)
			if _, err := r.copy(from, "to", func(c *replica.CopyRequest) { c.Check = func(object.Info) error { return no } }); !errors.Is(err, no) {
				t.Errorf("a check that fails: %v", err)
			}
			absent := s3.WriteConditions{IfNoneMatchStar: true}
			if _, err := r.copy(from, from, func(c *replica.CopyRequest) { c.If = absent }); !errors.Is(err, s3.PreconditionFailed) {
				t.Errorf("over what stands: %v", err)
			}
			info, err := r.copy(from, "new"+from, func(c *replica.CopyRequest) {
				c.If, c.Algorithm = absent, "sha256"
				c.Headers = func(object.Headers) object.Headers { return object.Headers{"x-amz-meta-a": "b"} }
			})
			if err != nil || info.Headers["x-amz-checksum-sha256"] == "" || info.Headers["x-amz-meta-a"] != "b" || info.Headers["content-type"] != s3.DefaultContentType {
				t.Errorf("a new one: %+v, %v", info, err)
			}
			self, err := r.copy(from, from, func(c *replica.CopyRequest) {
				c.Headers = func(object.Headers) object.Headers { return object.Headers{"x-amz-meta-a": "c"} }
			})
			if err != nil || self.Headers["x-amz-meta-a"] != "c" {
				t.Errorf("onto itself: %+v, %v", self, err)
			}
			r.mustGet(from, content(size, 1))
		}
		for name, err := range map[string]error{
			"no source": errors.Join(second(r.copy("none", "to", nil))),
		} {
			if !errors.Is(err, s3.NoSuchKey) {
				t.Errorf("%s: %v", name, err)
			}
		}
		for _, edit := range []func(*replica.CopyRequest){
			func(c *replica.CopyRequest) { c.Source.Bucket = "nothing" }, func(c *replica.CopyRequest) { c.Key.Bucket = "nothing" },
		} {
			if _, err := r.copy("1000", "to", edit); !errors.Is(err, s3.NoSuchBucket) {
				t.Errorf("no bucket: %v", err)
			}
		}
		r.mustMiss("to")
		r.converge()
		r.equal()
	})
}

func second[A any](_ A, err error) error { return err }

// Replicas that lag behind the source get the copy from those that hold it.
func TestACopyOfASourceThatLags(t *testing.T) {
	copying(t, []string{"a", "b", "c"}, func(t *testing.T, r *rig) {
		r.mustPut("from", content(500<<10, 1))
		synctest.Wait()
		r.servers["b"].SetFaults(memory.Faults{ErrorRate: 1, ErrorCode: s3.AccessDenied, Ops: []s3.OperationName{s3.PutObject}})
		r.mustPut("from", content(600<<10, 2))
		synctest.Wait()
		r.servers["b"].SetFaults(memory.Faults{})
		r.mustCopy("from", "to") // before anything is healed
		synctest.Wait()
		r.mustGet("to", content(600<<10, 2))
		for _, name := range r.names {
			if got := r.stored(name)["to"]; got.Size != 600<<10 {
				t.Errorf("%s holds %+v", name, got)
			}
		}
		r.converge()
		r.equal()
	})
}

// What a backend does to a copy costs no more than the lag of that backend, which is
// healed.
func TestACopyWithABackendThatFails(t *testing.T) {
	ops := []s3.OperationName{s3.CopyObject, s3.PutObject}
	for name, f := range map[string]memory.Faults{
		"unavailable":      {ErrorRate: 1, ErrorStatus: 503, Ops: ops},
		"refused":          {ErrorRate: 1, ErrorCode: s3.AccessDenied, Ops: ops},
		"another source":   {ErrorRate: 1, ErrorCode: s3.PreconditionFailed, Ops: ops},
		"no source":        {ErrorRate: 1, ErrorCode: s3.NoSuchKey, Ops: ops},
		"answer is lost":   {DropRate: 1, Ops: ops},
		"late":             {LateRate: 1, LateBy: 5 * time.Second, Ops: ops},
		"hangs":            {Hang: true, Ops: ops},
		"source breaks":    {CutRate: 1, CutAfter: 100 << 10, Ops: []s3.OperationName{s3.GetObject}},
		"stores the half":  {TruncateRate: 1, Ops: ops},
		"source is rotten": {ErrorRate: 1, ErrorStatus: 500, Ops: []s3.OperationName{s3.GetObject}},
	} {
		for _, copiers := range [][]string{nil, {"a", "b", "c"}, {"a"}} {
			t.Run(fmt.Sprint(name, copiers), func(t *testing.T) {
				copying(t, copiers, func(t *testing.T, r *rig) {
					for _, size := range []int{5000, 600 << 10} {
						from := fmt.Sprint("from", size)
						r.mustPut(from, content(size, 3))
						synctest.Wait()
						r.servers["b"].SetFaults(f)
						r.mustCopy(from, fmt.Sprint("to", size))
						r.mustGet(fmt.Sprint("to", size), content(size, 3))
						time.Sleep(20 * time.Second)
						r.servers["b"].SetFaults(memory.Faults{})
						r.mustPut(fmt.Sprint("to", size), content(size/2, 4)) // a late copy must not come up over it
						r.mustGet(fmt.Sprint("to", size), content(size/2, 4))
					}
					r.converge()
					r.equal()
				})
			})
		}
	}
}

// A source that is overwritten while it is copied: the copy is one of the versions, whole,
// on every replica.
func TestASourceThatChangesWhileItIsCopied(t *testing.T) {
	for _, copiers := range [][]string{nil, {"a", "b", "c"}} {
		copying(t, copiers, func(t *testing.T, r *rig) {
			versions := map[string]bool{}
			for i := range 8 {
				versions[string(content(500<<10+i, uint64(i)))] = true
			}
			r.mustPut("from", content(500<<10, 0))
			var writing sync.WaitGroup
			writing.Go(func() {
				for i := range 8 {
					r.mustPut("from", content(500<<10+i, uint64(i)))
				}
			})
			r.each(20, func(i int) {
				to := fmt.Sprint("to", i)
				if _, err := r.copy("from", to, nil); err != nil {
					if !errors.Is(err, s3.SlowDown) {
						t.Errorf("copy: %v", err)
					}
					return
				}
				got, err := r.get(to)
				if err != nil || !versions[string(got)] {
					t.Errorf("the copy has %d bytes that nobody wrote, %v", len(got), err)
				}
			})
			writing.Wait()
			r.converge()
			r.equal()
		})
	}
}

// Bytes of a source that are not what its checksum says are not copied.
func TestARottenSourceIsNotCopied(t *testing.T) {
	copying(t, nil, func(t *testing.T, r *rig) {
		for _, name := range r.names {
			r.directPut(name, testBucket, "foreign", content(600<<10, 1))
		}
		if _, err := r.copy("foreign", "to", nil); err != nil {
			t.Errorf("an object that nobody here wrote: %v", err)
		}
		r.mustGet("to", content(600<<10, 1))
		r.converge()
		r.equal()
	})
}

// TestACopyOfAnObjectOfParts: replicas make it by themselves when the source's ETag and
// checksum say which bytes it is of, and it is the same object everywhere.
func TestACopyOfAnObjectOfParts(t *testing.T) {
	full := s3.UploadChecksum{Algorithm: "crc32c", Type: s3.FullObject}
	composite := s3.UploadChecksum{Algorithm: "crc32c", Type: s3.Composite}
	for _, c := range []struct {
		name   string
		sum    s3.UploadChecksum
		others bool // one of them composes its ETags otherwise
		reads  int  // of the source
	}{
		{"known", full, false, 0}, {"an ETag that tells nothing", full, true, 1}, {"a checksum of parts", composite, false, 1},
	} {
		t.Run(c.name, func(t *testing.T) {
			inBubble(t, func(t *testing.T, r *rig) {
				r.close()
				r.open(func(o *replica.Options) {
					uploadTimes(o)
					o.Qualify = func(_ context.Context, name, _ string) (replica.Quality, error) {
						return replica.Quality{Copies: true, Composed: !c.others || name != "b"}, nil
					}
				})
				p := r.begin("source", c.sum)
				p.put(1, content(5*mib, 1))
				p.put(2, content(5*mib+9, 2))
				p.complete()
				synctest.Wait()
				r.resetCounts()
				info := r.mustCopy("source", "copy")
				synctest.Wait()
				reads := 0
				for _, name := range r.names {
					reads += r.counts[name].of("GET", "source")
				}
				if reads != c.reads {
					t.Errorf("the source was read %d times, want %d", reads, c.reads)
				}
				r.mustGet("copy", p.whole())
				held := r.equal()["copy"]
				if held.ETag != info.ETag || held.Headers["x-amz-checksum-crc32c"] == "" || held.ID == r.equal()["source"].ID {
					t.Errorf("the copy is %+v, told as %+v", held, info)
				}
				r.converge()
				r.mustGet("copy", p.whole())
			})
		})
	}
}

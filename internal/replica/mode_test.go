package replica_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/s3mirror/s3mirror/internal/commit"
	"github.com/s3mirror/s3mirror/internal/memory"
	"github.com/s3mirror/s3mirror/internal/object"
	"github.com/s3mirror/s3mirror/internal/replica"
	"github.com/s3mirror/s3mirror/internal/s3"
)

// active and primary are modes.
var active = commit.Mode{}

func primary(name string) commit.Mode { return commit.Mode{Primary: name} }

func (r *rig) setMode(bucket string, m commit.Mode) {
	r.t.Helper()
	if err := r.set.SetMode(r.ctx, bucket, m); err != nil {
		r.t.Fatalf("mode of %q to %v: %v", bucket, m, err)
	}
}

// String is what was asked.
func (c *counter) String() string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return fmt.Sprint(c.seen)
}

// asked is how many requests for keys reached a backend.
func (c *counter) asked() (n int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for what, times := range c.seen {
		if _, path, _ := strings.Cut(what, " "); path != "" && !strings.HasPrefix(path, "/") && !strings.HasPrefix(path, object.ReservedPrefix) {
			n += times
		}
	}
	return n
}

func (r *rig) forget() {
	for _, c := range r.counts {
		c.reset()
	}
}

// While replication is disabled the primary takes reads and writes, the others are
// left alone, and what they miss is logged. Active again the bucket heals by itself.
func TestReplicationIsDisabledAndHealsByItself(t *testing.T) {
	for _, bucket := range []string{"", testBucket} {
		t.Run("bucket "+bucket, func(t *testing.T) {
			inBubble(t, func(t *testing.T, r *rig) {
				for i := range 10 {
					r.mustPut(fmt.Sprint("old", i), content(100, uint64(i)))
				}
				r.converge()
				r.setMode(bucket, primary("b"))
				time.Sleep(500 * time.Millisecond) // between two walks of the healer: a visit that meets a write asks all replicas
				r.forget()
				for i := range 10 {
					name := fmt.Sprint("new", i)
					r.mustPut(name, content(1000*i, uint64(i)))
					r.mustGet(name, content(1000*i, uint64(i)))
				}
				large := content(700_000, 7)
				r.mustPut("large", large)
				r.mustGet("large", large)
				for i := range 5 {
					r.mustDelete(fmt.Sprint("old", i))
					r.mustMiss(fmt.Sprint("old", i))
					r.mustGet(fmt.Sprint("old", 5+i), content(100, uint64(5+i)))
				}
				if got := r.list("", "", 100); len(got) != 16 {
					t.Errorf("a list shows %q", got)
				}
				time.Sleep(10 * time.Minute) // whatever the healer may want to do
				for _, name := range []string{"a", "c"} {
					if n := r.counts[name].asked(); n != 0 {
						t.Errorf("backend %s was asked %d times: %v", name, n, r.counts[name])
					}
					if got := r.stored(name); len(got) != 10 {
						t.Errorf("backend %s holds %d objects", name, len(got))
					}
				}
				st, err := r.set.Status(r.ctx)
				if err != nil || st.Lagging.Keys != 16 || st.Converged || st.Unsettled != 0 {
					t.Errorf("status %+v, %v", st, err)
				}
				for _, b := range st.Backends {
					if want := map[string]int64{"a": 16, "b": 0, "c": 16}[b.Name]; b.Lagging.Keys != want {
						t.Errorf("backend %s lags by %d keys", b.Name, b.Lagging.Keys)
					}
				}
				if v, err := r.set.Head(r.ctx, key("new1")); err != nil || v.Status != replica.StatusPending {
					t.Errorf("head %+v, %v", v, err)
				}

				r.setMode(bucket, active)
				r.converge()
				if got := r.equal(); len(got) != 16 {
					t.Errorf("%d objects", len(got))
				}
			})
		})
	}
}

// The mode is in the log: it outlives the process.
func TestAModeSurvivesARestart(t *testing.T) {
	inBubble(t, func(t *testing.T, r *rig) {
		r.setMode("", primary("b"))
		r.setMode(testBucket, primary("c"))
		r.mustPut("k", content(10, 1))
		r.crash()
		r.open(func(o *replica.Options) { o.Mode = primary("a") }) // the file says another; what was set counts
		modes, err := r.set.Modes(r.ctx)
		if err != nil || modes.All != primary("b") || len(modes.Own) != 1 || modes.Own[testBucket] != primary("c") {
			t.Fatalf("modes %+v, %v", modes, err)
		}
		r.forget()
		r.mustPut("k", content(20, 2))
		if r.counts["a"].of("", "k")+r.counts["b"].of("", "k") != 0 || r.counts["c"].of("PUT", "k") != 1 {
			t.Errorf("others than the primary were written: %v, %v", r.counts["a"], r.counts["b"])
		}
		r.setMode(testBucket, primary("b")) // as of all: none of its own
		if modes, err = r.set.Modes(r.ctx); err != nil || len(modes.Own) != 0 {
			t.Errorf("modes %+v, %v", modes, err)
		}
		r.setMode("", active)
		r.converge()
		r.equal()
	})
}

func TestTheFileSetsTheMode(t *testing.T) {
	onRig(t, func(t *testing.T, r *rig) {
		r.open(func(o *replica.Options) { o.Mode, o.Defaults.Ack = primary("b"), commit.Rule{Need: 3} })
		r.wires["a"].plug(true)
		r.wires["c"].plug(true)
		r.makeBucket() // by the primary's yes
		r.mustPut("k", content(10, 1))
		if err := r.set.Ready(r.ctx); err != nil {
			t.Error(err)
		}
		r.wires["a"].plug(false)
		r.wires["c"].plug(false)
		r.setMode("", active)
		r.converge()
		r.equal()
	})
}

// Background replication always runs: what the primary lacks is brought to it, and
// until then reads come from where it is.
func TestANewPrimaryIsHealedWhileDisabled(t *testing.T) {
	inBubble(t, func(t *testing.T, r *rig) {
		r.setMode("", primary("a"))
		r.mustPut("k", content(100, 1))
		r.wires["b"].plug(true) // what it lacks can not be brought to it yet
		r.setMode("", primary("b"))
		r.mustGet("k", content(100, 1))
		r.wires["b"].plug(false)
		time.Sleep(time.Minute)
		if _, ok := r.stored("b")["k"]; !ok {
			t.Error("the primary was not healed")
		}
		if got := r.stored("c"); len(got) != 0 {
			t.Errorf("backend c holds %v", got)
		}
		r.wires["a"].plug(true)
		r.mustGet("k", content(100, 1))
		r.mustPut("k", content(200, 2))
		r.mustGet("k", content(200, 2))
		r.wires["b"].plug(true) // a holds an older version, and it is never served
		r.wires["a"].plug(false)
		time.Sleep(time.Minute)
		if data, err := r.get("k"); !errors.Is(err, s3.SlowDown) {
			t.Errorf("without the primary: %d bytes, %v", len(data), err)
		}
		if _, err := r.put("k", content(10, 3)); !errors.Is(err, s3.SlowDown) {
			t.Errorf("put without the primary: %v", err)
		}
		r.wires["b"].plug(false)
		time.Sleep(time.Minute)
		r.mustGet("k", content(200, 2))
		r.setMode("", active)
		r.converge()
		r.equal()
	})
}

func TestModesThatDoNotFitAreRefused(t *testing.T) {
	inBubble(t, func(t *testing.T, r *rig) {
		r.close()
		r.open(func(o *replica.Options) {
			o.Buckets = map[string]replica.Policy{"two": {Replicas: object.NewReplicas("a", "b"), Ack: commit.Rule{Need: 2}}}
		})
		if err := r.set.CreateBucket(r.ctx, "two", "", ""); err != nil {
			t.Fatal(err)
		}
		for _, tc := range []struct {
			bucket string
			mode   commit.Mode
			want   error
			says   string
		}{
			{"", primary("x"), replica.ErrUnknownBackend, `"x"`},
			{"none", primary("a"), s3.NoSuchBucket, ""},
			{"two", primary("c"), replica.ErrUnfitting, "bucket two is not on backend c"},
			{"", primary("c"), replica.ErrUnfitting, "bucket two is not on backend c"},
		} {
			if err := r.set.SetMode(r.ctx, tc.bucket, tc.mode); !errors.Is(err, tc.want) || !strings.Contains(err.Error(), tc.says) {
				t.Errorf("%+v: %v", tc, err)
			}
		}
		r.setMode("two", primary("a"))
		r.setMode("", primary("c")) // two has a mode of its own
		r.setMode("", active)

		if err := r.set.Pause(r.ctx, "c", time.Time{}); err != nil {
			t.Fatal(err)
		}
		if err := r.set.SetMode(r.ctx, "", primary("c")); !errors.Is(err, replica.ErrUnfitting) {
			t.Errorf("a paused primary: %v", err)
		}
	})
}

// A log that fails leaves the mode as it was, and says so.
func TestAModeThatCanNotBeWritten(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		log := memory.NewFaultyLog(memory.NewLog(), nil)
		r := newRig(t, log, "a", "b", "c")
		r.open(nil)
		r.makeBucket()
		log.SetFull(true)
		for _, bucket := range []string{"", testBucket} {
			if err := r.set.SetMode(r.ctx, bucket, primary("b")); !errors.Is(err, s3.SlowDown) {
				t.Errorf("mode of %q: %v", bucket, err)
			}
		}
		if err := r.set.Pause(r.ctx, "b", time.Time{}); !errors.Is(err, s3.SlowDown) {
			t.Errorf("pause: %v", err)
		}
		log.SetFull(false)
		modes, err := r.set.Modes(r.ctx)
		if err != nil || modes.All != active || len(modes.Own) != 0 || len(r.set.Pauses()) != 0 {
			t.Errorf("modes %+v, %v", modes, err)
		}
	})
}

// An upload that began before a switch ends after it: what the others have of it is
// not enough for them, and they are healed with the same parts.
func TestUploadsAcrossASwitch(t *testing.T) {
	for name, modes := range map[string][3]commit.Mode{ // of the beginning, of the second part, of the end
		"disabled before the second part": {active, primary("b"), primary("b")},
		"disabled before the end":         {active, active, primary("b")},
		"active again before the end":     {primary("b"), primary("b"), active},
		"disabled throughout":             {primary("b"), primary("b"), primary("b")},
		"another primary":                 {active, primary("b"), primary("c")},
	} {
		t.Run(name, func(t *testing.T) {
			withUploads(t, func(t *testing.T, r *rig) {
				r.setMode("", modes[0])
				p := r.begin("k", s3.UploadChecksum{})
				p.put(1, content(5<<20, 1))
				r.setMode("", modes[1])
				p.put(2, content(6<<20, 2))
				r.setMode("", modes[2])
				info, err := r.set.CompleteUpload(r.ctx, p.request())
				if err != nil && !errors.Is(err, s3.SlowDown) && !errors.Is(err, s3.NoSuchUpload) {
					t.Fatalf("complete: %v", err)
				}
				if refused := err != nil; refused != (name == "another primary") {
					t.Fatalf("complete: %v", err)
				}
				if err == nil {
					r.mustGet("k", append(content(5<<20, 1), content(6<<20, 2)...))
					if !strings.HasSuffix(info.ETag, "-2") {
						t.Errorf("ETag %s", info.ETag)
					}
				}
				r.setMode("", active)
				if err != nil {
					if _, err = r.set.CompleteUpload(r.ctx, p.request()); err != nil {
						t.Fatalf("complete when active again: %v", err)
					}
					r.mustGet("k", append(content(5<<20, 1), content(6<<20, 2)...))
				}
				r.converge()
				if got := r.equal(); len(got) != 1 {
					t.Errorf("stored %v", got)
				}
			})
		})
	}
}

// Modes change and backends are paused while clients work and everything fails
// that may; then it is as if nothing had been.
func TestChaosWithModes(t *testing.T) {
	for seed := range chaosSeeds() {
		t.Run(fmt.Sprint("seed ", seed), func(t *testing.T) {
			inBubble(t, func(t *testing.T, r *rig) {
				var switches, pauses atomic.Int64
				chaos(t, r, seed, func(dice *rand.Rand) {
					ctx, cancel := context.WithTimeout(r.ctx, 10*time.Second)
					defer cancel()
					switch {
					case dice == nil: // the end
						for _, name := range r.names {
							if err := r.set.Resume(ctx, name); err != nil {
								t.Error(err)
							}
						}
						r.setMode("", active)
						r.setMode(testBucket, active)
					case dice.IntN(8) == 0:
						m := active
						if dice.IntN(2) == 0 {
							m = primary(r.names[dice.IntN(3)])
						}
						if r.set.SetMode(ctx, []string{"", testBucket}[dice.IntN(2)], m) == nil {
							switches.Add(1)
						}
					case dice.IntN(12) == 0:
						name := r.names[dice.IntN(3)]
						if r.set.Pause(ctx, name, time.Now().Add(time.Duration(dice.IntN(5000)+1)*time.Millisecond)) == nil {
							pauses.Add(1)
						}
					}
				})
				if switches.Load() < 5 || pauses.Load() < 3 {
					t.Errorf("%d switches and %d pauses only", switches.Load(), pauses.Load())
				}
			})
		})
	}
}

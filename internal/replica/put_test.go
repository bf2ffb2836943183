package replica_test

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/s3mirror/s3mirror/internal/memory"
	"github.com/s3mirror/s3mirror/internal/object"
	"github.com/s3mirror/s3mirror/internal/replica"
	"github.com/s3mirror/s3mirror/internal/s3"
)

var sizes = []int{0, 1, 8191, 8192, 8193, 64 << 10, 256<<10 - 1, 256 << 10, 256<<10 + 1, 1 << 20, 9 << 20}

func TestPutThenGetOnEveryReplica(t *testing.T) {
	for _, payload := range []replica.Payload{replica.PayloadAuto, replica.PayloadTrailer, replica.PayloadSigned} {
		for _, literal := range []bool{false, true} {
			t.Run(fmt.Sprintf("payload %d literal %v", payload, literal), func(t *testing.T) {
				inBubble(t, func(t *testing.T, r *rig) {
					r.close()
					r.open(func(o *replica.Options) {
						o.Payload = map[string]replica.Payload{"a": payload, "b": payload, "c": payload}
					})
					for _, size := range sizes {
						data := content(size, 1)
						u := newUpload(data)
						if sum := sha256.Sum256(data); literal {
							u.literal = &sum
						}
						name := fmt.Sprint(size)
						info, err := r.set.Put(r.ctx, replica.PutRequest{Key: key(name), Headers: object.Headers{"x-amz-meta-a": "b"}, Body: u})
						if err != nil {
							t.Fatalf("put of %d bytes: %v", size, err)
						}
						if info.Size != int64(size) || info.ETag == "" || info.ID.IsZero() {
							t.Fatalf("put of %d bytes returned %+v", size, info)
						}
						synctest.Wait() // virtual time knows no wait for the replicas beyond the ack rule
						r.mustGet(name, data)
						v, err := r.set.Head(r.ctx, key(name))
						if err != nil || v.ETag != info.ETag || v.Size != info.Size || v.Status != replica.StatusCompleted {
							t.Fatalf("head of %d bytes: %+v, %v", size, v, err)
						}
					}
					if got := r.equal(); len(got) != len(sizes) {
						t.Fatalf("%d objects stand, want %d", len(got), len(sizes))
					}
					r.converge()
					for _, size := range sizes {
						r.mustGet(fmt.Sprint(size), content(size, 1)) // without a row
					}
				})
			})
		}
	}
}

// What breaks a body must leave the old object on every backend.
func TestABrokenBodyNeverLands(t *testing.T) {
	inBubble(t, func(t *testing.T, r *rig) {
		for _, size := range []int{1000, 300 << 10, 9 << 20} {
			name := fmt.Sprint(size)
			old := content(500, 2)
			r.mustPut(name, old)
			for _, part := range []float64{0, 0.5, 0.999, 1} {
				data := content(size, 3)
				u := newUpload(data[:int(float64(size)*part)])
				u.size = int64(size)
				u.fault = s3.Err(s3.IncompleteBody)
				if part == 1 {
					u.fault = s3.Err(s3.BadDigest)
				}
				_, err := r.set.Put(r.ctx, replica.PutRequest{Key: key(name), Body: u})
				if !errors.Is(err, u.fault) {
					t.Fatalf("put of %v of %d bytes: %v, want %v", part, size, err, u.fault)
				}
				r.mustGet(name, old)
			}
		}
		r.converge()
		for name, seen := range r.equal() {
			if seen.Size != 500 {
				t.Errorf("key %s has %d bytes", name, seen.Size)
			}
		}
	})
}

func TestConditions(t *testing.T) {
	inBubble(t, func(t *testing.T, r *rig) {
		absent := s3.WriteConditions{IfNoneMatchStar: true}
		put := func(c s3.WriteConditions, size int) error {
			_, err := r.set.Put(r.ctx, replica.PutRequest{Key: key("k"), Body: newUpload(content(size, 4)), If: c})
			return err
		}
		for _, size := range []int{10, 400 << 10} {
			if err := put(absent, size); err != nil {
				t.Fatalf("first conditional put: %v", err)
			}
			if err := put(absent, size); !errors.Is(err, s3.PreconditionFailed) {
				t.Fatalf("second conditional put: %v", err)
			}
			var e *s3.Error
			if errors.As(put(absent, size), &e); e.Field("Condition") != "If-None-Match" {
				t.Errorf("condition of the refusal is %q", e.Field("Condition"))
			}
			r.mustDelete("k")
			r.mustMiss("k")
		}
		r.converge()
		if got := r.equal(); len(got) != 0 {
			t.Errorf("left over: %v", got)
		}
	})
}

func TestOneBackendOffHealsWhenItIsBack(t *testing.T) {
	inBubble(t, func(t *testing.T, r *rig) {
		r.mustPut("deleted", content(100, 1))
		r.mustPut("overwritten", content(100, 2))
		r.wires["b"].plug(true)
		for i, size := range sizes {
			r.mustPut(fmt.Sprint("new-", i), content(size, 5))
		}
		r.mustPut("overwritten", content(300<<10, 6))
		r.mustDelete("deleted")
		st, err := r.set.Status(r.ctx)
		if err != nil || st.Converged || st.Lagging.Keys < int64(len(sizes)) {
			t.Fatalf("status while a backend is off: %+v, %v", st, err)
		}
		v, err := r.set.Head(r.ctx, key("overwritten"))
		if err != nil || v.Status != replica.StatusPending {
			t.Fatalf("head while a backend is off: %+v, %v", v, err)
		}
		time.Sleep(10 * time.Minute)
		r.mustMiss("deleted")
		r.wires["b"].plug(false)
		r.converge()
		if got := r.equal(); len(got) != len(sizes)+1 {
			t.Errorf("%d objects stand, want %d", len(got), len(sizes)+1)
		}
		r.mustMiss("deleted")
		r.mustGet("overwritten", content(300<<10, 6))
		time.Sleep(2 * time.Second)
		if st, _ = r.set.Status(r.ctx); !st.Converged {
			t.Errorf("status after the heal: %+v", st)
		}
	})
}

func TestAHungBackendHoldsNobodyUp(t *testing.T) {
	inBubble(t, func(t *testing.T, r *rig) {
		r.mustPut("old", content(10, 1))
		r.servers["c"].SetFaults(memory.Faults{Hang: true})
		for i := range 12 {
			begun := time.Now()
			r.mustPut(fmt.Sprint(i), content(100+i*200<<10, 7))
			if d := time.Since(begun); d > 2*times.Grace+time.Second {
				t.Errorf("put %d took %v", i, d)
			}
			r.mustGet(fmt.Sprint(i), content(100+i*200<<10, 7))
		}
		r.mustDelete("old")
		time.Sleep(time.Minute)
		r.servers["c"].SetFaults(memory.Faults{})
		r.converge()
		if got := r.equal(); len(got) != 12 {
			t.Errorf("%d objects stand, want 12", len(got))
		}
		r.mustMiss("old")
	})
}

// TestWhoOwesAnAnswerIsAccused: what a hung backend owes counts against it long
// before the time for answers is over, and nothing counts against the others.
func TestWhoOwesAnAnswerIsAccused(t *testing.T) {
	inBubble(t, func(t *testing.T, r *rig) {
		r.servers["c"].SetFaults(memory.Faults{Hang: true})
		for i := range 5 {
			r.mustPut(fmt.Sprint(i), content(10, 1))
		}
		time.Sleep(times.Grace + time.Second)
		for i, want := range []uint64{0, 0, 1} {
			if got := r.stacks[i].Breaker.Health().Opens; got != want {
				t.Errorf("the breaker of %s has opened %d times, want %d", r.names[i], got, want)
			}
		}
		r.servers["c"].SetFaults(memory.Faults{})
		r.converge() // else a repair may hang at c for longer than a set waits when it is closed
	})
}

func TestAllBackendsOff(t *testing.T) {
	inBubble(t, func(t *testing.T, r *rig) {
		r.mustPut("k", content(10, 1))
		synctest.Wait() // for all three
		for _, w := range r.wires {
			w.plug(true)
		}
		for range 8 {
			if _, err := r.put("k", content(20, 2)); !errors.Is(err, s3.SlowDown) {
				t.Fatalf("put: %v", err)
			}
		}
		if _, err := r.get("k"); !errors.Is(err, s3.SlowDown) {
			t.Fatalf("get: %v", err)
		}
		if err := r.set.Ready(r.ctx); err == nil {
			t.Error("the set is ready without any backend")
		}
		for _, w := range r.wires {
			w.plug(false)
		}
		r.converge()
		r.mustGet("k", content(10, 1))
		if err := r.set.Ready(r.ctx); err != nil {
			t.Errorf("not ready again: %v", err)
		}
	})
}

func TestAFullLogRefusesWritesAndServesReads(t *testing.T) {
	inBubble(t, func(t *testing.T, r *rig) {
		r.close()
		log := memory.NewFaultyLog(r.log, nil)
		r.log = log
		r.open(nil)
		r.mustPut("k", content(10, 1))
		log.SetFull(true)
		if _, err := r.put("k", content(20, 2)); !errors.Is(err, s3.SlowDown) {
			t.Fatalf("put on a full log: %v", err)
		}
		r.mustGet("k", content(10, 1))
		log.SetFull(false)
		r.mustPut("k", content(20, 2))
		r.mustGet("k", content(20, 2))
		log.SetDown(true)
		if _, err := r.put("k", content(20, 2)); !errors.Is(err, s3.SlowDown) {
			t.Fatalf("put without a log: %v", err)
		}
		if _, err := r.get("k"); !errors.Is(err, s3.SlowDown) {
			t.Fatalf("get without a log: %v", err) // H38: no read is linearizable then
		}
		log.SetDown(false)
		r.converge()
	})
}

package replica_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"strconv"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/s3mirror/s3mirror/internal/commit"
	"github.com/s3mirror/s3mirror/internal/memory"
	"github.com/s3mirror/s3mirror/internal/oplog"
	"github.com/s3mirror/s3mirror/internal/pebble"
	"github.com/s3mirror/s3mirror/internal/replica"
	"github.com/s3mirror/s3mirror/internal/s3"
)

// register is what clients know of one key that only one of them writes: the
// value that was acknowledged last, and those that may have come after it.
type register struct {
	name  string
	acked int          // number of the write; 0: never written
	maybe map[int]bool // writes since then whose outcome is not known
}

// Numbers name values: an even one is an object whose size and bytes follow from
// it, an odd one a deletion.
func valueOf(n int) []byte {
	if n%2 == 1 || n == 0 {
		return nil
	}
	return content(sizes[n/2%(len(sizes)-1)]+16, uint64(n))
}

// write does the n-th write of the register.
func (g *register) write(ctx context.Context, set *replica.Set, n int) error {
	var err error
	if n%2 == 1 {
		err = set.Delete(ctx, replica.DeleteRequest{Key: key(g.name)})
	} else {
		_, err = set.Put(ctx, replica.PutRequest{Key: key(g.name), Body: newUpload(valueOf(n))})
	}
	switch {
	case err == nil:
		g.acked, g.maybe = n, map[int]bool{}
	case errors.Is(err, s3.SlowDown):
		g.maybe[n] = true
	default:
		return fmt.Errorf("write %d of %s: %w", n, g.name, err)
	}
	return nil
}

// check reads the register and judges what it shows. What a read showed stays:
// it is the register's value from then on.
func (g *register) check(r *rig) error {
	got, err := r.get(g.name)
	if err != nil && !errors.Is(err, s3.NoSuchKey) {
		return nil // no answer, or a body that was cut, says nothing
	}
	fits := func(n int) bool { return (err != nil) == (valueOf(n) == nil) && bytes.Equal(got, valueOf(n)) }
	if fits(g.acked) {
		return nil
	}
	for n := range g.maybe {
		if fits(n) {
			g.acked = n
			delete(g.maybe, n) // the others may still come, if they began later or are in doubt
			return nil
		}
	}
	return fmt.Errorf("%s shows %d bytes (%v): neither write %d nor one of %v", g.name, len(got), err, g.acked, g.maybe)
}

// Clients write and read while backends go off, hang, lose answers and apply
// late, and the node is killed. Whatever was acknowledged is there, whatever was
// read stays, and in the end all replicas are equal.
func TestChaos(t *testing.T) {
	for seed := range chaosSeeds() {
		t.Run(fmt.Sprint("seed ", seed), func(t *testing.T) {
			inBubble(t, func(t *testing.T, r *rig) { chaos(t, r, seed, func(*rand.Rand) {}) })
		})
	}
}

// chaos plays rounds of load and faults. Between any two operations of a client
// trouble may do something more.
func chaos(t *testing.T, r *rig, seed uint64, trouble func(*rand.Rand)) {
	const clients, rounds = 6, 5
	registers := make([]*register, clients)
	for i := range registers {
		registers[i] = &register{name: fmt.Sprint("k", i), maybe: map[int]bool{}}
	}
	next := 1
	for round := range rounds {
		rng := rand.New(rand.NewPCG(seed, uint64(round)))
		stop, crash := make(chan struct{}), rng.IntN(2) == 0
		var wg sync.WaitGroup
		for i, g := range registers {
			base := next + i*1000
			wg.Go(func() {
				own := rand.New(rand.NewPCG(seed, uint64(round*100+i)))
				for n := base; ; n++ {
					select {
					case <-stop:
						return
					default:
					}
					if err := g.write(r.ctx, r.set, n); err != nil {
						t.Error(err)
						return
					}
					trouble(own)
					if err := g.check(r); err != nil {
						t.Error(err)
						return
					}
					time.Sleep(time.Duration(own.IntN(2000)) * time.Millisecond)
				}
			})
		}
		next += clients * 1000
		nemesis(r, rng)
		close(stop)
		if crash {
			r.crash()
		}
		wg.Wait()
		if crash {
			r.open(nil)
		}
		for _, g := range registers {
			if err := g.check(r); err != nil {
				t.Error(err)
			}
		}
	}
	trouble(nil)
	r.converge()
	r.equal()
	for _, g := range registers {
		if err := g.check(r); err != nil {
			t.Error(err)
		}
		if _, err := r.get(g.name); err != nil && !errors.Is(err, s3.NoSuchKey) {
			t.Errorf("final read of %s: %v", g.name, err)
		}
	}
}

// nemesis hurts one backend after the other for a while.
func nemesis(r *rig, rng *rand.Rand) {
	for range 4 {
		name := r.names[rng.IntN(len(r.names))]
		pause := time.Duration(500+rng.IntN(6000)) * time.Millisecond
		switch rng.IntN(5) {
		case 0:
			r.wires[name].plug(true)
			time.Sleep(pause)
			r.wires[name].plug(false)
		case 1:
			r.servers[name].SetFaults(memory.Faults{Hang: true})
			time.Sleep(pause)
		case 2:
			r.servers[name].SetFaults(memory.Faults{DropRate: 0.3, Delay: 20 * time.Millisecond})
			time.Sleep(pause)
		case 3:
			r.servers[name].SetFaults(memory.Faults{LateRate: 0.3, LateBy: 3 * time.Second, Delay: 5 * time.Millisecond})
			time.Sleep(pause)
		case 4:
			r.servers[name].SetFaults(memory.Faults{ErrorRate: 0.3, CutRate: 0.3, CutAfter: 5000})
			time.Sleep(pause)
		}
		r.servers[name].SetFaults(memory.Faults{})
		time.Sleep(time.Second)
	}
}

// The embedded log survives a kill in the middle of writes, and the next start
// ends what was open.
func TestAKilledNodeStartsAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		dir := t.TempDir()
		log, err := pebble.Open(dir, pebble.Options{})
		if err != nil {
			t.Fatal(err)
		}
		r := newRig(t, log, "a", "b", "c")
		r.open(nil)
		r.makeBucket()
		acked := map[string]int{}
		var mu sync.Mutex // guards acked
		for life := range 4 {
			var wg sync.WaitGroup
			for i := range 10 {
				wg.Go(func() {
					for n := range 20 {
						name := fmt.Sprintf("%d/%d/%d", life, i, n)
						if _, err := r.put(name, content(100*n, uint64(i))); err != nil {
							return
						}
						mu.Lock()
						acked[name] = n
						mu.Unlock()
					}
				})
			}
			r.servers["b"].SetFaults(memory.Faults{Delay: 3 * time.Millisecond})
			time.Sleep(time.Duration(20+life*10) * time.Millisecond)
			r.crash()
			wg.Wait()
			if err := log.Close(); err != nil {
				t.Fatal(err)
			}
			if log, err = pebble.Open(dir, pebble.Options{}); err != nil {
				t.Fatal(err)
			}
			r.log = log
			r.open(nil)
		}
		if len(acked) == 0 {
			t.Fatal("nothing was acknowledged")
		}
		for name, n := range acked {
			got, err := r.get(name)
			if err != nil || len(got) != 100*n {
				t.Errorf("%s: %d bytes, %v", name, len(got), err)
			}
		}
		r.converge()
		r.equal()
		r.close()
		log.Close()
	})
}

// All bodies in flight together never hold more than the memory that they may.
func TestMemoryIsAHardBound(t *testing.T) {
	inBubble(t, func(t *testing.T, r *rig) {
		r.close()
		r.open(func(o *replica.Options) { o.Memory, o.PerUpload = 3<<20, 1<<20 })
		for _, name := range r.names {
			r.servers[name].SetFaults(memory.Faults{Delay: 50 * time.Millisecond})
		}
		var wg sync.WaitGroup
		for i := range 40 {
			wg.Go(func() {
				size := 100 << 10
				if i%2 == 0 {
					size = 2 << 20
				}
				if _, err := r.put(fmt.Sprint(i), content(size, 1)); err != nil {
					t.Errorf("put %d: %v", i, err)
				}
				r.mustGet(fmt.Sprint(i), content(size, 1))
			})
		}
		wg.Wait()
		if peak := r.set.PeakMemory(); peak > 3<<20 || peak < 1<<20 {
			t.Errorf("bodies held up to %d bytes", peak)
		}
		synctest.Wait()
		time.Sleep(time.Minute)
		if used := r.set.UsedMemory(); used != 0 {
			t.Errorf("%d bytes are still held", used)
		}
		// A hung client holds its share; others wait, and are told to slow down.
		blocked := make(chan struct{})
		for i := range 3 {
			u := newUpload(nil)
			u.size, u.r = 2<<20, blockedReader{blocked}
			wg.Go(func() {
				r.set.Put(r.ctx, replica.PutRequest{Key: key(fmt.Sprint("hung", i)), Body: u})
			})
		}
		time.Sleep(time.Second)
		if _, err := r.put("late", content(10, 1)); !errors.Is(err, s3.SlowDown) {
			t.Errorf("put without room: %v", err)
		}
		close(blocked)
		wg.Wait()
		r.mustPut("late", content(10, 1))
	})
}

type blockedReader struct{ until chan struct{} }

func (b blockedReader) Read([]byte) (int, error) {
	<-b.until
	return 0, s3.Err(s3.IncompleteBody)
}

// A client that leaves before the release leaves nothing; one that leaves later
// does not take its write with it.
func TestAClientThatHangsUp(t *testing.T) {
	inBubble(t, func(t *testing.T, r *rig) {
		r.mustPut("k", content(10, 1))
		synctest.Wait()
		for _, name := range r.names {
			r.servers[name].SetFaults(memory.Faults{Delay: time.Second})
		}
		ctx, cancel := context.WithCancel(r.ctx)
		done := make(chan error)
		go func() {
			_, err := r.set.Put(ctx, replica.PutRequest{Key: key("k"), Body: newUpload(content(20, 2))})
			done <- err
		}()
		time.Sleep(500 * time.Millisecond) // released, not answered
		cancel()
		if err := <-done; err == nil {
			t.Error("a put without a client was acknowledged")
		}
		time.Sleep(2 * time.Second)
		r.mustGet("k", content(20, 2))
		gone, cancel := context.WithCancel(r.ctx)
		cancel()
		if _, err := r.set.Put(gone, replica.PutRequest{Key: key("k"), Body: newUpload(content(30, 3))}); err == nil {
			t.Error("a put without a client was acknowledged")
		}
		time.Sleep(5 * time.Second)
		r.mustGet("k", content(20, 2))
		for _, name := range r.names {
			r.servers[name].SetFaults(memory.Faults{})
		}
		r.converge()
		r.equal()
	})
}

// Writers of one key take turns, and each sees the outcome of the one before.
func TestWritersOfOneKeyTakeTurns(t *testing.T) {
	inBubble(t, func(t *testing.T, r *rig) {
		var wg sync.WaitGroup
		var mu sync.Mutex // guards made
		made := 0
		for i := range 20 {
			wg.Go(func() {
				size := 10 + i
				if i%3 == 0 {
					size = 300<<10 + i
				}
				_, err := r.set.Put(r.ctx, replica.PutRequest{Key: key("k"), Body: newUpload(content(size, uint64(i))), If: s3.WriteConditions{IfNoneMatchStar: true}})
				switch {
				case err == nil:
					mu.Lock()
					made++
					mu.Unlock()
				case !errors.Is(err, s3.PreconditionFailed):
					t.Errorf("put: %v", err)
				}
			})
		}
		wg.Wait()
		if made != 1 {
			t.Errorf("%d writers made the object", made)
		}
		for i := range 20 {
			wg.Go(func() { r.mustPut("k", content(300<<10+i, 9)) })
		}
		wg.Wait()
		r.converge()
		r.equal()
	})
}

func TestHistoryTellsWhatHappened(t *testing.T) {
	inBubble(t, func(t *testing.T, r *rig) {
		r.mustPut("k", content(10, 1))
		r.mustDelete("k")
		time.Sleep(5 * time.Second)
		events, err := r.log.Events(r.ctx, oplog.HistoryQuery{Bucket: testBucket})
		if err != nil || len(events) < 3 {
			t.Fatalf("history: %v, %v", events, err)
		}
		if e := events[len(events)-1]; e.Op != "bucket-create" || e.Result != "acked" || e.Actor != "tester" {
			t.Errorf("first event %+v", e)
		}
		var put bool
		for _, e := range events {
			if e.Op == "put" && e.Key == "k" {
				put = e.Size == 10 && e.Result == "acked" && e.Actor == "tester" && len(e.Backends) == 3
			}
		}
		if !put {
			t.Errorf("no event of the put in %+v", events)
		}
	})
}

func TestAllMustAnswerWhereTheRuleSaysAll(t *testing.T) {
	inBubble(t, func(t *testing.T, r *rig) {
		r.close()
		r.open(func(o *replica.Options) { o.Defaults.Ack = commit.Rule{Need: 3} })
		r.mustPut("k", content(10, 1))
		if v, err := r.set.Head(r.ctx, key("k")); err != nil || v.Status != replica.StatusCompleted {
			t.Errorf("head: %+v, %v", v, err)
		}
		r.servers["b"].SetFaults(memory.Faults{ErrorRate: 1, ErrorCode: s3.AccessDenied, Ops: []s3.OperationName{s3.PutObject}})
		if _, err := r.put("k", content(20, 2)); err == nil {
			t.Error("put was acknowledged without one of three")
		}
		r.servers["b"].SetFaults(memory.Faults{})
		r.converge()
		r.equal()
	})
}

// chaosSeeds is how many schedules are run; more by S3MIRROR_CHAOS_SEEDS.
func chaosSeeds() uint64 {
	if n, err := strconv.ParseUint(os.Getenv("S3MIRROR_CHAOS_SEEDS"), 10, 64); err == nil {
		return n
	}
	return 4
}

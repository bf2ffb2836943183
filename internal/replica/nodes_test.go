package replica_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/s3mirror/s3mirror/internal/memory"
	"github.com/s3mirror/s3mirror/internal/oplog"
	"github.com/s3mirror/s3mirror/internal/replica"
	"github.com/s3mirror/s3mirror/internal/s3"
)

// fleet is several nodes on one log and the same backends.
type fleet struct {
	*rig // whose set is the first node's
	all  []*rig
}

// inFleet runs a test on virtual time with some nodes, three backends and a bucket.
func inFleet(t *testing.T, nodes int, log oplog.Log, do func(t *testing.T, f *fleet)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		f := &fleet{rig: newRig(t, log, "a", "b", "c")}
		f.all = []*rig{f.rig}
		for range nodes - 1 {
			f.all = append(f.all, f.sibling())
		}
		for i, r := range f.all {
			r.open(member(i))
		}
		f.makeBucket()
		do(t, f)
	})
}

// member are the options of the n-th node.
func member(n int) func(*replica.Options) {
	return func(o *replica.Options) {
		o.Exclusive, o.Node = false, fmt.Sprint("node-", n)
		o.Member = &replica.Member{Home: fmt.Sprint("host:/", n), Address: fmt.Sprint("host:", 9001+n), Version: "v1"}
	}
}

// sibling is another node that is not opened yet.
func (r *rig) sibling() *rig {
	s := &rig{t: r.t, log: r.log, wires: r.wires, servers: r.servers, counts: r.counts, names: r.names, started: r.started, ctx: r.ctx}
	r.t.Cleanup(func() {
		if s.stop != nil {
			s.close()
		}
	})
	return s
}

func TestNodesAreOneServer(t *testing.T) {
	inFleet(t, 3, memory.NewLog(), func(t *testing.T, f *fleet) {
		for i := range 12 {
			from, to := f.all[i%3], f.all[(i+1)%3]
			name := fmt.Sprint("k", i%5)
			from.mustPut(name, content(1000+i, uint64(i)))
			to.mustGet(name, content(1000+i, uint64(i)))
			to.mustDelete(name)
			from.mustMiss(name)
		}
		for i, r := range f.all {
			others := r.set.Nodes()
			if len(others) != 2 || others[0].Name == fmt.Sprint("node-", i) || others[0].Version != "v1" || !strings.HasPrefix(others[0].Address, "host:90") || others[0].Joining {
				t.Errorf("node %d knows %+v", i, others)
			}
			if err := r.set.Ready(r.ctx); err != nil {
				t.Errorf("node %d: %v", i, err)
			}
			if self, shared := r.set.Self(); !shared || self.Name != fmt.Sprint("node-", i) || self.Lease <= 0 || self.Lease > 8*time.Second || self.Apart != 0 {
				t.Errorf("node %d is %+v", i, self)
			}
		}
		// A bucket that was just not there is there as soon as another node has made it.
		err := f.all[1].set.HeadBucket(f.ctx, "other")
		if !errors.Is(err, s3.NoSuchBucket) {
			t.Fatalf("got %v", err)
		}
		if err := f.set.CreateBucket(f.ctx, "other", "tester", "1"); err != nil {
			t.Fatal(err)
		}
		if err := f.all[1].set.HeadBucket(f.ctx, "other"); err != nil {
			t.Errorf("a bucket that another node has made: %v", err)
		}
		if err := f.all[2].set.DeleteBucket(f.ctx, "other", "tester", "2"); err != nil {
			t.Fatal(err)
		}
		if err := f.all[1].set.HeadBucket(f.ctx, "other"); !errors.Is(err, s3.NoSuchBucket) {
			t.Errorf("a bucket that another node has deleted: %v", err)
		}
		f.converge()
		f.equal()
	})
}

// What an operator sets is in force on every node when he is answered.
func TestSettingsHoldOnEveryNode(t *testing.T) {
	inFleet(t, 3, memory.NewLog(), func(t *testing.T, f *fleet) {
		for i := range 6 {
			began := time.Now()
			pace := replica.Pace{BytesPerSecond: int64(1000 + i)}
			if err := f.all[i%3].set.SetPace(f.ctx, "a", &pace); err != nil {
				t.Fatal(err)
			}
			if took := time.Since(began); took > 2*time.Second {
				t.Errorf("change %d took %v", i, took)
			}
			for n, r := range f.all {
				if got := r.set.Paces()["a"]; got != pace {
					t.Errorf("change %d: node %d has %+v", i, n, got)
				}
			}
			m := active
			if i%2 == 0 {
				m = primary("b")
			}
			f.all[i%3].setMode("", m)
			for n, r := range f.all {
				if got, err := r.set.Modes(f.ctx); err != nil || got.All != m {
					t.Errorf("change %d: node %d has mode %v, %v", i, n, got, err)
				}
			}
		}
		// One that is dead is waited for no longer than its lease.
		f.all[2].crash()
		began := time.Now()
		if err := f.set.SetPace(f.ctx, "a", nil); err != nil {
			t.Fatal(err)
		}
		if took := time.Since(began); took < 4*time.Second || took > 11*time.Second {
			t.Errorf("a dead node was waited for %v, and its lease is 8 s", took)
		}
		time.Sleep(2 * time.Second) // the others find out by looks of their own
		if left := f.all[1].set.Nodes(); len(left) != 1 {
			t.Errorf("nodes: %+v", left)
		}
		f.all[2].open(member(2)) // which is met at once
		if others := f.all[2].set.Nodes(); len(others) != 2 {
			t.Errorf("nodes: %+v", others)
		}
	})
}

// deafLog does not take the signs of life of one node while deaf is set.
type deafLog struct {
	oplog.Log
	node string
	deaf atomic.Bool
}

func (l *deafLog) SwapDoc(ctx context.Context, old oplog.Epoch, doc oplog.Doc) error {
	if doc.Kind == oplog.DocNode && doc.Name == l.node && l.deaf.Load() {
		return oplog.Unknown(errors.New("nobody hears"))
	}
	return l.Log.SwapDoc(ctx, old, doc)
}

func TestANodeWithoutALeaseChangesNothing(t *testing.T) {
	log := &deafLog{Log: memory.NewLog(), node: "node-1"}
	inFleet(t, 2, log, func(t *testing.T, f *fleet) {
		cut := f.all[1]
		cut.mustPut("k", content(10, 1))
		log.deaf.Store(true)
		time.Sleep(7 * time.Second)
		cut.mustGet("k", content(10, 1))
		time.Sleep(2 * time.Second)
		for what, err := range map[string]error{
			"put":    func() error { _, err := cut.put("k", content(20, 2)); return err }(),
			"delete": cut.set.Delete(f.ctx, replica.DeleteRequest{Key: key("k")}),
			"bucket": cut.set.CreateBucket(f.ctx, "other", "tester", "1"),
		} {
			if !errors.Is(err, s3.SlowDown) {
				t.Errorf("%s: got %v, want SlowDown", what, err)
			}
		}
		if err := cut.set.Ready(f.ctx); err == nil || !strings.Contains(err.Error(), "lease") {
			t.Errorf("ready: %v", err)
		}
		cut.mustGet("k", content(10, 1)) // which rests on the rows alone
		f.mustPut("k", content(30, 3))
		log.deaf.Store(false)
		time.Sleep(3 * time.Second)
		if err := cut.set.Ready(f.ctx); err != nil {
			t.Errorf("ready: %v", err)
		}
		cut.mustGet("k", content(30, 3))
		cut.mustPut("k", content(40, 4))
		f.mustGet("k", content(40, 4))
	})
}

// clock is a node's wall clock, which may be wrong.
type clock struct{ off atomic.Int64 }

func (c *clock) wall() time.Time { return time.Now().Add(time.Duration(c.off.Load())) }

func TestNodesWhoseClocksAreApartDoNotServe(t *testing.T) {
	inFleet(t, 1, memory.NewLog(), func(t *testing.T, f *fleet) {
		wrong := &clock{}
		second := f.sibling()
		options := func(o *replica.Options) { member(1)(o); o.Wall = wrong.wall }
		for _, off := range []time.Duration{2 * time.Second, -2 * time.Second} {
			wrong.off.Store(int64(off))
			if _, err := second.tryOpen(options); !errors.Is(err, replica.ErrClocks) || !strings.Contains(err.Error(), "node-0") {
				t.Errorf("%v apart: got %v, want ErrClocks that names the other node", off, err)
			}
			if err := f.set.Ready(f.ctx); err != nil {
				t.Errorf("who serves already: %v", err)
			}
			f.mustPut("k", content(10, 1))
		}
		wrong.off.Store(int64(300 * time.Millisecond)) // A4 allows that
		second.open(options)
		f.all = append(f.all, second)
		wrong.off.Store(int64(2100 * time.Millisecond)) // a second, and what two looks a second apart may hide
		time.Sleep(5 * time.Second)
		for n, r := range f.all {
			if _, err := r.put("k", content(20, 2)); !errors.Is(err, s3.SlowDown) {
				t.Errorf("put at node %d: %v", n, err)
			}
			if _, err := r.get("k"); !errors.Is(err, s3.SlowDown) {
				t.Errorf("get at node %d: %v", n, err)
			}
			if err := r.set.Ready(f.ctx); err == nil || !strings.Contains(err.Error(), "clocks") {
				t.Errorf("node %d is ready: %v", n, err)
			}
		}
		wrong.off.Store(0)
		time.Sleep(30 * time.Second)
		for n, r := range f.all {
			r.mustPut("k", content(30+n, 3))
			if err := r.set.Ready(f.ctx); err != nil {
				t.Errorf("node %d: %v", n, err)
			}
		}
	})
}

// A difference that two looks a beat apart may hide is found all the same, however the two
// nodes' beats lie to each other.
func TestClocksThatAreALittleTooFarApartAreFound(t *testing.T) {
	for _, phase := range []time.Duration{250 * time.Millisecond, 500 * time.Millisecond, 750 * time.Millisecond} {
		t.Run(phase.String(), func(t *testing.T) {
			inFleet(t, 1, memory.NewLog(), func(t *testing.T, f *fleet) {
				wrong, second := &clock{}, f.sibling()
				time.Sleep(phase) // of the bubble's clock
				second.open(func(o *replica.Options) { member(1)(o); o.Wall = wrong.wall })
				wrong.off.Store(int64(1200 * time.Millisecond))
				const patience = 10 * time.Minute
				for n, r := range []*rig{f.rig, second} {
					for began := time.Now(); ; time.Sleep(time.Second) {
						if err := r.set.Ready(f.ctx); err != nil && strings.Contains(err.Error(), "clocks") {
							t.Logf("node %d knows after %v", n, time.Since(began))
							break
						}
						if time.Since(began) > patience {
							t.Errorf("node %d does not know after %v", n, patience)
							break
						}
					}
				}
			})
		})
	}
}

func TestANodesNameIsTaken(t *testing.T) {
	inFleet(t, 1, memory.NewLog(), func(t *testing.T, f *fleet) {
		copied := f.sibling()
		_, err := copied.tryOpen(func(o *replica.Options) { member(0)(o); o.Member.Home = "elsewhere:/" })
		if !errors.Is(err, replica.ErrTaken) {
			t.Errorf("got %v, want ErrTaken", err)
		}
		f.mustPut("k", content(10, 1))
		began := time.Now()
		f.crash()
		f.open(member(0)) // its folder says that the process before is over
		if took := time.Since(began); took > time.Second {
			t.Errorf("a restart took %v", took)
		}
		f.mustGet("k", content(10, 1))
	})
}

// A log that fails does not let a node in, and says why.
func TestANodeThatCannotJoin(t *testing.T) {
	log := &deafLog{Log: memory.NewLog(), node: "node-1"}
	inFleet(t, 1, log, func(t *testing.T, f *fleet) {
		log.deaf.Store(true)
		if _, err := f.sibling().tryOpen(member(1)); !errors.Is(err, oplog.ErrUnknown) {
			t.Errorf("got %v", err)
		}
		ctx, cancel := context.WithTimeout(f.ctx, time.Second)
		defer cancel()
		late := f.sibling()
		late.ctx = ctx
		if _, err := late.tryOpen(member(1)); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("got %v", err)
		}
	})
}

// Clients hop between nodes while backends fail and nodes are killed. Whatever was
// acknowledged by one node is shown by every other.
func TestChaosInAFleet(t *testing.T) {
	for seed := range chaosSeeds() {
		t.Run(fmt.Sprint("seed ", seed), func(t *testing.T) {
			inFleet(t, 3, memory.NewFaultyLog(memory.NewLog(), nil), func(t *testing.T, f *fleet) { f.chaos(seed) })
		})
	}
}

func (f *fleet) chaos(seed uint64) {
	const clients, rounds = 6, 4
	t := f.t
	var registers []*register
	for i := range clients {
		registers = append(registers, &register{name: fmt.Sprint("k", i), maybe: map[int]bool{}})
	}
	next := 1
	var hops atomic.Int64
	for round := range rounds {
		rng := rand.New(rand.NewPCG(seed, uint64(round)))
		stop := make(chan struct{})
		var wg sync.WaitGroup
		for i, g := range registers {
			base := next + i*1000
			wg.Go(func() {
				own := rand.New(rand.NewPCG(seed, uint64(round*100+i)))
				any := func() *rig { hops.Add(1); return f.all[own.IntN(len(f.all))] }
				for n := base; ; n++ {
					select {
					case <-stop:
						return
					default:
					}
					err := g.write(f.ctx, any().set, n)
					if err == nil {
						err = g.check(any())
					}
					if err != nil {
						t.Error(err)
						return
					}
					time.Sleep(time.Duration(own.IntN(2000)) * time.Millisecond)
				}
			})
		}
		next += clients * 1000
		nemesis(f.rig, rng)
		victim := rng.IntN(len(f.all))
		f.all[victim].crash() // in the middle of what is under way there
		time.Sleep(time.Duration(rng.IntN(12000)) * time.Millisecond)
		close(stop)
		wg.Wait()
		f.all[victim].open(member(victim))
	}
	if hops.Load() < 100 {
		t.Errorf("%d hops only", hops.Load())
	}
	f.converge()
	f.equal()
	for _, g := range registers {
		for _, r := range f.all {
			if err := g.check(r); err != nil {
				t.Error(err)
			}
			if _, err := r.get(g.name); err != nil && !errors.Is(err, s3.NoSuchKey) {
				t.Errorf("final read of %s: %v", g.name, err)
			}
		}
	}
}

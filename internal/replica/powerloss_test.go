package replica_test

import (
	"context"
	"flag"
	"maps"
	"math/rand/v2"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/cockroachdb/pebble/v2/vfs/errorfs"

	"github.com/s3mirror/s3mirror/internal/backend"
	"github.com/s3mirror/s3mirror/internal/memory"
	"github.com/s3mirror/s3mirror/internal/pebble"
	"github.com/s3mirror/s3mirror/internal/replica"
	"github.com/s3mirror/s3mirror/internal/s3"
)

var subsets = flag.Int("powerloss.subsets", 4, "random subsets of what was not synced that are tried at each point, beside nothing of it")

// supply is the power of a node's disk. It goes at the target-th sync after it
// was armed, before that sync does anything; what comes later waits for ever,
// that is until release is closed.
type supply struct {
	disk    *vfs.MemFS
	target  int // counted from 1; 0: never
	percent int // of what is not synced that reaches the disk
	rng     *rand.Rand
	release chan struct{}

	mu    sync.Mutex // guards what follows
	armed bool
	syncs int
	left  *vfs.MemFS    // the disk as the next start finds it
	gone  chan struct{} // closed when the power goes
}

func newSupply(target, percent int, seed uint64) *supply {
	return &supply{
		disk: vfs.NewCrashableMem(), target: target, percent: percent, rng: rand.New(rand.NewPCG(seed, 1)),
		release: make(chan struct{}), gone: make(chan struct{}),
	}
}

func (p *supply) fs() vfs.FS {
	return errorfs.Wrap(p.disk, errorfs.InjectorFunc(func(op errorfs.Op) error {
		switch op.Kind {
		case errorfs.OpFileSync, errorfs.OpFileSyncData, errorfs.OpFileSyncTo, errorfs.OpFileFlush:
			p.sync()
		default:
		}
		return nil
	}))
}

func (p *supply) sync() {
	p.mu.Lock()
	if p.armed {
		p.syncs++
		if p.syncs == p.target {
			p.cutLocked()
		}
	}
	gone := p.left != nil
	p.mu.Unlock()
	if gone {
		<-p.release
	}
}

// count returns the syncs since it was armed.
func (p *supply) count() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.syncs
}

func (p *supply) cutLocked() {
	p.left = p.disk.CrashClone(vfs.CrashCloneCfg{UnsyncedDataPercent: p.percent, RNG: p.rng})
	p.armed = false
	close(p.gone)
}

// cut takes the power away now, if it is still there.
func (p *supply) cut() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.left == nil {
		p.cutLocked()
	}
}

func (p *supply) arm() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.armed = true
}

// outage is a rig whose power goes in the middle of a story.
type outage struct {
	*rig
	power   *supply
	reg     register
	created bool // the bucket was made, and the client heard it
	deleted bool
	ending  func() // ends the story's client, and waits for him
}

// story is one step of the protocol, or a few, in which the power goes.
type story struct {
	name   string
	before func(o *outage) // what stands, with power
	run    func(o *outage)
}

// heard tells whether an answer reached its client before the power went.
func (o *outage) heard() bool {
	select {
	case <-o.power.gone:
		return false
	default:
		return true
	}
}

// write does the n-th write of the register.
func (o *outage) write(n int) {
	acked, maybe := o.reg.acked, maps.Clone(o.reg.maybe)
	err := o.reg.write(o.ctx, o.set, n)
	if !o.heard() {
		o.reg.acked, o.reg.maybe = acked, maybe
		o.reg.maybe[n] = true
	} else if err != nil {
		o.t.Errorf("%v", err)
	}
}

// create is write number n with the condition that nothing stands.
func (o *outage) create(n int) {
	_, err := o.set.Put(o.ctx, replica.PutRequest{Key: key(o.reg.name), Body: newUpload(valueOf(n)), If: s3.WriteConditions{IfNoneMatchStar: true}})
	switch {
	case err != nil || !o.heard():
		o.reg.maybe[n] = true
	default:
		o.reg.acked, o.reg.maybe = n, map[int]bool{}
	}
}

func (o *outage) off(name string, off bool) { o.wires[name].plug(off) }

// settle waits for what ever time brings.
func (o *outage) settle(d time.Duration) {
	select {
	case <-time.After(d):
	case <-o.power.gone:
	}
}

// Values: even numbers are objects. small and stream differ in whether their
// body is held whole.
const (
	small  = 2
	stream = 16
)

var stories = []story{
	{"put small", nil, func(o *outage) { o.write(small) }},
	{"put stream", nil, func(o *outage) { o.write(stream) }},
	{"overwrite", func(o *outage) { o.write(stream) }, func(o *outage) { o.write(small); o.write(stream + 2) }},
	{"delete", func(o *outage) { o.write(small) }, func(o *outage) { o.write(1) }},
	{"delete, put, delete", func(o *outage) { o.write(stream) }, func(o *outage) { o.write(1); o.write(4); o.write(3) }},
	{"create once", nil, func(o *outage) { o.create(small) }},
	{"put with one away", func(o *outage) { o.write(4) }, func(o *outage) { o.off("c", true); o.write(small); o.off("c", false) }},
	{"delete with one away", func(o *outage) { o.write(4) }, func(o *outage) { o.off("c", true); o.write(1); o.off("c", false) }},
	{"heal", func(o *outage) { o.write(4); o.off("c", true); o.write(stream) }, func(o *outage) { o.off("c", false); o.settle(50 * time.Second) }},
	{"drop the row", func(o *outage) { o.write(small) }, func(o *outage) { o.settle(4 * time.Minute) }},
	{"settle a late answer", func(o *outage) {
		o.write(4)
		o.servers["c"].SetFaults(memory.Faults{LateRate: 1, LateBy: 3 * time.Second})
		o.write(small)
		o.servers["c"].SetFaults(memory.Faults{})
	}, func(o *outage) { o.settle(2 * time.Minute) }},
	{"resolve after a crash", func(o *outage) {
		o.write(4)
		for _, s := range o.servers {
			s.SetFaults(memory.Faults{Hang: true})
		}
		ctx, cancel := context.WithTimeout(o.ctx, time.Second)
		defer cancel()
		if err := o.reg.write(ctx, o.set, small); err != nil || o.reg.acked == small {
			o.t.Errorf("a write of which no backend heard: %v", err)
		}
		o.crash()
		for _, s := range o.servers {
			s.SetFaults(memory.Faults{})
		}
		o.rig.open(nil)
	}, func(o *outage) { o.settle(2 * time.Minute) }},
	{"create a bucket", nil, func(o *outage) { o.created = o.set.CreateBucket(o.ctx, "films", "tester", "1") == nil && o.heard() }},
	{"delete a bucket", func(o *outage) {
		if err := o.set.CreateBucket(o.ctx, "films", "tester", "1"); err != nil {
			o.t.Error(err)
		}
	}, func(o *outage) { o.deleted = o.set.DeleteBucket(o.ctx, "films", "tester", "1") == nil && o.heard() }},
}

// moment is when the node dies with its disk, seen from the backends.
type moment string

const (
	atOnce   moment = "at once"           // requests under way are reset
	answered moment = "after the answers" // what the backends have is done
	late     moment = "with late effects" // one backend resets, and applies seconds later
)

// play runs a story with the power failing at the target-th sync, or after its
// end, starts the node again on what the disk kept, and checks everything that
// was promised. It returns the number of syncs of the story.
func play(t *testing.T, s story, target, percent int, when moment, seed uint64) (syncs int) {
	synctest.Test(t, func(t *testing.T) {
		power := newSupply(target, percent, seed)
		log, err := pebble.Open("data", pebble.Options{FS: power.fs(), Reserve: -1})
		if err != nil {
			t.Fatal(err)
		}
		o := &outage{rig: newRig(t, log, "a", "b", "c"), power: power}
		o.reg = register{name: "k", maybe: map[int]bool{}}
		o.rig.open(nil)
		o.makeBucket()
		if s.before != nil {
			s.before(o)
		}
		if when == late {
			o.servers["a"].SetFaults(memory.Faults{LateRate: 1, LateBy: 5 * time.Second, Ops: []s3.OperationName{"PutObject", "DeleteObject"}})
		}
		o.run(s)
		synctest.Wait()
		syncs = power.count()
		o.die(when, log)

		if log, err = pebble.Open("data", pebble.Options{FS: power.left, Reserve: -1}); err != nil {
			t.Fatalf("the log does not open again: %v", err)
		}
		o.log, o.ctx = log, context.Background()
		o.rig.open(nil)
		o.verify()
		o.close()
		if err := log.Close(); err != nil {
			t.Error(err)
		}
	})
	return syncs
}

// run plays the story until it ends or the power goes.
func (o *outage) run(s story) {
	ctx, cancel := context.WithCancel(context.Background())
	o.ctx = ctx
	done := make(chan struct{})
	o.power.arm()
	go func() { defer close(done); s.run(o) }()
	select {
	case <-done:
	case <-o.power.gone:
	}
	o.t.Cleanup(cancel)
	o.ending = func() { cancel(); <-done }
}

// die ends the node. Nothing of it reaches a backend or a client any more.
func (o *outage) die(when moment, log *pebble.Log) {
	if when == answered {
		time.Sleep(time.Second)
	}
	o.power.cut()
	for _, name := range o.names {
		o.off(name, true)
	}
	gone, cancel := context.WithCancel(context.Background())
	cancel()
	go o.set.Drain(gone) // it waits for a log that does not answer
	time.Sleep(time.Second)
	close(o.power.release)
	o.ending()
	o.stop()
	o.stop = nil
	if err := log.Close(); err != nil {
		o.t.Error(err)
	}
	time.Sleep(10 * time.Second) // what was late has landed
	for _, name := range o.names {
		o.servers[name].SetFaults(memory.Faults{})
		o.off(name, false)
	}
}

// verify checks what was promised, at once and when all is quiet.
func (o *outage) verify() {
	o.t.Helper()
	if err := o.reg.check(o.rig); err != nil {
		o.t.Errorf("after the start: %v", err)
	}
	o.converge()
	if err := o.reg.check(o.rig); err != nil {
		o.t.Errorf("when quiet: %v", err)
	}
	o.equal()
	o.verifyBuckets()
}

// verifyBuckets waits until the backends agree on the bucket that came or went.
func (o *outage) verifyBuckets() {
	o.t.Helper()
	deadline := time.Now().Add(10 * time.Minute)
	for {
		holders := 0
		for _, stack := range o.stacks {
			if err := stack.HeadBucket(o.ctx, "films"); err == nil {
				holders++
			} else if !backend.IsAbsent(err) {
				o.t.Fatal(err)
			}
		}
		if holders == 0 || holders == len(o.stacks) {
			if o.created && holders == 0 {
				o.t.Error("a bucket that was made is gone")
			}
			if o.deleted && holders > 0 {
				o.t.Error("a bucket that was removed is there again")
			}
			return
		}
		if time.Now().After(deadline) {
			o.t.Fatalf("%d of %d backends have the bucket", holders, len(o.stacks))
		}
		time.Sleep(time.Second)
	}
}

// The power of the node goes at every sync of the log in every step of the
// protocol, with nothing and with random parts of what was not synced, while
// its requests are under way, answered or late. The next start on what the disk
// kept loses no write that was acknowledged, brings back no delete, and makes
// the replicas equal (RELIABILITY 6.3).
func TestPowerLossAtEveryStep(t *testing.T) {
	moments := []moment{atOnce, answered, late}
	tries := *subsets
	if testing.Short() {
		moments, tries = []moment{answered}, 0
	}
	var mu sync.Mutex // guards the two below
	points, runs := 0, 0
	t.Run("stories", func(t *testing.T) {
		for _, s := range stories {
			t.Run(s.name, func(t *testing.T) {
				t.Parallel()
				for _, when := range moments {
					n := play(t, s, 0, 0, when, 1)
					for target := 1; target <= n+1; target++ {
						for try := range tries + 1 {
							seed := uint64(target*1000 + try)
							percent := 0
							if try > 0 {
								percent = 1 + rand.New(rand.NewPCG(seed, 2)).IntN(100)
							}
							play(t, s, target, percent, when, seed)
							if t.Failed() {
								t.Fatalf("%s: power gone at sync %d of %d with %d %% of the rest, %s", s.name, target, n, percent, when)
							}
							mu.Lock()
							runs++
							mu.Unlock()
						}
					}
					mu.Lock()
					points += n + 1
					mu.Unlock()
				}
			})
		}
	})
	if points < 2*len(stories)*len(moments) {
		t.Errorf("only %d points: the log was hardly in use", points)
	}
	t.Logf("%d steps, %d crash points, %d crashes", len(stories), points, runs)
}

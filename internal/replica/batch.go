package replica

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/s3mirror/s3mirror/internal/backend"
	"github.com/s3mirror/s3mirror/internal/commit"
	"github.com/s3mirror/s3mirror/internal/object"
	"github.com/s3mirror/s3mirror/internal/s3"
)

// batchRoom is how many calls of the log the writes of one batch make at once, and
// how many deletes are under way on a backend that takes them one by one only.
const (
	batchRoom  = 256
	singleRoom = 32
)

// batch is many deletes of one bucket under way: a commit.Batch, which says when they
// go. It is driven by a goroutine of its own, which outlives the caller and is
// counted by the Set.
type batch struct {
	*process
	writes []*write
	room   chan struct{} // of the writes' calls of the log
	spans  spans
}

func (s *Set) newBatch(b *bucket, n int) *batch {
	d := &batch{room: make(chan struct{}, batchRoom)}
	d.process = s.newProcess(s.base, b, object.Key{Bucket: b.name}, commit.NewBatch(b.config(), n))
	d.other = func(e commit.Effect) {
		let, ok := e.(commit.Let)
		if !ok {
			panic(fmt.Sprintf("replica: effect %T of a batch", e))
		}
		d.let(let.Writes)
	}
	return d
}

// start drives the batch until every write has its result.
func (d *batch) start() {
	d.set.running.Add(1)
	d.set.crew.Go(func() {
		defer d.set.running.Done()
		d.run(commit.Begin{})
	})
}

// let permits writes to go, and sends what they release when each has had its say.
func (d *batch) let(numbers []int) {
	p := &convoy{d: d, waits: len(numbers), begun: d.set.o.Boot(), groups: map[string]*group{}}
	for _, n := range numbers {
		d.writes[n].permit(p)
	}
}

// convoy is what goes together.
type convoy struct {
	d     *batch
	begun time.Duration // Boot of the first permit: no lease was looked at before

	mu     sync.Mutex // guards what follows
	waits  int        // writes that have not used their permit, or lost it
	groups map[string]*group
}

// group is one request to one replica.
type group struct {
	replica  string
	members  []member
	accused  sync.Once
	overtime error
}

// accuse tells whether the group's backend may be blamed for its silence: once, however
// many keys wait for it. Of a request that is sent alone there is no group.
func (g *group) accuse() (first bool) {
	if g == nil {
		return true
	}
	g.accused.Do(func() { first = true })
	return first
}

type member struct {
	w *write
	q *request
}

// add puts a released request into its replica's group.
func (p *convoy) add(w *write, q *request) {
	p.mu.Lock()
	defer p.mu.Unlock()
	g := p.groups[q.replica]
	if g == nil {
		g = &group{replica: q.replica}
		p.groups[q.replica] = g
	}
	q.group = g
	g.members = append(g.members, member{w, q})
}

// used is called once for each write of the convoy: it has released what it will.
func (p *convoy) used() {
	p.mu.Lock()
	p.waits--
	last := p.waits == 0
	p.mu.Unlock()
	if !last {
		return
	}
	d := p.d
	if late := d.set.o.Boot() - p.begun; late > d.set.o.Times.Margin/2 {
		// Every lease was found good after begun; half of what was left of them is over (R11).
		for _, g := range p.groups {
			g.overtime = fmt.Errorf("%w: this node stood still for %v", errLeft, late)
		}
	}
	for _, g := range p.groups {
		d.set.running.Add(1)
		d.set.crew.Go(func() {
			defer d.set.running.Done()
			d.send(g)
		})
	}
}

// send carries the group out. It ends in a post to each write, whatever becomes of it.
func (d *batch) send(g *group) {
	ctx, cancel := context.WithTimeoutCause(d.spans.within(d.set.base), d.set.o.Times.Keep, fmt.Errorf("%w: no answer in time", backend.ErrStalled))
	defer cancel()
	results, err := d.deleteAll(ctx, g)
	for i, m := range g.members {
		own := err
		if own == nil {
			own = results[i]
		}
		m.w.post(func() { m.w.ended(m.q, backend.PutResult{}, own) })
		m.w.sending.Done()
	}
}

func (d *batch) deleteAll(ctx context.Context, g *group) ([]error, error) {
	if g.overtime != nil {
		return nil, &backend.Error{Backend: g.replica, Op: backend.OpDeleteMany, Outcome: backend.NotSent, Err: g.overtime}
	}
	at, err := d.set.at(ctx, d.b, g.replica, clients)
	if err != nil {
		return nil, &backend.Error{Backend: g.replica, Op: backend.OpDeleteMany, Outcome: backend.NotSent, Err: err}
	}
	_, single := d.set.singles.Load(g.replica)
	if single || len(g.members) == 1 {
		return deleteEach(ctx, at, g.members), nil
	}
	keys := make([]string, len(g.members))
	for i, m := range g.members {
		keys[i] = m.w.key.Name
	}
	results, err := at.deleteMany(ctx, keys)
	if !errors.Is(err, s3.NotImplemented) && !errors.Is(err, s3.MethodNotAllowed) {
		return results, err
	}
	d.set.singles.Store(g.replica, struct{}{}) // for the life of this process
	if backend.OutcomeOf(err) != backend.Refused {
		return nil, err // a 501 is no proof (R12); the next batch goes key by key
	}
	return deleteEach(ctx, at, g.members), nil
}

// deleteEach deletes one by one, some at once.
func deleteEach(ctx context.Context, at place, members []member) []error {
	results := make([]error, len(members))
	room := make(chan struct{}, singleRoom)
	var all sync.WaitGroup
	for i, m := range members {
		room <- struct{}{}
		all.Go(func() {
			defer func() { <-room }()
			results[i] = at.delete(ctx, m.w.key.Name)
		})
	}
	all.Wait()
	return results
}

package replica

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/s3mirror/s3mirror/internal/commit"
	"github.com/s3mirror/s3mirror/internal/object"
	"github.com/s3mirror/s3mirror/internal/oplog"
)

// machine is any of commit's.
type machine interface {
	Step(commit.Now, commit.Event) []commit.Effect
	Over() bool
}

// process drives one machine of one key: it feeds events one at a time and
// carries out the effects, deciding nothing. All fields but those below mu are
// owned by the goroutine that calls run.
//
// A process may be abandoned between two steps, whatever was under way: that is
// a crash as the protocol sees it.
type process struct {
	set   *Set
	b     *bucket
	key   object.Key
	m     machine
	ctx   context.Context // of questions to replicas; its end abandons the process
	pace  pace            // of questions
	other func(commit.Effect)
	room  chan struct{} // shared with others: one call of the log holds a place in it; nil: there is no bound
	trace trace         // for failpoints

	upload object.ID // of a machine that works on one

	row    *oplog.Row // as this process last wrote it, if swapped
	swaps  bool       // a swap was applied, or may have been
	unsure bool       // the last swap is not known

	calls  []func() commit.Event // of the log, to be made after the effects of this step
	timers map[commit.Timer]*time.Timer
	asks   sync.WaitGroup
	cancel context.CancelFunc

	mu     sync.Mutex // guards what follows
	posted []func()
	wake   chan struct{} // has room for one
}

func (s *Set) newProcess(ctx context.Context, b *bucket, key object.Key, m machine) *process {
	p := &process{set: s, b: b, key: key, m: m, trace: traceOf(m), timers: map[commit.Timer]*time.Timer{}, wake: make(chan struct{}, 1)}
	p.ctx, p.cancel = context.WithCancel(ctx)
	return p
}

// run drives the machine from its first event until it is over; false when it
// was abandoned. Questions under way have ended when it returns.
func (p *process) run(first commit.Event) bool {
	defer func() {
		for _, t := range p.timers {
			t.Stop()
		}
		p.cancel()
		p.asks.Wait()
	}()
	p.step(first)
	for !p.m.Over() {
		if len(p.calls) > 0 {
			call := p.calls[0]
			p.calls = p.calls[1:]
			p.step(p.within(call))
			continue
		}
		do, ok := p.next()
		if !ok {
			return false
		}
		do()
	}
	return true
}

// within makes a call of the log as soon as there is room.
func (p *process) within(call func() commit.Event) commit.Event {
	if p.room != nil {
		p.room <- struct{}{}
		defer func() { <-p.room }()
	}
	return call()
}

// next waits for something that was posted.
func (p *process) next() (func(), bool) {
	for {
		p.mu.Lock()
		if len(p.posted) > 0 {
			do := p.posted[0]
			p.posted = p.posted[1:]
			p.mu.Unlock()
			return do, p.ctx.Err() == nil
		}
		p.mu.Unlock()
		select {
		case <-p.wake:
		case <-p.ctx.Done():
			return nil, false
		}
	}
}

// post makes the driving goroutine do something. It may be called from anywhere
// and never blocks.
func (p *process) post(do func()) {
	p.mu.Lock()
	p.posted = append(p.posted, do)
	p.mu.Unlock()
	select {
	case p.wake <- struct{}{}:
	default:
	}
}

// deliver posts an event.
func (p *process) deliver(ev commit.Event) { p.post(func() { p.step(ev) }) }

// step feeds one event and carries out its effects, log calls last.
func (p *process) step(ev commit.Event) {
	if p.m.Over() {
		return
	}
	for _, e := range p.m.Step(p.set.now(), ev) {
		p.effect(e)
	}
}

func (p *process) effect(e commit.Effect) {
	switch e := e.(type) {
	case commit.ReadRow:
		p.calls = append(p.calls, p.readRow)
	case commit.Swap:
		p.calls = append(p.calls, func() commit.Event { return p.swap(e) })
	case commit.Head:
		p.asks.Go(func() { p.deliver(p.head(e.Replica)) })
	case commit.AskTags:
		p.asks.Go(func() { p.deliver(p.tags(e.Replica)) })
	case commit.Sleep:
		p.sleep(e)
	case commit.Alarm:
		p.set.alarm(p.key, e.What)
	default:
		if !p.uploadEffect(e) {
			p.other(e)
		}
	}
}

// sleep replaces the timer.
func (p *process) sleep(e commit.Sleep) {
	if t := p.timers[e.Timer]; t != nil {
		t.Stop()
	}
	var t *time.Timer
	t = time.AfterFunc(e.For, func() {
		p.post(func() {
			if p.timers[e.Timer] == t { // else it was replaced while this waited its turn
				p.step(commit.Fired{Timer: e.Timer})
			}
		})
	})
	p.timers[e.Timer] = t
}

// logContext bounds a call of the log. It does not end with a client: an
// abandoned compare-and-set would be one whose outcome nobody knows.
func (p *process) logContext() (context.Context, context.CancelFunc) {
	return context.WithTimeout(context.WithoutCancel(p.ctx), p.set.o.Times.Lease)
}

func (p *process) readRow() commit.Event {
	ctx, cancel := p.logContext()
	defer cancel()
	ctx, hurried := p.set.hurried(ctx)
	defer hurried()
	began := time.Now()
	row, err := p.set.o.Log.Row(ctx, p.key)
	p.set.metrics.logSeconds[callRead].Observe(time.Since(began).Seconds())
	switch {
	case errors.Is(err, oplog.ErrNoRow):
		return commit.RowRead{}
	case err != nil:
		p.set.logFailed(callRead, err)
		return commit.RowRead{Failed: true}
	}
	found := row // most keys have none, and then nothing has to outlive this call
	return commit.RowRead{Row: &found}
}

func (p *process) swap(e commit.Swap) commit.Event {
	p.trace.beforeSwap(e)
	ctx, cancel := p.logContext()
	defer cancel()
	var row *oplog.Row
	var epoch oplog.Epoch
	if e.Row != nil {
		fresh := *e.Row // the machine keeps its own; the log shares nothing
		fresh.Epoch = oplog.NewEpoch()
		row, epoch = &fresh, fresh.Epoch
	}
	began := time.Now()
	outcome := casOf(p.set.o.Log.Swap(ctx, p.key, e.Old, row), p.set)
	p.set.metrics.logSeconds[callSwap].Observe(time.Since(began).Seconds())
	p.trace.afterSwap(e, outcome)
	p.unsure = outcome == commit.Unknown
	if outcome == commit.Applied {
		p.row = row
	}
	p.swaps = p.swaps || outcome == commit.Applied || outcome == commit.Unknown
	return commit.Swapped{Outcome: outcome, Epoch: epoch}
}

// casOf is what an error of the log tells of a compare-and-set.
func casOf(err error, s *Set) commit.CAS {
	switch {
	case err == nil:
		return commit.Applied
	case errors.Is(err, oplog.ErrConflict):
		return commit.Conflict
	case errors.Is(err, oplog.ErrNotApplied):
		s.logFailed(callSwap, err)
		return commit.NotApplied
	}
	s.logFailed(callSwap, err)
	return commit.Unknown
}

// head asks a replica what it holds.
func (p *process) head(replica string) commit.Showed {
	at, err := p.set.at(p.ctx, p.b, replica, p.pace)
	if err != nil {
		return commit.Showed{Replica: replica, Failed: true}
	}
	seen, err := at.head(p.ctx, p.key.Name)
	return commit.Showed{Replica: replica, Seen: seen, Failed: err != nil}
}

// restless tells whether the key may need work that this process leaves behind.
func (p *process) restless() bool {
	return p.unsure || p.swaps && p.row != nil && !p.row.Quiet(p.b.config().Kept())
}

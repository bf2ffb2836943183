package heal

import (
	"container/heap"
	"context"
	"errors"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/s3mirror/s3mirror/internal/object"
	"github.com/s3mirror/s3mirror/internal/oplog"
)

var errNotFinished = errors.New("the log did not answer, or the row moved too often")

const (
	firstPause  = 250 * time.Millisecond // before a key is tried again that could not be healed
	unparkEvery = 500 * time.Millisecond // between two looks at the backends that are waited for
)

// task is one key that needs work.
type task struct {
	key     object.Key
	since   time.Time // when it was first planned: the oldest go first
	at      time.Time // when it is due
	tries   int       // visits since something was achieved
	done    progress  // what the last visit saw
	waits   needs     // set while parked
	place   int       // in the queue; -1: not there
	running bool
	again   bool // it was kicked during a visit
}

// progress is what must change before a key counts as looked after: not its
// epoch, which every attempt moves.
type progress struct {
	ver             object.Version
	good, unsettled int
	tags            int // requests to change them, and replicas that may have others
}

// needs are the backends that a key needs before anything can be done for it.
type needs struct {
	copies object.Replicas // that lag, or may have other tags: one of them must let itself be healed
	looks  object.Replicas // with requests that are not settled: one of them must be up
}

func needsOf(row *oplog.Row, replicas object.Replicas) needs {
	n := needs{copies: replicas.Minus(row.Good).Or(row.Mistagged.And(replicas))}
	for _, e := range slices.Concat(row.Unsettled, row.Tagging) {
		n.looks = n.looks.With(e.Replica)
	}
	return n
}

// met are the backends that something can be done with now.
func (h *Healer) met(n needs, bucket string) object.Replicas {
	return n.looks.Filter(h.o.Set.Up).Or(n.copies.Filter(func(r string) bool { return h.o.Set.Heals(bucket, r) }))
}

func progressOf(row *oplog.Row) progress {
	return progress{row.Cur.Ver, len(row.Good), len(row.Unsettled), len(row.Tagging) + len(row.Mistagged)}
}

// plan makes a key due at a moment, unless it is due earlier.
func (h *Healer) plan(key object.Key, at time.Time) {
	h.mu.Lock()
	defer h.mu.Unlock()
	t := h.tasks[key]
	switch {
	case t == nil:
		t = &task{key: key, since: at, place: -1}
		h.tasks[key] = t
	case t.running:
		t.again = true
		return
	case t.place >= 0 && !at.Before(t.at):
		return
	}
	delete(h.parked, t)
	h.push(t, at)
}

// found plans a key that a walk came across, unless it is planned already.
func (h *Healer) found(key object.Key, at time.Time) {
	h.mu.Lock()
	_, known := h.tasks[key]
	h.mu.Unlock()
	if !known {
		h.plan(key, at)
	}
}

// push puts a task into the queue; called with mu held.
func (h *Healer) push(t *task, at time.Time) {
	t.at = at
	if t.place >= 0 {
		heap.Fix(&h.queue, t.place)
	} else {
		heap.Push(&h.queue, t)
	}
	select {
	case h.wake <- struct{}{}:
	default:
	}
}

// next takes the task that is due, or says how long to wait.
func (h *Healer) next(now time.Time) (*task, time.Duration) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if len(h.queue) == 0 {
		return nil, time.Hour
	}
	t := h.queue[0]
	if d := t.at.Sub(now); d > 0 {
		return nil, d
	}
	heap.Pop(&h.queue)
	t.running = true
	h.running++
	return t, 0
}

// replan decides when a key that still needs work is visited again; called with
// mu held. Requests that are not settled, and intents, want visits without long
// pauses, as commit says; a replica that only lags is tried more and more rarely,
// one that refuses the key when commit says so, and none at all while its backend is away or its bucket's replication disabled.
func (h *Healer) replan(t *task, row *oplog.Row, next time.Duration, now time.Time) {
	if p := progressOf(row); t.done != p {
		t.tries, t.done = 0, p
	}
	t.tries++
	if t.again {
		t.again = false
		h.push(t, now)
		return
	}
	need := needsOf(row, h.o.Set.Kept(t.key.Bucket))
	met := h.met(need, t.key.Bucket)
	if row.Intent == nil && !row.Open && len(met) == 0 {
		t.waits = need
		h.parked[t] = struct{}{}
		return
	}
	if row.Intent != nil || row.Open || len(row.Unsettled)+len(row.Tagging) > 0 {
		h.push(t, now.Add(next))
		return
	}
	if refusedAll(row, met) {
		h.push(t, now.Add(max(next, h.backoff(t.tries, h.o.Interval)))) // commit says when it is worth a try
		return
	}
	h.push(t, now.Add(h.backoff(t.tries, h.o.Interval)))
}

// refusedAll tells whether each of the replicas has refused the key.
func refusedAll(row *oplog.Row, replicas object.Replicas) bool {
	for _, f := range row.Refused {
		replicas = replicas.Without(f.Replica)
	}
	return len(replicas) == 0
}

// backoff doubles with each try, with jitter, up to the longest pause.
func (h *Healer) backoff(tries int, longest time.Duration) time.Duration {
	d := firstPause << min(tries-1, 16)
	d = min(d, longest)
	return d/2 + rand.N(d/2+1)
}

// unparkOn watches the backends, and the modes, that keys wait for.
func (h *Healer) unparkOn(ctx context.Context) {
	tick := time.NewTicker(min(unparkEvery, h.o.Interval))
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
			h.unpark()
		}
	}
}

// unpark makes those due that something can be done for now, or that wait for a replica that
// rows wait for no more.
func (h *Healer) unpark() {
	h.mu.Lock()
	defer h.mu.Unlock()
	// Of many keys few differ in what they wait for.
	type question struct{ bucket, backend string } // bucket empty: is it up
	known := map[question]bool{}
	is := func(q question) bool {
		yes, asked := known[q]
		if !asked {
			yes = h.o.Set.Up(q.backend) && (q.bucket == "" || h.o.Set.Heals(q.bucket, q.backend))
			known[q] = yes
		}
		return yes
	}
	kept := map[string]object.Replicas{}
	for t := range h.parked {
		if _, asked := kept[t.key.Bucket]; !asked {
			kept[t.key.Bucket] = h.o.Set.Kept(t.key.Bucket)
		}
		if !kept[t.key.Bucket].Covers(t.waits.copies) || // one of them was left behind
			slices.ContainsFunc(t.waits.looks, func(r string) bool { return is(question{"", r}) }) ||
			slices.ContainsFunc(t.waits.copies, func(r string) bool { return is(question{t.key.Bucket, r}) }) {
			delete(h.parked, t)
			t.tries = 0
			h.push(t, t.since) // due already, and the oldest first
			select {
			case h.back <- struct{}{}:
			default:
			}
		}
	}
}

// queue is a heap by due time.
type queue []*task

func (q queue) Len() int           { return len(q) }
func (q queue) Less(i, j int) bool { return q[i].at.Before(q[j].at) }
func (q queue) Swap(i, j int) {
	q[i], q[j] = q[j], q[i]
	q[i].place, q[j].place = i, j
}
func (q *queue) Push(x any) {
	t := x.(*task)
	t.place = len(*q)
	*q = append(*q, t)
}
func (q *queue) Pop() any {
	old := *q
	t := old[len(old)-1]
	old[len(old)-1] = nil
	*q = old[:len(old)-1]
	t.place = -1
	return t
}

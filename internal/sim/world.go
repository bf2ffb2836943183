package sim

import (
	"container/heap"
	"fmt"
	"math"
	"math/rand/v2"
	"time"

	"github.com/s3mirror/s3mirror/internal/commit"
	"github.com/s3mirror/s3mirror/internal/object"
)

// world is virtual time, the queue of what happens next, and one source of
// chance. Nothing in the simulation runs concurrently.
type world struct {
	scrubs *scrubs // nil: there are none
	joins  *joins  // nil: there are none

	seed   uint64
	now    time.Duration
	queue  events
	seq    uint64
	steps  int
	rng    *rand.Rand
	faults Faults
	trace  func(string)

	log      *slog
	servers  []*server
	liar     *server // a Halving one, or nil
	gateways []*gateway
	keys     []object.Key
	bases    map[object.Key]string // ETag of the foreign object that stood there before
	truth    *truth
	hist     *history
	counts   map[string]int
	sessions map[object.ID]*session  // of clients with uploads
	last     map[object.Key]*session // the last one on each key
	again    map[string]bool         // ETags that more than one write has
	calm     bool                    // faults have stopped
	hedge    bool
	mode     commit.Mode          // as the log has it
	leases   *leases              // of the nodes; nil: they have none
	uploads  bool                 // clients make uploads, copies and batches too
	tags     bool                 // and tags
	sums     map[object.ID]string // checksums that versions were decided with; nil: none has any
	stalls   bool                 // replicas hold parts up
	repeats  bool                 // clients repeat uploads
	err      error
	patience time.Duration // of the checker, for one history
}

type event struct {
	at  time.Duration
	seq uint64
	do  func()
}

type events []event

func (e events) Len() int { return len(e) }
func (e events) Less(i, j int) bool {
	return e[i].at < e[j].at || e[i].at == e[j].at && e[i].seq < e[j].seq
}
func (e events) Swap(i, j int) { e[i], e[j] = e[j], e[i] }
func (e *events) Push(x any)   { *e = append(*e, x.(event)) }
func (e *events) Pop() any {
	o := *e
	x := o[len(o)-1]
	*e = o[:len(o)-1]
	return x
}

// after schedules something; ties keep the order in which they were scheduled.
func (w *world) after(d time.Duration, do func()) {
	w.seq++
	heap.Push(&w.queue, event{w.now + max(d, 0), w.seq, do})
}

// step runs the next event; false when there is none before the limit.
func (w *world) step(limit time.Duration) bool {
	if w.err != nil || len(w.queue) == 0 || w.queue[0].at > limit {
		return false
	}
	e := heap.Pop(&w.queue).(event)
	w.now = e.at
	if w.steps++; w.steps > maxSteps {
		w.fail("livelock: %d events", w.steps)
		return false
	}
	e.do()
	return true
}

// maxSteps bounds the events of a schedule; an ordinary one has some tens of
// thousands.
const maxSteps = 1_000_000

func (w *world) logf(format string, args ...any) {
	if w.trace != nil {
		w.trace(fmt.Sprintf("%10.4fs ", w.now.Seconds()) + fmt.Sprintf(format, args...))
	}
}

// fail records the first broken promise and stops the schedule.
func (w *world) fail(format string, args ...any) {
	if w.err == nil {
		with := ""
		if w.uploads {
			with = " with uploads"
		}
		if w.tags {
			with += " with tags"
		}
		if w.leases != nil {
			with += " with leases"
		}
		if w.joins != nil {
			with += " with joins"
		}
		w.err = fmt.Errorf("seed %d%s at %.4fs: %w", w.seed, with, w.now.Seconds(), fmt.Errorf(format, args...))
		w.logf("VIOLATION %v", w.err)
	}
}

func (w *world) count(what string) { w.counts[what]++ }

// chance is true with probability p, and only while faults are on.
func (w *world) chance(p float64) bool {
	return p > 0 && !w.calm && w.rng.Float64() < p
}

// between draws uniformly.
func (w *world) between(lo, hi time.Duration) time.Duration {
	if hi <= lo {
		return lo
	}
	return lo + time.Duration(w.rng.Int64N(int64(hi-lo)))
}

// delay draws a log-normal latency around the median.
func (w *world) delay(median time.Duration) time.Duration {
	return time.Duration(float64(median) * math.Exp(w.rng.NormFloat64()*0.6))
}

// id draws an identity: the simulation's own source keeps replays exact.
func (w *world) id() object.ID {
	var id object.ID
	for i := 0; i < len(id); i += 8 {
		v := w.rng.Uint64()
		for j := range 8 {
			id[i+j] = byte(v >> (8 * j))
		}
	}
	return id
}

// epoch0 is the wall clock at the beginning of every schedule.
var epoch0 = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)

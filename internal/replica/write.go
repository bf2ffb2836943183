package replica

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/s3mirror/s3mirror/internal/backend"
	"github.com/s3mirror/s3mirror/internal/commit"
	"github.com/s3mirror/s3mirror/internal/object"
	"github.com/s3mirror/s3mirror/internal/oplog"
	"github.com/s3mirror/s3mirror/internal/s3"
)

// write is one mutation under way, or one part of an upload: a machine, its body, and
// its requests to the replicas. It is driven by a goroutine of its own, which outlives
// the caller from the release on and is counted by the Set.
type write struct {
	*process
	op     commit.Op
	name   string  // of the operation, for metrics and history
	carry  carrier // makes the request to one replica
	judge  func(error) commit.Answer
	idOf   func(replica string) string // its own id of the upload; nil: there is none. For the driver
	slow   time.Duration               // how long a replica may work on its request; 0: as long as answers are awaited
	begun  time.Time
	whole  time.Time // when the body was whole and the key's turn had come; owned by the driver
	freed  time.Time // when the first request was released; owned by the driver
	body   *fanout   // nil: there is none
	plan   plan      // how the body travels
	stamp  object.Stamp
	origin origin
	spans  spans
	grief  grief // of a delete

	copying *copying // of a copy: what it is made of; nil otherwise

	accepted chan struct{}       // closed when the body may be read
	told     chan struct{}       // closed when there is a result
	tell     sync.Once           // closes it
	result   chan commit.Result  // has room for the one
	filling  sync.WaitGroup      // whoever reads the body into the ring
	sending  sync.WaitGroup      // requests to replicas
	requests map[string]*request // by replica; owned by the driver
	said     map[string]string   // by replica, for the history; owned by the driver
	why      map[string]string   // the words of those that refused it, likewise; nil: none did

	batch  *batch  // nil: it is none of many
	number int     // in the batch
	broken error   // why it was broken off by the batch's caller, who owns it
	convoy *convoy // with which it goes; owned by the driver

	lockMu sync.Mutex // guards what follows
	unlock func()
	free   bool
	closed bool   // nobody drives it any more
	used   func() // gives back a permit
}

// carrier makes one request to one replica. It returns when that is over.
type carrier func(w *write, q *request, at place, stamp object.Stamp) (backend.PutResult, error)

// origin is who wants a mutation.
type origin struct{ actor, request string }

// request is one upload or delete on its way to one replica.
type request struct {
	replica  string
	uploadID string // the replica's own
	ctx      context.Context
	cancel   context.CancelCauseFunc
	cursor   *cursor // nil: it has no body
	released bool
	let      chan struct{} // closed when it is released
	ended    bool
	deadline *time.Timer
	direct   bool   // the replica copies by itself
	group    *group // nil: it is sent alone
}

func (s *Set) newWrite(b *bucket, key object.Key, op commit.Op, from origin) *write {
	carry := carryDelete
	if op.Type == oplog.OpPut || op.Type == oplog.OpCopy || op.Type == oplog.OpHeal && op.Info.Kind == object.Present {
		carry = carryBody
	}
	return s.newMutation(b, key, op, commit.NewWrite(b.config(), op), carry, from)
}

// newMutation is newWrite with a machine and a carrier of the caller's.
func (s *Set) newMutation(b *bucket, key object.Key, op commit.Op, m machine, carry carrier, from origin) *write {
	w := &write{
		op: op, name: op.Type.String(), carry: carry, judge: answerOf, slow: op.Slow, origin: from, begun: time.Now(),
		accepted: make(chan struct{}), told: make(chan struct{}), result: make(chan commit.Result, 1),
		requests: map[string]*request{}, said: map[string]string{},
	}
	w.process = s.newProcess(s.base, b, key, m)
	w.other = w.carryOut
	w.trace.writes(op.ID)
	return w
}

// start drives the write. over is called when nothing of it is left.
func (w *write) start(up object.Replicas, over func()) {
	w.set.running.Add(1)
	w.set.crew.Go(func() {
		defer w.set.running.Done()
		if !w.run(commit.Begin{Up: up}) {
			w.answer(commit.Result{Kind: commit.Doubt, Code: string(s3.SlowDown)})
		}
		w.concludeNow()
		w.dropLock()
		w.dropPermit()
		if w.body != nil {
			w.body.fail(errLeft)
		}
		for _, q := range w.requests {
			if !q.released {
				q.cancel(errLeft)
			}
		}
		w.filling.Wait()
		w.sending.Wait()
		if w.body != nil {
			w.body.free()
		}
		if w.op.Type != oplog.OpHeal && w.restless() { // a heal is part of a visit, which plans the next
			w.set.unquiet(w.key)
		}
		over()
	})
}

// carryOut does what only a write's machine asks for.
func (w *write) carryOut(e commit.Effect) {
	switch e := e.(type) {
	case commit.Open:
		if w.body.size > 0 { // of an empty body nothing can be held: it is sent when it is released
			w.send(e.Replica, false)
		}
	case commit.Accept:
		close(w.accepted)
	case commit.Leave:
		w.leave(e.Replica)
	case commit.Release:
		w.release(e)
	case commit.Ask:
		w.batch.deliver(commit.Asked{Write: w.number})
	case commit.Resolve:
		w.asks.Go(func() {
			w.set.resolve(w.ctx, w.b, w.key, e.Expired)
			w.deliver(commit.Repaired{})
		})
	case commit.Done:
		w.done(e.Result)
	default:
		panic(fmt.Sprintf("replica: effect %T of a write", e))
	}
}

// leave ends a request of which nothing may land.
func (w *write) leave(replica string) {
	q := w.requests[replica]
	if q == nil {
		return
	}
	cause := error(errLeft)
	if w.body != nil && w.body.stuck(replica, w.set.o.Times.Grace) {
		cause = fmt.Errorf("%w: the write goes on without it", backend.ErrStalled) // the breaker counts it
	}
	q.cancel(cause)
}

// release lets a request go. Held uploads give their end; others are sent now.
func (w *write) release(e commit.Release) {
	w.trace.release(w.freed.IsZero(), w.post)
	if w.freed.IsZero() {
		w.freed = time.Now()
	}
	if w.stamp.Uploaded.IsZero() {
		w.stamp.Uploaded = w.set.o.Wall()
	}
	if !w.op.Stream && (w.op.Type == oplog.OpPut || w.op.Type == oplog.OpCopy) {
		w.stamp.Ver = e.Ver
	}
	q := w.requests[e.Replica]
	switch {
	case w.convoy != nil:
		w.join(e.Replica)
		return
	case q == nil:
		q = w.send(e.Replica, true)
	default:
		q.released = true
		close(q.let)
		q.cursor.release()
	}
	// The machine gives up waiting at the same time.
	q.deadline = time.AfterFunc(max(w.set.o.Times.Keep, w.slow), func() {
		q.cancel(fmt.Errorf("%w: no answer in time", backend.ErrStalled))
	})
}

// join makes a request part of the convoy, which sends it. It has no context of its own:
// nobody could end it alone.
func (w *write) join(replica string) {
	q := &request{replica: replica, released: true, ctx: w.set.base, cancel: func(error) {}}
	w.requests[replica] = q
	w.sending.Add(1)
	w.convoy.add(w, q)
}

// send starts a request. It ends in a post, whatever becomes of it.
func (w *write) send(replica string, released bool) *request {
	q := &request{replica: replica, released: released, direct: w.op.Direct.Has(replica), let: make(chan struct{})}
	if released {
		close(q.let)
	}
	q.ctx, q.cancel = context.WithCancelCause(w.spans.within(w.set.base))
	if w.idOf != nil {
		q.uploadID = w.idOf(replica)
	}
	if w.body != nil && !q.direct {
		q.cursor = w.body.attach(replica, released)
	}
	w.requests[replica] = q
	stamp := w.stamp
	w.sending.Add(1)
	w.set.crew.Go(func() {
		defer w.sending.Done()
		defer q.cancel(errLeft)
		var res backend.PutResult
		at, err := w.set.at(q.ctx, w.b, replica, w.pace)
		if err == nil {
			res, err = w.carry(w, q, at, stamp)
		}
		if q.cursor != nil {
			q.cursor.detach()
		}
		w.post(func() { w.ended(q, res, err) })
	})
	return q
}

func carryDelete(w *write, q *request, at place, _ object.Stamp) (backend.PutResult, error) {
	return backend.PutResult{}, at.delete(q.ctx, w.key.Name)
}

func carryBody(w *write, q *request, at place, stamp object.Stamp) (backend.PutResult, error) {
	if q.direct {
		return w.copyAt(q, at, stamp)
	}
	framing, headers := w.plan.of(q.replica, w.body)
	return at.put(q.ctx, backend.PutRequest{
		Key: w.key.Name, Headers: headers, Tags: w.tagsAt(q.replica), Stamp: stamp,
		Size: w.body.size, Body: q.cursor, Framing: framing,
	})
}

// tagsAt are the tags that a replica is asked to keep with the version.
func (w *write) tagsAt(replica string) object.Tags {
	if len(w.plan.tags) == 0 || w.set.qualities.untagged().Has(replica) {
		return nil
	}
	return w.plan.tags
}

// ended tells the machine how a request ended.
func (w *write) ended(q *request, res backend.PutResult, err error) {
	q.ended = true
	if q.deadline != nil {
		q.deadline.Stop()
	}
	a := w.judge(err)
	if q.direct {
		a = copyAnswerOf(err)
	}
	a.ETag = res.ETag
	if a.Class == commit.Yes && !w.echoed(q, res.Checksums) {
		a.Class = commit.Ambiguous // it stored something else than what was sent (H12)
	}
	w.said[q.replica] = said(a)
	if a.Words != "" {
		if w.why == nil {
			w.why = map[string]string{}
		}
		w.why[q.replica] = a.Words
	}
	if err != nil {
		w.set.o.Logger.DebugContext(w.ctx, "request to a replica failed", "key", w.key, "backend", q.replica, "released", q.released, "error", err)
	}
	if q.released {
		w.trace.answered()
		w.step(commit.Answered{Replica: q.replica, Answer: a})
	} else {
		w.step(commit.Lost{Replica: q.replica, Answer: a})
	}
	w.heard(q.replica)
}

// echoed tells whether the checksums of an answer are those of the body, as far as both
// are known.
func (w *write) echoed(q *request, answer object.Headers) bool {
	switch {
	case q.direct:
		return w.plan.echoes(answer, w.copying.sum)
	case w.body != nil:
		return w.plan.echoes(answer, w.body.sum())
	}
	return true
}

// done answers the client; the machine may go on.
func (w *write) done(res commit.Result) {
	w.dropLock()
	if res.Kind != commit.Acked && w.body != nil {
		w.body.fail(errLeft) // a client that still sends need not
	}
	w.conclude(res)
	w.record(res)
	if res.Kind == commit.Acked && w.slow == 0 && len(w.owing()) > 0 { // most owe nothing, and a timer would keep the write in memory
		time.AfterFunc(w.set.o.Times.Grace, func() { w.post(w.accuse) })
	}
}

// answer gives the one result; a write that is abandoned after it has no other. It may be
// called from anywhere.
func (w *write) answer(res commit.Result) {
	w.tell.Do(func() {
		w.result <- res
		close(w.told)
		if w.batch != nil {
			w.batch.deliver(commit.Ended{Write: w.number})
		}
	})
}

// accuse tells the breakers of replicas that still owe an answer long after the
// others gave theirs: a hung endpoint would otherwise be noticed only when the
// time for answers is over. It compares replicas of one write, so that a load
// that slows all of them opens no breaker.
func (w *write) accuse() {
	for _, replica := range w.owing() {
		if w.requests[replica].group.accuse() {
			if stack := w.set.stack(replica); stack != nil {
				stack.Breaker.Observe(fmt.Errorf("%w: other replicas answered long ago", backend.ErrStalled))
			}
		}
	}
}

// owing are the replicas whose requests were let go and have not ended.
func (w *write) owing() (replicas []string) {
	for replica, q := range w.requests {
		if q.released && !q.ended {
			replicas = append(replicas, replica)
		}
	}
	return replicas
}

// record writes the history's line. Replicas that have not answered are late.
func (w *write) record(res commit.Result) {
	result := [...]string{commit.Acked: "acked", commit.Failed: "failed", commit.Doubt: "unknown"}[res.Kind]
	if w.op.Type == oplog.OpHeal && res.Kind == commit.Acked {
		result = "healed"
	}
	w.set.metrics.write(w.name, result, time.Since(w.begun))
	w.spans.phases(result, w.begun, w.whole, w.freed, time.Now())
	if w.op.Type == 0 {
		return // a part: nobody sees it yet
	}
	if w.op.Type != oplog.OpHeal && res.Kind == commit.Acked {
		w.set.metrics.phases(w.begun, w.whole, w.freed, time.Now())
	}
	info := w.op.Info
	if res.Kind == commit.Acked {
		info = res.Info
	}
	backends := map[string]string{}
	for _, r := range w.b.config().Replicas {
		q := w.requests[r]
		switch {
		case w.op.Type == oplog.OpHeal && r != w.op.Target:
		case q == nil:
			backends[r] = "no"
		case !q.ended:
			backends[r] = "late"
		default:
			backends[r] = w.said[r]
		}
	}
	w.set.history.add(oplog.Event{
		Time: w.set.o.Wall(), Bucket: w.key.Bucket, Key: w.key.Name, Op: w.name,
		ID: w.op.ID, Ver: info.Ver, Size: info.Size, Actor: w.origin.actor, Request: w.origin.request,
		Result: result, Backends: backends, Detail: w.reasons(),
	})
}

// reasons are the words of the replicas that refused the request.
func (w *write) reasons() string {
	var out []string
	for _, r := range slices.Sorted(maps.Keys(w.why)) {
		out = append(out, r+": "+w.why[r])
	}
	return strings.Join(out, "; ")
}

// permit lets the write go with a convoy, which hears of it when it has, or never will.
func (w *write) permit(p *convoy) {
	used := sync.OnceFunc(p.used)
	w.lockMu.Lock()
	closed := w.closed
	w.used = used
	w.lockMu.Unlock()
	if closed {
		used()
		return
	}
	w.post(func() {
		w.convoy = p
		w.step(commit.Permit{})
		w.convoy = nil
		used()
	})
}

// dropPermit gives back a permit that nobody will use any more.
func (w *write) dropPermit() {
	w.lockMu.Lock()
	used := w.used
	w.closed = true
	w.lockMu.Unlock()
	if used != nil {
		used()
	}
}

// hold keeps the key's lock until the write is answered.
func (w *write) hold(unlock func()) {
	w.lockMu.Lock()
	defer w.lockMu.Unlock()
	if w.free {
		unlock()
		return
	}
	before := w.unlock
	w.unlock = func() {
		unlock()
		if before != nil {
			before()
		}
	}
}

func (w *write) dropLock() {
	w.lockMu.Lock()
	defer w.lockMu.Unlock()
	w.free = true
	if w.unlock != nil {
		w.unlock()
		w.unlock = nil
	}
}

// errDoubt: the outcome of a write is not known to us now. It may take effect.
var errDoubt = errors.New("outcome is not known; the log names it, and repair ends it")

package heal

import (
	"cmp"
	"context"
	"log/slog"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.opentelemetry.io/otel/trace"
	"golang.org/x/sync/errgroup"

	"github.com/s3mirror/s3mirror/internal/object"
	"github.com/s3mirror/s3mirror/internal/oplog"
	"github.com/s3mirror/s3mirror/internal/replica"
)

// Rows is the part of the log that the healer walks over.
type Rows interface {
	Due(ctx context.Context, shard int, after oplog.Cursor, limit int) ([]oplog.KeyRow, oplog.Cursor, error)
}

// Set is what repairs; *replica.Set is one.
type Set interface {
	// Repair visits a key once.
	Repair(ctx context.Context, key object.Key, expired object.ID) (replica.Report, error)
	// Kept are the replicas of a bucket that its rows wait for.
	Kept(bucket string) object.Replicas
	// Up tells whether a backend can be asked for anything.
	Up(backend string) bool
	// Heals tells whether it can be brought what it misses of a bucket: it is up, and
	// replication of the bucket is not disabled for it.
	Heals(bucket, backend string) bool
	// Watch makes f hear of every key that was left with something to do.
	Watch(f func(object.Key))
}

// Shares tell which shards are this node's to look after, where several nodes share
// the log; *replica.Set is one.
type Shares interface {
	// HoldShard keeps a shard this node's until done is called; false: it is another's.
	HoldShard(shard int) (done func(), ok bool)
	// Pass tells the node whose shard it is of a key.
	Pass(key object.Key)
	// Taken gets a value when this node has taken a shard.
	Taken() <-chan struct{}
}

// Options of a Healer. Set and Log are required.
type Options struct {
	Set    Set
	Log    Rows
	Shares Shares // nil: every shard is this node's

	Interval  time.Duration // longest pause before a lagging key is tried again once its backend is up. 5 s
	Retention time.Duration // how long a quiet row stays; as the Set's
	Workers   int           // keys that are visited at once. 8

	Logger     *slog.Logger          // nil: slog.Default()
	Registerer prometheus.Registerer // nil: none
	Tracer     trace.Tracer          // nil: nothing is traced
}

func (o *Options) defaults() {
	o.Interval = cmp.Or(o.Interval, 5*time.Second)
	o.Retention = cmp.Or(o.Retention, time.Hour)
	o.Workers = cmp.Or(o.Workers, 8)
	if o.Logger == nil {
		o.Logger = slog.Default()
	}
	if o.Registerer == nil {
		o.Registerer = prometheus.NewRegistry()
	}
}

// Healer looks after the keys that are not quiet. Safe for concurrent use.
type Healer struct {
	o       Options
	metrics *metrics
	spans   spans
	wake    chan struct{} // has room for one: the queue has changed
	back    chan struct{} // has room for one: a backend that keys waited for is there again

	mu      sync.Mutex // guards what follows
	tasks   map[object.Key]*task
	queue   queue
	parked  map[*task]struct{} // tasks that nothing can be done for while their backends are away
	running int
	last    Failure
}

// New prepares a healer and makes it the Set's watcher. Nothing runs until Run
// does.
func New(o Options) *Healer {
	o.defaults()
	h := &Healer{o: o, spans: spans{o.Tracer}, wake: make(chan struct{}, 1), back: make(chan struct{}, 1), tasks: map[object.Key]*task{}, parked: map[*task]struct{}{}}
	h.metrics = newMetrics(o.Registerer, h)
	o.Set.Watch(h.Kick)
	return h
}

// Failure is the last visit that achieved nothing.
type Failure struct {
	Time time.Time // zero: there was none
	Key  object.Key
	Err  error
}

// Stats is what the healer is about.
type Stats struct {
	Queued  int // keys that need work, those that wait for a backend included
	Waiting int // of Queued: nothing can be done until a backend is back
	Running int // visits under way
	Last    Failure
}

// Stats returns a snapshot.
func (h *Healer) Stats() Stats {
	h.mu.Lock()
	defer h.mu.Unlock()
	return Stats{Queued: len(h.tasks), Waiting: len(h.parked), Running: h.running, Last: h.last}
}

// Kick says that a key may need work now. It never blocks.
func (h *Healer) Kick(key object.Key) {
	done, ok := h.hold(oplog.ShardOf(key))
	if !ok {
		h.o.Shares.Pass(key)
		return
	}
	defer done()
	h.plan(key, time.Now())
}

// hold keeps a shard this node's until done is called; false: it is another's.
func (h *Healer) hold(shard int) (done func(), ok bool) {
	if h.o.Shares == nil {
		return func() {}, true
	}
	return h.o.Shares.HoldShard(shard)
}

// Run heals until ctx is done, waits for the visits under way and returns nil.
// Call it once.
func (h *Healer) Run(ctx context.Context) error {
	var wg sync.WaitGroup
	wg.Go(func() { h.walkOn(ctx) })
	wg.Go(func() { h.unparkOn(ctx) })
	h.work(ctx)
	wg.Wait()
	return nil
}

// work starts visits as they fall due.
func (h *Healer) work(ctx context.Context) {
	var group errgroup.Group
	group.SetLimit(h.o.Workers)
	timer := time.NewTimer(0)
	defer timer.Stop()
	for ctx.Err() == nil {
		t, pause := h.next(time.Now())
		if t != nil {
			group.Go(func() error { h.visit(ctx, t); return nil })
			continue
		}
		timer.Reset(pause)
		select {
		case <-ctx.Done():
		case <-h.wake:
		case <-timer.C:
		}
	}
	_ = group.Wait() // visits return no errors
}

// visit repairs one key and plans the next visit.
func (h *Healer) visit(ctx context.Context, t *task) {
	done, ok := h.hold(oplog.ShardOf(t.key))
	if !ok { // whoever has the shard now has walked over it
		h.mu.Lock()
		defer h.mu.Unlock()
		h.running--
		delete(h.tasks, t.key)
		return
	}
	defer done()
	report, err := h.spans.repair(ctx, h.o.Set, t.key)
	h.metrics.visits.Inc()
	now := time.Now()
	var row *oplog.Row
	if err == nil {
		row = report.Row
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	h.running--
	t.running = false
	switch {
	case ctx.Err() != nil:
		delete(h.tasks, t.key)
		return
	case err != nil:
		h.fail(t, err, now)
		return
	case report.Failed:
		h.last = Failure{now, t.key, errNotFinished}
	}
	if row == nil || row.Quiet(h.o.Set.Kept(t.key.Bucket)) {
		if t.again {
			t.again = false
			h.push(t, now)
			return
		}
		delete(h.tasks, t.key)
		return
	}
	h.replan(t, row, report.Next, now)
}

// fail plans a visit anew that could not be made. The walk brings back what is
// left of a bucket that has no record any more. Called with mu held.
func (h *Healer) fail(t *task, err error, now time.Time) {
	h.last = Failure{now, t.key, err}
	h.o.Logger.Debug("key could not be visited", "key", t.key, "error", err)
	if replica.IsNoBucket(err) {
		delete(h.tasks, t.key)
		return
	}
	t.tries++
	h.push(t, now.Add(h.backoff(t.tries, h.o.Interval)))
}

package replica

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/s3mirror/s3mirror/internal/backend"
	"github.com/s3mirror/s3mirror/internal/commit"
	"github.com/s3mirror/s3mirror/internal/crew"
	"github.com/s3mirror/s3mirror/internal/object"
	"github.com/s3mirror/s3mirror/internal/oplog"
	"github.com/s3mirror/s3mirror/internal/s3"
)

// Policy says how a bucket is replicated.
type Policy struct {
	Replicas object.Replicas   // the replica set: backend names. A bucket keeps the set it was made with
	Ack      commit.Rule       // what must hold before a write is answered
	Names    map[string]string // backend -> the bucket's real name there, where it differs

	// NeedOf is Ack.Need of a bucket on so many backends, where that is not len(Replicas);
	// nil: it is the same.
	NeedOf func(replicas int) int

	// AssumeEqual: the operator vouches that replicas which are not empty at the
	// first contact hold the same objects.
	AssumeEqual bool
}

// Payload is how bodies travel to one backend. Each is verified by the backend
// itself, so that an upload that is cut is never stored.
type Payload uint8

const (
	PayloadAuto    Payload = iota // the client's literal SHA-256 when it gave one, else an unsigned trailer
	PayloadTrailer                // unsigned chunks with a checksum in the trailer
	PayloadSigned                 // chunks signed by us, without checksum: for endpoints that know no trailers
)

// Defaults of Options, in bytes.
const (
	DefaultMemory    = 96 << 20
	DefaultPerUpload = 1 << 20
	DefaultHeld      = 256 << 10
)

// Defaults of Options, for uploads.
const (
	DefaultWork  = 10 * time.Minute
	DefaultStray = 24 * time.Hour
)

// Options of a Set. Log, Stacks, Times and Defaults are required.
type Options struct {
	Node      string // name of this node; each Open is another incarnation of it
	Exclusive bool   // nobody else uses the log while the Set does
	Log       oplog.Log
	Member    *Member          // who this node is where several share the log, each with a lease; nil: no other node does
	Stacks    []*backend.Stack // in the order of the configuration
	// Enrol builds the stacks of backends that were added while nodes ran; nil: there are none.
	// Dismiss is told of a stack of its that no new request goes to. Neither may block.
	Enrol   Enroller
	Dismiss func(*backend.Stack)
	Times   commit.Times
	Payload map[string]Payload // by backend, until Qualify has told; PayloadAuto where none is named
	Copies  object.Replicas    // backends that may copy by themselves, until Qualify has told
	// Recall is what was found of a backend before this start; nil: nothing was.
	Recall  func(backend string) (Quality, bool)
	Qualify Qualifier // nil: what Payload and Copies say is right
	Scout   Scout     // nil: backends are asked in the first bucket that stands there

	// Codecs are the formats of rows that this version of the program reads; zero: those of
	// oplog. Where several nodes share the log rows are written in the newest that all read.
	Codecs commit.Codecs

	// StaleReads has reads that may be stale answered by what replicas show while the log
	// is away. It says nothing where the log is this node's alone.
	StaleReads bool

	Mode     commit.Mode       // of buckets that have none of their own, until SetMode says another
	Defaults Policy            // of buckets that Buckets does not name
	Buckets  map[string]Policy // by logical name; whole policies, not differences

	Memory    int64 // bytes of all bodies in flight together: a hard bound. DefaultMemory
	PerUpload int64 // bytes that one upload shares among its replicas. DefaultPerUpload
	Held      int64 // bytes at the end of a body that are sent only after its intent; smaller bodies are held whole. DefaultHeld

	// Work is how long a backend may work on putting an upload together, whatever its
	// size: DefaultWork. It is answered within, or its outcome is not known, and then
	// takes twice as long to settle.
	Work time.Duration
	// Stray is the age from which an upload on a backend that nothing names is thrown
	// away: longer than a heal may take. DefaultStray.
	Stray time.Duration
	// MaxUploads is how many multipart uploads of a bucket may be open; 0: any number.
	MaxUploads int

	// Backlog is how many keys of a bucket a replica may lag by that is away, paused, or left
	// alone by the mode: one that lags by more is left behind. The log keeps no more rows for
	// it, and when it is back it is one of Refills. 0: rows are kept however many they are.
	// It needs Refills.
	Backlog int64

	// Refills tells that somebody else fills the replicas again that Set.Refills names;
	// else Run does.
	Refills bool

	Logger     *slog.Logger          // nil: slog.Default()
	Registerer prometheus.Registerer // nil: none
	Wall       func() time.Time      // nil: time.Now
	Boot       func() time.Duration  // nil: CLOCK_BOOTTIME
}

func (o *Options) defaults() {
	o.Memory = cmp.Or(o.Memory, DefaultMemory)
	o.PerUpload = cmp.Or(o.PerUpload, DefaultPerUpload)
	o.Held = cmp.Or(o.Held, DefaultHeld)
	o.Work, o.Stray = cmp.Or(o.Work, DefaultWork), cmp.Or(o.Stray, DefaultStray)
	if o.Codecs == (commit.Codecs{}) {
		o.Codecs = commit.Codecs{Oldest: oplog.OldestFormat, Newest: oplog.NewestFormat}
	}
	if o.Logger == nil {
		o.Logger = slog.Default()
	}
	if o.Registerer == nil {
		o.Registerer = prometheus.NewRegistry()
	}
	if o.Wall == nil {
		o.Wall = time.Now
	}
	if o.Boot == nil {
		o.Boot = bootTime
	}
}

// check refuses options that could not keep the promises.
func (o *Options) check() error {
	var errs []error
	fault := func(bad bool, format string, args ...any) {
		if bad {
			errs = append(errs, fmt.Errorf(format, args...))
		}
	}
	fault(o.Log == nil, "no log")
	fault(len(o.Stacks) == 0, "no backends")
	fault(o.Held < slabSize || o.Held > o.PerUpload-slabSize, "held tail of %d bytes: want %d to the buffer of an upload less %d", o.Held, slabSize, slabSize)
	fault(o.PerUpload > o.Memory, "buffer of %d bytes for an upload is more than the memory of %d", o.PerUpload, o.Memory)
	names := map[string]bool{}
	for _, s := range o.Stacks {
		fault(names[s.Name()], "backend %s occurs twice", s.Name())
		names[s.Name()] = true
	}
	policies := maps.Clone(o.Buckets)
	if policies == nil {
		policies = map[string]Policy{}
	}
	policies[""] = o.Defaults
	for _, bucket := range slices.Sorted(maps.Keys(policies)) {
		p := policies[bucket]
		fault(len(p.Replicas) == 0, "policy %q: no replicas", bucket)
		fault(p.Ack.Need < 1 || p.Ack.Need > len(p.Replicas) || !p.Replicas.Covers(p.Ack.Include), "policy %q: ack rule can not be met by its replicas", bucket)
		for _, r := range p.Replicas {
			fault(!names[r], "policy %q: replica %s is no backend", bucket, r)
		}
	}
	return errors.Join(errs...)
}

// Set is N backends seen as one. Its methods are safe for concurrent use; their
// errors are *s3.Error, with the cause for the log, unless they say otherwise.
type Set struct {
	o       Options
	node    string // owner of this incarnation's intents
	roster  atomic.Pointer[roster]
	unable  map[string]json.RawMessage // documents of backends that this node cannot follow, by name; guarded by settings.mu
	memory  *memory
	locks   locks
	buckets buckets

	qualities qualities
	folders   folders
	singles   sync.Map // names of backends that were found to know no batches of deletes
	settings  settings
	nodes     nodes
	shares    shares
	suspects  suspects

	hedges  hedges
	history history
	metrics *metrics
	repairs repairs
	uploads uploads
	status  statusCache
	window  int // rows that one page of a list reads at most

	placing sync.RWMutex   // held for reading from the look at where a bucket may stand until its record is written
	running sync.WaitGroup // machines and requests that outlive their caller
	crew    *crew.Crew     // runs them
	burials chan struct{}  // has room for the tombstones on their way
	base    context.Context
	abandon context.CancelCauseFunc // ends base: what Close does not wait for any longer

	mu     sync.Mutex // guards what follows
	closed bool
	watch  func(object.Key)
}

// Open prepares a Set: it gives the deployment its identity at the first start
// and asks every backend that is up whether its buckets are the ones of this
// deployment. A backend that is away or wrong is reported, not an error; a log
// that does not answer is. Where several nodes share the log it returns once this one
// has a lease among them (ErrClocks, ErrTaken, ErrCodecs), which Run then keeps.
// Nothing runs in the background until Run does.
func Open(ctx context.Context, o Options) (*Set, error) {
	o.defaults()
	if err := o.check(); err != nil {
		return nil, err
	}
	s := &Set{
		o:      o,
		node:   o.Node + "#" + object.NewID().String()[:12],
		unable: map[string]json.RawMessage{},
		memory: newMemory(o.Memory),
		window: rowsAtOnce,
	}
	s.base, s.abandon = context.WithCancelCause(context.Background())
	s.crew = crew.New(s.base.Done())
	s.burials = make(chan struct{}, tombstonesAtOnce)
	s.roster.Store(newRoster(o.Stacks))
	s.metrics = newMetrics(o.Registerer, s)
	s.history.open(s)
	s.qualities.open(&s.o)
	s.nodes.open(s)
	s.shares.open(s)
	s.suspects.open(s)
	if err := s.settings.open(ctx, s); err != nil {
		return nil, err
	}
	if err := s.nodes.join(ctx); err != nil {
		return nil, err
	}
	s.uploads.set = s
	if err := s.buckets.open(ctx, s); err != nil {
		return nil, err
	}
	return s, nil
}

// Run does what must not wait for a client: it makes buckets where they are
// missing, looks at replicas that were away before they serve again, keeps this
// node's lease, and writes the history. It returns nil when ctx is done, or ErrTaken.
func (s *Set) Run(ctx context.Context) error {
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	var wg sync.WaitGroup
	var err error
	wg.Go(func() {
		if err = s.nodes.run(ctx); err != nil {
			stop()
		}
	})
	wg.Go(func() { s.history.run(ctx) })
	wg.Go(func() { s.buckets.run(ctx) })
	wg.Go(func() { s.settings.run(ctx) })
	wg.Go(func() { s.uploads.run(ctx) })
	wg.Go(func() { s.suspects.run(ctx) })
	wg.Wait()
	return err
}

// errClosed ends what is still under way when Close stops waiting.
var errClosed = errors.New("replica set is closed")

// abandonWait is how long what was cut may take to end. Only a Put whose body
// blocks in Read needs so long: its caller has to see to that.
const abandonWait = 5 * time.Second

var errStuck = errors.New("an operation does not end")

// Drain refuses new operations and waits until every write that was released
// has ended and the history is written, or ctx is done: then it returns its
// cause, and what is left under way is cut. The log names it.
func (s *Set) Drain(ctx context.Context) error {
	s.mu.Lock()
	s.closed = true
	s.mu.Unlock()
	over := make(chan struct{})
	go func() { s.running.Wait(); close(over) }()
	var err error
	select {
	case <-over:
	case <-ctx.Done():
		err = context.Cause(ctx)
	}
	s.abandon(errClosed)
	probed := make(chan struct{})
	go func() { <-over; s.qualities.close(); s.crew.Wait(); close(probed) }()
	select {
	case <-probed: // cut requests end at once
	case <-time.After(abandonWait):
		err = errors.Join(err, errStuck)
	}
	s.history.flush(context.WithoutCancel(ctx))
	if err == nil { // else others must wait for the lease of what is left under way
		s.nodes.quit(context.WithoutCancel(ctx))
	}
	return err
}

// Close is Drain, bounded by the time for which answers are awaited.
func (s *Set) Close() error {
	ctx, cancel := context.WithTimeout(context.Background(), s.o.Times.Keep+time.Second)
	defer cancel()
	return s.Drain(ctx)
}

// enter counts an operation in. leave must be called when it is over.
func (s *Set) enter() (leave func(), err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return nil, unavailable(errClosed)
	}
	if err := s.nodes.fit(); err != nil {
		return nil, err
	}
	s.running.Add(1)
	return s.running.Done, nil
}

// Watch makes f the one who hears of every key that a write, a read or a repair
// left with something to do. f must not block. Call it before the first
// operation.
func (s *Set) Watch(f func(object.Key)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.watch = f
}

// unquiet tells the watcher of a key that needs work.
func (s *Set) unquiet(key object.Key) {
	s.mu.Lock()
	f := s.watch
	s.mu.Unlock()
	if f != nil {
		f(key)
	}
}

// now is the moment of an event on this node.
func (s *Set) now() commit.Now {
	return commit.Now{Wall: s.o.Wall(), Boot: s.o.Boot(), Lease: s.nodes.lease()}
}

// Up tells whether a backend can be asked for anything: its breaker is closed, and
// nobody has paused it.
func (s *Set) Up(name string) bool {
	stack := s.stack(name)
	return stack != nil && !s.Paused(name) && stack.Breaker.Health().State != backend.Down
}

// Heals tells whether a backend can be brought what it misses of a bucket now: it
// is up, and the bucket's mode lets it be healed.
func (s *Set) Heals(bucket, name string) bool {
	return s.Up(name) && s.buckets.targets(bucket).Has(name)
}

// Replicas is the replica set of a bucket: of its record, or, when it has none,
// of its policy.
func (s *Set) Replicas(bucket string) object.Replicas { return s.buckets.replicas(bucket) }

// Kept are those of Replicas that the rows of a bucket wait for.
func (s *Set) Kept(bucket string) object.Replicas { return s.buckets.kept(bucket) }

// Ready returns nil when the log answers and the ack rule of the defaults can be
// met; else why not, in words that may be shown to anyone. Where several share the log
// a lease says that it answers: it would be slow for all of them at once, for a moment,
// and load balancers that ask each second would find nobody.
func (s *Set) Ready(ctx context.Context) error {
	if s.o.Member != nil {
		if err := s.nodes.ready(); err != nil {
			return err
		}
	} else if _, err := s.o.Log.Docs(ctx, oplog.DocBucket, "", 1); err != nil {
		return errors.New("the log does not answer")
	}
	up := s.o.Defaults.Replicas.Filter(s.Up)
	cfg := commit.Config{Replicas: s.o.Defaults.Replicas, Ack: s.o.Defaults.Ack, Mode: s.settings.mode()}
	if !cfg.AckRule().Met(up) {
		return fmt.Errorf("the ack rule can not be met: %d of %d backends are up", len(up), len(s.o.Defaults.Replicas))
	}
	return nil
}

// isUnavailable tells an answer that only says "not now".
func isUnavailable(err error) bool { return errors.Is(err, s3.SlowDown) }

// Why is what an error says, without the code and the words that it has for S3 clients where
// it has a cause.
func Why(err error) string {
	var e *s3.Error
	if errors.As(err, &e) && e.Err != nil {
		return Why(e.Err)
	}
	return err.Error()
}

// unavailable is the answer to whatever could not be done now, and was not.
func unavailable(cause error) *s3.Error { return s3.Err(s3.SlowDown).Because(cause) }

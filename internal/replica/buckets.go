package replica

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/s3mirror/s3mirror/internal/backend"
	"github.com/s3mirror/s3mirror/internal/commit"
	"github.com/s3mirror/s3mirror/internal/object"
	"github.com/s3mirror/s3mirror/internal/oplog"
	"github.com/s3mirror/s3mirror/internal/s3"
)

// buckets are the bucket records of the log and what was seen of them on the
// backends. In an exclusive log the copy in memory is the truth; otherwise every
// operation reads the record (RELIABILITY 4.6).
type buckets struct {
	set        *Set
	deployment string        // identity of this log; every replica bucket carries it
	clock      atomic.Uint64 // ticks before each read of a record, and after each change

	mu     sync.Mutex // guards what follows
	known  map[string]*bucket
	absent map[string]time.Duration // Boot when a name was last found nowhere
}

// absentFor is how long a name that was found nowhere is not looked for again.
const absentFor = 2 * time.Second

// contactTimeout bounds one look at the buckets of the backends.
const contactTimeout = 5 * time.Second

// open loads every record and looks at every replica that is up.
func (bs *buckets) open(ctx context.Context, s *Set) error {
	bs.set, bs.known, bs.absent = s, map[string]*bucket{}, map[string]time.Duration{}
	if err := bs.identify(ctx); err != nil {
		return fmt.Errorf("identity of the log: %w", err)
	}
	for after := ""; ; {
		at := bs.clock.Add(1)
		docs, err := s.o.Log.Docs(ctx, oplog.DocBucket, after, 1000)
		if err != nil {
			return fmt.Errorf("read the buckets: %w", err)
		}
		for _, doc := range docs {
			if _, err := bs.learn(doc, at); err != nil {
				return err
			}
			after = doc.Name
		}
		if len(docs) < 1000 {
			break
		}
	}
	for name := range s.o.Buckets {
		if _, err := bs.lookup(ctx, name); err != nil && !errors.Is(err, s3.NoSuchBucket) {
			s.o.Logger.WarnContext(ctx, "bucket can not be used", "bucket", name, "error", err)
		}
	}
	bs.greet(ctx)
	s.scoutNow(ctx)
	return nil
}

// identify reads the log's identity, or gives it one.
func (bs *buckets) identify(ctx context.Context) error {
	const name = "deployment"
	type identity struct {
		ID string `json:"id"`
	}
	log := bs.set.o.Log
	for range 3 {
		doc, err := log.Doc(ctx, oplog.DocGeneration, name)
		if err == nil {
			var id identity
			if err := json.Unmarshal(doc.Body, &id); err != nil || id.ID == "" {
				return fmt.Errorf("document %s/%s is malformed: %w", oplog.DocGeneration, name, err)
			}
			bs.deployment = id.ID
			return nil
		}
		if !errors.Is(err, oplog.ErrNoRow) {
			return err
		}
		body, err := json.Marshal(identity{object.NewID().String()})
		if err != nil {
			return err
		}
		doc = oplog.Doc{Kind: oplog.DocGeneration, Name: name, Epoch: oplog.NewEpoch(), Body: body}
		if err := log.SwapDoc(ctx, oplog.Epoch{}, doc); err != nil && !errors.Is(err, oplog.ErrConflict) && !errors.Is(err, oplog.ErrUnknown) {
			return err
		}
	}
	return errors.New("it could not be settled")
}

// learn takes a record into memory that was read after the clock showed at.
func (bs *buckets) learn(doc oplog.Doc, at uint64) (*bucket, error) {
	rec, err := recordOf(doc)
	if err != nil {
		return nil, err
	}
	bs.mu.Lock()
	defer bs.mu.Unlock()
	b := bs.known[doc.Name]
	if b != nil {
		b.take(rec, doc.Epoch, at)
		return b, nil
	}
	b = bs.make(doc.Name, rec, doc.Epoch)
	b.at = at
	bs.known[doc.Name] = b
	delete(bs.absent, doc.Name)
	return b, nil
}

func recordOf(doc oplog.Doc) (rec record, err error) {
	if err := json.Unmarshal(doc.Body, &rec); err != nil {
		return rec, fmt.Errorf("record of bucket %s: %w", doc.Name, err)
	}
	return rec, nil
}

func (bs *buckets) make(name string, rec record, epoch oplog.Epoch) *bucket {
	return &bucket{name: name, policy: bs.policy(name), set: bs.set, rec: rec, epoch: epoch, presence: map[string]presence{}}
}

func (bs *buckets) policy(name string) Policy {
	if p, ok := bs.set.o.Buckets[name]; ok {
		return p
	}
	return bs.set.o.Defaults
}

// store writes a record, or drops it (rec nil).
func (bs *buckets) store(ctx context.Context, name string, old oplog.Epoch, rec *record) (oplog.Epoch, error) {
	doc := oplog.Doc{Kind: oplog.DocBucket, Name: name}
	if rec != nil {
		body, err := json.Marshal(rec)
		if err != nil {
			return oplog.Epoch{}, err
		}
		doc.Body, doc.Epoch = body, oplog.NewEpoch()
	}
	if err := bs.set.o.Log.SwapDoc(ctx, old, doc); err != nil {
		if !errors.Is(err, oplog.ErrConflict) { // which is an answer, not a failure
			bs.set.logFailed("swap", err)
		}
		return oplog.Epoch{}, err
	}
	return doc.Epoch, nil
}

// reload reads the record of a known bucket again. NoSuchBucket when it is gone.
func (bs *buckets) reload(ctx context.Context, b *bucket) error {
	at, began := bs.clock.Add(1), bs.set.o.Boot()
	ctx, cancel := bs.set.hurried(ctx)
	defer cancel()
	doc, err := bs.set.o.Log.Doc(ctx, oplog.DocBucket, b.name)
	switch {
	case errors.Is(err, oplog.ErrNoRow):
		bs.forget(b)
		return s3.Err(s3.NoSuchBucket)
	case err != nil:
		bs.set.logFailed("read", err)
		return unavailable(err)
	}
	_, err = bs.learn(doc, at)
	b.mu.Lock()
	defer b.mu.Unlock()
	b.read = max(b.read, began)
	return err
}

// recordFresh is how old a bucket's record may be, where others may change it, for
// reads of objects and for what looks again before its intent. A deletion takes longer; a
// change of the mode waits so long before it is answered; a replica that was lost
// meanwhile shows no object without a second one's word.
const recordFresh = time.Second

// admitFresh is how old it may be right before an intent. A deletion, which waits for a
// lease and a second, takes longer.
const admitFresh = recordFresh / 4

// glanced is lookup by a record that may be that old. Who comes while somebody else meets
// the bucket waits for him: of a replica at which nobody has looked nothing is known to be right.
func (bs *buckets) glanced(ctx context.Context, name string) (*bucket, error) {
	bs.mu.Lock()
	b := bs.known[name]
	bs.mu.Unlock()
	if b != nil && b.younger(recordFresh) && len(b.unmet()) == 0 {
		return b, nil
	}
	return bs.lookup(ctx, name)
}

func (bs *buckets) forget(b *bucket) {
	bs.mu.Lock()
	defer bs.mu.Unlock()
	if bs.known[b.name] == b {
		delete(bs.known, b.name)
	}
}

// lookup returns a bucket that has a record, or that may have one now because it
// was met for the first time. NoSuchBucket, SlowDown, and OperationAborted for
// one that must not be touched.
func (bs *buckets) lookup(ctx context.Context, name string) (*bucket, error) {
	bs.mu.Lock()
	b := bs.known[name]
	since, missing := bs.absent[name]
	bs.mu.Unlock()
	if b != nil {
		if bs.set.o.Exclusive {
			return b, nil
		}
		if err := bs.reload(ctx, b); err != nil {
			return b, err
		}
		bs.welcome(ctx, b)
		return b, nil
	}
	if missing && bs.set.o.Boot()-since < absentFor && bs.set.o.Exclusive {
		return nil, s3.Err(s3.NoSuchBucket)
	}
	unlock, err := bs.set.locks.lock(ctx, object.Key{Bucket: name}) // no object has an empty key
	if err != nil {
		return nil, unavailable(err)
	}
	defer unlock()
	at := bs.clock.Add(1)
	doc, err := bs.set.o.Log.Doc(ctx, oplog.DocBucket, name)
	switch {
	case err == nil:
		if b, err = bs.learn(doc, at); err != nil {
			return nil, err
		}
		bs.examineAll(ctx, b)
		return b, nil
	case !errors.Is(err, oplog.ErrNoRow):
		bs.set.logFailed("read", err)
		return nil, unavailable(err)
	case missing && bs.set.o.Boot()-since < absentFor: // another node might have made it
		return nil, s3.Err(s3.NoSuchBucket)
	}
	b, err = bs.meet(ctx, name)
	if errors.Is(err, s3.NoSuchBucket) {
		bs.mu.Lock()
		if len(bs.absent) > 10000 {
			clear(bs.absent) // whoever asks for so many names may as well wait for each
		}
		bs.absent[name] = bs.set.o.Boot()
		bs.mu.Unlock()
	}
	return b, err
}

// welcome looks at replicas of a bucket at which this node has not looked, because they
// joined it since or because somebody else meets it just now, so that the first write that
// needs them finds them known.
func (bs *buckets) welcome(ctx context.Context, b *bucket) {
	if len(b.unmet()) == 0 {
		return
	}
	unlock, err := bs.set.locks.lock(ctx, object.Key{Bucket: b.name}) // one at a time looks
	if err != nil {
		return
	}
	defer unlock()
	ctx, cancel := context.WithTimeout(ctx, contactTimeout)
	defer cancel()
	bs.each(b.unmet(), func(replica string) { bs.examine(ctx, b, replica) })
}

// readable returns a bucket whose objects may be read.
func (bs *buckets) readable(ctx context.Context, name string) (*bucket, error) {
	if err := bs.set.nodes.fault(); err != nil {
		return nil, err
	}
	return shown(bs.lookup(ctx, name))
}

// legible is readable for the reads of one object.
func (bs *buckets) legible(ctx context.Context, name string) (*bucket, error) {
	if err := bs.set.nodes.fault(); err != nil {
		return nil, err
	}
	return shown(bs.glanced(ctx, name))
}

// shown hides a bucket that is not there yet.
func shown(b *bucket, err error) (*bucket, error) {
	if err == nil && b.record().State == commit.BucketCreating {
		err = s3.Err(s3.NoSuchBucket)
	}
	if err != nil {
		return nil, err
	}
	return b, nil
}

// writable returns a bucket that takes intents, and counts the caller in until
// over is called: a deletion waits for it.
func (bs *buckets) writable(ctx context.Context, name string) (b *bucket, over func(), err error) {
	b, err = bs.lookup(ctx, name)
	return bs.counted(b, err)
}

// writableSoon is writable for who calls admits before its intent.
func (bs *buckets) writableSoon(ctx context.Context, name string) (b *bucket, over func(), err error) {
	b, err = bs.glanced(ctx, name)
	return bs.counted(b, err)
}

// counted counts a caller in.
func (bs *buckets) counted(b *bucket, err error) (*bucket, func(), error) {
	if err != nil {
		return nil, nil, err
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if err := admits(&b.rec); err != nil {
		return nil, nil, err
	}
	b.writers++
	return b, b.leave, nil
}

func admits(rec *record) error {
	if code := rec.Admits(); code != "" {
		return s3.Err(s3.Code(code))
	}
	return nil
}

// admits looks once more, right before an intent, whether the bucket takes it.
func (bs *buckets) admits(ctx context.Context, b *bucket) error {
	if !bs.set.o.Exclusive && !b.younger(admitFresh) {
		if err := bs.reload(ctx, b); err != nil {
			return err
		}
	}
	rec := b.record()
	return admits(&rec)
}

// trusted tells whether a replica of the bucket is known to be the right one;
// else why not. When its backend was away since the last look another one is
// begun.
func (bs *buckets) trusted(b *bucket, replica string) error {
	seat := bs.set.seat(replica)
	if seat == nil {
		return notConfigured(replica)
	}
	if bs.set.Paused(replica) {
		return errPaused(replica)
	}
	health := seat.stack.Breaker.Health()
	b.mu.Lock()
	defer b.mu.Unlock()
	p := b.presence[replica]
	if p.right && p.opens == health.Opens && p.seat == seat && p.pauses == seat.pauses.Load() {
		return nil
	}
	if !p.checking && health.State != backend.Down {
		if over, err := bs.set.enter(); err == nil {
			p.checking = true
			b.presence[replica] = p
			go func() {
				defer over()
				ctx, cancel := context.WithTimeout(bs.set.base, contactTimeout)
				defer cancel()
				bs.examine(ctx, b, replica)
			}()
		}
	}
	if p.reason != nil {
		return p.reason
	}
	return fmt.Errorf("bucket %s on backend %s was not looked at since the backend was away", b.name, replica)
}

package replica

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/s3mirror/s3mirror/internal/backend"
	"github.com/s3mirror/s3mirror/internal/commit"
	"github.com/s3mirror/s3mirror/internal/object"
	"github.com/s3mirror/s3mirror/internal/oplog"
	"github.com/s3mirror/s3mirror/internal/s3"
)

// Version is what stands under a key.
type Version struct {
	object.Info
	Replica string // which answered; empty when the log did
	Status  string // for x-amz-replication-status: COMPLETED, PENDING or FAILED

	Stale bool // the log is away, and this is what a replica shows: Options.StaleReads

	TagCount int // how many tags it has: as the log says, or the replica that answered, if it does

	// ClassTold: the servers of this bucket say STANDARD of an object without another
	// storage class.
	ClassTold bool
}

// What x-amz-replication-status says.
const (
	StatusCompleted = "COMPLETED" // every replica holds the version, or the key is quiet
	StatusPending   = "PENDING"   // some replica will get it
	StatusFailed    = "FAILED"    // some replica refuses to hold it
)

// statusOf reads the state of replication off a row; nil is a quiet key.
func statusOf(row *oplog.Row, replicas, wiped object.Replicas) string {
	switch {
	case row == nil && len(wiped) > 0:
		return StatusPending // that they lack the key may be known to nobody yet
	case row == nil || row.Good.Covers(replicas):
		return StatusCompleted
	}
	for _, f := range row.Refused {
		if !row.Good.Has(f.Replica) {
			return StatusFailed
		}
	}
	return StatusPending
}

// read is one commit.Read under way, driven by the goroutine that wants to know.
type read struct {
	*process
	client context.Context // of the bodies that outlive the machine
	how    question
	open   map[string]*backend.Object // answers whose body is open
	counts map[string]int             // of tags, as replicas told them
	last   commit.Showed              // what was answered last
	passed []commit.Showed            // answers that another replica was asked after
	served *commit.Serve
	absent bool
	stale  bool // the log was not asked
}

// question asks one replica.
type question func(ctx context.Context, at place) (object.Seen, *backend.Object, error)

// look runs a read to its verdict. how asks one replica; an *Object that it
// returns is closed, but for the one that is served. The error is NoSuchKey or
// SlowDown.
func (s *Set) look(ctx context.Context, b *bucket, key object.Key, head bool, how question) (*read, error) {
	return s.lookIn(ctx, b, b.config(), commit.Look{Order: s.order(b), HeadOnly: head, Hedge: true}, key, how)
}

// lookIn is look with a configuration and an order of the caller's. A read that is outrun begins
// anew for as long as readPatience, unless it is shown the same again: then nothing moves.
func (s *Set) lookIn(ctx context.Context, b *bucket, cfg commit.Config, first commit.Look, key object.Key, how question) (*read, error) {
	var before *read
	for began := s.o.Boot(); ; {
		r := s.lookOnce(ctx, b, cfg, first, key, how)
		still := before != nil && r.last.Seen.ID == before.last.Seen.ID
		before = r
		switch {
		case r.served != nil:
			return r, nil
		case r.absent:
			return nil, s3.Err(s3.NoSuchKey)
		case !r.outrun() || still || ctx.Err() != nil || s.o.Boot()-began >= readPatience:
			return nil, unavailable(errors.New("no replica that is up can answer for the current version"))
		}
	}
}

// readPatience is how long a read begins anew whose key is written faster than it is read: by
// several nodes on a shared log, say, of which each look takes its time.
const readPatience = 5 * time.Second

// lookOnce plays one read.
func (s *Set) lookOnce(ctx context.Context, b *bucket, cfg commit.Config, first commit.Look, key object.Key, how question) *read {
	r := &read{client: ctx, how: how, open: map[string]*backend.Object{}}
	r.process = s.newProcess(ctx, b, key, commit.NewRead(cfg))
	r.other = r.carryOut
	r.run(first)
	if r.served == nil || r.served.Replica == "" {
		r.drop("")
	} else {
		r.drop(r.served.Replica)
	}
	if r.restless() {
		s.unquiet(key)
	}
	if r.contradicted() {
		s.suspects.add(key)
	}
	return r
}

// outrun tells whether the replica that was asked last answered, and yet nothing could be served:
// its key moved between the looks at the log and at the replica, or the replica is wrong.
func (r *read) outrun() bool { return r.last.Replica != "" && !r.last.Failed }

func (r *read) carryOut(e commit.Effect) {
	switch e := e.(type) {
	case commit.Get:
		if r.last.Replica != "" && !r.last.Failed {
			r.passed = append(r.passed, r.last)
		}
		r.calls = append(r.calls, func() commit.Event {
			if e.Or == "" {
				return r.counted(r.ask(e.Replica))
			}
			return r.counted(r.askEither(e.Replica, e.Or))
		})
	case commit.Drop:
		r.close(e.Replica)
	case commit.Serve:
		r.served = &e
	case commit.Absent:
		r.absent = true
	case commit.Unavailable:
	default:
		panic(fmt.Sprintf("replica: effect %T of a read", e))
	}
}

// counted keeps an answer, and what it says of the number of tags.
func (r *read) counted(ev commit.Event) commit.Event {
	s, ok := ev.(commit.Showed)
	if !ok {
		return ev
	}
	r.last = s
	if s.Seen.TagCount > 0 {
		if r.counts == nil { // most have none
			r.counts = map[string]int{}
		}
		r.counts[s.Replica] = s.Seen.TagCount
	}
	return ev
}

// contradicted tells whether a replica that was passed by does not hold what the row says.
func (r *read) contradicted() bool {
	if r.served == nil || r.served.Row == nil {
		return false
	}
	for _, p := range r.passed {
		if commit.Contradicts(r.served.Row, p.Replica, p.Seen) {
			return true
		}
	}
	return false
}

// ask asks a replica and keeps the body of its answer open.
func (r *read) ask(replica string) commit.Event {
	ev, obj := r.question(r.client, replica)
	r.keep(replica, obj)
	return ev
}

func (r *read) keep(replica string, obj *backend.Object) {
	if obj != nil {
		r.close(replica)
		r.open[replica] = obj
	}
}

func (r *read) close(replica string) {
	if obj := r.open[replica]; obj != nil {
		obj.Body.Close()
		delete(r.open, replica)
	}
}

// drop closes every body but that of one replica.
func (r *read) drop(keep string) {
	for replica := range r.open {
		if replica != keep {
			r.close(replica)
		}
	}
}

// version is what the read found.
func (r *read) version() Version {
	v := Version{
		Info: r.served.Info, Replica: r.served.Replica,
		Stale:    r.stale,
		TagCount: r.counts[r.served.Replica],
	}
	v.ClassTold = r.set.qualities.tellsClass(r.b.config().Replicas)
	if !r.stale {
		rec := r.b.record()
		v.Status = statusOf(r.served.Row, rec.Replicas, rec.Wiped)
	}
	if row := r.served.Row; row != nil && row.Tagged {
		v.TagCount = len(row.Cur.Tags)
	}
	return v
}

// Head tells what stands under a key. NoSuchKey, NoSuchBucket, SlowDown.
func (s *Set) Head(ctx context.Context, key object.Key) (Version, error) {
	return s.head(ctx, key, false)
}

func (s *Set) head(ctx context.Context, key object.Key, mayBeStale bool) (Version, error) {
	b, err := s.buckets.legible(ctx, key.Bucket)
	if mayBeStale {
		b, err = s.buckets.lastKnown(key.Bucket, b, err)
	}
	if err != nil {
		return Version{}, err
	}
	v, err := s.headFor(ctx, b, key, mayBeStale)
	s.metrics.read("head", err)
	return v, err
}

// headFor is Head, or Peek, for whoever asks; errors as theirs.
func (s *Set) headFor(ctx context.Context, b *bucket, key object.Key, mayBeStale bool) (Version, error) {
	how := func(ctx context.Context, at place) (object.Seen, *backend.Object, error) {
		seen, err := at.head(ctx, key.Name)
		return seen, nil, err
	}
	r, err := s.look(ctx, b, key, true, how)
	if mayBeStale && isUnavailable(err) && s.Away() {
		r, err = s.lookStale(ctx, b, key, how)
	}
	if err != nil {
		return Version{}, err
	}
	return r.version(), nil
}

// GetRequest is one GetObject.
type GetRequest struct {
	Key   object.Key
	Range string // the raw Range header; empty: whole

	// Check judges the client's conditions against the version, before any byte
	// of the body is given; its error is returned as it is. nil: none.
	Check func(object.Info) error
	// RangeApplies judges If-Range: false sends the whole object. nil: true.
	RangeApplies func(object.Info) bool

	// MayBeStale: something old will do while the log is away (Options.StaleReads). The
	// answer is Stale then, or a NoSuchKey that is ErrStale.
	MayBeStale bool
}

// Object is an open object. The caller closes Body; the context of Get governs
// it until then.
type Object struct {
	Version
	Range s3.Range

	// Body gives exactly Range.Length bytes and then io.EOF. When the replica
	// dies it goes on with another one at the same byte, of the same version;
	// when there is none it returns an error: a short end is never clean. It
	// implements io.WriterTo.
	Body io.ReadCloser
}

// Get opens an object. NoSuchKey, NoSuchBucket, SlowDown, InvalidRange, and what
// r.Check returns.
func (s *Set) Get(ctx context.Context, r GetRequest) (*Object, error) {
	b, err := s.buckets.legible(ctx, r.Key.Bucket)
	if r.MayBeStale {
		b, err = s.buckets.lastKnown(r.Key.Bucket, b, err)
	}
	if err != nil {
		return nil, err
	}
	obj, err := s.get(ctx, b, r)
	s.metrics.read("get", err)
	return obj, err
}

func (s *Set) get(ctx context.Context, b *bucket, r GetRequest) (*Object, error) {
	want, known := wanted(r.Range)
	how := func(ctx context.Context, at place) (object.Seen, *backend.Object, error) {
		return open(ctx, at, r.Key.Name, want, known)
	}
	found, err := s.look(ctx, b, r.Key, false, how)
	if r.MayBeStale && isUnavailable(err) && s.Away() {
		found, err = s.lookStale(ctx, b, r.Key, how)
	}
	if err != nil {
		return nil, err
	}
	o := &Object{Version: found.version()}
	first := found.open[found.served.Replica] // nil when only a HEAD was asked
	if o.Range, err = r.part(o.Info); err != nil {
		found.drop("")
		return nil, err
	}
	body := newContinued(ctx, s, found, o.Range)
	o.Body = body
	if err := body.begin(first); err != nil {
		return nil, unavailable(err)
	}
	o.Replica = body.by
	return o, nil
}

// part is the range to be sent, once the client's conditions hold.
func (r GetRequest) part(info object.Info) (s3.Range, error) {
	if r.Check != nil {
		if err := r.Check(info); err != nil {
			return s3.Range{}, err
		}
	}
	header := r.Range
	if r.RangeApplies != nil && !r.RangeApplies(info) {
		header = ""
	}
	return s3.ParseRange(header, info.Size)
}

// wanted is what may be asked of a replica before the size is known; a suffix
// can not be, nor can what ParseRange would take for the whole.
func wanted(header string) (o backend.GetOptions, known bool) {
	const far = int64(1) << 62
	part, err := s3.ParseRange(header, far)
	switch {
	case err != nil || part.Partial && part.Offset > far/2: // a suffix
		return o, false
	case !part.Partial:
		o.Checksums = true
		return o, true
	}
	o.Offset = part.Offset
	if part.Offset+part.Length < far {
		o.Length = part.Length
	}
	return o, true
}

// open asks a replica for an object: by GET, or by HEAD when the range depends
// on the size. A range that does not fit is answered by HEAD too, so that its
// version can be judged.
func open(ctx context.Context, at place, key string, o backend.GetOptions, known bool) (object.Seen, *backend.Object, error) {
	if known {
		obj, err := at.get(ctx, key, o)
		if err == nil {
			return obj.Seen, obj, nil
		}
		if !errors.Is(err, s3.InvalidRange) {
			return object.Seen{}, nil, err
		}
	}
	seen, err := at.head(ctx, key)
	return seen, nil, err
}

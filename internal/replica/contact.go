package replica

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/s3mirror/s3mirror/internal/backend"
	"github.com/s3mirror/s3mirror/internal/commit"
	"github.com/s3mirror/s3mirror/internal/object"
	"github.com/s3mirror/s3mirror/internal/oplog"
	"github.com/s3mirror/s3mirror/internal/s3"
)

// finding is what a look at a bucket on one backend found.
type finding uint8

const (
	unreachable finding = iota
	missing             // no bucket
	empty               // a bucket without an identity that counts, and without objects
	full                // the same with objects
	ours                // a bucket with the identity that was expected
	foreign             // a bucket of another deployment, or another replica of this one
	taken               // another bucket of this deployment, which has that name there
)

// survey looks at a bucket on one backend, for the identity that it should have
// there. An identity of an earlier bucket of the name counts as none. err says
// why a backend is unreachable.
func (bs *buckets) survey(ctx context.Context, real string, want Identity) (finding, error) {
	e := bs.set.stack(want.Backend)
	if e == nil {
		return unreachable, notConfigured(want.Backend)
	}
	if bs.set.Paused(want.Backend) {
		return unreachable, errPaused(want.Backend)
	}
	if err := e.HeadBucket(ctx, real); backend.IsAbsent(err) {
		return missing, nil
	} else if err != nil {
		return unreachable, err
	}
	id, there, err := ReadIdentity(ctx, e, real)
	switch {
	case err != nil:
		return unreachable, err
	case !there:
		return emptiness(ctx, e, real)
	case id == want:
		return ours, nil
	case id.Deployment != want.Deployment, id.Backend != want.Backend:
		return foreign, nil
	case id.Bucket != want.Bucket:
		return taken, nil
	}
	return emptiness(ctx, e, real)
}

// emptiness tells empty from full. Objects of our own do not count.
func emptiness(ctx context.Context, e backend.Endpoint, real string) (finding, error) {
	for after := ""; ; {
		page, err := e.List(ctx, real, backend.ListRequest{After: after, Max: 10})
		if err != nil {
			return unreachable, err
		}
		for _, entry := range page.Entries {
			if !strings.HasPrefix(entry.Key, object.ReservedPrefix) {
				return full, nil
			}
		}
		if after = page.Next; after == "" {
			return empty, nil
		}
	}
}

// errFull, errForeign: what an operator must decide.
func errFull(bucket, replica string) error {
	return fmt.Errorf("bucket %s on backend %s holds objects that are not under management: s3mirror adopt %s compares its replicas and makes them equal; buckets.%s.assume_equal takes your word that they are", bucket, replica, bucket, bucket)
}

func errForeign(bucket, replica string) error {
	return fmt.Errorf("bucket %s on backend %s carries the identity of another deployment, or of a log that is lost: check the configuration; never let two deployments share a bucket, and make a log that is lost anew by `s3mirror rebuild`", bucket, replica)
}

// errTaken: a name that another bucket of ours has on a backend, which no client knows of.
var errTaken = errors.New("another bucket of this deployment has this name on a backend, by buckets.NAME.names of the configuration")

// meet is the first contact with a name that has no record (RELIABILITY 4.6).
// A bucket that stands on some backend is taken over when every replica of it is
// empty, or the operator vouches for them. The caller holds the name's lock.
func (bs *buckets) meet(ctx context.Context, name string) (*bucket, error) {
	found, reachable, refusal := bs.surveyAll(ctx, name, bs.policy(name))
	switch {
	case errors.Is(refusal, errTaken):
		return nil, s3.Err(s3.NoSuchBucket)
	case refusal != nil:
		return nil, s3.Errorf(s3.OperationAborted, "This bucket is not under management yet; the log of the gateway says what to do.").Because(refusal)
	case found == 0 && reachable == 0:
		return nil, unavailable(fmt.Errorf("no backend can say whether bucket %s exists", name))
	case found == 0:
		return nil, s3.Err(s3.NoSuchBucket)
	}
	b, err := bs.create(ctx, name, nil)
	if err != nil {
		return nil, err
	}
	bs.set.o.Logger.InfoContext(ctx, "bucket was found and is replicated from now on", "bucket", name)
	if b.record().State != commit.BucketActive {
		return b, unavailable(errors.New("too few backends have the bucket yet"))
	}
	return b, nil
}

// surveyAll looks at a name on every backend of a policy: how many have it, how
// many could say, and why it must not be touched.
func (bs *buckets) surveyAll(ctx context.Context, name string, policy Policy) (found, reachable int, refusal error) {
	ctx, cancel := context.WithTimeout(ctx, contactTimeout)
	defer cancel()
	if bs.named(name, policy) {
		return 0, 0, errTaken
	}
	var mu sync.Mutex // guards the results
	bs.each(policy.Replicas, func(replica string) {
		f, err := bs.survey(ctx, policy.realName(replica, name), Identity{Deployment: bs.deployment, Bucket: name, Backend: replica})
		mu.Lock()
		defer mu.Unlock()
		if f == unreachable {
			bs.set.o.Logger.DebugContext(ctx, "backend can not say whether a bucket exists", "bucket", name, "backend", replica, "error", err)
			return
		}
		reachable++
		if f == missing {
			return
		}
		found++
		switch {
		case f == foreign:
			refusal = errForeign(name, replica)
		case f == taken && refusal == nil:
			refusal = errTaken
		case f == full && !policy.AssumeEqual:
			refusal = errFull(name, replica)
		}
	})
	if refusal != nil && !errors.Is(refusal, errTaken) {
		bs.set.o.Logger.ErrorContext(ctx, "bucket is refused", "bucket", name, "reason", refusal)
	}
	return found, reachable, refusal
}

// named tells whether the configuration gives the name of a bucket, on a backend of it, to
// another bucket: that one need not stand yet, nor its backend answer.
func (bs *buckets) named(name string, policy Policy) bool {
	for other, p := range bs.set.o.Buckets {
		for _, replica := range policy.Replicas {
			if other != name && p.Replicas.Has(replica) && p.realName(replica, other) == policy.realName(replica, name) {
				return true
			}
		}
	}
	return false
}

// realName is a bucket's name on a backend.
func (p Policy) realName(replica, bucket string) string {
	if name, ok := p.Names[replica]; ok {
		return name
	}
	return bucket
}

func (bs *buckets) each(replicas object.Replicas, do func(replica string)) {
	var wg sync.WaitGroup
	for _, r := range replicas {
		wg.Go(func() { do(r) })
	}
	wg.Wait()
}

// create writes the record of a new bucket and makes it on every backend that is
// up. It is active when the ack rule holds. The caller holds the name's lock.
func (bs *buckets) create(ctx context.Context, name string, at *Placement, settings ...Setting) (*bucket, error) {
	return bs.createAs(ctx, name, func(rec *record) error {
		if at != nil {
			rec.Replicas, rec.Names, rec.Assume = at.Replicas, at.Names, at.AssumeEqual
		}
		for _, setting := range settings {
			if err := rec.set(setting.Name, &setting.Document); err != nil {
				return err
			}
		}
		return nil
	})
}

// createAs is create with an edit of the record before it is written.
func (bs *buckets) createAs(ctx context.Context, name string, edit func(*record) error) (*bucket, error) {
	policy := bs.policy(name)
	now := bs.set.now()
	rec := record{BucketRecord: commit.BucketRecord{
		State: commit.BucketCreating, Generation: object.NewID().String(), Created: now.Wall.UTC().Truncate(time.Millisecond),
		Replicas: policy.Replicas, Names: policy.Names, Epoch: 1, Since: now.Wall,
	}}
	if err := edit(&rec); err != nil {
		return nil, err
	}
	epoch, err := bs.store(ctx, name, oplog.Epoch{}, &rec)
	switch {
	case errors.Is(err, oplog.ErrConflict):
		return nil, s3.Err(s3.OperationAborted)
	case err != nil:
		return nil, unavailable(err)
	}
	b := bs.make(name, rec, epoch)
	bs.mu.Lock()
	bs.known[name] = b
	delete(bs.absent, name)
	bs.mu.Unlock()
	return b, bs.advance(ctx, b)
}

// advance makes a bucket that is being created where it is missing, and asks
// commit whether that is enough.
func (bs *buckets) advance(ctx context.Context, b *bucket) error {
	bs.examineAll(ctx, b)
	err := b.amend(ctx, func(rec *record) {
		rec.BucketRecord = commit.NextCreate(rec.BucketRecord, rec.Made, b.config().AckRule(), bs.set.now())
	})
	if err != nil {
		return unavailable(err)
	}
	return nil
}

// examineAll looks at every replica of a bucket that is up.
func (bs *buckets) examineAll(ctx context.Context, b *bucket) {
	ctx, cancel := context.WithTimeout(ctx, contactTimeout)
	defer cancel()
	bs.each(b.record().Replicas.Filter(bs.set.Up), func(replica string) { bs.examine(ctx, b, replica) })
}

// examine looks at one replica of a bucket and makes it right where that is safe:
// a bucket that was never made there is made, one that was lost is made again and
// marked as wiped; one that is somebody else's is left alone.
func (bs *buckets) examine(ctx context.Context, b *bucket, replica string) {
	opens, pauses := uint64(0), uint64(0)
	seat := bs.set.seat(replica)
	if seat != nil { // before the look: what happens meanwhile asks for another one
		opens, pauses = seat.stack.Breaker.Health().Opens, seat.pauses.Load()
	}
	err := bs.settle(ctx, b, replica)
	b.mu.Lock()
	p := b.presence[replica]
	changed := p.right != (err == nil) || err != nil && (p.reason == nil || p.reason.Error() != err.Error())
	b.presence[replica] = presence{right: err == nil, seat: seat, opens: opens, pauses: pauses, reason: err, looked: bs.set.o.Boot()}
	b.mu.Unlock()
	if err != nil && changed && ctx.Err() == nil {
		bs.set.o.Logger.WarnContext(ctx, "replica of a bucket can not be used", "bucket", b.name, "backend", replica, "reason", err)
	}
}

func (bs *buckets) settle(ctx context.Context, b *bucket, replica string) error {
	rec := b.record()
	real := b.realName(replica)
	f, err := bs.survey(ctx, real, bs.identityOf(b, replica))
	switch {
	case f == unreachable:
		return err
	case f == ours:
		if err := bs.set.qualify(ctx, replica, real); err != nil {
			return err
		}
		return b.made(ctx, replica, false)
	case f == foreign:
		return errForeign(b.name, replica)
	case f == taken:
		return errTaken
	case f == full && !b.policy.AssumeEqual && !rec.Assume && !rec.Vouched && rec.Adopting == "":
		return errFull(b.name, replica)
	case f == missing:
		stack := bs.set.stack(replica)
		if stack == nil {
			return notConfigured(replica)
		}
		if err := stack.CreateBucket(ctx, real); err != nil {
			return fmt.Errorf("bucket %s is missing on backend %s and can not be made there: %w", b.name, replica, err)
		}
	}
	wiped := f != full && rec.Made.Has(replica)
	if wiped {
		// The mark comes first: a bucket that looks right and is empty must never serve.
		if err := b.made(ctx, replica, true); err != nil {
			return err
		}
		bs.set.alarm(object.Key{Bucket: b.name}, "bucket was lost on backend "+replica+"; it was made again and is filled before it serves reads")
	}
	if err := bs.mark(ctx, bs.identityOf(b, replica), real); err != nil {
		return err
	}
	if err := bs.set.qualify(ctx, replica, real); err != nil {
		return err
	}
	return b.made(ctx, replica, wiped)
}

// identityOf is what a replica of the bucket must carry.
func (bs *buckets) identityOf(b *bucket, replica string) Identity {
	return Identity{bs.deployment, b.name, b.record().Generation, replica}
}

// mark writes an identity.
func (bs *buckets) mark(ctx context.Context, id Identity, real string) error {
	text, err := json.Marshal(id)
	if err != nil {
		return err
	}
	body, framing := backend.FromBytes(text)
	stack := bs.set.stack(id.Backend)
	if stack == nil {
		return notConfigured(id.Backend)
	}
	_, err = stack.Put(ctx, backend.PutRequest{
		Bucket: real, Key: identityKey, Headers: object.Headers{"content-type": "application/json"},
		Size: int64(len(text)), Body: body, Framing: framing,
	})
	return err
}

// made records that a replica has the bucket, and whether it lost it before: again, if it was
// being filled.
func (b *bucket) made(ctx context.Context, replica string, wiped bool) error {
	if rec := b.record(); rec.Made.Has(replica) && !wiped {
		return nil
	}
	return b.amend(ctx, func(rec *record) {
		rec.Made = rec.Made.With(replica)
		if wiped {
			rec.lose(object.NewReplicas(replica))
		}
	})
}

// greet looks at every known bucket, at the start.
func (bs *buckets) greet(ctx context.Context) {
	bs.mu.Lock()
	var all []*bucket
	for _, b := range bs.known {
		all = append(all, b)
	}
	bs.mu.Unlock()
	ctx, cancel := context.WithTimeout(ctx, contactTimeout)
	defer cancel()
	const atOnce = 16
	room := make(chan struct{}, atOnce)
	var wg sync.WaitGroup
	for _, b := range all {
		if rec := b.record(); !rec.Replicas.Equal(b.policy.Replicas) {
			bs.set.o.Logger.WarnContext(ctx, "bucket keeps the replica set that it was made with: the configuration is for buckets that are made later",
				"bucket", b.name, "has", rec.Replicas, "configured", b.policy.Replicas)
		}
		room <- struct{}{}
		wg.Go(func() {
			defer func() { <-room }()
			bs.examineAll(ctx, b)
		})
	}
	wg.Wait()
}

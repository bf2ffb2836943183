package replica

import (
	"context"
	"fmt"
	"maps"
	"strings"

	"github.com/s3mirror/s3mirror/internal/commit"
	"github.com/s3mirror/s3mirror/internal/object"
	"github.com/s3mirror/s3mirror/internal/s3"
)

// SetReplicas has backends join the replica set of a bucket that stands: those of p that
// are not in it yet (docs/decisions/0047). Each takes writes at once; reads and lists pass it
// by until a resync, which begins by itself, has given every key that it lacks a row. Until
// then the ack rule does not count it either.
//
// The bucket is made on it, marked and probed before anything is written down, so that what
// speaks against it is said here. Where objects stand on it already p.AssumeEqual vouches
// that those which look the same are the same; the others are made so, or go.
//
// ErrUnfitting: a backend is left out, has another name than it has, is unknown, is being removed,
// holds objects or is another deployment's. NoSuchBucket, OperationAborted; SlowDown where
// one that joins does not answer.
func (s *Set) SetReplicas(ctx context.Context, bucket string, p Placement) error {
	leave, err := s.enter()
	if err != nil {
		return err
	}
	defer leave()
	s.placing.RLock()
	defer s.placing.RUnlock()
	joining, err := s.admitReplicas(ctx, bucket, p)
	if err != nil || len(joining) == 0 {
		return err
	}
	s.o.Logger.InfoContext(ctx, "backends join the replica set of a bucket, and are filled", "bucket", bucket, "backends", joining)
	if !s.o.Exclusive {
		pauseFor(ctx, recordFresh) // by then every node reads the record again
	}
	return nil
}

// admitReplicas is SetReplicas, and tells who is new.
func (s *Set) admitReplicas(ctx context.Context, bucket string, p Placement) (joining object.Replicas, err error) {
	unlock, err := s.locks.lock(ctx, object.Key{Bucket: bucket}) // no object has an empty key
	if err != nil {
		return nil, unavailable(err)
	}
	defer unlock()
	b, err := s.buckets.recorded(ctx, bucket)
	if err != nil {
		return nil, err
	}
	was := b.record()
	next, joining, err := was.joined(bucket, p)
	if err != nil || len(joining) == 0 {
		return nil, err
	}
	if err := s.fits(ctx, bucket, Placement{Replicas: joining, Names: next.Names}); err != nil {
		return nil, err
	}
	if err := s.writableUnder(bucket, &next, next.Ack); err != nil {
		return nil, err
	}
	for _, replica := range joining {
		if err := s.buckets.prepare(ctx, b, replica, (Policy{Names: next.Names}).realName(replica, bucket), p.AssumeEqual); err != nil {
			return nil, err
		}
	}
	steady, cancel := s.steady(ctx)
	defer cancel()
	var refusal error
	err = b.amend(steady, func(rec *record) {
		var now record
		if now, joining, refusal = rec.joined(bucket, p); refusal == nil {
			*rec = now
		}
	})
	switch {
	case refusal != nil:
		return nil, refusal
	case err != nil:
		return nil, unavailable(err)
	}
	s.buckets.examineAll(ctx, b)
	return joining, nil
}

// joined is the record with the backends of a placement in the set, and which of them are
// new. The record is not changed.
func (rec *record) joined(bucket string, p Placement) (next record, joining object.Replicas, err error) {
	next, joining = *rec, p.Replicas.Minus(rec.Replicas)
	switch {
	case rec.State == commit.BucketCreating:
		return next, nil, s3.Err(s3.NoSuchBucket)
	case rec.State != commit.BucketActive:
		return next, nil, s3.Err(s3.OperationAborted)
	case rec.Adopting != "" && len(joining) > 0:
		return next, nil, unfitting("bucket %s is being adopted: wait until that is over", bucket)
	}
	if left := rec.Replicas.Minus(p.Replicas); len(left) > 0 {
		return next, nil, unfitting("bucket %s is on %s, and the replica set that is asked for leaves out %s: backends can join a bucket that stands; none can leave it yet",
			bucket, strings.Join(rec.Replicas, ", "), strings.Join(left, ", "))
	}
	next.Names = maps.Clone(rec.Names)
	for replica, name := range p.Names {
		switch had := (Policy{Names: rec.Names}).realName(replica, bucket); {
		case joining.Has(replica):
			next.Names = withEntry(next.Names, replica, name)
		case name != had:
			return next, nil, unfitting("bucket %s is %s on backend %s: another name there is another bucket", bucket, had, replica)
		}
	}
	if len(joining) > 0 {
		next.Replicas, next.Made = rec.Replicas.Or(joining), rec.Made.Or(joining)
		next.Resyncing, next.Joining = rec.Resyncing.Or(joining), rec.Joining.Or(joining)
		next.lose(joining)
	}
	return next, joining, nil
}

// prepare makes a bucket on a backend that is to join its replica set.
func (bs *buckets) prepare(ctx context.Context, b *bucket, replica, real string, assume bool) error {
	want := bs.identityOf(b, replica)
	f, err := bs.survey(ctx, real, want)
	if f == ours { // it was asked for before, or the backend was in the set once: what stands there may be old
		f, err = emptiness(ctx, bs.set.stack(replica), real)
	}
	switch f {
	case unreachable:
		return unavailable(fmt.Errorf("bucket %s on backend %s: %w", real, replica, err))
	case foreign:
		return unfitting("%v", errForeign(b.name, replica))
	case taken:
		return unfitting("backend %s: %v", replica, errTaken)
	case full:
		if !assume {
			return unfitting("bucket %s on backend %s holds objects: empty it first; or assume_equal vouches that what looks the same there is the same, and what does not is replaced or deleted", real, replica)
		}
	case missing:
		if err := bs.set.stack(replica).CreateBucket(ctx, real); err != nil {
			return unfitting("bucket %s cannot be made on backend %s: %v", real, replica, err)
		}
	case empty, ours:
	}
	if err := bs.mark(ctx, want, real); err != nil {
		return unavailable(fmt.Errorf("bucket %s on backend %s: %w", real, replica, err))
	}
	if err := bs.set.qualify(ctx, replica, real); err != nil {
		return unfitting("backend %s: %v", replica, err)
	}
	return nil
}

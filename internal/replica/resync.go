package replica

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/s3mirror/s3mirror/internal/commit"
	"github.com/s3mirror/s3mirror/internal/object"
	"github.com/s3mirror/s3mirror/internal/s3"
)

// Refill is a replica of a bucket that reads pass by until it was compared with the others.
type Refill struct {
	Bucket, Backend string
	// Joins: it was no replica before: what it alone holds is taken away.
	Joins bool
	// Behind: it missed more than the log kept rows for, and may hold what was deleted, which is
	// taken away too. One that is neither was lost, and what it holds counts.
	Behind bool
}

// Refills are those whose backend answers and holds the right bucket, in order.
func (s *Set) Refills() (out []Refill) {
	for _, b := range s.buckets.all() {
		rec := b.record()
		if rec.State != commit.BucketActive || rec.Adopting != "" {
			continue
		}
		targets := b.config().Targets()
		for _, r := range rec.Wiped.Minus(rec.Resyncing).Or(rec.Joining) {
			behind := rec.away().Has(r)
			if s.Up(r) && s.buckets.trusted(b, r) == nil && (!behind || targets.Has(r)) {
				out = append(out, Refill{Bucket: b.name, Backend: r, Joins: rec.Joining.Has(r), Behind: behind})
			}
		}
	}
	slices.SortFunc(out, func(a, b Refill) int {
		return slices.Compare([]string{a.Bucket, a.Backend}, []string{b.Bucket, b.Backend})
	})
	return out
}

// Buckets that live on a backend; of all backends when none is named. They are those
// that this node knows, in order.
func (s *Set) BucketsOn(backend string) (names []string) {
	for _, b := range s.buckets.all() {
		if rec := b.record(); rec.State == commit.BucketActive && (backend == "" || rec.Replicas.Has(backend)) {
			names = append(names, b.name)
		}
	}
	slices.Sort(names)
	return names
}

// Withdraw makes reads of a bucket pass a replica by, until Restore: it takes writes, and
// no key's row goes before the replica has what it says (R28). Of a bucket that is being
// adopted, and of the last replica that is read, ErrUnfitting.
func (s *Set) Withdraw(ctx context.Context, bucket, backend string) error {
	b, err := s.buckets.readable(ctx, bucket)
	if err != nil {
		return err
	}
	rec := b.record()
	switch {
	case !rec.Replicas.Has(backend):
		return unfitting("bucket %s has no replica on backend %s", bucket, backend)
	case rec.Adopting != "":
		return unfitting("bucket %s is being adopted: s3mirror adopt %s goes on with it", bucket, bucket)
	case len(rec.Replicas.Minus(rec.Wiped).Without(backend)) == 0:
		return unfitting("backend %s is the only one that bucket %s is read from", backend, bucket)
	case rec.Resyncing.Has(backend):
		return nil
	}
	err = b.amend(ctx, func(rec *record) {
		if len(rec.Replicas.Minus(rec.Wiped).Without(backend)) > 0 { // else another withdrew one meanwhile
			rec.Wiped, rec.Resyncing, rec.Epoch = rec.Wiped.With(backend), rec.Resyncing.With(backend), rec.Epoch+1
			rec.Unkept = rec.Unkept.Without(backend)
		}
	})
	if err != nil {
		return unavailable(err)
	}
	if !b.record().Resyncing.Has(backend) {
		return unavailable(errors.New("another replica was withdrawn meanwhile"))
	}
	if !s.o.Exclusive {
		pauseFor(ctx, 2*recordFresh) // by then every node passes it by
	}
	return nil
}

// Since is what Restore wants of a comparison that begins now.
func (s *Set) Since(bucket string) uint64 {
	rec, _ := s.buckets.lastRecord(bucket)
	return rec.Epoch
}

// Restore lets a replica serve reads again: everything that it lacks has a row by now, and it was
// compared since a time that Since told. When a replica was lost, or left behind, after that,
// ErrUnfitting: it has to be compared from the beginning.
func (s *Set) Restore(ctx context.Context, bucket, backend string, since uint64) error {
	b, err := s.buckets.readable(ctx, bucket)
	if err != nil {
		return err
	}
	err = b.amend(ctx, func(rec *record) {
		if rec.Wiped.Has(backend) && rec.Lost <= since {
			rec.Wiped, rec.Resyncing, rec.Epoch = rec.Wiped.Without(backend), rec.Resyncing.Without(backend), rec.Epoch+1
			rec.Joining = rec.Joining.Without(backend)
			rec.Behind = rec.Behind.Without(backend)
		}
	})
	switch {
	case err != nil:
		return unavailable(err)
	case b.record().Lost > since:
		return unfitting("bucket %s was lost on a backend meanwhile, or left behind there", bucket)
	}
	s.o.Logger.InfoContext(ctx, "replica serves reads again; the healer copies what it missed", "bucket", bucket, "backend", backend)
	return nil
}

// Adopt puts a bucket under management that stands on the backends with objects in it. It
// is served at once, from the source alone; every other replica takes writes, and is read
// once it was compared (Vouch). An empty source is the first of the replica set with
// objects. It returns the source; empty when the bucket is under management already.
// ErrUnfitting, SlowDown, NoSuchBucket when no backend has it.
func (s *Set) Adopt(ctx context.Context, bucket, source string) (string, error) {
	bs := &s.buckets
	if b, err := bs.lookup(ctx, bucket); err == nil {
		return b.record().Adopting, nil
	} else if !errors.Is(err, s3.OperationAborted) {
		return "", err
	}
	unlock, err := bs.set.locks.lock(ctx, object.Key{Bucket: bucket})
	if err != nil {
		return "", unavailable(err)
	}
	defer unlock()
	if source, err = bs.sourceOf(ctx, bucket, source); err != nil {
		return "", err
	}
	b, err := bs.createAs(ctx, bucket, func(rec *record) error {
		rec.Adopting, rec.Wiped = source, rec.Replicas.Without(source)
		return nil
	})
	if err != nil {
		return "", err
	}
	if b.record().State != commit.BucketActive {
		return source, unavailable(errors.New("too few backends have the bucket yet"))
	}
	s.o.Logger.InfoContext(ctx, "bucket is being adopted", "bucket", bucket, "source", source)
	return source, nil
}

// sourceOf looks at a bucket that is to be adopted on every backend.
func (bs *buckets) sourceOf(ctx context.Context, name, source string) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, contactTimeout)
	defer cancel()
	policy := bs.policy(name)
	for _, replica := range policy.Replicas {
		real := name
		if n, ok := policy.Names[replica]; ok {
			real = n
		}
		f, err := bs.survey(ctx, real, Identity{Deployment: bs.deployment, Bucket: name, Backend: replica})
		switch {
		case f == foreign:
			return "", &unfit{errForeign(name, replica).Error()}
		case f == unreachable && source == replica:
			return "", unavailable(err)
		case f == full && source == "":
			source = replica
		case f != full && source == replica:
			return "", unfitting("bucket %s on backend %s has no objects", name, replica)
		}
	}
	switch {
	case source == "":
		return "", unavailable(fmt.Errorf("no backend that answers has objects in bucket %s", name))
	case !policy.Replicas.Has(source):
		return "", unfitting("bucket %s has no replica on backend %s", name, source)
	}
	return source, nil
}

// Adopting is the source of a bucket that is being adopted; empty when it is not.
func (s *Set) Adopting(ctx context.Context, bucket string) (source string, err error) {
	b, err := s.buckets.readable(ctx, bucket)
	if err != nil {
		return "", err
	}
	return b.record().Adopting, nil
}

// Vouch ends an adoption: all replicas were compared, and what differs has a row.
func (s *Set) Vouch(ctx context.Context, bucket string) error {
	b, err := s.buckets.readable(ctx, bucket)
	if err != nil {
		return err
	}
	err = b.amend(ctx, func(rec *record) {
		if rec.Adopting != "" {
			rec.Adopting, rec.Wiped, rec.Vouched, rec.Epoch = "", nil, true, rec.Epoch+1
		}
	})
	if err != nil {
		return unavailable(err)
	}
	s.o.Logger.InfoContext(ctx, "bucket is adopted", "bucket", bucket)
	return nil
}

package replica

import (
	"context"
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

// Bucket is one bucket as clients see it.
type Bucket struct {
	Name    string
	Created time.Time
}

// Buckets returns all buckets, sorted by name.
func (s *Set) Buckets(ctx context.Context) ([]Bucket, error) {
	var all []Bucket
	for after := ""; ; {
		at := s.buckets.clock.Add(1)
		docs, err := s.o.Log.Docs(ctx, oplog.DocBucket, after, 1000)
		if err != nil {
			s.logFailed("read", err)
			return nil, unavailable(err)
		}
		for _, doc := range docs {
			after = doc.Name
			b, err := s.buckets.learn(doc, at)
			if err != nil {
				return nil, s3.Err(s3.InternalError).Because(err)
			}
			if rec := b.record(); rec.State != commit.BucketCreating {
				all = append(all, Bucket{Name: doc.Name, Created: rec.Created})
			}
		}
		if len(docs) < 1000 {
			return all, nil
		}
	}
}

// HeadBucket returns nil when the bucket stands. NoSuchBucket, SlowDown, and
// OperationAborted for one that is not under management.
func (s *Set) HeadBucket(ctx context.Context, name string) error {
	_, err := s.buckets.readable(ctx, name)
	return err
}

// CreateBucket makes a bucket, with settings, by the ack rule; backends that are away get it
// when they are back. BucketAlreadyOwnedByYou when it stands; SlowDown when too
// few backends could make it: it may still come into being, and asking again
// goes on where this call stopped.
func (s *Set) CreateBucket(ctx context.Context, name, actor, request string, settings ...Setting) (err error) {
	return s.createBucket(ctx, name, nil, actor, request, settings...)
}

// CreateBucketAt is CreateBucket on backends that are named, whatever the policy of the
// bucket says of that. ErrUnfitting.
func (s *Set) CreateBucketAt(ctx context.Context, name string, at Placement, actor, request string) error {
	s.placing.RLock()
	defer s.placing.RUnlock()
	if err := s.fits(ctx, name, at); err != nil {
		return err
	}
	rec := record{BucketRecord: commit.BucketRecord{Replicas: at.Replicas}}
	if err := s.writableUnder(name, &rec, nil); err != nil {
		return err
	}
	return s.createBucket(ctx, name, &at, actor, request)
}

func (s *Set) createBucket(ctx context.Context, name string, at *Placement, actor, request string, settings ...Setting) (err error) {
	leave, err := s.enter()
	if err != nil {
		return err
	}
	defer leave()
	defer func() { s.recordBucket("bucket-create", name, actor, request, err) }()
	unlock, err := s.locks.lock(ctx, object.Key{Bucket: name})
	if err != nil {
		return unavailable(err)
	}
	defer unlock()
	b, err := s.buckets.recorded(ctx, name)
	switch {
	case errors.Is(err, s3.NoSuchBucket):
		policy := s.buckets.policy(name)
		if at != nil {
			policy = Policy{Replicas: at.Replicas, Names: at.Names, AssumeEqual: at.AssumeEqual}
		}
		if _, _, refusal := s.buckets.surveyAll(ctx, name, policy); errors.Is(refusal, errTaken) {
			return s3.Err(s3.BucketAlreadyExists).Because(refusal)
		} else if refusal != nil {
			return s3.Errorf(s3.OperationAborted, "This bucket stands on a backend and is not under management; the log of the gateway says what to do.").Because(refusal)
		}
		if b, err = s.buckets.create(ctx, name, at, settings...); err != nil {
			return err
		}
	case err != nil:
		return err
	case b.record().State == commit.BucketActive:
		return s3.Err(s3.BucketAlreadyOwnedByYou)
	case b.record().State == commit.BucketDeleting:
		return s3.Err(s3.OperationAborted)
	default:
		if err := s.buckets.advance(ctx, b); err != nil {
			return err
		}
	}
	if b.record().State != commit.BucketActive {
		return unavailable(errors.New("too few backends could make the bucket"))
	}
	return nil
}

// recorded reads the record of a name, without any contact with backends.
// NoSuchBucket.
func (bs *buckets) recorded(ctx context.Context, name string) (*bucket, error) {
	at := bs.clock.Add(1)
	doc, err := bs.set.o.Log.Doc(ctx, oplog.DocBucket, name)
	switch {
	case errors.Is(err, oplog.ErrNoRow):
		return nil, s3.Err(s3.NoSuchBucket)
	case err != nil:
		bs.set.logFailed("read", err)
		return nil, unavailable(err)
	}
	b, err := bs.learn(doc, at)
	if err != nil {
		return nil, s3.Err(s3.InternalError).Because(err)
	}
	return b, nil
}

// DeleteBucket removes an empty bucket everywhere. NoSuchBucket, BucketNotEmpty;
// SlowDown when a backend is away or keys of it still need work: then it stands
// as before, or the deletion has begun and asking again goes on with it.
//
// Keys whose last write was answered a moment ago may have some work left, which a client
// that empties a bucket and removes it does not know of: it is waited for.
func (s *Set) DeleteBucket(ctx context.Context, name, actor, request string) (err error) {
	leave, err := s.enter()
	if err != nil {
		return err
	}
	defer leave()
	defer func() { s.recordBucket("bucket-delete", name, actor, request, err) }()
	for pause := deletePause; ; pause *= 2 {
		err = s.tryDeleteBucket(ctx, name)
		if !errors.Is(err, errKeysWork) || pause > deletePatience {
			return err
		}
		select {
		case <-time.After(pause):
		case <-ctx.Done():
			return err
		}
	}
}

// deletePause is the first of the pauses between two tries to delete a bucket, each twice
// as long as the one before; deletePatience is what the longest may last.
const (
	deletePause    = 50 * time.Millisecond
	deletePatience = 2 * time.Second
)

// errKeysWork: rows of the bucket are not quiet, and every backend was there to be asked.
var errKeysWork = errors.New("keys of the bucket still need work")

func (s *Set) tryDeleteBucket(ctx context.Context, name string) error {
	if _, err := s.buckets.readable(ctx, name); err != nil { // a bucket that was never met may stand
		return err
	}
	unlock, err := s.locks.lock(ctx, object.Key{Bucket: name})
	if err != nil {
		return unavailable(err)
	}
	defer unlock()
	b, err := s.buckets.recorded(ctx, name)
	if err != nil {
		return err
	}
	if b.record().State == commit.BucketActive {
		err := b.change(ctx, func(rec *record) { rec.State, rec.Since = commit.BucketDeleting, s.o.Wall() })
		if err != nil {
			return unavailable(err)
		}
	}
	return s.buckets.remove(ctx, b)
}

// remove carries a deletion on until commit's verdict is carried out. The caller
// holds the name's lock.
func (bs *buckets) remove(ctx context.Context, b *bucket) error {
	verdict, err := bs.judge(ctx, b)
	if err != nil {
		return bs.revive(ctx, b, unavailable(err))
	}
	switch verdict {
	case commit.DeleteFull:
		return bs.revive(ctx, b, s3.Err(s3.BucketNotEmpty))
	case commit.DeleteGo:
		return bs.destroy(ctx, b)
	}
	return bs.revive(ctx, b, unavailable(errors.New("a backend is away")))
}

// revive takes a deletion back, and returns why.
func (bs *buckets) revive(ctx context.Context, b *bucket, why error) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), bs.set.o.Times.Lease)
	defer cancel()
	if err := b.change(ctx, func(rec *record) { rec.State, rec.Since = commit.BucketActive, bs.set.o.Wall() }); err != nil {
		bs.set.o.Logger.WarnContext(ctx, "bucket stays in deletion for now", "bucket", b.name, "error", err)
	}
	return why
}

// judge collects the evidence for commit.JudgeDelete: no mutation is under way
// here any more, and where others may have some, a lease has passed.
func (bs *buckets) judge(ctx context.Context, b *bucket) (commit.DeleteVerdict, error) {
	t := bs.set.o.Times
	calm, cancel := context.WithTimeout(ctx, t.Lease)
	defer cancel()
	if err := b.quiesce(calm); err != nil {
		return commit.DeleteDefer, fmt.Errorf("writes are under way: %w", err)
	}
	for {
		live, open, gone, err := bs.rowsOf(ctx, b)
		if err != nil {
			return commit.DeleteDefer, err
		}
		rec := b.record()
		shown, away := bs.shown(ctx, b, gone)
		verdict := commit.JudgeDelete(rec.BucketRecord, live, open, shown, bs.set.now(), t, bs.set.o.Exclusive)
		if verdict == commit.DeleteDefer && !away {
			return verdict, errKeysWork
		}
		if verdict != commit.DeleteWait {
			return verdict, nil
		}
		select {
		case <-time.After(t.Lease / 4):
		case <-ctx.Done():
			return commit.DeleteDefer, context.Cause(ctx)
		}
	}
}

// rowsOf sums up the rows of a bucket: whether one says that an object stands,
// whether one needs work, and which keys are known to be gone. A deletion that a server
// refuses because it cannot have such a key is no work that the bucket would have to wait for
// for ever: shown asks that server whether it lists the key, and its own DeleteBucket is the
// last to judge.
func (bs *buckets) rowsOf(ctx context.Context, b *bucket) (live, open bool, gone map[string]bool, err error) {
	gone = map[string]bool{}
	err = bs.rows(ctx, b.name, func(kr oplog.KeyRow) error {
		live = live || kr.Row.Cur.Kind == object.Present
		open = open || !kr.Row.Quiet(b.record().Replicas) && !kr.Row.Refusable(b.record().Replicas)
		if kr.Row.Cur.Kind == object.Tombstone && !kr.Row.Open {
			gone[kr.Key.Name] = true
		}
		return nil
	})
	return live, open, gone, err
}

// rows walks over all rows of a bucket.
func (bs *buckets) rows(ctx context.Context, name string, do func(oplog.KeyRow) error) error {
	for after := ""; ; {
		rows, err := bs.set.o.Log.Range(ctx, name, "", after, 1000)
		if err != nil {
			bs.set.logFailed("read", err)
			return err
		}
		for _, kr := range rows {
			after = kr.Key.Name
			if err := do(kr); err != nil {
				return err
			}
		}
		if len(rows) < 1000 {
			return nil
		}
	}
}

// shown asks every replica whether the bucket is empty there; away tells that one could not
// be asked. A replica that only holds keys which are known to be deleted has to be healed
// first, or is about to carry out a deletion that was answered: it is as good as unreachable.
func (bs *buckets) shown(ctx context.Context, b *bucket, gone map[string]bool) (out map[string]commit.Emptiness, away bool) {
	var mu sync.Mutex // guards the results
	out = map[string]commit.Emptiness{}
	bs.each(b.record().Replicas, func(replica string) {
		e, left := bs.set.emptinessOf(ctx, b, replica, gone)
		mu.Lock()
		defer mu.Unlock()
		if away = away || e == commit.Unreachable; left && e == commit.Empty {
			e = commit.Unreachable
		}
		out[replica] = e
	})
	return out, away
}

// emptinessOf asks one replica; left tells that it still holds keys which are known to be deleted.
func (s *Set) emptinessOf(ctx context.Context, b *bucket, replica string, gone map[string]bool) (e commit.Emptiness, left bool) {
	stack := s.stack(replica)
	if stack == nil {
		return commit.Unreachable, false
	}
	if s.Paused(replica) {
		return commit.Unreachable, false
	}
	if err := stack.HeadBucket(ctx, b.realName(replica)); backend.IsAbsent(err) {
		return commit.Empty, false
	}
	if s.buckets.trusted(b, replica) != nil {
		return commit.Unreachable, false
	}
	for after := ""; ; {
		page, err := stack.List(ctx, b.realName(replica), backend.ListRequest{After: after})
		if err != nil {
			return commit.Unreachable, false
		}
		for _, e := range page.Entries {
			switch {
			case strings.HasPrefix(e.Key, object.ReservedPrefix):
			case gone[e.Key]:
				left = true
			default:
				return commit.NotEmpty, false
			}
		}
		if after = page.Next; after == "" {
			return commit.Empty, left
		}
	}
}

// destroy removes a bucket that was judged: on every backend, then its uploads
// and its quiet rows, then its record. What fails is done by the next call, or by Run.
func (bs *buckets) destroy(ctx context.Context, b *bucket) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), bs.set.o.Times.Keep)
	defer cancel()
	var mu sync.Mutex // guards failed
	var failed error
	bs.each(b.record().Replicas, func(replica string) {
		if err := bs.destroyOn(ctx, b, replica); err != nil {
			mu.Lock()
			failed = errors.Join(failed, err)
			mu.Unlock()
		}
	})
	if failed != nil {
		return unavailable(failed)
	}
	if err := errors.Join(bs.set.forgetUploads(ctx, b.name), bs.set.forgetSums(ctx, b.name)); err != nil {
		return unavailable(err)
	}
	err := bs.rows(ctx, b.name, func(kr oplog.KeyRow) error {
		return bs.set.o.Log.Swap(ctx, kr.Key, kr.Row.Epoch, nil)
	})
	if err != nil {
		return unavailable(err)
	}
	b.mu.Lock()
	epoch := b.epoch
	b.mu.Unlock()
	if _, err := bs.store(ctx, b.name, epoch, nil); err != nil {
		return unavailable(err)
	}
	bs.forget(b)
	return nil
}

func (bs *buckets) destroyOn(ctx context.Context, b *bucket, replica string) error {
	stack, real := bs.set.stack(replica), b.realName(replica)
	if stack == nil {
		return notConfigured(replica)
	}
	for after := ""; ; {
		page, err := stack.List(ctx, real, backend.ListRequest{Prefix: object.ReservedPrefix, After: after})
		if errors.Is(err, s3.NoSuchBucket) {
			break
		} else if err != nil {
			return err
		}
		for _, e := range page.Entries { // the identity, and what probes that were cut off left
			if err := stack.Delete(ctx, real, e.Key); err != nil {
				return err
			}
		}
		if after = page.Next; after == "" {
			break
		}
	}
	return stack.DeleteBucket(ctx, real)
}

// recordBucket writes the history's line of a bucket operation.
func (s *Set) recordBucket(op, name, actor, request string, err error) {
	result := "acked"
	var e *s3.Error
	if errors.As(err, &e) {
		result = "failed"
		if e.Code.Status()/100 == 5 {
			result = "unknown"
		}
	}
	s.history.add(oplog.Event{Time: s.o.Wall(), Bucket: name, Op: op, Actor: actor, Request: request, Result: result})
}

package replica

import (
	"context"
	"errors"
	"slices"

	"golang.org/x/sync/errgroup"

	"github.com/s3mirror/s3mirror/internal/commit"
	"github.com/s3mirror/s3mirror/internal/object"
	"github.com/s3mirror/s3mirror/internal/oplog"
)

// KeyState says how one replica stands to one key. It is for people: nothing is
// decided by it.
type KeyState string

// The states of a replica of a key.
const (
	KeyCurrent   KeyState = "current"   // it holds what clients are shown
	KeyLagging   KeyState = "lagging"   // it misses that, and will be given it
	KeyHealing   KeyState = "healing"   // it is being given it now
	KeyUnsettled KeyState = "unsettled" // whether a request that it was sent took effect, or still will, is not known
	KeyRefused   KeyState = "refused"   // its endpoint will not hold this key
	KeyAbsent    KeyState = "absent"    // it lost the bucket, or was left behind, and is not filled again as far as this key
)

// rowsReadAtOnce bounds how many rows one call reads at a time.
const rowsReadAtOnce = 16

// States tells for each name how the replicas of the bucket stand to it, by
// backend. What it says of each name was true at some moment of the call. NoSuchBucket,
// SlowDown.
func (s *Set) States(ctx context.Context, bucket string, names []string) ([]map[string]KeyState, error) {
	b, err := s.buckets.readable(ctx, bucket)
	if err != nil {
		return nil, err
	}
	states := make([]map[string]KeyState, len(names))
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(rowsReadAtOnce)
	for i, name := range names {
		group.Go(func() error {
			row, err := s.o.Log.Row(ctx, object.Key{Bucket: bucket, Name: name})
			switch {
			case errors.Is(err, oplog.ErrNoRow):
				states[i] = statesOf(nil, b.record())
			case err != nil:
				s.logFailed("read", err)
				return unavailable(err)
			default:
				states[i] = statesOf(&row, b.record())
			}
			return nil
		})
	}
	return states, group.Wait()
}

// Refusals tells which replicas refuse a key, and in which words. NoSuchBucket, SlowDown.
func (s *Set) Refusals(ctx context.Context, key object.Key) ([]oplog.Refusal, error) {
	if _, err := s.buckets.readable(ctx, key.Bucket); err != nil {
		return nil, err
	}
	row, err := s.o.Log.Row(ctx, key)
	switch {
	case errors.Is(err, oplog.ErrNoRow):
		return nil, nil
	case err != nil:
		s.logFailed("read", err)
		return nil, unavailable(err)
	}
	return slices.DeleteFunc(row.Refused, func(f oplog.Refusal) bool { return row.Good.Has(f.Replica) }), nil
}

// statesOf reads the states off a row; nil is a quiet key.
func statesOf(row *oplog.Row, rec record) map[string]KeyState {
	states := make(map[string]KeyState, len(rec.Replicas))
	for _, replica := range rec.Replicas {
		states[replica] = stateOf(row, replica, rec.Wiped.Has(replica))
	}
	return states
}

// stateOf is the state of one replica. What is not known comes before what is:
// a replica that holds the version may be about to take an earlier request.
func stateOf(row *oplog.Row, replica string, wiped bool) KeyState {
	switch {
	case row == nil && wiped:
		return KeyAbsent
	case row == nil:
		return KeyCurrent
	case slices.ContainsFunc(row.Unsettled, func(e oplog.Entry) bool { return e.Replica == replica }):
		return KeyUnsettled
	case row.Good.Has(replica):
		return KeyCurrent
	case row.Intent != nil && row.Intent.Type == oplog.OpHeal && row.Intent.Reps.Has(replica):
		return KeyHealing
	case refusedBy(row, replica):
		return KeyRefused
	case row.Open: // nobody has looked yet who holds what
		return KeyUnsettled
	}
	return KeyLagging
}

// BucketDetail is a bucket as an operator sees it.
type BucketDetail struct {
	Bucket
	Deleting bool        // its deletion has begun and is not over
	Ack      commit.Rule // what must hold before a write is answered
	OwnAck   bool        // it was set for this bucket
	Mode     commit.Mode // in force
	OwnMode  bool        // it was set for this bucket
	Replicas []BucketReplica
}

// BucketReplica is a bucket on one backend.
type BucketReplica struct {
	Backend string
	Name    string // of the bucket there
	Made    bool   // it is known to have been made there
	Wiped   bool   // it was lost there, or joined, and is being filled: no reads until then
	Behind  bool   // it missed too much to be healed key by key, and waits to be filled again: no reads until then
	Reason  string // why it cannot be used there, in words for the operator; empty: it can, or the backend is away
}

// Presence says how a bucket stands on one backend.
type Presence string

// The presences of a bucket.
const (
	BucketPresent  Presence = "present"
	BucketPending  Presence = "pending"  // it was not made there yet
	BucketFilling  Presence = "filling"  // it was lost there, or joined, and is given what it lacks
	BucketBehind   Presence = "behind"   // it missed too much there, and will be compared as a whole and filled when its backend is back
	BucketUnusable Presence = "unusable" // something there has to be put right by an operator
)

// Presences are all of them.
var Presences = []Presence{BucketPresent, BucketPending, BucketFilling, BucketBehind, BucketUnusable}

// Presence sums the replica up.
func (r *BucketReplica) Presence() Presence {
	switch {
	case r.Reason != "":
		return BucketUnusable
	case r.Behind:
		return BucketBehind
	case r.Wiped:
		return BucketFilling
	case !r.Made:
		return BucketPending
	}
	return BucketPresent
}

// Detail tells how a bucket stands on each backend. NoSuchBucket, SlowDown.
func (s *Set) Detail(ctx context.Context, name string) (BucketDetail, error) {
	b, err := s.buckets.readable(ctx, name)
	if err != nil {
		return BucketDetail{}, err
	}
	rec := b.record()
	detail := BucketDetail{
		Bucket: Bucket{Name: name, Created: rec.Created}, Deleting: rec.State == commit.BucketDeleting,
		Ack: rec.ack(b.policy), OwnAck: rec.Ack != nil, Mode: s.settings.modeOf(&rec), OwnMode: rec.Mode != nil,
	}
	for _, replica := range rec.Replicas {
		detail.Replicas = append(detail.Replicas, b.replica(&rec, replica))
	}
	return detail, nil
}

// replica tells how the bucket stands on one backend.
func (b *bucket) replica(rec *record, replica string) BucketReplica {
	r := BucketReplica{Backend: replica, Name: b.realName(replica), Made: rec.Made.Has(replica), Wiped: rec.Wiped.Has(replica), Behind: rec.away().Has(replica)}
	b.mu.Lock()
	defer b.mu.Unlock()
	if p := b.presence[replica]; !p.right && p.reason != nil {
		r.Reason = p.reason.Error()
	}
	return r
}

// presences counts the buckets that should stand on each backend, by how they stand there.
// Of a backend that is away only what the log says of it: that it is away has figures of
// its own.
func (bs *buckets) presences() map[string]map[Presence]int {
	counts := map[string]map[Presence]int{}
	for _, name := range bs.set.Names() {
		counts[name] = map[Presence]int{}
	}
	for _, b := range bs.all() {
		rec := b.record()
		for _, replica := range rec.Replicas {
			if counts[replica] == nil { // in the record, no longer in the configuration
				continue
			}
			r := b.replica(&rec, replica)
			if !bs.set.Up(replica) {
				r.Reason = ""
			}
			counts[replica][r.Presence()]++
		}
	}
	return counts
}

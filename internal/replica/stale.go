package replica

import (
	"context"
	"errors"
	"time"

	"github.com/s3mirror/s3mirror/internal/backend"
	"github.com/s3mirror/s3mirror/internal/commit"
	"github.com/s3mirror/s3mirror/internal/object"
	"github.com/s3mirror/s3mirror/internal/s3"
)

// ErrStale is the cause of a NoSuchKey that may be out of date: see Options.StaleReads.
var ErrStale = errors.New("the log is away: this is what a replica shows")

// awayPatience is how long the log may take to answer a read that may do without it.
const awayPatience = time.Second

// Away tells that the log has taken no sign of life of this node for a lease, and that
// reads may do without it (Options.StaleReads). It is asked all the same, for a moment: a
// node that stood still is without a lease too.
func (s *Set) Away() bool { return s.o.StaleReads && s.nodes.lapsed() }

// hurried bounds a question to the log by a reader, when the log is away.
func (s *Set) hurried(ctx context.Context) (context.Context, context.CancelFunc) {
	if s.Away() {
		return context.WithTimeout(ctx, awayPatience)
	}
	return ctx, func() {}
}

// Peek is Head for a client that may be told something old while the log is away:
// Stale, or a NoSuchKey that is ErrStale.
func (s *Set) Peek(ctx context.Context, key object.Key) (Version, error) {
	return s.head(ctx, key, true)
}

// lookStale asks the replicas alone. NoSuchKey that is ErrStale, SlowDown.
func (s *Set) lookStale(ctx context.Context, b *bucket, key object.Key, how question) (*read, error) {
	r := &read{client: ctx, how: how, open: map[string]*backend.Object{}, stale: true}
	r.process = s.newProcess(ctx, b, key, commit.NewStale(b.config()))
	r.other = r.carryOut
	r.run(commit.Look{Order: s.order(b)})
	switch {
	case r.served != nil:
		r.drop(r.served.Replica)
		return r, nil
	case r.absent:
		r.drop("")
		return nil, s3.Err(s3.NoSuchKey).Because(ErrStale)
	}
	r.drop("")
	return nil, unavailable(errors.New("the log is away, and no replica that is up answers"))
}

// lastKnown is a bucket as this node knew it last, when the log can not be asked for
// it: what lookup returned, else.
func (bs *buckets) lastKnown(name string, b *bucket, err error) (*bucket, error) {
	if err == nil || !isUnavailable(err) || !bs.set.Away() {
		return b, err
	}
	bs.mu.Lock()
	defer bs.mu.Unlock()
	if known := bs.known[name]; known != nil {
		return known, nil
	}
	return b, err
}

// listStale is list without rows: what one replica lists.
func (s *Set) listStale(ctx context.Context, b *bucket, r ListRequest) (ListPage, error) {
	page, err := s.listBy(ctx, &lister{set: s, b: b, r: r, rowless: true, limit: fewRows})
	page.Stale = true
	return page, err
}

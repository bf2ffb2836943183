package replica

import (
	"context"
	"fmt"
	"time"

	"github.com/s3mirror/s3mirror/internal/commit"
	"github.com/s3mirror/s3mirror/internal/object"
	"github.com/s3mirror/s3mirror/internal/oplog"
)

// Backlogs are measured every backlogEvery, or so seldom that the walk over the rows takes a
// twentieth of the time. A replica that is to be left behind is read from no more at first;
// rows go without it backlogEvery later at the soonest, when no read is left that began before.
const (
	backlogEvery = time.Minute
	backlogShare = 20
)

// backlog is when it is measured again. It is owned by buckets.run.
type backlog struct{ next time.Time }

// measure leaves replicas behind that are away and lag by too much: the log does not grow
// without end for one that may never come back, and a resync finds what it misses when it does
// (docs/decisions/0051).
func (bs *buckets) measure(ctx context.Context, l *backlog) {
	began := time.Now()
	if bs.set.o.Backlog == 0 || began.Before(l.next) {
		return
	}
	first := l.next.IsZero()
	if l.next = began.Add(backlogEvery); first {
		return // another node, or an earlier life of this one, may have left one behind just now
	}
	bs.letGo(ctx)
	if len(bs.waiting()) == 0 {
		return
	}
	t, err := bs.set.tally(ctx)
	if err != nil {
		bs.set.logFailed(callWalk, err)
		return
	}
	l.next = began.Add(max(backlogEvery, backlogShare*time.Since(began)))
	for _, w := range bs.waiting() {
		if lag := t.backends[w.replica]; lag != nil && lag.Buckets[w.name].Keys > bs.set.o.Backlog {
			bs.leaveBehind(ctx, w.bucket, w.replica, lag.Buckets[w.name].Keys)
		}
	}
}

// waited is a replica of a bucket that rows are kept for while nobody can heal it.
type waited struct {
	*bucket
	replica string
}

func (bs *buckets) waiting() (out []waited) {
	for _, b := range bs.all() {
		rec := b.record()
		if rec.State != commit.BucketActive || rec.Adopting != "" {
			continue
		}
		targets := b.config().Targets()
		for _, r := range rec.Replicas.Minus(rec.away()) {
			if !bs.set.Up(r) || !targets.Has(r) {
				out = append(out, waited{b, r})
			}
		}
	}
	return out
}

// leaveBehind takes a replica from reads that lags by too many keys. The last one that is read
// stays, whatever that costs.
func (bs *buckets) leaveBehind(ctx context.Context, b *bucket, replica string, keys int64) {
	left := false
	err := b.amend(ctx, func(rec *record) {
		left = !rec.away().Has(replica) && rec.Adopting == "" && len(rec.Replicas.Minus(rec.Wiped).Without(replica)) > 0
		if left {
			rec.lose(object.NewReplicas(replica))
			rec.Behind, rec.Resyncing = rec.Behind.With(replica), rec.Resyncing.Without(replica)
		}
	})
	switch {
	case err != nil:
		bs.set.o.Logger.WarnContext(ctx, "replica could not be left behind", "bucket", b.name, "backend", replica, "error", err)
	case left:
		bs.set.o.Logger.ErrorContext(ctx, "replica lags by more keys than the log keeps rows for: it serves no reads, and is compared with the others and filled when its backend is back",
			"bucket", b.name, "backend", replica, "keys", keys, "limit", bs.set.o.Backlog)
		bs.set.history.add(oplog.Event{
			Time: bs.set.o.Wall(), Bucket: b.name, Op: "left-behind", Actor: "healer", Result: "done",
			Detail: fmt.Sprintf("backend %s lags by %d keys", replica, keys), Backends: map[string]string{replica: "behind"},
		})
	}
}

// letGo has rows go without the replicas that were left behind a while ago.
func (bs *buckets) letGo(ctx context.Context) {
	for _, b := range bs.all() {
		due := func(rec *record) object.Replicas { return rec.away().Minus(rec.Unkept) }
		if rec := b.record(); len(due(&rec)) == 0 {
			continue
		}
		err := b.amend(ctx, func(rec *record) {
			if more := due(rec); len(more) > 0 {
				rec.Unkept, rec.Epoch = rec.Unkept.Or(more), rec.Epoch+1
			}
		})
		if err != nil {
			bs.set.o.Logger.WarnContext(ctx, "rows are still kept for a replica that was left behind", "bucket", b.name, "error", err)
		}
	}
}

package heal

import (
	"context"
	"time"

	"github.com/s3mirror/s3mirror/internal/oplog"
)

const (
	walkPage = 500
	walkRest = 10 * time.Millisecond // between two pages, so that a walk never fills a disk's queue
)

// walkOn walks over all rows at the start and then again and again: for what a
// crash left, for what a kick missed, and for quiet rows whose retention is over.
func (h *Healer) walkOn(ctx context.Context) {
	pause := min(max(h.o.Retention/4, time.Second), 5*time.Minute)
	for {
		for shard := range oplog.Shards {
			if err := h.walkHeld(ctx, shard); err != nil {
				if ctx.Err() != nil {
					return
				}
				h.o.Logger.Warn("rows could not be walked over", "shard", shard, "error", err)
			}
		}
		if !h.rest(ctx, pause) {
			return
		}
	}
}

// rest pauses, or until this node has taken a shard, or a backend is back: nodes that
// do not have a shard tell its owner of few of the keys that need work meanwhile.
func (h *Healer) rest(ctx context.Context, d time.Duration) bool {
	if h.o.Shares == nil {
		return sleep(ctx, d)
	}
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-h.o.Shares.Taken():
		return true
	case <-h.back:
		return true
	case <-ctx.Done():
		return false
	}
}

// walkHeld is walk if the shard is this node's. It may be given away meanwhile: its
// keys are visited only while it is held.
func (h *Healer) walkHeld(ctx context.Context, shard int) error {
	done, ok := h.hold(shard)
	if !ok {
		return nil
	}
	done()
	return h.walk(ctx, shard)
}

// walk plans the keys of one shard that are due.
func (h *Healer) walk(ctx context.Context, shard int) error {
	for after := oplog.Cursor(""); ; {
		rows, next, err := h.o.Log.Due(ctx, shard, after, walkPage)
		if err != nil {
			return err
		}
		now := time.Now()
		for _, kr := range rows {
			if h.due(&kr.Row, kr.Key.Bucket, now) {
				h.found(kr.Key, now)
			}
		}
		if after = next; after == "" {
			return nil
		}
		if !sleep(ctx, walkRest) {
			return context.Cause(ctx)
		}
	}
}

// due tells whether a visit to a key may achieve something. Quiet rows wait for
// the end of their retention; map rows stay for ever.
func (h *Healer) due(row *oplog.Row, bucket string, now time.Time) bool {
	if !row.Quiet(h.o.Set.Kept(bucket)) {
		return true
	}
	return !row.IsMap() && now.Sub(row.Changed) > h.o.Retention
}

// sleep pauses and tells whether ctx is still alive.
func sleep(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-ctx.Done():
		return false
	}
}

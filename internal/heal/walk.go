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
			if err := h.walk(ctx, shard); err != nil {
				if ctx.Err() != nil {
					return
				}
				h.o.Logger.Warn("rows could not be walked over", "shard", shard, "error", err)
			}
		}
		if !sleep(ctx, pause) {
			return
		}
	}
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
	if !row.Quiet(h.o.Set.Replicas(bucket)) {
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

package cassandra

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/s3mirror/s3mirror/internal/oplog"
)

const (
	sweepEvery = 15 * time.Minute
	claimEvery = time.Minute // until the next look of a node whose turn it is not
	sweepPage  = 500         // marks
)

// Run sweeps the index until ctx is done, now and then again and again, and
// returns nil. Any number of nodes may do so at the same time: each mark that one
// of them copies is the same mark. So that one is enough, may tells whether it is this
// node's turn, until done is called; nil: it always is. It is asked again every
// minute while it says no, as it does at a start.
func (l *Log) Run(ctx context.Context, may func() (done func(), ok bool)) error {
	if may == nil {
		may = func() (func(), bool) { return func() {}, true }
	}
	for {
		pause := claimEvery
		if done, ok := may(); ok {
			if err := l.sweepAll(ctx); err != nil && ctx.Err() == nil {
				l.logger.WarnContext(ctx, "index of the log could not be swept", "error", err)
			}
			done()
			pause = sweepEvery
		}
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(pause):
		}
	}
}

func (l *Log) sweepAll(ctx context.Context) error {
	for shard := range int64(oplog.Shards) {
		if err := l.sweepShard(ctx, keyFamily, shard); err != nil {
			return err
		}
	}
	return l.sweepShard(ctx, docFamily, 0)
}

// sweepShard drops the partitions of marks whose slot is long over, after it
// copied the marks of what still stands into the present day's.
func (l *Log) sweepShard(ctx context.Context, f *family, shard int64) error {
	if err := l.begin(ctx); err != nil {
		return err
	}
	defer l.end()
	entries, err := l.store.scan(ctx, markShards, key{f.name, shard}, span{})
	if err != nil {
		return fmt.Errorf("sweep shard %d: %w", shard, err)
	}
	for _, e := range entries {
		p := place{f.name, e.name[0].(string), shard, slot(e.name[1].(int64))}
		if !p.slot.over(l.now()) {
			continue
		}
		if err := l.sweep(ctx, f, p); err != nil {
			return fmt.Errorf("sweep shard %d: %w", shard, err)
		}
	}
	return nil
}

func (l *Log) sweep(ctx context.Context, f *family, p place) error {
	to := place{p.family, p.space, p.shard, daySlot(l.now())}
	entered := false
	for from := key(nil); ; {
		page, err := l.store.scan(ctx, marks, p.partition(), span{from: from, limit: sweepPage})
		if err != nil {
			return err
		}
		stand := make([]bool, len(page))
		err = each(ctx, len(page), func(ctx context.Context, i int) error {
			// At SERIAL: an insert that hangs undecided must be ended, or it could make
			// its row when the mark is gone.
			row, ok, err := l.store.read(ctx, f.rows, rowID{space: p.space, name: page[i].name[0].(string)})
			stand[i] = ok && string(row.mark[:]) == page[i].name[1]
			return err
		})
		if err != nil {
			return err // the partition stays
		}
		if slices.Contains(stand, true) && !entered {
			if err := l.enter(ctx, to); err != nil {
				return err
			}
			entered = true
		}
		err = each(ctx, len(page), func(ctx context.Context, i int) error {
			if !stand[i] {
				return nil
			}
			return l.store.put(ctx, marks, to.partition(), page[i].name, nil)
		})
		if err != nil {
			return err
		}
		if len(page) < sweepPage {
			break
		}
		last := page[len(page)-1].name
		from = key{last[0], last[1].(string) + "\x00"}
	}
	if err := l.store.drop(ctx, marks, p.partition()); err != nil {
		return err
	}
	// The directories last: what they do not name nobody would ever drop.
	if err := l.store.erase(ctx, markSpaces, key{p.family, p.space}, key{p.shard, int64(p.slot)}); err != nil {
		return err
	}
	return l.store.erase(ctx, markShards, key{p.family, p.shard}, key{p.space, int64(p.slot)})
}

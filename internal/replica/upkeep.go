package replica

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/s3mirror/s3mirror/internal/backend"
	"github.com/s3mirror/s3mirror/internal/commit"
	"github.com/s3mirror/s3mirror/internal/object"
)

// upkeepEvery is the pause between two looks at the buckets' records.
const upkeepEvery = time.Second

// A bucket that nobody asks for may be lost on a backend without anybody being told. Each
// is looked for on each backend every lookAgain, at most looksAtOnce of them in
// upkeepEvery, so that many buckets are looked for more rarely and cost no more.
const (
	lookAgain   = time.Minute
	looksAtOnce = 8
)

// run keeps the buckets as their records want them.
func (bs *buckets) run(ctx context.Context) {
	tick := time.NewTicker(upkeepEvery)
	defer tick.Stop()
	retry, exhumations := map[*bucket]time.Time{}, map[*bucket]exhumation{}
	var backlog backlog
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		done, mine := bs.set.Hold(shareBuckets)
		for _, b := range bs.all() {
			if time.Now().Before(retry[b]) {
				continue
			}
			if !bs.keep(ctx, b, mine) {
				retry[b] = time.Now().Add(10 * upkeepEvery)
			} else {
				delete(retry, b)
			}
		}
		if mine {
			bs.exhume(ctx, exhumations)
			bs.measure(ctx, &backlog)
			done()
		}
		bs.patrol(ctx)
		bs.set.scout()
		for b := range retry {
			if b.gone() {
				delete(retry, b)
			}
		}
	}
}

// all are the buckets that are known, in no order.
func (bs *buckets) all() (all []*bucket) {
	bs.mu.Lock()
	defer bs.mu.Unlock()
	for _, b := range bs.known {
		all = append(all, b)
	}
	return all
}

// keep does what one bucket needs: false when that failed and may wait. Whether the
// bucket is the right one each node looks for itself; the rest one does for all.
func (bs *buckets) keep(ctx context.Context, b *bucket, mine bool) bool {
	rec := b.record()
	switch {
	case rec.State == commit.BucketCreating && mine:
		return bs.locked(ctx, b, bs.advance)
	case rec.State == commit.BucketDeleting && mine:
		return bs.locked(ctx, b, bs.remove)
	case rec.State != commit.BucketActive:
		return true
	}
	ok := true
	for _, replica := range rec.Replicas {
		if err := bs.trusted(b, replica); err != nil && bs.set.Up(replica) { // which begins a look
			ok = false
		} else if err == nil && mine && rec.Wiped.Has(replica) && !rec.Resyncing.Has(replica) && !rec.Behind.Has(replica) && rec.Adopting == "" && !bs.set.o.Refills {
			ok = bs.refill(ctx, b, replica) && ok
		}
	}
	return ok
}

// patrol looks for buckets that should stand, and were not looked for of late. One that is
// gone is keep's, which makes it again.
func (bs *buckets) patrol(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, contactTimeout)
	defer cancel()
	var wg sync.WaitGroup
	defer wg.Wait()
	begun := 0
	for _, b := range bs.all() {
		rec := b.record()
		if rec.State != commit.BucketActive {
			continue
		}
		for _, replica := range rec.Replicas.Filter(bs.set.Up) {
			if bs.trusted(b, replica) != nil || !b.stale(replica) {
				continue
			}
			stack := bs.set.stack(replica)
			if stack == nil { // it was removed meanwhile
				continue
			}
			wg.Go(func() {
				if err := stack.HeadBucket(ctx, b.realName(replica)); backend.IsAbsent(err) {
					b.distrust(replica, fmt.Errorf("bucket %s is missing on backend %s", b.name, replica))
				}
			})
			if begun++; begun == looksAtOnce {
				return
			}
		}
	}
}

// locked does something under the name's lock, unless the bucket is busy.
func (bs *buckets) locked(ctx context.Context, b *bucket, do func(context.Context, *bucket) error) bool {
	unlock, ok := bs.set.locks.tryLock(object.Key{Bucket: b.name})
	if !ok {
		return true
	}
	defer unlock()
	if b.gone() || b.record().State == commit.BucketActive {
		return true
	}
	err := do(ctx, b)
	if err != nil && ctx.Err() == nil {
		bs.set.o.Logger.DebugContext(ctx, "bucket is not as it should be yet", "bucket", b.name, "state", b.record().State, "error", err)
	}
	return err == nil
}

// gone tells whether the bucket is no longer the one of its name.
func (b *bucket) gone() bool {
	b.set.buckets.mu.Lock()
	defer b.set.buckets.mu.Unlock()
	return b.set.buckets.known[b.name] != b
}

// refill brings a replica that lost its bucket back into service: each key that it does
// not hold as the others do gets a row. When all of them have one the replica may serve,
// for the rows say what it lacks, and the healer copies it.
func (bs *buckets) refill(ctx context.Context, b *bucket, replica string) bool {
	c, since := Comparison{Beside: replica}, b.record().Epoch
	for after := ""; ; {
		n, err := bs.set.Nominate(ctx, b.name, c, after, 1000)
		if err != nil || n.Silent[replica] != nil {
			return false
		}
		for _, name := range n.Names {
			if !n.Differ[name] {
				continue
			}
			v, err := bs.set.Compare(ctx, object.Key{Bucket: b.name, Name: name}, c, true)
			if err != nil || v.State == commit.Unknowing || v.State == commit.Undecided || v.Silent.Has(replica) && !v.Known {
				return false
			}
		}
		if after = n.Next; after == "" {
			break
		}
	}
	return bs.set.Restore(ctx, b.name, replica, since) == nil
}

package replica

import (
	"cmp"
	"context"
	"reflect"
	"slices"
	"sync/atomic"
	"time"

	"github.com/s3mirror/s3mirror/internal/commit"
	"github.com/s3mirror/s3mirror/internal/object"
	"github.com/s3mirror/s3mirror/internal/oplog"
	"github.com/s3mirror/s3mirror/internal/s3"
)

// DeleteManyRequest is one DeleteObjects: at most s3.MaxDeletes keys.
type DeleteManyRequest struct {
	Bucket  string
	Objects []DeleteKey
	Actor   string // login, for the history
	Request string // request id, for the history
}

// DeleteKey is one key of it.
type DeleteKey struct {
	Name string
	If   s3.WriteConditions
}

// DeleteMany removes many objects of one bucket in one pass: each is a write of its
// own, with a verdict and a result of its own, in the order of r.Objects; what may go
// together goes to a replica as one request. Results are nil or an error as Delete's.
// err is that of the whole, and then nothing was changed.
func (s *Set) DeleteMany(ctx context.Context, r DeleteManyRequest) (results []error, err error) {
	leave, err := s.enter()
	if err != nil {
		return nil, err
	}
	defer leave()
	results = make([]error, len(r.Objects))
	rounds, same := roundsOf(r.Objects)
	for i, round := range rounds {
		if err := s.deleteRound(ctx, r, round, results); err != nil && i == 0 {
			return nil, err
		} else if err != nil {
			for _, n := range round {
				results[n] = err
			}
		}
	}
	for i, first := range same {
		results[i] = results[first]
	}
	return results, nil
}

// roundsOf shares the keys out so that none is deleted twice at the same time: who names a
// key again under another condition has its turn afterwards. What is asked twice is done
// once: same tells, for each, which one answers for it.
func roundsOf(all []DeleteKey) (rounds [][]int, same []int) {
	asked := map[string][]int{}
	same = make([]int, len(all))
	for i, o := range all {
		before := asked[o.Name]
		first := slices.IndexFunc(before, func(n int) bool { return reflect.DeepEqual(o.If, all[n].If) })
		if first >= 0 {
			same[i] = before[first]
			continue
		}
		if len(before) == len(rounds) {
			rounds = append(rounds, nil)
		}
		rounds[len(before)] = append(rounds[len(before)], i)
		asked[o.Name] = append(before, i)
		same[i] = i
	}
	return rounds, same
}

// deleteRound deletes keys that differ, and fills in their results.
func (s *Set) deleteRound(ctx context.Context, r DeleteManyRequest, round []int, results []error) error {
	b, over, err := s.buckets.writableSoon(ctx, r.Bucket)
	if err != nil {
		return err
	}
	d := s.newBatch(b, len(round))
	d.spans.follow(ctx) // not each of a thousand keys
	conds := make([]condition, len(round))
	var left atomic.Int64
	left.Store(int64(len(round)))
	for i, n := range round {
		conds[i].c = r.Objects[n].If
		op := commit.Op{ID: object.NewID(), Type: oplog.OpDelete, If: conds[i].verdict(), Ask: true}
		w := s.newWrite(b, object.Key{Bucket: r.Bucket, Name: r.Objects[n].Name}, op, origin{r.Actor, r.Request})
		w.batch, w.number, w.room = d, i, d.room
		d.writes = append(d.writes, w)
	}
	d.start()
	up := s.up(b)
	for _, w := range d.writes {
		w.start(up, func() {
			if left.Add(-1) == 0 {
				over()
			}
		})
	}
	d.takeTurns(ctx)
	for i, w := range d.writes {
		res, err := w.await(ctx, w.broken)
		if err == nil {
			_, err = conds[i].conclude(res)
		}
		results[round[i]] = err
	}
	return nil
}

// admitFor is how long a look at the bucket's record counts for the keys of one batch.
const admitFor = 100 * time.Millisecond

// takeTurns takes the locks of all keys, in their order, so that two batches never wait
// for each other; it takes no longer than for one key, and what is free then still goes.
// Each write goes on as soon as it has its own lock, none once the client has gone.
func (d *batch) takeTurns(client context.Context) {
	ctx, cancel := context.WithTimeout(client, d.set.o.Times.LockWait)
	defer cancel()
	ordered := slices.Clone(d.writes)
	slices.SortFunc(ordered, func(a, b *write) int { return cmp.Compare(a.key.Name, b.key.Name) })
	var looked time.Time
	var refusal error
	for _, w := range ordered {
		w.broken = w.awaitAccept(ctx)
		if isClosed(w.told) {
			continue // it failed by itself
		}
		if client.Err() != nil {
			w.broken = unavailable(context.Cause(client))
		}
		if w.broken == nil {
			w.broken = w.lockKey(ctx)
		}
		if w.broken == nil && time.Since(looked) > admitFor {
			refusal, looked = d.set.buckets.admits(ctx, d.b), time.Now()
		}
		if w.broken = cmp.Or(w.broken, refusal); w.broken != nil {
			w.deliver(commit.Broken{})
			continue
		}
		w.post(func() {
			w.whole = time.Now()
			w.step(commit.Verified{})
		})
	}
}

// awaitAccept returns when the write may go on, or has its result; what is so already
// counts whatever has become of ctx.
func (w *write) awaitAccept(ctx context.Context) error {
	select {
	case <-w.accepted:
	case <-w.told:
	case <-ctx.Done():
		if !isClosed(w.accepted) {
			return unavailable(context.Cause(ctx))
		}
	}
	return nil
}

func isClosed(c <-chan struct{}) bool {
	select {
	case <-c:
		return true
	default:
		return false
	}
}

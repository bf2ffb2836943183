package heal

import (
	"context"
	"fmt"
	"slices"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/s3mirror/s3mirror/internal/oplog"
)

// pages of rows that a job walks over.
const (
	rowsAtOnce = 200
	passPause  = 500 * time.Millisecond // between two walks over all rows
)

// dueWork visits the keys that have something left to do, now, again and again, until
// nothing is left that can be done. A visit that the healer makes at the same time is
// waited for, not made twice.
type dueWork struct {
	jobs *Jobs

	shard int
	after oplog.Cursor
	pass  tally // of the walk under way
	last  tally
	idle  int // walks that achieved nothing
}

// tally is what one walk over the rows met.
type tally struct {
	visited, healed int64
	left            int64 // keys that need work still
	waits           int64 // of these nothing can be done for now: their backend is away, or refuses them
}

// idleWalks is after how many walks in which nothing came forward the rest is left alone.
const idleWalks = 3

func (d *dueWork) step(ctx context.Context, job *Job) (bool, error) {
	job.Phase = "heal"
	over, err := d.walk(ctx, job)
	if err != nil || !over {
		return true, err
	}
	switch {
	case d.last.left == 0:
		return false, nil
	case d.idle >= idleWalks && d.last.waits == d.last.left:
		return false, failed("%s wait for a backend that is away, or that refuses them: s3mirror lag shows them", countKeys(d.last.left))
	}
	sleep(ctx, passPause)
	return true, nil
}

func countKeys(n int64) string {
	if n == 1 {
		return "1 key"
	}
	return fmt.Sprintf("%d keys", n)
}

// walk makes one step of a walk over all rows; true at its end.
func (d *dueWork) walk(ctx context.Context, job *Job) (over bool, err error) {
	rows, next, err := d.jobs.o.Log.Due(ctx, d.shard, d.after, rowsAtOnce)
	if err != nil {
		return false, err
	}
	var group errgroup.Group
	group.SetLimit(d.jobs.o.Workers)
	var visited, healed, left, waits atomic.Int64
	for _, kr := range rows {
		if !d.wants(job, &kr) {
			continue
		}
		group.Go(func() error {
			rep, err := d.jobs.spans.repair(ctx, d.jobs.o.Set, kr.Key)
			visited.Add(1)
			switch row := rep.Row; {
			case err != nil:
				left.Add(1)
			case row == nil || !d.wants(job, &oplog.KeyRow{Key: kr.Key, Row: *row}):
				healed.Add(1)
			default:
				left.Add(1)
				if row.Intent == nil && !row.Open && d.waits(kr.Key.Bucket, row) {
					waits.Add(1)
				}
			}
			return nil
		})
	}
	_ = group.Wait() // visits return no errors
	if ctx.Err() != nil {
		return false, context.Cause(ctx)
	}
	d.pass.visited += visited.Load()
	d.pass.healed += healed.Load()
	d.pass.left += left.Load()
	d.pass.waits += waits.Load()
	job.Keys += visited.Load()
	job.Healed += healed.Load()
	if d.after = next; next != "" {
		return false, nil
	}
	if d.shard++; d.shard < oplog.Shards {
		return false, nil
	}
	d.idle++
	if d.pass.healed > 0 {
		d.idle = 0
	}
	d.last, d.pass, d.shard = d.pass, tally{}, 0
	job.Left = d.last.left
	return true, nil
}

// wants tells whether a row is one of the job's, and not quiet.
func (d *dueWork) wants(job *Job, kr *oplog.KeyRow) bool {
	if job.Bucket != "" && kr.Key.Bucket != job.Bucket {
		return false
	}
	all := d.jobs.o.Set.Kept(kr.Key.Bucket)
	if kr.Row.Quiet(all) {
		return false
	}
	if job.Backend == "" {
		return true
	}
	n := needsOf(&kr.Row, all)
	return n.copies.Has(job.Backend) || n.looks.Has(job.Backend)
}

// waits tells whether nothing can be done for a key now.
func (d *dueWork) waits(bucket string, row *oplog.Row) bool {
	need := needsOf(row, d.jobs.o.Set.Kept(bucket))
	return !slices.ContainsFunc(need.looks, d.jobs.o.Set.Up) && !slices.ContainsFunc(need.copies, func(r string) bool {
		return d.jobs.o.Set.Heals(bucket, r) && !refuses(row, r)
	})
}

func refuses(row *oplog.Row, replica string) bool {
	return slices.ContainsFunc(row.Refused, func(f oplog.Refusal) bool { return f.Replica == replica })
}

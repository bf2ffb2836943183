package heal

import (
	"context"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/s3mirror/s3mirror/internal/object"
	"github.com/s3mirror/s3mirror/internal/oplog"
	"github.com/s3mirror/s3mirror/internal/replica"
)

// drain takes a backend out of use in order: what it alone holds is copied first, then it
// is paused, then it is looked whether a write of the moment in between rests on it alone;
// if so it is resumed, and copied from once more.
type drain struct {
	jobs  *Jobs
	shard int
	after oplog.Cursor
	sole  int64 // keys of the walk under way that rest on the backend alone
}

const phaseCheck = "check" // it is paused

func (d *drain) step(ctx context.Context, job *Job) (bool, error) {
	set := d.jobs.o.Set
	if job.Phase != phaseCheck {
		job.Phase = "copy"
	}
	over, err := d.walk(ctx, job)
	if err != nil || !over {
		return true, err
	}
	sole := d.sole
	d.sole, job.Left = 0, sole
	switch {
	case sole > 0 && job.Phase == phaseCheck:
		job.Phase = "copy"
		return true, set.Resume(ctx, job.Backend)
	case sole > 0:
		sleep(ctx, passPause)
		return true, nil
	case job.Phase == phaseCheck:
		return false, nil
	}
	err = set.Pause(ctx, job.Backend, time.Time{})
	if replica.IsUnfitting(err) {
		return false, failed("%s", replica.Unfitting(err))
	}
	if err == nil {
		job.Phase = phaseCheck
	}
	return true, err
}

// walk makes one step of a walk over all rows; true at its end. A key that rests on the
// backend alone is visited while the backend is not paused yet.
func (d *drain) walk(ctx context.Context, job *Job) (over bool, err error) {
	rows, next, err := d.jobs.o.Log.Due(ctx, d.shard, d.after, rowsAtOnce)
	if err != nil {
		return false, err
	}
	var group errgroup.Group
	group.SetLimit(d.jobs.o.Workers)
	for _, kr := range rows {
		if !rests(&kr.Row, job.Backend) {
			continue
		}
		d.sole++
		if job.Phase != phaseCheck {
			group.Go(func() error {
				_, err := d.jobs.spans.repair(ctx, d.jobs.o.Set, kr.Key)
				return err
			})
		}
	}
	if err := group.Wait(); err != nil {
		d.jobs.o.Logger.Debug("a key that is drained could not be visited", "error", err) // the next walk comes to it
	}
	job.Keys += int64(len(rows))
	if d.after = next; next != "" {
		return false, nil
	}
	if d.shard++; d.shard < oplog.Shards {
		return false, nil
	}
	d.shard = 0
	return true, nil
}

// rests tells whether the version of a key rests on one backend alone: no other replica is
// known to hold it, or no other may be relied on since a request to it is not settled.
func rests(row *oplog.Row, backend string) bool {
	if row.Cur.Kind == object.Tombstone && row.Intent == nil && !row.Open {
		return false // nothing is lost with it
	}
	for _, r := range row.Good.Without(backend) {
		if !needsOf(row, nil).looks.Has(r) {
			return false
		}
	}
	return row.Good.Has(backend) || row.Intent != nil
}

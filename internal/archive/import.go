package archive

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/s3mirror/s3mirror/internal/oplog"
)

// Errors of Import and of CheckHome.
var (
	// ErrNotEmpty: the log holds something already.
	ErrNotEmpty = errors.New("log is not empty")
	// ErrPast: the archive is a backup, whose rows are of the past.
	ErrPast = errors.New("archive is a backup: its rows tell of a moment that is over")
	// ErrHalf: an import into the log was cut off.
	ErrHalf = errors.New("an import into this log was cut off: it holds a part of another one")
	// ErrRebuilding: a rebuild of the log was cut off.
	ErrRebuilding = errors.New("a rebuild of this log was cut off: it knows a part of the keys")
	// ErrMoved: the log was exported, and lives elsewhere.
	ErrMoved = errors.New("this log was moved elsewhere by an export")
)

// Check reads an archive to its end. ErrDamaged, the reader's.
func Check(r io.Reader) (Header, Counts, error) { return read(r, records{}) }

// atOnce is how many records are on their way to the log.
const atOnce = 16

// ImportOptions change what is taken out of an archive.
type ImportOptions struct {
	// WithoutRows leaves rows, uploads and parts out: what remains, users, keys,
	// buckets, settings and history, is true of a backup too.
	WithoutRows bool
}

// Import fills an empty log from an archive, durably. It reads the archive twice:
// nothing is written of one that is damaged. While it is at work, and when it is
// cut off, CheckHome refuses the log. ErrDamaged, ErrNotEmpty, ErrHalf, ErrPast,
// the log's.
func Import(ctx context.Context, log oplog.Log, r io.ReadSeeker, o ImportOptions) (Counts, error) {
	h, _, err := Check(r)
	if err != nil {
		return Counts{}, err
	}
	if !h.Moved && !o.WithoutRows {
		return Counts{}, ErrPast
	}
	if _, err := r.Seek(0, io.SeekStart); err != nil {
		return Counts{}, err
	}
	if err := CheckHome(ctx, log); err != nil {
		return Counts{}, err
	}
	// Marked first: of a node that starts now and this import one sees the other.
	epoch, err := mark(ctx, log, oplog.Epoch{}, move{State: importing, At: time.Now().UTC()})
	if err != nil {
		return Counts{}, err
	}
	if err := empty(ctx, log); err != nil {
		return Counts{}, errors.Join(err, unmark(ctx, log, epoch))
	}
	counts, err := fill(ctx, log, r, o)
	if err != nil {
		return counts, err
	}
	// The last change, and synced: what came before it is on the disk too.
	return counts, unmark(ctx, log, epoch)
}

// fill writes the records.
func fill(ctx context.Context, log oplog.Log, r io.Reader, o ImportOptions) (counts Counts, err error) {
	whole := ctx
	group, ctx := errgroup.WithContext(ctx) // ends with the group
	group.SetLimit(atOnce)
	var events []oplog.Event
	flush := func() error {
		err := again(whole, func() error { return log.Append(whole, events...) }) // at worst some stand there twice
		events = events[:0]
		return err
	}
	put := func(count *int64, change func() error) error {
		*count++
		group.Go(change)
		return ctx.Err()
	}
	take := records{
		document: func(d oplog.Doc) error {
			if o.WithoutRows && d.Kind == oplog.DocUpload {
				return nil
			}
			return put(&counts.Documents, func() error { return putDoc(ctx, log, d) })
		},
		row: func(kr oplog.KeyRow) error {
			if o.WithoutRows {
				return nil
			}
			return put(&counts.Rows, func() error { return putRow(ctx, log, kr) })
		},
		part: func(p oplog.Part) error {
			if o.WithoutRows {
				return nil
			}
			return put(&counts.Parts, func() error { return again(ctx, func() error { return log.AddPart(ctx, p) }) })
		},
		event: func(ev oplog.Event) error {
			counts.Events++
			if events = append(events, ev); len(events) < page {
				return nil
			}
			return flush()
		},
	}
	_, _, err = read(r, take)
	if wait := group.Wait(); wait != nil {
		return counts, wait // the cause
	}
	if err == nil && len(events) > 0 {
		err = flush()
	}
	return counts, err
}

// attempts at one record whose outcome is not known.
const attempts = 20

// again repeats what may be repeated until its outcome is known.
func again(ctx context.Context, change func() error) (err error) {
	for range attempts {
		if err = change(); !errors.Is(err, oplog.ErrUnknown) || ctx.Err() != nil {
			return err
		}
	}
	return err
}

// putRow makes the row. Nobody else writes, and an epoch never comes back: one
// that is there already with this epoch is this one, from an attempt whose
// outcome was not known.
func putRow(ctx context.Context, log oplog.Log, kr oplog.KeyRow) error {
	return again(ctx, func() error {
		err := log.Swap(ctx, kr.Key, oplog.Epoch{}, &kr.Row)
		if errors.Is(err, oplog.ErrConflict) {
			if there, failed := log.Row(ctx, kr.Key); failed == nil && there.Epoch == kr.Row.Epoch {
				return nil
			}
		}
		return wrap(err, "row of %v", kr.Key)
	})
}

func putDoc(ctx context.Context, log oplog.Log, d oplog.Doc) error {
	return swapDoc(ctx, log, oplog.Epoch{}, d)
}

func swapDoc(ctx context.Context, log oplog.Documents, old oplog.Epoch, d oplog.Doc) error {
	return again(ctx, func() error {
		err := log.SwapDoc(ctx, old, d)
		if errors.Is(err, oplog.ErrConflict) {
			if there, failed := log.Doc(ctx, d.Kind, d.Name); failed == nil && there.Epoch == d.Epoch {
				return nil
			}
		}
		return wrap(err, "document %s %q", d.Kind, d.Name)
	})
}

func wrap(err error, format string, args ...any) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf(format+": %w", append(args, err)...)
}

// empty wants a log that holds nothing but the mark. ErrNotEmpty.
func empty(ctx context.Context, log oplog.Log) error {
	for _, kind := range oplog.DocKinds {
		if kind == oplog.DocMove {
			continue
		}
		err := walkDocs(ctx, log, kind, func(d oplog.Doc) error {
			return fmt.Errorf("%w: there is document %s %q", ErrNotEmpty, d.Kind, d.Name)
		})
		if err != nil {
			return err
		}
	}
	for shard := range oplog.Shards {
		err := walkShard(ctx, log, shard, func(kr oplog.KeyRow) error {
			return fmt.Errorf("%w: there is a row of %v", ErrNotEmpty, kr.Key)
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// move is the document of a move, as JSON.
type move struct {
	State string    `json:"state"`
	At    time.Time `json:"at"`
}

const (
	moveName   = "log"
	importing  = "importing"
	rebuilding = "rebuilding"
	exported   = "exported"
)

// CheckHome tells whether the log may be served on: it is neither half of another
// one nor one that lives elsewhere now. ErrHalf, ErrRebuilding, ErrMoved, the log's.
func CheckHome(ctx context.Context, log oplog.Documents) error {
	_, m, err := moveOf(ctx, log)
	switch {
	case err != nil:
		return err
	case m.State == importing:
		return ErrHalf
	case m.State == rebuilding:
		return ErrRebuilding
	case m.State == exported:
		return fmt.Errorf("%w on %s", ErrMoved, m.At.Format(time.RFC3339))
	}
	return nil
}

// Rebuild marks the log as half while make is at work on it, and when that is cut off: one
// that was may be begun again. ErrHalf, ErrMoved, make's, the log's.
func Rebuild(ctx context.Context, log oplog.Documents, make func(context.Context) error) error {
	if err := CheckHome(ctx, log); err != nil && !errors.Is(err, ErrRebuilding) {
		return err
	}
	old, _, err := moveOf(ctx, log)
	if err != nil {
		return err
	}
	epoch, err := mark(ctx, log, old, move{State: rebuilding, At: time.Now().UTC()})
	if err != nil {
		return err
	}
	if err := make(ctx); err != nil {
		return err
	}
	return unmark(ctx, log, epoch)
}

// Recover takes back the mark of a rebuild that changed nothing.
func Recover(ctx context.Context, log oplog.Documents) error {
	epoch, m, err := moveOf(ctx, log)
	if err == nil && m.State == rebuilding {
		err = unmark(ctx, log, epoch)
	}
	return err
}

func moveOf(ctx context.Context, log oplog.Documents) (epoch oplog.Epoch, m move, err error) {
	d, err := log.Doc(ctx, oplog.DocMove, moveName)
	if errors.Is(err, oplog.ErrNoRow) {
		return epoch, m, nil
	}
	if err == nil {
		err = json.Unmarshal(d.Body, &m)
	}
	return d.Epoch, m, err
}

// Retire marks the log as one that lives elsewhere.
func Retire(ctx context.Context, log oplog.Documents) error {
	epoch, _, err := moveOf(ctx, log)
	if err == nil {
		_, err = mark(ctx, log, epoch, move{State: exported, At: time.Now().UTC().Truncate(time.Second)})
	}
	return err
}

// Recall takes back what Retire marked; whatever else it was is left.
func Recall(ctx context.Context, log oplog.Documents) error {
	epoch, m, err := moveOf(ctx, log)
	if err == nil && m.State == exported {
		err = unmark(ctx, log, epoch)
	}
	return err
}

func mark(ctx context.Context, log oplog.Documents, old oplog.Epoch, m move) (oplog.Epoch, error) {
	body, err := json.Marshal(m)
	if err != nil {
		return old, err
	}
	d := oplog.Doc{Kind: oplog.DocMove, Name: moveName, Epoch: oplog.NewEpoch(), Body: body}
	return d.Epoch, swapDoc(ctx, log, old, d)
}

// unmark drops the mark. One whose outcome is not known is tried again: nobody
// else makes or drops it.
func unmark(ctx context.Context, log oplog.Documents, epoch oplog.Epoch) error {
	return again(ctx, func() error {
		err := log.SwapDoc(ctx, epoch, oplog.Doc{Kind: oplog.DocMove, Name: moveName})
		if errors.Is(err, oplog.ErrConflict) {
			if _, failed := log.Doc(ctx, oplog.DocMove, moveName); errors.Is(failed, oplog.ErrNoRow) {
				return nil
			}
		}
		return wrap(err, "unmark the log")
	})
}

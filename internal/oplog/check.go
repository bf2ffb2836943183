package oplog

import (
	"context"
	"errors"
	"fmt"
)

// What every implementation must check and say in the same words.

// Unknown wraps the cause as ErrUnknown.
func Unknown(cause error) error { return fmt.Errorf("%w: %w", ErrUnknown, cause) }

// NotApplied wraps the cause as ErrNotApplied.
func NotApplied(cause error) error { return fmt.Errorf("%w: %w", ErrNotApplied, cause) }

// CheckBegin refuses a mutation whose context has ended before it began.
// ErrNotApplied.
func CheckBegin(ctx context.Context) error {
	if err := ctx.Err(); err != nil {
		return NotApplied(err)
	}
	return nil
}

// CheckSwap refuses a compare-and-set whose new epoch is not fresh. ErrNotApplied.
func CheckSwap(old Epoch, row *Row) error {
	if row == nil {
		return nil
	}
	return checkEpochs(old, row.Epoch)
}

// CheckDoc is CheckSwap for documents.
func CheckDoc(old Epoch, doc Doc) error {
	if doc.Body == nil {
		return nil
	}
	return checkEpochs(old, doc.Epoch)
}

func checkEpochs(old, fresh Epoch) error {
	switch fresh {
	case Epoch{}:
		return NotApplied(errors.New("the new epoch is zero"))
	case old:
		return NotApplied(errors.New("the new epoch is the old one"))
	}
	return nil
}

// CheckShard refuses a shard that is none.
func CheckShard(shard int) error {
	if shard < 0 || shard >= Shards {
		return fmt.Errorf("shard %d: want 0 to %d", shard, Shards-1)
	}
	return nil
}

// OpensIntent tells whether the change from one state of a row (nil: none) to
// another begins a new operation: what is refused first when space runs short.
func OpensIntent(from, to *Row) bool {
	return to != nil && to.Intent != nil &&
		(from == nil || from.Intent == nil || from.Intent.Op != to.Intent.Op)
}

// CheckRow tells what a row can never be: what a damaged or a foreign record shows.
func CheckRow(r *Row) error {
	switch {
	case r.Epoch.IsZero():
		return errors.New("a row without epoch")
	case r.Intent != nil && (r.Intent.Op.IsZero() || len(r.Intent.Reps) == 0):
		return errors.New("an intent without operation or replicas")
	}
	for _, e := range r.Unsettled {
		if e.Op.IsZero() || e.Replica == "" {
			return errors.New("an unsettled entry without operation or replica")
		}
	}
	return nil
}

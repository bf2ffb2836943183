package cassandra

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/s3mirror/s3mirror/internal/oplog"
)

// lock is a row that one migration at a time holds. Its epoch is the holder's
// nonce, and moves before every statement: whoever sees the same one for a whole
// lease, on his own clock, may take the lock over. A holder that slept through its
// lease finds out at its next renewal; what it had sent is a statement that can be
// repeated.
type lock struct {
	store store
	say   func(string)
	lease time.Duration // longer than any statement under the lock takes
	pause time.Duration // between two looks

	held oplog.Epoch   // as far as known; zero: not held
	mine []oplog.Epoch // nonces of this lock's that may be in the row
}

var (
	lockID = rowID{space: "lock", name: "migrate"}

	errLockLost = errors.New("somebody else holds it")
)

func newLock(s store, say func(string)) *lock {
	return &lock{store: s, say: say, lease: 2 * schemaTimeout, pause: time.Second}
}

// take waits until the lock is held. A compare-and-set of its own whose outcome is
// not known is settled by the next one: it moves the nonce that it finds.
func (l *lock) take(ctx context.Context) error {
	var seen oplog.Epoch // another's nonce
	var since time.Time
	for told := false; ; {
		row, there, err := l.store.read(ctx, migrationRows, lockID)
		if err != nil {
			return err
		}
		if row.epoch != seen {
			seen, since = row.epoch, time.Now()
		}
		if !there || l.isMine(row.epoch) || time.Since(since) >= l.lease {
			if err = l.move(ctx, there, row.epoch); err == nil {
				return nil
			}
			if !errors.Is(err, oplog.ErrConflict) && !errors.Is(err, oplog.ErrUnknown) {
				return err
			}
		} else if !told {
			l.say(fmt.Sprintf("another migration is under way; if it has died, this one goes on in %s", l.lease))
			told = true
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(l.pause):
		}
	}
}

func (l *lock) isMine(nonce oplog.Epoch) bool {
	for _, m := range l.mine {
		if m == nonce {
			return true
		}
	}
	return false
}

// move replaces the nonce that was found by a fresh one.
func (l *lock) move(ctx context.Context, there bool, old oplog.Epoch) (err error) {
	fresh := oplog.NewEpoch()
	l.mine = append(l.mine, fresh)
	if there {
		err = verdict(l.store.update(ctx, migrationRows, lockID, old, fresh, nil))
	} else {
		err = verdict(l.store.insert(ctx, migrationRows, lockID, stored{epoch: fresh, mark: fresh}))
	}
	if err == nil {
		l.held, l.mine = fresh, []oplog.Epoch{fresh}
	}
	return err
}

// renew proves that the lock is still held.
func (l *lock) renew(ctx context.Context) error {
	err := l.move(ctx, true, l.held)
	if errors.Is(err, oplog.ErrUnknown) { // settled by taking what may be ours already
		return l.take(ctx)
	}
	if errors.Is(err, oplog.ErrConflict) {
		return errLockLost
	}
	return err
}

// release gives the lock up. One that fails holds the next migration up for a
// lease, no more.
func (l *lock) release(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), statementTimeout)
	defer cancel()
	return verdict(l.store.remove(ctx, migrationRows, lockID, l.held))
}

package main

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"sync"

	"github.com/s3mirror/s3mirror/internal/admin"
	"github.com/s3mirror/s3mirror/internal/auth"
	"github.com/s3mirror/s3mirror/internal/oplog"
)

// rotation changes the deployment's secret key while the node runs. The order is what
// makes a crash harmless, wherever it comes:
//
//  1. the file holds the new key, and the old one beside it
//  2. the new key seals, either opens
//  3. everything that is stored is sealed anew, record by record
//  4. the file holds the new key, and the old one for stamps alone
//  5. the old key opens nothing any more
//
// A start that finds a key of before in the file goes on with 3.
type rotation struct {
	mu     sync.Mutex // one at a time; guards ring
	ring   keyring
	file   string
	shared bool // other nodes use the log, and have files of their own
	log    oplog.Documents
	logins *auth.Logins
	// reseals seal anew what else is stored; each tells how many records.
	reseals []func(context.Context) (int, error)
	logger  *slog.Logger
}

// Rotate makes a new key and puts it in the place of the present one, to the end.
func (r *rotation) Rotate(ctx context.Context) (resealed int, err error) {
	if r.shared {
		return 0, admin.ErrSharedKey
	}
	if !r.mu.TryLock() {
		return 0, admin.ErrRotating
	}
	defer r.mu.Unlock()
	if len(r.ring.before) > 0 { // one that could not be ended
		if resealed, err = r.finish(ctx); err != nil {
			return resealed, err
		}
	}
	key := make([]byte, secretKeySize)
	rand.Read(key)
	next := keyring{key: key, before: [][]byte{r.ring.key}, stamps: r.ring.stamps}
	if err := r.write(next); err != nil {
		return resealed, err
	}
	r.ring = next
	r.logins.ChangeSecret(key)
	r.logger.InfoContext(ctx, "the secret key is being changed", "file", r.file)
	n, err := r.finish(ctx)
	return resealed + n, err
}

// write replaces the file. A failure leaves the old one; what may be new after all, since
// its folder could not be synced, is a file with both keys, or without one that nothing needs.
func (r *rotation) write(ring keyring) error {
	if err := writePrivate(r.file, ring.text()); err != nil {
		return fmt.Errorf("%w: %w", admin.ErrKeyFile, err)
	}
	return nil
}

// resume ends a rotation that a crash cut short, at the start. Among several nodes the file
// is the operator's.
func (r *rotation) resume(ctx context.Context) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.ring.before) == 0 {
		return nil
	}
	if r.shared {
		if _, err := r.reseal(ctx); err != nil {
			return err
		}
		r.logger.InfoContext(ctx, "nothing needs the keys of before in the secret key's file any more, once every node has started with it", "file", r.file)
		return nil
	}
	_, err := r.finish(ctx)
	if errors.Is(err, admin.ErrKeyFile) {
		r.logger.WarnContext(ctx, "everything is sealed with the new secret key, but the old one could not be taken from its file", "file", r.file, "error", err)
		return nil
	}
	return err
}

// finish is 3 to 5. The caller holds mu.
func (r *rotation) finish(ctx context.Context) (resealed int, err error) {
	if resealed, err = r.reseal(ctx); err != nil {
		return resealed, err
	}
	next := keyring{key: r.ring.key, stamps: r.ring.stamps}
	if err := r.write(next); err != nil {
		return resealed, err
	}
	r.ring = next
	if err := r.logins.Forget(ctx); err != nil {
		return resealed, err
	}
	r.logger.InfoContext(ctx, "the secret key was changed", "file", r.file, "resealed", resealed)
	return resealed, nil
}

func (r *rotation) reseal(ctx context.Context) (changed int, err error) {
	if changed, err = r.logins.Reseal(ctx); err != nil {
		return changed, err
	}
	for _, reseal := range r.reseals {
		n, err := reseal(ctx)
		if changed += n; err != nil {
			return changed, err
		}
	}
	doc, err := r.log.Doc(ctx, oplog.DocUser, auth.RootLogin)
	if err != nil {
		return changed, fmt.Errorf("read user root: %w", err)
	}
	kept, err := readRoot(r.ring, doc.Body)
	if err != nil {
		return changed, err
	}
	if _, err := readRoot(keyring{key: r.ring.key}, doc.Body); err == nil {
		return changed, nil
	}
	return changed + 1, kept.keep(ctx, r.ring.key, r.log, doc.Epoch)
}

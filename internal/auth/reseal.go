package auth

import (
	"context"
	"errors"
	"fmt"
	"slices"
)

// ChangeSecret has another secret of the deployment seal from now on; what the one
// before it sealed opens until Forget. Refresh tokens and temporary keys that the old
// one made end, at the latest with Forget: whoever has found that secret could have made
// them himself. It must be on disk beside the old one. Only one caller at a time.
func (l *Logins) ChangeSecret(secret []byte) {
	l.directory.vault.change(secret)
	l.setRefreshKey(secret)
}

// Reseal seals anew whatever in the store was sealed with an earlier secret, and tells
// how many records it changed. Each is changed by itself and only if it has to be, so
// Reseal may be stopped anywhere and begun again, and users may be changed meanwhile. When it
// has returned nil nothing in the store needs an earlier secret.
func (l *Logins) Reseal(ctx context.Context) (changed int, err error) {
	const pageSize = 200
	d := l.directory
	for after := ""; ; {
		page, err := d.store.Users(ctx, after, pageSize)
		if err != nil {
			return changed, fmt.Errorf("users: %w", err)
		}
		for _, u := range page {
			did, err := d.resealUser(ctx, u)
			if err != nil {
				return changed, fmt.Errorf("seal the keys of %s anew: %w", u.Login, err)
			}
			if did {
				changed++
			}
		}
		if len(page) < pageSize {
			break
		}
		after = page[len(page)-1].Login
	}
	did, err := l.signers.reseal(ctx)
	if did {
		changed++
	}
	return changed, err
}

// Forget has nothing opened any more that an earlier secret sealed. Reseal must have
// ended well.
func (l *Logins) Forget(ctx context.Context) error {
	l.directory.users.forgetAll() // they hold texts of before
	if _, err := l.signers.load(ctx); err != nil {
		return err
	}
	l.directory.vault.forget()
	return nil
}

// resealUser changes one user, if he has a key that was sealed with an earlier secret.
func (d *Directory) resealUser(ctx context.Context, u User) (changed bool, err error) {
	for range maxTries {
		next := u
		next.Keys = slices.Clone(u.Keys)
		stale := false
		for i, k := range next.Keys {
			if d.vault.Sealed(k.Sealed) {
				continue
			}
			text, err := d.vault.Open(keyUse(u.Login, k.ID), k.Sealed)
			if err != nil {
				return false, fmt.Errorf("access key %s: %w", k.ID, err)
			}
			next.Keys[i].Sealed, stale = d.vault.Seal(keyUse(u.Login, k.ID), text), true
		}
		if !stale {
			return false, nil
		}
		next.Revision = NewRevision()
		err = d.store.SwapUser(ctx, u.Login, u.Revision, &next)
		if !errors.Is(err, ErrConflict) {
			return err == nil, err
		}
		if u, err = d.store.User(ctx, u.Login); errors.Is(err, ErrNoUser) {
			return false, nil
		} else if err != nil {
			return false, err
		}
	}
	return false, err
}

// reseal is resealUser for the keys that sign tokens.
func (s *signers) reseal(ctx context.Context) (changed bool, err error) {
	for range maxTries {
		known, err := s.load(ctx)
		if err != nil {
			return false, err
		}
		next := Signers{Revision: NewRevision(), Keys: slices.Clone(known.Keys)}
		stale := false
		for i, k := range next.Keys {
			if s.vault.Sealed(k.Sealed) {
				continue
			}
			text, err := s.vault.Open(signerUse(k.ID), k.Sealed)
			if err != nil {
				return false, fmt.Errorf("key %s of tokens: %w", k.ID, err)
			}
			next.Keys[i].Sealed, stale = s.vault.Seal(signerUse(k.ID), text), true
		}
		if !stale {
			return false, nil
		}
		err = s.store.SwapSigners(ctx, known.Revision, &next)
		if !errors.Is(err, ErrConflict) {
			return err == nil, err
		}
	}
	return false, fmt.Errorf("keys of tokens: %w", ErrConflict)
}

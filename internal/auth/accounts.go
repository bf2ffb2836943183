package auth

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"
	"unicode/utf8"

	"github.com/s3mirror/s3mirror/internal/sigv4"
)

// ErrExists: somebody has the login already.
var ErrExists = errors.New("there is such a user already")

// InvalidError is a change that would make a user whom the rules do not allow.
// Its text is for whoever asked.
type InvalidError struct{ Err error }

func (e *InvalidError) Error() string { return e.Err.Error() }
func (e *InvalidError) Unwrap() error { return e.Err }

func invalid(format string, args ...any) error { return &InvalidError{fmt.Errorf(format, args...)} }

// Accounts changes users and keys. It is safe for concurrent use, also from
// several nodes: of two changes of one user that meet, the later one is made on
// what the earlier one left.
//
// An error that is none of those named means that the change may have been made.
type Accounts struct {
	store     Store
	vault     *Vault
	passwords *Passwords
	directory *Directory
	now       func() time.Time
}

// NewAccounts changes the users of a directory, which sees each change at once.
func NewAccounts(d *Directory, passwords *Passwords) *Accounts {
	return &Accounts{store: d.store, vault: d.vault, passwords: passwords, directory: d, now: d.now}
}

// Create makes a user; an empty password opens nothing. ErrExists, *InvalidError.
func (a *Accounts) Create(ctx context.Context, u User, password string) (User, error) {
	if err := u.Check(); err != nil {
		return User{}, &InvalidError{err}
	}
	u.Keys = nil
	u.Revision, u.Tokens = NewRevision(), NewRevision()
	u.Created = a.now().UTC().Truncate(time.Millisecond)
	u.Changed = u.Created
	if password != "" {
		if err := a.setPassword(ctx, &u, password); err != nil {
			return User{}, err
		}
	}
	defer a.directory.users.forget(u.Login)
	err := a.store.SwapUser(ctx, u.Login, Revision{}, &u)
	if errors.Is(err, ErrConflict) {
		return User{}, ErrExists
	}
	if err != nil {
		return User{}, fmt.Errorf("create user %s: %w", u.Login, err)
	}
	return u, nil
}

// User reads a user as he is kept at this moment. ErrNoUser.
func (a *Accounts) User(ctx context.Context, login string) (User, error) {
	return a.store.User(ctx, login)
}

// Users pages through all users, as a Store does.
func (a *Accounts) Users(ctx context.Context, after string, limit int) ([]User, error) {
	return a.store.Users(ctx, after, limit)
}

// SetPassword hashes the password of a user who is about to be changed, within
// Update. Every token that was given out to him ends.
func (a *Accounts) SetPassword(ctx context.Context, u *User, password string) error {
	if err := a.setPassword(ctx, u, password); err != nil {
		return err
	}
	u.Tokens = NewRevision()
	return nil
}

func (a *Accounts) setPassword(ctx context.Context, u *User, password string) (err error) {
	if err := CheckPassword(password); err != nil {
		return &InvalidError{err}
	}
	u.PasswordHash, err = a.passwords.Hash(ctx, password)
	return err
}

// The length of a password in bytes.
const (
	minPassword = 8
	maxPassword = 1024
)

// CheckPassword tells whether a password may be set.
func CheckPassword(password string) error {
	switch {
	case len(password) < minPassword || len(password) > maxPassword:
		return fmt.Errorf("password: want %d to %d bytes", minPassword, maxPassword)
	case !utf8.ValidString(password):
		return errors.New("password: is not UTF-8")
	}
	return nil
}

// maxTries is how often a change is made anew because another one came first.
const maxTries = 10

// Update changes a user: change is given a copy, and may be called again with
// another one when somebody else changes him meanwhile; its error is returned as
// it is. The login cannot be changed. A user who is made inactive loses every token
// that was given out to him for good. ErrNoUser, *InvalidError, ErrConflict when
// others never stop changing him.
func (a *Accounts) Update(ctx context.Context, login string, change func(u *User) error) (User, error) {
	defer a.directory.users.forget(login)
	var err error
	for range maxTries {
		var was User
		if was, err = a.store.User(ctx, login); err != nil {
			return User{}, err
		}
		u := was.Clone()
		if err := change(u); err != nil {
			return User{}, err
		}
		if err := u.Check(); err != nil {
			return User{}, &InvalidError{err}
		}
		if was.Active && !u.Active {
			u.Tokens = NewRevision()
		}
		u.Login, u.Created = was.Login, was.Created
		u.Revision, u.Changed = NewRevision(), a.now().UTC().Truncate(time.Millisecond)
		if err = a.store.SwapUser(ctx, login, was.Revision, u); err == nil {
			return *u, nil
		}
		if !errors.Is(err, ErrConflict) {
			break
		}
	}
	return User{}, fmt.Errorf("change user %s: %w", login, err)
}

// Delete removes a user, and with him his keys and his sessions. ErrNoUser.
func (a *Accounts) Delete(ctx context.Context, login string) error {
	defer a.directory.users.forget(login)
	for range maxTries {
		u, err := a.store.User(ctx, login)
		if err != nil {
			return err
		}
		err = a.store.SwapUser(ctx, login, u.Revision, nil)
		if errors.Is(err, ErrConflict) {
			continue
		}
		if err != nil {
			return fmt.Errorf("delete user %s: %w", login, err)
		}
		for _, k := range u.Keys { // without him they open nothing: what fails here only takes room
			_ = a.release(ctx, k.ID)
		}
		return nil
	}
	return fmt.Errorf("delete user %s: %w", login, ErrConflict)
}

// NewKey makes an access key. Its secret is returned here and never again;
// expires zero: never. ErrNoUser, *InvalidError.
func (a *Accounts) NewKey(ctx context.Context, login string, expires time.Time) (AccessKey, sigv4.Secret, error) {
	if !expires.IsZero() && !expires.After(a.now()) {
		return AccessKey{}, "", invalid("expires: %s is not in the future", expires.UTC().Format(time.RFC3339))
	}
	if _, err := a.store.User(ctx, login); err != nil {
		return AccessKey{}, "", err
	}
	defer a.vault.Storing()()
	id, secret := NewAccessKey()
	key := AccessKey{
		ID: id, Sealed: a.vault.Seal(keyUse(login, id), []byte(secret)),
		Created: a.now().UTC().Truncate(time.Millisecond), Expires: expires.UTC().Truncate(time.Millisecond),
	}
	if err := a.store.SwapHolder(ctx, id, Revision{}, &Holder{Revision: NewRevision(), Login: login}); err != nil {
		return AccessKey{}, "", fmt.Errorf("new key of %s: %w", login, err)
	}
	_, err := a.Update(ctx, login, func(u *User) error {
		if len(u.Keys) >= MaxKeys {
			return invalid("keys: %s has %d already: delete one first", login, len(u.Keys))
		}
		u.Keys = append(u.Keys, key)
		return nil
	})
	if err != nil {
		var wrong *InvalidError
		if errors.Is(err, ErrNoUser) || errors.As(err, &wrong) { // definitive: the key is nobody's
			_ = a.release(ctx, id)
		}
		return AccessKey{}, "", err
	}
	return key, secret, nil
}

// RotateKey makes a key in the place of another, with what is left of its life,
// in one change of the user. The other one opens for grace more, at once nothing
// for 0. ErrNoUser, ErrNoKey, also of one that has expired, *InvalidError.
func (a *Accounts) RotateKey(ctx context.Context, login, old string, grace time.Duration) (AccessKey, sigv4.Secret, error) {
	if grace < 0 || grace > maxGrace {
		return AccessKey{}, "", invalid("grace: %s: want 0 to %s", grace, maxGrace)
	}
	if _, err := a.store.User(ctx, login); err != nil {
		return AccessKey{}, "", err
	}
	defer a.vault.Storing()()
	id, secret := NewAccessKey()
	if err := a.store.SwapHolder(ctx, id, Revision{}, &Holder{Revision: NewRevision(), Login: login}); err != nil {
		return AccessKey{}, "", fmt.Errorf("new key of %s: %w", login, err)
	}
	var key AccessKey
	_, err := a.Update(ctx, login, func(u *User) error {
		now := a.now().UTC().Truncate(time.Millisecond)
		i := slices.IndexFunc(u.Keys, func(k AccessKey) bool { return k.ID == old })
		if i < 0 || u.Keys[i].Expired(now) {
			return ErrNoKey
		}
		key = AccessKey{ID: id, Sealed: a.vault.Seal(keyUse(login, id), []byte(secret)), Created: now, Expires: u.Keys[i].Expires}
		if grace == 0 {
			u.Keys = slices.Delete(u.Keys, i, i+1)
		} else if last := now.Add(grace); u.Keys[i].Expires.IsZero() || last.Before(u.Keys[i].Expires) {
			u.Keys[i].Expires = last
		}
		if len(u.Keys) >= MaxKeys {
			return invalid("keys: %s has %d already: delete one first", login, len(u.Keys))
		}
		u.Keys = append(u.Keys, key)
		return nil
	})
	if err != nil {
		var wrong *InvalidError
		if errors.Is(err, ErrNoUser) || errors.Is(err, ErrNoKey) || errors.As(err, &wrong) { // definitive: the key is nobody's
			_ = a.release(ctx, id)
		}
		return AccessKey{}, "", err
	}
	if grace == 0 {
		_ = a.release(ctx, old) // it opens nothing any more: what fails here only takes room
	}
	return key, secret, nil
}

// maxGrace is the longest that a key may go on beside the one in its place.
const maxGrace = 30 * 24 * time.Hour

// DeleteKey takes an access key from its user. ErrNoUser, ErrNoKey.
func (a *Accounts) DeleteKey(ctx context.Context, login, id string) error {
	_, err := a.Update(ctx, login, func(u *User) error {
		if _, ok := u.Key(id); !ok {
			return ErrNoKey
		}
		u.Keys = slices.DeleteFunc(u.Keys, func(k AccessKey) bool { return k.ID == id })
		return nil
	})
	if err != nil {
		return err
	}
	_ = a.release(ctx, id) // it opens nothing any more: what fails here only takes room
	return nil
}

// release drops the index entry of a key.
func (a *Accounts) release(ctx context.Context, id string) error {
	defer a.directory.holders.forget(id)
	h, err := a.store.Holder(ctx, id)
	if err != nil {
		return err
	}
	return a.store.SwapHolder(ctx, id, h.Revision, nil)
}

// LastUsed tells when a key last proved its user's identity, to the hour; zero:
// never. ErrNoKey.
func (a *Accounts) LastUsed(ctx context.Context, id string) (time.Time, error) {
	h, err := a.store.Holder(ctx, id)
	return h.LastUsed, err
}

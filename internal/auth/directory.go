package auth

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base32"
	"encoding/base64"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"time"

	"github.com/s3mirror/s3mirror/internal/sigv4"
)

// Directory knows users, keys and sessions as the data path needs them: from
// memory, and never older than five seconds, whatever was changed on which node.
// What this node changes it sees at once. It is safe for concurrent use.
//
// While the store does not answer it serves what it knows until that is too
// old, and then refuses; or longer, see Outlast.
type Directory struct {
	store Store
	vault *Vault
	root  Keys
	admin *User // root
	now   func() time.Time
	log   *slog.Logger

	users    *cache[*User]
	holders  *cache[Holder] // by access key
	sessions *cache[Session]

	mu   sync.Mutex // guards used
	used map[string]time.Time
}

// DirectoryOptions are the parts of a Directory. All are required.
type DirectoryOptions struct {
	Store Store
	Vault *Vault
	Root  Keys // of the built-in user, who is not in the store

	// RootPasswordHash is of the password of root; empty: no password opens. A
	// change of it ends the sessions of root.
	RootPasswordHash string

	Now func() time.Time
	Log *slog.Logger
}

// Most records of each sort that a Directory keeps in memory.
const (
	mostUsers    = 20_000
	mostHolders  = 60_000
	mostSessions = 20_000
)

// NewDirectory joins the parts. It reads nothing yet.
func NewDirectory(o DirectoryOptions) *Directory {
	d := &Directory{store: o.Store, vault: o.Vault, root: o.Root, admin: RootUser(), now: o.Now, log: o.Log, used: map[string]time.Time{}}
	d.admin.PasswordHash = o.RootPasswordHash
	sum := sha256.Sum256([]byte("tokens of root " + o.RootPasswordHash))
	copy(d.admin.Tokens[:], sum[:])
	d.users = newCache(mostUsers, o.Now, func(ctx context.Context, login string, known *User) (*User, error) {
		var revision Revision
		if known != nil {
			revision = known.Revision
		}
		u, err := o.Store.NewerUser(ctx, login, revision)
		switch {
		case errors.Is(err, ErrUnchanged):
			return known, nil
		case err != nil:
			return nil, err
		}
		return &u, nil
	})
	d.holders = newCache(mostHolders, o.Now, func(ctx context.Context, id string, known Holder) (Holder, error) {
		h, err := o.Store.NewerHolder(ctx, id, known.Revision)
		if errors.Is(err, ErrUnchanged) {
			return known, nil
		}
		return h, err
	})
	d.sessions = newCache(mostSessions, o.Now, func(ctx context.Context, id string, _ Session) (Session, error) {
		return o.Store.Session(ctx, id)
	})
	return d
}

// Outlast has what is known serve, whatever its age, while the store does not answer
// and away says that it is away. It must be called before the directory is used.
func (d *Directory) Outlast(away func() bool) {
	d.users.away, d.holders.away, d.sessions.away = away, away, away
}

func isAbsent(err error) bool {
	return errors.Is(err, ErrNoUser) || errors.Is(err, ErrNoKey) || errors.Is(err, ErrNoSession)
}

// User returns a user, root included, active or not. The user is shared and
// must not be changed. ErrNoUser.
func (d *Directory) User(ctx context.Context, login string) (*User, error) {
	if login == RootLogin {
		return d.admin, nil
	}
	return d.users.get(ctx, login)
}

// Secret implements Keys. The owner may be inactive: Authorize says so, once
// the signature has proved that it is he who asks.
func (d *Directory) Secret(ctx context.Context, accessKeyID string) (sigv4.Secret, Identity, error) {
	secret, who, err := d.root.Secret(ctx, accessKeyID)
	if !errors.Is(err, ErrNoKey) {
		return secret, who, err
	}
	if !strings.HasPrefix(accessKeyID, accessKeyPrefix) || len(accessKeyID) > 32 {
		return "", Identity{}, ErrNoKey // no need to ask the log about noise
	}
	holder, err := d.holders.get(ctx, accessKeyID)
	if err != nil {
		return "", Identity{}, err
	}
	login := holder.Login
	user, err := d.User(ctx, login)
	if errors.Is(err, ErrNoUser) {
		return "", Identity{}, fmt.Errorf("%w: its user %s is gone", ErrNoKey, login)
	}
	if err != nil {
		return "", Identity{}, err
	}
	key, ok := user.Key(accessKeyID)
	switch {
	case !ok:
		return "", Identity{}, fmt.Errorf("%w: it was taken from %s", ErrNoKey, login)
	case key.Expired(d.now()):
		return "", Identity{}, fmt.Errorf("%w: this one of %s has expired", ErrNoKey, login)
	}
	text, err := d.vault.Open(keyUse(login, accessKeyID), key.Sealed)
	if err != nil {
		return "", Identity{}, fmt.Errorf("access key %s of %s: %w", accessKeyID, login, err)
	}
	return sigv4.Secret(text), Identity{Login: login, AccessKeyID: accessKeyID, User: user}, nil
}

// keyUse binds a sealed secret to its key and its owner.
func keyUse(login, accessKeyID string) string { return "secret of " + accessKeyID + " of " + login }

// Used implements Keys: it notes that a key has proved somebody's identity, to
// be written by Run.
func (d *Directory) Used(accessKeyID string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if last, ok := d.used[accessKeyID]; !ok || !last.IsZero() && d.now().Sub(last) >= usedEvery {
		d.used[accessKeyID] = time.Time{} // to be written
	}
}

const (
	// usedEvery is how exact the last use of a key is known: it costs a write.
	usedEvery = time.Hour
	// writeUsedEvery is how long a use waits to be written.
	writeUsedEvery = 30 * time.Second
	// sweepEvery is the pause between two looks for sessions that have ended.
	sweepEvery = time.Hour
)

// Run writes when keys were last used and drops sessions that have ended, until
// ctx ends. What fails is tried again: nobody's right depends on either.
func (d *Directory) Run(ctx context.Context) error {
	write, sweep := time.NewTicker(writeUsedEvery), time.NewTicker(sweepEvery)
	defer write.Stop()
	defer sweep.Stop()
	for {
		var err error
		select {
		case <-ctx.Done():
			return nil
		case <-write.C:
			err = d.writeUsed(ctx)
		case <-sweep.C:
			err = d.sweep(ctx)
		}
		if err != nil && ctx.Err() == nil {
			d.log.WarnContext(ctx, "records of users could not be kept up", "error", err)
		}
	}
}

// writeUsed writes the uses that were noted since the last time.
func (d *Directory) writeUsed(ctx context.Context) error {
	d.mu.Lock()
	var ids []string
	for id, last := range d.used {
		if last.IsZero() {
			ids = append(ids, id)
		}
	}
	d.mu.Unlock()
	for _, id := range ids {
		now := d.now()
		if err := d.writeUse(ctx, id, now); err != nil && !errors.Is(err, ErrNoKey) && !errors.Is(err, ErrConflict) {
			return fmt.Errorf("last use of access key %s: %w", id, err)
		}
		d.mu.Lock()
		d.used[id] = now
		d.mu.Unlock()
	}
	d.forgetUses()
	return nil
}

func (d *Directory) writeUse(ctx context.Context, id string, now time.Time) error {
	h, err := d.store.Holder(ctx, id)
	if err != nil || now.Sub(h.LastUsed) < usedEvery {
		return err // another node wrote it
	}
	old := h.Revision
	h.Revision, h.LastUsed = NewRevision(), now
	return d.store.SwapHolder(ctx, id, old, &h)
}

// forgetUses keeps the memory for uses bounded: what is forgotten is read once
// more.
func (d *Directory) forgetUses() {
	d.mu.Lock()
	defer d.mu.Unlock()
	for id, last := range d.used {
		if !last.IsZero() && d.now().Sub(last) >= usedEvery {
			delete(d.used, id)
		}
	}
}

// sweep drops the sessions that have ended.
func (d *Directory) sweep(ctx context.Context) error {
	const pageSize = 200
	for after := ""; ; {
		page, err := d.store.Sessions(ctx, after, pageSize)
		if err != nil {
			return fmt.Errorf("sessions: %w", err)
		}
		for _, s := range page {
			if !d.now().After(s.Expires) {
				continue
			}
			if err := d.store.SwapSession(ctx, s.ID, s.Revision, nil); err != nil && !errors.Is(err, ErrConflict) {
				return fmt.Errorf("drop a session of %s: %w", s.Login, err)
			}
		}
		if len(page) < pageSize {
			return nil
		}
		after = page[len(page)-1].ID
	}
}

const accessKeyPrefix = "S3MR"

// NewAccessKey draws an S3 key in the form that tools expect: 20 characters,
// and a secret of 40.
func NewAccessKey() (id string, secret sigv4.Secret) {
	b, s := make([]byte, 10), make([]byte, 30)
	rand.Read(b)
	rand.Read(s)
	return accessKeyPrefix + base32.StdEncoding.EncodeToString(b), sigv4.Secret(base64.RawURLEncoding.EncodeToString(s))
}

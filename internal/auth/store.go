package auth

import (
	"context"
	"crypto/rand"
	"errors"
	"time"
)

// Errors of a Store. Whatever else a read returns means that the answer is not
// known now; whatever else a change returns means that it may or may not have
// been made, or may still be.
var (
	// ErrNoUser: nobody has the login.
	ErrNoUser = errors.New("there is no such user")
	// ErrNoKey: nobody has the access key.
	ErrNoKey = errors.New("access key does not exist")
	// ErrNoSession: the session never was, has ended or was ended.
	ErrNoSession = errors.New("there is no such session")
	// ErrUnchanged: the record is still as the caller knows it.
	ErrUnchanged = errors.New("record has not changed")
	// ErrConflict: the revision was another one; nothing was changed. Definitive.
	ErrConflict = errors.New("record changed meanwhile")
)

// Revision names one state of a record: a fresh random value with each change.
// The zero Revision stands for "no record".
type Revision [16]byte

// NewRevision draws a fresh revision.
func NewRevision() Revision {
	var r Revision
	rand.Read(r[:])
	return r
}

// IsZero tells whether there is no record.
func (r Revision) IsZero() bool { return r == Revision{} }

// Store keeps users and what belongs to them, in the log's database. It is four
// small families of records; nothing spans two records.
//
// All methods are safe for concurrent use. Records that go in and come out are
// never shared with the caller. Reads are linearizable: they see every change
// that was known made before the call. A change replaces the record whose
// revision is old (zero: there must be none) by one that carries a fresh
// revision (nil: the record is dropped); when it returns nil it survives the
// loss of the process and of power, and it is never retried by the Store. A page
// holds at most limit records (positive), in bytewise order of their names,
// beginning behind after; a page shorter than that is the last. Times come back
// in UTC, exact to the millisecond.
//
// What is secret arrives sealed: a Store never sees a password, a secret key or
// a signing key. RootLogin is not among its users.
type Store interface {
	UserStore
	HolderStore
	SessionStore
	SignerStore
}

// UserStore keeps users by login.
type UserStore interface {
	// User reads one user. ErrNoUser.
	User(ctx context.Context, login string) (User, error)
	// NewerUser is User for who knows this revision of him, or none (zero): when it is
	// still the one in force he is told so, and nothing is taken apart. ErrNoUser,
	// ErrUnchanged.
	NewerUser(ctx context.Context, login string, known Revision) (User, error)
	// SwapUser changes one user. ErrConflict.
	SwapUser(ctx context.Context, login string, old Revision, user *User) error
	// Users pages through all users.
	Users(ctx context.Context, after string, limit int) ([]User, error)
}

// HolderStore finds who holds an access key. It is an index, written before the
// key becomes part of its user and dropped after: a Holder alone opens nothing.
type HolderStore interface {
	// Holder reads who holds a key. ErrNoKey.
	Holder(ctx context.Context, accessKeyID string) (Holder, error)
	// NewerHolder is Holder as NewerUser is User. ErrNoKey, ErrUnchanged.
	NewerHolder(ctx context.Context, accessKeyID string, known Revision) (Holder, error)
	// SwapHolder changes who holds a key. ErrConflict.
	SwapHolder(ctx context.Context, accessKeyID string, old Revision, holder *Holder) error
}

// SessionStore keeps the sessions of those who logged in, by their id.
type SessionStore interface {
	// Session reads one session. ErrNoSession.
	Session(ctx context.Context, id string) (Session, error)
	// SwapSession changes one session. ErrConflict.
	SwapSession(ctx context.Context, id string, old Revision, session *Session) error
	// Sessions pages through all sessions.
	Sessions(ctx context.Context, after string, limit int) ([]Session, error)
}

// SignerStore keeps the keys that sign tokens, in one record.
type SignerStore interface {
	// Signers reads the record; the zero record when there is none yet.
	Signers(ctx context.Context) (Signers, error)
	// SwapSigners changes it; nil is not allowed. ErrConflict.
	SwapSigners(ctx context.Context, old Revision, signers *Signers) error
}

// Holder says whose an access key is.
type Holder struct {
	Revision Revision
	Login    string
	LastUsed time.Time // coarse; zero: never
}

// Session is one login and the tokens that came of it.
type Session struct {
	Revision Revision
	ID       string
	Login    string
	Tokens   Revision  // User.Tokens when it began: another one now ends it
	Step     uint64    // of the one refresh token in force; an earlier one was used already
	Created  time.Time // when somebody gave a password
	Expires  time.Time // when the refresh token in force ends
}

// Signers are the keys that sign tokens, newest first.
type Signers struct {
	Revision Revision
	Keys     []SignerKey
}

// SignerKey is an Ed25519 key pair.
type SignerKey struct {
	ID      string
	Created time.Time
	Public  []byte // 32 bytes
	Sealed  []byte // the seed
}

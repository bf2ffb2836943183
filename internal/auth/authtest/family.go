package authtest

import (
	"context"
	"fmt"
	"net/netip"
	"time"

	"github.com/s3mirror/s3mirror/internal/auth"
)

// family is one of the Store's families of records with its types wiped, so
// that what is promised of all is checked of all.
type family struct {
	name   string
	absent error // what the absence of a record is called
	fresh  func(name string) record
	read   func(ctx context.Context, s auth.Store, name string) (record, error)
	swap   func(ctx context.Context, s auth.Store, name string, old auth.Revision, r record) error
	page   func(ctx context.Context, s auth.Store, after string, limit int) ([]record, error)        // nil: it has no pages
	newer  func(ctx context.Context, s auth.Store, name string, known auth.Revision) (record, error) // nil: nobody asks for what is newer
}

// record is a record of any family; body is the record itself, by value. The
// zero record is none.
type record struct {
	name     string
	revision auth.Revision
	body     any
}

func (r record) none() bool { return r.body == nil }

var families = []family{
	{
		name: "users", absent: auth.ErrNoUser,
		fresh: func(name string) record { return ofUser(freshUser(name)) },
		read: func(ctx context.Context, s auth.Store, name string) (record, error) {
			u, err := s.User(ctx, name)
			return ofUser(u), err
		},
		swap: func(ctx context.Context, s auth.Store, name string, old auth.Revision, r record) error {
			return s.SwapUser(ctx, name, old, pointer[auth.User](r))
		},
		page: func(ctx context.Context, s auth.Store, after string, limit int) ([]record, error) {
			users, err := s.Users(ctx, after, limit)
			return all(users, ofUser), err
		},
		newer: func(ctx context.Context, s auth.Store, name string, known auth.Revision) (record, error) {
			u, err := s.NewerUser(ctx, name, known)
			return ofUser(u), err
		},
	},
	{
		name: "holders", absent: auth.ErrNoKey,
		fresh: func(name string) record {
			return ofHolder(name, auth.Holder{Revision: auth.NewRevision(), Login: "alice", LastUsed: noon})
		},
		read: func(ctx context.Context, s auth.Store, name string) (record, error) {
			h, err := s.Holder(ctx, name)
			return ofHolder(name, h), err
		},
		swap: func(ctx context.Context, s auth.Store, name string, old auth.Revision, r record) error {
			return s.SwapHolder(ctx, name, old, pointer[auth.Holder](r))
		},
		newer: func(ctx context.Context, s auth.Store, name string, known auth.Revision) (record, error) {
			h, err := s.NewerHolder(ctx, name, known)
			return ofHolder(name, h), err
		},
	},
	{
		name: "sessions", absent: auth.ErrNoSession,
		fresh: func(name string) record {
			return ofSession(auth.Session{
				Revision: auth.NewRevision(), ID: name, Login: "alice", Tokens: auth.NewRevision(),
				Step: 1<<63 + 1, Created: noon, Expires: noon.Add(time.Hour),
			})
		},
		read: func(ctx context.Context, s auth.Store, name string) (record, error) {
			x, err := s.Session(ctx, name)
			return ofSession(x), err
		},
		swap: func(ctx context.Context, s auth.Store, name string, old auth.Revision, r record) error {
			return s.SwapSession(ctx, name, old, pointer[auth.Session](r))
		},
		page: func(ctx context.Context, s auth.Store, after string, limit int) ([]record, error) {
			sessions, err := s.Sessions(ctx, after, limit)
			return all(sessions, ofSession), err
		},
	},
}

func ofUser(u auth.User) record                  { return record{u.Login, u.Revision, u} }
func ofHolder(name string, h auth.Holder) record { return record{name, h.Revision, h} }
func ofSession(s auth.Session) record            { return record{s.ID, s.Revision, s} }
func all[T any](list []T, of func(T) record) (out []record) {
	for _, x := range list {
		out = append(out, of(x))
	}
	return out
}

// pointer is the record as the Store takes it; nil for none.
func pointer[T any](r record) *T {
	if r.none() {
		return nil
	}
	body := r.body.(T)
	return &body
}

// freshUser has something in every field.
func freshUser(login string) auth.User {
	return auth.User{
		Revision: auth.NewRevision(), Login: login, PasswordHash: "hash of " + login, Tokens: auth.NewRevision(),
		Role: auth.RoleAdmin, Scopes: []auth.Scope{auth.ScopeRead, auth.ScopeWrite},
		AllowedIPs:        []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8"), netip.MustParsePrefix("2001:db8::/32")},
		AllowedExtensions: []string{"txt", "tar.gz"},
		AllowedBuckets:    []auth.Place{{Bucket: "photos"}, {Bucket: "logs", Prefix: "ä b/\"\n"}},
		Active:            true,
		Keys: []auth.AccessKey{
			{ID: "AK1", Sealed: []byte("\x00\xff<&"), Created: noon, Expires: noon.Add(time.Hour)},
			{ID: "AK2", Sealed: []byte{1}, Created: noon.Add(time.Millisecond)},
		},
		Created: noon, Changed: noon.Add(time.Minute),
	}
}

// bareUser has nothing that may be absent.
func bareUser(login string) auth.User {
	return auth.User{
		Revision: auth.NewRevision(), Login: login, Tokens: auth.NewRevision(), Role: auth.RoleUser,
		Scopes: []auth.Scope{}, Created: noon, Changed: noon,
	}
}

func freshSigners(n int) auth.Signers {
	s := auth.Signers{Revision: auth.NewRevision()}
	for i := range n {
		s.Keys = append(s.Keys, auth.SignerKey{ID: fmt.Sprint("k", i), Created: noon, Public: []byte{byte(i)}, Sealed: []byte{0, byte(i)}})
	}
	return s
}

// noon is a fixed moment.
var noon = time.Date(2026, 11, 24, 12, 0, 0, 123e6, time.UTC)

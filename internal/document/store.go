package document

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/s3mirror/s3mirror/internal/auth"
	"github.com/s3mirror/s3mirror/internal/oplog"
)

// Store implements auth.Store. It holds nothing and needs no closing.
type Store struct{ log oplog.Documents }

// NewStore returns the users that the log keeps.
func NewStore(log oplog.Documents) *Store { return &Store{log} }

var _ auth.Store = (*Store)(nil)

// signersName is the one document of its kind.
const signersName = "tokens"

// errRoot: the built-in user has a document of this kind too, in a form of its
// own, which is not the Store's to touch.
var errRoot = errors.New("root is kept apart")

// User implements auth.UserStore.
func (s *Store) User(ctx context.Context, login string) (auth.User, error) {
	return s.NewerUser(ctx, login, auth.Revision{})
}

// NewerUser implements auth.UserStore.
func (s *Store) NewerUser(ctx context.Context, login string, known auth.Revision) (auth.User, error) {
	if login == auth.RootLogin {
		return auth.User{}, auth.ErrNoUser
	}
	return read(ctx, s.log, oplog.DocUser, login, auth.ErrNoUser, unless(known, decodeUser))
}

// SwapUser implements auth.UserStore.
func (s *Store) SwapUser(ctx context.Context, login string, old auth.Revision, user *auth.User) error {
	if login == auth.RootLogin {
		return errRoot
	}
	var revision auth.Revision
	if user != nil {
		revision = user.Revision
	}
	return swap(ctx, s.log, oplog.DocUser, login, old, revision, user, encodeUser)
}

// Users implements auth.UserStore.
func (s *Store) Users(ctx context.Context, after string, limit int) ([]auth.User, error) {
	users, err := page(ctx, s.log, oplog.DocUser, after, limit+1, decodeUser) // one more: root's is left out
	return users[:min(len(users), limit)], err
}

// Holder implements auth.HolderStore.
func (s *Store) Holder(ctx context.Context, accessKeyID string) (auth.Holder, error) {
	return s.NewerHolder(ctx, accessKeyID, auth.Revision{})
}

// NewerHolder implements auth.HolderStore.
func (s *Store) NewerHolder(ctx context.Context, accessKeyID string, known auth.Revision) (auth.Holder, error) {
	return read(ctx, s.log, oplog.DocAccessKey, accessKeyID, auth.ErrNoKey, unless(known, decodeHolder))
}

// SwapHolder implements auth.HolderStore.
func (s *Store) SwapHolder(ctx context.Context, accessKeyID string, old auth.Revision, holder *auth.Holder) error {
	var revision auth.Revision
	if holder != nil {
		revision = holder.Revision
	}
	return swap(ctx, s.log, oplog.DocAccessKey, accessKeyID, old, revision, holder, encodeHolder)
}

// Session implements auth.SessionStore.
func (s *Store) Session(ctx context.Context, id string) (auth.Session, error) {
	return read(ctx, s.log, oplog.DocSession, id, auth.ErrNoSession, decodeSession)
}

// SwapSession implements auth.SessionStore.
func (s *Store) SwapSession(ctx context.Context, id string, old auth.Revision, session *auth.Session) error {
	var revision auth.Revision
	if session != nil {
		revision = session.Revision
	}
	return swap(ctx, s.log, oplog.DocSession, id, old, revision, session, encodeSession)
}

// Sessions implements auth.SessionStore.
func (s *Store) Sessions(ctx context.Context, after string, limit int) ([]auth.Session, error) {
	return page(ctx, s.log, oplog.DocSession, after, limit, decodeSession)
}

var errNoSigners = errors.New("there are no signers yet")

// Signers implements auth.SignerStore.
func (s *Store) Signers(ctx context.Context) (auth.Signers, error) {
	signers, err := read(ctx, s.log, oplog.DocSigners, signersName, errNoSigners, decodeSigners)
	if errors.Is(err, errNoSigners) {
		return auth.Signers{}, nil
	}
	return signers, err
}

// SwapSigners implements auth.SignerStore.
func (s *Store) SwapSigners(ctx context.Context, old auth.Revision, signers *auth.Signers) error {
	if signers == nil {
		return errors.New("signers must not be dropped: every token would end")
	}
	return swap(ctx, s.log, oplog.DocSigners, signersName, old, signers.Revision, signers, encodeSigners)
}

// read reads one record; absent is what its absence is called.
func read[T any](ctx context.Context, log oplog.Documents, kind oplog.DocKind, name string, absent error, decode func(oplog.Doc) (T, error)) (T, error) {
	doc, err := log.Doc(ctx, kind, name)
	if errors.Is(err, oplog.ErrNoRow) {
		err = absent
	}
	if err != nil {
		var none T
		return none, err
	}
	return decode(doc)
}

// unless is a decode that leaves a record alone whose revision is known.
func unless[T any](known auth.Revision, decode func(oplog.Doc) (T, error)) func(oplog.Doc) (T, error) {
	return func(doc oplog.Doc) (T, error) {
		if !known.IsZero() && known == auth.Revision(doc.Epoch) {
			var none T
			return none, auth.ErrUnchanged
		}
		return decode(doc)
	}
}

// swap changes one record; nil drops it.
func swap[T any](ctx context.Context, log oplog.Documents, kind oplog.DocKind, name string, old, fresh auth.Revision, record *T, encode func(*T) any) error {
	doc := oplog.Doc{Kind: kind, Name: name}
	if record != nil {
		if fresh.IsZero() || fresh == old {
			return fmt.Errorf("%s %q: the new revision is not fresh", kind, name)
		}
		body, err := json.Marshal(encode(record))
		if err != nil {
			return fmt.Errorf("%s %q: %w", kind, name, err)
		}
		doc.Epoch, doc.Body = oplog.Epoch(fresh), body
	}
	err := log.SwapDoc(ctx, oplog.Epoch(old), doc)
	if errors.Is(err, oplog.ErrConflict) {
		return auth.ErrConflict
	}
	return err
}

// page reads at most limit documents, and of those the records: root's document
// is none.
func page[T any](ctx context.Context, log oplog.Documents, kind oplog.DocKind, after string, limit int, decode func(oplog.Doc) (T, error)) ([]T, error) {
	docs, err := log.Docs(ctx, kind, after, limit)
	if err != nil {
		return nil, err
	}
	records := make([]T, 0, len(docs))
	for _, doc := range docs {
		if kind == oplog.DocUser && doc.Name == auth.RootLogin {
			continue
		}
		record, err := decode(doc)
		if err != nil {
			return nil, err
		}
		records = append(records, record)
	}
	return records, nil
}

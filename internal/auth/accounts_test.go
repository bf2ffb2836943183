package auth_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/s3mirror/s3mirror/internal/auth"
	"github.com/s3mirror/s3mirror/internal/document"
	"github.com/s3mirror/s3mirror/internal/memory"
	"github.com/s3mirror/s3mirror/internal/oplog"
)

// node is one gateway's view of the users in a shared log.
type node struct {
	log       oplog.Log
	store     auth.Store
	directory *auth.Directory
	accounts  *auth.Accounts
	output    *bytes.Buffer
}

func newNode(log oplog.Log) node {
	n := node{log: log, store: document.NewStore(log), output: &bytes.Buffer{}}
	n.directory = auth.NewDirectory(auth.DirectoryOptions{
		Store: n.store, Vault: auth.NewVault(make([]byte, 32)), Root: auth.Root(testKey, testSecret), Now: time.Now,
		Log: slog.New(slog.NewTextHandler(n.output, nil)),
	})
	n.accounts = auth.NewAccounts(n.directory, auth.NewPasswords(2))
	return n
}

func alice() auth.User {
	return auth.User{Login: "alice", Role: auth.RoleUser, Scopes: []auth.Scope{auth.ScopeRead}, Active: true}
}

func (n node) create(t testing.TB, u auth.User) auth.User {
	t.Helper()
	made, err := n.accounts.Create(t.Context(), u, "")
	if err != nil {
		t.Fatal(err)
	}
	return made
}

func (n node) newKey(t *testing.T, login string) (id, secret string) {
	t.Helper()
	key, s, err := n.accounts.NewKey(t.Context(), login, time.Time{})
	if err != nil {
		t.Fatal(err)
	}
	return key.ID, string(s)
}

// opens tells whether a key is worth anything on this node.
func (n node) opens(t *testing.T, id string) bool {
	t.Helper()
	_, _, err := n.directory.Secret(t.Context(), id)
	if err != nil && !errors.Is(err, auth.ErrNoKey) {
		t.Fatal(err)
	}
	return err == nil
}

func TestAccounts(t *testing.T) {
	n := newNode(memory.NewLog())
	ctx := t.Context()
	u, err := n.accounts.Create(ctx, alice(), "correct horse")
	if err != nil || u.Revision.IsZero() || u.Tokens.IsZero() || u.Created.IsZero() || !u.Changed.Equal(u.Created) {
		t.Fatalf("%+v, %v", u, err)
	}
	if ok, err := auth.NewPasswords(1).Check(ctx, "correct horse", u.PasswordHash); !ok || err != nil {
		t.Errorf("password: %v, %v", ok, err)
	}
	if _, err := n.accounts.Create(ctx, alice(), ""); !errors.Is(err, auth.ErrExists) {
		t.Errorf("again: %v", err)
	}
	kept, err := n.accounts.User(ctx, "alice")
	if err != nil || kept.Revision != u.Revision {
		t.Errorf("kept %v", err)
	}

	changed, err := n.accounts.Update(ctx, "alice", func(u *auth.User) error {
		u.Role, u.Login, u.Created = auth.RoleAdmin, "bob", time.Time{}
		return nil
	})
	if err != nil || changed.Role != auth.RoleAdmin || changed.Login != "alice" || !changed.Created.Equal(u.Created) {
		t.Errorf("%v", err)
	}
	if changed.Tokens != u.Tokens || changed.Revision == u.Revision {
		t.Error("a change of the role revokes tokens, or keeps the revision")
	}
	mine := errors.New("mine")
	if _, err := n.accounts.Update(ctx, "alice", func(*auth.User) error { return mine }); !errors.Is(err, mine) {
		t.Errorf("got %v", err)
	}
	var wrong *auth.InvalidError
	if _, err := n.accounts.Update(ctx, "alice", func(u *auth.User) error { u.Role = "boss"; return nil }); !errors.As(err, &wrong) {
		t.Errorf("got %v", err)
	}
	if _, err := n.accounts.Update(ctx, "nobody", func(*auth.User) error { return nil }); !errors.Is(err, auth.ErrNoUser) {
		t.Errorf("got %v", err)
	}

	if err := n.accounts.Delete(ctx, "alice"); err != nil {
		t.Error(err)
	}
	if err := n.accounts.Delete(ctx, "alice"); !errors.Is(err, auth.ErrNoUser) {
		t.Errorf("got %v", err)
	}
}

// TestWhatRevokesTokens: a password and inactivity do, and what was revoked
// stays so.
func TestWhatRevokesTokens(t *testing.T) {
	n := newNode(memory.NewLog())
	u := n.create(t, alice())
	tokens := u.Tokens
	for _, step := range []struct {
		name    string
		revokes bool
		change  func(u *auth.User) error
	}{
		{"scopes", false, func(u *auth.User) error { u.Scopes = nil; return nil }},
		{"inactive", true, func(u *auth.User) error { u.Active = false; return nil }},
		{"still inactive", false, func(u *auth.User) error { u.Active = false; return nil }},
		{"active again", false, func(u *auth.User) error { u.Active = true; return nil }},
		{"password", true, func(u *auth.User) error { return n.accounts.SetPassword(t.Context(), u, "another horse") }},
	} {
		u, err := n.accounts.Update(t.Context(), "alice", step.change)
		if err != nil || (u.Tokens != tokens) != step.revokes {
			t.Errorf("%s: revoked %v, %v", step.name, u.Tokens != tokens, err)
		}
		tokens = u.Tokens
	}
	if err := n.accounts.Delete(t.Context(), "alice"); err != nil {
		t.Fatal(err)
	}
	if u := n.create(t, alice()); u.Tokens == tokens {
		t.Error("a new user of the same login takes the old one's tokens")
	}
}

func TestCreateRefuses(t *testing.T) {
	n := newNode(memory.NewLog())
	for name, tc := range map[string]struct {
		spoil    func(u *auth.User)
		password string
	}{
		"root":           {func(u *auth.User) { u.Login = auth.RootLogin }, ""},
		"login":          {func(u *auth.User) { u.Login = "Alice" }, ""},
		"role":           {func(u *auth.User) { u.Role = "" }, ""},
		"short password": {func(*auth.User) {}, "1234567"},
		"long password":  {func(*auth.User) {}, strings.Repeat("x", 1025)},
		"no text":        {func(*auth.User) {}, "12345678\xff"},
	} {
		u := alice()
		tc.spoil(&u)
		var wrong *auth.InvalidError
		if _, err := n.accounts.Create(t.Context(), u, tc.password); !errors.As(err, &wrong) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if page, err := n.accounts.Users(t.Context(), "", 10); err != nil || len(page) != 0 {
		t.Errorf("%d users, %v", len(page), err)
	}
}

func TestKeys(t *testing.T) {
	n := newNode(memory.NewLog())
	ctx := t.Context()
	n.create(t, alice())
	key, secret, err := n.accounts.NewKey(ctx, "alice", time.Time{})
	if err != nil || len(key.ID) != 20 || len(string(secret)) != 40 {
		t.Fatalf("%v, %v", key.ID, err)
	}
	got, who, err := n.directory.Secret(ctx, key.ID)
	if err != nil || got != secret || who.Login != "alice" || who.AccessKeyID != key.ID || who.User.Login != "alice" {
		t.Errorf("%v, %v", who, err)
	}
	for _, kind := range []oplog.DocKind{oplog.DocUser, oplog.DocAccessKey} {
		docs, err := n.log.Docs(ctx, kind, "", 10)
		if err != nil || len(docs) != 1 || bytes.Contains(docs[0].Body, []byte(string(secret))) {
			t.Errorf("%s: %d documents, %v; or the secret stands in one", kind, len(docs), err)
		}
	}
	if got, who, err := n.directory.Secret(ctx, testKey); err != nil || got != testSecret || who.User.Login != auth.RootLogin {
		t.Errorf("root: %v", err)
	}
	for _, id := range []string{"", "AKOTHER", "S3MRAAAAAAAAAAAAAAAA", key.ID + "x", "S3MR" + strings.Repeat("A", 2000), strings.ToLower(key.ID)} {
		if n.opens(t, id) {
			t.Errorf("%.30q opens", id)
		}
	}

	if err := n.accounts.DeleteKey(ctx, "alice", key.ID); err != nil || n.opens(t, key.ID) {
		t.Errorf("deleted: %v", err)
	}
	if err := n.accounts.DeleteKey(ctx, "alice", key.ID); !errors.Is(err, auth.ErrNoKey) {
		t.Errorf("got %v", err)
	}
	if _, err := n.accounts.LastUsed(ctx, key.ID); !errors.Is(err, auth.ErrNoKey) {
		t.Errorf("the index keeps it: %v", err)
	}
	var wrong *auth.InvalidError
	if _, _, err := n.accounts.NewKey(ctx, "alice", time.Now().Add(-time.Second)); !errors.As(err, &wrong) {
		t.Errorf("got %v", err)
	}
	if _, _, err := n.accounts.NewKey(ctx, "nobody", time.Time{}); !errors.Is(err, auth.ErrNoUser) {
		t.Errorf("got %v", err)
	}
	for range auth.MaxKeys {
		n.newKey(t, "alice")
	}
	if _, _, err := n.accounts.NewKey(ctx, "alice", time.Time{}); !errors.As(err, &wrong) {
		t.Errorf("got %v", err)
	}
	if docs, err := n.log.Docs(ctx, oplog.DocAccessKey, "", 100); err != nil || len(docs) != auth.MaxKeys {
		t.Errorf("%d keys in the index, %v: the one that was refused stays", len(docs), err)
	}
	if err := n.accounts.Delete(ctx, "alice"); err != nil {
		t.Fatal(err)
	}
	if docs, err := n.log.Docs(ctx, oplog.DocAccessKey, "", 100); err != nil || len(docs) != 0 {
		t.Errorf("%d keys in the index after the user is gone, %v", len(docs), err)
	}
}

// TestSealedForOneOwner: a key that was moved to another user's record opens
// nothing, and neither does one sealed with another deployment's key.
func TestSealedForOneOwner(t *testing.T) {
	n := newNode(memory.NewLog())
	n.create(t, alice())
	bob := alice()
	bob.Login = "bob"
	n.create(t, bob)
	id, _ := n.newKey(t, "alice")
	u, err := n.accounts.User(t.Context(), "alice")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := n.accounts.Update(t.Context(), "bob", func(b *auth.User) error { b.Keys = u.Keys; return nil }); err != nil {
		t.Fatal(err)
	}
	h, err := n.store.Holder(t.Context(), id)
	if err != nil {
		t.Fatal(err)
	}
	if err := n.store.SwapHolder(t.Context(), id, h.Revision, &auth.Holder{Revision: auth.NewRevision(), Login: "bob"}); err != nil {
		t.Fatal(err)
	}
	if _, _, err := n.directory.Secret(t.Context(), id); !errors.Is(err, auth.ErrSealed) {
		t.Errorf("got %v", err)
	}
}

// TestChangesReachOtherNodes: within five seconds, however busy the user is;
// at once on the node that made them.
func TestChangesReachOtherNodes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		log := memory.NewLog()
		here, there := newNode(log), newNode(log)
		here.create(t, alice())
		id, _ := here.newKey(t, "alice")
		expiring, _, err := here.accounts.NewKey(t.Context(), "alice", time.Now().Add(time.Minute))
		if err != nil {
			t.Fatal(err)
		}
		active := func(n node) bool {
			_, who, err := n.directory.Secret(t.Context(), id)
			if err != nil {
				t.Fatal(err)
			}
			return who.User.Active
		}
		reaches := func(what string, want bool, ask func(n node) bool) {
			t.Helper()
			if ask(here) != want {
				t.Errorf("%s: not at once here", what)
			}
			for began := time.Now(); ask(there) != want; time.Sleep(100 * time.Millisecond) {
				if time.Since(began) > 5*time.Second {
					t.Fatalf("%s: not there after %v", what, time.Since(began))
				}
			}
		}
		reaches("made", true, active)
		for _, want := range []bool{false, true} {
			if _, err := here.accounts.Update(t.Context(), "alice", func(u *auth.User) error { u.Active = want; return nil }); err != nil {
				t.Fatal(err)
			}
			reaches(fmt.Sprint("active ", want), want, active)
		}
		for _, n := range []node{here, there} {
			if !n.opens(t, expiring.ID) {
				t.Error("expired early")
			}
		}
		time.Sleep(time.Until(expiring.Expires))
		if here.opens(t, expiring.ID) || there.opens(t, expiring.ID) {
			t.Error("opens at its expiry")
		}
		if err := here.accounts.DeleteKey(t.Context(), "alice", id); err != nil {
			t.Fatal(err)
		}
		reaches("key deleted", false, func(n node) bool { return n.opens(t, id) })
		other, _ := here.newKey(t, "alice")
		reaches("second key", true, func(n node) bool { return n.opens(t, other) })
		if err := here.accounts.Delete(t.Context(), "alice"); err != nil {
			t.Fatal(err)
		}
		reaches("user deleted", false, func(n node) bool { return n.opens(t, other) })
		here.create(t, alice())
		time.Sleep(5 * time.Second)
		if here.opens(t, other) || there.opens(t, other) {
			t.Error("a new user of the same login has the old one's keys")
		}
	})
}

// TestUpdatesMeet: no change is lost, from whichever node.
func TestUpdatesMeet(t *testing.T) {
	log := memory.NewLog()
	nodes := []node{newNode(log), newNode(log)}
	nodes[0].create(t, alice())
	var wg sync.WaitGroup
	for w := range 4 {
		wg.Go(func() {
			for i := range 5 {
				add := func(u *auth.User) error {
					u.AllowedExtensions = append(u.AllowedExtensions, fmt.Sprintf("e%d-%d", w, i))
					return nil
				}
				for {
					_, err := nodes[w%2].accounts.Update(context.Background(), "alice", add)
					if err == nil {
						break
					}
					if !errors.Is(err, auth.ErrConflict) {
						t.Error(err)
						return
					}
				}
			}
		})
	}
	wg.Wait()
	if u, err := nodes[0].accounts.User(t.Context(), "alice"); err != nil || len(u.AllowedExtensions) != 20 {
		t.Errorf("%d of 20 changes, %v", len(u.AllowedExtensions), err)
	}
}

// TestUnknownOutcomes: a change whose outcome is not known is an error, and what
// the directory says next is what the store says.
func TestUnknownOutcomes(t *testing.T) {
	for _, fate := range []memory.LogFate{memory.LogFail, memory.LogLose, memory.LogGone} {
		inner := memory.NewLog()
		newNode(inner).create(t, alice())
		n := newNode(memory.NewFaultyLog(inner, memory.LogScript(fate, fate)))
		before, err := n.directory.User(t.Context(), "alice")
		if err != nil {
			t.Fatal(err)
		}
		_, err = n.accounts.Update(t.Context(), "alice", func(u *auth.User) error { u.Active = false; return nil })
		if err == nil || errors.Is(err, auth.ErrConflict) {
			t.Errorf("%v: update %v", fate, err)
		}
		after, err := n.directory.User(t.Context(), "alice")
		if err != nil || before.Active == (after.Active == (fate == memory.LogLose)) {
			t.Errorf("%v: the directory says active %v, %v", fate, after.Active, err)
		}
		if err := n.accounts.Delete(t.Context(), "alice"); err == nil {
			t.Errorf("%v: delete", fate)
		}
	}
}

func TestLastUse(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		log := memory.NewLog()
		n := newNode(log)
		n.create(t, alice())
		id, _ := n.newKey(t, "alice")
		gone, _ := n.newKey(t, "alice")
		if err := n.accounts.DeleteKey(t.Context(), "alice", gone); err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		var wg sync.WaitGroup
		for _, m := range []node{n, newNode(log)} { // two nodes write it once
			wg.Go(func() {
				if err := m.directory.Run(ctx); err != nil {
					t.Error(err)
				}
			})
			m.directory.Used(id)
			m.directory.Used(gone)
		}
		lastUsed := func() time.Time {
			at, err := n.accounts.LastUsed(t.Context(), id)
			if err != nil {
				t.Fatal(err)
			}
			return at
		}
		if !lastUsed().IsZero() {
			t.Error("used before its use is written")
		}
		time.Sleep(time.Minute)
		first := lastUsed()
		if first.IsZero() || time.Since(first) > time.Minute {
			t.Errorf("used %v", first)
		}
		for range 50 { // a use a minute
			n.directory.Used(id)
			time.Sleep(time.Minute)
		}
		if got := lastUsed(); !got.Equal(first) {
			t.Errorf("written again after %v", got.Sub(first))
		}
		for range 15 {
			n.directory.Used(id)
			time.Sleep(time.Minute)
		}
		if got := lastUsed(); got.Sub(first) < time.Hour {
			t.Errorf("not written after an hour: %v", got.Sub(first))
		}
		cancel()
		wg.Wait()
		if n.output.Len() > 0 {
			t.Errorf("logged: %s", n.output)
		}
	})
}

// TestSweep: what has ended is dropped, the rest stays, a log that fails is
// named and asked again.
func TestSweep(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var down atomic.Bool
		log := memory.NewFaultyLog(memory.NewLog(), func(uint64, bool) memory.LogFate {
			if down.Load() {
				return memory.LogFail
			}
			return memory.LogPass
		})
		n := newNode(log)
		for i := range 450 {
			s := auth.Session{Revision: auth.NewRevision(), ID: fmt.Sprintf("s%03d", i), Login: "alice", Expires: time.Now().Add(time.Minute)}
			if i%3 == 0 {
				s.Expires = time.Now().Add(3 * time.Hour)
			}
			if err := n.store.SwapSession(t.Context(), s.ID, auth.Revision{}, &s); err != nil {
				t.Fatal(err)
			}
		}
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error)
		go func() { done <- n.directory.Run(ctx) }()
		down.Store(true)
		time.Sleep(time.Hour + time.Second)
		synctest.Wait()
		down.Store(false)
		if !strings.Contains(n.output.String(), "could not be kept up") {
			t.Error("a log that fails is not named")
		}
		time.Sleep(time.Hour)
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
		page, err := n.store.Sessions(t.Context(), "", 500)
		if err != nil || len(page) != 150 {
			t.Errorf("%d sessions, %v", len(page), err)
		}
	})
}

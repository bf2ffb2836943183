package main

import (
	"bytes"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/s3mirror/s3mirror/internal/admin"
	"github.com/s3mirror/s3mirror/internal/auth"
	"github.com/s3mirror/s3mirror/internal/document"
	"github.com/s3mirror/s3mirror/internal/oplog"
)

func TestKeyrings(t *testing.T) {
	a, b, c := bytes.Repeat([]byte{1}, 32), bytes.Repeat([]byte{2}, 32), bytes.Repeat([]byte{3}, 32)
	for _, ring := range []keyring{
		{key: a, stamps: a}, {key: b, before: [][]byte{a}, stamps: a}, {key: c, before: [][]byte{b}, stamps: a},
		{key: c, stamps: a}, {key: c, before: [][]byte{b, a}, stamps: a},
	} {
		got, err := parseKeyring(ring.text())
		if err != nil || fmt.Sprint(got) != fmt.Sprint(ring) {
			t.Errorf("%s: %v, %v", ring.text(), got, err)
		}
	}
	for _, text := range []string{"", "x", fmt.Sprintf("%x\nbefore", a), fmt.Sprintf("%x\nbefore %x", a, b[:31]), fmt.Sprintf("%x\n%x", a, b), fmt.Sprintf("%x\nafter %x", a, b)} {
		if got, err := parseKeyring([]byte(text)); err == nil {
			t.Errorf("%q: %v", text, got)
		}
	}
}

// rotated is a deployment whose node starts anew with each open.
type rotated struct {
	*secretsFixture
	accounts *auth.Accounts
	d        *auth.Directory
	rotation *rotation
}

func (r *rotated) start() *secrets {
	r.t.Helper()
	s := r.mustOpen()
	r.d = auth.NewDirectory(auth.DirectoryOptions{
		Store: document.NewStore(r.log.(oplog.Log)), Vault: auth.NewVault(s.key, s.before...), Root: auth.Root("AKROOT", "x"), Now: time.Now, Log: slog.New(slog.DiscardHandler),
	})
	passwords := auth.NewPasswords(1)
	r.accounts = auth.NewAccounts(r.d, passwords)
	logins, err := auth.NewLogins(r.t.Context(), r.d, passwords, s.key)
	if err != nil {
		r.t.Fatal(err)
	}
	r.rotation = &rotation{ring: s.keyring, file: s.file, log: r.log, logins: logins, logger: slog.New(slog.DiscardHandler)}
	return s
}

func (r *rotated) opens(id, want string) {
	r.t.Helper()
	if got, _, err := r.d.Secret(r.t.Context(), id); err != nil || string(got) != want {
		r.t.Errorf("key %s: %v", id, err)
	}
}

// TestSecretKeyIsRotated, twice, and stopped behind each step: whatever the file says then
// is enough to start, and to come to the end.
func TestSecretKeyIsRotated(t *testing.T) {
	r := &rotated{secretsFixture: newSecretsFixture(t)}
	first := r.start()
	if _, err := r.accounts.Create(t.Context(), auth.User{Login: "ann", Role: auth.RoleUser, Active: true}, ""); err != nil {
		t.Fatal(err)
	}
	key, secret, err := r.accounts.NewKey(t.Context(), "ann", time.Time{})
	if err != nil {
		t.Fatal(err)
	}
	present := first.key
	for range 2 {
		n, err := r.rotation.Rotate(t.Context())
		if err != nil || n != 3 { // ann, the keys that sign tokens, root
			t.Fatalf("%d, %v", n, err)
		}
		r.opens(key.ID, string(secret))
		s := r.start()
		if bytes.Equal(s.key, present) || len(s.before) != 0 || !bytes.Equal(s.stamps, first.key) || s.root != first.root {
			t.Errorf("%v", s.keyring)
		}
		r.opens(key.ID, string(secret))
		present = s.key
	}
	if text, err := os.ReadFile(filepath.Join(r.dir, "secret.key")); err != nil || bytes.Contains(text, []byte(wordBefore)) || len(bytes.Fields(text)) != 3 {
		t.Errorf("%s, %v", text, err)
	}

	// Stopped behind step 1: the file has both keys, and nothing is sealed anew.
	was := r.rotation.ring
	next := keyring{key: bytes.Repeat([]byte{9}, 32), before: [][]byte{was.key}, stamps: was.stamps}
	if err := r.rotation.write(next); err != nil {
		t.Fatal(err)
	}
	r.start()
	r.opens(key.ID, string(secret))
	// Behind step 3: everything is, and the file has both keys.
	if n, err := r.rotation.reseal(t.Context()); err != nil || n != 3 {
		t.Fatalf("%d, %v", n, err)
	}
	r.start()
	if err := r.rotation.resume(t.Context()); err != nil {
		t.Fatal(err)
	}
	if s := r.start(); len(s.before) != 0 || !bytes.Equal(s.key, next.key) || !bytes.Equal(s.stamps, first.key) {
		t.Errorf("%v", s.keyring)
	}
	r.opens(key.ID, string(secret))
}

// TestRotationThatCannotBe changes nothing.
func TestRotationThatCannotBe(t *testing.T) {
	r := &rotated{secretsFixture: newSecretsFixture(t)}
	s := r.start()
	file := r.rotation.file
	r.rotation.file = filepath.Join(r.dir, "none", "secret.key")
	if n, err := r.rotation.Rotate(t.Context()); !errors.Is(err, admin.ErrKeyFile) || n != 0 {
		t.Errorf("%d, %v", n, err)
	}
	r.rotation.file = file
	r.rotation.shared = true
	if _, err := r.rotation.Rotate(t.Context()); !errors.Is(err, admin.ErrSharedKey) {
		t.Errorf("%v", err)
	}
	r.rotation.shared = false
	r.rotation.mu.Lock()
	if _, err := r.rotation.Rotate(t.Context()); !errors.Is(err, admin.ErrRotating) {
		t.Errorf("%v", err)
	}
	r.rotation.mu.Unlock()
	if again := r.start(); !bytes.Equal(again.key, s.key) {
		t.Error("it is another one")
	}

	// Among several nodes a start seals anew, and leaves the file to the operator.
	r.rotation.shared = true
	if err := r.rotation.write(keyring{key: bytes.Repeat([]byte{9}, 32), before: [][]byte{s.key}, stamps: s.stamps}); err != nil {
		t.Fatal(err)
	}
	r.start()
	r.rotation.shared = true
	if err := r.rotation.resume(t.Context()); err != nil {
		t.Fatal(err)
	}
	if again := r.start(); len(again.before) != 1 {
		t.Errorf("%v", again.keyring)
	}
	// And a node whose file cannot be written goes on with both keys.
	r.rotation.file = filepath.Join(r.dir, "none", "secret.key")
	if err := r.rotation.resume(t.Context()); err != nil {
		t.Error(err)
	}
}

// TestSecretKeyByCommand rotates that of a running server.
func TestSecretKeyByCommand(t *testing.T) {
	d := startRealDemo(t)
	defer d.end(t)
	if got := do(t, d.env, "", "secret-key", "rotate"); !strings.Contains(got, "the secret key is another one; 2 records") {
		t.Errorf("%s", got)
	}
	if got := do(t, d.env, "", "user", "list"); !strings.Contains(got, "root") {
		t.Errorf("%s", got)
	}
}

// FuzzKeyring: whatever is read is written so that it is read again.
func FuzzKeyring(f *testing.F) {
	a := bytes.Repeat([]byte{1}, 32)
	for _, text := range []string{"", string(a), fmt.Sprintf("%x\n", a), fmt.Sprintf("%x\nbefore %x\nstamps %x\n", a, a, a), fmt.Sprintf("%x\n before %x \r\n", a, a), "x\nbefore y"} {
		f.Add([]byte(text))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		ring, err := parseKeyring(text)
		if err != nil {
			return
		}
		if len(ring.key) != secretKeySize || len(ring.stamps) != secretKeySize {
			t.Fatalf("%q: %v", text, ring)
		}
		if again, err := parseKeyring(ring.text()); err != nil || fmt.Sprint(again) != fmt.Sprint(ring) {
			t.Errorf("%q: %v is read as %v, %v", text, ring, again, err)
		}
	})
}

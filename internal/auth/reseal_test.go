package auth_test

import (
	"bytes"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"testing"
	"time"

	"github.com/s3mirror/s3mirror/internal/auth"
	"github.com/s3mirror/s3mirror/internal/document"
	"github.com/s3mirror/s3mirror/internal/memory"
	"github.com/s3mirror/s3mirror/internal/oplog"
)

var oldSecret, newSecret = bytes.Repeat([]byte{1}, 32), bytes.Repeat([]byte{2}, 32)

// sealedNode is a node that starts with these secrets.
func sealedNode(t *testing.T, log oplog.Log, secret []byte, before ...[]byte) loginNode {
	t.Helper()
	n := node{log: log, store: document.NewStore(log), output: &bytes.Buffer{}}
	n.directory = auth.NewDirectory(auth.DirectoryOptions{
		Store: n.store, Vault: auth.NewVault(secret, before...), Root: auth.Root(testKey, testSecret), Now: time.Now,
		Log: slog.New(slog.NewTextHandler(n.output, nil)),
	})
	n.accounts = auth.NewAccounts(n.directory, auth.NewPasswords(2))
	l, err := auth.NewLogins(t.Context(), n.directory, auth.NewPasswords(2), secret)
	if err != nil {
		t.Fatal(err)
	}
	return loginNode{n, l}
}

// keysOf are the secrets of some users' keys, by id.
func (n loginNode) keysOf(t *testing.T, users int) map[string]string {
	t.Helper()
	keys := map[string]string{}
	for i := range users {
		u := alice()
		u.Login = fmt.Sprintf("user-%03d", i)
		n.create(t, u)
		for range i % 3 {
			id, secret := n.newKey(t, u.Login)
			keys[id] = secret
		}
	}
	return keys
}

// wantKeys wants every key to open on a node, or none.
func (n loginNode) wantKeys(t *testing.T, keys map[string]string, want bool) {
	t.Helper()
	for id, secret := range keys {
		got, _, err := n.directory.Secret(t.Context(), id)
		if want && (err != nil || string(got) != secret) || !want && !errors.Is(err, auth.ErrSealed) {
			t.Errorf("key %s: %v, want it to open: %v", id, err, want)
		}
	}
}

// TestSecretIsChanged while users are known and keys in use.
func TestSecretIsChanged(t *testing.T) {
	log := memory.NewLog()
	n := sealedNode(t, log, oldSecret).withAlice(t)
	keys := n.keysOf(t, 250) // more than a page
	grant := n.login(t)

	n.ChangeSecret(newSecret)
	n.wantKeys(t, keys, true)
	if _, err := n.Refresh(t.Context(), grant.Refresh, here); !errors.Is(err, auth.ErrToken) {
		t.Errorf("a refresh token of the old secret: %v", err)
	}
	changed, err := n.Reseal(t.Context())
	if err != nil || changed != 250-84+1 { // every third has no key; and the keys that sign tokens
		t.Errorf("%d, %v", changed, err)
	}
	if changed, err := n.Reseal(t.Context()); err != nil || changed != 0 {
		t.Errorf("again: %d, %v", changed, err)
	}
	if err := n.Forget(t.Context()); err != nil {
		t.Fatal(err)
	}
	n.wantKeys(t, keys, true)
	n.speaks(t, grant.Access, true)
	n.speaks(t, n.login(t).Access, true)
	sealedNode(t, log, newSecret).wantKeys(t, keys, true)
	old := sealedNode(t, log, oldSecret)
	old.wantKeys(t, keys, false)
}

// TestChangeOfTheSecretStopsAnywhere: whichever change of the store fails, be it applied
// or not, a node that starts with both secrets opens everything, and ends it.
func TestChangeOfTheSecretStopsAnywhere(t *testing.T) {
	const users = 6
	stopped := 0
	for _, fate := range []memory.LogFate{memory.LogFail, memory.LogLose, memory.LogGone} {
		for at := 0; ; at++ {
			log := memory.NewLog()
			keys := sealedNode(t, log, oldSecret).keysOf(t, users)
			fates := make([]memory.LogFate, at+1)
			fates[at] = fate
			n := sealedNode(t, memory.NewFaultyLog(log, memory.LogScript(fates...)), oldSecret)
			n.ChangeSecret(newSecret)
			_, err := n.Reseal(t.Context())
			if err == nil {
				if at < 3 {
					t.Errorf("only %d changes", at)
				}
				break
			}
			stopped++
			n.wantKeys(t, keys, true)
			again := sealedNode(t, log, newSecret, oldSecret)
			again.wantKeys(t, keys, true)
			if _, err := again.Reseal(t.Context()); err != nil {
				t.Fatalf("%v at change %d: %v", fate, at, err)
			}
			sealedNode(t, log, newSecret).wantKeys(t, keys, true)
		}
	}
	if stopped < 9 {
		t.Errorf("stopped %d times", stopped)
	}
}

// TestKeysMadeMeanwhile are sealed with the new secret, or sealed anew.
func TestKeysMadeMeanwhile(t *testing.T) {
	log := memory.NewLog()
	n := sealedNode(t, log, oldSecret)
	keys := n.keysOf(t, 20)
	var mu sync.Mutex // guards keys
	var all sync.WaitGroup
	begin := make(chan struct{})
	for i := range 20 {
		all.Go(func() {
			<-begin
			key, secret, err := n.accounts.NewKey(t.Context(), fmt.Sprintf("user-%03d", i), time.Time{})
			if err != nil {
				t.Error(err)
				return
			}
			mu.Lock()
			defer mu.Unlock()
			keys[key.ID] = string(secret)
		})
	}
	close(begin)
	n.ChangeSecret(newSecret)
	if _, err := n.Reseal(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := n.Forget(t.Context()); err != nil {
		t.Fatal(err)
	}
	all.Wait()
	n.wantKeys(t, keys, true)
	sealedNode(t, log, newSecret).wantKeys(t, keys, true)
}

package auth_test

import (
	"context"
	"errors"
	"runtime"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/alexedwards/argon2id"

	"github.com/s3mirror/s3mirror/internal/auth"
)

func mustHash(t testing.TB, password string) string {
	t.Helper()
	hash, err := auth.NewPasswords(1).Hash(t.Context(), password)
	if err != nil {
		t.Fatal(err)
	}
	return hash
}

func TestPasswords(t *testing.T) {
	p := auth.NewPasswords(2)
	hash := mustHash(t, "correct horse")
	cost := "m=7168,t=5,p=1"
	if testing.Short() {
		cost = "m=64,t=1,p=1" // TestMain's
	}
	if !strings.HasPrefix(hash, "$argon2id$v=19$"+cost+"$") || strings.Contains(hash, "horse") {
		t.Errorf("hash %s", hash)
	}
	if other := mustHash(t, "correct horse"); other == hash {
		t.Error("two hashes without a salt of their own")
	}
	for password, want := range map[string]bool{"correct horse": true, "correct horse ": false, "": false, "Correct horse": false} {
		if got, err := p.Check(t.Context(), password, hash); got != want || err != nil {
			t.Errorf("%q: %v, %v", password, got, err)
		}
	}
}

func TestPasswordHashesThatAreNone(t *testing.T) {
	p := auth.NewPasswords(1)
	const rest = "$c29tZXNhbHRzb21lc2FsdA$RdescudvJCsgt3ub+b+dWRWJTmaaJObG5Jv0xwdqVAo"
	for _, hash := range []string{
		"", "plain", "$2a$10$abcdefghijklmnopqrstuv", "$argon2i$v=19$m=65536,t=3,p=2" + rest,
		"$argon2id$v=19$m=65536,t=0,p=2" + rest, "$argon2id$v=19$m=65536,t=1,p=0" + rest,
		"$argon2id$v=19$m=4294967295,t=1,p=1" + rest, "$argon2id$v=19$m=8,t=1,p=1$c29tZXNhbHQ$",
	} {
		if ok, err := p.Check(t.Context(), "x", hash); ok || err == nil {
			t.Errorf("%q: %v, %v", hash, ok, err)
		}
	}
	if _, err := p.Check(t.Context(), "x", "$argon2id$v=19$m=8,t=0,p=1"+rest); !errors.Is(err, argon2id.ErrInvalidHash) {
		t.Errorf("got %v", err)
	}
}

func TestPasswordsWaitTheirTurn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := auth.NewPasswords(0) // never a free slot
		hash := "$argon2id$v=19$m=8,t=1,p=1$c29tZXNhbHRzb21lc2FsdA$RdescudvJCsgt3ub+b+dWRWJTmaaJObG5Jv0xwdqVAo"
		ctx, cancel := context.WithCancelCause(context.Background())
		done := make(chan error, 2)
		go func() { _, err := p.Hash(ctx, "x"); done <- err }()
		go func() { _, err := p.Check(ctx, "x", hash); done <- err }()
		synctest.Wait()
		if len(done) != 0 {
			t.Error("did not wait")
		}
		gone := errors.New("client is gone")
		cancel(gone)
		for range 2 {
			if err := <-done; !errors.Is(err, gone) {
				t.Errorf("got %v", err)
			}
		}
	})
}

// TestHashLeavesNoMemory: what a hash took is given back with its slot, before
// anything else grows beside it.
func TestHashLeavesNoMemory(t *testing.T) {
	p := auth.NewPasswords(1)
	used := func() uint64 {
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		return m.HeapInuse
	}
	before := used()
	hash, err := p.Hash(t.Context(), "password")
	if err != nil {
		t.Fatal(err)
	}
	if ok, err := p.Check(t.Context(), "password", hash); err != nil || !ok {
		t.Fatal(ok, err)
	}
	if after := used(); after > before+10<<20 {
		t.Errorf("%d MiB of heap before, %d MiB after", before>>20, after>>20)
	}
}

package main

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/s3mirror/s3mirror/internal/auth"
	"github.com/s3mirror/s3mirror/internal/memory"
	"github.com/s3mirror/s3mirror/internal/oplog"
)

// secretsFixture opens the secrets of one data folder and log, as often as a
// test likes.
type secretsFixture struct {
	t    *testing.T
	dir  string
	log  oplog.Documents
	said []string // of the last open
}

func newSecretsFixture(t *testing.T) *secretsFixture {
	return &secretsFixture{t: t, dir: t.TempDir(), log: memory.NewLog()}
}

func (f *secretsFixture) open(env ...string) (*secrets, error) {
	f.said = nil
	return openSecrets(f.t.Context(), environment(env...), f.dir, f.log, auth.NewPasswords(1), func(what, value string) {
		f.said = append(f.said, what+"="+value)
	})
}

func (f *secretsFixture) mustOpen(env ...string) *secrets {
	f.t.Helper()
	s, err := f.open(env...)
	if err != nil {
		f.t.Fatal(err)
	}
	return s
}

func (f *secretsFixture) password(s *secrets, password string) bool {
	f.t.Helper()
	ok, err := auth.NewPasswords(1).Check(f.t.Context(), password, s.passwordHash)
	if err != nil {
		f.t.Fatal(err)
	}
	return ok
}

func TestSecretsAreMadeOnceAndKept(t *testing.T) {
	f := newSecretsFixture(t)
	first := f.mustOpen()
	if len(f.said) != 3 {
		t.Fatalf("said %q", f.said)
	}
	_, password, _ := strings.Cut(f.said[2], "=")
	if !f.password(first, password) {
		t.Error("the password that was said is not the one in force")
	}
	if info, err := os.Stat(filepath.Join(f.dir, "secret.key")); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("secret.key: %v %v", info.Mode(), err)
	}

	second := f.mustOpen()
	if len(f.said) != 0 {
		t.Errorf("said again: %q", f.said)
	}
	if second.root != first.root || second.passwordHash != first.passwordHash || !bytes.Equal(second.key, first.key) {
		t.Error("a second start has other secrets")
	}
	doc, err := f.log.Doc(t.Context(), oplog.DocUser, auth.RootLogin)
	if err != nil || bytes.Contains(doc.Body, []byte(first.root.SecretAccessKey)) || bytes.Contains(doc.Body, []byte(password)) {
		t.Errorf("the log holds a secret in clear, or nothing: %s %v", doc.Body, err)
	}
}

func TestEnvironmentWinsAndIsKept(t *testing.T) {
	f := newSecretsFixture(t)
	generated := f.mustOpen()
	env := []string{"S3MIRROR_ROOT_ACCESS_KEY", "AK", "S3MIRROR_ROOT_SECRET_KEY", "SK", "S3MIRROR_ROOT_PASSWORD", "PW"}
	s := f.mustOpen(env...)
	if s.root != (rootKeys{"AK", "SK"}) || !f.password(s, "PW") || s.passwordHash == generated.passwordHash {
		t.Errorf("not the environment's: %s", s.root.AccessKeyID)
	}
	again := f.mustOpen(env...)
	if again.passwordHash != s.passwordHash {
		t.Error("the same password was hashed again")
	}
	later := f.mustOpen()
	if later.root != s.root || !f.password(later, "PW") || len(f.said) != 0 {
		t.Error("what the environment gave was not kept")
	}
}

func TestNothingIsSaidWhenTheEnvironmentGivesAll(t *testing.T) {
	f := newSecretsFixture(t)
	f.mustOpen("S3MIRROR_ROOT_ACCESS_KEY", "AK", "S3MIRROR_ROOT_SECRET_KEY", "SK", "S3MIRROR_ROOT_PASSWORD", "PW")
	if len(f.said) != 0 {
		t.Errorf("said %q", f.said)
	}
}

func TestHalfAKeyIsRefused(t *testing.T) {
	for _, name := range []string{"S3MIRROR_ROOT_ACCESS_KEY", "S3MIRROR_ROOT_SECRET_KEY"} {
		_, err := newSecretsFixture(t).open(name, "x")
		if exitCode(err) != exitUsage {
			t.Errorf("only %s: %v", name, err)
		}
	}
}

func TestLostSecretKeyIsNotReplaced(t *testing.T) {
	f := newSecretsFixture(t)
	f.mustOpen()
	if err := os.Remove(filepath.Join(f.dir, "secret.key")); err != nil {
		t.Fatal(err)
	}
	if _, err := f.open(); err == nil || !strings.Contains(err.Error(), "restore it") {
		t.Errorf("got %v", err)
	}
	if _, err := os.Stat(filepath.Join(f.dir, "secret.key")); err == nil {
		t.Error("a new key was made")
	}
}

func TestAnotherSecretKeyIsRefused(t *testing.T) {
	f := newSecretsFixture(t)
	f.mustOpen()
	other := filepath.Join(t.TempDir(), "key")
	if err := os.WriteFile(other, bytes.Repeat([]byte{7}, 32), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, env := range [][]string{{}, {"S3MIRROR_ROOT_ACCESS_KEY", "AK", "S3MIRROR_ROOT_SECRET_KEY", "SK", "S3MIRROR_ROOT_PASSWORD", "PW"}} {
		if _, err := f.open(append(env, "S3MIRROR_SECRET_KEY_FILE", other)...); err == nil || !strings.Contains(err.Error(), "not the one") {
			t.Errorf("%v: %v", env, err)
		}
	}
}

func TestSecretKeyForms(t *testing.T) {
	key := bytes.Repeat([]byte{0xfb}, 32)
	for name, text := range map[string]string{
		"raw": string(key), "hex": hex.EncodeToString(key) + "\n", "HEX": strings.ToUpper(hex.EncodeToString(key)),
		"base64": base64.StdEncoding.EncodeToString(key) + "\n", "base64url": base64.RawURLEncoding.EncodeToString(key),
	} {
		if got, err := parseSecretKey([]byte(text)); err != nil || !bytes.Equal(got, key) {
			t.Errorf("%s: %x %v", name, got, err)
		}
	}
	for _, text := range []string{"", "short", strings.Repeat("f", 63), string(key) + "x"} {
		if got, err := parseSecretKey([]byte(text)); err == nil {
			t.Errorf("%q: %x", text, got)
		}
	}
}

func TestSecretKeyFileThatIsWrong(t *testing.T) {
	bad := filepath.Join(t.TempDir(), "bad")
	if err := os.WriteFile(bad, []byte("not a key"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, file := range []string{bad, bad + ".absent", t.TempDir()} {
		if _, err := newSecretsFixture(t).open("S3MIRROR_SECRET_KEY_FILE", file); exitCode(err) != exitUsage {
			t.Errorf("%s: %v", file, err)
		}
	}
	f := newSecretsFixture(t)
	if err := os.WriteFile(filepath.Join(f.dir, "secret.key"), []byte("not a key"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := f.open(); err == nil {
		t.Error("a damaged secret.key was taken")
	}
}

func TestLogThatDoesNotKeep(t *testing.T) {
	f := newSecretsFixture(t)
	faulty := memory.NewFaultyLog(memory.NewLog(), nil)
	f.log = faulty
	faulty.SetDown(true)
	if _, err := f.open(); err == nil || errors.Is(err, oplog.ErrNoRow) {
		t.Errorf("log down: %v", err)
	}
	faulty.SetDown(false)
	faulty.SetFull(true)
	if _, err := f.open(); err == nil || len(f.said) != 0 {
		t.Errorf("log full: %v, said %q", err, f.said)
	}
}

func FuzzSecretKey(f *testing.F) {
	f.Add([]byte("x"))
	f.Add(bytes.Repeat([]byte("a"), 64))
	f.Fuzz(func(t *testing.T, text []byte) {
		if key, err := parseSecretKey(text); err == nil && len(key) != secretKeySize {
			t.Errorf("%q: %d bytes", text, len(key))
		}
	})
}

package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/s3mirror/s3mirror/internal/admin/api"
)

// do wants a command to succeed and returns what it printed.
func do(t *testing.T, env environ, in string, args ...string) string {
	t.Helper()
	code, stdout, stderr := commandIn(t, env, in, args...)
	if code != 0 {
		t.Fatalf("%q: exit %d: %s%s", args, code, stdout, stderr)
	}
	return stdout
}

func TestUserCommands(t *testing.T) {
	env := adminServer(t, &fakeSource{}, nil)
	made := do(t, env, "long enough\n", "user", "create", "ann", "--password", "--scopes", "read,write", "--allow-ip", "127.0.0.0/8,::1",
		"--allow-extension", "txt,tar.gz", "--allow-bucket", "photos", "--allow-bucket", "logs/2026/")
	want := `login       ann
role        user
state       active
scopes      read, write
from        127.0.0.0/8, ::1/128
extensions  txt, tar.gz
buckets     photos, logs/2026/
keys        0
password    yes
`
	if made != want {
		t.Errorf("made\n%s\nwant\n%s", made, want)
	}
	if got := do(t, env, "", "user", "show", "ann"); got != want {
		t.Errorf("shown\n%s", got)
	}
	do(t, env, "", "user", "create", "bob", "--role", "admin", "--scopes", "", "--active=false")
	list := do(t, env, "", "user", "list")
	if want := `LOGIN  ROLE   STATE     SCOPES       KEYS  LIMITS
root   admin  active    read, write     0
ann    user   active    read, write     0  from 127.0.0.0/8 ::1/128; extensions txt tar.gz; buckets photos logs/2026/
bob    admin  inactive  none            0
`; list != want {
		t.Errorf("list\n%s\nwant\n%s", list, want)
	}

	var u api.User
	show := func(args ...string) api.User {
		t.Helper()
		u = api.User{}
		if err := json.Unmarshal([]byte(do(t, env, "", append(args, "--output", "json")...)), &u); err != nil {
			t.Fatal(err)
		}
		return u
	}
	if show("user", "update", "ann", "--allow-ip", ""); len(u.AllowedIps) != 0 || len(u.AllowedExtensions) != 2 || len(u.AllowedBuckets) != 2 || !u.Active {
		t.Errorf("update %+v", u)
	}
	if show("user", "update", "ann", "--active=false", "--scopes", "read", "--role", "admin"); u.Active || len(u.Scopes) != 1 || u.Role != "admin" {
		t.Errorf("update %+v", u)
	}
	show("user", "update", "ann", "--active", "--role", "user")
	var page api.UserPage
	if err := json.Unmarshal([]byte(do(t, env, "", "user", "list", "-o", "json")), &page); err != nil || len(page.Users) != 3 {
		t.Errorf("%d users, %v", len(page.Users), err)
	}

	// The user himself.
	ann := environment("S3MIRROR_ADDR", env.get("S3MIRROR_ADDR"), "S3MIRROR_USER", "ann", "S3MIRROR_PASSWORD", "long enough")
	if got := do(t, ann, "", "user", "show"); !strings.HasPrefix(got, "login       ann\n") {
		t.Errorf("shown %s", got)
	}
	if code, _, stderr := command(t, ann, "user", "list"); code != exitFailed || !strings.Contains(stderr, "may not") {
		t.Errorf("exit %d: %s", code, stderr)
	}
	do(t, ann, "long enough\nanother one\n", "user", "password")
	if code, _, stderr := command(t, ann, "user", "show"); code != exitFailed || !strings.Contains(stderr, "wrong") {
		t.Errorf("the old password: exit %d: %s", code, stderr)
	}
	do(t, env, "yet another\n", "user", "password", "ann")
	if got := do(t, env, "", "user", "unlock", "ann"); got != "ann is not locked out\n" {
		t.Errorf("%s", got)
	}
	if got := do(t, env, "", "user", "delete", "ann"); got != "ann is deleted\n" {
		t.Errorf("%s", got)
	}
	if got := do(t, env, "", "user", "delete", "bob", "-o", "json"); got != "" {
		t.Errorf("%s", got)
	}
}

func TestKeyCommands(t *testing.T) {
	env := adminServer(t, &fakeSource{}, nil)
	do(t, env, "long enough", "user", "create", "ann", "--password")
	got := do(t, env, "", "key", "create", "ann", "--expires", "90d")
	if !strings.Contains(got, "access key: S3MR") || !strings.Contains(got, "secret key: ") || !strings.Contains(got, "in 90d00h") {
		t.Errorf("made %s", got)
	}
	var key api.KeyWithSecret
	ann := environment("S3MIRROR_ADDR", env.get("S3MIRROR_ADDR"), "S3MIRROR_USER", "ann", "S3MIRROR_PASSWORD", "long enough")
	if err := json.Unmarshal([]byte(do(t, ann, "", "key", "create", "-o", "json")), &key); err != nil || len(key.SecretAccessKey) != 40 {
		t.Errorf("made %+v, %v", key, err)
	}
	lines := strings.Split(do(t, ann, "", "key", "list"), "\n")
	if len(lines) != 4 || !strings.HasPrefix(lines[0], "ACCESS KEY") || !regexp.MustCompile("in (90d00h|89d23h) ").MatchString(lines[1]) || !strings.HasPrefix(lines[2], key.AccessKeyID) || !strings.Contains(lines[2], "never") {
		t.Errorf("list %q", lines)
	}
	var next api.KeyWithSecret
	if err := json.Unmarshal([]byte(do(t, ann, "", "key", "rotate", key.AccessKeyID, "--grace", "1d", "-o", "json")), &next); err != nil || next.AccessKeyID == key.AccessKeyID || len(next.SecretAccessKey) != 40 {
		t.Errorf("rotated %+v, %v", next, err)
	}
	got = do(t, env, "", "key", "rotate", "ann", next.AccessKeyID)
	if !strings.Contains(got, "secret key: ") {
		t.Errorf("rotated %s", got)
	}
	do(t, ann, "", "key", "delete", strings.Fields(got)[2])
	if code, _, stderr := command(t, env, "key", "rotate", "ann", next.AccessKeyID, "--grace", "40d"); code != exitFailed || !strings.Contains(stderr, "grace") {
		t.Errorf("exit %d: %s", code, stderr)
	}
	if code, _, stderr := command(t, env, "key", "rotate", "ann", next.AccessKeyID, "--grace", "soon"); code != exitUsage || !strings.Contains(stderr, "--grace") {
		t.Errorf("exit %d: %s", code, stderr)
	}
	if code, _, stderr := command(t, env, "key", "rotate", "ann", next.AccessKeyID); code != exitFailed || !strings.Contains(stderr, "key list") {
		t.Errorf("exit %d: %s", code, stderr)
	}
	if got := do(t, ann, "", "key", "delete", key.AccessKeyID); got != key.AccessKeyID+" of ann opens nothing any more\n" {
		t.Errorf("%s", got)
	}
	if code, _, stderr := command(t, env, "key", "delete", "ann", key.AccessKeyID); code != exitFailed || !strings.Contains(stderr, "no such key") {
		t.Errorf("exit %d: %s", code, stderr)
	}
	var list api.KeyList
	if err := json.Unmarshal([]byte(do(t, env, "", "key", "list", "ann", "-o", "json")), &list); err != nil || len(list.Keys) != 1 {
		t.Errorf("%+v, %v", list, err)
	}
}

func TestWrongUseOfUsersAndKeys(t *testing.T) {
	env := adminServer(t, &fakeSource{}, nil)
	for _, c := range []struct {
		args string
		code int
		want string
	}{
		{"user", 2, "name a command"}, {"key", 2, "name a command"}, {"user frob", 2, "unknown command"},
		{"user create", 2, "name one LOGIN"}, {"user create a b", 2, "name one LOGIN"}, {"user show a b", 2, "name one LOGIN"},
		{"user update ann", 2, "say what is to change"}, {"user delete", 2, "name one LOGIN"}, {"user unlock", 2, "name one LOGIN"},
		{"key delete", 2, "name the ACCESS-KEY"}, {"key create a b", 2, "name one LOGIN"}, {"key create --expires soon", 2, "--expires"},
		{"key create --expires -1d", 2, "--expires"}, {"user list extra", 2, "takes no argument"}, {"user list --output xml", 2, "--output"},
		{"user create ann --password", 2, "standard input"}, {"user password root", 2, "standard input"}, {"logout extra", 2, "takes no argument"},
		{"user create Ann", 1, "login"}, {"user create ann --allow-ip 10.0.0.1/8", 1, "10.0.0.0/8"}, {"user create ann --scopes delete", 1, "scopes"},
		{"user show nobody", 1, "no such user"}, {"user delete nobody", 1, "no such user"}, {"user update nobody --active", 1, "no such user"},
		{"user update root --active=false", 1, "root"}, {"key list nobody", 1, "no such user"}, {"key create nobody", 1, "no such user"},
		{"key create root", 1, "environment"},
	} {
		code, stdout, stderr := command(t, env, strings.Fields(c.args)...)
		if code != c.code || !strings.Contains(stderr, c.want) {
			t.Errorf("%s: exit %d, want %d and %q: %s%s", c.args, code, c.code, c.want, stdout, stderr)
		}
	}
}

func TestCompletionOfLogins(t *testing.T) {
	env := adminServer(t, &fakeSource{}, nil)
	do(t, env, "", "user", "create", "ann")
	if got := do(t, env, "", "__complete", "user", "show", ""); !strings.Contains(got, "root\nann\n") {
		t.Errorf("offered %q", got)
	}
	if got := do(t, env, "", "__complete", "user", "show", "ann", ""); strings.Contains(got, "root") {
		t.Errorf("offered %q", got)
	}
	if got := do(t, environment("S3MIRROR_ADDR", "http://127.0.0.1:1"), "", "__complete", "key", "list", ""); strings.Contains(got, "ann") {
		t.Errorf("offered %q", got)
	}
}

func TestPasswordFileOfAnotherUser(t *testing.T) {
	env := adminServer(t, &fakeSource{}, nil)
	file := filepath.Join(t.TempDir(), "p")
	if err := os.WriteFile(file, []byte("long enough"), 0o600); err != nil {
		t.Fatal(err)
	}
	do(t, env, "", "user", "create", "ann", "--password-file", file)
	if !strings.Contains(do(t, env, "", "user", "show", "ann"), "password    yes") {
		t.Error("no password")
	}
}

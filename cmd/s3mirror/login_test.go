package main

import (
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"
)

// commandIn is command with a standard input.
func commandIn(t *testing.T, env environ, in string, args ...string) (code int, stdout, stderr string) {
	t.Helper()
	var out, errs buffer
	code = printError(&errs, run(t.Context(), args, streams{strings.NewReader(in), &out, &errs}, env))
	return code, out.String(), errs.String()
}

// at is an environment with a home of its own that finds the server.
func at(t *testing.T, server environ) (env environ, file string) {
	t.Helper()
	home := t.TempDir()
	return environment("HOME", home, "S3MIRROR_ADDR", server.get("S3MIRROR_ADDR")), filepath.Join(home, ".config", "s3mirror", "login.json")
}

func TestLoginAndLogout(t *testing.T) {
	server := adminServer(t, &fakeSource{status: oneBehind()}, nil)
	env, file := at(t, server)
	if code, _, stderr := command(t, env, "status"); code != exitFailed || !strings.Contains(stderr, "s3mirror login") {
		t.Errorf("before: exit %d: %s", code, stderr)
	}
	code, stdout, stderr := commandIn(t, env, "secret\n", "login", "root")
	if code != 0 || stdout != "logged in to "+env.get("S3MIRROR_ADDR")+" as root\n" {
		t.Fatalf("exit %d: %s%s", code, stdout, stderr)
	}
	text, err := os.ReadFile(file)
	info, _ := os.Stat(file)
	if err != nil || info.Mode().Perm() != 0o600 || strings.Contains(string(text), "secret") {
		t.Errorf("%v %v: %s", err, info.Mode(), text)
	}
	if code, _, stderr := command(t, env, "status"); code != 0 {
		t.Errorf("exit %d: %s", code, stderr)
	}
	saved, err := savedLogin(env)
	if err != nil || saved.User != "root" || saved.Password != "" || time.Until(saved.Expires) < 10*time.Minute {
		t.Errorf("saved %+v, %v", saved, err)
	}
	if code, stdout, stderr := command(t, env, "logout"); code != 0 || stdout != "logged out\n" {
		t.Errorf("exit %d: %s%s", code, stdout, stderr)
	}
	if _, err := os.Stat(file); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the login is still there: %v", err)
	}
	if err := saved.save(env); err != nil { // a copy of it opens nothing
		t.Fatal(err)
	}
	if code, _, stderr := command(t, env, "status"); code != exitFailed || !strings.Contains(stderr, "s3mirror login") {
		t.Errorf("after: exit %d: %s", code, stderr)
	}
	saved.forget(env)
	if code, stdout, _ := command(t, env, "logout"); code != 0 || stdout != "not logged in\n" {
		t.Errorf("twice: exit %d: %s", code, stdout)
	}
}

func TestWaysToLogIn(t *testing.T) {
	server := adminServer(t, &fakeSource{status: oneBehind()}, nil)
	dir := t.TempDir()
	file := filepath.Join(dir, "password")
	if err := os.WriteFile(file, []byte("secret\r\nmore\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	with := func(more ...string) environ {
		return environment(append([]string{"HOME", t.TempDir(), "S3MIRROR_ADDR", server.get("S3MIRROR_ADDR")}, more...)...)
	}
	for _, tc := range []struct {
		env  environ
		in   string
		args string
		code int
		want string
	}{
		{with(), "secret", "login root", 0, "as root"},
		{with(), "", "login root --password-file " + file, 0, "as root"},
		{with(), "secret\n", "login root --password-file -", 0, "as root"},
		{with("S3MIRROR_USER", "root", "S3MIRROR_PASSWORD", "secret"), "", "login", 0, "as root"},
		{with("S3MIRROR_PASSWORD", "secret"), "wrong", "login root --output json", 0, `"login": "root"`},
		{with(), "wrong\n", "login root", 1, "wrong"},
		{with(), "", "login root", 2, "standard input"},
		{with(), "\n", "login root", 1, "wrong"},
		{with(), "secret", "login", 2, "name the LOGIN"},
		{with(), "secret", "login a b", 2, "at most"},
		{with(), "", "login root --password-file " + file + ".none", 2, "--password-file"},
		{with(), strings.Repeat("x", 5000), "login root", 2, "standard input"},
		{with(), "secret", "login root --output xml", 2, "--output"},
	} {
		code, stdout, stderr := commandIn(t, tc.env, tc.in, strings.Fields(tc.args)...)
		if code != tc.code || !strings.Contains(stdout+stderr, tc.want) {
			t.Errorf("%s: exit %d, want %d and %q: %s%s", tc.args, code, tc.code, tc.want, stdout, stderr)
		}
	}
}

// TestExpiredLoginIsRefreshed: once, however many commands find it expired at
// the same moment.
func TestExpiredLoginIsRefreshed(t *testing.T) {
	server := adminServer(t, &fakeSource{status: oneBehind()}, nil)
	env, _ := at(t, server)
	if code, _, stderr := commandIn(t, env, "secret", "login", "root"); code != 0 {
		t.Fatal(stderr)
	}
	for round := range 3 {
		saved, err := savedLogin(env)
		if err != nil {
			t.Fatal(err)
		}
		old := saved.RefreshToken
		saved.Expires = time.Now().Add(refreshEarly - time.Second)
		if err := saved.save(env); err != nil {
			t.Fatal(err)
		}
		var wg sync.WaitGroup
		for range 8 {
			wg.Go(func() {
				if code, _, stderr := command(t, env, "status"); code != 0 {
					t.Errorf("round %d: exit %d: %s", round, code, stderr)
				}
			})
		}
		wg.Wait()
		if saved, err = savedLogin(env); err != nil || saved.RefreshToken == old || time.Until(saved.Expires) < 10*time.Minute {
			t.Errorf("round %d: not refreshed: %v", round, err)
		}
	}
}

func TestExpiredLoginThatCannotBeRefreshed(t *testing.T) {
	server := adminServer(t, &fakeSource{status: oneBehind()}, nil)
	env, _ := at(t, server)
	if code, _, stderr := commandIn(t, env, "secret", "login", "root"); code != 0 {
		t.Fatal(stderr)
	}
	saved, err := savedLogin(env)
	if err != nil {
		t.Fatal(err)
	}
	saved.Expires, saved.RefreshToken = time.Time{}, "s3mr_forged"
	if err := saved.save(env); err != nil {
		t.Fatal(err)
	}
	if code, _, stderr := command(t, env, "status"); code != exitFailed || !strings.Contains(stderr, "s3mirror login") {
		t.Errorf("exit %d: %s", code, stderr)
	}
	if code, _, stderr := command(t, env, "logout"); code != exitFailed || !strings.Contains(stderr, "logged out here") {
		t.Errorf("exit %d: %s", code, stderr)
	}
	if saved, err := savedLogin(env); err != nil || saved.Addr != "" {
		t.Errorf("the login is still there: %v", err)
	}
}

func TestTokenFromTheEnvironment(t *testing.T) {
	server := adminServer(t, &fakeSource{status: oneBehind()}, nil)
	env, file := at(t, server)
	if code, _, stderr := commandIn(t, env, "secret", "login", "root"); code != 0 {
		t.Fatal(stderr)
	}
	text, err := os.ReadFile(file)
	var saved login
	if err != nil || json.Unmarshal(text, &saved) != nil {
		t.Fatal(err)
	}
	for token, want := range map[string]int{saved.AccessToken: 0, saved.AccessToken + "x": exitFailed} {
		env := environment("S3MIRROR_ADDR", server.get("S3MIRROR_ADDR"), "S3MIRROR_TOKEN", token, "S3MIRROR_USER", "root", "S3MIRROR_PASSWORD", "secret")
		if code, _, stderr := command(t, env, "status"); code != want {
			t.Errorf("exit %d: %s", code, stderr)
		}
	}
}

package main

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/s3mirror/s3mirror/internal/admin"
	"github.com/s3mirror/s3mirror/internal/admin/api"
	"github.com/s3mirror/s3mirror/internal/oplog"
)

// startRealDemo is startDemo over the engine that ships.
func startRealDemo(t *testing.T) *demoRun {
	t.Helper()
	return startDemoOf(t, nil, openEngine)
}

// TestBucketsAndObjectsByCommand: the whole way of a file, on a real engine.
func TestBucketsAndObjectsByCommand(t *testing.T) {
	d := startRealDemo(t)
	defer d.end(t)
	env, dir := d.env, t.TempDir()

	if got := do(t, env, "", "bucket", "create", "docs"); !strings.Contains(got, "docs, made 1s ago") || strings.Count(got, "present") != 3 {
		t.Errorf("%s", got)
	}
	if got := do(t, env, "", "bucket", "list"); !strings.Contains(got, "docs") {
		t.Errorf("%s", got)
	}
	if code, _, stderr := command(t, env, "bucket", "create", "docs"); code != exitFailed || !strings.Contains(stderr, "already") {
		t.Errorf("exit %d: %s", code, stderr)
	}
	if code, _, stderr := command(t, env, "bucket", "show", "nowhere"); code != exitFailed || !strings.Contains(stderr, "bucket list") {
		t.Errorf("exit %d: %s", code, stderr)
	}

	file, data := filepath.Join(dir, "a.txt"), strings.Repeat("hello ", 50_000)
	if err := os.WriteFile(file, []byte(data), 0o600); err != nil {
		t.Fatal(err)
	}
	if got := do(t, env, "", "object", "put", file, "docs/2026/"); got != file+" is docs/2026/a.txt (293 KiB)\n" {
		t.Errorf("%s", got)
	}
	if code, _, stderr := command(t, env, "object", "put", "--if-absent", file, "docs/2026/a.txt"); code != exitFailed || !strings.Contains(stderr, "pre-conditions") {
		t.Errorf("exit %d: %s", code, stderr)
	}
	empty := filepath.Join(dir, "empty")
	if err := os.WriteFile(empty, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	do(t, env, "", "object", "put", empty, "docs/empty")
	if got := do(t, env, "", "object", "list", "docs"); !strings.Contains(got, `"2026/"`) || !strings.Contains(got, `"empty"`) || strings.Contains(got, "a.txt") {
		t.Errorf("%s", got)
	}
	do(t, env, "", "status", "--wait-converged", "120s") // a replica may have been slow
	if got := do(t, env, "", "object", "list", "docs/2026/"); !strings.Contains(got, `"2026/a.txt"  293 KiB`) || !strings.Contains(got, "all current") {
		t.Errorf("%s", got)
	}
	var page api.ObjectPage
	if err := json.Unmarshal([]byte(do(t, env, "", "object", "list", "-r", "docs", "-o", "json", "--limit", "1")), &page); err != nil || len(page.Objects) != 1 || page.Cursor == "" {
		t.Errorf("%+v %v", page, err)
	}
	if got := do(t, env, "", "object", "show", "docs/2026/a.txt"); !strings.Contains(got, "text/plain") || strings.Count(got, "current") != 3 {
		t.Errorf("%s", got)
	}

	back := filepath.Join(dir, "back")
	if got := do(t, env, "", "object", "get", "docs/2026/a.txt", back); got != "docs/2026/a.txt is in "+back+" (293 KiB)\n" {
		t.Errorf("%s", got)
	}
	if text, err := os.ReadFile(back); err != nil || string(text) != data {
		t.Errorf("%d bytes, %v", len(text), err)
	}
	if got := do(t, env, "", "object", "get", "docs/2026/a.txt", "-"); got != data {
		t.Errorf("%d bytes", len(got))
	}
	if code, _, stderr := command(t, env, "object", "get", "docs/2026/a.txt", back); code != exitUsage || !strings.Contains(stderr, "--force") {
		t.Errorf("exit %d: %s", code, stderr)
	}
	do(t, env, "", "object", "get", "--force", "docs/2026/a.txt", back)
	if code, _, stderr := command(t, env, "object", "get", "docs/none", filepath.Join(dir, "none")); code != exitFailed || !strings.Contains(stderr, "object list") {
		t.Errorf("exit %d: %s", code, stderr)
	}
	if names, err := filepath.Glob(filepath.Join(dir, ".*")); err != nil || len(names) > 0 {
		t.Errorf("left behind: %q %v", names, err)
	}

	// Above what goes in one piece, and to somebody without a login.
	large := filepath.Join(dir, "large.bin")
	if err := os.WriteFile(large, bytes.Repeat([]byte("0123456789abcdef"), 66<<16), 0o600); err != nil {
		t.Fatal(err)
	}
	if got := do(t, env, "", "object", "put", large, "docs/large"); got != large+" is docs/large (66 MiB)\n" {
		t.Errorf("%s", got)
	}
	if got := do(t, env, "", "object", "show", "docs/large"); !strings.Contains(got, "-5\n") { // five parts
		t.Errorf("%s", got)
	}
	if code, _, stderr := command(t, env, "object", "put", "--if-absent", large, "docs/large"); code != exitFailed || !strings.Contains(stderr, "pre-conditions") {
		t.Errorf("exit %d: %s", code, stderr)
	}
	if got := do(t, env, "", "object", "uploads", "docs"); strings.Contains(got, "large") { // the one that failed is given up
		t.Errorf("%s", got)
	}
	if status, got := get(t, strings.TrimSpace(do(t, env, "", "object", "link", "docs/2026/a.txt", "--download"))); status != 200 || got != data {
		t.Errorf("%d, %d bytes", status, len(got))
	}
	do(t, env, "", "object", "delete", "docs/large")

	if got := do(t, env, "", "bucket", "set", "docs", "--at-least", "2", "--include", "eu-1", "--mode", "disabled", "--primary", "eu-2"); !strings.Contains(got, "2 of 3 backends have it, among them eu-1") || !strings.Contains(got, "eu-2 alone takes") {
		t.Errorf("%s", got)
	}
	if got := do(t, env, "", "bucket", "set", "docs", "--at-least", "0", "--mode", "active"); !strings.Contains(got, "1 of 3 backends have it\n") || strings.Contains(got, "alone") {
		t.Errorf("%s", got)
	}

	if code, _, stderr := command(t, env, "bucket", "delete", "docs"); code != exitFailed || !strings.Contains(stderr, "delete what is in it") {
		t.Errorf("exit %d: %s", code, stderr)
	}
	do(t, env, "", "object", "delete", "docs/empty")
	if got := do(t, env, "", "object", "delete", "docs/2026/a.txt"); got != "docs/2026/a.txt is deleted\n" {
		t.Errorf("%s", got)
	}

	// A backend in detail, and probed anew in the bucket of the demo.
	if got := do(t, env, "", "backend", "list"); strings.Count(got, " up ") != 3 {
		t.Errorf("%s", got)
	}
	if got := do(t, env, "", "backend", "show", "eu-1"); !strings.Contains(got, "endpoint      http://127.0.0.1:") || !strings.Contains(got, "PROBE") {
		t.Errorf("%s", got)
	}
	if got := do(t, env, "", "backend", "qualify", "eu-1"); !strings.Contains(got, "level F") {
		t.Errorf("%s", got)
	}
	if code, _, stderr := command(t, env, "backend", "show", "eu-9"); code != exitFailed || !strings.Contains(stderr, "backend list") {
		t.Errorf("exit %d: %s", code, stderr)
	}
	for args, want := range map[string][]string{
		"__complete backend show ":     {"eu-1", "eu-2", "ru-1"},
		"__complete bucket delete ":    {"docs"},
		"__complete history --bucket ": {"docs"},
		"__complete user show ":        {"root"},
		"__complete demo off ":         {"eu-1", "eu-2", "ru-1"},
	} {
		got := do(t, env, "", strings.Split(args, " ")...)
		for _, name := range want {
			if !slices.Contains(strings.Split(got, "\n"), name) {
				t.Errorf("%s: %q lacks %s", args, got, name)
			}
		}
	}
}

// TestWrongObjects are refused before anything is asked.
func TestWrongObjects(t *testing.T) {
	file := filepath.Join(t.TempDir(), "f")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct{ args, want string }{
		{"object show docs", "want BUCKET/KEY"},
		{"object link docs", "want BUCKET/KEY"},
		{"object link docs/a --expires 1ms", "a second or more"},
		{"object abort docs u", "want BUCKET/KEY"},
		{"bucket set docs", "name what to set"},
		{"bucket set docs --include eu-1", "--at-least"},
		{"bucket set docs --at-least 1 --primary eu-1", "--mode disabled"},
		{"bucket set docs --name eu-1=there", "--replica-set"},
		{"object get docs/", "want BUCKET/KEY"},
		{"object get docs/a/", "name the FILE"},
		{"object put " + filepath.Dir(file) + " docs/a", "no regular file"},
		{"object put " + file + ".none docs/a", "no such file"},
		{"object list docs --limit 0", "--limit"},
		{"object", "name a command"},
		{"bucket show", "name one BUCKET"},
		{"backend qualify", "name one BACKEND"},
		{"man", "name one folder"},
	} {
		if code, _, stderr := command(t, environment(), strings.Fields(c.args)...); code != exitUsage || !strings.Contains(stderr, c.want) {
			t.Errorf("%s: exit %d, want %q: %s", c.args, code, c.want, stderr)
		}
	}
}

// TestQualifyOfARefusedBackend exits 1, in both forms.
func TestQualifyOfARefusedBackend(t *testing.T) {
	src := &fakeSource{probe: admin.Probe{Level: "refused", Reasons: []string{"it keeps what is cut"}}}
	env := adminServer(t, src, nil)
	for _, form := range []string{"table", "json"} {
		if code, stdout, _ := command(t, env, "backend", "qualify", "eu-1", "-o", form); code != exitFailed || !strings.Contains(stdout, "keeps what is cut") {
			t.Errorf("%s: exit %d: %s", form, code, stdout)
		}
	}
}

// TestEventsByCommand prints each kind of event, and fails with the problem that
// ends the stream.
func TestEventsByCommand(t *testing.T) {
	stream := "event: status\ndata: {\"converged\":false,\"lagging\":{\"keys\":2},\"backends\":[{\"name\":\"eu-2\",\"state\":\"down\"}]}\n\n" +
		": still here\n\nevent: audit\ndata: {\"op\":\"updateUser\",\"key\":\"ann\",\"actor\":\"root\",\"result\":\"done\"}\n\nevent: lost\ndata: {\"events\":3}\n\n"
	var out buffer
	c := call{printer: newPrinter(streams{out: &out}, environment()), output: "table"}
	if err := c.events(strings.NewReader(stream)); err != nil {
		t.Fatal(err)
	}
	want := "status: not converged, lagging 2 keys (0 B, oldest -), unsettled 0 keys; eu-2 down\naudit: updateUser  \"ann\" by root from : done\nlost: {\"events\":3}\n"
	if out.String() != want {
		t.Errorf("got\n%swant\n%s", out.String(), want)
	}
	if err := c.events(strings.NewReader("event: end\ndata: {\"type\":\"urn:s3mirror:problem:forbidden\",\"title\":\"You may not do that\",\"status\":403}\n\n")); err == nil || !strings.Contains(err.Error(), "may not") {
		t.Errorf("%v", err)
	}
	if err := c.events(strings.NewReader("event: status\ndata: nonsense\n\n")); err == nil {
		t.Error("nonsense was taken")
	}
	out, c.output = buffer{}, "json"
	c.printer = newPrinter(streams{out: &out}, environment())
	if err := c.events(strings.NewReader(stream)); err != nil || !strings.HasPrefix(out.String(), `{"event":"status","data":{"converged":false`) || strings.Count(out.String(), "\n") != 3 {
		t.Errorf("%v %s", err, out.String())
	}
}

// TestHistoryFiltersByCommand reach the server.
func TestHistoryFiltersByCommand(t *testing.T) {
	src := &fakeSource{events: []oplog.Event{{Op: "put", Actor: "ann", Result: "acked", Key: "a"}, {Op: "delete", Actor: "ben", Result: "failed", Key: "b"}}}
	env := adminServer(t, src, nil)
	for _, flags := range []string{"--op delete", "--user ben", "--result failed"} {
		if got := do(t, env, "", append([]string{"history"}, strings.Fields(flags)...)...); !strings.Contains(got, `"b"`) || strings.Contains(got, `"a"`) {
			t.Errorf("%s: %s", flags, got)
		}
	}
	if code, _, stderr := command(t, env, "history", "--until", "soon"); code != exitUsage || !strings.Contains(stderr, "--until") {
		t.Errorf("exit %d: %s", code, stderr)
	}
}

// TestManualPages: one for each command, with its flags, and nothing that troff
// takes for a macro.
func TestManualPages(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "man1")
	do(t, environment(), "", "man", dir)
	for name, want := range map[string]string{
		"s3mirror.1":               `.BR s3mirror\-user (1)`,
		"s3mirror-user-create.1":   `\-\-allow\-extension`,
		"s3mirror-serve.1":         `.SH SYNOPSIS`,
		"s3mirror-object-put.1":    `\-\-if\-absent`,
		"s3mirror-bucket-delete.1": `.TH "S3MIRROR-BUCKET-DELETE" 1`,
	} {
		text, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil || !strings.Contains(string(text), want) {
			t.Errorf("%s: %v\n%s", name, err, text)
		}
	}
	if got := roff(".x\n'y \\"); got != "\\&.x\n\\&'y \\e" {
		t.Errorf("%q", got)
	}
}

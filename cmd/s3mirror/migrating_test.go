package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// TestMigratingIsTrue runs every line of docs/migrating.md, in order, against a
// demo, and looks for what each is said to do.
func TestMigratingIsTrue(t *testing.T) {
	curl, err := exec.LookPath("curl")
	if err != nil {
		if os.Getenv("CI") != "" {
			t.Fatal("curl is not installed")
		}
		t.Skip("SKIPPED, docs/migrating.md IS NOT PROVED: curl is not installed")
	}
	text, err := os.ReadFile("../../docs/migrating.md")
	if err != nil {
		t.Fatal(err)
	}
	var script strings.Builder
	for _, block := range regexp.MustCompile("(?s)```sh\n(.*?)```").FindAllStringSubmatch(string(text), -1) {
		for line := range strings.Lines(block[1]) {
			// Each line tells its end, so that what it printed can be told from the next.
			fmt.Fprintf(&script, "%s\necho; echo '--- %d'\n", strings.TrimSpace(line), strings.Count(script.String(), "---"))
		}
	}

	d := startRealDemo(t)
	defer d.end(t)
	card := func(name string) string {
		t.Helper()
		m := regexp.MustCompile("(?m)^ *" + name + ": +(.*)$").FindStringSubmatch(d.out.String())
		if m == nil {
			t.Fatalf("the demo tells no %s:\n%s", name, d.out)
		}
		return m[1]
	}
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "report.txt"), []byte("the report\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), "sh", "-eu", "-c", script.String())
	cmd.Dir = dir
	cmd.Env = []string{
		"PATH=" + filepath.Dir(curl) + ":/usr/bin:/bin", "no_proxy=*",
		"ADMIN=" + strings.TrimSuffix(card("ui"), "/"), "S3=" + card("endpoint"), "PASSWORD=" + card("password"),
	}
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}

	got := regexp.MustCompile(`(?m)^--- \d+\n`).Split(string(out), -1)
	want := []string{
		"", "", `"login":"root"`, `"name":"docs"`, // log in, bucket
		`"key":"2026/report.txt"`, "", // upsert
		"the report", "the report", // get
		`"eu-2":"current"`, `"key":"2026/again.txt"`, `"converged":`, // statuses
		"", "", // delete
		`"login":"root"`, `"allowed_buckets":["docs/2026/"]`, `"pdf"`, `"secret_access_key"`, // users
		`"mode":"active"`, `"disabled"`, `"active"`, `"backends"`, // replication
		"ok", "ready", `"version"`,
	}
	if len(got) != len(want)+1 {
		t.Fatalf("%d lines of the document, want %d\n%s", len(got)-1, len(want), out)
	}
	for i, w := range want {
		if !strings.Contains(got[i], w) {
			t.Errorf("line %d printed %q, want %s", i, got[i], w)
		}
	}
}

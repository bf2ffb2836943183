package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/s3mirror/s3mirror/internal/admin"
	"github.com/s3mirror/s3mirror/internal/admin/api"
	"github.com/s3mirror/s3mirror/internal/oplog"
)

func TestExitCodes(t *testing.T) {
	for _, c := range []struct {
		err  error
		want int
	}{
		{nil, 0},
		{errors.New("anything"), 1},
		{usageError{errors.New("x")}, 2},
		{fmt.Errorf("wrapped: %w", usageError{errors.New("x")}), 2},
		{&configError{file: "f"}, 2},
		{errNotConverged, 3},
		{fmt.Errorf("wrapped: %w", errNotHealthy), 3},
	} {
		if got := exitCode(c.err); got != c.want {
			t.Errorf("%v: %d, want %d", c.err, got, c.want)
		}
	}
}

// Every way to use the command line wrongly exits 2 and says what to do.
func TestWrongUsage(t *testing.T) {
	config := "testdata/config/minimal.yaml"
	for _, c := range []struct{ args, want string }{
		{"", "name a command"},
		{"frobnicate", `unknown command "frobnicate"`},
		{"--frob", "unknown flag: --frob"},
		{"serve", "--config FILE"},
		{"serve --config testdata/none.yaml", "no such file"},
		{"serve --config testdata/config/list.yaml", "list.yaml:1"},
		{"serve --config " + config + " extra", "takes no argument"},
		{"serve --config " + config + " --log-level loud", "--log-level"},
		{"serve --config " + config + " --log-format xml", "--log-format"},
		{"check-config", "--config FILE"},
		{"check-config --config testdata/config/ranges.yaml", "ranges.yaml:"},
		{"status --output xml", "--output"},
		{"status extra", "takes no argument"},
		{"status --wait-converged soon", "invalid argument"},
		{"status --wait-converged -1s", "--wait-converged"},
		{"status --addr localhost:9001", "want a URL"},
		{"lag --output xml", "--output"},
		{"history --since yesterday", "--since"},
		{"history --limit 0", "--limit"},
		{"history --limit many", "invalid argument"},
		{"demo extra", `unknown command "extra"`},
		{"demo off", "name one endpoint"},
		{"demo off a b", "name one endpoint"},
		{"demo on --output xml eu-1", "--output"},
		{"demo --backends 0", "--backends"},
		{"demo --backends 8", "--backends"},
		{"demo --output xml", "--output"},
		{"demo --log-level loud", "--log-level"},
		{"demo --s3-listen nowhere", "s3.listen"},
		{"version extra", "takes no argument"},
	} {
		t.Run(c.args, func(t *testing.T) {
			code, _, stderr := command(t, environment(), strings.Fields(c.args)...)
			if code != exitUsage || !strings.Contains(stderr, c.want) {
				t.Errorf("exit %d, want 2 and %q:\n%s", code, c.want, stderr)
			}
		})
	}
}

func TestVersionAndHelpAndCompletion(t *testing.T) {
	for args, want := range map[string]string{
		"version":         "s3mirror ",
		"--help":          "check-config",
		"demo --help":     "demo off eu-2",
		"completion bash": "bash completion",
		"completion zsh":  "#compdef s3mirror",
		"completion fish": "fish completion",
	} {
		code, stdout, stderr := command(t, environment(), strings.Fields(args)...)
		if code != 0 || !strings.Contains(stdout, want) {
			t.Errorf("%s: exit %d, %q lacks %q, stderr %q", args, code, stdout, want, stderr)
		}
	}
}

func TestCheckConfig(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "s3mirror.yaml")
	text := fmt.Sprintf("data_dir: %s/data\nbackends:\n  - {name: eu-1, endpoint: \"http://127.0.0.1:1\", access_key_id: a, secret_access_key: s}\n", dir)
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	code, stdout, stderr := command(t, environment(), "check-config", "--config", file)
	if code != 0 || !strings.Contains(stdout, "ok") {
		t.Errorf("exit %d\n%s%s", code, stdout, stderr)
	}
	if _, err := os.Stat(filepath.Join(dir, "data")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("it opened the data folder: %v", err)
	}
}

// oneBehind is a status with one backend down and behind.
func oneBehind() admin.Status {
	at := time.Now().Add(-(3*time.Hour + 30*time.Minute + 30*time.Second)) // half a minute from a change of its words
	return admin.Status{
		Version: "v1", Node: "node-1", Lagging: admin.Backlog{Keys: 2, Bytes: 3 << 20, OldestSeconds: 61},
		Backends: []admin.BackendStatus{
			{Name: "eu-1", State: admin.Up, LastSuccess: &at},
			{Name: "eu-2", State: admin.Down, LaggingKeys: 2, LaggingBytes: 3 << 20, OldestSeconds: 61, Reason: "is it running?"},
		},
	}
}

func TestStatusForPeople(t *testing.T) {
	env := adminServer(t, &fakeSource{status: oneBehind()}, nil)
	code, stdout, stderr := command(t, env, "status")
	if code != 0 || stderr != "" {
		t.Fatalf("exit %d %s", code, stderr)
	}
	want := `node-1 v1: not converged
lagging 2 keys (3 MiB, oldest 1m01s); unsettled 0 keys, in flight 0 keys, refused 0 keys

BACKEND  STATE  LAGGING  BYTES  OLDEST  LAST SUCCESS
eu-1     up           0  0 B    -       3h30m ago
eu-2     down         2  3 MiB  1m01s   never         is it running?
`
	if stdout != want {
		t.Errorf("got\n%s\nwant\n%s", stdout, want)
	}
}

func TestStatusForPrograms(t *testing.T) {
	env := adminServer(t, &fakeSource{status: oneBehind()}, nil)
	code, stdout, _ := command(t, env, "status", "--output", "json")
	var got admin.Status
	if err := json.Unmarshal([]byte(stdout), &got); err != nil || code != 0 {
		t.Fatalf("exit %d, %v\n%s", code, err, stdout)
	}
	if got.Backends[1].Reason != "is it running?" || got.Lagging.Keys != 2 {
		t.Errorf("got %+v", got)
	}
}

func TestChecks(t *testing.T) {
	well := admin.Status{Version: "v1", Converged: true, Backends: []admin.BackendStatus{{Name: "eu-1", State: admin.Up}, {Name: "eu-2", State: admin.Paused}}}
	sick := well
	sick.Backends = []admin.BackendStatus{{Name: "eu-1", State: admin.Degraded}}
	for _, c := range []struct {
		name, args string
		src        *fakeSource
		code       int
		stderr     string
	}{
		{"well", "status --check", &fakeSource{status: well}, 0, ""},
		{"behind", "status --check", &fakeSource{status: oneBehind()}, 3, "not converged"},
		{"sick", "status --check", &fakeSource{status: sick}, 3, "backend eu-1 is degraded: not healthy"},
		{"converged at once", "status --wait-converged 1h", &fakeSource{status: well}, 0, ""},
		{"no time", "status --wait-converged 0s", &fakeSource{status: oneBehind()}, 3, "not converged after 0s"},
		{"failing", "status --wait-converged 0s", &fakeSource{err: errors.New("x")}, 3, "Internal error"},
		{"converged and sick", "status --wait-converged 1h --check", &fakeSource{status: sick}, 3, "not healthy"},
		{"lag well", "lag --check", &fakeSource{lag: admin.Lag{Converged: true}}, 0, ""},
		{"lag", "lag --check", &fakeSource{lag: admin.Lag{}}, 3, "not converged"},
		{"lag unchecked", "lag", &fakeSource{lag: admin.Lag{}}, 0, ""},
		{"status fails", "status", &fakeSource{err: errors.New("x")}, 1, "Internal error"},
		{"lag fails", "lag", &fakeSource{err: errors.New("x")}, 1, "Internal error"},
		{"history fails", "history", &fakeSource{err: errors.New("x")}, 1, "Internal error"},
	} {
		t.Run(c.name, func(t *testing.T) {
			code, _, stderr := command(t, adminServer(t, c.src, nil), strings.Fields(c.args)...)
			if code != c.code || !strings.Contains(stderr, c.stderr) {
				t.Errorf("exit %d, want %d and %q: %s", code, c.code, c.stderr, stderr)
			}
		})
	}
}

func TestLogins(t *testing.T) {
	env := adminServer(t, &fakeSource{status: oneBehind()}, nil)
	addr := env.get("S3MIRROR_ADDR")
	for _, args := range []string{"status", "lag", "history", "status --wait-converged 1h"} {
		code, _, stderr := command(t, environment("S3MIRROR_ADDR", addr), strings.Fields(args)...)
		if code != exitFailed || !strings.Contains(stderr, "S3MIRROR_USER") {
			t.Errorf("%s without a login: exit %d: %s", args, code, stderr)
		}
	}
	code, _, stderr := command(t, environment("S3MIRROR_USER", "root", "S3MIRROR_PASSWORD", "secret"), "status", "--addr", addr)
	if code != 0 {
		t.Errorf("--addr: exit %d: %s", code, stderr)
	}
	code, _, stderr = command(t, environment(), "status", "--addr", "http://127.0.0.1:1")
	if code != exitFailed || !strings.Contains(stderr, "admin API at http://127.0.0.1:1") {
		t.Errorf("nobody there: exit %d: %s", code, stderr)
	}
}

func TestSavedLoginIsPrivateAndGivenToItsServerOnly(t *testing.T) {
	home := t.TempDir()
	server := adminServer(t, &fakeSource{status: oneBehind()}, nil)
	addr := server.get("S3MIRROR_ADDR")
	env := environment("HOME", home)
	l := login{Addr: addr, User: "root", Password: "secret"}
	if err := l.save(env); err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(home, ".config", "s3mirror", "login.json")
	if info, err := os.Stat(file); err != nil || info.Mode().Perm() != 0o600 {
		t.Fatalf("%v %v", info, err)
	}
	if code, _, stderr := command(t, env, "status"); code != 0 {
		t.Errorf("exit %d: %s", code, stderr)
	}
	elsewhere := adminServer(t, &fakeSource{status: oneBehind()}, nil).get("S3MIRROR_ADDR")
	if code, _, _ := command(t, env, "status", "--addr", elsewhere); code != exitFailed {
		t.Error("the login was given to another server")
	}
	login{Addr: addr, User: "root", Password: "another demo's"}.forget(env)
	if _, err := os.Stat(file); err != nil {
		t.Error("another demo's login was removed")
	}
	l.forget(env)
	if _, err := os.Stat(file); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the login is still there: %v", err)
	}
}

func TestSavedLoginThatIsDamaged(t *testing.T) {
	dir := t.TempDir()
	if err := os.MkdirAll(filepath.Join(dir, "s3mirror"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "s3mirror", "login.json"), []byte("{"), 0o600); err != nil {
		t.Fatal(err)
	}
	code, _, stderr := command(t, environment("XDG_CONFIG_HOME", dir), "status")
	if code != exitFailed || !strings.Contains(stderr, "login.json") {
		t.Errorf("exit %d: %s", code, stderr)
	}
}

func TestLoginWithoutAFolder(t *testing.T) {
	if err := (login{}).save(environment()); err == nil {
		t.Error("saved nowhere")
	}
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "s3mirror"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := (login{}).save(environment("XDG_CONFIG_HOME", dir)); err == nil {
		t.Error("saved in a file")
	}
}

func TestLagForPeople(t *testing.T) {
	env := adminServer(t, &fakeSource{lag: admin.Lag{Backends: []admin.BackendLag{
		{Name: "eu-1", State: admin.Up},
		{Name: "eu-2", State: admin.Degraded, Lagging: admin.Backlog{Keys: 3, Bytes: 1234, OldestSeconds: 100000}, Buckets: []admin.BucketLag{
			{Bucket: "docs", Lagging: admin.Backlog{Keys: 1}},
			{Bucket: "photos", Lagging: admin.Backlog{Keys: 2, Bytes: 1234, OldestSeconds: 100000}},
		}},
	}}}, nil)
	_, stdout, _ := command(t, env, "lag")
	want := `BACKEND  BUCKET  STATE     LAGGING  BYTES     OLDEST  LAST SUCCESS
eu-1     all     up              0  0 B       -       never
eu-2     all     degraded        3  1.21 KiB  1d03h   never
         docs                    1  0 B       -
         photos                  2  1.21 KiB  1d03h
`
	if stdout != want {
		t.Errorf("got\n%s\nwant\n%s", stdout, want)
	}
}

func TestHistory(t *testing.T) {
	src := &fakeSource{}
	start := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	for i := 2500; i > 0; i-- {
		src.events = append(src.events, oplog.Event{
			Time: start.Add(time.Duration(i) * time.Second), Seq: uint64(i), Bucket: "photos", Key: fmt.Sprintf("k\n%d", i),
			Op: "put", Size: 5, Actor: "root", Result: "acked", Backends: map[string]string{"eu-2": "no", "eu-1": "ok"},
		})
	}
	env := adminServer(t, src, nil)
	_, stdout, _ := command(t, env, "history", "--limit", "1")
	want := `TIME (UTC)               OP   BUCKET  KEY        SIZE  WHO   RESULT  BACKENDS
2026-01-02 03:45:45.000  put  photos  "k\n2500"  5 B   root  acked   eu-1=ok eu-2=no
there is more: raise --limit
`
	if stdout != want {
		t.Errorf("got\n%s\nwant\n%s", stdout, want)
	}
	for limit, want := range map[string]int{"1500": 1500, "9999": 2500} {
		_, stdout, _ = command(t, env, "history", "--limit", limit, "--output", "json")
		var page admin.HistoryPage
		if err := json.Unmarshal([]byte(stdout), &page); err != nil || len(page.Events) != want || (page.Cursor == "") != (want == 2500) {
			t.Errorf("limit %s: %d events, cursor %q, %v", limit, len(page.Events), page.Cursor, err)
		}
	}
	if _, stdout, _ = command(t, env, "history", "--since", "2026-01-02T03:45:45Z"); strings.Count(stdout, "acked") != 1 {
		t.Errorf("since a moment:\n%s", stdout)
	}
	if _, stdout, _ = command(t, env, "history", "--since", "1ms"); strings.Contains(stdout, "acked") {
		t.Errorf("since a span:\n%s", stdout)
	}
}

func TestDemoSwitch(t *testing.T) {
	demo := demoSwitches{"eu-2": true}
	env := adminServer(t, &fakeSource{}, demo)
	if code, stdout, _ := command(t, env, "demo", "off", "eu-2"); code != 0 || stdout != "eu-2 is off\n" || demo["eu-2"] {
		t.Errorf("off: exit %d %q", code, stdout)
	}
	if code, stdout, _ := command(t, env, "demo", "on", "eu-2", "-o", "json"); code != 0 || !strings.Contains(stdout, `"on": true`) || !demo["eu-2"] {
		t.Errorf("on: exit %d %q", code, stdout)
	}
	if code, _, stderr := command(t, env, "demo", "off", "eu-9"); code != exitFailed || !strings.Contains(stderr, "eu-9") {
		t.Errorf("unknown: exit %d %q", code, stderr)
	}
	if code, stdout, _ := command(t, env, "demo", "corrupt", "eu-2"); code != exitDone || !strings.Contains(stdout, "demo/k on eu-2") || !strings.Contains(stdout, "s3mirror scrub --deep") {
		t.Errorf("corrupt: exit %d %q", code, stdout)
	}
	if code, _, stderr := command(t, env, "demo", "corrupt", "eu-1"); code != exitFailed || !strings.Contains(stderr, "holds no object yet") {
		t.Errorf("nothing to corrupt: exit %d %q", code, stderr)
	}
	if code, _, stderr := command(t, adminServer(t, &fakeSource{}, nil), "demo", "off", "eu-2"); code != exitFailed || !strings.Contains(stderr, "not a demo") {
		t.Errorf("no demo: exit %d %q", code, stderr)
	}
}

type demoSwitches map[string]bool

func (demoSwitches) Slow(string) error { return nil }
func (demoSwitches) Load(bool)         {}
func (d demoSwitches) Corrupt(name string) error {
	if name == "eu-1" {
		return admin.ErrNothingThere
	}
	return d.Switch(name, true)
}
func (demoSwitches) State() admin.DemoState {
	return admin.DemoState{Corrupted: []api.DemoRot{{Backend: "eu-2", Bucket: "demo", Key: "k"}}}
}

func (d demoSwitches) Switch(name string, on bool) error {
	if _, ok := d[name]; !ok {
		return admin.ErrUnknownBackend
	}
	d[name] = on
	return nil
}

package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/s3mirror/s3mirror/internal/object"
	"github.com/s3mirror/s3mirror/internal/oplog"
	"github.com/s3mirror/s3mirror/internal/pebble"
)

// site is a node that is not running: its folder and its configuration.
type site struct{ dir, config string }

func newSite(t *testing.T) site {
	t.Helper()
	dir := t.TempDir()
	s := site{dir: filepath.Join(dir, "data"), config: filepath.Join(dir, "s3mirror.yaml")}
	text := fmt.Sprintf("data_dir: %s\nbackends: [{name: eu-1, endpoint: 'http://127.0.0.1:1', access_key_id: k, secret_access_key: s}]\n", s.dir)
	if err := os.WriteFile(s.config, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return s
}

// open opens its log; the test closes it.
func (s site) open(t *testing.T) *pebble.Log {
	t.Helper()
	log, err := pebble.Open(s.dir, pebble.Options{})
	if err != nil {
		t.Fatal(err)
	}
	return log
}

// stock makes a row and a user.
func (s site) stock(t *testing.T) {
	t.Helper()
	log := s.open(t)
	row := oplog.Row{Epoch: oplog.NewEpoch(), Good: object.NewReplicas("eu-1"), Changed: time.Now()}
	if err := log.Swap(t.Context(), object.Key{Bucket: "photos", Name: "a"}, oplog.Epoch{}, &row); err != nil {
		t.Fatal(err)
	}
	doc := oplog.Doc{Kind: oplog.DocUser, Name: "anna", Epoch: oplog.NewEpoch(), Body: []byte("{}")}
	if err := log.SwapDoc(t.Context(), oplog.Epoch{}, doc); err != nil {
		t.Fatal(err)
	}
	if err := log.Close(); err != nil {
		t.Fatal(err)
	}
}

// want runs a command line and wants its exit code and a text in what it prints.
func want(t *testing.T, code int, text string, args ...string) string {
	t.Helper()
	got, stdout, stderr := command(t, environment(), args...)
	if got != code || !strings.Contains(stdout+stderr, text) {
		t.Errorf("%s: exit %d, want %d and %q:\n%s%s", strings.Join(args, " "), got, code, text, stdout, stderr)
	}
	return stdout
}

func TestLogMoves(t *testing.T) {
	from, to, file := newSite(t), newSite(t), filepath.Join(t.TempDir(), "log.archive")
	from.stock(t)
	want(t, 0, "1 rows, 1 documents", "log", "export", file, "--config", from.config)
	want(t, 1, "moved elsewhere", "serve", "--config", from.config)
	want(t, 1, "moved elsewhere", "log", "export", file+".2", "--config", from.config)
	want(t, 0, "1 rows, 1 documents", "log", "check", file)
	want(t, 0, "imported 1 rows, 1 documents", "log", "import", file, "--config", to.config)
	want(t, 1, "not empty", "log", "import", file, "--config", to.config)
	want(t, 0, "1 rows, 1 documents", "log", "check", "--config", to.config)
	want(t, 0, "", "log", "export", "--undo", "--config", from.config)
	want(t, 1, "file exists", "log", "export", file, "--config", from.config) // which leaves no mark
	want(t, 0, "", "log", "export", file+".2", "--config", from.config)

	log := to.open(t)
	defer log.Close()
	if _, err := log.Row(t.Context(), object.Key{Bucket: "photos", Name: "a"}); err != nil {
		t.Error(err)
	}
	want(t, 1, "stop the node first", "log", "export", file+".3", "--config", to.config)
	want(t, 1, "in use", "log", "check", "--config", to.config)
	if info, err := os.Stat(file); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("%v, %v: others can read it", info, err)
	}
}

func TestServeRefusesHalfOfALog(t *testing.T) {
	s := newSite(t)
	log := s.open(t)
	doc := oplog.Doc{Kind: oplog.DocMove, Name: "log", Epoch: oplog.NewEpoch(), Body: []byte(`{"state":"importing"}`)}
	if err := log.SwapDoc(t.Context(), oplog.Epoch{}, doc); err != nil {
		t.Fatal(err)
	}
	if err := log.Close(); err != nil {
		t.Fatal(err)
	}
	want(t, 1, "import into this log was cut off", "serve", "--config", s.config)
}

func TestLogBackupOfAStoppedNode(t *testing.T) {
	from, to, file := newSite(t), newSite(t), filepath.Join(t.TempDir(), "log.archive")
	from.stock(t)
	want(t, 0, "1 rows, 1 documents", "log", "backup", file, "--config", from.config)
	want(t, 1, "--without-rows", "log", "import", file, "--config", to.config)
	want(t, 0, "0 rows, 1 documents", "log", "import", file, "--without-rows", "--config", to.config)
	want(t, 2, "name one of them", "log", "backup", file, "--config", from.config, "--addr", "http://127.0.0.1:1")
}

func TestLogBackupOfARunningNode(t *testing.T) {
	f := newFakeEngine()
	r := start(t, testConfig(t, endpoint(t)), f)
	env := environment("S3MIRROR_ADDR", r.Admin, "S3MIRROR_USER", "root", "S3MIRROR_PASSWORD", "PW")
	file := filepath.Join(t.TempDir(), "log.archive")
	for _, name := range []string{file, file + ".2"} {
		if code, stdout, stderr := command(t, env, "log", "backup", name); code != 0 || !strings.Contains(stdout, "documents") {
			t.Errorf("exit %d\n%s%s", code, stdout, stderr)
		}
	}
	want(t, 0, "documents", "log", "check", file)
	anyone := environment("S3MIRROR_ADDR", r.Admin, "S3MIRROR_USER", "root", "S3MIRROR_PASSWORD", "wrong")
	if code, _, stderr := command(t, anyone, "log", "backup", file+".3"); code != 1 {
		t.Errorf("with a wrong password: exit %d\n%s", code, stderr)
	}
	if _, err := os.Stat(file + ".3"); err == nil {
		t.Error("a file was left of what was refused")
	}
	http.DefaultTransport.(*http.Transport).CloseIdleConnections()
	r.stop()
	if err := r.wait(t); err != nil {
		t.Error(err)
	}
}

func TestLogCheckSaysWhatIsWrong(t *testing.T) {
	s, file := newSite(t), filepath.Join(t.TempDir(), "log.archive")
	log := s.open(t)
	row := oplog.Row{Epoch: oplog.NewEpoch(), Intent: &oplog.Intent{}}
	if err := log.Swap(t.Context(), object.Key{Bucket: "photos", Name: "a"}, oplog.Epoch{}, &row); err != nil {
		t.Fatal(err)
	}
	if err := log.Close(); err != nil {
		t.Fatal(err)
	}
	want(t, 3, "intent without operation", "log", "check", "--config", s.config)
	out := want(t, 3, "", "log", "check", "--config", s.config, "--output", "json")
	var found checked
	if err := json.Unmarshal([]byte(out), &found); err != nil || found.Sound || len(found.Faults) != 1 || found.Rows != 1 {
		t.Errorf("%+v, %v", found, err)
	}
	want(t, 0, "", "log", "backup", file, "--config", s.config)
	b, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, b[:len(b)-3], 0o600); err != nil {
		t.Fatal(err)
	}
	want(t, 3, "archive is damaged", "log", "check", file)
	want(t, 1, "archive is damaged", "log", "import", file, "--config", newSite(t).config)
}

func TestLogVerbsWantTheirArguments(t *testing.T) {
	for _, args := range [][]string{
		{"log"}, {"log", "backup"}, {"log", "check"}, {"log", "check", "f", "--config", "c"}, {"log", "check", "f", "-o", "xml"},
		{"log", "export"}, {"log", "export", "f", "--undo"}, {"log", "import"}, {"log", "import", "f"}, {"log", "export", "f"},
	} {
		want(t, 2, "", args...)
	}
	want(t, 1, "no such file", "log", "import", "/does/not/exist", "--config", newSite(t).config)
	want(t, 1, "no such file", "log", "check", "/does/not/exist")
	want(t, 1, "there is no log", "log", "check", "--config", newSite(t).config)
}

// pulse is documents of nodes, whose epochs move from one look to the next while
// they live.
type pulse struct {
	oplog.Documents
	live  bool
	nodes []oplog.Doc
}

func (p *pulse) Docs(context.Context, oplog.DocKind, string, int) ([]oplog.Doc, error) {
	if p.live {
		p.nodes = []oplog.Doc{{Name: "n1", Epoch: oplog.NewEpoch()}}
	}
	return p.nodes, nil
}

func TestExportLooksForNodes(t *testing.T) {
	dead := []oplog.Doc{{Name: "n1", Epoch: oplog.NewEpoch()}}
	for name, c := range map[string]struct {
		p    pulse
		want error
	}{"none": {pulse{}, nil}, "dead": {pulse{nodes: dead}, nil}, "live": {pulse{live: true}, errNodeLives}} {
		if err := nobodyServes(t.Context(), &c.p, time.Millisecond); !errors.Is(err, c.want) {
			t.Errorf("%s: %v, want %v", name, err, c.want)
		}
	}
	ctx, stop := context.WithCancel(t.Context())
	stop()
	if err := nobodyServes(ctx, &pulse{nodes: dead}, time.Hour); !errors.Is(err, context.Canceled) {
		t.Errorf("%v, want the context's error", err)
	}
}

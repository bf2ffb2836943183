//go:build e2e

package e2e

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/s3mirror/s3mirror/test/e2e/harness"
	"github.com/s3mirror/s3mirror/test/e2e/wire"
)

// TestWrongConfig: every fault is reported at once, each with its line, and
// nothing is opened.
func TestWrongConfig(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	const faulty = `data_dir: DIR/data
s3:
  listen: not an address
  memry: 96MiB
backends:
  - name: eu-1
    endpoint: ftp://127.0.0.1:7101
    access_key_id: key
    secret_access_key: ${NO_SUCH_VARIABLE}
  - name: eu-1
    endpoint: http://127.0.0.1:7102
    access_key_id: key
    secret_access_key: ${HOME}
replication:
  ack: most
  settle: 5m
  lease: 10s
log:
  retention: 1m
`
	faults := map[int]string{
		3: "listen address", 4: "unknown key", 7: "endpoint scheme", 9: "unset variable",
		10: "repeated name", 15: "ack rule", 19: "retention too short",
	}
	config := filepath.Join(dir, "s3mirror.yaml")
	if err := os.WriteFile(config, []byte(strings.ReplaceAll(faulty, "DIR", dir)), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, verb := range []string{"check-config", "serve"} {
		code, _, stderr := harness.RunBinary(t, harness.CleanEnv(t), verb, "--config", config)
		if code != 2 {
			t.Errorf("%s of a wrong configuration: exit %d, want 2", verb, code)
		}
		for line, what := range faults {
			if !regexp.MustCompile(fmt.Sprintf(`(?m)(\bline %d\b|:%d:)`, line, line)).MatchString(stderr) {
				t.Errorf("%s does not report line %d (%s):\n%s", verb, line, what, stderr)
			}
		}
	}
	if _, err := os.Stat(filepath.Join(dir, "data")); err == nil {
		t.Error("a wrong configuration made a data folder")
	}
}

// TestRightConfig is the control of TestWrongConfig, and shows that checking
// opens nothing: the backend does not exist.
func TestRightConfig(t *testing.T) {
	t.Parallel()
	g := harness.NewGateway(t, []*harness.Backend{{Name: "eu-1", Addr: harness.Addr(t),
		Keys: wire.Keys{Access: "key", Secret: "secret", Region: "eu-north-1"}}}, harness.Options{})
	if code, stdout, stderr := g.CLI(t, "check-config", "--config", g.Config); code != 0 {
		t.Errorf("check-config of a right configuration: exit %d\n%s%s", code, stdout, stderr)
	}
	if _, err := os.Stat(g.DataDir); err == nil {
		t.Error("check-config made a data folder")
	}
	if code, _, stderr := g.CLI(t, "check-config", "--config", g.Config+".absent"); code != 2 || !strings.Contains(stderr, ".absent") {
		t.Errorf("check-config of a missing file: exit %d, want 2 and the file's name\n%s", code, stderr)
	}
}

// TestSecondProcess: one data folder belongs to one process.
func TestSecondProcess(t *testing.T) {
	t.Parallel()
	backends := harness.StartBackends(t, 1)
	g := harness.StartGateway(t, backends, harness.Options{})
	createBucket(t, g.Client, "proof")
	second := harness.NewGateway(t, backends, harness.Options{Sibling: g})
	p := second.Launch(t)
	code, err := p.Wait(harness.Patience)
	if err != nil || code != 1 {
		t.Errorf("a second process on the data folder: exit %d, %v, want 1", code, err)
	}
	if out := p.Output(); !strings.Contains(out, g.DataDir) {
		t.Errorf("it does not name the data folder:\n%s", out)
	}
	l := newLoad(g.Client, "proof", 4, 21)
	l.run(2, func(w *worker) {
		for _, k := range w.keys {
			w.put(t.Context(), k, 1000)
			w.read(t.Context(), k)
		}
	})()
	l.verdict(t)
	floor(t, "writes by the first process after that", l.acked.Load(), 4)
	g.Kill()
	second.Start(t) // the lock of a dead process holds nobody up
}

// TestBackendsWrongAtStart: a backend with wrong credentials and one that is
// not there are reported with what to do, the gateway serves without them, and
// heals each when it is put right.
func TestBackendsWrongAtStart(t *testing.T) {
	t.Parallel()
	backends := harness.StartBackends(t, 3)
	backends[2].Kill()
	wrong := harness.Options{Secret: func(b *harness.Backend) string {
		if b.Name == "b-2" {
			return "not the secret of b-2"
		}
		return b.Keys.Secret
	}}
	g := harness.StartGateway(t, backends, wrong)
	createBucket(t, g.Client, "proof")
	l := newLoad(g.Client, "proof", 60, 23)
	work := func(w *worker) {
		for _, k := range w.keys {
			w.put(t.Context(), k, small(w.rnd))
			w.read(t.Context(), k)
		}
	}
	l.run(4, work)()
	reported(t, g, "b-2", `(?i)credential|access key|secret`)
	reported(t, g, "b-3", `(?i)reach|refused|running|connect`)
	status := g.Status(t)
	for name, up := range map[string]bool{"b-1": true, "b-2": false, "b-3": false} {
		if b := status.Backend(name); (b.State == "up") != up || b.State == "" {
			t.Errorf("status says %s is %q", name, b.State)
		}
	}
	floor(t, "keys b-2 misses", status.Backend("b-2").LaggingKeys, 60)

	backends[2].Start(t)
	harness.Eventually(t, "b-3 has caught up", func() error {
		if n := g.Status(t).Backend("b-3").LaggingKeys; n != 0 {
			return fmt.Errorf("it lags by %d keys", n)
		}
		return nil
	})
	g.Kill()
	repaired := harness.NewGateway(t, backends, harness.Options{Sibling: g})
	repaired.Start(t)
	l.client = repaired.Client
	l.run(4, work)()
	l.verdict(t)
	floor(t, "writes acknowledged", l.acked.Load(), 120)
	if failed := l.unknown.Load() + l.readErrors.Load(); failed > 0 {
		t.Errorf("%d writes and reads failed though b-1 was well", failed)
	}
	l.settle(t, repaired, backends)
}

// TestBucketMissingOnBackend: somebody removed the bucket behind our back. That
// is reported, costs no write, and what stood in it is not taken for deleted:
// reads come from elsewhere, and nobody claims that the replicas are equal.
func TestBucketMissingOnBackend(t *testing.T) {
	t.Parallel()
	backends := harness.StartBackends(t, 3)
	g := harness.StartGateway(t, backends, harness.Options{})
	createBucket(t, g.Client, "proof")
	l := newLoad(g.Client, "proof", 80, 25)
	l.run(4, func(w *worker) {
		for _, k := range w.keys[:10] {
			w.put(t.Context(), k, 1000)
		}
	})()
	g.Converge(t)
	g.Kill()
	if err := os.RemoveAll(filepath.Join(backends[1].Dir, "proof")); err != nil {
		t.Fatal(err)
	}
	g.Start(t)
	l.run(4, func(w *worker) {
		for range 3 { // often enough that every replica is asked
			for _, k := range w.keys[:10] {
				w.read(t.Context(), k)
			}
		}
		for _, k := range w.keys[10:] {
			w.put(t.Context(), k, 1000)
			w.read(t.Context(), k)
		}
	})()
	l.verdict(t)
	reported(t, g, "b-2", `(?i)bucket`)
	floor(t, "writes acknowledged", l.acked.Load(), 80)
	floor(t, "reads checked", l.reads.Load(), 160)
	if failed := l.unknown.Load() + l.readErrors.Load(); failed > 0 {
		t.Errorf("%d writes and reads failed though two backends were well", failed)
	}
	status := g.Status(t)
	t.Logf("status: %+v", status)
	if status.Converged && status.Backend("b-2").State == "up" {
		harness.RequireEqual(t, g, "proof", backends...)
	}
}

// TestAckRuleCannotBeMet: a gateway that could acknowledge nothing does not
// call itself ready, and becomes ready when it can.
func TestAckRuleCannotBeMet(t *testing.T) {
	t.Parallel()
	backends := harness.StartBackends(t, 2)
	backends[1].Kill()
	g := harness.NewGateway(t, backends, harness.Options{Ack: "all"})
	p := g.Launch(t)
	harness.Eventually(t, "the gateway answers or ends", func() error {
		if p.Running() && !strings.Contains(fmt.Sprint(g.Ready()), "/readyz answered") {
			return fmt.Errorf("not yet: %v", g.Ready())
		}
		return nil
	})
	if err := g.Ready(); err == nil {
		t.Error("/readyz says ready while the ack rule cannot be met")
	}
	reported(t, g, "b-2", `(?i)reach|refused|running|connect`)
	backends[1].Start(t)
	if !p.Running() {
		g.Launch(t)
	}
	harness.Eventually(t, "ready once the backend is there", g.Ready)
	createBucket(t, g.Client, "proof")
}

// reported waits for a line of the gateway's own that names the backend and
// says what is wrong with it.
func reported(t *testing.T, g *harness.Gateway, backend, what string) {
	t.Helper()
	re := regexp.MustCompile(what)
	harness.Eventually(t, "a report on "+backend, func() error {
		for line := range strings.Lines(g.Process().Output()) {
			if strings.Contains(line, backend) && re.MatchString(line) && !strings.Contains(line, "level=INFO") {
				return nil
			}
		}
		return fmt.Errorf("no line names it and %s", what)
	})
}

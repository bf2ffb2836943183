package harness

import (
	"fmt"
	"os/exec"
	"strings"
	"testing"

	"github.com/s3mirror/s3mirror/test/e2e/wire"
)

// Demo is one s3mirror demo process: gateway and backends in one.
type Demo struct {
	*Gateway // its client side: CLI, status, S3 client; Config is empty
	Proc     *Process
	Said     map[string]string // what it printed: endpoint, access key, secret key, ui, user, password
}

// StartDemo runs the demo and reads from its output how to reach it, as a
// person would. The CLI of the result finds it by the login that it saved.
func StartDemo(t testing.TB, args ...string) *Demo {
	t.Helper()
	d := &Demo{Gateway: &Gateway{S3Addr: Addr(t), AdminAddr: Addr(t), env: CleanEnv(t)}}
	cmd := exec.Command(d.binary(t), append([]string{"demo", "--dir", t.TempDir(),
		"--s3-listen", d.S3Addr, "--admin-listen", d.AdminAddr}, args...)...)
	cmd.Env = d.env
	d.Proc = Start(t, "demo", cmd)
	d.proc = d.Proc
	Eventually(t, "the demo says how to reach it", func() error {
		if !d.Proc.Running() {
			t.Fatalf("the demo ended:\n%s", d.Proc.tail(4000))
		}
		d.Said = said(d.Proc.Output())
		for _, name := range []string{"endpoint", "access key", "secret key", "ui", "user", "password"} {
			if d.Said[name] == "" {
				return fmt.Errorf("it has not said its %s:\n%s", name, d.Proc.tail(2000))
			}
		}
		return healthy(d.AdminAddr, "/readyz")
	})
	d.Keys = wire.Keys{Access: d.Said["access key"], Secret: d.Said["secret key"], Region: "us-east-1"}
	d.Client = NewClient(d.S3Addr, d.Keys)
	return d
}

// said reads the lines of the form "name: value".
func said(output string) map[string]string {
	lines := map[string]string{}
	for line := range strings.Lines(output) {
		if name, value, ok := strings.Cut(strings.TrimSpace(line), ": "); ok {
			if _, again := lines[name]; !again {
				lines[name] = strings.TrimSpace(value)
			}
		}
	}
	return lines
}

// Switch turns an endpoint of the demo off or on, from "another terminal".
func (d *Demo) Switch(t testing.TB, how, backend string) {
	t.Helper()
	if code, stdout, stderr := d.CLI(t, "demo", how, backend); code != 0 {
		t.Fatalf("demo %s %s: exit %d\n%s%s", how, backend, code, stdout, stderr)
	}
}

// Endpoints are the names of the demo's backends.
func (d *Demo) Endpoints(t testing.TB) []string {
	t.Helper()
	var names []string
	for _, b := range d.Status(t).Backends {
		names = append(names, b.Name)
	}
	return names
}

// Others switches every endpoint but one off, or on again.
func (d *Demo) Others(t testing.TB, how, but string) {
	t.Helper()
	for _, name := range d.Endpoints(t) {
		if name != but {
			d.Switch(t, how, name)
		}
	}
}

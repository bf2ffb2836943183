package harness

import (
	"bytes"
	"cmp"
	"context"
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/s3mirror/s3mirror/internal/object"
	"github.com/s3mirror/s3mirror/test/e2e/wire"
)

// Timing of the gateways under test. Retention must exceed twice the sum of
// settle, lease and a second of clock skew.
const (
	Settle    = 5 * time.Second
	Lease     = 2 * time.Second
	Retention = 20 * time.Second
)

// Gateway is one s3mirror serve process, which can be killed and started
// again on the same ports and the same data folder.
type Gateway struct {
	SecretFile        string // of the secret key
	S3Addr, AdminAddr string
	Keys              wire.Keys
	Client            *Client
	Config            string // path of its configuration file
	DataDir           string
	Password          string // of root on the admin API

	Program string   // the next start's; empty: the binary under test
	Env     []string // more of the next start's environment
	More    []string // more of its arguments

	env    []string
	secret []byte // the deployment's 32 bytes
	prep   func(*exec.Cmd)
	proc   *Process
}

// Options vary a gateway. The zero value is right for most tests.
type Options struct {
	Ack     string                // ack rule, "any" when empty
	Extra   string                // more configuration, YAML at the top level
	Secret  func(*Backend) string // the secret key to configure for a backend; nil: the right one
	Log     string                // engine of the log and its section, "engine: pebble" when empty
	S3      string                // more of the s3 section, as in "tls: {...}"
	DataDir string                // empty: a fresh folder, or the sibling's
	Sibling *Gateway              // share the data folder and the secrets of this one
	Program string                // instead of the binary under test
	Prep    func(*exec.Cmd)       // last changes to the command before it starts

	Settle, Lease, Retention time.Duration // zero: the constants above
	NoSettle                 bool          // a settle time of zero, which only the failpoints build accepts
}

// NewGateway writes the configuration of a gateway over the backends without
// starting it.
func NewGateway(t testing.TB, backends []*Backend, o Options) *Gateway {
	t.Helper()
	dir := t.TempDir()
	g := &Gateway{
		S3Addr: Addr(t), AdminAddr: Addr(t), Config: filepath.Join(dir, "s3mirror.yaml"),
		Keys:     wire.Keys{Access: "root-access-key", Secret: "root-secret-key-of-the-test", Region: "us-east-1"},
		Password: "root-password-of-the-test", DataDir: filepath.Join(dir, "data"), secret: make([]byte, 32), prep: o.Prep,
		Program: o.Program,
	}
	rand.Read(g.secret) // never fails since Go 1.24
	if o.Sibling != nil {
		g.DataDir, g.secret = o.Sibling.DataDir, o.Sibling.secret
	}
	if o.DataDir != "" {
		g.DataDir = o.DataDir
	}
	secretFile := filepath.Join(dir, "secret")
	g.SecretFile = secretFile
	if err := os.WriteFile(secretFile, []byte(hex.EncodeToString(g.secret)), 0o600); err != nil {
		t.Fatal(err)
	}
	g.Client = NewClient(g.S3Addr, g.Keys)
	g.env = append(CleanEnv(t), "S3MIRROR_ROOT_ACCESS_KEY="+g.Keys.Access, "S3MIRROR_ROOT_SECRET_KEY="+g.Keys.Secret,
		"S3MIRROR_ROOT_PASSWORD="+g.Password, "S3MIRROR_SECRET_KEY_FILE="+secretFile,
		"S3MIRROR_ADDR=http://"+g.AdminAddr, "S3MIRROR_USER=root", "S3MIRROR_PASSWORD="+g.Password)
	o.Settle, o.Lease, o.Retention = cmp.Or(o.Settle, Settle), cmp.Or(o.Lease, Lease), cmp.Or(o.Retention, Retention)
	if o.NoSettle {
		o.Settle = 0
	}
	o.Ack, o.Log = cmp.Or(o.Ack, "any"), cmp.Or(o.Log, "engine: pebble")
	var y strings.Builder
	if o.S3 != "" {
		o.S3 = ", " + o.S3
	}
	fmt.Fprintf(&y, "data_dir: %s\ns3: {listen: %s%s}\nadmin: {listen: %s}\n", g.DataDir, g.S3Addr, o.S3, g.AdminAddr)
	fmt.Fprintf(&y, "log: {%s, retention: %v}\nheal: {interval: 1s}\n", o.Log, o.Retention)
	fmt.Fprintf(&y, "replication: {ack: %s, settle: %v, lease: %v}\nbackends:\n", o.Ack, o.Settle, o.Lease)
	for i, b := range backends {
		secret := b.Keys.Secret
		if o.Secret != nil {
			secret = o.Secret(b)
		}
		g.env = append(g.env, fmt.Sprintf("B%d_SECRET=%s", i+1, secret))
		fmt.Fprintf(&y, "  - name: %s\n    endpoint: http://%s\n    region: %s\n    access_key_id: %s\n    secret_access_key: ${B%d_SECRET}\n",
			b.Name, b.Addr, b.Keys.Region, b.Keys.Access, i+1)
	}
	y.WriteString(o.Extra)
	if err := os.WriteFile(g.Config, []byte(y.String()), 0o600); err != nil {
		t.Fatal(err)
	}
	return g
}

// StartGateway runs a gateway over the backends and returns when it is ready.
func StartGateway(t testing.TB, backends []*Backend, o Options) *Gateway {
	t.Helper()
	g := NewGateway(t, backends, o)
	g.Start(t)
	return g
}

// CleanEnv is an environment in which no file or variable of the user who
// runs the tests is found, so that every test brings its own.
func CleanEnv(t testing.TB) []string {
	t.Helper()
	home := t.TempDir()
	return []string{
		"PATH=" + os.Getenv("PATH"), "HOME=" + home, "XDG_CONFIG_HOME=" + filepath.Join(home, "config"),
		"TMPDIR=" + home, "LC_ALL=C.UTF-8", "TERM=dumb", "NO_COLOR=1",
	}
}

// Start runs the process, again after a Kill, and returns when it is ready.
func (g *Gateway) Start(t testing.TB) {
	t.Helper()
	g.Launch(t)
	Eventually(t, "the gateway is ready", func() error {
		if !g.proc.Running() {
			t.Fatalf("the gateway ended:\n%s", g.proc.tail(6000))
		}
		return g.Ready()
	})
}

// Launch runs the process and waits for nothing.
func (g *Gateway) Launch(t testing.TB) *Process {
	t.Helper()
	cmd := exec.Command(g.binary(t), append([]string{"serve", "--config", g.Config}, g.More...)...)
	cmd.Env = append(g.env[:len(g.env):len(g.env)], g.Env...)
	if g.prep != nil {
		g.prep(cmd)
	}
	g.proc = Start(t, "gateway", cmd)
	return g.proc
}

func (g *Gateway) binary(t testing.TB) string {
	t.Helper()
	if g.Program != "" {
		return g.Program
	}
	bin, err := Binary()
	if err != nil {
		t.Fatal(err)
	}
	return bin
}

// Ready asks /readyz.
func (g *Gateway) Ready() error { return healthy(g.AdminAddr, "/readyz") }

// Process is the one that runs now, or ran last.
func (g *Gateway) Process() *Process { return g.proc }

// Kill ends the process at once (SIGKILL).
func (g *Gateway) Kill() { g.proc.Kill() }

// StampKey opens the stamps that this deployment writes.
func (g *Gateway) StampKey() object.StampKey { return object.NewStampKey(g.secret) }

// CLI runs a client verb against this gateway and returns its exit code and
// its streams.
func (g *Gateway) CLI(t testing.TB, args ...string) (code int, stdout, stderr string) {
	t.Helper()
	return RunBinary(t, g.env, args...)
}

// cliLimit ends a verb that hangs; --wait-converged verbs get Patience.
const cliLimit = Patience + time.Minute

// RunBinary runs the program to its end.
//
// It must be called from the test's own goroutine.
func RunBinary(t testing.TB, env []string, args ...string) (code int, stdout, stderr string) {
	t.Helper()
	bin, err := Binary()
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), cliLimit)
	defer cancel()
	cmd := exec.CommandContext(ctx, bin, args...)
	cmd.Env = env
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	var exit *exec.ExitError
	if err := cmd.Run(); err != nil && !errors.As(err, &exit) {
		t.Fatalf("s3mirror %s: %v", strings.Join(args, " "), err)
	}
	return cmd.ProcessState.ExitCode(), out.String(), errs.String()
}

// Status is the part of `s3mirror status --output json` that is a contract.
type Status struct {
	Version   string `json:"version"`
	Node      string `json:"node"`
	Converged bool   `json:"converged"`
	Lagging   struct {
		Keys          int64   `json:"keys"`
		Bytes         int64   `json:"bytes"`
		OldestSeconds float64 `json:"oldest_seconds"`
	} `json:"lagging"`
	Unsettled Count           `json:"unsettled"`
	InFlight  Count           `json:"in_flight"`
	Refused   Count           `json:"refused"`
	Backends  []BackendStatus `json:"backends"`
}

// Count is a number of keys.
type Count struct {
	Keys int64 `json:"keys"`
}

// BackendStatus is one backend's line.
type BackendStatus struct {
	Name        string `json:"name"`
	State       string `json:"state"` // up, degraded, down, paused
	LaggingKeys int64  `json:"lagging_keys"`
}

// Backend finds the line of one backend.
func (s Status) Backend(name string) BackendStatus {
	for _, b := range s.Backends {
		if b.Name == name {
			return b
		}
	}
	return BackendStatus{}
}

// Status asks the gateway. Unknown fields are fine, missing ones are not.
func (g *Gateway) Status(t testing.TB) Status {
	t.Helper()
	code, stdout, stderr := g.CLI(t, "status", "--output", "json")
	if code != 0 {
		t.Fatalf("status: exit %d\n%s", code, stderr)
	}
	return ParseStatus(t, stdout)
}

// ParseStatus decodes the document and insists on the promised fields.
func ParseStatus(t testing.TB, text string) Status {
	t.Helper()
	var s Status
	var fields map[string]json.RawMessage
	if err := errors.Join(json.Unmarshal([]byte(text), &s), json.Unmarshal([]byte(text), &fields)); err != nil {
		t.Fatalf("status is not the promised document: %v\n%s", err, text)
	}
	for _, name := range []string{"version", "node", "converged", "lagging", "unsettled", "in_flight", "refused", "backends"} {
		if _, ok := fields[name]; !ok {
			t.Fatalf("status lacks %q:\n%s", name, text)
		}
	}
	return s
}

// Converge waits, as an operator would, until the gateway says that nothing
// is lagging, checks that its counts say so too, and waits until it has noticed
// that every backend is up again.
func (g *Gateway) Converge(t testing.TB) Status {
	t.Helper()
	code, stdout, stderr := g.CLI(t, "status", "--wait-converged", Patience.String(), "--output", "json")
	if code != 0 {
		t.Fatalf("status --wait-converged: exit %d\n%s\n%s", code, stdout, stderr)
	}
	var s Status
	Eventually(t, "every backend is seen to be up", func() error {
		s = g.Status(t)
		if !s.Converged || s.Lagging.Keys != 0 || s.Lagging.Bytes != 0 || s.Unsettled.Keys != 0 || s.InFlight.Keys != 0 {
			t.Fatalf("converged, and yet: %+v", s)
		}
		for _, b := range s.Backends {
			if b.LaggingKeys != 0 {
				t.Fatalf("converged, and yet backend %s lags by %d keys", b.Name, b.LaggingKeys)
			}
			if b.State != "up" {
				return fmt.Errorf("backend %s is %s", b.Name, b.State)
			}
		}
		return nil
	})
	return s
}

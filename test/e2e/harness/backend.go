package harness

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/s3mirror/s3mirror/internal/memory"
	"github.com/s3mirror/s3mirror/test/e2e/wire"
)

// Backend is one process of an S3 server over a folder, versitygw or MinIO, or the
// project's own inside the test.
type Backend struct {
	Name   string
	Addr   string
	Dir    string // versitygw's buckets are the folders below
	Keys   wire.Keys
	Client *Client // straight to it, past the gateway

	brand  brand
	args   []string
	proc   *Process
	inside *memory.Server // of one that runs inside the test; it has no process
}

// Domain is where virtual-host style works on every backend; path style works anywhere.
const Domain = "s3.test"

// brand is what servers of one make have in common.
type brand struct {
	program string // below .tools/bin
	health  string // path that answers 200 when it serves
	access  string // environment variables of the root user's keys
	secret  string
	more    []string // more of its environment
	install string   // what brings it
}

var (
	versitygw = brand{program: "versitygw", health: "/health", access: "ROOT_ACCESS_KEY", secret: "ROOT_SECRET_KEY",
		more: []string{"VGW_VIRTUAL_DOMAIN=" + Domain}, install: "scripts/tools.sh"}
	minIO = brand{program: "minio", health: "/minio/health/ready", access: "MINIO_ROOT_USER", secret: "MINIO_ROOT_PASSWORD",
		more: []string{"MINIO_BROWSER=off", "MINIO_UPDATE=off", "MINIO_CI_CD=1", "MINIO_DOMAIN=" + Domain}, install: "scripts/tools.sh minio"}
)

// StartBackend runs a versitygw that keeps connections alive or not: the
// servers of the world do both.
func StartBackend(t testing.TB, name string, keepAlive bool) *Backend {
	t.Helper()
	b := newBackend(t, name, versitygw)
	b.args = []string{"--port", b.Addr, "--health", "/health", "--quiet"}
	if keepAlive {
		b.args = append(b.args, "--keep-alive")
	}
	b.args = append(b.args, "posix", b.Dir)
	b.Start(t)
	return b
}

// HasMinIO tells whether a MinIO was built.
func HasMinIO() bool {
	_, err := os.Stat(filepath.Join(Root(), ".tools", "bin", minIO.program))
	return err == nil
}

// StartMinIO runs a MinIO of one drive. It keeps connections alive.
func StartMinIO(t testing.TB, name string) *Backend {
	t.Helper()
	b := newBackend(t, name, minIO)
	b.args = []string{"server", "--quiet", "--address", b.Addr, b.Dir}
	b.Start(t)
	return b
}

func newBackend(t testing.TB, name string, of brand) *Backend {
	t.Helper()
	b := &Backend{
		Name: name, Addr: Addr(t), Dir: t.TempDir(), brand: of,
		Keys: wire.Keys{Access: "access-" + name, Secret: "secret-of-" + name, Region: "us-east-1"},
	}
	b.Client = NewClient(b.Addr, b.Keys)
	b.Client.PlainLists = true
	return b
}

// StartBackends runs n of them, named b-1, b-2, ... The last one closes every
// connection after its answer.
func StartBackends(t testing.TB, n int) []*Backend {
	t.Helper()
	var all []*Backend
	for i := range n {
		all = append(all, StartBackend(t, fmt.Sprintf("b-%d", i+1), i < n-1))
	}
	return all
}

// Start runs it, again after a Kill, and returns when it answers.
func (b *Backend) Start(t testing.TB) {
	t.Helper()
	if b.inside != nil {
		if err := b.inside.On(); err != nil {
			t.Fatal(err)
		}
		return
	}
	cmd := exec.Command(b.program(t), b.args...)
	cmd.Env = append(append(os.Environ(), b.brand.access+"="+b.Keys.Access, b.brand.secret+"="+b.Keys.Secret), b.brand.more...)
	b.proc = Start(t, "backend "+b.Name, cmd)
	Eventually(t, "backend "+b.Name+" answers", func() error {
		if !b.proc.Running() {
			t.Fatalf("backend %s ended:\n%s", b.Name, b.proc.tail(2000))
		}
		return healthy(b.Addr, b.brand.health)
	})
}

// program is never skipped over: Go alone brings it.
func (b *Backend) program(t testing.TB) string {
	t.Helper()
	path := filepath.Join(Root(), ".tools", "bin", b.brand.program)
	if _, err := os.Stat(path); err != nil {
		t.Fatalf("%s is not built: run %s (%v)", b.brand.program, b.brand.install, err)
	}
	return path
}

// Kill ends it as a power cut ends a process: SIGKILL.
func (b *Backend) Kill() {
	if b.inside != nil {
		b.inside.Off()
		return
	}
	b.proc.Kill()
}

// Hang stops it (SIGSTOP): its port still takes connections, nobody answers.
func (b *Backend) Hang() {
	if b.inside != nil {
		b.inside.SetFaults(memory.Faults{Hang: true})
		return
	}
	b.proc.Signal(syscall.SIGSTOP)
}

// Resume ends a Hang (SIGCONT).
func (b *Backend) Resume() {
	if b.inside != nil {
		b.inside.SetFaults(memory.Faults{})
		return
	}
	b.proc.Signal(syscall.SIGCONT)
}

// Object reads one stored object, stamp and all.
func (b *Backend) Object(ctx context.Context, bucket, key string) (Object, error) {
	return b.Client.Object(ctx, bucket, key)
}

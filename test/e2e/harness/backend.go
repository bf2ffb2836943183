package harness

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/s3mirror/s3mirror/test/e2e/wire"
)

// Backend is one versitygw process over a folder.
type Backend struct {
	Name   string
	Addr   string
	Dir    string // its buckets are the folders below
	Keys   wire.Keys
	Client *Client // straight to it, past the gateway

	args []string
	proc *Process
}

// StartBackend runs a versitygw that keeps connections alive or not: the
// servers of the world do both.
func StartBackend(t testing.TB, name string, keepAlive bool) *Backend {
	t.Helper()
	b := &Backend{
		Name: name, Addr: Addr(t), Dir: t.TempDir(),
		Keys: wire.Keys{Access: "access-" + name, Secret: "secret-of-" + name, Region: "us-east-1"},
	}
	b.Client = NewClient(b.Addr, b.Keys)
	b.Client.PlainLists = true
	b.args = []string{"--port", b.Addr, "--health", "/health", "--quiet"}
	if keepAlive {
		b.args = append(b.args, "--keep-alive")
	}
	b.args = append(b.args, "posix", b.Dir)
	b.Start(t)
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
	cmd := exec.Command(b.program(t), b.args...)
	cmd.Env = append(os.Environ(), "ROOT_ACCESS_KEY="+b.Keys.Access, "ROOT_SECRET_KEY="+b.Keys.Secret)
	b.proc = Start(t, "backend "+b.Name, cmd)
	Eventually(t, "backend "+b.Name+" answers", func() error {
		if !b.proc.Running() {
			t.Fatalf("backend %s ended:\n%s", b.Name, b.proc.tail(2000))
		}
		return healthy(b.Addr, "/health")
	})
}

// program is never skipped over: Go alone brings versitygw.
func (b *Backend) program(t testing.TB) string {
	t.Helper()
	path := filepath.Join(Root(), ".tools", "bin", "versitygw")
	if _, err := os.Stat(path); err != nil {
		t.Fatalf("versitygw is not built: run scripts/tools.sh (%v)", err)
	}
	return path
}

// Kill ends it as a power cut ends a process: SIGKILL.
func (b *Backend) Kill() { b.proc.Kill() }

// Hang stops it (SIGSTOP): its port still takes connections, nobody answers.
func (b *Backend) Hang() { b.proc.Signal(syscall.SIGSTOP) }

// Resume ends a Hang (SIGCONT).
func (b *Backend) Resume() { b.proc.Signal(syscall.SIGCONT) }

// Object reads one stored object, stamp and all.
func (b *Backend) Object(ctx context.Context, bucket, key string) (Object, error) {
	return b.Client.Object(ctx, bucket, key)
}

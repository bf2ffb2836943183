package harness

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// Process is a program that a test started and owns.
type Process struct {
	Name string
	cmd  *exec.Cmd
	log  string        // file with its stdout and stderr
	done chan struct{} // closed when it has been waited for
	err  error         // of Wait, valid after done
}

// spawn starts every process from one thread that lives as long as the test
// binary, because Linux delivers the parent-death signal when the thread that
// forked ends, not when the process does.
var spawn = sync.OnceValue(func() chan<- func() {
	work := make(chan func())
	go func() {
		runtime.LockOSThread()
		for f := range work {
			f()
		}
	}()
	return work
})

// Start runs a command to its end in the background. Its output goes to a
// file, whose tail is shown when the test fails. The process is killed when
// the test ends, if it still runs then.
func Start(t testing.TB, name string, cmd *exec.Cmd) *Process {
	t.Helper()
	p := &Process{Name: name, cmd: cmd, done: make(chan struct{}), log: filepath.Join(t.TempDir(), "output")}
	out, err := os.Create(p.log)
	if err != nil {
		t.Fatal(err)
	}
	defer out.Close()
	cmd.Stdout, cmd.Stderr = out, out
	dieWithParent(cmd)
	started := make(chan error)
	spawn() <- func() { started <- cmd.Start() }
	if err := <-started; err != nil {
		t.Fatalf("start %s: %v", name, err)
	}
	go func() {
		p.err = cmd.Wait()
		close(p.done)
	}()
	t.Cleanup(func() {
		p.Kill()
		if t.Failed() {
			t.Logf("---- end of what %s (pid %d) said:\n%s", name, cmd.Process.Pid, p.tail(6000))
		}
	})
	return p
}

// Pid is the process's own.
func (p *Process) Pid() int { return p.cmd.Process.Pid }

// Kill ends it at once (SIGKILL) and waits until it is gone.
func (p *Process) Kill() {
	p.Signal(syscall.SIGKILL)
	<-p.done
}

// Signal sends a signal, if the process still runs.
func (p *Process) Signal(sig syscall.Signal) {
	select {
	case <-p.done:
	default:
		p.cmd.Process.Signal(sig)
	}
}

// Stop stops it (SIGSTOP) and returns when none of its threads runs any more: the
// signal alone leaves them time to answer. Signal(SIGCONT) lets it go on.
func (p *Process) Stop(t testing.TB) {
	t.Helper()
	p.Signal(syscall.SIGSTOP)
	if runtime.GOOS != "linux" {
		return // there is no saying
	}
	Eventually(t, p.Name+" stands still", func() error {
		threads, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/stat", p.Pid()))
		if err != nil || len(threads) == 0 {
			return fmt.Errorf("no threads: %w", err)
		}
		for _, file := range threads {
			stat, err := os.ReadFile(file)
			if err != nil {
				return err
			}
			// The state follows the name, which is in parentheses and may hold some.
			if at := bytes.LastIndexByte(stat, ')'); at < 0 || len(stat) < at+3 || stat[at+2] != 'T' {
				return fmt.Errorf("it runs: %s", stat)
			}
		}
		return nil
	})
}

// Running tells whether the process has not ended yet.
func (p *Process) Running() bool {
	select {
	case <-p.done:
		return false
	default:
		return true
	}
}

// Wait returns the exit code once the process ends, or an error when it still
// runs after the limit.
func (p *Process) Wait(limit time.Duration) (int, error) {
	select {
	case <-p.done:
		return p.cmd.ProcessState.ExitCode(), nil
	case <-time.After(limit):
		return 0, fmt.Errorf("%s still runs after %v", p.Name, limit)
	}
}

// Output is all it has said so far, stdout and stderr together.
func (p *Process) Output() string {
	b, _ := os.ReadFile(p.log) // a missing file is an empty output
	return string(b)
}

// Since is what it has said after the first n bytes.
func (p *Process) Since(n int64) (string, error) {
	f, err := os.Open(p.log)
	if err != nil {
		return "", err
	}
	defer f.Close()
	b, err := io.ReadAll(io.NewSectionReader(f, n, 1<<62))
	return string(b), err
}

func (p *Process) tail(n int) string {
	s := p.Output()
	if len(s) > n {
		s = "..." + s[len(s)-n:]
	}
	return strings.TrimSpace(s)
}

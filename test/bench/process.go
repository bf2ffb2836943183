package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"
)

// process is a program that we started: a gateway, a backend, a fan-out, a peer.
type process struct {
	name string
	cmd  *exec.Cmd
	log  string        // file with what it says
	done chan struct{} // closed once it was waited for
	err  error         // of Wait, valid after done
	used time.Duration // CPU time when it had ended, valid after done
}

// processes are all that we started, for their CPU time is not foreign.
type processes struct {
	dir string // of their output

	mu  sync.Mutex // guards all
	all []*process
}

// spawn starts every program from one thread that lives as long as we do: Linux
// delivers the parent-death signal when the thread that forked ends.
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

// start runs a command until stop, or until we end, however that comes.
func (ps *processes) start(name string, cmd *exec.Cmd) (*process, error) {
	ps.mu.Lock()
	defer ps.mu.Unlock()
	p := &process{name: name, cmd: cmd, done: make(chan struct{}),
		log: filepath.Join(ps.dir, fmt.Sprintf("%03d-%s.log", len(ps.all), name))}
	out, err := os.Create(p.log)
	if err != nil {
		return nil, err
	}
	defer out.Close()
	if cmd.Stdout == nil {
		cmd.Stdout = out
	}
	cmd.Stderr = out
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	started := make(chan error)
	spawn() <- func() { started <- cmd.Start() }
	if err := <-started; err != nil {
		return nil, fmt.Errorf("start %s: %w", name, err)
	}
	go func() {
		p.err = cmd.Wait()
		p.used = cmd.ProcessState.UserTime() + cmd.ProcessState.SystemTime()
		close(p.done)
	}()
	ps.all = append(ps.all, p)
	return p, nil
}

// cpu is what we and all our programs have used.
func (ps *processes) cpu() (time.Duration, error) {
	ps.mu.Lock()
	defer ps.mu.Unlock()
	// Not processCPU: the dead among our children are counted below.
	var self syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &self); err != nil {
		return 0, err
	}
	sum := time.Duration(self.Utime.Nano() + self.Stime.Nano())
	for _, p := range ps.all {
		used, err := p.cpu()
		if err != nil {
			return 0, err
		}
		sum += used
	}
	return sum, nil
}

// owns tells whether a program is this one or was started by it.
func (ps *processes) owns(pid int) bool {
	ps.mu.Lock()
	defer ps.mu.Unlock()
	return pid == os.Getpid() || slices.ContainsFunc(ps.all, func(p *process) bool { return p.pid() == pid })
}

// stopAll ends every program that still runs.
func (ps *processes) stopAll() {
	ps.mu.Lock()
	all := ps.all
	ps.mu.Unlock()
	for _, p := range all {
		p.kill()
	}
}

func (p *process) pid() int { return p.cmd.Process.Pid }

// cpu is what the program has used so far, or had when it ended.
func (p *process) cpu() (time.Duration, error) {
	used, err := processCPU(p.pid())
	if err == nil && p.running() {
		return used, nil
	}
	select {
	case <-p.done:
		return p.used, nil
	case <-time.After(time.Second):
		return 0, fmt.Errorf("CPU time of %s: %w", p.name, err)
	}
}

func (p *process) running() bool {
	select {
	case <-p.done:
		return false
	default:
		return true
	}
}

func (p *process) signal(s syscall.Signal) {
	if p.running() {
		_ = p.cmd.Process.Signal(s) // it may just have ended
	}
}

// kill ends it at once and returns when it is gone.
func (p *process) kill() {
	p.signal(syscall.SIGKILL)
	<-p.done
}

// quit asks it to end in order, and insists after a while.
func (p *process) quit() {
	p.signal(syscall.SIGCONT)
	p.signal(syscall.SIGTERM)
	select {
	case <-p.done:
	case <-time.After(20 * time.Second):
		p.kill()
	}
}

// tail is the end of what it said.
func (p *process) tail() string {
	data, err := os.ReadFile(p.log)
	if err != nil {
		return err.Error()
	}
	return strings.TrimSpace(string(data[max(0, len(data)-2000):]))
}

// startTime is how long a program may take until it answers.
const startTime = 60 * time.Second

// await returns when ready does without an error.
func (p *process) await(ctx context.Context, ready func(context.Context) error) error {
	ctx, cancel := context.WithTimeout(ctx, startTime)
	defer cancel()
	for {
		err := ready(ctx)
		if err == nil {
			return nil
		}
		select {
		case <-p.done:
			return fmt.Errorf("%s ended: %w\n%s", p.name, errors.Join(p.err, err), p.tail())
		case <-ctx.Done():
			return fmt.Errorf("%s is not ready: %w\n%s", p.name, err, p.tail())
		case <-time.After(20 * time.Millisecond):
		}
	}
}

// answers is a ready of programs with a health path.
func answers(url string) func(context.Context) error {
	return func(ctx context.Context) error {
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
		if err != nil {
			return err
		}
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			return err
		}
		defer resp.Body.Close()
		_, _ = io.CopyN(io.Discard, resp.Body, 64<<10) // only the status is asked
		if resp.StatusCode != http.StatusOK {
			return fmt.Errorf("%s answered %d", url, resp.StatusCode)
		}
		return nil
	}
}

// listens is a ready of programs without one.
func listens(addr string) func(context.Context) error {
	return func(ctx context.Context) error {
		c, err := new(net.Dialer).DialContext(ctx, "tcp", addr)
		if err != nil {
			return err
		}
		return c.Close()
	}
}

// freeAddr is a loopback address that nobody uses now, below the ports that the
// system gives to outgoing connections.
func (ps *processes) freeAddr() (string, error) {
	for port := 21000 + os.Getpid()*13%8000; port < 32000; port++ {
		addr := fmt.Sprintf("127.0.0.1:%d", port)
		if !ps.claim(addr) {
			continue
		}
		if l, err := net.Listen("tcp", addr); err == nil {
			return addr, l.Close()
		}
	}
	return "", errors.New("no free port on 127.0.0.1")
}

var claimed sync.Map

func (*processes) claim(addr string) bool {
	_, taken := claimed.LoadOrStore(addr, true)
	return !taken
}

//go:build e2e && linux

package e2e

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/s3mirror/s3mirror/test/e2e/harness"
)

// TestDiskFull lets the disk of the log run full: writes are answered with
// 503 SlowDown, reads go on, and when there is room again so do writes.
func TestDiskFull(t *testing.T) {
	t.Parallel()
	backends := harness.StartBackends(t, 3)
	dir := t.TempDir()
	g := harness.NewGateway(t, backends, harness.Options{DataDir: dir, Prep: onSmallDisk(t, dir)})
	g.Start(t)
	createBucket(t, g.Client, "proof")
	l := newLoad(g.Client, "proof", 60, 51)
	putAll := func(w *worker) {
		for _, k := range w.keys {
			w.put(t.Context(), k, 1000)
		}
	}
	l.run(4, putAll)()
	if l.acked.Load() != int64(len(l.keys)) {
		t.Fatalf("only %d of %d writes were acknowledged on a disk with room", l.acked.Load(), len(l.keys))
	}

	// The process lives in a mount namespace of its own; its root shows the disk.
	filler := filepath.Join("/proc", fmt.Sprint(g.Process().Pid()), "root", dir, "filler")
	fill(t, filler)
	refusedBefore := l.unknown.Load()
	for i := 0; i < 200 && l.unknown.Load() < refusedBefore+60; i++ {
		l.run(1, func(w *worker) {
			a := w.putSlow(t, w.keys[i%len(w.keys)])
			if a != "" && a != "503 SlowDown" && a != "503 ServiceUnavailable" {
				t.Errorf("a write on a full disk: %s, want 503", a)
			}
		})()
	}
	floor(t, "writes answered 503 on the full disk", l.unknown.Load()-refusedBefore, 60)
	reads := l.reads.Load()
	l.run(4, func(w *worker) {
		for _, k := range w.keys {
			w.read(t.Context(), k)
		}
	})()
	// The one write that was under way when the last byte was taken may have
	// overtaken what stood there, and only the log could say so.
	floor(t, "reads on the full disk", l.reads.Load()-reads, int64(len(l.keys)-1))
	if keys, err := g.Client.List(t.Context(), "proof", "", 1000); err != nil || len(keys) != len(l.keys) {
		t.Errorf("list on the full disk: %d keys, %v", len(keys), err)
	}
	if !g.Process().Running() {
		t.Fatal("the gateway ended on a full disk")
	}

	if err := os.Remove(filler); err != nil {
		t.Fatal(err)
	}
	harness.Eventually(t, "writes go on when there is room", func() error {
		before := l.acked.Load()
		l.run(1, func(w *worker) { w.putSlow(t, w.keys[0]) })()
		if l.acked.Load() == before {
			return errors.New("still refused")
		}
		return nil
	})
	l.run(4, putAll)()
	l.verdict(t)
	l.settle(t, g, backends)
}

// putSlow writes a key and returns what it was answered unless it was
// acknowledged.
func (w *worker) putSlow(t *testing.T, k *harness.Key) string {
	if w.put(t.Context(), k, 1000) == harness.Acked {
		return ""
	}
	return w.last
}

// onSmallDisk makes a command run on a small disk of its own, mounted over
// dir in a mount namespace that ends with the process. Root may do that; so
// may others where the system lets them have user namespaces.
func onSmallDisk(t *testing.T, dir string) func(*exec.Cmd) {
	t.Helper()
	prep := func(cmd *exec.Cmd) {
		const mount = `mount -t tmpfs -o size=64m,mode=0700 s3mirror-e2e "$0" && exec "$@"`
		cmd.Args = append([]string{"/bin/sh", "-c", mount, dir, cmd.Path}, cmd.Args[1:]...)
		cmd.Path = "/bin/sh"
		if os.Getuid() == 0 {
			cmd.SysProcAttr = &syscall.SysProcAttr{Unshareflags: syscall.CLONE_NEWNS}
			return
		}
		one := func(id int) []syscall.SysProcIDMap {
			return []syscall.SysProcIDMap{{ContainerID: 0, HostID: id, Size: 1}}
		}
		cmd.SysProcAttr = &syscall.SysProcAttr{
			Cloneflags: syscall.CLONE_NEWNS | syscall.CLONE_NEWUSER, UidMappings: one(os.Getuid()), GidMappings: one(os.Getgid()),
		}
	}
	try := exec.Command("/bin/true")
	prep(try)
	if out, err := try.CombinedOutput(); err != nil {
		harness.Lacking(t, "a disk that can be filled", fmt.Sprintf("root, or user namespaces that may mount (%v, %s)", err, out))
	}
	return prep
}

// fill writes until the disk takes no more.
func fill(t *testing.T, path string) {
	t.Helper()
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	for _, size := range []int{1 << 20, 4096, 1} {
		for err == nil {
			_, err = f.Write(make([]byte, size))
		}
		if !errors.Is(err, syscall.ENOSPC) {
			t.Fatalf("filling the disk: %v", err)
		}
		err = nil
	}
}

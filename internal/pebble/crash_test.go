package pebble

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/cockroachdb/pebble/v2/vfs/errorfs"
)

// tiny options make a short run meet log files that fill up, flushes,
// compactions and manifests.
func tiny(t *testing.T, fs vfs.FS) Options {
	o := quiet(t)
	o.FS, o.MemTableBytes, o.retryPause = fs, 16<<10, 1
	return o
}

func isSync(k errorfs.OpKind) bool {
	return k == errorfs.OpFileSync || k == errorfs.OpFileSyncData || k == errorfs.OpFileSyncTo || k == errorfs.OpFileFlush
}

// At every sync of the disk the power goes: once with nothing of what was not
// synced, and with random parts of it. Whatever was acknowledged or read by then
// is there, and no half of a batch.
func TestPowerLossAtEverySync(t *testing.T) {
	disk := vfs.NewCrashableMem()
	w := newLoad()
	rng := rand.New(rand.NewPCG(11, 13))
	var (
		mu     sync.Mutex // one crash at a time; guards rng and points
		points int
	)
	crash := errorfs.InjectorFunc(func(op errorfs.Op) error {
		if !isSync(op.Kind) {
			return nil
		}
		mu.Lock()
		defer mu.Unlock()
		points++
		for _, percent := range []int{0, 1 + rng.IntN(100)} {
			// Other writers go on: what is promised before the copy must be in it, what
			// was tried until after it may be.
			least := w.claims()
			left := disk.CrashClone(vfs.CrashCloneCfg{UnsyncedDataPercent: percent, RNG: rng})
			when := fmt.Sprintf("sync %d (%s), %d %% of the rest", points, op.Path, percent)
			check(t, when, tiny(t, left), least, w.claims())
		}
		return nil
	})
	log := mustOpen(t, "data", tiny(t, errorfs.Wrap(disk, crash)))
	stop := make(chan struct{})
	var writers, watchers sync.WaitGroup
	watchers.Go(func() { w.watch(log, stop) })
	for i := range 3 {
		writers.Go(func() { w.run(t, log, i, 40) })
	}
	writers.Wait()
	close(stop)
	watchers.Wait()
	if err := log.Close(); err != nil {
		t.Error(err)
	}
	if points < 60 {
		t.Errorf("only %d syncs: the run is too short", points)
	}
	t.Logf("%d syncs, %d crashes", points, 2*points)
}

// diskRun is one run of the load on a disk that fails.
type diskRun struct {
	disk    *vfs.MemFS
	load    *load
	opening int  // writing operations seen until the log was open
	ops     int  // and until it was closed
	died    bool // the log ended the process
	err     error
}

// runOnFailingDisk opens a log and drives it while fail says which of the disk's
// writing operations, from 0, meet an error. A dead log is left as it is.
func runOnFailingDisk(t *testing.T, fail func(n int, op errorfs.Op) error) diskRun {
	run := diskRun{disk: vfs.NewCrashableMem(), load: newLoad()}
	var ops atomic.Int64
	o := tiny(t, errorfs.Wrap(run.disk, errorfs.InjectorFunc(func(op errorfs.Op) error {
		if op.Kind.ReadOrWrite() != errorfs.OpIsWrite || op.Kind == errorfs.OpFilePreallocate || op.Kind == errorfs.OpLock {
			return nil
		}
		return fail(int(ops.Add(1))-1, op)
	})))
	died := make(chan struct{})
	o.OnFatal = func(error) { close(died) }
	opened := make(chan *Log, 1)
	go func() { // an opening that dies does not come back
		log, err := Open("data", o)
		run.err = err
		opened <- log
	}()
	select {
	case <-died:
		run.died = true
	case log := <-opened:
		if log == nil {
			break
		}
		run.opening = int(ops.Load())
		closed := make(chan error, 1)
		go func() { // calls of a log that dies may not come back
			drive(t, log, run.load)
			closed <- log.Close()
		}()
		select {
		case <-died:
			run.died = true
		case run.err = <-closed:
			run.died = errors.Is(run.err, errDead)
		}
	}
	run.ops = int(ops.Load())
	return run
}

func drive(t *testing.T, log *Log, w *load) {
	var writers sync.WaitGroup
	for i := range 2 {
		writers.Go(func() { w.run(t, log, i, 30) })
	}
	writers.Wait()
}

// after checks what the run left on the disk when the power went at its end.
func (r diskRun) after(t *testing.T, when string, rng *rand.Rand) {
	t.Helper()
	for _, percent := range []int{0, rng.IntN(101)} {
		least := r.load.claims()
		left := r.disk.CrashClone(vfs.CrashCloneCfg{UnsyncedDataPercent: percent, RNG: rng})
		check(t, when, tiny(t, left), least, r.load.claims())
	}
}

// An I/O error at every single write of the disk: either it was harmless, or
// Open said so, or the process ended; and what was acknowledged is there.
func TestErrorAtEveryWrite(t *testing.T) {
	whole := runOnFailingDisk(t, func(int, errorfs.Op) error { return nil })
	if whole.died || whole.err != nil {
		t.Fatalf("without errors: died %v, %v", whole.died, whole.err)
	}
	rng := rand.New(rand.NewPCG(17, 19))
	deaths := 0
	for at := 0; at < whole.ops; at += 1 + rng.IntN(2) {
		failed := atomic.Pointer[errorfs.Op]{}
		run := runOnFailingDisk(t, func(n int, op errorfs.Op) error {
			if n != at {
				return nil
			}
			failed.Store(&op)
			return syscall.EIO
		})
		op := failed.Load()
		if op == nil {
			continue // a shorter run
		}
		if run.died {
			deaths++
		} else if isSync(op.Kind) && run.err == nil {
			t.Errorf("operation %d: the sync of %s failed and the log went on", at, op.Path)
		}
		run.after(t, fmt.Sprintf("error at operation %d (%s)", at, op.Path), rng)
	}
	if deaths < whole.ops/8 {
		t.Errorf("%d deaths in %d runs: errors do not reach the log", deaths, whole.ops)
	}
	t.Logf("%d operations, %d deaths", whole.ops, deaths)
}

// The disk has no space left, from a write on and for ever: the log may die, but
// what was acknowledged is there once there is space again.
func TestNoSpaceFromAnyWrite(t *testing.T) {
	whole := runOnFailingDisk(t, func(int, errorfs.Op) error { return nil })
	rng := rand.New(rand.NewPCG(23, 29))
	for at := 0; at < whole.ops; at += 1 + rng.IntN(8) {
		run := runOnFailingDisk(t, func(n int, op errorfs.Op) error {
			if n >= at && op.Kind != errorfs.OpRemove && op.Kind != errorfs.OpFileClose {
				return syscall.ENOSPC
			}
			return nil
		})
		run.after(t, fmt.Sprintf("no space from operation %d", at), rng)
	}
}

// One write finds no space and the next does, as when the ballast gave its
// blocks back: nobody notices.
func TestOneMomentWithoutSpaceIsSurvived(t *testing.T) {
	whole := runOnFailingDisk(t, func(int, errorfs.Op) error { return nil })
	rng := rand.New(rand.NewPCG(31, 37))
	for at := whole.opening; at < whole.ops; at += 1 + rng.IntN(4) {
		var where atomic.Pointer[errorfs.Op]
		run := runOnFailingDisk(t, func(n int, op errorfs.Op) error {
			if n < at || where.Load() != nil || isSync(op.Kind) || op.Kind == errorfs.OpFileClose || op.Kind == errorfs.OpRemove {
				return nil // what cannot be tried again, or never needs space
			}
			where.Store(&op)
			return syscall.ENOSPC
		})
		if where.Load() == nil {
			continue
		}
		if run.died || run.err != nil {
			t.Errorf("operation %d (%+v): died %v, %v", at, *where.Load(), run.died, run.err)
		}
		run.after(t, fmt.Sprintf("a moment without space at operation %d", at), rng)
	}
}

// A folder whose log files must be flushed, on a disk that takes no table: Open
// ends the process instead of trying for ever.
func TestOpenOnAFullDiskEnds(t *testing.T) {
	mem := vfs.NewCrashableMem()
	log := mustOpen(t, "data", tiny(t, mem))
	newLoad().run(t, log, 0, 30)
	left := mem.CrashClone(vfs.CrashCloneCfg{})
	if err := log.Close(); err != nil {
		t.Fatal(err)
	}
	died := make(chan error, 1)
	o := tiny(t, errorfs.Wrap(left, errorfs.InjectorFunc(func(op errorfs.Op) error {
		if op.Kind == errorfs.OpCreate && strings.HasSuffix(op.Path, ".sst") {
			return syscall.ENOSPC
		}
		return nil
	})))
	o.OnFatal = func(err error) { died <- err }
	opened := make(chan error, 1)
	go func() {
		_, err := Open("data", o)
		opened <- err
	}()
	select {
	case err := <-died:
		if !errors.Is(err, syscall.ENOSPC) {
			t.Errorf("died of %v, want ENOSPC", err)
		}
	case err := <-opened:
		t.Errorf("opened: %v", err)
	}
}

// A table that cannot be written is written later; nothing else notices.
func TestAFailedFlushIsTriedAgain(t *testing.T) {
	var failures atomic.Int64
	failures.Store(3) // none while it opens
	o := tiny(t, errorfs.Wrap(vfs.NewMem(), errorfs.InjectorFunc(func(op errorfs.Op) error {
		if op.Kind == errorfs.OpFileWrite && strings.HasSuffix(op.Path, ".sst") && failures.Add(1) <= 3 {
			return syscall.EIO
		}
		return nil
	})))
	log := mustOpen(t, "data", o)
	failures.Store(0)
	w := newLoad()
	w.run(t, log, 0, 100)
	await(func() bool { return log.Metrics().BackgroundErrors >= 3 && log.Metrics().Flushes > 3 })
	checkWhole(t, "after failed flushes", log)
	if err := log.Close(); err != nil {
		t.Error(err)
	}
}

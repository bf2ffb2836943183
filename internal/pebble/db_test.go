package pebble

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/cockroachdb/pebble/v2/vfs/errorfs"
	"github.com/s3mirror/s3mirror/internal/object"
	"github.com/s3mirror/s3mirror/internal/oplog"
)

var bg = context.Background()

// TestMain lets the test binary stand in for a second process: with asOther set
// it does what that says and nothing else.
func TestMain(m *testing.M) {
	switch dir := os.Getenv("PEBBLE_TEST_DIR"); os.Getenv("PEBBLE_TEST_AS") {
	case "opener":
		_, err := Open(dir, Options{Logger: slog.New(slog.DiscardHandler)})
		fmt.Print(err)
		if !errors.Is(err, ErrLocked) {
			os.Exit(3)
		}
	case "dying":
		dieOfAFailedSync(dir)
	default:
		os.Exit(m.Run())
	}
}

func asOther(t *testing.T, what, dir string) (output string, code int) {
	t.Helper()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), "PEBBLE_TEST_AS="+what, "PEBBLE_TEST_DIR="+dir)
	out, err := cmd.CombinedOutput()
	if exit, ok := errors.AsType[*exec.ExitError](err); ok {
		return string(out), exit.ExitCode()
	}
	if err != nil {
		t.Fatal(err)
	}
	return string(out), 0
}

func TestAFolderHasOneOwner(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "made", "by", "open")
	log := mustOpen(t, dir, quiet(t))
	if out, code := asOther(t, "opener", dir); code != 0 || !strings.Contains(out, dir) {
		t.Errorf("another process: code %d, %q; want ErrLocked that names the folder", code, out)
	}
	if _, err := Open(dir, quiet(t)); !errors.Is(err, ErrLocked) || !strings.Contains(err.Error(), dir) {
		t.Errorf("the same process: %v, want ErrLocked that names the folder", err)
	}
	if err := log.Swap(bg, benchKey(1), oplog.Epoch{}, benchRow()); err != nil {
		t.Errorf("the owner after both: %v", err)
	}
	if err := log.Close(); err != nil {
		t.Fatal(err)
	}
	if err := mustOpen(t, dir, quiet(t)).Close(); err != nil {
		t.Errorf("after the owner has gone: %v", err)
	}
}

// dieOfAFailedSync runs in a process of its own, with the default OnFatal.
func dieOfAFailedSync(dir string) {
	var fail errorfs.Toggle
	fail.Injector = errorfs.InjectorFunc(func(op errorfs.Op) error {
		if isSync(op.Kind) {
			return syscall.EIO
		}
		return nil
	})
	log, err := Open(dir, Options{FS: errorfs.Wrap(vfs.Default, &fail)})
	if err != nil {
		fmt.Print(err)
		os.Exit(4)
	}
	fail.On()
	if err := log.Swap(bg, benchKey(1), oplog.Epoch{}, benchRow()); !errors.Is(err, oplog.ErrUnknown) {
		fmt.Print("answered: ", err)
	}
	select {} // until the log ends the process
}

func TestAFailedSyncEndsTheProcess(t *testing.T) {
	out, code := asOther(t, "dying", t.TempDir())
	if code != 1 || strings.Contains(out, "answered") || !strings.Contains(out, "input/output error") {
		t.Errorf("code %d, output %q; want 1, no answer but ErrUnknown, and the error", code, out)
	}
}

// Until the process ends a failed log answers nothing, and truthfully.
func TestADeadLogAnswersTruthfully(t *testing.T) {
	died := make(chan error, 1)
	var fail errorfs.Toggle
	fail.Injector = errorfs.InjectorFunc(func(op errorfs.Op) error {
		if isSync(op.Kind) {
			return syscall.EIO
		}
		return nil
	})
	o := quiet(t)
	o.FS = errorfs.Wrap(vfs.NewMem(), &fail)
	o.OnFatal = func(err error) { died <- err }
	log := mustOpen(t, "data", o)
	row := benchRow()
	if err := log.Swap(bg, benchKey(1), oplog.Epoch{}, row); err != nil {
		t.Fatal(err)
	}
	fail.On()
	if err := log.Swap(bg, benchKey(1), row.Epoch, nil); !errors.Is(err, oplog.ErrUnknown) {
		t.Errorf("the swap whose sync failed: %v, want ErrUnknown", err)
	}
	if err := <-died; !errors.Is(err, syscall.EIO) {
		t.Errorf("OnFatal was given %v, want EIO", err)
	}
	if err := log.Swap(bg, benchKey(1), row.Epoch, nil); !errors.Is(err, oplog.ErrNotApplied) {
		t.Errorf("a later swap: %v, want ErrNotApplied", err)
	}
	if err := log.Append(bg, oplog.Event{Op: "put"}); !errors.Is(err, oplog.ErrNotApplied) {
		t.Errorf("a later append: %v, want ErrNotApplied", err)
	}
	if _, err := log.Row(bg, benchKey(1)); err == nil || errors.Is(err, oplog.ErrNoRow) {
		t.Errorf("a later read: %v, want an outage", err)
	}
	if log.Metrics().Healthy {
		t.Error("the metrics call the log healthy")
	}
	if err := log.Close(); !errors.Is(err, errDead) {
		t.Errorf("close: %v, want that the log is dead", err)
	}
}

func TestFoldersThatAreNoLogAreRefused(t *testing.T) {
	for name, spoil := range map[string]func(t *testing.T, mem *vfs.MemFS){
		"a later layout": func(t *testing.T, mem *vfs.MemFS) {
			log := mustOpen(t, "data", memory(t, mem))
			if err := log.db.Set(schemaKey(), []byte{schema + 1}, pebble.Sync); err != nil {
				t.Fatal(err)
			}
			if err := log.Close(); err != nil {
				t.Fatal(err)
			}
		},
		"another database": func(t *testing.T, mem *vfs.MemFS) {
			db, err := pebble.Open("data/db", &pebble.Options{FS: mem, Logger: engineLogger{&Log{logger: slog.New(slog.DiscardHandler)}}})
			if err != nil {
				t.Fatal(err)
			}
			if err := errors.Join(db.Set([]byte("a"), nil, pebble.Sync), db.Close()); err != nil {
				t.Fatal(err)
			}
		},
		"a later engine": func(t *testing.T, mem *vfs.MemFS) {
			if err := mustOpen(t, "data", memory(t, mem)).Close(); err != nil {
				t.Fatal(err)
			}
			renameFile(t, mem, "marker.format-version.", func(name string) string {
				return name[:strings.LastIndex(name, ".")] + ".999"
			})
		},
		"an empty folder": func(t *testing.T, mem *vfs.MemFS) {
			if err := mem.MkdirAll("data/db", 0o700); err != nil {
				t.Fatal(err)
			}
		},
	} {
		mem := vfs.NewMem()
		spoil(t, mem)
		if _, err := Open("data", memory(t, mem)); !errors.Is(err, ErrFormat) || !strings.Contains(err.Error(), "data") {
			t.Errorf("%s: %v, want ErrFormat that names the folder", name, err)
		}
		// The refusal let go of the lock.
		if lock, err := mem.Lock("data/LOCK"); err != nil {
			t.Errorf("%s: the lock is still held: %v", name, err)
		} else if err := lock.Close(); err != nil {
			t.Error(err)
		}
	}
}

func memory(t *testing.T, fs vfs.FS) Options {
	o := quiet(t)
	o.FS = fs
	return o
}

func renameFile(t *testing.T, mem *vfs.MemFS, prefix string, to func(string) string) {
	t.Helper()
	names, err := mem.List("data/db")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range names {
		if strings.HasPrefix(name, prefix) {
			if err := mem.Rename("data/db/"+name, "data/db/"+to(name)); err != nil {
				t.Fatal(err)
			}
		}
	}
}

func TestOpenReportsWhatItCannotUse(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(file, quiet(t)); err == nil || errors.Is(err, ErrLocked) || errors.Is(err, ErrFormat) {
		t.Errorf("a file in the folder's place: %v", err)
	}
	for kind, name := range map[errorfs.OpKind]string{
		errorfs.OpMkdirAll: "make the folder", errorfs.OpLock: "lock it", errorfs.OpList: "list it",
		errorfs.OpRemoveAll: "clear the draft", errorfs.OpRename: "put it in place",
	} {
		mem := errorfs.Wrap(vfs.NewMem(), errorfs.InjectorFunc(func(op errorfs.Op) error {
			if op.Kind == kind && !strings.HasSuffix(op.Path, "dbtmp") {
				return &fs.PathError{Op: "test", Path: op.Path, Err: syscall.EACCES}
			}
			return nil
		}))
		if _, err := Open("data", memory(t, mem)); !errors.Is(err, syscall.EACCES) || errors.Is(err, ErrLocked) || errors.Is(err, ErrFormat) {
			t.Errorf("%s: %v, want EACCES", name, err)
		}
	}
	noLocks := errorfs.Wrap(vfs.NewMem(), errorfs.InjectorFunc(func(op errorfs.Op) error {
		if op.Kind == errorfs.OpLock {
			return syscall.ENOLCK
		}
		return nil
	}))
	if _, err := Open("data", memory(t, noLocks)); !errors.Is(err, syscall.ENOLCK) || errors.Is(err, ErrLocked) {
		t.Errorf("a file system without locks: %v, want ENOLCK", err)
	}
}

// An existing folder keeps the engine's format, so that an earlier version of
// the program can take it back.
func TestAnOldFolderKeepsItsFormat(t *testing.T) {
	mem := vfs.NewMem()
	const old = pebble.FormatColumnarBlocks
	db, err := pebble.Open("data/db", &pebble.Options{FS: mem, FormatMajorVersion: old, Logger: engineLogger{&Log{logger: slog.New(slog.DiscardHandler)}}})
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(db.Set(schemaKey(), []byte{schema}, pebble.Sync), db.Close()); err != nil {
		t.Fatal(err)
	}
	log := mustOpen(t, "data", memory(t, mem))
	defer log.Close()
	if got := log.db.FormatMajorVersion(); got != old {
		t.Errorf("format %d, want %d as before", got, old)
	}
	if err := log.Swap(bg, benchKey(1), oplog.Epoch{}, benchRow()); err != nil {
		t.Error(err)
	}
	fresh := mustOpen(t, "data", memory(t, vfs.NewMem()))
	defer fresh.Close()
	if got := fresh.db.FormatMajorVersion(); got != engineFormat {
		t.Errorf("a new folder has format %d, want %d", got, engineFormat)
	}
}

// A crash while the log was made leaves a draft; it is thrown away.
func TestADraftIsThrownAway(t *testing.T) {
	mem := vfs.NewMem()
	if err := mem.MkdirAll("data/db.new", 0o700); err != nil {
		t.Fatal(err)
	}
	f, err := mem.Create("data/db.new/MANIFEST-000001", vfs.WriteCategoryUnspecified)
	if err != nil {
		t.Fatal(err)
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	if err := mustOpen(t, "data", memory(t, mem)).Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := mem.Stat("data/db.new"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("the draft is still there: %v", err)
	}
}

func TestDamagedRecordsAreNoAnswer(t *testing.T) {
	log := mustOpen(t, "data", memory(t, vfs.NewMem()))
	defer log.Close()
	k := benchKey(1)
	if err := log.Swap(bg, k, oplog.Epoch{}, benchRow()); err != nil {
		t.Fatal(err)
	}
	for _, key := range [][]byte{rowKey(nil, k), docKey(nil, oplog.DocNode, "n")} {
		if err := log.db.Set(key, []byte{99}, pebble.Sync); err != nil {
			t.Fatal(err)
		}
	}
	if err := log.Append(bg, oplog.Event{Bucket: "b", Key: "k", Op: "put"}); err != nil {
		t.Fatal(err)
	}
	damageEvents(t, log)
	errs := map[string]error{"swap": log.Swap(bg, k, oplog.NewEpoch(), benchRow())}
	_, errs["row"] = log.Row(bg, k)
	_, errs["range"] = log.Range(bg, k.Bucket, "", "", 10)
	_, _, errs["due"] = log.Due(bg, oplog.ShardOf(k), "", 10)
	_, errs["doc"] = log.Doc(bg, oplog.DocNode, "n")
	_, errs["docs"] = log.Docs(bg, oplog.DocNode, "", 10)
	_, errs["events"] = log.Events(bg, oplog.HistoryQuery{})
	_, errs["events by key"] = log.Events(bg, oplog.HistoryQuery{Prefix: "k"})
	for what, err := range errs {
		if !errors.Is(err, oplog.ErrBadRecord) || errors.Is(err, oplog.ErrNoRow) {
			t.Errorf("%s: %v, want ErrBadRecord", what, err)
		}
	}
	if !errors.Is(errs["swap"], oplog.ErrNotApplied) {
		t.Errorf("swap: %v, want ErrNotApplied", errs["swap"])
	}
}

func damageEvents(t *testing.T, log *Log) {
	t.Helper()
	it, err := log.db.NewIter(&pebble.IterOptions{LowerBound: []byte{familyEvent}, UpperBound: end([]byte{familyEvent})})
	if err != nil {
		t.Fatal(err)
	}
	for ok := it.First(); ok; ok = it.Next() {
		if err := log.db.Set(append([]byte(nil), it.Key()...), []byte{99}, pebble.Sync); err != nil {
			t.Fatal(err)
		}
	}
	if err := errors.Join(it.Error(), it.Close()); err != nil {
		t.Fatal(err)
	}
}

func TestRowsAreCountedAcrossRestarts(t *testing.T) {
	mem := vfs.NewMem()
	log := mustOpen(t, "data", memory(t, mem))
	for i := range 10 {
		if err := log.Swap(bg, benchKey(i), oplog.Epoch{}, benchRow()); err != nil {
			t.Fatal(err)
		}
	}
	wantRows(t, log, 10)
	if err := log.Close(); err != nil {
		t.Fatal(err)
	}
	log = mustOpen(t, "data", memory(t, mem))
	defer log.Close()
	drop(t, log, benchKey(3)) // before the first count
	wantRows(t, log, 9)
	drop(t, log, benchKey(4)) // and after it
	wantRows(t, log, 8)
	if stats, err := log.Stats(bg); err != nil || stats.DiskBytes <= 0 {
		t.Errorf("stats %+v, %v: no bytes on disk", stats, err)
	}
}

func drop(t *testing.T, log *Log, k object.Key) {
	t.Helper()
	row, err := log.Row(bg, k)
	if err == nil {
		err = log.Swap(bg, k, row.Epoch, nil)
	}
	if err != nil {
		t.Fatal(err)
	}
}

func wantRows(t *testing.T, log *Log, want int64) {
	t.Helper()
	if stats, err := log.Stats(bg); err != nil || stats.Rows != want {
		t.Errorf("%d rows, %v; want %d", stats.Rows, err, want)
	}
}

package pebble

import (
	"errors"
	"fmt"
	"sync/atomic"
	"syscall"
	"testing"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/cockroachdb/pebble/v2/vfs/errorfs"
)

// What each failed operation of each sort of file comes to, before and after the
// log is open.
func TestWhichErrorsEndTheProcess(t *testing.T) {
	type outcome struct{ opening, open bool } // fatal?
	always, never, later := outcome{true, true}, outcome{}, outcome{opening: false, open: true}
	for _, c := range []struct {
		kind     errorfs.OpKind
		name     string
		wal, sst outcome
		do       func(fs vfs.FS, name string) error
	}{
		{errorfs.OpCreate, "create", later, never, func(fs vfs.FS, name string) error {
			_, err := fs.Create(name, vfs.WriteCategoryUnspecified)
			return err
		}},
		{errorfs.OpReuseForWrite, "reuse", later, never, func(fs vfs.FS, name string) error {
			_, err := fs.ReuseForWrite("old", name, vfs.WriteCategoryUnspecified)
			return err
		}},
		{errorfs.OpOpen, "open to write", later, never, func(fs vfs.FS, name string) error {
			_, err := fs.OpenReadWrite(name, vfs.WriteCategoryUnspecified)
			return err
		}},
		{errorfs.OpFileWrite, "write", later, never, onFile(func(f vfs.File) error {
			_, err := f.Write([]byte("x"))
			return err
		})},
		{errorfs.OpFileSync, "sync", always, always, onFile(vfs.File.Sync)},
		{errorfs.OpFileSyncData, "sync of data", always, always, onFile(vfs.File.SyncData)},
		{errorfs.OpFileSyncTo, "sync of a part", always, always, onFile(func(f vfs.File) error {
			_, err := f.SyncTo(1)
			return err
		})},
	} {
		for name, want := range map[string]outcome{"000001.log": c.wal, "000002.sst": c.sst} {
			for armed, fatal := range map[bool]bool{false: want.opening, true: want.open} {
				var died error
				err := func() (err error) {
					defer func() {
						if r := recover(); r != nil {
							err = died
						}
					}()
					return c.do(failing(c.kind, armed, &died), name)
				}()
				if !errors.Is(err, syscall.EIO) || (died != nil) != fatal {
					t.Errorf("%s of %s, open %v: error %v, fatal %v; want EIO, fatal %v", c.name, name, armed, err, died, fatal)
				}
			}
		}
	}
}

// failing is a guarded file system on which operations of one kind fail; a fatal
// error is kept and panics, because it must not return.
func failing(kind errorfs.OpKind, armed bool, died *error) vfs.FS {
	g := &guardFS{
		FS: errorfs.Wrap(vfs.NewMem(), errorfs.InjectorFunc(func(op errorfs.Op) error {
			if op.Kind == kind {
				return syscall.EIO
			}
			return nil
		})),
		armed: &atomic.Bool{},
		fatal: func(op, name string, err error) {
			*died = fmt.Errorf("%s %s: %w", op, name, err)
			panic(*died)
		},
	}
	g.armed.Store(armed)
	return g
}

func onFile(do func(f vfs.File) error) func(fs vfs.FS, name string) error {
	return func(fs vfs.FS, name string) error {
		f, err := fs.Create(name, vfs.WriteCategoryUnspecified)
		if err != nil {
			return err
		}
		return do(f)
	}
}

func TestAMarkerIsMadeAfterWhatItNames(t *testing.T) {
	var ops []errorfs.OpKind
	inner := errorfs.Wrap(vfs.NewMem(), errorfs.InjectorFunc(func(op errorfs.Op) error {
		ops = append(ops, op.Kind)
		return nil
	}))
	g := &guardFS{FS: inner, armed: &atomic.Bool{}}
	if _, err := g.Create("marker.manifest.000001.MANIFEST-000001", vfs.WriteCategoryUnspecified); err != nil {
		t.Fatal(err)
	}
	want := []errorfs.OpKind{errorfs.OpOpenDir, errorfs.OpFileSync, errorfs.OpCreate}
	if fmt.Sprint(ops) != fmt.Sprint(want) {
		t.Errorf("operations %v, want %v", ops, want)
	}
	if g.Unwrap() != vfs.FS(inner) {
		t.Error("the wrapped file system is another one")
	}
	var died error
	defer func() {
		if recover() == nil || !errors.Is(died, syscall.EIO) {
			t.Errorf("the sync before a marker failed and nobody died: %v", died)
		}
	}()
	_, _ = failing(errorfs.OpFileSync, false, &died).Create("marker.manifest.000002.MANIFEST-000002", vfs.WriteCategoryUnspecified)
}

// The engine panics in the midst of a commit: the process ends as for any other
// fatal error.
func TestAPanicOfTheEngineIsFatal(t *testing.T) {
	died := make(chan error, 1)
	o := memory(t, vfs.NewMem())
	o.OnFatal = func(err error) { died <- err }
	log := mustOpen(t, "data", o)
	batch := log.db.NewBatch()
	if err := batch.Set([]byte("x"), nil, nil); err != nil {
		t.Fatal(err)
	}
	if err := log.db.Close(); err != nil {
		t.Fatal(err)
	}
	go log.apply(batch, pebble.Sync) // does not come back
	if err := <-died; err == nil {
		t.Error("died of nothing")
	}
}

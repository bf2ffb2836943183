package pebble

import (
	"strings"
	"sync/atomic"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
)

// guardFS ends the process on errors after which nobody knows what the disk
// holds: a failed sync of anything, a failed write of the write-ahead log.
// Pebble itself would end it too, but for the log by a panic in the midst of its
// locks; and it would write a table again whose sync failed, which is right only
// if the kernel still knows what is not on disk.
//
// Before armed, while the database opens, other errors than those of a sync go
// to the opener.
//
// Pebble tries a failed flush again at once, and so for ever on a full disk: an
// error of a table waits for pause before it is told, when no lock is held.
type guardFS struct {
	vfs.FS
	armed *atomic.Bool
	fatal func(op, name string, err error) // does not return
	pause time.Duration
}

func (g *guardFS) check(op, name string, err error) {
	if err != nil && g.armed.Load() {
		g.fatal(op, name, err)
	}
}

func (g *guardFS) slowDown(name string) {
	if strings.HasSuffix(name, ".sst") {
		time.Sleep(g.pause)
	}
}

func (g *guardFS) checkSync(name string, err error) {
	if err != nil {
		g.fatal("sync", name, err)
	}
}

// file wraps what was opened; a file of the write-ahead log is guarded whole.
func (g *guardFS) file(f vfs.File, op, name string, err error) (vfs.File, error) {
	wal := strings.HasSuffix(name, ".log")
	if err != nil {
		if wal {
			g.check(op, name, err)
		}
		g.slowDown(name)
		return f, err
	}
	return &guardFile{File: f, fs: g, name: name, wal: wal}, nil
}

// Create makes durable what a marker names before it makes the marker. Pebble
// v2.1.7 syncs the folder once for both, so that a loss of power can leave the
// marker without its manifest, and a log that does not open
// (cockroachdb/pebble#5915).
func (g *guardFS) Create(name string, c vfs.DiskWriteCategory) (vfs.File, error) {
	if strings.HasPrefix(g.PathBase(name), "marker.") {
		dir := g.PathDir(name)
		if err := syncDir(g.FS, dir); err != nil {
			g.checkSync(dir, err)
		}
	}
	f, err := g.FS.Create(name, c)
	return g.file(f, "create", name, err)
}

func (g *guardFS) ReuseForWrite(old, name string, c vfs.DiskWriteCategory) (vfs.File, error) {
	f, err := g.FS.ReuseForWrite(old, name, c)
	return g.file(f, "reuse", name, err)
}

func (g *guardFS) OpenReadWrite(name string, c vfs.DiskWriteCategory, opts ...vfs.OpenOption) (vfs.File, error) {
	f, err := g.FS.OpenReadWrite(name, c, opts...)
	return g.file(f, "open", name, err)
}

func (g *guardFS) OpenDir(name string) (vfs.File, error) {
	f, err := g.FS.OpenDir(name)
	return g.file(f, "open", name, err)
}

func (g *guardFS) Unwrap() vfs.FS { return g.FS }

type guardFile struct {
	vfs.File
	fs   *guardFS
	name string
	wal  bool
}

func (f *guardFile) Write(p []byte) (int, error) {
	n, err := f.File.Write(p)
	if f.wal {
		f.fs.check("write", f.name, err)
	}
	if err != nil {
		f.fs.slowDown(f.name)
	}
	return n, err
}

func (f *guardFile) Close() error {
	err := f.File.Close()
	if f.wal {
		f.fs.check("close", f.name, err)
	}
	return err
}

func (f *guardFile) Sync() error {
	err := f.File.Sync()
	f.fs.checkSync(f.name, err)
	return err
}

func (f *guardFile) SyncData() error {
	err := f.File.SyncData()
	f.fs.checkSync(f.name, err)
	return err
}

func (f *guardFile) SyncTo(length int64) (bool, error) {
	whole, err := f.File.SyncTo(length)
	f.fs.checkSync(f.name, err)
	return whole, err
}

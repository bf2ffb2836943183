package pebble

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"
)

// snapshotName is where in the log's folder a snapshot is.
const snapshotName = "snapshot"

// Snapshot is the log as it stands at one moment, opened to be read only: every
// change that was known applied before the call is in it. It lies in the log's
// folder, as hard links where the file system has them, so that it takes the
// room of what changes meanwhile. The caller calls done, which throws it away; a
// crash leaves it to the next Snapshot. One at a time: ErrLocked.
func (l *Log) Snapshot(ctx context.Context) (at *Log, done func() error, err error) {
	if err := l.begin(ctx); err != nil {
		return nil, nil, err
	}
	defer l.end()
	if !l.snapping.TryLock() {
		return nil, nil, fmt.Errorf("%w: another snapshot of it is being read", ErrLocked)
	}
	at, done, err = l.snapshot()
	if err != nil {
		l.snapping.Unlock()
		return nil, nil, fmt.Errorf("snapshot of the log: %w", err)
	}
	return at, done, nil
}

// snapshot runs with snapping held, which done gives back.
func (l *Log) snapshot() (at *Log, done func() error, err error) {
	in := l.options.FS
	dir := in.PathJoin(l.dir, snapshotName)
	if err := in.RemoveAll(dir); err != nil {
		return nil, nil, err
	}
	if err := in.MkdirAll(dir, 0o700); err != nil {
		return nil, nil, err
	}
	if err := l.db.Checkpoint(in.PathJoin(dir, "db"), pebble.WithFlushedWAL()); err != nil {
		return nil, nil, errors.Join(err, in.RemoveAll(dir))
	}
	o := l.options
	o.ReadOnly = true
	if at, err = Open(dir, o); err != nil {
		return nil, nil, errors.Join(err, in.RemoveAll(dir))
	}
	done = func() error {
		defer l.snapping.Unlock()
		return errors.Join(at.Close(), in.RemoveAll(dir))
	}
	return at, done, nil
}

// absolute makes a folder's name independent of the working folder, on the
// operating system's file system.
func absolute(in vfs.FS, dir string) (string, error) {
	if in != vfs.Default {
		return dir, nil
	}
	return filepath.Abs(dir)
}

package pebble

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/bloom"
	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/s3mirror/s3mirror/internal/crew"
	"github.com/s3mirror/s3mirror/internal/oplog"
)

// Errors of Open.
var (
	// ErrLocked: another process, or another Log of this one, owns the folder.
	ErrLocked = errors.New("data folder is in use by another process")
	// ErrFormat: the folder was written by a later version of the program, or is
	// not a log at all.
	ErrFormat = errors.New("data folder is in a format that this version does not read")
)

// errDead is returned by a log that met a fatal error, in the moments until the
// process ends.
var errDead = errors.New("log has stopped after a fatal error")

const (
	// engineFormat is Pebble's on-disk format of new folders. Existing ones keep
	// theirs, so that the program can be taken back to an earlier version. It is
	// not FormatNewest: a new library must not change the disk by itself.
	engineFormat = pebble.FormatValueSeparation
	// schema is the version of the layout in doc.go.
	schema = 1
)

// l0Threshold has fresh tables compacted once four of them lie over each other. The rows
// of all recent writes fit into one level below them, and each compaction writes that
// level anew: when every flush brought one, a write cost more the more rows there were.
// A read asks up to four more filters for it.
const l0Threshold = 8 // the engine counts each layer twice

// Options of a log. The zero value is good for production.
type Options struct {
	// CacheBytes is the memory for blocks of tables. Default 8 MiB.
	CacheBytes int64
	// MemTableBytes is the size at which recent writes go to a table; up to four
	// such exist for moments under load. Default 4 MiB.
	MemTableBytes int64
	// Reserve is the free space in bytes below which new intents and history are
	// refused with oplog.ErrNoSpace; below an eighth of it everything is. At most
	// an eighth of the file system. Default 64 MiB; negative: none.
	Reserve int64
	// Logger takes the engine's own messages. Default: slog.Default.
	Logger *slog.Logger
	// OnFatal is called once, after the log stopped answering, and must end the
	// process. Default: os.Exit(1). The error has been logged before.
	OnFatal func(error)
	// FS is the file system. Default: the operating system's.
	FS vfs.FS
	// ReadOnly opens a log that is there and changes nothing of it: every mutation
	// is oplog.ErrNotApplied.
	ReadOnly bool

	retryPause time.Duration // before a failed flush is tried again; for tests
}

func (o Options) withDefaults() Options {
	if o.CacheBytes == 0 {
		o.CacheBytes = 8 << 20
	}
	if o.MemTableBytes == 0 {
		o.MemTableBytes = 4 << 20
	}
	if o.Reserve == 0 {
		o.Reserve = 64 << 20
	}
	if o.ReadOnly {
		o.Reserve = -1 // no ballast
	}
	if o.Logger == nil {
		o.Logger = slog.Default()
	}
	if o.OnFatal == nil {
		o.OnFatal = func(error) { os.Exit(1) }
	}
	if o.FS == nil {
		o.FS = vfs.Default
	}
	if o.retryPause == 0 {
		o.retryPause = 100 * time.Millisecond
	}
	return o
}

// Log is the embedded operation log.
type Log struct {
	dir      string
	options  Options // with defaults
	snapping sync.Mutex

	db       *pebble.DB
	lock     io.Closer
	space    *space
	inflight *inflight
	counters counters
	logger   *slog.Logger
	onFatal  func(error)

	seq  atomic.Uint64 // of the last event
	rows rowCount

	gate   sync.RWMutex // held for reading by every call, for writing by Close
	closed bool         // guarded by gate

	crew    *crew.Crew // commits
	dismiss func()     // lets the crew's idle go

	failed sync.Once
	dead   chan struct{} // closed after a fatal error
	armed  atomic.Bool   // see guardFS
}

var _ oplog.Log = (*Log)(nil)

// Open opens the log in the folder and makes the folder if it is not there. The
// caller closes the log. ErrLocked, ErrFormat.
func Open(dir string, options Options) (*Log, error) {
	o := options.withDefaults()
	dir, err := absolute(o.FS, dir)
	if err != nil {
		return nil, fmt.Errorf("open log: %w", err)
	}
	l := &Log{dir: dir, options: o, inflight: newInflight(), logger: o.Logger, onFatal: o.OnFatal, dead: make(chan struct{})}
	over := make(chan struct{})
	l.crew, l.dismiss = crew.New(over), sync.OnceFunc(func() { close(over) })
	l.seq.Store(uint64(time.Now().UnixNano())) // later than before the restart
	if err := l.open(dir, o); err != nil {
		if l.lock != nil {
			err = errors.Join(err, l.lock.Close())
		}
		return nil, fmt.Errorf("open log in %s: %w", dir, err)
	}
	l.armed.Store(true)
	return l, nil
}

// open makes the log if there is none yet: beside its place, and renamed into it
// once it is whole. A crash meanwhile leaves what the next Open throws away, and
// a log that is in its place was made to the end.
func (l *Log) open(dir string, o Options) error {
	place, draft := o.FS.PathJoin(dir, "db"), o.FS.PathJoin(dir, "db.new")
	_, err := o.FS.Stat(place)
	switch {
	case !o.ReadOnly:
		err = makeDir(o.FS, dir)
	case errors.Is(err, fs.ErrNotExist):
		err = fmt.Errorf("%w: there is no log in the folder", ErrFormat)
	}
	if err != nil {
		return err
	}
	if err := l.own(dir, o.FS); err != nil {
		return err
	}
	l.space = newSpace(o.FS, dir, o.Reserve, o.Logger)
	l.space.readOnly = o.ReadOnly
	_, err = o.FS.Stat(place)
	if errors.Is(err, fs.ErrNotExist) {
		err = l.make(place, draft, o)
	}
	if err != nil {
		return err
	}
	found, err := pebble.Peek(place, o.FS)
	if err != nil {
		if _, isPath := errors.AsType[*fs.PathError](err); isPath {
			return err
		}
		return fmt.Errorf("%w: %w", ErrFormat, err)
	}
	if !found.Exists {
		return fmt.Errorf("%w: there is no database", ErrFormat)
	}
	if l.db, err = pebble.Open(place, l.engineOptions(o, found.FormatMajorVersion)); err != nil {
		return err
	}
	if err := l.checkSchema(); err != nil {
		return errors.Join(err, l.db.Close())
	}
	return nil
}

// make makes an empty log that knows its layout.
func (l *Log) make(place, draft string, o Options) error {
	if err := o.FS.RemoveAll(draft); err != nil {
		return err
	}
	db, err := pebble.Open(draft, l.engineOptions(o, engineFormat))
	if err != nil {
		return err
	}
	if err := errors.Join(db.Set(schemaKey(), []byte{schema}, pebble.Sync), db.Close()); err != nil {
		return err
	}
	if err := o.FS.Rename(draft, place); err != nil {
		return err
	}
	return syncDir(o.FS, o.FS.PathDir(place))
}

// checkSchema reads the version of the layout. ErrFormat.
func (l *Log) checkSchema() error {
	stored, err := l.get(schemaKey())
	if err == nil && string(stored) != string([]byte{schema}) {
		err = fmt.Errorf("%w: layout %d, want %d", ErrFormat, stored, schema)
	}
	return err
}

// own takes the folder's lock. ErrLocked.
func (l *Log) own(dir string, in vfs.FS) error {
	lock, err := in.Lock(in.PathJoin(dir, "LOCK"))
	if err == nil {
		l.lock = lock
		return nil
	}
	if _, isPath := errors.AsType[*fs.PathError](err); isPath {
		return err // the lock's file cannot be made: no question of who holds it
	}
	errno, isErrno := errors.AsType[syscall.Errno](err)
	if isErrno && errno != syscall.EAGAIN && errno != syscall.EACCES {
		return err // a file system without locks
	}
	return fmt.Errorf("%w (%w)", ErrLocked, err)
}

func (l *Log) engineOptions(o Options, version pebble.FormatMajorVersion) *pebble.Options {
	po := &pebble.Options{
		FS: &guardFS{
			FS:    vfs.OnDiskFull(o.FS, l.space.dropBallast),
			armed: &l.armed,
			fatal: func(op, name string, err error) { l.fatal(fmt.Errorf("%s %s: %w", op, name, err)) },
			pause: o.retryPause,
		},
		FormatMajorVersion: version,
		ReadOnly:           o.ReadOnly,
		// Pebble takes its memtables, the current and the spare one, out of the
		// cache's size: 8 MiB alone would leave no cache at all.
		CacheSize:                   o.CacheBytes + 2*o.MemTableBytes,
		MemTableSize:                uint64(o.MemTableBytes),
		MemTableStopWritesThreshold: 4,
		L0CompactionThreshold:       l0Threshold,
		FlushDelayDeleteRange:       10 * time.Second,
		Logger:                      engineLogger{l},
		EventListener:               l.listener(),
	}
	for i := range po.Levels {
		// Most keys that are asked for have no row: the filter says so without
		// reading a block.
		po.Levels[i].FilterPolicy = bloom.FilterPolicy(10)
	}
	po.WithFSDefaults() // watches for slow disks
	return po
}

// Close waits for the calls that run and closes the database; a failed sync ends
// the process here too. After a fatal error it leaves the database alone and
// returns that there was one.
func (l *Log) Close() error {
	select {
	case <-l.dead:
		return errDead
	default:
	}
	l.gate.Lock()
	defer l.gate.Unlock()
	if l.closed {
		return nil
	}
	l.closed = true
	l.dismiss()
	l.crew.Wait()
	return errors.Join(l.db.Close(), l.lock.Close())
}

// begin admits a call; the caller ends it. ErrClosed, errDead, the context's.
func (l *Log) begin(ctx context.Context) error {
	l.gate.RLock()
	if l.closed {
		l.gate.RUnlock()
		return oplog.ErrClosed
	}
	err := ctx.Err()
	select {
	case <-l.dead:
		err = errDead
	default:
	}
	if err != nil {
		l.gate.RUnlock()
	}
	return err
}

func (l *Log) end() { l.gate.RUnlock() }

// get reads a key as the database shows it, durable or not; nil: nothing there.
// The value is the caller's.
func (l *Log) get(key []byte) ([]byte, error) {
	value, closer, err := l.db.Get(key)
	if errors.Is(err, pebble.ErrNotFound) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	value = append([]byte{}, value...)
	return value, closer.Close()
}

// fatal stops the log, reports the error once and never returns: neither the
// engine nor a caller may go on as if the disk had done what it was told. Locks
// of the engine that the caller holds stay held, so that calls which are inside
// it may hang until the process ends.
func (l *Log) fatal(err error) {
	l.failed.Do(func() {
		close(l.dead)
		l.dismiss()
		l.logger.Error("log has failed, the process ends", "err", err)
		l.onFatal(err)
	})
	select {}
}

// makeDir makes the folder and those above it, durably.
func makeDir(in vfs.FS, dir string) error {
	var missing []string
	for at := dir; ; at = in.PathDir(at) {
		if _, err := in.Stat(at); err == nil || in.PathDir(at) == at {
			break
		}
		missing = append(missing, at)
	}
	if err := in.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	for _, made := range missing {
		if err := syncDir(in, in.PathDir(made)); err != nil {
			return err
		}
	}
	return nil
}

func syncDir(in vfs.FS, dir string) error {
	d, err := in.OpenDir(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

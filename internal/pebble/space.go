package pebble

import (
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/s3mirror/s3mirror/internal/oplog"
)

// need says how much a change is needed when space runs short.
type need int

const (
	needLater need = iota // may be refused first: new intents, history
	needNow               // outcomes of open intents, documents: refused last
)

const (
	// spaceAge is how long a measure of free space is trusted. Measuring costs a
	// few microseconds, a sync a hundred.
	spaceAge = 100 * time.Millisecond
	// The last part of the reserve, as a divisor: below it nothing is written.
	// What is above it is for outcomes, and for Pebble's own flushes.
	lastPart = 8
	// ballastPart is the size of the ballast as a divisor of the reserve.
	ballastPart = 4
	// smallDisk caps the reserve at this part of the file system.
	smallDisk   = 8
	ballastName = "ballast"
)

var errReadOnly = errors.New("log was opened to be read only")

// space watches the free bytes of the file system that the log lies on.
type space struct {
	fs     vfs.FS // the innermost one
	dir    string
	logger *slog.Logger
	now    func() time.Time

	readOnly bool // everything is refused

	asked   uint64        // the configured reserve
	reserve atomic.Uint64 // what it comes to on this file system
	free    atomic.Uint64
	until   atomic.Int64 // when free is too old, Unix nanoseconds

	measuring sync.Mutex // held by the one who measures
	ballast   bool       // guarded by measuring: the file is there
	hopeless  bool       // guarded by measuring: it could not be made
}

func newSpace(fs vfs.FS, dir string, reserve int64, logger *slog.Logger) *space {
	s := &space{fs: fs, dir: dir, logger: logger, now: time.Now, asked: uint64(max(reserve, 0))}
	_, err := fs.Stat(s.ballastPath())
	s.ballast = err == nil
	s.measure()
	return s
}

// admit refuses a change for which too little space is left. ErrNoSpace.
func (s *space) admit(n need) error {
	if s.readOnly {
		return oplog.NotApplied(errReadOnly)
	}
	s.refresh()
	free, reserve := s.free.Load(), s.reserve.Load()
	if free >= reserve || n == needNow && free >= reserve/lastPart {
		return nil
	}
	return fmt.Errorf("%w: %d bytes are free in %s, %d are kept in reserve", oplog.ErrNoSpace, free, s.dir, reserve)
}

// short tells whether the reserve is being used.
func (s *space) short() bool {
	s.refresh()
	return s.free.Load() < s.reserve.Load()
}

// refresh measures when the last measure is too old; one at a time, the others
// go on with the old one.
func (s *space) refresh() {
	if s.now().UnixNano() < s.until.Load() || !s.measuring.TryLock() {
		return
	}
	defer s.measuring.Unlock()
	s.measure()
}

// measure is run by newSpace, or with measuring held.
func (s *space) measure() {
	usage, err := s.fs.GetDiskUsage(s.dir)
	s.until.Store(s.now().Add(spaceAge).UnixNano())
	if err != nil {
		// A file system that cannot tell has no reserve; one that fails to now will
		// tell its trouble to the next write.
		if !errors.Is(err, vfs.ErrUnsupported) {
			s.logger.Warn("free space of the log is not known", "dir", s.dir, "err", err)
		}
		s.free.Store(1<<64 - 1)
		return
	}
	s.free.Store(usage.AvailBytes)
	s.reserve.Store(min(s.asked, usage.TotalBytes/smallDisk))
	reserve := s.reserve.Load()
	if !s.ballast && !s.hopeless && reserve > 0 && usage.AvailBytes > 2*reserve {
		s.ballast = s.makeBallast(int64(reserve / ballastPart))
		s.hopeless = !s.ballast
	}
}

// makeBallast sets blocks aside. Where that cannot be done the log goes without.
func (s *space) makeBallast(size int64) bool {
	tmp := s.ballastPath() + ".new"
	f, err := s.fs.Create(tmp, vfs.WriteCategoryUnspecified)
	if err == nil {
		err = errors.Join(f.Preallocate(0, size), f.Close())
	}
	if err == nil {
		err = s.fs.Rename(tmp, s.ballastPath())
	}
	if err != nil {
		s.logger.Warn("no ballast for the log", "dir", s.dir, "err", err)
		_ = s.fs.Remove(tmp) // it may not be there
	}
	return err == nil
}

// dropBallast gives the blocks back: a write of the database found none left and
// is tried once more after this. No other write runs meanwhile.
func (s *space) dropBallast() {
	s.measuring.Lock()
	defer s.measuring.Unlock()
	if !s.ballast {
		return
	}
	s.ballast = false
	if err := s.fs.Remove(s.ballastPath()); err != nil {
		s.logger.Error("ballast of the log cannot be removed", "dir", s.dir, "err", err)
		return
	}
	s.logger.Warn("disk of the log is full: ballast removed", "dir", s.dir)
	s.measure()
}

func (s *space) ballastPath() string { return s.fs.PathJoin(s.dir, ballastName) }

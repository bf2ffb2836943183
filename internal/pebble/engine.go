package pebble

import (
	"fmt"
	"sync/atomic"

	"github.com/cockroachdb/pebble/v2"
)

// engineLogger gives Pebble's messages to the log's logger, and its fatal ones
// to the log.
type engineLogger struct{ log *Log }

func (e engineLogger) Infof(format string, args ...any) {
	e.log.logger.Debug("pebble", "event", fmt.Sprintf(format, args...))
}

func (e engineLogger) Errorf(format string, args ...any) {
	e.log.logger.Warn("pebble", "event", fmt.Sprintf(format, args...))
}

func (e engineLogger) Fatalf(format string, args ...any) {
	e.log.fatal(fmt.Errorf(format, args...))
}

// counters count since the log was opened.
type counters struct {
	applied, conflicts, refused, unknown          atomic.Uint64
	stalls, slowDisk, background, flushes, merges atomic.Uint64
}

// listener counts the engine's events. Nothing in it may block: some are
// reported under the engine's locks, a slow disk while the disk hangs.
//
// A flush that fails while the database opens, on a full disk say, would be tried
// for ever and Open not return: it ends the process.
func (l *Log) listener() *pebble.EventListener {
	c := &l.counters
	var corruption func(pebble.DataCorruptionInfo) // nil: it is fatal
	if l.options.ReadOnly {
		corruption = func(pebble.DataCorruptionInfo) {} // whoever reads it is told
	}
	return &pebble.EventListener{
		DataCorruption: corruption,
		BackgroundError: func(err error) {
			c.background.Add(1)
			if !l.armed.Load() {
				l.fatal(fmt.Errorf("open database: %w", err))
			}
		},
		DiskSlow:        func(pebble.DiskSlowInfo) { c.slowDisk.Add(1) },
		WriteStallBegin: func(pebble.WriteStallBeginInfo) { c.stalls.Add(1) },
		FlushEnd:        func(pebble.FlushInfo) { c.flushes.Add(1) },
		CompactionEnd:   func(pebble.CompactionInfo) { c.merges.Add(1) },
	}
}

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
func (c *counters) listener() *pebble.EventListener {
	return &pebble.EventListener{
		BackgroundError: func(error) { c.background.Add(1) },
		DiskSlow:        func(pebble.DiskSlowInfo) { c.slowDisk.Add(1) },
		WriteStallBegin: func(pebble.WriteStallBeginInfo) { c.stalls.Add(1) },
		FlushEnd:        func(pebble.FlushInfo) { c.flushes.Add(1) },
		CompactionEnd:   func(pebble.CompactionInfo) { c.merges.Add(1) },
	}
}

package replica

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/s3mirror/s3mirror/internal/oplog"
)

const (
	historyRoom  = 4096                   // events that wait to be written
	historyPause = 200 * time.Millisecond // between two batches
)

// history keeps events until Run, or Drain, writes them: never on the way of an
// answer. It is for people, so what finds no room is dropped and counted.
type history struct {
	set     *Set
	mu      sync.Mutex // guards waiting
	waiting []oplog.Event
}

func (h *history) open(s *Set) { h.set = s }

// add never blocks.
func (h *history) add(e oplog.Event) {
	h.mu.Lock()
	full := len(h.waiting) >= historyRoom
	if !full {
		h.waiting = append(h.waiting, e)
	}
	h.mu.Unlock()
	if full {
		h.set.metrics.historyDropped.Inc()
	}
}

func (h *history) run(ctx context.Context) {
	tick := time.NewTicker(historyPause)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
			h.flush(ctx)
		}
	}
}

// flush writes what waits. What the log refuses is lost.
func (h *history) flush(ctx context.Context) {
	h.mu.Lock()
	events := h.waiting
	h.waiting = nil
	h.mu.Unlock()
	if len(events) == 0 {
		return
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), h.set.o.Times.Lease)
	defer cancel()
	if err := h.set.o.Log.Append(ctx, events...); err != nil {
		h.set.metrics.historyDropped.Add(float64(len(events)))
		if !errors.Is(err, oplog.ErrClosed) {
			h.set.o.Logger.WarnContext(ctx, "history could not be written", "events", len(events), "error", err)
		}
	}
}

package replica

import (
	"context"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sync/semaphore"
)

// slabSize is the unit in which bodies are buffered, in bytes.
const slabSize = 64 << 10

// slab is a piece of a body in flight.
type slab [slabSize]byte

// memory is the room for all bodies in flight. Whoever holds slabs has reserved
// them before, so the bound is hard; waiters are served in their order.
type memory struct {
	room  *semaphore.Weighted // slabs
	total int64
	used  atomic.Int64 // slabs reserved
	held  atomic.Int64 // slabs handed out
	peak  atomic.Int64 // most that were ever handed out
	pool  sync.Pool
}

func newMemory(bytes int64) *memory {
	n := bytes / slabSize
	return &memory{
		room: semaphore.NewWeighted(n), total: n,
		pool: sync.Pool{New: func() any { return new(slab) }},
	}
}

// memoryWait is how long an operation waits for room before it is told to slow
// down.
const memoryWait = 10 * time.Second

// slabsFor is how many slabs hold so many bytes.
func slabsFor(bytes int64) int64 { return (bytes + slabSize - 1) / slabSize }

// reserve waits for room for n slabs. The caller gives it back by free. The
// error is the context's, or DeadlineExceeded.
func (m *memory) reserve(ctx context.Context, n int64) error {
	if n == 0 {
		return nil
	}
	if !m.room.TryAcquire(n) {
		ctx, cancel := context.WithTimeout(ctx, memoryWait)
		defer cancel()
		if err := m.room.Acquire(ctx, n); err != nil {
			return err
		}
	}
	m.used.Add(n)
	return nil
}

// tryReserve is reserve without waiting.
func (m *memory) tryReserve(n int64) bool {
	if !m.room.TryAcquire(n) {
		return false
	}
	m.used.Add(n)
	return true
}

// free gives back what reserve gave, when no slab of it is held any more.
func (m *memory) free(n int64) {
	if n > 0 {
		m.used.Add(-n)
		m.room.Release(n)
	}
}

// take hands out a slab that was reserved.
func (m *memory) take() *slab {
	held := m.held.Add(1)
	for peak := m.peak.Load(); held > peak && !m.peak.CompareAndSwap(peak, held); peak = m.peak.Load() {
	}
	return m.pool.Get().(*slab)
}

// give takes a slab back.
func (m *memory) give(s *slab) {
	m.held.Add(-1)
	m.pool.Put(s)
}

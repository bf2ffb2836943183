package replica

import (
	"context"
	"crypto/sha256"
	"errors"
	"io"
	"sync"
	"time"
)

// fanout is one body on its way to several replicas: a ring of slabs that one
// reader fills and that each replica empties at its own pace through a cursor.
// A byte is copied once, from the client into the ring.
//
// The end of the body, from the offset held on, is given to a replica only after
// its release; of a small body held is zero. So a replica that was not released
// lacks data bytes and can not commit (RELIABILITY A2).
//
// What is not built: dripping bytes of the tail to keep an idle upload alive
// while the lock of a hot key is waited for (H11). The wait is bounded by
// Times.LockWait, 10 s, which is less than the 20 s after which the strictest
// known endpoint gives up; configurations with a longer wait lose uploads, not
// data.
type fanout struct {
	memory *memory
	size   int64
	held   int64
	slabs  []*slab // byte i is in slabs[i/slabSize%len(slabs)]; nil until it is needed
	chunk  int     // bytes that are hashed together for signed chunks

	space chan struct{} // has room for one: a cursor moved
	dead  chan struct{} // closed with failure

	mu       sync.Mutex // guards what follows
	filled   int64
	complete bool   // whole and verified
	trailer  string // base64, once complete
	failure  error
	cursors  []*cursor

	hashing sync.Mutex // guards sums, and is held while one is computed
	sums    map[int64][sha256.Size]byte
}

var (
	errLeft   = errors.New("upload was left")
	errBroken = errors.New("body of the upload is broken")
	errExcess = errors.New("body is longer than it said")
)

// newFanout makes the ring of a body. reserved is how many slabs of memory it
// may use; they are given back by free.
func newFanout(m *memory, size, held, reserved int64) *fanout {
	f := &fanout{
		memory: m, size: size, held: size - min(size, held), slabs: make([]*slab, reserved),
		space: make(chan struct{}, 1), dead: make(chan struct{}), sums: map[int64][sha256.Size]byte{},
	}
	f.chunk = min(maxChunk, max(len(f.slabs)/2, 1)*slabSize)
	return f
}

// maxChunk is the most bytes that are signed together.
const maxChunk = 1 << 20

// free gives the memory back. Nobody may use the fanout any more.
func (f *fanout) free() {
	for i, s := range f.slabs {
		if s != nil {
			f.memory.give(s)
			f.slabs[i] = nil
		}
	}
	f.memory.free(int64(len(f.slabs)))
}

// cursor is one replica's place in the body: a backend.Gatherer.
type cursor struct {
	f       *fanout
	replica string
	wake    chan struct{} // has room for one: there may be more to give

	// Guarded by f.mu.
	pos      int64 // bytes that the replica has taken for good; later ones must stay
	given    int64 // bytes that were handed out; pos catches up at the next call
	moved    time.Time
	released bool
}

// Urgent implements backend.Urgent: a tail that was released goes at once.
func (c *cursor) Urgent() bool {
	c.f.mu.Lock()
	defer c.f.mu.Unlock()
	return c.released
}

// attach adds a cursor at the beginning, which must still be there.
func (f *fanout) attach(replica string, released bool) *cursor {
	c := &cursor{f: f, replica: replica, wake: make(chan struct{}, 1), moved: time.Now(), released: released}
	f.mu.Lock()
	f.cursors = append(f.cursors, c)
	f.mu.Unlock()
	return c
}

// detach takes the cursor away: nobody waits for it any more. Its replica must
// not use it any more.
func (c *cursor) detach() {
	f := c.f
	f.mu.Lock()
	for i, o := range f.cursors {
		if o == c {
			f.cursors = append(f.cursors[:i:i], f.cursors[i+1:]...)
			break
		}
	}
	f.mu.Unlock()
	signal(f.space)
}

// release lets the held end go.
func (c *cursor) release() {
	c.f.mu.Lock()
	c.released = true
	c.f.mu.Unlock()
	signal(c.wake)
}

// fail ends the body for everybody, unless it is complete.
func (f *fanout) fail(err error) {
	f.mu.Lock()
	if f.failure == nil && !f.complete {
		f.failure = err
		close(f.dead)
	}
	f.wakeAll()
	f.mu.Unlock()
	signal(f.space)
}

// over is closed when the body has failed.
func (f *fanout) over() <-chan struct{} { return f.dead }

// stuck tells whether a replica has had bytes to take for so long, and took none.
func (f *fanout) stuck(replica string, d time.Duration) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, c := range f.cursors {
		if c.replica == replica && c.pos < min(f.filled, f.held) && time.Since(c.moved) >= d {
			return true
		}
	}
	return false
}

// wakeAll is called with mu held.
func (f *fanout) wakeAll() {
	for _, c := range f.cursors {
		signal(c.wake)
	}
}

func signal(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

// ---- the reader's side

// fill reads the body to its verified end. stalled is told, again and again,
// which replica has held the body up for how long, at least grace. The error is
// the body's, or what fail was called with.
func (f *fanout) fill(body io.Reader, grace time.Duration, stalled func(replica string, d time.Duration)) error {
	for {
		room, err := f.room(grace, stalled)
		if err != nil {
			return err
		}
		if room == nil {
			return f.end(body)
		}
		n, err := body.Read(room)
		if n > 0 {
			f.mu.Lock()
			f.filled += int64(n)
			f.wakeAll()
			f.mu.Unlock()
		}
		if err != nil && !(err == io.EOF && f.filled == f.size) { // filled is written here alone
			if err == io.EOF {
				err = io.ErrUnexpectedEOF
			}
			return err
		}
	}
}

// end asks for the end of a body of which all bytes are there: only io.EOF proves
// it.
func (f *fanout) end(body io.Reader) error {
	var more [1]byte
	for {
		n, err := body.Read(more[:])
		switch {
		case n > 0:
			return errExcess
		case err == io.EOF:
			return nil
		case err != nil:
			return err
		}
	}
}

// finish declares the body whole and verified. trailer is its checksum.
func (f *fanout) finish(trailer string) {
	f.mu.Lock()
	f.complete, f.trailer = true, trailer
	f.wakeAll()
	f.mu.Unlock()
}

// sum is the checksum of the body; empty as long as it is not complete.
func (f *fanout) sum() string {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.trailer
}

// room waits for space and returns the next free part of a slab; nil when all
// bytes are there.
func (f *fanout) room(grace time.Duration, stalled func(string, time.Duration)) ([]byte, error) {
	var timer *time.Timer
	waiting := time.Now()
	for {
		f.mu.Lock()
		if f.failure != nil {
			f.mu.Unlock()
			return nil, f.failure
		}
		if f.filled == f.size {
			f.mu.Unlock()
			return nil, nil
		}
		limit := min(f.taken()+int64(len(f.slabs))*slabSize, f.size)
		if limit > f.filled {
			at := f.filled
			f.mu.Unlock()
			return f.at(at, limit-at), nil
		}
		f.mu.Unlock()
		if timer == nil {
			timer = time.NewTimer(grace)
			defer timer.Stop()
		}
		select {
		case <-f.space:
		case <-timer.C:
			for replica, d := range f.slowest(waiting) {
				stalled(replica, d)
			}
			timer.Reset(max(grace/4, time.Millisecond))
		}
	}
}

// taken is how far the slowest replica is; called with mu held.
func (f *fanout) taken() int64 {
	least := f.filled
	for _, c := range f.cursors {
		least = min(least, c.pos)
	}
	if len(f.cursors) == 0 && f.held == 0 {
		return 0 // a small body stays whole until its replicas come
	}
	return least
}

// slowest are the replicas that the reader waits for, with the time since they,
// or the wait, began to stand still.
func (f *fanout) slowest(waiting time.Time) map[string]time.Duration {
	f.mu.Lock()
	defer f.mu.Unlock()
	slow := map[string]time.Duration{}
	least := f.taken()
	now := time.Now()
	for _, c := range f.cursors {
		if c.pos == least {
			since := c.moved
			if waiting.After(since) {
				since = waiting
			}
			slow[c.replica] = now.Sub(since)
		}
	}
	return slow
}

// at returns up to max bytes of the ring at an offset, within one slab.
func (f *fanout) at(offset, max int64) []byte {
	i := offset / slabSize % int64(len(f.slabs))
	if f.slabs[i] == nil {
		f.slabs[i] = f.memory.take()
	}
	in := offset % slabSize
	return f.slabs[i][in:min(slabSize, in+max)]
}

// ---- a replica's side

// Next implements backend.Body.
func (c *cursor) Next(ctx context.Context, max int) ([]byte, error) {
	limit, err := c.wait(ctx, 1, true)
	if err != nil {
		return nil, err
	}
	data := c.f.at(c.given, min(int64(max), limit-c.given))
	c.f.mu.Lock()
	c.given += int64(len(data))
	c.f.mu.Unlock()
	return data, nil
}

// Gather implements backend.Gatherer: all slabs that are there go out together.
func (c *cursor) Gather(ctx context.Context, max int, wait bool, dst [][]byte) ([][]byte, error) {
	least := int64(1)
	if !wait {
		least = 0
	}
	limit, err := c.wait(ctx, least, true)
	if err != nil {
		return dst, err
	}
	at := c.given
	for end := min(limit, at+int64(max)); at < end; {
		data := c.f.at(at, end-at)
		dst = append(dst, data)
		at += int64(len(data))
	}
	c.f.mu.Lock()
	c.given = at
	c.f.mu.Unlock()
	return dst, nil
}

// wait takes for good what was handed out and waits until n more bytes are
// there, those that are held only if they may be given. It returns the offset up
// to which bytes are there.
func (c *cursor) wait(ctx context.Context, n int64, give bool) (int64, error) {
	f := c.f
	f.mu.Lock()
	if c.pos < c.given {
		c.pos, c.moved = c.given, time.Now()
		signal(f.space)
	}
	for {
		limit := f.filled
		if give && !c.released {
			limit = min(limit, f.held)
		}
		if err := f.failure; err != nil {
			f.mu.Unlock()
			return 0, err
		}
		if limit >= c.given+n {
			f.mu.Unlock()
			return limit, nil
		}
		f.mu.Unlock()
		select {
		case <-c.wake:
		case <-ctx.Done():
			return 0, context.Cause(ctx)
		}
		f.mu.Lock()
	}
}

// Sum implements backend.Body. Replicas ask for the same chunks, and each chunk
// is hashed once.
func (c *cursor) Sum(ctx context.Context, n int) ([sha256.Size]byte, error) {
	if _, err := c.wait(ctx, int64(n), false); err != nil {
		return [sha256.Size]byte{}, err
	}
	f := c.f
	f.hashing.Lock()
	defer f.hashing.Unlock()
	if sum, ok := f.sums[c.given]; ok {
		return sum, nil
	}
	h := sha256.New()
	for at, end := c.given, c.given+int64(n); at < end; {
		data := f.at(at, end-at)
		h.Write(data)
		at += int64(len(data))
	}
	sum := [sha256.Size]byte(h.Sum(nil))
	f.forget()
	f.sums[c.given] = sum
	return sum, nil
}

// forget drops the hashes of what every replica has taken; called with hashing
// held.
func (f *fanout) forget() {
	f.mu.Lock()
	least := f.taken()
	f.mu.Unlock()
	for at := range f.sums {
		if at < least {
			delete(f.sums, at)
		}
	}
}

// Trailer implements backend.Body.
func (c *cursor) Trailer() (string, error) {
	c.f.mu.Lock()
	defer c.f.mu.Unlock()
	if !c.f.complete {
		return "", errBroken
	}
	return c.f.trailer, nil
}

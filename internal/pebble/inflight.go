package pebble

import (
	"bytes"
	"context"
	"hash/maphash"
	"sync"
)

// inflight holds the keys that a compare-and-set is working on. It does two
// things: it makes read, compare and write of one key one step, without a lock
// that is held over a sync or that other keys meet; and it remembers, while a
// batch is on its way to the disk, what is durable under its key.
type inflight struct {
	seed   maphash.Seed
	shards [64]inflightShard
}

type inflightShard struct {
	mu      sync.Mutex
	changes map[string]*change // guarded by mu
}

// change is one compare-and-set at work.
type change struct {
	key  string
	done chan struct{} // closed when the key is free again

	// Guarded by the shard's mu:
	committing bool   // the batch may be visible in the database
	was        []byte // what is durable meanwhile; nil: nothing
	drops      bool
}

func newInflight() *inflight {
	f := &inflight{seed: maphash.MakeSeed()}
	for i := range f.shards {
		f.shards[i].changes = map[string]*change{}
	}
	return f
}

func (f *inflight) shard(key []byte) *inflightShard {
	return &f.shards[maphash.Bytes(f.seed, key)%uint64(len(f.shards))]
}

// acquire takes the key for one change; it waits while another has it. It
// returns nil when the context ends or the log dies first.
func (f *inflight) acquire(ctx context.Context, dead <-chan struct{}, key []byte) *change {
	s := f.shard(key)
	for {
		s.mu.Lock()
		other := s.changes[string(key)]
		if other == nil {
			c := &change{key: string(key), done: make(chan struct{})}
			s.changes[c.key] = c
			s.mu.Unlock()
			return c
		}
		s.mu.Unlock()
		select {
		case <-other.done:
		case <-ctx.Done():
			return nil
		case <-dead:
			return nil
		}
	}
}

// commit tells readers that from now on only was is durable. It comes before the
// batch is applied. was must not change any more.
func (f *inflight) commit(c *change, was []byte, drops bool) {
	s := f.shard([]byte(c.key))
	s.mu.Lock()
	c.committing, c.was, c.drops = true, was, drops
	s.mu.Unlock()
}

// release frees the key. What was committed must be durable by then.
func (f *inflight) release(c *change) {
	s := f.shard([]byte(c.key))
	s.mu.Lock()
	delete(s.changes, c.key)
	s.mu.Unlock()
	close(c.done)
}

// durable corrects what was read under a key before the call. When nothing is
// being committed now, what was read was durable then or has become so since;
// otherwise the state before that commit is durable, and is what counts until
// its sync is over. The result must not be changed.
func (f *inflight) durable(key, read []byte) []byte {
	s := f.shard(key)
	s.mu.Lock()
	defer s.mu.Unlock()
	if c := s.changes[string(key)]; c != nil && c.committing {
		return c.was
	}
	return read
}

// awaitDrops waits for the drops within the bounds that are being committed. A
// scan that began before the call cannot see those keys, so that durable has
// nothing to correct; once they are over their absence is durable.
func (f *inflight) awaitDrops(ctx context.Context, dead <-chan struct{}, lower, upper []byte) error {
	var drops []*change
	for i := range f.shards {
		s := &f.shards[i]
		s.mu.Lock()
		for _, c := range s.changes {
			if c.committing && c.drops && bytes.Compare(lower, []byte(c.key)) <= 0 && bytes.Compare([]byte(c.key), upper) < 0 {
				drops = append(drops, c)
			}
		}
		s.mu.Unlock()
	}
	for _, c := range drops {
		select {
		case <-c.done:
		case <-ctx.Done():
			return ctx.Err()
		case <-dead:
			return errDead
		}
	}
	return nil
}

package auth

import (
	"context"
	"sync"
	"time"
)

const (
	// refreshAfter is the age from which one caller reads a record anew, while
	// the others go on with what is known.
	refreshAfter = 2 * time.Second
	// maxAge is the age from which nobody goes on with a record. A change is in
	// force everywhere within this time: below five seconds, so that reading it
	// may take one.
	maxAge = 4 * time.Second
)

// cache keeps records for a bounded time, and at most so many. It starts no
// goroutine: callers read. What is absent is not kept. It is safe for concurrent
// use; the values are shared and must not be changed.
type cache[T any] struct {
	read func(ctx context.Context, name string, known T) (T, error) // known: what was read last, however old; may be returned
	now  func() time.Time
	most int
	away func() bool // the store is away, and what is known serves whatever its age; nil: never

	mu      sync.Mutex // guards entries and what they hold
	entries map[string]*cached[T]
}

// cached is one record.
type cached[T any] struct {
	value   T
	at      time.Time     // when the reading of value began; zero: there is none yet
	reading chan struct{} // closed when the caller who reads has done so; nil: nobody reads
}

func newCache[T any](most int, now func() time.Time, read func(context.Context, string, T) (T, error)) *cache[T] {
	return &cache[T]{read: read, now: now, most: most, entries: map[string]*cached[T]{}}
}

// get returns the record, from the store unless it is known and young. While
// the store does not answer, what is known serves until it is too old.
func (c *cache[T]) get(ctx context.Context, name string) (T, error) {
	for {
		c.mu.Lock()
		e := c.entry(name)
		now := c.now()
		age := now.Sub(e.at)
		ever := !e.at.IsZero()
		known := ever && age < maxAge
		switch {
		case known && age < refreshAfter, e.reading != nil && (known || ever && c.isAway()):
			defer c.mu.Unlock()
			return e.value, nil
		case e.reading != nil:
			wait := e.reading
			c.mu.Unlock()
			select {
			case <-wait: // and look again: the reader may have failed for a reason of his own
			case <-ctx.Done():
				var none T
				return none, context.Cause(ctx)
			}
		default:
			e.reading = make(chan struct{})
			old := e.value
			c.mu.Unlock()
			value, err := c.ask(ctx, name, old)
			c.done(name, e, value, now, err)
			if err != nil && !isAbsent(err) && (known || ever && c.isAway()) {
				return old, nil
			}
			return value, err
		}
	}
}

// awayPatience is how long a store that is away may take to answer.
const awayPatience = time.Second

func (c *cache[T]) isAway() bool { return c.away != nil && c.away() }

func (c *cache[T]) ask(ctx context.Context, name string, known T) (T, error) {
	if c.isAway() {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, awayPatience)
		defer cancel()
	}
	return c.read(ctx, name, known)
}

// entry finds the record's place or makes one. The caller holds mu.
func (c *cache[T]) entry(name string) *cached[T] {
	if e := c.entries[name]; e != nil {
		return e
	}
	for other, e := range c.entries { // in no order: any goes
		if len(c.entries) < c.most {
			break
		}
		if e.reading == nil {
			delete(c.entries, other)
		}
	}
	e := &cached[T]{}
	c.entries[name] = e
	return e
}

// done notes what was read, unless the record was forgotten meanwhile.
func (c *cache[T]) done(name string, e *cached[T], value T, began time.Time, err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	close(e.reading)
	e.reading = nil
	switch {
	case err == nil:
		e.value, e.at = value, began
	case isAbsent(err) || e.at.IsZero():
		if c.entries[name] == e {
			delete(c.entries, name)
		}
	}
}

// forgetAll is forget for all records.
func (c *cache[T]) forgetAll() {
	c.mu.Lock()
	defer c.mu.Unlock()
	clear(c.entries)
}

// forget makes the next get read the store: what it returns is no older than
// this call.
func (c *cache[T]) forget(name string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.entries, name)
}

package replica

import (
	"context"
	"sync"

	"github.com/s3mirror/s3mirror/internal/object"
)

// locks are one first-come-first-served lock per key, so that the writes of one
// process wait for each other in memory and never duel in the log. They are for
// speed and fairness only: correctness is the row's.
type locks struct {
	mu   sync.Mutex                     // guards what follows
	keys map[object.Key][]chan struct{} // who waits, for each key that is locked
}

// lock waits until the key is free or ctx is done; then the error is its cause.
func (l *locks) lock(ctx context.Context, key object.Key) (unlock func(), err error) {
	l.mu.Lock()
	waiters, locked := l.keys[key]
	if !locked {
		if l.keys == nil {
			l.keys = map[object.Key][]chan struct{}{}
		}
		l.keys[key] = nil
		l.mu.Unlock()
		return l.unlocker(key), nil
	}
	turn := make(chan struct{})
	l.keys[key] = append(waiters, turn)
	l.mu.Unlock()
	select {
	case <-turn:
		return l.unlocker(key), nil
	case <-ctx.Done():
	}
	if l.giveUp(key, turn) {
		return nil, context.Cause(ctx)
	}
	l.unlock(key) // the turn came at the same moment
	return nil, context.Cause(ctx)
}

// tryLock takes the key if it is free.
func (l *locks) tryLock(key object.Key) (unlock func(), ok bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if _, locked := l.keys[key]; locked {
		return nil, false
	}
	if l.keys == nil {
		l.keys = map[object.Key][]chan struct{}{}
	}
	l.keys[key] = nil
	return l.unlocker(key), true
}

func (l *locks) unlocker(key object.Key) func() { return sync.OnceFunc(func() { l.unlock(key) }) }

// unlock hands the key to the next in line.
func (l *locks) unlock(key object.Key) {
	l.mu.Lock()
	defer l.mu.Unlock()
	waiters := l.keys[key]
	if len(waiters) == 0 {
		delete(l.keys, key)
		return
	}
	l.keys[key] = waiters[1:]
	close(waiters[0])
}

// giveUp leaves the line; false when the turn had come.
func (l *locks) giveUp(key object.Key, turn chan struct{}) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	for i, w := range l.keys[key] {
		if w == turn {
			l.keys[key] = append(l.keys[key][:i:i], l.keys[key][i+1:]...)
			return true
		}
	}
	return false
}

package admin

import (
	"errors"
	"sync"
	"sync/atomic"

	"github.com/s3mirror/s3mirror/internal/oplog"
)

// Feed hands what is audited on to those who listen at /events. It never waits
// for one of them: who is too slow is told how much he missed. It starts no
// goroutine and is safe for concurrent use.
type Feed struct {
	mu        sync.Mutex // guards what follows
	listeners map[*listener]bool
	closed    bool
}

// listener is one who listens.
type listener struct {
	events chan oplog.Event
	lost   atomic.Int64 // events that events had no room for
	ended  chan struct{}
}

const (
	mostListeners = 100
	listenerRoom  = 256 // events
)

var errManyListeners = errors.New("too many listen already")

// NewFeed returns a Feed that nobody listens to.
func NewFeed() *Feed { return &Feed{listeners: map[*listener]bool{}} }

// Publish hands one event to everyone who listens.
func (f *Feed) Publish(e oplog.Event) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for l := range f.listeners {
		select {
		case l.events <- e:
		default:
			l.lost.Add(1)
		}
	}
}

// Close ends every listening, and lets nobody listen any more.
func (f *Feed) Close() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.closed = true
	for l := range f.listeners {
		f.drop(l)
	}
}

// listen begins a listening, which the caller ends with leave.
func (f *Feed) listen() (*listener, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if len(f.listeners) >= mostListeners {
		return nil, errManyListeners
	}
	l := &listener{events: make(chan oplog.Event, listenerRoom), ended: make(chan struct{})}
	f.listeners[l] = true
	if f.closed {
		f.drop(l)
	}
	return l, nil
}

func (f *Feed) leave(l *listener) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.listeners[l] {
		f.drop(l)
	}
}

// drop ends a listening. The caller holds mu.
func (f *Feed) drop(l *listener) {
	delete(f.listeners, l)
	close(l.ended)
}

package replica

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync/atomic"

	"github.com/s3mirror/s3mirror/internal/backend"
)

// Enroller builds the stack of a backend that was added while nodes ran, of its document
// in the log, and starts what the stack needs. It asks nobody. An error says why this
// node cannot: then the backend is as good as away.
type Enroller func(name string, doc json.RawMessage) (*backend.Stack, error)

// seat is a backend's place in the set.
type seat struct {
	stack  *backend.Stack
	doc    json.RawMessage // what it was built of; nil: of the configuration
	pace   Pace            // of heals, where nobody has set another
	pauses *atomic.Uint64  // how often it was paused: afterwards its buckets are looked at anew (H19)
}

// roster is the backends of a set. It never changes: another one takes its place.
type roster struct {
	seats map[string]*seat
	names []string // in the order of the configuration, then those that were added, by name
}

func newRoster(stacks []*backend.Stack) *roster {
	r := &roster{seats: map[string]*seat{}}
	for _, stack := range stacks {
		r.seats[stack.Name()] = newSeat(stack, nil)
		r.names = append(r.names, stack.Name())
	}
	return r
}

func newSeat(stack *backend.Stack, doc json.RawMessage) *seat {
	bytes, requests := stack.Limits.Current()
	return &seat{stack: stack, doc: doc, pace: Pace{bytes, requests}, pauses: &atomic.Uint64{}}
}

// seat is the place of a backend; nil: there is none of that name.
func (s *Set) seat(name string) *seat { return s.roster.Load().seats[name] }

// stack is the endpoint of a backend; nil: there is none of that name.
func (s *Set) stack(name string) *backend.Stack {
	if seat := s.seat(name); seat != nil {
		return seat.stack
	}
	return nil
}

// Names are the backends in the order of the configuration, then those that were added.
func (s *Set) Names() []string { return slices.Clone(s.roster.Load().names) }

// enrol has the backends of the documents in the set, beside those of the configuration,
// and no others. Requests under way keep the stack that they began with. A backend whose
// document is another one than before has a seat of its own: its buckets are looked
// at anew before it is asked for anything. Called with settings.mu held.
func (s *Set) enrol(docs map[string]json.RawMessage) {
	now := s.roster.Load()
	next := &roster{seats: maps.Clone(now.seats)}
	var left []*backend.Stack
	for _, name := range slices.Sorted(maps.Keys(docs)) {
		was := now.seats[name]
		switch {
		case was != nil && (was.doc == nil || bytes.Equal(was.doc, docs[name])):
			if was.doc == nil {
				s.troubled(name, docs[name], ErrOfFile)
			}
			continue
		case s.o.Enrol == nil:
			s.troubled(name, docs[name], errors.New("this program takes none from the log"))
			continue
		}
		stack, err := s.o.Enrol(name, docs[name])
		if s.troubled(name, docs[name], err) {
			continue // as it was: better its old document than none
		}
		if was != nil && was.stack == stack { // it says the same in other words
			same := *was
			same.doc = docs[name]
			next.seats[name] = &same
			continue
		}
		next.seats[name] = newSeat(stack, docs[name])
		s.qualities.forget(name)
		if was != nil {
			left = append(left, was.stack)
		}
	}
	for name, seat := range now.seats {
		if _, stays := docs[name]; seat.doc != nil && !stays {
			left = append(left, seat.stack)
			delete(next.seats, name)
			delete(s.unable, name)
			s.qualities.forget(name)
		}
	}
	if maps.Equal(now.seats, next.seats) {
		return
	}
	for _, name := range now.names {
		if seat := next.seats[name]; seat != nil && seat.doc == nil {
			next.names = append(next.names, name)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(next.seats)) {
		if next.seats[name].doc != nil {
			next.names = append(next.names, name)
		}
	}
	s.roster.Store(next)
	s.o.Logger.Info("backends are others now", "backends", next.names)
	if s.o.Dismiss != nil {
		for _, stack := range left {
			s.o.Dismiss(stack)
		}
	}
}

// troubled tells whether a document cannot be followed, and tells the log once.
func (s *Set) troubled(name string, doc json.RawMessage, err error) bool {
	if err == nil {
		delete(s.unable, name)
		return false
	}
	if !bytes.Equal(s.unable[name], doc) {
		s.unable[name] = doc
		s.o.Logger.Error("a backend that was added cannot be used by this node", "backend", name, "error", err)
	}
	return true
}

// notConfigured is why a backend cannot be asked that is in a bucket's record.
func notConfigured(name string) error { return fmt.Errorf("backend %s is not configured", name) }

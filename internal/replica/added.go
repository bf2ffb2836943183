package replica

import (
	"context"
	"encoding/json"
	"errors"
	"slices"
	"strings"

	"github.com/s3mirror/s3mirror/internal/backend"
	"github.com/s3mirror/s3mirror/internal/object"
	"github.com/s3mirror/s3mirror/internal/s3"
)

// Errors about backends that are added while nodes run (docs/decisions/0043).
var (
	// ErrOfFile: the backend is the configuration's, and nothing else's to change.
	ErrOfFile = errors.New("the configuration has that backend")
	// ErrBackendExists: one of that name was added already.
	ErrBackendExists = errors.New("there is such a backend already")
)

// maxAdded bounds the backends that are added, and maxAddedDoc the document of each in
// bytes: every node reads all of them with each beat of its lease.
const (
	maxAdded    = 32
	maxAddedDoc = 32 << 10
)

// AddedBackends are the documents of those that were added, by name.
func (s *Set) AddedBackends() map[string]json.RawMessage { return s.settings.now.Load().Backends }

// AddBackend takes a backend in, on every node and over restarts. No bucket is on it yet.
// When it has returned every node that lives can be told to put one there.
// ErrOfFile, ErrBackendExists, ErrUnfitting, SlowDown.
func (s *Set) AddBackend(ctx context.Context, name string, doc json.RawMessage) error {
	err := s.settings.change(ctx, func(rec *settingsRecord) error {
		if err := s.ofFile(name); err != nil {
			return err
		}
		if was, ok := rec.Backends[name]; ok {
			if string(was) == string(doc) { // by a try whose outcome was not known
				return nil
			}
			return ErrBackendExists
		}
		if len(rec.Backends) >= maxAdded {
			return unfitting("%d backends were added already, and no more may be: give the configuration some", maxAdded)
		}
		return rec.put(name, doc)
	})
	if err == nil {
		s.o.Logger.InfoContext(ctx, "backend was added", "backend", name)
	}
	return err
}

// ChangeBackend replaces the document of a backend that was added; edit may be called
// again. Requests under way end on the old one. The new one must lead to the same store: see
// SameStore. ErrOfFile, ErrUnknownBackend, ErrUnfitting, SlowDown, and what edit says.
func (s *Set) ChangeBackend(ctx context.Context, name string, edit func(json.RawMessage) (json.RawMessage, error)) error {
	err := s.settings.change(ctx, func(rec *settingsRecord) error {
		if err := s.ofFile(name); err != nil {
			return err
		}
		was, ok := rec.Backends[name]
		if !ok {
			return ErrUnknownBackend
		}
		doc, err := edit(was)
		if err != nil {
			return err
		}
		return rec.put(name, doc)
	})
	if err == nil {
		s.o.Logger.InfoContext(ctx, "backend was changed", "backend", name)
	}
	return err
}

func (rec *settingsRecord) put(name string, doc json.RawMessage) error {
	if len(doc) > maxAddedDoc {
		return unfitting("what is said of backend %s takes %d bytes, more than %d", name, len(doc), maxAddedDoc)
	}
	rec.Backends = withEntry(rec.Backends, name, doc)
	return nil
}

func (s *Set) ofFile(name string) error {
	if seat := s.seat(name); seat != nil && seat.doc == nil {
		return ErrOfFile
	}
	return nil
}

// RemoveBackend takes a backend that was added out again. First no bucket may be put on it
// any more, on every node, and those that were being put somewhere have their records; then it is
// looked whether one is on it: that is ErrUnfitting, and the backend stays, as it does where some
// node has not acknowledged. What it holds is left alone. ErrOfFile, ErrUnknownBackend, SlowDown.
func (s *Set) RemoveBackend(ctx context.Context, name string) error {
	known := func(rec *settingsRecord) error {
		if err := s.ofFile(name); err != nil {
			return err
		}
		if _, ok := rec.Backends[name]; !ok {
			return ErrUnknownBackend
		}
		return nil
	}
	everywhere, err := s.settings.changeEverywhere(ctx, func(rec *settingsRecord) error {
		if err := known(rec); err != nil {
			return err
		}
		rec.Leaving = rec.Leaving.With(name)
		return nil
	})
	if err != nil {
		return err
	}
	if everywhere {
		s.placing.Lock() // until those that began before have written their record
		err = s.unused(ctx, name)
		s.placing.Unlock()
	} else {
		err = unavailable(errors.New("some node has not acknowledged that no bucket may be put on the backend"))
	}
	if err != nil {
		stay := s.settings.change(ctx, func(rec *settingsRecord) error { rec.Leaving = rec.Leaving.Without(name); return nil })
		return errors.Join(err, stay)
	}
	err = s.settings.change(ctx, func(rec *settingsRecord) error {
		delete(rec.Backends, name)
		delete(rec.Paused, name)
		delete(rec.Paces, name)
		rec.Leaving = rec.Leaving.Without(name)
		return nil
	})
	if err == nil {
		s.o.Logger.InfoContext(ctx, "backend was removed", "backend", name)
	}
	return err
}

// placed tells whether no bucket is being put anywhere. Until then a node does not acknowledge
// settings by which a backend leaves: who began before it had them may yet write that a bucket is there.
func (s *Set) placed() bool {
	if !s.placing.TryLock() {
		return false
	}
	s.placing.Unlock()
	return true
}

// unused tells whether nothing needs a backend.
func (s *Set) unused(ctx context.Context, name string) error {
	if s.settings.mode().Primary == name {
		return unfitting("backend %s is the primary of mode disabled: s3mirror mode active first", name)
	}
	var on []string
	err := s.records(ctx, func(bucket string, rec *record) {
		if rec.Replicas.Has(name) {
			on = append(on, bucket)
		}
	})
	switch {
	case err != nil:
		return err
	case len(on) > 0:
		more := ""
		if len(on) > 3 {
			on, more = on[:3], " and others"
		}
		return unfitting("backend %s is in the replica set of %s%s: take it out of each first", name, strings.Join(on, ", "), more)
	}
	return nil
}

// SameStore tells whether an endpoint leads to the store that a backend is: the buckets
// that stand there show their identity. A store that is another one is ErrUnfitting, and so is
// one that does not answer.
func (s *Set) SameStore(ctx context.Context, name string, e backend.Endpoint) error {
	var places []*bucket
	for _, b := range s.buckets.all() {
		if rec := b.record(); rec.Replicas.Has(name) && rec.Made.Has(name) {
			places = append(places, b)
		}
	}
	slices.SortFunc(places, func(a, b *bucket) int { return strings.Compare(a.name, b.name) })
	for _, b := range places {
		id, there, err := ReadIdentity(ctx, e, b.realName(name))
		switch {
		case err != nil && !errors.Is(err, s3.NoSuchBucket):
			return unfitting("bucket %s cannot be looked at there: %v", b.name, err)
		case err != nil || !there || id != s.buckets.identityOf(b, name):
			return unfitting("that is another store: it does not hold the replica of bucket %s that backend %s is known to hold. Add it under another name", b.name, name)
		}
	}
	return nil
}

// PlaceOn is the name that some bucket has on a backend where it is known to stand; empty:
// none does.
func (s *Set) PlaceOn(ctx context.Context, backend string) (name string, err error) {
	err = s.records(ctx, func(bucket string, rec *record) {
		if rec.Made.Has(backend) {
			name = (Policy{Names: rec.Names}).realName(backend, bucket)
		}
	})
	return name, err
}

// Placement is where a bucket stands, and under which names.
type Placement struct {
	Replicas object.Replicas
	Names    map[string]string // backend -> the bucket's real name there, where it differs

	// AssumeEqual: see Policy.
	AssumeEqual bool
}

// fits tells whether a bucket may be put there.
func (s *Set) fits(ctx context.Context, bucket string, p Placement) error {
	leaving := s.settings.now.Load().Leaving
	for _, r := range p.Replicas {
		switch {
		case s.seat(r) == nil:
			return unfitting("there is no backend %q", r)
		case leaving.Has(r):
			return unfitting("backend %s is being removed", r)
		}
	}
	taken := ""
	err := s.records(ctx, func(other string, rec *record) {
		for _, r := range p.Replicas.And(rec.Replicas) {
			if name := (Policy{Names: rec.Names}).realName(r, other); other != bucket && name == (Policy{Names: p.Names}).realName(r, bucket) {
				taken = other
			}
		}
	})
	if err == nil && taken != "" {
		return unfitting("bucket %s has that name on a backend", taken)
	}
	return err
}

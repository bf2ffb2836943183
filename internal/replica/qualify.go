package replica

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/s3mirror/s3mirror/internal/object"
	"github.com/s3mirror/s3mirror/internal/s3"
)

// Quality is what was found out of a backend.
type Quality struct {
	Payload Payload // how bodies must travel, so that it verifies them itself (RELIABILITY A2)
	Copies  bool    // its copies keep to x-amz-copy-source-if-match, so it may copy by itself
	NoTags  bool    // it keeps no tags of objects: the log does
	NoSums  bool    // it keeps no checksums of objects: the log does

	// ClassTold says that it tells the storage class STANDARD of an object, which AWS keeps
	// to itself.
	ClassTold bool

	// Composed says that its multipart objects have the ETags that they have on AWS, and
	// that it tells the sizes of their parts.
	Composed bool

	// Sums are the algorithms of checksums that it keeps, among those that are
	// s3.Recent; the others every backend is taken to know that knows trailers.
	Sums []string

	// Kinds of keys that it refuses, and that it mixes up with others or hides.
	Refuses, Mixes object.KeyRules
}

// loses tells whether checksums of an algorithm do not come back from the backend. Where
// bodies travel in signed chunks none goes there.
func (q Quality) loses(algorithm string) bool {
	return q.NoSums || q.Payload == PayloadSigned || s3.Recent(algorithm) && !slices.Contains(q.Sums, algorithm)
}

// Qualifier finds out the quality of a backend. bucket stands on the backend, under
// that name, and is ours. A nil error lets the backend take part; an error that is a
// *Unfit says that it must not, any other that it could not be asked.
type Qualifier func(ctx context.Context, backend, bucket string) (Quality, error)

// Unfit is why a backend must not hold replicas.
type Unfit struct{ Reason string }

func (e *Unfit) Error() string { return "backend is unfit to hold replicas: " + e.Reason }

// qualifyTimeout bounds the questions to one backend.
const qualifyTimeout = time.Minute

// qualities is what was found out of the backends since the start.
type qualities struct {
	probing sync.WaitGroup // nobody waits for a probe but the end

	mu      sync.Mutex // guards what follows
	closed  bool
	payload map[string]Payload
	copies  object.Replicas            // never changes: it is replaced
	sums    map[string][]string        // of a backend its Quality.Sums; never changes, likewise
	bare    object.Replicas            // keep no tags; never changes, likewise
	lossy   map[string]object.Replicas // by algorithm of a checksum: those that lose it; never changes, likewise
	parts   object.Replicas            // Quality.Composed; never changes, likewise
	classed object.Replicas            // Quality.ClassTold; never changes, likewise
	known   map[string]bool
	keys    map[string]keyTrouble
	unfit   map[string]misfit
	scouted map[string]time.Duration // Boot when a backend was asked without a bucket
	asking  map[string]chan struct{} // has room for who asks
	recall  func(backend string) (Quality, bool)
}

func (q *qualities) open(o *Options) {
	q.payload, q.copies = maps.Clone(o.Payload), o.Copies
	if q.payload == nil {
		q.payload = map[string]Payload{}
	}
	q.sums = map[string][]string{}
	q.known, q.asking, q.keys = map[string]bool{}, map[string]chan struct{}{}, map[string]keyTrouble{}
	q.unfit, q.scouted = map[string]misfit{}, map[string]time.Duration{}
	q.recall = o.Recall
	for _, s := range o.Stacks {
		q.forget(s.Name())
	}
}

// forget has a backend asked anew, before it takes its next body; until then what was
// found of it at some time counts for the kinds of keys, the checksums that it loses, and what it
// says of storage classes.
func (q *qualities) forget(name string) {
	var was Quality
	var ok bool
	if q.recall != nil {
		was, ok = q.recall(name)
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	delete(q.known, name)
	delete(q.unfit, name)
	delete(q.scouted, name)
	if ok {
		q.keys[name] = keyTrouble{was.Refuses, was.Mixes}
		q.lossy = lossyWith(q.lossy, name, was)
		q.classed = q.classed.Without(name)
		if was.ClassTold {
			q.classed = q.classed.With(name)
		}
	}
}

// ask returns the room for who asks a backend.
func (q *qualities) ask(name string) chan struct{} {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.asking[name] == nil {
		q.asking[name] = make(chan struct{}, 1)
	}
	return q.asking[name]
}

// payloads is how bodies travel to each backend; it never changes.
func (q *qualities) payloads() map[string]Payload {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.payload
}

// keeps tells which replicas keep checksums of an algorithm.
func (q *qualities) keeps() func(replica, algorithm string) bool {
	q.mu.Lock()
	sums := q.sums
	q.mu.Unlock()
	return func(replica, algorithm string) bool {
		return !s3.Recent(algorithm) || slices.Contains(sums[replica], algorithm)
	}
}

// copiers are the backends that may copy by themselves.
func (q *qualities) copiers() object.Replicas {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.copies
}

// composed are the replicas whose ETags of multipart objects tell the bytes: none of them
// unless all do. Where one could not tell the sizes of the parts a copy may have to be made
// of others, and gets an ETag of its own that is no sign of other bytes.
func (q *qualities) composed(replicas object.Replicas) object.Replicas {
	q.mu.Lock()
	defer q.mu.Unlock()
	if !q.parts.Covers(replicas) {
		return nil
	}
	return replicas
}

// tellsClass tells whether every one of the replicas tells the storage class STANDARD. Where
// they differ nobody hears it, so that no answer depends on who gives it.
func (q *qualities) tellsClass(replicas object.Replicas) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	return len(replicas) > 0 && q.classed.Covers(replicas)
}

// untagged are the backends that keep no tags.
func (q *qualities) untagged() object.Replicas {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.bare
}

// losers are by algorithm of a checksum the backends that lose it; nobody else is known to.
func (q *qualities) losers() map[string]object.Replicas {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.lossy
}

// anyLoses tells whether one of the replicas is known to lose checksums of an algorithm.
func (q *qualities) anyLoses(replicas object.Replicas, algorithm string) bool {
	return len(q.losers()[algorithm].And(replicas)) > 0
}

// lossyWith are the losers once a backend's quality is known; nil: there are none.
func lossyWith(lossy map[string]object.Replicas, replica string, found Quality) map[string]object.Replicas {
	next := map[string]object.Replicas{}
	for _, algorithm := range s3.ChecksumAlgorithms() {
		losers := lossy[algorithm].Without(replica)
		if found.loses(algorithm) {
			losers = losers.With(replica)
		}
		if len(losers) > 0 {
			next[algorithm] = losers
		}
	}
	return next
}

// keepsNone is told when a backend says that it does no tags.
func (q *qualities) keepsNone(replica string) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.bare = q.bare.With(replica)
}

func (q *qualities) isKnown(replica string) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.known[replica]
}

func (q *qualities) learn(replica string, found Quality) {
	q.mu.Lock()
	defer q.mu.Unlock()
	next := maps.Clone(q.payload) // writes under way keep theirs
	next[replica] = found.Payload
	q.payload, q.known[replica] = next, true
	sums := maps.Clone(q.sums)
	sums[replica] = found.Sums
	q.sums, q.lossy = sums, lossyWith(q.lossy, replica, found)
	q.keys[replica] = keyTrouble{found.Refuses, found.Mixes}
	q.copies = q.copies.Without(replica)
	if found.Copies {
		q.copies = q.copies.With(replica)
	}
	q.parts = q.parts.Without(replica)
	if found.Composed {
		q.parts = q.parts.With(replica)
	}
	q.classed = q.classed.Without(replica)
	if found.ClassTold {
		q.classed = q.classed.With(replica)
	}
	q.bare = q.bare.Without(replica)
	if found.NoTags {
		q.bare = q.bare.With(replica)
	}
}

// keysOf is the trouble of one backend with kinds of keys.
func (q *qualities) keysOf(replica string) keyTrouble {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.keys[replica]
}

// trouble is that of any of the replicas. look says that an object and one that
// continues its key must be kept from standing side by side by us: some replica would
// mix them up or hide one, or only some refuse it.
func (q *qualities) trouble(replicas object.Replicas) (trouble object.KeyRules, look bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	refuse := true
	for _, r := range replicas {
		k := q.keys[r]
		trouble |= k.any()
		refuse = refuse && k.refuses&object.FileAndFolder != 0
	}
	return trouble, trouble&object.FileAndFolder != 0 && !refuse
}

// begin runs a probe, unless the end has come.
func (q *qualities) begin(probe func()) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	if !q.closed {
		q.probing.Go(probe)
	}
	return !q.closed
}

// close waits for the probes; their context has ended.
func (q *qualities) close() {
	q.mu.Lock()
	q.closed = true
	q.mu.Unlock()
	q.probing.Wait()
}

// misfit is a backend that is unfit, and when that was found.
type misfit struct {
	err error
	at  time.Duration // Boot
}

// misfit is what was found against a backend since lookAgain; nil: nothing.
func (q *qualities) misfit(replica string, now time.Duration) error {
	q.mu.Lock()
	defer q.mu.Unlock()
	if m, ok := q.unfit[replica]; ok && now-m.at < lookAgain {
		return m.err
	}
	return nil
}

func (q *qualities) spurn(replica string, why error, now time.Duration) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.unfit[replica] = misfit{why, now}
}

// qualify asks a backend once, before it takes its first body. It does not end
// with ctx: what was begun serves the next caller.
func (s *Set) qualify(ctx context.Context, replica, bucket string) error {
	if s.o.Qualify == nil || s.qualities.isKnown(replica) {
		return nil
	}
	done := make(chan error, 1)
	if !s.qualities.begin(func() {
		done <- s.ask(replica, func(ctx context.Context) (Quality, error) { return s.o.Qualify(ctx, replica, bucket) })
	}) {
		return errClosed
	}
	select {
	case err := <-done:
		return err
	case <-ctx.Done():
		return fmt.Errorf("backend %s is still being probed", replica)
	}
}

// ask waits for who asks a backend already, and asks when that one got no answer.
func (s *Set) ask(replica string, question func(context.Context) (Quality, error)) error {
	asking := s.qualities.ask(replica)
	asking <- struct{}{}
	defer func() { <-asking }()
	if s.qualities.isKnown(replica) {
		return nil
	}
	if err := s.qualities.misfit(replica, s.o.Boot()); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(s.base, qualifyTimeout)
	defer cancel()
	found, err := question(ctx)
	var unfit *Unfit
	switch {
	case err == nil:
		s.qualities.learn(replica, found)
	case errors.As(err, &unfit):
		s.qualities.spurn(replica, err, s.o.Boot())
	}
	return err
}

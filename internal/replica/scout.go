package replica

import (
	"context"
	"time"
)

// scoutWait is how long a start waits for the answers of backends that hold no bucket yet.
// Those that take longer are waited for by whoever makes the first bucket on them.
const scoutWait = 10 * time.Second

// Scout finds out the quality of a backend that holds no bucket of ours: in one that it
// makes for that and removes again. Its errors are a Qualifier's.
type Scout func(ctx context.Context, backend string) (Quality, error)

// scout begins to ask the backends that are up and hold no bucket yet, so that the first
// client that makes one need not wait for it; each at most once in lookAgain. The channel
// is closed when they have answered. Where it fails, for want of a right to make
// buckets say, nothing is lost: the first bucket is asked in, as any.
func (s *Set) scout() <-chan struct{} {
	over := make(chan struct{})
	left := make(chan struct{}, len(s.Names()))
	asked := 0
	for _, name := range s.Names() {
		if s.o.Scout == nil || !s.Up(name) || s.buckets.holds(name) || !s.qualities.strange(name, s.o.Boot()) {
			continue
		}
		if s.qualities.begin(func() { s.scoutOne(name); left <- struct{}{} }) {
			asked++
		}
	}
	if asked == 0 || !s.qualities.begin(func() {
		for range asked {
			<-left
		}
		close(over)
	}) {
		close(over)
	}
	return over
}

func (s *Set) scoutOne(name string) {
	err := s.ask(name, func(ctx context.Context) (Quality, error) { return s.o.Scout(ctx, name) })
	if err != nil && s.base.Err() == nil {
		s.o.Logger.WarnContext(s.base, "backend could not be probed before a bucket stands there", "backend", name, "reason", err)
	}
}

// scoutNow is scout for the start, which waits.
func (s *Set) scoutNow(ctx context.Context) {
	enough := time.NewTimer(scoutWait)
	defer enough.Stop()
	select {
	case <-s.scout():
	case <-enough.C:
	case <-ctx.Done():
	}
}

// strange tells whether a backend was not asked yet, and not tried to be for lookAgain.
func (q *qualities) strange(name string, now time.Duration) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	last, tried := q.scouted[name]
	if q.known[name] || tried && now-last < lookAgain {
		return false
	}
	q.scouted[name] = now
	return true
}

// holds tells whether a bucket is, or is to be, on a backend.
func (bs *buckets) holds(backend string) bool {
	for _, b := range bs.all() {
		if b.record().Replicas.Has(backend) {
			return true
		}
	}
	return false
}

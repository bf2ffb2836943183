package replica_test

import (
	"context"
	"errors"
	"maps"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/s3mirror/s3mirror/internal/memory"
	"github.com/s3mirror/s3mirror/internal/replica"
)

// scouts is a Scout and a Qualifier that count who was asked, and answer what they are told.
type scouts struct {
	mu      sync.Mutex // guards the counts
	scouted map[string]int
	asked   map[string]int
	takes   time.Duration
	say     func(backend string) error
}

func (s *scouts) scout(ctx context.Context, backend string) (replica.Quality, error) {
	s.mu.Lock()
	s.scouted[backend]++
	s.mu.Unlock()
	if s.takes > 0 {
		select {
		case <-time.After(s.takes):
		case <-ctx.Done():
			return replica.Quality{}, context.Cause(ctx)
		}
	}
	return replica.Quality{Payload: replica.PayloadSigned}, s.say(backend)
}

func (s *scouts) qualify(_ context.Context, backend, _ string) (replica.Quality, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.asked[backend]++
	return replica.Quality{Payload: replica.PayloadSigned}, s.say(backend)
}

// counts are how often each backend was asked without a bucket, and in one.
func (s *scouts) counts() (scouted, asked map[string]int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return maps.Clone(s.scouted), maps.Clone(s.asked)
}

func (s *scouts) want(t *testing.T, scouted, asked map[string]int) {
	t.Helper()
	if a, b := s.counts(); !maps.Equal(a, scouted) || !maps.Equal(b, asked) {
		t.Errorf("asked without a bucket: %v, want %v; in one: %v, want %v", a, scouted, b, asked)
	}
}

func (s *scouts) options(o *replica.Options) { o.Qualify, o.Scout = s.qualify, s.scout }

func newScouts() *scouts {
	return &scouts{scouted: map[string]int{}, asked: map[string]int{}, say: func(string) error { return nil }}
}

// inFreshBubble is inBubble before the first bucket and the first start.
func inFreshBubble(t *testing.T, do func(r *rig, s *scouts)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) { do(newRig(t, memory.NewLog(), "a", "b"), newScouts()) })
}

var none, each = map[string]int{}, map[string]int{"a": 1, "b": 1}

// TestScoutBeforeTheFirstBucket: who makes the first bucket waits for no probe.
func TestScoutBeforeTheFirstBucket(t *testing.T) {
	inFreshBubble(t, func(r *rig, s *scouts) {
		s.takes = 4 * time.Second
		r.open(s.options)
		began := time.Now()
		r.makeBucket()
		if took := time.Since(began); took > 500*time.Millisecond {
			t.Errorf("the first bucket took %v", took)
		}
		data := content(1000, 1)
		r.mustPut("k", data)
		r.mustGet("k", data)
		s.want(t, each, none)
		r.close()
		r.open(s.options) // a backend that holds a bucket is asked there
		s.want(t, each, each)
	})
}

// TestScoutThatIsRefused: a key that may make no buckets but its own costs nothing but the wait
// that there always was.
func TestScoutThatIsRefused(t *testing.T) {
	inFreshBubble(t, func(r *rig, s *scouts) {
		refused := true
		s.say = func(string) error {
			if refused {
				return errors.New("AccessDenied")
			}
			return nil
		}
		r.open(s.options)
		refused = false
		r.makeBucket()
		r.mustPut("k", content(10, 1))
		s.want(t, each, each)
	})
}

// TestScoutThatTakesLong: the start does not wait for ever, and the bucket waits for the probe
// under way instead of making another one.
func TestScoutThatTakesLong(t *testing.T) {
	inFreshBubble(t, func(r *rig, s *scouts) {
		s.takes = 13 * time.Second
		began := time.Now()
		r.open(s.options)
		if took := time.Since(began); took < 9*time.Second || took > 11*time.Second {
			t.Errorf("the start took %v", took)
		}
		r.makeBucket()
		if took := time.Since(began); took < s.takes {
			t.Errorf("a bucket was made after %v on backends that nobody knows", took)
		}
		s.want(t, each, none)
	})
}

// TestScoutOfWhoComesLater: a backend that was away at the start is asked when it is back.
func TestScoutOfWhoComesLater(t *testing.T) {
	inFreshBubble(t, func(r *rig, s *scouts) {
		r.wires["b"].plug(true)
		r.open(func(o *replica.Options) {
			s.options(o)
			o.Stacks[1].Breaker.Open(errors.New("it does not answer")) // as the server finds out before it opens a Set
		})
		s.want(t, map[string]int{"a": 1}, none)
		r.wires["b"].plug(false)
		for deadline := time.Now().Add(10 * time.Minute); time.Now().Before(deadline); time.Sleep(time.Second) {
			if scouted, _ := s.counts(); scouted["b"] > 0 {
				break
			}
		}
		s.want(t, each, none)
	})
}

// TestUnfitBackendIsNotAskedAllTheTime: what was found a moment ago is said at once, and asked
// for again after a while.
func TestUnfitBackendIsNotAskedAllTheTime(t *testing.T) {
	inFreshBubble(t, func(r *rig, s *scouts) {
		s.say = func(backend string) error {
			if backend == "b" {
				return &replica.Unfit{Reason: "it keeps what is cut"}
			}
			return nil
		}
		r.open(s.options)
		r.makeBucket()
		s.want(t, each, none)
		s.say = func(string) error { return nil }
		for deadline := time.Now().Add(10 * time.Minute); time.Now().Before(deadline); time.Sleep(time.Second) {
			if _, asked := s.counts(); asked["b"] > 0 {
				break
			}
		}
		s.want(t, each, map[string]int{"b": 1})
	})
}

package auth

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

// shelf is what a cache reads: a version that a test turns, and how reading goes.
type shelf struct {
	version atomic.Int64
	reads   atomic.Int64
	err     atomic.Pointer[error]
	hold    chan struct{} // nil: reading takes no time
}

func (s *shelf) read(ctx context.Context, name, _ string) (string, error) {
	s.reads.Add(1)
	v := s.version.Load()
	if s.hold != nil {
		select {
		case <-s.hold:
		case <-ctx.Done():
			return "", ctx.Err()
		}
	}
	if err := s.err.Load(); err != nil {
		return "", *err
	}
	return fmt.Sprintf("%s %d", name, v), nil
}

func (s *shelf) fail(err error) {
	if err == nil {
		s.err.Store(nil)
		return
	}
	s.err.Store(&err)
}

func wantGet(t *testing.T, c *cache[string], name, want string, wantErr error) {
	t.Helper()
	if got, err := c.get(context.Background(), name); got != want || !errors.Is(err, wantErr) {
		t.Errorf("got %q, %v; want %q, %v", got, err, want, wantErr)
	}
}

// TestCacheIsNeverOlderThanItsAge: whatever is asked when, the answer was true
// less than five seconds ago.
func TestCacheIsNeverOlderThanItsAge(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &shelf{}
		c := newCache(10, time.Now, s.read)
		changed := map[int64]time.Time{0: time.Now()}
		for i := range int64(400) {
			got, err := c.get(t.Context(), "a")
			var v int64
			if _, scan := fmt.Sscanf(got, "a %d", &v); err != nil || scan != nil {
				t.Fatalf("got %q, %v", got, err)
			}
			if next, ok := changed[v+1]; ok && time.Since(next) > 5*time.Second {
				t.Fatalf("version %d, replaced %v ago", v, time.Since(next))
			}
			if i%3 == 0 {
				changed[s.version.Add(1)] = time.Now()
			}
			time.Sleep(time.Duration(i%29) * 199 * time.Millisecond)
		}
		if n := s.reads.Load(); n < 100 || n > 390 {
			t.Errorf("%d reads for 400 questions", n)
		}
	})
}

func TestCacheWhileTheStoreIsDown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, down := &shelf{}, errors.New("log is down")
		c := newCache(10, time.Now, s.read)
		wantGet(t, c, "a", "a 0", nil)
		s.fail(down)
		time.Sleep(refreshAfter + time.Millisecond)
		wantGet(t, c, "a", "a 0", nil) // not too old yet
		wantGet(t, c, "b", "", down)
		time.Sleep(maxAge - refreshAfter)
		wantGet(t, c, "a", "", down)
		s.fail(nil)
		s.version.Store(1)
		wantGet(t, c, "a", "a 1", nil)
	})
}

func TestCacheForgetsWhatIsGone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &shelf{}
		c := newCache(10, time.Now, s.read)
		wantGet(t, c, "a", "a 0", nil)
		s.fail(ErrNoUser)
		wantGet(t, c, "a", "a 0", nil)
		time.Sleep(refreshAfter)
		wantGet(t, c, "a", "", ErrNoUser) // not the old value, as when the store is down
		s.fail(nil)
		wantGet(t, c, "a", "a 0", nil) // absence is not kept
		s.version.Store(1)
		c.forget("a")
		wantGet(t, c, "a", "a 1", nil)
	})
}

// TestCacheForgetWhileReading: a reading that began before a change must not
// bring back what was there before it.
func TestCacheForgetWhileReading(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &shelf{hold: make(chan struct{})}
		c := newCache(10, time.Now, s.read)
		var wg sync.WaitGroup
		wg.Go(func() { wantGet(t, c, "a", "a 0", nil) })
		synctest.Wait()
		s.version.Store(1)
		c.forget("a")
		wg.Go(func() { wantGet(t, c, "a", "a 1", nil) })
		synctest.Wait()
		close(s.hold)
		wg.Wait()
		wantGet(t, c, "a", "a 1", nil)
	})
}

// TestCacheReadsOnce: of many who ask for one record one reads, and when he
// gives up another one does.
func TestCacheReadsOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &shelf{hold: make(chan struct{})}
		c := newCache(10, time.Now, s.read)
		var wg sync.WaitGroup
		leader, leave := context.WithCancel(context.Background())
		wg.Go(func() {
			if _, err := c.get(leader, "a"); !errors.Is(err, context.Canceled) {
				t.Errorf("leader: %v", err)
			}
		})
		synctest.Wait()
		for range 50 {
			wg.Go(func() { wantGet(t, c, "a", "a 0", nil) })
		}
		waiting, give := context.WithCancel(context.Background())
		wg.Go(func() {
			if _, err := c.get(waiting, "a"); !errors.Is(err, context.Canceled) {
				t.Errorf("one who waits: %v", err)
			}
		})
		synctest.Wait()
		give()
		leave()
		synctest.Wait()
		close(s.hold)
		wg.Wait()
		if n := s.reads.Load(); n != 2 {
			t.Errorf("%d reads, want the leader's and one more", n)
		}
		// Nobody waits for a refresh.
		s.hold = make(chan struct{})
		time.Sleep(refreshAfter)
		wg.Go(func() { wantGet(t, c, "a", "a 0", nil) })
		synctest.Wait()
		wantGet(t, c, "a", "a 0", nil)
		close(s.hold)
		wg.Wait()
	})
}

func TestCacheIsBounded(t *testing.T) {
	s := &shelf{}
	c := newCache(10, time.Now, s.read)
	for i := range 100 {
		wantGet(t, c, fmt.Sprint(i), fmt.Sprintf("%d 0", i), nil)
	}
	if len(c.entries) > 10 {
		t.Errorf("%d entries", len(c.entries))
	}
	s.fail(ErrNoKey)
	for i := range 100 {
		wantGet(t, c, fmt.Sprint("x", i), "", ErrNoKey)
	}
	if len(c.entries) > 10 {
		t.Errorf("%d entries after the absent", len(c.entries))
	}
}

// TestCacheOutlastsItsStore: while the store is away what was known serves, at once for
// those who come while another one asks, and not a moment longer.
func TestCacheOutlastsItsStore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &shelf{}
		var away atomic.Bool
		c := newCache(10, time.Now, s.read)
		c.away = away.Load
		wantGet(t, c, "a", "a 0", nil)
		gone := errors.New("gone")
		s.fail(gone)
		time.Sleep(time.Hour)
		wantGet(t, c, "a", "", gone)
		away.Store(true)
		wantGet(t, c, "a", "a 0", nil)
		wantGet(t, c, "b", "", gone)
		s.fail(nil)
		s.hold = make(chan struct{}) // it takes questions, and answers none
		began := time.Now()
		var all sync.WaitGroup
		for range 5 {
			all.Go(func() { wantGet(t, c, "a", "a 0", nil) })
		}
		all.Wait()
		if d := time.Since(began); d > awayPatience {
			t.Errorf("five readers waited %v", d)
		}
		s.version.Add(1)
		close(s.hold)
		wantGet(t, c, "a", "a 1", nil)
		s.fail(ErrNoUser)
		time.Sleep(time.Minute)
		wantGet(t, c, "a", "", ErrNoUser)
	})
}

package backend

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// crowded is an endpoint whose operations take a while, used by clients until they
// are stopped; ours are counted.
type crowded struct {
	*Stack
	mu       sync.Mutex // guards what follows
	ours     int        // under way
	together int        // most of them at once
	share    time.Duration
}

type oursKey struct{}

func newCrowded(takes time.Duration, limits *Limits) *crowded {
	c := &crowded{}
	c.Stack = Wrap(ending(func(ctx context.Context, _ Op) error {
		began := time.Now()
		if ctx.Value(oursKey{}) == nil {
			time.Sleep(takes)
			return nil
		}
		c.mu.Lock()
		c.ours++
		c.together = max(c.together, c.ours)
		c.mu.Unlock()
		time.Sleep(takes)
		c.mu.Lock()
		c.ours--
		c.share += time.Since(began)
		c.mu.Unlock()
		return nil
	}), WrapOptions{Limits: limits, Breaker: BreakerOptions{Log: slog.New(slog.DiscardHandler)}})
	return c
}

// clients use the endpoint without a break; stop returns when they are gone.
func (c *crowded) clients(n int) (stop func()) {
	ctx, cancel := context.WithCancel(context.Background())
	var all sync.WaitGroup
	for range n {
		all.Go(func() {
			for ctx.Err() == nil {
				c.Delete(context.Background(), "b", "k")
			}
		})
	}
	return func() { cancel(); all.Wait() }
}

// work lets workers do as much as they can for a time, and returns how much.
func (c *crowded) work(workers int, d time.Duration, do func(ctx context.Context) error) (done int) {
	ctx, cancel := context.WithTimeout(context.WithValue(context.Background(), oursKey{}, true), d)
	defer cancel()
	c.mu.Lock()
	c.together, c.share = 0, 0
	c.mu.Unlock()
	var all sync.WaitGroup
	var mu sync.Mutex // guards done
	for range workers {
		all.Go(func() {
			for ctx.Err() == nil {
				if do(ctx) == nil {
					mu.Lock()
					done++
					mu.Unlock()
				}
			}
		})
	}
	all.Wait()
	return done
}

// TestClientsComeFirst: while there are clients, heals are one at a time and take a
// fifth of the time at most; they never stop, and alone nothing holds them back.
func TestClientsComeFirst(t *testing.T) {
	for name, do := range map[string]func(*crowded) func(context.Context) error{
		"paced": func(c *crowded) func(context.Context) error {
			return func(ctx context.Context) error { return c.Paced.Delete(ctx, "b", "k") }
		},
		"paid": func(c *crowded) func(context.Context) error {
			return func(ctx context.Context) error {
				done, err := c.Limits.Pay(ctx, 100)
				if err != nil {
					return err
				}
				defer done()
				return c.Paid.Delete(ctx, "b", "k")
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c := newCrowded(20*time.Millisecond, nil)
				if n := c.work(4, 10*time.Second, do(c)); n < 1950 || c.together != 4 {
					t.Errorf("alone: %d in ten seconds, %d at once", n, c.together)
				}
				stop := c.clients(3)
				time.Sleep(5 * time.Millisecond)
				n := c.work(4, 10*time.Second, do(c))
				if n > 101 || n < 60 || c.together != 1 || c.share > 2100*time.Millisecond {
					t.Errorf("beside clients: %d in ten seconds, %d at once, %v of the time", n, c.together, c.share)
				}
				stop()
				if n := c.work(4, 10*time.Second, do(c)); n < 1900 || c.together != 4 {
					t.Errorf("when they are gone: %d in ten seconds, %d at once", n, c.together)
				}
			})
		})
	}
}

// TestHeadsKeepTheirBeat: what watches a replica does not wait for clients.
func TestHeadsKeepTheirBeat(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCrowded(20*time.Millisecond, nil)
		defer c.clients(3)()
		time.Sleep(5 * time.Millisecond)
		if n := c.work(4, 10*time.Second, func(ctx context.Context) error { _, err := c.Paced.Head(ctx, "b", "k"); return err }); n < 1950 {
			t.Errorf("%d HEADs in ten seconds", n)
		}
	})
}

// TestSlowClientsDoNotStopHeals: the rest has an end, however long a turn was.
func TestSlowClientsDoNotStopHeals(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCrowded(30*time.Second, nil)
		defer c.clients(1)()
		time.Sleep(time.Second)
		if n := c.work(2, 10*time.Minute, func(ctx context.Context) error { return c.Paced.Delete(ctx, "b", "k") }); n < 18 {
			t.Errorf("%d in ten minutes", n)
		}
	})
}

// TestWaitsEndWithTheirContext: for clients, for the turn, for the rest, for tokens.
func TestWaitsEndWithTheirContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCrowded(time.Hour, NewLimits(1, 0.001))
		stop := c.clients(1)
		time.Sleep(time.Second)
		why := errors.New("why")
		turn := make(chan struct{})
		ctx, cancel := context.WithCancelCause(t.Context())
		go func() { // takes the one turn, and its one token
			done, err := c.Limits.Pay(ctx, 0)
			if err == nil {
				<-turn
				done()
			}
		}()
		time.Sleep(time.Second)
		wait := func(what string) {
			t.Helper()
			ctx, cancel := context.WithCancelCause(t.Context())
			time.AfterFunc(100*time.Millisecond, func() { cancel(why) })
			if err := c.Paced.Delete(ctx, "b", "k"); OutcomeOf(err) != NotSent || !errors.Is(err, why) {
				t.Errorf("%s: %v", what, err)
			}
			if _, err := c.Limits.Pay(ctx, 1); !errors.Is(err, why) {
				t.Errorf("%s: %v", what, err)
			}
		}
		wait("the turn is taken")
		close(turn)
		synctest.Wait()
		wait("the endpoint rests")
		time.Sleep(2 * time.Second)
		wait("there is no token")
		cancel(why)
		stop()
	})
}

// TestLimitsChangeForThoseWhoWait: whoever waits for the old limits waits for the
// new ones.
func TestLimitsChangeForThoseWhoWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := NewLimits(1, 0.001)
		began := time.Now()
		var all sync.WaitGroup
		for range 3 {
			all.Go(func() {
				if err := l.take(t.Context(), l.requests, 1); err != nil {
					t.Error(err)
				}
				if err := l.spend(t.Context(), 10<<20); err != nil {
					t.Error(err)
				}
			})
		}
		time.Sleep(time.Minute)
		l.Set(0, 10)
		all.Wait()
		if d := time.Since(began); d > 61*time.Second {
			t.Errorf("they waited %v", d)
		}
	})
}

// piece is a body of pieces of a KiB, each of which takes a while.
type pieces struct {
	Body
	urgent bool
	left   int
}

func (p *pieces) Urgent() bool { return p.urgent }
func (p *pieces) Next(context.Context, int) ([]byte, error) {
	if p.left == 0 {
		return nil, io.EOF
	}
	p.left--
	time.Sleep(5 * time.Millisecond)
	return make([]byte, 1<<10), nil
}

// TestBodiesPauseForClients: a long copy takes a fifth of the time, too, but the tail
// that was released goes at once.
func TestBodiesPauseForClients(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCrowded(20*time.Millisecond, nil)
		send := func(urgent bool) time.Duration {
			began := time.Now()
			b := limitedBody{&pieces{left: 200, urgent: urgent}, &breath{limits: c.Limits}}
			for {
				if _, err := b.Next(t.Context(), 0); err != nil {
					return time.Since(began).Round(100 * time.Millisecond)
				}
			}
		}
		read := func() time.Duration {
			began := time.Now()
			slow := io.NopCloser(readerFunc(func(p []byte) (int, error) { time.Sleep(5 * time.Millisecond); return len(p), nil }))
			if _, err := io.CopyN(io.Discard, limitedReader{slow, t.Context(), &breath{limits: c.Limits}}, 200<<10); err != nil {
				t.Error(err)
			}
			return time.Since(began).Round(100 * time.Millisecond)
		}
		if d := send(false); d != time.Second {
			t.Errorf("alone a body took %v", d)
		}
		alone := read()
		stop := c.clients(1)
		time.Sleep(5 * time.Millisecond)
		if d := send(false); d < 4*time.Second || d > 6*time.Second {
			t.Errorf("beside a client it took %v", d)
		}
		if d := send(true); d != time.Second {
			t.Errorf("a tail took %v", d)
		}
		if d := read(); d < 3*alone {
			t.Errorf("reading took %v, alone %v", d, alone)
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		b := limitedBody{&pieces{left: 1e6}, &breath{limits: c.Limits}}
		var err error
		for err == nil {
			_, err = b.Next(ctx, 0)
		}
		if !errors.Is(err, context.DeadlineExceeded) {
			t.Error(err)
		}
		stop()
	})
}

type readerFunc func([]byte) (int, error)

func (f readerFunc) Read(p []byte) (int, error) { return f(p) }

// TestOpenBodiesOfHealsAreNoClients: what yields must not yield to itself.
func TestOpenBodiesOfHealsAreNoClients(t *testing.T) {
	s := Wrap(ending(func(context.Context, Op) error { return nil }), WrapOptions{})
	obj, err := s.Paced.Get(t.Context(), "b", "k", GetOptions{})
	if err != nil || s.Limits.busy() {
		t.Fatalf("busy with a body of its own (%v)", err)
	}
	client, err := s.Get(t.Context(), "b", "k", GetOptions{})
	if err != nil || !s.Limits.busy() {
		t.Fatalf("a client's body does not count (%v)", err)
	}
	for range 2 {
		obj.Body.Close()
		client.Body.Close()
	}
	if s.Limits.busy() || s.Limits.own.Load() != 0 {
		t.Errorf("busy, and %d of its own, when all is over", s.Limits.own.Load())
	}
}

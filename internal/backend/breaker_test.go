package backend

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/s3mirror/s3mirror/internal/object"
	"github.com/s3mirror/s3mirror/internal/s3"
)

// ending is an endpoint whose operations, of those that the tests use, end as the
// function says.
func ending(end func(ctx context.Context, op Op) error) Endpoint { return named{end: end} }

type named struct {
	Endpoint
	end func(ctx context.Context, op Op) error
}

func (n named) Put(ctx context.Context, _ PutRequest) (PutResult, error) {
	return PutResult{}, n.end(ctx, OpPut)
}

func (n named) Get(ctx context.Context, _, _ string, _ GetOptions) (*Object, error) {
	return &Object{Body: http.NoBody}, n.end(ctx, OpGet)
}

func (n named) Head(ctx context.Context, _, _ string) (object.Seen, error) {
	return object.Seen{}, n.end(ctx, OpHead)
}

func (n named) Delete(ctx context.Context, _, _ string) error { return n.end(ctx, OpDelete) }

func (n named) HeadBucket(ctx context.Context, _ string) error { return n.end(ctx, OpHeadBucket) }

func (named) Name() string { return "eu-1" }

func failure(o Outcome) *Error {
	return &Error{Backend: "eu-1", Outcome: o, Err: errors.New("no answer")}
}

var quiet = slog.New(slog.DiscardHandler)

// TestBreaker: a streak opens it, nothing passes while it is open, only a probe
// closes it.
func TestBreaker(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var healthy atomic.Bool
		var calls, probes atomic.Int64
		b := NewBreaker(ending(func(context.Context, Op) error {
			calls.Add(1)
			if !healthy.Load() {
				return failure(Ambiguous)
			}
			return nil
		}), BreakerOptions{Log: quiet, Probe: func(ctx context.Context, e Endpoint) error {
			probes.Add(1)
			return e.HeadBucket(ctx, "identity")
		}})
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error)
		go func() { done <- b.Run(ctx) }()

		for range 4 {
			b.Delete(ctx, "b", "k")
		}
		if h := b.Health(); h.State != Degraded || h.Opens != 0 {
			t.Errorf("after four failures: %+v", h)
		}
		b.Delete(ctx, "b", "k")
		if h := b.Health(); h.State != Down || h.Opens != 1 || h.LastError == nil || !h.Since.Equal(time.Now()) {
			t.Errorf("after five failures: %+v", h)
		}
		err := b.Delete(ctx, "b", "k")
		if OutcomeOf(err) != NotSent || !errors.Is(err, ErrOpen) || calls.Load() != 5 {
			t.Errorf("%v, %d calls", err, calls.Load())
		}
		time.Sleep(time.Minute)
		synctest.Wait()
		if n := probes.Load(); b.Health().State != Down || n < 10 || n > 20 {
			t.Errorf("after a minute: %+v, %d probes", b.Health(), n)
		}
		healthy.Store(true)
		time.Sleep(7 * time.Second) // the longest pause, and jitter
		synctest.Wait()
		if h := b.Health(); h.State != Up || h.Opens != 1 || h.LastSuccess.IsZero() {
			t.Errorf("when all is well: %+v", h)
		}
		if err := b.Delete(ctx, "b", "k"); err != nil {
			t.Error(err)
		}
		b.Open(&Error{Misconfigured: true, Outcome: Refused})
		if h := b.Health(); h.State != Down || !h.Misconfigured || h.Opens != 2 {
			t.Errorf("opened by hand: %+v", h)
		}
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
}

// TestBreakerOpensByRate: failures that never come five in a row.
func TestBreakerOpensByRate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := 0
		b := NewBreaker(ending(func(context.Context, Op) error {
			if n++; n%4 != 0 {
				return failure(Throttled)
			}
			return nil
		}), BreakerOptions{Log: quiet})
		for range 19 {
			b.Delete(t.Context(), "b", "k")
		}
		if b.Health().State == Down {
			t.Error("open before enough operations ended")
		}
		time.Sleep(11 * time.Second) // they are forgotten
		if s := b.Health().State; s != Up {
			t.Errorf("after the window: %v", s)
		}
		for range 20 {
			b.Delete(t.Context(), "b", "k")
		}
		if b.Health().State != Down {
			t.Error("closed with three failures in four")
		}
	})
}

// TestBlame: whose fault an end is.
func TestBlame(t *testing.T) {
	live := context.Background()
	gone, cancel := context.WithCancel(live)
	cancel()
	stalled, cancelStalled := context.WithCancelCause(live)
	cancelStalled(fmt.Errorf("the write left it: %w", ErrStalled))
	late, cancelLate := context.WithTimeout(live, 0)
	defer cancelLate()
	<-late.Done()
	refused := func(code s3.Code, misconfigured bool) error {
		return &Error{Outcome: Refused, Misconfigured: misconfigured, S3: s3.Err(code)}
	}
	for _, test := range []struct {
		name string
		ctx  context.Context
		err  error
		want verdict
	}{
		{"success", live, nil, innocent},
		{"absent", live, failure(Absent), innocent},
		{"a refusal of the request", live, refused(s3.PreconditionFailed, false), innocent},
		{"no bucket", live, refused(s3.NoSuchBucket, true), innocent},
		{"a policy on a key", live, refused(s3.AccessDenied, true), innocent},
		{"credentials", live, refused(s3.InvalidAccessKeyID, true), guilty},
		{"a redirect", live, refused(s3.PermanentRedirect, true), guilty},
		{"clock", live, refused(s3.RequestTimeTooSkewed, true), guilty},
		{"throttled", live, failure(Throttled), guilty},
		{"not sent", live, failure(NotSent), guilty},
		{"no answer", live, failure(Ambiguous), guilty},
		{"another error", live, errors.New("other"), guilty},
		{"the caller went away", gone, failure(Ambiguous), unknown},
		{"the caller saw no progress", stalled, failure(NotSent), guilty},
		{"the caller's deadline", late, failure(Ambiguous), guilty},
		{"our body", live, &Error{Outcome: NotSent, Err: ErrBody}, unknown},
		{"our request", live, &Error{Outcome: NotSent, Err: ErrRequest}, unknown},
		{"a breaker below", live, &Error{Outcome: NotSent, Err: ErrOpen}, unknown},
		{"an odd order", live, &Error{Outcome: Ambiguous, Misconfigured: true, Err: ErrOrder}, innocent},
	} {
		if got := blame(test.ctx, test.err); got != test.want {
			t.Errorf("%s: %v, want %v", test.name, got, test.want)
		}
	}
}

// TestObserve: what a caller saw counts like an operation.
func TestObserve(t *testing.T) {
	b := NewBreaker(ending(func(context.Context, Op) error { return nil }), BreakerOptions{Log: quiet, Failures: 2})
	b.Observe(ErrStalled)
	b.Observe(ErrStalled)
	if h := b.Health(); h.State != Down || !errors.Is(h.LastError, ErrStalled) {
		t.Errorf("%+v", h)
	}
}

// TestInFlight counts what has not ended.
func TestInFlight(t *testing.T) {
	var b *Breaker
	b = NewBreaker(ending(func(context.Context, Op) error {
		if n := b.Health().InFlight; n != 1 {
			t.Errorf("%d in flight", n)
		}
		return nil
	}), BreakerOptions{Log: quiet})
	b.Delete(t.Context(), "b", "k")
	if n := b.Health().InFlight; n != 0 {
		t.Errorf("then %d", n)
	}
}

package backend

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"
)

// TestLimits: bytes and requests take their time, and the limits can change.
func TestLimits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := NewLimits(0, 10)
		e := Limit(ending(func(context.Context, Op) error { return nil }), l)
		took := func(n int) time.Duration {
			start := time.Now()
			for range n {
				e.Delete(t.Context(), "b", "k")
			}
			return time.Since(start).Round(10 * time.Millisecond)
		}
		if d := took(11); d != time.Second {
			t.Errorf("11 requests took %v", d)
		}
		l.Set(0, 0)
		if d := took(1000); d != 0 {
			t.Errorf("without a limit they took %v", d)
		}
		if b, r := l.Current(); b != 0 || r != 0 {
			t.Errorf("limits %v %v", b, r)
		}
		l.Set(1<<20, 5)
		if b, r := l.Current(); b != 1<<20 || r != 5 {
			t.Errorf("limits %v %v", b, r)
		}
		start := time.Now()
		if err := l.spend(t.Context(), 5<<20); err != nil {
			t.Error(err)
		}
		if d := time.Since(start).Round(10 * time.Millisecond); d != 4*time.Second { // a burst is free
			t.Errorf("5 MiB took %v", d)
		}
		ctx, cancel := context.WithCancelCause(t.Context())
		why := errors.New("why")
		cancel(why)
		if err := e.Delete(ctx, "b", "k"); OutcomeOf(err) != NotSent || !errors.Is(err, why) {
			t.Errorf("%v", err)
		}
		if err := l.spend(ctx, 1<<20); !errors.Is(err, why) {
			t.Errorf("%v", err)
		}
	})
}

package backend

import (
	"context"
	"testing"
	"testing/synctest"
)

// TestRetry: reads again and again, but not for ever; mutations never.
func TestRetry(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		calls := 0
		var end error = failure(Ambiguous)
		e := Retry(ending(func(context.Context, Op) error { calls++; return end }))
		count := func(do func()) int {
			calls = 0
			do()
			return calls
		}
		head := func() { e.Head(t.Context(), "b", "k") }
		if n := count(head); n != 3 {
			t.Errorf("a head was tried %d times", n)
		}
		if n := count(func() { e.Delete(t.Context(), "b", "k") }); n != 1 {
			t.Errorf("a delete was tried %d times", n)
		}
		if n := count(func() { e.Put(t.Context(), PutRequest{}) }); n != 1 {
			t.Errorf("a put was tried %d times", n)
		}
		for _, verdict := range []error{
			nil, failure(Absent), failure(Refused), &Error{Outcome: NotSent, Err: ErrOpen}, &Error{Outcome: Ambiguous, Misconfigured: true},
		} {
			end = verdict
			if n := count(head); n != 1 {
				t.Errorf("%v was tried %d times", verdict, n)
			}
		}
		end = failure(Throttled)
		if n := count(func() {
			for range 1000 {
				head()
			}
		}); n < 1080 || n > 1000+100+retryReserve {
			t.Errorf("a thousand heads became %d", n)
		}
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if n := count(func() { e.Head(ctx, "b", "k") }); n != 1 {
			t.Errorf("for nobody, %d tries", n)
		}
	})
}

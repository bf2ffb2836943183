//go:build e2e

package e2e

import (
	"fmt"
	"testing"

	"github.com/s3mirror/s3mirror/test/e2e/harness"
	"github.com/s3mirror/s3mirror/test/e2e/wire"
)

// TestWhatWasMissedIsMerged lets a backend miss fifty PUTs and a DELETE of one
// key, and twenty PUTs of another. Counted before the backend, that costs it one
// DELETE and one PUT.
func TestWhatWasMissedIsMerged(t *testing.T) {
	t.Parallel()
	backends := harness.StartBackends(t, 3)
	counts, seen := countAll(t, backends)
	g := harness.StartGateway(t, seen, harness.Options{})
	createBucket(t, g.Client, "merge")
	put := func(key string, n int) {
		t.Helper()
		a, err := g.Client.Put(t.Context(), "merge", key, wire.Literal, fmt.Appendf(nil, "%s %d", key, n))
		if err != nil || a.Status != 200 {
			t.Fatalf("put %s: %v, %v", key, a, err)
		}
	}
	put("gone", 0)
	g.Converge(t)

	backends[1].Kill()
	for n := range 50 {
		put("gone", 1+n)
		if n < 20 {
			put("kept", n)
		}
	}
	if a, err := g.Client.Delete(t.Context(), "merge", "gone"); err != nil || a.Status != 204 {
		t.Fatalf("delete: %v, %v", a, err)
	}
	harness.Eventually(t, "the backend lags by two keys, and nothing else is open", func() error {
		if s := g.Status(t); s.Backend("b-2").LaggingKeys != 2 || s.InFlight.Keys != 0 {
			return fmt.Errorf("status is %+v", s)
		}
		return nil
	})
	for _, c := range counts {
		c.reset()
	}
	backends[1].Start(t)
	g.Converge(t)
	held := harness.RequireEqual(t, g, "merge", backends...)
	if len(held) != 1 {
		t.Errorf("%d keys are left", len(held))
	}
	for _, want := range []struct {
		verb, key string
		n         int64
	}{{"DELETE", "gone", 1}, {"PUT", "gone", 0}, {"PUT", "kept", 1}, {"DELETE", "kept", 0}} {
		if got := counts[1].of(want.verb, "/merge/"+want.key); got != want.n {
			t.Errorf("backend b-2 got %d %ss of %q, want %d", got, want.verb, want.key, want.n)
		}
	}
	for _, c := range []*counting{counts[0], counts[2]} {
		for _, key := range []string{"/merge/gone", "/merge/kept"} { // a tombstone goes when all have confirmed the delete
			if n := c.of("PUT", key) + c.of("DELETE", key); n != 0 {
				t.Errorf("backend %s missed nothing and got %d writes of %s", c.Name, n, key)
			}
		}
	}
}

//go:build e2e

package e2e

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/s3mirror/s3mirror/test/e2e/harness"
	"github.com/s3mirror/s3mirror/test/e2e/wire"
)

// TestRebuild: while one backend is dead objects are written, overwritten and deleted; then
// the log is lost. serve refuses, rebuild makes the log anew, and everything that was
// acknowledged is there, on all backends alike.
func TestRebuild(t *testing.T) {
	t.Parallel()
	backends := harness.StartBackends(t, 3)
	g := harness.StartGateway(t, backends, harness.Options{})
	createBucket(t, g.Client, "proof")
	want := map[string][]byte{}
	put := func(key string, size int) {
		t.Helper()
		body := harness.Body(fmt.Sprintf("%s %d %d", key, size, len(want)), size)
		a, err := g.Client.Put(t.Context(), "proof", key, wire.Literal, body)
		if err != nil || a.Status != 200 {
			t.Fatalf("put %s: %d, %v", key, a.Status, err)
		}
		want[key] = body
	}
	for i := range 20 {
		put(fmt.Sprintf("same/%d", i), 100+i)
		put(fmt.Sprintf("over/%d", i), 100+i)
		put(fmt.Sprintf("gone/%d", i), 100+i)
	}
	put("over/stream", 6_000_000)
	g.Converge(t)
	backends[1].Kill()
	for i := range 20 {
		put(fmt.Sprintf("over/%d", i), 200+i)
		put(fmt.Sprintf("new/%d", i), 100+i)
	}
	put("over/stream", 7_000_000)
	// An acknowledged delete that one backend missed stays one without a log.
	for i := range 20 {
		key := fmt.Sprintf("gone/%d", i)
		if a, err := g.Client.Delete(t.Context(), "proof", key); err != nil || a.Status != 204 {
			t.Fatalf("delete %s: %d, %v", key, a.Status, err)
		}
		delete(want, key)
	}
	put("gone/7", 55) // and one is written again
	g.Kill()
	if err := os.RemoveAll(g.DataDir); err != nil {
		t.Fatal(err)
	}

	code, _, stderr := g.CLI(t, "rebuild", "--config", g.Config)
	if code != 1 || !strings.Contains(stderr, "not complete") || !strings.Contains(stderr, "b-2") {
		t.Errorf("rebuild without a backend: exit %d: %s", code, stderr)
	}
	backends[1].Start(t)
	for _, half := range []bool{true, false} {
		p := g.Launch(t)
		if code, err := p.Wait(20 * time.Second); err != nil || code != 1 || !strings.Contains(p.Output(), "s3mirror rebuild") {
			t.Errorf("serve on a lost log, half %v: exit %d, %v: %s", half, code, err, p.Output())
		}
		if half { // as if nobody had tried
			if err := os.RemoveAll(g.DataDir); err != nil {
				t.Fatal(err)
			}
		}
	}
	code, stdout, stderr := g.CLI(t, "rebuild", "--config", g.Config, "--output", "json")
	var rep struct {
		Buckets []struct {
			Bucket                                   string
			Keys, Differing, Deleted, Kept, Unplaced int64
		}
		Lost []string
	}
	if err := json.Unmarshal([]byte(stdout), &rep); err != nil || code != 0 || len(rep.Buckets) != 1 || len(rep.Lost) == 0 {
		t.Fatalf("rebuild: exit %d, %v: %s%s", code, err, stdout, stderr)
	}
	if b := rep.Buckets[0]; b.Keys != 81 || b.Differing != 61 || b.Deleted != 19 || b.Kept != 20 || b.Unplaced != 1 {
		t.Errorf("rebuilt: %+v", b)
	}

	g.Start(t)
	requireObjects(t, g, want) // before anything is healed
	g.Converge(t)
	requireObjects(t, g, want)
	held := harness.RequireEqual(t, g, "proof", backends...)
	if len(held) != len(want) {
		t.Errorf("the backends hold %d objects, want %d", len(held), len(want))
	}
	harness.Eventually(t, "no tombstone is left", func() error {
		for _, b := range backends {
			left, err := b.Client.List(t.Context(), "proof", ".s3mirror/tombstones/", 1000)
			if err != nil || len(left) > 0 {
				return errors.Join(err, fmt.Errorf("%s: %q", b.Name, left))
			}
		}
		return nil
	})
}

// requireObjects reads everything through the gateway.
func requireObjects(t *testing.T, g *harness.Gateway, want map[string][]byte) {
	t.Helper()
	keys, err := g.Client.List(t.Context(), "proof", "", 1000)
	if err != nil || len(keys) != len(want) {
		t.Errorf("listed are %d keys, want %d: %v", len(keys), len(want), err)
	}
	for _, key := range keys {
		a, err := g.Client.Get(t.Context(), "proof", key)
		if err != nil || a.Status != 200 || !slices.Equal(a.Body, want[key]) {
			t.Errorf("get %s: %d, %d bytes, want %d: %v", key, a.Status, len(a.Body), len(want[key]), err)
		}
	}
}

// TestServeRebuild does both at once, and leaves a log alone that is not lost.
func TestServeRebuild(t *testing.T) {
	t.Parallel()
	backends := harness.StartBackends(t, 2)
	g := harness.StartGateway(t, backends, harness.Options{})
	createBucket(t, g.Client, "proof")
	if a, err := g.Client.Put(t.Context(), "proof", "k", wire.Literal, []byte("text")); err != nil || a.Status != 200 {
		t.Fatalf("put: %d, %v", a.Status, err)
	}
	g.Converge(t)
	g.Kill()
	code, _, stderr := g.CLI(t, "rebuild", "--config", g.Config)
	if code != 1 || !strings.Contains(stderr, "it is not lost") {
		t.Errorf("rebuild of a log that is there: exit %d: %s", code, stderr)
	}
	if err := os.RemoveAll(g.DataDir); err != nil {
		t.Fatal(err)
	}
	g.More = []string{"--rebuild"}
	for range 2 {
		g.Start(t)
		if a, err := g.Client.Get(t.Context(), "proof", "k"); err != nil || string(a.Body) != "text" {
			t.Errorf("get: %d, %q, %v", a.Status, a.Body, err)
		}
		g.Converge(t)
		g.Kill()
	}
}

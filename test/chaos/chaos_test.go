//go:build chaos

package chaos

import (
	"errors"
	"flag"
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"syscall"
	"testing"
	"time"

	"github.com/anishathalye/porcupine"

	"github.com/s3mirror/s3mirror/test/e2e/harness"
)

var (
	duration = flag.Duration("chaos.duration", 30*time.Second, "how long the nemeses strike")
	seed     = flag.Uint64("chaos.seed", 0, "of the nemeses and the clients; 0 draws one")
)

func TestMain(m *testing.M) {
	flag.Parse()
	os.Exit(harness.Main(m))
}

// The times of RELIABILITY 4.1 for chaos. Every stall ends within half a settle
// time.
const (
	settle    = 20 * time.Second
	lease     = 8 * time.Second
	retention = 60 * time.Second
	stall     = settle / 2
)

// nemesis hurts something, waits, and mends it. It returns how many requests were
// under way when it struck.
type nemesis struct {
	name   string
	strike func(w *world, rnd *rand.Rand) int
}

// world is everything that can be hurt.
type world struct {
	t        *testing.T
	backends []*harness.Backend
	proxies  []*proxy
	gateway  *harness.Gateway
	clients  *clients
}

// pause is how long a fault lasts.
func pause(rnd *rand.Rand, most time.Duration) {
	time.Sleep(500*time.Millisecond + time.Duration(rnd.Int64N(int64(most-500*time.Millisecond))))
}

// through is a nemesis that a proxy makes.
func through(f fault) func(*world, *rand.Rand) int {
	return func(w *world, rnd *rand.Rand) int {
		p := w.proxies[rnd.IntN(len(w.proxies))]
		p.after.Store(int64(rnd.IntN(4000)))
		n := p.set(f)
		pause(rnd, 4*time.Second)
		n = max(n, p.underWay())
		p.set(none)
		p.cut()
		return n
	}
}

var nemeses = []nemesis{
	{"gateway killed", func(w *world, _ *rand.Rand) int {
		n := int(w.clients.flight.Load())
		w.gateway.Kill()
		w.gateway.Start(w.t)
		return n
	}},
	{"gateway stopped", func(w *world, rnd *rand.Rand) int {
		w.gateway.Process().Signal(syscall.SIGSTOP)
		pause(rnd, stall) // beyond the lease, now and then
		n := int(w.clients.flight.Load())
		w.gateway.Process().Signal(syscall.SIGCONT)
		return n
	}},
	{"backend killed", func(w *world, rnd *rand.Rand) int {
		i := rnd.IntN(len(w.backends))
		n := w.proxies[i].underWay()
		w.backends[i].Kill()
		pause(rnd, 3*time.Second)
		w.backends[i].Start(w.t)
		return n
	}},
	{"backend stopped", func(w *world, rnd *rand.Rand) int {
		i := rnd.IntN(len(w.backends))
		n := w.proxies[i].underWay()
		w.backends[i].Hang()
		pause(rnd, stall/2)
		w.backends[i].Resume()
		return n
	}},
	{"connections cut", func(w *world, rnd *rand.Rand) int {
		p := w.proxies[rnd.IntN(len(w.proxies))]
		n := 0
		for range 10 {
			n += p.underWay()
			p.cut()
			time.Sleep(time.Duration(rnd.IntN(100)) * time.Millisecond)
		}
		return n
	}},
	{"blackhole", through(blackhole)},
	{"1 KiB/s", through(slow)},
	{"answers dropped", through(dropAnswers)},
	{"cut after n bytes", through(cutAfter)},
}

// TestChaos plays all nemeses, in rounds of random order, under load.
func TestChaos(t *testing.T) {
	if *seed == 0 {
		*seed = uint64(time.Now().UnixNano())
	}
	t.Logf("seed %d: SEED=%d make chaos plays the same faults", *seed, *seed)
	w := begin(t)
	rnd := rand.New(rand.NewPCG(*seed, 0))
	struck, hit := map[string]int{}, map[string]int{}
	end := time.Now().Add(*duration)
	for time.Now().Before(end) || len(struck) < len(nemeses) {
		for _, i := range rnd.Perm(len(nemeses)) {
			n := nemeses[i]
			began := time.Now()
			hit[n.name] += n.strike(w, rnd)
			struck[n.name]++
			t.Logf("%6.1fs %s for %v", time.Since(w.clients.hist.began).Seconds(), n.name, time.Since(began).Round(time.Millisecond))
			time.Sleep(500 * time.Millisecond)
			if time.Now().After(end) && len(struck) == len(nemeses) {
				break
			}
		}
	}
	for _, n := range nemeses {
		t.Logf("%-20s %3d times, %4d requests under way", n.name, struck[n.name], hit[n.name])
		if hit[n.name] == 0 {
			t.Errorf("%s never hit a request under way", n.name)
		}
	}
	w.finish()
}

// begin starts everything.
func begin(t *testing.T) *world {
	w := &world{t: t, backends: harness.StartBackends(t, 3)}
	var behind []*harness.Backend
	for _, b := range w.backends {
		p := startProxy(t, b.Addr)
		seen := *b
		seen.Addr = p.addr
		w.proxies, behind = append(w.proxies, p), append(behind, &seen)
	}
	w.gateway = harness.StartGateway(t, behind, harness.Options{Settle: settle, Lease: lease, Retention: retention})
	if a, err := w.gateway.Client.Do(t.Context(), "PUT", bucket, "", "", nil); err != nil || a.Status != 200 {
		t.Fatalf("create bucket: %v, %v", a, err)
	}
	w.clients = &clients{
		t: t, target: w.gateway.Client, hist: newHistory(), stop: make(chan struct{}),
		bodies: map[string][]byte{}, turn: map[string]int{},
	}
	w.clients.start(12, *seed)
	time.Sleep(2 * time.Second) // some load without faults
	return w
}

// finish lets calm come, reads every key, and judges.
func (w *world) finish() {
	t, c := w.t, w.clients
	time.Sleep(2 * time.Second) // some load without faults
	close(c.stop)
	c.running.Wait()
	time.Sleep(settle) // the calm: what was late has landed
	for _, key := range slices.Sorted(maps.Keys(c.hist.ops)) {
		harness.Eventually(t, "every key can be read", func() error {
			before := c.hist.tallied("read answered")
			c.head(t.Context(), 99, key)
			if c.hist.tallied("read answered") == before {
				return errors.New(key + " cannot")
			}
			return nil
		})
	}
	acked, doubt := c.hist.tallied("write acknowledged", "condition refused"), c.hist.tallied("write in doubt")
	reads, failed := c.hist.tallied("read answered"), c.hist.tallied("read failed")
	share := 100 * float64(acked+reads) / float64(acked+reads+doubt+failed)
	t.Logf("%d writes answered, %d in doubt, %d reads answered, %d failed, %d hung up: %.1f %% answered",
		acked, doubt, reads, failed, c.hist.tallied("hung up"), share)
	if acked+reads < 1000 || share < 80 {
		t.Errorf("%d operations answered, %.1f %%: want 1000 and 80 %%", acked+reads, share)
	}
	for _, line := range c.wrong[:min(len(c.wrong), 20)] {
		t.Error(line)
	}
	for key, what := range c.hist.verdicts(time.Minute) {
		t.Errorf("the history of %s %s: %s", key, what, w.draw(key))
	}
	w.gateway.Converge(t)
	harness.Eventually(t, "the backends are equal", func() error {
		var copies []harness.Snapped
		for _, b := range w.backends {
			objects, err := harness.Snapshot(t.Context(), b.Client, bucket)
			if err != nil {
				return err
			}
			copies = append(copies, harness.Snapped{Backend: b.Name, Objects: objects})
		}
		if diffs := harness.Differences(copies, w.gateway.StampKey(), bucket); len(diffs) > 0 {
			return fmt.Errorf("%d differences, the first: %s", len(diffs), diffs[0])
		}
		return nil
	})
}

// draw keeps a picture of a key's history in a folder that git ignores.
func (w *world) draw(key string) string {
	dir := filepath.Join(harness.Root(), ".chaos")
	if err := os.MkdirAll(dir, 0o755); err != nil { //nolint:gosec // for whoever runs the tests
		return err.Error()
	}
	ops := w.clients.hist.ops[key]
	_, info := porcupine.CheckOperationsVerbose(register, ops, time.Minute)
	path := filepath.Join(dir, fmt.Sprintf("%d-%s.html", *seed, filepath.Base(filepath.Dir(key))))
	if err := porcupine.VisualizePath(register, info, path); err != nil {
		return err.Error()
	}
	return path
}

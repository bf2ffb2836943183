//go:build e2e

package e2e

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/s3mirror/s3mirror/test/e2e/harness"
	"github.com/s3mirror/s3mirror/test/e2e/wire"
)

// load is a number of clients, each the only one that touches its keys, so
// that for every key the order of its writes is known.
type load struct {
	client *harness.Client
	bucket string
	keys   []*harness.Key
	seed   uint64
	rounds uint64 // how often run was called

	ops                     atomic.Int64 // writes and reads answered or given up
	acked, refused, unknown atomic.Int64 // writes by outcome
	reads, readErrors       atomic.Int64 // reads that answered, and that did not

	mu    sync.Mutex
	wrong []string       // guarded by mu: reads that returned what they may not, writes refused
	keyed []string       // guarded by mu: the key of each
	doubt map[string]int // guarded by mu: what writes in doubt were answered
}

func newLoad(client *harness.Client, bucket string, keys int, seed uint64) *load {
	l := &load{client: client, bucket: bucket, seed: seed}
	for i := range keys {
		l.keys = append(l.keys, &harness.Key{Name: fmt.Sprintf("dir-%d/key-%04d", i%7, i)})
	}
	return l
}

// worker is one client: its share of the keys, and its own dice.
type worker struct {
	*load
	keys []*harness.Key
	rnd  *rand.Rand
	name string // unlike any other worker's of the load, in any round
	n    int    // ops so far
	last string // what the last write was answered
}

// run lets n workers go and returns a function that waits for them. One round
// must end before the next begins.
func (l *load) run(n int, work func(w *worker)) (wait func()) {
	var wg sync.WaitGroup
	l.rounds++
	for i := range n {
		w := &worker{load: l, name: fmt.Sprintf("%d-%d-%d", l.seed, l.rounds, i),
			rnd: rand.New(rand.NewPCG(l.seed, l.rounds<<32+uint64(i)))}
		for j := i; j < len(l.keys); j += n {
			w.keys = append(w.keys, l.keys[j])
		}
		wg.Go(func() { work(w) })
	}
	return wg.Wait
}

// op is the name of the worker's next operation, unlike any other of the test.
func (w *worker) op() string {
	w.n++
	return fmt.Sprintf("%s-%d", w.name, w.n)
}

// put writes a key, its payload mode by turns.
func (w *worker) put(ctx context.Context, k *harness.Key, size int) harness.Outcome {
	op := w.op()
	write := harness.NewWrite(op, size, w.rnd)
	a, err := w.client.Put(ctx, w.bucket, k.Name, wire.Modes[w.n%len(wire.Modes)], write.Body, write.Fields...)
	write.ETag = harness.ETagOf(a)
	return w.judge(k, "PUT", write.Version, a, err)
}

func (w *worker) delete(ctx context.Context, k *harness.Key) harness.Outcome {
	op := w.op()
	a, err := w.client.Delete(ctx, w.bucket, k.Name)
	return w.judge(k, "DELETE", harness.Version{Op: op}, a, err)
}

func (w *worker) judge(k *harness.Key, verb string, v harness.Version, a wire.Answer, err error) harness.Outcome {
	o := harness.Judge(a, err)
	w.last = fmt.Sprint(a, err)
	if err == nil {
		w.last = a.String()
	}
	k.Wrote(v, o)
	switch o {
	case harness.Acked:
		w.acked.Add(1)
	case harness.Unknown:
		w.unknown.Add(1)
		w.doubted(a, err)
	case harness.Refused:
		w.refused.Add(1)
		w.blame(k, "%s was refused, a correct request: %v", verb, a)
	}
	w.ops.Add(1)
	return o
}

// read checks a key against what its writer may expect.
func (w *worker) read(ctx context.Context, k *harness.Key) {
	defer w.ops.Add(1)
	o, err := w.client.Object(ctx, w.bucket, k.Name)
	if _, missing := err.(harness.Missing); err != nil && !missing {
		w.readErrors.Add(1)
		return
	}
	w.reads.Add(1)
	if err := k.Saw(o, err); err != nil {
		w.blame(k, "read: %v", err)
	}
	for name := range o.Header {
		if o.Stamp != "" {
			w.blame(k, "read shows internal metadata beside %s", name)
			break
		}
	}
}

func (l *load) blame(k *harness.Key, format string, args ...any) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.wrong = append(l.wrong, fmt.Sprintf("%s %q: ", time.Now().UTC().Format(time.StampMilli), k.Name)+fmt.Sprintf(format, args...))
	l.keyed = append(l.keyed, k.Name)
}

// explain shows what the gateway knows of the first keys that were blamed.
func (l *load) explain(t *testing.T, g *harness.Gateway) {
	t.Helper()
	l.mu.Lock()
	keys := slices.Compact(l.keyed)
	l.mu.Unlock()
	for _, key := range keys[:min(3, len(keys))] {
		_, stdout, stderr := g.CLI(t, "history", "--bucket", l.bucket, "--prefix", key, "--limit", "40")
		t.Logf("history of %q:\n%s%s", key, stdout, stderr)
	}
}

// doubted counts the answers that say neither yes nor no. An error of the
// transport counts as one kind, for its text holds ports and keys.
func (l *load) doubted(a wire.Answer, err error) {
	what := a.String()
	if err != nil {
		what = "no answer"
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.doubt == nil {
		l.doubt = map[string]int{}
	}
	l.doubt[what]++
}

// verdict fails the test if anything was blamed.
func (l *load) verdict(t *testing.T) {
	t.Helper()
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.doubt) > 0 {
		t.Logf("writes in doubt, by answer: %v", l.doubt)
	}
	if len(l.wrong) > 0 {
		t.Errorf("%d answers were wrong:\n%s", len(l.wrong), harness.Abridged(l.wrong, 20))
	}
}

// reach waits until the load has done n operations.
func (l *load) reach(t *testing.T, n int64) {
	t.Helper()
	harness.Eventually(t, fmt.Sprintf("%d operations done", n), func() error {
		if got := l.ops.Load(); got < n {
			return fmt.Errorf("only %d", got)
		}
		return nil
	})
}

// settle waits for convergence and compares: the replicas with each other,
// each with what was acknowledged, and the gateway's own view with both.
func (l *load) settle(t *testing.T, g *harness.Gateway, backends []*harness.Backend) {
	t.Helper()
	status := g.Converge(t)
	if status.Refused.Keys != 0 {
		t.Errorf("%d keys are refused, none should be", status.Refused.Keys)
	}
	held := harness.RequireEqual(t, g, l.bucket, backends...)
	harness.RequireModel(t, "the replicas", held, l.keys)
	shown, err := harness.Snapshot(t.Context(), g.Client, l.bucket)
	if err != nil {
		t.Fatalf("reading everything through the gateway: %v", err)
	}
	harness.RequireModel(t, "the gateway", shown, l.keys)
	present := 0
	for _, k := range l.keys {
		if k.Certain.Present {
			present++
		}
	}
	t.Logf("%d keys present and %d absent, equal on %d backends and through the gateway",
		present, len(l.keys)-present, len(backends))
	l.listing(t, g.Client, held)
}

// listing pages through the bucket in small steps: every key once, in order.
func (l *load) listing(t *testing.T, c *harness.Client, held map[string]harness.Object) {
	t.Helper()
	keys, err := c.List(t.Context(), l.bucket, "dir-3/", 7)
	if err != nil {
		t.Fatal(err)
	}
	want := 0
	for name := range held {
		if len(name) > 6 && name[:6] == "dir-3/" {
			want++
		}
	}
	for i, name := range keys {
		if _, ok := held[name]; !ok || i > 0 && keys[i-1] >= name {
			t.Errorf("list shows %q at place %d, which is not there or out of order", name, i)
		}
	}
	if len(keys) != want {
		t.Errorf("list by pages of 7 shows %d keys, the backends hold %d", len(keys), want)
	}
}

// small are the sizes of most objects in the world, and those around the
// limits where code changes its mind.
func small(rnd *rand.Rand) int {
	edges := []int{0, 1, 1000, 8191, 8192, 8193, 65535, 65536, 65537, 128 << 10}
	if rnd.IntN(3) == 0 {
		return edges[rnd.IntN(len(edges))]
	}
	return 1 << rnd.IntN(18) * (1 + rnd.IntN(100)) / 100
}

// newRand are dice that fall the same way in every run.
func newRand(seed uint64) *rand.Rand { return rand.New(rand.NewPCG(seed, seed)) }

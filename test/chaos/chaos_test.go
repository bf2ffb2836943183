//go:build chaos

package chaos

import (
	"cmp"
	"context"
	"crypto/sha256"
	"errors"
	"flag"
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/anishathalye/porcupine"

	"github.com/s3mirror/s3mirror/test/cassandra/ring"
	"github.com/s3mirror/s3mirror/test/e2e/harness"
)

var (
	duration  = flag.Duration("chaos.duration", 30*time.Second, "how long each binary is struck")
	seed      = flag.Uint64("chaos.seed", 0, "of the nemeses and the clients; 0 draws one")
	timesName = flag.String("chaos.times", "chaos", "of the protocol: chaos, default, late, or settle-0, which must fail")
)

func TestMain(m *testing.M) {
	flag.Parse()
	os.Exit(harness.Main(m))
}

// times are those of RELIABILITY 4.1, and of the faults that it allows.
type times struct {
	settle, lease, retention time.Duration
	work, stray              time.Duration // uploads.complete and uploads.stray
	stall                    time.Duration // longest time for which anything stands still or is held back; half a settle at most
	late                     bool          // after each fault everything is applied late: the requests of a gateway that stood still
	wrong                    bool          // they are no times to be safe with
}

var timesOf = map[string]times{
	"chaos":   {settle: 20 * time.Second, lease: 8 * time.Second, retention: time.Minute, work: 10 * time.Second, stray: 45 * time.Second, stall: 10 * time.Second},
	"default": {settle: 5 * time.Minute, lease: 10 * time.Second, retention: time.Hour, work: 10 * time.Minute, stray: 30 * time.Minute, stall: time.Minute},
	// The same faults without a settle time, and with one: all that differs is the
	// settle time, and the retention that follows from it.
	"settle-0": {lease: time.Second, retention: 5 * time.Second, work: time.Second, stray: 45 * time.Second, stall: 10 * time.Second, late: true, wrong: true},
	// Of several gateways, whose lease is also their place among the others.
	"cluster": {settle: 16 * time.Second, lease: 6 * time.Second, retention: 48 * time.Second, work: 10 * time.Second, stray: 45 * time.Second, stall: 8 * time.Second},
	"late":    {lease: time.Second, retention: 45 * time.Second, work: 10 * time.Second, stray: 45 * time.Second, stall: 10 * time.Second, late: true, settle: 20 * time.Second},
}

// world is everything that can be hurt.
type world struct {
	t        *testing.T
	times    times
	backends []*harness.Backend
	behind   []*harness.Backend // as the gateways see them: behind their proxies
	proxies  []*proxy
	gateway  *harness.Gateway   // the one that failpoints strike; of several the last
	gateways []*harness.Gateway // those that other nemeses strike
	nemeses  []nemesis
	floor    int        // operations that must be answered; 0: 1000
	ring     *ring.Ring // the log of several gateways; nil: it is the one's own
	ways     []*way     // from each of gateways to it
	clients  *clients
	found    []string        // violations of what is promised
	left     map[string]bool // uploads that clients left behind
	leave    func()          // lets the next test have load; at the end of this one at the latest
	bare     map[string]bool // backends whose tags the rows keep: they are asked for none
}

// logf says something with its time.
func (w *world) logf(format string, args ...any) {
	w.t.Logf("%6.1fs %s", time.Since(w.clients.hist.began).Seconds(), fmt.Sprintf(format, args...))
}

// violation notes that data were lost, mixed up or not replicated.
func (w *world) violation(format string, args ...any) {
	w.found = append(w.found, fmt.Sprintf(format, args...))
}

// TestChaos plays all nemeses against the shipped binary under load, then all
// failpoints against one that has them, on the same data. After a calm it judges
// what the clients saw and compares the backends. With the times late and settle-0
// it plays the nemeses alone, and must find a violation with the latter.
func TestChaos(t *testing.T) {
	times, ok := timesOf[*timesName]
	if !ok {
		t.Fatalf("-chaos.times=%s: there are no such times", *timesName)
	}
	if *seed == 0 {
		*seed = uint64(time.Now().UnixNano())
	}
	t.Logf("seed %d, times %s: make chaos SEED=%d plays the same faults", *seed, *timesName, *seed)
	t.Parallel()
	w := begin(t, times)
	rnd := rand.New(rand.NewPCG(*seed, 0))
	did := w.play(rnd, *duration)
	if times.late {
		w.late(rnd, w.proxies) // what lands after the last writes is not overwritten by others
		w.calm(time.Sleep)
		w.account(did)
		if times.wrong {
			w.expectViolation()
		} else {
			w.expectNone()
		}
		return
	}
	f := newFailing(w, rnd)
	w.fail(f)
	w.calm(func(d time.Duration) { f.watch(d, true) })
	w.account(did)
	f.account()
	w.expectNone()
}

// begin starts everything.
func begin(t *testing.T, times times) *world {
	w := newWorld(t, times)
	w.behindProxies(harness.StartBackends(t, 3))
	o := w.options()
	if times.wrong {
		o.NoSettle, o.Program = true, failpointsBinary(t)
	}
	w.gateway = harness.StartGateway(t, w.behind, o)
	w.gateways = []*harness.Gateway{w.gateway}
	w.load(w.gateway.Client)
	return w
}

// stage is held by the one test that has clients at work or begins to: what its machine
// can do is what the clock of its faults counts on. In its calm the next one begins.
var stage sync.Mutex

// newWorld waits until no other test has load.
func newWorld(t *testing.T, times times) *world {
	stage.Lock()
	leave := sync.OnceFunc(stage.Unlock)
	t.Cleanup(leave)
	return &world{t: t, times: times, left: map[string]bool{}, nemeses: nemeses, leave: leave}
}

// behindProxies puts a proxy before each backend.
func (w *world) behindProxies(backends []*harness.Backend) {
	w.backends = backends
	for _, b := range w.backends {
		p := startProxy(w.t, b.Addr)
		seen := *b
		seen.Addr = p.addr
		w.proxies, w.behind = append(w.proxies, p), append(w.behind, &seen)
	}
}

func (w *world) options() harness.Options {
	return harness.Options{
		Settle: w.times.settle, Lease: w.times.lease, Retention: w.times.retention,
		Extra: fmt.Sprintf("uploads: {complete: %v, stray: %v}\n", w.times.work, w.times.stray),
	}
}

// load begins it.
func (w *world) load(target *harness.Client) {
	harness.Eventually(w.t, "a bucket is made", func() error {
		a, err := target.Do(w.t.Context(), "PUT", bucket, "", "", nil)
		if err == nil && a.Status != 200 && a.Code != "BucketAlreadyOwnedByYou" {
			err = fmt.Errorf("%v", a)
		}
		return err
	})
	w.clients = newClients(w.t, target)
	w.clients.start(12, *seed)
	time.Sleep(2 * time.Second) // some load without faults
}

func failpointsBinary(t *testing.T) string {
	bin, err := harness.FailpointsBinary()
	if err != nil {
		t.Fatal(err)
	}
	return bin
}

// fail puts the binary with failpoints in the place of the shipped one, and
// lets it fail at every point while the network is bad.
func (w *world) fail(f *failing) {
	w.gateway.Program = failpointsBinary(w.t)
	w.gateway.Kill()
	f.start(false)
	over := make(chan struct{})
	var striking sync.WaitGroup
	rnd := rand.New(rand.NewPCG(*seed, 1))
	striking.Go(func() {
		for {
			if n := nemeses[rnd.IntN(len(nemeses))]; n.wire {
				n.strike(w, rnd)
			}
			select {
			case <-over:
				return
			case <-time.After(time.Duration(rnd.IntN(2000)) * time.Millisecond):
			}
		}
	})
	began := time.Now()
	most := *duration + 3*time.Minute + 10*w.times.stall // a stop past the lease stands as long as a stall
	for time.Since(began) < *duration || len(f.left(false)) > 0 && time.Since(began) < most {
		f.watch(100*time.Millisecond, false)
	}
	close(over)
	striking.Wait()
	w.gateway.Kill()
	f.start(true)
	harness.Eventually(w.t, "the gateway is ready", func() error {
		f.watch(50*time.Millisecond, true) // it may die before
		return w.gateway.Ready()
	})
}

// calm ends the load, and lets everything that was late land and every row be
// dropped.
func (w *world) calm(wait func(time.Duration)) {
	w.rest(wait)
	wait(w.calmFor())
}

// rest ends the load.
func (w *world) rest(wait func(time.Duration)) {
	wait(2 * time.Second) // some load without faults
	close(w.clients.stop)
	w.clients.running.Wait()
	w.logf("calm begins")
	w.leave()
}

// calmFor is when everything that was held back has landed, which takes a settle
// time at most, and every row has been dropped.
func (w *world) calmFor() time.Duration {
	return max(w.times.settle, w.times.stall) + w.times.retention
}

// expectNone fails for whatever is not as promised.
func (w *world) expectNone() {
	t, c := w.t, w.clients
	w.count()
	rest := false
	defer func() {
		if !rest {
			w.postMortem()
		}
	}()
	harness.Eventually(t, "what was left behind is aborted", w.abortAll)
	w.gateway.Converge(t)
	rest = true
	harness.Eventually(t, "no upload is leaked", w.leaked)
	var held map[string]harness.Object
	harness.Eventually(t, "the backends are equal", func() (err error) {
		held, err = w.compare()
		return err
	})
	for _, key := range w.keys() {
		harness.Eventually(t, "every key can be read", func() error { return w.readBoth(t.Context(), key, held) })
	}
	w.judge()
	for _, line := range w.found {
		t.Error(line)
	}
	t.Logf("%d uploads were left behind, none is leaked", len(w.left))
	t.Logf("%d keys, %d objects on each backend", len(c.hist.ops), len(held))
}

// expectViolation fails when everything is as promised.
func (w *world) expectViolation() {
	t := w.t
	w.count()
	_, err := w.compare()
	for end := time.Now().Add(time.Minute); err != nil && time.Now().Before(end); _, err = w.compare() {
		time.Sleep(time.Second)
	}
	if err != nil {
		w.violation("a minute after the calm: %v", err)
	}
	stuck, lost := 0, 0
	for _, key := range w.keys() {
		err := w.readBoth(t.Context(), key, nil)
		for range 3 {
			if err == nil {
				break
			}
			time.Sleep(300 * time.Millisecond)
			err = w.readBoth(t.Context(), key, nil)
		}
		if err == nil {
			continue
		}
		stuck++
		if w.lost(key) {
			lost++
			w.violation("no backend holds what was acknowledged of %s: %v", key, err)
		} else {
			w.violation("nobody can read what some backend holds: %v", err)
		}
	}
	w.judge()
	for _, line := range w.found[:min(len(w.found), 30)] {
		t.Log(line)
	}
	t.Logf("%d violations; %d keys that nobody can read, of %d an acknowledged write is lost", len(w.found), stuck, lost)
	if len(w.found) == 0 {
		t.Error("no violation was found: this test can not tell right from wrong")
	}
}

// lost tells whether, whatever backend were read, the key's history would be
// wrong.
func (w *world) lost(key string) bool {
	for _, b := range w.backends {
		o, err := b.Object(w.t.Context(), bucket, key)
		if missing := (harness.Missing{}); err != nil && !errors.As(err, &missing) {
			return false
		}
		now := w.clients.hist.now()
		read := porcupine.Operation{
			ClientId: reader, Input: call{verb: verbRead}, Output: result{value: strings.Trim(o.ETag, `"`)}, Call: now, Return: now + 1,
		}
		if judge(append(slices.Clone(w.clients.hist.ops[key]), read), time.Minute) != porcupine.Illegal {
			return false
		}
	}
	return true
}

func (w *world) keys() []string { return slices.Sorted(maps.Keys(w.clients.hist.ops)) }

// count holds the operations against the floors.
func (w *world) count() {
	h := w.clients.hist
	acked, refused, reads := h.tallied("write acknowledged"), h.tallied("condition refused"), h.tallied("read answered")
	doubt, unsent, failed := h.tallied("write in doubt"), h.tallied("not sent"), h.tallied("read failed", "part failed")
	answered := acked + refused + reads
	share := 100 * float64(answered) / float64(answered+doubt+unsent+failed)
	w.t.Logf("%d batches of deletes, %d copies, %d changes of tags and %d uploads answered, %d of them by the second request; %d requests for parts failed",
		h.tallied("batch deleted"), h.tallied("copied"), h.tallied("tagged"), h.tallied("completed"), h.tallied("completed by the second request"), h.tallied("part failed"))
	w.t.Logf("%d writes acknowledged, %d refused by their condition, %d reads answered; %d writes in doubt, %d not sent, %d reads failed; %d hung up: %.1f %% answered",
		acked, refused, reads, doubt, unsent, failed, h.tallied("hung up"), share)
	if floor := cmp.Or(w.floor, 1000); !w.times.late && (answered < floor || share < 80) {
		w.t.Errorf("%d operations answered, %.1f %%: want %d and 80 %%", answered, share, floor)
	}
}

// compare reads the backends, past the gateway, and returns what all of them
// hold, or how they differ.
func (w *world) compare() (map[string]harness.Object, error) {
	copies, err := harness.Copies(w.t.Context(), bucket, w.backends...)
	if err != nil {
		return nil, err
	}
	if diffs := harness.Differences(copies, w.gateway.StampKey(), bucket); len(diffs) > 0 {
		return nil, fmt.Errorf("the backends differ in %d places: %s", len(diffs), harness.Abridged(diffs, 3))
	}
	return copies[0].Objects, nil
}

// reader is the client of the reads after the calm.
const reader = 99

// readBoth reads a key in both ways, for its history, and compares it with what
// the backends hold, unless held is nil.
func (w *world) readBoth(ctx context.Context, key string, held map[string]harness.Object) error {
	c := w.clients
	failed := c.hist.tallied("read failed")
	c.head(ctx, reader, key)
	c.readTags(ctx, reader, key)
	began := c.hist.now()
	a, err := c.target.Get(ctx, bucket, key)
	c.read(reader, key, a, err, began)
	if c.hist.tallied("read failed") != failed {
		return fmt.Errorf("%s is answered %v (%v)", key, a, err) //nolint:errorlint // there may be none
	}
	if o, there := held[key]; held != nil && (there != (a.Status == 200) || there && o.Sum != sha256.Sum256(a.Body)) {
		w.violation("%s is answered %v, and the backends hold %d bytes (%v)", key, a, o.Size, there)
	} else if there {
		if err := w.tagged(key); err != nil {
			w.violation("%v", err)
		}
	}
	return nil
}

// judge looks at every history.
func (w *world) judge() {
	for _, line := range w.clients.wrong {
		w.violation("%s", line)
	}
	for key, what := range w.clients.hist.verdicts(time.Minute) {
		if what == undetermined {
			w.t.Errorf("the history of %s %s: %s", key, what, w.draw(key))
			continue
		}
		w.violation("the history of %s %s: %s", key, what, w.draw(key))
	}
}

// draw keeps a picture of a key's history in a folder that git ignores.
func (w *world) draw(key string) string {
	dir := filepath.Join(harness.Root(), ".chaos")
	if err := os.MkdirAll(dir, 0o755); err != nil { //nolint:gosec // for whoever runs the tests
		return err.Error()
	}
	_, info := porcupine.CheckOperationsVerbose(register, seen(w.clients.hist.ops[key]), time.Minute)
	path := filepath.Join(dir, fmt.Sprintf("%d-%s.html", *seed, filepath.Base(filepath.Dir(key))))
	if err := porcupine.VisualizePath(register, info, path); err != nil {
		return err.Error()
	}
	return path
}

//go:build chaos

package chaos

import (
	"fmt"
	"math/rand/v2"
	"net"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/s3mirror/s3mirror/test/cassandra/ring"
	"github.com/s3mirror/s3mirror/test/e2e/harness"
)

// keyspace is where the log of several gateways is.
const keyspace = "chaos"

// TestCluster is everything that wants a Cassandra of three nodes, with three copies,
// TLS both ways and a password: what a deployment is.
//
// Three gateways behind HAProxy serve over backends of two makes. First what is
// promised without an error: one node of Cassandra gone, each gateway restarted in turn.
// Then the nemeses strike two of the gateways, the nodes of Cassandra and the backends,
// while the third gateway dies and stops past its lease between the lease's check and
// the release. The judgement is that of TestChaos. The calm is used to look at
// check-config and to move a log from and to the same ring.
//
// With -short only what no other test does strikes.
func TestCluster(t *testing.T) {
	if *seed == 0 {
		*seed = uint64(time.Now().UnixNano())
	}
	t.Logf("seed %d: make chaos-cluster SEED=%d plays the same faults", *seed, *seed)
	t.Parallel()
	w := beginCluster(t, timesOf["cluster"])
	w.promised()
	f := newFailing(w, rand.New(rand.NewPCG(*seed, 2)))
	f.pending = slices.DeleteFunc(f.pending, func(a aim) bool {
		return !slices.Contains(released, a.point) || testing.Short() && a.action != actKill && a.action != actPast
	})
	did := w.strike(f)

	w.rest(time.Sleep)
	calm := time.Now().Add(w.calmFor())
	testRing(t, w.ring)
	time.Sleep(time.Until(calm)) // everything that was held back lands, every row is dropped

	w.account(did)
	f.accountFor(released...)
	w.expectNone()
	for _, g := range w.all() {
		g.Converge(t)
	}
}

// TestRing is what of TestCluster needs no load: the words of check-config, and the move of
// a log from and to a ring of three nodes.
func TestRing(t *testing.T) { testRing(t, ring.Start(t, ring.Options{Nodes: 3, TLS: true})) }

func testRing(t *testing.T, r *ring.Ring) {
	t.Run("CheckConfig", func(t *testing.T) { testCheckConfig(t, r) })
	t.Run("Move", func(t *testing.T) { testMove(t, r) })
}

// beginCluster starts everything.
func beginCluster(t *testing.T, times times) *world {
	w := newWorld(t, times)
	r := ring.Start(t, ring.Options{Nodes: 3, TLS: true})
	backends, bare := harness.StartBackends(t, 2), map[string]bool{}
	if harness.HasMinIO() {
		backends = append(backends, harness.StartMinIO(t, "b-3"))
		bare["b-3"] = true // it refuses values of tags that S3 takes, so the probe says no
	} else {
		backends = append(backends, harness.StartMemory(t, "b-3"))
	}
	w.behindProxies(backends)
	w.ring, w.bare, w.nemeses, w.floor = r, bare, slices.Concat(nemeses, clusterNemeses), int(8*duration.Seconds())
	if testing.Short() {
		w.nemeses = slices.DeleteFunc(w.nemeses, func(n nemesis) bool { return !n.brief })
	}
	o := w.options()
	o.S3 = "proxy_protocol: true, trusted_proxies: [127.0.0.1/32]"
	o.Extra += "shutdown_delay: 3s\n"
	var places []harness.Place
	for i := range 3 {
		way := newWay(t, r)
		o.Log = r.SectionAt(keyspace, way.port)
		g := harness.NewGateway(t, w.behind, o)
		if i == 0 {
			if code, _, stderr := g.CLI(t, "migrate", "--config", g.Config); code != 0 {
				t.Fatalf("migrate: exit %d\n%s", code, stderr)
			}
			o.Sibling = g
		}
		o.DataDir = t.TempDir()
		places = append(places, harness.Place{S3: g.S3Addr, Admin: g.AdminAddr})
		g.Start(t)
		w.gateways, w.ways = append(w.gateways, g), append(w.ways, way)
	}
	w.gateway, w.gateways = w.gateways[2], w.gateways[:2]
	b := harness.StartBalancer(t, "haproxy", places...)
	client := harness.NewClient(b.S3Addr, w.gateway.Keys)
	harness.Eventually(t, "a gateway is reached through HAProxy", func() error {
		a, err := client.Do(t.Context(), "GET", "", "", "", nil)
		if err == nil && a.Status != 200 {
			err = fmt.Errorf("%v", a)
		}
		return err
	})
	w.load(client)
	return w
}

// all are the gateways.
func (w *world) all() []*harness.Gateway { return append(slices.Clone(w.gateways), w.gateway) }

// way is one gateway's way to the nodes of Cassandra, which can be cut.
type way struct {
	port    int // of every node, as the gateway sees it
	proxies []*proxy
}

func newWay(t *testing.T, r *ring.Ring) *way {
	t.Helper()
	_, text, err := net.SplitHostPort(harness.Addr(t))
	if err != nil {
		t.Fatal(err)
	}
	port, err := strconv.Atoi(text)
	if err != nil {
		t.Fatal(err)
	}
	w := &way{port: port}
	for i := range r.Nodes {
		w.proxies = append(w.proxies, startProxyAt(t, net.JoinHostPort(r.Address(i), text), net.JoinHostPort(r.Address(i), strconv.Itoa(r.Port))))
	}
	return w
}

// away cuts a gateway off from Cassandra for a while: nothing passes, and nobody is told.
func (w *way) away(d time.Duration) {
	for _, p := range w.proxies {
		p.set(blackhole)
	}
	time.Sleep(d)
	for _, p := range w.proxies {
		p.set(none)
		p.cut()
	}
}

// On a key that many write at once, through several gateways, a write may wait for its turn
// until it is told to slow down, which clients repeat. One of slowShare may be.
const slowShare = 200

var slowHot = regexp.MustCompile(`^write in doubt of hot/\d+: 503 SlowDown`)

// promised has a node of Cassandra go and, once that is not felt any more, every gateway
// restart in turn, as an upgrade would: no client may get an error, but for slowHot.
//
// It is felt until the other nodes' failure detectors have noticed, which takes some 18 s with
// Cassandra's settings: until then they ask the one that is gone, too, a round takes seconds, and a
// lease as short as ours may run out for it.
func (w *world) promised() {
	h := w.clients.hist
	const gone = 2
	before := w.ring.SeenDown(gone)
	w.ring.Process(gone).Kill()
	killed := time.Since(h.began)
	harness.Eventually(w.t, "the other nodes of Cassandra notice", func() error {
		if n := w.ring.SeenDown(gone); n < before+w.ring.Nodes-1 {
			return fmt.Errorf("%d have", n-before)
		}
		return nil
	})
	w.logf("%v after a node of Cassandra was killed the others know", (time.Since(h.began) - killed).Round(time.Millisecond))
	time.Sleep(w.times.lease)
	over := time.Since(h.began)
	for _, f := range w.clients.failedSince(killed) {
		w.logf("%v after a node of Cassandra was killed: %s", (f.at - killed).Round(time.Millisecond), f.text)
	}
	answered := h.tallied("write acknowledged", "read answered")
	var ended []*harness.Process
	for _, g := range w.all() {
		ended = append(ended, g.Process())
		w.restart(g)
		w.logf("a gateway restarted")
	}
	failures := w.clients.failedSince(over)
	asked := h.tallied("write acknowledged", "read answered") - answered
	for _, f := range failures {
		if slowHot.MatchString(f.text) && slowShare*len(failures) <= asked {
			w.logf("%v after a node of Cassandra was killed: %s", (f.at - killed).Round(time.Millisecond), f.text)
			continue
		}
		w.violation("%v after a node of Cassandra was killed, gateways restart: %s", (f.at - killed).Round(time.Millisecond), f.text)
		w.logf("%s", w.found[len(w.found)-1])
	}
	if len(failures) > 0 {
		for _, g := range w.all() {
			ended = append(ended, g.Process())
		}
		w.complaints(ended)
	}
	w.logf("%d requests failed of %d while one node of Cassandra was gone and each gateway restarted in turn",
		len(failures), asked)
	w.ring.Launch(gone)
}

// complaints shows the last warnings of processes.
func (w *world) complaints(all []*harness.Process) {
	for i, p := range all {
		var lines []string
		for line := range strings.Lines(p.Output()) {
			if strings.Contains(line, "level=WARN") || strings.Contains(line, "level=ERROR") {
				lines = append(lines, line)
			}
		}
		w.t.Logf("process %d complains:\n%s", i, strings.Join(lines[max(0, len(lines)-25):], ""))
	}
}

// restart ends a gateway as an operator does, and starts it again.
func (w *world) restart(g *harness.Gateway) {
	g.Process().Signal(syscall.SIGTERM)
	if code, err := g.Process().Wait(harness.Patience); err != nil || code != 0 {
		w.violation("a gateway told to end: exit %d, %v", code, err)
	}
	g.Start(w.t)
}

// strike lets the nemeses and the failpoints strike at once.
func (w *world) strike(f *failing) (did struck) {
	w.gateway.Program = failpointsBinary(w.t)
	w.gateway.Kill()
	f.start(false)
	var striking sync.WaitGroup
	over := make(chan struct{})
	striking.Go(func() {
		defer close(over)
		did = w.play(rand.New(rand.NewPCG(*seed, 0)), *duration)
	})
	playing := true
	for end := time.Now().Add(*duration + 2*time.Minute); playing || len(f.left(false)) > 0 && time.Now().Before(end); {
		f.watch(100*time.Millisecond, false)
		select {
		case <-over:
			playing = false
		default:
		}
	}
	striking.Wait()
	w.gateway.Kill()
	w.gateway.Env, w.gateway.Program = nil, ""
	w.gateway.Start(w.t)
	w.ring.Await(w.t)
	return did
}

// clusterNemeses are those that only many gateways on a shared log have.
var clusterNemeses = []nemesis{
	{name: "rolling restart", strike: func(w *world, _ *rand.Rand) int {
		n := int(w.clients.flight.Load())
		for _, g := range w.gateways {
			w.restart(g)
		}
		return n
	}},
	{name: "cut off from the log", brief: true, strike: func(w *world, rnd *rand.Rand) int {
		way := w.ways[rnd.IntN(len(w.gateways))]
		n := 0
		for _, p := range way.proxies {
			n += p.underWay()
		}
		way.away(w.times.lease/2 + time.Duration(rnd.Int64N(int64(w.times.lease)))) // past the lease, now and then
		return n + int(w.clients.flight.Load())
	}},
	{name: "Cassandra killed", strike: func(w *world, rnd *rand.Rand) int {
		w.ring.Await(w.t) // one at a time
		n, i := int(w.clients.flight.Load()), rnd.IntN(w.ring.Nodes)
		w.ring.Process(i).Kill()
		pause(rnd, 5*time.Second)
		w.ring.Launch(i)
		w.ring.Await(w.t)
		return n
	}},
	{name: "Cassandra stopped", brief: true, strike: func(w *world, rnd *rand.Rand) int {
		p := w.ring.Process(rnd.IntN(w.ring.Nodes))
		p.Signal(syscall.SIGSTOP)
		pause(rnd, w.times.stall)
		n := int(w.clients.flight.Load())
		p.Signal(syscall.SIGCONT)
		return n
	}},
	{name: "log stopped", brief: true, strike: func(w *world, rnd *rand.Rand) int {
		n := w.loaded()
		for i := range w.ring.Nodes {
			w.ring.Process(i).Signal(syscall.SIGSTOP)
		}
		pause(rnd, 3*time.Second)
		for i := range w.ring.Nodes {
			w.ring.Process(i).Signal(syscall.SIGCONT)
		}
		return n
	}},
	{name: "settings changed", brief: true, strike: func(w *world, rnd *rand.Rand) int {
		n := int(w.clients.flight.Load())
		b := w.backends[rnd.IntN(len(w.backends))].Name
		w.insist("backend", "pause", b)
		pause(rnd, 2*time.Second)
		w.insist("backend", "resume", b)
		return n
	}},
}

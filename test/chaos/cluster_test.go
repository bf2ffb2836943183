//go:build chaos

package chaos

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/s3mirror/s3mirror/test/cassandra/ring"
	"github.com/s3mirror/s3mirror/test/e2e/harness"
)

// TestChaosCluster plays the nemeses against three gateways behind HAProxy, on three
// nodes of Cassandra with three copies. Clients speak to HAProxy, which spreads their
// requests. One of the gateways stops past its lease between the lease's check and
// the release, again and again; the others are killed, stopped and restarted in
// turn. The judgement is that of TestChaos.
func TestChaosCluster(t *testing.T) {
	times := timesOf["chaos"]
	if *seed == 0 {
		*seed = uint64(time.Now().UnixNano())
	}
	t.Logf("seed %d: make chaos-cluster SEED=%d plays the same faults", *seed, *seed)
	w := beginCluster(t, times)
	rnd := rand.New(rand.NewPCG(*seed, 0))
	f := newFailing(w, rand.New(rand.NewPCG(*seed, 2)))
	f.pending = slices.DeleteFunc(f.pending, func(a aim) bool {
		return !slices.Contains(released, a.point) || a.action != actPast && a.action != actStop
	})
	w.gateway.Program = failpointsBinary(t)
	w.gateway.Kill()
	f.start(false)

	over := make(chan struct{})
	var failing sync.WaitGroup
	failing.Go(func() {
		for {
			select {
			case <-over:
				return
			default:
				f.watch(100*time.Millisecond, false)
			}
		}
	})
	did := w.play(rnd, *duration)
	close(over)
	failing.Wait()
	for end := time.Now().Add(time.Minute); len(f.left(false)) > 0 && time.Now().Before(end); {
		f.watch(100*time.Millisecond, false)
	}
	w.gateway.Kill()
	w.gateway.Env, w.gateway.Program = nil, ""
	w.gateway.Start(t)
	w.calm(time.Sleep)
	w.account(did)
	f.account()
	w.expectNone()
	w.readAtEach()
}

// beginCluster starts everything.
func beginCluster(t *testing.T, times times) *world {
	r := ring.Start(t, ring.Options{Nodes: 3})
	w := newWorld(t, times)
	w.ring, w.nemeses = r, slices.Concat(nemeses, clusterNemeses)
	o := w.options()
	o.Log, o.S3 = r.Section("chaos"), "proxy_protocol: true, trusted_proxies: [127.0.0.1/32]"
	o.Extra += "shutdown_delay: 3s\n"
	var places []harness.Place
	for i := range 3 {
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
		w.gateways = append(w.gateways, g)
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

// clusterNemeses are those that only many gateways on a shared log have.
var clusterNemeses = []nemesis{
	{name: "rolling restart", strike: func(w *world, _ *rand.Rand) int {
		n := int(w.clients.flight.Load())
		for _, g := range w.gateways {
			g.Process().Signal(syscall.SIGTERM)
			if code, err := g.Process().Wait(harness.Patience); err != nil || code != 0 {
				w.violation("a gateway told to end: exit %d, %v", code, err)
			}
			g.Start(w.t)
		}
		return n
	}},
	{name: "Cassandra killed", strike: func(w *world, rnd *rand.Rand) int {
		n, i := int(w.clients.flight.Load()), rnd.IntN(w.ring.Nodes)
		w.ring.Process(i).Kill()
		pause(rnd, 5*time.Second)
		w.ring.Launch(i)
		w.ring.Await(w.t)
		return n
	}},
	{name: "Cassandra stopped", strike: func(w *world, rnd *rand.Rand) int {
		p := w.ring.Process(rnd.IntN(w.ring.Nodes))
		p.Signal(syscall.SIGSTOP)
		pause(rnd, w.times.stall/2)
		n := int(w.clients.flight.Load())
		p.Signal(syscall.SIGCONT)
		return n
	}},
	{name: "log stopped", strike: func(w *world, rnd *rand.Rand) int {
		for i := range w.ring.Nodes {
			w.ring.Process(i).Signal(syscall.SIGSTOP)
		}
		pause(rnd, 3*time.Second)
		n := int(w.clients.flight.Load())
		for i := range w.ring.Nodes {
			w.ring.Process(i).Signal(syscall.SIGCONT)
		}
		return n
	}},
	{name: "settings changed", strike: func(w *world, rnd *rand.Rand) int {
		n, g := int(w.clients.flight.Load()), w.some(rnd)
		b := w.backends[rnd.IntN(len(w.backends))].Name
		for _, args := range [][]string{{"backend", "pause", b}, {"backend", "resume", b}} {
			if code, _, stderr := g.CLI(w.t, args...); code != 0 {
				w.logf("%v: exit %d: %s", args, code, stderr) // the log may be away
			}
		}
		return n
	}},
}

// readAtEach wants every gateway, asked by itself, to have converged.
func (w *world) readAtEach() {
	for _, g := range w.gateways {
		g.Converge(w.t)
	}
}

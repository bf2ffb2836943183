//go:build cassandra

package cassandra

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/s3mirror/s3mirror/test/e2e/harness"
	"github.com/s3mirror/s3mirror/test/e2e/wire"
)

const bucket = "proof"

// testGateway runs the built program on the log: migrate, serve, what clients do,
// kills of the gateway, kills and stops of Cassandra.
func testGateway(t *testing.T, n *node) {
	backends := harness.StartMemories(t, 3)
	g := harness.NewGateway(t, backends, harness.Options{Log: n.section("gateway")})

	code, _, stderr := g.CLI(t, "serve", "--config", g.Config)
	if code != 1 || !strings.Contains(stderr, "s3mirror migrate") {
		t.Fatalf("serve without a schema: exit %d\n%s", code, stderr)
	}
	for _, want := range []string{"schema: 001_log.cql", "schema is up to date"} {
		if code, stdout, stderr := g.CLI(t, "migrate", "--config", g.Config); code != 0 || !strings.Contains(stdout, want) {
			t.Fatalf("migrate: exit %d, want %q\n%s%s", code, want, stdout, stderr)
		}
	}
	g.Start(t)
	if a, err := g.Client.Do(t.Context(), "PUT", bucket, "", "", nil); err != nil || a.Status != 200 {
		t.Fatalf("create bucket: %v, %v", a, err)
	}
	p, all := newPlay(g, 24), t // whose end is the gateway's

	t.Run("requests", func(t *testing.T) { testRequests(t, g) })
	t.Run("gateway killed", func(t *testing.T) { testGatewayKilled(t, all, g, p) })
	judge := histories(t, n)
	t.Run("Cassandra stopped", func(t *testing.T) { testStopped(t, n, g, p) })
	stale := harness.NewGateway(t, backends, harness.Options{
		Log: n.section("gateway"), Sibling: g, DataDir: t.TempDir(), S3: "stale_reads: true",
	})
	stale.Start(t)
	t.Run("Cassandra killed", func(t *testing.T) { testKilled(t, n, g, stale, p) })
	stop(t, stale)
	judge()

	p.check(t)
	g.Converge(t)
	held := harness.RequireEqual(t, g, bucket, backends...)
	harness.RequireModel(t, "the backends", held, p.keys)

	stop(t, g)
	// Its document is gone, so that a node of another name begins at once.
	again := harness.NewGateway(t, backends, harness.Options{
		Log: n.section("gateway"), Sibling: g, DataDir: t.TempDir(), Lease: time.Minute, Retention: 5 * time.Minute,
	})
	again.Start(t)
	if nodes := n.count(t, "SELECT COUNT(*) FROM gateway.document WHERE kind = 'node' ALLOW FILTERING"); nodes != 1 {
		t.Errorf("%d documents of nodes, want 1", nodes)
	}
}

// stop ends a gateway as an operator does.
func stop(t *testing.T, g *harness.Gateway) {
	t.Helper()
	g.Process().Signal(syscall.SIGTERM)
	if code, err := g.Process().Wait(harness.Patience); err != nil || code != 0 {
		t.Fatalf("SIGTERM: exit %d, %v", code, err)
	}
}

// section is the log's section of a gateway's configuration.
func (n *node) section(keyspace string) string {
	return fmt.Sprintf("engine: cassandra, cassandra: {hosts: [127.0.0.1], port: %d, keyspace: %s, username: cassandra, password: cassandra, replication_factor: 1}", n.port, keyspace)
}

func (n *node) count(t *testing.T, stmt string) (count int) {
	t.Helper()
	if err := n.session(t).Query(stmt).Scan(&count); err != nil {
		t.Fatal(err)
	}
	return count
}

// testRequests does once what every other test does many times, and looks at it
// from all sides.
func testRequests(t *testing.T, g *harness.Gateway) {
	ctx, want := t.Context(), harness.Body("requests", 300<<10)
	for i, key := range []string{"list/a", "list/b/1", "list/\x01ü c", "list/d"} {
		if a, err := g.Client.Put(ctx, bucket, key, wire.Modes[i%len(wire.Modes)], want); err != nil || a.Status != 200 {
			t.Fatalf("PUT %q: %v, %v", key, a, err)
		}
	}
	if a, err := g.Client.Get(ctx, bucket, "list/\x01ü c"); err != nil || a.Status != 200 || string(a.Body) != string(want) {
		t.Errorf("GET: %v, %v", a, err)
	}
	if a, err := g.Client.Delete(ctx, bucket, "list/d"); err != nil || a.Status != 204 {
		t.Errorf("DELETE: %v, %v", a, err)
	}
	if a, err := g.Client.Get(ctx, bucket, "list/d"); err != nil || a.Status != 404 {
		t.Errorf("GET of what was deleted: %v, %v", a, err)
	}
	if keys, err := g.Client.List(ctx, bucket, "list/", 2); err != nil || !slices.Equal(keys, []string{"list/\x01ü c", "list/a", "list/b/1"}) {
		t.Errorf("LIST: %q, %v", keys, err)
	}
	harness.Eventually(t, "history tells of it", func() error {
		code, stdout, stderr := g.CLI(t, "history", "--bucket", bucket, "--prefix", "list/d", "--output", "json")
		if code != 0 || strings.Count(stdout, `"list/d"`) != 2 {
			return fmt.Errorf("exit %d\n%s%s", code, stdout, stderr)
		}
		return nil
	})
	for _, key := range []string{"list/\x01ü c", "list/a", "list/b/1"} { // the model knows nothing of them
		if a, err := g.Client.Delete(ctx, bucket, key); err != nil || a.Status != 204 {
			t.Fatalf("DELETE %q: %v, %v", key, a, err)
		}
	}
}

// play is clients that write and read keys of their own, and know what to expect.
type play struct {
	g      *harness.Gateway
	keys   []*harness.Key
	rounds uint64

	acked, unknown, readable, unreadable, slow atomic.Int64
}

func newPlay(g *harness.Gateway, keys int) *play {
	p := &play{g: g}
	for i := range keys {
		p.keys = append(p.keys, &harness.Key{Name: fmt.Sprintf("play/%02d", i)})
	}
	return p
}

// run lets clients play until stop is called, which waits for them. while it is
// nil or true they begin new requests.
func (p *play) run(t *testing.T) (stop func()) {
	const clients = 6
	p.rounds++
	var over atomic.Bool
	var wg sync.WaitGroup
	for c := range clients {
		rnd := rand.New(rand.NewPCG(p.rounds, uint64(c)))
		wg.Go(func() {
			for i := 0; !over.Load(); i++ {
				k := p.keys[c+clients*rnd.IntN(len(p.keys)/clients)]
				p.step(t, k, fmt.Sprintf("%d-%d-%d", p.rounds, c, i), rnd)
			}
		})
	}
	return func() {
		over.Store(true)
		wg.Wait()
	}
}

func (p *play) step(t *testing.T, k *harness.Key, op string, rnd *rand.Rand) {
	ctx := t.Context()
	switch d := rnd.IntN(10); {
	case d < 5:
		w := harness.NewWrite(op, rnd.IntN(8<<10), rnd)
		a, err := p.g.Client.Put(ctx, bucket, k.Name, wire.Modes[rnd.IntN(len(wire.Modes))], w.Body, w.Fields...)
		w.ETag = harness.ETagOf(a)
		p.wrote(t, k, w.Version, a, err)
	case d < 7:
		a, err := p.g.Client.Delete(ctx, bucket, k.Name)
		p.wrote(t, k, harness.Version{Op: op}, a, err)
	default:
		p.read(t, k)
	}
}

func (p *play) wrote(t *testing.T, k *harness.Key, v harness.Version, a wire.Answer, err error) {
	o := harness.Judge(a, err)
	k.Wrote(v, o)
	switch o {
	case harness.Acked:
		p.acked.Add(1)
	case harness.Refused:
		t.Errorf("a correct request was refused: %v", a)
	case harness.Unknown:
		p.unknown.Add(1)
		p.answered(t, a, err)
	}
}

// answered wants every answer that is none of success to be one that says when to
// come back.
func (p *play) answered(t *testing.T, a wire.Answer, err error) {
	if err != nil {
		return // the gateway was killed
	}
	if a.Status != 503 || a.Code != "SlowDown" || a.Header.Get("Retry-After") == "" {
		t.Errorf("answer %v, Retry-After %q; want 503 SlowDown that says when to come back", a, a.Header.Get("Retry-After"))
	}
	p.slow.Add(1)
	time.Sleep(20 * time.Millisecond) // as a client does that was told to slow down
}

func (p *play) read(t *testing.T, k *harness.Key) {
	a, err := p.g.Client.Get(t.Context(), bucket, k.Name)
	if err != nil || a.Status == 503 {
		p.unreadable.Add(1)
		p.answered(t, a, err)
		return
	}
	o, err := p.g.Client.Object(t.Context(), bucket, k.Name)
	if _, missing := err.(harness.Missing); err != nil && !missing {
		p.unreadable.Add(1)
		return
	}
	p.readable.Add(1)
	if err := k.Saw(o, err); err != nil {
		t.Error(err)
	}
}

// check reads every key until it answers, and wants what its writer may expect.
func (p *play) check(t *testing.T) {
	t.Helper()
	for _, k := range p.keys {
		harness.Eventually(t, "key "+k.Name+" answers", func() error {
			o, err := p.g.Client.Object(t.Context(), bucket, k.Name)
			if _, missing := err.(harness.Missing); err != nil && !missing {
				return err
			}
			if err := k.Saw(o, err); err != nil {
				t.Error(err)
			}
			return nil
		})
	}
}

// reach waits until a counter has grown.
func reach(t *testing.T, what string, counter *atomic.Int64, by int64) {
	t.Helper()
	goal := counter.Load() + by
	harness.Eventually(t, what, func() error {
		if now := counter.Load(); now < goal {
			return fmt.Errorf("%d of %d", now, goal)
		}
		return nil
	})
}

// testGatewayKilled kills the gateway in the middle of writes; what it
// acknowledged is there after the restart.
func testGatewayKilled(t, all *testing.T, g *harness.Gateway, p *play) {
	for range 3 {
		stop := p.run(t)
		reach(t, "writes are acknowledged", &p.acked, 40)
		g.Kill()
		stop()
		g.Start(all)
		p.check(t)
	}
	if p.unknown.Load() == 0 {
		t.Error("no write was under way when the gateway died")
	}
}

// testStopped stops Cassandra for a while: it takes connections and answers none.
func testStopped(t *testing.T, n *node, g *harness.Gateway, p *play) {
	stop := p.run(t)
	reach(t, "writes are acknowledged", &p.acked, 20)
	n.process.Stop(t)
	defer n.process.Signal(syscall.SIGCONT)
	reach(t, "requests are answered 503", &p.slow, 6)
	n.process.Signal(syscall.SIGCONT)
	reach(t, "writes are acknowledged again", &p.acked, 40)
	stop()
	p.check(t)
}

// testKilled kills Cassandra: writes and reads are answered 503 as long as it is
// away, and everything goes on when it is back, without a hand at the gateway.
// A gateway that was allowed to goes on reading what replicas show, and says so.
func testKilled(t *testing.T, n *node, g, stale *harness.Gateway, p *play) {
	anna := userOf(t, stale)
	wantFresh := func() error { return peek(anna, p.keys[0].Name, "") }
	harness.Eventually(t, "the other gateway reads", wantFresh)
	stop := p.run(t)
	reach(t, "writes are acknowledged", &p.acked, 20)
	n.process.Kill()
	reach(t, "requests are answered 503", &p.slow, 30)
	harness.Eventually(t, "the gateway says that it is not ready", func() error {
		if g.Ready() == nil {
			return errors.New("it says that it is")
		}
		return nil
	})
	ctx := t.Context()
	began := time.Now()
	for verb, do := range map[string]func() (wire.Answer, error){
		"PUT":    func() (wire.Answer, error) { return g.Client.Put(ctx, bucket, "away", wire.Modes[0], []byte("x")) },
		"GET":    func() (wire.Answer, error) { return g.Client.Get(ctx, bucket, p.keys[0].Name) },
		"DELETE": func() (wire.Answer, error) { return g.Client.Delete(ctx, bucket, "away") },
		"LIST":   func() (wire.Answer, error) { return g.Client.Do(ctx, "GET", bucket, "", "list-type=2", nil) },
	} {
		a, err := do()
		if err != nil {
			t.Errorf("%s: %v", verb, err)
			continue
		}
		p.answered(t, a, nil)
	}
	t.Logf("four requests without a log took %v", time.Since(began))
	harness.Eventually(t, "the gateway that may reads on, and says that it may be old", func() error {
		return peek(anna, p.keys[0].Name, "true")
	})
	if a, err := anna.Put(ctx, bucket, "away", wire.Modes[0], []byte("x")); err != nil || a.Status != 503 || a.Header.Get("Retry-After") == "" {
		t.Errorf("a write without a log: %v, %v", a, err)
	}
	acked := p.acked.Load()
	n.start()
	n.await(t)
	back := time.Now()
	reach(t, "writes are acknowledged again", &p.acked, 40)
	t.Logf("the gateway went on within %v of Cassandra's return; %d writes were acknowledged before it", time.Since(back), acked)
	stop()
	harness.Eventually(t, "the gateway is ready", g.Ready)
	harness.Eventually(t, "the other gateway reads what is true", wantFresh)
	p.check(t)
	t.Logf("writes: %d acknowledged, %d unknown; reads: %d, %d without answer; %d answers 503",
		p.acked.Load(), p.unknown.Load(), p.readable.Load(), p.unreadable.Load(), p.slow.Load())
}

// userOf makes a user at a gateway, and is a client of his.
func userOf(t *testing.T, g *harness.Gateway) *harness.Client {
	t.Helper()
	if code, _, stderr := g.CLI(t, "user", "create", "anna", "--scopes", "read,write"); code != 0 {
		t.Fatalf("user: exit %d\n%s", code, stderr)
	}
	code, stdout, stderr := g.CLI(t, "key", "create", "anna", "--output", "json")
	var key struct {
		Access string `json:"access_key_id"`
		Secret string `json:"secret_access_key"`
	}
	if err := json.Unmarshal([]byte(stdout), &key); err != nil || code != 0 {
		t.Fatalf("key: exit %d, %v\n%s", code, err, stderr)
	}
	return harness.NewClient(g.S3Addr, wire.Keys{Access: key.Access, Secret: key.Secret, Region: "us-east-1"})
}

// peek reads a key, if it is there, and lists, and wants both to be as stale as they say.
func peek(c *harness.Client, key, stale string) error {
	for _, ask := range []func() (wire.Answer, error){
		func() (wire.Answer, error) { return c.Get(context.Background(), bucket, key) },
		func() (wire.Answer, error) { return c.Do(context.Background(), "HEAD", bucket, key, "", nil) },
		func() (wire.Answer, error) { return c.Do(context.Background(), "GET", bucket, "", "list-type=2", nil) },
	} {
		a, err := ask()
		if err != nil || a.Status != 200 && a.Status != 404 || a.Header.Get("x-s3mirror-stale") != stale {
			return fmt.Errorf("%v, stale %q: %w", a, a.Header.Get("x-s3mirror-stale"), err)
		}
	}
	return nil
}

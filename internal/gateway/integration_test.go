package gateway_test

import (
	"context"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/s3mirror/s3mirror/internal/backend"
	"github.com/s3mirror/s3mirror/internal/commit"
	"github.com/s3mirror/s3mirror/internal/memory"
	"github.com/s3mirror/s3mirror/internal/object"
	"github.com/s3mirror/s3mirror/internal/replica"
)

// engine is a Handler on a real replica.Set over three servers and a log in
// memory.
type engine struct {
	*fixture
	metrics *prometheus.Registry // of the replicas
	servers map[string]*memory.Server
	remotes map[string]*backend.Remote
}

var engineTimes = commit.Times{
	Lease: 10 * time.Second, Margin: 4 * time.Second, Settle: 20 * time.Second, Gap: 2 * time.Second,
	Retention: 90 * time.Second, Keep: 12 * time.Second, LockWait: 10 * time.Second,
	Grace: 5 * time.Second, HelpWait: 50 * time.Millisecond,
}

func newEngine(t *testing.T) *engine {
	t.Helper()
	e := &engine{metrics: prometheus.NewRegistry(), servers: map[string]*memory.Server{}, remotes: map[string]*backend.Remote{}}
	ctx, stop := context.WithCancel(context.Background())
	var loops sync.WaitGroup
	names := []string{"eu-1", "eu-2", "ru-1"}
	o := replica.Options{
		Node: "node", Exclusive: true, Log: memory.NewLog(), Times: engineTimes, Logger: slog.New(slog.DiscardHandler),
		Registerer: e.metrics,
		Defaults:   replica.Policy{Replicas: object.NewReplicas(names...), Ack: commit.Rule{Need: 2}},
	}
	for _, name := range names {
		server := memory.New(memory.Options{AccessKeyID: "k", SecretAccessKey: "s"})
		l := listen(t)
		loops.Go(func() { server.Serve(ctx, l) })
		remote, err := backend.NewRemote(backend.Options{
			Name: name, Endpoint: &url.URL{Scheme: "http", Host: l.Addr().String()}, Region: "us-east-1",
			AccessKeyID: "k", SecretAccessKey: "s", StampKey: object.NewStampKey(make([]byte, 32)),
		})
		if err != nil {
			t.Fatal(err)
		}
		stack := backend.Wrap(remote, backend.WrapOptions{Breaker: backend.BreakerOptions{Log: o.Logger}})
		loops.Go(func() { stack.Breaker.Run(ctx) })
		o.Stacks = append(o.Stacks, stack)
		e.servers[name], e.remotes[name] = server, remote
	}
	set, err := replica.Open(ctx, o)
	if err != nil {
		t.Fatal(err)
	}
	loops.Go(func() { set.Run(ctx) })
	e.fixture = newHandler(set, debugHeaders)
	e.serve(t)
	t.Cleanup(func() { // before the server's, which would wait for what is under way
		if err := set.Close(); err != nil {
			t.Error(err)
		}
		stop()
		loops.Wait()
		for _, remote := range e.remotes {
			remote.Close()
		}
	})
	if a := e.send(t, ask{method: "PUT", path: "/photos"}); a.status != 200 {
		t.Fatalf("create bucket: %s", a.raw)
	}
	return e
}

// holds waits until every server holds the object as data.
func (e *engine) holds(t *testing.T, key, data string) {
	t.Helper()
	for _, remote := range e.remotes {
		e.eventually(t, func() bool {
			obj, err := remote.Get(t.Context(), "photos", key, backend.GetOptions{})
			if err != nil {
				return false
			}
			defer obj.Body.Close()
			got, err := io.ReadAll(obj.Body)
			return err == nil && string(got) == data && !obj.ID.IsZero()
		})
	}
}

// TestEngineAnswersAsTheStoreDoes: over the real replicas every example has the
// status, the code and the body of the goldens, but for the time of writing.
func TestEngineAnswersAsTheStoreDoes(t *testing.T) {
	e, f := newEngine(t), newFixture(t)
	for _, group := range examples {
		for _, x := range group.cases {
			if strings.Contains(x.ask.text("h"), " 04 Mar 2026 ") {
				continue
			}
			got, want := e.send(t, x.ask), f.send(t, x.ask)
			if got.String() != want.String() || group.file == "get" && want.code() == "" && got.body != want.body {
				t.Errorf("%s: %s: %s\nthe store: %s", group.file, x.name, got.raw, want.raw)
			}
			for _, name := range []string{"ETag", "Content-Type", "Content-Range", "X-Amz-Checksum-Crc32", "X-Amz-Meta-Name", "Location"} {
				if got.header.Get(name) != want.header.Get(name) {
					t.Errorf("%s: %s: %s is %q, the store's %q", group.file, x.name, name, got.header.Get(name), want.header.Get(name))
				}
			}
		}
	}
}

// TestEngineServesTheSDK from the first bucket to the last refusal.
func TestEngineServesTheSDK(t *testing.T) {
	e := newEngine(t)
	c := awsClient("http://"+e.addr, http.DefaultClient)
	awsBuckets(t, c)
	awsObjects(t, c)
	awsConditions(t, c)
	awsLists(t, c)
	awsRefusals(t, c)
	http.DefaultClient.CloseIdleConnections()
}

// TestEngineKeepsThreeCopies, and goes on with two.
func TestEngineKeepsThreeCopies(t *testing.T) {
	e := newEngine(t)
	data := string(randomBytes(3 << 20))
	e.put(t, "/photos/large", data, "X-Amz-Meta-A", "b")
	e.holds(t, "large", data)
	a := e.send(t, get("/photos/large"))
	if a.body != data || a.header.Get("X-Amz-Replication-Status") != "COMPLETED" || a.header.Get("X-S3mirror-Replica") == "" {
		t.Errorf("%d bytes, %v", len(a.body), a.header)
	}
	e.servers["eu-2"].Off()
	e.put(t, "/photos/large", "small now")
	for range 5 {
		a = e.send(t, get("/photos/large"))
		if a.body != "small now" || a.header.Get("X-Amz-Replication-Status") != "PENDING" || a.header.Get("X-S3mirror-Replica") == "eu-2" {
			t.Errorf("with one away: %s", a.raw)
		}
	}
	e.servers["ru-1"].Off()
	if a := e.send(t, upload("/photos/large", "not now")); a.status != 503 {
		t.Errorf("with two away: %s", a.raw)
	}
}

// TestEngineKeepsTheOldObject when a body does not keep its promise.
func TestEngineKeepsTheOldObject(t *testing.T) {
	e := newEngine(t)
	old := string(randomBytes(1000))
	e.put(t, "/photos/k", old)
	for _, size := range []int{1 << 10, 1 << 20} {
		body := string(randomBytes(size))
		for name, a := range map[string]ask{
			"checksum": upload("/photos/k", body, "X-Amz-Checksum-Crc32", "AAAAAA=="),
			"MD5":      upload("/photos/k", body, "Content-Md5", "AAAAAAAAAAAAAAAAAAAAAA=="),
			"hash":     {method: "PUT", path: "/photos/k", body: body, mode: strings.Repeat("1", 64)},
		} {
			if got := e.send(t, a); got.status != 400 {
				t.Errorf("%s, %d bytes: %s\n%v", name, size, got.raw, e.log.last(t))
			}
			e.holds(t, "k", old)
		}
	}
	if got := e.send(t, upload("/photos/k", "x", "If-None-Match", "*")); got.String() != "412 PreconditionFailed" {
		t.Errorf("condition: %s", got.raw)
	}
	e.holds(t, "k", old)
}

// TestEngineHidesItsOwn objects: they are on the servers, and nowhere else.
func TestEngineHidesItsOwn(t *testing.T) {
	e := newEngine(t)
	e.put(t, "/photos/k", "v")
	page, err := e.remotes["eu-1"].List(t.Context(), "photos", backend.ListRequest{Prefix: object.ReservedPrefix})
	if err != nil || len(page.Entries) == 0 {
		t.Fatalf("the server has no internal object: %v, %v", page, err)
	}
	for _, q := range []string{"list-type=2", "", "list-type=2&delimiter=%2F", "prefix=.s3mirror%2F", "prefix=.s", "list-type=2&start-after=.s3&delimiter=%2F"} {
		if a := e.send(t, query("GET", "/photos", q)); a.status != 200 || strings.Contains(a.body, "<Key>.s3mirror") || strings.Contains(a.body, "<CommonPrefixes><Prefix>.s3mirror") {
			t.Errorf("%s: %s", q, a.raw)
		}
	}
	for _, a := range []ask{get("/photos/" + page.Entries[0].Key), remove("/photos/" + page.Entries[0].Key), upload("/photos/"+page.Entries[0].Key, "x")} {
		if got := e.send(t, a); got.String() != "403 AccessDenied" {
			t.Errorf("%s: %s", a.method, got.raw)
		}
	}
	a := e.send(t, head("/photos/k"))
	for name := range a.header {
		if strings.HasPrefix(name, "X-Amz-Meta-") {
			t.Errorf("the stamp is shown: %s", name)
		}
	}
}

// counted is the value of a counter of the replicas.
func (e *engine) counted(t *testing.T, name string) float64 {
	t.Helper()
	families, err := e.metrics.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range families {
		if f.GetName() == name {
			return f.GetMetric()[0].GetCounter().GetValue()
		}
	}
	t.Fatalf("no metric %s", name)
	return 0
}

const (
	splicedBytes = "s3mirror_read_spliced_bytes_total"
	failovers    = "s3mirror_read_failovers_total"
)

// TestEngineSplices: on plain connections all but the first bytes of a large body
// pass us by, of a range too, and what arrives is the object. A replica that dies
// in the middle is replaced at the same byte, again and again.
func TestEngineSplices(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("splice is Linux's")
	}
	e := newEngine(t)
	data := string(randomBytes(5<<20 + 3))
	e.put(t, "/photos/large", data)
	e.holds(t, "large", data)
	before := e.counted(t, splicedBytes)
	if a := e.send(t, get("/photos/large")); a.body != data || a.header.Get("Content-Length") != strconv.Itoa(len(data)) {
		t.Errorf("%d bytes of %d, %v", len(a.body), len(data), a.header)
	}
	if n := e.counted(t, splicedBytes) - before; n < 5<<20-64<<10 || n > 5<<20 {
		t.Errorf("%v bytes were spliced", n)
	}
	if line := e.log.last(t); line["bytes_out"] != float64(len(data)) {
		t.Errorf("logged %v", line)
	}
	before = e.counted(t, splicedBytes)
	if a := e.send(t, get("/photos/large", "Range", "bytes=1000-4000000")); a.status != 206 || a.body != data[1000:4000001] {
		t.Errorf("range: %d, %d bytes", a.status, len(a.body))
	}
	if n := e.counted(t, splicedBytes) - before; n < 3_900_000 {
		t.Errorf("%v bytes of a range were spliced", n)
	}
	e.put(t, "/photos/small", data[:60_000])
	before = e.counted(t, splicedBytes)
	if a := e.send(t, get("/photos/small")); a.body != data[:60_000] || e.counted(t, splicedBytes) != before {
		t.Errorf("small: %d bytes, spliced: %v", len(a.body), e.counted(t, splicedBytes) != before)
	}

	for _, server := range e.servers {
		server.SetFaults(memory.Faults{CutRate: 1, CutAfter: 1 << 20})
	}
	for range 5 {
		if a := e.send(t, get("/photos/large")); a.body != data {
			t.Errorf("with answers that break off: %d bytes of %d", len(a.body), len(data))
		}
	}
	if n := e.counted(t, failovers); n < 20 {
		t.Errorf("%v times another replica went on", n)
	}
}

// TestEngineSplicesForNobody: a client that goes away in the middle costs nothing
// more, and is no failure of a replica's.
func TestEngineSplicesForNobody(t *testing.T) {
	e := newEngine(t)
	data := string(randomBytes(32 << 20))
	e.put(t, "/photos/large", data)
	e.holds(t, "large", data)
	for range 3 {
		c, err := net.Dial("tcp", e.addr)
		if err != nil {
			t.Fatal(err)
		}
		io.WriteString(c, get("/photos/large").text(e.addr))
		if _, err := io.CopyN(io.Discard, c, 1<<20); err != nil {
			t.Fatal(err)
		}
		c.(*net.TCPConn).SetLinger(0)
		c.Close()
		e.eventually(t, func() bool { return e.log.last(t)["cut"] == true })
		e.send(t, get("/photos/none")) // and another line is the last
	}
	if n := e.counted(t, failovers); n != 0 {
		t.Errorf("%v times another replica went on", n)
	}
	if a := e.send(t, get("/photos/large")); a.body != data {
		t.Errorf("%d bytes", len(a.body))
	}
}

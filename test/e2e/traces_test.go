//go:build e2e

package e2e

import (
	"bytes"
	"context"
	"encoding/hex"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"

	collector "go.opentelemetry.io/proto/otlp/collector/trace/v1"
	otlp "go.opentelemetry.io/proto/otlp/trace/v1"
	"google.golang.org/protobuf/proto"

	"github.com/s3mirror/s3mirror/internal/memory"
	"github.com/s3mirror/s3mirror/internal/sigv4"
	"github.com/s3mirror/s3mirror/test/e2e/harness"
	"github.com/s3mirror/s3mirror/test/e2e/wire"
)

// receiver takes OTLP over HTTP, and keeps the spans by the trace they are of.
type receiver struct {
	mu    sync.Mutex // guards spans
	spans map[string][]*otlp.Span
}

func (c *receiver) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	var request collector.ExportTraceServiceRequest
	if err == nil {
		err = proto.Unmarshal(body, &request)
	}
	if err != nil || r.URL.Path != "/v1/traces" {
		http.Error(w, fmt.Sprint(r.URL.Path, err), http.StatusBadRequest)
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, of := range request.ResourceSpans {
		for _, s := range of.ScopeSpans {
			for _, span := range s.Spans {
				id := hex.EncodeToString(span.TraceId)
				c.spans[id] = append(c.spans[id], span)
			}
		}
	}
}

// names are those of a trace's spans below the one that has no parent among them, whose
// own parent is told too.
func (c *receiver) names(trace string) (names []string, top *otlp.Span) {
	c.mu.Lock()
	defer c.mu.Unlock()
	ids := map[string]*otlp.Span{}
	for _, s := range c.spans[trace] {
		ids[string(s.SpanId)] = s
	}
	for _, s := range c.spans[trace] {
		if parent := ids[string(s.ParentSpanId)]; parent != nil {
			names = append(names, s.Name)
		} else {
			top = s
		}
	}
	slices.Sort(names)
	return names, top
}

// heard is everything that clients have sent to a listener.
type heard struct {
	net.Listener
	mu   *sync.Mutex // guards said
	said *bytes.Buffer
}

func (h heard) Accept() (net.Conn, error) {
	c, err := h.Listener.Accept()
	return heardConn{c, h}, err
}

type heardConn struct {
	net.Conn
	h heard
}

func (c heardConn) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	c.h.mu.Lock()
	c.h.said.Write(p[:n])
	c.h.mu.Unlock()
	return n, err
}

// tops are the traces whose first span, or one that stands alone, has a name.
func (c *receiver) tops(name string) (traces []string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for trace, spans := range c.spans {
		if slices.ContainsFunc(spans, func(s *otlp.Span) bool { return s.Name == name && len(s.ParentSpanId) == 0 }) {
			traces = append(traces, trace)
		}
	}
	return traces
}

// startTraced runs a gateway that sends its spans to a collector on the loopback. said is
// what each backend was sent.
func startTraced(t *testing.T) (into *receiver, g *harness.Gateway, backends []*harness.Backend, said func() map[string]string) {
	t.Helper()
	into = &receiver{spans: map[string][]*otlp.Span{}}
	sink := httptest.NewServer(into)
	t.Cleanup(sink.Close)
	backends, said = memoryBackends(t, 3)
	g = harness.StartGateway(t, backends, harness.Options{Extra: "traces: {endpoint: \"" + sink.URL + "\"}\n"})
	return into, g, backends, said
}

// TestTraces has the built binary send its spans to a collector on the loopback: one for
// each phase of a write and each replica, in the trace that traceparent names, of which
// the backends hear nothing.
func TestTraces(t *testing.T) {
	t.Parallel()
	into, g, _, said := startTraced(t)
	do := func(method, key string, body []byte, traceparent string) {
		t.Helper()
		a, err := g.Client.Do(t.Context(), method, "traced", key, "", body, wire.Field{Name: "traceparent", Value: traceparent})
		if err != nil || a.Status/100 != 2 {
			t.Fatalf("%s %s: %v %v", method, key, a.Status, err)
		}
	}
	trace := func(n int) string { return fmt.Sprintf("%032x", 0xabc0+n) }
	const caller = "00f067aa0ba902b7"
	do("PUT", "", nil, "nonsense")
	do("PUT", "small.txt", []byte("small"), "00-"+trace(1)+"-"+caller+"-01")
	do("PUT", "large.bin", bytes.Repeat([]byte("large"), 1<<20), "00-"+trace(2)+"-"+caller+"-01")
	do("GET", "small.txt", nil, "00-"+trace(3)+"-"+caller+"-01")
	do("DELETE", "small.txt", nil, "00-"+trace(4)+"-"+caller+"-01")
	do("PUT", "not-kept.txt", []byte("x"), "00-"+trace(5)+"-"+caller+"-00")

	writes := []string{"put b-1", "put b-2", "put b-3", "write body", "write intent", "write replica"}
	deletes := []string{"delete b-1", "delete b-2", "delete b-3", "write body", "write intent", "write replica"}
	want := map[string][]string{trace(1): writes, trace(2): writes, trace(4): deletes}
	for id, names := range want {
		harness.Eventually(t, "the spans of "+id, func() error {
			got, top := into.names(id)
			if !slices.Equal(got, names) || top == nil || hex.EncodeToString(top.ParentSpanId) != caller {
				return fmt.Errorf("%v below %v", got, top)
			}
			return nil
		})
	}
	harness.Eventually(t, "the spans of a read", func() error {
		got, top := into.names(trace(3))
		if len(got) != 1 || !strings.HasPrefix(got[0], "get b-") || top.GetName() != "GetObject" {
			return fmt.Errorf("%v below %v", got, top)
		}
		return nil
	})
	g.Process().Stop(t) // what is left is sent
	into.mu.Lock()
	if n := len(into.spans[trace(5)]); n != 0 {
		t.Errorf("%d spans of a trace that its caller did not want kept", n)
	}
	// The bucket's PUT began a trace: what it bore was no traceparent.
	begun := slices.ContainsFunc(slices.Concat(slices.Collect(maps.Values(into.spans))...), func(s *otlp.Span) bool {
		return s.Name == "CreateBucket" && len(s.ParentSpanId) == 0
	})
	if !begun {
		t.Error("no trace was begun")
	}
	into.mu.Unlock()
	for name, b := range said() {
		if text := strings.ToLower(b); strings.Contains(text, "traceparent") || strings.Contains(text, caller) || !strings.Contains(text, "/traced/large.bin") {
			t.Errorf("%s was told of the trace, or of nothing", name)
		}
	}
}

// TestTracesOfHeals: what nobody waits for has traces of its own, a visit of the healer
// and a step of a job, with every request to a replica below it.
func TestTracesOfHeals(t *testing.T) {
	t.Parallel()
	into, g, backends, _ := startTraced(t)
	createBucket(t, g.Client, "traced")
	cli := func(args ...string) {
		t.Helper()
		if code, stdout, stderr := g.CLI(t, args...); code != 0 {
			t.Fatalf("%v: exit %d\n%s\n%s", args, code, stdout, stderr)
		}
	}
	cli("backend", "pause", "b-2")
	if a, err := g.Client.Put(t.Context(), "traced", "missed", wire.Literal, []byte("while b-2 was away")); err != nil || a.Status != 200 {
		t.Fatalf("put: %v, %v", a, err)
	}
	cli("backend", "resume", "b-2")
	g.Converge(t)
	find := func(top string, below ...string) {
		t.Helper()
		harness.Eventually(t, "the trace of "+top, func() error {
			var seen [][]string
			for _, id := range into.tops(top) {
				names, _ := into.names(id)
				if !slices.ContainsFunc(below, func(want string) bool { return !slices.Contains(names, want) }) {
					return nil
				}
				seen = append(seen, names)
			}
			return fmt.Errorf("%v, want one with %v", seen, below)
		})
	}
	find("heal", "put b-2", "write body", "write intent", "write replica")

	if a, err := backends[2].Client.Delete(t.Context(), "traced", "missed"); err != nil || a.Status != 204 {
		t.Fatalf("delete on one backend: %v, %v", a, err)
	}
	if code, job := scrub(t, g, "traced"); code != 3 || job.Healed != 1 {
		t.Fatalf("scrub: exit %d, %+v", code, job)
	}
	find("job scrub", "list b-1", "list b-3", "compare", "head b-3", "heal", "put b-3")
}

// memoryBackends are endpoints in this process; said is what each of them was sent.
func memoryBackends(t *testing.T, n int) (backends []*harness.Backend, said func() map[string]string) {
	t.Helper()
	var all []heard
	ctx, cancel := context.WithCancel(context.Background())
	var serving sync.WaitGroup
	t.Cleanup(func() {
		cancel()
		serving.Wait()
	})
	for i := range n {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		h := heard{l, &sync.Mutex{}, &bytes.Buffer{}}
		b := &harness.Backend{
			Name: fmt.Sprintf("b-%d", i+1), Addr: l.Addr().String(),
			Keys: wire.Keys{Access: "access", Secret: "secret", Region: "us-east-1"},
		}
		b.Client = harness.NewClient(b.Addr, b.Keys)
		server := memory.New(memory.Options{AccessKeyID: b.Keys.Access, SecretAccessKey: sigv4.Secret(b.Keys.Secret)})
		serving.Go(func() {
			if err := server.Serve(ctx, h); err != nil {
				t.Error(err)
			}
		})
		all, backends = append(all, h), append(backends, b)
	}
	return backends, func() map[string]string {
		out := map[string]string{}
		for i, h := range all {
			h.mu.Lock()
			out[backends[i].Name] = h.said.String()
			h.mu.Unlock()
		}
		return out
	}
}

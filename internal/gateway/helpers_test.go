package gateway_test

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/s3mirror/s3mirror/internal/auth"
	"github.com/s3mirror/s3mirror/internal/gateway"
	"github.com/s3mirror/s3mirror/internal/s3"
	"github.com/s3mirror/s3mirror/internal/sigv4"
)

const (
	testKey    = "AKROOT"
	testSecret = sigv4.Secret("root's secret")
)

var update = flag.Bool("update", false, "rewrite the golden files")

// fixture is a served Handler and what it stands on.
type fixture struct {
	*store
	handler *gateway.Handler
	addr    string
	metrics *prometheus.Registry
	log     *logBuffer
}

// logBuffer collects JSON lines.
type logBuffer struct {
	mu   sync.Mutex // guards text
	text bytes.Buffer
}

func (l *logBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(p)
}

// lines returns the access lines so far.
func (l *logBuffer) lines(t testing.TB) []map[string]any {
	t.Helper()
	l.mu.Lock()
	defer l.mu.Unlock()
	var all []map[string]any
	for line := range strings.Lines(l.text.String()) {
		var m map[string]any
		if err := json.Unmarshal([]byte(line), &m); err != nil {
			t.Fatalf("log line %q: %v", line, err)
		}
		if m["msg"] == "s3 request" {
			all = append(all, m)
		}
	}
	return all
}

// last returns the newest access line.
func (l *logBuffer) last(t testing.TB) map[string]any {
	t.Helper()
	all := l.lines(t)
	if len(all) == 0 {
		t.Fatal("no access line")
	}
	return all[len(all)-1]
}

// newHandler makes a Handler without serving it.
func newHandler(s gateway.Replicas, change ...func(*gateway.Options)) *fixture {
	f := &fixture{metrics: prometheus.NewRegistry(), log: &logBuffer{}}
	f.store, _ = s.(*store)
	o := gateway.Options{
		Replicas: s, Verifier: auth.NewVerifier(auth.Root(testKey, testSecret), time.Now),
		Tokens: s3.NewTokenKey([]byte("a secret of the deployment")), Domains: []string{"s3.test"},
		Log: slog.New(slog.NewJSONHandler(f.log, &slog.HandlerOptions{Level: slog.LevelInfo})), Metrics: f.metrics,
	}
	for _, c := range change {
		c(&o)
	}
	f.handler = gateway.New(o)
	return f
}

// newFixture serves a Handler on loopback. The bucket "photos" is there.
func newFixture(t testing.TB, change ...func(*gateway.Options)) *fixture {
	t.Helper()
	f := newHandler(newStore("photos"), change...)
	f.serve(t)
	return f
}

func listen(t testing.TB) net.Listener {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	return l
}

func (f *fixture) serve(t testing.TB) {
	t.Helper()
	l := listen(t)
	f.addr = l.Addr().String()
	server := gateway.NewServer(f.handler)
	done := make(chan error, 1)
	go func() { done <- server.Serve(gateway.Listen(l, nil)) }()
	t.Cleanup(func() {
		server.Close()
		if err := <-done; !errors.Is(err, http.ErrServerClosed) {
			t.Error(err)
		}
	})
}

// ask is one request as it will stand on the wire.
type ask struct {
	method, path, query string // as they stand in the request line
	header              http.Header
	body                string
	mode                string              // x-amz-content-sha256; empty: the literal hash
	anonymous           bool                // not signed at all
	after               func(h http.Header) // what happens to the headers once they are signed
	host                string
	keep                bool // the connection
}

func header(pairs ...string) http.Header {
	h := http.Header{}
	for i := 0; i < len(pairs); i += 2 {
		h[http.CanonicalHeaderKey(pairs[i])] = append(h[http.CanonicalHeaderKey(pairs[i])], pairs[i+1])
	}
	return h
}

// text signs the request and writes it down.
func (a ask) text(host string) string {
	if a.host != "" {
		host = a.host
	}
	r := &http.Request{Method: a.method, Host: host, Header: a.header.Clone()}
	if r.Header == nil {
		r.Header = http.Header{}
	}
	mode := a.mode
	if mode == "" {
		sum := sha256.Sum256([]byte(a.body))
		mode = hex.EncodeToString(sum[:])
	}
	if !a.anonymous {
		sigv4.NewSigner(testKey, testSecret, "eu").Sign(r, a.path, a.query, mode, time.Now())
	}
	if a.after != nil {
		a.after(r.Header)
	}
	if (a.body != "" || a.method == "PUT") && r.Header.Get("Content-Length") == "" && r.Header.Get("Transfer-Encoding") == "" {
		r.Header.Set("Content-Length", fmt.Sprint(len(a.body)))
	}
	if !a.keep {
		r.Header.Set("Connection", "close")
	}
	target := a.path
	if a.query != "" {
		target += "?" + a.query
	}
	var b strings.Builder
	fmt.Fprintf(&b, "%s %s HTTP/1.1\r\nHost: %s\r\n", a.method, target, host)
	for _, name := range slices.Sorted(maps.Keys(r.Header)) {
		for _, v := range r.Header[name] {
			if v != "\x00" { // left out
				fmt.Fprintf(&b, "%s: %s\r\n", name, v)
			}
		}
	}
	b.WriteString("\r\n" + a.body)
	return b.String()
}

// dial opens a connection that fails a test that waits for ever.
func (f *fixture) dial(t testing.TB) net.Conn {
	t.Helper()
	c, err := net.Dial("tcp", f.addr)
	if err != nil {
		t.Fatal(err)
	}
	c.SetDeadline(time.Now().Add(30 * time.Second))
	t.Cleanup(func() { c.Close() })
	return c
}

// raw sends text and returns all that comes back.
func (f *fixture) raw(t testing.TB, text string) string {
	t.Helper()
	c := f.dial(t)
	go io.WriteString(c, text) // a refused body need not be taken
	answer, err := io.ReadAll(c)
	if err != nil {
		t.Fatalf("read answer: %v, after %q", err, answer)
	}
	return string(answer)
}

// send sends a request and reads its answer.
func (f *fixture) send(t testing.TB, a ask) answer {
	t.Helper()
	return parse(t, a.method, f.raw(t, a.text(f.addr)))
}

// answer is what came back.
type answer struct {
	status int
	header http.Header
	body   string
	raw    string
	last   bool // the connection ends with it
}

func parse(t testing.TB, method, raw string) answer {
	t.Helper()
	a, err := readAnswer(method, raw)
	if err != nil {
		t.Errorf("answer: %v in %q", err, raw)
	}
	return a
}

// readAnswer reads an answer, or as much of it as there is.
func readAnswer(method, raw string) (answer, error) {
	resp, err := http.ReadResponse(bufio.NewReader(strings.NewReader(raw)), &http.Request{Method: method})
	if err != nil {
		return answer{raw: raw}, err
	}
	body, err := io.ReadAll(resp.Body)
	return answer{resp.StatusCode, resp.Header, string(body), raw, resp.Close}, err
}

// code is the S3 code of an error, empty when the body is none.
func (a answer) code() string {
	_, rest, _ := strings.Cut(a.body, "<Error><Code>")
	code, _, _ := strings.Cut(rest, "<")
	return code
}

func (a answer) String() string { return strings.TrimSpace(fmt.Sprintf("%d %s", a.status, a.code())) }

// volatile are the parts of an answer that differ each time.
var volatile = []struct {
	re *regexp.Regexp
	by string
}{
	{regexp.MustCompile(`(?m)^Date: .*\r$`), "Date: DATE\r"},
	{regexp.MustCompile(`(?m)^X-Amz-Request-Id: [0-9A-F]{16}\r$`), "X-Amz-Request-Id: ID\r"},
	{regexp.MustCompile(`(?m)^X-Amz-Id-2: [A-Za-z0-9+/=]{44}\r$`), "X-Amz-Id-2: HOST\r"},
	{regexp.MustCompile(`<RequestId>[0-9A-F]{16}</RequestId>`), "<RequestId>ID</RequestId>"},
	{regexp.MustCompile(`<HostId>[A-Za-z0-9+/=]{44}</HostId>`), "<HostId>HOST</HostId>"},
	{regexp.MustCompile(`ContinuationToken>[A-Za-z0-9_-]+<`), "ContinuationToken>TOKEN<"},
}

// golden compares an answer with the file, CR LF and all.
func golden(t *testing.T, name, got string) {
	t.Helper()
	for _, v := range volatile {
		got = v.re.ReplaceAllString(got, v.by)
	}
	file := filepath.Join("testdata", name+".golden")
	if *update {
		if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	have, wanted := strings.Split(got, "=== "), strings.Split(string(want), "=== ")
	if len(have) != len(wanted) {
		t.Errorf("%s: %d examples, want %d", name, len(have)-1, len(wanted)-1)
	}
	for i := range min(len(have), len(wanted)) {
		if have[i] != wanted[i] {
			t.Errorf("%s:\n--- got\n%s\n--- want\n%s", name, have[i], wanted[i])
		}
	}
}

// put stores an object by a request and returns its ETag with quotes.
func (f *fixture) put(t testing.TB, path, body string, headers ...string) string {
	t.Helper()
	a := f.send(t, ask{method: "PUT", path: path, header: header(headers...), body: body})
	if a.status != 200 {
		t.Fatalf("put %s: %s", path, a.raw)
	}
	return a.header.Get("ETag")
}

func debugHeaders(o *gateway.Options) { o.DebugHeaders = true }

// counter is the value of a counter or gauge that has the label values.
func (f *fixture) counter(t testing.TB, name string, labels ...string) float64 {
	t.Helper()
	families, err := f.metrics.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, family := range families {
		if family.GetName() != name {
			continue
		}
		for _, m := range family.GetMetric() {
			var values []string
			for _, l := range m.GetLabel() {
				values = append(values, l.GetValue())
			}
			if !slices.ContainsFunc(labels, func(l string) bool { return !slices.Contains(values, l) }) {
				return m.GetCounter().GetValue() + m.GetGauge().GetValue()
			}
		}
	}
	t.Errorf("there is no %s with %v", name, labels)
	return -1
}

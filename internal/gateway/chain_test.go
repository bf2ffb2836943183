package gateway_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/s3mirror/s3mirror/internal/gateway"
	"github.com/s3mirror/s3mirror/internal/s3"
)

// TestNothingIsRevealedBeforeAuthentication: whoever does not prove who he is
// learns the same, whatever he asks for.
func TestNothingIsRevealedBeforeAuthentication(t *testing.T) {
	f := newFixture(t)
	f.put(t, "/photos/plain", "hello world")
	f.called()
	forge := func(h http.Header) {
		h.Set("Authorization", strings.Replace(h.Get("Authorization"), "Signature=", "Signature=0", 1))
	}
	for _, group := range examples {
		for _, e := range group.cases {
			if e.ask.method == http.MethodOptions || e.name == "post a form" {
				continue // which come unsigned, or signed within
			}
			e.ask.anonymous = true
			want := "AccessDenied"
			if err := f.malformed(t, e.ask); err != nil { // which anybody can tell
				want = string(s3.ForClient(err).Code)
			}
			if a := f.send(t, e.ask); a.status != s3.Code(want).Status() || e.ask.method != "HEAD" && a.code() != want {
				t.Errorf("%s: %s: anonymous gets %s", group.file, e.name, a.raw)
			}
			e.ask.anonymous, e.ask.after = false, forge
			if a := f.send(t, e.ask); a.status/100 != 4 || a.status == 404 || a.header.Get("ETag") != "" ||
				e.ask.method != "HEAD" && a.code() != "AuthorizationHeaderMalformed" && a.code() != "SignatureDoesNotMatch" {
				t.Errorf("%s: %s: a forger gets %s", group.file, e.name, a.raw)
			}
		}
	}
	if calls := f.called(); len(calls) > 0 {
		t.Errorf("called %v", calls)
	}
}

// malformed is what is wrong with a request in itself.
func (f *fixture) malformed(t *testing.T, a ask) error {
	t.Helper()
	r, err := http.ReadRequest(bufio.NewReader(strings.NewReader(a.text(f.addr))))
	if err != nil {
		t.Fatal(err)
	}
	_, err = s3.Parse(r, f.handler.Domains)
	return err
}

func TestHeadersThatAreNotSigned(t *testing.T) {
	f := newFixture(t)
	for _, name := range []string{"X-Amz-Meta-Forged", "X-Amz-Copy-Source", "X-Amz-Tagging", "X-Amz-Acl", "X-Amz-Website-Redirect-Location"} {
		a := f.send(t, ask{method: "PUT", path: "/photos/k", body: "x", after: func(h http.Header) { h.Set(name, "/photos/other") }})
		if a.String() != "403 AccessDenied" {
			t.Errorf("%s: %s", name, a.raw)
		}
	}
	if got := f.snapshot(); len(got) != 1 {
		t.Errorf("left %v", got)
	}
}

// TestPreflight: browsers ask unsigned.
func TestPreflight(t *testing.T) {
	f := newFixture(t)
	a := f.send(t, ask{method: "OPTIONS", path: "/photos/k", anonymous: true, header: header("Origin", "https://site.test", "Access-Control-Request-Method", "PUT")})
	if a.String() != "403 AccessForbidden" || a.header.Get("Access-Control-Allow-Origin") != "" {
		t.Errorf("answered %s", a.raw)
	}
}

// TestErrorsOfTheReplicas: what a client may read of them, and what the log
// keeps.
func TestErrorsOfTheReplicas(t *testing.T) {
	secret := "the backend's own words"
	for _, tc := range []struct {
		name  string
		err   error
		want  string
		level string
	}{
		{"of S3", s3.Err(s3.SlowDown).Because(errors.New(secret)), "503 SlowDown", "INFO"},
		{"wrapped", fmt.Errorf("%s: %w", secret, s3.Err(s3.InsufficientStorage)), "507 InsufficientStorage", "INFO"},
		{"of a backend", &s3.Error{Code: s3.RequestTimeTooSkewed, Message: secret, Status: 403}, "500 InternalError", "ERROR"},
		{"of another kind", errors.New(secret), "500 InternalError", "ERROR"},
	} {
		f := newFixture(t)
		f.before = func(context.Context, string) error { return tc.err }
		a := f.send(t, upload("/photos/k", "v"))
		if a.String() != tc.want || strings.Contains(a.raw, secret) {
			t.Errorf("%s: answered %s", tc.name, a.raw)
		}
		if retry := a.header.Get("Retry-After"); (retry != "") != (a.status == 503) {
			t.Errorf("%s: Retry-After %q", tc.name, retry)
		}
		line := f.log.last(t)
		if line["level"] != tc.level || line["code"] != a.code() || !strings.Contains(line["error"].(string), secret) {
			t.Errorf("%s: logged %v", tc.name, line)
		}
	}
}

// TestEveryCallMayFail: whatever an operation asks the replicas, their error is
// its answer.
func TestEveryCallMayFail(t *testing.T) {
	f := newFixture(t)
	f.before = func(context.Context, string) error { return s3.Err(s3.SlowDown) }
	for _, a := range []ask{
		get("/"), get("/photos"), query("GET", "/photos", "list-type=2&max-keys=0"), query("GET", "/photos", "location"), head("/photos"),
		{method: "PUT", path: "/more"}, remove("/photos"), upload("/photos/k", "v"), get("/photos/k"), get("/photos/k", "If-None-Match", "*"),
		head("/photos/k"), remove("/photos/k"),
	} {
		if got := f.send(t, a); got.status != 503 || got.header.Get("Retry-After") == "" || a.method != "HEAD" && got.code() != "SlowDown" {
			t.Errorf("%s %s?%s: %s", a.method, a.path, a.query, got.raw)
		}
	}
}

// TestPanic: it costs one request, not the process and not the connection.
func TestPanic(t *testing.T) {
	f := newFixture(t)
	f.before = func(_ context.Context, method string) error {
		if method == "Delete" {
			panic("an invariant")
		}
		return nil
	}
	a := f.send(t, remove("/photos/k"))
	if a.String() != "500 InternalError" || strings.Contains(a.body, "invariant") {
		t.Errorf("answered %s", a.raw)
	}
	line := f.log.last(t)
	if line["level"] != "ERROR" || line["error"] != "panic: an invariant" || !strings.Contains(line["stack"].(string), "store_test.go") {
		t.Errorf("logged %v", line)
	}
	if a := f.send(t, get("/photos")); a.status != 200 {
		t.Errorf("the next one: %s", a.raw)
	}
}

func TestPanicWithinAnAnswerCutsIt(t *testing.T) {
	f := newFixture(t)
	f.put(t, "/photos/k", strings.Repeat("x", 1<<20))
	f.body = func(r io.Reader) io.Reader {
		return io.MultiReader(io.LimitReader(r, 1<<19), readerFunc(func([]byte) (int, error) { panic("an invariant") }))
	}
	_, err := readAnswer("GET", f.raw(t, get("/photos/k").text(f.addr)))
	if !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Errorf("the answer ends in %v", err)
	}
	if line := f.log.last(t); line["level"] != "ERROR" || line["cut"] != true {
		t.Errorf("logged %v", line)
	}
}

type readerFunc func([]byte) (int, error)

func (f readerFunc) Read(p []byte) (int, error) { return f(p) }

// TestAccessLine: one line says it all, and nothing that it must not.
func TestAccessLine(t *testing.T) {
	f := newFixture(t)
	f.put(t, "/photos/plain", "hello world")
	a := f.send(t, query("GET", "/photos/plain", "response-content-type=a%2Fsecret"))
	want := map[string]any{
		"level": "INFO", "msg": "s3 request", "request_id": a.header.Get("x-amz-request-id"), "login": "root", "operation": "GetObject",
		"bucket": "photos", "key": `photos/"plain"`, "replica": "eu-1", "status": 200.0, "bytes_in": 0.0, "bytes_out": 11.0,
	}
	line := f.log.last(t)
	for name, v := range want {
		if line[name] != v {
			t.Errorf("%s is %v, want %v", name, line[name], v)
		}
		delete(line, name)
	}
	if remote, _ := line["remote"].(string); !strings.HasPrefix(remote, "127.0.0.1:") {
		t.Errorf("remote is %v", line["remote"])
	}
	if took, _ := line["duration"].(float64); took <= 0 {
		t.Errorf("duration is %v", line["duration"])
	}
	if line["client"] != "127.0.0.1" {
		t.Errorf("client is %v", line["client"])
	}
	for _, name := range []string{"client", "user_agent"} {
		delete(line, name)
	}
	delete(line, "remote")
	delete(line, "duration")
	delete(line, "time")
	if len(line) > 0 {
		t.Errorf("and %v", line)
	}

	f.put(t, "/photos/a%0Ab", "xyz")
	if line := f.log.last(t); line["key"] != `photos/"a\nb"` || line["bytes_in"] != 3.0 || line["operation"] != "PutObject" {
		t.Errorf("logged %v", line)
	}
	f.send(t, query("GET", "/Bad", "X-Amz-Signature=secret", "Authorization", "none"))
	if line := f.log.last(t); line["operation"] != "unparsed" || line["path"] != "/Bad" || line["method"] != "GET" || line["bucket"] != nil {
		t.Errorf("logged %v", line)
	}
}

// TestNoLineWhereNobodyListens, but the metrics count all the same.
func TestNoLineWhereNobodyListens(t *testing.T) {
	f := newFixture(t, func(o *gateway.Options) { o.Log = slog.New(slog.DiscardHandler) })
	f.put(t, "/photos/k", "v")
	if lines := f.log.lines(t); len(lines) > 0 {
		t.Errorf("logged %v", lines)
	}
	if n := f.counter(t, "s3mirror_gateway_requests_total", "PutObject", "2xx"); n != 1 {
		t.Errorf("counted %v", n)
	}
}

// TestClientThatLeaves is no error of ours.
func TestClientThatLeaves(t *testing.T) {
	f := newFixture(t)
	arrived := make(chan struct{})
	f.before = func(ctx context.Context, method string) error {
		close(arrived)
		<-ctx.Done()
		return fmt.Errorf("head object: %w", ctx.Err())
	}
	c := f.dial(t)
	io.WriteString(c, head("/photos/k").text(f.addr))
	<-arrived
	c.Close()
	f.eventually(t, func() bool {
		return f.counter(t, "s3mirror_gateway_requests_total", "HeadObject", "gone") == 1 && len(f.log.lines(t)) > 0 // which comes after
	})
	if line := f.log.last(t); line["level"] != "INFO" {
		t.Errorf("logged %v", line)
	}
}

// TestMetrics: all that is implemented starts at zero, and counts.
func TestMetrics(t *testing.T) {
	f := newFixture(t)
	for _, op := range s3.ImplementedOperations() {
		for _, class := range []string{"2xx", "3xx", "4xx", "5xx", "gone", "cut"} {
			if n := f.counter(t, "s3mirror_gateway_requests_total", string(op), class); n != 0 {
				t.Errorf("%s %s starts at %v", op, class, n)
			}
		}
	}
	f.put(t, "/photos/plain", "hello world")
	f.send(t, get("/photos/plain"))
	f.send(t, get("/photos/plain", "If-None-Match", "*"))
	f.send(t, get("/photos/absent"))
	f.send(t, get("/photos/.s3mirror/x"))
	f.send(t, query("GET", "/photos/plain", "torrent"))
	for _, tc := range []struct {
		operation, class string
		want             float64
	}{
		{"PutObject", "2xx", 1}, {"GetObject", "2xx", 1}, {"GetObject", "3xx", 1}, {"GetObject", "4xx", 1},
		{"unparsed", "4xx", 1}, {"GetObjectTorrent", "5xx", 1},
	} {
		if n := f.counter(t, "s3mirror_gateway_requests_total", tc.operation, tc.class); n != tc.want {
			t.Errorf("%s %s: %v, want %v", tc.operation, tc.class, n, tc.want)
		}
	}
	if n := f.counter(t, "s3mirror_gateway_received_bytes_total"); n != 11 {
		t.Errorf("received %v bytes", n)
	}
	if n := f.counter(t, "s3mirror_gateway_sent_bytes_total"); n < 11 {
		t.Errorf("sent %v bytes", n)
	}
	f.eventually(t, func() bool { return f.counter(t, "s3mirror_gateway_requests_in_flight") == 0 })
}

// TestTwoGatewaysNeedTwoRegistries.
func TestTwoGatewaysNeedTwoRegistries(t *testing.T) {
	f := newHandler(newStore())
	defer func() {
		if recover() == nil {
			t.Error("no panic")
		}
	}()
	newHandler(newStore(), func(o *gateway.Options) { o.Metrics = f.metrics })
}

// eventually waits for what happens after an answer.
func (f *fixture) eventually(t testing.TB, ok func() bool) {
	t.Helper()
	for deadline := time.Now().Add(30 * time.Second); !ok(); time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("it never came")
		}
	}
}

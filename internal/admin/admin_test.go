package admin_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"reflect"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/alexedwards/argon2id"

	"github.com/s3mirror/s3mirror/internal/admin"
	"github.com/s3mirror/s3mirror/internal/admin/api"
	"github.com/s3mirror/s3mirror/internal/auth"
	"github.com/s3mirror/s3mirror/internal/auth/authtest"
	"github.com/s3mirror/s3mirror/internal/document"
	"github.com/s3mirror/s3mirror/internal/memory"
	"github.com/s3mirror/s3mirror/internal/oplog"
)

// source is a Source whose answers a test sets.
type source struct {
	mu       sync.Mutex // guards status and err while events are streamed
	status   admin.Status
	lag      admin.Lag
	backends []admin.BackendStatus
	events   []oplog.Event // newest first
	probe    admin.Probe
	err      error
	queries  []oplog.HistoryQuery
}

func (s *source) Status(context.Context) (admin.Status, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.status, s.err
}

func (s *source) set(status admin.Status, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.status, s.err = status, err
}
func (s *source) Lag(context.Context) (admin.Lag, error) { return s.lag, s.err }
func (s *source) Backends(context.Context) ([]admin.BackendStatus, error) {
	return s.backends, s.err
}
func (s *source) Backend(_ context.Context, name string) (admin.BackendDetail, error) {
	for _, b := range s.backends {
		if b.Name == name {
			return admin.BackendDetail{Name: name, State: b.State}, s.err
		}
	}
	return admin.BackendDetail{}, admin.ErrUnknownBackend
}
func (s *source) Qualify(context.Context, string) (admin.Probe, error) { return s.probe, s.err }
func (s *source) Ready(context.Context) error                          { return s.err }
func (s *source) History(_ context.Context, q oplog.HistoryQuery) ([]oplog.Event, error) {
	s.queries = append(s.queries, q)
	var out []oplog.Event
	for _, e := range s.events {
		if len(out) < q.Limit && (q.Before.IsZero() || e.Time.Before(q.Before)) && !e.Time.Before(q.Since) {
			out = append(out, e)
		}
	}
	return out, s.err
}

// switches is a Demo that remembers.
type switches map[string]bool

func (s switches) Switch(name string, on bool) error {
	if _, ok := s[name]; !ok {
		return admin.ErrUnknownBackend
	}
	s[name] = on
	return nil
}

func (s switches) Slow(name string) error { return s.Switch(name, true) }
func (s switches) Load(on bool)           { s["load"] = on }
func (s switches) Corrupt(name string) error {
	if name == "eu-3" {
		return admin.ErrNothingThere
	}
	return s.Switch(name, true)
}

func (s switches) State() admin.DemoState {
	return admin.DemoState{Backends: []api.DemoBackend{{Name: "eu-1", State: api.DemoIsSlow}}, Load: s["load"], Acknowledged: 7, Failed: 1,
		Corrupted: []api.DemoRot{{Backend: "eu-1", Bucket: "demo", Key: "k"}}}
}

// users are the users of a node, whose root has the password "secret".
type users struct {
	directory *auth.Directory
	logins    *auth.Logins
	accounts  *auth.Accounts
}

// Their clock runs ahead a little with each look at it, so that a test can log
// in as often as it likes.
func newUsers(t *testing.T, log oplog.Log) users {
	t.Helper()
	var ahead atomic.Int64
	now := func() time.Time { return time.Now().Add(time.Duration(ahead.Add(int64(time.Millisecond * 20)))) }
	secret := make([]byte, 32)
	d := auth.NewDirectory(auth.DirectoryOptions{
		Store: document.NewStore(log), Vault: auth.NewVault(secret), Root: auth.Root("AKROOT", "root's secret"),
		RootPasswordHash: cheapHash(t, "secret"), Now: now, Log: slog.New(slog.DiscardHandler),
	})
	passwords := auth.NewPasswords(2)
	logins, err := auth.NewLogins(t.Context(), d, passwords, secret)
	if err != nil {
		t.Fatal(err)
	}
	return users{d, logins, auth.NewAccounts(d, passwords)}
}

// cheapHash is a password hash whose check costs next to nothing.
func cheapHash(t *testing.T, password string) string {
	t.Helper()
	hash, err := argon2id.CreateHash(password, &argon2id.Params{Memory: 8, Iterations: 1, Parallelism: 1, SaltLength: 16, KeyLength: 32})
	if err != nil {
		t.Fatal(err)
	}
	return hash
}

// fixture is a served Handler and a client of it.
type fixture struct {
	*source
	users
	audit  *authtest.Auditor
	demo   switches
	log    *bytes.Buffer
	server *httptest.Server
	client *admin.Client
}

func newFixture(t *testing.T, change ...func(*admin.Options)) *fixture {
	t.Helper()
	return fixtureOf(t, newUsers(t, memory.NewLog()), change...)
}

func fixtureOf(t *testing.T, u users, change ...func(*admin.Options)) *fixture {
	t.Helper()
	f := &fixture{source: &source{}, users: u, audit: &authtest.Auditor{}, demo: switches{"eu-1": true}, log: &bytes.Buffer{}}
	o := admin.Options{
		Source: f.source, Logins: f.logins, Accounts: f.accounts, Audit: f.audit, Demo: f.demo,
		Log:     slog.New(slog.NewTextHandler(f.log, &slog.HandlerOptions{Level: slog.LevelDebug})),
		Metrics: prometheus.NewRegistry(),
		Version: admin.Version{Version: "v1", Node: "n1", Go: "go"},
	}
	for _, c := range change {
		c(&o)
	}
	f.server = httptest.NewUnstartedServer(nil)
	f.server.Config = admin.NewServer(admin.New(o))
	f.server.Start()
	t.Cleanup(f.server.Close)
	f.client = &admin.Client{BaseURL: f.server.URL, User: "root", Password: "secret"}
	return f
}

// do sends one request as root, unless login is "".
func (f *fixture) do(t *testing.T, method, path, login string, header ...string) (*http.Response, string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, f.server.URL+path, http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	if login != "" {
		req.SetBasicAuth(login, "secret")
	}
	for i := 0; i+1 < len(header); i += 2 {
		req.Header.Set(header[i], header[i+1])
	}
	resp, err := http.DefaultTransport.RoundTrip(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp, string(body)
}

func TestStatusDocumentIsTheContract(t *testing.T) {
	f := newFixture(t)
	at := time.Date(2026, 3, 4, 5, 6, 7, 0, time.UTC)
	f.status = admin.Status{
		Version: "v1", Node: "n1", Lagging: admin.Backlog{Keys: 2, Bytes: 300, OldestSeconds: 1.5},
		Unsettled: admin.Count{Keys: 1}, InFlight: admin.Count{Keys: 3}, Refused: admin.Count{Keys: 4},
		Backends: []admin.BackendStatus{
			{Name: "eu-1", State: admin.Up, LastSuccess: &at},
			{Name: "eu-2", State: admin.Down, LaggingKeys: 2, LaggingBytes: 300, OldestSeconds: 1.5, Reason: "refused"},
		},
	}
	resp, body := f.do(t, "GET", "/api/v1/status", "root")
	want := `{"version":"v1","node":"n1","converged":false,"lagging":{"keys":2,"bytes":300,"oldest_seconds":1.5},` +
		`"unsettled":{"keys":1},"in_flight":{"keys":3},"refused":{"keys":4},"backends":[` +
		`{"name":"eu-1","state":"up","lagging_keys":0,"lagging_bytes":0,"oldest_seconds":0,"last_success":"2026-03-04T05:06:07Z"},` +
		`{"name":"eu-2","state":"down","lagging_keys":2,"lagging_bytes":300,"oldest_seconds":1.5,"last_success":null,"reason":"refused"}]}` + "\n"
	var got, wanted any
	if json.Unmarshal([]byte(body), &got) != nil || json.Unmarshal([]byte(want), &wanted) != nil || !reflect.DeepEqual(got, wanted) {
		t.Errorf("got  %s\nwant %s", body, want)
	}
	if got := resp.Header.Get("Content-Type"); got != "application/json" {
		t.Errorf("Content-Type %q", got)
	}
}

func TestEmptyDocumentsHaveEmptyLists(t *testing.T) {
	f := newFixture(t)
	f.lag.Backends = []admin.BackendLag{{Name: "eu-1", State: admin.Up}}
	for path, want := range map[string]string{
		"/api/v1/status":          `"backends":[]`,
		"/api/v1/backends":        `{"backends":[]}`,
		"/api/v1/history":         `{"events":[]}`,
		"/api/v1/replication/lag": `"buckets":[]`,
	} {
		if _, body := f.do(t, "GET", path, "root"); !strings.Contains(body, want) {
			t.Errorf("%s: %s lacks %s", path, body, want)
		}
	}
}

// TestWhoIsAdmitted asks every operation without a proof, with a wrong one, as a
// user and as root. What needs a role answers nobody else.
func TestWhoIsAdmitted(t *testing.T) {
	open := []string{"health", "ready", "version", "metrics", "jwks", "login", "refresh", "logout", "beginSession", "renewSession", "endSession"}
	own := []string{"describe", "validate", "validatePost", "getUser", "updateUser", "listKeys", "createKey", "getKey", "deleteKey", "rotateKey",
		"listBuckets", "createBucket", "getBucket", "putBucket", "deleteBucket", "listObjects", "getObject", "putObject", "deleteObject",
		"presignObject", "listUploads", "createUpload", "listParts", "completeUpload", "abortUpload", "putPart"}
	var n byte
	f, _ := newEngineFixture(t, func(o *admin.Options) { // nobody comes from one place often enough to be locked out
		o.Client = func(*http.Request) netip.Addr { n++; return netip.AddrFrom4([4]byte{192, 0, 2, n}) }
		o.Feed = admin.NewFeed()
		o.Feed.Close() // streams end at once
	})
	write := func(u *auth.User) { u.Scopes = []auth.Scope{auth.ScopeRead, auth.ScopeWrite} }
	f.user(t, "ann", write)
	seen := 0
	for _, op := range admin.Operations() {
		method, path, _ := strings.Cut(op.Pattern, " ")
		path = strings.NewReplacer("{name}", "eu-1", "{login}", "ann", "{id}", "AK", "{bucket}", "photos", "{key}", "k.txt", "{upload}", "u", "{part}", "1").Replace(path)
		if strings.Contains(path, "/uploads/") || op.ID == "createUpload" || op.ID == "presignObject" {
			path += "?key=k.txt"
		}
		role := "admin"
		if slices.Contains(open, op.ID) {
			role = ""
		} else if slices.Contains(own, op.ID) {
			role = "user"
		}
		if op.Role != role {
			t.Errorf("%s needs %q, want %q", op.ID, op.Role, role)
		}
		if role != "" {
			seen++
		}
		for _, tc := range []struct {
			login string
			no    int // what is answered when it is refused for the lack of a role
			may   bool
		}{
			{"", 401, role == ""}, {"mallory", 401, role == ""}, {"ann", 403, role != "admin"}, {"root", 0, true},
		} {
			resp, body := f.do(t, method, path, tc.login)
			refused := (resp.StatusCode == 401 || resp.StatusCode == 403) && role != ""
			if resp.StatusCode == 500 {
				t.Errorf("%s as %q: %s", op.ID, tc.login, body)
			}
			if refused == tc.may || refused && resp.StatusCode != tc.no {
				t.Errorf("%s as %q: %d, may %v: %s", op.ID, tc.login, resp.StatusCode, tc.may, body)
			}
			if resp.StatusCode == 401 && resp.Header.Get("WWW-Authenticate") == "" {
				t.Errorf("%s: no WWW-Authenticate", op.ID)
			}
			f.logins.Unlock("mallory")
			f.audit.Take()
		}
		f.user(t, "ann", write) // whom deleteUser took away
	}
	if seen < 15 {
		t.Errorf("only %d operations need a role", seen)
	}
	if resp, _ := f.do(t, "GET", "/no/such/path", ""); resp.StatusCode != 401 {
		t.Errorf("unknown path without login: %d", resp.StatusCode)
	}
}

// user makes a user with the password "secret", unless there is one already.
func (f *fixture) user(t *testing.T, login string, change ...func(u *auth.User)) {
	t.Helper()
	u := auth.User{Login: login, Role: auth.RoleUser, Scopes: []auth.Scope{auth.ScopeRead}, Active: true}
	if _, err := f.accounts.Create(t.Context(), u, ""); err != nil && !errors.Is(err, auth.ErrExists) {
		t.Fatal(err)
	}
	hash := cheapHash(t, "secret")
	if _, err := f.accounts.Update(t.Context(), login, func(u *auth.User) error {
		u.PasswordHash = hash
		for _, c := range change {
			c(u)
		}
		return nil
	}); err != nil {
		t.Fatal(err)
	}
}

func problemOf(t *testing.T, body string) api.Problem {
	t.Helper()
	var p api.Problem
	if err := json.Unmarshal([]byte(body), &p); err != nil {
		t.Fatalf("%s: %v", body, err)
	}
	return p
}

func TestProblems(t *testing.T) {
	cases := []struct {
		name, method, path string
		err                error
		status             int
		kind               string
		header             []string
	}{
		{name: "unknown path", method: "GET", path: "/api/v1/nothing", status: 404, kind: "not-found"},
		{name: "wrong method", method: "DELETE", path: "/api/v1/status", status: 405, kind: "method-not-allowed"},
		{name: "post to a get", method: "POST", path: "/healthz", status: 405, kind: "method-not-allowed"},
		{name: "get of a post", method: "GET", path: "/api/v1/demo/backends/eu-1/off", status: 405, kind: "method-not-allowed"},
		{name: "unknown backend", method: "POST", path: "/api/v1/demo/backends/eu-9/off", status: 404, kind: "unknown-backend"},
		{name: "cross origin", method: "POST", path: "/api/v1/demo/backends/eu-1/off", status: 403, kind: "cross-origin", header: []string{"Origin", "https://evil.example"}},
		{name: "bad since", method: "GET", path: "/api/v1/history?since=yesterday", status: 400, kind: "bad-parameter"},
		{name: "bad limit", method: "GET", path: "/api/v1/history?limit=0", status: 400, kind: "bad-parameter"},
		{name: "limit too high", method: "GET", path: "/api/v1/history?limit=1001", status: 400, kind: "bad-parameter"},
		{name: "bad cursor", method: "GET", path: "/api/v1/history?cursor=!", status: 400, kind: "bad-parameter"},
		{name: "mistyped filter", method: "GET", path: "/api/v1/history?buckt=a", status: 400, kind: "bad-parameter"},
		{name: "log refuses", method: "GET", path: "/api/v1/status", err: oplog.ErrNoSpace, status: 503, kind: "log-unavailable"},
		{name: "status fails", method: "GET", path: "/api/v1/status", err: errors.New("disk on fire at /var"), status: 500, kind: "internal"},
		{name: "lag fails", method: "GET", path: "/api/v1/replication/lag", err: errors.New("disk on fire at /var"), status: 500, kind: "internal"},
		{name: "backends fail", method: "GET", path: "/api/v1/backends", err: errors.New("disk on fire at /var"), status: 500, kind: "internal"},
		{name: "history fails", method: "GET", path: "/api/v1/history", err: errors.New("disk on fire at /var"), status: 500, kind: "internal"},
		{name: "unknown backend in detail", method: "GET", path: "/api/v1/backends/eu-9", status: 404, kind: "unknown-backend"},
		{name: "nowhere to probe", method: "POST", path: "/api/v1/backends/eu-1/qualify", err: admin.ErrNoBucket, status: 409, kind: "no-bucket"},
		{name: "nobody to probe", method: "POST", path: "/api/v1/backends/eu-1/qualify", err: admin.ErrBackendAway, status: 503, kind: "backend-away"},
		{name: "bad until", method: "GET", path: "/api/v1/history?until=yesterday", status: 400, kind: "bad-parameter"},
		{name: "not ready", method: "GET", path: "/readyz", err: errors.New("1 of 2 backends"), status: 503, kind: "not-ready"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			f := newFixture(t)
			f.err = c.err
			resp, body := f.do(t, c.method, c.path, "root", c.header...)
			p := problemOf(t, body)
			if resp.StatusCode != c.status || p.Status != c.status || p.Type != "urn:s3mirror:problem:"+c.kind {
				t.Errorf("got %d %+v", resp.StatusCode, p)
			}
			if got := resp.Header.Get("Content-Type"); got != "application/problem+json" {
				t.Errorf("Content-Type %q", got)
			}
			if p.RequestID == "" || p.RequestID != resp.Header.Get("X-Amz-Request-Id") {
				t.Errorf("request id %q, header %q", p.RequestID, resp.Header.Get("X-Amz-Request-Id"))
			}
			if !strings.Contains(f.log.String(), p.RequestID) {
				t.Errorf("the log does not name the request: %s", f.log)
			}
			if strings.Contains(body, "/var") {
				t.Errorf("the answer tells what belongs in the log: %s", body)
			}
			if c.err != nil && !strings.Contains(f.log.String(), c.err.Error()) {
				t.Errorf("the log does not tell the cause: %s", f.log)
			}
			if c.status == http.StatusMethodNotAllowed && resp.Header.Get("Allow") == "" {
				t.Error("405 without Allow")
			}
		})
	}
}

func TestSwitchOutsideADemo(t *testing.T) {
	f := newFixture(t, func(o *admin.Options) { o.Demo = nil })
	_, err := f.client.Switch(t.Context(), "eu-1", false)
	var p *admin.Problem
	if !errors.As(err, &p) || p.Type != "urn:s3mirror:problem:not-a-demo" {
		t.Errorf("got %v", err)
	}
}

func TestDemoState(t *testing.T) {
	f := newFixture(t)
	for _, c := range []struct{ method, path, want string }{
		{"POST", "/api/v1/demo/load/on", `"load":true`},
		{"GET", "/api/v1/demo", `{"name":"eu-1","state":"slow"}`},
		{"GET", "/api/v1/demo", `"load":true`},
		{"POST", "/api/v1/demo/backends/eu-1/slow", `"acknowledged":7`},
		{"POST", "/api/v1/demo/backends/eu-9/slow", "unknown-backend"},
		{"POST", "/api/v1/demo/backends/eu-1/corrupt", `"key":"k","mended":false`},
		{"POST", "/api/v1/demo/backends/eu-3/corrupt", "nothing-to-corrupt"},
		{"POST", "/api/v1/demo/backends/eu-9/corrupt", "unknown-backend"},
		{"POST", "/api/v1/demo/load/off", `"load":false`},
	} {
		if _, body := f.do(t, c.method, c.path, "root"); !strings.Contains(body, c.want) {
			t.Errorf("%s %s: %s", c.method, c.path, body)
		}
	}
	f = newFixture(t, func(o *admin.Options) { o.Demo = nil })
	if resp, body := f.do(t, "GET", "/api/v1/demo", "root"); resp.StatusCode != http.StatusNotFound || !strings.Contains(body, "not-a-demo") {
		t.Errorf("outside of a demo: %d %s", resp.StatusCode, body)
	}
}

func TestBodiesAreBounded(t *testing.T) {
	f := newFixture(t)
	req, err := http.NewRequestWithContext(t.Context(), "POST", f.server.URL+"/api/v1/demo/backends/eu-1/off", bytes.NewReader(make([]byte, 1<<20)))
	if err != nil {
		t.Fatal(err)
	}
	req.SetBasicAuth("root", "secret")
	resp, err := http.DefaultTransport.RoundTrip(req)
	if err != nil {
		return // the server closed the connection while the body was coming: as good
	}
	defer resp.Body.Close()
	if !resp.Close && resp.StatusCode == http.StatusOK {
		t.Error("a body of 1 MiB was read to its end")
	}
}

type panicking struct{ *source }

func (panicking) Status(context.Context) (admin.Status, error) { panic("broken invariant") }

func TestPanicIsAnInternalError(t *testing.T) {
	f := newFixture(t, func(o *admin.Options) { o.Source = panicking{} })
	resp, body := f.do(t, "GET", "/api/v1/status", "root")
	if resp.StatusCode != http.StatusInternalServerError || strings.Contains(body, "broken") {
		t.Errorf("%d %s", resp.StatusCode, body)
	}
	if log := f.log.String(); !strings.Contains(log, "broken invariant") || !strings.Contains(log, "Status") {
		t.Errorf("the log lacks the panic or its place: %s", log)
	}
}

func TestAnswersCannotBeFramedOrSniffed(t *testing.T) {
	f := newFixture(t)
	resp, _ := f.do(t, "GET", "/api/v1/status", "root", "Origin", "https://evil.example")
	for name, want := range map[string]string{
		"X-Content-Type-Options": "nosniff", "Cache-Control": "no-store", "Access-Control-Allow-Origin": "",
		"Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
	} {
		if got := resp.Header.Get(name); got != want {
			t.Errorf("%s: %q, want %q", name, got, want)
		}
	}
}

func TestMutationsAreInTheLog(t *testing.T) {
	f := newFixture(t)
	if _, err := f.client.Switch(t.Context(), "eu-1", false); err != nil {
		t.Fatal(err)
	}
	if f.demo["eu-1"] {
		t.Error("still on")
	}
	if log := f.log.String(); !strings.Contains(log, "level=INFO") || !strings.Contains(log, "login=root") || !strings.Contains(log, "eu-1/off") {
		t.Errorf("log: %s", log)
	}
}

func TestMetricsCountRoutes(t *testing.T) {
	f := newFixture(t)
	f.do(t, "GET", "/api/v1/status", "root")
	f.do(t, "GET", "/no/such/path", "root")
	_, body := f.do(t, "GET", "/metrics", "")
	for _, want := range []string{
		`s3mirror_admin_requests_total{class="2xx",route="/api/v1/status"} 1`,
		`s3mirror_admin_requests_total{class="2xx",route="/api/v1/history"} 0`,
		`s3mirror_admin_requests_total{class="4xx",route="other"} 1`,
	} {
		if !strings.Contains(body, want) {
			t.Errorf("metrics lack %s", want)
		}
	}
}

func TestHistoryPagesMeetWithoutGapOrRepeat(t *testing.T) {
	f := newFixture(t)
	start := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	for i := 40; i > 0; i-- { // 40 events in 4 moments of 10 each, newest first
		f.events = append(f.events, oplog.Event{Time: start.Add(time.Duration((i - 1) / 10)), Seq: uint64(i), Bucket: "b", Key: fmt.Sprint(i)})
	}
	for _, limit := range []int{1, 3, 7, 10, 39, 40, 41} {
		var got []string
		filter := admin.HistoryFilter{Limit: limit}
		for {
			page, err := f.client.History(t.Context(), filter)
			if err != nil {
				t.Fatal(err)
			}
			if len(page.Events) > limit {
				t.Fatalf("limit %d: %d events", limit, len(page.Events))
			}
			for _, e := range page.Events {
				got = append(got, e.Key)
			}
			if filter.Cursor = page.Cursor; page.Cursor == "" {
				break
			}
		}
		for i := range 40 {
			if len(got) != 40 || got[i] != fmt.Sprint(40-i) {
				t.Fatalf("limit %d: %v", limit, got)
			}
		}
	}
}

func TestHistoryFilterReachesTheLog(t *testing.T) {
	f := newFixture(t)
	since := time.Date(2026, 1, 2, 3, 4, 5, 6, time.UTC)
	if _, err := f.client.History(t.Context(), admin.HistoryFilter{Bucket: "b", Prefix: "a/b c&d=", Since: since, Limit: 5}); err != nil {
		t.Fatal(err)
	}
	q := f.queries[0]
	if q.Bucket != "b" || q.Prefix != "a/b c&d=" || !q.Since.Equal(since) {
		t.Errorf("got %+v", q)
	}
}

func TestKeysThatAreNotUTF8KeepTheirBytes(t *testing.T) {
	f := newFixture(t)
	f.events = []oplog.Event{{Time: time.Unix(1, 0), Key: "a/\xff +"}, {Time: time.Unix(0, 0), Key: "plain ü"}}
	page, err := f.client.History(t.Context(), admin.HistoryFilter{})
	if err != nil {
		t.Fatal(err)
	}
	if e := page.Events[0]; e.Key != "a/\uFFFD +" || e.KeyEncoded != "a/%FF%20%2B" {
		t.Errorf("got %+v", e)
	}
	if e := page.Events[1]; e.Key != "plain ü" || e.KeyEncoded != "" {
		t.Errorf("got %+v", e)
	}
}

// TestHistoryFilters: op, actor, result and until select, over pages without gap
// or repeat.
func TestHistoryFilters(t *testing.T) {
	f := newFixture(t)
	start := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	for i := 3000; i > 0; i-- { // newest first
		e := oplog.Event{Time: start.Add(time.Duration(i/7) * time.Second), Seq: uint64(i), Key: fmt.Sprint(i), Op: "put", Actor: "ann", Result: "acked"}
		if i%100 == 0 {
			e.Op, e.Actor, e.Result = "delete", "ben", "refused"
		}
		f.events = append(f.events, e)
	}
	for _, query := range []string{"op=delete", "actor=ben", "result=refused", "op=delete&actor=ben&result=refused"} {
		var got []string
		for cursor := ""; ; {
			_, body := f.do(t, "GET", "/api/v1/history?limit=7&"+query+"&cursor="+cursor, "root")
			var page admin.HistoryPage
			if err := json.Unmarshal([]byte(body), &page); err != nil || len(page.Events) > 7 {
				t.Fatal(body)
			}
			for _, e := range page.Events {
				got = append(got, e.Key)
			}
			if cursor = page.Cursor; cursor == "" {
				break
			}
		}
		if len(got) != 30 || got[0] != "3000" || got[29] != "100" {
			t.Errorf("%s: %q", query, got)
		}
	}
	_, body := f.do(t, "GET", "/api/v1/history?limit=1&op=delete&until="+start.Add(100*time.Second).Format(time.RFC3339), "root")
	if !strings.Contains(body, `"key":"600"`) {
		t.Errorf("until: %s", body)
	}
}

// TestBackendInDetail and probed anew.
func TestBackendInDetail(t *testing.T) {
	f := newFixture(t)
	f.backends = []admin.BackendStatus{{Name: "eu-1", State: admin.Up}}
	f.probe = admin.Probe{Level: "F1", PayloadMode: "trailer"}
	if _, body := f.do(t, "GET", "/api/v1/backends/eu-1", "root"); !strings.Contains(body, `"buckets":[]`) || !strings.Contains(body, `"name":"eu-1"`) {
		t.Errorf("%s", body)
	}
	if _, body := f.do(t, "POST", "/api/v1/backends/eu-1/qualify", "root"); !strings.Contains(body, `"level":"F1"`) || !strings.Contains(body, `"probes":[]`) {
		t.Errorf("%s", body)
	}
	if e := f.audit.Take(); len(e) != 1 || e[0].Target != "eu-1" || e[0].Act != "qualifyBackend" {
		t.Errorf("audited %+v", e)
	}
}

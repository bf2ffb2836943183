package main

import (
	"bytes"
	"context"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/alexedwards/argon2id"
	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/goleak"

	"github.com/s3mirror/s3mirror/internal/admin"
	"github.com/s3mirror/s3mirror/internal/auth"
	"github.com/s3mirror/s3mirror/internal/document"
	"github.com/s3mirror/s3mirror/internal/memory"
	"github.com/s3mirror/s3mirror/internal/oplog"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// buffer is a stream that a test reads while the program writes.
type buffer struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (b *buffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.Write(p)
}

func (b *buffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.String()
}

// command runs one command line to its end.
func command(t *testing.T, env environ, args ...string) (code int, stdout, stderr string) {
	t.Helper()
	var out, errs buffer
	std := streams{strings.NewReader(""), &out, &errs}
	code = printError(&errs, run(t.Context(), args, std, env))
	return code, out.String(), errs.String()
}

// fakeSource is an admin.Source whose answers a test sets.
type fakeSource struct {
	mu     sync.Mutex
	status admin.Status
	lag    admin.Lag
	events []oplog.Event
	probe  admin.Probe
	err    error
}

func (f *fakeSource) get() (admin.Status, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.status, f.err
}

func (f *fakeSource) Status(context.Context) (admin.Status, error) { return f.get() }
func (f *fakeSource) Lag(context.Context) (admin.Lag, error)       { return f.lag, f.err }
func (f *fakeSource) Backends(context.Context) ([]admin.BackendStatus, error) {
	s, err := f.get()
	return s.Backends, err
}
func (f *fakeSource) Backend(_ context.Context, name string) (admin.BackendDetail, error) {
	s, err := f.get()
	for _, b := range s.Backends {
		if b.Name == name {
			return admin.BackendDetail{Name: b.Name, State: b.State, Endpoint: "http://" + name}, err
		}
	}
	return admin.BackendDetail{}, admin.ErrUnknownBackend
}
func (f *fakeSource) Qualify(context.Context, string) (admin.Probe, error) { return f.probe, f.err }
func (f *fakeSource) Ready(context.Context) error                          { return f.err }
func (f *fakeSource) History(_ context.Context, q oplog.HistoryQuery) ([]oplog.Event, error) {
	var out []oplog.Event
	for _, e := range f.events {
		if len(out) < q.Limit && (q.Before.IsZero() || e.Time.Before(q.Before)) && !e.Time.Before(q.Since) {
			out = append(out, e)
		}
	}
	return out, f.err
}

// adminServer serves the admin API over a source to root with the password
// "secret", and returns the environment in which commands find it.
func adminServer(t *testing.T, src *fakeSource, demo admin.Demo) environ {
	t.Helper()
	accounts, logins := testUsers(t, memory.NewLog())
	h := admin.New(admin.Options{
		Source: src, Logins: logins, Accounts: accounts, Demo: demo, Log: slog.New(slog.DiscardHandler), Metrics: prometheus.NewRegistry(),
	})
	server := httptest.NewServer(h)
	t.Cleanup(func() {
		http.DefaultTransport.(*http.Transport).CloseIdleConnections()
		server.Close()
	})
	return environment("S3MIRROR_ADDR", server.URL, "S3MIRROR_USER", "root", "S3MIRROR_PASSWORD", "secret")
}

// testUsers are users in a log; root has the password "secret".
func testUsers(t *testing.T, log oplog.Log) (*auth.Accounts, *auth.Logins) {
	t.Helper()
	hash, err := argon2id.CreateHash("secret", &argon2id.Params{Memory: 8, Iterations: 1, Parallelism: 1, SaltLength: 16, KeyLength: 32})
	if err != nil {
		t.Fatal(err)
	}
	secret := make([]byte, secretKeySize)
	d := auth.NewDirectory(auth.DirectoryOptions{
		Store: document.NewStore(log), Vault: auth.NewVault(secret), Root: auth.Root("AKROOT", "root's secret"),
		RootPasswordHash: hash, Now: time.Now, Log: slog.New(slog.DiscardHandler),
	})
	passwords := auth.NewPasswords(2)
	logins, err := auth.NewLogins(t.Context(), d, passwords, secret)
	if err != nil {
		t.Fatal(err)
	}
	return auth.NewAccounts(d, passwords), logins
}

// get asks a URL and returns status and body.
func get(t *testing.T, url string) (int, string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	req.Close = true
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, string(body)
}

package main

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/big"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/s3mirror/s3mirror/internal/admin"
	"github.com/s3mirror/s3mirror/internal/memory"
	"github.com/s3mirror/s3mirror/internal/oplog"
)

// diary remembers in which order things happened.
type diary struct {
	mu    sync.Mutex
	lines []string
}

func (d *diary) note(line string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.lines = append(d.lines, line)
}

func (d *diary) all() []string {
	d.mu.Lock()
	defer d.mu.Unlock()
	return slices.Clone(d.lines)
}

// fakeEngine builds an engine that notes what becomes of it. The handler
// answers "served", a request for /slow only when release is closed.
type fakeEngine struct {
	diary
	parts   parts
	arrived chan struct{}
	release chan struct{}
	runErr  chan error // what run returns before its context ends
	drained error
}

func newFakeEngine() *fakeEngine {
	return &fakeEngine{arrived: make(chan struct{}, 1), release: make(chan struct{}), runErr: make(chan error, 1)}
}

func (f *fakeEngine) build(_ context.Context, p parts) (*engine, error) {
	f.parts = p
	return &engine{
		hold: ours,
		server: &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Path == "/slow" {
				f.arrived <- struct{}{}
				<-f.release
				f.note("request finished")
			}
			fmt.Fprint(w, "served")
		})},
		source: &fakeSource{status: admin.Status{Version: "v", Node: p.node, Converged: true}},
		run: func(ctx context.Context) error {
			select {
			case <-ctx.Done():
				_, err := p.log.Stats(context.Background())
				f.note(fmt.Sprintf("loops ended, log open: %v", err == nil))
				return nil
			case err := <-f.runErr:
				return err
			}
		},
		drain: func(context.Context) error {
			f.note("drained")
			return f.drained
		},
	}, nil
}

// running is a server under test.
type running struct {
	addresses
	stop context.CancelFunc
	done chan error
	log  *buffer
}

func (r *running) wait(t *testing.T) error {
	t.Helper()
	select {
	case err := <-r.done:
		return err
	case <-time.After(time.Minute):
		t.Fatal("the server does not end")
		return nil
	}
}

// testConfig is a node on free ports over one backend.
func testConfig(t *testing.T, endpoint string) *Config {
	t.Helper()
	cfg := defaultConfig()
	cfg.DataDir = filepath.Join(t.TempDir(), "data")
	cfg.S3.Listen, cfg.Admin.Listen = "127.0.0.1:0", "127.0.0.1:0"
	cfg.Backends = []BackendConfig{{Name: "eu-1", Endpoint: endpoint, AccessKeyID: "key", SecretAccessKey: "secret"}}
	cfg.setDefaults()
	return &cfg
}

// endpoint serves an S3 server in memory.
func endpoint(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() {
		done <- memory.New(memory.Options{AccessKeyID: "key", SecretAccessKey: "secret"}).Serve(ctx, l)
	}()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	return "http://" + l.Addr().String()
}

func options(f *fakeEngine, log io.Writer) serveOptions {
	return serveOptions{
		env:    environment("S3MIRROR_ROOT_ACCESS_KEY", "AK", "S3MIRROR_ROOT_SECRET_KEY", "SK", "S3MIRROR_ROOT_PASSWORD", "PW"),
		logger: slog.New(slog.NewTextHandler(log, nil)), say: func(string, string) {}, finish: 30 * time.Second,
		started: func(addresses) {}, build: f.build,
	}
}

// start runs a server and returns when it listens.
func start(t *testing.T, cfg *Config, f *fakeEngine, change ...func(*serveOptions)) *running {
	t.Helper()
	r := &running{done: make(chan error, 1), log: &buffer{}}
	o := options(f, r.log)
	started := make(chan addresses, 1)
	o.started = func(a addresses) { started <- a }
	for _, c := range change {
		c(&o)
	}
	ctx, cancel := context.WithCancel(t.Context())
	r.stop = cancel
	t.Cleanup(cancel)
	go func() { r.done <- serve(ctx, cfg, o) }()
	select {
	case r.addresses = <-started:
	case err := <-r.done:
		t.Fatalf("it does not start: %v\n%s", err, r.log)
	}
	return r
}

func TestServeAnswersOnBothListeners(t *testing.T) {
	f := newFakeEngine()
	r := start(t, testConfig(t, endpoint(t)), f)
	for url, want := range map[string]string{
		r.S3 + "/any": "served", r.Admin + "/healthz": "ok", r.Admin + "/readyz": "ready", r.Admin + "/version": f.parts.node,
		r.Admin + "/metrics": "s3mirror_process_resident_memory_bytes",
	} {
		if code, body := get(t, url); code != http.StatusOK || !strings.Contains(body, want) {
			t.Errorf("%s: %d %.200s, want %q", url, code, body, want)
		}
	}
	if _, body := get(t, r.Admin+"/metrics"); strings.Contains(body, "\ngo_") {
		t.Error("a metric does not begin with s3mirror_")
	}
	env := environment("S3MIRROR_ADDR", r.Admin, "S3MIRROR_USER", "root", "S3MIRROR_PASSWORD", "PW")
	if code, stdout, stderr := command(t, env, "status", "--check"); code != 0 || !strings.Contains(stdout, f.parts.node) {
		t.Errorf("status: exit %d\n%s%s", code, stdout, stderr)
	}
	http.DefaultTransport.(*http.Transport).CloseIdleConnections()
	r.stop()
	if err := r.wait(t); err != nil {
		t.Error(err)
	}
}

// The order of the end: requests finish, detached writes are drained, then the
// loops stop while the log is still open.
func TestServeShutsDownInOrder(t *testing.T) {
	f := newFakeEngine()
	r := start(t, testConfig(t, endpoint(t)), f)
	answer := make(chan string, 1)
	go func() {
		resp, err := http.Get(r.S3 + "/slow")
		if err != nil {
			answer <- err.Error()
			return
		}
		defer resp.Body.Close()
		body, _ := io.ReadAll(resp.Body)
		answer <- string(body)
	}()
	<-f.arrived
	r.stop()
	for deadline := time.Now().Add(time.Minute); ; { // not ready, while the request still runs
		if code, body := get(t, r.Admin+"/readyz"); code == http.StatusServiceUnavailable && strings.Contains(body, "stopping") {
			break
		}
		if time.Now().After(deadline) {
			t.Fatal("still ready")
		}
	}
	if got := f.all(); len(got) != 0 {
		t.Errorf("before the request finished: %v", got)
	}
	close(f.release)
	if got := <-answer; got != "served" {
		t.Errorf("the request under way got %q", got)
	}
	http.DefaultTransport.(*http.Transport).CloseIdleConnections()
	if err := r.wait(t); err != nil {
		t.Error(err)
	}
	want := []string{"request finished", "drained", "loops ended, log open: true"}
	if got := f.all(); !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
	if err := f.parts.log.Append(context.Background(), oplog.Event{}); err == nil {
		t.Error("the log is still open")
	}
}

// While a load balancer learns that this node ends, requests are still served.
func TestServeWaitsForItsLoadBalancer(t *testing.T) {
	f := newFakeEngine()
	cfg := testConfig(t, endpoint(t))
	cfg.ShutdownDelay = Duration(20 * time.Second)
	asked, over := make(chan time.Duration, 1), make(chan time.Time)
	r := start(t, cfg, f, func(o *serveOptions) {
		o.after = func(d time.Duration) <-chan time.Time {
			asked <- d
			return over
		}
	})
	r.stop()
	if d := <-asked; d != 20*time.Second {
		t.Errorf("it waits %v", d)
	}
	if code, body := get(t, r.Admin+"/readyz"); code != http.StatusServiceUnavailable {
		t.Errorf("still ready: %d %s", code, body)
	}
	if code, body := get(t, r.S3+"/any"); code != http.StatusOK {
		t.Errorf("a late request got %d %s", code, body)
	}
	http.DefaultTransport.(*http.Transport).CloseIdleConnections()
	close(over)
	if err := r.wait(t); err != nil {
		t.Error(err)
	}
	if resp, err := http.Get(r.S3 + "/any"); err == nil {
		resp.Body.Close()
		t.Error("the listener is still open")
	}
}

func TestServeCutsOffWhatDoesNotEnd(t *testing.T) {
	f := newFakeEngine()
	f.drained = errors.New("3 writes")
	r := start(t, testConfig(t, endpoint(t)), f, func(o *serveOptions) { o.finish = 10 * time.Millisecond })
	answer := make(chan error, 1)
	go func() {
		resp, err := http.Get(r.S3 + "/slow")
		if err == nil {
			resp.Body.Close()
		}
		answer <- err
	}()
	<-f.arrived
	r.stop()
	if err := r.wait(t); err != nil {
		t.Error(err)
	}
	if err := <-answer; err == nil {
		t.Error("the request was answered")
	}
	close(f.release)
	if log := r.log.String(); !strings.Contains(log, "cut off") || !strings.Contains(log, "3 writes") {
		t.Errorf("log: %s", log)
	}
}

func TestServeEndsWhenAPartFails(t *testing.T) {
	f := newFakeEngine()
	r := start(t, testConfig(t, endpoint(t)), f)
	broken := errors.New("healer broke")
	f.runErr <- broken
	if err := r.wait(t); !errors.Is(err, broken) {
		t.Errorf("got %v", err)
	}
}

func TestNodeKeepsItsName(t *testing.T) {
	cfg := testConfig(t, endpoint(t))
	var names []string
	for range 2 {
		f := newFakeEngine()
		r := start(t, cfg, f)
		names = append(names, f.parts.node)
		r.stop()
		if err := r.wait(t); err != nil {
			t.Fatal(err)
		}
	}
	if names[0] != names[1] || names[0] == "" {
		t.Errorf("names %q", names)
	}
}

func TestSecondProcessOnADataFolderIsRefused(t *testing.T) {
	cfg := testConfig(t, endpoint(t))
	r := start(t, cfg, newFakeEngine())
	err := serve(t.Context(), cfg, options(newFakeEngine(), io.Discard))
	if err == nil || !strings.Contains(err.Error(), cfg.DataDir) || exitCode(err) != exitFailed {
		t.Errorf("got %v", err)
	}
	r.stop()
	if err := r.wait(t); err != nil {
		t.Error(err)
	}
}

// Whatever fails at the start, what was opened before is closed: the next start
// succeeds.
func TestFailedStartLeavesNothingOpen(t *testing.T) {
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	cfg := testConfig(t, endpoint(t))
	for name, spoil := range map[string]func(*Config, *serveOptions){
		"s3 address taken":    func(c *Config, _ *serveOptions) { c.S3.Listen = taken.Addr().String() },
		"admin address taken": func(c *Config, _ *serveOptions) { c.Admin.Listen = taken.Addr().String() },
		"engine": func(_ *Config, o *serveOptions) {
			o.build = func(context.Context, parts) (*engine, error) { return nil, errors.New("no") }
		},
		"secrets": func(_ *Config, o *serveOptions) { o.env = environment("S3MIRROR_ROOT_ACCESS_KEY", "half") },
		"tls":     func(c *Config, _ *serveOptions) { c.S3.TLS = &TLSConfig{Cert: "none", Key: "none"} },
		"ca": func(c *Config, _ *serveOptions) {
			c.Backends = slices.Clone(c.Backends)
			c.Backends[0].CAFile = "none"
		},
		"endpoint": func(c *Config, _ *serveOptions) {
			c.Backends = slices.Clone(c.Backends)
			c.Backends[0].Endpoint = "ftp://x"
		},
	} {
		t.Run(name, func(t *testing.T) {
			c, o := *cfg, options(newFakeEngine(), io.Discard)
			spoil(&c, &o)
			if err := serve(t.Context(), &c, o); err == nil {
				t.Error("it started")
			}
		})
	}
	r := start(t, cfg, newFakeEngine())
	r.stop()
	if err := r.wait(t); err != nil {
		t.Error(err)
	}
}

func TestDataFolderThatCannotBeMade(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	cfg := testConfig(t, "http://127.0.0.1:1")
	cfg.DataDir = filepath.Join(file, "data")
	if err := serve(t.Context(), cfg, options(newFakeEngine(), io.Discard)); err == nil || !strings.Contains(err.Error(), "data_dir") {
		t.Errorf("got %v", err)
	}
}

// Backends that cannot be used are reported with what to do, and do not keep
// the server from starting.
func TestBackendsThatCannotBeUsedAreReported(t *testing.T) {
	for name, c := range map[string]struct {
		change func(*BackendConfig)
		todo   string
	}{
		"wrong secret": {func(b *BackendConfig) { b.SecretAccessKey = "wrong" }, "credentials are wrong"},
		"wrong key":    {func(b *BackendConfig) { b.AccessKeyID = "wrong" }, "credentials are wrong"},
		"not there":    {func(b *BackendConfig) { b.Endpoint = "http://127.0.0.1:1" }, "is it running"},
		"no host":      {func(b *BackendConfig) { b.Endpoint = "http://no-such-host.invalid" }, "host name is not known"},
	} {
		t.Run(name, func(t *testing.T) {
			cfg := testConfig(t, endpoint(t))
			c.change(&cfg.Backends[0])
			f := newFakeEngine()
			r := start(t, cfg, f)
			if log := r.log.String(); !strings.Contains(log, "level=WARN") || !strings.Contains(log, "backend=eu-1") || !strings.Contains(log, c.todo) {
				t.Errorf("log: %s", log)
			}
			if h := f.parts.backends.stacks[0].Breaker.Health(); h.State != "down" {
				t.Errorf("state %s", h.State)
			}
			r.stop()
			if err := r.wait(t); err != nil {
				t.Error(err)
			}
		})
	}
}

// keyPair writes a certificate for 127.0.0.1 and its key.
func keyPair(t *testing.T, files TLSConfig, name string) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: name}, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
	}
	cert, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	for file, block := range map[string]*pem.Block{
		files.Cert: {Type: "CERTIFICATE", Bytes: cert}, files.Key: {Type: "PRIVATE KEY", Bytes: der},
	} {
		if err := os.WriteFile(file, pem.EncodeToMemory(block), 0o600); err != nil {
			t.Fatal(err)
		}
	}
}

func TestServeTLS(t *testing.T) {
	dir := t.TempDir()
	files := TLSConfig{Cert: filepath.Join(dir, "tls.crt"), Key: filepath.Join(dir, "tls.key")}
	keyPair(t, files, "first")
	cfg := testConfig(t, endpoint(t))
	cfg.S3.TLS = &files
	other := TLSConfig{Cert: filepath.Join(dir, "admin.crt"), Key: filepath.Join(dir, "admin.key")}
	keyPair(t, other, "admin")
	cfg.Admin.TLS = &other
	r := start(t, cfg, newFakeEngine())
	for url, want := range map[string]string{r.S3: "first", r.Admin: "admin"} {
		host, ok := strings.CutPrefix(url, "https://")
		if !ok {
			t.Fatalf("it says %s", url)
		}
		conn, err := tls.Dial("tcp", host, &tls.Config{InsecureSkipVerify: true})
		if err != nil {
			t.Fatal(err)
		}
		if got := conn.ConnectionState().PeerCertificates[0].Subject.CommonName; got != want {
			t.Errorf("certificate %q, want %q", got, want)
		}
		conn.Close()
	}
	client := &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}}}
	resp, err := client.Get(r.Admin + "/metrics")
	if err != nil {
		t.Fatal(err)
	}
	text, err := io.ReadAll(resp.Body)
	resp.Body.Close()
	for _, name := range []string{"s3.tls", "admin.tls"} {
		if want := `s3mirror_tls_certificate_expiry_timestamp_seconds{certificate="` + name + `"}`; err != nil || !strings.Contains(string(text), want) {
			t.Errorf("metrics without %s (%v)", want, err)
		}
	}
	r.stop()
	if err := r.wait(t); err != nil {
		t.Error(err)
	}
}

func TestCertificateIsReadAgain(t *testing.T) {
	dir := t.TempDir()
	files := TLSConfig{Cert: filepath.Join(dir, "tls.crt"), Key: filepath.Join(dir, "tls.key")}
	keyPair(t, files, "first")
	var log buffer
	c, err := openCertificate("s3.tls", files, slog.New(slog.NewTextHandler(&log, nil)))
	if err != nil {
		t.Fatal(err)
	}
	now := time.Now()
	name := func() string {
		now = now.Add(recheckAfter)
		parsed, err := x509.ParseCertificate(c.current(now).Certificate[0])
		if err != nil {
			t.Fatal(err)
		}
		return parsed.Subject.CommonName
	}
	later := func(file string, by time.Duration) {
		if err := os.Chtimes(file, now, now.Add(by)); err != nil {
			t.Fatal(err)
		}
	}
	if got := name(); got != "first" {
		t.Errorf("at first %q", got)
	}
	keyPair(t, files, "second")
	later(files.Cert, time.Hour)
	if got := name(); got != "second" {
		t.Errorf("replaced: %q", got)
	}
	if err := os.WriteFile(files.Key, []byte("damaged"), 0o600); err != nil {
		t.Fatal(err)
	}
	later(files.Key, 2*time.Hour)
	if got := name(); got != "second" || !strings.Contains(log.String(), "stays in force") {
		t.Errorf("damaged: %q, log %s", got, log.String())
	}
	if err := os.Remove(files.Key); err != nil {
		t.Fatal(err)
	}
	if got := name(); got != "second" {
		t.Errorf("removed: %q", got)
	}
}

func TestReachableAddress(t *testing.T) {
	for address, want := range map[string]string{":0": "127.0.0.1:", "127.0.0.1:0": "127.0.0.1:", "0.0.0.0:0": "127.0.0.1:"} {
		l, err := net.Listen("tcp", address)
		if err != nil {
			t.Fatal(err)
		}
		if got := reachable(l); !strings.HasPrefix(got, want) {
			t.Errorf("%s: %s", address, got)
		}
		l.Close()
	}
}

func TestHistoryIsTrimmed(t *testing.T) {
	log := memory.NewFaultyLog(memory.NewLog(), nil)
	old := time.Now().Add(-72 * time.Hour)
	if err := log.Append(t.Context(), oplog.Event{Time: old, Bucket: "b"}, oplog.Event{Time: time.Now(), Bucket: "b"}); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel() // one round
	if err := expireHistory(ctx, withoutContext{log}, 24*time.Hour, ours, slog.New(slog.DiscardHandler)); err != nil {
		t.Fatal(err)
	}
	if events, err := log.Events(t.Context(), oplog.HistoryQuery{}); err != nil || len(events) != 1 {
		t.Errorf("%d events left, %v", len(events), err)
	}
}

// A node that starts has no share of the work yet. It asks again soon, and then trims at
// the usual pace.
func TestHistoryIsTrimmedOnceTheShareIsTaken(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		log := &countingHistory{}
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error)
		asks := 0
		go func() {
			done <- expireHistory(ctx, log, time.Hour, func(string) (func(), bool) {
				asks++
				return func() {}, asks > 2
			}, slog.New(slog.DiscardHandler))
		}()
		began := time.Now()
		time.Sleep(2*claimEvery + expireEvery + time.Second)
		synctest.Wait()
		cancel()
		if err := <-done; err != nil {
			t.Fatal(err)
		}
		if want := []time.Duration{2 * claimEvery, 2*claimEvery + expireEvery}; len(log.trimmed) != 2 ||
			log.trimmed[0].Sub(began) != want[0] || log.trimmed[1].Sub(began) != want[1] {
			t.Errorf("trimmed at %v, began at %v, want %v later", log.trimmed, began, want)
		}
	})
}

// countingHistory notes when it was trimmed.
type countingHistory struct {
	oplog.History
	trimmed []time.Time
}

func (c *countingHistory) Expire(context.Context, time.Time) error {
	c.trimmed = append(c.trimmed, time.Now())
	return nil
}

// withoutContext expires although the caller's context has ended.
type withoutContext struct{ oplog.History }

func (w withoutContext) Expire(ctx context.Context, before time.Time) error {
	return w.History.Expire(context.WithoutCancel(ctx), before)
}

// ours says that any background work is this node's.
func ours(string) (done func(), ok bool) { return func() {}, true }

package main

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/s3mirror/s3mirror/internal/admin"
	"github.com/s3mirror/s3mirror/internal/admin/api"
)

// demoRun is a demo under test, over a fake engine.
type demoRun struct {
	env      environ
	dir      string
	out, err *buffer
	engine   *fakeEngine
	stop     context.CancelFunc
	done     chan error
}

func startDemo(t *testing.T, change func(*demoFlags)) *demoRun {
	t.Helper()
	return startDemoOf(t, change, nil)
}

// startDemoOf is startDemo over another engine, or the fake one for nil.
func startDemoOf(t *testing.T, change func(*demoFlags), build func(context.Context, parts) (*engine, error)) *demoRun {
	t.Helper()
	d := &demoRun{
		env: environment("XDG_CONFIG_HOME", t.TempDir()), dir: t.TempDir(), out: &buffer{}, err: &buffer{},
		engine: newFakeEngine(), done: make(chan error, 1),
	}
	f := demoFlags{
		dir: d.dir, s3Listen: "127.0.0.1:0", adminListen: "127.0.0.1:0", backends: 3, output: "table",
		logging: &logging{level: "warn", format: "text"},
	}
	if change != nil {
		change(&f)
	}
	ctx, cancel := context.WithCancel(t.Context())
	d.stop = cancel
	t.Cleanup(cancel)
	if build == nil {
		build = d.engine.build
	}
	go func() { d.done <- runDemo(ctx, f, streams{nil, d.out, d.err}, d.env, build) }()
	for deadline := time.Now().Add(time.Minute); !strings.HasSuffix(d.out.String(), "\n"); time.Sleep(time.Millisecond) {
		select {
		case err := <-d.done:
			t.Fatalf("it ended: %v\n%s", err, d.err)
		default:
		}
		if time.Now().After(deadline) {
			t.Fatalf("it says nothing:\n%s", d.err)
		}
	}
	return d
}

func (d *demoRun) end(t *testing.T) {
	t.Helper()
	d.stop()
	select {
	case err := <-d.done:
		if err != nil {
			t.Error(err)
		}
	case <-time.After(time.Minute):
		t.Fatal("it does not end")
	}
}

func TestDemoTellsHowToUseIt(t *testing.T) {
	d := startDemo(t, nil)
	said := map[string]string{}
	for line := range strings.Lines(d.out.String()) {
		if name, value, ok := strings.Cut(strings.TrimSpace(line), ": "); ok {
			said[name] = value
		}
	}
	for _, name := range []string{"endpoint", "access key", "secret key", "ui", "user", "password"} {
		if said[name] == "" {
			t.Errorf("it does not say its %s:\n%s", name, d.out)
		}
	}
	if n := strings.Count(d.out.String(), "\n  curl "); n != 3 {
		t.Errorf("%d commands to paste:\n%s", n, d.out)
	}
	if code, body := get(t, said["endpoint"]+"/any"); code != 200 || body != "served" {
		t.Errorf("endpoint: %d %s", code, body)
	}
	keys := d.engine.parts.secrets.root
	if keys.AccessKeyID != said["access key"] || string(keys.SecretAccessKey) != said["secret key"] {
		t.Error("the keys that it says are not those in force")
	}

	login, err := savedLogin(d.env)
	if err != nil || login.Addr != said["ui"] || login.Password != said["password"] {
		t.Errorf("saved login %+v %v", login, err)
	}
	if code, stdout, stderr := command(t, d.env, "status"); code != 0 || !strings.Contains(stdout, "converged") {
		t.Errorf("status in another terminal: exit %d\n%s%s", code, stdout, stderr)
	}
	if code, _, stderr := command(t, d.env, "demo", "off", "eu-2"); code != 0 {
		t.Errorf("demo off: exit %d %s", code, stderr)
	}
	eu2 := d.engine.parts.cfg.Backends[1]
	down := reach(t.Context(), d.engine.parts.backends.first[1].remote)
	if eu2.Name != "eu-2" || down == nil || !strings.Contains(advice(down), "is it running") {
		t.Errorf("eu-2 while off: %v", down)
	}
	if code, _, stderr := command(t, d.env, "demo", "on", "eu-2"); code != 0 {
		t.Errorf("demo on: exit %d %s", code, stderr)
	}
	if err := reach(t.Context(), d.engine.parts.backends.first[1].remote); err != nil {
		t.Errorf("eu-2 while on: %v", err)
	}

	d.end(t)
	if left, err := os.ReadDir(d.dir); err != nil || len(left) != 0 {
		t.Errorf("it left %v %v", left, err)
	}
	if login, err := savedLogin(d.env); err != nil || login.Addr != "" {
		t.Errorf("the login is still there: %+v %v", login, err)
	}
}

// TestDemoLoad has the demo write from its start, and its endpoints slowed down.
func TestDemoLoad(t *testing.T) {
	d := startDemo(t, func(f *demoFlags) { f.load = true })
	client := &admin.Client{BaseURL: d.said(t, "ui"), User: "root", Password: d.said(t, "password")}
	state := func(ask func(*api.Client) (*http.Response, error)) admin.DemoState {
		t.Helper()
		s, err := admin.Do[admin.DemoState](t.Context(), client, ask)
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
	now := func(c *api.Client) (*http.Response, error) { return c.Demo(t.Context()) }
	for deadline := time.Now().Add(time.Minute); state(now).Acknowledged < 12; time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("it does nothing: %+v", state(now))
		}
	}
	s := state(func(c *api.Client) (*http.Response, error) { return c.DemoSlow(t.Context(), "eu-2") })
	if !s.Load || s.Failed != 0 || len(s.Backends) != 3 || s.Backends[1] != (api.DemoBackend{Name: "eu-2", State: api.DemoIsSlow}) {
		t.Errorf("slow: %+v", s)
	}
	if _, err := client.Switch(t.Context(), "eu-2", false); err != nil {
		t.Error(err)
	}
	s = state(func(c *api.Client) (*http.Response, error) { return c.DemoLoadOff(t.Context()) })
	if s.Load || s.Backends[1].State != api.DemoIsOff {
		t.Errorf("off: %+v", s)
	}
	if _, err := client.Switch(t.Context(), "eu-2", true); err != nil {
		t.Error(err)
	}
	if s = state(now); s.Backends[1].State != api.DemoIsOn {
		t.Errorf("on again: %+v", s)
	}
	_, err := admin.Do[admin.DemoState](t.Context(), client, func(c *api.Client) (*http.Response, error) { return c.DemoSlow(t.Context(), "eu-9") })
	var p *admin.Problem
	if !errors.As(err, &p) || p.Status != http.StatusNotFound {
		t.Errorf("an endpoint that there is not: %v", err)
	}
	d.end(t)
}

// TestDemoLoadCountsFailures: what is not answered as it should be is a failure, and no
// reason to stop.
func TestDemoLoadCountsFailures(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/"+demoBucket {
			w.WriteHeader(http.StatusServiceUnavailable)
		}
	}))
	t.Cleanup(server.Close)
	l := newDemoLoad(newRootKeys())
	l.turn(true)
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		l.run(ctx, server.URL)
	}()
	for deadline := time.Now().Add(time.Minute); l.failed.Load() < 3 && time.Now().Before(deadline); time.Sleep(time.Millisecond) {
	}
	cancel()
	<-ended
	if l.failed.Load() < 3 || l.acknowledged.Load() != 0 {
		t.Errorf("%d failed, %d acknowledged", l.failed.Load(), l.acknowledged.Load())
	}
}

// said is one value of the demo's card.
func (d *demoRun) said(t *testing.T, name string) string {
	t.Helper()
	_, rest, _ := strings.Cut("\n"+d.out.String(), "\n"+name+": ")
	value, _, _ := strings.Cut(rest, "\n")
	if value == "" {
		t.Fatalf("it does not say its %s:\n%s", name, d.out)
	}
	return value
}

func TestDemoForPrograms(t *testing.T) {
	d := startDemo(t, func(f *demoFlags) { f.output, f.backends = "json", 5 })
	var card demoCard
	if err := json.Unmarshal([]byte(d.out.String()), &card); err != nil || card.Endpoint == "" || len(card.Backends) != 5 {
		t.Errorf("%v: %s", err, d.out)
	}
	if n := len(d.engine.parts.backends.stacks); n != 5 {
		t.Errorf("%d endpoints", n)
	}
	d.end(t)
}

func TestDemoGoesOnWithoutAPlaceForTheLogin(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	var out, errs buffer
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	f := demoFlags{
		dir: t.TempDir(), s3Listen: "127.0.0.1:0", adminListen: "127.0.0.1:0", backends: 1, output: "table",
		logging: &logging{level: "warn", format: "text"},
	}
	engine := newFakeEngine()
	engine.runErr <- errors.New("enough")
	err := runDemo(ctx, f, streams{nil, &out, &errs}, environment("XDG_CONFIG_HOME", file), engine.build)
	if err == nil || !strings.Contains(err.Error(), "enough") {
		t.Errorf("got %v", err)
	}
	if !strings.Contains(errs.String(), "login was not saved") || !strings.Contains(out.String(), "password: ") {
		t.Errorf("%s\n%s", errs.String(), out.String())
	}
}

func TestDemoWithoutAFolder(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	code, _, stderr := command(t, environment(), "demo", "--dir", filepath.Join(file, "below"))
	if code != exitFailed || !strings.Contains(stderr, "--dir") {
		t.Errorf("exit %d %s", code, stderr)
	}
}

func TestDemoConfigurationIsSound(t *testing.T) {
	ends, err := startEndpoints(t.Context(), demoNames)
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := ends.stop(); err != nil {
			t.Error(err)
		}
	}()
	cfg := demoConfig(demoFlags{s3Listen: "127.0.0.1:9000", adminListen: "127.0.0.1:9001"}, t.TempDir(), ends)
	validate(cfg, func(path, format string, args ...any) { t.Errorf(path+": "+format, args...) })
}

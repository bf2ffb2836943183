package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/s3mirror/s3mirror/internal/admin"
	"github.com/s3mirror/s3mirror/internal/admin/api"
	"github.com/s3mirror/s3mirror/internal/auth"
	"github.com/s3mirror/s3mirror/internal/backend"
	"github.com/s3mirror/s3mirror/internal/memory"
	"github.com/s3mirror/s3mirror/internal/object"
	"github.com/s3mirror/s3mirror/internal/probe"
	"github.com/s3mirror/s3mirror/internal/replica"
	"github.com/s3mirror/s3mirror/internal/s3"
)

// serveMemory is a server in memory; its keys are k and s.
func serveMemory(t *testing.T) string {
	t.Helper()
	srv := httptest.NewServer(memory.New(memory.Options{AccessKeyID: "k", SecretAccessKey: "s"}))
	t.Cleanup(srv.Close)
	return srv.URL
}

// company is a node whose backends may be added to.
type company struct {
	*membership
	backends *backends
	vault    *auth.Vault
	log      *memory.Log
	rep      probe.Report // what the probes find
	err      error
	probed   []string
	reg      *prometheus.Registry
}

// newCompany has one backend of the configuration, eu-1.
func newCompany(t *testing.T) *company {
	t.Helper()
	c := &company{log: memory.NewLog(), vault: auth.NewVault(make([]byte, 32)), rep: good(), reg: prometheus.NewRegistry()}
	c.open(t, serveMemory(t))
	return c
}

// open starts the node, as again after an end.
func (c *company) open(t *testing.T, first string) {
	t.Helper()
	cfg, err := parseConfig("s3mirror.yaml", []byte("backends: [{name: eu-1, endpoint: '"+first+"', access_key_id: k, secret_access_key: s}]"), func(string) (string, bool) { return "", false })
	if err != nil {
		t.Fatal(err)
	}
	logger := slog.New(slog.DiscardHandler)
	p := parts{cfg: cfg, node: "n", log: c.log, secrets: &secrets{}, vault: c.vault, logger: logger, metrics: c.reg}
	if p.backends, err = openBackends(cfg, object.NewStampKey(p.secrets.stamps), backend.NewMetrics(c.reg), nil, logger); err != nil {
		t.Fatal(err)
	}
	probes := newProber(&p.backends.places, c.log, logger)
	o := replicaOptions(p)
	o.Enrol, o.Dismiss, o.Registerer = enroller(p), p.backends.dismiss, prometheus.NewRegistry()
	set, err := replica.Open(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	var loops sync.WaitGroup
	loops.Go(func() { _ = p.backends.run(ctx) })
	t.Cleanup(func() {
		if err := set.Close(); err != nil {
			t.Error(err)
		}
		stop()
		loops.Wait()
		if err := p.backends.close(); err != nil {
			t.Error(err)
		}
	})
	c.backends = p.backends
	c.membership = &membership{
		set: set, vault: c.vault, stamps: object.NewStampKey(p.secrets.stamps), places: &p.backends.places, keep: probes.keep, logger: logger,
		probe: func(_ context.Context, o backend.Options, bucket string) (probe.Report, error) {
			c.probed = append(c.probed, fmt.Sprint(o.Name, " ", o.AccessKeyID, " ", bucket))
			return c.rep, c.err
		},
	}
}

func (c *company) add(name, endpoint string) error {
	return c.Add(context.Background(), api.NewBackend{Name: name, Endpoint: endpoint, AccessKeyID: "k", SecretAccessKey: "s"})
}

// TestBackendsJoinTheNode: one is added, spoken to, kept over a restart without its secret
// in the clear, changed, and removed.
func TestBackendsJoinTheNode(t *testing.T) {
	c := newCompany(t)
	second := serveMemory(t)
	if err := c.add("eu-2", second); err != nil {
		t.Fatal(err)
	}
	if err := c.set.CreateBucketAt(t.Context(), "photos", replica.Placement{Replicas: object.NewReplicas("eu-2")}, "", ""); err != nil {
		t.Fatal(err)
	}
	one, ok := c.places.get("eu-2")
	if !ok || !one.added || one.options.Region != "us-east-1" || one.mode != payloadAuto {
		t.Errorf("%+v", one)
	}
	docs, err := json.Marshal(c.set.AddedBackends())
	if err != nil || strings.Contains(string(docs), `"s"`) || !strings.Contains(string(docs), "sealed_secret") {
		t.Errorf("%s, %v", docs, err)
	}
	if got := fmt.Sprint(c.probed); got != "[eu-2 k ]" {
		t.Errorf("probed %s", got)
	}

	first := c.places.options("eu-1").Endpoint.String()
	c.reg = prometheus.NewRegistry()
	c.open(t, first)
	if got := c.set.Names(); !slices.Equal(got, []string{"eu-1", "eu-2"}) {
		t.Fatalf("after a restart: %v", got)
	}
	stack := c.backends.added["eu-2"].stack
	if err := c.set.HeadBucket(t.Context(), "photos"); err != nil {
		t.Error(err)
	}

	if err := c.Change(t.Context(), "eu-2", api.BackendChange{}); err != nil || len(c.probed) != 1 {
		t.Errorf("nothing to change: %v, %v", err, c.probed)
	}
	region := "eu-west-1"
	if err := c.Change(t.Context(), "eu-2", api.BackendChange{Region: &region}); err != nil {
		t.Fatal(err)
	}
	if got := c.places.options("eu-2").Region; got != region || c.backends.added["eu-2"].stack == stack || c.probed[1] != "eu-2 k photos" {
		t.Errorf("region %s, probed %v", got, c.probed)
	}
	other := serveMemory(t)
	if err := c.Change(t.Context(), "eu-2", api.BackendChange{Endpoint: &other}); !errors.Is(err, replica.ErrUnfitting) {
		t.Errorf("to another store: %v", err)
	}
	if err := c.Remove(t.Context(), "eu-2"); !errors.Is(err, replica.ErrUnfitting) {
		t.Errorf("removal while a bucket is on it: %v", err)
	}
	err = c.set.DeleteBucket(t.Context(), "photos", "", "")
	for errors.Is(err, s3.SlowDown) && t.Context().Err() == nil { // until it was looked at by the new way
		time.Sleep(10 * time.Millisecond)
		err = c.set.DeleteBucket(t.Context(), "photos", "", "")
	}
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Remove(t.Context(), "eu-2"); err != nil {
		t.Fatal(err)
	}
	if _, ok := c.places.get("eu-2"); ok || len(c.backends.added) != 0 || len(c.backends.left) != 2 {
		t.Errorf("%+v", c.backends.left)
	}
	families, err := c.reg.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, family := range families {
		for _, m := range family.Metric {
			for _, l := range m.Label {
				if l.GetName() == "backend" && l.GetValue() == "eu-2" {
					t.Errorf("%s still tells of eu-2", family.GetName())
				}
			}
		}
	}
}

// TestBackendsThatAreNotAdded: a refusal changes nothing.
func TestBackendsThatAreNotAdded(t *testing.T) {
	c := newCompany(t)
	second := serveMemory(t)
	refused := good()
	refused.Level, refused.Reasons = probe.LevelRefused, []string{"it keeps what is cut"}
	unsure := probe.Report{Level: probe.LevelRefused, Probes: []probe.Probe{{Name: probe.BodyTrailer, Result: probe.Unknown}}}
	var wrong *admin.WrongBackend
	var unfit *admin.RefusedBackend
	for _, tc := range []struct {
		what string
		b    api.NewBackend
		rep  probe.Report
		err  error
		is   func(error) bool
	}{
		{"no name", api.NewBackend{Name: "A b", Endpoint: second}, good(), nil, func(err error) bool { return errors.As(err, &wrong) && strings.Contains(err.Error(), "name: ") }},
		{"no URL", api.NewBackend{Name: "eu-2", Endpoint: "second"}, good(), nil, func(err error) bool { return errors.As(err, &wrong) && strings.Contains(err.Error(), "endpoint: ") }},
		{"no certificate", api.NewBackend{Name: "eu-2", Endpoint: second, Ca: "x"}, good(), nil, func(err error) bool { return errors.As(err, &wrong) && strings.Contains(err.Error(), "ca: ") }},
		{"no mode", api.NewBackend{Name: "eu-2", Endpoint: second, PayloadMode: "x"}, good(), nil, func(err error) bool { return errors.As(err, &wrong) && strings.Contains(err.Error(), "payload_mode: ") }},
		{"the place of another", api.NewBackend{Name: "eu-2", Endpoint: c.places.options("eu-1").Endpoint.String()}, good(), nil, func(err error) bool { return errors.As(err, &wrong) && strings.Contains(err.Error(), "eu-1") }},
		{"a name of the configuration", api.NewBackend{Name: "eu-1", Endpoint: second}, good(), nil, func(err error) bool { return errors.Is(err, replica.ErrOfFile) }},
		{"refused", api.NewBackend{Name: "eu-2", Endpoint: second}, refused, nil, func(err error) bool { return errors.As(err, &unfit) && unfit.Probe.Level == "refused" }},
		{"unfit for the mode", api.NewBackend{Name: "eu-2", Endpoint: second, PayloadMode: payloadSigned}, good(), nil, func(err error) bool { return errors.As(err, &unfit) && len(unfit.Probe.Reasons) == 1 }},
		{"not probed", api.NewBackend{Name: "eu-2", Endpoint: second}, unsure, nil, func(err error) bool { return errors.Is(err, admin.ErrBackendAway) }},
		{"away", api.NewBackend{Name: "eu-2", Endpoint: second}, probe.Report{}, errors.New("connection refused"), func(err error) bool { return errors.Is(err, admin.ErrBackendAway) }},
	} {
		c.rep, c.err = tc.rep, tc.err
		tc.b.AccessKeyID, tc.b.SecretAccessKey = "k", "s"
		if err := c.Add(t.Context(), tc.b); !tc.is(err) {
			t.Errorf("%s: %v", tc.what, err)
		}
	}
	if got := c.set.AddedBackends(); len(got) != 0 {
		t.Errorf("%s", got)
	}
	c.rep, c.err = good(), fmt.Errorf("bucket x %w", probe.ErrLeft) // what is below .s3mirror/ is for the next run
	if err := c.add("eu-2", second); err != nil {
		t.Error(err)
	}
	if err := c.add("eu-2", second); !errors.Is(err, replica.ErrBackendExists) {
		t.Errorf("again: %v", err)
	}
	for what, err := range map[string]error{
		"change of a configured one":  c.Change(t.Context(), "eu-1", api.BackendChange{}),
		"removal of a configured one": c.Remove(t.Context(), "eu-1"),
	} {
		if !errors.Is(err, replica.ErrOfFile) {
			t.Errorf("%s: %v", what, err)
		}
	}
	if err := c.Change(t.Context(), "x", api.BackendChange{}); !errors.Is(err, replica.ErrUnknownBackend) {
		t.Errorf("change of none: %v", err)
	}
	// Somebody else changes it while it is probed.
	region, before := "eu-west-1", c.probe
	c.probe = func(ctx context.Context, o backend.Options, bucket string) (probe.Report, error) {
		c.probe = before
		path := false
		if err := c.Change(ctx, "eu-2", api.BackendChange{PathStyle: &path}); err != nil {
			t.Error(err)
		}
		return good(), nil
	}
	c.err = nil
	if err := c.Change(t.Context(), "eu-2", api.BackendChange{Region: &region}); !errors.Is(err, auth.ErrConflict) {
		t.Errorf("changed meanwhile: %v", err)
	}
}

// TestSecretsOfBackendsAreSealedAnew with a change of the deployment's key, and the
// stacks stay.
func TestSecretsOfBackendsAreSealedAnew(t *testing.T) {
	c := newCompany(t)
	if err := c.add("eu-2", serveMemory(t)); err != nil {
		t.Fatal(err)
	}
	stack := c.backends.added["eu-2"].stack
	if n, err := c.reseal(t.Context()); n != 0 || err != nil {
		t.Errorf("%d, %v", n, err)
	}
	key := make([]byte, 32)
	key[0] = 1
	both := auth.NewVault(key, make([]byte, 32))
	c.membership.vault = both
	if n, err := c.reseal(t.Context()); n != 1 || err != nil {
		t.Fatalf("%d, %v", n, err)
	}
	if n, err := c.reseal(t.Context()); n != 0 || err != nil {
		t.Errorf("again: %d, %v", n, err)
	}
	w, err := openWay(auth.NewVault(key), "eu-2", c.set.AddedBackends()["eu-2"])
	if err != nil || string(w.secret) != "s" {
		t.Errorf("with the new key alone: %v", err)
	}
	if _, err := openWay(auth.NewVault(key), "eu-3", c.set.AddedBackends()["eu-2"]); !errors.Is(err, auth.ErrSealed) {
		t.Errorf("as another's: %v", err)
	}
	if c.backends.added["eu-2"].stack != stack {
		t.Log("the node of this test has the old vault alone, and keeps what it has")
	}
	if got := c.set.Names(); len(got) != 2 {
		t.Errorf("%v", got)
	}
	c.membership.vault = auth.NewVault([]byte(strings.Repeat("x", 32)))
	if _, err := c.reseal(t.Context()); !errors.Is(err, auth.ErrSealed) {
		t.Errorf("with a key that opens nothing: %v", err)
	}
}

package admin_test

import (
	"context"
	"log/slog"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/s3mirror/s3mirror/internal/admin"
	"github.com/s3mirror/s3mirror/internal/auth"
	"github.com/s3mirror/s3mirror/internal/backend"
	"github.com/s3mirror/s3mirror/internal/commit"
	"github.com/s3mirror/s3mirror/internal/gateway"
	"github.com/s3mirror/s3mirror/internal/heal"
	"github.com/s3mirror/s3mirror/internal/memory"
	"github.com/s3mirror/s3mirror/internal/object"
	"github.com/s3mirror/s3mirror/internal/replica"
	"github.com/s3mirror/s3mirror/internal/s3"
)

// engine is what a node has behind the admin API: three servers in memory, a
// real replica.Set over them, and the face of S3, which is served too.
type engine struct {
	set     *replica.Set
	healer  *heal.Healer
	jobs    *heal.Jobs
	s3      *gateway.Handler
	servers map[string]*httptest.Server
}

var engineTimes = commit.Times{
	Lease: 10 * time.Second, Margin: 4 * time.Second, Settle: 20 * time.Second, Gap: 2 * time.Second,
	Retention: 90 * time.Second, Keep: 12 * time.Second, LockWait: 10 * time.Second,
	Grace: 5 * time.Second, HelpWait: 50 * time.Millisecond,
}

// newEngine starts one whose S3 face knows the users.
func newEngine(t *testing.T, u users) *engine {
	t.Helper()
	e := &engine{servers: map[string]*httptest.Server{}}
	ctx, stop := context.WithCancel(context.Background())
	var loops sync.WaitGroup
	names := []string{"eu-1", "eu-2", "ru-1"}
	logger := slog.New(slog.DiscardHandler)
	o := replica.Options{
		Node: "node", Exclusive: true, Log: memory.NewLog(), Times: engineTimes, Logger: logger, Registerer: prometheus.NewRegistry(),
		Defaults: replica.Policy{Replicas: object.NewReplicas(names...), Ack: commit.Rule{Need: 2}},
	}
	var remotes []*backend.Remote
	for _, name := range names {
		e.servers[name] = httptest.NewServer(memory.New(memory.Options{AccessKeyID: "k", SecretAccessKey: "s"}))
		endpoint, err := url.Parse(e.servers[name].URL)
		if err != nil {
			t.Fatal(err)
		}
		remote, err := backend.NewRemote(backend.Options{
			Name: name, Endpoint: endpoint, Region: "us-east-1", AccessKeyID: "k", SecretAccessKey: "s", StampKey: object.NewStampKey(make([]byte, 32)),
		})
		if err != nil {
			t.Fatal(err)
		}
		stack := backend.Wrap(remote, backend.WrapOptions{Breaker: backend.BreakerOptions{Log: logger}})
		loops.Go(func() { stack.Breaker.Run(ctx) })
		o.Stacks = append(o.Stacks, stack)
		remotes = append(remotes, remote)
	}
	set, err := replica.Open(ctx, o)
	if err != nil {
		t.Fatal(err)
	}
	e.healer = heal.New(heal.Options{Set: set, Log: o.Log, Interval: time.Second, Retention: engineTimes.Retention, Logger: logger})
	loops.Go(func() { set.Run(ctx) })
	loops.Go(func() { e.healer.Run(ctx) })
	e.jobs = heal.NewJobs(heal.JobsOptions{Set: set, Log: o.Log, Node: "node", Logger: logger})
	loops.Go(func() { e.jobs.Run(ctx) })
	verifier := auth.NewVerifier(u.directory, time.Now).WithBearers(u.logins)
	e.set = set
	e.s3 = gateway.New(gateway.Options{
		Replicas: set, Verifier: verifier, Tokens: s3.NewTokenKey([]byte("a secret of the deployment")),
		Proxies: gateway.Proxies{netip.MustParsePrefix("127.0.0.1/32")}, Log: logger, Metrics: prometheus.NewRegistry(),
	})
	t.Cleanup(func() {
		if err := set.Close(); err != nil {
			t.Error(err)
		}
		stop()
		loops.Wait()
		for _, r := range remotes {
			r.Close()
		}
		for _, s := range e.servers {
			s.Close()
		}
	})
	return e
}

// newEngineFixture is a fixture over a real engine with the bucket "photos".
func newEngineFixture(t *testing.T, change ...func(*admin.Options)) (*fixture, *engine) {
	t.Helper()
	u := newUsers(t, memory.NewLog())
	e := newEngine(t, u)
	f := fixtureOf(t, u, append([]func(*admin.Options){func(o *admin.Options) {
		o.Replicas, o.S3, o.Healer, o.Replication, o.Jobs = e.set, e.s3, e.healer, e.set, e.jobs
	}}, change...)...)
	if resp, body := f.do(t, "PUT", "/api/v1/buckets/photos", "root"); resp.StatusCode != 201 {
		t.Fatalf("create bucket: %d %s", resp.StatusCode, body)
	}
	return f, e
}

package main

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"net/netip"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.opentelemetry.io/otel/trace"
	"golang.org/x/sync/errgroup"

	"github.com/s3mirror/s3mirror/internal/admin"
	"github.com/s3mirror/s3mirror/internal/auth"
	"github.com/s3mirror/s3mirror/internal/commit"
	"github.com/s3mirror/s3mirror/internal/gateway"
	"github.com/s3mirror/s3mirror/internal/heal"
	"github.com/s3mirror/s3mirror/internal/object"
	"github.com/s3mirror/s3mirror/internal/oplog"
	"github.com/s3mirror/s3mirror/internal/replica"
	"github.com/s3mirror/s3mirror/internal/s3"
)

// parts are what an engine is built from.
type parts struct {
	cfg      *Config
	node     string
	member   *replica.Member // nil: the log is this node's alone
	log      oplog.Log
	verifier *auth.Verifier // who sends
	logins   *auth.Logins   // what becomes of him, and keys for his tokens
	audit    auth.Auditor
	secrets  *secrets
	backends *backends
	vault    *auth.Vault // nil: backends cannot be added
	metrics  *prometheus.Registry
	tracer   trace.Tracer
	logger   *slog.Logger
}

// presence and assumer are nil in an engine without users, as a test's.
func (p parts) presence() auth.Presence {
	if p.logins == nil {
		return nil
	}
	return p.logins
}

func (p parts) assumer() gateway.Assumer {
	if p.logins == nil {
		return nil
	}
	return p.logins
}

// engine is everything between the S3 listener and the backends.
type engine struct {
	server   *http.Server                              // the S3 face, for a listener of gateway.Listen
	source   admin.Source                              // what the admin API tells
	set      admin.Replicas                            // what it shows of buckets and objects
	sets     admin.Replication                         // what it sets of replication
	healer   admin.Healer                              // what it tells of heals
	jobs     admin.Jobs                                // long work
	backends *membership                               // adds and removes backends; nil: nothing does
	s3       admin.S3                                  // what it does to them
	hold     func(share string) (done func(), ok bool) // whether a piece of background work is this node's
	run      func(ctx context.Context) error           // the healer and other loops, until ctx ends
	away     func() bool                               // whether the log is away, and reads do without it
	drain    func(ctx context.Context) error           // awaits what outlives its request; nothing new may come
}

// runtime is what adds and removes backends, for the admin API.
func (e *engine) runtime() admin.Backends {
	if e.backends == nil {
		return nil
	}
	return e.backends
}

// openEngine joins gateway and heal to replica, and replica to the log and the
// backends.
func openEngine(ctx context.Context, p parts) (*engine, error) {
	probes := newProber(&p.backends.places, p.log, p.logger)
	options := replicaOptions(p)
	options.Qualify, options.Scout, options.Recall = probes.qualify, probes.scout, probes.recall(ctx)
	if p.vault != nil {
		options.Enrol, options.Dismiss = enroller(p), p.backends.dismiss
	}
	set, err := replica.Open(ctx, options)
	if err != nil {
		return nil, fmt.Errorf("replicas: %w", err)
	}
	var shares heal.Shares // nil: all of them
	if p.member != nil {
		shares = set
	}
	healer := heal.New(heal.Options{
		Set: set, Log: p.log, Shares: shares,
		Interval: time.Duration(p.cfg.Heal.Interval), Retention: time.Duration(p.cfg.Log.Retention),
		Logger: p.logger, Registerer: p.metrics, Tracer: p.tracer,
	})
	jobs := heal.NewJobs(heal.JobsOptions{Set: set, Log: p.log, Node: p.node, Logger: p.logger, Registerer: p.metrics, Tracer: p.tracer})
	face := gateway.New(gateway.Options{
		Replicas: set, Verifier: p.verifier, Presence: p.presence(), Assumer: p.assumer(), Anonymous: p.cfg.S3.Anonymous, Tokens: s3.NewTokenKey(p.secrets.stamps),
		Audit: p.audit, Proxies: proxies(p.cfg.S3.TrustedProxies), Domains: p.cfg.S3.Domains, Region: p.cfg.S3.Region, DebugHeaders: p.cfg.S3.DebugHeaders,
		Tracer: p.tracer, Log: p.logger, Metrics: p.metrics,
	})
	var members *membership
	if p.vault != nil {
		members = &membership{set: set, vault: p.vault, stamps: object.NewStampKey(p.secrets.stamps), places: &p.backends.places, keep: probes.keep, probe: aloneBriefly, logger: p.logger}
	}
	return &engine{
		backends: members,
		server:   gateway.NewServer(face),
		source:   source{set: set, log: p.log, node: p.node, places: &p.backends.places, probe: probes.report, qualify: probes.anew(set)},
		set:      set, sets: set, healer: healer, jobs: jobs, s3: face,
		run: func(ctx context.Context) error {
			group, ctx := errgroup.WithContext(ctx)
			group.Go(func() error { return set.Run(ctx) })
			group.Go(func() error { return healer.Run(ctx) })
			group.Go(func() error { return jobs.Run(ctx) })
			return group.Wait()
		},
		hold:  set.Hold,
		away:  set.Away,
		drain: set.Drain,
	}, nil
}

// proxies are networks in the gateway's words.
func proxies(list []Network) gateway.Proxies {
	out := make(gateway.Proxies, len(list))
	for i, n := range list {
		out[i] = netip.Prefix(n)
	}
	return out
}

// replicaOptions says in the engine's words what the configuration says.
func replicaOptions(p parts) replica.Options {
	cfg := p.cfg
	o := replica.Options{
		Node: p.node, Exclusive: cfg.Log.Engine == enginePebble, // an embedded log has one process
		Member: p.member, Log: p.log, Stacks: p.backends.stacks, Times: cfg.times(),
		Payload:    map[string]replica.Payload{},
		StaleReads: cfg.S3.StaleReads,
		Mode:       commit.Mode{Primary: cfg.Replication.Primary},
		Defaults:   policy(cfg.bucket("")),
		Buckets:    map[string]replica.Policy{},
		Memory:     int64(cfg.S3.Memory), PerUpload: int64(cfg.S3.PerUpload),
		Work: time.Duration(cfg.Uploads.Complete), Stray: time.Duration(cfg.Uploads.Stray), MaxUploads: cfg.Uploads.MaxOpen,
		Refills: true, Backlog: cfg.Replication.Backlog, Logger: p.logger, Registerer: p.metrics, Wall: wallClock,
	}
	for name := range cfg.Buckets {
		o.Buckets[name] = policy(cfg.bucket(name))
	}
	for _, b := range cfg.Backends {
		o.Payload[b.Name] = payloads[b.PayloadMode]
	}
	return o
}

// policy is a bucket's settings in the engine's words.
func policy(b BucketConfig) replica.Policy {
	return replica.Policy{
		Replicas: object.NewReplicas(b.ReplicaSet...),
		Ack: commit.Rule{
			Need:    b.Ack.Need(len(b.ReplicaSet)),
			Include: object.NewReplicas(b.Ack.Include...),
		},
		Names: b.Names, AssumeEqual: b.AssumeEqual, NeedOf: b.Ack.Need,
	}
}

package main

import (
	"context"
	"maps"
	"slices"
	"time"

	"github.com/s3mirror/s3mirror/internal/admin"
	"github.com/s3mirror/s3mirror/internal/oplog"
	"github.com/s3mirror/s3mirror/internal/probe"
	"github.com/s3mirror/s3mirror/internal/replica"
)

// replicas is the part of a replica.Set that the admin API asks.
type replicas interface {
	Status(ctx context.Context) (replica.Status, error)
	Ready(ctx context.Context) error
	Nodes() []replica.Node
	Self() (replica.Node, bool)
}

// source tells the admin API what the engine knows, in the documents' words. It
// implements admin.Source.
type source struct {
	set  replicas
	log  oplog.History
	node string

	places  *places
	probe   func(backend string) (probe.Report, bool)                       // nil: nothing is probed
	qualify func(ctx context.Context, backend string) (probe.Report, error) // probes one anew
}

// Status implements admin.Source.
func (s source) Status(ctx context.Context) (admin.Status, error) {
	now, err := s.set.Status(ctx)
	if err != nil {
		return admin.Status{}, err
	}
	return admin.Status{
		Version: version(), Node: s.node, Converged: now.Converged,
		Lagging:   work(now.Lagging),
		Unsettled: admin.Count{Keys: now.Unsettled},
		InFlight:  admin.Count{Keys: now.InFlight},
		Refused:   admin.Count{Keys: now.Refused},
		Backends:  s.backendStatuses(now.Backends),
		Nodes:     s.nodes(),
	}, nil
}

// nodes are those that share the log, this one first; nil: none does.
func (s source) nodes() []admin.Node {
	self, shared := s.set.Self()
	if !shared {
		return nil
	}
	var all []admin.Node
	for _, n := range append([]replica.Node{self}, s.set.Nodes()...) {
		all = append(all, admin.Node{Name: n.Name, Address: n.Address, Version: n.Version, Started: n.Started, Joining: n.Joining, ClockApartSeconds: n.Apart.Seconds()})
	}
	lease := self.Lease.Seconds()
	all[0].LeaseSeconds = &lease
	return all
}

// Backends implements admin.Source.
func (s source) Backends(ctx context.Context) ([]admin.BackendStatus, error) {
	now, err := s.set.Status(ctx)
	return s.backendStatuses(now.Backends), err
}

// Backend implements admin.Source.
func (s source) Backend(ctx context.Context, name string) (admin.BackendDetail, error) {
	now, err := s.set.Status(ctx)
	if err != nil {
		return admin.BackendDetail{}, err
	}
	for i, b := range now.Backends {
		if b.Name != name {
			continue
		}
		known, _ := s.places.get(name)
		sum := s.backendStatuses(now.Backends[i : i+1])[0]
		out := admin.BackendDetail{
			Name: sum.Name, State: sum.State, Reason: sum.Reason, LastSuccess: sum.LastSuccess, Probe: sum.Probe,
			LaggingKeys: sum.LaggingKeys, LaggingBytes: sum.LaggingBytes, OldestSeconds: sum.OldestSeconds,
			Added: known.added, Region: known.options.Region, Since: moment(b.Health.Since), LastFailure: moment(b.Health.LastFailure),
			Opens: int64(b.Health.Opens), InFlight: b.Health.InFlight, LatencySeconds: b.Health.Latency.Seconds(), Buckets: lagOf(b),
		}
		if endpoint := known.options.Endpoint; endpoint != nil {
			out.Endpoint = endpoint.Redacted()
		}
		if b.Health.LastError != nil {
			out.LastError = b.Health.LastError.Error()
		}
		return out, nil
	}
	return admin.BackendDetail{}, admin.ErrUnknownBackend
}

// Qualify implements admin.Source.
func (s source) Qualify(ctx context.Context, name string) (admin.Probe, error) {
	if _, ok := s.places.get(name); !ok {
		return admin.Probe{}, admin.ErrUnknownBackend
	}
	rep, err := s.qualify(ctx, name)
	if err != nil {
		return admin.Probe{}, err
	}
	return *newProbe(rep), nil
}

// lagOf is where a backend lags, by bucket.
func lagOf(b replica.BackendStatus) (lag []admin.BucketLag) {
	for _, bucket := range slices.Sorted(maps.Keys(b.Buckets)) {
		lag = append(lag, admin.BucketLag{Bucket: bucket, Lagging: work(b.Buckets[bucket])})
	}
	return lag
}

// Lag implements admin.Source.
func (s source) Lag(ctx context.Context) (admin.Lag, error) {
	now, err := s.set.Status(ctx)
	if err != nil {
		return admin.Lag{}, err
	}
	lag := admin.Lag{Converged: now.Converged}
	for _, b := range now.Backends {
		state, _ := condition(b)
		one := admin.BackendLag{Name: b.Name, State: state, Lagging: work(b.Lagging), LastSuccess: moment(b.Health.LastSuccess), Buckets: lagOf(b)}
		lag.Backends = append(lag.Backends, one)
	}
	return lag, nil
}

// History implements admin.Source.
func (s source) History(ctx context.Context, q oplog.HistoryQuery) ([]oplog.Event, error) {
	return s.log.Events(ctx, q)
}

// Ready implements admin.Source.
func (s source) Ready(ctx context.Context) error { return s.set.Ready(ctx) }

func (s source) backendStatuses(list []replica.BackendStatus) []admin.BackendStatus {
	out := make([]admin.BackendStatus, len(list))
	for i, b := range list {
		state, reason := condition(b)
		out[i] = admin.BackendStatus{
			Name: b.Name, State: state, Reason: reason, LastSuccess: moment(b.Health.LastSuccess),
			LaggingKeys: b.Lagging.Keys, LaggingBytes: b.Lagging.Bytes, OldestSeconds: seconds(b.Lagging.Oldest),
			Probe: s.probed(b.Name),
		}
	}
	return out
}

// probed is what a backend was found to do, in the document's words.
func (s source) probed(backend string) *admin.Probe {
	if s.probe == nil {
		return nil
	}
	rep, ok := s.probe(backend)
	if !ok {
		return nil
	}
	return newProbe(rep)
}

func newProbe(rep probe.Report) *admin.Probe {
	out := &admin.Probe{Level: rep.Level, PayloadMode: rep.PayloadMode, Taken: rep.Taken, Reasons: rep.Reasons}
	for _, f := range rep.Probes {
		out.Findings = append(out.Findings, admin.Finding{Name: f.Name, Result: string(f.Result), Detail: f.Detail})
	}
	return out
}

// condition is the state of a backend and, unless it is up, why. One that
// answers and yet has something wrong with it is degraded.
func condition(b replica.BackendStatus) (state admin.State, reason string) {
	if b.Paused {
		return admin.Paused, "an operator paused it: s3mirror backend resume " + b.Name
	}
	state, reason = admin.State(b.Health.State), b.Reason
	if state == admin.Up && reason != "" {
		state = admin.Degraded
	}
	if state != admin.Up && reason == "" && b.Health.LastError != nil {
		reason = advice(b.Health.LastError)
	}
	return state, reason
}

func work(b replica.Backlog) admin.Backlog {
	return admin.Backlog{Keys: b.Keys, Bytes: b.Bytes, OldestSeconds: seconds(b.Oldest)}
}

// seconds has milliseconds: more would be noise.
func seconds(d time.Duration) float64 { return d.Round(time.Millisecond).Seconds() }

// moment is nil for never.
func moment(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	t = t.UTC().Truncate(time.Millisecond)
	return &t
}

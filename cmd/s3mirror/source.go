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
}

// source tells the admin API what the engine knows, in the documents' words. It
// implements admin.Source.
type source struct {
	set  replicas
	log  oplog.History
	node string

	probe func(backend string) (probe.Report, bool) // nil: nothing is probed
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
	}, nil
}

// Backends implements admin.Source.
func (s source) Backends(ctx context.Context) ([]admin.BackendStatus, error) {
	now, err := s.set.Status(ctx)
	return s.backendStatuses(now.Backends), err
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
		one := admin.BackendLag{Name: b.Name, State: state, Lagging: work(b.Lagging), LastSuccess: moment(b.Health.LastSuccess)}
		for _, bucket := range slices.Sorted(maps.Keys(b.Buckets)) {
			one.Buckets = append(one.Buckets, admin.BucketLag{Bucket: bucket, Lagging: work(b.Buckets[bucket])})
		}
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
	out := &admin.Probe{Level: rep.Level, PayloadMode: rep.PayloadMode, Taken: rep.Taken, Reasons: rep.Reasons}
	for _, f := range rep.Probes {
		out.Findings = append(out.Findings, admin.Finding{Name: f.Name, Result: string(f.Result), Detail: f.Detail})
	}
	return out
}

// condition is the state of a backend and, unless it is up, why. One that
// answers and yet has something wrong with it is degraded.
func condition(b replica.BackendStatus) (state admin.State, reason string) {
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

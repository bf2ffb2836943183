package main

import (
	"context"
	"errors"
	"net/url"
	"reflect"
	"syscall"
	"testing"
	"time"

	"github.com/s3mirror/s3mirror/internal/admin"
	"github.com/s3mirror/s3mirror/internal/backend"
	"github.com/s3mirror/s3mirror/internal/memory"
	"github.com/s3mirror/s3mirror/internal/oplog"
	"github.com/s3mirror/s3mirror/internal/replica"
	"github.com/s3mirror/s3mirror/internal/s3"
)

type fakeReplicas struct {
	status replica.Status
	err    error
	self   replica.Node // empty: the log is this one's alone
	others []replica.Node
}

func (f fakeReplicas) Self() (replica.Node, bool) { return f.self, f.self.Name != "" }
func (f fakeReplicas) Nodes() []replica.Node      { return f.others }

func (f fakeReplicas) Status(context.Context) (replica.Status, error) { return f.status, f.err }
func (f fakeReplicas) Ready(context.Context) error                    { return f.err }

func TestSourceTellsTheEnginesStatusInTheApisWords(t *testing.T) {
	at := time.Date(2026, 1, 2, 3, 4, 5, 678901234, time.UTC)
	cut := at.Truncate(time.Millisecond)
	lagging := replica.Backlog{Keys: 3, Bytes: 10, Oldest: 1500*time.Millisecond + 1}
	src := source{node: "node-1", log: memory.NewLog(), set: fakeReplicas{status: replica.Status{
		Lagging: lagging, Unsettled: 1, InFlight: 2, Refused: 4,
		Backends: []replica.BackendStatus{
			{Name: "eu-1", Health: backend.Health{State: backend.Up, LastSuccess: at}},
			{Name: "eu-2", Health: backend.Health{State: backend.Down, LastError: syscall.ECONNREFUSED}, Lagging: lagging, Buckets: map[string]replica.Backlog{
				"photos": {Keys: 2}, "docs": {Keys: 1},
			}},
		},
	}}}
	status, err := src.Status(t.Context())
	want := admin.Status{
		Version: version(), Node: "node-1",
		Lagging:   admin.Backlog{Keys: 3, Bytes: 10, OldestSeconds: 1.5},
		Unsettled: admin.Count{Keys: 1}, InFlight: admin.Count{Keys: 2}, Refused: admin.Count{Keys: 4},
		Backends: []admin.BackendStatus{
			{Name: "eu-1", State: admin.Up, LastSuccess: &cut},
			{Name: "eu-2", State: admin.Down, LaggingKeys: 3, LaggingBytes: 10, OldestSeconds: 1.5, Reason: advice(syscall.ECONNREFUSED)},
		},
	}
	if err != nil || !reflect.DeepEqual(status, want) {
		t.Errorf("got %+v %v\nwant %+v", status, err, want)
	}
	if list, err := src.Backends(t.Context()); err != nil || !reflect.DeepEqual(list, want.Backends) {
		t.Errorf("backends %+v %v", list, err)
	}
	lag, err := src.Lag(t.Context())
	wantLag := admin.Lag{Backends: []admin.BackendLag{
		{Name: "eu-1", State: admin.Up, LastSuccess: &cut},
		{Name: "eu-2", State: admin.Down, Lagging: want.Lagging, Buckets: []admin.BucketLag{
			{Bucket: "docs", Lagging: admin.Backlog{Keys: 1}}, {Bucket: "photos", Lagging: admin.Backlog{Keys: 2}},
		}},
	}}
	if err != nil || !reflect.DeepEqual(lag, wantLag) {
		t.Errorf("lag %+v %v\nwant %+v", lag, err, wantLag)
	}
	src.places = &places{of: map[string]spoken{"eu-2": {options: backend.Options{Endpoint: &url.URL{Scheme: "http", Host: "eu-2.test"}, Region: "eu"}}}}
	detail, err := src.Backend(t.Context(), "eu-2")
	if err != nil || detail.State != admin.Down || detail.LaggingKeys != 3 || detail.Endpoint != "http://eu-2.test" || detail.Region != "eu" ||
		detail.LastError == "" || !reflect.DeepEqual(detail.Buckets, wantLag.Backends[1].Buckets) {
		t.Errorf("%+v %v", detail, err)
	}
	if _, err := src.Backend(t.Context(), "eu-9"); !errors.Is(err, admin.ErrUnknownBackend) {
		t.Errorf("%v", err)
	}
	if events, err := src.History(t.Context(), oplog.HistoryQuery{}); err != nil || len(events) != 0 {
		t.Errorf("history %v %v", events, err)
	}
}

func TestSourceTellsErrors(t *testing.T) {
	down := errors.New("the log does not answer")
	src := source{set: fakeReplicas{err: down}}
	if _, err := src.Status(t.Context()); !errors.Is(err, down) {
		t.Errorf("status: %v", err)
	}
	if _, err := src.Lag(t.Context()); !errors.Is(err, down) {
		t.Errorf("lag: %v", err)
	}
	if _, err := src.Backend(t.Context(), "eu-1"); !errors.Is(err, down) {
		t.Errorf("backend: %v", err)
	}
	if _, err := src.Backends(t.Context()); !errors.Is(err, down) {
		t.Errorf("backends: %v", err)
	}
	if err := src.Ready(t.Context()); !errors.Is(err, down) {
		t.Errorf("ready: %v", err)
	}
}

func TestConditionOfABackend(t *testing.T) {
	refused := backend.Health{State: backend.Down, LastError: s3.SignatureDoesNotMatch}
	for name, c := range map[string]struct {
		b      replica.BackendStatus
		state  admin.State
		reason string
	}{
		"well":           {replica.BackendStatus{Health: backend.Health{State: backend.Up}}, admin.Up, ""},
		"well again":     {replica.BackendStatus{Health: backend.Health{State: backend.Up, LastError: syscall.ECONNREFUSED}}, admin.Up, ""},
		"bucket missing": {replica.BackendStatus{Health: backend.Health{State: backend.Up}, Reason: "no bucket"}, admin.Degraded, "no bucket"},
		"wrong secret":   {replica.BackendStatus{Health: refused}, admin.Down, advice(s3.SignatureDoesNotMatch)},
		"both":           {replica.BackendStatus{Health: refused, Reason: "another deployment's"}, admin.Down, "another deployment's"},
	} {
		if state, reason := condition(c.b); state != c.state || reason != c.reason {
			t.Errorf("%s: %s %q, want %s %q", name, state, reason, c.state, c.reason)
		}
	}
	for _, s := range backend.States { // the words of both are the same
		if state, _ := condition(replica.BackendStatus{Health: backend.Health{State: s}}); string(state) != string(s) {
			t.Errorf("%s became %s", s, state)
		}
	}
}

func TestAdvice(t *testing.T) {
	seen := map[string]error{}
	for _, err := range []error{
		s3.InvalidAccessKeyID, s3.RequestTimeTooSkewed, s3.PermanentRedirect, s3.NoSuchBucket, s3.AccessDenied,
		syscall.ECONNREFUSED, context.DeadlineExceeded, &backend.Error{Misconfigured: true}, errors.New("other"),
	} {
		text := advice(err)
		if other, ok := seen[text]; ok || text == "" {
			t.Errorf("%v and %v: %q", err, other, text)
		}
		seen[text] = err
	}
}

// Where several share the log the status names them, this one first, and the CLI shows
// how each stands.
func TestStatusTellsOfTheNodes(t *testing.T) {
	at := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	src := source{node: "node-1", log: memory.NewLog(), set: fakeReplicas{
		self: replica.Node{Name: "node-1", Address: "a:9001", Version: "v2", Started: at, Lease: 1500 * time.Millisecond},
		others: []replica.Node{
			{Name: "node-2", Address: "b:9001", Version: "v1", Started: at, Joining: true, Apart: 250 * time.Millisecond},
		},
	}}
	status, err := src.Status(t.Context())
	lease := 1.5
	want := []admin.Node{
		{Name: "node-1", Address: "a:9001", Version: "v2", Started: at, LeaseSeconds: &lease},
		{Name: "node-2", Address: "b:9001", Version: "v1", Started: at, Joining: true, ClockApartSeconds: 0.25},
	}
	if err != nil || !reflect.DeepEqual(status.Nodes, want) {
		t.Fatalf("got %+v, %v; want %+v", status.Nodes, err, want)
	}
	lease = 0
	for _, c := range []struct {
		node admin.Node
		want string
	}{{want[0], "no lease"}, {want[1], "joins"}, {admin.Node{}, "serves"}} {
		if got := (&printer{}).nodeState(c.node); got != c.want {
			t.Errorf("%+v: %q, want %q", c.node, got, c.want)
		}
	}
}

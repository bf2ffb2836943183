package admin

import (
	"context"
	"errors"
	"strings"
	"unicode/utf8"

	"github.com/s3mirror/s3mirror/internal/admin/api"
	"github.com/s3mirror/s3mirror/internal/oplog"
)

// Source is where the state comes from. Its methods are safe for concurrent
// use, give up when the context ends, and return what was true at some moment
// of the call.
type Source interface {
	// Status sums the whole node up. Version and Node are set by the Source.
	Status(ctx context.Context) (Status, error)
	// Lag says how far each backend is behind, bucket by bucket.
	Lag(ctx context.Context) (Lag, error)
	// History returns events, newest first.
	History(ctx context.Context, q oplog.HistoryQuery) ([]oplog.Event, error)
	// Backends returns every configured backend in the order of the configuration.
	Backends(ctx context.Context) ([]BackendStatus, error)
	// Backend returns one of them. ErrUnknownBackend.
	Backend(ctx context.Context, name string) (BackendDetail, error)
	// Qualify probes a backend anew. ErrUnknownBackend, ErrNoBucket, ErrBackendAway.
	Qualify(ctx context.Context, name string) (Probe, error)
	// Ready returns nil when the log answers and the ack rule can be met; else
	// why not, in words that may be shown to anyone who reaches the listener.
	Ready(ctx context.Context) error
}

// SecretKey is the deployment's secret key.
type SecretKey interface {
	// Rotate makes a new one, seals with it what is stored, and tells how many records
	// that were. What fails in the middle goes on with the next call, or the next start.
	// ErrRotating, ErrSharedKey, ErrKeyFile.
	Rotate(ctx context.Context) (resealed int, err error)
}

// Errors of SecretKey.
var (
	// ErrRotating: it is being changed at this moment.
	ErrRotating = errors.New("the secret key is being changed already")
	// ErrSharedKey: several nodes have it, each in a file of its own.
	ErrSharedKey = errors.New("several nodes may have the secret key")
	// ErrKeyFile wraps why the file could not be replaced.
	ErrKeyFile = errors.New("the file of the secret key cannot be replaced")
)

// ErrNothingThere: an endpoint of the demo holds no object that could be corrupted.
var ErrNothingThere = errors.New("it holds no object yet")

// Demo switches the endpoints that run inside the process of `s3mirror demo`.
type Demo interface {
	// Switch turns an endpoint off (it answers nothing) or on again. Idempotent.
	// ErrUnknownBackend.
	Switch(name string, on bool) error
	// Slow lets an endpoint answer slowly, until it is switched. ErrUnknownBackend.
	Slow(name string) error
	// Corrupt changes the newest object that an endpoint holds behind everybody's back.
	// ErrUnknownBackend, ErrNothingThere.
	Corrupt(name string) error
	// Load begins or ends a load on the node. Idempotent.
	Load(on bool)
	State() DemoState
}

// The documents, as the description has them.
type (
	Status        = api.Status
	Backlog       = api.Backlog
	Count         = api.Count
	BackendStatus = api.BackendStatus
	Node          = api.Node
	BackendList   = api.BackendList
	BackendDetail = api.BackendDetail
	State         = api.State
	DemoState     = api.DemoState
	Probe         = api.Probe
	Finding       = api.Finding
	Lag           = api.Lag
	BackendLag    = api.BackendLag
	BucketLag     = api.BucketLag
	HistoryPage   = api.HistoryPage
	Event         = api.Event
	Version       = api.Version
	SwitchState   = api.SwitchState
)

// The states of a backend.
const (
	Up       = api.Up
	Degraded = api.Degraded
	Down     = api.Down
	Paused   = api.Paused
)

// newEvent turns the log's event into the document.
func newEvent(e oplog.Event) Event {
	out := Event{
		Time: e.Time.UTC(), Bucket: e.Bucket, Key: e.Key, Op: e.Op, ID: e.ID.String(), Size: e.Size,
		Actor: e.Actor, Request: e.Request, Result: e.Result, Detail: e.Detail, Client: e.Client, Backends: e.Backends,
	}
	if out.Backends == nil {
		out.Backends = map[string]string{}
	}
	if !utf8.ValidString(e.Key) {
		out.Key, out.KeyEncoded = strings.ToValidUTF8(e.Key, "\uFFFD"), percentEncode(e.Key)
	}
	return out
}

// percentEncode writes every byte but ASCII letters, digits and -_.~/ as %XX.
func percentEncode(s string) string {
	const hex = "0123456789ABCDEF"
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		c := s[i]
		if 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' || strings.IndexByte("-_.~/", c) >= 0 {
			b.WriteByte(c)
			continue
		}
		b.WriteByte('%')
		b.WriteByte(hex[c>>4])
		b.WriteByte(hex[c&15])
	}
	return b.String()
}

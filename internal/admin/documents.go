package admin

import (
	"context"
	"strings"
	"time"
	"unicode/utf8"

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
	// Ready returns nil when the log answers and the ack rule can be met; else
	// why not, in words that may be shown to anyone who reaches the listener.
	Ready(ctx context.Context) error
}

// Demo switches the endpoints that run inside the process of `s3mirror demo`.
type Demo interface {
	// Switch turns an endpoint off (it answers nothing) or on again. Idempotent.
	// ErrUnknownBackend.
	Switch(name string, on bool) error
}

// State is what a backend is good for at the moment.
type State string

// The states of a backend.
const (
	Up       State = "up"       // takes reads and writes
	Degraded State = "degraded" // answers, but some operations fail or it is slow
	Down     State = "down"     // its breaker is open, or it was refused at the start
	Paused   State = "paused"   // taken out by an operator
)

// Status is the document of GET /api/v1/status and `s3mirror status --output json`.
type Status struct {
	Version   string          `json:"version"`
	Node      string          `json:"node"`
	Converged bool            `json:"converged"` // nothing lags or is unsettled on a serving backend, and no intent is older than a lease
	Lagging   Backlog         `json:"lagging"`   // keys that some serving backend misses
	Unsettled Count           `json:"unsettled"` // keys with a request whose outcome is not known
	InFlight  Count           `json:"in_flight"` // keys with a write under way
	Refused   Count           `json:"refused"`   // keys that some backend refuses to hold
	Backends  []BackendStatus `json:"backends"`
}

// Backlog is an amount of work and its age.
type Backlog struct {
	Keys          int64   `json:"keys"`
	Bytes         int64   `json:"bytes"`
	OldestSeconds float64 `json:"oldest_seconds"` // 0 when there is none
}

// Count is a number of keys.
type Count struct {
	Keys int64 `json:"keys"`
}

// BackendStatus is one backend.
type BackendStatus struct {
	Name          string     `json:"name"`
	State         State      `json:"state"`
	LaggingKeys   int64      `json:"lagging_keys"`
	LaggingBytes  int64      `json:"lagging_bytes"`
	OldestSeconds float64    `json:"oldest_seconds"`
	LastSuccess   *time.Time `json:"last_success"`     // null: not since the start
	Reason        string     `json:"reason,omitempty"` // why it is not up, and what to do
	Probe         *Probe     `json:"probe,omitempty"`  // nil: not probed since the start
}

// Probe is what a backend was found to do.
type Probe struct {
	Level       string    `json:"level"` // F0 | F1 | refused
	PayloadMode string    `json:"payload_mode"`
	Taken       time.Time `json:"taken"`
	Reasons     []string  `json:"reasons"` // why no higher level
	Findings    []Finding `json:"probes"`
}

// Finding is the result of one probe.
type Finding struct {
	Name   string `json:"name"`
	Result string `json:"result"` // yes | no | unsafe | unknown
	Detail string `json:"detail,omitempty"`
}

// Lag is the document of GET /api/v1/replication/lag.
type Lag struct {
	Converged bool         `json:"converged"` // as in Status
	Backends  []BackendLag `json:"backends"`
}

// BackendLag is how far one backend is behind.
type BackendLag struct {
	Name        string      `json:"name"`
	State       State       `json:"state"`
	Lagging     Backlog     `json:"lagging"`
	LastSuccess *time.Time  `json:"last_success"`
	Buckets     []BucketLag `json:"buckets"` // only those that lag, by name
}

// BucketLag is how far one bucket is behind on one backend.
type BucketLag struct {
	Bucket  string  `json:"bucket"`
	Lagging Backlog `json:"lagging"`
}

// BackendList is the document of GET /api/v1/backends.
type BackendList struct {
	Backends []BackendStatus `json:"backends"`
}

// HistoryPage is the document of GET /api/v1/history, newest first.
type HistoryPage struct {
	Events []Event `json:"events"`
	Cursor string  `json:"cursor,omitempty"` // pass it to get what is older; absent on the last page
}

// Event is one line of history.
type Event struct {
	Time       time.Time         `json:"time"`
	Bucket     string            `json:"bucket"`
	Key        string            `json:"key"`                   // bytes that are not UTF-8 are shown as U+FFFD
	KeyEncoded string            `json:"key_encoded,omitempty"` // the exact key, percent-encoded; only when it is not UTF-8
	Op         string            `json:"op"`
	ID         string            `json:"id"`
	Size       int64             `json:"size"`
	Actor      string            `json:"actor,omitempty"`
	Request    string            `json:"request_id,omitempty"`
	Result     string            `json:"result"`
	Why        string            `json:"why,omitempty"`    // of a refusal
	Client     string            `json:"client,omitempty"` // the address it came from, of what is audited
	Backends   map[string]string `json:"backends"`         // backend -> outcome
}

// newEvent turns the log's event into the document.
func newEvent(e oplog.Event) Event {
	out := Event{
		Time: e.Time.UTC(), Bucket: e.Bucket, Key: e.Key, Op: e.Op, ID: e.ID.String(), Size: e.Size,
		Actor: e.Actor, Request: e.Request, Result: e.Result, Why: e.Why, Client: e.Client, Backends: e.Backends,
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

// Version is the document of GET /version.
type Version struct {
	Version string `json:"version"`
	Node    string `json:"node"`
	Go      string `json:"go"`
}

// SwitchState is the answer to POST /api/v1/demo/backends/{name}/{on,off}.
type SwitchState struct {
	Name string `json:"name"`
	On   bool   `json:"on"`
}

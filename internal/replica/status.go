package replica

import (
	"time"

	"github.com/s3mirror/s3mirror/internal/backend"
)

// Status sums up what is left to do, from the log, and how the backends are.
type Status struct {
	Converged bool    // nothing lags or is unsettled on a serving backend, and no intent is older than a lease
	Lagging   Backlog // keys that some backend misses, each counted once
	Unsettled int64   // keys with a request whose outcome is not known
	InFlight  int64   // keys with a write under way
	Refused   int64   // keys that some backend refuses to hold
	Backends  []BackendStatus
}

// Backlog is an amount of work and its age.
type Backlog struct {
	Keys, Bytes int64
	Oldest      time.Duration // zero when there is none
}

// BackendStatus is one backend, in the order of the configuration.
type BackendStatus struct {
	Name    string
	Health  backend.Health
	Reason  string             // what is wrong with it beyond Health, and what to do; empty when nothing is
	Lagging Backlog            // keys that it misses
	Buckets map[string]Backlog // the same by bucket; only those that lag
}

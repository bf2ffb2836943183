package backend

import "time"

// State is what an endpoint is good for. The set is closed.
type State string

// The states.
const (
	Up       State = "up"
	Degraded State = "degraded" // it serves, but some operations fail
	Down     State = "down"     // the breaker is open: nothing is sent but probes
)

// States are all states.
var States = []State{Up, Degraded, Down}

// Health is what the real operations of an endpoint have shown.
type Health struct {
	State State
	Since time.Time // when the breaker last opened or closed; zero if never

	LastSuccess time.Time // of any operation or probe; zero if none yet
	LastFailure time.Time
	LastError   error // of LastFailure

	// Misconfigured: LastError is of the kind that only a person can end.
	Misconfigured bool

	// Opens counts how often the breaker opened. When it has grown, the endpoint
	// was away and may have come back with less than it had (RELIABILITY H26).
	Opens uint64

	InFlight int           // operations that have not ended, open bodies of GETs among them
	Latency  time.Duration // smoothed time to the answer of GET and HEAD; 0 if unknown
}

// window counts successes and failures of the last while, in slots, so that old
// ones fade without being kept one by one.
type window struct {
	slot  time.Duration
	slots [windowSlots]struct {
		at       int64 // which slot of all time this is
		ok, fail int
	}
}

const windowSlots = 10

func (w *window) add(now time.Time, fail bool) {
	at := now.UnixNano() / int64(w.slot)
	s := &w.slots[at%windowSlots]
	if s.at != at {
		s.at, s.ok, s.fail = at, 0, 0
	}
	if fail {
		s.fail++
	} else {
		s.ok++
	}
}

// count sums the slots that are not too old.
func (w *window) count(now time.Time) (ok, fail int) {
	at := now.UnixNano() / int64(w.slot)
	for _, s := range w.slots {
		if at-s.at < windowSlots {
			ok += s.ok
			fail += s.fail
		}
	}
	return ok, fail
}

func (w *window) reset() { *w = window{slot: w.slot} }

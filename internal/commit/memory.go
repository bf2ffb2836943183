package commit

import (
	"slices"
	"time"

	"github.com/s3mirror/s3mirror/internal/object"
	"github.com/s3mirror/s3mirror/internal/oplog"
)

// Memory is what one node observed of one key over several visits. Losing it is
// safe: it only makes the node wait longer.
type Memory struct {
	Nonce  object.ID                  // of the intent last seen
	Since  time.Duration              // Boot when that nonce was first seen
	Series map[string]Series          // by replica: the watch of R19
	Seen   map[EntryKey]time.Duration // Boot when an unsettled entry was first seen

	Refused map[string]Refused // by replica that refuses the key
}

// Refused is how often and when a replica was last offered a key that it refuses.
type Refused struct {
	Tries int
	At    time.Duration // Boot; a refusal that this node only read of counts from then
}

// Series is an unbroken run of answered HEADs.
type Series struct {
	Begun, Last time.Duration // Boot
}

// EntryKey names an unsettled entry.
type EntryKey struct {
	Op      object.ID
	Replica string
}

func (m *Memory) watch(r string, answered bool, now time.Duration, gap time.Duration) {
	s, ok := m.Series[r]
	switch {
	case !answered:
		m.Series = without(m.Series, r)
		return
	case !ok || now-s.Last > gap:
		s.Begun = now
	}
	s.Last = now
	m.Series = with(m.Series, r, s)
}

// note remembers when each entry was first seen and forgets those that are gone.
func (m *Memory) note(row *oplog.Row, now time.Duration) {
	seen := map[EntryKey]time.Duration{}
	for _, e := range slices.Concat(row.Unsettled, row.Tagging) {
		k := EntryKey{e.Op, e.Replica}
		at, ok := m.Seen[k]
		if !ok {
			at = now
		}
		seen[k] = at
	}
	m.Seen = seen
	if row.Intent == nil {
		m.Nonce = object.ID{}
	} else if m.Nonce != row.Intent.Nonce {
		m.Nonce, m.Since = row.Intent.Nonce, now
	}
}

// refusals remembers who refuses the key and forgets who does no more.
func (m *Memory) refusals(row *oplog.Row, now time.Duration) {
	var refused map[string]Refused
	for _, f := range row.Refused {
		was, ok := m.Refused[f.Replica]
		if !ok {
			was = Refused{Tries: 1, At: now}
		}
		refused = with(refused, f.Replica, was)
	}
	m.Refused = refused
}

// offered notes that a replica did not take the key once more.
func (m *Memory) offered(r string, now time.Duration) {
	if was, ok := m.Refused[r]; ok {
		m.Refused = with(m.Refused, r, Refused{Tries: was.Tries + 1, At: now})
	}
}

// offerIn is how long a replica that refuses the key is left alone yet: the pause doubles
// with each refusal, from a gap to the longest. It is a matter of pace alone: such a
// replica lags like any other.
func (m *Memory) offerIn(r string, now time.Duration, t Times) time.Duration {
	was, ok := m.Refused[r]
	if !ok {
		return 0
	}
	const doublings = 20 // beyond every longest pause
	return max(min(t.Gap<<min(was.Tries-1, doublings), t.Refused)-(now-was.At), 0)
}

// watched tells whether an entry may be settled by time (R19): this node saw
// the replica answer without a pause for T_settle since the entry was there. What a
// backend works on for long is settled later: its work may have to begin after a hang.
func (m *Memory) watched(e oplog.Entry, now, settle time.Duration) bool {
	s, ok := m.Series[e.Replica]
	slow := e.Slow
	if !holds(USlow) {
		slow = 0
	}
	at, known := m.Seen[EntryKey{e.Op, e.Replica}]
	switch {
	case !holds(R19Time):
		return true
	case !holds(R19Watch):
		return known && now-at >= settle+2*slow
	}
	return ok && known && now-max(s.Begun, at+slow) >= settle+slow
}

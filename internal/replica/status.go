package replica

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/s3mirror/s3mirror/internal/backend"
	"github.com/s3mirror/s3mirror/internal/object"
	"github.com/s3mirror/s3mirror/internal/oplog"
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

func (b *Backlog) add(bytes int64, age time.Duration) {
	b.Keys++
	b.Bytes += bytes
	b.Oldest = max(b.Oldest, age)
}

// BackendStatus is one backend, in the order of the configuration.
type BackendStatus struct {
	Name    string
	Health  backend.Health
	Paused  bool               // an operator paused it
	Reason  string             // what is wrong with it beyond Health, and what to do; empty when nothing is
	Lagging Backlog            // keys that it misses
	Buckets map[string]Backlog // the same by bucket; only those that lag
}

// statusCache lets those who ask at the same time share a walk, so that many
// who poll do not walk over all rows each. A walk answers only those who came
// before it began: whoever asks after a write was acknowledged must not be told
// what was true before it.
type statusCache struct {
	begun atomic.Uint64 // walks begun so far
	mu    sync.Mutex    // guards what follows, and is held while rows are counted: one walk at a time
	last  *tallied
	walk  uint64 // which walk last is of, counted as begun counts
}

// tallied is what a walk over all rows found.
type tallied struct {
	Status
	stale    bool // an intent is older than a lease
	backends map[string]*BackendStatus
}

// Status walks over the rows of the log; what it returns was true at some moment
// of the call. The error is the log's.
func (s *Set) Status(ctx context.Context) (Status, error) {
	c := &s.status
	came := c.begun.Load()
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.walk <= came {
		walk := c.begun.Add(1)
		t, err := s.tally(ctx)
		if err != nil {
			return Status{}, err
		}
		c.last, c.walk = t, walk
	}
	out := c.last.Status
	out.Converged = out.Converged && !s.buckets.filling()
	out.Backends = nil
	roster := s.roster.Load()
	for _, name := range roster.names {
		b := BackendStatus{Name: name}
		if seen := c.last.backends[name]; seen != nil { // else it was added after the walk
			b = *seen
		}
		b.Health = roster.seats[name].stack.Breaker.Health()
		b.Paused = s.Paused(name)
		b.Reason = s.buckets.reason(name)
		out.Backends = append(out.Backends, b)
	}
	return out, nil
}

// tally walks over all rows.
func (s *Set) tally(ctx context.Context) (*tallied, error) {
	t := &tallied{backends: map[string]*BackendStatus{}}
	for _, name := range s.Names() {
		t.backends[name] = &BackendStatus{Name: name, Buckets: map[string]Backlog{}}
	}
	seen := map[object.Key]bool{} // a walk may meet a row more than once
	for shard := range oplog.Shards {
		clear(seen)
		for after := oplog.Cursor(""); ; {
			rows, next, err := s.o.Log.Due(ctx, shard, after, 1000)
			if err != nil {
				return nil, fmt.Errorf("walk over the rows: %w", err)
			}
			for _, kr := range rows {
				if !seen[kr.Key] {
					seen[kr.Key] = true
					s.count(t, kr)
				}
			}
			if after = next; after == "" {
				break
			}
		}
	}
	t.Converged = t.Lagging.Keys == 0 && t.Unsettled == 0 && !t.stale
	return t, nil
}

// count adds one row.
func (s *Set) count(t *tallied, kr oplog.KeyRow) {
	row, now := kr.Row, s.o.Wall()
	if len(row.Unsettled) > 0 {
		t.Unsettled++
	}
	if row.Intent != nil {
		t.InFlight++
		t.stale = t.stale || now.Sub(row.Changed) > s.o.Times.Lease
	}
	if row.Open {
		return // nobody knows yet who holds what
	}
	age := now.Sub(row.Changed)
	if row.Cur.Ver != 0 {
		age = now.Sub(row.Cur.Ver.Time())
	}
	age = max(age, 0)
	lags, refused := false, false
	for _, replica := range s.buckets.replicas(kr.Key.Bucket).Minus(row.Good) {
		if refusedBy(&row, replica) {
			refused = true
			continue
		}
		lags = true
		b := t.backends[replica]
		if b == nil {
			continue // in the record, no longer in the configuration
		}
		b.Lagging.add(row.Cur.Size, age)
		bucket := b.Buckets[kr.Key.Bucket]
		bucket.add(row.Cur.Size, age)
		b.Buckets[kr.Key.Bucket] = bucket
	}
	if lags {
		t.Lagging.add(row.Cur.Size, age)
	}
	if refused {
		t.Refused++
	}
}

func refusedBy(row *oplog.Row, replica string) bool {
	return slices.ContainsFunc(row.Refused, func(f oplog.Refusal) bool { return f.Replica == replica })
}

// targets are the replicas of a bucket that are healed in its mode.
func (bs *buckets) targets(name string) object.Replicas {
	bs.mu.Lock()
	b := bs.known[name]
	bs.mu.Unlock()
	if b == nil {
		return bs.policy(name).Replicas // nobody has looked at it: nothing is to be held back
	}
	return b.config().Targets()
}

// lastRecord is the record of a bucket as this node knows it; false: it knows none.
func (bs *buckets) lastRecord(name string) (record, bool) {
	bs.mu.Lock()
	b := bs.known[name]
	bs.mu.Unlock()
	if b == nil {
		return record{}, false
	}
	return b.record(), true
}

// replicas are those of a bucket, as this node knows it.
func (bs *buckets) replicas(name string) object.Replicas {
	if rec, ok := bs.lastRecord(name); ok {
		return rec.Replicas
	}
	return bs.policy(name).Replicas
}

// kept are those of replicas that rows wait for.
func (bs *buckets) kept(name string) object.Replicas {
	if rec, ok := bs.lastRecord(name); ok {
		return rec.Replicas.Minus(rec.Unkept)
	}
	return bs.policy(name).Replicas
}

// filling tells whether a replica of some bucket lost it and is not filled again:
// keys without a row are then not equal on all replicas.
func (bs *buckets) filling() bool {
	bs.mu.Lock()
	defer bs.mu.Unlock()
	for _, b := range bs.known {
		if len(b.record().Wiped) > 0 {
			return true
		}
	}
	return false
}

// reason is why buckets of a backend are not used though it is up.
func (bs *buckets) reason(replica string) string {
	bs.mu.Lock()
	defer bs.mu.Unlock()
	var why []string
	for _, b := range bs.known {
		b.mu.Lock()
		p := b.presence[replica]
		switch {
		case !b.rec.Replicas.Has(replica):
		case !p.right && p.reason != nil && bs.set.Up(replica):
			why = append(why, p.reason.Error())
		case b.rec.away().Has(replica):
			why = append(why, fmt.Sprintf("bucket %s fell too far behind here: when the backend is back it is compared with the others and filled, and serves no reads until then", b.name))
		case b.rec.Joining.Has(replica):
			why = append(why, fmt.Sprintf("bucket %s joined here; it is filled and serves no reads until then", b.name))
		case b.rec.Wiped.Has(replica):
			why = append(why, fmt.Sprintf("bucket %s was lost here; it is filled again and serves no reads until then", b.name))
		}
		b.mu.Unlock()
	}
	slices.Sort(why)
	const atMost = 3
	if len(why) > atMost {
		why = append(why[:atMost], fmt.Sprintf("and %d more buckets", len(why)-atMost))
	}
	return strings.Join(why, "; ")
}

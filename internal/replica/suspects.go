package replica

import (
	"context"
	"sync"
	"time"

	"github.com/s3mirror/s3mirror/internal/object"
)

const (
	suspectsAtOnce = 64          // keys that wait for a comparison; what is more the next read finds again
	suspectAgain   = time.Minute // between two comparisons of one key
	suspectsKnown  = 10000       // keys whose last comparison is remembered
)

// suspects are keys of which a read met a replica that does not hold what the row says it
// does. The read was answered by another one; the row would call the first one good until
// somebody looks, which without a read is when it has outlived its retention (R28).
type suspects struct {
	set  *Set
	keys chan object.Key

	mu   sync.Mutex // guards seen
	seen map[object.Key]time.Duration
}

func (q *suspects) open(s *Set) {
	q.set, q.keys, q.seen = s, make(chan object.Key, suspectsAtOnce), map[object.Key]time.Duration{}
}

// add has a key compared soon, unless that was done a moment ago.
func (q *suspects) add(key object.Key) {
	now := q.set.o.Boot()
	q.mu.Lock()
	defer q.mu.Unlock()
	if at, ok := q.seen[key]; ok && now-at < suspectAgain {
		return
	}
	if len(q.seen) >= suspectsKnown {
		clear(q.seen)
	}
	select {
	case q.keys <- key:
		q.seen[key] = now
	default:
	}
}

// run compares them, one after the other: what differs has a row that says so afterwards,
// and is healed.
func (q *suspects) run(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case key := <-q.keys:
			if _, err := q.set.Compare(ctx, key, Comparison{}, true); err != nil && ctx.Err() == nil {
				q.set.o.Logger.InfoContext(ctx, "replicas could not be compared", "key", key, "error", err)
			}
		}
	}
}

package replica

import (
	"context"
	"errors"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/s3mirror/s3mirror/internal/backend"
	"github.com/s3mirror/s3mirror/internal/object"
	"github.com/s3mirror/s3mirror/internal/s3"
)

// place is one replica of a bucket: an endpoint, and the bucket's name there.
// What it learns of the bucket's absence is remembered.
type place struct {
	backend.Endpoint
	b       *bucket
	replica string
	bucket  string // the real name
}

// at returns a replica that is known to be the right one: its bucket carries the
// identity that this deployment gave it, and its backend was not away since
// somebody looked (RELIABILITY H19). Otherwise it is as good as down.
func (s *Set) at(ctx context.Context, b *bucket, replica string, pace pace) (place, error) {
	stack := s.stack(replica)
	if stack == nil {
		return place{}, notConfigured(replica)
	}
	if err := s.buckets.trusted(b, replica); err != nil {
		return place{}, err
	}
	p := place{Endpoint: stack.Endpoint, b: b, replica: replica, bucket: b.realName(replica)}
	switch pace {
	case clients:
	case paced:
		p.Endpoint = stack.Paced
	case paid:
		p.Endpoint = stack.Paid
	}
	keys := s.qualities.keysOf(replica)
	p.Endpoint = backend.Shield(p.Endpoint, keys.refuses, keys.mixes)
	return p, nil
}

// pace is how a request goes to an endpoint.
type pace uint8

const (
	clients pace = iota // at once
	paced               // when clients and the limits of heals leave room
	paid                // at once, for it has waited for room
)

// doubt remembers an answer that says that the bucket is not there.
func (p place) doubt(err error) error {
	if errors.Is(err, s3.NoSuchBucket) {
		p.b.distrust(p.replica, err)
	}
	return err
}

func (p place) head(ctx context.Context, key string) (object.Seen, error) {
	seen, err := p.Head(ctx, p.bucket, key)
	return seen, p.doubt(err)
}

func (p place) get(ctx context.Context, key string, o backend.GetOptions) (*backend.Object, error) {
	obj, err := p.Get(ctx, p.bucket, key, o)
	return obj, p.doubt(err)
}

func (p place) put(ctx context.Context, r backend.PutRequest) (backend.PutResult, error) {
	r.Bucket = p.bucket
	res, err := p.Put(ctx, r)
	return res, p.doubt(err)
}

func (p place) copy(ctx context.Context, r backend.CopyRequest) (backend.CopyResult, error) {
	r.Bucket = p.bucket
	return p.Copy(ctx, r) // a bucket that is not there may be the source's
}

func (p place) delete(ctx context.Context, key string) error {
	return p.doubt(p.Delete(ctx, p.bucket, key))
}

func (p place) deleteMany(ctx context.Context, keys []string) ([]error, error) {
	results, err := p.DeleteMany(ctx, p.bucket, keys)
	return results, p.doubt(err)
}

func (p place) list(ctx context.Context, r backend.ListRequest) (backend.ListPage, error) {
	page, err := p.List(ctx, p.bucket, r)
	return page, p.doubt(err)
}

// up are the replicas of a bucket that can take part in an operation now.
func (s *Set) up(b *bucket) object.Replicas {
	return b.config().Replicas.Filter(func(r string) bool {
		return s.Up(r) && s.buckets.trusted(b, r) == nil
	})
}

// order is the replicas of a bucket that can be asked now, the best first: the
// better of two that are drawn (power of two choices, which spreads load without
// herding), then the rest by their cost. A primary comes before all.
func (s *Set) order(b *bucket) []string {
	names := slices.Clone([]string(s.up(b)))
	if len(names) < 2 {
		return names
	}
	cost := map[string]time.Duration{}
	for _, n := range names {
		stack := s.stack(n)
		if stack == nil { // it was removed meanwhile
			continue
		}
		h := stack.Breaker.Health()
		cost[n] = (h.Latency + time.Microsecond) * time.Duration(1+h.InFlight)
		if h.State == backend.Degraded {
			cost[n] *= 4
		}
	}
	rand.Shuffle(len(names), func(i, j int) { names[i], names[j] = names[j], names[i] }) // equals take turns
	byCost := func(a, b string) int { return int(cost[a] - cost[b]) }
	slices.SortStableFunc(names, byCost)
	i := rand.IntN(len(names))
	j := rand.IntN(len(names) - 1)
	if j >= i {
		j++
	}
	best := min(i, j) // sorted by cost
	first := names[best]
	return b.config().First(append([]string{first}, slices.Delete(names, best, best+1)...))
}

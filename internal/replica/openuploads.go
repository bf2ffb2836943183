package replica

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/s3mirror/s3mirror/internal/commit"
	"github.com/s3mirror/s3mirror/internal/object"
	"github.com/s3mirror/s3mirror/internal/s3"
)

// Whoever begins uploads and never ends them fills the log and every backend: each is a
// document, kept until uploads.age. So a bucket has only so many open at once.

const (
	// recountAfter is how long a count of the open uploads of a bucket is relied on,
	// which the creations through this node are added to. Those of other nodes are seen
	// when it is taken again.
	recountAfter = 30 * time.Second
	// recountFull is the same for a bucket that was full.
	recountFull = time.Second
)

// openUploads are how many uploads each bucket has open, as far as this node knows.
type openUploads struct {
	mu     sync.Mutex // guards counts
	counts map[string]*openCount
}

// openCount is the count of one bucket.
type openCount struct {
	turn chan struct{} // has room for who counts; never changes

	// Owned by who has the turn.
	known bool
	open  int           // at the last count, and begun here since
	at    time.Duration // Boot of the last count

	mu       sync.Mutex // guards creating
	creating int        // begun here and perhaps not in the log yet
}

func (o *openUploads) of(bucket string) *openCount {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.counts == nil {
		o.counts = map[string]*openCount{}
	}
	c := o.counts[bucket]
	if c == nil {
		c = &openCount{turn: make(chan struct{}, 1)}
		o.counts[bucket] = c
	}
	return c
}

// admitUpload counts a creation in; made must be called when its record stands, or never
// will. SlowDown when the bucket has Options.MaxUploads open. On one node that is exact, of
// several each lets a few more in, between two of its counts.
func (s *Set) admitUpload(ctx context.Context, bucket string) (made func(), err error) {
	if s.o.MaxUploads == 0 {
		return func() {}, nil
	}
	c := s.uploads.open.of(bucket)
	select {
	case c.turn <- struct{}{}:
		defer func() { <-c.turn }()
	case <-ctx.Done():
		return nil, unavailable(context.Cause(ctx))
	}
	pause := recountAfter
	if c.open >= s.o.MaxUploads {
		pause = recountFull
	}
	if now := s.o.Boot(); !c.known || now-c.at >= pause {
		c.mu.Lock()
		begun := c.creating
		c.mu.Unlock()
		n, err := s.countOpen(ctx, bucket)
		if err != nil {
			return nil, unavailable(fmt.Errorf("open uploads: %w", err))
		}
		c.known, c.open, c.at = true, n+begun, now
	}
	if c.open >= s.o.MaxUploads {
		s.metrics.uploadsRefused.Inc()
		return nil, s3.Errorf(s3.SlowDown, "The bucket has too many multipart uploads that are neither completed nor aborted.").
			Because(fmt.Errorf("%d uploads are open", c.open))
	}
	c.open++
	c.add(1)
	return func() { c.add(-1) }, nil
}

func (c *openCount) add(n int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.creating += n
}

// countOpen counts the open uploads of a bucket, up to the most that it may have.
func (s *Set) countOpen(ctx context.Context, bucket string) (n int, err error) {
	err = s.eachUpload(ctx, bucket, "", func(_ object.Key, id object.ID, rec *commit.UploadRecord) bool {
		if (rec.State == commit.UploadOpen || rec.State == commit.UploadCompleting) && !s.uploads.isOver(id) {
			n++
		}
		return n < s.o.MaxUploads
	})
	return n, err
}

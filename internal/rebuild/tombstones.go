package rebuild

import (
	"context"
	"fmt"
	"sync"

	"golang.org/x/sync/errgroup"

	"github.com/s3mirror/s3mirror/internal/backend"
	"github.com/s3mirror/s3mirror/internal/replica"
)

// tombstones are the deletes that some replica of the bucket remembers, by key, of each the
// latest. What is in their place and tells of nothing is passed by.
func (r *run) tombstones(ctx context.Context, b place) (map[string]Deleted, error) {
	var mu sync.Mutex // guards deleted
	deleted := map[string]Deleted{}
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(keysAtOnce)
	read := func(name, real, tomb string) error {
		type told struct {
			key string
			is  Deleted
			ok  bool
		}
		t, err := again(ctx, func() (t told, err error) {
			t.key, t.is.ID, t.is.Ver, t.ok, err = replica.ReadTombstone(ctx, r.endpoint(name), real, tomb)
			return t, err
		})
		if err != nil {
			return fmt.Errorf("%w: tombstone %s on %s: %w", ErrAway, tomb, name, err)
		}
		mu.Lock()
		defer mu.Unlock()
		if t.ok && t.is.Ver > deleted[t.key].Ver {
			deleted[t.key] = t.is
		}
		return nil
	}
	for name, real := range b.real {
		for after := ""; ; {
			page, err := again(ctx, func() (backend.ListPage, error) {
				return r.endpoint(name).List(ctx, real, backend.ListRequest{Prefix: replica.TombstoneFolder, After: after})
			})
			if err != nil {
				_ = group.Wait() // that one tells as much
				return nil, fmt.Errorf("%w: tombstones on %s: %w", ErrAway, name, err)
			}
			for _, e := range page.Entries {
				group.Go(func() error { return read(name, real, e.Key) })
			}
			if after = page.Next; after == "" {
				break
			}
		}
	}
	return deleted, group.Wait()
}

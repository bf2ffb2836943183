package rebuild

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/s3mirror/s3mirror/internal/backend"
	"github.com/s3mirror/s3mirror/internal/replica"
)

// Found is a bucket on one backend that carries an identity.
type Found struct {
	Backend  string
	Real     string // its name there
	Created  time.Time
	Identity replica.Identity
}

// looksAtOnce bounds the questions to one backend.
const looksAtOnce = 16

// Find looks for identities in all buckets of all backends. Where away is given it is told
// of each backend that cannot be asked, which is passed by; else that is ErrAway.
func Find(ctx context.Context, backends []Backend, away func(name string, err error)) ([]Found, error) {
	var mu sync.Mutex // guards found, and away
	var found []Found
	var group errgroup.Group
	for _, e := range backends {
		group.Go(func() error {
			here, err := findOn(ctx, e)
			mu.Lock()
			defer mu.Unlock()
			if err != nil && away != nil {
				away(e.Name, err)
			} else if err != nil {
				return fmt.Errorf("%w: %s: %w", ErrAway, e.Name, err)
			}
			found = append(found, here...)
			return nil
		})
	}
	if err := group.Wait(); err != nil {
		return nil, err
	}
	slices.SortFunc(found, func(a, b Found) int {
		return strings.Compare(a.Real+"\x00"+a.Backend, b.Real+"\x00"+b.Backend)
	})
	return found, nil
}

func findOn(ctx context.Context, e Backend) (found []Found, err error) {
	all, err := e.ListBuckets(ctx)
	if err != nil {
		return nil, err
	}
	var mu sync.Mutex // guards found
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(looksAtOnce)
	for _, b := range all {
		group.Go(func() error {
			id, there, err := replica.ReadIdentity(ctx, e.Endpoint, b.Name)
			if err != nil && denied(err) {
				return nil // somebody else's
			}
			if err != nil {
				return fmt.Errorf("bucket %s: %w", b.Name, err)
			}
			mu.Lock()
			defer mu.Unlock()
			if there && id.Deployment != "" {
				found = append(found, Found{Backend: e.Name, Real: b.Name, Created: b.Created, Identity: id})
			}
			return nil
		})
	}
	return found, group.Wait()
}

// denied tells whether the endpoint answered, and would not say.
func denied(err error) bool {
	var e *backend.Error
	return errors.As(err, &e) && e.Status/100 == 4
}

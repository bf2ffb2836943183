package probe

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/s3mirror/s3mirror/internal/backend"
	"github.com/s3mirror/s3mirror/internal/object"
)

// ErrLeft says that something of the probes could not be removed; the text names it.
var ErrLeft = errors.New("could not be removed again")

// removals is how often a bucket is tried to be removed: what was cut off may still land.
const removals = 5

// Alone probes an endpoint that nothing else is known of. It makes the bucket that it works
// in, unless it stands there, and removes what it made: also when ctx ends. Without
// a name for it it makes one up. An error beside a report is ErrLeft.
func Alone(ctx context.Context, o backend.Options, bucket string, e Effort) (rep Report, err error) {
	remote, err := backend.NewRemote(o)
	if err != nil {
		return rep, err
	}
	defer func() { _ = remote.Close() }() // idle connections have nothing to say
	if bucket == "" {
		bucket = "s3mirror-qualify-" + strings.ToLower(object.NewID().String()[:16])
		e.Own = true
	}
	call, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	switch err := stands(call, remote, bucket); {
	case err == nil:
		return Run(ctx, o, bucket, e)
	case !backend.IsAbsent(err):
		return rep, fmt.Errorf("look for bucket %s: %w", bucket, err)
	}
	if err := remote.CreateBucket(call, bucket); err != nil {
		return rep, fmt.Errorf("make bucket %s: %w", bucket, err)
	}
	defer func() {
		if gone := remove(context.WithoutCancel(ctx), remote, bucket); gone != nil {
			err = errors.Join(err, fmt.Errorf("bucket %s %w: %w", bucket, ErrLeft, gone))
		}
	}()
	return Run(ctx, o, bucket, e)
}

// stands looks for a bucket. What refuses a HEAD does not say why; a listing's answer does.
func stands(ctx context.Context, remote *backend.Remote, bucket string) error {
	err := remote.HeadBucket(ctx, bucket)
	if err == nil || backend.IsAbsent(err) {
		return err
	}
	_, err = remote.List(ctx, bucket, backend.ListRequest{Max: 1})
	return err
}

// remove removes a bucket that is ours, and what landed in it after the end.
func remove(ctx context.Context, remote *backend.Remote, bucket string) (err error) {
	ctx, cancel := context.WithTimeout(ctx, cleanTimeout)
	defer cancel()
	for range removals {
		if err = remote.DeleteBucket(ctx, bucket); err == nil || backend.IsAbsent(err) {
			return nil
		}
		if page, listErr := remote.List(ctx, bucket, backend.ListRequest{Prefix: folder}); listErr == nil {
			for _, entry := range page.Entries {
				_ = remote.Delete(ctx, bucket, entry.Key) // the bucket says so when it stays
			}
		}
		pause(ctx, 200*time.Millisecond)
	}
	return err
}

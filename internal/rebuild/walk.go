package rebuild

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"strings"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/s3mirror/s3mirror/internal/backend"
	"github.com/s3mirror/s3mirror/internal/object"
	"github.com/s3mirror/s3mirror/internal/oplog"
)

// keysAtOnce bounds the keys that are looked at side by side.
const keysAtOnce = 32

// tellEvery is how many keys are looked at between two words about it.
const tellEvery = 10_000

// endpoint is the backend of a name.
func (r *run) endpoint(name string) backend.Endpoint {
	for _, e := range r.Backends {
		if e.Name == name {
			return e.Endpoint
		}
	}
	return nil
}

// abort ends the uploads that are under way in a bucket: the log that knew them is gone,
// and what one of them completes would be a version that nobody has decided.
func (r *run) abort(ctx context.Context, b place) (n int64, err error) {
	for name, real := range b.real {
		e := r.endpoint(name)
		var mark backend.UploadMark
		for {
			page, err := e.ListUploads(ctx, real, backend.ListUploadsRequest{After: mark})
			if err != nil {
				var refusal *backend.Error
				if errors.As(err, &refusal) && (refusal.Outcome == backend.Refused || refusal.Status == 501) {
					break // it knows no uploads
				}
				return n, fmt.Errorf("%w: uploads on %s: %w", ErrAway, name, err)
			}
			for _, u := range page.Uploads {
				if err := e.AbortUpload(ctx, real, u.Key, u.ID); err != nil && !backend.IsAbsent(err) {
					return n, fmt.Errorf("%w: abort an upload on %s: %w", ErrAway, name, err)
				}
				n++
			}
			if mark = page.Next; mark == (backend.UploadMark{}) {
				break
			}
		}
	}
	return n, nil
}

// watch looks at each backend until it has answered without a pause for the settle time:
// what the lost log knew to be in doubt lands by then, or never (RELIABILITY A3, R19).
func (r *run) watch(ctx context.Context, buckets []place) error {
	asks := map[string]string{} // replica -> a bucket of it
	for _, b := range buckets {
		maps.Copy(asks, b.real)
	}
	if r.Settle <= 0 {
		return nil
	}
	r.Told(fmt.Sprintf("waiting %s: what was in doubt when the log was lost may land until then", r.Settle))
	began := map[string]time.Time{}
	for {
		var calm = true
		for name, real := range asks {
			before := r.Now()
			if err := r.endpoint(name).HeadBucket(ctx, real); err != nil {
				if ctx.Err() != nil {
					return context.Cause(ctx)
				}
				r.Logger.WarnContext(ctx, "backend did not answer; the wait for it begins anew", "backend", name, "error", err)
				delete(began, name)
				calm = false
				continue
			}
			if began[name].IsZero() {
				began[name] = before
			}
			calm = calm && r.Now().Sub(began[name]) >= r.Settle
		}
		if calm {
			return nil
		}
		select {
		case <-time.After(r.Gap / 3):
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

// bucket gives a row to every key whose replicas differ.
func (r *run) bucket(ctx context.Context, b place) (BucketReport, error) {
	rep := BucketReport{Bucket: b.name, Replicas: b.replicas}
	deleted, err := r.tombstones(ctx, b)
	if err != nil {
		return rep, err
	}
	var mu sync.Mutex // guards rep
	group, inner := errgroup.WithContext(ctx)
	group.SetLimit(keysAtOnce)
	err = r.each(inner, b, func(key string) {
		group.Go(func() error {
			name := object.Key{Bucket: b.name, Name: key}
			shown, err := r.look(inner, b, key)
			if err != nil {
				return err
			}
			row := Judge(shown, deleted[key], epoch, r.Now())
			if err := r.put(inner, name, row); err != nil {
				return fmt.Errorf("row of %v: %w", name, err)
			}
			mu.Lock()
			defer mu.Unlock()
			rep.count(row, shown)
			if rep.Keys%tellEvery == 0 {
				r.Told(fmt.Sprintf("bucket %s: %d keys, %d of them differ", b.name, rep.Keys, rep.Differing))
			}
			return nil
		})
	})
	if failed := group.Wait(); failed != nil { // it is why the walk ended, if both did
		err = failed
	}
	r.Told(fmt.Sprintf("bucket %s: %d keys, %d of them differ", b.name, rep.Keys, rep.Differing))
	return rep, err
}

func (rep *BucketReport) count(row *oplog.Row, shown map[string]object.Seen) {
	rep.Keys++
	present := candidates(shown)
	if len(present) > 0 && present[0].any().ID.IsZero() {
		rep.Foreign++
	}
	if row == nil {
		return
	}
	rep.Differing++
	switch {
	case row.Cur.Kind == object.Tombstone:
		rep.Deleted++
	case len(absentees(shown)) > 0:
		rep.Kept++
	}
	if len(present) > 1 && (present[0].any().Ver == 0 || present[1].any().Ver == 0) {
		rep.Unplaced++
	}
}

// each walks the keys that stand on any replica, each once, in order.
func (r *run) each(ctx context.Context, b place, do func(key string)) error {
	var lists []*listing
	for name, real := range b.real {
		lists = append(lists, &listing{name: name, real: real, e: r.endpoint(name)})
	}
	for {
		next := ""
		for _, l := range lists {
			if err := l.fill(ctx); err != nil {
				return err
			}
			if len(l.keys) > 0 && (next == "" || l.keys[0] < next) {
				next = l.keys[0]
			}
		}
		if next == "" {
			return nil
		}
		for _, l := range lists {
			if len(l.keys) > 0 && l.keys[0] == next {
				l.keys = l.keys[1:]
			}
		}
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		do(next)
	}
}

// listing is the list of one replica, page by page.
type listing struct {
	name, real string
	e          backend.Endpoint
	keys       []string // of the page, that are still to come
	after      string
	end        bool
}

func (l *listing) fill(ctx context.Context) error {
	for len(l.keys) == 0 && !l.end {
		page, err := again(ctx, func() (backend.ListPage, error) {
			return l.e.List(ctx, l.real, backend.ListRequest{After: l.after})
		})
		if err != nil {
			return fmt.Errorf("%w: list %s: %w", ErrAway, l.name, err)
		}
		for _, entry := range page.Entries {
			if !strings.HasPrefix(entry.Key, object.ReservedPrefix) {
				l.keys = append(l.keys, entry.Key)
			}
		}
		l.after, l.end = page.Next, page.Next == ""
	}
	return nil
}

// look asks every replica for a key. A listing only names it.
func (r *run) look(ctx context.Context, b place, key string) (map[string]object.Seen, error) {
	shown := map[string]object.Seen{}
	for _, name := range b.replicas {
		real := b.real[name]
		if real == "" {
			shown[name] = object.Seen{} // it holds nothing: it is not there
			continue
		}
		seen, err := again(ctx, func() (object.Seen, error) { return r.endpoint(name).Head(ctx, real, key) })
		if err != nil {
			return nil, fmt.Errorf("%w: %s: %w", ErrAway, name, err)
		}
		shown[name] = seen
	}
	return shown, nil
}

// tries is how often a question is asked that was not answered.
const tries = 3

func again[T any](ctx context.Context, ask func() (T, error)) (answer T, err error) {
	for i := range tries {
		if answer, err = ask(); err == nil || ctx.Err() != nil {
			return answer, err
		}
		select {
		case <-time.After(time.Duration(i+1) * 100 * time.Millisecond):
		case <-ctx.Done():
		}
	}
	return answer, err
}

// put writes a row over what a run that was cut off may have left; nil: there is none.
func (r *run) put(ctx context.Context, key object.Key, row *oplog.Row) error {
	old, err := r.Log.Row(ctx, key)
	none := errors.Is(err, oplog.ErrNoRow)
	if err != nil && !none {
		return err
	}
	if none && row == nil {
		return nil
	}
	return r.Log.Swap(ctx, key, old.Epoch, row)
}

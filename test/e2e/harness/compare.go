package harness

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"golang.org/x/sync/errgroup"

	"github.com/s3mirror/s3mirror/internal/object"
)

// Snapshot reads every object of a bucket straight from a server, the
// product's internal ones left out.
func Snapshot(ctx context.Context, c *Client, bucket string) (map[string]Object, error) {
	keys, err := c.List(ctx, bucket, "", 1000)
	if err != nil {
		return nil, err
	}
	keys = slices.DeleteFunc(keys, func(k string) bool { return object.Key{Name: k}.Reserved() })
	found := make([]Object, len(keys))
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(4)
	for i, key := range keys {
		g.Go(func() (err error) {
			if found[i], err = c.Object(ctx, bucket, key); err != nil {
				err = fmt.Errorf("%q: %w", key, err)
			}
			return err
		})
	}
	if err := g.Wait(); err != nil {
		return nil, err
	}
	all := make(map[string]Object, len(keys))
	for i, key := range keys {
		all[key] = found[i]
	}
	return all, nil
}

// Differences compares what the backends hold under a bucket: keys, bytes,
// ETags, content headers, metadata, checksums, and the write that each stamp
// names. An empty result says that they are equal.
func Differences(copies []Snapped, key object.StampKey, bucket string) []string {
	names := map[string]bool{}
	for _, c := range copies {
		for name := range c.Objects {
			names[name] = true
		}
	}
	var diffs []string
	for _, name := range slices.Sorted(maps.Keys(names)) {
		var first *Object
		var firstID object.ID
		for _, c := range copies {
			o, ok := c.Objects[name]
			if !ok {
				diffs = append(diffs, fmt.Sprintf("%q is missing on %s", name, c.Backend))
				continue
			}
			stamp, err := key.Open(object.Key{Bucket: cmp.Or(c.Bucket, bucket), Name: name}, o.Stamp)
			if err != nil {
				diffs = append(diffs, fmt.Sprintf("%q on %s: stamp %q: %v", name, c.Backend, o.Stamp, err))
			}
			if first == nil {
				first, firstID = &o, stamp.ID
				continue
			}
			if d := unequal(*first, o); d != "" {
				diffs = append(diffs, fmt.Sprintf("%q on %s: %s", name, c.Backend, d))
			}
			if stamp.ID != firstID {
				diffs = append(diffs, fmt.Sprintf("%q on %s: stamp names write %v, elsewhere %v", name, c.Backend, stamp.ID, firstID))
			}
		}
	}
	return diffs
}

// Snapped is the snapshot of one backend.
type Snapped struct {
	Backend string
	Bucket  string // its name there, to which stamps are bound; empty: the clients'
	Objects map[string]Object
}

func unequal(a, b Object) string {
	switch {
	case a.Size != b.Size || a.Sum != b.Sum:
		return fmt.Sprintf("%d bytes that are not the %d bytes elsewhere", b.Size, a.Size)
	case a.ETag != b.ETag:
		return fmt.Sprintf("ETag %s, elsewhere %s", b.ETag, a.ETag)
	case !a.Header.Equal(b.Header):
		return fmt.Sprintf("headers %v, elsewhere %v", b.Header, a.Header)
	}
	return ""
}

// RequireEqual fails the test unless all backends hold the same, and returns
// what that is.
func RequireEqual(t testing.TB, g *Gateway, bucket string, backends ...*Backend) map[string]Object {
	t.Helper()
	copies, err := Copies(t.Context(), bucket, backends...)
	if err != nil {
		t.Fatal(err)
	}
	if diffs := Differences(copies, g.StampKey(), bucket); len(diffs) > 0 {
		t.Fatalf("the replicas of %q are not equal, %d differences:\n%s", bucket, len(diffs), Abridged(diffs, 20))
	}
	return copies[0].Objects
}

// Copies reads what each backend holds of a bucket, past the gateway.
func Copies(ctx context.Context, bucket string, backends ...*Backend) ([]Snapped, error) {
	var copies []Snapped
	for _, b := range backends {
		objects, err := Snapshot(ctx, b.Client, bucket)
		if err != nil {
			return nil, fmt.Errorf("snapshot of %s: %w", b.Name, err)
		}
		copies = append(copies, Snapped{Backend: b.Name, Objects: objects})
	}
	forgiveChecksums(copies, backends)
	return copies, nil
}

// forgiveChecksums drops, where servers are of several makes, the checksums
// that some of them computed by themselves and others did not.
func forgiveChecksums(copies []Snapped, backends []*Backend) {
	if !slices.ContainsFunc(backends, func(b *Backend) bool { return b.brand.program != backends[0].brand.program }) {
		return
	}
	for _, a := range copies {
		for name, o := range a.Objects {
			for header := range o.Header {
				all := !slices.ContainsFunc(copies, func(b Snapped) bool { return b.Objects[name].Header[header] == "" })
				if !all && strings.HasPrefix(header, object.ChecksumPrefix) {
					delete(o.Header, header)
				}
			}
		}
	}
}

// RequireModel fails the test unless a server holds exactly the keys that the
// model allows, with the versions that it allows.
func RequireModel(t testing.TB, what string, held map[string]Object, keys []*Key) {
	t.Helper()
	var wrong []string
	known := map[string]bool{}
	for _, k := range keys {
		known[k.Name] = true
		o, ok := held[k.Name]
		var err error
		if !ok {
			err = Missing{}
		}
		if err := k.Saw(o, err); err != nil {
			wrong = append(wrong, err.Error())
		}
	}
	for name := range held {
		if !known[name] {
			wrong = append(wrong, fmt.Sprintf("key %q was never written", name))
		}
	}
	if len(wrong) > 0 {
		t.Fatalf("%s does not hold what was acknowledged, %d keys:\n%s", what, len(wrong), Abridged(wrong, 20))
	}
}

// Abridged joins the first n lines and counts the rest.
func Abridged(lines []string, n int) string {
	if len(lines) > n {
		lines = append(slices.Clone(lines[:n]), fmt.Sprintf("... and %d more", len(lines)-n))
	}
	return strings.Join(lines, "\n")
}

package backendtest

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/s3mirror/s3mirror/internal/backend"
)

var listed = []string{
	"list/+", "list/-/x", "list/0", "list/a", "list/b/1", "list/b/2", "list/b/c/3", "list/b0", "list/c d", "list/é/1",
	"list/\uffee", "list/\U0001F600",
}

func fill(t *testing.T, g Target) {
	t.Helper()
	for _, key := range listed {
		g.put(t, key, []byte(key), literal([]byte(key)))
	}
}

// model is what a page must be.
func model(r backend.ListRequest) (keys, prefixes []string) {
	for _, k := range listed { // sorted by bytes
		if !strings.HasPrefix(k, r.Prefix) {
			continue
		}
		if i := strings.Index(k[len(r.Prefix):], r.Delimiter); r.Delimiter != "" && i >= 0 {
			p := k[:len(r.Prefix)+i+len(r.Delimiter)]
			if p > r.After && !slices.Contains(prefixes, p) {
				prefixes = append(prefixes, p)
			}
		} else if k > r.After {
			keys = append(keys, k)
		}
	}
	return keys, prefixes
}

func keysOf(entries []backend.Entry) (keys []string) {
	for _, e := range entries {
		keys = append(keys, e.Key)
	}
	return keys
}

func testList(t *testing.T, g Target) {
	fill(t, g)
	for _, r := range requests() {
		page, err := g.Endpoint.List(t.Context(), g.Bucket, r)
		must(t, err)
		keys, prefixes := model(r)
		if got := keysOf(page.Entries); !slices.Equal(got, keys) || !slices.Equal(page.Prefixes, prefixes) || page.Next != "" {
			t.Errorf("%+v: %q %q next %q\nwant %q %q", r, got, page.Prefixes, page.Next, keys, prefixes)
		}
		for _, e := range page.Entries {
			if e.Size != int64(len(e.Key)) || e.ETag == "" || e.ModTime.IsZero() {
				t.Errorf("entry %+v", e)
			}
		}
	}
}

func requests() (all []backend.ListRequest) {
	for _, prefix := range []string{"list/", "list/b", "list/b/", "list/none"} {
		for _, delimiter := range []string{"", "/", "/c", "\U0001F600"} {
			for _, after := range []string{"", "list/a", "list/a0", "list/b/", "list/b/1", "list/zzz", "list/é/"} {
				all = append(all, backend.ListRequest{Prefix: prefix, Delimiter: delimiter, After: after})
			}
		}
	}
	return all
}

// testListPages expects that pages of any size put together are the whole.
func testListPages(t *testing.T, g Target) {
	fill(t, g)
	for _, max := range []int{1, 2, 3, 5} {
		for _, delimiter := range []string{"", "/"} {
			t.Run(fmt.Sprintf("%d by %q", max, delimiter), func(t *testing.T) {
				r := backend.ListRequest{Prefix: "list/", Delimiter: delimiter, Max: max}
				keys, prefixes := model(r)
				var gotKeys, gotPrefixes []string
				for pages := 0; ; pages++ {
					page, err := g.Endpoint.List(t.Context(), g.Bucket, r)
					must(t, err)
					if n := len(page.Entries) + len(page.Prefixes); n > max || pages > 2*len(listed) {
						t.Fatalf("page %d has %d entries", pages, n)
					}
					gotKeys = append(gotKeys, keysOf(page.Entries)...)
					gotPrefixes = append(gotPrefixes, page.Prefixes...)
					if r.After = page.Next; r.After == "" {
						break
					}
				}
				if !slices.Equal(gotKeys, keys) || !slices.Equal(gotPrefixes, prefixes) {
					t.Errorf("%q %q\nwant %q %q", gotKeys, gotPrefixes, keys, prefixes)
				}
			})
		}
	}
}

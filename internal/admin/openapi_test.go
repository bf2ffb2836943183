package admin_test

import (
	"bytes"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/s3mirror/s3mirror/internal/admin"
	"github.com/s3mirror/s3mirror/internal/admin/api"
)

// TestDescription: it is served as it is, every operation has a name of its own,
// and nothing that is described is missing.
func TestDescription(t *testing.T) {
	if !bytes.HasPrefix(api.Description, []byte("openapi: 3.1.")) {
		t.Errorf("begins %.20q", api.Description)
	}
	f := newFixture(t)
	if _, body := f.do(t, "GET", "/api/v1/openapi.yaml", "root"); body != string(api.Description) {
		t.Error("another one is served")
	}
	var ids []string
	for _, op := range admin.Operations() {
		ids = append(ids, op.ID)
	}
	slices.Sort(ids)
	if n := len(slices.Compact(slices.Clone(ids))); n != len(ids) || n < 20 || ids[0] == "" {
		t.Errorf("operations %q", ids)
	}
}

func FuzzCursor(f *testing.F) {
	for _, s := range []string{"", "MS4y", "MTc2NzIyNTYwMDAwMDAwMDAwMC43", "LTEuMA", "!", "MS4yLjM"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		text, err := admin.ParseCursor(s)
		if err != nil {
			return
		}
		if again, err := admin.ParseCursor(text); err != nil || again != text {
			t.Errorf("%q -> %q -> %q %v", s, text, again, err)
		}
	})
}

// FuzzObjectPath: whatever is behind objects/ is the key, as a client that decodes
// the path once takes it, and the mux takes it for nothing else.
func FuzzObjectPath(f *testing.F) {
	for _, rest := range []string{"a", "a/b", "a%2Fb", "a//b", "..", "a/../b", "%2e%2e/x", "a/", "%25", "a%3Fb", ";x", "%C3%BC"} {
		f.Add(rest)
	}
	f.Fuzz(func(t *testing.T, rest string) {
		target := "/api/v1/buckets/photos/objects/" + rest
		u, err := url.ParseRequestURI(target)
		if err != nil || u.RawQuery != "" || u.ForceQuery || rest == "" {
			return
		}
		key := strings.TrimPrefix(u.Path, "/api/v1/buckets/photos/objects/")
		if key == "/" { // which ServeMux takes for the end of a path: the S3 port has it
			return
		}
		got := ""
		mux := http.NewServeMux()
		mux.HandleFunc("GET /api/v1/buckets/{bucket}/objects/{key}", func(_ http.ResponseWriter, r *http.Request) { got = r.PathValue("key") })
		w := httptest.NewRecorder()
		mux.ServeHTTP(w, admin.WithKeyInOneSegment(&http.Request{Method: "GET", URL: u, Host: "x", RequestURI: target, Header: http.Header{}}))
		if w.Code != 200 || got != key {
			t.Errorf("%q: %d, key %q, want %q", rest, w.Code, got, key)
		}
	})
}

//go:build e2e

package e2e

import (
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/s3mirror/s3mirror/test/e2e/harness"
	"github.com/s3mirror/s3mirror/test/e2e/wire"
)

// TestKeysOfFileSystems: over servers that keep objects as files, a key that they would
// take for another one is refused, and none of its verbs touches that other one. What such
// a server does by itself with a file beside a folder its clients are told.
func TestKeysOfFileSystems(t *testing.T) {
	t.Parallel()
	backends := harness.StartBackends(t, 2)
	c := harness.StartGateway(t, backends, harness.Options{}).Client
	createBucket(t, c, "keys")
	do := func(method, key string, body []byte) wire.Answer {
		t.Helper()
		a, err := c.Do(t.Context(), method, "keys", key, "", body)
		if err != nil {
			t.Fatalf("%s %q: %v", method, key, err)
		}
		return a
	}
	want := func(a wire.Answer, status int, code string) {
		t.Helper()
		if a.Status != status || code != "" && !strings.Contains(string(a.Body), "<Code>"+code+"</Code>") {
			t.Errorf("%d %s, want %d %s", a.Status, a.Body, status, code)
		}
	}
	stands := []byte("stands")
	want(do(http.MethodPut, "o/x", stands), 200, "")
	for _, key := range []string{"o//x", "/o/x", "o/./x", "o/x/.", "o/y/../x", "o/x/y/..", "l/" + strings.Repeat("s", 300), "f/", "c\x01c"} {
		t.Logf("%q", key)
		want(do(http.MethodPut, key, []byte("another")), 400, "InvalidArgument")
		want(do(http.MethodGet, key, nil), 404, "NoSuchKey")
		want(do(http.MethodHead, key, nil), 404, "")
		want(do(http.MethodDelete, key, nil), 204, "")
	}
	want(do(http.MethodPut, "f/", nil), 200, "") // an empty folder
	want(do(http.MethodPut, "f/x", stands), 200, "")
	want(do(http.MethodPut, "o/x/below", stands), 409, "ObjectParentIsFile")
	want(do(http.MethodPut, "o", stands), 409, "ExistingObjectIsDirectory")
	want(do(http.MethodPut, "tab\tand\nline", stands), 200, "")
	for _, b := range append([]*harness.Client{c}, backends[0].Client, backends[1].Client) {
		a, err := b.Get(t.Context(), "keys", "o/x")
		if err != nil || string(a.Body) != string(stands) {
			t.Errorf("%v, %d %s", err, a.Status, a.Body)
		}
	}
	keys, err := c.List(t.Context(), "keys", "", 2)
	if err != nil || !slices.Equal(keys, []string{"f/", "f/x", "o/x", "tab\tand\nline"}) {
		t.Errorf("listed: %q, %v", keys, err)
	}
}

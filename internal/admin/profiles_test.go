package admin_test

import (
	"net/http"
	"strings"
	"testing"
)

// Profiles are for admins, by GET.
func TestProfiles(t *testing.T) {
	f := newFixture(t)
	f.user(t, "carol")
	for _, c := range []struct {
		method, path, login string
		status              int
		has                 string
	}{
		{"GET", "/debug/pprof/", "", http.StatusUnauthorized, "Login needed"},
		{"GET", "/debug/pprof/heap", "carol", http.StatusForbidden, "role admin"},
		{"POST", "/debug/pprof/heap", "root", http.StatusMethodNotAllowed, "it takes GET"},
		{"GET", "/debug/pprof/", "root", http.StatusOK, "goroutine"},
		{"GET", "/debug/pprof/goroutine?debug=1", "root", http.StatusOK, "goroutine profile"},
		{"GET", "/debug/pprof/heap", "root", http.StatusOK, "\x1f\x8b"},
		{"GET", "/debug/pprof/cmdline", "root", http.StatusOK, "test"},
		{"GET", "/debug/pprof/symbol", "root", http.StatusOK, "num_symbols"},
		{"GET", "/debug/pprof/profile?seconds=1", "root", http.StatusOK, "\x1f\x8b"},
		{"GET", "/debug/pprof/trace?seconds=0.1", "root", http.StatusOK, "go 1."},
		{"GET", "/debug/pprof/nonsense", "root", http.StatusNotFound, "Unknown profile"},
		{"GET", "/debug/pprofs", "root", http.StatusNotFound, "not-found"},
	} {
		resp, body := f.do(t, c.method, c.path, c.login)
		if resp.StatusCode != c.status || !strings.Contains(body, c.has) {
			t.Errorf("%s %s as %q: %d %.80q", c.method, c.path, c.login, resp.StatusCode, body)
		}
	}
}

//go:build e2e

package e2e

import (
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"strings"
	"sync"
	"testing"

	"github.com/s3mirror/s3mirror/test/e2e/harness"
)

// counting stands before a backend and counts what reaches it. It passes on
// every request as it is, so that its signature holds.
type counting struct {
	*harness.Backend // as the gateway sees it: at the proxy's address

	mu   sync.Mutex // guards seen
	seen map[string]int
}

func count(t *testing.T, b *harness.Backend) *counting {
	t.Helper()
	seen := *b
	c := &counting{Backend: &seen, seen: map[string]int{}}
	pass := &httputil.ReverseProxy{
		Rewrite: func(r *httputil.ProxyRequest) {
			r.SetURL(&url.URL{Scheme: "http", Host: b.Addr})
			r.Out.Host = r.In.Host // which is signed
		},
		ErrorHandler: func(http.ResponseWriter, *http.Request, error) { panic(http.ErrAbortHandler) },
		ErrorLog:     log.New(io.Discard, "", 0),
	}
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		c.mu.Lock()
		c.seen[r.Method+" "+r.URL.Path]++
		c.mu.Unlock()
		pass.ServeHTTP(w, r)
	}))
	server.Config.ErrorLog = log.New(io.Discard, "", 0)
	server.Start()
	t.Cleanup(server.Close)
	seen.Addr = strings.TrimPrefix(server.URL, "http://")
	return c
}

// countAll puts a counting proxy before each backend.
func countAll(t *testing.T, backends []*harness.Backend) (counts []*counting, seen []*harness.Backend) {
	t.Helper()
	for _, b := range backends {
		c := count(t, b)
		counts, seen = append(counts, c), append(seen, c.Backend)
	}
	return counts, seen
}

// reset begins to count anew.
func (c *counting) reset() {
	c.mu.Lock()
	defer c.mu.Unlock()
	clear(c.seen)
}

// of is how many requests of a method there were below a path.
func (c *counting) of(method, path string) (n int64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for what, times := range c.seen {
		if strings.HasPrefix(what, method+" "+path) {
			n += int64(times)
		}
	}
	return n
}

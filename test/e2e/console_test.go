//go:build e2e

package e2e

import (
	"crypto/sha256"
	"flag"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/s3mirror/s3mirror/test/e2e/harness"
	"github.com/s3mirror/s3mirror/test/e2e/wire"
)

var (
	consoleUpdate  = flag.Bool("console.update", false, "write the pictures of the console into docs/console")
	consoleObjects = flag.Int("console.objects", 20_000, "objects of the bucket that the console scrolls through; 1000000 by night")
)

// TestConsole runs web/e2e/console.ts: the console in a real browser, against the
// built binary over three real backends, one of which is killed while one looks.
func TestConsole(t *testing.T) {
	t.Parallel()
	chromium := harness.Tool(t, "chromium", "Debian: apt-get install chromium")
	node := filepath.Join(harness.Root(), "web/node_modules/.bin/node")
	if _, err := os.Stat(node); err != nil {
		harness.Lacking(t, "web/node_modules", "npm, and scripts/web.sh install")
	}
	backends := harness.StartBackends(t, 3)
	g := harness.StartGateway(t, backends, harness.Options{})
	spare := harness.StartBackend(t, "b-4", true) // to be added in the console
	demo := harness.StartDemo(t)
	control := httptest.NewServer(consoleControl(t, g, backends))
	t.Cleanup(control.Close)
	shots := t.TempDir()
	if *consoleUpdate {
		shots = filepath.Join(harness.Root(), "docs/console")
	}

	cmd := exec.CommandContext(t.Context(), node, "--disable-warning=ExperimentalWarning", "e2e/console.ts")
	cmd.Dir = filepath.Join(harness.Root(), "web")
	cmd.Env = append(harness.CleanEnv(t),
		"CONSOLE_URL=http://"+g.AdminAddr+"/", "CONSOLE_PROXIED_URL="+proxyBelow(t, "/tools/s3mirror", g.AdminAddr)+"/",
		"CONSOLE_CONTROL="+control.URL, "CONSOLE_PASSWORD="+g.Password, "CONSOLE_SHOTS="+shots, "CONSOLE_CHROMIUM="+chromium,
		"CONSOLE_DEMO_URL=http://"+demo.AdminAddr+"/", "CONSOLE_DEMO_PASSWORD="+demo.Said["password"],
		fmt.Sprintf(`CONSOLE_SPARE={"name":%q,"addr":%q,"access":%q,"secret":%q}`, spare.Name, spare.Addr, spare.Keys.Access, spare.Keys.Secret),
		"CONSOLE_OBJECTS="+strconv.Itoa(*consoleObjects))
	out, err := cmd.CombinedOutput()
	t.Logf("%s", out)
	if err != nil {
		t.Fatal(err)
	}
	floor(t, "steps", int64(strings.Count(string(out), "\nok ")+1), 40)
	pictures, err := filepath.Glob(filepath.Join(shots, "*.png"))
	if err != nil {
		t.Fatal(err)
	}
	floor(t, "pictures", int64(len(pictures)), 25)
}

// consoleControl lets the browser's script do what happens outside of a browser.
func consoleControl(t *testing.T, g *harness.Gateway, backends []*harness.Backend) http.Handler {
	backend := func(r *http.Request) *harness.Backend {
		for _, b := range backends {
			if b.Name == r.FormValue("backend") {
				return b
			}
		}
		t.Errorf("no backend %q", r.FormValue("backend"))
		return backends[0]
	}
	client := func(r *http.Request) *harness.Client {
		if id := r.FormValue("id"); id != "" {
			return harness.NewClient(g.S3Addr, wire.Keys{Access: id, Secret: r.FormValue("secret"), Region: "us-east-1"})
		}
		return g.Client
	}
	answer := func(w http.ResponseWriter, a wire.Answer, err error) {
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadGateway)
			return
		}
		fmt.Fprint(w, a.Status)
	}
	mux := http.NewServeMux()
	mux.HandleFunc("POST /sum", func(w http.ResponseWriter, r *http.Request) {
		a, err := client(r).Get(r.Context(), r.FormValue("bucket"), r.FormValue("key"))
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadGateway)
			return
		}
		fmt.Fprintf(w, "%x", sha256.Sum256(a.Body))
	})
	mux.HandleFunc("POST /kill", func(_ http.ResponseWriter, r *http.Request) { backend(r).Kill() })
	mux.HandleFunc("POST /start", func(_ http.ResponseWriter, r *http.Request) { backend(r).Start(t) })
	mux.HandleFunc("POST /lose", func(w http.ResponseWriter, r *http.Request) {
		a, err := backend(r).Client.Delete(r.Context(), r.FormValue("bucket"), r.FormValue("key"))
		answer(w, a, err)
	})
	mux.HandleFunc("POST /put", func(w http.ResponseWriter, r *http.Request) {
		a, err := client(r).Do(r.Context(), "PUT", r.FormValue("bucket"), r.FormValue("key"), "", []byte("written outside of the console"))
		answer(w, a, err)
	})
	mux.HandleFunc("POST /delete", func(w http.ResponseWriter, r *http.Request) {
		a, err := client(r).Delete(r.Context(), r.FormValue("bucket"), r.FormValue("key"))
		answer(w, a, err)
	})
	mux.HandleFunc("POST /get", func(w http.ResponseWriter, r *http.Request) {
		a, err := client(r).Get(r.Context(), r.FormValue("bucket"), r.FormValue("key"))
		answer(w, a, err)
	})
	return mux
}

// proxyBelow is a proxy that shows a server below a path, which it takes away.
func proxyBelow(t *testing.T, path, addr string) string {
	t.Helper()
	behind := httputil.NewSingleHostReverseProxy(&url.URL{Scheme: "http", Host: addr})
	p := httptest.NewServer(http.StripPrefix(path, behind))
	t.Cleanup(p.Close)
	return p.URL + path
}

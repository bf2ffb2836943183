//go:build e2e

package e2e

import (
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/s3mirror/s3mirror/test/e2e/harness"
)

const wantsPrometheus = "Prometheus with its promtool (Debian: apt-get install prometheus)"

// TestAlerts: each alert fires on series that call for it and on no other.
func TestAlerts(t *testing.T) {
	t.Parallel()
	promtool := harness.Tool(t, "promtool", wantsPrometheus)
	out, err := exec.Command(promtool, "test", "rules", filepath.Join(harness.Root(), "deploy/prometheus/alerts_test.yaml")).CombinedOutput()
	if err != nil {
		t.Errorf("%v\n%s", err, out)
	}
}

// TestDashboard: each query of the dashboard has an answer in a Prometheus that
// watches a gateway at work.
func TestDashboard(t *testing.T) {
	t.Parallel()
	program := harness.Tool(t, "prometheus", wantsPrometheus)
	text, err := os.ReadFile(filepath.Join(harness.Root(), "deploy/grafana/s3mirror.json"))
	if err != nil {
		t.Fatal(err)
	}
	var dashboard struct {
		Panels []struct {
			Title   string
			Targets []struct{ Expr string }
		}
	}
	if err := json.Unmarshal(text, &dashboard); err != nil {
		t.Fatal(err)
	}
	g := harness.StartGateway(t, harness.StartBackends(t, 2), harness.Options{})
	createBucket(t, g.Client, "watched")
	p := startPrometheus(t, program, g)
	l := newLoad(g.Client, "watched", 40, 3)
	ended := make(chan struct{})
	wait := l.run(2, func(w *worker) {
		for {
			select {
			case <-ended:
				return
			default:
				w.step(t)
			}
		}
	})
	n := 0
	for _, panel := range dashboard.Panels {
		for _, target := range panel.Targets {
			n++
			query := strings.NewReplacer("$instance", ".*", "$__rate_interval", "1m").Replace(target.Expr)
			harness.Eventually(t, panel.Title+" shows something", func() error { return p.answers(query) })
		}
	}
	close(ended)
	wait()
	l.verdict(t)
	floor(t, "queries", int64(n), 50)
}

// watch is a Prometheus.
type watch struct{ addr string }

func startPrometheus(t *testing.T, program string, g *harness.Gateway) watch {
	t.Helper()
	dir := t.TempDir()
	w := watch{addr: harness.Addr(t)}
	config := fmt.Sprintf("global: {scrape_interval: 1s}\nscrape_configs:\n  - {job_name: s3mirror, static_configs: [{targets: ['%s']}]}\n", g.AdminAddr)
	if err := os.WriteFile(filepath.Join(dir, "prometheus.yml"), []byte(config), 0o600); err != nil {
		t.Fatal(err)
	}
	harness.Start(t, "prometheus", exec.Command(program, "--config.file="+filepath.Join(dir, "prometheus.yml"),
		"--storage.tsdb.path="+filepath.Join(dir, "data"), "--web.listen-address="+w.addr))
	return w
}

// answers is an error unless the query has a value that is a number.
func (w watch) answers(query string) error {
	resp, err := http.Get("http://" + w.addr + "/api/v1/query?query=" + url.QueryEscape(query))
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	var doc struct {
		Status, Error string
		Data          struct {
			Result []struct{ Value [2]any }
		}
	}
	if err := json.NewDecoder(resp.Body).Decode(&doc); err != nil {
		return err
	}
	if doc.Status != "success" {
		return fmt.Errorf("%s: %s", query, doc.Error)
	}
	for _, r := range doc.Data.Result {
		if s, ok := r.Value[1].(string); ok {
			if v, err := strconv.ParseFloat(s, 64); err == nil && !math.IsNaN(v) {
				return nil
			}
		}
	}
	return errors.New(query + " has no value")
}

package main

import (
	"context"
	"fmt"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil/promlint"
)

const metricsFile = "../../docs/metrics.md"

const metricsHead = `# Metrics

What ` + "`/metrics`" + ` on the admin listener answers, in Prometheus' format. Names and labels are stable; labels
come from closed sets, so that no client can make series. A histogram has its ` + "`_bucket`, `_sum` and `_count`" + `.

Here are those of the embedded log. With engine cassandra there is, of ` + "`s3mirror_log_*`, `s3mirror_log_swaps_total`" + ` and
` + "`s3mirror_log_paxos_rounds_total`" + ` (counter, label kind): statements that Cassandra answers by a round of Paxos, reads
of rows and documents, and compare-and-sets. There are also ` + "`s3mirror_nodes`" + `, the nodes that share the log and live,
` + "`s3mirror_node_lease_seconds`" + `, what is left of this node's lease (0: it changes nothing), and
` + "`s3mirror_node_clock_apart_seconds`" + `, by how much another node's clock and this one's differ at least (above 1 neither serves).

<!-- Made from the program: go test ./cmd/s3mirror -run MetricsManual -update -->
| metric | type | labels | meaning |
|---|---|---|---|
`

// described is what a Desc prints: its fields have no other way out.
var described = regexp.MustCompile(`^Desc\{fqName: "([^"]+)", help: "(.*)", unit: "[^"]*", constLabels: \{[^}]*\}, variableLabels: \{(.*)\}\}$`)

// The page of the metrics is what a server registers.
func TestMetricsManual(t *testing.T) {
	cfg := testConfig(t, endpoint(t))
	dir := t.TempDir()
	files := TLSConfig{Cert: filepath.Join(dir, "tls.crt"), Key: filepath.Join(dir, "tls.key")}
	keyPair(t, files, "any")
	cfg.S3.TLS = &files
	var reg *prometheus.Registry
	r := start(t, cfg, newFakeEngine(), func(o *serveOptions) {
		o.build = func(ctx context.Context, p parts) (*engine, error) {
			reg = p.metrics
			return openEngine(ctx, p)
		}
	})
	families, err := reg.Gather()
	if err != nil {
		t.Fatal(err)
	}
	problems, err := promlint.NewWithMetricFamilies(families).Lint()
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range problems {
		if !strings.HasPrefix(p.Metric, "s3mirror_go_") && !strings.HasPrefix(p.Metric, "s3mirror_process_") { // not ours
			t.Errorf("lint: %s: %s", p.Metric, p.Text)
		}
	}
	types := map[string]string{}
	for _, f := range families {
		types[f.GetName()] = strings.ToLower(f.GetType().String())
	}
	golden(t, metricsFile, metricsHead+strings.Join(metricLines(t, reg, types), ""))
	r.stop()
	if err := r.wait(t); err != nil {
		t.Error(err)
	}
}

// metricLines is a row of the table for every metric of ours, sorted.
func metricLines(t *testing.T, reg *prometheus.Registry, types map[string]string) []string {
	t.Helper()
	descs := make(chan *prometheus.Desc)
	go func() {
		defer close(descs)
		reg.Describe(descs)
	}()
	var lines []string
	for d := range descs {
		m := described.FindStringSubmatch(d.String())
		if m == nil {
			t.Errorf("%s: not understood", d)
			continue
		}
		name, help, labels := m[1], m[2], m[3]
		if strings.HasPrefix(name, "s3mirror_go_") || strings.HasPrefix(name, "s3mirror_process_") {
			continue
		}
		kind := types[name]
		if kind == "" {
			t.Errorf("%s has no series after the start: a rate over it begins with a gap", name)
		}
		lines = append(lines, fmt.Sprintf("| `%s` | %s | %s | %s |\n", name, kind, strings.ReplaceAll(labels, ",", ", "), help))
	}
	slices.Sort(lines)
	lines = slices.Compact(lines) // a Desc comes once a series where the collector has no fixed list
	return append(lines,
		"| `s3mirror_go_*`, `s3mirror_process_*` | | | Of the Go runtime and the process, as every Go program has them. |\n")
}

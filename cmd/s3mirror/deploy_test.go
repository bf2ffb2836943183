package main

import (
	"os"
	"regexp"
	"strings"
	"testing"
)

// The alerts and the dashboard speak of metrics that there are.
func TestDeployNamesMetrics(t *testing.T) {
	manual, err := os.ReadFile(metricsFile)
	if err != nil {
		t.Fatal(err)
	}
	name := regexp.MustCompile(`s3mirror_[a-z0-9_]+`)
	known := map[string]bool{}
	// What there is with a cluster alone stands in the text above the table.
	for _, m := range regexp.MustCompile("`(s3mirror_[a-z0-9_]+)`").FindAllStringSubmatch(string(manual), -1) {
		known[m[1]] = true
	}
	for line := range strings.Lines(string(manual)) {
		cells := strings.Split(line, "|")
		if len(cells) < 3 || strings.TrimSpace(cells[2]) != "histogram" {
			continue
		}
		for _, end := range []string{"_bucket", "_sum", "_count"} {
			known[strings.Trim(cells[1], " `")+end] = true
		}
	}
	for _, file := range []string{"../../deploy/prometheus/alerts.yaml", "../../deploy/prometheus/alerts_test.yaml", "../../deploy/grafana/s3mirror.json"} {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		used := map[string]bool{}
		for _, m := range name.FindAllString(string(text), -1) {
			used[m] = true
			if !known[m] && !strings.HasPrefix(m, "s3mirror_go_") && !strings.HasPrefix(m, "s3mirror_process_") {
				t.Errorf("%s: there is no %s", file, m)
			}
		}
		if len(used) < 10 {
			t.Errorf("%s names %d metrics: the test looks at nothing", file, len(used))
		}
	}
}

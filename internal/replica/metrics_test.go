package replica_test

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil/promlint"

	"github.com/s3mirror/s3mirror/internal/memory"
	"github.com/s3mirror/s3mirror/internal/replica"
)

// counted is the number of observations of a histogram, by the value of its
// label, and their sum in seconds.
func counted(t *testing.T, reg *prometheus.Registry, name string) (map[string]uint64, map[string]float64) {
	t.Helper()
	families, err := reg.Gather()
	if err != nil {
		t.Fatal(err)
	}
	n, sum := map[string]uint64{}, map[string]float64{}
	for _, f := range families {
		if f.GetName() != name {
			continue
		}
		for _, m := range f.GetMetric() {
			label := m.GetLabel()[0].GetValue()
			n[label], sum[label] = m.GetHistogram().GetSampleCount(), m.GetHistogram().GetSampleSum()
		}
	}
	return n, sum
}

func TestPhasesOfAWriteAreTimed(t *testing.T) {
	inBubble(t, func(t *testing.T, r *rig) {
		r.close()
		reg := prometheus.NewRegistry()
		r.open(func(o *replica.Options) { o.Registerer = reg })
		for _, s := range r.servers {
			s.SetFaults(memory.Faults{Delay: 100 * time.Millisecond})
		}
		r.mustPut("k", content(1000, 1))
		r.mustDelete("k")
		synctest.Wait() // a write is recorded after it was answered
		n, sum := counted(t, reg, "s3mirror_write_phase_seconds")
		for _, phase := range []string{"body", "intent", "replica"} {
			if n[phase] != 2 {
				t.Errorf("phase %s was timed %d times", phase, n[phase])
			}
		}
		if sum["replica"] < 0.2 || sum["body"]+sum["intent"] > 0.05 {
			t.Errorf("seconds by phase: %v", sum)
		}
		if n, _ := counted(t, reg, "s3mirror_log_seconds"); n["read"] < 2 || n["swap"] < 4 {
			t.Errorf("calls of the log: %v", n)
		}
		families, err := reg.Gather()
		if err != nil {
			t.Fatal(err)
		}
		if problems, err := promlint.NewWithMetricFamilies(families).Lint(); err != nil || len(problems) > 0 {
			t.Errorf("lint: %v, %v", problems, err)
		}
	})
}

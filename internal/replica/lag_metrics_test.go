package replica_test

import (
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/s3mirror/s3mirror/internal/memory"
	"github.com/s3mirror/s3mirror/internal/replica"
)

// gauges are the values of all gauges, by name and the value of their label.
func gauges(t *testing.T, reg *prometheus.Registry) map[string]float64 {
	t.Helper()
	families, err := reg.Gather()
	if err != nil {
		t.Fatal(err)
	}
	out := map[string]float64{}
	for _, f := range families {
		for _, m := range f.GetMetric() {
			name := f.GetName()
			for _, l := range m.GetLabel() {
				name += " " + l.GetValue()
			}
			if m.GetGauge() != nil {
				out[name] = m.GetGauge().GetValue()
			}
		}
	}
	return out
}

func TestLagIsAMetric(t *testing.T) {
	inBubble(t, func(t *testing.T, r *rig) {
		r.close()
		reg := prometheus.NewRegistry()
		r.open(func(o *replica.Options) { o.Registerer = reg })
		r.mustPut("before", content(10, 1)) // every backend is in use
		synctest.Wait()                     // and has answered, which the write need not wait for
		r.wires["b"].plug(true)
		r.mustPut("k", content(1000, 1))
		r.mustPut("l", content(500, 2))
		time.Sleep(time.Minute)
		got := gauges(t, reg)
		for name, want := range map[string]float64{
			"s3mirror_converged": 0, "s3mirror_lagging_keys": 2, "s3mirror_refused_keys": 0,
			"s3mirror_backend_lagging_keys b": 2, "s3mirror_backend_lagging_bytes b": 1500,
			"s3mirror_backend_lagging_keys a": 0, "s3mirror_backend_lag_oldest_seconds a": 0,
		} {
			if v, there := got[name]; !there || v != want {
				t.Errorf("%s is %v, want %v", name, v, want)
			}
		}
		if age := got["s3mirror_backend_lag_oldest_seconds b"]; age < 60 || age > 70 {
			t.Errorf("the oldest write that b misses is %v s old", age)
		}
		r.wires["b"].plug(false)
		r.converge()
		if got := gauges(t, reg); got["s3mirror_converged"] != 1 || got["s3mirror_backend_lagging_keys b"] != 0 {
			t.Errorf("after the heal: %v", got)
		}
	})
}

// A log that fails takes the figures away: an old figure would say that all is well.
func TestLagIsAbsentWhenTheLogFails(t *testing.T) {
	inBubble(t, func(t *testing.T, r *rig) {
		r.close()
		reg := prometheus.NewRegistry()
		var broken atomic.Bool
		r.open(func(o *replica.Options) {
			o.Registerer = reg
			o.Log = memory.NewFaultyLog(o.Log, func(uint64, bool) memory.LogFate {
				if broken.Load() {
					return memory.LogFail
				}
				return memory.LogPass
			})
		})
		if _, there := gauges(t, reg)["s3mirror_converged"]; !there {
			t.Error("absent on a sound log")
		}
		time.Sleep(time.Minute)
		broken.Store(true)
		got := gauges(t, reg)
		broken.Store(false)
		if _, there := got["s3mirror_converged"]; there {
			t.Error("the figures are still there")
		}
	})
}

package heal

import "github.com/prometheus/client_golang/prometheus"

type metrics struct{ visits prometheus.Counter }

func newMetrics(reg prometheus.Registerer, h *Healer) *metrics {
	m := &metrics{visits: prometheus.NewCounter(prometheus.CounterOpts{
		Namespace: "s3mirror", Name: "heal_visits_total", Help: "Visits of the healer to keys that need work.",
	})}
	gauge := func(name, help string, of func(Stats) int) prometheus.Collector {
		return prometheus.NewGaugeFunc(prometheus.GaugeOpts{Namespace: "s3mirror", Name: name, Help: help},
			func() float64 { return float64(of(h.Stats())) })
	}
	reg.MustRegister(m.visits,
		gauge("heal_queue_keys", "Keys that need work of the healer.", func(s Stats) int { return s.Queued }),
		gauge("heal_waiting_keys", "Keys that need work and wait for a backend to come back.", func(s Stats) int { return s.Waiting }),
		gauge("heal_running", "Visits of the healer under way.", func(s Stats) int { return s.Running }))
	return m
}

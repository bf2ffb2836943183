package heal

import "github.com/prometheus/client_golang/prometheus"

// jobMetrics count what jobs came to.
type jobMetrics struct{ ended, differences *prometheus.CounterVec }

func newJobMetrics(reg prometheus.Registerer) *jobMetrics {
	counter := func(name, help string, labels ...string) *prometheus.CounterVec {
		return prometheus.NewCounterVec(prometheus.CounterOpts{Namespace: "s3mirror", Name: name, Help: help}, labels)
	}
	m := &jobMetrics{
		ended:       counter("jobs_ended_total", "Long work that this node brought to an end, by how it ended.", "kind", "state"),
		differences: counter("job_differences_total", "Differences between replicas that scrubs, resyncs and adoptions found.", "kind"),
	}
	for _, k := range Kinds {
		for _, s := range []JobState{JobDone, JobFailed, JobCancelled} {
			m.ended.WithLabelValues(string(k), string(s))
		}
		m.differences.WithLabelValues(string(k))
	}
	reg.MustRegister(m.ended, m.differences)
	return m
}

func (m *jobMetrics) over(job *Job) {
	m.ended.WithLabelValues(string(job.Kind), string(job.State)).Inc()
	m.differences.WithLabelValues(string(job.Kind)).Add(float64(job.Differences))
}

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

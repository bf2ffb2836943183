package replica

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/s3mirror/s3mirror/internal/object"
)

// metrics are the Set's own; the backends count their requests themselves.
type metrics struct {
	writes         *prometheus.CounterVec
	writeSeconds   *prometheus.HistogramVec
	reads          *prometheus.CounterVec
	failovers      prometheus.Counter
	healed         prometheus.Counter
	healedBytes    prometheus.Counter
	alarms         prometheus.Counter
	logFailures    *prometheus.CounterVec
	historyDropped prometheus.Counter
}

func newMetrics(reg prometheus.Registerer, s *Set) *metrics {
	counter := func(name, help string) prometheus.Counter {
		c := prometheus.NewCounter(prometheus.CounterOpts{Namespace: "s3mirror", Name: name, Help: help})
		reg.MustRegister(c)
		return c
	}
	vector := func(name, help string, labels ...string) *prometheus.CounterVec {
		c := prometheus.NewCounterVec(prometheus.CounterOpts{Namespace: "s3mirror", Name: name, Help: help}, labels)
		reg.MustRegister(c)
		return c
	}
	m := &metrics{
		writes:         vector("writes_total", "Mutations by what their client was told.", "op", "result"),
		reads:          vector("reads_total", "Reads by what their client was told.", "op", "result"),
		failovers:      counter("read_failovers_total", "Bodies that went on with another replica."),
		healed:         counter("heals_total", "Copies that brought a replica up to date."),
		healedBytes:    counter("heal_bytes_total", "Bytes of those copies."),
		alarms:         counter("alarms_total", "Things that should not be: see the log."),
		logFailures:    vector("log_failures_total", "Calls of the operation log that failed.", "call"),
		historyDropped: counter("history_dropped_total", "Events of the history that were lost."),
	}
	m.writeSeconds = prometheus.NewHistogramVec(prometheus.HistogramOpts{
		Namespace: "s3mirror", Name: "write_seconds", Help: "Time from the beginning of a mutation to its answer.",
		Buckets: prometheus.ExponentialBuckets(0.001, 2.5, 12),
	}, []string{"op"})
	reg.MustRegister(m.writeSeconds, prometheus.NewGaugeFunc(prometheus.GaugeOpts{
		Namespace: "s3mirror", Name: "memory_bytes", Help: "Memory reserved for bodies in flight.",
	}, func() float64 { return float64(s.memory.used.Load() * slabSize) }))
	for _, op := range []string{"put", "delete", "heal"} {
		for _, result := range []string{"acked", "healed", "failed", "unknown"} {
			m.writes.WithLabelValues(op, result)
		}
	}
	for _, op := range []string{"get", "head", "list"} {
		m.reads.WithLabelValues(op, "ok")
		m.reads.WithLabelValues(op, "failed")
	}
	for _, call := range []string{"read", "swap"} {
		m.logFailures.WithLabelValues(call)
	}
	return m
}

func (m *metrics) write(op, result string, d time.Duration) {
	m.writes.WithLabelValues(op, result).Inc()
	m.writeSeconds.WithLabelValues(op).Observe(d.Seconds())
}

// read counts an answer: a refusal is one, too.
func (m *metrics) read(op string, err error) {
	result := "ok"
	if isUnavailable(err) {
		result = "failed"
	}
	m.reads.WithLabelValues(op, result).Inc()
}

func (m *metrics) heal(bytes int64, _ time.Duration) {
	m.healed.Inc()
	m.healedBytes.Add(float64(bytes))
}

// alarm tells the operator something that should not be.
func (s *Set) alarm(key object.Key, what string) {
	s.metrics.alarms.Inc()
	s.o.Logger.Error("alarm: "+what, "key", key)
}

// logFailed counts a call of the log that failed.
func (s *Set) logFailed(call string, err error) {
	s.metrics.logFailures.WithLabelValues(call).Inc()
	s.o.Logger.Warn("operation log failed", "call", call, "error", err)
}

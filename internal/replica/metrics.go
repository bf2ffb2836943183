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
	phaseSeconds   map[phase]prometheus.Observer
	logSeconds     map[string]prometheus.Observer
	reads          *prometheus.CounterVec
	failovers      prometheus.Counter
	spliced        prometheus.Counter
	hedges         *prometheus.CounterVec
	healed         prometheus.Counter
	healedBytes    prometheus.Counter
	alarms         prometheus.Counter
	uploadsRefused prometheus.Counter
	logFailures    *prometheus.CounterVec
	historyDropped prometheus.Counter
}

// phase is a part of the time that a client waits for its write.
type phase string

const (
	phaseBody    phase = "body"    // the body is received and verified, and the key's turn has come
	phaseIntent  phase = "intent"  // the intent is placed, other intents waited for
	phaseReplica phase = "replica" // the requests are released, answered and decided
)

// calls of the log that are counted and timed.
const (
	callRead = "read"
	callSwap = "swap"
	callWalk = "walk"
)

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
		spliced:        counter("read_spliced_bytes_total", "Bytes of bodies that the kernel moved from a backend's socket to the client's."),
		hedges:         vector("read_hedges_total", "Reads that asked a second replica, by whether it was the quicker one.", "result"),
		healed:         counter("heals_total", "Copies that brought a replica up to date."),
		healedBytes:    counter("heal_bytes_total", "Bytes copied to bring replicas up to date."),
		alarms:         counter("alarms_total", "Things that should not be: see the log."),
		uploadsRefused: counter("uploads_refused_total", "Multipart uploads that were not begun because their bucket has uploads.max_open of them."),
		logFailures:    vector("log_failures_total", "Calls of the operation log that failed.", "call"),
		historyDropped: counter("history_dropped_total", "Events of the history that were lost."),
	}
	m.writeSeconds = prometheus.NewHistogramVec(prometheus.HistogramOpts{
		Namespace: "s3mirror", Name: "write_seconds", Help: "Time from the beginning of a mutation to its answer.",
		Buckets: prometheus.ExponentialBuckets(0.001, 2.5, 12),
	}, []string{"op"})
	reg.MustRegister(&lagMetrics{set: s}, m.writeSeconds, prometheus.NewGaugeFunc(prometheus.GaugeOpts{
		Namespace: "s3mirror", Name: "memory_bytes", Help: "Memory reserved for bodies in flight.",
	}, func() float64 { return float64(s.memory.used.Load() * slabSize) }))
	phases := prometheus.NewHistogramVec(prometheus.HistogramOpts{
		Namespace: "s3mirror", Name: "write_phase_seconds",
		Help:    "Where the time of acknowledged client writes goes: body, intent, replica.",
		Buckets: prometheus.ExponentialBuckets(0.0001, 3, 13),
	}, []string{"phase"})
	logs := prometheus.NewHistogramVec(prometheus.HistogramOpts{
		Namespace: "s3mirror", Name: "log_seconds",
		Help:    "Time of a call of the operation log: read of a row, synced compare-and-set.",
		Buckets: prometheus.ExponentialBuckets(0.000005, 3, 14),
	}, []string{"call"})
	reg.MustRegister(phases, logs)
	m.phaseSeconds, m.logSeconds = map[phase]prometheus.Observer{}, map[string]prometheus.Observer{}
	for _, p := range []phase{phaseBody, phaseIntent, phaseReplica} {
		m.phaseSeconds[p] = phases.WithLabelValues(string(p))
	}
	for _, call := range []string{callRead, callSwap} {
		m.logSeconds[call] = logs.WithLabelValues(call)
	}
	for _, op := range []string{"put", "delete", "heal", "copy", opPart, "complete", "tag"} {
		m.writeSeconds.WithLabelValues(op)
		for _, result := range []string{"acked", "healed", "failed", "unknown"} {
			m.writes.WithLabelValues(op, result)
		}
	}
	for _, op := range []string{"get", "head", "list", "tags"} {
		m.reads.WithLabelValues(op, "ok")
		m.reads.WithLabelValues(op, "failed")
	}
	for _, result := range []string{"won", "lost"} {
		m.hedges.WithLabelValues(result)
	}
	for _, call := range []string{callRead, callSwap, callWalk} {
		m.logFailures.WithLabelValues(call)
	}
	return m
}

func (m *metrics) write(op, result string, d time.Duration) {
	m.writes.WithLabelValues(op, result).Inc()
	m.writeSeconds.WithLabelValues(op).Observe(d.Seconds())
}

// phases tells where the time of an acknowledged write went. A moment that is
// zero was not passed: a reader may have been faster.
func (m *metrics) phases(begun, verified, released, done time.Time) {
	if verified.IsZero() || released.IsZero() {
		return
	}
	m.phaseSeconds[phaseBody].Observe(verified.Sub(begun).Seconds())
	m.phaseSeconds[phaseIntent].Observe(released.Sub(verified).Seconds())
	m.phaseSeconds[phaseReplica].Observe(done.Sub(released).Seconds())
}

// read counts an answer: a refusal is one, too.
func (m *metrics) read(op string, err error) {
	result := "ok"
	if isUnavailable(err) {
		result = "failed"
	}
	m.reads.WithLabelValues(op, result).Inc()
}

// hedge counts a second request of a read.
func (m *metrics) hedge(won bool) {
	result := "lost"
	if won {
		result = "won"
	}
	m.hedges.WithLabelValues(result).Inc()
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

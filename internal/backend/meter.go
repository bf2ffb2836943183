package backend

import (
	"context"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// Metrics of all endpoints of a process. Labels come from closed sets; every
// series of an endpoint starts at zero when it is wrapped.
type Metrics struct {
	ended   *prometheus.CounterVec
	seconds *prometheus.HistogramVec
	state   *prometheus.GaugeVec
	waited  *prometheus.CounterVec
}

// NewMetrics registers the metrics. It panics when called twice for one
// registry, as a program wired wrongly should.
func NewMetrics(reg prometheus.Registerer) *Metrics {
	m := &Metrics{
		ended: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "s3mirror_backend_operations_total",
			Help: "Operations on backends that ended, by outcome. An open body does not count as going on.",
		}, []string{"backend", "operation", "outcome"}),
		seconds: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name:                            "s3mirror_backend_operation_seconds",
			Help:                            "Time from the start of an operation on a backend to its answer, uploads with their body.",
			Buckets:                         []float64{.001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 30, 60},
			NativeHistogramBucketFactor:     1.1,
			NativeHistogramMaxBucketNumber:  100,
			NativeHistogramMinResetDuration: time.Hour,
		}, []string{"backend", "operation"}),
		state: prometheus.NewGaugeVec(prometheus.GaugeOpts{
			Name: "s3mirror_backend_up",
			Help: "1 when the backend's breaker is closed, 0 when it is open.",
		}, []string{"backend"}),
	}
	m.waited = prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "s3mirror_heal_wait_seconds_total",
		Help: "Time that heals waited before they asked a backend, by what for: the limits (limit), or clients, who come first (clients).",
	}, []string{"backend", "for"})
	reg.MustRegister(m.ended, m.seconds, m.state, m.waited)
	return m
}

// Forget drops the series of an endpoint that is no more.
func (m *Metrics) Forget(name string) {
	of := prometheus.Labels{"backend": name}
	m.ended.DeletePartialMatch(of)
	m.seconds.DeletePartialMatch(of)
	m.state.DeletePartialMatch(of)
	m.waited.DeletePartialMatch(of)
}

// Meter returns e with every attempt counted and timed.
func Meter(e Endpoint, m *Metrics) Endpoint {
	w := meter{}
	for _, op := range Ops {
		of := &series{seconds: m.seconds.WithLabelValues(e.Name(), string(op)), ended: map[Outcome]prometheus.Counter{}}
		for _, o := range Outcomes {
			of.ended[o] = m.ended.WithLabelValues(e.Name(), string(op), o.String())
		}
		w[op] = of
	}
	return layer{next: e, watch: w}
}

// meter has the series of one endpoint, so that none is looked up by its labels.
type meter map[Op]*series

type series struct {
	seconds prometheus.Observer
	ended   map[Outcome]prometheus.Counter
}

func (meter) before(context.Context, Op) (time.Time, error) { return time.Now(), nil }

func (m meter) after(_ context.Context, op Op, began time.Time, _ int, err error) bool {
	of := m[op]
	of.seconds.Observe(time.Since(began).Seconds())
	of.ended[OutcomeOf(err)].Inc()
	return false
}

// setWaited counts what holds heals back.
func (m *Metrics) setWaited(name string) func(waitedFor, time.Duration) {
	of := map[waitedFor]prometheus.Counter{}
	for _, why := range []waitedFor{waitedForTokens, waitedForClients} {
		of[why] = m.waited.WithLabelValues(name, string(why))
	}
	return func(why waitedFor, d time.Duration) { of[why].Add(d.Seconds()) }
}

// setState shows the breaker's state.
func (m *Metrics) setState(name string) func(State) {
	g := m.state.WithLabelValues(name)
	g.Set(1)
	return func(s State) {
		if s == Down {
			g.Set(0)
		} else {
			g.Set(1)
		}
	}
}

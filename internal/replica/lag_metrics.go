package replica

import (
	"context"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// What a scrape may cost: a walk over the rows is not repeated within lagFresh,
// and a log that does not answer within lagPatience leaves the metrics out,
// which an alert rule sees as their absence.
const (
	lagFresh    = 5 * time.Second
	lagPatience = 5 * time.Second
)

// lagMetrics tells Prometheus what Status tells the admin API. They are taken
// when they are scraped.
type lagMetrics struct {
	set *Set

	mu   sync.Mutex // guards what follows, and is held while rows are counted
	last Status
	at   time.Time // of last; zero: never
}

var (
	descConverged = lagDesc("converged", "1 when nothing is lagging or unsettled and no intent is older than a lease.")
	descLagging   = lagDesc("lagging_keys", "Keys that some backend misses.")
	descUnsettled = lagDesc("unsettled_keys", "Keys with a request to a backend whose outcome is not known.")
	descRefused   = lagDesc("refused_keys", "Keys that some backend refuses to hold.")
	descInFlight  = lagDesc("in_flight_keys", "Keys with a write under way.")

	descBackendKeys    = lagDesc("backend_lagging_keys", "Keys that this backend misses.", "backend")
	descBackendBytes   = lagDesc("backend_lagging_bytes", "Bytes of the objects that this backend misses.", "backend")
	descBackendBuckets = lagDesc("backend_buckets", "Buckets that this backend should have, by how they stand there: present, pending (not made yet), filling (lost, and given back what it held), behind (missed too much to be healed key by key; filled when the backend is back), unusable (an operator has to put it right).", "backend", "state")

	descBackendOldest = lagDesc("backend_lag_oldest_seconds", "Age of the oldest write that this backend misses; 0 when it misses none.", "backend")
)

func lagDesc(name, help string, labels ...string) *prometheus.Desc {
	return prometheus.NewDesc("s3mirror_"+name, help, labels, nil)
}

// Describe implements prometheus.Collector.
func (m *lagMetrics) Describe(ch chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{
		descConverged, descLagging, descUnsettled, descRefused, descInFlight,
		descBackendKeys, descBackendBytes, descBackendOldest, descBackendBuckets,
	} {
		ch <- d
	}
}

// Collect implements prometheus.Collector.
func (m *lagMetrics) Collect(ch chan<- prometheus.Metric) {
	status, err := m.status()
	if err != nil {
		m.set.logFailed(callWalk, err)
		return
	}
	gauge := func(d *prometheus.Desc, v float64, labels ...string) {
		ch <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, v, labels...)
	}
	converged := 0.0
	if status.Converged {
		converged = 1
	}
	gauge(descConverged, converged)
	gauge(descLagging, float64(status.Lagging.Keys))
	gauge(descUnsettled, float64(status.Unsettled))
	gauge(descRefused, float64(status.Refused))
	gauge(descInFlight, float64(status.InFlight))
	for _, b := range status.Backends {
		gauge(descBackendKeys, float64(b.Lagging.Keys), b.Name)
		gauge(descBackendBytes, float64(b.Lagging.Bytes), b.Name)
		gauge(descBackendOldest, b.Lagging.Oldest.Seconds(), b.Name)
	}
	for backend, counts := range m.set.buckets.presences() {
		for _, p := range Presences {
			gauge(descBackendBuckets, float64(counts[p]), backend, string(p))
		}
	}
}

func (m *lagMetrics) status() (Status, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	now := m.set.o.Wall()
	if age := now.Sub(m.at); !m.at.IsZero() && age >= 0 && age < lagFresh {
		return m.last, nil
	}
	ctx, cancel := context.WithTimeout(context.Background(), lagPatience)
	defer cancel()
	status, err := m.set.Status(ctx)
	if err == nil {
		m.last, m.at = status, now
	}
	return status, err
}

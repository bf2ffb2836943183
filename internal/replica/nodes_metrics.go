package replica

import "github.com/prometheus/client_golang/prometheus"

// nodeMetrics tells of the nodes that share the log. They are taken when they are
// scraped.
type nodeMetrics struct{ set *Set }

var (
	descNodes = lagDesc("nodes", "Nodes that share the log and live, this one included.")
	descLease = lagDesc("node_lease_seconds", "What is left of this node's lease; 0: it has none, and changes nothing.")
	descApart = lagDesc("node_clock_apart_seconds", "The most by which another node's clock and this one's differ, at least; above 1 neither serves.")
)

// Describe implements prometheus.Collector.
func (m *nodeMetrics) Describe(ch chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{descNodes, descLease, descApart} {
		ch <- d
	}
}

// Collect implements prometheus.Collector.
func (m *nodeMetrics) Collect(ch chan<- prometheus.Metric) {
	self, _ := m.set.Self()
	gauge := func(d *prometheus.Desc, v float64) { ch <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, v) }
	gauge(descNodes, float64(1+len(m.set.Nodes())))
	gauge(descLease, self.Lease.Seconds())
	gauge(descApart, self.Apart.Seconds())
}

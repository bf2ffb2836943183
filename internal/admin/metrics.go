package admin

import (
	"strconv"

	"github.com/prometheus/client_golang/prometheus"
)

// metrics counts the requests of the API. The labels are the routes and the
// classes of status, both closed.
type metrics struct {
	requests *prometheus.CounterVec
}

func newMetrics(reg prometheus.Registerer) *metrics {
	m := &metrics{requests: prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "s3mirror_admin_requests_total",
		Help: "Requests of the admin API by route and class of status.",
	}, []string{"route", "class"})}
	reg.MustRegister(m.requests)
	for _, rt := range routes {
		m.requests.WithLabelValues(rt.path, "2xx")
	}
	return m
}

func (m *metrics) observe(route string, status int) {
	m.requests.WithLabelValues(route, strconv.Itoa(status/100)+"xx").Inc()
}

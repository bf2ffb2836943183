package admin

import (
	"strconv"

	"github.com/prometheus/client_golang/prometheus"
)

// other is the route of what no operation takes.
const other = "other"

// metrics counts the requests of the API. The labels are the paths of the
// description and the classes of status, both closed.
type metrics struct {
	requests *prometheus.CounterVec
}

func newMetrics(reg prometheus.Registerer, ops map[string]operation) *metrics {
	m := &metrics{requests: prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "s3mirror_admin_requests_total",
		Help: "Requests of the admin API by route and class of status.",
	}, []string{"route", "class"})}
	reg.MustRegister(m.requests)
	for _, op := range ops {
		m.requests.WithLabelValues(op.path, "2xx")
	}
	return m
}

func (m *metrics) observe(route string, status int) {
	m.requests.WithLabelValues(route, strconv.Itoa(status/100)+"xx").Inc()
}

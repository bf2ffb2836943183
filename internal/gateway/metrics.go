package gateway

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/s3mirror/s3mirror/internal/s3"
)

// unparsed is the label of a request whose operation is not known.
const unparsed = "unparsed"

// Classes of how a request ended, beside those of the status.
const (
	classGone = "gone" // the client went away before it had its answer
	classCut  = "cut"  // the body could not be sent to its end
)

// classes are all there are.
var classes = []string{"2xx", "3xx", "4xx", "5xx", classGone, classCut}

// metrics of the S3 face. Labels come from closed sets; every series of what
// the gateway does starts at zero.
type metrics struct {
	requests       *prometheus.CounterVec
	seconds        *prometheus.HistogramVec
	received, sent prometheus.Counter
	inFlight       prometheus.Gauge
}

func newMetrics(reg prometheus.Registerer) *metrics {
	m := &metrics{
		requests: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "s3mirror_gateway_requests_total",
			Help: "S3 requests answered, by operation and class of status; gone: the client left, cut: the body broke off.",
		}, []string{"operation", "class"}),
		seconds: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name:                            "s3mirror_gateway_request_seconds",
			Help:                            "Time from the head of an S3 request to the end of its answer, bodies included.",
			Buckets:                         []float64{.001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 30, 60},
			NativeHistogramBucketFactor:     1.1,
			NativeHistogramMaxBucketNumber:  100,
			NativeHistogramMinResetDuration: time.Hour,
		}, []string{"operation"}),
		received: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "s3mirror_gateway_received_bytes_total",
			Help: "Bytes of request bodies read from clients, framing included.",
		}),
		sent: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "s3mirror_gateway_sent_bytes_total",
			Help: "Bytes of bodies sent to clients.",
		}),
		inFlight: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "s3mirror_gateway_requests_in_flight",
			Help: "S3 requests being served now.",
		}),
	}
	reg.MustRegister(m.requests, m.seconds, m.received, m.sent, m.inFlight)
	for _, op := range append(s3.ImplementedOperations(), assumeRole) {
		m.start(string(op))
	}
	m.start(unparsed)
	return m
}

func (m *metrics) start(operation string) {
	m.seconds.WithLabelValues(operation)
	for _, class := range classes {
		m.requests.WithLabelValues(operation, class)
	}
}

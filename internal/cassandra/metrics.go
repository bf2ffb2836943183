package cassandra

import (
	"errors"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/s3mirror/s3mirror/internal/oplog"
)

// Outcomes of compare-and-sets.
const (
	applied  = "applied"
	conflict = "conflict"
	refused  = "refused"
	unknown  = "unknown"
)

// newSwaps counts compare-and-sets, under the name that every engine gives them.
func newSwaps() *prometheus.CounterVec {
	c := prometheus.NewCounterVec(prometheus.CounterOpts{
		Namespace: "s3mirror", Subsystem: "log", Name: "swaps_total", Help: "Compare-and-sets by outcome.",
	}, []string{"outcome"})
	for _, o := range []string{applied, conflict, refused, unknown} {
		c.WithLabelValues(o)
	}
	return c
}

func outcomeOf(err error) string {
	switch {
	case err == nil:
		return applied
	case errors.Is(err, oplog.ErrConflict):
		return conflict
	case errors.Is(err, oplog.ErrNotApplied):
		return refused
	}
	return unknown
}

// Collector exports the log's metrics; the caller registers it.
func (l *Log) Collector() prometheus.Collector { return collectors{l.swaps, l.rounds} }

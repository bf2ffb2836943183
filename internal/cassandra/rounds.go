package cassandra

import (
	"context"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/s3mirror/s3mirror/internal/oplog"
)

// counted counts the rounds of Paxos that a store is asked for: what an operation
// costs the cluster. One that failed counts too. Those that Cassandra repeats
// because two coordinators contend it does not see.
type counted struct {
	store
	reads, changes prometheus.Counter
}

// newRounds counts rounds of Paxos by their kind.
func newRounds() *prometheus.CounterVec {
	c := prometheus.NewCounterVec(prometheus.CounterOpts{
		Namespace: "s3mirror", Subsystem: "log", Name: "paxos_rounds_total",
		Help: "Statements that Cassandra answers by a round of Paxos: reads of rows and documents, and compare-and-sets.",
	}, []string{"kind"})
	for _, kind := range []string{"read", "change"} {
		c.WithLabelValues(kind)
	}
	return c
}

func count(s store, rounds *prometheus.CounterVec) store {
	return &counted{s, rounds.WithLabelValues("read"), rounds.WithLabelValues("change")}
}

func (c *counted) read(ctx context.Context, t *rowTable, id rowID) (stored, bool, error) {
	c.reads.Inc()
	return c.store.read(ctx, t, id)
}

func (c *counted) insert(ctx context.Context, t *rowTable, id rowID, row stored) (bool, error) {
	c.changes.Inc()
	return c.store.insert(ctx, t, id, row)
}

func (c *counted) update(ctx context.Context, t *rowTable, id rowID, old, epoch oplog.Epoch, body []byte) (bool, error) {
	c.changes.Inc()
	return c.store.update(ctx, t, id, old, epoch, body)
}

func (c *counted) remove(ctx context.Context, t *rowTable, id rowID, old oplog.Epoch) (bool, error) {
	c.changes.Inc()
	return c.store.remove(ctx, t, id, old)
}

// collectors are several as one.
type collectors []prometheus.Collector

func (all collectors) Describe(to chan<- *prometheus.Desc) {
	for _, c := range all {
		c.Describe(to)
	}
}

func (all collectors) Collect(to chan<- prometheus.Metric) {
	for _, c := range all {
		c.Collect(to)
	}
}

package cassandra

import (
	"testing"

	"github.com/prometheus/client_golang/prometheus/testutil"

	"github.com/s3mirror/s3mirror/internal/object"
	"github.com/s3mirror/s3mirror/internal/oplog"
)

// What each method of the log costs in rounds of Paxos: docs/scaling.md counts on it.
func TestRoundsOfPaxos(t *testing.T) {
	log := testLog(newFakeStore(), nil)
	defer log.Close()
	k, row := object.Key{Bucket: "b", Name: "k"}, oplog.Row{Epoch: oplog.NewEpoch()}
	next := oplog.Row{Epoch: oplog.NewEpoch()}
	part := oplog.Part{Upload: object.NewID(), Number: 1, Attempt: object.NewID()}
	for _, c := range []struct {
		what           string
		do             func() error
		reads, changes float64
	}{
		{"row made", func() error { return log.Swap(bg, k, oplog.Epoch{}, &row) }, 0, 1},
		{"row changed", func() error { return log.Swap(bg, k, row.Epoch, &next) }, 0, 1},
		{"row read", func() error { _, err := log.Row(bg, k); return err }, 1, 0},
		{"page of the index", func() error { _, _, err := log.Due(bg, oplog.ShardOf(k), "", 10); return err }, 0, 0},
		{"range with one row", func() error { _, err := log.Range(bg, "b", "", "", 10); return err }, 1, 0},
		{"part added", func() error { return log.AddPart(bg, part) }, 0, 0},
		{"history", func() error { return log.Append(bg, oplog.Event{Bucket: "b"}) }, 0, 0},
		{"row dropped", func() error { return log.Swap(bg, k, next.Epoch, nil) }, 1, 1},
		{"range without rows", func() error { _, err := log.Range(bg, "b", "", "", 10); return err }, 0, 0},
	} {
		reads, changes := testutil.ToFloat64(log.rounds.WithLabelValues("read")), testutil.ToFloat64(log.rounds.WithLabelValues("change"))
		if err := c.do(); err != nil {
			t.Fatalf("%s: %v", c.what, err)
		}
		reads, changes = testutil.ToFloat64(log.rounds.WithLabelValues("read"))-reads, testutil.ToFloat64(log.rounds.WithLabelValues("change"))-changes
		if reads != c.reads || changes != c.changes {
			t.Errorf("%s: %v reads and %v changes, want %v and %v", c.what, reads, changes, c.reads, c.changes)
		}
	}
}

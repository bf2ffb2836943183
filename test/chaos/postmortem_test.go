//go:build chaos

package chaos

import (
	"context"
	"fmt"
	"log/slog"
	"strings"

	"github.com/s3mirror/s3mirror/internal/object"
	"github.com/s3mirror/s3mirror/internal/oplog"
	"github.com/s3mirror/s3mirror/internal/pebble"
)

// postMortem ends the gateway, if the log is its own, and tells, of the keys that never came to rest,
// what their row says, what the backends hold, what was done and what the
// clients saw: all that is needed to find out why.
func (w *world) postMortem() {
	ctx := context.WithoutCancel(w.t.Context())
	log, err := w.open(ctx)
	if err != nil {
		w.t.Logf("post mortem: %v", err)
		return
	}
	defer log.Close()
	rows, err := log.Range(ctx, bucket, "", "", 100_000)
	if err != nil {
		w.t.Logf("post mortem: %v", err)
	}
	var replicas object.Replicas
	for _, b := range w.backends {
		replicas = replicas.With(b.Name)
	}
	shown := 0
	for _, kr := range rows {
		if kr.Row.Quiet(replicas) {
			continue
		}
		if shown++; shown > 5 {
			break
		}
		w.dissect(ctx, log, kr)
	}
	w.t.Logf("post mortem: %d rows, %d and more of them not quiet", len(rows), shown)
}

// open opens the log: an embedded one once its gateway has ended.
func (w *world) open(ctx context.Context) (oplog.Log, error) {
	if w.ring != nil {
		return w.ring.Log(ctx, keyspace)
	}
	w.gateway.Kill()
	return pebble.Open(w.gateway.DataDir, pebble.Options{Logger: slog.New(slog.DiscardHandler)})
}

func (w *world) dissect(ctx context.Context, log oplog.Log, kr oplog.KeyRow) {
	var b strings.Builder
	row := kr.Row
	fmt.Fprintf(&b, "%s, changed %v\n  cur %+v\n  open %v, good %v, refused %v\n", kr.Key, row.Changed, row.Cur, row.Open, row.Good, row.Refused)
	if row.Intent != nil {
		fmt.Fprintf(&b, "  intent %+v\n", *row.Intent)
	}
	for _, e := range row.Unsettled {
		fmt.Fprintf(&b, "  unsettled on %s: %v op %v id %v ver %v kind %v size %d etag %q added %v\n", e.Replica, e.Type, e.Op, e.ID, e.Ver, e.Kind, e.Size, e.ETag, e.Added)
	}
	for _, backend := range w.backends {
		o, err := backend.Object(ctx, bucket, kr.Key.Name)
		stamp, stampErr := w.gateway.StampKey().Open(kr.Key, o.Stamp)
		fmt.Fprintf(&b, "  %s holds %d bytes, ETag %s, stamp %+v (%v): %v\n", backend.Name, o.Size, o.ETag, stamp, stampErr, err)
	}
	events, err := log.Events(ctx, oplog.HistoryQuery{Bucket: bucket, Prefix: kr.Key.Name, Limit: 12})
	for _, e := range events {
		fmt.Fprintf(&b, "  %s %s id %v ver %v size %d by %s: %s %v\n", e.Time.Format("15:04:05.000"), e.Op, e.ID, e.Ver, e.Size, e.Actor, e.Result, e.Backends)
	}
	if err != nil {
		fmt.Fprintf(&b, "  history: %v\n", err)
	}
	ops := w.clients.hist.ops[kr.Key.Name]
	for _, o := range ops[max(0, len(ops)-20):] {
		fmt.Fprintf(&b, "  %d: %.3f to %.3f %s\n", o.ClientId, float64(o.Call)/1e9, float64(o.Return)/1e9, register.DescribeOperation(o.Input, o.Output))
	}
	w.t.Log(b.String())
}

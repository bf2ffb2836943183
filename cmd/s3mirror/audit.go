package main

import (
	"cmp"
	"context"
	"fmt"
	"log/slog"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"golang.org/x/time/rate"

	"github.com/s3mirror/s3mirror/internal/admin"
	"github.com/s3mirror/s3mirror/internal/auth"
	"github.com/s3mirror/s3mirror/internal/oplog"
)

// audit implements auth.Auditor: each entry is a line of the server's log at
// once, and an event of the history soon after. Whoever is refused a thousand
// times a second must not fill the history's disk: of refusals beyond a rate,
// and of whatever comes while the log does not answer, only the number is kept.
type audit struct {
	history oplog.History
	logger  *slog.Logger
	entries *prometheus.CounterVec
	refused *rate.Limiter
	queue   chan oplog.Event
	feed    *admin.Feed  // of those who listen as it happens
	lost    atomic.Int64 // not in the history, and not told of there yet
}

// Bounds of what the history keeps of refusals, and of what waits for it.
const (
	auditRate  = 20 // refusals a second, on the average
	auditBurst = 500
	auditQueue = 1000
	auditBatch = 100
)

// The classes of an entry.
const (
	auditDone    = "done"
	auditRefused = "refused"
	auditLost    = "lost" // kept in the log only
)

func newAudit(history oplog.History, reg prometheus.Registerer, logger *slog.Logger) *audit {
	a := &audit{
		history: history, logger: logger, feed: admin.NewFeed(), refused: rate.NewLimiter(auditRate, auditBurst), queue: make(chan oplog.Event, auditQueue),
		entries: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "s3mirror_audit_entries_total",
			Help: "Entries of the audit: changes of users and keys (done), refusals (refused), and how many of both stand in the log only and not in the history (lost).",
		}, []string{"class"}),
	}
	reg.MustRegister(a.entries)
	for _, class := range []string{auditDone, auditRefused, auditLost} {
		a.entries.WithLabelValues(class)
	}
	return a
}

// Note implements auth.Auditor.
func (a *audit) Note(ctx context.Context, e auth.Entry) {
	class, level := auditDone, slog.LevelInfo
	if e.Refused != "" {
		class, level = auditRefused, slog.LevelWarn
	}
	a.entries.WithLabelValues(class).Inc()
	a.logger.LogAttrs(ctx, level, "audit", auditAttrs(class, e)...)
	event := auditEvent(time.Now(), class, e)
	a.feed.Publish(event)
	if class == auditRefused && !a.refused.Allow() {
		a.lose(1)
		return
	}
	select {
	case a.queue <- event:
	default:
		a.lose(1)
	}
}

func (a *audit) lose(n int) {
	a.lost.Add(int64(n))
	a.entries.WithLabelValues(auditLost).Add(float64(n))
}

// auditAttrs are the line of the log.
func auditAttrs(class string, e auth.Entry) []slog.Attr {
	attrs := []slog.Attr{slog.String("act", e.Act), slog.String("result", class), slog.String("request_id", e.Request), slog.String("client", e.Client.String())}
	for _, f := range []struct{ name, value string }{
		{"why", e.Refused}, {"login", e.Actor}, {"claimed", e.Claimed}, {"bucket", e.Bucket}, {"target", e.Target}, {"detail", e.Detail},
	} {
		if f.value != "" {
			attrs = append(attrs, slog.String(f.name, f.value))
		}
	}
	if e.Key != "" {
		attrs = append(attrs, slog.String("key", fmt.Sprintf("%q", e.Key)))
	}
	return attrs
}

// auditEvent is the line of the history. What was changed stands where the key
// of an object would.
func auditEvent(now time.Time, class string, e auth.Entry) oplog.Event {
	event := oplog.Event{
		Time: now.UTC(), Bucket: e.Bucket, Key: e.Key, Op: e.Act, Actor: e.Actor, Request: e.Request,
		Result: class, Detail: cmp.Or(e.Refused, e.Detail), Client: e.Client.String(),
	}
	if e.Target != "" {
		event.Key = e.Target
	}
	if e.Claimed != "" {
		event.Detail += ", claimed by " + e.Claimed
	}
	return event
}

// run writes to the history until ctx ends, and then what is left. No write is
// given up because ctx ends.
func (a *audit) run(ctx context.Context) error {
	for {
		select {
		case <-ctx.Done():
			for (len(a.queue) > 0 || a.lost.Load() > 0) && a.write(ctx, nil) {
			}
			return nil
		case e := <-a.queue:
			a.write(ctx, []oplog.Event{e})
		}
	}
}

// auditPatience is how long the log may take for one write.
const auditPatience = 2 * time.Second

// write appends the events and what else is waiting. What the log does not take
// is lost; that is told with the next that it takes.
func (a *audit) write(ctx context.Context, events []oplog.Event) bool {
	for len(events) < auditBatch && len(a.queue) > 0 {
		events = append(events, <-a.queue) // run is the only reader
	}
	n := len(events)
	lost := a.lost.Swap(0)
	if lost > 0 {
		events = append(events, oplog.Event{
			Time: time.Now().UTC(), Op: "audit", Actor: "s3mirror", Result: auditLost,
			Detail: fmt.Sprintf("%d entries are in the log of the server only", lost),
		})
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), auditPatience)
	defer cancel()
	if err := a.history.Append(ctx, events...); err != nil {
		a.lost.Add(lost)
		a.lose(n)
		a.logger.WarnContext(ctx, "audit is not in the history", "error", err, "entries", n)
		return false
	}
	return true
}

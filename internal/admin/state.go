package admin

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/s3mirror/s3mirror/internal/admin/api"
	"github.com/s3mirror/s3mirror/internal/oplog"
)

// face implements what the description says: one method per operation. A caller
// has been admitted before one is called.
type face struct{ *Handler }

var _ api.StrictServerInterface = face{}

// Health says that the process lives, whatever it can reach.
func (face) Health(context.Context, api.HealthRequestObject) (api.HealthResponseObject, error) {
	return api.Health200TextResponse("ok\n"), nil
}

// Ready says whether writes can succeed: the log answers and the ack rule can
// be met.
func (h face) Ready(ctx context.Context, _ api.ReadyRequestObject) (api.ReadyResponseObject, error) {
	if err := h.Source.Ready(ctx); err != nil {
		p := problem(http.StatusServiceUnavailable, "not-ready", "Not ready", "%v", err)
		p.cause = err
		return nil, p
	}
	return api.Ready200TextResponse("ready\n"), nil
}

// Version says what runs here.
func (h face) Version(context.Context, api.VersionRequestObject) (api.VersionResponseObject, error) {
	return api.Version200JSONResponse(h.Handler.Version), nil
}

// Status is the node in one document.
func (h face) Status(ctx context.Context, _ api.StatusRequestObject) (api.StatusResponseObject, error) {
	s, err := h.Source.Status(ctx)
	if err != nil {
		return nil, fmt.Errorf("status: %w", err)
	}
	s.Backends = listed(s.Backends)
	return api.Status200JSONResponse(s), nil
}

// Backends are all that are configured.
func (h face) Backends(ctx context.Context, _ api.BackendsRequestObject) (api.BackendsResponseObject, error) {
	list, err := h.Source.Backends(ctx)
	if err != nil {
		return nil, fmt.Errorf("backends: %w", err)
	}
	return api.Backends200JSONResponse{Backends: listed(list)}, nil
}

// Lag is how far each backend is behind.
func (h face) Lag(ctx context.Context, _ api.LagRequestObject) (api.LagResponseObject, error) {
	l, err := h.Source.Lag(ctx)
	if err != nil {
		return nil, fmt.Errorf("lag: %w", err)
	}
	l.Backends = listed(l.Backends)
	for i := range l.Backends {
		l.Backends[i].Buckets = listed(l.Backends[i].Buckets)
	}
	return api.Lag200JSONResponse(l), nil
}

// listed is a list that JSON shows as one even when it is empty.
func listed[T any](list []T) []T {
	if list == nil {
		return []T{}
	}
	return list
}

// DemoOn lets an endpoint answer again.
func (h face) DemoOn(ctx context.Context, r api.DemoOnRequestObject) (api.DemoOnResponseObject, error) {
	state, err := h.switchTo(ctx, r.Name, true)
	return api.DemoOn200JSONResponse{SwitchedJSONResponse: state}, err
}

// DemoOff makes an endpoint unreachable.
func (h face) DemoOff(ctx context.Context, r api.DemoOffRequestObject) (api.DemoOffResponseObject, error) {
	state, err := h.switchTo(ctx, r.Name, false)
	return api.DemoOff200JSONResponse{SwitchedJSONResponse: state}, err
}

func (h face) switchTo(ctx context.Context, name string, on bool) (api.SwitchedJSONResponse, error) {
	callOf(ctx).target = name
	if h.Demo == nil {
		return api.SwitchedJSONResponse{}, problem(http.StatusNotFound, "not-a-demo", "This is not a demo", "only the endpoints of `s3mirror demo` can be switched")
	}
	if err := h.Demo.Switch(name, on); err != nil {
		return api.SwitchedJSONResponse{}, fmt.Errorf("switch backend %q: %w", name, err)
	}
	return api.SwitchedJSONResponse{Name: name, On: on}, nil
}

// The bounds of a page.
const (
	defaultLimit = 100
	maxLimit     = 1000
)

// limitOf is how many entries a page is to have.
func limitOf(limit *api.Limit) (int, error) {
	switch {
	case limit == nil:
		return defaultLimit, nil
	case *limit < 1 || *limit > maxLimit:
		return 0, problem(http.StatusBadRequest, "bad-parameter", "Wrong parameter", "limit: want 1 to %d", maxLimit)
	}
	return *limit, nil
}

// value is what a pointer leads to; nil leads to the zero value.
func value[T any](p *T) (v T) {
	if p != nil {
		v = *p
	}
	return v
}

// History answers one page, newest first.
func (h face) History(ctx context.Context, r api.HistoryRequestObject) (api.HistoryResponseObject, error) {
	limit, err := limitOf(r.Params.Limit)
	if err != nil {
		return nil, err
	}
	after, err := parseCursor(value(r.Params.Cursor))
	if err != nil {
		return nil, problem(http.StatusBadRequest, "bad-parameter", "Wrong parameter", "cursor: %v", err)
	}
	q := oplog.HistoryQuery{Bucket: value(r.Params.Bucket), Prefix: value(r.Params.Prefix), Since: value(r.Params.Since), Limit: limit}
	events, err := h.olderThan(ctx, q, after)
	if err != nil {
		return nil, fmt.Errorf("history: %w", err)
	}
	page := HistoryPage{Events: make([]Event, 0, min(len(events), limit))}
	if len(events) > limit {
		page.Cursor = historyCursor(events[limit-1]).String()
		events = events[:limit]
	}
	for _, e := range events {
		page.Events = append(page.Events, newEvent(e))
	}
	return api.History200JSONResponse(page), nil
}

// olderThan returns the events after the cursor, at least one more than the
// limit if there are so many. The log pages by time only: events of the
// cursor's own moment are read again and dropped.
func (h face) olderThan(ctx context.Context, q oplog.HistoryQuery, after cursor) ([]oplog.Event, error) {
	want := q.Limit + 1
	if !after.time.IsZero() {
		q.Before = after.time.Add(1)
	}
	for q.Limit = want; ; q.Limit *= 2 {
		all, err := h.Source.History(ctx, q)
		if err != nil {
			return nil, err
		}
		rest := all
		for len(rest) > 0 && !after.time.IsZero() && !after.before(rest[0]) {
			rest = rest[1:]
		}
		if len(rest) >= want || len(all) < q.Limit || q.Limit > 1<<20 {
			return rest, nil
		}
	}
}

// cursor is the place of an event in the history.
type cursor struct {
	time time.Time
	seq  uint64
}

func historyCursor(e oplog.Event) cursor { return cursor{e.Time, e.Seq} }

// before tells whether the event is older than the cursor's.
func (c cursor) before(e oplog.Event) bool {
	return e.Time.Before(c.time) || e.Time.Equal(c.time) && e.Seq < c.seq
}

// String is the form that clients pass back and need not understand.
func (c cursor) String() string {
	return base64.RawURLEncoding.EncodeToString(fmt.Appendf(nil, "%d.%d", c.time.UnixNano(), c.seq))
}

// parseCursor reads one; the empty text is the beginning.
func parseCursor(s string) (cursor, error) {
	if s == "" {
		return cursor{}, nil
	}
	bad := errors.New("this is not a cursor of an earlier page")
	text, err := base64.RawURLEncoding.DecodeString(s)
	if err != nil {
		return cursor{}, bad
	}
	nanos, seq, _ := strings.Cut(string(text), ".")
	n, err1 := strconv.ParseInt(nanos, 10, 64)
	q, err2 := strconv.ParseUint(seq, 10, 64)
	if err1 != nil || err2 != nil {
		return cursor{}, bad
	}
	return cursor{time.Unix(0, n).UTC(), q}, nil
}

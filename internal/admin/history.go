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
	q := oplog.HistoryQuery{Bucket: value(r.Params.Bucket), Prefix: value(r.Params.Prefix), Since: value(r.Params.Since), Before: value(r.Params.Until), Limit: limit}
	page := HistoryPage{Events: []Event{}}
	for scanned := 0; ; {
		events, err := h.olderThan(ctx, q, after)
		if err != nil {
			return nil, fmt.Errorf("history: %w", err)
		}
		for _, e := range events[:min(len(events), limit)] {
			if !asked(r.Params, e) {
				after = historyCursor(e)
				continue
			}
			if len(page.Events) == limit {
				page.Cursor = after.String()
				return api.History200JSONResponse(page), nil
			}
			page.Events, after = append(page.Events, newEvent(e)), historyCursor(e)
		}
		switch scanned += limit; {
		case len(events) <= limit:
			return api.History200JSONResponse(page), nil
		case len(page.Events) == limit || scanned >= mostScanned:
			page.Cursor = after.String()
			return api.History200JSONResponse(page), nil
		}
	}
}

// mostScanned bounds the events that one page looks at.
const mostScanned = 20_000

// asked tells whether an event is what was asked for, beyond what the log looks
// for itself.
func asked(p api.HistoryParams, e oplog.Event) bool {
	is := func(want *string, got string) bool { return want == nil || *want == got }
	return is(p.Op, e.Op) && is(p.Actor, e.Actor) && is(p.Result, e.Result)
}

// olderThan returns the events after the cursor, at least one more than the
// limit if there are so many. The log pages by time only: events of the
// cursor's own moment are read again and dropped.
func (h face) olderThan(ctx context.Context, q oplog.HistoryQuery, after cursor) ([]oplog.Event, error) {
	want := q.Limit + 1
	if end := after.time.Add(1); !after.time.IsZero() && (q.Before.IsZero() || end.Before(q.Before)) {
		q.Before = end
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

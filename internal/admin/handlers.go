package admin

import (
	"encoding/base64"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/s3mirror/s3mirror/internal/oplog"
)

// health says that the process lives, whatever it can reach.
func (h *Handler) health(w http.ResponseWriter, _ *http.Request) error {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	_, _ = w.Write([]byte("ok\n"))
	return nil
}

// ready says whether writes can succeed: the log answers and the ack rule can
// be met.
func (h *Handler) ready(w http.ResponseWriter, r *http.Request) error {
	if err := h.Source.Ready(r.Context()); err != nil {
		p := problem(http.StatusServiceUnavailable, "not-ready", "Not ready", "%v", err)
		p.cause = err
		return p
	}
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	_, _ = w.Write([]byte("ready\n"))
	return nil
}

func (h *Handler) version(w http.ResponseWriter, _ *http.Request) error {
	return writeJSON(w, h.Version)
}

func (h *Handler) describe(w http.ResponseWriter, _ *http.Request) error {
	w.Header().Set("Content-Type", "application/yaml")
	_, _ = w.Write(openAPI)
	return nil
}

func (h *Handler) status(w http.ResponseWriter, r *http.Request) error {
	s, err := h.Source.Status(r.Context())
	if err != nil {
		return fmt.Errorf("status: %w", err)
	}
	if s.Backends == nil {
		s.Backends = []BackendStatus{}
	}
	return writeJSON(w, s)
}

func (h *Handler) backends(w http.ResponseWriter, r *http.Request) error {
	list, err := h.Source.Backends(r.Context())
	if err != nil {
		return fmt.Errorf("backends: %w", err)
	}
	if list == nil {
		list = []BackendStatus{}
	}
	return writeJSON(w, BackendList{Backends: list})
}

func (h *Handler) lag(w http.ResponseWriter, r *http.Request) error {
	l, err := h.Source.Lag(r.Context())
	if err != nil {
		return fmt.Errorf("lag: %w", err)
	}
	if l.Backends == nil {
		l.Backends = []BackendLag{}
	}
	for i := range l.Backends {
		if l.Backends[i].Buckets == nil {
			l.Backends[i].Buckets = []BucketLag{}
		}
	}
	return writeJSON(w, l)
}

func (h *Handler) switchOn(w http.ResponseWriter, r *http.Request) error {
	return h.switchTo(w, r, true)
}

func (h *Handler) switchOff(w http.ResponseWriter, r *http.Request) error {
	return h.switchTo(w, r, false)
}

func (h *Handler) switchTo(w http.ResponseWriter, r *http.Request, on bool) error {
	if h.Demo == nil {
		return problem(http.StatusNotFound, "not-a-demo", "This is not a demo", "only the endpoints of `s3mirror demo` can be switched")
	}
	name := r.PathValue("name")
	if err := h.Demo.Switch(name, on); err != nil {
		return fmt.Errorf("switch backend %q: %w", name, err)
	}
	return writeJSON(w, SwitchState{Name: name, On: on})
}

// The bounds of a page of history.
const (
	defaultLimit = 100
	maxLimit     = 1000
)

// history answers one page, newest first.
func (h *Handler) history(w http.ResponseWriter, r *http.Request) error {
	q, after, err := parseHistory(r)
	if err != nil {
		return err
	}
	limit := q.Limit
	events, err := h.olderThan(r, q, after)
	if err != nil {
		return fmt.Errorf("history: %w", err)
	}
	page := HistoryPage{Events: make([]Event, 0, min(len(events), limit))}
	if len(events) > limit {
		page.Cursor = historyCursor(events[limit-1]).String()
		events = events[:limit]
	}
	for _, e := range events {
		page.Events = append(page.Events, newEvent(e))
	}
	return writeJSON(w, page)
}

// parseHistory reads the query; unknown parameters are refused, so that a
// mistyped filter is not taken for none.
func parseHistory(r *http.Request) (q oplog.HistoryQuery, after cursor, err error) {
	q.Limit = defaultLimit
	for name, values := range r.URL.Query() {
		value := values[0]
		switch name {
		case "bucket":
			q.Bucket = value
		case "prefix":
			q.Prefix = value
		case "since":
			q.Since, err = time.Parse(time.RFC3339Nano, value)
		case "limit":
			q.Limit, err = strconv.Atoi(value)
			if err == nil && (q.Limit < 1 || q.Limit > maxLimit) {
				err = fmt.Errorf("want 1 to %d", maxLimit)
			}
		case "cursor":
			after, err = parseCursor(value)
		default:
			err = fmt.Errorf("there is no such parameter")
		}
		if err != nil {
			return q, after, problem(http.StatusBadRequest, "bad-parameter", "Wrong parameter", "%s: %v", name, err)
		}
	}
	return q, after, nil
}

// olderThan returns the events after the cursor, at least one more than the
// limit if there are so many. The log pages by time only: events of the
// cursor's own moment are read again and dropped.
func (h *Handler) olderThan(r *http.Request, q oplog.HistoryQuery, after cursor) ([]oplog.Event, error) {
	want := q.Limit + 1
	if !after.time.IsZero() {
		q.Before = after.time.Add(1)
	}
	for q.Limit = want; ; q.Limit *= 2 {
		all, err := h.Source.History(r.Context(), q)
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

func parseCursor(s string) (cursor, error) {
	bad := fmt.Errorf("this is not a cursor of an earlier page")
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

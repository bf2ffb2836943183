package admin

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/s3mirror/s3mirror/internal/admin/api"
	"github.com/s3mirror/s3mirror/internal/auth"
)

// The times of a stream of events.
const (
	// lookEvery is the pause between two looks at the status, and at whether the
	// caller may still listen.
	lookEvery = 2 * time.Second
	// lookShare is how many times longer than a look the pause is at least, since a
	// look walks over all rows.
	lookShare = 10
	// heartbeat is the longest silence: a proxy must not take the stream for dead.
	heartbeat = 15 * time.Second
	// sendTime is how long a reader may take for one event.
	sendTime = 10 * time.Second
)

// Events streams what happens until somebody ends it.
func (h face) Events(ctx context.Context, _ api.EventsRequestObject) (api.EventsResponseObject, error) {
	l, err := h.Feed.listen()
	if err != nil {
		return nil, err
	}
	return stream{face: h, ctx: ctx, listener: l}, nil
}

// stream is one caller's stream of events.
type stream struct {
	face     face
	ctx      context.Context // of the request: VisitEventsResponse is given none
	listener *listener
}

// VisitEventsResponse implements api.EventsResponseObject.
func (s stream) VisitEventsResponse(w http.ResponseWriter) error {
	defer s.face.Feed.leave(s.listener)
	out := &eventWriter{w: w, conn: http.NewResponseController(w)}
	// The first look comes before the first byte: its failure has an answer of its own.
	last, pause, err := s.look(out, Status{})
	if err != nil {
		return err
	}
	jobs := jobsSeen{}
	err = s.lookAtJobs(out, jobs, true)
	look, beat := time.NewTimer(pause), time.NewTicker(heartbeat)
	defer look.Stop()
	defer beat.Stop()
	for err == nil {
		select {
		case <-s.ctx.Done():
			return nil
		case <-s.listener.ended:
			return out.comment("the server is stopping")
		case e := <-s.listener.events:
			if n := s.listener.lost.Swap(0); n > 0 {
				err = out.send("lost", map[string]int64{"events": n})
			}
			err = errors.Join(err, out.send("audit", newEvent(e)))
		case <-beat.C:
			err = out.comment("still here")
		case <-look.C:
			if refusal := s.stillMay(); refusal != nil {
				return out.send("end", asProblem(refusal).Problem)
			}
			last, pause, err = s.look(out, last)
			err = errors.Join(err, s.lookAtJobs(out, jobs, false))
			look.Reset(pause)
		}
	}
	return err
}

// stillMay proves the caller once more: he may have been made inactive, or his
// token ended.
func (s stream) stillMay() error {
	c := callOf(s.ctx)
	return s.face.admit(c, c.r, auth.RoleAdmin)
}

// look sends the status if it is another one than the last, and says when to
// look again. A look that fails after the first one is passed over: the next one
// tells.
func (s stream) look(out *eventWriter, last Status) (now Status, pause time.Duration, err error) {
	began := time.Now()
	ctx, cancel := context.WithTimeout(s.ctx, actDeadline)
	defer cancel()
	now, err = s.face.Source.Status(ctx)
	pause = max(lookEvery, lookShare*time.Since(began))
	switch {
	case err != nil && last.Version == "" && !out.begun:
		return now, 0, fmt.Errorf("status: %w", err)
	case err != nil:
		return last, pause, nil
	case out.begun && sameStatus(now, last):
		return now, pause, nil
	}
	now.Backends = listed(now.Backends)
	return now, pause, out.send("status", now)
}

// lookAtJobs sends the jobs that came forward. A look that fails is passed over, as that
// at the status.
func (s stream) lookAtJobs(out *eventWriter, seen jobsSeen, first bool) error {
	if s.face.Handler.Jobs == nil {
		return nil
	}
	ctx, cancel := context.WithTimeout(s.ctx, actDeadline)
	defer cancel()
	all, err := s.face.Handler.Jobs.List(ctx)
	if err != nil {
		return nil //nolint:nilerr // see above
	}
	for _, job := range seen.changed(all, first) {
		if err := out.send("job", job); err != nil {
			return err
		}
	}
	return nil
}

// sameStatus tells whether nothing changed but the time.
func sameStatus(a, b Status) bool {
	timeless := func(s Status) string {
		s.Lagging.OldestSeconds = 0
		list := make([]BackendStatus, len(s.Backends))
		for i, b := range s.Backends {
			b.OldestSeconds, b.LastSuccess = 0, nil
			list[i] = b
		}
		s.Backends = list
		text, err := json.Marshal(s)
		if err != nil {
			panic(err) // it was a document a moment ago
		}
		return string(text)
	}
	return timeless(a) == timeless(b)
}

// eventWriter writes server-sent events, each at once.
type eventWriter struct {
	w     http.ResponseWriter
	conn  *http.ResponseController
	begun bool
}

func (e *eventWriter) send(name string, document any) error {
	data, err := json.Marshal(document)
	if err != nil {
		return err
	}
	return e.write(fmt.Appendf(nil, "event: %s\ndata: %s\n\n", name, data)) // JSON has no line end
}

func (e *eventWriter) comment(text string) error { return e.write([]byte(": " + text + "\n\n")) }

func (e *eventWriter) write(text []byte) error {
	if !e.begun {
		e.begun = true
		e.w.Header().Set("Content-Type", "text/event-stream")
		e.w.Header().Set("X-Accel-Buffering", "no") // nginx would keep them back
		e.w.WriteHeader(http.StatusOK)
	}
	_ = e.conn.SetWriteDeadline(time.Now().Add(sendTime)) // not supported: a test's writer
	if _, err := bytes.NewReader(text).WriteTo(e.w); err != nil {
		return err
	}
	return e.conn.Flush()
}

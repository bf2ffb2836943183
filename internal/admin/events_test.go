package admin_test

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"log/slog"

	"github.com/s3mirror/s3mirror/internal/admin"
	"github.com/s3mirror/s3mirror/internal/admin/api"
	"github.com/s3mirror/s3mirror/internal/auth"
	"github.com/s3mirror/s3mirror/internal/memory"
	"github.com/s3mirror/s3mirror/internal/oplog"
)

// reader reads a stream of events that a handler writes, on virtual time.
type reader struct {
	header http.Header
	w      *io.PipeWriter
	lines  *bufio.Reader
	ended  chan struct{} // closed when the handler has returned
	leave  context.CancelFunc
}

func (r *reader) Header() http.Header         { return r.header }
func (r *reader) WriteHeader(int)             {}
func (r *reader) Write(p []byte) (int, error) { return r.w.Write(p) }
func (r *reader) Flush()                      {}

// next is the next event, or the next comment under the name "".
func (r *reader) next(t *testing.T) (name, data string) {
	t.Helper()
	for {
		line, err := r.lines.ReadString('\n')
		if err != nil {
			t.Fatalf("the stream ended: %v", err)
		}
		line = strings.TrimSuffix(line, "\n")
		switch {
		case strings.HasPrefix(line, ": "):
			data = line[2:]
		case strings.HasPrefix(line, "event: "):
			name = line[7:]
		case strings.HasPrefix(line, "data: "):
			data = line[6:]
		case line == "":
			return name, data
		}
	}
}

// listen begins to read events as somebody.
func listen(h http.Handler, login string) *reader {
	pr, pw := io.Pipe()
	ctx, cancel := context.WithCancel(context.Background())
	r := &reader{header: http.Header{}, w: pw, lines: bufio.NewReader(pr), ended: make(chan struct{}), leave: cancel}
	req := httptest.NewRequestWithContext(ctx, "GET", "/api/v1/events", http.NoBody)
	req.SetBasicAuth(login, "secret")
	go func() {
		defer close(r.ended)
		defer pw.Close()
		defer func() { _ = recover() }() // what net/http takes for a cut
		h.ServeHTTP(r, req)
	}()
	return r
}

// eventsRig is a handler whose stream of events a test reads.
func eventsRig(t *testing.T) (*source, users, *admin.Feed, http.Handler) {
	u, src, feed := newUsers(t, memory.NewLog()), &source{}, admin.NewFeed()
	src.set(admin.Status{Version: "v1", Converged: true, Backends: []admin.BackendStatus{{Name: "eu-1", State: admin.Up}}}, nil)
	return src, u, feed, admin.New(admin.Options{
		Source: src, Logins: u.logins, Accounts: u.accounts, Feed: feed, Log: slog.New(slog.DiscardHandler), Metrics: prometheus.NewRegistry(),
	})
}

func statusOf(t *testing.T, data string) admin.Status {
	t.Helper()
	var s admin.Status
	if err := json.Unmarshal([]byte(data), &s); err != nil {
		t.Fatalf("%s: %v", data, err)
	}
	return s
}

// TestEventsTellWhatChanges, and nothing when only time passes.
func TestEventsTellWhatChanges(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		src, _, feed, h := eventsRig(t)
		r := listen(h, "root")
		if name, data := r.next(t); name != "status" || !statusOf(t, data).Converged || r.header.Get("Content-Type") != "text/event-stream" {
			t.Errorf("first %s %s, %v", name, data, r.header)
		}
		feed.Publish(oplog.Event{Time: time.Now(), Op: "updateUser", Key: "ann", Result: "done"})
		if name, data := r.next(t); name != "audit" || !strings.Contains(data, `"key":"ann"`) {
			t.Errorf("%s %s", name, data)
		}

		at := time.Now()
		src.set(admin.Status{Version: "v1", Converged: true, Lagging: admin.Backlog{OldestSeconds: 9}, Backends: []admin.BackendStatus{{Name: "eu-1", State: admin.Up, LastSuccess: &at, OldestSeconds: 7}}}, nil)
		began := time.Now()
		if name, data := r.next(t); name != "" || data != "still here" {
			t.Errorf("only time passed, and then %s %s", name, data)
		}
		if quiet := time.Since(began); quiet > 15*time.Second {
			t.Errorf("silent for %s", quiet)
		}

		src.set(admin.Status{}, errors.New("the log is away")) // is passed over
		time.Sleep(3 * time.Second)
		src.set(admin.Status{Version: "v1", Backends: []admin.BackendStatus{{Name: "eu-1", State: admin.Down}}}, nil)
		began = time.Now()
		if name, data := r.next(t); name != "status" || statusOf(t, data).Converged || statusOf(t, data).Backends[0].State != admin.Down {
			t.Errorf("%s %s", name, data)
		}
		if took := time.Since(began); took > 3*time.Second {
			t.Errorf("told after %s", took)
		}

		feed.Close()
		if name, data := r.next(t); name != "" || !strings.Contains(data, "stopping") {
			t.Errorf("%s %s", name, data)
		}
		<-r.ended
		again := listen(h, "root")
		if name, _ := again.next(t); name != "status" {
			t.Errorf("%s", name)
		}
		again.next(t)
		<-again.ended
	})
}

// TestEventsEndForWhomMayNotListen any more, within five seconds.
func TestEventsEndForWhoMayNotListen(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		_, u, _, h := eventsRig(t)
		hash := cheapHash(t, "secret")
		admins := func(login string, role auth.Role) {
			if _, err := u.accounts.Create(t.Context(), auth.User{Login: login, Role: role, Active: true}, ""); err != nil {
				t.Fatal(err)
			}
			if _, err := u.accounts.Update(t.Context(), login, func(x *auth.User) error { x.PasswordHash = hash; return nil }); err != nil {
				t.Fatal(err)
			}
		}
		admins("ann", auth.RoleAdmin)
		r := listen(h, "ann")
		r.next(t)
		if _, err := u.accounts.Update(t.Context(), "ann", func(x *auth.User) error { x.Active = false; return nil }); err != nil {
			t.Fatal(err)
		}
		began := time.Now()
		name, data := r.next(t)
		var p api.Problem
		if err := json.Unmarshal([]byte(data), &p); err != nil || name != "end" || p.Status/100 != 4 {
			t.Errorf("%s %s", name, data)
		}
		if took := time.Since(began); took > 5*time.Second {
			t.Errorf("after %s", took)
		}
		<-r.ended
	})
}

// TestSlowListenerIsTold how much he missed, and keeps nobody waiting.
func TestSlowListenerIsTold(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		_, _, feed, h := eventsRig(t)
		r := listen(h, "root")
		r.next(t)
		for range 1000 {
			feed.Publish(oplog.Event{Op: "x"})
		}
		lost, got := 0, 0
		for got+lost < 1000 {
			name, data := r.next(t)
			switch name {
			case "audit":
				got++
			case "lost":
				var n struct{ Events int }
				if err := json.Unmarshal([]byte(data), &n); err != nil {
					t.Fatal(err)
				}
				lost += n.Events
			}
		}
		if lost == 0 || got < 256 || got+lost != 1000 {
			t.Errorf("%d events, %d lost", got, lost)
		}
		r.leave()
		<-r.ended
	})
}

// TestEventsAreBounded: in who listens; and a status that cannot be had is a
// problem document.
func TestEventsAreBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		src, _, feed, h := eventsRig(t)
		var all []*reader
		for range 100 {
			r := listen(h, "root")
			r.next(t)
			all = append(all, r)
		}
		w := httptest.NewRecorder()
		req := httptest.NewRequest("GET", "/api/v1/events", http.NoBody)
		req.SetBasicAuth("root", "secret")
		h.ServeHTTP(w, req)
		if w.Code != 503 || problemOf(t, w.Body.String()).Type != "urn:s3mirror:problem:busy" {
			t.Errorf("%d %s", w.Code, w.Body)
		}
		for _, r := range all {
			r.leave()
			<-r.ended
		}
		src.set(admin.Status{}, errors.New("disk on fire"))
		w = httptest.NewRecorder()
		h.ServeHTTP(w, req)
		if w.Code != 500 || problemOf(t, w.Body.String()).Type != "urn:s3mirror:problem:internal" {
			t.Errorf("%d %s", w.Code, w.Body)
		}
		feed.Close()
	})
}

// TestShutdownEndsTheStreams: it would wait for them otherwise.
func TestShutdownEndsTheStreams(t *testing.T) {
	f := newFixture(t)
	f.source.set(admin.Status{Version: "v1"}, nil)
	done := make(chan error, 1)
	begun := make(chan struct{})
	go func() {
		done <- f.client.Stream(t.Context(), func(a *api.Client) (*http.Response, error) { return a.Events(t.Context()) }, func(body io.Reader) error {
			close(begun)
			_, err := io.Copy(io.Discard, body)
			return err
		})
	}()
	<-begun
	if err := f.server.Config.Shutdown(t.Context()); err != nil {
		t.Error(err)
	}
	if err := <-done; err != nil {
		t.Error(err)
	}
}

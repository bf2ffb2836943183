package main

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"net/netip"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/s3mirror/s3mirror/internal/auth"
	"github.com/s3mirror/s3mirror/internal/memory"
	"github.com/s3mirror/s3mirror/internal/oplog"
)

var refusedEntry = auth.Entry{
	Act: "PutObject", Actor: "ann", Client: netip.MustParseAddr("192.0.2.1"), Bucket: "photos", Key: "a\nb.exe",
	Refused: "extension", Request: "R1",
}

// runAudit runs an audit over a log while do runs, to its orderly end.
func runAudit(log oplog.Log, do func(a *audit)) string {
	out := &buffer{}
	a := newAudit(log, prometheus.NewRegistry(), slog.New(slog.NewJSONHandler(out, nil)))
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error)
	go func() { done <- a.run(ctx) }()
	do(a)
	cancel()
	<-done
	return out.String()
}

func historyOf(t *testing.T, log oplog.Log) []oplog.Event {
	t.Helper()
	events, err := log.Events(t.Context(), oplog.HistoryQuery{Limit: 10_000})
	if err != nil {
		t.Fatal(err)
	}
	return events
}

func TestAuditStandsInBothPlaces(t *testing.T) {
	log := memory.NewLog()
	out := runAudit(log, func(a *audit) {
		a.Note(t.Context(), refusedEntry)
		a.Note(t.Context(), auth.Entry{Act: "user.create", Actor: "root", Target: "ann", Client: netip.MustParseAddr("::1"), Request: "R2"})
		a.Note(t.Context(), auth.Entry{Act: "login", Claimed: "bob", Refused: "password", Request: "R3"})
	})
	want := []map[string]any{
		{"level": "WARN", "msg": "audit", "act": "PutObject", "result": "refused", "why": "extension", "login": "ann", "client": "192.0.2.1", "bucket": "photos", "key": `"a\nb.exe"`, "request_id": "R1"},
		{"level": "INFO", "msg": "audit", "act": "user.create", "result": "done", "login": "root", "target": "ann", "client": "::1", "request_id": "R2"},
		{"level": "WARN", "msg": "audit", "act": "login", "result": "refused", "why": "password", "claimed": "bob", "client": "invalid IP", "request_id": "R3"},
	}
	lines := strings.Split(strings.TrimSpace(out), "\n")
	if len(lines) != len(want) {
		t.Fatalf("%d lines: %s", len(lines), out)
	}
	for i, line := range lines {
		var got map[string]any
		if err := json.Unmarshal([]byte(line), &got); err != nil {
			t.Fatal(err)
		}
		delete(got, "time")
		if fmt.Sprint(got) != fmt.Sprint(want[i]) {
			t.Errorf("line %d\n got %v\nwant %v", i, got, want[i])
		}
	}
	events := historyOf(t, log)
	if len(events) != 3 {
		t.Fatalf("%d events", len(events))
	}
	for i, want := range []oplog.Event{
		{Op: "login", Result: "refused", Detail: "password, claimed by bob", Client: "invalid IP", Request: "R3"},
		{Op: "user.create", Actor: "root", Key: "ann", Result: "done", Client: "::1", Request: "R2"},
		{Op: "PutObject", Actor: "ann", Bucket: "photos", Key: "a\nb.exe", Result: "refused", Detail: "extension", Client: "192.0.2.1", Request: "R1"},
	} {
		got := events[i]
		got.Time, got.Seq, got.Backends = time.Time{}, 0, nil
		if fmt.Sprintf("%+v", got) != fmt.Sprintf("%+v", want) {
			t.Errorf("event %d\n got %+v\nwant %+v", i, got, want)
		}
	}
}

// TestAuditUnderAStorm: the history stays bounded, tells how much it lacks, and
// changes are never crowded out by refusals.
func TestAuditUnderAStorm(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		log := memory.NewLog()
		const storm = 5000
		out := runAudit(log, func(a *audit) {
			for range storm {
				a.Note(t.Context(), refusedEntry)
			}
			a.Note(t.Context(), auth.Entry{Act: "user.update", Actor: "root", Target: "ann"})
			synctest.Wait()
		})
		if n := strings.Count(out, `"result":"refused"`); n != storm {
			t.Errorf("%d lines of the log", n)
		}
		kept, changes, lost := 0, 0, 0
		for _, e := range historyOf(t, log) {
			switch e.Result {
			case auditRefused:
				kept++
			case auditDone:
				changes++
			case auditLost:
				var n int
				if _, err := fmt.Sscanf(e.Detail, "%d entries", &n); err != nil {
					t.Error(err)
				}
				lost += n
			}
		}
		if kept != auditBurst || changes != 1 || kept+lost != storm {
			t.Errorf("%d refusals kept and %d lost of %d, %d changes", kept, lost, storm, changes)
		}
	})
}

// TestAuditWhileTheLogIsDown: nobody waits, and the gap is told of.
func TestAuditWhileTheLogIsDown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		log := memory.NewFaultyLog(memory.NewLog(), nil)
		out := runAudit(log, func(a *audit) {
			log.SetDown(true)
			for range 7 {
				a.Note(t.Context(), refusedEntry)
			}
			synctest.Wait()
			log.SetDown(false)
			a.Note(t.Context(), refusedEntry)
			synctest.Wait()
		})
		if !strings.Contains(out, "audit is not in the history") {
			t.Error("not said")
		}
		events := historyOf(t, log)
		if len(events) != 2 || events[0].Detail != "7 entries are in the log of the server only" && events[1].Detail != "7 entries are in the log of the server only" {
			t.Errorf("history %+v", events)
		}
	})
}

// TestAuditEndsThoughTheLogIsDown: the end of the server does not wait for it.
func TestAuditEndsThoughTheLogIsDown(t *testing.T) {
	log := memory.NewFaultyLog(memory.NewLog(), nil)
	log.SetDown(true)
	runAudit(log, func(a *audit) {
		for range 1000 {
			a.Note(t.Context(), auth.Entry{Act: "user.update"})
		}
	})
}

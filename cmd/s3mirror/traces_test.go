package main

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	sdk "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"
)

func TestTracesAreOffUnlessAsked(t *testing.T) {
	tracer, end, err := openTraces(t.Context(), defaultConfig().Traces, "n", prometheus.NewRegistry(), slog.New(slog.DiscardHandler))
	if tracer != nil || err != nil {
		t.Errorf("%v %v", tracer, err)
	}
	end()
}

func TestTracesURL(t *testing.T) {
	for endpoint, want := range map[string]string{
		"http://h:4318":          "http://h:4318/v1/traces",
		"http://h:4318/":         "http://h:4318/v1/traces",
		"https://h/otlp/v1/here": "https://h/otlp/v1/here",
	} {
		if got := tracesURL(endpoint); got != want {
			t.Errorf("%s: %s, want %s", endpoint, got, want)
		}
	}
}

// TestTracesEnd shows that what was not sent yet is sent at the end, and that a collector
// that takes nothing holds nobody up.
func TestTracesEnd(t *testing.T) {
	for _, status := range []int{http.StatusOK, http.StatusForbidden} {
		got := make(chan string, 16)
		sink := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			got <- r.URL.Path
			w.WriteHeader(status)
		}))
		reg, said := prometheus.NewRegistry(), &buffer{}
		tracer, end, err := openTraces(t.Context(), TracesConfig{Endpoint: sink.URL, Sample: 1}, "n", reg, slog.New(slog.NewTextHandler(said, nil)))
		if err != nil {
			t.Fatal(err)
		}
		_, span := tracer.Start(t.Context(), "one")
		span.End()
		end()
		sink.Close()
		if path := <-got; path != "/v1/traces" {
			t.Errorf("%d: %s", status, path)
		}
		if lost := strings.Contains(said.String(), "traces are lost"); lost != (status != http.StatusOK) {
			t.Errorf("%d: %s", status, said)
		}
	}
}

type failing struct{ err error }

func (f *failing) ExportSpans(context.Context, []sdk.ReadOnlySpan) error { return f.err }
func (f *failing) Shutdown(context.Context) error                        { return nil }

func TestToldExporter(t *testing.T) {
	f, said := &failing{}, &buffer{}
	counter := func() prometheus.Counter { return prometheus.NewCounter(prometheus.CounterOpts{Name: "spans"}) }
	e := &toldExporter{SpanExporter: f, sent: counter(), lost: counter(), log: slog.New(slog.NewTextHandler(said, nil))}
	spans := tracetest.SpanStubs{{Name: "a"}, {Name: "b"}}.Snapshots()
	for _, err := range []error{nil, errors.New("away"), errors.New("still away"), nil, nil} {
		f.err = err
		if err := e.ExportSpans(t.Context(), spans); err != nil {
			t.Error(err)
		}
	}
	if sent, lost := testutil.ToFloat64(e.sent), testutil.ToFloat64(e.lost); sent != 6 || lost != 4 {
		t.Errorf("sent %v, lost %v", sent, lost)
	}
	if n := strings.Count(said.String(), "\n"); n != 2 {
		t.Errorf("it says\n%s", said)
	}
}

package main

import (
	"context"
	"fmt"
	"log/slog"
	"net/url"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracehttp"
	"go.opentelemetry.io/otel/sdk/resource"
	sdk "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"
)

// traceFinish is how long the last spans may take to be sent at the end.
const traceFinish = time.Second

// openTraces prepares what sends spans; close ends it. Without an endpoint the tracer is
// nil, and nobody makes a span. Whether the collector is there is no condition of the
// start: what it does not take is counted, and lost.
func openTraces(ctx context.Context, cfg TracesConfig, node string, reg prometheus.Registerer, log *slog.Logger) (_ trace.Tracer, end func(), err error) {
	spans := prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "s3mirror_trace_spans_total",
		Help: "Spans given to the OpenTelemetry collector: sent, or lost because it did not take them.",
	}, []string{"result"})
	reg.MustRegister(spans)
	sent, lost := spans.WithLabelValues("sent"), spans.WithLabelValues("lost")
	if cfg.Endpoint == "" {
		return nil, func() {}, nil
	}
	exporter, err := otlptracehttp.New(ctx, otlptracehttp.WithEndpointURL(tracesURL(cfg.Endpoint)),
		otlptracehttp.WithTimeout(5*time.Second),
		otlptracehttp.WithRetry(otlptracehttp.RetryConfig{Enabled: true, InitialInterval: time.Second, MaxInterval: 5 * time.Second, MaxElapsedTime: 15 * time.Second}))
	if err != nil {
		return nil, nil, fmt.Errorf("traces.endpoint: %w", err)
	}
	provider := sdk.NewTracerProvider(
		sdk.WithBatcher(&toldExporter{SpanExporter: exporter, sent: sent, lost: lost, log: log}, sdk.WithBatchTimeout(time.Second)),
		sdk.WithSampler(sdk.ParentBased(sdk.TraceIDRatioBased(cfg.Sample))),
		sdk.WithResource(resource.NewSchemaless(
			attribute.String("service.name", "s3mirror"),
			attribute.String("service.version", version()),
			attribute.String("service.instance.id", node),
		)),
	)
	return provider.Tracer("s3mirror"), func() {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), traceFinish)
		defer cancel()
		if err := provider.Shutdown(ctx); err != nil {
			log.Warn("the last traces were not sent", "error", err)
		}
	}, nil
}

// tracesURL is where OTLP takes traces: below the endpoint, unless that names a path.
func tracesURL(endpoint string) string {
	if u, err := url.Parse(endpoint); err == nil && (u.Path == "" || u.Path == "/") {
		return u.JoinPath("v1", "traces").String()
	}
	return endpoint
}

// toldExporter counts what was sent and what was not, and says when that changes. The
// library itself would write to stderr, line by line.
type toldExporter struct {
	sdk.SpanExporter
	sent, lost prometheus.Counter
	failing    atomic.Bool
	log        *slog.Logger
}

// ExportSpans implements sdk.SpanExporter. Its error is told here and to nobody else.
func (e *toldExporter) ExportSpans(ctx context.Context, spans []sdk.ReadOnlySpan) error {
	err := e.SpanExporter.ExportSpans(ctx, spans)
	if err != nil {
		e.lost.Add(float64(len(spans)))
	} else {
		e.sent.Add(float64(len(spans)))
	}
	switch failed := err != nil; {
	case e.failing.Swap(failed) == failed:
	case failed:
		e.log.WarnContext(ctx, "traces are lost: the collector does not take them", "error", err)
	default:
		e.log.InfoContext(ctx, "the collector takes traces again")
	}
	return nil
}

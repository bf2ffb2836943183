package backend

import (
	"context"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/trace"
)

// Trace returns e with a span for every attempt that is made in a trace which is kept.
// The trace ends here: the endpoint is told nothing of it.
func Trace(e Endpoint, t trace.Tracer) Endpoint {
	return layer{next: e, watch: tracer{t, e.Name()}}
}

// tracer has the spans of one endpoint. A span is made when its attempt is over, since
// what wraps an endpoint does not hand on a context.
type tracer struct {
	trace.Tracer
	name string
}

func (tracer) before(context.Context, Op) (time.Time, error) { return time.Now(), nil }

func (t tracer) after(ctx context.Context, op Op, began time.Time, _ int, err error) bool {
	if !trace.SpanContextFromContext(ctx).IsSampled() {
		return false
	}
	outcome := OutcomeOf(err)
	_, span := t.Start(ctx, string(op)+" "+t.name, trace.WithTimestamp(began), trace.WithSpanKind(trace.SpanKindClient),
		trace.WithAttributes(
			attribute.String("s3mirror.backend", t.name),
			attribute.String("s3mirror.operation", string(op)),
			attribute.String("s3mirror.outcome", outcome.String()),
		))
	if err != nil && outcome != Absent {
		span.SetStatus(codes.Error, outcome.String()) // its text may hold what a client sent
	}
	span.End()
	return false
}

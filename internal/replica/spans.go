package replica

import (
	"context"
	"time"

	"go.opentelemetry.io/otel/attribute"
	otel "go.opentelemetry.io/otel/trace"
)

// spans makes a mutation part of its client's trace. The zero one is of a mutation that
// is not traced, and costs nothing.
type spans struct{ of otel.Span }

// follow takes the span of ctx for the client's, if that is one that is kept.
func (s *spans) follow(ctx context.Context) {
	if span := otel.SpanFromContext(ctx); span.IsRecording() {
		s.of = span
	}
}

// within is base, which outlives the client, as a part of his trace. The requests to
// replicas are made in it, and have spans of their own (backend.Trace).
func (s spans) within(base context.Context) context.Context {
	if s.of == nil {
		return base
	}
	return otel.ContextWithSpan(base, s.of)
}

// phases are told when the mutation has its verdict, since only then it is known which
// ones it passed: a moment that is zero was not reached, and the phase before it ended
// with the verdict.
func (s spans) phases(result string, begun, verified, released, done time.Time) {
	if s.of == nil {
		return
	}
	ctx := otel.ContextWithSpan(context.Background(), s.of)
	tracer := s.of.TracerProvider().Tracer("s3mirror")
	for _, p := range []struct {
		phase
		from, to time.Time
	}{{phaseBody, begun, verified}, {phaseIntent, verified, released}, {phaseReplica, released, done}} {
		if p.from.IsZero() {
			return
		}
		end, ended := p.to, p.to.IsZero()
		if ended {
			end = done
		}
		_, span := tracer.Start(ctx, "write "+string(p.phase), otel.WithTimestamp(p.from))
		if ended || p.phase == phaseReplica {
			span.SetAttributes(attribute.String("s3mirror.result", result))
		}
		span.End(otel.WithTimestamp(end))
	}
}

package gateway

import (
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/trace"

	"github.com/s3mirror/s3mirror/internal/s3"
)

// follow begins the request's span, as a part of the trace that its traceparent names.
func (h *Handler) follow(r *request) {
	if h.Tracer == nil {
		return
	}
	ctx := propagation.TraceContext{}.Extract(r.Context(), propagation.HeaderCarrier(r.Header))
	ctx, r.span = h.Tracer.Start(ctx, "S3", trace.WithTimestamp(r.start), trace.WithSpanKind(trace.SpanKindServer))
	r.Request = r.WithContext(ctx)
}

// endSpan says what became of the request, in the words of the access line.
func (r *request) endSpan(a *answer, err error) {
	if r.span == nil {
		return
	}
	r.span.SetName(r.operation())
	r.span.SetAttributes(
		attribute.String("http.request.method", r.Method),
		attribute.Int("http.response.status_code", a.status),
		attribute.Int64("http.request.body.size", r.upload.bytes),
		attribute.Int64("http.response.body.size", a.bytes),
		attribute.String("aws.request_id", r.id),
	)
	if r.op != nil {
		r.span.SetAttributes(attribute.String("aws.s3.bucket", r.op.Bucket), attribute.String("aws.s3.key", r.op.Key))
	}
	if r.replica != "" {
		r.span.SetAttributes(attribute.String("s3mirror.backend", r.replica))
	}
	if err != nil {
		code := string(s3.ForClient(err).Code)
		r.span.SetAttributes(attribute.String("error.type", code))
		if a.cut || a.status >= 500 {
			r.span.SetStatus(codes.Error, code)
		}
	}
	r.span.End()
}

package heal

import (
	"context"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/trace"

	"github.com/s3mirror/s3mirror/internal/object"
	"github.com/s3mirror/s3mirror/internal/replica"
)

// spans makes traces of what nobody waits for: one for each visit of the healer, and one
// for each step of a job, which has the keys that it looks at below it. A job of hours is
// no trace that anybody could read; its steps have its id. The zero one makes none.
type spans struct{ tracer trace.Tracer }

// begin begins a span, of a trace of its own unless ctx has one. Call end once; failed
// says that what was meant to be done was not, in a word of ours.
func (s spans) begin(ctx context.Context, name string, about ...attribute.KeyValue) (_ context.Context, end func(failed string, about ...attribute.KeyValue)) {
	if s.tracer == nil {
		return ctx, func(string, ...attribute.KeyValue) {}
	}
	ctx, span := s.tracer.Start(ctx, name, trace.WithAttributes(about...))
	return ctx, func(failed string, about ...attribute.KeyValue) {
		// Most visits drop a row and ask no replica: of them there is nothing to tell. A span
		// that is not ended is not kept.
		if s, ok := span.(interface{ ChildSpanCount() int }); ok && s.ChildSpanCount() == 0 && failed == "" {
			return
		}
		span.SetAttributes(about...)
		if failed != "" {
			span.SetStatus(codes.Error, failed)
		}
		span.End()
	}
}

func (s spans) key(ctx context.Context, name string, key object.Key) (context.Context, func(failed string, about ...attribute.KeyValue)) {
	return s.begin(ctx, name, attribute.String("aws.s3.bucket", key.Bucket), attribute.String("aws.s3.key", key.Name))
}

// repair is Set.Repair in a span.
func (s spans) repair(ctx context.Context, set Set, key object.Key) (replica.Report, error) {
	ctx, end := s.key(ctx, "heal", key)
	report, err := set.Repair(ctx, key, object.ID{})
	switch {
	case err != nil:
		end("the key could not be visited")
	case report.Failed:
		end("the visit was not finished")
	default:
		left := report.Row != nil && !report.Row.Quiet(set.Kept(key.Bucket))
		end("", attribute.Bool("s3mirror.left", left))
	}
	return report, err
}

// compare is Set.Compare in a span.
func (s spans) compare(ctx context.Context, set JobSet, key object.Key, c replica.Comparison, act bool) (replica.Verdict, error) {
	ctx, end := s.key(ctx, "compare", key)
	v, err := set.Compare(ctx, key, c, act)
	if err != nil {
		end("the key could not be compared")
	} else {
		end("", attribute.Int("s3mirror.differences", len(v.Faults)))
	}
	return v, err
}

// step is a step of a job in a span; it is told by what it added to the job.
func (s spans) step(ctx context.Context, job *Job, step func(context.Context) (more bool, err error)) (bool, error) {
	was := *job
	ctx, end := s.begin(ctx, "job "+string(job.Kind), attribute.String("s3mirror.job", job.ID))
	more, err := step(ctx)
	failed := ""
	if err != nil {
		failed = "the step was not done" // its text may have a key in it
	}
	end(failed,
		attribute.String("s3mirror.phase", job.Phase),
		attribute.String("aws.s3.bucket", job.At.Bucket),
		attribute.Int64("s3mirror.keys", job.Keys-was.Keys),
		attribute.Int64("s3mirror.differences", job.Differences-was.Differences),
		attribute.Int64("s3mirror.healed", job.Healed-was.Healed),
	)
	return more, err
}

package heal

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"

	"go.opentelemetry.io/otel/codes"
	sdk "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"
	"go.opentelemetry.io/otel/trace"

	"github.com/s3mirror/s3mirror/internal/object"
	"github.com/s3mirror/s3mirror/internal/oplog"
	"github.com/s3mirror/s3mirror/internal/replica"
)

// tracedSet asks a replica for something in each visit, if asks says so.
type tracedSet struct {
	JobSet
	tracer trace.Tracer
	asks   bool
	report replica.Report
	err    error
}

func (s *tracedSet) ask(ctx context.Context) {
	if s.asks {
		_, span := s.tracer.Start(ctx, "head a")
		span.End()
	}
}

func (s *tracedSet) Repair(ctx context.Context, _ object.Key, _ object.ID) (replica.Report, error) {
	s.ask(ctx)
	return s.report, s.err
}

func (s *tracedSet) Compare(ctx context.Context, _ object.Key, _ replica.Comparison, _ bool) (replica.Verdict, error) {
	s.ask(ctx)
	var v replica.Verdict
	v.Faults = slices.Grow(v.Faults, 2)[:2]
	return v, s.err
}

func (s *tracedSet) Kept(string) object.Replicas { return object.NewReplicas("a", "b") }

// TestSpans: a visit in which a replica was asked, or that failed, is a span; one that
// only dropped a row is none; what a step of a job does stands below the step.
func TestSpans(t *testing.T) {
	quiet := &oplog.Row{Good: object.NewReplicas("a", "b")}
	lagging := &oplog.Row{Good: object.NewReplicas("a")}
	key := object.Key{Bucket: "b", Name: "k"}
	repair := func(ctx context.Context, s spans, set *tracedSet) { _, _ = s.repair(ctx, set, key) }
	for _, tc := range []struct {
		name string
		set  tracedSet
		do   func(context.Context, spans, *tracedSet)
		want []string // name, parent's name, status, what the span says
	}{
		{"a row is dropped", tracedSet{}, repair, nil},
		{"a row becomes quiet", tracedSet{asks: true, report: replica.Report{Row: quiet}}, repair,
			[]string{"head a<heal Unset []", "heal< Unset [aws.s3.bucket=b aws.s3.key=k s3mirror.left=false]"}},
		{"something is left", tracedSet{asks: true, report: replica.Report{Row: lagging}}, repair,
			[]string{"head a<heal Unset []", "heal< Unset [aws.s3.bucket=b aws.s3.key=k s3mirror.left=true]"}},
		{"no visit", tracedSet{err: errors.New("the log is away")}, repair, []string{"heal< Error [aws.s3.bucket=b aws.s3.key=k]"}},
		{"half a visit", tracedSet{report: replica.Report{Failed: true}}, repair, []string{"heal< Error [aws.s3.bucket=b aws.s3.key=k]"}},
		{"a step of a job", tracedSet{asks: true}, func(ctx context.Context, s spans, set *tracedSet) {
			job := &Job{ID: "7", Want: Want{Kind: KindScrub}, Keys: 100, Differences: 1}
			_, _ = s.step(ctx, job, func(ctx context.Context) (bool, error) {
				job.Phase, job.At.Bucket = "compare", "b"
				job.Keys += 5
				_, err := s.compare(ctx, set, key, replica.Comparison{}, false)
				return true, err
			})
		}, []string{
			"compare<job scrub Unset [aws.s3.bucket=b aws.s3.key=k s3mirror.differences=2]", "head a<compare Unset []",
			"job scrub< Unset [aws.s3.bucket=b s3mirror.differences=0 s3mirror.healed=0 s3mirror.job=7 s3mirror.keys=5 s3mirror.phase=compare]",
		}},
		{"a step that fails", tracedSet{err: errors.New("the log is away")}, func(ctx context.Context, s spans, set *tracedSet) {
			_, _ = s.step(ctx, &Job{ID: "7", Want: Want{Kind: KindHeal}}, func(ctx context.Context) (bool, error) {
				_, err := s.compare(ctx, set, key, replica.Comparison{}, false)
				return true, err
			})
		}, []string{
			"compare<job heal Error [aws.s3.bucket=b aws.s3.key=k]",
			"job heal< Error [aws.s3.bucket= s3mirror.differences=0 s3mirror.healed=0 s3mirror.job=7 s3mirror.keys=0 s3mirror.phase=]",
		}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			kept := tracetest.NewInMemoryExporter()
			provider := sdk.NewTracerProvider(sdk.WithSyncer(kept))
			tc.set.tracer = provider.Tracer("test")
			tc.do(t.Context(), spans{tc.set.tracer}, &tc.set)
			if got := told(kept.GetSpans()); !slices.Equal(got, tc.want) {
				t.Errorf("%q, want %q", got, tc.want)
			}
			tc.do(t.Context(), spans{}, &tc.set) // it is the same without a tracer
		})
	}
}

func told(kept tracetest.SpanStubs) (list []string) {
	names := map[trace.SpanID]string{}
	for _, s := range kept {
		names[s.SpanContext.SpanID()] = s.Name
	}
	for _, s := range kept {
		var about []string
		for _, a := range s.Attributes {
			about = append(about, string(a.Key)+"="+a.Value.String())
		}
		slices.Sort(about)
		if s.Status.Code == codes.Error && s.Status.Description == "" {
			about = append(about, "no description")
		}
		list = append(list, fmt.Sprintf("%s<%s %s %v", s.Name, names[s.Parent.SpanID()], s.Status.Code, about))
	}
	slices.Sort(list)
	return list
}

package main

import (
	"context"
	"errors"
	"log/slog"
	"net/url"
	"reflect"
	"strings"
	"syscall"
	"testing"

	"github.com/s3mirror/s3mirror/internal/admin"
	"github.com/s3mirror/s3mirror/internal/backend"
	"github.com/s3mirror/s3mirror/internal/memory"
	"github.com/s3mirror/s3mirror/internal/oplog"
	"github.com/s3mirror/s3mirror/internal/probe"
	"github.com/s3mirror/s3mirror/internal/replica"
)

func good() probe.Report {
	return probe.Report{
		Edition: probe.Edition, Endpoint: "http://eu.test", Region: "us-east-1", Level: probe.LevelPlain, PayloadMode: probe.ModeTrailer,
		Probes: []probe.Probe{{Name: probe.BodyTrailer, Result: probe.Yes}, {Name: probe.BodyLiteral, Result: probe.Unsafe}, {Name: probe.BodySigned, Result: probe.No}},
	}
}

// newTestProber answers with rep and err.
func newTestProber(mode string, rep *probe.Report, err *error) *prober {
	return &prober{
		log:     memory.NewLog(),
		places:  &places{of: map[string]spoken{"eu-1": {options: backend.Options{Name: "eu-1", Endpoint: &url.URL{Scheme: "http", Host: "eu.test"}, Region: "us-east-1"}, mode: mode}}},
		logger:  slog.New(slog.DiscardHandler),
		probe:   func(context.Context, backend.Options, string) (probe.Report, error) { return *rep, *err },
		reports: map[string]probe.Report{},
	}
}

func TestProberJudges(t *testing.T) {
	refused := probe.Report{Level: probe.LevelRefused, Reasons: []string{"it keeps what is cut"}, Probes: []probe.Probe{{Name: probe.BodyTrailer, Result: probe.Unsafe}}}
	unsure := probe.Report{Level: probe.LevelRefused, Probes: []probe.Probe{{Name: probe.BodyTrailer, Result: probe.Unknown}}}
	copier := good()
	copier.Probes = append(copier.Probes, probe.Probe{Name: probe.CopyMatch, Result: probe.Yes})
	modern := good()
	modern.Probes = append(modern.Probes, probe.Probe{Name: probe.SumProbe + "xxhash3", Result: probe.Yes}, probe.Probe{Name: probe.SumProbe + "sha512", Result: probe.No})
	bare := good()
	bare.Probes = append(bare.Probes, probe.Probe{Name: probe.TagsKept, Result: probe.No})
	lossy := good()
	lossy.Probes = append(lossy.Probes, probe.Probe{Name: probe.ChecksumEcho, Result: probe.No})
	stale := good()
	stale.Probes = append(stale.Probes, probe.Probe{Name: probe.ReadYourWrite, Result: probe.Unsafe})
	for name, c := range map[string]struct {
		mode  string
		rep   probe.Report
		want  replica.Quality
		unfit bool
		fails bool
	}{
		"the report's mode":            {payloadAuto, good(), replica.Quality{Payload: replica.PayloadTrailer}, false, false},
		"the configuration's mode":     {payloadTrailer, good(), replica.Quality{Payload: replica.PayloadTrailer}, false, false},
		"a mode that it does not know": {payloadSigned, good(), replica.Quality{}, true, true},
		"a server that copies":         {payloadAuto, copier, replica.Quality{Payload: replica.PayloadTrailer, Copies: true}, false, false},
		"a server of new checksums":    {payloadAuto, modern, replica.Quality{Payload: replica.PayloadTrailer, Sums: []string{"xxhash3"}}, false, false},
		"a server that keeps no tags":  {payloadAuto, bare, replica.Quality{Payload: replica.PayloadTrailer, NoTags: true}, false, false},
		"a server that keeps no sums":  {payloadAuto, lossy, replica.Quality{Payload: replica.PayloadTrailer, NoSums: true}, false, false},
		"refused":                      {payloadAuto, refused, replica.Quality{}, true, true},
		"refused for its reads":        {payloadTrailer, stale, replica.Quality{}, true, true},
		"not answered":                 {payloadAuto, unsure, replica.Quality{}, false, true},
	} {
		t.Run(name, func(t *testing.T) {
			var none error
			got, err := newTestProber(c.mode, &c.rep, &none).qualify(t.Context(), "eu-1", "photos")
			var unfit *replica.Unfit
			if !reflect.DeepEqual(got, c.want) || errors.As(err, &unfit) != c.unfit || (err != nil) != c.fails {
				t.Errorf("%+v, %v", got, err)
			}
		})
	}
}

// TestProberRemembers: a backend that went away is judged by what was found
// before, but only of the same endpoint.
func TestProberRemembers(t *testing.T) {
	rep, err := good(), error(nil)
	p := newTestProber(payloadAuto, &rep, &err)
	for range 2 { // the second report replaces the first
		if _, err := p.qualify(t.Context(), "eu-1", "photos"); err != nil {
			t.Fatal(err)
		}
	}
	if doc, err := p.log.Doc(t.Context(), oplog.DocBackend, "eu-1"); err != nil || len(doc.Body) == 0 {
		t.Errorf("the log keeps %s, %v", doc.Body, err)
	}
	if got, ok := p.report("eu-1"); !ok || got.PayloadMode != probe.ModeTrailer {
		t.Errorf("report %+v, %v", got, ok)
	}
	if told := (source{probe: p.report}).probed("eu-1"); told == nil || told.PayloadMode != probe.ModeTrailer || len(told.Findings) != 3 {
		t.Errorf("the admin API tells %+v", told)
	}
	if told := (source{probe: p.report}).probed("eu-2"); told != nil {
		t.Errorf("of a backend that was not probed it tells %+v", told)
	}
	rep, err = probe.Report{}, errors.New("connection refused")
	if got, err := p.qualify(t.Context(), "eu-1", "photos"); err != nil || got.Payload != replica.PayloadTrailer {
		t.Errorf("%+v, %v", got, err)
	}
	o := p.places.options("eu-1")
	o.Region = "eu-central-1"
	p.places.set("eu-1", spoken{options: o, mode: payloadAuto})
	if _, err := p.qualify(t.Context(), "eu-1", "photos"); err == nil {
		t.Error("another endpoint's report was used")
	}
}

// bucketList is what a bucketsOf of a test has.
type bucketList []replica.BucketDetail

func (l bucketList) Buckets(context.Context) ([]replica.Bucket, error) {
	var all []replica.Bucket
	for _, d := range l {
		all = append(all, d.Bucket)
	}
	return all, nil
}

func (l bucketList) Detail(_ context.Context, name string) (replica.BucketDetail, error) {
	for _, d := range l {
		if d.Name == name {
			return d, nil
		}
	}
	return replica.BucketDetail{}, errors.New("no bucket")
}

// TestProbeAnew: in a bucket that the backend has, under its name there; what
// was found replaces what was known, unless the backend could not be asked.
func TestProbeAnew(t *testing.T) {
	rep, err := good(), error(nil)
	p := newTestProber(payloadAuto, &rep, &err)
	asked := ""
	probeIt := p.probe
	p.probe = func(ctx context.Context, o backend.Options, bucket string) (probe.Report, error) {
		asked = bucket
		return probeIt(ctx, o, bucket)
	}
	none := bucketList{{Bucket: replica.Bucket{Name: "a"}, Replicas: []replica.BucketReplica{{Backend: "eu-2", Made: true}, {Backend: "eu-1"}, {Backend: "eu-1", Made: true, Reason: "foreign"}}}}
	if _, err := p.anew(none)(t.Context(), "eu-1"); !errors.Is(err, admin.ErrNoBucket) || asked != "" {
		t.Errorf("%v, asked in %q", err, asked)
	}
	some := append(none, replica.BucketDetail{Bucket: replica.Bucket{Name: "b"}, Replicas: []replica.BucketReplica{{Backend: "eu-1", Name: "b-real", Made: true}}})
	src := source{places: p.places, probe: p.report, qualify: p.anew(some)}
	got, e := src.Qualify(t.Context(), "eu-1")
	if e != nil || asked != "b-real" || got.PayloadMode != probe.ModeTrailer || len(got.Findings) != 3 {
		t.Errorf("%+v %v, asked in %q", got, e, asked)
	}
	if kept, ok := p.kept(t.Context(), "eu-1"); !ok || kept.PayloadMode != probe.ModeTrailer {
		t.Errorf("kept %+v", kept)
	}
	if _, e := src.Qualify(t.Context(), "eu-9"); !errors.Is(e, admin.ErrUnknownBackend) {
		t.Errorf("%v", e)
	}
	rep, err = probe.Report{}, syscall.ECONNREFUSED
	if _, e := src.Qualify(t.Context(), "eu-1"); !errors.Is(e, admin.ErrBackendAway) || !strings.Contains(e.Error(), "refused") {
		t.Errorf("%v", e)
	}
	if known, ok := p.report("eu-1"); !ok || known.PayloadMode != probe.ModeTrailer {
		t.Errorf("what was known is gone: %+v", known)
	}
}

// TestProberScouts: without a bucket a report is kept and judged as any other is; where none can be
// made, what the log knows is no answer: the first bucket asks.
func TestProberScouts(t *testing.T) {
	rep, err := good(), error(nil)
	p := newTestProber(payloadAuto, &rep, &err)
	if _, err := p.qualify(t.Context(), "eu-1", "photos"); err != nil {
		t.Fatal(err)
	}
	asked := "never"
	p.alone = func(_ context.Context, _ backend.Options, bucket string) (probe.Report, error) {
		asked = bucket
		return rep, err
	}
	newer := good()
	newer.PayloadMode = probe.ModeSigned
	rep, err = newer, probe.ErrLeft
	if got, err := p.scout(t.Context(), "eu-1"); err != nil || got.Payload != replica.PayloadSigned || asked != "" {
		t.Errorf("%+v %v, asked in %q", got, err, asked)
	}
	if kept, ok := p.kept(t.Context(), "eu-1"); !ok || kept.PayloadMode != probe.ModeSigned {
		t.Errorf("kept %+v", kept)
	}
	denied := errors.New("AccessDenied")
	rep, err = probe.Report{}, denied
	if _, err := p.scout(t.Context(), "eu-1"); !errors.Is(err, denied) {
		t.Errorf("%v", err)
	}
	rep, err = probe.Report{}, nil
	if _, err := p.scout(t.Context(), "eu-1"); err == nil {
		t.Error("a report of nothing was taken")
	}
	var unfit *replica.Unfit
	rep, err = good(), nil
	rep.Level, rep.Reasons = probe.LevelRefused, []string{"it keeps what is cut"}
	rep.Probes = []probe.Probe{{Name: probe.BodyTrailer, Result: probe.Unsafe}}
	if _, err := p.scout(t.Context(), "eu-1"); !errors.As(err, &unfit) {
		t.Errorf("%v", err)
	}
}

package main

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/s3mirror/s3mirror/internal/admin"
	"github.com/s3mirror/s3mirror/internal/backend"
	"github.com/s3mirror/s3mirror/internal/oplog"
	"github.com/s3mirror/s3mirror/internal/probe"
	"github.com/s3mirror/s3mirror/internal/replica"
)

// payloads are the configuration's words, and the reports', in the engine's.
var payloads = map[string]replica.Payload{
	payloadAuto: replica.PayloadAuto, payloadTrailer: replica.PayloadTrailer, payloadSigned: replica.PayloadSigned,
}

// bodyProbes are what each payload mode rests on.
var bodyProbes = map[string][]string{
	payloadAuto:    {probe.BodyLiteral, probe.CutLiteral, probe.BodyTrailer, probe.CutTrailer},
	payloadTrailer: {probe.BodyTrailer, probe.CutTrailer},
	payloadSigned:  {probe.BodySigned, probe.CutSigned},
}

// prober makes sure of each backend once after the start, and keeps the reports
// in the log: they serve while a backend is probed anew, and tell an operator
// what was found. It is safe for concurrent use.
type prober struct {
	log    oplog.Documents
	places *places
	logger *slog.Logger
	probe  func(ctx context.Context, o backend.Options, bucket string) (probe.Report, error)
	alone  func(ctx context.Context, o backend.Options, bucket string) (probe.Report, error) // in a bucket that it makes, where none is named

	mu      sync.Mutex
	reports map[string]probe.Report // of this process
}

func newProber(at *places, log oplog.Documents, logger *slog.Logger) *prober {
	return &prober{log: log, places: at, logger: logger, probe: brief, alone: aloneBriefly, reports: map[string]probe.Report{}}
}

// brief are the probes of a backend that is to serve: `s3mirror qualify` takes its time.
func brief(ctx context.Context, o backend.Options, bucket string) (probe.Report, error) {
	rep, err := probe.Run(ctx, o, bucket, probe.Brief())
	if errors.Is(err, probe.ErrLeft) { // it is below .s3mirror/, and the next run tries again
		err = nil
	}
	return rep, err
}

// qualify is a replica.Qualifier. A backend that went away in the middle is
// judged by the last whole report of the same endpoint, if there is one.
func (p *prober) qualify(ctx context.Context, name, bucket string) (replica.Quality, error) {
	began := time.Now()
	rep, err := p.probe(ctx, p.places.options(name), bucket)
	return p.found(ctx, name, began, rep, err)
}

// scout is a replica.Scout. Where no bucket can be made for it, as by a key that is for one
// bucket alone, that is an error, whatever the log knows: the backend is asked in the
// first bucket of ours.
func (p *prober) scout(ctx context.Context, name string) (replica.Quality, error) {
	began := time.Now()
	rep, err := p.alone(ctx, p.places.options(name), "")
	if rep.Level == "" {
		return replica.Quality{}, cmp.Or(err, errors.New("the probes found nothing"))
	}
	if err != nil { // errors beside a report are of what is left behind
		p.logger.WarnContext(ctx, "probes left something behind", "backend", name, "error", err)
	}
	return p.found(ctx, name, began, rep, nil)
}

// found keeps and judges what the probes found since began.
func (p *prober) found(ctx context.Context, name string, began time.Time, rep probe.Report, err error) (replica.Quality, error) {
	switch {
	case err == nil && rep.Whole():
		if err := p.keep(ctx, name, rep); err != nil {
			p.logger.WarnContext(ctx, "report on a backend could not be kept", "backend", name, "error", err)
		}
	default:
		old, known := p.kept(ctx, name)
		if err != nil && !known {
			return replica.Quality{}, err
		}
		if known {
			rep = old
		}
	}
	p.mu.Lock()
	p.reports[name] = rep
	p.mu.Unlock()
	mode, err := p.judge(name, rep)
	p.logger.InfoContext(ctx, "backend was probed", "backend", name, "level", rep.Level, "payload_mode", mode,
		"taken", rep.Taken, "duration", time.Since(began).Round(time.Millisecond), "odd", odd(rep), "error", err)
	return quality(mode, rep), err
}

func quality(mode string, rep probe.Report) replica.Quality {
	q := replica.Quality{
		Payload: payloads[mode], Copies: rep.Result(probe.CopyMatch) == probe.Yes, NoTags: rep.Result(probe.TagsKept) == probe.No,
		NoSums:    rep.Result(probe.ChecksumEcho) == probe.No,
		ClassTold: rep.Result(probe.ClassUntold) == probe.No,
		Sums:      rep.Sums(), Composed: rep.Result(probe.MultipartETag) == probe.Yes && rep.Result(probe.PartSizes) == probe.Yes,
	}
	q.Refuses, q.Mixes = rep.Keys()
	return q
}

// recall is what the log knows of a backend from before the start.
func (p *prober) recall(ctx context.Context) func(string) (replica.Quality, bool) {
	return func(name string) (replica.Quality, bool) {
		rep, ok := p.kept(ctx, name)
		return quality(rep.PayloadMode, rep), ok
	}
}

// judge is the payload mode to use: the configuration's, else the report's.
func (p *prober) judge(name string, rep probe.Report) (string, error) {
	one, _ := p.places.get(name)
	return judge(name, one.mode, rep)
}

// judge is the payload mode to use where one is configured: that, else the report's. A
// *replica.Unfit says why the backend must not hold replicas.
func judge(name, mode string, rep probe.Report) (string, error) {
	if rep.Level == probe.LevelRefused && mode == payloadAuto {
		if !rep.Whole() {
			return "", fmt.Errorf("backend %s could not be probed: %v", name, rep.Reasons)
		}
		return "", &replica.Unfit{Reason: fmt.Sprint(rep.Reasons)}
	}
	if mode == payloadAuto {
		return rep.PayloadMode, nil
	}
	for _, body := range bodyProbes[mode] {
		if got := rep.Result(body); got == probe.Unsafe || got == probe.No {
			return "", &replica.Unfit{Reason: fmt.Sprintf("payload_mode %s is configured, and %s is %s", mode, body, got)}
		}
	}
	if rep.Result(probe.ReadYourWrite) == probe.Unsafe {
		return "", &replica.Unfit{Reason: fmt.Sprint(rep.Reasons)}
	}
	return mode, nil
}

// odd are the findings that an operator may want to know of.
func odd(rep probe.Report) []string {
	var out []string
	for _, f := range rep.Probes {
		if f.Result != probe.Yes {
			out = append(out, f.Name+": "+string(f.Result))
		}
	}
	return out
}

// kept is the report in the log, if it is of this endpoint and of these probes.
func (p *prober) kept(ctx context.Context, name string) (probe.Report, bool) {
	doc, err := p.log.Doc(ctx, oplog.DocBackend, name)
	var rep probe.Report
	if err != nil || json.Unmarshal(doc.Body, &rep) != nil {
		return probe.Report{}, false
	}
	o := p.places.options(name)
	return rep, o.Endpoint != nil && rep.Edition == probe.Edition && rep.Endpoint == o.Endpoint.String() && rep.Region == o.Region
}

// keep writes a report over the one that is there.
func (p *prober) keep(ctx context.Context, name string, rep probe.Report) error {
	body, err := json.Marshal(rep)
	if err != nil {
		return err
	}
	doc, err := p.log.Doc(ctx, oplog.DocBackend, name)
	if err != nil && !errors.Is(err, oplog.ErrNoRow) {
		return err
	}
	return p.log.SwapDoc(ctx, doc.Epoch, oplog.Doc{Kind: oplog.DocBackend, Name: name, Epoch: oplog.NewEpoch(), Body: body})
}

// report is what was found of a backend since the start.
func (p *prober) report(name string) (probe.Report, bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	rep, ok := p.reports[name]
	return rep, ok
}

// bucketsOf is the part of a replica.Set that tells where a backend can be probed.
type bucketsOf interface {
	Buckets(ctx context.Context) ([]replica.Bucket, error)
	Detail(ctx context.Context, bucket string) (replica.BucketDetail, error)
}

// anew probes a backend once more, in the first bucket that it has.
func (p *prober) anew(set bucketsOf) func(ctx context.Context, name string) (probe.Report, error) {
	return func(ctx context.Context, name string) (probe.Report, error) {
		all, err := set.Buckets(ctx)
		if err != nil {
			return probe.Report{}, err
		}
		for _, b := range all {
			d, err := set.Detail(ctx, b.Name)
			if err != nil {
				return probe.Report{}, err
			}
			for _, r := range d.Replicas {
				if r.Backend == name && r.Made && r.Reason == "" {
					return p.again(ctx, name, r.Name)
				}
			}
		}
		return probe.Report{}, admin.ErrNoBucket
	}
}

func (p *prober) again(ctx context.Context, name, bucket string) (probe.Report, error) {
	rep, err := p.probe(ctx, p.places.options(name), bucket)
	if err != nil {
		p.logger.WarnContext(ctx, "backend could not be probed anew", "backend", name, "error", err)
		return rep, fmt.Errorf("%w: %s", admin.ErrBackendAway, advice(err))
	}
	if rep.Whole() {
		if err := p.keep(ctx, name, rep); err != nil {
			return rep, fmt.Errorf("keep the report on %s: %w", name, err)
		}
		p.mu.Lock()
		p.reports[name] = rep
		p.mu.Unlock()
	}
	return rep, nil
}

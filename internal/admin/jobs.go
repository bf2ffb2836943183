package admin

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/s3mirror/s3mirror/internal/admin/api"
	"github.com/s3mirror/s3mirror/internal/heal"
)

// Jobs is long work: a *heal.Jobs. Its errors are heal's sentinels, or the log's.
type Jobs interface {
	Start(ctx context.Context, w heal.Want, by string) (heal.Job, error)
	Job(ctx context.Context, id string) (heal.Job, error)
	List(ctx context.Context) ([]heal.Job, error) // the oldest first
	Findings(ctx context.Context, id string, page int) ([]heal.Finding, error)
	End(ctx context.Context, id string) (heal.Job, error)
}

// Job and JobFinding are the documents, as the description has them.
type (
	Job        = api.Job
	JobFinding = api.JobFinding
)

// jobProblem is what the caller is told of an error of Jobs.
func jobProblem(err error) error {
	var busy *heal.Busy
	switch {
	case errors.As(err, &busy):
		return problem(http.StatusConflict, "job-under-way", "Such a job is under way", "it is %s", busy.ID)
	case errors.Is(err, heal.ErrNoJob):
		return problem(http.StatusNotFound, "unknown-job", "There is no such job", "")
	case errors.Is(err, heal.ErrWrong):
		return problem(http.StatusBadRequest, "bad-job", "That is no job", "%s", strings.TrimPrefix(err.Error(), heal.ErrWrong.Error()+": "))
	}
	return err
}

// Jobs lists them, the newest first.
func (h face) Jobs(ctx context.Context, r api.JobsRequestObject) (api.JobsResponseObject, error) {
	limit, err := limitOf(r.Params.Limit)
	if err != nil {
		return nil, err
	}
	all, err := h.Handler.Jobs.List(ctx)
	if err != nil {
		return nil, fmt.Errorf("jobs: %w", err)
	}
	slices.Reverse(all)
	page := api.JobPage{Jobs: []Job{}}
	for _, job := range all {
		switch before := value(r.Params.Cursor); {
		case before != "" && job.ID >= before:
		case len(page.Jobs) == limit:
			page.Cursor = page.Jobs[limit-1].ID
			return api.Jobs200JSONResponse(page), nil
		default:
			page.Jobs = append(page.Jobs, jobDocument(job))
		}
	}
	return api.Jobs200JSONResponse(page), nil
}

// StartJob asks for one.
func (h face) StartJob(ctx context.Context, r api.StartJobRequestObject) (api.StartJobResponseObject, error) {
	want := *r.Body
	job, err := h.start(ctx, heal.Want{
		Kind: heal.Kind(want.Kind), Bucket: want.Bucket, Backend: want.Backend, Deep: want.Deep, Source: want.Source, MaxLoss: want.MaxLoss,
	})
	return api.StartJob202JSONResponse{JobJSONResponse: api.JobJSONResponse(job)}, err
}

func (h face) start(ctx context.Context, w heal.Want) (Job, error) {
	c := callOf(ctx)
	c.target, c.detail = short(strings.TrimSpace(string(w.Kind)+" "+w.Bucket+" "+w.Backend)), short(describeWant(w))
	for _, backend := range []string{w.Backend, w.Source} {
		if backend != "" && !slices.Contains(h.Handler.Replication.Names(), backend) {
			return Job{}, fmt.Errorf("%w: %q", ErrUnknownBackend, backend)
		}
	}
	job, err := h.Handler.Jobs.Start(ctx, w, c.who.Login)
	if err != nil {
		return Job{}, fmt.Errorf("start a job: %w", jobProblem(err))
	}
	c.detail = short(c.detail + ", job " + job.ID)
	return jobDocument(job), nil
}

// describeWant is what was asked for, for the audit.
func describeWant(w heal.Want) string {
	text := string(w.Kind)
	for _, part := range []struct{ name, value string }{{"bucket", w.Bucket}, {"backend", w.Backend}, {"source", w.Source}} {
		if part.value != "" {
			text += " of " + part.name + " " + part.value
		}
	}
	if w.Deep {
		text += ", deep"
	}
	if w.MaxLoss != 0 {
		text += fmt.Sprintf(", max_loss %d", w.MaxLoss)
	}
	return text
}

// GetJob is one of them, with a page of what it found.
func (h face) GetJob(ctx context.Context, r api.GetJobRequestObject) (api.GetJobResponseObject, error) {
	page := 0
	if c := value(r.Params.Cursor); c != "" {
		n, err := strconv.Atoi(c)
		if err != nil || n < 0 {
			return nil, problem(http.StatusBadRequest, "bad-parameter", "Wrong parameter", "cursor: it is not one of ours")
		}
		page = n
	}
	job, err := h.Handler.Jobs.Job(ctx, r.ID)
	if err != nil {
		return nil, fmt.Errorf("job %q: %w", r.ID, jobProblem(err))
	}
	doc := jobDocument(job)
	if page < job.Pages {
		found, err := h.Handler.Jobs.Findings(ctx, r.ID, page)
		if err != nil {
			return nil, fmt.Errorf("findings of job %q: %w", r.ID, err)
		}
		for _, f := range found {
			doc.Findings = append(doc.Findings, findingDocument(f))
		}
	}
	if page+1 < job.Pages {
		doc.Cursor = strconv.Itoa(page + 1)
	}
	return api.GetJob200JSONResponse{JobJSONResponse: api.JobJSONResponse(doc)}, nil
}

// EndJob lets one end, or forgets it.
func (h face) EndJob(ctx context.Context, r api.EndJobRequestObject) (api.EndJobResponseObject, error) {
	c := callOf(ctx)
	c.target = short(r.ID)
	job, err := h.Handler.Jobs.End(ctx, r.ID)
	if err != nil {
		return nil, fmt.Errorf("end job %q: %w", r.ID, jobProblem(err))
	}
	c.detail = short(describeWant(job.Want))
	return api.EndJob200JSONResponse{JobJSONResponse: api.JobJSONResponse(jobDocument(job))}, nil
}

// DrainBackend takes a backend out of use.
func (h face) DrainBackend(ctx context.Context, r api.DrainBackendRequestObject) (api.DrainBackendResponseObject, error) {
	job, err := h.start(ctx, heal.Want{Kind: heal.KindDrain, Backend: r.Name})
	return api.DrainBackend202JSONResponse{JobJSONResponse: api.JobJSONResponse(job)}, err
}

func jobDocument(j heal.Job) Job {
	at, _ := keyDocument(string(j.At.After))
	doc := Job{
		ID: j.ID, Kind: api.JobKind(j.Kind), State: api.JobState(j.State), Bucket: j.Bucket, Backend: j.Backend, Deep: j.Deep, Source: j.Source,
		By: j.By, Node: j.Node, Created: j.Created, Started: moment(j.Started), Updated: j.Updated, Ended: moment(j.Ended), Cancelling: j.Cancel && !j.State.Over(),
		Phase: j.Phase, AtBucket: j.At.Bucket, AtKey: at, Left: j.Left, Keys: j.Keys, Bytes: j.Bytes,
		Differences: j.Differences, Healed: j.Healed, Undecided: j.Undecided, Missing: j.Missing, Problem: j.Problem,
		Findings: []JobFinding{},
	}
	return doc
}

func findingDocument(f heal.Finding) JobFinding {
	key, encoded := keyDocument(string(f.Key))
	return JobFinding{
		Bucket: f.Bucket, Key: key, KeyEncoded: encoded, Backend: f.Backend,
		What: api.JobFindingWhat(f.What), Seen: f.Seen, Want: f.Want, Done: api.JobFindingDone(f.Done),
	}
}

// keyDocument is a key as documents have it.
func keyDocument(key string) (shown, encoded string) {
	if utf8.ValidString(key) {
		return key, ""
	}
	return strings.ToValidUTF8(key, "\uFFFD"), percentEncode(key)
}

// jobsSeen is what a stream of events has told of jobs.
type jobsSeen map[string]time.Time

// changed are the jobs that came forward since the last look; of the first look those
// that are not over.
func (seen jobsSeen) changed(all []heal.Job, first bool) (out []Job) {
	now := map[string]bool{}
	for _, j := range all {
		now[j.ID] = true
		if was, ok := seen[j.ID]; ok && was.Equal(j.Updated) {
			continue
		}
		seen[j.ID] = j.Updated
		if !first || !j.State.Over() {
			out = append(out, jobDocument(j))
		}
	}
	for id := range seen {
		if !now[id] {
			delete(seen, id)
		}
	}
	return out
}

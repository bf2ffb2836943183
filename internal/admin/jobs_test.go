package admin_test

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/s3mirror/s3mirror/internal/admin"
	"github.com/s3mirror/s3mirror/internal/admin/api"
	"github.com/s3mirror/s3mirror/internal/backend"
	"github.com/s3mirror/s3mirror/internal/heal"
	"github.com/s3mirror/s3mirror/internal/memory"
)

// jobOf asks for a job's document until it is over.
func (f *fixture) jobOf(t *testing.T, id string) admin.Job {
	t.Helper()
	for {
		job, err := admin.Do[admin.Job](t.Context(), f.client, func(a *api.Client) (*http.Response, error) { return a.GetJob(t.Context(), id, &api.GetJobParams{}) })
		if err != nil {
			t.Fatal(err)
		}
		if heal.JobState(job.State).Over() {
			return job
		}
	}
}

// stray puts an object on one backend, past the gateway.
func (e *engine) stray(t *testing.T, name, key string) {
	t.Helper()
	endpoint, err := url.Parse(e.servers[name].URL)
	if err != nil {
		t.Fatal(err)
	}
	remote, err := backend.NewRemote(backend.Options{Name: name, Endpoint: endpoint, Region: "us-east-1", AccessKeyID: "k", SecretAccessKey: "s"})
	if err != nil {
		t.Fatal(err)
	}
	defer remote.Close()
	body, framing := backend.FromBytes([]byte("stray"))
	if _, err := remote.Put(t.Context(), backend.PutRequest{Bucket: "photos", Key: key, Size: 5, Body: body, Framing: framing}); err != nil {
		t.Fatal(err)
	}
}

func (f *fixture) start(t *testing.T, w api.NewJob) (admin.Job, error) {
	t.Helper()
	return admin.Do[admin.Job](t.Context(), f.client, func(a *api.Client) (*http.Response, error) { return a.StartJob(t.Context(), w) })
}

// typeOf is the end of a problem's type.
func typeOf(err error) string {
	var p *admin.Problem
	if !errors.As(err, &p) {
		return ""
	}
	return strings.TrimPrefix(p.Type, "urn:s3mirror:problem:")
}

func TestAScrubIsAskedForAndTellsWhatItFound(t *testing.T) {
	f, e := newEngineFixture(t)
	e.stray(t, "eu-1", "stray.txt")
	job, err := f.start(t, api.NewJob{Kind: api.JobKindScrub, Bucket: "photos"})
	if err != nil || job.By != "root" || job.State != api.JobStateWaiting {
		t.Fatalf("%+v, %v", job, err)
	}
	job = f.jobOf(t, job.ID)
	if job.State != api.JobStateDone || job.Differences != 2 || len(job.Findings) != 2 {
		t.Fatalf("%+v", job)
	}
	found := job.Findings[0]
	if found.Key != "stray.txt" || found.Backend != "eu-2" || found.What != api.FoundMissing || found.Bucket != "photos" {
		t.Errorf("%+v", found)
	}
	page, err := admin.Do[api.JobPage](t.Context(), f.client, func(a *api.Client) (*http.Response, error) { return a.Jobs(t.Context(), &api.JobsParams{}) })
	if err != nil || len(page.Jobs) != 1 || page.Jobs[0].ID != job.ID {
		t.Errorf("%+v, %v", page, err)
	}
	entries := f.audit.Take()
	if last := entries[len(entries)-1]; last.Act != "startJob" || last.Actor != "root" || !strings.Contains(last.Detail, "scrub of bucket photos, job "+job.ID) {
		t.Errorf("audit %+v", last)
	}
	if _, err := admin.Do[admin.Job](t.Context(), f.client, func(a *api.Client) (*http.Response, error) { return a.EndJob(t.Context(), job.ID) }); err != nil {
		t.Error(err)
	}
	if _, err := admin.Do[admin.Job](t.Context(), f.client, func(a *api.Client) (*http.Response, error) {
		return a.GetJob(t.Context(), job.ID, &api.GetJobParams{})
	}); typeOf(err) != "unknown-job" {
		t.Errorf("a forgotten job: %v", err)
	}
}

func TestWhatIsNoJobIsRefused(t *testing.T) {
	f, _ := newEngineFixture(t)
	for _, c := range []struct {
		want    api.NewJob
		problem string
	}{
		{api.NewJob{Kind: "other"}, "bad-job"},
		{api.NewJob{Kind: api.JobKindResync}, "bad-job"},
		{api.NewJob{Kind: api.JobKindResync, Backend: "nobody"}, "unknown-backend"},
		{api.NewJob{Kind: api.JobKindAdopt, Bucket: "b", Source: "nobody"}, "unknown-backend"},
	} {
		if _, err := f.start(t, c.want); typeOf(err) != c.problem {
			t.Errorf("%+v: %v", c.want, err)
		}
	}
	for path, status := range map[string]int{
		"/api/v1/replication/jobs/none": 404, "/api/v1/replication/jobs/none?cursor=x": 400, "/api/v1/replication/jobs?limit=0": 400,
	} {
		if resp, body := f.do(t, "GET", path, "root"); resp.StatusCode != status {
			t.Errorf("%s: %d %s", path, resp.StatusCode, body)
		}
	}
	if resp, _ := f.do(t, "DELETE", "/api/v1/replication/jobs/none", "root"); resp.StatusCode != 404 {
		t.Errorf("end of no job: %d", resp.StatusCode)
	}
}

// fakeJobs is an admin.Jobs of a test.
type fakeJobs struct {
	mu    sync.Mutex // guards what follows
	jobs  []heal.Job
	pages [][]heal.Finding
	err   error
}

func (f *fakeJobs) set(jobs ...heal.Job) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.jobs = jobs
}

func (f *fakeJobs) Start(context.Context, heal.Want, string) (heal.Job, error) {
	return heal.Job{}, f.err
}
func (f *fakeJobs) End(context.Context, string) (heal.Job, error) { return heal.Job{}, f.err }
func (f *fakeJobs) Findings(_ context.Context, _ string, page int) ([]heal.Finding, error) {
	return f.pages[page], f.err
}
func (f *fakeJobs) List(context.Context) ([]heal.Job, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return append([]heal.Job(nil), f.jobs...), f.err
}
func (f *fakeJobs) Job(_ context.Context, id string) (heal.Job, error) {
	for _, j := range f.jobs {
		if j.ID == id {
			return j, f.err
		}
	}
	return heal.Job{}, heal.ErrNoJob
}

func TestFindingsAndJobsArePaged(t *testing.T) {
	fake := &fakeJobs{pages: [][]heal.Finding{{{Key: []byte("a"), What: "missing", Done: "due"}}, {{Key: []byte("b\xff"), What: "bytes", Done: "healed"}}}}
	fake.set(heal.Job{ID: "1", Pages: 2}, heal.Job{ID: "2"}, heal.Job{ID: "3"})
	f := newFixture(t, func(o *admin.Options) { o.Jobs = fake })
	var doc admin.Job
	if _, body := f.do(t, "GET", "/api/v1/replication/jobs/1", "root"); json.Unmarshal([]byte(body), &doc) != nil || doc.Cursor != "1" || len(doc.Findings) != 1 || doc.Findings[0].Key != "a" {
		t.Errorf("%s", body)
	}
	doc = admin.Job{}
	if _, body := f.do(t, "GET", "/api/v1/replication/jobs/1?cursor=1", "root"); json.Unmarshal([]byte(body), &doc) != nil || doc.Cursor != "" || doc.Findings[0].KeyEncoded != "b%FF" {
		t.Errorf("%s", body)
	}
	var page api.JobPage
	if _, body := f.do(t, "GET", "/api/v1/replication/jobs?limit=2", "root"); json.Unmarshal([]byte(body), &page) != nil || len(page.Jobs) != 2 || page.Jobs[0].ID != "3" || page.Cursor != "2" {
		t.Errorf("%s", body)
	}
	page = api.JobPage{}
	if _, body := f.do(t, "GET", "/api/v1/replication/jobs?limit=2&cursor=2", "root"); json.Unmarshal([]byte(body), &page) != nil || len(page.Jobs) != 1 || page.Jobs[0].ID != "1" || page.Cursor != "" {
		t.Errorf("%s", body)
	}
	fake.err = &heal.Busy{ID: "7"}
	f2 := newFixture(t, func(o *admin.Options) { o.Jobs, o.Replication = fake, names{} })
	if _, err := f2.start(t, api.NewJob{Kind: api.JobKindScrub}); typeOf(err) != "job-under-way" || !strings.Contains(err.Error(), "it is 7") {
		t.Errorf("%v", err)
	}
}

// names are backends that nothing is set of.
type names struct{ admin.Replication }

func (names) Names() []string { return []string{"eu-1"} }

// TestEventsTellOfJobs as they come forward, and of those alone.
func TestEventsTellOfJobs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		u, src, fake := newUsers(t, memory.NewLog()), &source{}, &fakeJobs{}
		src.set(admin.Status{Version: "v1"}, nil)
		at := time.Now()
		fake.set(heal.Job{ID: "old", State: heal.JobDone, Updated: at}, heal.Job{ID: "new", State: heal.JobRunning, Updated: at, Keys: 1})
		r := listen(admin.New(admin.Options{
			Source: src, Logins: u.logins, Accounts: u.accounts, Jobs: fake, Log: slog.New(slog.DiscardHandler), Metrics: prometheus.NewRegistry(),
		}), "root")
		want := func(state api.JobState, keys int64) {
			t.Helper()
			var job admin.Job
			if name, data := r.next(t); name != "job" || json.Unmarshal([]byte(data), &job) != nil || job.ID != "new" || job.State != state || job.Keys != keys {
				t.Fatalf("%s %s", name, data)
			}
		}
		if name, _ := r.next(t); name != "status" {
			t.Fatal(name)
		}
		want(api.JobStateRunning, 1)
		fake.set(heal.Job{ID: "new", State: heal.JobDone, Updated: at.Add(time.Second), Keys: 9})
		want(api.JobStateDone, 9)
		r.leave()
		<-r.ended
	})
}

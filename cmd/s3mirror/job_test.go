package main

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/s3mirror/s3mirror/internal/admin"
	"github.com/s3mirror/s3mirror/internal/heal"
	"github.com/s3mirror/s3mirror/internal/memory"
	"github.com/s3mirror/s3mirror/internal/replica"
)

// fakeJobs is an admin.Jobs that ends each job at the second look, as a test wants it.
type fakeJobs struct {
	mu    sync.Mutex // guards what follows
	wants []heal.Want
	job   heal.Job
	looks int
	found []heal.Finding
	ended bool
	err   error
}

func (f *fakeJobs) Start(_ context.Context, w heal.Want, by string) (heal.Job, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.wants, f.looks = append(f.wants, w), 0
	f.job.ID, f.job.Want, f.job.By, f.job.Created = "7", w, by, time.Now()
	job := f.job
	job.State = heal.JobWaiting
	return job, f.err
}

func (f *fakeJobs) Job(_ context.Context, id string) (heal.Job, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if id != "7" {
		return heal.Job{}, heal.ErrNoJob
	}
	job := f.job
	if f.looks++; f.looks < 2 {
		job.State, job.Phase, job.Problem, job.Pages = heal.JobRunning, "compare", "", 0
	}
	return job, nil
}

func (f *fakeJobs) List(context.Context) ([]heal.Job, error) { return []heal.Job{f.job}, nil }
func (f *fakeJobs) Findings(_ context.Context, _ string, page int) ([]heal.Finding, error) {
	return f.found[page : page+1], nil
}
func (f *fakeJobs) End(context.Context, string) (heal.Job, error) {
	f.ended = true
	return f.job, nil
}

// twoBackends are those that a job may name.
type twoBackends struct{ admin.Replication }

func (twoBackends) Names() []string                  { return []string{"eu-1", "eu-2"} }
func (twoBackends) Pauses() map[string]replica.Pause { return nil }

func jobServer(t *testing.T, jobs admin.Jobs) environ {
	t.Helper()
	accounts, logins := testUsers(t, memory.NewLog())
	server := httptest.NewServer(admin.New(admin.Options{
		Source: &fakeSource{}, Jobs: jobs, Replication: twoBackends{}, Logins: logins, Accounts: accounts, Log: slog.New(slog.DiscardHandler), Metrics: prometheus.NewRegistry(),
	}))
	t.Cleanup(func() {
		http.DefaultTransport.(*http.Transport).CloseIdleConnections()
		server.Close()
	})
	return environment("S3MIRROR_ADDR", server.URL, "S3MIRROR_USER", "root", "S3MIRROR_PASSWORD", "secret")
}

func TestJobCommandsAskForWhatTheySay(t *testing.T) {
	jobs := &fakeJobs{job: heal.Job{State: heal.JobDone, Keys: 3}}
	env := jobServer(t, jobs)
	for _, c := range []struct {
		args string
		want heal.Want
	}{
		{"scrub", heal.Want{Kind: heal.KindScrub}},
		{"scrub photos --deep --max-loss 50", heal.Want{Kind: heal.KindScrub, Bucket: "photos", Deep: true, MaxLoss: 50}},
		{"resync --backend eu-2", heal.Want{Kind: heal.KindResync, Backend: "eu-2"}},
		{"heal photos --backend eu-1", heal.Want{Kind: heal.KindHeal, Bucket: "photos", Backend: "eu-1"}},
		{"adopt photos --source eu-1", heal.Want{Kind: heal.KindAdopt, Bucket: "photos", Source: "eu-1"}},
		{"backend drain eu-2", heal.Want{Kind: heal.KindDrain, Backend: "eu-2"}},
	} {
		code, out, errs := command(t, env, strings.Fields(c.args)...)
		if code != exitDone || jobs.wants[len(jobs.wants)-1] != c.want || !strings.Contains(out, string(c.want.Kind)+" done: 3 keys") {
			t.Errorf("%s: %d, asked for %+v\n%s%s", c.args, code, jobs.wants[len(jobs.wants)-1], out, errs)
		}
		if !strings.Contains(errs, string(c.want.Kind)+" waiting") {
			t.Errorf("%s: progress %q", c.args, errs)
		}
	}
	for _, args := range []string{"resync", "scrub a b", "adopt", "backend drain", "heal a b", "job show", "job cancel"} {
		if code, _, errs := command(t, env, strings.Fields(args)...); code != exitUsage {
			t.Errorf("%s: %d %s", args, code, errs)
		}
	}
}

func TestScrubTellsEachDifferenceAndExits3(t *testing.T) {
	jobs := &fakeJobs{job: heal.Job{State: heal.JobDone, Keys: 9, Differences: 2, Healed: 1, Pages: 2}, found: []heal.Finding{
		{Bucket: "photos", Key: []byte("a b"), Backend: "eu-1", What: "missing", Seen: "nothing", Want: "3 bytes, etag x", Done: "healed"},
		{Bucket: "photos", Key: []byte("c"), Backend: "eu-2", What: "bytes", Done: "due"},
	}}
	env := jobServer(t, jobs)
	code, out, errs := command(t, env, "scrub")
	if code != exitNotConverged || !strings.Contains(errs, errDifferences.Error()) {
		t.Errorf("exit %d, %s", code, errs)
	}
	for _, want := range []string{`"a b"`, "eu-1", "missing", "healed", "eu-2", "bytes", "due", "scrub done: 9 keys, 2 differences, 1 healed"} {
		if !strings.Contains(out, want) {
			t.Errorf("%s\nlacks %q", out, want)
		}
	}
	code, out, _ = command(t, env, "scrub", "--output", "json")
	var doc admin.Job
	if err := json.Unmarshal([]byte(out), &doc); code != exitNotConverged || err != nil || len(doc.Findings) != 2 || doc.Cursor != "" {
		t.Errorf("exit %d, %v: %s", code, err, out)
	}
}

func TestAJobThatFailsSaysWhy(t *testing.T) {
	jobs := &fakeJobs{job: heal.Job{State: heal.JobFailed, Problem: "eu-2 lacks too much", Differences: 4}}
	env := jobServer(t, jobs)
	if code, _, errs := command(t, env, "scrub"); code != exitFailed || !strings.Contains(errs, "the job failed: eu-2 lacks too much") {
		t.Errorf("exit %d, %s", code, errs)
	}
	jobs.job.State = heal.JobCancelled
	if code, _, errs := command(t, env, "heal"); code != exitFailed || !strings.Contains(errs, "somebody ended it") {
		t.Errorf("exit %d, %s", code, errs)
	}
	jobs.err = &heal.Busy{ID: "3"}
	if code, _, errs := command(t, env, "heal"); code != exitFailed || !strings.Contains(errs, "it is 3") || !strings.Contains(errs, "s3mirror job cancel") {
		t.Errorf("exit %d, %s", code, errs)
	}
}

func TestJobsAreListedShownAndCancelled(t *testing.T) {
	jobs := &fakeJobs{job: heal.Job{State: heal.JobDone, Keys: 3}}
	env := jobServer(t, jobs)
	if code, out, errs := command(t, env, "scrub", "--detach"); code != exitDone || !strings.Contains(out, "s3mirror job show 7") {
		t.Errorf("%d %s%s", code, out, errs)
	}
	if code, out, _ := command(t, env, "job", "list"); code != exitDone || !strings.Contains(out, "scrub") || !strings.Contains(out, "root") {
		t.Errorf("%d %s", code, out)
	}
	if code, out, _ := command(t, env, "job", "show", "7"); code != exitDone || !strings.Contains(out, "scrub running") {
		t.Errorf("%d %s", code, out)
	}
	if code, out, _ := command(t, env, "job", "cancel", "7"); code != exitDone || !jobs.ended || !strings.Contains(out, "is over") {
		t.Errorf("%d %s", code, out)
	}
	if code, _, errs := command(t, env, "job", "show", "8"); code != exitFailed || !strings.Contains(errs, "s3mirror job list") {
		t.Errorf("%d %s", code, errs)
	}
	if code, out, _ := command(t, env, "__complete", "job", "show", ""); code != exitDone || !strings.Contains(out, "7") {
		t.Errorf("%d %s", code, out)
	}
}

// Whoever stops waiting is told that the job goes on.
func TestTheWaitForAJobIsInterrupted(t *testing.T) {
	jobs := &fakeJobs{job: heal.Job{State: heal.JobRunning}}
	env := jobServer(t, jobs)
	ctx, stop := context.WithCancel(t.Context())
	stop()
	c := call{printer: &printer{}, ctx: ctx}
	_, err := c.await(&progress{out: &buffer{}}, admin.Job{ID: "7", State: "running"})
	if !errors.Is(err, errLeft) || !strings.Contains(err.Error(), "s3mirror job show 7") {
		t.Error(err)
	}
	_ = env
}

func TestTheBarOfATerminal(t *testing.T) {
	var out buffer
	p := &progress{out: &out, bar: true}
	p.show(admin.Job{Kind: "resync", Phase: "compare", AtBucket: "photos", Keys: 5})
	p.show(admin.Job{Kind: "resync", Phase: "copy", Left: 100})
	p.show(admin.Job{Kind: "resync", Phase: "copy", Left: 50})
	p.end()
	for _, want := range []string{"[-###--------------------] resync, compare photos: 5 keys", "[------------------------] ", "[############------------] ", "50 left"} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("%q lacks %q", out.String(), want)
		}
	}
	if !strings.HasSuffix(out.String(), "\r\x1b[K") {
		t.Error("the bar stays")
	}
}

package heal

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.opentelemetry.io/otel/trace"

	"github.com/s3mirror/s3mirror/internal/object"
	"github.com/s3mirror/s3mirror/internal/oplog"
	"github.com/s3mirror/s3mirror/internal/replica"
)

// JobSet is what jobs work on; *replica.Set is one.
type JobSet interface {
	Set
	Hold(share string) (done func(), ok bool)
	Names() []string
	BucketsOn(backend string) []string
	Refills() []replica.Refill
	Nominate(ctx context.Context, bucket string, c replica.Comparison, after string, most int) (replica.Nominees, error)
	Compare(ctx context.Context, key object.Key, c replica.Comparison, act bool) (replica.Verdict, error)
	Withdraw(ctx context.Context, bucket, backend string) error
	Since(bucket string) uint64
	Restore(ctx context.Context, bucket, backend string, since uint64) error
	Adopt(ctx context.Context, bucket, source string) (string, error)
	Vouch(ctx context.Context, bucket string) error
	Pause(ctx context.Context, backend string, until time.Time) error
	Resume(ctx context.Context, backend string) error
}

// JobLog is the part of the log that jobs need.
type JobLog interface {
	Rows
	oplog.Documents
}

// JobsOptions are those of Jobs. Set and Log are required.
type JobsOptions struct {
	Set  JobSet
	Log  JobLog
	Node string // name of this node, for people

	Every   time.Duration // between two looks at what there is to do, and two records of how far it is. 1 s
	Keep    time.Duration // how long a job that is over is remembered. 7 days
	AtOnce  int           // jobs that this node does at a time. 4
	Workers int           // keys that one job looks at at a time. 8

	Logger     *slog.Logger          // nil: slog.Default()
	Registerer prometheus.Registerer // nil: none
	Tracer     trace.Tracer          // nil: nothing is traced
}

// Jobs does long work: one node does each job, and goes on where another one was stopped.
// A job is a document; whoever has the share that it falls to takes it by a
// compare-and-set, and records its cursor as it goes (docs/decisions/0040). Safe for
// concurrent use.
type Jobs struct {
	o       JobsOptions
	store   store
	metrics *jobMetrics
	spans   spans
	wake    chan struct{} // has room for one

	mu      sync.Mutex // guards what follows
	running map[string]context.CancelCauseFunc
}

// errCancelled ends a job that somebody wants to end.
var errCancelled = errors.New("job was cancelled")

// NewJobs prepares the runner. Nothing runs until Run does.
func NewJobs(o JobsOptions) *Jobs {
	o.Every, o.Keep = cmp.Or(o.Every, time.Second), cmp.Or(o.Keep, 7*24*time.Hour)
	o.AtOnce, o.Workers = cmp.Or(o.AtOnce, 4), cmp.Or(o.Workers, 8)
	if o.Logger == nil {
		o.Logger = slog.Default()
	}
	if o.Registerer == nil {
		o.Registerer = prometheus.NewRegistry()
	}
	return &Jobs{o: o, store: store{o.Log}, metrics: newJobMetrics(o.Registerer), spans: spans{o.Tracer}, wake: make(chan struct{}, 1), running: map[string]context.CancelCauseFunc{}}
}

// Start asks for a job; some node does it soon. ErrWrong, ErrBusy, the log's errors.
func (j *Jobs) Start(ctx context.Context, w Want, by string) (Job, error) {
	if err := w.check(); err != nil {
		return Job{}, err
	}
	all, err := j.store.all(ctx)
	if err != nil {
		return Job{}, err
	}
	for _, other := range all {
		if !other.State.Over() && w.clashes(other.Want) {
			return Job{}, &Busy{other.ID}
		}
	}
	now := time.Now().UTC()
	job := Job{ID: newJobID(now), Want: w, By: by, State: JobWaiting, Created: now, Updated: now}
	if err := j.store.write(ctx, &job); err != nil {
		return Job{}, err
	}
	j.nudge()
	return job, nil
}

func (j *Jobs) nudge() {
	select {
	case j.wake <- struct{}{}:
	default:
	}
}

// Job reads one. ErrNoJob.
func (j *Jobs) Job(ctx context.Context, id string) (Job, error) { return j.store.read(ctx, id) }

// List reads all, the oldest first.
func (j *Jobs) List(ctx context.Context) ([]Job, error) { return j.store.all(ctx) }

// Findings are those of one page of a job; the pages are 0 to Job.Pages-1.
func (j *Jobs) Findings(ctx context.Context, id string, page int) ([]Finding, error) {
	list, _, err := j.store.findings(ctx, id, page)
	return list, err
}

// End makes a job end where it is; one that is over is forgotten. ErrNoJob.
func (j *Jobs) End(ctx context.Context, id string) (Job, error) {
	for {
		job, err := j.store.read(ctx, id)
		switch {
		case err != nil:
			return Job{}, err
		case job.State.Over():
			return job, j.store.drop(ctx, job)
		}
		job.Cancel = true
		if job.State == JobWaiting && job.Started.IsZero() { // nobody has begun
			job.over(JobCancelled, "")
		}
		err = j.store.write(ctx, &job)
		if errors.Is(err, oplog.ErrConflict) {
			continue
		}
		if err == nil {
			j.cancel(id)
		}
		return job, err
	}
}

func (j *Jobs) cancel(id string) {
	j.mu.Lock()
	defer j.mu.Unlock()
	if stop := j.running[id]; stop != nil {
		stop(errCancelled)
	}
}

func (job *Job) over(state JobState, problem string) {
	job.State, job.Problem, job.Ended = state, problem, time.Now().UTC()
	job.Updated, job.Phase = job.Ended, ""
}

// Run takes jobs and does them until ctx is done; then those of this node stand where
// they are, and whoever has their share next goes on. It returns nil.
func (j *Jobs) Run(ctx context.Context) error {
	var wg sync.WaitGroup
	defer wg.Wait()
	for {
		if err := j.look(ctx, &wg); err != nil && ctx.Err() == nil {
			j.o.Logger.Warn("jobs could not be looked at", "error", err)
		}
		t := time.NewTimer(j.o.Every)
		select {
		case <-ctx.Done():
			t.Stop()
			return nil
		case <-j.wake:
			t.Stop()
		case <-t.C:
		}
	}
}

// look takes what is this node's to do.
func (j *Jobs) look(ctx context.Context, wg *sync.WaitGroup) error {
	all, err := j.store.all(ctx)
	if err != nil {
		return err
	}
	for _, job := range all {
		switch {
		case job.State.Over():
			if time.Since(job.Ended) > j.o.Keep {
				j.forget(ctx, job)
			}
		case job.Cancel:
			j.cancel(job.ID)
			fallthrough
		default:
			j.take(ctx, job, wg)
		}
	}
	return j.refill(ctx, all)
}

func (j *Jobs) forget(ctx context.Context, job Job) {
	if done, ok := j.o.Set.Hold(replica.ShareOfJob(job.ID)); ok {
		defer done()
		if err := j.store.drop(ctx, job); err != nil {
			j.o.Logger.Warn("an old job could not be forgotten", "job", job.ID, "error", err)
		}
	}
}

// take begins a job, or goes on with it, if it falls to this node and there is room.
func (j *Jobs) take(ctx context.Context, job Job, wg *sync.WaitGroup) {
	j.mu.Lock()
	_, mine := j.running[job.ID]
	full := len(j.running) >= j.o.AtOnce
	j.mu.Unlock()
	if mine || full {
		return
	}
	done, ok := j.o.Set.Hold(replica.ShareOfJob(job.ID))
	if !ok {
		return
	}
	job.State, job.Node, job.Updated = JobRunning, j.o.Node, time.Now().UTC()
	if job.Started.IsZero() {
		job.Started = job.Updated
	}
	if err := j.store.write(ctx, &job); err != nil {
		done()
		if !errors.Is(err, oplog.ErrConflict) {
			j.o.Logger.Warn("job could not be taken", "job", job.ID, "error", err)
		}
		return
	}
	ctx, stop := context.WithCancelCause(ctx)
	j.mu.Lock()
	j.running[job.ID] = stop
	j.mu.Unlock()
	j.o.Logger.Info("job is under way", "job", job.ID, "kind", job.Kind, "bucket", job.Bucket, "backend", job.Backend, "by", job.By)
	wg.Go(func() {
		defer done()
		defer stop(nil)
		j.run(ctx, &job)
		j.mu.Lock()
		delete(j.running, job.ID)
		j.mu.Unlock()
		j.nudge()
	})
}

// pauses are those before a step is tried again that could not be made.
const (
	firstRetry = time.Second
	lastRetry  = 15 * time.Second
)

// run does a job, step by step.
func (j *Jobs) run(ctx context.Context, job *Job) {
	w := j.workOf(job)
	saved, retry := time.Now(), firstRetry
	for {
		pages, phase := job.Pages, job.Phase
		more, err := j.step(ctx, w, job)
		switch {
		case errors.Is(context.Cause(ctx), errCancelled):
			j.finish(ctx, job, JobCancelled, "")
			return
		case ctx.Err() != nil || errors.Is(err, errGiven):
			job.State = JobWaiting
			j.save(context.WithoutCancel(ctx), job)
			return
		case err == nil && !more:
			j.finish(ctx, job, JobDone, job.Problem)
			return
		case err == nil:
			job.Problem, retry = "", firstRetry
		default:
			var failed *failure
			if errors.As(err, &failed) {
				j.finish(ctx, job, JobFailed, failed.text)
				return
			}
			job.Problem = replica.Why(err)
			j.o.Logger.Debug("job has to wait", "job", job.ID, "error", err)
		}
		if err != nil || time.Since(saved) >= j.o.Every || job.Pages != pages || job.Phase != phase {
			saved = time.Now()
			if !j.save(ctx, job) {
				return
			}
		}
		if err != nil {
			sleep(ctx, retry)
			retry = min(2*retry, lastRetry)
		}
	}
}

// errGiven: another node is to go on.
var errGiven = errors.New("the job is another node's now")

// failure ends a job.
type failure struct{ text string }

func (f *failure) Error() string { return f.text }

func failed(format string, args ...any) error { return &failure{fmt.Sprintf(format, args...)} }

// work is what a kind of job does, a piece at a time: more says that there is another one.
// It moves the job's cursor only behind what is done.
type work interface {
	step(ctx context.Context, job *Job) (more bool, err error)
}

func (j *Jobs) step(ctx context.Context, w work, job *Job) (bool, error) {
	done, ok := j.o.Set.Hold(replica.ShareOfJob(job.ID))
	if !ok {
		return false, errGiven
	}
	defer done()
	return j.spans.step(ctx, job, func(ctx context.Context) (bool, error) { return w.step(ctx, job) })
}

func (j *Jobs) workOf(job *Job) work {
	switch job.Kind {
	case KindScrub:
		return &scrub{jobs: j}
	case KindResync:
		return &resync{jobs: j}
	case KindAdopt:
		return &adoption{jobs: j}
	case KindDrain:
		return &drain{jobs: j}
	case KindHeal:
	}
	return &dueWork{jobs: j}
}

// save records how far the job is; false: it is somebody else's now, or gone.
func (j *Jobs) save(ctx context.Context, job *Job) bool {
	job.Updated = time.Now().UTC()
	for {
		err := j.store.write(ctx, job)
		if err == nil {
			return true
		}
		now, readErr := j.store.read(ctx, job.ID)
		switch {
		case readErr == nil && now.epoch == job.epoch: // it was refused: the next one counts
			j.o.Logger.Warn("the state of a job could not be recorded", "job", job.ID, "error", err)
			return true
		case readErr != nil && !errors.Is(readErr, ErrNoJob):
			return ctx.Err() == nil
		case readErr != nil || now.Node != job.Node || now.State.Over():
			return false
		}
		if job.epoch = now.epoch; now.Cancel && !job.Cancel {
			job.Cancel = true
			j.cancel(job.ID)
		}
	}
}

// finish ends a job. It is tried until the log takes it, or the node ends: then the job
// goes on from its cursor.
func (j *Jobs) finish(ctx context.Context, job *Job, state JobState, problem string) {
	job.over(state, problem)
	j.metrics.over(job)
	j.o.Logger.Info("job is over", "job", job.ID, "kind", job.Kind, "state", state, "problem", problem, "differences", job.Differences)
	free := context.WithoutCancel(ctx)
	for range 20 {
		if !j.save(free, job) {
			return
		}
		if now, err := j.store.read(free, job.ID); err == nil && now.State.Over() {
			return
		}
		sleep(free, firstRetry)
	}
}

// refillPause is how long a replica that could not be filled again is left alone.
const refillPause = time.Minute

// behindPause is how long one that was left behind is left alone after its resync failed, which
// has a reason that an operator has to look at.
const behindPause = time.Hour

// refill begins a resync for each replica that lost its bucket, joined one, or was left behind.
func (j *Jobs) refill(ctx context.Context, all []Job) error {
	done, ok := j.o.Set.Hold(replica.ShareOfJob(""))
	if !ok {
		return nil
	}
	defer done()
	for _, r := range j.o.Set.Refills() {
		w := Want{Kind: KindResync, Bucket: r.Bucket, Backend: r.Backend, Beside: !r.Joins && !r.Behind}
		wait := false
		for _, job := range all {
			pause := refillPause
			if r.Behind && job.State != JobDone {
				pause = behindPause
			}
			wait = wait || job.Want == w && job.State.Over() && time.Since(job.Ended) < pause
		}
		if wait {
			continue
		}
		if _, err := j.Start(ctx, w, "node"); err != nil && !errors.Is(err, ErrBusy) {
			return err
		}
	}
	return nil
}

package main

import (
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/spf13/cobra"

	"github.com/s3mirror/s3mirror/internal/admin"
	"github.com/s3mirror/s3mirror/internal/admin/api"
)

// What long work may come to.
var (
	errDifferences = errors.New("there were differences")
	errJob         = errors.New("the job failed")
	errLeft        = errors.New("interrupted; the job goes on")
)

func newScrub(std streams, env environ) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "scrub [BUCKET]",
		Short: "Compare the replicas of a bucket, or of all, and mend what differs",
		Long: `Compare the replicas of a bucket, or of all: which keys each has, their sizes and ETags;
with --deep every byte. What differs is listed, and healed from the replicas that are
right: an object that some replica lacks is copied to it, a copy whose bytes are not what
they should be is written anew. It exits 3 when there were differences, healed or not.

Where one backend lacks more than --max-loss percent of the keys it stops: a backend that
was replaced is for s3mirror resync.`,
		Args: atMost(1, "name one BUCKET, or none for all"),
	}
	deep := cmd.Flags().Bool("deep", false, "read and compare every byte")
	loss := lossFlag(cmd, "how many percent of the keys one backend may lack before it stops")
	cmd.ValidArgsFunction = completeNames(env, bucketNames)
	return jobCommand(cmd, std, env, func(args []string) (api.NewJob, error) {
		return api.NewJob{Kind: api.JobKindScrub, Bucket: first(args), Deep: *deep, MaxLoss: *loss}, nil
	})
}

func newResync(std streams, env environ) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "resync --backend BACKEND [BUCKET]",
		Short: "Make the replica on a backend like the others: one that was replaced, or away for long",
		Long: `Make the replica of a bucket, or of all, on one backend like the others: what it lacks is
copied to it, what it alone holds is deleted there. Reads pass it by until it was compared
to the end; writes go to it all the time.

Where more than --max-loss percent of the keys would be deleted it stops.`,
		Example: "  s3mirror resync --backend eu-2",
		Args:    atMost(1, "name one BUCKET, or none for all"),
	}
	backend := backendFlag(cmd, env, "the backend that is made like the others")
	loss := lossFlag(cmd, "how many percent of the keys may be deleted before it stops")
	cmd.ValidArgsFunction = completeNames(env, bucketNames)
	return jobCommand(cmd, std, env, func(args []string) (api.NewJob, error) {
		if *backend == "" {
			return api.NewJob{}, usageError{errors.New("--backend: name the one that is made like the others")}
		}
		return api.NewJob{Kind: api.JobKindResync, Bucket: first(args), Backend: *backend, MaxLoss: *loss}, nil
	})
}

func newHeal(std streams, env environ) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "heal [BUCKET]",
		Short: "Visit what the log says is left to do now, and wait until it is done",
		Long: `Visit every key that some backend misses now, instead of when its turn comes, and wait
until nothing is left. It fails when what is left waits for a backend that is away.`,
		Args: atMost(1, "name one BUCKET, or none for all"),
	}
	backend := backendFlag(cmd, env, "only what this backend misses")
	cmd.ValidArgsFunction = completeNames(env, bucketNames)
	return jobCommand(cmd, std, env, func(args []string) (api.NewJob, error) {
		return api.NewJob{Kind: api.JobKindHeal, Bucket: first(args), Backend: *backend}, nil
	})
}

func newAdopt(std streams, env environ) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "adopt BUCKET",
		Short: "Put a bucket under management that stands on the backends with objects in it",
		Long: `Put a bucket under management that stands on the backends with objects in it. Clients may
use it at once: it is read from the source alone until every replica was listed and
compared. What some replica lacks is copied to it, whichever has it. Where two hold
different objects under one key the source's stands.`,
		Args: exactly(1, "name one BUCKET"),
	}
	source := cmd.Flags().String("source", "", "the backend whose objects stand where replicas differ; without it the first that has objects")
	completeFlag(cmd, "source", env, backendNames)
	return jobCommand(cmd, std, env, func(args []string) (api.NewJob, error) {
		return api.NewJob{Kind: api.JobKindAdopt, Bucket: args[0], Source: *source}, nil
	})
}

func newBackendDrain(std streams, env environ) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "drain BACKEND",
		Short: "Take a backend out of use, in order",
		Long: `Take a backend out of use: what rests on it alone is copied to others first, then it is
paused. s3mirror backend resume takes it in again.`,
		Args: exactly(1, nameOneBackend),
	}
	cmd.ValidArgsFunction = completeNames(env, backendNames)
	return jobCommand(cmd, std, env, func(args []string) (api.NewJob, error) {
		return api.NewJob{Kind: api.JobKindDrain, Backend: args[0]}, nil
	})
}

func lossFlag(cmd *cobra.Command, usage string) *int {
	return cmd.Flags().Int("max-loss", 0, usage+" (0: 10; 100: never)")
}

func backendFlag(cmd *cobra.Command, env environ, usage string) *string {
	f := cmd.Flags().String("backend", "", usage)
	completeFlag(cmd, "backend", env, backendNames)
	return f
}

// first is the one argument, if it was given.
func first(args []string) string {
	if len(args) == 0 {
		return ""
	}
	return args[0]
}

// jobCommand makes a command that asks for long work and, unless it is detached, waits
// for its end.
func jobCommand(cmd *cobra.Command, std streams, env environ, want func(args []string) (api.NewJob, error)) *cobra.Command {
	detach := cmd.Flags().Bool("detach", false, "do not wait for its end: s3mirror job show tells how far it is")
	return clientCommand(cmd, std, env, func(c call, args []string) error {
		w, err := want(args)
		if err != nil {
			return err
		}
		job, err := admin.Do[admin.Job](c.ctx, c.client, func(a *api.Client) (*http.Response, error) {
			if w.Kind == api.JobKindDrain {
				return a.DrainBackend(c.ctx, w.Backend)
			}
			return a.StartJob(c.ctx, w)
		})
		switch {
		case err != nil:
			return err
		case *detach && c.output == "json":
			return c.document(job, nil)
		case *detach:
			c.line("job %s: s3mirror job show %s tells how far it is", job.ID, job.ID)
			return c.err
		}
		if job, err = c.await(newProgress(std, env), job); err != nil {
			return err
		}
		if err := c.job(job); err != nil {
			return err
		}
		return verdictOf(job)
	})
}

// jobEvery is the pause between two looks at a job.
const jobEvery = 500 * time.Millisecond

// await waits until a job is over, and returns it with all that it found.
func (c call) await(p *progress, job admin.Job) (admin.Job, error) {
	defer p.end()
	for !isOver(job) {
		p.show(job)
		t := time.NewTimer(jobEvery)
		select {
		case <-c.ctx.Done():
			t.Stop()
			return job, fmt.Errorf("%w: s3mirror job show %s", errLeft, job.ID)
		case <-t.C:
		}
		now, err := c.jobPage(job.ID, "")
		var p *admin.Problem
		switch {
		case err == nil:
			job = now
		case c.ctx.Err() != nil, errors.As(err, &p) && p.Status < http.StatusInternalServerError:
			return job, err
		default: // a node that restarts: the job goes on elsewhere, or then
			c.now = time.Now()
		}
	}
	return c.wholeJob(job.ID)
}

func (c call) jobPage(id, cursor string) (admin.Job, error) {
	params := &api.GetJobParams{}
	if cursor != "" {
		params.Cursor = &cursor
	}
	return admin.Do[admin.Job](c.ctx, c.client, func(a *api.Client) (*http.Response, error) { return a.GetJob(c.ctx, id, params) })
}

// wholeJob is a job with every page of what it found.
func (c call) wholeJob(id string) (admin.Job, error) {
	job, err := c.jobPage(id, "")
	for next := job.Cursor; err == nil && next != ""; {
		var page admin.Job
		page, err = c.jobPage(id, next)
		job.Findings = append(job.Findings, page.Findings...)
		next = page.Cursor
	}
	job.Cursor = ""
	return job, err
}

func isOver(job admin.Job) bool {
	return job.State == api.JobStateDone || job.State == api.JobStateFailed || job.State == api.JobStateCancelled
}

// verdictOf is what a job that is over makes of the command.
func verdictOf(job admin.Job) error {
	switch {
	case job.State == api.JobStateFailed:
		return fmt.Errorf("%w: %s", errJob, job.Problem)
	case job.State == api.JobStateCancelled:
		return fmt.Errorf("%w: somebody ended it", errJob)
	case job.Kind == api.JobKindScrub && job.Differences > 0:
		return errDifferences
	}
	return nil
}

// job prints one.
func (c call) job(job admin.Job) error {
	if c.output == "json" {
		return c.document(job, nil)
	}
	var rows [][]any
	for _, f := range job.Findings {
		key := f.Key
		if f.KeyEncoded != "" {
			key = f.KeyEncoded
		}
		rows = append(rows, []any{f.Bucket, fmt.Sprintf("%q", key), list(words([]string{f.Backend}), "-"), string(f.What), f.Seen, f.Want, string(f.Done)})
	}
	if len(rows) > 0 {
		c.table([]any{"Bucket", "Key", "Backend", "What", "Is", "Should be", "Done"}, rows)
	}
	c.line("%s", c.jobLine(job))
	return c.err
}

// jobLine sums a job up.
func (c call) jobLine(job admin.Job) string {
	state := string(job.State)
	switch job.State {
	case api.JobStateDone:
		state = c.good(state)
	case api.JobStateFailed, api.JobStateCancelled:
		state = c.bad(state)
	case api.JobStateRunning, api.JobStateWaiting:
	}
	return fmt.Sprintf("%s %s: %s", job.Kind, state, figures(job))
}

// figures are those of a job, in words.
func figures(job admin.Job) string {
	text := keys(job.Keys)
	if job.Bytes > 0 {
		text += ", " + size(job.Bytes)
	}
	switch job.Kind {
	case api.JobKindScrub, api.JobKindResync, api.JobKindAdopt:
		text += fmt.Sprintf(", %d differences", job.Differences)
	case api.JobKindHeal, api.JobKindDrain:
	}
	if job.Healed > 0 {
		text += fmt.Sprintf(", %d healed", job.Healed)
	}
	if job.Left > 0 {
		text += fmt.Sprintf(", %d left", job.Left)
	}
	if job.Problem != "" {
		text += "; " + job.Problem
	}
	return text
}

// newJobs is `s3mirror job`.
func newJobs(std streams, env environ) *cobra.Command {
	cmd := &cobra.Command{Use: "job", Short: "Long work: heal, resync, scrub, adopt and drain, as it stands", Args: noArgs, RunE: needsCommand}
	cmd.AddCommand(newJobList(std, env), newJobShow(std, env), newJobCancel(std, env))
	return cmd
}

func newJobList(std streams, env environ) *cobra.Command {
	cmd := &cobra.Command{Use: "list", Short: "List what is under way, and what was of late", Args: noArgs}
	return clientCommand(cmd, std, env, func(c call, _ []string) error {
		const page = 1000
		limit := page
		p, err := admin.Do[api.JobPage](c.ctx, c.client, func(a *api.Client) (*http.Response, error) {
			return a.Jobs(c.ctx, &api.JobsParams{Limit: &limit})
		})
		if err != nil || c.output == "json" {
			return c.document(p, err)
		}
		var rows [][]any
		for _, j := range p.Jobs {
			rows = append(rows, []any{j.ID, string(j.Kind), list(words([]string{j.Bucket}), "all"), list(words([]string{j.Backend}), "-"), string(j.State), j.By, c.ago(&j.Created), figures(j)})
		}
		c.table([]any{"Job", "Kind", "Bucket", "Backend", "State", "By", "Begun", ""}, rows)
		return c.err
	})
}

func newJobShow(std streams, env environ) *cobra.Command {
	cmd := &cobra.Command{Use: "show JOB", Short: "Show how far a job is, and what it found", Args: exactly(1, "name one JOB")}
	cmd.ValidArgsFunction = completeNames(env, jobNames)
	return clientCommand(cmd, std, env, func(c call, args []string) error {
		job, err := c.wholeJob(args[0])
		if err != nil {
			return err
		}
		return c.job(job)
	})
}

func newJobCancel(std streams, env environ) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "cancel JOB",
		Short: "Let a job end where it is; forget one that is over",
		Long: `Let a job end where it is; what it has done stays. One that is over is forgotten. A replica
that a resync had not finished with serves no reads until another resync has.`,
		Args: exactly(1, "name one JOB"),
	}
	cmd.ValidArgsFunction = completeNames(env, jobNames)
	return clientCommand(cmd, std, env, func(c call, args []string) error {
		job, err := admin.Do[admin.Job](c.ctx, c.client, func(a *api.Client) (*http.Response, error) { return a.EndJob(c.ctx, args[0]) })
		if err != nil || c.output == "json" {
			return c.document(job, err)
		}
		if isOver(job) {
			c.line("job %s is over: %s", job.ID, c.jobLine(job))
		} else {
			c.line("job %s is ending", job.ID)
		}
		return c.err
	})
}

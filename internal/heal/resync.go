package heal

import (
	"context"

	"github.com/s3mirror/s3mirror/internal/replica"
)

// resync makes a replica like the others: one that is new, was lost, or was away so long
// that nobody knows what it misses. Reads pass it by until every key that it does not hold
// as the others do has a row (R28); then it serves, for the rows say what it lacks, and
// the rest is copying.
type resync struct {
	jobs *Jobs
	rest *dueWork // the copying; nil: comparing
}

func (r *resync) step(ctx context.Context, job *Job) (bool, error) {
	if r.rest != nil {
		more, err := r.rest.step(ctx, job)
		job.Phase = "copy"
		return more, err
	}
	bucket, ok := job.bucket(r.jobs.o.Set)
	if !ok {
		r.rest = &dueWork{jobs: r.jobs}
		return true, nil
	}
	job.Phase = "compare"
	c := replica.Comparison{Target: job.Backend}
	if job.Beside {
		c = replica.Comparison{Beside: job.Backend}
	}
	if len(job.At.After) == 0 {
		if err := r.begin(ctx, job, bucket); err != nil {
			return true, err
		}
	}
	over, err := r.jobs.match(ctx, job, bucket, c)
	if err != nil || !over {
		return true, err
	}
	switch err := r.jobs.o.Set.Restore(ctx, bucket, job.Backend, job.At.Since); {
	case replica.IsUnfitting(err):
		job.At = Place{Bucket: bucket}
		return true, err
	case err != nil && !replica.IsGone(err):
		return true, err
	}
	job.pass(bucket, "")
	return true, nil
}

// begin has reads pass the replica by, which they do if its bucket was lost, before the first
// key of a bucket is compared.
func (r *resync) begin(ctx context.Context, job *Job, bucket string) (err error) {
	if !job.Beside {
		err = r.jobs.o.Set.Withdraw(ctx, bucket, job.Backend)
	}
	job.At.Since = r.jobs.o.Set.Since(bucket)
	switch {
	case replica.IsGone(err) && job.Bucket == "":
		return nil
	case replica.IsGone(err):
		return failed("bucket %s is not there", bucket)
	case replica.IsUnfitting(err):
		return failed("%s", replica.Unfitting(err))
	}
	return err
}

// match gives every key of a part of a bucket a row that is not alike everywhere; over:
// that was the last part. What is taken away is bounded, and what nobody can decide ends
// the job before the replica serves.
func (j *Jobs) match(ctx context.Context, job *Job, bucket string, c replica.Comparison) (over bool, err error) {
	n, keys, err := j.nominate(ctx, job, bucket, c)
	if err != nil {
		return false, err
	}
	if len(n.Silent) > 0 && c.Prefer != "" {
		return false, anyOf(n.Silent) // all have to be compared
	}
	if c.Target != "" {
		found, err := j.compare(ctx, job, keys, c, false)
		if err != nil {
			return false, err
		}
		if err := job.removals(found, int64(len(n.Names))); err != nil {
			return false, err
		}
	}
	found, err := j.compare(ctx, job, keys, c, true)
	if err != nil {
		return false, err
	}
	differences := int64(0)
	for _, v := range found {
		switch v.State {
		case replica.Differs:
			differences++
		case replica.Undecided:
			if len(v.Silent) > 0 {
				return false, failedSoon(v.key.Name)
			}
			return false, failed("nothing says what key %q of bucket %s should hold: write it again", v.key.Name, bucket)
		case replica.Unknowing:
			return false, failedSoon(v.key.Name)
		case replica.Alike:
			if must := c.Target + c.Beside; must == "" && len(v.Silent) > 0 || v.Silent.Has(must) {
				return false, failedSoon(v.key.Name) // who is compared did not answer
			}
		case replica.Pending:
		}
	}
	job.tally(found, n)
	job.Differences += differences
	job.Silent = nil // a replica that did not answer is not in service, or has rows
	if n.Next != "" {
		job.pass(bucket, n.Next)
	}
	return n.Next == "", nil
}

func anyOf(silent map[string]error) error {
	for _, err := range silent {
		return err
	}
	return nil
}

// removals bounds what a resync takes away: so much is a sign that it was told to make
// the wrong one like the others.
func (job *Job) removals(found []verdictOf, keys int64) error {
	extra := job.Extra
	for _, v := range found {
		for _, f := range v.Faults {
			if f.What == replica.Extra {
				extra++
			}
		}
	}
	if of := keys + job.Keys; extra > fewKeys && extra*100 > of*int64(job.maxLoss()) {
		return failed("backend %s alone has %d of the %d keys that were looked at, more than %d %%: they would be deleted. Is it the right one? --max-loss 100 goes on all the same. Until a resync is done it serves no reads",
			job.Backend, extra, of, job.maxLoss())
	}
	return nil
}

// adoption puts a bucket under management that was found with objects in it: it is served
// from one source at once, all replicas are listed, what differs gets a row, and then each
// of them serves.
type adoption struct {
	jobs *Jobs
	rest *dueWork // the copying; nil: comparing
}

func (a *adoption) step(ctx context.Context, job *Job) (bool, error) {
	set := a.jobs.o.Set
	switch {
	case a.rest != nil:
		more, err := a.rest.step(ctx, job)
		job.Phase = "copy"
		return more, err
	case job.At.Past:
		a.rest = &dueWork{jobs: a.jobs}
		return true, nil
	case job.Phase == "" || job.Phase == "open":
		job.Phase = "open"
		source, err := set.Adopt(ctx, job.Bucket, job.Source)
		switch {
		case replica.IsUnfitting(err):
			return true, failed("%s", replica.Unfitting(err))
		case replica.IsGone(err):
			return true, failed("no backend has a bucket %s", job.Bucket)
		case err != nil:
			return true, err
		case source == "":
			return false, nil // it is under management
		}
		job.Source, job.Phase, job.At = source, "compare", Place{Bucket: job.Bucket}
		return true, nil
	}
	job.Phase = "compare"
	over, err := a.jobs.match(ctx, job, job.Bucket, replica.Comparison{Prefer: job.Source})
	if err != nil || !over {
		return true, err
	}
	if err := set.Vouch(ctx, job.Bucket); err != nil {
		return true, err
	}
	job.pass(job.Bucket, "")
	return true, nil
}

// failedSoon is why a key is looked at again.
func failedSoon(name string) error { return &again{name} }

type again struct{ key string }

func (a *again) Error() string {
	return "key " + a.key + " could not be compared yet: the log or a replica did not answer, or it changed all the time"
}

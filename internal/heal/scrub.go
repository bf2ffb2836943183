package heal

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/s3mirror/s3mirror/internal/object"
	"github.com/s3mirror/s3mirror/internal/replica"
)

const (
	// namesAtOnce is how many keys of each listing one step reads.
	namesAtOnce = 250
	// mostPages bounds the pages of findings; what is more is only counted.
	mostPages = 2000
	// fewKeys may be lost without a share of the keys saying anything.
	fewKeys = 10
	// patience is how often a replica that is up and did not answer is asked again.
	patience = 3
)

// scrub compares the replicas of buckets.
type scrub struct{ jobs *Jobs }

// verdictOf is a key and what was found of it.
type verdictOf struct {
	key object.Key
	replica.Verdict
}

func (s *scrub) step(ctx context.Context, job *Job) (bool, error) {
	bucket, ok := job.bucket(s.jobs.o.Set)
	if !ok {
		if len(job.Silent) > 0 {
			return false, failed("%s did not answer, and %s not compared to the end", silentNames(job), isOrAre(len(job.Silent)))
		}
		if job.Undecided > 0 {
			return false, failed("%d keys differ and nothing says which replica is right: choose one, and write it again", job.Undecided)
		}
		return false, nil
	}
	job.Phase = "compare"
	c := replica.Comparison{Deep: job.Deep}
	n, keys, err := s.jobs.nominate(ctx, job, bucket, c)
	if err != nil {
		return true, err
	}
	found, err := s.jobs.compare(ctx, job, keys, c, false)
	if err != nil {
		return true, err
	}
	stop := job.losses(found, int64(len(n.Names)), bucket)
	list, err := s.note(ctx, job, findingsOf(found, stop != nil))
	if err != nil {
		return true, err
	}
	if stop == nil {
		if err := s.mend(ctx, job, found, list, c); err != nil {
			return true, err
		}
	}
	job.tally(found, n)
	job.report(list)
	job.pass(bucket, n.Next)
	return true, stop
}

// note writes what was found before anything is done about it.
func (s *scrub) note(ctx context.Context, job *Job, list []Finding) ([]Finding, error) {
	if job.Pages >= mostPages {
		return list, nil
	}
	return s.jobs.store.note(ctx, job.ID, job.Pages, list)
}

// report counts a page of findings.
func (job *Job) report(list []Finding) {
	for _, f := range list {
		job.Differences++
		if f.Done == doneHealed {
			job.Healed++
		}
	}
	if len(list) > 0 && job.Pages < mostPages {
		job.Pages++
	}
}

// What was done about a difference.
const (
	doneDue     = "due"     // the healer will
	doneHealed  = "healed"  // it is as it should be
	doneNothing = "nothing" // since the job stopped, or nothing says what is right
)

// mend gives what differs a row, and has it repaired at once, up to patience times: a visit of
// the healer's may be under way, which began before the row said what is wrong.
func (s *scrub) mend(ctx context.Context, job *Job, found []verdictOf, list []Finding, c replica.Comparison) error {
	var group errgroup.Group
	group.SetLimit(s.jobs.o.Workers)
	var mu sync.Mutex // guards healed
	healed := map[string]bool{}
	for _, v := range found {
		if v.State != replica.Differs {
			continue
		}
		group.Go(func() error {
			if _, err := s.jobs.spans.compare(ctx, s.jobs.o.Set, v.key, c, true); err != nil {
				return err
			}
			for try := range patience {
				rep, err := s.jobs.spans.repair(ctx, s.jobs.o.Set, v.key)
				if err != nil {
					return nil //nolint:nilerr // it has a row: the healer comes to it
				}
				if rep.Row == nil || rep.Row.Quiet(s.jobs.o.Set.Kept(v.key.Bucket)) {
					mu.Lock()
					defer mu.Unlock()
					healed[v.key.Name] = true
					return nil
				}
				if try < patience-1 {
					sleep(ctx, time.Second)
				}
			}
			return nil
		})
	}
	if err := group.Wait(); err != nil {
		return err
	}
	changed := false
	for i := range list {
		if healed[string(list[i].Key)] && list[i].Done == doneDue {
			list[i].Done, changed = doneHealed, true
		}
	}
	if !changed || job.Pages >= mostPages {
		return nil
	}
	return s.jobs.store.rewrite(ctx, job.ID, job.Pages, list)
}

// bucket is the one that the cursor stands in; false: all are done.
func (job *Job) bucket(set JobSet) (string, bool) {
	names := []string{job.Bucket}
	if job.Bucket == "" {
		names = set.BucketsOn(job.Backend)
	}
	for _, name := range names {
		if name > job.At.Bucket || name == job.At.Bucket && !job.At.Past {
			if name != job.At.Bucket {
				job.At = Place{Bucket: name}
			}
			return name, true
		}
	}
	return "", false
}

// pass moves the cursor behind a part of a bucket.
func (job *Job) pass(bucket, next string) {
	job.At.Bucket, job.At.After, job.At.Past = bucket, []byte(next), next == ""
}

// nominate lists a part of the job's bucket, and names the keys of it that are to be
// looked at. A bucket that is gone is passed, unless the job is of it alone.
func (j *Jobs) nominate(ctx context.Context, job *Job, bucket string, c replica.Comparison) (replica.Nominees, []object.Key, error) {
	var n replica.Nominees
	for try := range patience {
		var err error
		n, err = j.o.Set.Nominate(ctx, bucket, c, string(job.At.After), namesAtOnce)
		if replica.IsGone(err) && job.Bucket == "" {
			return n, nil, nil
		}
		if replica.IsGone(err) {
			return n, nil, failed("bucket %s is not there", bucket)
		}
		if err != nil {
			return n, nil, err
		}
		if !slices.ContainsFunc(namesOf(n.Silent), j.o.Set.Up) || try == patience-1 {
			break
		}
		sleep(ctx, time.Second)
	}
	var keys []object.Key
	for _, name := range n.Names {
		if n.Differ[name] || c.Deep {
			keys = append(keys, object.Key{Bucket: bucket, Name: name})
		}
	}
	return n, keys, nil
}

func namesOf(silent map[string]error) (names []string) {
	for name := range silent {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}

// compare looks at keys, several at a time.
func (j *Jobs) compare(ctx context.Context, job *Job, keys []object.Key, c replica.Comparison, act bool) ([]verdictOf, error) {
	found := make([]verdictOf, len(keys))
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(j.o.Workers)
	for i, key := range keys {
		group.Go(func() error {
			for try := range patience {
				v, err := j.spans.compare(ctx, j.o.Set, key, c, act)
				if err != nil {
					return err
				}
				found[i] = verdictOf{key, v}
				if v.State != replica.Unknowing && !slices.ContainsFunc(v.Silent, j.o.Set.Up) || try == patience-1 {
					break
				}
				sleep(ctx, time.Second)
			}
			return nil
		})
	}
	if err := group.Wait(); err != nil {
		return nil, err
	}
	return found, nil
}

// tally adds what was found to the job's figures.
func (job *Job) tally(found []verdictOf, n replica.Nominees) {
	job.Keys += int64(len(n.Names))
	for name := range n.Silent {
		job.silent(name)
	}
	for _, v := range found {
		job.Bytes += v.Bytes
		for _, r := range v.Silent {
			job.silent(r)
		}
		if v.State == replica.Undecided || v.State == replica.Unknowing {
			job.Undecided++
		}
		for _, f := range v.Faults {
			switch {
			case v.State != replica.Differs:
			case f.What == replica.Missing:
				if job.Missing == nil {
					job.Missing = map[string]int64{}
				}
				job.Missing[f.Replica]++
			case f.What == replica.Extra:
				job.Extra++
			}
		}
	}
}

func (job *Job) silent(name string) {
	if job.Silent == nil {
		job.Silent = map[string]int64{}
	}
	job.Silent[name]++
}

// losses tells whether one replica lacks so many keys that it is not for a scrub to mend
// (H19): the backend is a wrong or an empty one.
func (job *Job) losses(found []verdictOf, keys int64, bucket string) error {
	missing := map[string]int64{}
	for _, v := range found {
		for _, f := range v.Faults {
			if f.What == replica.Missing {
				missing[f.Replica]++
			}
		}
	}
	for name, n := range missing {
		lost, of := n+job.Missing[name], keys+job.Keys
		if lost > fewKeys && lost*100 > of*int64(job.maxLoss()) {
			return failed("backend %s lacks %d of the %d keys that were looked at, in bucket %s at last: more than %d %%. If it was replaced, `s3mirror resync --backend %s` fills it; --max-loss 100 goes on all the same",
				name, lost, of, bucket, job.maxLoss(), name)
		}
	}
	return nil
}

func (job *Job) maxLoss() int {
	if job.MaxLoss == 0 {
		return DefaultMaxLoss
	}
	return job.MaxLoss
}

// findingsOf are the differences, in order.
func findingsOf(found []verdictOf, stopped bool) (list []Finding) {
	for _, v := range found {
		for _, f := range v.Faults {
			out := Finding{Bucket: v.key.Bucket, Key: []byte(v.key.Name), Backend: f.Replica, What: string(f.What), Seen: inWords(f.What, f.Seen), Want: inWords(f.What, f.Want), Done: doneDue}
			if stopped || v.State == replica.Undecided {
				out.Done = doneNothing
			}
			list = append(list, out)
		}
		if v.State == replica.Undecided && len(v.Faults) == 0 {
			list = append(list, Finding{Bucket: v.key.Bucket, Key: []byte(v.key.Name), What: "undecided", Done: doneNothing})
		}
	}
	return list
}

// inWords is what stands, or should, in a few words.
func inWords(what replica.Wrong, in object.Info) string {
	switch {
	case in.Kind == object.Tombstone:
		return "nothing"
	case what == replica.WrongTags && len(in.Tags) == 0:
		return "no tags"
	case what == replica.WrongTags:
		words := []string{}
		for k, v := range in.Tags.Sorted() {
			words = append(words, k+"="+v)
		}
		return "tags " + strings.Join(words, ", ")
	}
	return fmt.Sprintf("%d bytes, etag %s", in.Size, in.ETag)
}

func silentNames(job *Job) (text string) {
	var names []string
	for name := range job.Silent {
		names = append(names, name)
	}
	slices.Sort(names)
	for i, name := range names {
		if i > 0 {
			text += ", "
		}
		text += name
	}
	return text
}

func isOrAre(n int) string {
	if n == 1 {
		return "is"
	}
	return "are"
}

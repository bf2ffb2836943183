package heal

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/s3mirror/s3mirror/internal/object"
	"github.com/s3mirror/s3mirror/internal/oplog"
)

// Kind is a kind of long work.
type Kind string

const (
	KindHeal   Kind = "heal"   // what the log says is left to do, now
	KindResync Kind = "resync" // a replica is made like the others
	KindScrub  Kind = "scrub"  // replicas that should be equal are compared
	KindAdopt  Kind = "adopt"  // a bucket that was found with objects is put under management
	KindDrain  Kind = "drain"  // a backend is taken out of use
)

// Kinds are all of them.
var Kinds = []Kind{KindHeal, KindResync, KindScrub, KindAdopt, KindDrain}

// JobState is where a job is in its life.
type JobState string

const (
	JobWaiting   JobState = "waiting" // for a node to do it
	JobRunning   JobState = "running"
	JobDone      JobState = "done"
	JobFailed    JobState = "failed"
	JobCancelled JobState = "cancelled"
)

// Over tells whether nothing more happens.
func (s JobState) Over() bool { return s == JobDone || s == JobFailed || s == JobCancelled }

// Want is what somebody asks for.
type Want struct {
	Kind    Kind   `json:"kind"`
	Bucket  string `json:"bucket,omitempty"`  // empty: all
	Backend string `json:"backend,omitempty"` // empty: all
	Deep    bool   `json:"deep,omitempty"`    // of a scrub: bytes too
	Source  string `json:"source,omitempty"`  // of an adoption: whose objects stand where replicas differ
	// MaxLoss is how many percent of the keys may be missing on one replica before a scrub
	// stops, or be taken away before a resync does. 0: DefaultMaxLoss; 100: never.
	MaxLoss int `json:"max_loss,omitempty"`
	// Beside: a resync of a replica that lost its bucket, which a node began by itself. It
	// takes nothing away.
	Beside bool `json:"beside,omitempty"`
}

// DefaultMaxLoss is in percent.
const DefaultMaxLoss = 10

// Job is one piece of long work, a document of the log.
type Job struct {
	ID string `json:"id"`
	Want
	By      string    `json:"by"` // login, or "node"
	State   JobState  `json:"state"`
	Node    string    `json:"node,omitempty"` // that does it, or did last
	Created time.Time `json:"created"`
	Started time.Time `json:"started,omitzero"`
	Updated time.Time `json:"updated"`
	Ended   time.Time `json:"ended,omitzero"`
	Cancel  bool      `json:"cancel,omitempty"` // somebody wants it to end

	Phase string `json:"phase,omitempty"` // what is being done, in a word
	At    Place  `json:"at"`              // everything before it is done
	Left  int64  `json:"left,omitempty"`  // keys, as far as it is known

	Keys        int64            `json:"keys"`  // looked at
	Bytes       int64            `json:"bytes"` // read, or copied
	Differences int64            `json:"differences"`
	Healed      int64            `json:"healed"`
	Missing     map[string]int64 `json:"missing,omitempty"` // keys by backend that lacks them
	Extra       int64            `json:"extra,omitempty"`   // keys taken away
	Undecided   int64            `json:"undecided,omitempty"`
	Silent      map[string]int64 `json:"silent,omitempty"` // keys, or pages, by backend that did not answer for them
	Pages       int              `json:"pages,omitempty"`  // of findings
	Problem     string           `json:"problem,omitempty"`

	epoch oplog.Epoch
}

// Place is a cursor over the keys of several buckets, in order.
type Place struct {
	Bucket string `json:"bucket,omitempty"` // those before it are done
	After  []byte `json:"after,omitempty"`  // a key of Bucket; bytes, since keys need not be text
	Past   bool   `json:"past,omitempty"`   // Bucket is done too
	Since  uint64 `json:"since,omitempty"`  // what Restore wants to know of when Bucket was begun
}

// Finding is one difference.
type Finding struct {
	Bucket  string `json:"bucket"`
	Key     []byte `json:"key"`
	Backend string `json:"backend"`
	What    string `json:"what"`           // missing, extra, size, etag, identity, bytes, undecided
	Seen    string `json:"seen,omitempty"` // in words
	Want    string `json:"want,omitempty"`
	Done    string `json:"done"` // what was done about it
}

// Errors of Jobs.
var (
	// ErrNoJob: there is none of that name, or none any more.
	ErrNoJob = errors.New("there is no such job")
	// ErrBusy: the same is being done already; errors.As finds *Busy with its name.
	ErrBusy = errors.New("such a job is under way")
	// ErrWrong wraps what is wrong with a Want, in words for who asked.
	ErrWrong = errors.New("that is no job")
)

// Busy names the job that is in the way.
type Busy struct{ ID string }

func (b *Busy) Error() string { return "such a job is under way: " + b.ID }
func (*Busy) Unwrap() error   { return ErrBusy }

// check tells what is wrong with a want.
func (w Want) check() error {
	wrong := func(format string, args ...any) error {
		return fmt.Errorf("%w: %s", ErrWrong, fmt.Sprintf(format, args...))
	}
	switch {
	case w.Kind == KindResync && w.Backend == "":
		return wrong("a resync needs a backend: the one that is made like the others")
	case w.Kind == KindDrain && (w.Backend == "" || w.Bucket != ""):
		return wrong("a drain needs a backend, and is of all its buckets")
	case w.Kind == KindAdopt && w.Bucket == "":
		return wrong("an adoption needs a bucket")
	case w.Deep && w.Kind != KindScrub:
		return wrong("only a scrub is deep")
	case w.Source != "" && w.Kind != KindAdopt:
		return wrong("only an adoption has a source")
	case w.Backend != "" && (w.Kind == KindScrub || w.Kind == KindAdopt):
		return wrong("a %s is of all backends", w.Kind)
	case w.MaxLoss < 0 || w.MaxLoss > 100:
		return wrong("max_loss is 0 to 100 percent")
	}
	for _, k := range Kinds {
		if w.Kind == k {
			return nil
		}
	}
	return wrong("kind %q: want heal, resync, scrub, adopt or drain", w.Kind)
}

// clashes tells whether two jobs must not run at the same time.
func (w Want) clashes(o Want) bool {
	return w.Kind == o.Kind && (w.Bucket == o.Bucket || w.Bucket == "" || o.Bucket == "") &&
		(w.Backend == o.Backend || w.Backend == "" || o.Backend == "")
}

// store keeps jobs in the documents of the log.
type store struct{ log oplog.Documents }

func (s store) read(ctx context.Context, id string) (Job, error) {
	doc, err := s.log.Doc(ctx, oplog.DocJob, id)
	if errors.Is(err, oplog.ErrNoRow) {
		return Job{}, ErrNoJob
	}
	if err != nil {
		return Job{}, err
	}
	return jobOf(doc)
}

func jobOf(doc oplog.Doc) (job Job, err error) {
	if err := json.Unmarshal(doc.Body, &job); err != nil {
		return job, fmt.Errorf("document %s/%s is malformed: %w", doc.Kind, doc.Name, err)
	}
	job.ID, job.epoch = doc.Name, doc.Epoch
	return job, nil
}

// all are the jobs, the oldest first.
func (s store) all(ctx context.Context) (list []Job, err error) {
	const page = 1000
	for after := ""; ; {
		docs, err := s.log.Docs(ctx, oplog.DocJob, after, page)
		if err != nil {
			return nil, err
		}
		for _, doc := range docs {
			job, err := jobOf(doc)
			if err != nil {
				return nil, err
			}
			list, after = append(list, job), doc.Name
		}
		if len(docs) < page {
			return list, nil
		}
	}
}

// write is one compare-and-set from what the job was when it was read; oplog's errors.
func (s store) write(ctx context.Context, job *Job) error {
	body, err := json.Marshal(job)
	if err != nil {
		return err
	}
	doc := oplog.Doc{Kind: oplog.DocJob, Name: job.ID, Epoch: oplog.NewEpoch(), Body: body}
	if err := s.log.SwapDoc(ctx, job.epoch, doc); err != nil {
		return err
	}
	job.epoch = doc.Epoch
	return nil
}

// drop takes a job away, its findings first.
func (s store) drop(ctx context.Context, job Job) error {
	for n := range job.Pages + 1 { // one may have been written and not counted
		doc, err := s.log.Doc(ctx, oplog.DocFinding, pageName(job.ID, n))
		if errors.Is(err, oplog.ErrNoRow) {
			continue
		}
		if err != nil {
			return err
		}
		if err := s.log.SwapDoc(ctx, doc.Epoch, oplog.Doc{Kind: doc.Kind, Name: doc.Name}); err != nil && !errors.Is(err, oplog.ErrConflict) {
			return err
		}
	}
	err := s.log.SwapDoc(ctx, job.epoch, oplog.Doc{Kind: oplog.DocJob, Name: job.ID})
	if errors.Is(err, oplog.ErrConflict) {
		return nil
	}
	return err
}

func pageName(id string, n int) string { return fmt.Sprintf("%s/%06d", id, n) }

// findings are a page of what a job found.
func (s store) findings(ctx context.Context, id string, n int) (list []Finding, epoch oplog.Epoch, err error) {
	doc, err := s.log.Doc(ctx, oplog.DocFinding, pageName(id, n))
	if errors.Is(err, oplog.ErrNoRow) {
		return nil, oplog.Epoch{}, nil
	}
	if err != nil {
		return nil, oplog.Epoch{}, err
	}
	if err := json.Unmarshal(doc.Body, &list); err != nil {
		return nil, oplog.Epoch{}, fmt.Errorf("document %s/%s is malformed: %w", doc.Kind, doc.Name, err)
	}
	return list, doc.Epoch, nil
}

// note writes a page of findings. One that stands there already is of a runner that was
// stopped before it moved the cursor: what it found may be mended by now, and still counts.
func (s store) note(ctx context.Context, id string, n int, list []Finding) ([]Finding, error) {
	was, epoch, err := s.findings(ctx, id, n)
	if err != nil {
		return nil, err
	}
	known := map[string]bool{}
	for _, f := range was {
		known[f.Bucket+"\x00"+string(f.Key)+"\x00"+f.Backend] = true
	}
	for _, f := range list {
		if !known[f.Bucket+"\x00"+string(f.Key)+"\x00"+f.Backend] {
			was = append(was, f)
		}
	}
	if len(was) == 0 {
		return nil, nil
	}
	return was, s.page(ctx, id, n, epoch, was)
}

// rewrite puts a page of findings in the place of what stands there.
func (s store) rewrite(ctx context.Context, id string, n int, list []Finding) error {
	_, epoch, err := s.findings(ctx, id, n)
	if err != nil {
		return err
	}
	return s.page(ctx, id, n, epoch, list)
}

func (s store) page(ctx context.Context, id string, n int, old oplog.Epoch, list []Finding) error {
	body, err := json.Marshal(list)
	if err != nil {
		return err
	}
	return s.log.SwapDoc(ctx, old, oplog.Doc{Kind: oplog.DocFinding, Name: pageName(id, n), Epoch: oplog.NewEpoch(), Body: body})
}

// newJobID sorts by the moment at which it was made.
func newJobID(now time.Time) string {
	return fmt.Sprintf("%012x%s", now.UnixMilli(), object.NewID().String()[:8])
}

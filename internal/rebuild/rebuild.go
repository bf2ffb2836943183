package rebuild

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"time"

	"github.com/s3mirror/s3mirror/internal/backend"
	"github.com/s3mirror/s3mirror/internal/commit"
	"github.com/s3mirror/s3mirror/internal/object"
	"github.com/s3mirror/s3mirror/internal/oplog"
	"github.com/s3mirror/s3mirror/internal/replica"
)

// Options of a rebuild.
type Options struct {
	Log      oplog.Log // without buckets and rows
	Backends []Backend
	// Policy is what the configuration says of a bucket: its replica set and names.
	Policy func(bucket string) replica.Policy

	// Deployment is the log that is made anew, where identities of several are found.
	Deployment string
	// Settle is how late a request may land that the lost log knew of; each backend is
	// watched for so long before it is asked what it holds. Gap is the longest pause
	// between two looks.
	Settle, Gap time.Duration

	Told   func(step string) // progress, for people; nil: nobody wants to know
	Logger *slog.Logger      // nil: slog.Default()
	Now    func() time.Time  // nil: time.Now
}

// Backend is one of the endpoints, which opens stamps by the deployment's key.
type Backend struct {
	Name string
	backend.Endpoint
}

// Report is what a rebuild did.
type Report struct {
	Deployment string         `json:"deployment"`
	Buckets    []BucketReport `json:"buckets"`
	Lost       []string       `json:"lost"` // what no bucket can tell
}

// BucketReport is what was found of one bucket.
type BucketReport struct {
	Bucket    string   `json:"bucket"`
	Replicas  []string `json:"replicas"`
	Keys      int64    `json:"keys"`      // that stand somewhere, or are known to be deleted
	Differing int64    `json:"differing"` // that got a row: the healer makes them equal
	Deleted   int64    `json:"deleted"`   // of these by a tombstone
	// Kept are keys of these that stand on some replicas only. No delete of them is known:
	// either some replicas missed a write, or some missed a delete that nothing tells of.
	Kept     int64 `json:"kept"`
	Unplaced int64 `json:"unplaced"` // of which clocks decided what is newest
	Foreign  int64 `json:"foreign"`  // that carry no stamp of this deployment
	Aborted  int64 `json:"aborted"`  // uploads under way, which nobody can complete any more
}

// lost is what no bucket can tell.
var lost = []string{
	"users other than root, their keys and limits; root's password and keys are made anew at the start, or taken from the environment",
	"sessions and tokens: everybody logs in again",
	"modes, pauses, paces, and ack rules that were set while the server ran: the configuration's are in force",
	"settings of buckets: CORS, tags, website, ownership, public access block",
	"uploads in parts that were not completed",
	"the history and the audit",
	"deletes that some replica had not confirmed and no tombstone tells of: such keys are back",
}

// Errors of Run.
var (
	// ErrUsed: the log knows buckets or keys.
	ErrUsed = errors.New("log holds buckets or keys: it is not lost")
	// ErrNothing: no bucket carries an identity.
	ErrNothing = errors.New("no bucket on any backend carries the identity of a log: there is nothing to rebuild from")
	// ErrSeveral: identities of several logs were found.
	ErrSeveral = errors.New("the buckets carry the identities of several logs: name the one that is lost")
	// ErrAway: a backend gave no usable answer, so nothing is known of its keys.
	ErrAway = errors.New("a backend cannot be asked, so nothing is known of its keys")
	// ErrStranger: a bucket that should be a replica is something else.
	ErrStranger = errors.New("a bucket is not the replica that it should be")
)

// Run makes the log anew. It changes nothing on the backends but uploads under way, which
// it aborts. The caller marks the log as half until Run returns nil; what a run that was cut
// off left is written over by the next.
func Run(ctx context.Context, o Options) (Report, error) {
	if o.Logger == nil {
		o.Logger = slog.Default()
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Told == nil {
		o.Told = func(string) {}
	}
	r := &run{Options: o}
	if err := r.unused(ctx); err != nil {
		return Report{}, err
	}
	found, err := Find(ctx, o.Backends, nil)
	if err != nil {
		return Report{}, err
	}
	buckets, err := r.choose(found)
	if err != nil {
		return Report{}, err
	}
	rep := Report{Deployment: r.Deployment, Lost: lost}
	aborted := map[string]int64{}
	for _, b := range buckets {
		if aborted[b.name], err = r.abort(ctx, b); err != nil {
			return rep, err
		}
	}
	if err := r.watch(ctx, buckets); err != nil {
		return rep, err
	}
	for _, b := range buckets {
		told, err := r.bucket(ctx, b)
		if err != nil {
			return rep, fmt.Errorf("bucket %s: %w", b.name, err)
		}
		told.Aborted = aborted[b.name]
		rep.Buckets = append(rep.Buckets, told)
	}
	return rep, r.finish(ctx, buckets)
}

type run struct{ Options }

// place is a bucket that is to be made known again.
type place struct {
	name       string
	generation string
	created    time.Time
	replicas   object.Replicas
	real       map[string]string // by replica; none where it is missing
}

// unused wants a log that knows no bucket. Rows may be those of a run that was cut off.
func (r *run) unused(ctx context.Context) error {
	docs, err := r.Log.Docs(ctx, oplog.DocBucket, "", 1)
	if err != nil {
		return fmt.Errorf("read the log: %w", err)
	}
	if len(docs) > 0 {
		return fmt.Errorf("%w: there is bucket %s", ErrUsed, docs[0].Name)
	}
	return nil
}

// finish writes what makes the log serve: the buckets, and whose they are.
func (r *run) finish(ctx context.Context, buckets []place) error {
	for _, b := range buckets {
		names := map[string]string{}
		made := object.Replicas(nil)
		for replica, real := range b.real {
			made = made.With(replica)
			if real != b.name {
				names[replica] = real
			}
		}
		for replica, real := range r.Policy(b.name).Names {
			if b.replicas.Has(replica) && b.real[replica] == "" {
				names[replica] = real
			}
		}
		if len(names) == 0 {
			names = nil
		}
		rec := commit.BucketRecord{
			State: commit.BucketActive, Generation: b.generation, Created: b.created, Replicas: b.replicas, Made: made, Names: names,
			Epoch: epoch, Since: r.Now(),
		}
		if err := r.keep(ctx, oplog.DocBucket, b.name, rec); err != nil {
			return err
		}
	}
	return r.keep(ctx, oplog.DocGeneration, "deployment", map[string]string{"id": r.Deployment})
}

// epoch is the configuration epoch of every bucket of a new log.
const epoch = 1

// keep writes a document over the one that is there.
func (r *run) keep(ctx context.Context, kind oplog.DocKind, name string, document any) error {
	body, err := json.Marshal(document)
	if err != nil {
		return err
	}
	old, err := r.Log.Doc(ctx, kind, name)
	if err != nil && !errors.Is(err, oplog.ErrNoRow) {
		return fmt.Errorf("read %s %s: %w", kind, name, err)
	}
	err = r.Log.SwapDoc(ctx, old.Epoch, oplog.Doc{Kind: kind, Name: name, Epoch: oplog.NewEpoch(), Body: body})
	if err != nil {
		return fmt.Errorf("write %s %s: %w", kind, name, err)
	}
	return nil
}

// choose decides which of the buckets that were found are those of the lost log.
func (r *run) choose(found []Found) ([]place, error) {
	var logs []string
	for _, f := range found {
		if id := f.Identity.Deployment; !slices.Contains(logs, id) {
			logs = append(logs, id)
		}
	}
	slices.Sort(logs)
	switch {
	case r.Deployment != "" && !slices.Contains(logs, r.Deployment):
		return nil, fmt.Errorf("%w: none is of %s, of %v", ErrNothing, r.Deployment, logs)
	case r.Deployment == "" && len(logs) > 1:
		return nil, fmt.Errorf("%w: %v", ErrSeveral, logs)
	case len(logs) == 0:
		return nil, ErrNothing
	case r.Deployment == "":
		r.Deployment = logs[0]
	}
	byName := map[string]*place{}
	var names []string
	for _, f := range found {
		id := f.Identity
		if id.Deployment != r.Deployment {
			continue
		}
		b := byName[id.Bucket]
		if b == nil {
			b = &place{name: id.Bucket, generation: id.Generation, created: f.Created, replicas: r.Policy(id.Bucket).Replicas, real: map[string]string{}}
			byName[id.Bucket], names = b, append(names, id.Bucket)
		}
		switch {
		case id.Backend != f.Backend:
			return nil, fmt.Errorf("%w: %s on %s says that it is on backend %s: give the backends the names that they had", ErrStranger, f.Real, f.Backend, id.Backend)
		case id.Generation != b.generation:
			return nil, fmt.Errorf("%w: bucket %s is of another time on %s: remove what is left of the older one", ErrStranger, id.Bucket, f.Backend)
		case b.real[f.Backend] != "":
			return nil, fmt.Errorf("%w: %s and %s on %s are both bucket %s", ErrStranger, b.real[f.Backend], f.Real, f.Backend, id.Bucket)
		case !b.replicas.Has(f.Backend):
			return nil, fmt.Errorf("%w: bucket %s stands on %s, which is not in its replica set: put it there, or remove the bucket from it", ErrStranger, id.Bucket, f.Backend)
		}
		b.real[f.Backend] = f.Real
		if f.Created.Before(b.created) {
			b.created = f.Created
		}
	}
	slices.Sort(names)
	all := make([]place, len(names))
	for i, name := range names {
		all[i] = *byName[name]
	}
	return all, r.missing(all, found)
}

// missing refuses what stands in the place of a replica and is none: without an
// identity nobody knows what it holds.
func (r *run) missing(all []place, found []Found) error {
	for _, b := range all {
		policy := r.Policy(b.name)
		for _, replica := range b.replicas {
			if b.real[replica] != "" {
				continue
			}
			real := b.name
			if mapped, ok := policy.Names[replica]; ok {
				real = mapped
			}
			if slices.ContainsFunc(found, func(f Found) bool { return f.Backend == replica && f.Real == real }) {
				return fmt.Errorf("%w: %s on %s is of another log: it cannot be a replica of bucket %s", ErrStranger, real, replica, b.name)
			}
			r.Told(fmt.Sprintf("bucket %s is missing on %s: it is made there, and filled", b.name, replica))
		}
	}
	return nil
}

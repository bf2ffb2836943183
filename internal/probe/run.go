package probe

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/s3mirror/s3mirror/internal/backend"
	"github.com/s3mirror/s3mirror/internal/object"
)

// callTimeout bounds one request, and how long a probe waits for something that
// should not happen.
const callTimeout = 10 * time.Second

// cleanTimeout bounds the removal of what the probes wrote.
const cleanTimeout = time.Minute

// atOnce is how many groups of probes run side by side, beside those that wait.
const atOnce = 4

// runner makes the probes of one report.
type runner struct {
	remote *backend.Remote
	wire   *wire
	bucket string
	prefix string // of all keys
	effort Effort

	mu     sync.Mutex      // guards what follows
	used   map[string]bool // keys that may hold something, with the prefix
	remain error           // what could not be removed

	telling sync.Mutex // held while a finding is told
}

// full is a probe's key with the prefix, noted for the end.
func (r *runner) full(key string) string {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.used[r.prefix+key] = true
	return r.prefix + key
}

// Run probes the endpoint in a bucket that stands there, and removes what it
// wrote, also when ctx ends. An error means that the endpoint could not be asked at
// all, or ErrLeft; a report with Unknown findings that it went away, or answered
// nonsense, in between. o.StampKey is not needed. Run may be repeated at any time, also by
// several nodes at once.
func Run(ctx context.Context, o backend.Options, bucket string, e Effort) (rep Report, err error) {
	rep = Report{Edition: Edition, Endpoint: o.Endpoint.String(), Region: o.Region, Taken: time.Now().UTC().Truncate(time.Second)}
	remote, err := backend.NewRemote(o)
	if err != nil {
		return rep, err
	}
	defer func() { _ = remote.Close() }() // idle connections have nothing to say
	r := &runner{remote: remote, wire: newWire(o), bucket: bucket, effort: e, used: map[string]bool{}}
	r.prefix = folder + object.NewID().String() + "/"
	defer func() {
		r.clean(context.WithoutCancel(ctx))
		err = errors.Join(err, r.remain)
	}()
	if err := r.put(ctx, "hello", []byte("hello"), nil); err != nil {
		return rep, fmt.Errorf("probe of backend %s: %w", o.Name, err)
	}
	rep.Probes = r.all(ctx)
	if ctx.Err() != nil {
		return rep, fmt.Errorf("probe of backend %s: %w", o.Name, context.Cause(ctx))
	}
	rep.judge()
	return rep, nil
}

// group makes some findings.
type group func(context.Context) []Probe

// all makes every probe of the effort.
func (r *runner) all(ctx context.Context) []Probe {
	groups := []group{
		one(BodyLiteral, r.literal), one(BodyTrailer, r.trailer), one(BodySigned, r.signed),
		one(ETagMD5, r.etag), one(ChecksumEcho, r.checksum), one(HeadersKept, r.headers), one(ReadYourWrite, r.readYourWrite),
		one(CreateOnce, r.createOnce), one(IfMatch, r.ifMatch), one(CreateRace, r.createRace),
		one(HeldCondition, r.heldCondition), one(Completion, r.completion), one(CopyMatch, r.copyMatch), one(TagsKept, r.tagsKept),
		one(PartSizes, r.partSizes), one(MultipartETag, r.multipartETag), one(ClassUntold, r.classUntold),
		r.sums, r.keys,
	}
	waiting := []group{r.cuts}
	if r.effort.Whole {
		groups = append(groups,
			one(MatchRace, r.matchRace), one(DeleteMatch, r.deleteMatch), one(WriteRace, r.writeRace),
			one(HeadAsGet, r.headAsGet), one(NotModified, r.notModified), one(Metadata, r.metadata), one(OperationName, r.operationName),
			one(PartSize, r.partSize), one(PartNumbers, r.partNumbers), one(PartCopy, r.partCopy),
			one(Clock, r.clock))
	}
	if r.effort.Late > 0 {
		waiting = append(waiting, one(Late, r.late))
	}
	if r.effort.Idle > 0 {
		waiting = append(waiting, one(Idle, r.idle))
	}
	if r.effort.Whole && r.effort.Own {
		groups = append(groups, one(Versions, r.versions))
	}
	found := make([][]Probe, len(groups)+len(waiting))
	run := func(i int, probe group) func() error {
		return func() error {
			found[i] = probe(ctx)
			r.tell(found[i])
			return nil // findings, no errors
		}
	}
	var waits, rest errgroup.Group
	for i, probe := range waiting {
		waits.Go(run(len(groups)+i, probe))
	}
	rest.SetLimit(atOnce)
	for i, probe := range groups {
		rest.Go(run(i, probe))
	}
	_, _ = rest.Wait(), waits.Wait()
	return slices.Concat(found...)
}

func (r *runner) tell(found []Probe) {
	if r.effort.Told == nil {
		return
	}
	r.telling.Lock()
	defer r.telling.Unlock()
	for _, p := range found {
		r.effort.Told(p)
	}
}

// one is a group of a single probe.
func one(name string, probe func(context.Context) (Result, string)) group {
	return func(ctx context.Context) []Probe {
		result, detail := probe(ctx)
		return []Probe{{name, result, detail}}
	}
}

// unknown is the finding of a probe that was not answered.
func unknown(err error) (Result, string) { return Unknown, err.Error() }

// put stores an object in the framing that needs least of the endpoint.
func (r *runner) put(ctx context.Context, key string, data []byte, h object.Headers) error {
	body, framing := backend.FromBytes(data)
	_, err := r.upload(ctx, key, int64(len(data)), body, framing, h)
	return err
}

func (r *runner) upload(ctx context.Context, key string, size int64, body backend.Body, f backend.Framing, h object.Headers) (backend.PutResult, error) {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	return r.remote.Put(ctx, backend.PutRequest{
		Bucket: r.bucket, Key: r.full(key), Headers: h, Size: size, Body: body, Framing: f,
	})
}

// errAbsent: nothing stands under the key.
var errAbsent = errors.New("absent")

// maxObject is what is read of an object, in bytes: none that is read back is longer.
const maxObject = 64 << 10

// get reads an object whole; errAbsent.
func (r *runner) get(ctx context.Context, key string) ([]byte, *backend.Object, error) {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	obj, err := r.remote.Get(ctx, r.bucket, r.prefix+key, backend.GetOptions{Checksums: true})
	if backend.IsAbsent(err) {
		return nil, nil, errAbsent
	}
	if err != nil {
		return nil, nil, err
	}
	defer obj.Body.Close()
	data := make([]byte, min(max(obj.Size, 0), maxObject)) // an answer whose body has another length is an error
	_, err = io.ReadFull(obj.Body, data)
	return data, obj, err
}

// length reads an object that may be long, and tells how long it is; errAbsent.
func (r *runner) length(ctx context.Context, key string) (int64, error) {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	obj, err := r.remote.Get(ctx, r.bucket, r.prefix+key, backend.GetOptions{})
	if backend.IsAbsent(err) {
		return 0, errAbsent
	}
	if err != nil {
		return 0, err
	}
	defer obj.Body.Close()
	return io.Copy(io.Discard, obj.Body)
}

// holds tells whether exactly want stands under the key, nil meaning nothing.
func (r *runner) holds(ctx context.Context, key string, want []byte) (bool, error) {
	got, _, err := r.get(ctx, key)
	if errors.Is(err, errAbsent) {
		return want == nil, nil
	}
	return err == nil && want != nil && bytes.Equal(got, want), err
}

// folder is where all probes write, each run below a name of its own.
const folder = object.ReservedPrefix + "probe/"

// leftover is how old the objects of another run are when it is surely over.
const leftover = time.Hour

// left notes what could not be removed.
func (r *runner) left(err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.remain = errors.Join(r.remain, fmt.Errorf("%w: %w", ErrLeft, err))
}

// clean removes what the probes wrote: what they know of, for some listings are
// broken by it, and what a server made of that, and what a run that was cut off
// left long ago.
func (r *runner) clean(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, cleanTimeout)
	defer cancel()
	r.mu.Lock()
	keys := slices.Sorted(maps.Keys(r.used))
	r.mu.Unlock()
	folders := map[string][]string{} // of keys, the last one first: what lies below goes first
	for _, key := range slices.Backward(keys) {
		name, _, _ := strings.Cut(strings.TrimPrefix(key, r.prefix), "/")
		folders[name] = append(folders[name], key)
	}
	var group errgroup.Group
	group.SetLimit(atOnce)
	for _, keys := range folders {
		group.Go(func() error {
			for _, key := range keys {
				_ = r.remote.Delete(ctx, r.bucket, key) // a server that can not remove it says so in the listing
			}
			return nil
		})
	}
	_ = group.Wait() // see above
	page, err := r.remote.List(ctx, r.bucket, backend.ListRequest{Prefix: folder})
	if err != nil {
		return
	}
	for _, e := range page.Entries {
		if strings.HasPrefix(e.Key, r.prefix) || time.Since(e.ModTime) > leftover {
			_ = r.remote.Delete(ctx, r.bucket, e.Key) // the next run tries again, and so does the bucket's removal
		}
	}
}

func itoa(n int) string { return strconv.Itoa(n) }

package replica

import (
	"context"
	"crypto/md5" //nolint:gosec // S3's ETag
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/s3mirror/s3mirror/internal/backend"
	"github.com/s3mirror/s3mirror/internal/commit"
	"github.com/s3mirror/s3mirror/internal/object"
	"github.com/s3mirror/s3mirror/internal/oplog"
	"github.com/s3mirror/s3mirror/internal/s3"
)

// CopyRequest is one CopyObject.
type CopyRequest struct {
	Key    object.Key
	Source object.Key

	// Check judges the version that is going to be copied; its error is returned as
	// it is. nil: none.
	Check func(source object.Info) error
	// Headers are those of the copy of a version that has these, without checksums.
	Headers func(source object.Headers) object.Headers
	// Tags are those of the copy of a version that has these.
	Tags func(source object.Tags) object.Tags
	// KeepsTags says that Tags asks for the source's, which are looked for only then.
	KeepsTags bool
	// Algorithm of the copy's checksum; empty: the source's.
	Algorithm string

	If      s3.WriteConditions // on what stands under Key
	Actor   string             // login, for the history
	Request string             // request id, for the history
}

// Copy makes one object of another one's bytes and returns the version that was
// acknowledged. It is a write of Key like Put, with errors like Put's; of the source
// NoSuchKey, NoSuchBucket, SlowDown. Replicas that hold the source copy by
// themselves where that is safe (RELIABILITY 4.3); the others get the bytes from one that
// holds them, through us.
func (s *Set) Copy(ctx context.Context, r CopyRequest) (object.Info, error) {
	leave, err := s.enter()
	if err != nil {
		return object.Info{}, err
	}
	defer leave()
	from, err := s.buckets.readable(ctx, r.Source.Bucket)
	if err != nil {
		return object.Info{}, err
	}
	b, over, err := s.buckets.writableSoon(ctx, r.Key.Bucket)
	if err != nil {
		return object.Info{}, err
	}
	up := s.up(b)
	c, err := s.planCopy(ctx, r, from, b, up)
	if err != nil {
		over()
		return object.Info{}, err
	}
	defer c.close()
	if err := s.holdable(ctx, b, r.Key, c.size); err != nil {
		over()
		return object.Info{}, err
	}
	cond := condition{c: r.If}
	op := commit.Op{ID: object.NewID(), Type: oplog.OpCopy, Stream: c.size > s.o.Held, If: cond.verdict()}
	op.Info = object.Info{Kind: object.Present, Size: c.size}
	for replica := range c.direct {
		op.Direct = op.Direct.With(replica)
	}
	if len(op.Direct) > 0 {
		op.Slow = slowCopy(c.size)
	}
	w := s.newWrite(b, r.Key, op, origin{r.Actor, r.Request})
	w.spans.follow(ctx)
	w.copying, w.plan = c, c.plan
	w.stamp = object.Stamp{ID: op.ID, Flag: object.FlagSmall}
	held := c.size
	if op.Stream {
		held = s.o.Held
		w.stamp.Flag, w.stamp.Uploaded = object.FlagStream, s.o.Wall()
	}
	if c.body != nil {
		w.body = newFanout(s.memory, c.size, held, c.slabs)
		c.slabs = 0 // the fanout's
		w.filling.Add(1)
	}
	w.start(up, over)
	res, err := w.receiveCopy(ctx)
	if err != nil {
		return object.Info{}, err
	}
	return cond.conclude(res)
}

// slowCopy is how long a backend may work on a copy of so many bytes: some ten minutes
// for the largest. One of which nothing is heard keeps its replica unsettled for twice as
// long, so it is not more.
func slowCopy(size int64) time.Duration {
	const perSecond = 8 << 20
	return 10*time.Second + time.Duration(size/perSecond)*time.Second
}

// copying is what a copy is made of.
type copying struct {
	from   *bucket
	source object.Key
	direct map[string]string // replicas that copy by themselves, each with the ETag that its source must have
	plan   plan
	size   int64  // bytes
	etag   string // of the copy; empty: not known yet
	sum    string // of plan.algorithm, base64; empty: not known yet

	// Of what is streamed; body is nil when every replica copies by itself.
	set    *Set
	body   io.ReadCloser
	slabs  int64 // of memory that is reserved for it
	hashes map[string]hash.Hash
	md5    hash.Hash // nil: the ETag is known, or is what the replicas say
	sums   map[string]string
}

// close gives back what the copy does not need any more.
func (c *copying) close() {
	if c.body != nil {
		_ = c.body.Close() // it was read to its end, or is not wanted
	}
	c.set.memory.free(c.slabs)
}

// moves is how often a source may change between two looks at it.
const moves = 3

var errMoved = errors.New("another version of the source stands now")

// planCopy looks at the source, and opens it if some replica needs its bytes.
func (s *Set) planCopy(ctx context.Context, r CopyRequest, from, to *bucket, up object.Replicas) (*copying, error) {
	for range moves {
		found, err := s.look(ctx, from, r.Source, true, func(ctx context.Context, at place) (object.Seen, *backend.Object, error) {
			seen, err := at.head(ctx, r.Source.Name)
			return seen, nil, err
		})
		s.metrics.read("head", err)
		if err != nil {
			return nil, err
		}
		source := found.served.Info
		if r.Check != nil {
			if err := r.Check(source); err != nil {
				return nil, err
			}
		}
		c := s.newCopying(r, from, to, source, found.served.Row)
		if c.plan.tags, err = s.copyTags(ctx, r, source); errors.Is(err, errMoved) {
			continue
		} else if err != nil {
			return nil, err
		}
		if len(up.Minus(slices.Sorted(maps.Keys(c.direct)))) == 0 {
			return c, nil
		}
		if err = c.open(ctx, source); !errors.Is(err, errMoved) {
			return c, err
		}
	}
	return nil, unavailable(errMoved)
}

// copyTags are the tags of the copy. Those of a version stand in the row that a read of
// it saw, or are looked for; errMoved when they are another one's.
func (s *Set) copyTags(ctx context.Context, r CopyRequest, source object.Info) (object.Tags, error) {
	if r.Tags == nil {
		return nil, nil
	}
	if !r.KeepsTags {
		return r.Tags(nil), nil
	}
	tags, of, err := s.Tags(ctx, r.Source)
	switch {
	case errors.Is(err, s3.NoSuchKey):
		return nil, errMoved
	case err != nil:
		return nil, err
	case of.ID != source.ID || of.Size != source.Size:
		return nil, errMoved
	}
	return r.Tags(tags), nil
}

// newCopying says how the copy travels. A backend copies by itself only when it is
// known beforehand what its copy has to be: what else is stored than is sent could not be
// told.
func (s *Set) newCopying(r CopyRequest, from, to *bucket, source object.Info, row *oplog.Row) *copying {
	c := &copying{set: s, from: from, source: r.Source, size: source.Size, etag: commit.CopyETag(source), sums: wholeSums(source.Headers)}
	c.plan = s.newPlan(r.Headers(source.Headers), r.Algorithm)
	if replicas := to.config().Replicas; c.plan.algorithm == "" {
		if c.plan.algorithm = algorithmIn(source.Headers); c.plan.algorithm == "" {
			c.plan.algorithm = c.plan.copyAlgorithm(replicas)
			c.plan.unkept = s.qualities.anyLoses(replicas, c.plan.algorithm)
		}
	}
	c.sum = c.sums[c.plan.algorithm]
	if c.size > s.o.Held && c.sum != "" {
		c.direct = commit.CopyPlan(from.config(), row, source)
		for replica := range c.direct {
			if !to.config().Replicas.Has(replica) || s.buckets.trusted(from, replica) != nil || !c.plan.kept(replica, c.plan.algorithm) {
				delete(c.direct, replica)
			}
		}
	}
	return c
}

// wholeSums are the checksums of a version's bytes by algorithm; a checksum of parts is
// none.
func wholeSums(h object.Headers) map[string]string {
	sums := map[string]string{}
	for name, value := range h {
		algorithm, ok := strings.CutPrefix(name, object.ChecksumPrefix)
		if !ok || strings.Contains(value, "-") {
			continue
		}
		if _, err := backend.NewChecksum(algorithm); err == nil {
			sums[algorithm] = value
		}
	}
	return sums
}

// algorithmIn is that of the checksum among the headers; empty: there is none.
func algorithmIn(h object.Headers) string {
	for _, name := range slices.Sorted(maps.Keys(h)) {
		algorithm, ok := strings.CutPrefix(name, object.ChecksumPrefix)
		if _, err := backend.NewChecksum(algorithm); ok && err == nil {
			return algorithm
		}
	}
	return ""
}

// copyAlgorithm is the one that a PUT would get.
func (p *plan) copyAlgorithm(replicas object.Replicas) string {
	if len(replicas.Filter(func(r string) bool { return p.payload[r] != PayloadSigned })) == 0 {
		return ""
	}
	return p.plainChecksum(replicas)
}

// open opens the source; errMoved when it is not the version any more.
func (c *copying) open(ctx context.Context, source object.Info) error {
	slabs := slabsFor(min(c.size, c.set.o.PerUpload))
	if err := c.set.memory.reserve(ctx, slabs); err != nil {
		return unavailable(fmt.Errorf("no memory for the body: %w", err))
	}
	obj, err := c.set.get(ctx, c.from, GetRequest{Key: c.source, Check: func(now object.Info) error {
		if now.ID != source.ID || now.ETag != source.ETag || now.Size != source.Size {
			return errMoved
		}
		return nil
	}})
	c.set.metrics.read("get", err)
	if errors.Is(err, s3.NoSuchKey) {
		err = errMoved
	}
	if err != nil {
		c.set.memory.free(slabs)
		return err
	}
	c.body, c.slabs, c.hashes = obj.Body, slabs, map[string]hash.Hash{}
	for algorithm := range c.sums {
		c.hash(algorithm)
	}
	if c.plan.algorithm != "" {
		c.hash(c.plan.algorithm)
	}
	if c.size <= c.set.o.Held {
		c.md5 = md5.New() //nolint:gosec // see above
	}
	return nil
}

func (c *copying) hash(algorithm string) {
	if h, err := backend.NewChecksum(algorithm); err == nil {
		c.hashes[algorithm] = h
	}
}

// Read implements io.Reader for the bytes of the source.
func (c *copying) Read(p []byte) (int, error) {
	n, err := c.body.Read(p)
	for _, h := range c.hashes {
		_, _ = h.Write(p[:n]) // hashes never fail
	}
	if c.md5 != nil {
		_, _ = c.md5.Write(p[:n])
	}
	return n, err
}

// proven tells whether what was read is what the source is known to be, and learns the
// rest from it.
func (c *copying) proven(key object.Key) error {
	for algorithm, want := range c.sums {
		if got := sumOf(c.hashes[algorithm]); got != want {
			c.set.alarm(key, errRotten.Error())
			return unavailable(errRotten)
		}
	}
	if c.plan.algorithm != "" {
		c.sum = sumOf(c.hashes[c.plan.algorithm])
	}
	if c.md5 != nil {
		c.etag = hex.EncodeToString(c.md5.Sum(nil))
	}
	return nil
}

func sumOf(h hash.Hash) string { return base64.StdEncoding.EncodeToString(h.Sum(nil)) }

// info is what the copy will be.
func (c *copying) info() object.Info {
	info := object.Info{Kind: object.Present, Size: c.size, ETag: c.etag, Headers: c.plan.headers.Clone(), Tags: c.plan.tags}
	if info.Headers == nil {
		info.Headers = object.Headers{}
	}
	if c.plan.algorithm != "" && !c.plan.unkept {
		info.Headers[object.ChecksumPrefix+c.plan.algorithm] = c.sum
	}
	if info.Headers["content-type"] == "" {
		info.Headers["content-type"] = s3.DefaultContentType
	}
	return info
}

// receiveCopy reads the source for whoever needs its bytes, waits for the key's turn and
// then for the verdict.
func (w *write) receiveCopy(ctx context.Context) (commit.Result, error) {
	err := w.readSource(ctx)
	if w.body != nil {
		w.filling.Done()
	}
	if err == nil {
		err = w.takeTurn(ctx)
	}
	if err == nil {
		info := w.copying.info()
		w.post(func() {
			w.whole = time.Now()
			if !w.op.Stream {
				w.stamp.ETag = info.ETag
			}
			w.step(commit.Verified{Info: info})
		})
	} else if !errors.Is(err, errLeft) {
		w.deliver(commit.Broken{})
	}
	return w.await(ctx, err)
}

func (w *write) readSource(ctx context.Context) error {
	switch err := w.accept(ctx); {
	case errors.Is(err, errLeft):
		return err
	case err != nil:
		return unavailable(err)
	case w.body == nil:
		return nil
	}
	err := w.body.fill(w.copying, w.set.o.Times.Grace, func(replica string, d time.Duration) {
		w.deliver(commit.Stalled{Replica: replica, For: d})
	})
	if err == nil {
		err = w.copying.proven(w.copying.source)
	} else if !errors.Is(err, errLeft) {
		err = unavailable(fmt.Errorf("source of the copy: %w", err))
	}
	if err == nil {
		w.body.finish(w.copying.sum)
	}
	return err
}

// copyAt lets a replica copy by itself.
func (w *write) copyAt(q *request, at place, stamp object.Stamp) (backend.PutResult, error) {
	c := w.copying
	res, err := at.copy(q.ctx, backend.CopyRequest{
		Key: w.key.Name, Headers: c.plan.headers, Tags: w.tagsAt(q.replica), Stamp: stamp, Algorithm: c.plan.algorithm,
		Source: backend.CopySource{Bucket: c.from.realName(q.replica), Key: c.source.Name, ETag: c.direct[q.replica]},
	})
	return backend.PutResult{ETag: res.ETag, Checksums: res.Checksums}, err
}

// copyAnswerOf puts the outcome of a replica's own copy into the protocol's words. What it
// refuses is the source, which says nothing of the key that is written.
func copyAnswerOf(err error) commit.Answer {
	a := answerOf(err)
	if backend.IsAbsent(err) {
		a.Class = commit.No
	}
	a.Code = ""
	return a
}

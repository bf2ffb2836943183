package replica

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"hash"
	"io"
	"strings"
	"sync"
	"time"

	"github.com/s3mirror/s3mirror/internal/backend"
	"github.com/s3mirror/s3mirror/internal/commit"
	"github.com/s3mirror/s3mirror/internal/object"
	"github.com/s3mirror/s3mirror/internal/oplog"
	"github.com/s3mirror/s3mirror/internal/s3"
)

// repairs are the visits under way, one of a key at a time, and what earlier
// visits saw of keys that are not quiet.
type repairs struct {
	mu     sync.Mutex // guards what follows
	visits map[object.Key]*visit
	memory map[object.Key]*commit.Memory
}

// visit is one repair under way. report and err are set when over is closed.
type visit struct {
	over   chan struct{}
	report commit.Report
	err    error
}

// Report is the state of a key after a visit.
type Report = commit.Report

// Repair visits a key: it resolves an intent that has expired (the nonce that
// the caller saw unchanged for a lease, or zero), settles requests, heals
// replicas that lag, drops a row that is quiet (RELIABILITY 4.5). A visit that
// is under way already is waited for instead. Visits by Repair yield to clients.
//
// The error is NoSuchBucket when the key's bucket has no record, or why nothing
// could be done; what was not achieved is in the report.
func (s *Set) Repair(ctx context.Context, key object.Key, expired object.ID) (Report, error) {
	leave, err := s.enter()
	if err != nil {
		return commit.Report{}, err
	}
	defer leave()
	b, err := s.buckets.lookup(ctx, key.Bucket)
	if err != nil {
		return commit.Report{}, err
	}
	return s.visit(ctx, b, key, expired, true)
}

// IsNoBucket tells whether Repair failed because the key's bucket has no record.
func IsNoBucket(err error) bool { return errors.Is(err, s3.NoSuchBucket) }

// resolve is the repair that a write asks for whose key another intent holds up.
// It copies nothing: the writer waits, and holds the key's lock.
func (s *Set) resolve(ctx context.Context, b *bucket, key object.Key, expired object.ID) {
	if _, err := s.visit(ctx, b, key, expired, false); err != nil {
		s.o.Logger.DebugContext(ctx, "intent could not be resolved", "key", key, "error", err)
	}
}

func (s *Set) visit(ctx context.Context, b *bucket, key object.Key, expired object.ID, heals bool) (commit.Report, error) {
	r := &s.repairs
	r.mu.Lock()
	if v := r.visits[key]; v != nil {
		r.mu.Unlock()
		select {
		case <-v.over:
			return v.report, v.err
		case <-ctx.Done():
			return commit.Report{}, unavailable(context.Cause(ctx))
		}
	}
	if r.visits == nil {
		r.visits, r.memory = map[object.Key]*visit{}, map[object.Key]*commit.Memory{}
	}
	v := &visit{over: make(chan struct{})}
	r.visits[key] = v
	mem := r.memory[key]
	if mem == nil {
		mem = &commit.Memory{}
	}
	r.mu.Unlock()

	v.report, v.err = s.examine(ctx, b, key, mem, expired, heals)

	r.mu.Lock()
	delete(r.visits, key)
	if v.err == nil && (v.report.Row == nil || v.report.Row.Quiet(b.config().Kept())) {
		delete(r.memory, key)
	} else {
		r.memory[key] = mem
	}
	r.mu.Unlock()
	close(v.over)
	return v.report, v.err
}

// examine runs one visit.
func (s *Set) examine(ctx context.Context, b *bucket, key object.Key, mem *commit.Memory, expired object.ID, heals bool) (commit.Report, error) {
	p := s.newProcess(ctx, b, key, commit.NewRepair(b.config()))
	if heals {
		p.pace = paced
	}
	var report *commit.Report
	p.other = func(e commit.Effect) {
		switch e := e.(type) {
		case commit.Copy:
			p.asks.Go(func() {
				p.deliver(commit.Copied{Target: e.Target, OK: heals && s.copy(p.ctx, b, key, e)})
			})
		case commit.Mend:
			p.asks.Go(func() {
				p.deliver(commit.Copied{Target: e.Target, OK: heals && s.mend(p.ctx, b, key, e)})
			})
		case commit.Fence:
			p.asks.Go(func() { p.deliver(p.fence(e)) })
		case commit.Remember:
			p.asks.Go(func() { p.deliver(p.remember(e)) })
		case commit.Examined:
			report = &e.Report
		default:
			panic(fmt.Sprintf("replica: effect %T of a repair", e))
		}
	}
	if !p.run(commit.Examine{Memory: mem, Expired: expired}) || report == nil {
		return commit.Report{}, unavailable(context.Cause(ctx))
	}
	return *report, nil
}

// copy heals one replica: the same write as a client's, whose client is a
// replica that holds the version (R27). It yields to client writes of the key.
func (s *Set) copy(ctx context.Context, b *bucket, key object.Key, e commit.Copy) bool {
	begun := time.Now()
	ok, err := s.heal(ctx, b, key, e)
	if err != nil && ctx.Err() == nil {
		s.o.Logger.DebugContext(ctx, "replica could not be healed", "key", key, "backend", e.Target, "error", err)
	}
	if ok {
		s.metrics.heal(e.Info.Size, time.Since(begun))
	}
	return ok
}

func (s *Set) heal(ctx context.Context, b *bucket, key object.Key, e commit.Copy) (bool, error) {
	op := commit.Op{ID: object.NewID(), Type: oplog.OpHeal, Info: e.Info, Target: e.Target}
	var sizes []int64 // of the parts that it is put together of; none: it is in one piece
	if e.Info.Kind == object.Present {
		sizes = s.partsOf(ctx, b, key, e)
		op.Stream = e.Info.Size > s.o.Held || len(sizes) > 0
		op.Slow = s.slowHeal(sizes, e.Info.Size)
	}
	how := paced
	if stack := s.stack(e.Target); stack != nil && !op.Stream { // sent whole after its intent, which clients of the key wait for: it waits before
		done, err := stack.Limits.Pay(ctx, e.Info.Size)
		if err != nil {
			return false, err
		}
		defer done()
		how = paid
	}
	if e.Info.Kind == object.Tombstone {
		w := s.newWrite(b, key, op, origin{actor: "healer"})
		w.pace = how
		w.spans.follow(ctx)
		w.start(s.up(b), func() {})
		return w.healed(ctx, nil)
	}
	slabs := slabsFor(min(e.Info.Size, s.o.PerUpload))
	if err := s.memory.reserve(ctx, slabs); err != nil {
		return false, err
	}
	src, err := s.source(ctx, b, key, e, op.Stream)
	if err != nil {
		s.memory.free(slabs)
		return false, err
	}
	defer src.Body.Close()
	w := s.newWrite(b, key, op, origin{actor: "healer"})
	w.pace = how
	w.spans.follow(ctx)
	w.plan = src.plan
	w.plan.tags = e.Info.Tags
	w.stamp = src.stamp
	held := e.Info.Size
	switch {
	case len(sizes) > 0:
		held = 0 // its last request is held, not its end
		src.inParts(sizes)
		w.plan, w.carry = plan{headers: src.plan.headers, tags: e.Info.Tags, payload: src.plan.payload}, carryParts(sizes, src.parts)
	case op.Stream:
		held = s.o.Held
	}
	w.body = newFanout(s.memory, e.Info.Size, held, slabs)
	w.filling.Add(1)
	w.start(s.up(b), func() {})
	return w.healed(ctx, src)
}

// healed waits until the copy may begin, reads its source and waits for the
// verdict.
func (w *write) healed(ctx context.Context, src *source) (bool, error) {
	err := w.accept(ctx)
	if err == nil && src != nil {
		if err = w.body.fill(src, w.set.o.Times.Grace, func(string, time.Duration) {}); err == nil {
			err = src.proven(w)
		}
	}
	if w.body != nil {
		w.filling.Done()
	}
	if err == nil {
		unlock, ok := w.set.locks.tryLock(w.key)
		if ok {
			w.hold(unlock)
		} else {
			err = errors.New("a client writes the key")
		}
	}
	if err != nil {
		w.deliver(commit.Broken{})
	} else {
		w.post(func() {
			w.whole = time.Now()
			w.step(commit.Verified{Info: w.op.Info})
		})
	}
	select {
	case res := <-w.result:
		if res.Kind != commit.Acked && err == nil {
			err = failure(res)
		}
		return res.Kind == commit.Acked, err
	case <-ctx.Done():
		w.deliver(commit.Broken{})
		return false, context.Cause(ctx)
	}
}

// accept waits until the machine wants the body.
func (w *write) accept(ctx context.Context) error {
	var over <-chan struct{}
	if w.body != nil {
		over = w.body.over()
	}
	select {
	case <-w.accepted:
		return nil
	case <-over:
		return errLeft
	case res := <-w.result:
		w.result <- res // healed takes it again
		return errLeft
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// source is the body of a heal: what a current replica gives, with everything
// that makes the copy equal to it.
type source struct {
	*backend.Object
	plan  plan
	stamp object.Stamp
	sum   hash.Hash // of plan.algorithm; nil: none
	want  string    // its value as the source tells it, base64
	parts *partSums // of a copy that is put together; nil: none
	r     io.Reader
}

// source opens the version on the best replica that holds it.
func (s *Set) source(ctx context.Context, b *bucket, key object.Key, e commit.Copy, stream bool) (*source, error) {
	cause := errors.New("no replica that holds the version is up")
	for _, replica := range s.order(b) {
		if !e.Sources.Has(replica) || replica == e.Target {
			continue
		}
		at, err := s.at(ctx, b, replica, paced)
		if err != nil {
			cause = err
			continue
		}
		obj, err := at.get(ctx, key.Name, backend.GetOptions{Checksums: true})
		if err != nil {
			cause = err
			continue
		}
		if !sourceShows(e.Info, obj.Seen) {
			obj.Body.Close()
			cause = fmt.Errorf("backend %s does not hold the version any more", replica)
			continue
		}
		if s.qualities.anyLoses(b.config().Replicas, algorithmIn(e.Info.Headers)) { // else what the source shows is what all do
			obj.Headers = withSums(obj.Headers, e.Info.Headers)
		}
		return newSource(obj, s.newPlan(obj.Headers, ""), e.Info), nil
	}
	return nil, cause
}

// sourceShows tells whether a replica shows the version. The form of its ETag may
// be its own; the row that names it good was checked by the repair that asks for
// the copy.
func sourceShows(cur object.Info, seen object.Seen) bool {
	if !cur.ID.IsZero() {
		cur.ETag = ""
	}
	return seen.Shows(cur)
}

// withSums are the headers that a source showed, with the checksum that the version is
// known to have, if any, instead of what the source keeps of one: its bytes are held
// against that.
func withSums(shown, known object.Headers) object.Headers {
	sums := object.Headers{}
	for name, value := range known {
		if strings.HasPrefix(name, object.ChecksumPrefix) {
			sums[name] = value
		}
	}
	if len(sums) == 0 {
		return shown
	}
	for name, value := range shown {
		if !strings.HasPrefix(name, object.ChecksumPrefix) {
			sums[name] = value
		}
	}
	return sums
}

func newSource(obj *backend.Object, p plan, cur object.Info) *source {
	src := &source{Object: obj, r: obj.Body}
	src.stamp = object.Stamp{ID: obj.ID, Flag: obj.Flag, Uploaded: obj.Uploaded, Ver: obj.Ver}
	if obj.Flag == object.FlagSmall {
		src.stamp.ETag = cur.ETag
	}
	src.plan = p
	for name, value := range obj.Headers {
		algorithm, ok := strings.CutPrefix(name, object.ChecksumPrefix)
		if !ok || strings.Contains(value, "-") { // a checksum of parts
			continue
		}
		if h, err := backend.NewChecksum(algorithm); err == nil {
			src.plan.algorithm, src.sum, src.want = algorithm, h, value
			src.r = io.TeeReader(obj.Body, h)
		}
	}
	return src
}

// inParts also computes the checksums of the parts that the copy is made of, in the
// algorithm of the version.
func (src *source) inParts(sizes []int64) {
	sum, want := checksumIn(src.Headers)
	if src.parts = newPartSums(sum, sizes); src.parts != nil {
		src.want = want
		src.r = io.TeeReader(src.Body, src.parts)
	}
	src.sum = nil
}

// Read implements io.Reader.
func (src *source) Read(p []byte) (int, error) { return src.r.Read(p) }

// errRotten: a replica gives other bytes than it was given.
var errRotten = errors.New("bytes of the source do not match its stored checksum")

// proven finishes the body if it is what the source says it is.
func (src *source) proven(w *write) error {
	trailer, got := "", src.want
	switch {
	case src.parts != nil:
		var err error
		if got, err = src.parts.whole(); err != nil {
			return err
		}
	case src.sum != nil:
		trailer = base64.StdEncoding.EncodeToString(src.sum.Sum(nil))
		got = trailer
	}
	if got != src.want {
		w.set.alarm(w.key, errRotten.Error())
		return errRotten
	}
	w.body.finish(trailer)
	return nil
}

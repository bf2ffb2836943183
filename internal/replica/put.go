package replica

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/s3mirror/s3mirror/internal/commit"
	"github.com/s3mirror/s3mirror/internal/object"
	"github.com/s3mirror/s3mirror/internal/oplog"
	"github.com/s3mirror/s3mirror/internal/s3"
)

// Body is the verifying body of an upload; *auth.Body is one. io.EOF from Read
// means that it is whole and that all its promises hold. It is read by the
// goroutine that called Put, and not after Put has returned.
type Body interface {
	io.Reader
	// Size is the decoded length in bytes.
	Size() int64
	// SHA256 is the literal hash that the client signed, known before the first
	// Read; ok is false when it signed none.
	SHA256() (sum [32]byte, ok bool)
	// ContentMD5 is what the client promised, nil for nothing.
	ContentMD5() []byte
	// Promised is the checksum that the client promised.
	Promised() s3.Checksum
	// ComputeMD5 and ComputeChecksum ask for hashes, before the first Read.
	ComputeMD5()
	ComputeChecksum(algorithm string)
	// Checksum, MD5 and Sum tell them after io.EOF.
	Checksum() (algorithm, value string)
	MD5() []byte
	Sum(algorithm string) string
}

// PutRequest is one PutObject.
type PutRequest struct {
	Key     object.Key
	Headers object.Headers // of the version, as s3.VersionHeaders gives them
	Tags    object.Tags    // of the version
	Body    Body
	If      s3.WriteConditions
	Actor   string // login, for the history
	Request string // request id, for the history
}

// Put writes an object and returns the version that was acknowledged. An error
// of status 4xx means that nothing was changed, and nothing will be; a 5xx that
// the write may take effect, now or later, unless the log could not be reached
// at all. When ctx ends before the release, nothing lands; later, the write goes
// on without its caller.
//
// The body is read by the calling goroutine alone. When a write fails early Put
// returns after the Read that is under way: see to it that one can not block for
// ever.
func (s *Set) Put(ctx context.Context, r PutRequest) (object.Info, error) {
	leave, err := s.enter()
	if err != nil {
		return object.Info{}, err
	}
	defer leave()
	b, over, err := s.buckets.writableSoon(ctx, r.Key.Bucket)
	if err != nil {
		return object.Info{}, err
	}
	size := r.Body.Size()
	if err := s.holdable(ctx, b, r.Key, size); err != nil {
		over()
		return object.Info{}, err
	}
	slabs := slabsFor(min(size, s.o.PerUpload))
	if err := s.memory.reserve(ctx, slabs); err != nil {
		over()
		return object.Info{}, unavailable(fmt.Errorf("no memory for the body: %w", err))
	}
	cond := condition{c: r.If}
	op := commit.Op{ID: object.NewID(), Type: oplog.OpPut, Stream: size > s.o.Held, If: cond.verdict()}
	op.Info = object.Info{Kind: object.Present, Size: size}
	w := s.newWrite(b, r.Key, op, origin{r.Actor, r.Request})
	w.spans.follow(ctx)
	w.plan = s.planFor(r.Body, r.Headers, b.config().Replicas, !op.Stream)
	w.plan.tags = r.Tags
	w.stamp = object.Stamp{ID: op.ID, Flag: object.FlagSmall}
	held := size // a small body is held whole
	if op.Stream {
		held = s.o.Held
		w.stamp.Flag, w.stamp.Uploaded = object.FlagStream, s.o.Wall()
	}
	w.body = newFanout(s.memory, size, held, slabs)
	w.filling.Add(1)
	w.start(s.up(b), over)
	res, err := w.receive(ctx, r.Body)
	if err != nil {
		return object.Info{}, err
	}
	return cond.conclude(res)
}

// receive reads the client's body into the ring, waits for the key's turn and
// then for the verdict. The error says why the write was broken off by us.
func (w *write) receive(ctx context.Context, body Body) (commit.Result, error) {
	err := w.read(ctx, body)
	w.filling.Done()
	if err == nil {
		err = w.takeTurn(ctx)
	}
	if err == nil {
		info := w.plan.verified(body)
		w.post(func() {
			w.whole = time.Now()
			w.stamp.ETag = info.ETag
			if w.op.Stream {
				w.stamp.ETag = ""
			}
			w.step(commit.Verified{Info: info})
		})
	} else if !errors.Is(err, errLeft) {
		w.deliver(commit.Broken{})
	}
	return w.await(ctx, err)
}

// read waits until the body may be read, and reads it.
func (w *write) read(ctx context.Context, body Body) error {
	select {
	case <-w.accepted:
	case <-w.body.over(): // it failed before a byte was read
		return errLeft
	case <-ctx.Done():
		return unavailable(context.Cause(ctx))
	}
	err := w.body.fill(body, w.set.o.Times.Grace, func(replica string, d time.Duration) {
		w.deliver(commit.Stalled{Replica: replica, For: d})
	})
	if err != nil {
		return bodyError(err)
	}
	w.body.finish(body.Sum(w.plan.algorithm))
	return nil
}

// bodyError is what a client is told of its body.
func bodyError(err error) error {
	var e *s3.Error
	if errors.Is(err, errLeft) || errors.As(err, &e) {
		return err
	}
	return s3.Err(s3.IncompleteBody).Because(err)
}

// takeTurn waits for the key's lock, and looks once more whether the bucket
// takes intents.
func (w *write) takeTurn(ctx context.Context) error {
	wait, cancel := context.WithTimeout(ctx, w.set.o.Times.LockWait)
	defer cancel()
	if err := w.lockKey(wait); err != nil {
		return err
	}
	return w.set.buckets.admits(ctx, w.b)
}

// lockKey waits for the key's lock until ctx is done.
func (w *write) lockKey(ctx context.Context) error {
	unlock, err := w.set.locks.lock(ctx, w.key)
	if err != nil {
		return unavailable(fmt.Errorf("other writes of the key are under way: %w", err))
	}
	w.hold(unlock)
	return nil
}

// await returns the verdict, or why there is none to wait for: broken, or a
// client that has gone.
func (w *write) await(ctx context.Context, broken error) (commit.Result, error) {
	select {
	case res := <-w.result:
		if broken != nil && !errors.Is(broken, errLeft) {
			return res, broken
		}
		return res, nil
	case <-ctx.Done():
		w.deliver(commit.Broken{}) // counts only before the intent
		if broken != nil && !errors.Is(broken, errLeft) {
			return commit.Result{}, broken // a client that closed its side still reads why
		}
		return commit.Result{}, unavailable(context.Cause(ctx))
	}
}

// condition judges a client's precondition and keeps the verdict's words.
type condition struct {
	c   s3.WriteConditions
	err error
}

// verdict is the condition as commit wants it; nil when there is none.
func (c *condition) verdict() commit.Condition {
	if c.c.Empty() {
		return nil
	}
	return func(cur object.Info) string {
		c.err = c.c.Check(cur)
		var e *s3.Error
		if errors.As(c.err, &e) {
			return string(e.Code)
		}
		return ""
	}
}

// conclude is what the client is told.
func (c *condition) conclude(res commit.Result) (object.Info, error) {
	switch {
	case res.Kind == commit.Acked:
		return res.Info, nil
	case res.Kind == commit.Failed && c.err != nil && errors.Is(c.err, s3.Code(res.Code)):
		return object.Info{}, c.err
	}
	return object.Info{}, failure(res)
}

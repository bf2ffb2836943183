package replica

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/s3mirror/s3mirror/internal/backend"
	"github.com/s3mirror/s3mirror/internal/commit"
	"github.com/s3mirror/s3mirror/internal/object"
	"github.com/s3mirror/s3mirror/internal/oplog"
	"github.com/s3mirror/s3mirror/internal/s3"
)

// TagRequest is one PutObjectTagging, or a DeleteObjectTagging: then there are no tags.
type TagRequest struct {
	Key     object.Key
	Tags    object.Tags
	Actor   string // login, for the history
	Request string // request id, for the history
}

// PutTags gives the current version of an object these tags and no others; nothing else
// of it changes (docs/decisions/0029). Errors as Put, NoSuchKey among them; after a 5xx
// the tags may be changed.
func (s *Set) PutTags(ctx context.Context, r TagRequest) error {
	leave, err := s.enter()
	if err != nil {
		return err
	}
	defer leave()
	b, over, err := s.buckets.writable(ctx, r.Key.Bucket)
	if err != nil {
		return err
	}
	unlock, err := s.turn(ctx, b, r.Key)
	if err != nil {
		over()
		return err
	}
	op := commit.TagOp{ID: object.NewID(), Tags: r.Tags}
	t := s.newTagging(ctx, b, r.Key, op, origin{r.Actor, r.Request})
	t.answered = unlock
	s.drive(t.process, commit.Begin{Up: s.up(b)}, func() {
		t.close()
		over()
	})
	select {
	case res := <-t.result:
		if res.Kind != commit.Acked {
			return failure(res)
		}
		return nil
	case <-ctx.Done():
		return unavailable(context.Cause(ctx))
	}
}

// turn waits for the key's lock, and looks once more whether the bucket takes writes.
func (s *Set) turn(ctx context.Context, b *bucket, key object.Key) (unlock func(), err error) {
	wait, cancel := context.WithTimeout(ctx, s.o.Times.LockWait)
	defer cancel()
	unlock, err = s.locks.lock(wait, key)
	if err != nil {
		return nil, unavailable(fmt.Errorf("other writes of the key are under way: %w", err))
	}
	if err := s.buckets.admits(ctx, b); err != nil {
		unlock()
		return nil, err
	}
	return unlock, nil
}

// tagging is one commit.Tag under way. Its process outlives the caller.
type tagging struct {
	*process
	op       commit.TagOp
	origin   origin
	begun    time.Time
	result   chan commit.Result // has room for the one
	answered func()             // the key's turn is over
	told     bool               // owned by the driver, as is said
	said     map[string]string  // by replica, for the history
}

// newTagging is a change whose requests are part of the trace of ctx, which it outlives.
func (s *Set) newTagging(ctx context.Context, b *bucket, key object.Key, op commit.TagOp, from origin) *tagging {
	t := &tagging{op: op, origin: from, begun: time.Now(), result: make(chan commit.Result, 1), answered: func() {}, said: map[string]string{}}
	var of spans
	of.follow(ctx)
	t.process = s.newProcess(of.within(s.base), b, key, commit.NewTag(b.config(), op))
	t.other = t.carryOut
	return t
}

func (t *tagging) carryOut(e commit.Effect) {
	switch e := e.(type) {
	case commit.Retag:
		t.said[e.Replica] = "late"
		t.asks.Go(func() {
			err := t.retag(e)
			a := tagAnswer(err)
			t.post(func() {
				t.said[e.Replica] = said(a)
				if err != nil {
					t.set.o.Logger.DebugContext(t.ctx, "tags were not changed on a replica", "key", t.key, "backend", e.Replica, "error", err)
				}
				t.step(commit.Retagged{Replica: e.Replica, Answer: a})
			})
		})
	case commit.Resolve:
		t.asks.Go(func() {
			t.set.resolve(t.ctx, t.b, t.key, e.Expired)
			t.deliver(commit.Repaired{})
		})
	case commit.Done:
		t.done(e.Result)
	default:
		panic(fmt.Sprintf("replica: effect %T of a change of tags", e))
	}
}

func (t *tagging) retag(e commit.Retag) error {
	ctx, cancel := context.WithTimeout(t.ctx, t.set.o.Times.Keep)
	defer cancel()
	at, err := t.set.at(ctx, t.b, e.Replica, t.pace)
	if err != nil {
		return err
	}
	if len(e.Tags) == 0 {
		err = at.DeleteTags(ctx, at.bucket, t.key.Name)
	} else {
		err = at.PutTags(ctx, at.bucket, t.key.Name, e.Tags)
	}
	if keepsNoTags(err) {
		t.set.qualities.keepsNone(e.Replica)
	}
	return at.doubt(err)
}

// keepsNoTags tells whether an endpoint says that it does not do tags at all.
func keepsNoTags(err error) bool {
	return errors.Is(err, s3.NotImplemented) || errors.Is(err, s3.MethodNotAllowed)
}

// tagAnswer is answerOf for a change of tags: where no object is, nothing was changed;
// and a server that does not do tags changed none, though it says so by a 501.
func tagAnswer(err error) commit.Answer {
	switch {
	case backend.OutcomeOf(err) == backend.Absent:
		return commit.Answer{Class: commit.No}
	case keepsNoTags(err):
		return commit.Answer{Class: commit.No}
	}
	return answerOf(err)
}

func (t *tagging) done(res commit.Result) {
	t.told = true
	t.answered()
	t.result <- res
	result := [...]string{commit.Acked: "acked", commit.Failed: "failed", commit.Doubt: "unknown"}[res.Kind]
	if t.op.Heal != "" && res.Kind == commit.Acked {
		result = "healed"
	}
	t.set.metrics.write(oplog.OpTag.String(), result, time.Since(t.begun))
	backends := map[string]string{}
	for _, r := range t.b.config().Replicas {
		switch {
		case t.op.Heal != "" && r != t.op.Heal:
		case t.said[r] == "":
			backends[r] = "no"
		default:
			backends[r] = t.said[r]
		}
	}
	t.set.history.add(oplog.Event{
		Time: t.set.o.Wall(), Bucket: t.key.Bucket, Key: t.key.Name, Op: oplog.OpTag.String(),
		ID: t.op.ID, Ver: res.Info.Ver, Size: res.Info.Size, Actor: t.origin.actor, Request: t.origin.request,
		Result: result, Backends: backends,
	})
}

// close is called when nothing of the process is left.
func (t *tagging) close() {
	if !t.told { // it was abandoned
		t.answered()
		t.result <- commit.Result{Kind: commit.Doubt, Code: string(s3.SlowDown)}
	}
	if t.op.Heal == "" && t.restless() {
		t.set.unquiet(t.key)
	}
}

// mend gives a replica the tags that the row names. Clients of the key go first.
func (s *Set) mend(ctx context.Context, b *bucket, key object.Key, e commit.Mend) bool {
	unlock, ok := s.locks.tryLock(key)
	if !ok {
		return false
	}
	defer unlock()
	t := s.newTagging(ctx, b, key, commit.TagOp{ID: object.NewID(), Tags: e.Tags, Heal: e.Target}, origin{actor: "healer"})
	t.pace = paced
	s.drive(t.process, commit.Begin{Up: s.up(b)}, t.close)
	select {
	case res := <-t.result:
		return res.Kind == commit.Acked
	case <-ctx.Done():
		return false
	}
}

// tags asks a replica for the tags of the object that it holds.
func (p *process) tags(replica string) commit.ToldTags {
	at, err := p.set.at(p.ctx, p.b, replica, p.pace)
	if err != nil {
		return commit.ToldTags{Replica: replica, Failed: true}
	}
	tags, err := at.Tags(p.ctx, at.bucket, p.key.Name)
	switch {
	case keepsNoTags(err):
		p.set.qualities.keepsNone(replica)
		return commit.ToldTags{Replica: replica}
	case backend.OutcomeOf(err) == backend.Absent:
		return commit.ToldTags{Replica: replica, Absent: true}
	}
	return commit.ToldTags{Replica: replica, Tags: tags, Failed: at.doubt(err) != nil}
}

// Tags returns the tags of the current version of an object, and which version that is.
// NoSuchKey, NoSuchBucket, SlowDown.
func (s *Set) Tags(ctx context.Context, key object.Key) (object.Tags, object.Info, error) {
	b, err := s.buckets.readable(ctx, key.Bucket)
	if err != nil {
		return nil, object.Info{}, err
	}
	var served *commit.ServeTags
	absent := false
	p := s.newProcess(ctx, b, key, commit.NewTagRead(b.config()))
	p.other = func(e commit.Effect) {
		switch e := e.(type) {
		case commit.ServeTags:
			served = &e
		case commit.Absent:
			absent = true
		case commit.Unavailable:
		default:
			panic(fmt.Sprintf("replica: effect %T of a read of tags", e))
		}
	}
	p.run(commit.Look{Order: s.order(b)})
	switch {
	case served != nil:
		err = nil
	case absent:
		err = s3.Err(s3.NoSuchKey)
	default:
		err = unavailable(errors.New("no replica that is up can answer for the tags of the current version"))
	}
	s.metrics.read("tags", err)
	if err != nil {
		return nil, object.Info{}, err
	}
	return served.Tags, served.Info, nil
}

package replica

import (
	"context"
	"time"

	"github.com/s3mirror/s3mirror/internal/commit"
	"github.com/s3mirror/s3mirror/internal/object"
	"github.com/s3mirror/s3mirror/internal/oplog"
	"github.com/s3mirror/s3mirror/internal/s3"
)

// DeleteRequest is one DeleteObject.
type DeleteRequest struct {
	Key     object.Key
	If      s3.WriteConditions
	Actor   string // login, for the history
	Request string // request id, for the history
}

// Delete removes an object; that there was none is success. Errors as Put.
func (s *Set) Delete(ctx context.Context, r DeleteRequest) error {
	leave, err := s.enter()
	if err != nil {
		return err
	}
	defer leave()
	b, over, err := s.buckets.writableSoon(ctx, r.Key.Bucket)
	if err != nil {
		return err
	}
	cond := condition{c: r.If}
	op := commit.Op{ID: object.NewID(), Type: oplog.OpDelete, If: cond.verdict()}
	w := s.newWrite(b, r.Key, op, origin{r.Actor, r.Request})
	w.spans.follow(ctx)
	w.start(s.up(b), over)
	res, err := w.remove(ctx)
	if err != nil {
		return err
	}
	_, err = cond.conclude(res)
	return err
}

// remove waits for the key's turn and for the verdict.
func (w *write) remove(ctx context.Context) (commit.Result, error) {
	var err error
	select {
	case <-w.accepted:
		if err = w.takeTurn(ctx); err == nil {
			w.post(func() {
				w.whole = time.Now()
				w.step(commit.Verified{})
			})
		} else {
			w.deliver(commit.Broken{})
		}
	case res := <-w.result:
		return res, nil
	case <-ctx.Done():
	}
	return w.await(ctx, err)
}

package backend

import (
	"context"
	"errors"
	"io"
	"time"

	"github.com/s3mirror/s3mirror/internal/s3"
)

// runResult does a call whose status says little: the endpoint may answer 200
// before it knows the result, keep the connection alive with blanks, and then
// say in the document what became of it. read consumes that document.
func (r *Remote) runResult(ctx context.Context, c call, read func(io.Reader) error) error {
	x, err := r.begin(ctx, c, 0)
	defer x.end()
	if err := r.judge(x, err); err != nil {
		return err
	}
	var said *s3.Error
	switch err := read(&result{x, r.o.StallTimeout}); {
	case errors.As(err, &said):
		drain(x.resp)
		return r.inside(x, said)
	case err != nil:
		return r.failed(x, err)
	}
	drain(x.resp)
	return nil
}

// result is the body of an answer that may take long, and shows now and then
// that it is still coming.
type result struct {
	*exchange
	stall time.Duration
}

func (b *result) Read(p []byte) (int, error) {
	b.timer.Reset(b.stall)
	n, err := b.resp.Body.Read(p)
	b.timer.Stop()
	if err != nil && !errors.Is(err, io.EOF) {
		err = b.reason(err)
	}
	return n, err
}

package backend

import (
	"context"
	"errors"

	"github.com/s3mirror/s3mirror/internal/s3"
)

// verdict is whose fault the end of an operation was.
type verdict uint8

const (
	innocent verdict = iota // the endpoint answered
	guilty                  // the endpoint failed
	unknown                 // it does not tell
)

func blame(ctx context.Context, err error) verdict {
	switch {
	case err == nil:
		return innocent
	case errors.Is(err, ErrOpen), errors.Is(err, ErrBody), errors.Is(err, ErrRequest):
		return unknown
	case errors.Is(err, ErrOrder):
		return innocent // it can not list, but it stores and reads
	case ctx.Err() != nil:
		return blameCaller(context.Cause(ctx))
	}
	o := OutcomeOf(err)
	if o == Absent || o == Refused && !isCredentials(err) {
		return innocent
	}
	return guilty
}

// blameCaller judges an operation that its caller ended.
func blameCaller(cause error) verdict {
	if errors.Is(cause, ErrStalled) || errors.Is(cause, context.DeadlineExceeded) {
		return guilty
	}
	return unknown
}

// isCredentials tells a refusal that every request would get from one that is
// about a key or a bucket. AccessDenied may be a policy on one prefix.
func isCredentials(err error) bool {
	var e *Error
	if !errors.As(err, &e) || !e.Misconfigured {
		return false
	}
	return !errors.Is(err, s3.NoSuchBucket) && !errors.Is(err, s3.AccessDenied)
}

func isOpen(err error) bool { return errors.Is(err, ErrOpen) }

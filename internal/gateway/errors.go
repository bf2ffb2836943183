package gateway

import (
	"errors"
	"fmt"
	"net/http"
	"runtime"

	"github.com/s3mirror/s3mirror/internal/s3"
)

// refuse is the one place where errors become answers. What may be read and
// what stays in the log is s3.ForClient's business.
func (h *Handler) refuse(a *answer, r *request, err error) {
	a.refused(r.upload)
	var sts *stsError
	if errors.As(err, &sts) {
		writeSTSError(a, r.id, sts)
		return
	}
	s3.WriteError(a, r.Request, r.id, err)
}

// recovered turns a panic into an error.
func recovered(serve func() error) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = &panicError{value: p, stack: stack()}
		}
	}()
	return serve()
}

// panicError is a broken invariant of ours, with where it broke.
type panicError struct {
	value any
	stack string
}

func (p *panicError) Error() string { return fmt.Sprintf("panic: %v", p.value) }

func stack() string {
	buf := make([]byte, 16<<10)
	return string(buf[:runtime.Stack(buf, false)])
}

// broken tells whether somebody must look at the error: it is ours, and the
// client is still there to be told.
func broken(r *http.Request, err error) bool {
	if err == nil || r.Context().Err() != nil {
		return false
	}
	return s3.ForClient(err).Code == s3.InternalError
}

// panicOf finds the panic behind an error, nil when there was none.
func panicOf(err error) *panicError {
	var p *panicError
	_ = errors.As(err, &p)
	return p
}

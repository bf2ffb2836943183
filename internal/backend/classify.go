package backend

import (
	"net/http"

	"github.com/s3mirror/s3mirror/internal/s3"
)

// outcome says what an answer that is no success proves (RELIABILITY R11, R12).
func (r *Remote) outcome(op Op, s *s3.Error, released bool) Outcome {
	if absent(op, s) {
		return Absent
	}
	throttled := throttles(s)
	switch {
	case s.Status < 500 && throttled:
		return Throttled
	case s.Status < 500:
		return Refused
	case op.Reads() && throttled:
		return Throttled
	case op.Reads():
		return Ambiguous
	case throttled && (!released || r.o.ThrottleSafe):
		return Throttled
	case !released:
		return NotSent
	}
	return Ambiguous
}

// absent holds only for an answer that says what is missing.
func absent(op Op, s *s3.Error) bool {
	if s.Status != http.StatusNotFound {
		return false
	}
	switch op {
	case OpGet, OpHead, OpDelete, OpTags, OpPutTags, OpDeleteTags, OpDescribe, OpParts, OpCopy:
		return s.Code == s3.NoSuchKey
	case OpPutPart, OpCompleteUpload, OpAbortUpload, OpListParts:
		return s.Code == s3.NoSuchUpload
	case OpCopyPart:
		return s.Code == s3.NoSuchUpload || s.Code == s3.NoSuchKey
	case OpHeadBucket, OpDeleteBucket:
		return s.Code == s3.NoSuchBucket
	default:
		return false
	}
}

func throttles(s *s3.Error) bool {
	switch s.Status {
	case http.StatusTooManyRequests, http.StatusInsufficientStorage:
		return true
	case http.StatusServiceUnavailable:
		return s.Code == s3.SlowDown
	}
	return false
}

// misconfigured tells a refusal of ourselves from a refusal of the request.
func misconfigured(op Op, method string, s *s3.Error) bool {
	switch s.Code {
	case s3.InvalidAccessKeyID, s3.SignatureDoesNotMatch, s3.RequestTimeTooSkewed, s3.AuthorizationHeaderMalformed,
		s3.ExpiredToken, s3.InvalidToken, s3.PermanentRedirect, s3.TemporaryRedirect, s3.IllegalLocationConstraint:
		return true
	case s3.NoSuchBucket:
		return op != OpHeadBucket && op != OpDeleteBucket
	case s3.InvalidObjectState, s3.QuotaExceeded:
		return false // 403s that are about an object, and about space
	default:
		return misconfiguredStatus(method, s)
	}
}

// misconfiguredStatus goes by the status, and by whether a document came with
// it.
func misconfiguredStatus(method string, s *s3.Error) bool {
	switch {
	case s.Status < 400: // a redirect; a 304 to a request without conditions
		return true
	case s.Status == http.StatusUnauthorized, s.Status == http.StatusForbidden:
		return true
	case s.Status >= 500:
		return false
	case method == http.MethodHead:
		// No document to go by: a 400 is the region or the signature, a 404 is
		// looked into by a GET.
		return s.Status == http.StatusBadRequest
	}
	// A 4xx without S3's error document comes from something in between.
	return s.Err != nil
}

// inside is the error of an answer whose status says success and whose document
// is an Error: what the endpoint then knows it says by the code. A code that is
// not one of S3's refusals proves nothing.
func (r *Remote) inside(x *exchange, s *s3.Error) *Error {
	return r.within(x.op, x.method, x.resp.StatusCode, s)
}

func (r *Remote) within(op Op, method string, status int, s *s3.Error) *Error {
	said := *s
	said.Status = s.Code.Status() // 500 for a code that we do not know
	return &Error{
		Backend:       r.o.Name,
		Op:            op,
		Outcome:       r.outcome(op, &said, true),
		Misconfigured: misconfigured(op, method, &said),
		Released:      true,
		Status:        status,
		S3:            s,
	}
}

// unsent is the error of a request that was not sent.
func (r *Remote) unsent(op Op, err error) *Error {
	return &Error{Backend: r.o.Name, Op: op, Outcome: NotSent, Err: err}
}

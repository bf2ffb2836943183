package admin

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/s3mirror/s3mirror/internal/admin/api"
	"github.com/s3mirror/s3mirror/internal/auth"
	"github.com/s3mirror/s3mirror/internal/oplog"
	"github.com/s3mirror/s3mirror/internal/s3"
)

// problemType begins every type. What follows is stable: programs may match it.
const problemType = "urn:s3mirror:problem:"

// Problem is an error as the API tells it (RFC 9457), and as the Client
// returns it.
type Problem struct {
	api.Problem

	cause error         // for the log only
	retry time.Duration // when to come again; zero: not said
}

// Error is one line for people.
func (p *Problem) Error() string {
	text := p.Title
	if p.Detail != "" {
		text += ": " + p.Detail
	}
	if p.RequestID != "" {
		text += " (request " + p.RequestID + ")"
	}
	return text
}

// Unwrap returns the cause, which the client of the API never sees.
func (p *Problem) Unwrap() error { return p.cause }

// problem makes a Problem whose type ends in name.
func problem(status int, name, title, detail string, args ...any) *Problem {
	return &Problem{Problem: api.Problem{Type: problemType + name, Title: title, Status: status, Detail: fmt.Sprintf(detail, args...)}}
}

func forbidden(format string, args ...any) *Problem {
	return problem(http.StatusForbidden, "forbidden", "You may not do that", format, args...)
}

// asProblem decides what the client is told of an error: an error that is not a
// Problem keeps its details for the log.
func asProblem(err error) *Problem {
	var p *Problem
	if errors.As(err, &p) {
		return p
	}
	p = problemOf(err)
	p.cause = err
	return p
}

func problemOf(err error) *Problem {
	var tooLarge *http.MaxBytesError
	var locked *auth.LockedError
	var wrong *auth.InvalidError
	var denial *auth.Denial
	switch {
	case errors.As(err, &tooLarge):
		return problem(http.StatusRequestEntityTooLarge, "too-large", "Request is too large", "at most %d bytes", tooLarge.Limit)
	case errors.As(err, &locked):
		p := problem(http.StatusTooManyRequests, "locked-out", "Too many failed logins", "try again after %s", locked.Until.UTC().Format(time.RFC3339))
		p.retry = time.Until(locked.Until)
		return p
	case errors.Is(err, auth.ErrBusy):
		p := problem(http.StatusServiceUnavailable, "busy", "Too many logins at once", "")
		p.retry = time.Second
		return p
	case errors.Is(err, auth.ErrIssuer):
		p := problem(http.StatusServiceUnavailable, "issuer-away", "The issuer of the token does not answer", "")
		p.retry = time.Second
		return p
	case errors.Is(err, auth.ErrLogin):
		return problem(http.StatusUnauthorized, "login-refused", "Login or password is wrong", "")
	case errors.Is(err, auth.ErrToken):
		return problem(http.StatusUnauthorized, "token-refused", "The token is not valid, or not any more", "")
	case errors.As(err, &denial):
		return forbidden("%s", denial.Reason.Text())
	case errors.As(err, &wrong):
		return problem(http.StatusBadRequest, "bad-user", "The user would not be valid", "%v", wrong)
	case errors.Is(err, auth.ErrNoUser):
		return problem(http.StatusNotFound, "unknown-user", "There is no such user", "")
	case errors.Is(err, auth.ErrNoKey):
		return problem(http.StatusNotFound, "unknown-key", "The user has no such key", "")
	case errors.Is(err, auth.ErrExists):
		return problem(http.StatusConflict, "user-exists", "There is such a user already", "")
	case errors.Is(err, auth.ErrConflict):
		return problem(http.StatusConflict, "changed-meanwhile", "Somebody else changed it at the same time", "try again")
	case errors.Is(err, ErrRotating):
		return problem(http.StatusConflict, "rotating", "The secret key is being changed already", "")
	case errors.Is(err, ErrSharedKey):
		return problem(http.StatusConflict, "shared-key", "Several nodes may have the secret key", "put the new key into the file of each: docs/operations.md tells how")
	case errors.Is(err, ErrKeyFile):
		return problem(http.StatusConflict, "key-file", "The file of the secret key cannot be replaced", "the server must be allowed to write into its folder; its log tells more")
	case errors.Is(err, ErrUnknownBackend):
		return problem(http.StatusNotFound, "unknown-backend", "There is no such backend", "")
	case errors.Is(err, errManyListeners):
		return problem(http.StatusServiceUnavailable, "busy", "Too many listen to events already", "")
	case errors.Is(err, ErrNoBackup):
		return problem(http.StatusNotImplemented, "no-backup", "The log's engine keeps copies by itself", "with Cassandra: nodetool snapshot")
	case errors.Is(err, ErrBackupBusy):
		return problem(http.StatusConflict, "backup-busy", "A backup is being made already", "")
	case errors.Is(err, ErrNoBucket):
		return problem(http.StatusConflict, "no-bucket", "There is no bucket on that backend to probe in", "make a bucket first")
	case errors.Is(err, ErrBackendAway):
		_, why, _ := strings.Cut(err.Error(), ErrBackendAway.Error()+": ") // whatever was done with it, its title says the rest
		return problem(http.StatusServiceUnavailable, "backend-away", "The backend does not answer as it should", "%s", why)
	case errors.Is(err, oplog.ErrNotApplied):
		return problem(http.StatusServiceUnavailable, "log-unavailable", "The log does not answer", "")
	}
	if told := s3.ForClient(err); told.Code != s3.InternalError {
		return problemOfS3(told)
	}
	return problem(http.StatusInternalServerError, "internal", "Internal error", "the log of the server has the details")
}

// problemOfS3 is an error of the S3 API as this one tells it: its type is the code
// in other letters, as no-such-key.
func problemOfS3(e *s3.Error) *Problem {
	p := problem(e.Code.Status(), kebab(string(e.Code)), cmp.Or(e.Code.Text(), string(e.Code)), "")
	if e.Message != "" && e.Message != p.Title {
		p.Detail = e.Message
	}
	if p.Status == http.StatusServiceUnavailable {
		p.retry = time.Second
	}
	return p
}

// kebab writes NoSuchKey as no-such-key and InvalidURI as invalid-uri.
func kebab(s string) string {
	upper := func(i int) bool { return 'A' <= s[i] && s[i] <= 'Z' }
	lower := func(i int) bool { return i < len(s) && 'a' <= s[i] && s[i] <= 'z' }
	var b strings.Builder
	for i := range len(s) {
		if i > 0 && upper(i) && (!upper(i-1) || lower(i+1)) {
			b.WriteByte('-')
		}
		b.WriteByte(s[i])
	}
	return strings.ToLower(b.String())
}

// reasonOf is why somebody was refused, for the audit: the cause behind a plain
// answer, or the answer.
func reasonOf(err error) string {
	var denial *auth.Denial
	var p *Problem
	switch {
	case err == nil:
		return "refused"
	case errors.As(err, &denial):
		return string(denial.Reason)
	case errors.As(err, &p):
		return p.Type[len(problemType):]
	}
	return err.Error()
}

// writeProblem is the one place that answers with an error.
func writeProblem(w http.ResponseWriter, p *Problem, requestID string) {
	out := p.Problem
	out.RequestID = requestID
	if p.retry > 0 {
		w.Header().Set("Retry-After", strconv.Itoa(int(math.Ceil(p.retry.Seconds()))))
	}
	if out.Status == http.StatusNotModified { // no problem, and no body
		w.WriteHeader(out.Status)
		return
	}
	w.Header().Set("Content-Type", "application/problem+json")
	w.WriteHeader(out.Status)
	_ = json.NewEncoder(w).Encode(out) // the client went away: nobody is left to tell
}

// onError is how the generated code reports one.
type onError func(http.ResponseWriter, *http.Request, error)

// badBody turns what the generated code says of a body into a problem.
func badBody(then onError) onError {
	return func(w http.ResponseWriter, r *http.Request, err error) {
		p := problem(http.StatusBadRequest, "bad-body", "Wrong body", "%v", err)
		p.cause = err
		then(w, r, p)
	}
}

// badParameter turns what the generated code says of a parameter into a problem.
func badParameter(then onError) onError {
	return func(w http.ResponseWriter, r *http.Request, err error) {
		detail := err.Error()
		var invalid *api.InvalidParamFormatError
		if errors.As(err, &invalid) {
			detail = fmt.Sprintf("%s: %v", invalid.ParamName, invalid.Err)
		}
		p := problem(http.StatusBadRequest, "bad-parameter", "Wrong parameter", "%s", detail)
		p.cause = err
		then(w, r, p)
	}
}

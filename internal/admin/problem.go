package admin

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"

	"github.com/s3mirror/s3mirror/internal/oplog"
)

// ErrUnknownBackend is what a Demo returns for a name that it does not have.
var ErrUnknownBackend = errors.New("there is no such backend")

// problemType begins every type. What follows is stable: programs may match it.
const problemType = "urn:s3mirror:problem:"

// Problem is an error as the API tells it (RFC 9457), and as the Client
// returns it.
type Problem struct {
	Type      string `json:"type"`
	Title     string `json:"title"`
	Status    int    `json:"status"`
	Detail    string `json:"detail,omitempty"`
	RequestID string `json:"request_id,omitempty"`

	cause error // for the log only
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
	return &Problem{Type: problemType + name, Title: title, Status: status, Detail: fmt.Sprintf(detail, args...)}
}

// asProblem decides what the client is told of an error: an error that is not a
// Problem keeps its details for the log.
func asProblem(err error) *Problem {
	var p *Problem
	var tooLarge *http.MaxBytesError
	switch {
	case errors.As(err, &p):
		return p
	case errors.As(err, &tooLarge):
		p = problem(http.StatusRequestEntityTooLarge, "too-large", "Request is too large", "at most %d bytes", tooLarge.Limit)
	case errors.Is(err, ErrUnknownBackend):
		p = problem(http.StatusNotFound, "unknown-backend", "There is no such backend", "")
	case errors.Is(err, oplog.ErrNotApplied):
		p = problem(http.StatusServiceUnavailable, "log-unavailable", "The log does not answer", "")
	default:
		p = problem(http.StatusInternalServerError, "internal", "Internal error", "the log of the server has the details")
	}
	p.cause = err
	return p
}

// writeProblem is the one place that answers with an error.
func writeProblem(w http.ResponseWriter, p *Problem, requestID string) {
	out := *p
	out.RequestID = requestID
	w.Header().Set("Content-Type", "application/problem+json")
	w.WriteHeader(out.Status)
	_ = json.NewEncoder(w).Encode(out) // the client went away: nobody is left to tell
}

package backend

import (
	"errors"
	"fmt"
	"net/http"
	"strings"

	"github.com/s3mirror/s3mirror/internal/s3"
)

// Op names an operation in errors, metrics and logs. The set is closed.
type Op string

// The operations of Backend and Bucketer.
const (
	OpPut          Op = "put"
	OpGet          Op = "get"
	OpHead         Op = "head"
	OpDelete       Op = "delete"
	OpList         Op = "list"
	OpCreateBucket Op = "create_bucket"
	OpHeadBucket   Op = "head_bucket"
	OpDeleteBucket Op = "delete_bucket"
	OpListBuckets  Op = "list_buckets"
)

// Those of Multiparter, Copier, Batcher, Tagger and Describer.
const (
	OpCreateUpload   Op = "create_upload"
	OpPutPart        Op = "put_part"
	OpCopyPart       Op = "copy_part"
	OpCompleteUpload Op = "complete_upload"
	OpAbortUpload    Op = "abort_upload"
	OpListParts      Op = "list_parts"
	OpListUploads    Op = "list_uploads"
	OpCopy           Op = "copy"
	OpDeleteMany     Op = "delete_many"
	OpTags           Op = "tags"
	OpPutTags        Op = "put_tags"
	OpDeleteTags     Op = "delete_tags"
	OpDescribe       Op = "describe"
	OpParts          Op = "parts"
)

// Ops are all operations.
var Ops = []Op{
	OpPut, OpGet, OpHead, OpDelete, OpList, OpCreateBucket, OpHeadBucket, OpDeleteBucket, OpListBuckets,
	OpCreateUpload, OpPutPart, OpCopyPart, OpCompleteUpload, OpAbortUpload, OpListParts, OpListUploads,
	OpCopy, OpDeleteMany, OpTags, OpPutTags, OpDeleteTags, OpDescribe, OpParts,
}

// Reads tells whether the operation changes nothing, and so may be repeated.
func (o Op) Reads() bool {
	switch o {
	case OpGet, OpHead, OpList, OpHeadBucket, OpListBuckets, OpListParts, OpListUploads, OpTags, OpDescribe, OpParts:
		return true
	default:
		return false
	}
}

// Outcome is what is known of a request after it ended. The set is closed.
type Outcome uint8

const (
	// OK is done, and answered.
	OK Outcome = iota
	// Absent is the endpoint's NoSuchKey (of a Bucketer: NoSuchBucket; of what
	// names an upload: NoSuchUpload).
	Absent
	// Refused is a 4xx (or 3xx) answer. The request was not applied.
	Refused
	// Throttled is 429, 503 SlowDown or 507, and not applied: the body was not
	// whole, or the operation reads, or qualification proved that this endpoint
	// does nothing after such an answer.
	Throttled
	// NotSent is a request that was never whole on the wire: no connection, an open
	// breaker, or a body that was cut or answered before its last data byte was
	// handed over. It can never be applied (RELIABILITY A2).
	NotSent
	// Ambiguous is anything else. A mutation may have been applied, or may be
	// later (R12); a read has no usable answer.
	Ambiguous
)

// Outcomes are all outcomes.
var Outcomes = []Outcome{OK, Absent, Refused, Throttled, NotSent, Ambiguous}

// String is the metric label.
func (o Outcome) String() string {
	switch o {
	case OK:
		return "ok"
	case Absent:
		return "absent"
	case Refused:
		return "refused"
	case Throttled:
		return "throttled"
	case NotSent:
		return "not_sent"
	default:
		return "ambiguous"
	}
}

// Definitive tells whether a mutation that ended so is known to be applied (OK)
// or known never to be (all but Ambiguous).
func (o Outcome) Definitive() bool { return o != Ambiguous }

var (
	// ErrOrder is a listing that is not in the binary order of UTF-8, or names what was
	// not asked for.
	ErrOrder = errors.New("listing is out of order")
	// ErrAnswer is an answer that no S3 server should give.
	ErrAnswer = errors.New("unusable answer")
	// ErrStalled is no progress for longer than allowed. A caller that gives up an
	// operation for this reason cancels its context with this cause, so that
	// the breaker counts it against the endpoint.
	ErrStalled = errors.New("no progress")
	// ErrOvertaken is the cause with which a caller cancels a read because another
	// endpoint was quicker: no failure, but a sign that this one is slow.
	ErrOvertaken = errors.New("another endpoint was quicker")
	// ErrOpen says that the endpoint's breaker is open; nothing was sent.
	ErrOpen = errors.New("breaker is open")
	// ErrRequest is a request that breaks the contract and was not sent. The
	// endpoint is not to blame.
	ErrRequest = errors.New("request can not be sent")
	// ErrBody says that the Body of an upload failed, or did not keep its
	// contract. The endpoint is not to blame.
	ErrBody = errors.New("body of the upload failed")
)

// Error is the only error that an endpoint returns.
type Error struct {
	Backend string
	Op      Op
	Outcome Outcome

	// Misconfigured: what failed is between us and the endpoint, and no other
	// request will fare better until someone acts: credentials, clock, region,
	// a redirect, a bucket that is not there, or something that is no S3 server.
	// It must never be shown to a client as an answer to its request.
	Misconfigured bool

	// Released: the request was handed to the connection whole: of an upload the
	// last data byte, of anything else any byte. A mutation that was not
	// released is never Ambiguous, but for an endpoint that answers 2xx to a
	// part of a body.
	Released bool

	Status int       // of the HTTP answer; 0 when there was none
	S3     *s3.Error // what the endpoint said; nil when it said nothing readable
	Err    error     // the cause; nil when S3 says it all
}

// Error is for logs.
func (e *Error) Error() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s on backend %s: %s", strings.ReplaceAll(string(e.Op), "_", " "), e.Backend, e.Outcome)
	if e.Misconfigured {
		b.WriteString(", misconfigured")
	}
	switch {
	case e.S3 != nil:
		fmt.Fprintf(&b, ": %v", e.S3)
	case e.Status != 0:
		fmt.Fprintf(&b, ": HTTP status %d %s", e.Status, http.StatusText(e.Status))
	}
	if e.Err != nil {
		fmt.Fprintf(&b, ": %v", e.Err)
	}
	return b.String()
}

// Unwrap gives both what the endpoint said and what happened to the request.
func (e *Error) Unwrap() []error {
	var errs []error
	if e.S3 != nil {
		errs = append(errs, e.S3)
	}
	if e.Err != nil {
		errs = append(errs, e.Err)
	}
	return errs
}

// OutcomeOf is the outcome that err tells: OK for nil, Ambiguous for an error
// that is no *Error.
func OutcomeOf(err error) Outcome {
	if err == nil {
		return OK
	}
	var e *Error
	if errors.As(err, &e) {
		return e.Outcome
	}
	return Ambiguous
}

// IsAbsent tells whether err proves that the object (or bucket) is not there.
func IsAbsent(err error) bool { return err != nil && OutcomeOf(err) == Absent }

// IsMisconfigured tells whether err is about our own configuration.
func IsMisconfigured(err error) bool {
	var e *Error
	return errors.As(err, &e) && e.Misconfigured
}

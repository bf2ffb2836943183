package sigv4

import (
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// MaxExpires is how long a presigned URL may live.
const MaxExpires = 7 * 24 * time.Hour

// The query parameters of a presigned URL, in S3's spelling.
const (
	paramAlgorithm     = "X-Amz-Algorithm"
	paramCredential    = "X-Amz-Credential" //nolint:gosec // a name
	paramDate          = "X-Amz-Date"
	paramExpires       = "X-Amz-Expires"
	paramSignedHeaders = "X-Amz-SignedHeaders"
	paramSignature     = "X-Amz-Signature"
	paramPayload       = "X-Amz-Content-Sha256"
	paramToken         = "X-Amz-Security-Token" //nolint:gosec // a name
)

const textMissingParams = "Query-string authentication version 4 requires the X-Amz-Algorithm, X-Amz-Credential, X-Amz-Signature, X-Amz-Date, X-Amz-SignedHeaders, and X-Amz-Expires parameters."

// params are the signature's own parameters of a query, decoded.
type params map[string]string

// queryParams collects them. A name in another spelling is not S3's, and so is
// missing; but it counts as a repetition, because a server behind us or in front
// of us may think otherwise.
func queryParams(rawQuery string) (params, error) {
	found, seen := params{}, map[string]bool{}
	known := []string{paramAlgorithm, paramCredential, paramDate, paramExpires, paramSignedHeaders, paramSignature, paramPayload, paramToken}
	for p := range strings.SplitSeq(rawQuery, "&") {
		name, value, _ := strings.Cut(p, "=")
		name, _ = unescape(name, true)
		for _, k := range known {
			if !strings.EqualFold(name, k) {
				continue
			}
			if seen[k] {
				return nil, queryError("The %s parameter must not be repeated.", k)
			}
			seen[k] = true
			if name == k {
				found[k], _ = unescape(value, true)
			}
		}
	}
	return found, nil
}

// parsePresigned reads the credentials of a presigned URL in the order in which
// S3 complains.
func (q *Request) parsePresigned(p params, now time.Time) error {
	for _, name := range []string{paramAlgorithm, paramCredential, paramSignature, paramDate, paramSignedHeaders, paramExpires} {
		if p[name] == "" {
			return queryError("%s", textMissingParams)
		}
	}
	switch p[paramAlgorithm] {
	case algorithm:
	case "AWS4-ECDSA-P256-SHA256":
		return queryError("X-Amz-Algorithm only supports %q", algorithm)
	default:
		return queryError("X-Amz-Algorithm only supports %q", algorithm+" and AWS4-ECDSA-P256-SHA256")
	}
	var a authorization
	if err := a.parseCredential(p[paramCredential], credentialParamError); err != nil {
		return err
	}
	if err := a.parseSignedHeaders(p[paramSignedHeaders], queryError); err != nil {
		return err
	}
	a.signature = p[paramSignature]
	q.take(a)
	q.Presigned, q.SessionToken = true, p[paramToken]
	return q.parseValidity(p, now)
}

// parseValidity reads from when to when the URL is good. It may be older than
// MaxSkew, which bounds only how far it is ahead of us.
func (q *Request) parseValidity(p params, now time.Time) error {
	t, ok := parseTime(p[paramDate])
	if !ok {
		return queryError(`X-Amz-Date must be in the ISO8601 Long Format "yyyyMMdd'T'HHmmss'Z'"`)
	}
	q.Time, q.amzDate = t, p[paramDate]
	if date := q.amzDate[:len(dateLayout)]; date != q.date {
		return queryError("Invalid credential date %q. This date is not the same as X-Amz-Date: %q.", q.date, date)
	}
	seconds, err := strconv.ParseInt(p[paramExpires], 10, 64)
	switch {
	case err != nil:
		return queryError("X-Amz-Expires should be a number")
	case seconds < 0:
		return queryError("X-Amz-Expires must be non-negative")
	case seconds > int64(MaxExpires/time.Second):
		return queryError("X-Amz-Expires must be less than a week (in seconds); that is, the given X-Amz-Expires must be less than 604800 seconds")
	}
	expires := t.Add(time.Duration(seconds) * time.Second)
	if t.Sub(now) > MaxSkew {
		return &Error{Code: codeAccessDenied, Message: "Request is not valid yet."}
	}
	if now.After(expires) {
		return &Error{Code: codeAccessDenied, Message: "Request has expired.", Fields: map[string]string{
			paramExpires: strconv.FormatInt(seconds, 10),
			"Expires":    expires.Format(time.RFC3339),
			"ServerTime": now.UTC().Format(time.RFC3339),
		}}
	}
	return nil
}

// presignedPayload is what the signer knew of the body: nothing, unless it said
// so by the header or by the parameter that takes the header's place.
func presignedPayload(r *http.Request, p params) string {
	for _, v := range []string{canonicalValue(r.Header.Values(paramPayload)), p[paramPayload]} {
		if v != "" {
			return v
		}
	}
	return Unsigned.String()
}

func queryError(format string, args ...any) *Error {
	return &Error{Code: codeAuthQueryParams, Message: fmt.Sprintf(format, args...)}
}

func credentialParamError(format string, args ...any) *Error {
	return queryError("Error parsing the X-Amz-Credential parameter; "+format, args...)
}

package sigv4

import (
	"crypto/hmac"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/hex"
	"net/http"
	"net/textproto"
	"slices"
	"strconv"
	"strings"
	"time"
)

// MaxSkew is how far a request's time may be from ours, either way.
const MaxSkew = 15 * time.Minute

// Request is a signed request as received: everything its signature covers.
// It is not safe for concurrent use.
type Request struct {
	AccessKeyID   string
	Time          time.Time // of x-amz-date or Date, UTC, in seconds
	Region        string    // of the scope; any is accepted, the key depends on it
	Mode          Mode
	PayloadHash   string   // x-amz-content-sha256 as sent
	PayloadSum    [32]byte // the same decoded; only of a Literal
	SessionToken  string   // x-amz-security-token; whether it is any good is the caller's question
	SignedHeaders []string // lower case, sorted
	Signature     string   // as sent

	amzDate, date string
	canonical     string
	verified      bool
}

// Parse reads the Authorization header of a received request and makes every
// check that needs no secret: grammar, service, scope date against x-amz-date,
// skew against now, a known payload mode, and that host and each x-amz-* header
// are signed. It reads r.RequestURI and the headers only; the body stays
// untouched. The signature is not verified yet: call Verify.
//
// Errors are *Error. A request without any credentials is AccessDenied, one
// with more than one kind InvalidRequest; a presigned URL alone is
// NotImplemented, Signature Version 2 InvalidRequest.
func Parse(r *http.Request, now time.Time) (*Request, error) {
	rawPath, rawQuery, err := target(r)
	if err != nil {
		return nil, err
	}
	value, err := theAuthorization(r, rawQuery)
	if err != nil {
		return nil, err
	}
	auth, err := parseAuthorization(value)
	if err != nil {
		return nil, err
	}
	q := &Request{
		AccessKeyID:   auth.accessKeyID,
		Region:        auth.region,
		SignedHeaders: auth.signedHeaders,
		Signature:     auth.signature,
		SessionToken:  canonicalValue(r.Header.Values("X-Amz-Security-Token")),
		date:          auth.date,
	}
	if err := q.parseTime(r, now); err != nil {
		return nil, err
	}
	if err := q.parsePayload(r); err != nil {
		return nil, err
	}
	if err := q.checkSigned(r); err != nil {
		return nil, err
	}
	path, err := DecodePath(rawPath)
	if err != nil {
		return nil, err
	}
	q.canonical = canonicalRequest(r.Method, EscapePath(path), CanonicalQuery(rawQuery), q.fields(r), q.PayloadHash)
	return q, nil
}

// target splits the request line's target. Only the origin form is served: in
// the absolute form the host would come from the URL instead of the header.
func target(r *http.Request) (rawPath, rawQuery string, err error) {
	uri := r.RequestURI
	if !strings.HasPrefix(uri, "/") {
		return "", "", &Error{Code: codeInvalidURI, Message: "Couldn't parse the specified URI."}
	}
	rawPath, rawQuery, _ = strings.Cut(uri, "?")
	if _, ok := unescape(rawQuery, true); !ok {
		// What is signed and what is acted upon must be read alike; there is
		// no one reading of a broken escape.
		return "", "", &Error{Code: codeInvalidURI, Message: "Couldn't parse the specified URI."}
	}
	return rawPath, rawQuery, nil
}

// theAuthorization returns the one Authorization header, or refuses: none,
// several, or credentials in the query too. Which of two is meant is never
// guessed.
func theAuthorization(r *http.Request, rawQuery string) (string, error) {
	v4, v2 := queryAuth(rawQuery)
	values := r.Header.Values("Authorization")
	switch {
	case len(values) > 1, len(values) == 1 && (v4 || v2), v4 && v2:
		return "", &Error{Code: codeInvalidRequest,
			Message: "Only one auth mechanism allowed; only the X-Amz-Algorithm query parameter, Signature query string parameter or the Authorization header should be specified"}
	case v4:
		return "", &Error{Code: codeNotImplemented, Message: "Presigned URLs are not implemented."}
	case v2:
		return "", &Error{Code: codeInvalidRequest, Message: textSigV2}
	case len(values) == 0:
		return "", &Error{Code: codeAccessDenied, Message: "Access Denied."}
	}
	return values[0], nil
}

// queryAuth tells whether the query carries credentials of either version.
// Names are compared without case, lest a spelling that we would not honour
// pass as none at all.
func queryAuth(rawQuery string) (v4, v2 bool) {
	for p := range strings.SplitSeq(rawQuery, "&") {
		name, _, _ := strings.Cut(p, "=")
		name, _ = unescape(name, true)
		switch strings.ToLower(name) {
		case "x-amz-algorithm", "x-amz-credential", "x-amz-signature", "x-amz-signedheaders", "x-amz-expires":
			v4 = true
		case "awsaccesskeyid":
			v2 = true
		}
	}
	return v4, v2
}

func (q *Request) parseTime(r *http.Request, now time.Time) error {
	t, ok := requestTime(r)
	if !ok {
		return &Error{Code: codeAccessDenied, Message: "AWS authentication requires a valid Date or x-amz-date header."}
	}
	q.Time, q.amzDate = t, t.Format(timeLayout)
	if d := now.Sub(t); d > MaxSkew || d < -MaxSkew {
		return &Error{
			Code:    codeRequestTimeTooSkewed,
			Message: "The difference between the request time and the current time is too large.",
			Fields: map[string]string{
				"RequestTime":                q.amzDate,
				"ServerTime":                 now.UTC().Format(time.RFC3339),
				"MaxAllowedSkewMilliseconds": strconv.FormatInt(MaxSkew.Milliseconds(), 10),
			},
		}
	}
	if q.amzDate[:len(dateLayout)] != q.date {
		// The doubled opening is the text that S3 conformance suites expect.
		return malformedAuth("The authorization header is malformed; Invalid credential date. Date is not the same as X-Amz-Date.")
	}
	return nil
}

// requestTime prefers x-amz-date; Date may be in either format.
func requestTime(r *http.Request) (time.Time, bool) {
	if v := canonicalValue(r.Header.Values("X-Amz-Date")); v != "" {
		return parseTime(v)
	}
	v := canonicalValue(r.Header.Values("Date"))
	if t, ok := parseTime(v); ok {
		return t, true
	}
	t, err := http.ParseTime(v)
	return t.UTC(), err == nil
}

func parseTime(v string) (time.Time, bool) {
	t, err := time.Parse(timeLayout, v)
	return t, err == nil && len(v) == len(timeLayout) // time.Parse lets fractions of a second pass
}

func (q *Request) parsePayload(r *http.Request) (err error) {
	q.PayloadHash = canonicalValue(r.Header.Values("X-Amz-Content-Sha256"))
	if q.PayloadHash == "" {
		return &Error{Code: codeInvalidRequest, Message: "Missing required header for this request: x-amz-content-sha256"}
	}
	q.Mode, q.PayloadSum, err = ParseMode(q.PayloadHash)
	return err
}

// checkSigned refuses headers that S3 would act upon and that anyone on the
// way could have added.
func (q *Request) checkSigned(r *http.Request) error {
	var unsigned []string
	if _, ok := slices.BinarySearch(q.SignedHeaders, "host"); !ok {
		unsigned = append(unsigned, "host")
	}
	for name := range r.Header {
		if len(name) < 6 || !strings.EqualFold(name[:6], "x-amz-") {
			continue
		}
		name = strings.ToLower(name)
		if _, ok := slices.BinarySearch(q.SignedHeaders, name); !ok {
			unsigned = append(unsigned, name)
		}
	}
	if unsigned == nil {
		return nil
	}
	slices.Sort(unsigned)
	return &Error{
		Code:    codeAccessDenied,
		Message: "There were headers present in the request which were not signed",
		Fields:  map[string]string{"HeadersNotSigned": strings.Join(unsigned, ", ")},
	}
}

// fields are the signed headers with the values received. net/http keeps some
// of them outside of r.Header. One that is absent counts as empty.
func (q *Request) fields(r *http.Request) []field {
	fields := make([]field, len(q.SignedHeaders))
	for i, name := range q.SignedHeaders {
		fields[i] = field{name, receivedValue(r, name)}
	}
	return fields
}

func receivedValue(r *http.Request, name string) string {
	switch name {
	case "host":
		return collapse(r.Host)
	case "transfer-encoding":
		return canonicalValue(r.TransferEncoding)
	case "content-length":
		if _, ok := r.Header["Content-Length"]; !ok && r.ContentLength >= 0 {
			return strconv.FormatInt(r.ContentLength, 10)
		}
	}
	return canonicalValue(r.Header[textproto.CanonicalMIMEHeaderKey(name)])
}

// Verify tells whether whoever signed the request has the secret: nil, or
// SignatureDoesNotMatch. The comparison takes the same time wherever the
// signatures differ.
func (q *Request) Verify(secret Secret) error {
	key := signingKey(secret, q.date, q.Region)
	text := stringToSign(q.amzDate, q.scope(), q.canonical)
	h := hmac.New(sha256.New, key[:])
	h.Write([]byte(text))
	want := hex.EncodeToString(h.Sum(nil))
	if subtle.ConstantTimeCompare([]byte(want), []byte(q.Signature)) != 1 {
		return mismatch(q, text, q.Signature)
	}
	q.verified = true
	return nil
}

func (q *Request) scope() string { return scopeOf(q.date, q.Region) }

package sigv4

import (
	"cmp"
	"crypto/subtle"
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
	Presigned     bool     // the credentials came in the query

	amzDate, date string
	canonical     string
	others        []string // of v2: text as other signers write it
	text          string   // what is signed, where that is no digest of canonical: of v2, and of a form
	v2, form      bool
	key           *macKey // once verified
	verified      bool
}

// Plain is a request that nobody signed: it says how the body is framed and what its hash
// is to be, if it says so, and proves nothing of who sends it. payload is
// x-amz-content-sha256 as it was sent. It panics for chunks that carry signatures.
func Plain(mode Mode, payload string, sum [32]byte) *Request {
	if mode.ChunksSigned() {
		panic("sigv4: signatures of chunks in a request without one")
	}
	return &Request{Mode: mode, PayloadHash: payload, PayloadSum: sum, verified: true}
}

// Parse reads the credentials of a received request, from the Authorization
// header or from the query of a presigned URL, and makes every check that needs
// no secret: grammar, service, scope date against x-amz-date, skew against now
// or the life of the URL, a known payload mode, and that host and each x-amz-*
// header are signed; of a presigned URL Content-MD5 too. It reads r.RequestURI
// and the headers only; the body stays untouched. The signature is not verified
// yet: call Verify.
//
// The body of a presigned URL is Unsigned unless its signer said otherwise in
// x-amz-content-sha256, as a signed header or as a parameter.
//
// Errors are *Error. A request without any credentials is AccessDenied, one
// with more than one kind InvalidRequest, and so is Signature Version 2; what is
// wrong with the parameters of a presigned URL is
// AuthorizationQueryParametersError, one that has expired AccessDenied.
func Parse(r *http.Request, now time.Time) (*Request, error) {
	rawPath, rawQuery, err := target(r)
	if err != nil {
		return nil, err
	}
	q := &Request{}
	value, presigned, err := credentials(r, rawQuery)
	switch {
	case err != nil:
		return nil, err
	case presigned:
		err = q.readQuery(r, rawQuery, now)
	default:
		err = q.readHeader(r, value, now)
	}
	if err != nil {
		return nil, err
	}
	if err := q.checkSigned(r); err != nil {
		return nil, err
	}
	path, err := DecodePath(rawPath)
	if err != nil {
		return nil, err
	}
	t := newScratch()
	defer t.free()
	t.fields = q.appendFields(t.fields, r)
	t.text = appendCanonical(t.text, r.Method, EscapePath(path), CanonicalQuery(rawQuery, q.unsignedParams()...), t.fields, q.PayloadHash)
	q.canonical = string(t.text)
	return q, nil
}

// unsignedParams are the parameters that no signature covers: its own.
func (q *Request) unsignedParams() []string {
	if q.Presigned {
		return []string{paramSignature}
	}
	return nil
}

// readHeader reads all that an Authorization header goes with.
func (q *Request) readHeader(r *http.Request, value string, now time.Time) error {
	auth, err := parseAuthorization(value)
	if err != nil {
		return err
	}
	q.take(auth)
	q.SessionToken = canonicalValue(r.Header.Values(paramToken))
	if err := q.parseTime(r, now); err != nil {
		return err
	}
	payload := canonicalValue(r.Header.Values(paramPayload))
	if payload == "" {
		return &Error{Code: codeInvalidRequest, Message: "Missing required header for this request: x-amz-content-sha256"}
	}
	return q.parsePayload(payload)
}

// readQuery reads all that a presigned URL consists of.
func (q *Request) readQuery(r *http.Request, rawQuery string, now time.Time) error {
	p, err := queryParams(rawQuery)
	if err != nil {
		return err
	}
	if err := q.parsePresigned(p, now); err != nil {
		return err
	}
	q.SessionToken = cmp.Or(q.SessionToken, canonicalValue(r.Header.Values(paramToken)))
	return q.parsePayload(presignedPayload(r, p))
}

func (q *Request) take(a authorization) {
	q.AccessKeyID, q.date, q.Region = a.accessKeyID, a.date, a.region
	q.SignedHeaders, q.Signature = a.signedHeaders, a.signature
}

// target splits the request line's target. Only the origin form is served: in
// the absolute form the host would come from the URL instead of the header.
func target(r *http.Request) (rawPath, rawQuery string, err error) {
	uri := r.RequestURI
	if !strings.HasPrefix(uri, "/") {
		return "", "", &Error{Code: codeInvalidURI, Message: "The specified URI couldn't be parsed."}
	}
	rawPath, rawQuery, _ = strings.Cut(uri, "?")
	if _, ok := unescape(rawQuery, true); !ok {
		// What is signed and what is acted upon must be read alike; there is
		// no one reading of a broken escape.
		return "", "", &Error{Code: codeInvalidURI, Message: "The specified URI couldn't be parsed."}
	}
	return rawPath, rawQuery, nil
}

// credentials returns the one Authorization header, or tells that the query
// holds them, or refuses: none, several, or both. Which of two is meant is never
// guessed.
func credentials(r *http.Request, rawQuery string) (header string, presigned bool, err error) {
	v4, v2 := queryAuth(rawQuery)
	values := r.Header.Values("Authorization")
	switch {
	case len(values) > 1, len(values) == 1 && (v4 || v2), v4 && v2:
		return "", false, &Error{Code: codeInvalidRequest,
			Message: "Only one auth mechanism allowed; only the X-Amz-Algorithm query parameter, Signature query string parameter or the Authorization header should be specified"}
	case v4:
		return "", true, nil
	case v2:
		return "", false, &Error{Code: codeInvalidRequest, Message: textSigV2}
	case len(values) == 0:
		return "", false, &Error{Code: codeAccessDenied, Message: "Access Denied."}
	}
	return values[0], false, nil
}

// InQuery tells whether the query of a received request holds credentials of
// either version, or of one of them a part.
func InQuery(r *http.Request) bool {
	_, rawQuery, _ := strings.Cut(r.RequestURI, "?")
	v4, v2 := queryAuth(rawQuery)
	return v4 || v2
}

// Bare tells whether a received request has neither credentials of any kind nor anything
// that only goes with them: whoever takes the signature out of a request, and leaves the
// rest of it, has not made one without.
func Bare(r *http.Request) bool {
	for _, name := range []string{"Authorization", "X-Amz-Date", "X-Amz-Security-Token"} {
		if len(r.Header.Values(name)) > 0 {
			return false
		}
	}
	_, rawQuery, _ := strings.Cut(r.RequestURI, "?")
	for p := range strings.SplitSeq(rawQuery, "&") {
		name, _, _ := strings.Cut(p, "=")
		name, _ = unescape(name, true)
		switch strings.ToLower(name) {
		case "x-amz-date", "x-amz-security-token", "signature":
			return false
		}
	}
	return !InQuery(r)
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
		return errNoDate()
	}
	q.Time, q.amzDate = t, t.Format(timeLayout)
	if d := now.Sub(t); d > MaxSkew || d < -MaxSkew {
		return skewed(q.amzDate, now)
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

func (q *Request) parsePayload(value string) (err error) {
	q.PayloadHash = value
	q.Mode, q.PayloadSum, err = ParseMode(value)
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
		if !q.mustSign(name) {
			continue
		}
		name = lower(name)
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

// mustSign holds for the headers of S3's own. A presigned URL is used by somebody
// else than its signer, so there whatever speaks about the body is the signer's.
func (q *Request) mustSign(name string) bool {
	return len(name) > 6 && strings.EqualFold(name[:6], "x-amz-") || q.Presigned && strings.EqualFold(name, "Content-Md5")
}

// appendFields appends the signed headers with the values received. net/http
// keeps some of them outside of r.Header. One that is absent counts as empty.
func (q *Request) appendFields(fields []field, r *http.Request) []field {
	for _, name := range q.SignedHeaders {
		fields = append(fields, field{name, receivedValue(r, name)})
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
	return canonicalValue(r.Header[received(name)])
}

// received is the form in which net/http holds a lower-case name.
func received(name string) string {
	if n, ok := receivedNames[name]; ok {
		return n
	}
	return textproto.CanonicalMIMEHeaderKey(name)
}

var receivedNames = func() map[string]string {
	names := map[string]string{}
	for name, low := range lowerNames {
		names[low] = textproto.CanonicalMIMEHeaderKey(name)
	}
	return names
}()

// Verify tells whether whoever signed the request has the secret: nil, or
// SignatureDoesNotMatch. The comparison takes the same time wherever the
// signatures differ.
func (q *Request) Verify(secret Secret) error {
	if q.v2 {
		return q.verifyV2(secret)
	}
	return q.verify(signingKey(secret, q.date, q.Region))
}

func (q *Request) verify(key *macKey) error {
	t := newScratch()
	defer t.free()
	if q.form {
		t.text = append(t.text, q.text...)
	} else {
		t.text = append(t.text, q.canonical...)
		t.text = appendStringToSign(t.text[:0], q.amzDate, q.scope(), t.text)
	}
	want := key.sign(t.text)
	if subtle.ConstantTimeCompare(want[:], []byte(q.Signature)) != 1 {
		return mismatch(q, string(t.text), q.Signature)
	}
	q.key, q.verified = key, true
	return nil
}

func (q *Request) scope() string { return scopeOf(q.date, q.Region) }

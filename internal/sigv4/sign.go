package sigv4

import (
	"cmp"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"time"
)

// Signer signs outgoing requests with one access key for one region. It is
// safe for concurrent use.
type Signer struct {
	accessKeyID string
	secret      Secret
	region      string
	today       atomic.Pointer[dayKey]
}

// dayKey is the signing key of one day: four HMACs saved per request.
type dayKey struct {
	date, scope string
	key         *macKey
}

// NewSigner returns a Signer.
func NewSigner(accessKeyID string, secret Secret, region string) *Signer {
	return &Signer{accessKeyID: accessKeyID, secret: secret, region: region}
}

// Format shows the access key only, whatever the verb.
func (s *Signer) Format(f fmt.State, _ rune) { fmt.Fprint(f, "signer of "+s.accessKeyID) }

func (s *Signer) day(date string) *dayKey {
	if d := s.today.Load(); d != nil && d.date == date {
		return d
	}
	d := &dayKey{date: date, scope: scopeOf(date, s.region), key: signingKey(s.secret, date, s.region)}
	s.today.Store(d)
	return d
}

// Sign sets X-Amz-Date, X-Amz-Content-Sha256 and Authorization in r.Header.
// rawPath and rawQuery are what will stand in the request line, percent
// encoding and all; the URL is neither read for them nor changed. An escape in
// them that is broken is signed as it stands. payloadHash is the body's SHA-256
// in hex, or the String of a Mode.
//
// Signed are the host (r.Host, else r.URL.Host) and every header present, save
// those that a transport or a proxy may change on the way: Accept-Encoding,
// User-Agent, Expect, Content-Length and the hop-by-hop ones. Each name may
// stand in r.Header in any spelling, but in one only.
//
// The returned ChunkSigner continues the chain of signatures for the signed
// modes; other modes may drop it.
func (s *Signer) Sign(r *http.Request, rawPath, rawQuery, payloadHash string, now time.Time) *ChunkSigner {
	amzDate := now.UTC().Format(timeLayout)
	day := s.day(amzDate[:len(dateLayout)])
	setOnly(r.Header, "X-Amz-Date", amzDate)
	setOnly(r.Header, "X-Amz-Content-Sha256", payloadHash)
	t := newScratch()
	defer t.free()
	t.fields = appendOutgoing(t.fields, r)
	t.text = appendOutgoingRequest(t.text, r, rawPath, rawQuery, t.fields, payloadHash)
	t.text = appendStringToSign(t.text[:0], amzDate, day.scope, t.text)
	c := &ChunkSigner{chain{key: day.key, amzDate: amzDate, scope: day.scope, prev: day.key.sign(t.text)}}

	b := append(t.text[:0], algorithm+" Credential="...)
	b = append(b, s.accessKeyID...)
	b = append(b, '/')
	b = append(b, day.scope...)
	b = append(b, ", SignedHeaders="...)
	b = appendNames(b, t.fields)
	b = append(b, ", Signature="...)
	b = append(b, c.prev[:]...)
	setOnly(r.Header, "Authorization", string(b))
	t.text = b
	return c
}

// Presign returns rawQuery with a signature added to it: whoever holds the URL
// may use it until expires has passed since now. Signed are the host and every
// header present that Sign would sign; the user of the URL must send exactly
// those. The body is not signed, unless X-Amz-Content-Sha256 is among the
// headers. r is only read. It panics unless expires is between a second and
// MaxExpires.
func (s *Signer) Presign(r *http.Request, rawPath, rawQuery string, expires time.Duration, now time.Time) string {
	if expires < time.Second || expires > MaxExpires {
		panic("sigv4: a presigned URL cannot live for " + expires.String())
	}
	amzDate := now.UTC().Format(timeLayout)
	day := s.day(amzDate[:len(dateLayout)])
	t := newScratch()
	defer t.free()
	t.fields = appendOutgoing(t.fields, r)
	query := rawQuery
	for _, p := range [...][2]string{
		{paramAlgorithm, algorithm},
		{paramCredential, s.accessKeyID + "/" + day.scope},
		{paramDate, amzDate},
		{paramExpires, strconv.FormatInt(int64(expires/time.Second), 10)},
		{paramSignedHeaders, string(appendNames(nil, t.fields))},
	} {
		if query != "" {
			query += "&"
		}
		query += p[0] + "=" + EscapeQuery(p[1])
	}
	payload := cmp.Or(valueOf(t.fields, "x-amz-content-sha256"), Unsigned.String())
	t.text = appendOutgoingRequest(t.text, r, rawPath, query, t.fields, payload)
	t.text = appendStringToSign(t.text[:0], amzDate, day.scope, t.text)
	signed := day.key.sign(t.text)
	return query + "&" + paramSignature + "=" + string(signed[:])
}

func valueOf(fields []field, name string) string {
	for _, f := range fields {
		if f.name == name {
			return f.value
		}
	}
	return ""
}

// appendOutgoingRequest appends the canonical form of a request that we make.
func appendOutgoingRequest(b []byte, r *http.Request, rawPath, rawQuery string, fields []field, payloadHash string) []byte {
	path, _ := unescape(rawPath, false)
	return appendCanonical(b, cmp.Or(r.Method, http.MethodGet), EscapePath(cmp.Or(path, "/")), CanonicalQuery(rawQuery), fields, payloadHash)
}

// setOnly sets a header and removes other spellings of its name, which a map
// filled by hand may hold and which would be sent beside it.
func setOnly(h http.Header, name, value string) {
	for k := range h {
		if len(k) == len(name) && k != name && strings.EqualFold(k, name) {
			delete(h, k)
		}
	}
	h[name] = []string{value}
}

// appendOutgoing appends the headers to sign, sorted by name.
func appendOutgoing(fields []field, r *http.Request) []field {
	host := r.Host
	if host == "" && r.URL != nil {
		host = r.URL.Host
	}
	fields = append(fields, field{"host", collapse(host)})
	for name, values := range r.Header {
		if name = lower(name); len(values) > 0 && !unsignable[name] {
			fields = append(fields, field{name, canonicalValue(values)})
		}
	}
	slices.SortFunc(fields, func(a, b field) int { return strings.Compare(a.name, b.name) })
	return fields
}

// lower is strings.ToLower, which makes a new string each time, with the names
// that nearly every request has at hand.
func lower(name string) string {
	if l, ok := lowerNames[name]; ok {
		return l
	}
	return strings.ToLower(name)
}

var lowerNames = func() map[string]string {
	names := map[string]string{}
	for _, name := range []string{
		"Accept-Encoding", "Authorization", "Content-Encoding", "Content-Md5", "Content-Type", "Expect", "If-Match", "If-None-Match",
		"Range", "User-Agent", "X-Amz-Checksum-Crc32", "X-Amz-Checksum-Crc32c", "X-Amz-Checksum-Mode", "X-Amz-Content-Sha256", "X-Amz-Date",
		"X-Amz-Decoded-Content-Length", "X-Amz-Meta-S3mirror-Stamp", "X-Amz-Sdk-Checksum-Algorithm", "X-Amz-Trailer",
	} {
		names[name] = strings.ToLower(name)
	}
	return names
}()

// unsignable headers may change between us and the verifier. Accept-Encoding
// is rewritten by GCS and by CDNs in front of others.
var unsignable = map[string]bool{
	"accept-encoding": true, "authorization": true, "connection": true, "content-length": true,
	"expect": true, "host": true, "keep-alive": true, "proxy-authorization": true, "proxy-connection": true,
	"te": true, "trailer": true, "transfer-encoding": true, "upgrade": true, "user-agent": true,
	"x-amzn-trace-id": true,
}

package sigv4

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"hash"
	"strings"
	"sync"
)

const (
	algorithm  = "AWS4-HMAC-SHA256"
	service    = "s3"
	terminator = "aws4_request"

	timeLayout = "20060102T150405Z" // x-amz-date
	dateLayout = "20060102"         // the date of the scope
)

// field is one header in canonical form: lower-case name, trimmed value.
type field struct{ name, value string }

// scratch is the memory of one signature, given back at its end: small requests
// spend much of their time on texts that live no longer.
type scratch struct {
	fields []field
	text   []byte
}

var scratches = sync.Pool{New: func() any { return &scratch{fields: make([]field, 0, 24), text: make([]byte, 0, 2<<10)} }}

func newScratch() *scratch { return scratches.Get().(*scratch) }

// free gives it back, without what it held of a stranger's, and unless it grew
// out of size.
func (s *scratch) free() {
	clear(s.fields)
	s.fields, s.text = s.fields[:0], s.text[:0]
	if cap(s.text) <= 64<<10 && cap(s.fields) <= 256 {
		scratches.Put(s)
	}
}

// appendCanonical appends the text whose hash is signed. fields are sorted by
// name.
func appendCanonical(b []byte, method, path, query string, fields []field, payloadHash string) []byte {
	b = append(append(b, method...), '\n')
	b = append(append(b, path...), '\n')
	b = append(append(b, query...), '\n')
	for _, f := range fields {
		b = append(append(b, f.name...), ':')
		b = append(append(b, f.value...), '\n')
	}
	b = append(b, '\n')
	b = appendNames(b, fields)
	b = append(b, '\n')
	return append(b, payloadHash...)
}

// appendNames appends the names as SignedHeaders lists them.
func appendNames(b []byte, fields []field) []byte {
	for i, f := range fields {
		if i > 0 {
			b = append(b, ';')
		}
		b = append(b, f.name...)
	}
	return b
}

// appendStringToSign appends what the signing key signs for a request of which
// the canonical form is given; the two may share their memory.
func appendStringToSign(b []byte, amzDate, scope string, canonical []byte) []byte {
	sum := sha256.Sum256(canonical)
	b = append(b, algorithm+"\n"...)
	b = append(b, amzDate...)
	b = append(b, '\n')
	b = append(b, scope...)
	b = append(b, '\n')
	return hex.AppendEncode(b, sum[:])
}

func scopeOf(date, region string) string {
	return date + "/" + region + "/" + service + "/" + terminator
}

// signingKey derives the key of one day, region and service from the secret.
func signingKey(secret Secret, date, region string) *macKey {
	key := mac([]byte("AWS4"+string(secret)), date)
	key = mac(key, region)
	key = mac(key, service)
	return &macKey{bytes: mac(key, terminator)}
}

func mac(key []byte, text string) []byte {
	h := hmac.New(sha256.New, key)
	h.Write([]byte(text))
	return h.Sum(nil)
}

// macKey is a signing key with HMACs of it that are ready for use: to make one
// takes as long as to sign with it. It is safe for concurrent use.
type macKey struct {
	bytes []byte
	ready sync.Pool // of *signing
}

// signing is an HMAC and room for its result.
type signing struct {
	hash.Hash
	sum [sha256.Size]byte
}

func (k *macKey) signing() *signing {
	if s, ok := k.ready.Get().(*signing); ok {
		return s
	}
	return &signing{Hash: hmac.New(sha256.New, k.bytes)}
}

// sign returns the signature of a text.
func (k *macKey) sign(text []byte) signature {
	s := k.signing()
	defer k.ready.Put(s)
	return s.of(text)
}

func (s *signing) of(text []byte) (out signature) {
	s.Reset()
	s.Write(text)
	hex.Encode(out[:], s.Sum(s.sum[:0]))
	return out
}

// canonicalValue joins the values of a header that came more than once, in
// their order, each trimmed and with runs of spaces made one.
func canonicalValue(values []string) string {
	if len(values) == 1 {
		return collapse(values[0])
	}
	var b strings.Builder
	for i, v := range values {
		if i > 0 {
			b.WriteByte(',')
		}
		b.WriteString(collapse(v))
	}
	return b.String()
}

func collapse(s string) string {
	s = strings.Trim(s, " \t")
	if !strings.Contains(s, "  ") {
		return s
	}
	b := make([]byte, 0, len(s))
	for i := range len(s) {
		if s[i] == ' ' && s[i-1] == ' ' { // i > 0: s starts with no space
			continue
		}
		b = append(b, s[i])
	}
	return string(b)
}

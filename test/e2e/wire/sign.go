package wire

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"slices"
	"strings"
	"time"
)

// Keys sign requests. Region may be anything the server accepts.
type Keys struct {
	Access, Secret, Region string
}

// Field is one header line, its name as it travels.
type Field struct{ Name, Value string }

// Request is the head of a request before it is signed.
type Request struct {
	Method string
	Host   string // with port, as dialled
	Path   string // percent-encoded as it travels: Path(bucket, key)
	Query  string // raw, without "?"
	Header []Field
}

// Path is the byte-exact request path of a key; an empty key names the bucket.
func Path(bucket, key string) string {
	if key == "" {
		return "/" + bucket
	}
	return "/" + bucket + "/" + Escape(key, "/")
}

// Escape percent-encodes all but the unreserved characters and those in keep,
// as Signature Version 4 demands: upper-case digits, a space is %20.
func Escape(s, keep string) string {
	var b strings.Builder
	for i := range len(s) {
		c := s[i]
		if c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' ||
			strings.IndexByte("-._~"+keep, c) >= 0 {
			b.WriteByte(c)
			continue
		}
		b.WriteByte('%')
		b.WriteByte("0123456789ABCDEF"[c>>4])
		b.WriteByte("0123456789ABCDEF"[c&15])
	}
	return b.String()
}

// Seed is what a signed head leaves behind for the signatures of its chunks.
type Seed struct {
	Signature string
	key       []byte
	date      string
	scope     string
}

const dateFormat = "20060102T150405Z"

// Sign appends x-amz-date, x-amz-content-sha256 and Authorization to the
// request. Every header present then is signed, and the host.
func (k Keys) Sign(r *Request, payload string, now time.Time) Seed {
	date := now.UTC().Format(dateFormat)
	r.Header = append(r.Header, Field{"x-amz-date", date}, Field{"x-amz-content-sha256", payload})
	scope := strings.Join([]string{date[:8], k.Region, "s3", "aws4_request"}, "/")
	canonical, names := canonicalRequest(r, payload)
	key := []byte("AWS4" + k.Secret)
	for part := range strings.SplitSeq(scope, "/") {
		key = mac(key, part)
	}
	sig := hex.EncodeToString(mac(key, "AWS4-HMAC-SHA256\n"+date+"\n"+scope+"\n"+Hash([]byte(canonical))))
	r.Header = append(r.Header, Field{"Authorization", "AWS4-HMAC-SHA256 Credential=" + k.Access + "/" + scope +
		", SignedHeaders=" + names + ", Signature=" + sig})
	return Seed{Signature: sig, key: key, date: date, scope: scope}
}

func canonicalRequest(r *Request, payload string) (text, names string) {
	values := map[string][]string{"host": {r.Host}}
	for _, f := range r.Header {
		name := strings.ToLower(f.Name)
		values[name] = append(values[name], strings.Join(strings.Fields(f.Value), " "))
	}
	sorted := make([]string, 0, len(values))
	for name := range values {
		sorted = append(sorted, name)
	}
	slices.Sort(sorted)
	var lines strings.Builder
	for _, name := range sorted {
		lines.WriteString(name + ":" + strings.Join(values[name], ",") + "\n")
	}
	names = strings.Join(sorted, ";")
	return strings.Join([]string{r.Method, r.Path, canonicalQuery(r.Query), lines.String(), names, payload}, "\n"), names
}

// canonicalQuery sorts the pairs. The raw query must already be encoded as
// Escape does, which Query guarantees.
func canonicalQuery(raw string) string {
	if raw == "" {
		return ""
	}
	pairs := strings.Split(raw, "&")
	for i, p := range pairs {
		if !strings.Contains(p, "=") {
			pairs[i] = p + "="
		}
	}
	slices.Sort(pairs)
	return strings.Join(pairs, "&")
}

// Query encodes name and value pairs, in the order given.
func Query(pairs ...string) string {
	var parts []string
	for i := 0; i+1 < len(pairs); i += 2 {
		parts = append(parts, Escape(pairs[i], "")+"="+Escape(pairs[i+1], ""))
	}
	return strings.Join(parts, "&")
}

// chunk signs one chunk of a signed body and moves the seed on.
func (s *Seed) chunk(data []byte) string {
	return s.next("AWS4-HMAC-SHA256-PAYLOAD", Hash(nil)+"\n"+Hash(data))
}

// trailer signs the trailing headers, each line ended by "\n" alone.
func (s *Seed) trailer(lines string) string {
	return s.next("AWS4-HMAC-SHA256-TRAILER", Hash([]byte(lines)))
}

func (s *Seed) next(algorithm, rest string) string {
	text := strings.Join([]string{algorithm, s.date, s.scope, s.Signature, rest}, "\n")
	s.Signature = hex.EncodeToString(mac(s.key, text))
	return s.Signature
}

func mac(key []byte, text string) []byte {
	m := hmac.New(sha256.New, key)
	m.Write([]byte(text))
	return m.Sum(nil)
}

// Hash is the SHA-256 in hex, as a literal payload mode says it.
func Hash(b []byte) string {
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:])
}

package sigv4

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"strings"
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

// canonicalRequest puts together the text whose hash is signed. fields are
// sorted by name.
func canonicalRequest(method, path, query string, fields []field, payloadHash string) string {
	n := len(method) + len(path) + len(query) + len(payloadHash) + 6
	for _, f := range fields {
		n += 2*len(f.name) + len(f.value) + 3
	}
	b := make([]byte, 0, n)
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
	b = append(b, payloadHash...)
	return string(b)
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

// stringToSign is what the signing key signs for a request.
func stringToSign(amzDate, scope, canonical string) string {
	sum := sha256.Sum256([]byte(canonical))
	return algorithm + "\n" + amzDate + "\n" + scope + "\n" + hex.EncodeToString(sum[:])
}

func scopeOf(date, region string) string {
	return date + "/" + region + "/" + service + "/" + terminator
}

// signingKey derives the key of one day, region and service from the secret.
func signingKey(secret Secret, date, region string) [sha256.Size]byte {
	key := mac([]byte("AWS4"+string(secret)), date)
	key = mac(key, region)
	key = mac(key, service)
	return [sha256.Size]byte(mac(key, terminator))
}

func mac(key []byte, text string) []byte {
	h := hmac.New(sha256.New, key)
	h.Write([]byte(text))
	return h.Sum(nil)
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

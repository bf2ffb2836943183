package s3

import (
	"errors"
	"strings"
	"unicode/utf8"

	"github.com/s3mirror/s3mirror/internal/object"
)

// Param is one decoded pair of a query; the value is empty for `?acl`.
type Param struct{ Name, Value string }

// Query holds the pairs of a query in the order received. Where a name occurs
// twice the first one counts, everywhere.
type Query []Param

// Has tells whether the name occurs, with or without a value.
func (q Query) Has(name string) bool {
	_, ok := q.Lookup(name)
	return ok
}

// Get returns the first value of the name, empty when there is none.
func (q Query) Get(name string) string {
	v, _ := q.Lookup(name)
	return v
}

// Lookup returns the first value of the name and whether the name occurs.
func (q Query) Lookup(name string) (string, bool) {
	for _, p := range q {
		if p.Name == name {
			return p.Value, true
		}
	}
	return "", false
}

var (
	errTooManyParams = errors.New("too many query parameters")
	errBadText       = errors.New("not UTF-8, or with a NUL byte")
)

// ParseQuery decodes a raw query the way S3 signs it: pairs are separated by
// `&` alone, a name ends at its first `=`, and `+` is a blank. It refuses bad
// escapes, NUL and what is not UTF-8, unlike url.ParseQuery, which drops such
// pairs and those with a semicolon.
func ParseQuery(raw string) (Query, error) {
	if raw == "" {
		return nil, nil
	}
	n := strings.Count(raw, "&") + 1
	if n > maxQueryParams {
		return nil, errTooManyParams
	}
	q := make(Query, 0, n)
	for pair := range strings.SplitSeq(raw, "&") {
		if pair == "" {
			continue
		}
		rawName, rawValue, _ := strings.Cut(pair, "=")
		name, err := DecodeQuery(rawName)
		if err != nil {
			return nil, err
		}
		value, err := DecodeQuery(rawValue)
		if err != nil {
			return nil, err
		}
		if !plainText(name) || !plainText(value) {
			return nil, errBadText
		}
		q = append(q, Param{name, value})
	}
	return q, nil
}

func plainText(s string) bool {
	return utf8.ValidString(s) && strings.IndexByte(s, 0) < 0
}

// overrides are the parameters that replace a header of the answer.
var overrides = map[string]string{
	"response-cache-control":       "cache-control",
	"response-content-disposition": "content-disposition",
	"response-content-encoding":    "content-encoding",
	"response-content-language":    "content-language",
	"response-content-type":        "content-type",
	"response-expires":             "expires",
}

// parseOverrides refuses values that are no header values: they would otherwise
// be a way to write headers of the client's choice.
func parseOverrides(q Query) (object.Headers, error) {
	var out object.Headers
	for _, p := range q {
		name, ok := overrides[p.Name]
		if !ok {
			continue
		}
		if !headerText(p.Value) {
			return nil, invalidArgument(p.Name, p.Value, "The value of %s cannot stand in a header.", p.Name)
		}
		if _, seen := out[name]; seen {
			continue
		}
		if out == nil {
			out = object.Headers{}
		}
		out[name] = p.Value
	}
	return out, nil
}

// headerText tells whether a value can stand in a header.
func headerText(s string) bool {
	return !strings.ContainsFunc(s, func(r rune) bool { return r < ' ' && r != '\t' || r == 0x7f })
}

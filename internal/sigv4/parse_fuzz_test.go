package sigv4_test

import (
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/s3mirror/s3mirror/internal/sigv4"
)

// FuzzParse changes the target, a signed header and the Authorization header
// of one good request. What passes must mean the same as the original.
func FuzzParse(f *testing.F) {
	const path, query, meta = "/b/a b+c", "prefix=x%20y&uploads=", "one two"
	values := simpleValues()
	values["x-amz-meta-a"] = meta
	signed := append(append([]string{}, "host"), "x-amz-content-sha256", "x-amz-date", "x-amz-meta-a")
	good := simple("/b/k").handSigned("/b/a%20b%2Bc", query, signed, values, emptyHash).parse(f).Header.Get("Authorization")
	for _, uri := range []string{"/b/a%20b+c?uploads&prefix=x+y", "/b/a%20b%2bc?prefix=x%20y&uploads=", "/b/a b+c?x=;", "/%", "*", "/b/k?X-Amz-Signature=1"} {
		f.Add(uri, meta, good)
	}
	f.Add("/b/a%20b+c?uploads&prefix=x+y", "  one   two ", strings.ReplaceAll(good, ", ", ","))
	f.Add("/", "", "AWS4-HMAC-SHA256 Credential=/////,SignedHeaders=;,Signature=")
	f.Add("/", "", "AWS x")
	f.Fuzz(func(t *testing.T, uri, value, authorization string) {
		r := &http.Request{Method: "GET", Host: "s3.test:9000", RequestURI: uri, Header: http.Header{
			"X-Amz-Date":           {values["x-amz-date"]},
			"X-Amz-Content-Sha256": {emptyHash},
			"X-Amz-Meta-A":         {value},
			"Authorization":        {authorization},
		}}
		q, err := sigv4.Parse(r, testTime)
		if err != nil {
			if code(err) == err.Error() {
				t.Fatalf("no *sigv4.Error: %v", err)
			}
			return
		}
		if q.Verify(testSecret) != nil {
			return
		}
		rawPath, rawQuery, _ := strings.Cut(uri, "?")
		if p, err := url.PathUnescape(rawPath); err != nil || p != path {
			t.Fatalf("path %q passes", rawPath)
		}
		if got := pairs(rawQuery); !slices.Equal(got, pairs(query)) {
			t.Fatalf("query %q passes as %q", rawQuery, got)
		}
		if got := strings.Join(strings.Split(strings.Trim(value, " \t"), "  "), " "); !strings.Contains(got, "one ") || strings.ReplaceAll(got, " ", "") != "onetwo" {
			t.Fatalf("header %q passes", value)
		}
	})
}

// pairs reads a query in the plainest way.
func pairs(query string) []string {
	var out []string
	for _, p := range strings.Split(query, "&") {
		if p == "" {
			continue
		}
		name, value, _ := strings.Cut(strings.ReplaceAll(p, "+", "%20"), "=")
		name, _ = url.PathUnescape(name)
		value, _ = url.PathUnescape(value)
		out = append(out, name+"="+value)
	}
	slices.Sort(out)
	return out
}

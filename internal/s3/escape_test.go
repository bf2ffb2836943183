package s3

import (
	"net/url"
	"regexp"
	"strings"
	"testing"
)

func TestEscape(t *testing.T) {
	for _, c := range []struct{ in, key, query string }{
		{"", "", ""},
		{"a-Z0.9_~", "a-Z0.9_~", "a-Z0.9_~"},
		{"a/b", "a/b", "a%2Fb"},
		{"a b+c", "a%20b%2Bc", "a%20b%2Bc"},
		{"!*'()", "%21%2A%27%28%29", "%21%2A%27%28%29"},
		{"h\u00e9\x00\xff", "h%C3%A9%00%FF", "h%C3%A9%00%FF"},
		{"%2F", "%252F", "%252F"},
	} {
		if got := EscapeKey(c.in); got != c.key {
			t.Errorf("EscapeKey(%q) = %q", c.in, got)
		}
		if got := EscapeQuery(c.in); got != c.query {
			t.Errorf("EscapeQuery(%q) = %q", c.in, got)
		}
	}
}

func TestDecode(t *testing.T) {
	for _, c := range []struct{ in, path, query string }{
		{"a+b", "a+b", "a b"},
		{"%2b%2B+", "+++", "++ "},
		{"%e9%C3", "\xe9\xc3", "\xe9\xc3"},
		{"%25%", "", ""},
		{"%2", "", ""},
		{"%g0", "", ""},
		{"%0g", "", ""},
	} {
		path, err := DecodePath(c.in)
		if path != c.path || (err == nil) != (c.path != "") {
			t.Errorf("DecodePath(%q) = %q, %v", c.in, path, err)
		}
		query, err := DecodeQuery(c.in)
		if query != c.query || (err == nil) != (c.query != "") {
			t.Errorf("DecodeQuery(%q) = %q, %v", c.in, query, err)
		}
	}
}

// Every byte survives both ways, and the encoding is that of AWS: what
// url.QueryEscape writes, with %20 for a blank.
func FuzzEscape(f *testing.F) {
	all := make([]byte, 256)
	for i := range all {
		all[i] = byte(i)
	}
	f.Add(string(all))
	f.Add("a/b c+d%2F")
	f.Fuzz(func(t *testing.T, s string) {
		want := strings.ReplaceAll(url.QueryEscape(s), "+", "%20")
		if got := EscapeQuery(s); got != want {
			t.Fatalf("EscapeQuery(%q) = %q, want %q", s, got, want)
		}
		if got, want := EscapeKey(s), strings.ReplaceAll(want, "%2F", "/"); got != want {
			t.Fatalf("EscapeKey(%q) = %q, want %q", s, got, want)
		}
		lower := regexp.MustCompile("%..").ReplaceAllStringFunc(EscapeQuery(s), strings.ToLower)
		for _, decode := range []func(string) (string, error){DecodePath, DecodeQuery} {
			for _, encoded := range []string{EscapeKey(s), EscapeQuery(s), lower} {
				if got, err := decode(encoded); err != nil || got != s {
					t.Fatalf("decode(%q) = %q, %v; want %q", encoded, got, err, s)
				}
			}
		}
		if got, err := DecodePath(s); err == nil && strings.Count(s, "%") == 0 && got != s {
			t.Fatalf("DecodePath(%q) = %q", s, got)
		}
	})
}

func FuzzParseQuery(f *testing.F) {
	f.Add("a=b&c&=d&&e==f;g")
	f.Add("prefix=a+b%2Bc%20d")
	f.Fuzz(func(t *testing.T, raw string) {
		q, err := ParseQuery(raw)
		if err != nil {
			return
		}
		var again []string
		for _, p := range q {
			again = append(again, EscapeQuery(p.Name)+"="+EscapeQuery(p.Value))
		}
		r, err := ParseQuery(strings.Join(again, "&"))
		if err != nil || len(r) != len(q) {
			t.Fatalf("%q: %v, %v", raw, r, err)
		}
		for i := range q {
			if q[i] != r[i] {
				t.Fatalf("%q: %v is not %v", raw, r[i], q[i])
			}
		}
	})
}

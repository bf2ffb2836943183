package sigv4_test

import (
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/minio/minio-go/v7/pkg/s3utils"

	"github.com/s3mirror/s3mirror/internal/sigv4"
)

func TestEscape(t *testing.T) {
	const raw = "/aZ09-._~ !\"#$%&'()*+,:;<=>?@[\\]^`{|}\x00\x7f\xff/é"
	if got, want := sigv4.EscapePath(raw), "/aZ09-._~%20%21%22%23%24%25%26%27%28%29%2A%2B%2C%3A%3B%3C%3D%3E%3F%40%5B%5C%5D%5E%60%7B%7C%7D%00%7F%FF/%C3%A9"; got != want {
		t.Errorf("path: got  %s\nwant %s", got, want)
	}
	if got, want := sigv4.EscapeQuery("a/b c~+"), "a%2Fb%20c~%2B"; got != want {
		t.Errorf("query: got %s, want %s", got, want)
	}
}

func TestEscapePathAsMinio(t *testing.T) {
	for _, key := range []string{"a", "//d//e", "a+b", "a b", "héé", "!*'();:@&=+$,?#[]", "~", "日本"} {
		if got, want := sigv4.EscapePath(key), s3utils.EncodePath(key); got != want {
			t.Errorf("%q: got %s, minio-go has %s", key, got, want)
		}
	}
}

func TestDecodePath(t *testing.T) {
	for raw, want := range map[string]string{
		"/b/k": "/b/k", "/a%2Fb": "/a/b", "/a%2fb": "/a/b", "/a+b": "/a+b", "/%25": "/%", "/%00": "/\x00", "/%ff": "/\xff", "//..//": "//..//",
	} {
		if got, err := sigv4.DecodePath(raw); err != nil || got != want {
			t.Errorf("%q: got %q, %v", raw, got, err)
		}
	}
	for _, raw := range []string{"%", "%2", "a%zz", "%g0", "%0g", "%%41"} {
		if _, err := sigv4.DecodePath(raw); code(err) != "InvalidURI" {
			t.Errorf("%q: got %v, want InvalidURI", raw, err)
		}
	}
}

func TestCanonicalQuery(t *testing.T) {
	for _, tc := range []struct {
		raw  string
		drop []string
		want string
	}{
		{"", nil, ""},
		{"acl", nil, "acl="},
		{"acl=", nil, "acl="},
		{"=v", nil, "=v"},
		{"b=2&a=1", nil, "a=1&b=2"},
		{"a=%7e%2f+", nil, "a=~%2F%20"},
		{"a=%zz", nil, "a=%25zz"},
		{"a=%", nil, "a=%25"},
		{"A=1&a=1&%41=0", nil, "A=0&A=1&a=1"},
		{"x-id=PutObject&uploadId=u&partNumber=1", []string{"x-id"}, "partNumber=1&uploadId=u"},
		{"x%2Did=1&a", []string{"x-id", "a"}, ""},
		{"X-Amz-Signature=1&X-Amz-Date=2", []string{"X-Amz-Signature"}, "X-Amz-Date=2"},
	} {
		if got := sigv4.CanonicalQuery(tc.raw, tc.drop...); got != tc.want {
			t.Errorf("%q without %q: got %q, want %q", tc.raw, tc.drop, got, tc.want)
		}
	}
}

func FuzzCanonicalQuery(f *testing.F) {
	for _, s := range []string{"", "a", "a=b&c", "prefix=a+b%20;c", "%zz=%", "&&=&", "a=1&a=0", "é=\xff", "list-type=2&prefix=a%2Fb&delimiter=/"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, raw string) {
		got := sigv4.CanonicalQuery(raw)
		if again := sigv4.CanonicalQuery(got); again != got {
			t.Fatalf("%q: %q is not canonical: %q", raw, got, again)
		}
		for _, c := range []byte(got) {
			if !strings.ContainsRune("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~%&=", rune(c)) {
				t.Fatalf("%q: %q holds %q", raw, got, c)
			}
		}
		// Where net/url can be trusted, it must agree about every pair.
		values, err := url.ParseQuery(raw)
		if err != nil {
			return
		}
		var want []string
		for name, vs := range values {
			for _, v := range vs {
				want = append(want, name+"\x00"+v)
			}
		}
		var have []string
		for p := range strings.SplitSeq(got, "&") {
			if name, v, ok := strings.Cut(p, "="); ok {
				name, _ = url.PathUnescape(name)
				v, _ = url.PathUnescape(v)
				have = append(have, name+"\x00"+v)
			}
		}
		slices.Sort(want)
		slices.Sort(have)
		if !slices.Equal(have, want) {
			t.Fatalf("%q: have %q, net/url has %q", raw, have, want)
		}
	})
}

func FuzzEscapePath(f *testing.F) {
	for _, s := range []string{"", "/", "/a b", "//..", "%41", "é", "\xff\x00+"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, raw string) {
		if back, err := sigv4.DecodePath(sigv4.EscapePath(raw)); err != nil || back != raw {
			t.Fatalf("%q came back as %q, %v", raw, back, err)
		}
	})
}

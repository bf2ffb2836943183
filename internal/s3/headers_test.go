package s3

import (
	"fmt"
	"maps"
	"mime"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/s3mirror/s3mirror/internal/object"
)

func TestVersionHeaders(t *testing.T) {
	h := http.Header{}
	for _, p := range [][2]string{
		{"Content-Type", "text/plain"}, {"Content-Encoding", "gzip,aws-chunked"}, {"Cache-Control", "no-cache"},
		{"Cache-Control", "private"}, {"Content-Disposition", "attachment; filename=\"h\u00e9\""}, {"Expires", "0"},
		{"Content-Language", ""}, {"x-amz-website-redirect-location", "/x"}, {"x-amz-storage-class", "STANDARD"},
		{"x-amz-meta-FooBar", "a  b"}, {"x-amz-meta-dup", "1"}, {"X-Amz-Meta-Dup", "2"}, {"x-amz-meta-empty", ""},
		{"x-amz-meta-raw", "h\u00e9"}, {"x-amz-meta-word", "=?UTF-8?B?aMOp?="}, {"x-amz-meta-text", "=?UTF-8?q?abc?="},
		{"x-amz-checksum-crc32", "AAAAAA=="}, {"x-amz-checksum-algorithm", "CRC32"}, {"x-amz-checksum-mode", "ENABLED"},
		{"x-amz-date", "d"}, {"Authorization", "secret"}, {"User-Agent", "u"}, {"Content-Length", "5"}, {"Content-MD5", "m"},
	} {
		h.Add(p[0], p[1])
	}
	h["x-amz-meta-dup"] = []string{"3"} // another spelling of the name
	got, err := VersionHeaders(h)
	want := object.Headers{
		"content-type": "text/plain", "content-encoding": "gzip", "cache-control": "no-cache, private",
		"content-disposition": "attachment; filename=\"h\u00e9\"", "expires": "0", "x-amz-website-redirect-location": "/x",
		"x-amz-meta-foobar": "a  b", "x-amz-meta-dup": "1,2,3", "x-amz-meta-empty": "", "x-amz-meta-raw": "h\u00e9",
		"x-amz-meta-word": "h\u00e9", "x-amz-meta-text": "=?UTF-8?q?abc?=", "x-amz-checksum-crc32": "AAAAAA==",
	}
	if err != nil || !maps.Equal(got, want) {
		t.Errorf("%v\n got %q\nwant %q", err, got, want)
	}
}

func TestVersionHeadersDefaults(t *testing.T) {
	for _, encoding := range []string{"", "aws-chunked", "AWS-Chunked , "} {
		got, err := VersionHeaders(http.Header{"Content-Encoding": {encoding}, "Content-Type": {""}})
		if err != nil || !maps.Equal(got, object.Headers{"content-type": DefaultContentType}) {
			t.Errorf("%q: %v %v", encoding, got, err)
		}
	}
}

func TestStripChunked(t *testing.T) {
	for in, want := range map[string]string{
		"gzip": "gzip", "gzip,  br": "gzip,  br", "aws-chunked": "", "gzip, aws-chunked": "gzip",
		"aws-chunked,gzip,br": "gzip, br", "AWS-CHUNKED": "", "x-aws-chunked": "x-aws-chunked",
	} {
		if got := StripChunked(in); got != want {
			t.Errorf("%q: %q", in, got)
		}
	}
}

func TestVersionHeadersRefuse(t *testing.T) {
	meta := func(n int) http.Header { return http.Header{"X-Amz-Meta-A": {strings.Repeat("a", n)}} }
	for name, c := range map[string]struct {
		h    http.Header
		want Code
	}{
		"the stamp":          {http.Header{"X-Amz-Meta-S3mirror-Stamp": {"x"}}, InvalidArgument},
		"any internal name":  {http.Header{"X-Amz-Meta-S3mirror-": {"x"}}, InvalidArgument},
		"metadata that fits": {meta(MaxMetadataBytes - 1), ""},
		"too much metadata":  {meta(MaxMetadataBytes), MetadataTooLarge},
		"too much in all":    {http.Header{"Content-Disposition": {strings.Repeat("a", 8192)}}, RequestHeaderSectionTooLarge},
		"two types":          {http.Header{"Content-Type": {"a", "b"}}, InvalidArgument},
		"redirect":           {http.Header{"X-Amz-Website-Redirect-Location": {"javascript:x"}}, InvalidRedirectLocation},
		"redirect https":     {http.Header{"X-Amz-Website-Redirect-Location": {"https://x"}}, ""},
		"no values":          {http.Header{"Content-Type": nil}, ""},
	} {
		if _, err := VersionHeaders(c.h); codeOf(err) != c.want {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// What a backend shows of a version is what the client gave, whichever way the
// backend spells it.
func TestStoredHeaders(t *testing.T) {
	for name, h := range map[string]http.Header{
		"raw": {"Content-Type": {"a/b"}, "x-amz-meta-a": {"h\u00e9"}, "Content-Encoding": {"gzip, aws-chunked"},
			"X-Amz-Storage-Class": {"STANDARD"}, "Etag": {"e"}, "Server": {"x"}, "X-Amz-Meta-S3mirror-Stamp": {"s"}},
		"encoded": {"Content-Type": {"a/b"}, "X-Amz-Meta-A": {"=?UTF-8?q?h=C3=A9?="}, "Content-Encoding": {"gzip"},
			"X-Amz-Id-2": {"i"}, "Content-Language": {}},
	} {
		want := object.Headers{"content-type": "a/b", "content-encoding": "gzip", "x-amz-meta-a": "h\u00e9"}
		if got := StoredHeaders(h); !maps.Equal(got, want) {
			t.Errorf("%s: %q", name, got)
		}
	}
}

func TestMetadataEncoding(t *testing.T) {
	for in, want := range map[string]string{
		"": "", "plain ~ text\t!": "plain ~ text\t!", "h\u00e9": "=?UTF-8?q?h=C3=A9?=", "\xe9": "=?ISO-8859-1?q?=E9?=",
		"=?UTF-8?q?abc?=": "=?UTF-8?q?abc?=", "=?broken": "=?broken",
	} {
		if got := EncodeMetadata(in); got != want {
			t.Errorf("EncodeMetadata(%q) = %q", in, got)
		}
	}
	for in, want := range map[string]string{
		"=?UTF-8?B?aMOp?=": "h\u00e9", "=?ISO-8859-1?q?=E9?=": "\u00e9", "a =?utf-8?q?=C3=A9?= b": "a \u00e9 b",
		"=?UTF-8?q?abc?=": "=?UTF-8?q?abc?=", "=?x-odd?q?=E9?=": "=?x-odd?q?=E9?=", "=?": "=?",
	} {
		if got := DecodeMetadata(in); got != want {
			t.Errorf("DecodeMetadata(%q) = %q", in, got)
		}
	}
}

// One form inside: to encode and decode again changes nothing more.
func FuzzMetadata(f *testing.F) {
	f.Add("h\u00e9")
	f.Add(strings.Repeat("\u20ac ", 60))
	f.Add("=?UTF-8?q?h=C3=A9?= =?UTF-8?q?x?=")
	f.Add("\xff\xfe")
	f.Fuzz(func(t *testing.T, s string) {
		wire := EncodeMetadata(s)
		for i := range len(wire) {
			if c := wire[i]; c != '\t' && (c < ' ' || c > '~') {
				t.Fatalf("%q is not printable ASCII", wire)
			}
		}
		if strings.Contains(s, "=?") {
			return // somebody else's encoding
		}
		got := DecodeMetadata(wire)
		if got != s && strings.HasPrefix(wire, "=?UTF-8") && strings.ContainsFunc(s, func(r rune) bool { return r > '~' }) {
			t.Fatalf("%q came back as %q (by way of %q)", s, got, wire)
		}
		if again := DecodeMetadata(EncodeMetadata(got)); again != got {
			t.Fatalf("%q, then %q", got, again)
		}
		if d, err := new(mime.WordDecoder).DecodeHeader(wire); err != nil {
			t.Fatalf("%q: %q, %v", wire, d, err)
		}
	})
}

func TestResponseHeaders(t *testing.T) {
	info := object.Info{
		Kind: object.Present, ETag: "abc", Size: 5, ModTime: time.Date(2026, 3, 1, 12, 0, 0, 999e6, time.FixedZone("x", 3600)),
		Headers: object.Headers{"content-type": "text/plain", "x-amz-meta-foo": "h\u00e9", "x-amz-checksum-crc32": "AAAAAA==",
			"x-amz-storage-class": "GLACIER", "x-amz-meta-s3mirror-stamp": "secret", "set-cookie": "x"},
	}
	h := http.Header{}
	ResponseHeaders(h, info, ResponseOptions{Overrides: object.Headers{"content-type": "a/b", "expires": "0"}})
	want := map[string]string{
		"ETag": `"abc"`, "Last-Modified": "Sun, 01 Mar 2026 11:00:00 GMT", "Accept-Ranges": "bytes", "Content-Type": "a/b",
		"Expires": "0", "x-amz-meta-foo": "=?UTF-8?q?h=C3=A9?=", "X-Amz-Storage-Class": "GLACIER",
	}
	if fmt.Sprint(h) != fmt.Sprint(asHeader(want)) {
		t.Errorf("\n got %v\nwant %v", h, want)
	}

	h = http.Header{}
	ResponseHeaders(h, object.Info{ETag: "e"}, ResponseOptions{Checksums: true})
	if h.Get("Content-Type") != DefaultContentType || len(h) != 4 {
		t.Errorf("%v", h)
	}
}

func TestChecksumHeaders(t *testing.T) {
	for _, c := range []struct {
		stored         object.Headers
		wantSum, wantT string
	}{
		{object.Headers{"x-amz-checksum-crc32": "AAAAAA=="}, "AAAAAA==", "FULL_OBJECT"},
		{object.Headers{"x-amz-checksum-crc32": "AAAAAA==-2"}, "AAAAAA==-2", "COMPOSITE"},
		{object.Headers{"x-amz-checksum-crc32": "AAAAAA==", "x-amz-checksum-type": "COMPOSITE"}, "AAAAAA==", "COMPOSITE"},
		{object.Headers{"x-amz-checksum-mode": "ENABLED"}, "", ""},
		{nil, "", ""},
	} {
		read, written := http.Header{}, http.Header{}
		ResponseHeaders(read, object.Info{Headers: c.stored}, ResponseOptions{Checksums: true})
		WrittenHeaders(written, object.Info{ETag: "e", Headers: c.stored})
		for _, h := range []http.Header{read, written} {
			if h.Get("x-amz-checksum-crc32") != c.wantSum || h.Get("x-amz-checksum-type") != c.wantT || h[etagHeader] == nil {
				t.Errorf("%v: %v", c.stored, h)
			}
		}
	}
}

// etagHeader is not the canonical form of http.Header, on purpose.
var etagHeader = "ETag"

func asHeader(m map[string]string) http.Header {
	h := http.Header{}
	for name, v := range m {
		h[name] = []string{v}
	}
	return h
}

func TestETagQuotes(t *testing.T) {
	for in, want := range map[string]string{`"a"`: "a", "a": "a", `W/"a"`: "a", " W/a ": "a", `""`: "", "": ""} {
		if got := UnquoteETag(in); got != want {
			t.Errorf("%q: %q", in, got)
		}
	}
}

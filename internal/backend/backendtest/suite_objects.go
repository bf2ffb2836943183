package backendtest

import (
	"bytes"
	"errors"
	"maps"
	"testing"
	"time"

	"github.com/s3mirror/s3mirror/internal/backend"
	"github.com/s3mirror/s3mirror/internal/object"
	"github.com/s3mirror/s3mirror/internal/s3"
	"github.com/s3mirror/s3mirror/internal/sigv4"
)

func testHeaders(t *testing.T, g Target) {
	headers := object.Headers{
		"content-type":        "text/x-thing; charset=utf-8",
		"content-encoding":    "gzip",
		"content-language":    "de, fr",
		"content-disposition": `attachment; filename="a b.txt"`,
		"cache-control":       "max-age=60",
		"expires":             "Thu, 01 Dec 2033 16:00:00 GMT",
		"x-amz-meta-plain":    "value",
		"x-amz-meta-spaces":   "two  blanks",
		"x-amz-meta-utf8":     "héllo → 世界",
		"x-amz-meta-empty-no": "=",
	}
	for name, framing := range g.framings() {
		t.Run(name, func(t *testing.T) {
			data := random(20_000)
			g.put(t, "headers", data, framing(data), func(r *backend.PutRequest) { r.Headers = headers })
			seen, err := g.Endpoint.Head(t.Context(), g.Bucket, "headers")
			must(t, err)
			obj, _ := g.read(t, "headers", backend.GetOptions{})
			for what, got := range map[string]object.Headers{"head": seen.Headers, "get": obj.Headers} {
				got = got.Clone()
				maps.DeleteFunc(got, func(name, _ string) bool { _, ours := headers[name]; return !ours })
				if !got.Equal(headers) {
					t.Errorf("%s: %q, want %q", what, got, headers)
				}
			}
		})
	}
	g.put(t, "plain", nil, backend.Framing{})
	seen, err := g.Endpoint.Head(t.Context(), g.Bucket, "plain")
	must(t, err)
	if seen.Headers["content-type"] != s3.DefaultContentType {
		t.Errorf("content type of an object without one: %q", seen.Headers)
	}
}

// testChecksums expects that a checksum which was verified is kept.
func testChecksums(t *testing.T, g Target) {
	data := []byte("123456789")
	f := backend.Framing{Mode: sigv4.UnsignedTrailer, Algorithm: "crc32c"}
	const value = "4waSgw==" // of the check string of CRC-32C
	if g.Framings != nil {
		f = literal(data)
	}
	check := func(headers object.Headers) {
		t.Helper()
		g.put(t, "sum", data, f, func(r *backend.PutRequest) { r.Headers = headers })
		seen, err := g.Endpoint.Head(t.Context(), g.Bucket, "sum")
		must(t, err)
		obj, _ := g.read(t, "sum", backend.GetOptions{Checksums: true})
		for what, h := range map[string]object.Headers{"head": seen.Headers, "get": obj.Headers} {
			if got := h["x-amz-checksum-crc32c"]; got != value {
				t.Errorf("%s: crc32c %q, want %q", what, got, value)
			}
		}
	}
	check(object.Headers{"x-amz-checksum-crc32c": value})
	if f.Mode == sigv4.UnsignedTrailer {
		check(nil)
	}
	_, part := g.read(t, "sum", backend.GetOptions{Offset: 2, Length: 3, Checksums: true})
	if string(part) != "345" {
		t.Errorf("part %q", part)
	}
	_, err := g.tryPut(t.Context(), "sum", data, literal(data), func(r *backend.PutRequest) {
		r.Headers = object.Headers{"x-amz-checksum-crc32c": "AAAAAA=="}
	})
	_ = wants(t, err, backend.Refused)
	g.stands(t, "sum", data)
}

func testStamp(t *testing.T, g Target) {
	ctx := t.Context()
	stamp := object.Stamp{
		ID: object.NewID(), Flag: object.FlagSmall, Ver: object.Tick(time.Now(), 0),
		Uploaded: time.Now().UTC().Truncate(time.Millisecond), ETag: "0123",
	}
	data := []byte("stamped")
	g.put(t, "stamp", data, literal(data), func(r *backend.PutRequest) { r.Stamp = stamp })
	seen, err := g.Endpoint.Head(ctx, g.Bucket, "stamp")
	must(t, err)
	obj, _ := g.read(t, "stamp", backend.GetOptions{Offset: 1})
	for what, s := range map[string]object.Seen{"head": seen, "get": obj.Seen} {
		if s.ID != stamp.ID || s.Ver != stamp.Ver || s.Flag != stamp.Flag || !s.Uploaded.Equal(stamp.Uploaded) {
			t.Errorf("%s: stamp %+v, want %+v", what, s, stamp)
		}
		for name := range s.Headers {
			if !object.Stored(name) {
				t.Errorf("%s shows %s", what, name)
			}
		}
	}
	// An object without a stamp is foreign, and so is one with the stamp of
	// another key: that is what a copy behind our back has.
	g.put(t, "foreign", data, literal(data))
	seen, err = g.Endpoint.Head(ctx, g.Bucket, "foreign")
	must(t, err)
	if !seen.ID.IsZero() || seen.Flag != object.FlagNone {
		t.Errorf("foreign object: %+v", seen)
	}
}

func testKeys(t *testing.T, g Target) {
	keys := []string{
		"a b", "a+b", "a%2Fb", "100%", "é", "e\u0301", "世界", "!*'()", "a;b", "a&b=c", "a?b", "a#b", `a\b`,
		"emoji \U0001F600", "~tilde", ".hidden", "trailing.", "tab\there", "quote\"", "<xml>&amp;",
		"dir/sub/file", ".s3mirror/identity", "very/" + string(bytes.Repeat([]byte("k"), 250)),
	}
	if !g.FoldsKeys {
		keys = append(keys, "/leading", "//", "a//b", "./x", "../x", "a/../b", "a/./b", "new\nline", "\x01control", "dir/",
			string(bytes.Repeat([]byte("k"), 1024)))
	}
	if !g.NoFileAndFolder {
		keys = append(keys, "file", "file/below")
	}
	for _, key := range keys {
		data := []byte("under " + key)
		g.put(t, key, data, literal(data))
	}
	for _, key := range keys {
		g.stands(t, key, []byte("under "+key))
		page, err := g.Endpoint.List(t.Context(), g.Bucket, backend.ListRequest{Prefix: key, Max: 1})
		must(t, err)
		if len(page.Entries) != 1 || page.Entries[0].Key != key {
			t.Errorf("list of %q: %+v", key, page)
		}
		must(t, g.Endpoint.Delete(t.Context(), g.Bucket, key))
	}
}

func testRanges(t *testing.T, g Target) {
	data := random(100_000)
	g.put(t, "range", data, literal(data))
	for _, o := range []backend.GetOptions{
		{}, {Length: 1}, {Length: 100_000}, {Length: 200_000}, {Offset: 1}, {Offset: 99_999},
		{Offset: 500, Length: 1000}, {Offset: 99_000, Length: 5000}, {Offset: 50_000, Length: -1},
	} {
		end := int64(len(data))
		if o.Length > 0 {
			end = min(end, o.Offset+o.Length)
		}
		obj, got := g.read(t, "range", o)
		if !bytes.Equal(got, data[o.Offset:end]) || obj.Offset != o.Offset || obj.Size != int64(len(data)) {
			t.Errorf("%+v: %d bytes at %d of %d", o, len(got), obj.Offset, obj.Size)
		}
	}
	_, err := g.Endpoint.Get(t.Context(), g.Bucket, "range", backend.GetOptions{Offset: 100_000})
	if e := wants(t, err, backend.Refused); !errors.Is(e, s3.InvalidRange) || e.Misconfigured {
		t.Error(err)
	}
}

func testConditions(t *testing.T, g Target) {
	data := []byte("condition")
	res := g.put(t, "condition", data, literal(data))
	_, got := g.read(t, "condition", backend.GetOptions{IfMatch: res.ETag, Offset: 3})
	if string(got) != "dition" {
		t.Errorf("read %q", got)
	}
	_, err := g.Endpoint.Get(t.Context(), g.Bucket, "condition", backend.GetOptions{IfMatch: "0123456789abcdef0123456789abcdef"})
	if e := wants(t, err, backend.Refused); !errors.Is(e, s3.PreconditionFailed) || e.Misconfigured {
		t.Error(err)
	}
}

package s3

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/s3mirror/s3mirror/internal/object"
)

var (
	modTime = time.Date(2026, 3, 1, 12, 0, 0, 500e6, time.UTC)
	present = object.Info{Kind: object.Present, ETag: "abc", Size: 5, ModTime: modTime}
	absent  = object.Info{}

	same   = modTime.Format(http.TimeFormat)
	before = modTime.Add(-time.Hour).Format(http.TimeFormat)
	after  = modTime.Add(time.Hour).Format(http.TimeFormat)
)

// verdict is the code and, for 412, the condition.
func verdict(err error) string {
	s := string(codeOf(err))
	if c := codeOf(err); c == PreconditionFailed {
		s += " " + fieldOf(err, "Condition")
	}
	return s
}

func TestReadConditions(t *testing.T) {
	const (
		match, noneMatch, modified, unmodified = "If-Match", "If-None-Match", "If-Modified-Since", "If-Unmodified-Since"
		failed                                 = "PreconditionFailed "
	)
	for name, c := range map[string]struct {
		header []string
		want   string
	}{
		"none":                             {nil, ""},
		"match":                            {[]string{match, `"abc"`}, ""},
		"match, no quotes":                 {[]string{match, "abc"}, ""},
		"match, weak":                      {[]string{match, `W/"abc"`}, ""},
		"match, star":                      {[]string{match, "*"}, ""},
		"match, quoted star":               {[]string{match, `"*"`}, failed + match},
		"match, list":                      {[]string{match, `"x", "abc"`}, ""},
		"match, two headers":               {[]string{match, "x", match, "abc"}, ""},
		"match, comma inside":              {[]string{match, `"x,abc"`}, failed + match},
		"match, empty":                     {[]string{match, ""}, failed + match},
		"match, other":                     {[]string{match, `"x"`}, failed + match},
		"match beats unmodified":           {[]string{match, "abc", unmodified, before}, ""},
		"match fails first":                {[]string{match, "x", noneMatch, "abc"}, failed + match},
		"unmodified, before":               {[]string{unmodified, before}, failed + unmodified},
		"unmodified, same second":          {[]string{unmodified, same}, ""},
		"unmodified, after":                {[]string{unmodified, after}, ""},
		"unmodified, no date":              {[]string{unmodified, "soon"}, ""},
		"none match":                       {[]string{noneMatch, `"abc"`}, "NotModified"},
		"none match, weak":                 {[]string{noneMatch, `W/"abc"`}, "NotModified"},
		"none match, star":                 {[]string{noneMatch, "*"}, "NotModified"},
		"none match, other":                {[]string{noneMatch, "x"}, ""},
		"none match other beats modified":  {[]string{noneMatch, "x", modified, after}, ""},
		"none match beats modified before": {[]string{noneMatch, "abc", modified, before}, "NotModified"},
		"modified, before":                 {[]string{modified, before}, ""},
		"modified, same second":            {[]string{modified, same}, "NotModified"},
		"modified, after":                  {[]string{modified, after}, "NotModified"},
		"modified, no date":                {[]string{modified, "-1"}, ""},
		"unmodified, then none match":      {[]string{unmodified, after, noneMatch, "abc"}, "NotModified"},
		"match and none match":             {[]string{match, "abc", noneMatch, "abc"}, "NotModified"},
	} {
		got := ParseReadConditions(request("GET", "/b/k", "", c.header...).Header)
		if v := verdict(got.Check(present)); v != c.want {
			t.Errorf("%s: %q, want %q", name, v, c.want)
		}
		if v := verdict(got.Check(absent)); v != "NoSuchKey" {
			t.Errorf("%s on nothing: %q", name, v)
		}
	}
	c := ParseReadConditions(http.Header{"If-Match": {`""`}, "If-None-Match": {""}})
	if v := verdict(c.Check(object.Info{Kind: object.Present})); v != "PreconditionFailed If-Match" {
		t.Errorf("an unknown ETag matches: %q", v)
	}
}

func TestIfRange(t *testing.T) {
	for value, want := range map[string]bool{
		"": true, `"abc"`: true, "abc": true, `"x"`: false, same: true, before: false, after: false,
	} {
		c := ParseReadConditions(request("GET", "/b/k", "", "If-Range", value).Header)
		if got := c.RangeApplies(present); got != want {
			t.Errorf("%q: %v", value, got)
		}
	}
}

func TestWriteConditions(t *testing.T) {
	const (
		match, none = "If-Match", "If-None-Match"
		size, mtime = "x-amz-if-match-size", "x-amz-if-match-last-modified-time"
		failed      = "PreconditionFailed "
	)
	for name, c := range map[string]struct {
		header              []string
		onPresent, onAbsent string
	}{
		"none":               {nil, "", ""},
		"none match":         {[]string{none, "*"}, failed + none, ""},
		"match":              {[]string{match, `"abc"`}, "", "NoSuchKey"},
		"match, no quotes":   {[]string{match, "abc"}, "", "NoSuchKey"},
		"match, star":        {[]string{match, "*"}, "", "NoSuchKey"},
		"match, other":       {[]string{match, "x"}, failed + match, "NoSuchKey"},
		"match, empty":       {[]string{match, ""}, failed + match, "NoSuchKey"},
		"size":               {[]string{size, "5"}, "", ""},
		"size, other":        {[]string{size, "6"}, failed + "If-Match-Size", ""},
		"time":               {[]string{mtime, same}, "", ""},
		"time, ISO":          {[]string{mtime, "2026-03-01T12:00:00.7Z"}, "", ""},
		"time, other":        {[]string{mtime, after}, failed + "If-Match-Last-Mod-Time", ""},
		"all":                {[]string{match, "abc", size, "5", mtime, same}, "", "NoSuchKey"},
		"all, size is wrong": {[]string{match, "abc", size, "6", mtime, same}, failed + "If-Match-Size", "NoSuchKey"},
	} {
		got, err := ParseWriteConditions(request("PUT", "/b/k", "", c.header...).Header)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if v := verdict(got.Check(present)); v != c.onPresent {
			t.Errorf("%s on an object: %q, want %q", name, v, c.onPresent)
		}
		if v := verdict(got.Check(absent)); v != c.onAbsent {
			t.Errorf("%s on nothing: %q, want %q", name, v, c.onAbsent)
		}
		if got.Empty() != (len(c.header) == 0) {
			t.Errorf("%s: Empty is %v", name, got.Empty())
		}
	}
}

func TestWriteConditionsRefused(t *testing.T) {
	for name, c := range map[string]struct {
		header []string
		want   Code
	}{
		"none match, tag":   {[]string{"If-None-Match", `"abc"`}, NotImplemented},
		"none match, list":  {[]string{"If-None-Match", `*, "abc"`}, NotImplemented},
		"none match, empty": {[]string{"If-None-Match", ""}, NotImplemented},
		"both":              {[]string{"If-None-Match", "*", "If-Match", "abc"}, NotImplemented},
		"size":              {[]string{"x-amz-if-match-size", "-1"}, InvalidArgument},
		"size, text":        {[]string{"x-amz-if-match-size", "five"}, InvalidArgument},
		"time":              {[]string{"x-amz-if-match-last-modified-time", "noon"}, InvalidArgument},
	} {
		if _, err := ParseWriteConditions(request("PUT", "/b/k", "", c.header...).Header); codeOf(err) != c.want {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func FuzzConditions(f *testing.F) {
	f.Add(`"abc", W/"x"`, "*", same, after, "abc")
	f.Add(`,,"a`, `"`, "", "x", `"a,b"`)
	f.Fuzz(func(t *testing.T, match, none, modified, unmodified, rng string) {
		h := http.Header{"If-Match": {match}, "If-None-Match": {none}, "If-Modified-Since": {modified},
			"If-Unmodified-Since": {unmodified}, "If-Range": {rng}}
		c := ParseReadConditions(h)
		c.RangeApplies(present)
		switch v := codeOf(c.Check(present)); v {
		case "", NotModified, PreconditionFailed:
		default:
			t.Fatalf("%q", v)
		}
		if w, err := ParseWriteConditions(http.Header{"If-Match": {match}}); err != nil || w.Empty() {
			t.Fatalf("If-Match %q: %v, %v", match, w, err)
		} else if got := w.Check(present) == nil; got && !strings.Contains(match, "abc") && !strings.Contains(match, "*") {
			t.Fatalf("If-Match %q holds for abc", match)
		}
		// Whatever an ETag is, its quoted form matches it.
		if etag := rng; etag != "" && !strings.ContainsAny(etag, "\"*, \t\r\n\v\f\u0085\u00a0") && !strings.HasPrefix(etag, "W/") &&
			strings.TrimSpace(etag) == etag {
			info := object.Info{Kind: object.Present, ETag: etag}
			if err := ParseReadConditions(http.Header{"If-Match": {QuoteETag(etag)}}).Check(info); err != nil {
				t.Fatalf("ETag %q does not match itself", etag)
			}
		}
	})
}

package s3

import (
	"bytes"
	"encoding/xml"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"testing"
	"testing/iotest"
	"unicode/utf8"

	"github.com/s3mirror/s3mirror/internal/object"
)

// tagging makes a document of keys and values.
func tagging(pairs ...string) string {
	var b strings.Builder
	b.WriteString("<Tagging><TagSet>")
	for i := 0; i < len(pairs); i += 2 {
		fmt.Fprintf(&b, "<Tag><Key>%s</Key><Value>%s</Value></Tag>", pairs[i], pairs[i+1])
	}
	return b.String() + "</TagSet></Tagging>"
}

// numbered makes n pairs.
func numbered(n int) (pairs []string) {
	for i := range n {
		pairs = append(pairs, fmt.Sprint("k", i), fmt.Sprint("v", i))
	}
	return pairs
}

func TestParseTagging(t *testing.T) {
	long := strings.Repeat("é", MaxTagKeyRunes)
	for name, c := range map[string]struct {
		body string
		want object.Tags
		code Code
	}{
		"two":               {tagging("a", "1", "b", ""), object.Tags{"a": "1", "b": ""}, ""},
		"none":              {"<Tagging xmlns='" + Namespace + "'><TagSet/></Tagging>", nil, ""},
		"value missing":     {"<Tagging><TagSet><Tag><Key>a</Key></Tag></TagSet></Tagging>", object.Tags{"a": ""}, ""},
		"all characters":    {tagging("aZ09 _.:/=+-@é", "世界 ＋"), nil, InvalidTag}, // a full-width plus is a symbol
		"allowed":           {tagging("aZ09 _.:/=+-@é", "世界"), object.Tags{"aZ09 _.:/=+-@é": "世界"}, ""},
		"blanks kept":       {tagging(" a ", " b "), object.Tags{" a ": " b "}, ""},
		"longest":           {tagging(long, long+long), object.Tags{long: long + long}, ""},
		"ten":               {tagging(numbered(10)...), nil, "ten"},
		"eleven":            {tagging(numbered(11)...), nil, BadRequest},
		"many":              {tagging(numbered(500)...), nil, BadRequest},
		"key too long":      {tagging(long+"x", "v"), nil, InvalidTag},
		"value too long":    {tagging("k", long+long+"x"), nil, InvalidTag},
		"empty key":         {tagging("", "v"), nil, InvalidTag},
		"twice":             {tagging("k", "v", "k", "w"), nil, InvalidTag},
		"AWS's own":         {tagging("aws:k", "v"), nil, InvalidTag},
		"bad character":     {tagging("k", "a&amp;b"), nil, InvalidTag},
		"control character": {tagging("k", "&#1;"), nil, InvalidTag},
		"no document":       {"", nil, MalformedXML},
		"another root":      {"<TagSet/>", nil, MalformedXML},
		"no set":            {"<Tagging/>", nil, MalformedXML},
		"two sets":          {"<Tagging><TagSet/><TagSet/></Tagging>", nil, MalformedXML},
		"no key":            {"<Tagging><TagSet><Tag><Value>v</Value></Tag></TagSet></Tagging>", nil, MalformedXML},
		"two keys":          {"<Tagging><TagSet><Tag><Key>a</Key><Key>b</Key></Tag></TagSet></Tagging>", nil, MalformedXML},
		"two values":        {"<Tagging><TagSet><Tag><Key>a</Key><Value/><Value/></Tag></TagSet></Tagging>", nil, MalformedXML},
		"unknown":           {"<Tagging><TagSet><Tag><Key>a</Key><X/></Tag></TagSet></Tagging>", nil, MalformedXML},
		"unknown in set":    {"<Tagging><TagSet><X/></TagSet></Tagging>", nil, MalformedXML},
		"unknown at root":   {"<Tagging><TagSet/><X/></Tagging>", nil, MalformedXML},
		"trailing":          {tagging() + "<x/>", nil, MalformedXML},
		"bomb":              {"<!DOCTYPE x [<!ENTITY a \"aaaa\">]>" + tagging("a", "&a;"), nil, MalformedXML},
		"huge":              {tagging("a", strings.Repeat(" ", maxTaggingBytes)), nil, MalformedXML},
	} {
		got, err := ParseTagging(strings.NewReader(c.body))
		if c.code == "ten" {
			if len(got) != 10 || err != nil {
				t.Errorf("%s: %v, %v", name, got, err)
			}
			continue
		}
		if !got.Equal(c.want) || codeOf(err) != c.code {
			t.Errorf("%s: %v, %v", name, got, err)
		}
	}
	lost := errors.New("connection lost")
	if _, err := ParseTagging(&failing{r: strings.NewReader(tagging()[:20]), err: lost}); !errors.Is(err, lost) {
		t.Errorf("%v", err)
	}
}

func TestParseTaggingHeader(t *testing.T) {
	for value, want := range map[string]struct {
		tags object.Tags
		code Code
	}{
		"":                       {nil, ""},
		"&&":                     {nil, ""},
		"a=1&b=&c":               {object.Tags{"a": "1", "b": "", "c": ""}, ""},
		"a+b=1%2B1&%C3%A9=x%3Dy": {object.Tags{"a b": "1+1", "é": "x=y"}, ""},
		"a=b=c":                  {object.Tags{"a": "b=c"}, ""},
		"=v":                     {nil, InvalidArgument},
		"a=1&a=2":                {nil, InvalidArgument},
		"a=%zz":                  {nil, InvalidArgument},
		"%2=a":                   {nil, InvalidArgument},
		"a=%ff":                  {nil, InvalidArgument},
		"a=%26":                  {nil, InvalidTag},
		"aws:a=1":                {nil, InvalidTag},
		strings.Repeat("k", MaxTagKeyRunes+1) + "=v":               {nil, InvalidTag},
		"a=1&b=1&c=1&d=1&e=1&f=1&g=1&h=1&i=1&j=1&k=1":              {nil, BadRequest},
		"a=1&b=1&c=1&d=1&e=1&f=1&g=1&h=1&i=1&j=1&k=1&l=%01&aws:=1": {nil, BadRequest},
	} {
		h := http.Header{}
		h.Set("x-amz-tagging", value)
		if got, err := ParseTaggingHeader(h); !got.Equal(want.tags) || codeOf(err) != want.code {
			t.Errorf("%q: %v, %v", value, got, err)
		}
	}
	h := http.Header{}
	SetTaggingCount(h, nil)
	if len(h) != 0 {
		t.Errorf("%v", h)
	}
	if SetTaggingCount(h, object.Tags{"a": "", "b": ""}); h.Get("x-amz-tagging-count") != "2" {
		t.Errorf("%v", h)
	}
}

func TestDecodeTagging(t *testing.T) {
	tags := object.Tags{"a": "1", "b": "<&> é"}
	got, err := DecodeTagging(bytes.NewReader(TaggingDocument(tags)))
	if err != nil || !got.Equal(tags) {
		t.Errorf("%v, %v", got, err)
	}
	if got, err := DecodeTagging(strings.NewReader("<Tagging><X/><TagSet><Tag><Key>a</Key><Value>1</Value><Z>z</Z></Tag></TagSet></Tagging>")); err != nil || !got.Equal(object.Tags{"a": "1"}) {
		t.Errorf("%v, %v", got, err)
	}
	if _, err := DecodeTagging(strings.NewReader("<Error><Code>NoSuchKey</Code></Error>")); codeOf(err) != NoSuchKey {
		t.Errorf("%v", err)
	}
	for _, bad := range []string{"", "<html/>", "<Tagging><TagSet>", tagging("a", "b") + "x"} {
		if _, err := DecodeTagging(strings.NewReader(bad)); err == nil || strings.HasPrefix(string(codeOf(err)), "Malformed") {
			t.Errorf("%q: %v", bad, err)
		}
	}
	if _, err := DecodeTagging(iotest.ErrReader(errors.New("gone"))); err == nil || !strings.Contains(err.Error(), "gone") {
		t.Errorf("%v", err)
	}
}

// awsTag is the pattern that the documentation of S3 prints for keys and values.
var awsTag = regexp.MustCompile(`^([\p{L}\p{Z}\p{N}_.:/=+\-@]*)$`)

// FuzzTagging: of a document that we take, encoding/xml reads the same tags, and
// they obey the limits by another measure; and they come back from our document.
func FuzzTagging(f *testing.F) {
	for _, s := range []string{tagging("a", "1", "b", "2"), tagging("a", "1", "a", "2"), tagging(numbered(11)...), tagging("", ""), "<Tagging><TagSet><Tag><Value>v</Value><Key>k</Key></Tag></TagSet></Tagging> ",
		tagging("k", "a&amp;b"), "<!DOCTYPE a>" + tagging()} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		tags, err := ParseTagging(bytes.NewReader(body))
		if err != nil {
			if c := codeOf(err); c != MalformedXML && c != InvalidTag && c != BadRequest {
				t.Fatalf("%q: %v", body, err)
			}
			return
		}
		if len(tags) > 10 {
			t.Fatalf("%q: %d tags", body, len(tags))
		}
		for key, value := range tags {
			if key == "" || !awsTag.MatchString(key) || !awsTag.MatchString(value) || utf8.RuneCountInString(key) > 128 || utf8.RuneCountInString(value) > 256 {
				t.Fatalf("%q: tag %q=%q", body, key, value)
			}
		}
		if again, err := ParseTagging(bytes.NewReader(TaggingDocument(tags))); err != nil || !again.Equal(tags) {
			t.Fatalf("%q: %v came back as %v, %v", body, tags, again, err)
		}
		if !strictXML(string(body)) {
			return
		}
		var std struct {
			TagSet struct {
				Tag []struct{ Key, Value string }
			}
		}
		if err := xml.Unmarshal(body, &std); err != nil {
			t.Fatalf("%q is taken, encoding/xml says %v", body, err)
		}
		want := object.Tags{}
		for _, tag := range std.TagSet.Tag {
			want[tag.Key] = tag.Value
		}
		if !want.Equal(tags) {
			t.Fatalf("%q: %v, encoding/xml has %v", body, tags, want)
		}
	})
}

// FuzzTaggingHeader compares with net/url, where that keeps what it reads.
func FuzzTaggingHeader(f *testing.F) {
	for _, s := range []string{"a=1&b=2", "a+b=%2B", "a=1&a=2", "=", "a;b=c", "%zz", "a=%ff", "aws:x=1"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, value string) {
		h := http.Header{"X-Amz-Tagging": {value}}
		tags, err := ParseTaggingHeader(h)
		if err != nil {
			if c := codeOf(err); c != InvalidArgument && c != InvalidTag && c != BadRequest {
				t.Fatalf("%q: %v", value, err)
			}
			return
		}
		if back, err := ParseTaggingHeader(http.Header{"X-Amz-Tagging": {TaggingHeader(tags)}}); err != nil || !back.Equal(tags) {
			t.Fatalf("%q: %v came back as %v, %v", value, tags, back, err)
		}
		std, err := url.ParseQuery(value)
		if err != nil {
			return // a semicolon
		}
		for key, values := range std {
			if len(values) != 1 || tags[key] != values[0] {
				t.Fatalf("%q: %q is %q, net/url has %q", value, key, tags[key], values)
			}
		}
		if len(std) != len(tags) {
			t.Fatalf("%q: %v, net/url has %v", value, tags, std)
		}
	})
}

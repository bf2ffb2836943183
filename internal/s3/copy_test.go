package s3

import (
	"bytes"
	"errors"
	"net/http"
	"net/url"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/s3mirror/s3mirror/internal/object"
)

// copySource reads the header as the gateway does, and as a server behind it.
func copySource(t *testing.T, value string, backend bool) (object.Key, error) {
	t.Helper()
	parse := Parse
	if backend {
		parse = ParseBackend
	}
	r := request("PUT", "/photos/k", "", "x-amz-copy-source", value)
	op, err := parse(r, nil)
	if err != nil {
		t.Fatal(err)
	}
	if op.Name != CopyObject {
		t.Fatalf("%+v", op)
	}
	return op.CopySource(r.Header)
}

func TestCopySource(t *testing.T) {
	long := strings.Repeat("k", MaxKeyBytes)
	for value, want := range map[string]struct {
		key  object.Key
		code Code
	}{
		"/photos/k":                 {object.Key{Bucket: "photos", Name: "k"}, ""},
		"photos/k":                  {object.Key{Bucket: "photos", Name: "k"}, ""},
		"photos%2Fk":                {object.Key{Bucket: "photos", Name: "k"}, ""},
		"%2Fphotos%2Fk":             {object.Key{}, InvalidArgument},
		"photos//k":                 {object.Key{Bucket: "photos", Name: "/k"}, ""},
		"photos/a/b/":               {object.Key{Bucket: "photos", Name: "a/b/"}, ""},
		"photos/a%20b+c%2Bd":        {object.Key{Bucket: "photos", Name: "a b c+d"}, ""},
		"photos/%E4%B8%96?x=1":      {object.Key{Bucket: "photos", Name: "世?x=1"}, ""},
		"photos/世":                  {object.Key{Bucket: "photos", Name: "世"}, ""},
		"photos/" + long:            {object.Key{Bucket: "photos", Name: long}, ""},
		"photos/" + long + "k":      {object.Key{}, KeyTooLong},
		"photos/k?versionId=x":      {object.Key{}, InvalidArgument},
		"photos/k?versionId=null":   {object.Key{Bucket: "photos", Name: "k"}, ""},
		"photos/k?versionId=":       {object.Key{Bucket: "photos", Name: "k"}, ""},
		"photos/k%3FversionId=null": {object.Key{}, InvalidArgument},
		"photos/k%3FversionId%3Dx":  {object.Key{}, InvalidArgument},
		"photos/k?versionId":        {object.Key{}, InvalidArgument},
		"arn:aws:s3:us-east-1:1:accesspoint/ap/object/k": {object.Key{}, InvalidArgument},
		"arn%3Aaws%3As3%3A%3A%3Ab%2Fk":                   {object.Key{}, InvalidArgument},
		"photos/%zz":                                     {object.Key{}, InvalidArgument},
		"photos/%ff":                                     {object.Key{}, InvalidArgument},
		"photos/%00":                                     {object.Key{}, InvalidArgument},
		"photos":                                         {object.Key{}, InvalidArgument},
		"photos/":                                        {object.Key{}, InvalidArgument},
		"/":                                              {object.Key{}, InvalidArgument},
		"":                                               {object.Key{}, InvalidArgument},
		"//photos/k":                                     {object.Key{}, InvalidArgument},
		"Photos/k":                                       {object.Key{}, InvalidArgument},
		"../photos/k":                                    {object.Key{}, InvalidArgument},
		"photos/.s3mirror/identity":                      {object.Key{Bucket: "photos", Name: ".s3mirror/identity"}, AccessDenied},
		"photos/a/../.s3mirror/x":                        {object.Key{Bucket: "photos", Name: "a/../.s3mirror/x"}, AccessDenied},
	} {
		got, err := copySource(t, value, false)
		if codeOf(err) != want.code || err == nil && got != want.key {
			t.Errorf("%q: %v, %v", value, got, err)
		}
		if want.code == AccessDenied {
			if got, err := copySource(t, value, true); err != nil || got != want.key {
				t.Errorf("%q behind the gateway: %v, %v", value, got, err)
			}
		}
	}
}

// FuzzCopySource compares with net/url, and what we send comes back.
func FuzzCopySource(f *testing.F) {
	for _, s := range []string{"/photos/k", "photos%2Fa%20b", "photos/k?versionId=1", "arn:aws:s3:::x/y", "photos/%zz", "", "/photos/.s3mirror/x", "photos/a+b"} {
		f.Add(s)
	}
	op := &Operation{}
	f.Fuzz(func(t *testing.T, value string) {
		got, err := op.CopySource(http.Header{"X-Amz-Copy-Source": {value}})
		if err != nil {
			switch codeOf(err) {
			case InvalidArgument, NotImplemented, AccessDenied, KeyTooLong:
			default:
				t.Fatalf("%q: %v", value, err)
			}
			return
		}
		std, stdErr := url.QueryUnescape(strings.TrimPrefix(value, "/"))
		if stdErr != nil || std != got.Bucket+"/"+got.Name || CheckBucketName(got.Bucket) != nil || got.Name == "" || len(got.Name) > MaxKeyBytes || reserved(got.Name) {
			t.Fatalf("%q: %v, net/url has %q, %v", value, got, std, stdErr)
		}
		if again, err := op.CopySource(http.Header{"X-Amz-Copy-Source": {FormatCopySource(got)}}); err != nil || again != got {
			t.Fatalf("%q: %v came back as %v, %v", value, got, again, err)
		}
	})
}

func TestCopyConditions(t *testing.T) {
	at := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	date := func(d time.Duration) string { return at.Add(d).Format(http.TimeFormat) }
	source := object.Info{Kind: object.Present, ETag: "e", ModTime: at}
	const prefix = "x-amz-copy-source-if-"
	for name, c := range map[string]struct {
		header []string
		want   string // the condition that does not hold
	}{
		"none":                     {nil, ""},
		"match":                    {[]string{prefix + "match", `"e"`}, ""},
		"match without quotes":     {[]string{prefix + "match", "e"}, ""},
		"no match":                 {[]string{prefix + "match", `"x"`}, "If-Match"},
		"match rules date":         {[]string{prefix + "match", "e", prefix + "unmodified-since", date(-time.Hour)}, ""},
		"unmodified":               {[]string{prefix + "unmodified-since", date(0)}, ""},
		"modified":                 {[]string{prefix + "unmodified-since", date(-time.Second)}, "If-Unmodified-Since"},
		"none match":               {[]string{prefix + "none-match", "e"}, "If-None-Match"},
		"none match star":          {[]string{prefix + "none-match", "*"}, "If-None-Match"},
		"other":                    {[]string{prefix + "none-match", "x"}, ""},
		"modified since":           {[]string{prefix + "modified-since", date(-time.Second)}, ""},
		"not modified since":       {[]string{prefix + "modified-since", date(0)}, "If-Modified-Since"},
		"none match rules date":    {[]string{prefix + "none-match", "x", prefix + "modified-since", date(0)}, ""},
		"conditions of the target": {[]string{"If-Match", "x", "If-None-Match", "e", "If-Modified-Since", date(time.Hour)}, ""},
	} {
		err := ParseCopyConditions(header(c.header...)).CheckCopy(source)
		if c.want == "" && err != nil || c.want != "" && (codeOf(err) != PreconditionFailed || fieldOf(err, "Condition") != prefix[:18]+c.want) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if err := ParseCopyConditions(header(prefix+"match", "e")).CheckCopy(object.Info{}); codeOf(err) != NoSuchKey {
		t.Errorf("no source: %v", err)
	}
}

func TestParseCopy(t *testing.T) {
	source := object.Headers{"content-type": "text/plain", "x-amz-meta-a": "1", "x-amz-checksum-crc32": "AAAAAA==", "x-amz-checksum-type": "FULL_OBJECT",
		"x-amz-website-redirect-location": "/old"}
	tags := object.Tags{"old": "1"}
	for name, c := range map[string]struct {
		header    []string
		headers   object.Headers
		tags      object.Tags
		algorithm string
		code      Code
	}{
		"nothing said":      {[]string{"Content-Type", "x/y", "x-amz-meta-b", "2", "x-amz-tagging", "new=1"}, object.Headers{"content-type": "text/plain", "x-amz-meta-a": "1"}, tags, "", ""},
		"copy":              {[]string{"x-amz-metadata-directive", "COPY", "x-amz-tagging-directive", "COPY", "x-amz-tagging", "%zz"}, object.Headers{"content-type": "text/plain", "x-amz-meta-a": "1"}, tags, "", ""},
		"redirect":          {[]string{"x-amz-website-redirect-location", "/new"}, object.Headers{"content-type": "text/plain", "x-amz-meta-a": "1", "x-amz-website-redirect-location": "/new"}, tags, "", ""},
		"replace":           {[]string{"x-amz-metadata-directive", "REPLACE", "x-amz-meta-b", "2"}, object.Headers{"content-type": DefaultContentType, "x-amz-meta-b": "2"}, tags, "", ""},
		"replace tags":      {[]string{"x-amz-tagging-directive", "REPLACE", "x-amz-tagging", "new=1"}, object.Headers{"content-type": "text/plain", "x-amz-meta-a": "1"}, object.Tags{"new": "1"}, "", ""},
		"no tags":           {[]string{"x-amz-tagging-directive", "REPLACE"}, object.Headers{"content-type": "text/plain", "x-amz-meta-a": "1"}, nil, "", ""},
		"checksum":          {[]string{"x-amz-checksum-algorithm", "SHA256"}, object.Headers{"content-type": "text/plain", "x-amz-meta-a": "1"}, tags, "sha256", ""},
		"unknown checksum":  {[]string{"x-amz-checksum-algorithm", "MD4"}, nil, nil, "", InvalidRequest},
		"unknown directive": {[]string{"x-amz-metadata-directive", "MERGE"}, nil, nil, "", InvalidArgument},
		"small letters":     {[]string{"x-amz-metadata-directive", "replace"}, nil, nil, "", InvalidArgument},
		"unknown tag one":   {[]string{"x-amz-tagging-directive", "MERGE"}, nil, nil, "", InvalidArgument},
		"bad tags":          {[]string{"x-amz-tagging-directive", "REPLACE", "x-amz-tagging", "a=1&a=1"}, nil, nil, "", InvalidArgument},
		"too much metadata": {[]string{"x-amz-metadata-directive", "REPLACE", "x-amz-meta-b", strings.Repeat("x", 2048)}, nil, nil, "", MetadataTooLarge},
		"a stamp":           {[]string{"x-amz-metadata-directive", "REPLACE", object.StampHeader, "x"}, nil, nil, "", InvalidArgument},
	} {
		got, err := ParseCopy(header(c.header...))
		if codeOf(err) != c.code {
			t.Errorf("%s: %+v, %v", name, got, err)
		}
		if err != nil {
			continue
		}
		if h := got.Apply(source); !h.Equal(c.headers) {
			t.Errorf("%s: headers %v", name, h)
		}
		if tg := got.ApplyTags(tags); !tg.Equal(c.tags) || got.Algorithm != c.algorithm {
			t.Errorf("%s: tags %v, %q", name, tg, got.Algorithm)
		}
	}
	if source["x-amz-website-redirect-location"] != "/old" {
		t.Error("the source was changed")
	}
	if h := (&Copy{}).Apply(nil); len(h) != 0 {
		t.Errorf("%v", h)
	}
}

func TestCheckSelf(t *testing.T) {
	k, other := object.Key{Bucket: "b", Name: "k"}, object.Key{Bucket: "b", Name: "l"}
	for _, c := range []struct {
		copy   Copy
		source object.Key
		ok     bool
	}{
		{Copy{}, other, true},
		{Copy{}, k, false},
		{Copy{ReplaceTags: true}, k, false},
		{Copy{Replace: true}, k, true},
		{Copy{Headers: object.Headers{"x-amz-website-redirect-location": "/x"}}, k, true},
	} {
		if err := c.copy.CheckSelf(c.source, k); (err == nil) != c.ok || !c.ok && codeOf(err) != InvalidRequest {
			t.Errorf("%+v: %v", c, err)
		}
	}
}

func TestCopyRange(t *testing.T) {
	for value, want := range map[string]struct {
		r    Range
		code Code
	}{
		"":                             {Range{Length: 100, Size: 100}, ""},
		"bytes=0-0":                    {Range{Offset: 0, Length: 1, Size: 100, Partial: true}, ""},
		"bytes=10-99":                  {Range{Offset: 10, Length: 90, Size: 100, Partial: true}, ""},
		"bytes=0-100":                  {Range{}, InvalidArgument},
		"bytes=100-100":                {Range{}, InvalidArgument},
		"bytes=0-99999999999999999999": {Range{}, InvalidArgument},
		"bytes=5-":                     {Range{}, InvalidArgument},
		"bytes=-5":                     {Range{}, InvalidArgument},
		"bytes=5-4":                    {Range{}, InvalidArgument},
		"bytes=0-1,3-4":                {Range{}, InvalidArgument},
		"0-1":                          {Range{}, InvalidArgument},
		"Bytes=0-1":                    {Range{}, InvalidArgument},
		"bytes=0x0-1":                  {Range{}, InvalidArgument},
	} {
		r, err := ParseCopyRange(header("x-amz-copy-source-range", value))
		var got Range
		if err == nil {
			got, err = r.Of(100)
		}
		if codeOf(err) != want.code || got != want.r {
			t.Errorf("%q: %+v, %v", value, got, err)
		}
		if err == nil && value != "" && FormatCopyRange(got.Offset, got.Length) != value {
			t.Errorf("%q: sent as %q", value, FormatCopyRange(got.Offset, got.Length))
		}
	}
	if _, err := (CopyRange{}).Of(MaxPartBytes + 1); codeOf(err) != InvalidRequest {
		t.Errorf("a source that is too large: %v", err)
	}
	if _, err := (CopyRange{0, MaxPartBytes, true}).Of(MaxPartBytes * 2); codeOf(err) != InvalidRequest {
		t.Errorf("a range that is too large: %v", err)
	}
	if _, err := (CopyRange{1, MaxPartBytes, true}).Of(MaxPartBytes * 2); err != nil {
		t.Errorf("the largest range: %v", err)
	}
}

func TestDecodeCopied(t *testing.T) {
	want := Copied{ETag: "e", Modified: docTime, Checksums: object.Headers{"x-amz-checksum-crc32": "AAAAAA==", "x-amz-checksum-type": "FULL_OBJECT"}}
	got, err := DecodeCopied(bytes.NewReader(want.Document()))
	if err != nil || !reflect.DeepEqual(*got, want) {
		t.Errorf("%+v, %v", got, err)
	}
	got, err = DecodeCopied(strings.NewReader(xmlDeclaration + "  \n" + strings.TrimPrefix(string(want.PartDocument()), xmlDeclaration)))
	if err != nil || got.ETag != "e" || got.Checksums["x-amz-checksum-type"] != "" {
		t.Errorf("%+v, %v", got, err)
	}
	for name, doc := range map[string]string{
		"nothing": "", "cut": "<CopyObjectResult><ETag>e</ETag>", "another": "<html/>", "no ETag": "<CopyObjectResult/>", "trailing": "<CopyObjectResult><ETag>e</ETag></CopyObjectResult>x",
		"error": "<Error><Code>SlowDown</Code></Error>",
	} {
		_, err := DecodeCopied(strings.NewReader(doc))
		var e *Error
		if err == nil || errors.As(err, &e) != (name == "error") || e != nil && (e.Code != SlowDown || e.Status != 200) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// FuzzCopyRange: what is taken is exactly bytes=first-last inside of the size.
func FuzzCopyRange(f *testing.F) {
	f.Add("bytes=0-9", int64(10))
	f.Add("bytes=5-", int64(10))
	f.Add("bytes=00-09", int64(10))
	f.Fuzz(func(t *testing.T, value string, size int64) {
		r, err := ParseCopyRange(header("x-amz-copy-source-range", value))
		if err != nil || size < 0 {
			return
		}
		got, err := r.Of(size)
		if err != nil {
			return
		}
		if got.Offset < 0 || got.Length < 0 || got.Offset+got.Length > size || got.Length > MaxPartBytes {
			t.Fatalf("%q of %d: %+v", value, size, got)
		}
		if value == "" {
			if got.Length != size {
				t.Fatalf("all of %d: %+v", size, got)
			}
			return
		}
		// A plain Range of the same text means the same.
		plain, err := ParseRange(value, size)
		if err != nil || plain != got {
			t.Fatalf("%q of %d: %+v, as a Range %+v, %v", value, size, got, plain, err)
		}
	})
}

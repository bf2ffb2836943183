package s3

import (
	"bytes"
	"encoding/xml"
	"fmt"
	"strings"
	"testing"
	"time"
)

// list parses a list request on the bucket photos.
func list(t *testing.T, query string) (*ListRequest, error) {
	t.Helper()
	op, err := Parse(request("GET", "/photos?"+query, ""), nil)
	if err != nil {
		t.Fatal(err)
	}
	return ParseList(op, testKey)
}

func TestParseList(t *testing.T) {
	token := testKey.SealToken(TokenScope{"photos", "a/", "/"}, "a/m")
	for query, want := range map[string]ListRequest{
		"":                         {MaxKeys: 1000, FetchOwner: true},
		"list-type=1&max-keys=":    {MaxKeys: 1000, FetchOwner: true},
		"marker=m&prefix=a+b":      {MaxKeys: 1000, FetchOwner: true, Marker: "m", After: "m", Prefix: "a b"},
		"list-type=2":              {V2: true, MaxKeys: 1000},
		"list-type=2&marker=m":     {V2: true, MaxKeys: 1000},
		"list-type=2&max-keys=0":   {V2: true},
		"list-type=2&max-keys=7":   {V2: true, MaxKeys: 7},
		"max-keys=5000":            {MaxKeys: 1000, FetchOwner: true},
		"max-keys=2147483647":      {MaxKeys: 1000, FetchOwner: true},
		"delimiter=&encoding-type": {MaxKeys: 1000, FetchOwner: true},

		"list-type=2&continuation-token=&start-after=s": {V2: true, MaxKeys: 1000, StartAfter: "s", After: "s", first: true},
		"list-type=2&continuation-token":                {V2: true, MaxKeys: 1000, first: true},
		"list-type=2&fetch-owner=true&start-after=s&encoding-type=url&delimiter=%2F": {V2: true, MaxKeys: 1000, FetchOwner: true,
			StartAfter: "s", After: "s", URL: true, Delimiter: "/"},
		"list-type=2&prefix=a/&delimiter=/&start-after=z&continuation-token=" + token: {V2: true, MaxKeys: 1000, Prefix: "a/",
			Delimiter: "/", StartAfter: "z", After: "a/m", Token: token},
	} {
		want.Bucket = "photos"
		got, err := list(t, query)
		if err != nil || *got != want {
			t.Errorf("%s: %v\n got %+v\nwant %+v", query, err, got, want)
		}
	}
	for _, query := range []string{
		"max-keys=-1", "max-keys=x", "max-keys=1.5", "max-keys=2147483648", "max-keys=99999999999999999999",
		"encoding-type=base64", "list-type=3",
		"list-type=2&continuation-token=photos", "list-type=2&continuation-token=" + token,
		"list-type=2&prefix=a/&continuation-token=" + token,
	} {
		if _, err := list(t, query); codeOf(err) != InvalidArgument || fieldOf(err, "ArgumentName") == "" {
			t.Errorf("%s: %v", query, err)
		}
	}
}

func TestCommonPrefix(t *testing.T) {
	for _, c := range []struct{ prefix, delimiter, key, want string }{
		{"", "", "a/b", ""},
		{"", "/", "a", ""},
		{"", "/", "a/", "a/"},
		{"", "/", "a/b/c", "a/"},
		{"", "/", "/a", "/"},
		{"a/", "/", "a/", ""},
		{"a/", "/", "a/b/c", "a/b/"},
		{"a", "/", "a/b", "a/"},
		{"a/b", "/", "a/bc", ""},
		{"", "ab", "xabab", "xab"},
		{"xa", "ab", "xab", ""},
	} {
		l := &ListRequest{Prefix: c.prefix, Delimiter: c.delimiter}
		got, ok := l.CommonPrefix(c.key)
		if got != c.want || ok != (c.want != "") {
			t.Errorf("%+v: %q", c, got)
		}
	}
}

func TestScanAfter(t *testing.T) {
	long := strings.Repeat("p", MaxKeyBytes-2) + "/"
	for _, c := range []struct{ prefix, delimiter, after, want string }{
		{"", "", "", ""},
		{"", "", "a/b", "a/b"},
		{"", "/", "a", "a"},
		{"", "/", "a/", "a/\U0010FFFF"},
		{"", "/", "a/b", "a/\U0010FFFF"},
		{"a/", "/", "a/b/c", "a/b/\U0010FFFF"},
		{"a/", "/", "a/b", "a/b"},
		{"m/", "/", "a/b", "a/b"},
		{"m/", "/", "m", "m"},
		{"", "/", long + "x", long + "x"},
	} {
		l := &ListRequest{Prefix: c.prefix, Delimiter: c.delimiter, After: c.after}
		if got := l.ScanAfter(); got != c.want {
			t.Errorf("%+v: %q", c, got)
		}
	}
}

var listTime = time.Date(2026, 3, 1, 13, 0, 0, 7e6, time.FixedZone("x", 3600))

func TestListDocuments(t *testing.T) {
	owner := Owner{ID: "1f", DisplayName: "root"}
	page := &ListPage{
		Objects: []ListEntry{
			{Key: "p/ a+b&<\u00e9> ", ETag: "abc", Size: 5, ModTime: listTime},
			{Key: "p/\x01\r\n\t\ufffe\"'", ETag: "d-2", Size: 1 << 40, ModTime: listTime},
		},
		CommonPrefixes: []string{"p/x y/"},
		Owner:          owner,
	}
	more := *page
	more.Truncated, more.Last = true, "p/x y/"
	token := testKey.SealToken(TokenScope{"photos", "p/", "/"}, "p/")
	var out bytes.Buffer
	for _, c := range []struct {
		query string
		page  *ListPage
	}{
		{"", &ListPage{}},
		{"list-type=2&max-keys=0", &ListPage{}},
		{"prefix=p/&delimiter=/&marker=p/%20", page},
		{"prefix=p/&delimiter=/&encoding-type=url&marker=a+b", &more},
		{"list-type=2&prefix=p/&delimiter=/", &more},
		{"list-type=2&prefix=p/&delimiter=/&encoding-type=url&start-after=p/%2B&fetch-owner=true&max-keys=3", page},
		{"list-type=2&prefix=p/&delimiter=/&continuation-token=" + token, page},
	} {
		l, err := list(t, c.query)
		if err != nil {
			t.Fatal(err)
		}
		fmt.Fprintf(&out, "%s\n%s\n\n", c.query, l.Document(c.page, testKey))
	}
	golden(t, "lists.txt", out.Bytes())
}

// Every key comes back, whatever bytes it holds: with encoding-type=url all of
// them, without it all that are legal, read by our own reader; and by encoding/xml
// as far as XML 1.0 goes.
func FuzzListRoundTrip(f *testing.F) {
	all := make([]byte, 255)
	for i := range all {
		all[i] = byte(i + 1)
	}
	f.Add("k", "p/", true)
	f.Add(string(all), "\x00 +%", true)
	f.Add(" a\r\nb\t& ", "<x>", false)
	f.Add("\x01\x1f\x7f\u0085\ufffe\uffff", "]]>", false)
	f.Fuzz(func(t *testing.T, key, prefix string, url bool) {
		if key == "" || prefix == "" || !url && (!plainText(key) || !plainText(prefix)) {
			return
		}
		l := &ListRequest{Bucket: "photos", V2: true, Prefix: prefix, MaxKeys: 2, URL: url}
		doc := l.Document(&ListPage{
			Objects:        []ListEntry{{Key: key, ETag: "e", Size: 1, ModTime: listTime}},
			CommonPrefixes: []string{prefix},
		}, testKey)
		got, err := DecodeListing(bytes.NewReader(doc))
		if err != nil || got.Objects[0].Key != key || got.CommonPrefixes[0] != prefix {
			t.Fatalf("%q, %q: %+v, %v", key, prefix, got, err)
		}
		if !url && (!legalText(key) || !legalText(prefix)) {
			return
		}
		var std struct {
			Contents []struct{ Key string }
		}
		if err := xml.Unmarshal(doc, &std); err != nil {
			t.Fatalf("%q: %v", key, err)
		}
		if !url && std.Contents[0].Key != key || url && std.Contents[0].Key != EscapeKey(key) {
			t.Fatalf("%q: encoding/xml reads %q", key, std.Contents[0].Key)
		}
	})
}

// legalText tells whether XML 1.0 can hold the text.
func legalText(s string) bool {
	return plainText(s) && !strings.ContainsFunc(s, func(r rune) bool { return !xmlChar(r) })
}

// A key that XML cannot hold makes a strict reader refuse the page. It is
// never turned into another key.
func TestUnlistableKeyIsLoud(t *testing.T) {
	l := &ListRequest{Bucket: "photos"}
	doc := l.Document(&ListPage{Objects: []ListEntry{{Key: "a\x01b"}}}, testKey)
	if !bytes.Contains(doc, []byte("<Key>a&#x1;b</Key>")) {
		t.Errorf("%s", doc)
	}
	if err := xml.Unmarshal(doc, new(struct{})); err == nil {
		t.Error("a strict reader took the page")
	}
}

func BenchmarkListDocument(b *testing.B) {
	page := &ListPage{}
	for i := range MaxKeys {
		page.Objects = append(page.Objects, ListEntry{Key: fmt.Sprintf("photos/2026/%06d.jpg", i), ETag: "d41d8cd98f00b204e9800998ecf8427e", Size: 5, ModTime: listTime})
	}
	b.ReportAllocs()
	for b.Loop() {
		_ = (&ListRequest{Bucket: "b", V2: true, MaxKeys: MaxKeys}).Document(page, testKey)
	}
}

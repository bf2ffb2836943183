package gateway_test

import (
	"encoding/xml"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/s3mirror/s3mirror/internal/s3"
)

// listed is a page as a client reads it.
type listed struct {
	IsTruncated           bool
	NextContinuationToken string
	NextMarker            string
	EncodingType          string
	Contents              []struct{ Key string }
	CommonPrefixes        []struct{ Prefix string }
}

func (l *listed) names(t *testing.T) []string {
	t.Helper()
	var all []string
	for _, c := range l.Contents {
		all = append(all, c.Key)
	}
	for _, p := range l.CommonPrefixes {
		all = append(all, p.Prefix)
	}
	if l.EncodingType == "url" {
		for i := range all {
			name, err := url.QueryUnescape(all[i])
			if err != nil {
				t.Fatal(err)
			}
			all[i] = name
		}
	}
	slices.Sort(all)
	return all
}

// pages lists a bucket to its end.
func (f *fixture) pages(t *testing.T, version int, q url.Values) (names []string, pages int) {
	t.Helper()
	for {
		a := f.send(t, query("GET", "/photos", q.Encode()))
		if a.status != 200 {
			t.Fatalf("list %v: %s", q, a.raw)
		}
		var page listed
		if err := xml.Unmarshal([]byte(a.body), &page); err != nil {
			t.Fatalf("list %v: %v in %s", q, err, a.body)
		}
		pages++
		names = append(names, page.names(t)...)
		if !page.IsTruncated {
			return names, pages
		}
		if version == 2 {
			q.Set("continuation-token", page.NextContinuationToken)
			continue
		}
		if page.EncodingType == "url" {
			page.NextMarker, _ = url.QueryUnescape(page.NextMarker)
		}
		q.Set("marker", page.NextMarker)
	}
}

// TestListPages: whatever the page size, the pages together are the list,
// nothing twice and nothing left out.
func TestListPages(t *testing.T) {
	f := newFixture(t)
	keys := []string{"a", "a b", "a+b", "b/1", "b/2", "b/c/1", "b/\xf4\x8f\xbf\xbf", "c//d", "d/é", "e%2Fé", "é", "z/1", "z/2", "\xf4\x8f\xbf\xbf"}
	for _, k := range keys {
		f.put(t, "/photos/"+s3.EscapeKey(k), "x")
	}
	slices.Sort(keys)
	rolled := func(prefix string) []string {
		var want []string
		for _, k := range keys {
			if !strings.HasPrefix(k, prefix) {
				continue
			}
			if i := strings.Index(k[len(prefix):], "/"); i >= 0 {
				k = k[:len(prefix)+i+1]
			}
			want = append(want, k)
		}
		return slices.Compact(want)
	}
	for version := 1; version <= 2; version++ {
		for _, delimiter := range []string{"", "/"} {
			for _, prefix := range []string{"", "b/"} {
				for _, size := range []int{1, 2, 3, 1000} {
					for _, encoding := range []string{"", "url"} {
						q := url.Values{"max-keys": {fmt.Sprint(size)}, "list-type": {fmt.Sprint(version)}, "delimiter": {delimiter}, "prefix": {prefix}}
						if encoding != "" {
							q.Set("encoding-type", encoding)
						}
						asked := q.Encode()
						got, pages := f.pages(t, version, q)
						want := slices.DeleteFunc(slices.Clone(keys), func(k string) bool { return !strings.HasPrefix(k, prefix) })
						if delimiter != "" {
							want = rolled(prefix)
						}
						if !slices.Equal(got, want) || pages != (len(want)+size-1)/size {
							t.Errorf("%s: %d pages of %q, want %q", asked, pages, got, want)
						}
					}
				}
			}
		}
	}
}

// TestTokensAreOfOneList: not of another bucket, prefix or deployment.
func TestTokensAreOfOneList(t *testing.T) {
	f := newFixture(t)
	f.buckets["other"] = map[string]*stored{}
	f.put(t, "/photos/a", "x")
	f.put(t, "/photos/b", "x")
	var page listed
	if err := xml.Unmarshal([]byte(f.send(t, query("GET", "/photos", "list-type=2&max-keys=1")).body), &page); err != nil {
		t.Fatal(err)
	}
	token := "list-type=2&continuation-token=" + page.NextContinuationToken
	if a := f.send(t, query("GET", "/photos", token)); a.status != 200 || !strings.Contains(a.body, "<Key>b</Key>") || strings.Contains(a.body, "<Key>a</Key>") {
		t.Errorf("next page: %s", a.raw)
	}
	for _, a := range []ask{query("GET", "/other", token), query("GET", "/photos", token+"&prefix=b"), query("GET", "/photos", token+"&delimiter=%2F"),
		query("GET", "/", "continuation-token="+page.NextContinuationToken)} {
		if got := f.send(t, a); got.String() != "400 InvalidArgument" {
			t.Errorf("%s?%s: %s", a.path, a.query, got.raw)
		}
	}
}

// TestBucketPages: as TestListPages, of buckets.
func TestBucketPages(t *testing.T) {
	f := newFixture(t)
	want := []string{"photos"}
	for i := range 10 {
		name := fmt.Sprintf("bucket-%d", i)
		f.buckets[name] = map[string]*stored{}
		want = append(want, name)
	}
	slices.Sort(want)
	for size := 1; size <= 12; size++ {
		var got []string
		token := ""
		for pages := 1; ; pages++ {
			var page struct {
				Buckets           struct{ Bucket []struct{ Name string } }
				ContinuationToken string
			}
			a := f.send(t, query("GET", "/", fmt.Sprintf("max-buckets=%d%s", size, token)))
			if err := xml.Unmarshal([]byte(a.body), &page); err != nil || a.status != 200 {
				t.Fatalf("%v: %s", err, a.raw)
			}
			for _, b := range page.Buckets.Bucket {
				got = append(got, b.Name)
			}
			if token = "&continuation-token=" + page.ContinuationToken; page.ContinuationToken == "" {
				if pages != (len(want)+size-1)/size {
					t.Errorf("%d at a time: %d pages", size, pages)
				}
				break
			}
		}
		if !slices.Equal(got, want) {
			t.Errorf("%d at a time: %q", size, got)
		}
	}
}

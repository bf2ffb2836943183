package gateway_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/s3mirror/s3mirror/internal/object"
	"github.com/s3mirror/s3mirror/internal/replica"
	"github.com/s3mirror/s3mirror/internal/s3"
)

// named is a CompleteMultipartUpload of part 1 with the ETag "e".
const named = `<CompleteMultipartUpload><Part><PartNumber>1</PartNumber><ETag>"e"</ETag></Part></CompleteMultipartUpload>`

func complete(headers ...string) ask {
	return ask{method: "POST", path: "/photos/k", query: "uploadId=" + theUpload, body: named, header: header(headers...)}
}

// uploadAsks are one of each operation on uploads.
func uploadAsks() []ask {
	return []ask{
		query("POST", "/photos/k", "uploads"),
		{method: "PUT", path: "/photos/k", query: "partNumber=1&uploadId=" + theUpload, body: "part"},
		query("PUT", "/photos/k", "partNumber=2&uploadId="+theUpload, "X-Amz-Copy-Source", "/photos/k", "X-Amz-Copy-Source-Range", "bytes=1-2"),
		query("GET", "/photos/k", "uploadId="+theUpload), query("GET", "/photos", "uploads"),
		complete(), query("DELETE", "/photos/k", "uploadId="+theUpload),
		query("GET", "/photos/k", "attributes", "X-Amz-Object-Attributes", "ETag,ObjectParts"),
	}
}

// TestPagesOfParts: every page names its last part, and one of no parts ends the list.
func TestPagesOfParts(t *testing.T) {
	f := newFixture(t)
	f.put(t, "/photos/k", "old")
	part := replica.UploadPart{Number: 3, ETag: "e", Size: 5, Added: testTime}
	for q, c := range map[string]struct {
		found replica.PartsPage
		want  []string
		not   string
	}{
		"":             {replica.PartsPage{Parts: []replica.UploadPart{part}}, []string{"<NextPartNumberMarker>3<", "<IsTruncated>false<"}, "true"},
		"&max-parts=1": {replica.PartsPage{}, []string{"<IsTruncated>false<"}, "NextPartNumberMarker"},
		"&max-parts=0": {replica.PartsPage{More: true}, []string{"<IsTruncated>false<"}, "NextPartNumberMarker"},
	} {
		f.uploads.listed = c.found
		got := f.send(t, query("GET", "/photos/k", "uploadId="+theUpload+q))
		for _, want := range c.want {
			if !strings.Contains(got.body, want) {
				t.Errorf("%q: no %s in %s", q, want, got.raw)
			}
		}
		if strings.Contains(got.body, c.not) {
			t.Errorf("%q: %s in %s", q, c.not, got.raw)
		}
	}
}

// TestAttributesHaveNoETagHeader: it stands in the document alone.
func TestAttributesHaveNoETagHeader(t *testing.T) {
	f := newFixture(t)
	f.put(t, "/photos/k", "old")
	got := f.send(t, query("GET", "/photos/k", "attributes", "X-Amz-Object-Attributes", "ETag"))
	if got.status != 200 || strings.Contains(strings.ToLower(got.raw), "\netag:") {
		t.Error(got.raw)
	}
}

func completes(s *store) {
	s.uploads.complete = func(context.Context, replica.CompleteRequest) (object.Info, error) {
		return object.Info{ETag: "whole-1", Headers: object.Headers{"x-amz-checksum-crc32": "AAAAAA==-1", "x-amz-checksum-type": "COMPOSITE"}}, nil
	}
}

// TestUploads: each operation asks the replicas for what the client asked for, and
// answers with the dialect's document.
func TestUploads(t *testing.T) {
	f := newFixture(t)
	f.put(t, "/photos/k", "old")
	completes(f.store)
	f.uploads.listed = replica.PartsPage{
		Parts: []replica.UploadPart{{Number: 3, ETag: "e", Size: 5, Added: testTime, Sums: object.Headers{"x-amz-checksum-crc32": "AAAAAA=="}}},
		More:  true, Checksum: s3.UploadChecksum{Algorithm: "crc32", Type: s3.Composite},
	}
	f.uploads.pages = replica.UploadsPage{
		Uploads: []replica.UploadEntry{{Key: "k", ID: theUpload, Initiated: testTime}}, Prefixes: []string{"a/"},
		More: true, LastKey: "k", LastID: theUpload,
	}
	f.uploads.sizes = []int64{2, 1}
	want := [][]string{
		{"<UploadId>" + theUpload + "</UploadId>", "<Key>k</Key>"},
		{},
		{"<CopyPartResult", "<ETag>&quot;e&quot;</ETag>", "<LastModified>2026-03-04T05:06:07"},
		{"<PartNumber>3</PartNumber>", "<ChecksumCRC32>AAAAAA==</ChecksumCRC32>", "<IsTruncated>true</IsTruncated>", "<NextPartNumberMarker>3<"},
		{"<UploadId>" + theUpload + "</UploadId>", "<Prefix>a/</Prefix>", "<NextKeyMarker>k<", "<NextUploadIdMarker>" + theUpload},
		{"<Location>http://", "/photos/k</Location>", "<ETag>&quot;whole-1&quot;</ETag>", "<ChecksumCRC32>AAAAAA==-1<", "<ChecksumType>COMPOSITE<"},
		{},
		{"<ETag>", "<PartsCount>2<"},
	}
	for i, a := range uploadAsks() {
		got := f.send(t, a)
		if got.status/100 != 2 {
			t.Errorf("%s %s?%s: %s", a.method, a.path, a.query, got.raw)
		}
		for _, text := range want[i] {
			if !strings.Contains(got.body, text) {
				t.Errorf("%s %s?%s: no %s: %s", a.method, a.path, a.query, text, got.raw)
			}
		}
	}
	if len(f.uploads.created) != 1 || len(f.uploads.parts) != 1 || f.uploads.parts[0].Number != 1 || f.uploads.parts[0].Key.Name != "k" {
		t.Errorf("asked for %+v, %+v", f.uploads.created, f.uploads.parts)
	}
	if want := (s3.Range{Offset: 1, Length: 2, Size: 3, Partial: true}); len(f.uploads.spans) != 1 || f.uploads.spans[0] != want {
		t.Errorf("copied %+v, want %+v", f.uploads.spans, want)
	}
	for condition, code := range map[string]string{"X-Amz-Copy-Source-If-Match": "412 PreconditionFailed", "X-Amz-Copy-Source-Range": "400 InvalidArgument"} {
		if got := f.send(t, query("PUT", "/photos/k", "partNumber=2&uploadId="+theUpload, "X-Amz-Copy-Source", "/photos/k", condition, "bytes=0-3")); got.String() != code {
			t.Errorf("%s: %s, want %s", condition, got.raw, code)
		}
	}
}

// TestUploadsThatAreRefused: nothing reaches the replicas.
func TestUploadsThatAreRefused(t *testing.T) {
	f := newFixture(t)
	f.called()
	part := func(q string) ask { return ask{method: "PUT", path: "/photos/k", query: q, body: "x"} }
	list := func(body string) ask {
		return ask{method: "POST", path: "/photos/k", query: "uploadId=" + theUpload, body: body}
	}
	for name, c := range map[string]struct {
		ask  ask
		want string
	}{
		"no number":        {part("uploadId=u"), "405 MethodNotAllowed"},
		"part 0":           {part("uploadId=u&partNumber=0"), "400 InvalidArgument"},
		"part 10001":       {part("uploadId=u&partNumber=10001"), "400 InvalidArgument"},
		"no parts":         {list("<CompleteMultipartUpload/>"), "400 MalformedXML"},
		"no document":      {list(""), "400 MalformedXML"},
		"a bomb":           {list(`<!DOCTYPE x [<!ENTITY a "aaaa">]><CompleteMultipartUpload>&a;</CompleteMultipartUpload>`), "400 MalformedXML"},
		"disorder":         {list(strings.Replace(named, "</CompleteM", strings.TrimSuffix(strings.TrimPrefix(named, "<CompleteMultipartUpload>"), "</CompleteMultipartUpload>")+"</CompleteM", 1)), "400 InvalidPartOrder"},
		"a size that lies": {complete("X-Amz-Mp-Object-Size", "-1"), "400 InvalidRequest"},
		"algorithm":        {query("POST", "/photos/k", "uploads", "X-Amz-Checksum-Algorithm", "MD4"), "400 InvalidRequest"},
		"max-parts":        {query("GET", "/photos/k", "uploadId=u&max-parts=-1"), "400 InvalidArgument"},
		"max-uploads":      {query("GET", "/photos", "uploads&max-uploads=x"), "400 InvalidArgument"},
		"attribute":        {query("GET", "/photos/k", "attributes", "X-Amz-Object-Attributes", "Colour"), "400 InvalidArgument"},
	} {
		if got := f.send(t, c.ask); got.String() != c.want {
			t.Errorf("%s: %s, want %s", name, got.raw, c.want)
		}
	}
	if calls := f.called(); !slices.Equal(calls, []string{"HeadBucket"}) { // of the attribute
		t.Errorf("the replicas were asked: %v", calls)
	}
}

// TestAClientThatWaits: while a Complete takes long its client is sent blanks, and reads
// the result, or the error, behind them.
func TestAClientThatWaits(t *testing.T) {
	for name, c := range map[string]struct {
		err  error
		want string
	}{
		"result": {nil, "<CompleteMultipartUploadResult"},
		"error":  {s3.Err(s3.SlowDown), "<Error><Code>SlowDown</Code>"},
		"fault":  {errors.New("disk"), "<Error><Code>InternalError</Code>"},
	} {
		f := newFixture(t)
		f.handler.SetBlank(time.Millisecond)
		conn := f.dial(t)
		read := make(chan struct{})
		f.uploads.complete = func(context.Context, replica.CompleteRequest) (object.Info, error) {
			<-read
			return object.Info{ETag: "whole-1"}, c.err
		}
		if _, err := conn.Write([]byte(complete().text(f.addr))); err != nil {
			t.Fatal(err)
		}
		raw := ""
		buf := make([]byte, 4096)
		for n := 0; ; {
			m, err := conn.Read(buf)
			if raw += string(buf[:m]); err != nil {
				break
			}
			if _, body, ok := strings.Cut(raw, "\r\n\r\n"); ok && n == 0 && strings.Count(body, " ") > 5 {
				n++
				close(read)
			}
		}
		if !strings.HasPrefix(raw, "HTTP/1.1 200 OK") || !strings.Contains(raw, c.want) || strings.Count(raw, "<?xml") != 1 || !strings.HasSuffix(raw, "0\r\n\r\n") {
			t.Errorf("%s: %s", name, raw)
		}
	}
}

// TestAPartOfAVersionThatChanges: a part is of the version whose parts were asked for.
func TestAPartOfAVersionThatChanges(t *testing.T) {
	f := newFixture(t)
	f.put(t, "/photos/k", "0123456789")
	f.uploads.sizes = []int64{4, 6}
	if got := f.send(t, query("GET", "/photos/k", "partNumber=2")); got.status != 206 || got.body != "456789" || got.header.Get("x-amz-mp-parts-count") != "2" {
		t.Errorf("part 2: %s", got.raw)
	}
	if got := f.send(t, query("GET", "/photos/k", "partNumber=3")); got.String() != "416 InvalidPartNumber" {
		t.Errorf("part 3: %s", got.raw)
	}
	changes := 0
	f.before = func(_ context.Context, method string) error {
		if method == "PartSizes" && changes < 2 {
			changes++
			f.replace("photos", "k", strings.Repeat("x", 10+changes))
			f.uploads.sizes = []int64{10, int64(changes)}
		}
		return nil
	}
	if got := f.send(t, query("GET", "/photos/k", "partNumber=2")); got.status != 206 || got.body != "xx" {
		t.Errorf("part 2 of a version that changes: %s", got.raw)
	}
}

// TestChecksumsOfParts: they are given in pages, and the count of all beside them.
func TestChecksumsOfParts(t *testing.T) {
	f := newFixture(t)
	f.put(t, "/photos/k", "old", "X-Amz-Checksum-Crc32", "P13U5Q==")
	f.uploads.sizes, f.uploads.sums = []int64{2, 1}, []string{"AAAAAA==", "BBBBBA=="}
	asked := query("GET", "/photos/k", "attributes", "X-Amz-Object-Attributes", "ObjectParts", "X-Amz-Max-Parts", "1")
	const first, second = "<PartNumber>1</PartNumber><Size>2</Size><ChecksumCRC32>AAAAAA==<", "<PartNumber>2</PartNumber><Size>1</Size><ChecksumCRC32>BBBBBA==<"
	if got := f.send(t, asked); !strings.Contains(got.body, first) || strings.Contains(got.body, "BBBBBA") ||
		!strings.Contains(got.body, "<PartsCount>2<") || !strings.Contains(got.body, "<NextPartNumberMarker>1<") {
		t.Errorf("the first page: %s", got.raw)
	}
	asked.header.Set("X-Amz-Part-Number-Marker", "1")
	if got := f.send(t, asked); !strings.Contains(got.body, second) || strings.Contains(got.body, "AAAAAA==") || !strings.Contains(got.body, "<IsTruncated>false<") {
		t.Errorf("the second page: %s", got.raw)
	}
	for _, method := range []string{"GET", "HEAD"} {
		if got := f.send(t, query(method, "/photos/k", "partNumber=2", "X-Amz-Checksum-Mode", "ENABLED")); got.status != 206 ||
			got.header.Get("X-Amz-Checksum-Crc32") != "BBBBBA==" || got.header.Get("X-Amz-Mp-Parts-Count") != "2" {
			t.Errorf("%s of the second part: %s", method, got.raw)
		}
		if got := f.send(t, query(method, "/photos/k", "partNumber=2")); got.header.Get("X-Amz-Checksum-Crc32") != "" {
			t.Errorf("%s of a part without its checksum: %s", method, got.raw)
		}
	}
}

// TestAbortOfAMoment: an upload that did not begin at the second that was named stays.
func TestAbortOfAMoment(t *testing.T) {
	f := newFixture(t)
	began := time.Date(2026, 3, 4, 5, 6, 7, 890_000_000, time.UTC)
	f.store.uploads.pages = replica.UploadsPage{Uploads: []replica.UploadEntry{
		{Key: "k", ID: "another", Initiated: began.Add(time.Hour)}, {Key: "k", ID: theUpload, Initiated: began}, {Key: "k2", ID: theUpload, Initiated: began.Add(time.Hour)},
	}}
	for moment, want := range map[string]string{
		"Wed, 04 Mar 2026 05:06:07 GMT": "204", "Wed, 04 Mar 2026 05:06:08 GMT": "412 PreconditionFailed",
		"Fri, 01 Jan 2100 00:00:00 GMT": "204", "soon": "400 InvalidArgument",
	} {
		got := f.send(t, query("DELETE", "/photos/k", "uploadId="+theUpload, "x-amz-if-match-initiated-time", moment))
		aborted := slices.Contains(f.called(), "AbortUpload")
		if strings.TrimSpace(got.String()) != want || aborted != (want == "204") {
			t.Errorf("%s: %s, aborted %v, want %s", moment, got.raw, aborted, want)
		}
	}
	f.store.uploads.pages = replica.UploadsPage{Uploads: []replica.UploadEntry{{Key: "k2", ID: theUpload, Initiated: began}}}
	if got := f.send(t, query("DELETE", "/photos/k", "uploadId="+theUpload, "x-amz-if-match-initiated-time", "Wed, 04 Mar 2026 05:06:08 GMT")); got.status != 204 {
		t.Errorf("of an upload that is not there: %s", got.raw)
	}
}

package s3

import (
	"bytes"
	"crypto/md5"
	"encoding/hex"
	"errors"
	"fmt"
	"net/http/httptest"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"
)

// backendOp parses a request as a server behind the gateway does.
func backendOp(t *testing.T, method, uri string, header ...string) *Operation {
	t.Helper()
	op, err := ParseBackend(request(method, uri, "", header...), nil)
	if err != nil {
		t.Fatal(err)
	}
	return op
}

func TestPartNumber(t *testing.T) {
	for v, want := range map[string]int{
		"1": 1, "10000": 10000, "0007": 7, "0": 0, "10001": 0, "": 0, "-1": 0, "1.5": 0, "x": 0, "99999999999999999999": 0,
	} {
		op := backendOp(t, "PUT", "/b12/k?uploadId=u&partNumber="+v)
		got, err := op.PartNumber()
		if got != want || (err == nil) != (want > 0) || err != nil && (codeOf(err) != InvalidArgument || fieldOf(err, "ArgumentName") != "partNumber") {
			t.Errorf("%q: %d, %v", v, got, err)
		}
		if op.UploadID() != "u" || op.Name != UploadPart {
			t.Errorf("%+v", op)
		}
	}
}

func TestMultipartETag(t *testing.T) {
	var parts []string
	var all []byte
	for i := range 3 {
		sum := md5.Sum([]byte{byte(i)})
		parts = append(parts, hex.EncodeToString(sum[:]))
		all = append(all, sum[:]...)
	}
	sum := md5.Sum(all)
	if got, ok := MultipartETag(parts); got != hex.EncodeToString(sum[:])+"-3" || !ok {
		t.Errorf("%q, %v", got, ok)
	}
	for _, bad := range [][]string{nil, {"x"}, {parts[0], ""}, {parts[0], parts[1] + "00"}, {parts[0] + "-1"}} {
		if got, ok := MultipartETag(bad); ok {
			t.Errorf("%q: %q", bad, got)
		}
	}
}

func TestNoUpload(t *testing.T) {
	if err := NoUpload("u"); err.Code != NoSuchUpload || err.Field("UploadId") != "u" {
		t.Errorf("%+v", err)
	}
}

func TestParseListParts(t *testing.T) {
	for query, want := range map[string]PartsRequest{
		"":                                 {Max: 1000},
		"max-parts=0":                      {},
		"max-parts=7&part-number-marker=3": {Max: 7, After: 3},
		"max-parts=5000":                   {Max: 1000},
		"part-number-marker=2147483647":    {Max: 1000, After: 2147483647},
	} {
		want.Bucket, want.Key, want.UploadID = "photos", "k", "u"
		got, err := ParseListParts(backendOp(t, "GET", "/photos/k?uploadId=u&"+query))
		if err != nil || *got != want {
			t.Errorf("%s: %+v, %v", query, got, err)
		}
	}
	for _, query := range []string{"max-parts=-1", "max-parts=x", "max-parts=2147483648", "part-number-marker=-1", "part-number-marker=x",
		"part-number-marker=2147483648"} {
		if _, err := ParseListParts(backendOp(t, "GET", "/photos/k?uploadId=u&"+query)); codeOf(err) != InvalidArgument || fieldOf(err, "ArgumentName") == "" {
			t.Errorf("%s: %v", query, err)
		}
	}
}

func TestParseListUploads(t *testing.T) {
	for query, want := range map[string]UploadsRequest{
		"":                                {Max: 1000},
		"prefix=a+b&delimiter=/":          {Max: 1000, Prefix: "a b", Delimiter: "/"},
		"key-marker=k&max-uploads=2":      {Max: 2, AfterKey: "k"},
		"key-marker=k&upload-id-marker=u": {Max: 1000, AfterKey: "k", AfterID: "u"},
		"upload-id-marker=u":              {Max: 1000},
		"max-uploads=0&encoding-type=url": {URL: true},
	} {
		want.Bucket = "photos"
		got, err := ParseListUploads(backendOp(t, "GET", "/photos?uploads&"+query))
		if err != nil || *got != want {
			t.Errorf("%s: %+v, %v", query, got, err)
		}
	}
	for _, query := range []string{"max-uploads=-1", "max-uploads=x", "encoding-type=x"} {
		if _, err := ParseListUploads(backendOp(t, "GET", "/photos?uploads&"+query)); codeOf(err) != InvalidArgument {
			t.Errorf("%s: %v", query, err)
		}
	}
	u := UploadsRequest{Prefix: "a/", Delimiter: "/"}
	if p, ok := u.CommonPrefix("a/b/c"); p != "a/b/" || !ok {
		t.Errorf("%q, %v", p, ok)
	}
}

var sums = UploadChecksum{"crc32", Composite}

func TestMultipartDocuments(t *testing.T) {
	parts := &PartsPage{Owner: Owner{"1f", "root"}, Checksum: sums, Truncated: true, Parts: []Part{
		{Number: 2, ETag: "e2", Size: 5, Modified: docTime, Algorithm: "crc32", Checksum: "AAAAAA=="}, {Number: 7, ETag: "e7", Size: 0, Modified: docTime}}}
	uploads := &UploadsPage{Owner: Owner{"1f", "root"}, Truncated: true, LastKey: "a+b", LastID: "u2", CommonPrefixes: []string{"c d/"},
		Uploads: []Upload{{"a", "u1", docTime, UploadChecksum{}}, {"a+b", "u2", docTime, UploadChecksum{"sha1", Composite}}}}
	var out bytes.Buffer
	for _, doc := range [][]byte{
		InitiateDocument("photos", "a&b", "u"),
		(&PartsRequest{Bucket: "photos", Key: "a b", UploadID: "u", Max: 1000}).Document(&PartsPage{Owner: parts.Owner}),
		(&PartsRequest{Bucket: "photos", Key: "a b", UploadID: "u", Max: 2, After: 1}).Document(parts),
		(&UploadsRequest{Bucket: "photos", Max: 1000}).Document(&UploadsPage{Owner: parts.Owner}),
		(&UploadsRequest{Bucket: "photos", Max: 2, URL: true, Prefix: "p q", Delimiter: "/", AfterKey: "k l", AfterID: "u0"}).Document(uploads),
		CompleteDocument([]CompletedPart{{1, "e", "", ""}, {3, "f", "crc64nvme", "AAAAAAAAAAA="}}),
		(&Completed{Location: "http://h/photos/k", Bucket: "photos", Key: "k", ETag: "e-2", Checksums: map[string]string{"x-amz-checksum-crc32": "AAAAAA==-2"}}).Document(),
		(&Copied{ETag: "e", Modified: docTime, Checksums: map[string]string{"x-amz-checksum-sha1": "x"}}).Document(),
		(&Copied{ETag: "e", Modified: docTime, Checksums: map[string]string{"x-amz-checksum-sha1": "x"}}).PartDocument(),
		DeleteDocument([]string{"a", " b<&> "}),
		(&Delete{}).Document([]DeleteOutcome{{Key: "a"}, {Key: "b\x01", Err: Err(AccessDenied)}, {Key: "c", Version: "null", Err: errors.New("secret")}}),
		(&Delete{Quiet: true}).Document([]DeleteOutcome{{Key: "a"}, {Key: "b", Err: Err(NoSuchBucket)}}),
		TaggingDocument(map[string]string{"b": "2", "a": "<1>"}),
	} {
		fmt.Fprintf(&out, "%s\n\n", doc)
	}
	golden(t, "multipart.txt", out.Bytes())

	got, err := DecodeParts(bytes.NewReader((&PartsRequest{Key: "k"}).Document(parts)))
	if err != nil || !reflect.DeepEqual(got.Parts, parts.Parts) || got.Checksum != sums || !got.Truncated || got.Next != 7 {
		t.Errorf("%+v, %v", got, err)
	}
	for _, url := range []bool{true, false} {
		back, err := DecodeUploads(bytes.NewReader((&UploadsRequest{URL: url}).Document(uploads)))
		if err != nil || !reflect.DeepEqual(back.Uploads, uploads.Uploads) || !slices.Equal(back.CommonPrefixes, uploads.CommonPrefixes) ||
			back.NextKey != "a+b" || back.NextID != "u2" || !back.Truncated {
			t.Errorf("%+v, %v", back, err)
		}
	}
}

func TestDecodeForeignLists(t *testing.T) {
	parts := func(inner string) string { return "<ListPartsResult>" + inner + "</ListPartsResult>" }
	for name, doc := range map[string]string{
		"out of order": parts("<Part><PartNumber>2</PartNumber></Part><Part><PartNumber>1</PartNumber></Part>"),
		"twice":        parts("<Part><PartNumber>1</PartNumber></Part><Part><PartNumber>1</PartNumber></Part>"),
		"no number":    parts("<Part/>"),
		"beyond":       parts("<Part><PartNumber>10001</PartNumber></Part>"),
		"negative":     parts("<Part><PartNumber>1</PartNumber><Size>-1</Size></Part>"),
		"no size":      parts("<Part><PartNumber>1</PartNumber><Size>x</Size></Part>"),
		"no time":      parts("<Part><PartNumber>1</PartNumber><LastModified>x</LastModified></Part>"),
		"cut":          "<ListPartsResult><Part>",
		"another":      "<ListBucketResult/>",
		"nothing":      "",
		"error":        "<Error><Code>NoSuchUpload</Code></Error>",
	} {
		if _, err := DecodeParts(strings.NewReader(doc)); err == nil || (codeOf(err) == NoSuchUpload) != (name == "error") {
			t.Errorf("%s: %v", name, err)
		}
	}
	l, err := DecodeParts(strings.NewReader(parts("<IsTruncated>true</IsTruncated><NextPartNumberMarker>0</NextPartNumberMarker><X/><Part><PartNumber> 3 </PartNumber><Y/></Part>")))
	if err != nil || l.Next != 3 || !l.Truncated {
		t.Errorf("a page without its marker: %+v, %v", l, err)
	}
	uploads := func(inner string) string {
		return "<ListMultipartUploadsResult>" + inner + "</ListMultipartUploadsResult>"
	}
	for name, doc := range map[string]string{
		"no id":      uploads("<Upload><Key>k</Key></Upload>"),
		"no key":     uploads("<Upload><UploadId>k</UploadId></Upload>"),
		"bad escape": uploads("<EncodingType>url</EncodingType><Upload><Key>%zz</Key><UploadId>k</UploadId></Upload>"),
		"cut":        "<ListMultipartUploadsResult>",
		"another":    "<html/>",
		"error":      "<Error><Code>NoSuchBucket</Code></Error>",
	} {
		if _, err := DecodeUploads(strings.NewReader(doc)); err == nil || (codeOf(err) == NoSuchBucket) != (name == "error") {
			t.Errorf("%s: %v", name, err)
		}
	}
	// A server that ignores encoding-type says so by an empty element.
	raw, err := DecodeUploads(strings.NewReader(uploads("<EncodingType></EncodingType><Upload><Key>a+b</Key><UploadId>u</UploadId><Z/></Upload><Q/>")))
	if err != nil || raw.Uploads[0].Key != "a+b" {
		t.Errorf("%+v, %v", raw, err)
	}
	for _, doc := range []string{"", "<InitiateMultipartUploadResult/>", "<InitiateMultipartUploadResult><UploadId>u</UploadId>", "<x/>"} {
		if id, err := DecodeInitiated(strings.NewReader(doc)); err == nil {
			t.Errorf("%q: %q", doc, id)
		}
	}
}

// FuzzUploadsRoundTrip: what our documents of parts and uploads say comes back,
// whatever the key, with and without encoding-type; without it where XML can
// hold the key.
func FuzzUploadsRoundTrip(f *testing.F) {
	f.Add("key", "prefix/", "id", 3, int64(5), true)
	f.Add(" a+b%<&>\r\n\x01é", "\x7f\ufffe", "\"'", 10_000, int64(0), false)
	f.Fuzz(func(t *testing.T, key, prefix, id string, number int, size int64, url bool) {
		if key == "" || id == "" || !legalText(id) || !plainText(key) || !plainText(prefix) || !url && (!legalText(key) || !legalText(prefix)) {
			return
		}
		at := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
		page := &UploadsPage{Uploads: []Upload{{key, id, at, sums}}, CommonPrefixes: []string{prefix}, Truncated: true, LastKey: key, LastID: id}
		got, err := DecodeUploads(bytes.NewReader((&UploadsRequest{URL: url}).Document(page)))
		if err != nil || !reflect.DeepEqual(got.Uploads, page.Uploads) || !slices.Equal(got.CommonPrefixes, page.CommonPrefixes) || got.NextKey != key || got.NextID != id {
			t.Fatalf("%+v came back as %+v, %v", page, got, err)
		}
		if number < 1 || number > MaxParts || size < 0 {
			return
		}
		parts := &PartsPage{Checksum: sums, Parts: []Part{{Number: number, ETag: "e", Size: size, Modified: at, Algorithm: "crc32", Checksum: "AAAAAA=="}}}
		back, err := DecodeParts(bytes.NewReader((&PartsRequest{Key: "k", UploadID: id}).Document(parts)))
		if err != nil || !reflect.DeepEqual(back.Parts, parts.Parts) || back.Checksum != sums {
			t.Fatalf("%+v came back as %+v, %v", parts, back, err)
		}
	})
}

// TestLateAnswer: before the first blank an answer like any other, behind it
// one document behind one declaration.
func TestLateAnswer(t *testing.T) {
	doc := (&Completed{ETag: "e"}).Document()
	for name, c := range map[string]struct {
		blanks int
		end    func(*LateAnswer)
		status int
		body   string
		length bool // Content-Length is known
	}{
		"at once":       {0, func(a *LateAnswer) { a.Document(doc) }, 200, string(doc), true},
		"late":          {3, func(a *LateAnswer) { a.Document(doc) }, 200, xmlDeclaration + "   " + strings.TrimPrefix(string(doc), xmlDeclaration), false},
		"error at once": {0, func(a *LateAnswer) { a.Error(request("POST", "/b/k?uploadId=u", ""), "id", Err(InvalidPart)) }, 400, "", true},
		"error late":    {1, func(a *LateAnswer) { a.Error(request("POST", "/b/k?uploadId=u", ""), "id", Err(InvalidPart)) }, 200, xmlDeclaration + " <Error><Code>InvalidPart</Code>", false},
		"foreign, late": {2, func(a *LateAnswer) { a.Error(request("POST", "/b/k", ""), "id", errors.New("secret")) }, 200, xmlDeclaration + "  <Error><Code>InternalError</Code>", false},
	} {
		w := httptest.NewRecorder()
		a := NewLateAnswer(w)
		for range c.blanks {
			if err := a.Blank(); err != nil || !w.Flushed {
				t.Errorf("%s: %v, flushed %v", name, err, w.Flushed)
			}
		}
		if a.Started() != (c.blanks > 0) {
			t.Errorf("%s: started %v", name, a.Started())
		}
		c.end(a)
		body := w.Body.String()
		if w.Code != c.status || !strings.HasPrefix(body, c.body) || strings.Contains(body, "secret") || strings.Count(body, "<?xml") != 1 ||
			w.Header().Get("Content-Type") != "application/xml" || (w.Header().Get("Content-Length") != "") != c.length {
			t.Errorf("%s: %d %q %v", name, w.Code, body, w.Header())
		}
		// Our own client reads it as what it is.
		_, err := DecodeCompleted(strings.NewReader(body))
		if (err == nil) != strings.Contains(body, "<CompleteMultipartUploadResult") {
			t.Errorf("%s: %v", name, err)
		}
	}
	gone := &goneWriter{httptest.NewRecorder()}
	if err := NewLateAnswer(gone).Blank(); err == nil {
		t.Error("a client that has gone is not noticed")
	}
}

type goneWriter struct{ *httptest.ResponseRecorder }

func (goneWriter) Write([]byte) (int, error) { return 0, errors.New("gone") }

// docTime is as documents write it.
var docTime = listTime.UTC().Truncate(time.Second)

package s3

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"reflect"
	"regexp"
	"strings"
	"testing"
	"time"
)

// failing returns err where the reader ends.
type failing struct {
	r   io.Reader
	err error
}

func (f *failing) Read(p []byte) (int, error) {
	n, err := f.r.Read(p)
	if err == io.EOF {
		err = f.err
	}
	return n, err
}

func TestDecodeListing(t *testing.T) {
	minio := `<?xml version="1.0" encoding="UTF-8"?>
<ListBucketResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/"><Name>b</Name><Prefix></Prefix><StartAfter></StartAfter>
<NextContinuationToken>YQ==</NextContinuationToken><KeyCount>2</KeyCount><MaxKeys>2</MaxKeys><IsTruncated>true</IsTruncated>
<Contents><Key>f+100k%2B%C3%A9*</Key><LastModified>2026-03-01T12:00:00.793Z</LastModified><ETag>&#34;abc&#34;</ETag><Size>5</Size>
<Owner><ID>x</ID><DisplayName>y</DisplayName></Owner><StorageClass>STANDARD</StorageClass><ChecksumAlgorithm>CRC32</ChecksumAlgorithm></Contents>
<CommonPrefixes><Prefix>d%2F</Prefix></CommonPrefixes><EncodingType>url</EncodingType></ListBucketResult>`
	// versitygw ignores encoding-type and says so by an empty element.
	versity := `<ListBucketResult><IsTruncated>false</IsTruncated><EncodingType></EncodingType>
<Contents><Key> f 100k+%C3%A9 </Key><LastModified>2026-03-01T12:00:00Z</LastModified><ETag>"abc-2"</ETag><Size>0</Size>
<StorageClass>GLACIER</StorageClass></Contents><CommonPrefixes><Other/><Prefix>a b/</Prefix></CommonPrefixes></ListBucketResult>`
	for name, c := range map[string]struct {
		doc  string
		want Listing
	}{
		"url": {minio, Listing{
			Objects:        []ListEntry{{Key: "f 100k+\u00e9*", ETag: "abc", Size: 5, ModTime: time.Date(2026, 3, 1, 12, 0, 0, 793e6, time.UTC)}},
			CommonPrefixes: []string{"d/"}, Truncated: true, NextToken: "YQ==",
		}},
		"raw": {versity, Listing{
			Objects:        []ListEntry{{Key: " f 100k+%C3%A9 ", ETag: "abc-2", ModTime: time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)}},
			CommonPrefixes: []string{"a b/"},
		}},
		"empty": {"<ListBucketResult/>", Listing{}},
	} {
		got, err := DecodeListing(strings.NewReader(c.doc))
		if err != nil || fmt.Sprintf("%+v", *got) != fmt.Sprintf("%+v", c.want) {
			t.Errorf("%s: %v\n got %+v\nwant %+v", name, err, got, c.want)
		}
		for cut := 1; cut < len(c.doc); cut++ {
			if _, err := DecodeListing(strings.NewReader(c.doc[:cut])); err == nil {
				t.Fatalf("%s cut at %d is taken for a page", name, cut)
			}
		}
		lost := errors.New("connection lost")
		if _, err := DecodeListing(&failing{r: strings.NewReader(c.doc[:len(c.doc)/2]), err: lost}); !errors.Is(err, lost) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestDecodeListingRefuses(t *testing.T) {
	entry := func(s string) string { return "<ListBucketResult><Contents>" + s + "</Contents></ListBucketResult>" }
	for name, doc := range map[string]string{
		"nothing":       "",
		"html":          "<html><body>502</body></html>",
		"no key":        entry("<Size>1</Size>"),
		"size":          entry("<Key>k</Key><Size>many</Size>"),
		"negative size": entry("<Key>k</Key><Size>-1</Size>"),
		"time":          entry("<Key>k</Key><LastModified>today</LastModified>"),
		"nested key":    entry("<Key>k<b/></Key>"),
		"NUL":           entry("<Key>&#0;</Key>"),
		"bad escape":    "<ListBucketResult><EncodingType>url</EncodingType><Contents><Key>%zz</Key></Contents></ListBucketResult>",
		"bad prefix":    "<ListBucketResult><EncodingType>url</EncodingType><CommonPrefixes><Prefix>%</Prefix></CommonPrefixes></ListBucketResult>",
		"trailing":      "<ListBucketResult/><ListBucketResult/>",
		"doctype":       "<!DOCTYPE a><ListBucketResult/>",
		"deep":          "<ListBucketResult>" + strings.Repeat("<a>", 50) + strings.Repeat("</a>", 50) + "</ListBucketResult>",
		"long":          "<ListBucketResult>" + strings.Repeat(" ", maxListBytes) + "</ListBucketResult>",
	} {
		if l, err := DecodeListing(strings.NewReader(doc)); err == nil {
			t.Errorf("%s: %+v", name, l)
		}
	}
}

func TestErrorInsideSuccess(t *testing.T) {
	_, err := DecodeListing(strings.NewReader("<Error><Code>SlowDown</Code><Message>m</Message></Error>"))
	var e *Error
	if !errors.As(err, &e) || e.Code != SlowDown || e.Status != 200 {
		t.Errorf("%v", err)
	}
}

func TestDecodeError(t *testing.T) {
	doc := func(code string) string {
		return `<?xml version="1.0" encoding="UTF-8"?>` + "\n<Error><Code>" + code + "</Code><Message>m</Message><Region>eu</Region><Empty/></Error>"
	}
	for name, c := range map[string]struct {
		status int
		body   string
		want   Code
	}{
		"a document":      {404, doc("NoSuchKey"), NoSuchKey},
		"namespace":       {404, `<Error xmlns="x"><Code> NoSuchBucket </Code></Error>`, NoSuchBucket},
		"unknown":         {418, doc("Teapot"), "Teapot"},
		"vendor":          {400, doc("XAmzContentChecksumMismatch"), BadDigest},
		"vendor md5":      {400, doc("MissingContentMD5"), InvalidRequest},
		"vendor excess":   {400, doc("ExcessData"), IncompleteBody},
		"vendor name":     {400, doc("XMinioInvalidObjectName"), InvalidURI},
		"vendor full":     {507, doc("XMinioStorageFull"), InsufficientStorage},
		"vendor slow":     {503, doc("SlowDownWrite"), SlowDown},
		"nested":          {404, "<Error><Code>NoSuchKey</Code><A><B/></A></Error>", NoSuchKey},
		"cut behind code": {403, "<Error><Code>AccessDenied</Code><Mess", AccessDenied},
		"no code":         {403, "<Error><Message>m</Message></Error>", AccessDenied},
		"html":            {404, "<html><body>nothing here</body></html>", NotFound},
		"text":            {502, "bad gateway", InternalError},
		"empty 404":       {404, "", NotFound},
		"301":             {301, "", PermanentRedirect},
		"307":             {307, "", TemporaryRedirect},
		"304":             {304, "", NotModified},
		"400":             {400, "", BadRequest},
		"401":             {401, "", AccessDenied},
		"405":             {405, "", MethodNotAllowed},
		"409":             {409, "", OperationAborted},
		"411":             {411, "", MissingContentLength},
		"412":             {412, "", PreconditionFailed},
		"416":             {416, "", InvalidRange},
		"429":             {429, "", SlowDown},
		"500":             {500, "", InternalError},
		"501":             {501, "", NotImplemented},
		"503":             {503, "", ServiceUnavailable},
		"507":             {507, "", InsufficientStorage},
	} {
		e := DecodeError(c.status, strings.NewReader(c.body))
		if e.Code != c.want || e.Status != c.status || ForClient(e).Code != InternalError {
			t.Errorf("%s: %v", name, e)
		}
		if c.body == "" {
			if head := DecodeError(c.status, nil); head.Code != c.want || head.Status != c.status {
				t.Errorf("HEAD %s: %v", name, head)
			}
		}
	}
	if e := DecodeError(404, strings.NewReader(doc("NoSuchKey"))); e.Message != "m" || e.Field("Region") != "eu" {
		t.Errorf("%+v", e)
	}
}

func TestDecodeErrorIsBounded(t *testing.T) {
	in := &counting{r: io.MultiReader(strings.NewReader("<Error><Code>NoSuchKey</Code>"), endless{})}
	if e := DecodeError(404, in); e.Code != NoSuchKey || in.n > maxErrorBytes+8192 {
		t.Errorf("%v after %d bytes", e, in.n)
	}
	many := "<Error>" + strings.Repeat("<F>x</F>", 5000) + "</Error>"
	if e := DecodeError(400, strings.NewReader(many)); len(e.Fields) != maxErrorFields {
		t.Errorf("%d fields", len(e.Fields))
	}
}

type counting struct {
	r io.Reader
	n int
}

func (c *counting) Read(p []byte) (int, error) {
	n, err := c.r.Read(p)
	c.n += n
	return n, err
}

type endless struct{}

func (endless) Read(p []byte) (int, error) {
	for i := range p {
		p[i] = ' '
	}
	return len(p), nil
}

func TestRelay(t *testing.T) {
	for code := range codes {
		remote := &Error{Code: code, Status: code.Status(), Message: "backend eu-1 says", Fields: []Field{{"StringToSign", "s"}}}
		local := remote.Relay()
		switch code {
		case KeyTooLong, InvalidURI, MetadataTooLarge, EntityTooLarge, QuotaExceeded,
			ObjectParentIsFile, ExistingObjectIsDirectory, DirectoryObjectContainsData:
			if local == nil || local.Status != 0 || local.Message != code.Text() || len(local.Fields) != 0 || !errors.Is(local, remote) {
				t.Errorf("%s: %+v", code, local)
			}
		default:
			if local != nil {
				t.Errorf("%s is relayed", code)
			}
		}
	}
	if Err(KeyTooLong).Relay() != nil {
		t.Error("an error of ours is relayed")
	}
}

// FuzzDecodeListing: a listing is the same whether its elements can be read as leaves or
// must be read token by token, and every entry has a key.
func FuzzDecodeListing(f *testing.F) {
	f.Add([]byte("<ListBucketResult><Contents><Key>k</Key></Contents><CommonPrefixes><Prefix>p</Prefix></CommonPrefixes></ListBucketResult>"))
	f.Add([]byte("<ListBucketResult><EncodingType>url</EncodingType><Contents><Key>%41</Key></Contents></ListBucketResult>"))
	f.Add([]byte("<Error><Code>x</Code></Error>"))
	f.Add([]byte("<ListBucketResult><Contents><Key> a&lt;b </Key><ETag>&quot;e&quot;</ETag><Size> 1 </Size><LastModified>2026-03-01T10:00:00.500Z</LastModified><Owner><ID>i</ID></Owner><StorageClass>STANDARD</StorageClass></Contents></ListBucketResult>"))
	f.Add([]byte("<ListBucketResult>\n<Contents>\n<Key/><Key>k</Key><ETag>&#34;e&#34;f&#34;</ETag><Other>&amp;</Other><Size>1</Size></Contents></ListBucketResult>"))
	f.Add([]byte("<ListBucketResult><Contents><Key>a&amp;b</Key></Contents><Contents><Key>c</Key><ETag>&quot;e&#34;</ETag><Size>-1</Size></Contents></ListBucketResult>"))
	f.Add([]byte("<ListBucketResult><Contents><Key>c</Key><ETag>\"e\"</ETag><Size>+1</Size><LastModified>2024-02-29T23:59:59Z</LastModified></Contents></ListBucketResult>"))
	f.Add([]byte("<ListBucketResult><Contents><Key>c</Key><ETag>W/\"e\"</ETag><LastModified>2023-02-29T23:59:59Z</LastModified></Contents></ListBucketResult>"))
	f.Add([]byte("<ListBucketResult><Contents><Key>c</Key><ETag>&#34;e&#34;</ETag><ChecksumType>x</ChecksumType></Contents><Contents><Key>d</Key><Size>1</Size</ListBucketResult>"))
	f.Add([]byte("<ListBucketResult><Contents><Key>c</Key><Key></Key></Contents></ListBucketResult>"))
	f.Add([]byte("<ListBucketResult><Contents><Key>c</Key><Key>d</Key><Size>1</Size></Contents></ListBucketResult>"))
	f.Fuzz(func(t *testing.T, doc []byte) {
		l, err := DecodeListing(bytes.NewReader(doc))
		if err == nil {
			for _, o := range l.Objects {
				if o.Key == "" || o.Size < 0 {
					t.Fatalf("%+v", o)
				}
			}
		}
		if bytes.Contains(doc, []byte("<!")) || bytes.Contains(doc, []byte("<?")) || len(doc) > 1<<20 {
			return // text that looks like tags
		}
		same, sameErr := DecodeListing(bytes.NewReader(startTags.ReplaceAll(doc, []byte("<$1 >"))))
		if (err == nil) != (sameErr == nil) || !reflect.DeepEqual(l, same) {
			t.Fatalf("%q: %+v, %v; with blanks in its tags %+v, %v", doc, l, err, same, sameErr)
		}
	})
}

// startTags are those that leaf reads.
var startTags = regexp.MustCompile(`<([A-Za-z]+)>`)

func FuzzDecodeError(f *testing.F) {
	f.Add(404, []byte("<Error><Code>NoSuchKey</Code><A>b</A></Error>"))
	f.Add(503, []byte("<html>"))
	f.Fuzz(func(t *testing.T, status int, doc []byte) {
		if status <= 0 {
			return // no HTTP status
		}
		if e := DecodeError(status, bytes.NewReader(doc)); e.Code == "" || e.Status != status || ForClient(e).Code != InternalError {
			t.Fatalf("%+v", e)
		}
	})
}

func BenchmarkDecodeListing(b *testing.B) {
	page := &ListPage{}
	for i := range 1000 {
		page.Objects = append(page.Objects, ListEntry{Key: fmt.Sprintf("photos/2026/%06d.jpg", i), ETag: "d41d8cd98f00b204e9800998ecf8427e", Size: 5, ModTime: listTime})
	}
	doc := (&ListRequest{Bucket: "b", V2: true, MaxKeys: 1000, URL: true}).Document(page, testKey)
	b.SetBytes(int64(len(doc)))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := DecodeListing(bytes.NewReader(doc)); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkParse(b *testing.B) {
	r := request("PUT", "/photos/2026/03/cat%20%2B.jpg?x-id=PutObject", "photos.example.com")
	b.ReportAllocs()
	for b.Loop() {
		if _, err := Parse(r, testDomains); err != nil {
			b.Fatal(err)
		}
	}
}

package s3

import (
	"bytes"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/s3mirror/s3mirror/internal/object"
)

func TestParseAttributes(t *testing.T) {
	const name = "x-amz-object-attributes"
	for what, c := range map[string]struct {
		header []string
		want   AttributesRequest
		code   Code
	}{
		"one":        {[]string{name, "ETag"}, AttributesRequest{Wanted: []string{"ETag"}, MaxParts: 1000}, ""},
		"list":       {[]string{name, "ETag, ObjectSize,ETag", name, "Checksum", "x-amz-max-parts", "2", "x-amz-part-number-marker", "1"}, AttributesRequest{[]string{"ETag", "ObjectSize", "Checksum"}, 2, 1}, ""},
		"none":       {nil, AttributesRequest{}, InvalidRequest},
		"empty":      {[]string{name, " ,"}, AttributesRequest{}, InvalidRequest},
		"unknown":    {[]string{name, "ETag,etag"}, AttributesRequest{}, InvalidArgument},
		"bad max":    {[]string{name, "ETag", "x-amz-max-parts", "-1"}, AttributesRequest{}, InvalidArgument},
		"bad marker": {[]string{name, "ETag", "x-amz-part-number-marker", "x"}, AttributesRequest{}, InvalidArgument},
	} {
		got, err := ParseAttributes(header(c.header...))
		if codeOf(err) != c.code || err == nil && !reflect.DeepEqual(*got, c.want) {
			t.Errorf("%s: %+v, %v", what, got, err)
		}
	}
}

func TestAttributesDocuments(t *testing.T) {
	plain := object.Info{ETag: "e", Size: 5, Headers: object.Headers{"x-amz-checksum-sha1": "2jmj7l5rSw0yVb/vlWAYkK/YBwk=", "x-amz-storage-class": "GLACIER"}}
	parts := object.Info{ETag: "e-3", Size: 12, Parts: []int64{5, 5, 2}, Headers: object.Headers{"x-amz-checksum-crc32": "AAAAAA==-3", "x-amz-checksum-type": "COMPOSITE"}}
	sums := []string{"AAAAAA==", "AAAAAQ==", "AAAAAg=="}
	var out bytes.Buffer
	for _, c := range []struct {
		a    AttributesRequest
		info object.Info
		sums []string
	}{
		{AttributesRequest{attributes, 1000, 0}, plain, nil},
		{AttributesRequest{[]string{AttributeObjectSize}, 1000, 0}, plain, nil},
		{AttributesRequest{attributes, 1000, 0}, parts, sums},
		{AttributesRequest{[]string{AttributeObjectParts}, 2, 0}, parts, sums},
		{AttributesRequest{[]string{AttributeObjectParts}, 2, 2}, parts, sums},
		{AttributesRequest{[]string{AttributeObjectParts}, 2, 9}, parts, sums},
		{AttributesRequest{[]string{AttributeObjectParts}, 2, 0}, parts, nil},
		{AttributesRequest{[]string{AttributeChecksum}, 2, 0}, object.Info{ETag: "e"}, nil},
	} {
		doc := c.a.Document(c.info, c.sums)
		fmt.Fprintf(&out, "%s\n\n", doc)
		got, err := DecodeAttributes(bytes.NewReader(doc))
		if err != nil {
			t.Errorf("%s: %v", doc, err)
			continue
		}
		if slices.Contains(c.a.Wanted, AttributeETag) != (got.ETag == c.info.ETag) || slices.Contains(c.a.Wanted, AttributeObjectSize) != (got.Size == c.info.Size) {
			t.Errorf("%s: %+v", doc, got)
		}
		if slices.Contains(c.a.Wanted, AttributeObjectParts) && got.PartCount != len(c.info.Parts) {
			t.Errorf("%s: %+v", doc, got)
		}
		for _, p := range got.Parts {
			if p.Size != c.info.Parts[p.Number-1] || c.sums != nil && p.Checksum != c.sums[p.Number-1] {
				t.Errorf("%s: %+v", doc, p)
			}
		}
	}
	golden(t, "attributes.txt", out.Bytes())
}

func TestDecodeForeignAttributes(t *testing.T) {
	// MinIO writes its root small and leaves the number of parts off checksums.
	got, err := DecodeAttributes(strings.NewReader(`<getObjectAttributesResponse><ETag>"e-2"</ETag><Checksum><ChecksumCRC32>AAAAAA==</ChecksumCRC32></Checksum>` +
		`<ObjectParts><IsTruncated>true</IsTruncated><TotalPartsCount>2</TotalPartsCount><X/><Part><PartNumber>1</PartNumber><Size>5</Size></Part></ObjectParts><Y/></getObjectAttributesResponse>`))
	if err != nil || got.ETag != "e-2" || got.Size != -1 || got.PartCount != 2 || len(got.Parts) != 1 || !got.Truncated || got.Checksums["x-amz-checksum-crc32"] != "AAAAAA==" {
		t.Errorf("%+v, %v", got, err)
	}
	for name, doc := range map[string]string{
		"cut": "<GetObjectAttributesResponse>", "another": "<html/>", "nothing": "", "size": "<GetObjectAttributesResponse><ObjectSize>x</ObjectSize></GetObjectAttributesResponse>",
		"checksum": "<GetObjectAttributesResponse><Checksum><ChecksumSHA1>x</ChecksumSHA1></Checksum></GetObjectAttributesResponse>", "error": "<Error><Code>NoSuchKey</Code></Error>",
	} {
		if got, err := DecodeAttributes(strings.NewReader(doc)); err == nil || (codeOf(err) == NoSuchKey) != (name == "error") {
			t.Errorf("%s: %+v, %v", name, got, err)
		}
	}
}

func TestReadRange(t *testing.T) {
	parts := object.Info{Size: 12, Parts: []int64{5, 5, 2}}
	plain := object.Info{Size: 12}
	for name, c := range map[string]struct {
		query, header string
		info          object.Info
		ignoreRange   bool
		want          Range
		part          int
		code          Code
	}{
		"whole":          {"", "", plain, false, Range{0, 12, 12, false}, 0, ""},
		"range":          {"", "bytes=1-2", plain, false, Range{1, 2, 12, true}, 0, ""},
		"If-Range":       {"", "bytes=1-2", plain, true, Range{0, 12, 12, false}, 0, ""},
		"bad range":      {"", "bytes=12-", plain, false, Range{}, 0, InvalidRange},
		"first":          {"partNumber=1", "", parts, false, Range{0, 5, 12, true}, 1, ""},
		"last":           {"partNumber=3", "", parts, false, Range{10, 2, 12, true}, 3, ""},
		"behind":         {"partNumber=4", "", parts, false, Range{}, 0, InvalidPartNumber},
		"one piece":      {"partNumber=1", "", plain, false, Range{0, 12, 12, true}, 1, ""},
		"behind it":      {"partNumber=2", "", plain, false, Range{}, 0, InvalidPartNumber},
		"nothing":        {"partNumber=1", "", object.Info{}, false, Range{}, 1, ""},
		"both":           {"partNumber=1", "bytes=0-1", parts, false, Range{}, 0, InvalidRequest},
		"both, If-Range": {"partNumber=1", "bytes=0-1", parts, true, Range{}, 0, InvalidRequest},
		"zero":           {"partNumber=0", "", parts, false, Range{}, 0, InvalidArgument},
		"none":           {"partNumber=", "", parts, false, Range{}, 0, InvalidArgument},
	} {
		op := backendOp(t, "GET", "/photos/k?"+c.query)
		if !op.Implemented() {
			t.Errorf("%s: %v", name, op.NotImplemented())
		}
		r, part, err := op.ReadRange(header("Range", c.header), c.info, !c.ignoreRange)
		if r != c.want || codeOf(err) != c.code || err == nil && part != c.part {
			t.Errorf("%s: %+v, %d, %v", name, r, part, err)
		}
		if c.code == InvalidPartNumber && (fieldOf(err, "ActualPartCount") == "" || fieldOf(err, "PartNumberRequested") == "") {
			t.Errorf("%s: %+v", name, err)
		}
	}
	h := header()
	SetPartsCount(h, parts, 0)
	SetPartsCount(h, plain, 1)
	if len(h) != 0 {
		t.Errorf("%v", h)
	}
	if SetPartsCount(h, parts, 2); h.Get("x-amz-mp-parts-count") != "3" {
		t.Errorf("%v", h)
	}
}

// FuzzAttributes: what our document says of a version comes back, and the pages
// of its parts put together are all of them; what others send is read or
// refused.
func FuzzAttributes(f *testing.F) {
	f.Add("e-2", int64(5), uint16(3), uint8(2), []byte("<getObjectAttributesResponse/>"))
	f.Add("\"<&>\r\x01", int64(0), uint16(0), uint8(0), []byte("<GetObjectAttributesResponse><ObjectParts><Part/>"))
	f.Fuzz(func(t *testing.T, etag string, size int64, count uint16, max uint8, foreign []byte) {
		_, _ = DecodeAttributes(bytes.NewReader(foreign))
		if !plainText(etag) || UnquoteETag(etag) != etag || size < 0 {
			return
		}
		info := object.Info{ETag: etag, Size: size, Headers: object.Headers{"x-amz-checksum-crc32": "AAAAAA=="}}
		var sums []string
		for i := range int(count % 300) {
			info.Parts = append(info.Parts, int64(i))
			sums = append(sums, "AAAAAA==")
		}
		a := AttributesRequest{Wanted: attributes, MaxParts: int(max%50) + 1}
		var got []Part
		for {
			page, err := DecodeAttributes(bytes.NewReader(a.Document(info, sums)))
			if err != nil || page.ETag != etag || page.Size != size || page.PartCount != len(info.Parts) || page.Checksums["x-amz-checksum-crc32"] != "AAAAAA==" || len(page.Parts) > a.MaxParts {
				t.Fatalf("%+v came back as %+v, %v", info, page, err)
			}
			got = append(got, page.Parts...)
			if !page.Truncated {
				break
			}
			a.After = got[len(got)-1].Number
		}
		if len(got) != len(info.Parts) {
			t.Fatalf("%d parts of %d", len(got), len(info.Parts))
		}
		for i, p := range got {
			if p.Number != i+1 || p.Size != info.Parts[i] || p.Algorithm != "crc32" {
				t.Fatalf("part %d: %+v", i+1, p)
			}
		}
	})
}

package s3

import (
	"bytes"
	"encoding/xml"
	"errors"
	"fmt"
	"net/http"
	"reflect"
	"strconv"
	"strings"
	"testing"

	"github.com/s3mirror/s3mirror/internal/object"
)

// header makes a header of pairs.
func header(pairs ...string) http.Header { return request("", "", "", pairs...).Header }

func part(number, etag, more string) string {
	return "<Part><PartNumber>" + number + "</PartNumber><ETag>" + etag + "</ETag>" + more + "</Part>"
}

func completeBody(parts ...string) string {
	return "<CompleteMultipartUpload>" + strings.Join(parts, "") + "</CompleteMultipartUpload>"
}

const sum32 = "<ChecksumCRC32>AAAAAA==</ChecksumCRC32>"

func TestParseComplete(t *testing.T) {
	many := make([]string, MaxParts+1)
	for i := range many {
		many[i] = part(strconv.Itoa(i+1), "e", "")
	}
	one := completeBody(part("1", "e", ""))
	for name, c := range map[string]struct {
		body   string
		header []string
		want   string // outline of the result
		code   Code
	}{
		"boto":             {completeBody("<Part><ETag>\"e\"</ETag><PartNumber>1</PartNumber>" + sum32 + "</Part>"), nil, "1:e:crc32=AAAAAA==", ""},
		"go":               {completeBody(part("1", "&#34;e&#34;", "")), nil, "1:e", ""},
		"minio":            {"<CompleteMultipartUpload xmlns=\"" + Namespace + "\">" + part("1", "e", "") + part("10000", "&quot;f&quot;", "") + "</CompleteMultipartUpload>", nil, "1:e 10000:f", ""},
		"blanks":           {"\n<CompleteMultipartUpload>\n <Part>\n <PartNumber> 1 </PartNumber><ETag>\"e\"</ETag></Part>\n</CompleteMultipartUpload>\n", nil, "1:e", ""},
		"empty ETag":       {completeBody(part("1", "", "")), nil, "1:", ""},
		"ten thousand":     {completeBody(many[:MaxParts]...), nil, "10000 parts", ""},
		"one more":         {completeBody(many...), nil, "", MalformedXML},
		"no part":          {completeBody(), nil, "", MalformedXML},
		"no document":      {"", nil, "", MalformedXML},
		"another root":     {"<Delete/>", nil, "", MalformedXML},
		"no number":        {completeBody("<Part><ETag>e</ETag></Part>"), nil, "", MalformedXML},
		"no ETag":          {completeBody("<Part><PartNumber>1</PartNumber></Part>"), nil, "", MalformedXML},
		"two numbers":      {completeBody(part("1", "e", "<PartNumber>2</PartNumber>")), nil, "", MalformedXML},
		"two ETags":        {completeBody(part("1", "e", "<ETag>f</ETag>")), nil, "", MalformedXML},
		"unknown":          {completeBody(part("1", "e", "<Size>1</Size>")), nil, "", MalformedXML},
		"unknown at root":  {completeBody(part("1", "e", ""), "<X/>"), nil, "", MalformedXML},
		"unknown checksum": {completeBody(part("1", "e", "<ChecksumMD4>x</ChecksumMD4>")), nil, "", MalformedXML},
		"no integer":       {completeBody(part("1.5", "e", "")), nil, "", MalformedXML},
		"trailing":         {one + "<x/>", nil, "", MalformedXML},
		"bomb":             {"<!DOCTYPE x [<!ENTITY a \"aa\">]>" + one, nil, "", MalformedXML},
		"too long":         {completeBody(part("1", strings.Repeat("e", MaxCompleteBytes), "")), nil, "", MalformedXML},
		"zero":             {completeBody(part("0", "e", "")), nil, "", InvalidArgument},
		"negative":         {completeBody(part("-1", "e", "")), nil, "", InvalidArgument},
		"10001":            {completeBody(part("10001", "e", "")), nil, "", InvalidArgument},
		"twice":            {completeBody(part("1", "e", ""), part("1", "e", "")), nil, "", InvalidPartOrder},
		"out of order":     {completeBody(part("2", "e", ""), part("1", "e", "")), nil, "", InvalidPartOrder},
		"two checksums":    {completeBody(part("1", "e", sum32+"<ChecksumSHA1>2jmj7l5rSw0yVb/vlWAYkK/YBwk=</ChecksumSHA1>")), nil, "", InvalidArgument},
		"no base64":        {completeBody(part("1", "e", "<ChecksumCRC32>!</ChecksumCRC32>")), nil, "", InvalidArgument},
		"short checksum":   {completeBody(part("1", "e", "<ChecksumCRC64NVME>AAAAAA==</ChecksumCRC64NVME>")), nil, "", InvalidArgument},

		"object checksum":    {one, []string{"x-amz-checksum-crc32c", "AAAAAA=="}, "1:e crc32c=AAAAAA==", ""},
		"with parts":         {one, []string{"x-amz-checksum-sha1", "2jmj7l5rSw0yVb/vlWAYkK/YBwk=-1", "x-amz-checksum-type", "composite"}, "1:e sha1=2jmj7l5rSw0yVb/vlWAYkK/YBwk=-1 COMPOSITE", ""},
		"full object":        {one, []string{"x-amz-checksum-crc64nvme", "AAAAAAAAAAA=", "x-amz-checksum-type", "FULL_OBJECT"}, "1:e crc64nvme=AAAAAAAAAAA= FULL_OBJECT", ""},
		"composite crc64":    {one, []string{"x-amz-checksum-crc64nvme", "AAAAAAAAAAA=-1"}, "", InvalidRequest},
		"bad parts":          {one, []string{"x-amz-checksum-crc32", "AAAAAA==-x"}, "", InvalidRequest},
		"bad value":          {one, []string{"x-amz-checksum-crc32", "AAAA"}, "", InvalidRequest},
		"unknown algorithm":  {one, []string{"x-amz-checksum-md5", "AAAA"}, "", InvalidRequest},
		"two of the object":  {one, []string{"x-amz-checksum-crc32", "AAAAAA==", "x-amz-checksum-crc32c", "AAAAAA=="}, "", InvalidRequest},
		"repeated":           {one, []string{"x-amz-checksum-crc32", "AAAAAA==", "x-amz-checksum-crc32", "AAAAAA=="}, "", InvalidRequest},
		"unknown type":       {one, []string{"x-amz-checksum-type", "HALF"}, "", InvalidRequest},
		"size":               {one, []string{"x-amz-mp-object-size", "5"}, "1:e size=5", ""},
		"size that is none":  {one, []string{"x-amz-mp-object-size", "x"}, "", InvalidRequest},
		"size below nothing": {one, []string{"x-amz-mp-object-size", "-1"}, "", InvalidRequest},
	} {
		got, err := ParseComplete(header(c.header...), strings.NewReader(c.body))
		if codeOf(err) != c.code || err == nil && outlineOf(got) != c.want || err != nil && got != nil && c.code != InvalidPartOrder {
			t.Errorf("%s: %+v, %v", name, got, err)
		}
	}
	lost := errors.New("connection lost")
	if _, err := ParseComplete(nil, &failing{r: strings.NewReader(one[:30]), err: lost}); !errors.Is(err, lost) {
		t.Errorf("%v", err)
	}
}

func outlineOf(c *Complete) string {
	var words []string
	for _, p := range c.Parts {
		word := fmt.Sprintf("%d:%s", p.Number, p.ETag)
		if p.Algorithm != "" {
			word += ":" + p.Algorithm + "=" + p.Checksum
		}
		words = append(words, word)
	}
	if len(words) > 100 {
		words = []string{fmt.Sprint(len(words), " parts")}
	}
	if c.Algorithm != "" {
		words = append(words, c.Algorithm+"="+c.Checksum)
	}
	if c.Count > 0 {
		words[len(words)-1] += "-" + strconv.Itoa(c.Count)
	}
	if c.Type != "" {
		words = append(words, string(c.Type))
	}
	if c.Size >= 0 {
		words = append(words, fmt.Sprint("size=", c.Size))
	}
	return strings.Join(words, " ")
}

func TestWithoutChecksums(t *testing.T) {
	r := request("POST", "/b/k?uploadId=u", "", "x-amz-checksum-crc32", "AAAAAA==-2", "x-amz-checksum-type", "COMPOSITE", "Content-MD5", "x")
	own := WithoutChecksums(r)
	if len(own.Header) != 1 || own.Header.Get("Content-MD5") != "x" || own.RequestURI != r.RequestURI || len(r.Header) != 3 {
		t.Errorf("%v of %v", own.Header, r.Header)
	}
}

// upload is one with parts of these sizes, whose bytes are their number.
func upload(sum UploadChecksum, sizes ...int64) (UploadParts, []CompletedPart) {
	stored := map[int]Part{}
	var named []CompletedPart
	for i, size := range sizes {
		p := Part{Number: i + 1, ETag: fmt.Sprintf("%032x", i+1), Size: size}
		n := CompletedPart{Number: p.Number, ETag: p.ETag}
		if sum.Algorithm != "" {
			p.Algorithm, p.Checksum = sum.Algorithm, checksumOf(sum.Algorithm, bytes.Repeat([]byte{byte(i + 1)}, int(size)))
			n.Algorithm, n.Checksum = sum.Algorithm, p.Checksum
		}
		stored[i+1] = p
		named = append(named, n)
	}
	return UploadParts{ID: "id", Checksum: sum, MinPart: 10, Part: func(n int) (Part, bool) {
		p, ok := stored[n]
		return p, ok
	}}, named
}

func TestSelect(t *testing.T) {
	crc := UploadChecksum{"crc32", Composite}
	full := UploadChecksum{"crc32", FullObject}
	all := append(append(bytes.Repeat([]byte{1}, 10), bytes.Repeat([]byte{2}, 20)...), 3)
	wholeCRC := checksumOf("crc32", all)
	for name, c := range map[string]struct {
		sum    UploadChecksum
		change func(*Complete)
		code   Code
		text   string // of the refusal, or the checksum
	}{
		"plain":                  {UploadChecksum{}, func(*Complete) {}, "", ""},
		"full object":            {full, func(*Complete) {}, "", wholeCRC},
		"full, nothing named":    {full, func(c *Complete) { unnamed(c) }, "", wholeCRC},
		"full, promised":         {full, func(c *Complete) { c.Algorithm, c.Checksum, c.Type = "crc32", wholeCRC, FullObject }, "", wholeCRC},
		"full, other promise":    {full, func(c *Complete) { c.Algorithm, c.Checksum = "crc32", "AAAAAA==" }, BadDigest, "The CRC32 you specified"},
		"composite":              {crc, func(*Complete) {}, "", "-3"},
		"composite, other count": {crc, func(c *Complete) { c.Algorithm, c.Checksum, c.Count = "crc32", joined(crc, 10, 20, 1), 2 }, BadDigest, ""},
		"composite, no count":    {crc, func(c *Complete) { c.Algorithm, c.Checksum = "crc32", joined(crc, 10, 20, 1) }, "", "-3"},
		"composite, right count": {crc, func(c *Complete) { c.Algorithm, c.Checksum, c.Count = "crc32", joined(crc, 10, 20, 1), 3 }, "", "-3"},
		"composite, unnamed":     {crc, unnamed, InvalidRequest, "missing for part 1"},
		"other part checksum":    {crc, func(c *Complete) { c.Parts[1].Checksum = "AAAAAA==" }, InvalidPart, ""},
		"other part algorithm":   {crc, func(c *Complete) { c.Parts[1].Algorithm = "crc32c" }, BadDigest, "for part 2"},
		"checksum of a plain":    {UploadChecksum{}, func(c *Complete) { c.Parts[0].Algorithm, c.Parts[0].Checksum = "crc32", "AAAAAA==" }, InvalidPart, ""},
		"promise of a plain":     {UploadChecksum{}, func(c *Complete) { c.Algorithm, c.Checksum = "crc32", "AAAAAA==" }, "", ""},
		"a sum nobody asked for": {UploadChecksum{}, func(c *Complete) { c.Parts[0].Algorithm, c.Parts[0].Checksum = DefaultChecksum, "AAAAAAAAAAE=" }, "", ""},
		"another such sum":       {UploadChecksum{}, func(c *Complete) { c.Parts[0].Algorithm, c.Parts[0].Checksum = DefaultChecksum, "AAAAAAAAAAA=" }, InvalidPart, ""},
		"another type":           {full, func(c *Complete) { c.Type = Composite }, InvalidRequest, "using the FULL_OBJECT checksum mode"},
		"a type of a plain":      {UploadChecksum{}, func(c *Complete) { c.Type = Composite }, InvalidRequest, "using the null checksum mode"},
		"unknown part":           {UploadChecksum{}, func(c *Complete) { c.Parts[2].Number = 4 }, InvalidPart, ""},
		"another ETag":           {UploadChecksum{}, func(c *Complete) { c.Parts[2].ETag = "e" }, InvalidPart, ""},
		"a part left out":        {UploadChecksum{}, func(c *Complete) { c.Parts = c.Parts[1:] }, "", ""},
		"a small part":           {UploadChecksum{}, func(c *Complete) { c.Parts = append(c.Parts, CompletedPart{Number: 4, ETag: fmt.Sprintf("%032x", 4)}) }, EntityTooSmall, ""},
		"the size":               {UploadChecksum{}, func(c *Complete) { c.Size = 31 }, "", ""},
		"another size":           {UploadChecksum{}, func(c *Complete) { c.Size = 30 }, InvalidRequest, "31 does not match what was computed: 30"},
	} {
		u, named := upload(c.sum, 10, 20, 1, 1)
		complete := &Complete{Parts: named[:3], Size: -1}
		c.change(complete)
		stored := u.Part
		u.Part = func(n int) (Part, bool) { p, ok := stored(n); p.Plain = "AAAAAAAAAAE="; return p, ok }
		parts, sum, err := complete.Select(u)
		if codeOf(err) != c.code || err != nil && !strings.Contains(err.Error(), c.text) || err == nil && (len(parts) != len(complete.Parts) || !strings.HasSuffix(sum, c.text) || sum == "" && c.text != "") {
			t.Errorf("%s: %+v, %s, %v", name, parts, sum, err)
		}
		if c.code == InvalidPart && (fieldOf(err, "UploadId") != "id" || fieldOf(err, "PartNumber") == "") {
			t.Errorf("%s: %+v", name, err)
		}
		if c.code == EntityTooSmall && (fieldOf(err, "PartNumber") != "3" || fieldOf(err, "MinSizeAllowed") != "10" || fieldOf(err, "ProposedSize") != "1") {
			t.Errorf("%s: %+v", name, err)
		}
	}
	huge := UploadParts{Part: func(n int) (Part, bool) { return Part{Number: n, ETag: "e", Size: MaxPartBytes}, true }}
	complete := &Complete{Size: -1}
	for n := range 1025 {
		complete.Parts = append(complete.Parts, CompletedPart{Number: n + 1, ETag: "e"})
	}
	if _, _, err := complete.Select(huge); codeOf(err) != EntityTooLarge {
		t.Errorf("more than 5 TiB: %v", err)
	}
	complete.Parts = complete.Parts[:1024]
	if _, _, err := complete.Select(huge); err != nil {
		t.Errorf("5 TiB: %v", err)
	}
	// A record that lost its checksum is our fault, not the client's.
	lost := UploadParts{Checksum: full, Part: func(n int) (Part, bool) { return Part{Number: n, ETag: "e"}, true }}
	if _, _, err := complete.Select(lost); codeOf(err) != InternalError {
		t.Errorf("%v", err)
	}
}

func unnamed(c *Complete) {
	for i := range c.Parts {
		c.Parts[i].Algorithm, c.Parts[i].Checksum = "", ""
	}
}

// joined is the object's checksum without the number of parts.
func joined(sum UploadChecksum, sizes ...int64) string {
	_, named := upload(sum, sizes...)
	var parts []PartSum
	for i, p := range named {
		parts = append(parts, PartSum{p.Checksum, sizes[i]})
	}
	whole, err := sum.Join(parts)
	if err != nil {
		panic(err)
	}
	value, _, _ := splitComposite(whole)
	return value
}

func TestCompletedDocument(t *testing.T) {
	want := Completed{Location: "http://h/b/a%20b", Bucket: "b", Key: "a <b>", ETag: "e-2",
		Checksums: object.Headers{"x-amz-checksum-crc32": "AAAAAA==-2", "x-amz-checksum-type": "COMPOSITE"}}
	for name, doc := range map[string]string{
		"plain":       string(want.Document()),
		"white space": xmlDeclaration + strings.Repeat(" ", 1000) + strings.TrimPrefix(string(want.Document()), xmlDeclaration),
		"before it":   " \n  " + string(want.Document()),
	} {
		got, err := DecodeCompleted(strings.NewReader(doc))
		if err != nil || !reflect.DeepEqual(*got, want) {
			t.Errorf("%s: %+v, %v", name, got, err)
		}
	}
	doc := string(want.Document())
	for name, c := range map[string]struct {
		doc  string
		code Code
	}{
		"nothing":          {"", ""},
		"blanks":           {xmlDeclaration + "      ", ""},
		"cut":              {doc[:len(doc)-5], ""},
		"no ETag":          {"<CompleteMultipartUploadResult/>", ""},
		"another document": {"<html>ok</html>", ""},
		"bad checksum":     {"<CompleteMultipartUploadResult><ETag>e</ETag><ChecksumCRC32>x</ChecksumCRC32></CompleteMultipartUploadResult>", ""},
		"error":            {xmlDeclaration + "   <Error><Code>InternalError</Code><Message>m</Message></Error>", InternalError},
		"precondition":     {"<Error><Code>PreconditionFailed</Code></Error>", PreconditionFailed},
	} {
		got, err := DecodeCompleted(strings.NewReader(c.doc))
		var e *Error
		switch isS3 := errors.As(err, &e); {
		case err == nil, isS3 != (c.code != ""), isS3 && (e.Code != c.code || e.Status != 200):
			t.Errorf("%s: %+v, %v", name, got, err)
		}
	}
}

// FuzzComplete: of a document that we take, encoding/xml reads the same parts;
// they are in order and in bounds; and they come back from our document.
func FuzzComplete(f *testing.F) {
	for _, s := range []string{completeBody(part("1", "e", "")), completeBody(part("1", "\"e\"", sum32), part("2", "&quot;f&quot;", "")), completeBody(part("2", "e", ""), part("1", "e", "")),
		completeBody(part(" 7 ", " e ", "")), completeBody(part("0", "", "")), completeBody(part("00000000001", "e", "")), completeBody(strings.Repeat(part("1", "e", ""), 3)), "<!DOCTYPE a>"} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		c, err := ParseComplete(nil, bytes.NewReader(body))
		if err != nil {
			if code := codeOf(err); code != MalformedXML && code != InvalidPartOrder && code != InvalidArgument {
				t.Fatalf("%q: %v", body, err)
			}
			return
		}
		last := 0
		for _, p := range c.Parts {
			if p.Number <= last || p.Number > 10_000 {
				t.Fatalf("%q: part %d after %d", body, p.Number, last)
			}
			last = p.Number
		}
		again, err := ParseComplete(nil, bytes.NewReader(CompleteDocument(c.Parts)))
		if err != nil || !reflect.DeepEqual(again, c) && faithfulETags(c) {
			t.Fatalf("%q: %+v came back as %+v, %v", body, c, again, err)
		}
		if !strictXML(string(body)) {
			return
		}
		var std struct {
			XMLName xml.Name
			Part    []struct {
				PartNumber    int
				ETag          string
				ChecksumCRC32 string
			}
		}
		if err := xml.Unmarshal(body, &std); err != nil {
			t.Fatalf("%q is taken, encoding/xml says %v", body, err)
		}
		if std.XMLName.Local != "CompleteMultipartUpload" || len(std.Part) != len(c.Parts) {
			t.Fatalf("%q: %+v, encoding/xml has %+v", body, c, std)
		}
		for i, p := range std.Part {
			if p.PartNumber != c.Parts[i].Number || UnquoteETag(p.ETag) != c.Parts[i].ETag ||
				p.ChecksumCRC32 != "" && strings.TrimSpace(p.ChecksumCRC32) != c.Parts[i].Checksum {
				t.Fatalf("%q: %+v, encoding/xml has %+v", body, c.Parts[i], p)
			}
		}
	})
}

// faithfulETags leaves out ETags that quotes of their own change.
func faithfulETags(c *Complete) bool {
	for _, p := range c.Parts {
		if UnquoteETag(QuoteETag(p.ETag)) != p.ETag || UnquoteETag(p.ETag) != p.ETag {
			return false
		}
	}
	return true
}

// FuzzDecodeResults: whatever a backend sends, the readers of its short
// documents end with a result that is whole, or with an error.
func FuzzDecodeResults(f *testing.F) {
	for _, s := range []string{string((&Completed{ETag: "e", Key: "k"}).Document()), string((&Copied{ETag: "e"}).Document()), string((&Copied{ETag: "e"}).PartDocument()),
		string(InitiateDocument("b", "k", "id")), "<Error><Code>X</Code></Error>", "   <?xml version='1.0'?>  <Error/>", "<CopyObjectResult>"} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, doc []byte) {
		if c, err := DecodeCompleted(bytes.NewReader(doc)); err == nil {
			if c.ETag == "" || !bytes.Contains(bytes.ToLower(doc), []byte("</")) {
				t.Fatalf("%q: %+v", doc, c)
			}
			again, err := DecodeCompleted(bytes.NewReader(c.Document()))
			if err != nil || again.Key != c.Key || again.Bucket != c.Bucket || again.Location != c.Location {
				t.Fatalf("%q: %+v came back as %+v, %v", doc, c, again, err)
			}
		}
		if c, err := DecodeCopied(bytes.NewReader(doc)); err == nil && c.ETag == "" {
			t.Fatalf("%q: %+v", doc, c)
		}
		if id, err := DecodeInitiated(bytes.NewReader(doc)); err == nil {
			if again, err := DecodeInitiated(bytes.NewReader(InitiateDocument("b", "k", id))); err != nil || again != id {
				t.Fatalf("%q: %q came back as %q, %v", doc, id, again, err)
			}
		}
		root, _, _ := strings.Cut(strings.TrimSpace(string(doc)), ">")
		if strings.HasPrefix(root, "<Error") && (root == "<Error" || root == "<Error/") {
			if _, err := DecodeCompleted(bytes.NewReader(doc)); err == nil || codeOf(err) == "" {
				t.Fatalf("%q: %v", doc, err)
			}
		}
	})
}

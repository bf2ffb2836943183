package s3

import (
	"bytes"
	"encoding/xml"
	"io"
	"math/big"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/s3mirror/s3mirror/internal/object"
)

var oneRange = regexp.MustCompile(`^[bB][yY][tT][eE][sS]=(\d*)-(\d*)$`)

// rangeOf is RFC 9110, 14.1.2, read with numbers of any length. whole: the
// header is none that S3 honours. Otherwise the bytes are from to end, and
// nothing of them is there when from >= end.
func rangeOf(header string, size int64) (from, end int64, whole bool) {
	m := oneRange.FindStringSubmatch(header)
	if m == nil || m[1] == "" && m[2] == "" {
		return 0, size, true
	}
	a, b, n := new(big.Int), new(big.Int), big.NewInt(size)
	if m[1] == "" { // the last bytes
		b.SetString(m[2], 10)
		if size == 0 && b.Sign() > 0 {
			return 0, 0, true // all of nothing, as S3 has it
		}
		if b.Cmp(n) > 0 {
			b.Set(n)
		}
		return size - b.Int64(), size, false
	}
	a.SetString(m[1], 10)
	if b.Set(n); m[2] != "" {
		b.SetString(m[2], 10)
		if b.Cmp(a) < 0 {
			return 0, size, true
		}
		b.Add(b, big.NewInt(1))
	}
	if b.Cmp(n) > 0 {
		b.Set(n)
	}
	if a.Cmp(n) >= 0 {
		return size, size, false
	}
	return a.Int64(), b.Int64(), false
}

// FuzzRangeReference compares with the plain reading. Blanks around the parts
// are ours to forgive.
func FuzzRangeReference(f *testing.F) {
	for _, h := range []string{"bytes=0-0", "bytes=-0", "bytes=-5", "bytes=5-", "bytes=9-2", "bytes=0-1,3-4", "Bytes=1-2",
		"bytes=0-99999999999999999999", "bytes=99999999999999999999-", "bytes=-99999999999999999999", "bytes=+1-2", "octets=1-2", "bytes=1-2-3"} {
		for _, size := range []int64{0, 1, 5, 1 << 40} {
			f.Add(h, size)
		}
	}
	f.Fuzz(func(t *testing.T, header string, size int64) {
		if size < 0 || size == 1<<63-1 || strings.ContainsAny(header, " \t\r\n\v\f\u0085\u00a0") || strings.ContainsFunc(header, func(r rune) bool { return r > '~' }) {
			return
		}
		from, end, whole := rangeOf(header, size)
		r, err := ParseRange(header, size)
		switch {
		case whole:
			if err != nil || r.Partial || r.Length != size {
				t.Fatalf("%q of %d: %+v, %v, want all of it", header, size, r, err)
			}
		case from >= end:
			if codeOf(err) != InvalidRange {
				t.Fatalf("%q of %d: %+v, %v, want InvalidRange", header, size, r, err)
			}
		case err != nil || !r.Partial || r.Offset != from || r.Length != end-from:
			t.Fatalf("%q of %d: %+v, %v, want %d to %d", header, size, r, err, from, end)
		}
	})
}

// FuzzConditionsReference asks net/http's file server about the same object
// under the same conditions, in the grammar that both know.
func FuzzConditionsReference(f *testing.F) {
	f.Add(uint16(0), int8(0), int8(0))
	f.Add(uint16(0xffff), int8(1), int8(-1))
	f.Add(uint16(0x0124), int8(-1), int8(1))
	lists := []string{"", "*", `"abc"`, `"x"`, `"x", "abc"`, `"x", "y"`, `"abcd"`, `"ab,c", "z"`}
	at := modTime.Truncate(time.Second)
	info := object.Info{Kind: object.Present, ETag: "abc", Size: 5, ModTime: at}
	f.Fuzz(func(t *testing.T, choice uint16, modified, unmodified int8) {
		h := http.Header{}
		set := func(name, value string) {
			if value != "" {
				h.Set(name, value)
			}
		}
		set("If-Match", lists[choice&7])
		set("If-None-Match", lists[choice>>3&7])
		date := func(offset int8) string { return at.Add(time.Duration(offset) * time.Second).Format(http.TimeFormat) }
		if choice&64 != 0 {
			set("If-Modified-Since", date(modified))
		}
		if choice&128 != 0 {
			set("If-Unmodified-Since", date(unmodified))
		}
		r := httptest.NewRequest("GET", "/", nil)
		r.Header = h
		w := httptest.NewRecorder()
		w.Header().Set("ETag", `"abc"`)
		http.ServeContent(w, r, "", at, strings.NewReader("12345"))
		got := http.StatusOK
		switch codeOf(ParseReadConditions(h).Check(info)) {
		case NotModified:
			got = http.StatusNotModified
		case PreconditionFailed:
			got = http.StatusPreconditionFailed
		}
		if got != w.Code {
			t.Fatalf("%v: %d, net/http says %d", h, got, w.Code)
		}
	})
}

// FuzzCreateBucketReference: what we take, encoding/xml takes too, and it reads
// the same.
func FuzzCreateBucketReference(f *testing.F) {
	for _, s := range []string{"", "<CreateBucketConfiguration/>", "<CreateBucketConfiguration xmlns='http://s3.amazonaws.com/doc/2006-03-01/'><LocationConstraint> eu </LocationConstraint></CreateBucketConfiguration>",
		"<CreateBucketConfiguration><LocationConstraint>a</LocationConstraint></CreateBucketConfiguration>x",
		"<CreateBucketConfiguration><LocationConstraint>a&amp;b</LocationConstraint><!-- c --></CreateBucketConfiguration>",
		"<CreateBucketConfiguration><LocationConstraint><a/></LocationConstraint></CreateBucketConfiguration>", "<a/>", "<!DOCTYPE a>",
		strings.Repeat("<a>", 1000)} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		made, err := ParseCreateBucket(bytes.NewReader(body))
		if err != nil || len(bytes.TrimSpace(body)) == 0 || !strictXML(string(body)) {
			return
		}
		var std struct {
			XMLName            xml.Name
			LocationConstraint []string
		}
		d := xml.NewDecoder(bytes.NewReader(body))
		if err := d.Decode(&std); err != nil {
			t.Fatalf("%q is taken, encoding/xml says %v", body, err)
		}
		last := ""
		if n := len(std.LocationConstraint); n > 0 {
			last = std.LocationConstraint[n-1]
		}
		if std.XMLName.Local != "CreateBucketConfiguration" || strings.TrimSpace(last) != made.Location {
			t.Fatalf("%q: location %q, encoding/xml has %+v", body, made.Location, std)
		}
		if tok, err := d.Token(); err != io.EOF && (err != nil || strings.TrimSpace(text(tok)) != "") {
			t.Fatalf("%q is taken in spite of what follows: %v, %v", body, tok, err)
		}
	})
}

// text is the text of a token; something else stands for itself.
func text(tok xml.Token) string {
	switch tok := tok.(type) {
	case xml.CharData:
		return string(tok)
	case xml.Comment:
		return ""
	}
	return "?"
}

// FuzzListingReference: of a listing that we and encoding/xml take, both read
// the same keys, ETags and sizes.
func FuzzListingReference(f *testing.F) {
	f.Add([]byte("<ListBucketResult><IsTruncated>false</IsTruncated><Contents><Key>k</Key><Size>1</Size></Contents><CommonPrefixes><Prefix>p/</Prefix></CommonPrefixes></ListBucketResult>"))
	f.Add([]byte("<ListBucketResult><EncodingType>url</EncodingType><Contents><Key>a%2Fb+c</Key></Contents></ListBucketResult>"))
	f.Add([]byte("<ListBucketResult><Contents><Key>a&lt;b</Key><Owner><ID>x</ID></Owner></Contents><Contents><Key>c</Key></Contents></ListBucketResult>"))
	f.Fuzz(func(t *testing.T, doc []byte) {
		got, err := DecodeListing(bytes.NewReader(doc))
		if err != nil || !strictXML(string(doc)) {
			return
		}
		var std struct {
			EncodingType []string
			Contents     []struct{ Key, ETag, Size []string }
		}
		if err := xml.Unmarshal(doc, &std); err != nil {
			t.Fatalf("%q is taken, encoding/xml says %v", doc, err)
		}
		if len(std.EncodingType) > 0 {
			return // the keys are decoded then: FuzzListRoundTrip
		}
		if len(std.Contents) != len(got.Objects) {
			t.Fatalf("%q: %d objects, encoding/xml has %d", doc, len(got.Objects), len(std.Contents))
		}
		for i, o := range got.Objects {
			if keys := std.Contents[i].Key; len(keys) == 1 && keys[0] != o.Key {
				t.Fatalf("%q: key %q, encoding/xml has %q", doc, o.Key, keys[0])
			}
			if etags := std.Contents[i].ETag; len(etags) == 1 && UnquoteETag(etags[0]) != o.ETag {
				t.Fatalf("%q: ETag %q, encoding/xml has %q", doc, o.ETag, etags[0])
			}
			if sizes := std.Contents[i].Size; len(sizes) == 1 && strings.TrimSpace(sizes[0]) != "" {
				if n, err := strconv.ParseInt(strings.TrimSpace(sizes[0]), 10, 64); err != nil || n != o.Size {
					t.Fatalf("%q: size %d, encoding/xml has %q", doc, o.Size, sizes[0])
				}
			}
		}
	})
}

package s3

import (
	"bytes"
	"encoding/xml"
	"errors"
	"io"
	"strings"
	"testing"
	"time"
)

// outline shows a document as its events: "<a", text in quotes, ">".
func outline(doc string) (string, error) {
	x := newXMLReader(strings.NewReader(doc), 1<<20)
	var out []string
	text := ""
	flush := func() {
		if text != "" {
			out = append(out, "'"+text+"'")
			text = ""
		}
	}
	for {
		kind, value, err := x.token()
		if err != nil {
			flush()
			if errors.Is(err, io.EOF) && len(x.open) == 0 {
				err = nil
			}
			return strings.Join(out, " "), err
		}
		switch kind {
		case xmlText:
			text += string(value)
		case xmlStart:
			flush()
			out = append(out, "<"+string(value))
		case xmlEnd:
			flush()
			out = append(out, ">")
		}
	}
}

func TestXMLReader(t *testing.T) {
	for doc, want := range map[string]string{
		"<a/>":                        "<a >",
		"<a></a>":                     "<a >",
		"\ufeff<a />":                 "<a >",
		"<a b='1' c = \"2>\"\n/>":     "<a >",
		"<n:a xmlns:n=\"x\">t</n:a >": "<a 't' >",
		"<?xml version=\"1.1\" encoding='utf-8'?> <a/>":              "' ' <a >",
		"<?xml version=\"1.0\"?><a/>":                                "<a >",
		"<?pi x?><a/>":                                               "<a >",
		"<a><!-- <b> --> x <c/></a>":                                 "<a ' x ' <c > >",
		"<a>x<![CDATA[<&]]>y</a>":                                    "<a 'x<&y' >",
		"<a>&amp;&lt;&gt;&quot;&apos;&#65;&#x42;&#x1;&#x10FFFF;</a>": "<a '&<>\"'AB\x01\U0010FFFF' >",
		"<a> \r\n\t</a>":                                             "<a ' \r\n\t' >",
	} {
		if got, err := outline(doc); err != nil || got != want {
			t.Errorf("%q: %q, %v; want %q", doc, got, err, want)
		}
	}
	for doc, want := range map[string]error{
		"<a":                      io.ErrUnexpectedEOF,
		"<":                       io.ErrUnexpectedEOF,
		"<a/":                     io.ErrUnexpectedEOF,
		"<a b":                    io.ErrUnexpectedEOF,
		"<a b=":                   io.ErrUnexpectedEOF,
		"<a b='":                  io.ErrUnexpectedEOF,
		"<a></a":                  io.ErrUnexpectedEOF,
		"<a><!-- ":                io.ErrUnexpectedEOF,
		"<a><![CDATA[x":           io.ErrUnexpectedEOF,
		"<?xml":                   io.ErrUnexpectedEOF,
		"<a>":                     io.EOF, // with an element open
		"< a/>":                   errXMLSyntax,
		"<1a/>":                   errXMLSyntax,
		"<a b/>":                  errXMLSyntax,
		"<a b=c/>":                errXMLSyntax,
		"<a b='1'c='2'/>":         errXMLSyntax,
		"<a b='<'/>":              errXMLSyntax,
		"<a =''/>":                errXMLSyntax,
		"<a / >":                  errXMLSyntax,
		"</a>":                    errXMLSyntax,
		"<a></b>":                 errXMLSyntax,
		"<n:a></a>":               errXMLSyntax,
		"<a>&</a>":                errXMLSyntax,
		"<a>&;</a>":               errXMLSyntax,
		"<a>&nbsp;</a>":           errXMLSyntax,
		"<a>&#;</a>":              errXMLSyntax,
		"<a>&#0;</a>":             errXMLSyntax,
		"<a>&#xD800;</a>":         errXMLSyntax,
		"<a>&#x110000;</a>":       errXMLSyntax,
		"<a>&#-1;</a>":            errXMLSyntax,
		"<a>\xff</a>":             errXMLEncoding,
		"<a><![CDATA[\xff]]></a>": errXMLEncoding,
		"<?xml version='1.0' encoding='latin1'?><a/>": errXMLEncoding,
		"<!DOCTYPE a><a/>":                            errXMLDoctype,
		strings.Repeat("<a>", maxXMLDepth+1):          errXMLTooDeep,
	} {
		if got, err := outline(doc); !errors.Is(err, want) {
			t.Errorf("%q: %q, %v; want %v", doc, got, err, want)
		}
	}
}

func TestXMLReaderIsBounded(t *testing.T) {
	for max, want := range map[int64]error{4: nil, 3: errXMLTooLong} {
		x := newXMLReader(strings.NewReader("<a/>"), max)
		_, err := x.root()
		if err == nil {
			if err = x.skip(); err == nil {
				err = x.end()
			}
		}
		if !errors.Is(err, want) {
			t.Errorf("%d bytes: %v", max, err)
		}
	}
}

// Whatever our writer writes for people is well-formed.
func FuzzXMLWords(f *testing.F) {
	f.Add("a&b<c>\"'\x00\x01\ufffe\xff")
	f.Fuzz(func(t *testing.T, s string) {
		x := newXML(64)
		x.words("a", s)
		var got struct {
			Text string `xml:",chardata"`
		}
		if err := xml.Unmarshal(x.bytes(), &got); err != nil {
			t.Fatalf("%q: %v", s, err)
		}
		if legalText(s) && got.Text != s {
			t.Fatalf("%q came back as %q", s, got.Text)
		}
	})
}

// On what encoding/xml reads, our reader sees the same events; where ours is
// content, encoding/xml is too, or has one of the known reasons.
func FuzzXMLReader(f *testing.F) {
	for _, doc := range []string{"<a>x</a>", "<?xml version='1.0'?><n:a b='c'><!-- x --><b/>&amp;</n:a>", "<a><![CDATA[x]]>y</a>", "<a>&#x1;</a>", "<!DOCTYPE a>"} {
		f.Add(doc)
	}
	f.Fuzz(func(t *testing.T, doc string) {
		got, err := outline(doc)
		want, stdErr := stdOutline(doc)
		if stdErr != nil || err != nil {
			if stdErr == nil && !errors.Is(err, errXMLDoctype) && !errors.Is(err, errXMLTooDeep) && strictXML(doc) {
				t.Fatalf("%q is refused: %v", doc, err)
			}
			return
		}
		if got != want && strictXML(doc) {
			t.Fatalf("%q: %q, encoding/xml has %q", doc, got, want)
		}
	})
}

// strictXML leaves out where the two readers differ on purpose or by the
// leniency of encoding/xml: line ends, names beyond ASCII, namespaces, attributes.
func strictXML(doc string) bool {
	for i := range len(doc) {
		if doc[i] >= 0x80 || doc[i] == '\r' || doc[i] == ':' || doc[i] == '=' || doc[i] == '?' || doc[i] == '!' || doc[i] == 0 {
			return false
		}
	}
	return true
}

func stdOutline(doc string) (string, error) {
	d := xml.NewDecoder(strings.NewReader(doc))
	var out []string
	var text bytes.Buffer
	flush := func() {
		if text.Len() > 0 {
			out = append(out, "'"+text.String()+"'")
			text.Reset()
		}
	}
	for {
		tok, err := d.Token()
		if err != nil {
			flush()
			if errors.Is(err, io.EOF) {
				err = nil
			}
			return strings.Join(out, " "), err
		}
		switch tok := tok.(type) {
		case xml.CharData:
			text.Write(tok)
		case xml.StartElement:
			flush()
			out = append(out, "<"+tok.Name.Local)
		case xml.EndElement:
			flush()
			out = append(out, ">")
		}
	}
}

// FuzzPlainTime: what is taken for a plain time is the time that it is, and what this
// package writes is.
func FuzzPlainTime(f *testing.F) {
	for _, s := range []string{
		"2026-03-01T12:00:00.793Z", "2026-03-01T12:00:00Z", "2024-02-29T23:59:59.999Z", "2023-02-29T00:00:00Z", "2026-04-31T00:00:00Z",
		"0000-01-01T00:00:00Z", "9999-12-31T23:59:59.000Z", "2026-13-01T00:00:00Z", "2026-00-01T00:00:00Z", "2026-01-00T00:00:00Z",
		"2026-01-01T24:00:00Z", "2026-01-01T00:60:00Z", "2026-01-01T00:00:60Z", "2026-01-01T00:00:00+01:00", "2026-01-01T00:00:00.7Z",
		"2026-01-01T00:00:00.:00Z", ":026-01-01T00:00:00Z", "2026-01-01T00:00:00", "2026-1-01T00:00:00Z", "2026-01-01T00:00:0/.000Z", "",
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, s []byte) {
		got, ok := plainTime(s)
		want, err := time.Parse(time.RFC3339, string(s))
		if ok && (err != nil || got != want) {
			t.Fatalf("%q is %v, time.Parse says %v, %v", s, got, want, err)
		}
		if err != nil || want.Year() < 0 || want.Year() > 9999 {
			return
		}
		if got, ok := plainTime(appendTime(nil, want.UTC())); want.UTC().Year() <= 9999 && want.UTC().Year() >= 0 && (!ok || !got.Equal(want.Truncate(time.Second))) {
			t.Fatalf("%v as we write it is %v, %v", want, got, ok)
		}
	})
}

func TestPlainTimes(t *testing.T) {
	for s, plain := range map[string]bool{
		"2026-03-01T12:00:00.793Z": true, "2026-03-01T12:00:00Z": true, "2024-02-29T23:59:59.999Z": true,
		"2026-03-01T12:00:00.7Z": false, "2026-03-01T12:00:00+00:00": false, "2023-02-29T00:00:00Z": false,
	} {
		if _, ok := plainTime([]byte(s)); ok != plain {
			t.Errorf("%s: %v", s, ok)
		}
	}
}

// TestPlainEntries: what most servers write is read without looking at its tokens one by
// one, and what is not is read all the same.
func TestPlainEntries(t *testing.T) {
	for doc, plain := range map[string]bool{
		`<Contents><Key>k</Key><LastModified>2026-03-01T12:00:00.793Z</LastModified><ETag>&#34;abc&#34;</ETag><Size>5</Size><StorageClass>STANDARD</StorageClass></Contents>`: true,
		`<Contents><Key>k</Key><LastModified>2026-03-01T12:00:00Z</LastModified><ETag>"abc"</ETag><ChecksumAlgorithm>CRC32</ChecksumAlgorithm><Size>5</Size></Contents>`:      true,
		`<Contents><ETag>&quot;abc&quot;</ETag><Size>5</Size><Key>k</Key><StorageClass>GLACIER</StorageClass></Contents>`:                                                     true,
		`<Contents><Key>k</Key><ETag>&quot;abc&quot;</ETag><Size>5</Size><Owner><ID>i</ID></Owner></Contents>`:                                                                false,
		`<Contents><Key>k</Key><ETag>abc</ETag><Size>5</Size></Contents>`:                                                                                                     false,
		`<Contents><Key>&#107;</Key><ETag>&quot;abc&quot;</ETag><Size>5</Size></Contents>`:                                                                                    false,
		`<Contents> <Key>k</Key><ETag>&quot;abc&quot;</ETag><Size>5</Size></Contents>`:                                                                                        false,
		`<Contents><Key>k</Key><ETag>&quot;abc&quot;</ETag><Size> 5</Size></Contents>`:                                                                                        false,
		`<Contents><Key>k</Key><ETag>&quot;abc&quot;</ETag><Size>5</Size><Other/></Contents>`:                                                                                 false,
		`<Contents><Key>k</Key><ETag>&quot;abc&quot;</ETag><Size>5</Size><LastModified>2026-03-01T12:00:00+00:00</LastModified></Contents>`:                                   false,
	} {
		x := &xmlReader{b: []byte(doc), utf8: true}
		if x.plainEntry(&Listing{}) != plain {
			t.Errorf("%s: plain is not %v", doc, plain)
		}
		if want := len(doc); plain && x.pos != want || !plain && x.pos != 0 {
			t.Errorf("%s: read up to %d", doc, x.pos)
		}
		l, err := DecodeListing(strings.NewReader("<ListBucketResult>" + doc + "</ListBucketResult>"))
		if err != nil || len(l.Objects) != 1 || l.Objects[0].Key != "k" || l.Objects[0].ETag != "abc" || l.Objects[0].Size != 5 {
			t.Errorf("%s: %+v, %v", doc, l, err)
		}
	}
}

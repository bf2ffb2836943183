package s3

import (
	"strconv"
	"strings"
	"sync"
	"time"
	"unicode/utf8"
)

const (
	contentTypeXML = "application/xml"
	xmlDeclaration = `<?xml version="1.0" encoding="UTF-8"?>` + "\n"

	// Namespace of every document but Error.
	Namespace = "http://s3.amazonaws.com/doc/2006-03-01/"

	// timeFormat is the one AWS writes into documents: UTC, milliseconds, which are
	// always 000: a list says the second that Last-Modified says.
	timeFormat = "2006-01-02T15:04:05.000Z"
)

// xmlWriter builds one document. It is ours because encoding/xml writes U+FFFD
// in place of what XML 1.0 cannot hold, which silently turns a key into another
// one.
type xmlWriter struct{ b []byte }

func newXML(capacity int) *xmlWriter {
	x := &xmlWriter{b: make([]byte, 0, capacity)}
	x.begin()
	return x
}

// xmlWriters are for documents that are written out and then forgotten.
var xmlWriters = sync.Pool{New: func() any { return new(xmlWriter) }}

// begin begins a document, in the memory of the last one.
func (x *xmlWriter) begin() { x.b = append(x.b[:0], xmlDeclaration...) }

func (x *xmlWriter) bytes() []byte { return x.b }

func (x *xmlWriter) open(name string) {
	x.b = append(append(append(x.b, '<'), name...), '>')
}

func (x *xmlWriter) openNamespace(name string) {
	x.b = append(append(append(x.b, '<'), name...), ` xmlns="`+Namespace+`">`...)
}

func (x *xmlWriter) close(name string) {
	x.b = append(append(append(x.b, '<', '/'), name...), '>')
}

// text writes an element whose value has to come back byte for byte.
func (x *xmlWriter) text(name, value string) {
	x.open(name)
	x.b = appendText(x.b, value, true)
	x.close(name)
}

// words writes an element for people; the document stays well-formed whatever
// the value holds.
func (x *xmlWriter) words(name, value string) {
	x.open(name)
	x.b = appendText(x.b, value, false)
	x.close(name)
}

func (x *xmlWriter) int(name string, value int64) {
	x.open(name)
	x.b = strconv.AppendInt(x.b, value, 10)
	x.close(name)
}

func (x *xmlWriter) bool(name string, value bool) {
	x.open(name)
	x.b = strconv.AppendBool(x.b, value)
	x.close(name)
}

func (x *xmlWriter) time(name string, value time.Time) {
	x.open(name)
	x.b = appendTime(x.b, value.UTC())
	x.close(name)
}

// appendTime writes a time of UTC in timeFormat.
func appendTime(b []byte, t time.Time) []byte {
	year, month, day := t.Date()
	if year < 0 || year > 9999 {
		return t.Truncate(time.Second).AppendFormat(b, timeFormat)
	}
	hour, minute, second := t.Clock()
	b = appendTwo(appendTwo(b, year/100), year%100)
	b = appendTwo(append(b, '-'), int(month))
	b = appendTwo(append(b, '-'), day)
	b = appendTwo(append(b, 'T'), hour)
	b = appendTwo(append(b, ':'), minute)
	b = appendTwo(append(b, ':'), second)
	return append(b, ".000Z"...)
}

// plainTime reads a time of UTC in timeFormat, or in whole seconds. ok is false for any
// other form, some of which are times as well.
func plainTime(s []byte) (t time.Time, ok bool) {
	const form = "2006-01-02T15:04:05"
	if len(s) <= len(form) || s[4] != '-' || s[7] != '-' || s[10] != 'T' || s[13] != ':' || s[16] != ':' {
		return t, false
	}
	nanos := 0
	switch rest := s[len(form):]; {
	case len(rest) == 5 && rest[0] == '.' && rest[4] == 'Z':
		nanos = (10*two(rest[1:]) + digit(rest[3])) * int(time.Millisecond)
	case string(rest) != "Z":
		return t, false
	}
	year, month, day := 100*two(s)+two(s[2:]), two(s[5:]), two(s[8:])
	hour, minute, second := two(s[11:]), two(s[14:]), two(s[17:])
	if min(year, nanos) < 0 || month < 1 || month > 12 || day < 1 || day > 28 && day > daysIn(year, month) ||
		uint(hour) > 23 || uint(minute) > 59 || uint(second) > 59 {
		return t, false
	}
	return time.Date(year, time.Month(month), day, hour, minute, second, nanos, time.UTC), true
}

// two is the number that two digits make. What is none is so far below zero that no
// number it is a part of is anything else.
func two(s []byte) int { return 10*digit(s[0]) + digit(s[1]) }

func digit(c byte) int {
	if c -= '0'; c > 9 {
		return -1 << 20
	}
	return int(c)
}

// daysIn is the number of days of a month, by the day before the next one's first.
func daysIn(year, month int) int {
	return time.Date(year, time.Month(month+1), 0, 0, 0, 0, 0, time.UTC).Day()
}

func appendTwo(b []byte, n int) []byte { return append(b, byte('0'+n/10), byte('0'+n%10)) }

// etag writes an ETag, in the quotes that belong to it.
func (x *xmlWriter) etag(value string) {
	const quote = "&quot;"
	x.open("ETag")
	x.b = append(x.b, quote...)
	x.b = appendText(x.b, value, true)
	x.b = append(x.b, quote...)
	x.close("ETag")
}

// appendText escapes character data. Markup, quotes, tab, CR and LF become
// references, so that no parser's line-end rules change them. What XML 1.0
// cannot hold at all (control characters, U+FFFE, U+FFFF) becomes a numeric
// reference too when the value must be faithful, as AWS writes it: strict
// parsers then refuse the page, loudly, and the client asks again with
// encoding-type=url; U+FFFD would be a wrong key that looks right. For people
// it becomes U+FFFD, and so do bytes that are no UTF-8, which no document can
// hold and no request can name.
func appendText(b []byte, s string, faithful bool) []byte {
	for i := 0; i < len(s); {
		if n := plainRun(s[i:]); n > 0 {
			b = append(b, s[i:i+n]...)
			i += n
			continue
		}
		r, size := utf8.DecodeRuneInString(s[i:])
		switch {
		case r == '&':
			b = append(b, "&amp;"...)
		case r == '<':
			b = append(b, "&lt;"...)
		case r == '>':
			b = append(b, "&gt;"...)
		case r == '"':
			b = append(b, "&quot;"...)
		case r == '\'':
			b = append(b, "&#39;"...)
		case r == utf8.RuneError && size == 1, !xmlChar(r) && !faithful:
			b = append(b, "\uFFFD"...)
		case !xmlChar(r), r < ' ':
			b = append(b, "&#x"...)
			b = strconv.AppendInt(b, int64(r), 16)
			b = append(b, ';')
		default:
			b = append(b, s[i:i+size]...)
		}
		i += size
	}
	return b
}

// plainRun is how many bytes at the beginning of s stand for themselves: characters of
// ASCII that are neither markup nor control characters.
func plainRun(s string) int {
	for i := range len(s) {
		if !plainBytes[s[i]] {
			return i
		}
	}
	return len(s)
}

var plainBytes = func() (plain [256]bool) {
	for c := ' '; c <= '~'; c++ {
		plain[c] = !strings.ContainsRune(`&<>"'`, c)
	}
	return plain
}()

// xmlChar is the Char production of XML 1.0; surrogates do not occur in UTF-8.
func xmlChar(r rune) bool {
	return r >= ' ' && r != 0xFFFE && r != 0xFFFF || r == '\t' || r == '\n' || r == '\r'
}

func (x *xmlWriter) owner(o Owner) {
	x.open("Owner")
	x.text("ID", o.ID)
	x.text("DisplayName", o.DisplayName)
	x.close("Owner")
}

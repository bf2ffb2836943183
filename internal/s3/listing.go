package s3

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"
	"unicode/utf8"
)

const (
	// maxListBytes bounds a backend's page: 1,000 keys of 1,024 bytes, each
	// byte escaped as a reference, and as much again for the rest.
	maxListBytes = 16 << 20
	// keptBytes bounds the buffers that are kept for the next document.
	keptBytes = 1 << 20
	// minEntryBytes is less than any entry has: its tags, an hour and an ETag.
	minEntryBytes = 128
	// wordsBytes holds the keys and ETags of some hundred entries.
	wordsBytes = 32 << 10
)

// Listing is one page as a backend sent it: keys decoded, in the order sent,
// which is only assumed to be that of bytes. Its strings are parts of larger
// ones: whoever keeps one of them for long clones it.
type Listing struct {
	Objects        []ListEntry
	CommonPrefixes []string
	Truncated      bool
	NextToken      string // NextContinuationToken, opaque
}

var errEntry = errors.New("entry without a key, or of negative size")

// documents are buffers for what is read before it becomes one string.
var documents = sync.Pool{New: func() any { return new(bytes.Buffer) }}

// DecodeListing reads the ListBucketResult of a backend, with or without a
// namespace. Keys are URL-decoded if and only if the answer says that they are
// encoded: some servers ignore encoding-type and send them raw. Blanks at the
// ends of keys stay. An Error document, which may come with status 200, is
// returned as an *Error of that status; a document that ends early or is no
// list is an error, never a short page.
func DecodeListing(r io.Reader) (*Listing, error) {
	buf := documents.Get().(*bytes.Buffer)
	buf.Reset()
	defer func() {
		if buf.Cap() <= keptBytes {
			documents.Put(buf)
		}
	}()
	d := readXML(buf, r, maxListBytes)
	d.utf8 = utf8.Valid(d.b)
	root, err := d.root()
	switch {
	case err != nil:
		return nil, fmt.Errorf("read list: %w", err)
	case root == "Error":
		return nil, d.errorFields(http.StatusOK)
	case root != "ListBucketResult":
		return nil, fmt.Errorf("read list: %w", errUnexpectedElement(root))
	}
	l := &Listing{}
	encoding := ""
	for over := false; !over; {
		if d.plainEntry(l) {
			continue
		}
		if over, err = d.child(func(name []byte) error { return d.listing(name, l, &encoding) }); err != nil {
			return nil, fmt.Errorf("read list: %w", err)
		}
	}
	if err := d.end(); err != nil {
		return nil, fmt.Errorf("read list: %w", err)
	}
	if strings.EqualFold(encoding, "url") {
		if err := l.decode(); err != nil {
			return nil, fmt.Errorf("read list: %w", err)
		}
	}
	return l, nil
}

// listing reads one child of ListBucketResult.
func (x *xmlReader) listing(name []byte, l *Listing, encoding *string) (err error) {
	switch string(name) {
	case "Contents":
		err = x.entry(l.next(x))
	case "CommonPrefixes":
		err = x.commonPrefixes(&l.CommonPrefixes)
	case "IsTruncated":
		l.Truncated, err = x.truth()
	case "NextContinuationToken":
		l.NextToken, err = x.text()
	case "EncodingType":
		*encoding, err = x.text()
	default:
		err = x.skip()
	}
	return err
}

// next makes room for an entry. No entry is shorter than minEntryBytes: where the first
// one begins it is known how many there may be.
func (l *Listing) next(x *xmlReader) *ListEntry {
	if l.Objects == nil {
		l.Objects = make([]ListEntry, 0, min(1+(len(x.b)-x.pos)/minEntryBytes, MaxKeys))
	}
	l.Objects = append(l.Objects, ListEntry{})
	return &l.Objects[len(l.Objects)-1]
}

// plainEntry reads one element Contents in the words that nearly every server uses. It is
// false, and nothing was read, where anything else stands, were it the same in other
// words: entry reads that.
func (x *xmlReader) plainEntry(l *Listing) bool {
	from := x.pos
	if !x.utf8 || x.selfClosed || !x.skipped("<Contents>") {
		return false
	}
	o := l.next(x)
	for !x.skipped("</Contents>") {
		if !x.plainChild(o) {
			return l.undo(x, from)
		}
	}
	return o.Key != "" || l.undo(x, from)
}

// undo forgets the entry that next made room for, and what was read of it. It is false.
func (l *Listing) undo(x *xmlReader, from int) bool {
	l.Objects = l.Objects[:len(l.Objects)-1]
	x.pos = from
	return false
}

// plainChild reads one child of Contents that is a leaf.
func (x *xmlReader) plainChild(o *ListEntry) (ok bool) {
	if len(x.b)-x.pos < 2 {
		return false
	}
	var text []byte
	switch x.b[x.pos+1] {
	case 'K':
		if text, ok = x.plain("<Key>", "</Key>"); ok {
			o.Key = x.word(text)
			return bytes.IndexByte(text, '&') < 0
		}
	case 'L':
		if text, ok = x.plain("<LastModified>", "</LastModified>"); ok {
			o.ModTime, ok = plainTime(text)
			return ok
		}
	case 'E':
		if text, ok = x.plain("<ETag>", "</ETag>"); ok {
			if text, ok = quotedETag(text); ok {
				o.ETag = x.word(text)
			}
			return ok
		}
	case 'S':
		if x.skipped("<StorageClass>STANDARD</StorageClass>") {
			return true
		}
		if text, ok = x.plain("<Size>", "</Size>"); ok {
			o.Size, ok = plainSize(text)
			return ok
		}
	}
	name, text, ok := x.leaf()
	return ok && !listed(name) && checkReferences(text) == nil
}

// plainSize reads a number that is written in digits alone.
func plainSize(text []byte) (n int64, ok bool) {
	if len(text) == 0 || len(text) > 18 {
		return 0, false
	}
	for _, c := range text {
		if c -= '0'; c > 9 {
			return 0, false
		}
		n = 10*n + int64(c)
	}
	return n, true
}

// word keeps a text beyond its document, together with others.
func (x *xmlReader) word(text []byte) string {
	if x.words.Cap()-x.words.Len() < len(text) {
		x.words = strings.Builder{} // what was kept so far stays where it is
		x.words.Grow(max(len(text), wordsBytes))
	}
	n := x.words.Len()
	x.words.Write(text)
	return x.words.String()[n:]
}

// entry reads one element Contents. Nearly all of it are leaves.
func (x *xmlReader) entry(o *ListEntry) (err error) {
	for over := false; !over && err == nil; {
		if name, text, ok := x.leaf(); ok {
			err = o.take(name, text)
			continue
		}
		over, err = x.child(func(name []byte) error {
			if !listed(name) {
				return x.skip()
			}
			text, err := x.text()
			if err == nil {
				err = o.takeText(name, text)
			}
			return err
		})
	}
	if err == nil && (o.Key == "" || o.Size < 0) {
		err = errEntry
	}
	return err
}

// listed tells whether a child of Contents is of interest.
func listed(name []byte) bool {
	switch string(name) {
	case "Key", "ETag", "Size", "LastModified":
		return true
	}
	return false
}

// take is takeText for a text whose references are not resolved yet.
func (o *ListEntry) take(name, raw []byte) error {
	if !listed(name) {
		return checkReferences(raw)
	}
	text, err := decodeText(raw)
	if err != nil {
		return err
	}
	return o.takeText(name, string(text))
}

// checkReferences refuses a text that is not well-formed.
func checkReferences(raw []byte) error {
	_, err := decodeText(raw)
	return err
}

// quotedETag takes the quotes off an ETag that has them in one of three forms and is plain
// otherwise, which is how servers write it.
func quotedETag(raw []byte) (etag []byte, ok bool) {
	n := 1
	if len(raw) > 0 && raw[0] == '&' {
		n = len("&quot;")
		if len(raw) < n || string(raw[:n]) != "&quot;" {
			n = len("&#34;")
		}
	}
	if len(raw) < 2*n {
		return nil, false
	}
	quote, etag := string(raw[:n]), raw[n:len(raw)-n]
	ok = (n == len("&quot;") || quote == "&#34;" || quote == `"`) && string(raw[len(raw)-n:]) == quote
	return etag, ok && bytes.IndexByte(etag, '&') < 0 && bytes.IndexByte(etag, '"') < 0
}

// takeText takes the text of a child that is listed.
func (o *ListEntry) takeText(name []byte, text string) (err error) {
	switch string(name) {
	case "Key":
		o.Key = text
	case "ETag":
		o.ETag = UnquoteETag(text)
	case "Size":
		o.Size, err = strconv.ParseInt(strings.TrimSpace(text), 10, 64)
	case "LastModified":
		o.ModTime, err = time.Parse(time.RFC3339, strings.TrimSpace(text))
	}
	return err
}

func (l *Listing) decode() (err error) {
	for i := range l.Objects {
		if l.Objects[i].Key, err = DecodeQuery(l.Objects[i].Key); err != nil {
			return err
		}
	}
	for i := range l.CommonPrefixes {
		if l.CommonPrefixes[i], err = DecodeQuery(l.CommonPrefixes[i]); err != nil {
			return err
		}
	}
	return nil
}

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
)

const (
	// maxListBytes bounds a backend's page: 1,000 keys of 1,024 bytes, each
	// byte escaped as a reference, and as much again for the rest.
	maxListBytes = 16 << 20
	// keptBytes bounds the buffers that are kept for the next document.
	keptBytes = 1 << 20
)

// Listing is one page as a backend sent it: keys decoded, in the order sent,
// which is only assumed to be that of bytes. Its strings are parts of one
// document: whoever keeps one of them for long clones it.
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
	d.whole = string(d.b)
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
	if err := d.children(func(name []byte) error { return d.listing(name, l, &encoding) }); err != nil {
		return nil, fmt.Errorf("read list: %w", err)
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
		var o ListEntry
		from := x.pos
		o, err = x.entry()
		if l.Objects == nil { // the others will be about as long
			l.Objects = make([]ListEntry, 0, min(1+len(x.b)/(1+x.pos-from), MaxKeys))
		}
		l.Objects = append(l.Objects, o)
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

// entry reads one element Contents. Nearly all of it are leaves.
func (x *xmlReader) entry() (o ListEntry, err error) {
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
	return o, err
}

// listed tells whether a child of Contents is of interest.
func listed(name []byte) bool {
	switch string(name) {
	case "Key", "ETag", "Size", "LastModified", "StorageClass":
		return true
	}
	return false
}

// take is takeText for a text whose references are not resolved yet.
func (o *ListEntry) take(name []byte, raw string) error {
	if !listed(name) {
		return checkReferences(raw)
	}
	if strings.IndexByte(raw, '&') < 0 {
		return o.takeText(name, raw)
	}
	if etag, ok := quotedETag(raw); ok && string(name) == "ETag" {
		o.ETag = etag
		return nil
	}
	text, err := decodeText([]byte(raw))
	if err != nil {
		return err
	}
	return o.takeText(name, string(text))
}

// checkReferences refuses a text that is not well-formed.
func checkReferences(raw string) (err error) {
	if strings.IndexByte(raw, '&') >= 0 {
		_, err = decodeText([]byte(raw))
	}
	return err
}

// quotedETag takes the quotes off an ETag that has them as references and is plain
// otherwise, which is how servers write it.
func quotedETag(raw string) (etag string, ok bool) {
	for _, quote := range [...]string{"&#34;", "&quot;"} {
		if rest, found := strings.CutPrefix(raw, quote); found {
			etag, ok = strings.CutSuffix(rest, quote)
			return etag, ok && strings.IndexByte(etag, '&') < 0 && strings.IndexByte(etag, '"') < 0
		}
	}
	return "", false
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
		o.LastModified, err = time.Parse(time.RFC3339, strings.TrimSpace(text))
	case "StorageClass":
		if o.StorageClass = strings.TrimSpace(text); o.StorageClass == "STANDARD" {
			o.StorageClass = ""
		}
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

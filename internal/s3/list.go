package s3

import (
	"net/http"
	"strconv"
	"strings"
	"time"
)

const (
	// MaxKeys is the default and the most of entries in one page of objects.
	MaxKeys = 1000
	// MaxBuckets is the default and the most of entries in one page of buckets.
	MaxBuckets = 10000

	maxInt32 = 1<<31 - 1

	// lastRune is the greatest character: behind a prefix it is greater than
	// every key with that prefix, but for those that go on with the same one.
	lastRune = "\U0010FFFF"
)

// ListRequest is what a ListObjects or ListObjectsV2 asks for.
type ListRequest struct {
	Bucket    string
	V2        bool
	Prefix    string
	Delimiter string // empty: no common prefixes
	MaxKeys   int    // 0 to MaxKeys; 0 wants an empty page
	URL       bool   // encoding-type=url

	// After is where the page begins, exclusively, whichever parameter said so:
	// the opened continuation token, start-after or marker. Neither a key nor a
	// common prefix that is not greater belongs in the page.
	After string

	FetchOwner bool // V1 always does
	StartAfter string
	Marker     string
	Token      string // as received; empty on the first page
	first      bool   // which the client asks for by an empty token, as some servers take it
}

// ParseList reads and checks the parameters. key opens the continuation token,
// which must be one of ours for the same bucket, prefix and delimiter; an empty
// one is as wrong as a forged one. Everything wrong is InvalidArgument.
func ParseList(op *Operation, key TokenKey) (*ListRequest, error) {
	q := op.Query
	l := &ListRequest{
		Bucket:    op.Bucket,
		V2:        op.Name == ListObjectsV2,
		Prefix:    q.Get("prefix"),
		Delimiter: q.Get("delimiter"),
	}
	if v := q.Get("list-type"); v != "" && v != "1" && v != "2" {
		return nil, invalidArgument("list-type", v, "Invalid List Type specified in Request URL")
	}
	var err error
	if l.URL, err = parseEncoding(q); err != nil {
		return nil, err
	}
	if l.MaxKeys, err = parseMaxKeys(q.Get("max-keys")); err != nil {
		return nil, err
	}
	if !l.V2 {
		l.Marker, l.FetchOwner = q.Get("marker"), true
		l.After = l.Marker
		return l, nil
	}
	l.FetchOwner = strings.EqualFold(q.Get("fetch-owner"), "true")
	l.StartAfter = q.Get("start-after")
	l.After = l.StartAfter
	token, ok := q.Lookup("continuation-token")
	if l.first = ok && token == ""; ok && token != "" {
		if l.After, err = key.OpenToken(l.scope(), token); err != nil {
			return nil, err
		}
		l.Token = token
	}
	return l, nil
}

func parseMaxKeys(s string) (int, error) {
	if s == "" {
		return MaxKeys, nil
	}
	n, err := strconv.ParseInt(s, 10, 64)
	switch {
	case err != nil || n > maxInt32:
		return 0, invalidArgument("max-keys", s, "Provided max-keys not an integer or within integer range")
	case n < 0:
		return 0, errNegative("maxKeys", s)
	}
	return int(min(n, MaxKeys)), nil
}

func (l *ListRequest) scope() TokenScope {
	return TokenScope{Bucket: l.Bucket, Prefix: l.Prefix, Delimiter: l.Delimiter}
}

// CommonPrefix returns the prefix that stands for the key in this list: up to
// and with the first delimiter behind Prefix. ok is false for a key that is
// listed itself. The key must begin with Prefix.
func (l *ListRequest) CommonPrefix(key string) (prefix string, ok bool) {
	if l.Delimiter == "" {
		return "", false
	}
	i := strings.Index(key[len(l.Prefix):], l.Delimiter)
	if i < 0 {
		return "", false
	}
	return key[:len(l.Prefix)+i+len(l.Delimiter)], true
}

// ScanAfter is a key behind which a scan in key order may begin, because
// nothing up to it belongs in the page. It is After, or the end of the common
// prefix that After lies in: that prefix is not greater than After, so neither
// it nor any key that it stands for is sent again. It only saves work; whoever
// scans still drops what is not greater than After.
func (l *ListRequest) ScanAfter() string {
	if !strings.HasPrefix(l.After, l.Prefix) {
		return l.After
	}
	if p, ok := l.CommonPrefix(l.After); ok && len(p)+len(lastRune) <= MaxKeyBytes {
		return p + lastRune
	}
	return l.After
}

// ListEntry is one object in a page. All are said to be of the class STANDARD: what
// backends keep an object in is theirs.
type ListEntry struct {
	Key     string
	ETag    string    // without quotes
	Size    int64     // bytes
	ModTime time.Time // LastModified
}

// Owner is whom documents name as the owner of buckets and objects.
type Owner struct{ ID, DisplayName string }

// ListPage is one page of a list: what was found behind After. Objects and
// CommonPrefixes are sorted by bytes and count together towards MaxKeys.
type ListPage struct {
	Objects        []ListEntry
	CommonPrefixes []string
	Truncated      bool
	Last           string // the greatest key or common prefix in the page; needed when Truncated
	Owner          Owner
}

// Document is the answer: ListBucketResult in the form of the version that was
// asked. Prefix, delimiter and markers are echoed; Prefix even when empty. key
// seals the token of the next page.
func (l *ListRequest) Document(page *ListPage, key TokenKey) []byte {
	x := newXML(512 + 320*len(page.Objects) + 96*len(page.CommonPrefixes))
	l.write(x, page, key)
	return x.bytes()
}

// Write answers with the Document, in memory that the next page uses again.
func (l *ListRequest) Write(w http.ResponseWriter, page *ListPage, key TokenKey) {
	x := xmlWriters.Get().(*xmlWriter)
	x.begin()
	l.write(x, page, key)
	WriteXML(w, x.bytes())
	if cap(x.b) <= keptBytes {
		xmlWriters.Put(x)
	}
}

func (l *ListRequest) write(x *xmlWriter, page *ListPage, key TokenKey) {
	x.openNamespace("ListBucketResult")
	x.text("Name", l.Bucket)
	l.name(x, "Prefix", l.Prefix)
	if l.V2 {
		l.headV2(x, page, key)
	} else {
		l.name(x, "Marker", l.Marker)
		if page.Truncated {
			l.name(x, "NextMarker", page.Last)
		}
	}
	x.int("MaxKeys", int64(l.MaxKeys))
	if l.Delimiter != "" {
		l.name(x, "Delimiter", l.Delimiter)
	}
	if l.URL {
		x.text("EncodingType", "url")
	}
	x.bool("IsTruncated", page.Truncated)
	for i := range page.Objects {
		l.object(x, &page.Objects[i], page.Owner)
	}
	for _, p := range page.CommonPrefixes {
		x.open("CommonPrefixes")
		l.name(x, "Prefix", p)
		x.close("CommonPrefixes")
	}
	x.close("ListBucketResult")
}

func (l *ListRequest) headV2(x *xmlWriter, page *ListPage, key TokenKey) {
	if l.StartAfter != "" {
		l.name(x, "StartAfter", l.StartAfter)
	}
	if l.Token != "" || l.first {
		x.text("ContinuationToken", l.Token)
	}
	if page.Truncated {
		x.text("NextContinuationToken", key.SealToken(l.scope(), page.Last))
	}
	x.int("KeyCount", int64(len(page.Objects)+len(page.CommonPrefixes)))
}

func (l *ListRequest) object(x *xmlWriter, o *ListEntry, owner Owner) {
	key := o.Key
	if l.URL {
		key = EscapeKey(key)
	}
	x.b = append(x.b, "<Contents><Key>"...)
	x.b = appendText(x.b, key, true)
	x.b = append(x.b, "</Key>"...)
	if l.FetchOwner {
		l.describe(x, o, &owner)
	} else {
		l.describe(x, o, nil)
	}
	x.b = append(x.b, "</Contents>"...)
}

// describe writes what a page says of an object beside its name. Pages are long, and
// their tags are written in runs.
func (l *ListRequest) describe(x *xmlWriter, o *ListEntry, owner *Owner) {
	x.b = append(x.b, "<LastModified>"...)
	x.b = appendTime(x.b, o.ModTime.UTC())
	x.b = append(x.b, "</LastModified><ETag>&quot;"...)
	x.b = appendText(x.b, o.ETag, true)
	x.b = append(x.b, "&quot;</ETag><Size>"...)
	x.b = strconv.AppendInt(x.b, o.Size, 10)
	x.b = append(x.b, "</Size>"...)
	if owner != nil {
		x.owner(*owner)
	}
	x.b = append(x.b, "<StorageClass>STANDARD</StorageClass>"...)
}

// name writes what encoding-type=url applies to.
func (l *ListRequest) name(x *xmlWriter, element, value string) { x.name(element, value, l.URL) }

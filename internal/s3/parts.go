package s3

import (
	"cmp"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"
)

// PartsRequest is what a ListParts asks for.
type PartsRequest struct {
	Bucket, Key, UploadID string

	Max   int // 0 to 1000
	After int // part-number-marker: only parts of higher numbers
}

// ParseListParts reads and checks the parameters. InvalidArgument.
func ParseListParts(op *Operation) (*PartsRequest, error) {
	p := &PartsRequest{Bucket: op.Bucket, Key: op.Key, UploadID: op.UploadID()}
	var err error
	if p.Max, err = parseLimit(op.Query, "max-parts"); err != nil {
		return nil, err
	}
	if p.After, err = parseMarker("part-number-marker", op.Query.Get("part-number-marker")); err != nil {
		return nil, err
	}
	return p, nil
}

// PartsPage is one page of the parts of an upload.
type PartsPage struct {
	Checksum  UploadChecksum
	Parts     []Part // behind After, by number
	Truncated bool
	Owner     Owner
}

// Document is the answer: ListPartsResult.
func (p *PartsRequest) Document(page *PartsPage) []byte {
	x := newXML(512 + 256*len(page.Parts))
	x.openNamespace("ListPartsResult")
	x.text("Bucket", p.Bucket)
	x.text("Key", p.Key)
	x.text("UploadId", p.UploadID)
	x.initiator(page.Owner)
	x.owner(page.Owner)
	x.text("StorageClass", "STANDARD")
	x.int("PartNumberMarker", int64(p.After))
	next := p.After
	if n := len(page.Parts); n > 0 {
		next = page.Parts[n-1].Number
	}
	if page.Truncated || len(page.Parts) > 0 { // the last number of every page, as on AWS
		x.int("NextPartNumberMarker", int64(next))
	}
	x.int("MaxParts", int64(p.Max))
	x.bool("IsTruncated", page.Truncated)
	if page.Checksum.Algorithm == "" { // in so many words, as versitygw answers
		x.text("ChecksumAlgorithm", "null")
		x.text("ChecksumType", "null")
	}
	x.uploadChecksum(page.Checksum)
	for i := range page.Parts {
		x.part(&page.Parts[i])
	}
	x.close("ListPartsResult")
	return x.bytes()
}

func (x *xmlWriter) part(p *Part) {
	x.open("Part")
	x.int("PartNumber", int64(p.Number))
	x.time("LastModified", p.Modified)
	x.etag(p.ETag)
	x.int("Size", p.Size)
	if p.Checksum != "" {
		x.text(checksumElement(p.Algorithm), p.Checksum)
	}
	x.close("Part")
}

func (x *xmlWriter) uploadChecksum(c UploadChecksum) {
	if c.Algorithm != "" {
		x.text("ChecksumAlgorithm", strings.ToUpper(c.Algorithm))
		x.text("ChecksumType", string(c.Type))
	}
}

func (x *xmlWriter) initiator(o Owner) {
	x.open("Initiator")
	x.text("ID", o.ID)
	x.text("DisplayName", o.DisplayName)
	x.close("Initiator")
}

// name writes a key, escaped when encoding-type=url was asked for.
func (x *xmlWriter) name(element, value string, url bool) {
	if url {
		value = EscapeKey(value)
	}
	x.text(element, value)
}

// parseLimit reads a number of entries for one page: 1000 when there is none
// and at most.
func parseLimit(q Query, name string) (int, error) {
	v := q.Get(name)
	if v == "" {
		return MaxKeys, nil
	}
	n, err := strconv.ParseInt(v, 10, 64)
	switch {
	case err != nil || n > maxInt32:
		return 0, invalidArgument(name, v, "Provided %s not an integer or within integer range", name)
	case n < 0:
		return 0, errNegative(name, v)
	}
	return int(min(n, MaxKeys)), nil
}

// errNegative is the refusal of a number below zero, in the words that suites compare:
// they name the value where the argument is meant.
func errNegative(name, v string) *Error {
	return invalidArgument(name, v, "Argument %s must be an integer between 0 and %d", v, maxInt32)
}

// parseMarker reads the number of a part to begin behind; zero for none.
func parseMarker(name, v string) (int, error) {
	if v == "" {
		return 0, nil
	}
	n, err := strconv.ParseInt(v, 10, 64)
	switch {
	case err != nil || n > maxInt32:
		return 0, invalidArgument(name, v, "Provided %s not an integer or within integer range", v)
	case n < 0:
		return 0, errNegative(name, v)
	}
	return int(n), nil
}

func parseEncoding(q Query) (url bool, err error) {
	switch v := q.Get("encoding-type"); v {
	case "url":
		return true, nil
	case "":
		return false, nil
	default:
		return false, invalidArgument("encoding-type", v, "Invalid Encoding Method specified in Request")
	}
}

// PartsListing is one page of parts as a backend sent it.
type PartsListing struct {
	Checksum  UploadChecksum
	Parts     []Part
	Truncated bool
	Next      int // NextPartNumberMarker
}

// DecodeParts reads the ListPartsResult of a backend. Parts out of order, and
// what is no such document, are an error; an Error document, which may come with
// status 200, is returned as an *Error.
func DecodeParts(r io.Reader) (*PartsListing, error) {
	d := newXMLReader(r, maxListBytes)
	l := &PartsListing{}
	err := d.result("ListPartsResult", func(name []byte) error { return d.partsListing(name, l) })
	if err == nil {
		err = l.check()
	}
	if err != nil {
		return nil, answerError("parts", err)
	}
	return l, nil
}

func (x *xmlReader) partsListing(name []byte, l *PartsListing) (err error) {
	switch string(name) {
	case "Part":
		var p Part
		p, err = x.part()
		l.Parts = append(l.Parts, p)
	case "IsTruncated":
		l.Truncated, err = x.truth()
	case "NextPartNumberMarker":
		l.Next, err = x.number()
	case "ChecksumAlgorithm":
		l.Checksum.Algorithm, err = x.text()
		l.Checksum.Algorithm = strings.ToLower(l.Checksum.Algorithm)
	case "ChecksumType":
		var s string
		s, err = x.text()
		l.Checksum.Type = ChecksumType(s)
	default:
		err = x.skip()
	}
	return err
}

func (x *xmlReader) part() (p Part, err error) {
	err = x.children(func(name []byte) (err error) {
		switch string(name) {
		case "PartNumber":
			p.Number, err = x.number()
		case "ETag":
			p.ETag, err = x.text()
			p.ETag = UnquoteETag(p.ETag)
		case "Size":
			var s string
			if s, err = x.text(); err == nil {
				p.Size, err = strconv.ParseInt(strings.TrimSpace(s), 10, 64)
			}
		case "LastModified":
			p.Modified, err = x.moment()
		default:
			if p.Algorithm = cmp.Or(elementAlgorithm(name), p.Algorithm); elementAlgorithm(name) == "" {
				return x.skip()
			}
			p.Checksum, err = x.text()
		}
		return err
	})
	return p, err
}

func (l *PartsListing) check() error {
	last := 0
	for _, p := range l.Parts {
		if p.Number <= last || p.Number > MaxParts || p.Size < 0 {
			return fmt.Errorf("part %d of %d bytes after part %d", p.Number, p.Size, last)
		}
		last = p.Number
	}
	if l.Truncated && l.Next < last {
		l.Next = last
	}
	return nil
}

// truth, number and moment read an element's text as what it stands for.
func (x *xmlReader) truth() (bool, error) {
	s, err := x.text()
	return strings.EqualFold(strings.TrimSpace(s), "true"), err
}

func (x *xmlReader) number() (int, error) {
	s, err := x.text()
	if err != nil {
		return 0, err
	}
	n, err := strconv.ParseInt(strings.TrimSpace(s), 10, 32)
	return int(n), err
}

func (x *xmlReader) moment() (time.Time, error) {
	s, err := x.text()
	if err != nil {
		return time.Time{}, err
	}
	t, err := time.Parse(time.RFC3339, strings.TrimSpace(s))
	return t.UTC(), err
}

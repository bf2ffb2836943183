package s3

import (
	"cmp"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"github.com/s3mirror/s3mirror/internal/object"
)

// MaxCompleteBytes bounds the body of a CompleteMultipartUpload: ten thousand
// parts with the longest checksum, indented.
const MaxCompleteBytes = 4 << 20

// CompletedPart is one part as the client names it.
type CompletedPart struct {
	Number    int
	ETag      string // without quotes
	Algorithm string // of Checksum; empty: none was named
	Checksum  string // base64
}

// Complete is what a CompleteMultipartUpload asks for.
type Complete struct {
	Parts []CompletedPart // by ascending number, at least one

	// What the headers promise of the object.
	Algorithm string // of Checksum; empty: nothing
	Checksum  string // base64, without a number of parts
	Count     int    // the number of parts that stood behind it; zero: none
	Type      ChecksumType
	Size      int64 // bytes; negative: nothing
}

// ParseComplete reads the headers and the document of a
// CompleteMultipartUpload. The x-amz-checksum-* of this request is the object's,
// not the body's, and may carry the number of parts or not.
//
// Errors: MalformedXML, also for no part and for more than 10,000;
// InvalidPartOrder; InvalidArgument for a part number out of range and for more
// than one checksum of a part; InvalidRequest for headers. An error of the reader
// itself is returned as it is.
func ParseComplete(h http.Header, body io.Reader) (*Complete, error) {
	c := &Complete{Size: -1}
	if err := c.parseHeaders(h); err != nil {
		return nil, err
	}
	d := newXMLReader(body, MaxCompleteBytes)
	root, err := d.root()
	if err == nil && root != "CompleteMultipartUpload" {
		err = errUnexpectedElement(root)
	}
	if err == nil {
		err = d.children(func(name []byte) error { return d.completedPart(name, c) })
	}
	if err == nil {
		err = d.end()
	}
	if err == nil && len(c.Parts) == 0 {
		err = errMissingElement("Part")
	}
	if err != nil {
		return nil, malformed(err)
	}
	return c, c.checkOrder()
}

func (c *Complete) parseHeaders(h http.Header) error {
	for field, values := range h {
		name := lowerField(field)
		if !sumHeader(name) {
			continue
		}
		algorithm := strings.TrimPrefix(name, checksumPrefix)
		if c.Algorithm != "" || len(values) != 1 {
			return errManyChecksums()
		}
		sum, parts, ok := splitComposite(values[0])
		if _, ok2 := decodeChecksum(algorithm, sum); !ok || !ok2 || parts > 0 && algorithm == onlyFull {
			return errChecksumHeader(checksumPrefix + algorithm)
		}
		c.Algorithm, c.Checksum, c.Count = algorithm, sum, parts
	}
	switch c.Type = ChecksumType(strings.ToUpper(h.Get(checksumTypeHeader))); c.Type {
	case "", Composite, FullObject:
	default:
		return errChecksumHeader(checksumTypeHeader)
	}
	if v := h.Get("x-amz-mp-object-size"); v != "" {
		n, err := strconv.ParseInt(v, 10, 64)
		if err != nil {
			return Errorf(InvalidRequest, "Value for x-amz-mp-object-size header is invalid: '%s'", v)
		}
		if n < 0 {
			return Errorf(InvalidRequest, "Value for x-amz-mp-object-size header is less than zero: '%d'", n)
		}
		c.Size = n
	}
	return nil
}

// WithoutChecksums returns the request without its x-amz-checksum-* headers. Of
// a CompleteMultipartUpload they are about the object; whoever verifies the body
// must not hold them against it.
func WithoutChecksums(r *http.Request) *http.Request {
	own := *r
	own.Header = http.Header{}
	for field, values := range r.Header {
		if !strings.HasPrefix(lowerField(field), checksumPrefix) {
			own.Header[field] = values
		}
	}
	return &own
}

func (x *xmlReader) completedPart(name []byte, c *Complete) error {
	if string(name) != "Part" || len(c.Parts) == MaxParts {
		return errUnexpectedElement(string(name))
	}
	p := CompletedPart{Number: -1}
	etag := false
	err := x.children(func(name []byte) (err error) {
		algorithm := elementAlgorithm(name)
		switch {
		case string(name) == "PartNumber" && p.Number < 0:
			p.Number, err = x.partNumber()
		case string(name) == "ETag" && !etag:
			etag = true
			p.ETag, err = x.text()
			p.ETag = UnquoteETag(p.ETag)
		case algorithm != "":
			var text string
			if text, err = x.text(); err == nil {
				err = p.promise(algorithm, strings.TrimSpace(text))
			}
		default:
			err = errUnexpectedElement(string(name))
		}
		return err
	})
	switch {
	case err != nil:
		return err
	case p.Number < 0:
		return errMissingElement("PartNumber")
	case !etag:
		return errMissingElement("ETag")
	}
	c.Parts = append(c.Parts, p)
	return nil
}

// partNumber reads a number that may be anything but negative; whether it is one
// of a part is an error of its own.
func (x *xmlReader) partNumber() (int, error) {
	text, err := x.text()
	if err != nil {
		return 0, err
	}
	text = strings.TrimSpace(text)
	n, err := strconv.ParseInt(text, 10, 32)
	switch {
	case err != nil:
		return 0, err
	case n < 1:
		return 0, invalidArgument("PartNumber", text, "PartNumber must be >= 1")
	case n > MaxParts:
		return 0, invalidArgument("PartNumber", text, "PartNumber must be <= %d", MaxParts)
	}
	return int(n), nil
}

func (p *CompletedPart) promise(algorithm, value string) error {
	if _, ok := decodeChecksum(algorithm, value); !ok || p.Algorithm != "" {
		return invalidArgument("Checksum", value, "Invalid Base64 or multiple checksums present in request")
	}
	p.Algorithm, p.Checksum = algorithm, value
	return nil
}

func (c *Complete) checkOrder() error {
	last := 0
	for _, p := range c.Parts {
		if p.Number <= last {
			return Err(InvalidPartOrder)
		}
		last = p.Number
	}
	return nil
}

// UploadParts is what of an upload Select needs to know.
type UploadParts struct {
	ID       string
	Checksum UploadChecksum
	MinPart  int64 // least size in bytes of every part but the last
	// Part returns a stored part.
	Part func(number int) (Part, bool)
}

// Select holds the client's list against the parts that are stored and returns
// those it names, and the checksum of the object, as its header has it: empty
// when the upload has none.
//
// Errors: InvalidPart for a part that is not there, or not with that ETag or
// checksum; EntityTooSmall; EntityTooLarge for more than 5 TiB; InvalidRequest
// for a part whose checksum the client had to name, a size or a checksum type
// that is another; BadDigest for another checksum.
func (c *Complete) Select(u UploadParts) (parts []Part, checksum string, err error) {
	var size int64
	for i, named := range c.Parts {
		p, ok := u.Part(named.Number)
		if !ok || p.ETag != named.ETag {
			return nil, "", invalidPart(u.ID, named)
		}
		if err := u.checkPart(named, p); err != nil {
			return nil, "", err
		}
		if i < len(c.Parts)-1 && p.Size < u.MinPart {
			return nil, "", Err(EntityTooSmall).With("ProposedSize", strconv.FormatInt(p.Size, 10)).
				With("MinSizeAllowed", strconv.FormatInt(u.MinPart, 10)).
				With("PartNumber", strconv.Itoa(p.Number)).With("ETag", p.ETag)
		}
		size += p.Size
		parts = append(parts, p)
	}
	if size > maxObjectBytes {
		return nil, "", Err(EntityTooLarge).With("ProposedSize", strconv.FormatInt(size, 10)).
			With("MaxSizeAllowed", strconv.FormatInt(maxObjectBytes, 10))
	}
	if c.Size >= 0 && c.Size != size {
		return nil, "", Errorf(InvalidRequest, "The provided 'x-amz-mp-object-size' header value %d does not match what was computed: %d", size, c.Size) // in this order: versitygw's suite compares the text
	}
	checksum, err = c.checksum(u.Checksum, parts)
	return parts, checksum, err
}

// maxObjectBytes is the most of an object that is put together from parts.
const maxObjectBytes = 5 << 40

func invalidPart(uploadID string, p CompletedPart) *Error {
	return Err(InvalidPart).With("UploadId", uploadID).With("PartNumber", strconv.Itoa(p.Number)).With("ETag", p.ETag)
}

// checkPart compares the checksum that the client names with the stored one. A
// composite upload wants one with each part.
func (u *UploadParts) checkPart(named CompletedPart, p Part) error {
	switch {
	case named.Algorithm == "" && u.Checksum.Type == Composite:
		return Errorf(InvalidRequest, "The upload was created using a %s checksum. The complete request must include the checksum for each part. It was missing for part %d in the request.",
			u.Checksum.Algorithm, p.Number)
	case named.Algorithm == "":
		return nil
	case p.Algorithm == "" && (named.Algorithm != DefaultChecksum || named.Checksum != p.Plain):
		return invalidPart(u.ID, named)
	case p.Algorithm == "":
		return nil
	case named.Algorithm != p.Algorithm:
		return Errorf(BadDigest, "The %s you specified for part %d did not match what we received.", named.Algorithm, p.Number)
	case named.Checksum != p.Checksum:
		return invalidPart(u.ID, named)
	}
	return nil
}

// checksum joins the parts' and compares the result with the promise. What is promised of an
// upload that was begun without checksums is ignored, as on AWS.
func (c *Complete) checksum(u UploadChecksum, parts []Part) (string, error) {
	if c.Type != "" && c.Type != u.Type {
		return "", Errorf(InvalidRequest, "The upload was created using the %s checksum mode. The complete request must use the same checksum mode.", cmp.Or(u.Type, "null"))
	}
	sums := make([]PartSum, len(parts))
	for i, p := range parts {
		sums[i] = PartSum{p.Checksum, p.Size}
	}
	whole, err := u.Join(sums)
	if err != nil {
		return "", Err(InternalError).Because(err)
	}
	if c.Algorithm == "" || u.Algorithm == "" {
		return whole, nil
	}
	if c.Algorithm != u.Algorithm {
		return "", u.mismatch(c.Algorithm)
	}
	if sum, n, _ := splitComposite(whole); c.Checksum != sum || c.Count != 0 && c.Count != n {
		return "", Errorf(BadDigest, "The %s you specified did not match the calculated checksum.", strings.ToUpper(c.Algorithm))
	}
	return whole, nil
}

// CompleteDocument is the body of a CompleteMultipartUpload to a backend.
func CompleteDocument(parts []CompletedPart) []byte {
	x := newXML(256 + 128*len(parts))
	x.openNamespace("CompleteMultipartUpload")
	for _, p := range parts {
		x.open("Part")
		if p.Algorithm != "" {
			x.text(checksumElement(p.Algorithm), p.Checksum)
		}
		x.etag(p.ETag)
		x.int("PartNumber", int64(p.Number))
		x.close("Part")
	}
	x.close("CompleteMultipartUpload")
	return x.bytes()
}

// Completed is what became of a CompleteMultipartUpload.
type Completed struct {
	Location    string // a URL
	Bucket, Key string
	ETag        string         // without quotes
	Checksums   object.Headers // x-amz-checksum-* of the object, its type too
}

// Document is the answer: CompleteMultipartUploadResult.
func (c *Completed) Document() []byte {
	x := newXML(512)
	x.openNamespace("CompleteMultipartUploadResult")
	x.text("Location", c.Location)
	x.text("Bucket", c.Bucket)
	x.text("Key", c.Key)
	x.etag(c.ETag)
	x.checksums(c.Checksums, true)
	x.close("CompleteMultipartUploadResult")
	return x.bytes()
}

// checksums writes the checksums of a version, and, typed, their type. A part
// has none.
func (x *xmlWriter) checksums(stored object.Headers, typed bool) {
	names := make([]string, 0, len(stored))
	for name := range stored {
		if algorithm, ok := strings.CutPrefix(name, checksumPrefix); ok && algorithms[algorithm].size > 0 {
			names = append(names, algorithm)
		}
	}
	slices.Sort(names)
	for _, algorithm := range names {
		x.text(checksumElement(algorithm), stored[checksumPrefix+algorithm])
	}
	if typed && len(names) > 0 {
		x.text("ChecksumType", string(checksumType(stored, stored[checksumPrefix+names[0]])))
	}
}

// checksumType is the type of a stored checksum: what the version says, else
// what its form tells.
func checksumType(stored object.Headers, value string) ChecksumType {
	switch t := stored[checksumTypeHeader]; {
	case t != "":
		return ChecksumType(t)
	case strings.Contains(value, "-"):
		return Composite
	}
	return FullObject
}

// DecodeCompleted reads the CompleteMultipartUploadResult of a backend. White
// space in front, which keeps the connection alive, is nothing. An Error
// document, which may come with status 200, is returned as an *Error; one that
// ends early is another error, which says nothing of what became of the upload.
func DecodeCompleted(r io.Reader) (*Completed, error) {
	d := newXMLReader(r, maxResultBytes)
	c := &Completed{Checksums: object.Headers{}}
	err := d.result("CompleteMultipartUploadResult", func(name []byte) (err error) {
		switch string(name) {
		case "Location":
			c.Location, err = d.text()
		case "Bucket":
			c.Bucket, err = d.text()
		case "Key":
			c.Key, err = d.text()
		case "ETag":
			c.ETag, err = d.text()
			c.ETag = UnquoteETag(c.ETag)
		default:
			err = d.checksum(name, c.Checksums)
		}
		return err
	})
	if err == nil && c.ETag == "" {
		err = errMissingElement("ETag")
	}
	if err != nil {
		return nil, answerError("completed upload", err)
	}
	return c, nil
}

// checksum keeps the checksum, or the checksums' type, that an element carries,
// and skips every other one.
func (x *xmlReader) checksum(name []byte, into object.Headers) error {
	header := checksumTypeHeader
	if string(name) != "ChecksumType" {
		algorithm := elementAlgorithm(name)
		if algorithm == "" {
			return x.skip()
		}
		header = checksumPrefix + algorithm
	}
	text, err := x.text()
	if err != nil {
		return err
	}
	if text = strings.TrimSpace(text); text == "" {
		return nil
	}
	if header != checksumTypeHeader {
		sum, _, ok := splitComposite(text)
		if _, ok2 := decodeChecksum(header[len(checksumPrefix):], sum); !ok || !ok2 {
			return fmt.Errorf("value %q of %s", text, name)
		}
	}
	into[header] = text
	return nil
}

package s3

import (
	"io"
	"net/http"
	"path"
	"strconv"
	"strings"
	"time"

	"github.com/s3mirror/s3mirror/internal/object"
)

// CopySource returns the object that x-amz-copy-source names. The header is
// bucket and key, with or without a slash in front, escaped as in a query; some
// SDKs escape the slash between them too. A version id other than null, an access point
// and other ARNs are NotImplemented; what names no object is InvalidArgument; a
// reserved key is AccessDenied, as for Parse.
func (op *Operation) CopySource(h http.Header) (object.Key, error) {
	raw := h.Get("x-amz-copy-source")
	bad := func(text string) (object.Key, error) {
		return object.Key{}, invalidArgument("x-amz-copy-source", raw, "%s", text)
	}
	// What stands in a bucket without versions has the id null.
	plain := strings.TrimSuffix(strings.TrimSuffix(raw, "?versionId="+NullVersion), "?versionId=")
	decoded, err := DecodeQuery(strings.TrimPrefix(plain, "/"))
	if err != nil || !plainText(decoded) {
		return bad("Invalid copy source encoding")
	}
	if strings.HasPrefix(decoded, "arn:") {
		return bad("Access points are not known here")
	}
	// A key can hold these characters too, when they are escaped; but some SDKs
	// escape the whole header, and a request that could mean two things is refused.
	if strings.Contains(decoded, "?versionId") {
		return bad("Invalid version id specified")
	}
	bucket, key, _ := strings.Cut(decoded, "/")
	switch {
	case CheckBucketName(bucket) != nil:
		return bad("Invalid copy source bucket name")
	case key == "" || climbs(key):
		return bad("Invalid copy source object key")
	}
	if err := checkKey(key); err != nil {
		return object.Key{}, err
	}
	return object.Key{Bucket: bucket, Name: key}, op.permit(key)
}

// climbs tells whether the segments of a key lead to its bucket or out of it, were they
// those of a path: no server has such an object to copy.
func climbs(key string) bool {
	clean := path.Clean(key)
	return clean == "." || clean == ".." || strings.HasPrefix(clean, "../")
}

// FormatCopySource is the value of x-amz-copy-source for an object.
func FormatCopySource(source object.Key) string {
	return "/" + source.Bucket + "/" + EscapeKey(source.Name)
}

// ParseCopyConditions reads the x-amz-copy-source-if-* headers. Their verdict
// is CheckCopy's.
func ParseCopyConditions(h http.Header) ReadConditions {
	own := http.Header{}
	for _, name := range []string{"If-Match", "If-None-Match", "If-Modified-Since", "If-Unmodified-Since"} {
		if values := h.Values("X-Amz-Copy-Source-" + name); len(values) > 0 {
			own[name] = values
		}
	}
	return ParseReadConditions(own)
}

// CheckCopy judges the source of a copy like Check, but whatever does not hold
// is PreconditionFailed: a copy has no 304.
func (c ReadConditions) CheckCopy(source object.Info) error {
	err := c.Check(source)
	e, ok := err.(*Error) //nolint:errorlint // Check makes it
	if !ok {
		return err
	}
	condition := e.Field("Condition")
	switch {
	case e.Code == NotModified && c.ifNoneMatch != nil:
		condition = "If-None-Match"
	case e.Code == NotModified:
		condition = "If-Modified-Since"
	case e.Code != PreconditionFailed:
		return err
	}
	return preconditionFailed("x-amz-copy-source-" + condition)
}

// Copy is what a CopyObject asks for, beside its source and the conditions.
type Copy struct {
	// Replace: the copy gets Headers instead of those of the source.
	Replace bool
	Headers object.Headers // of VersionHeaders; what Replace does not set is not used

	// ReplaceTags: the copy gets Tags instead of those of the source.
	ReplaceTags bool
	Tags        object.Tags

	// Class: it asks for a storage class, which makes a copy of an object to itself one
	// that changes something, for all that we know.
	Class bool

	// Algorithm of the checksum that the copy shall have; empty: that of the
	// source.
	Algorithm string
}

// ParseCopy reads the directives of a CopyObject and what they are about. What
// a directive does not ask for is left out, as on S3: SDKs send a content type
// with every copy. Errors are InvalidArgument for a directive that is none,
// InvalidRequest for an algorithm, and those of VersionHeaders and
// ParseTaggingHeader.
func ParseCopy(h http.Header) (*Copy, error) {
	c := &Copy{Algorithm: strings.ToLower(h.Get("x-amz-checksum-algorithm")), Class: h.Get(storageClassHeader) != ""}
	if _, known := algorithms[c.Algorithm]; c.Algorithm != "" && !known {
		return nil, errUnknownAlgorithm()
	}
	var err error
	if c.Replace, err = directive(h, "metadata"); err != nil {
		return nil, err
	}
	if c.ReplaceTags, err = directive(h, "tagging"); err != nil {
		return nil, err
	}
	if c.Headers, err = VersionHeaders(h); err != nil {
		return nil, err
	}
	if c.ReplaceTags {
		c.Tags, err = ParseTaggingHeader(h)
	}
	return c, err
}

func directive(h http.Header, what string) (replace bool, err error) {
	name := "x-amz-" + what + "-directive"
	switch v := h.Get(name); v {
	case "REPLACE":
		return true, nil
	case "", "COPY":
		return false, nil
	default:
		return false, invalidArgument(name, v, "Unknown %s directive.", what)
	}
}

// CheckSelf refuses a copy of an object to itself that would change nothing.
// InvalidRequest.
func (c *Copy) CheckSelf(source, target object.Key) error {
	if source != target || c.Replace || c.Class || c.Headers["x-amz-website-redirect-location"] != "" {
		return nil
	}
	return Errorf(InvalidRequest, "This copy request is illegal because it is trying to copy an object to itself without changing the object's metadata, storage class, website redirect location or encryption attributes.")
}

// Apply returns the headers of the copy of a version. A redirect is never
// copied, and a checksum is that of the copy's bytes: it is for who writes them.
func (c *Copy) Apply(source object.Headers) object.Headers {
	out := c.Headers.Clone()
	if !c.Replace {
		out = source.Clone()
		delete(out, "x-amz-website-redirect-location")
		if to := c.Headers["x-amz-website-redirect-location"]; to != "" {
			out["x-amz-website-redirect-location"] = to
		}
	}
	for name := range out {
		if strings.HasPrefix(name, checksumPrefix) {
			delete(out, name)
		}
	}
	return out
}

// ApplyTags returns the tags of the copy.
func (c *Copy) ApplyTags(source object.Tags) object.Tags {
	if c.ReplaceTags {
		return c.Tags
	}
	return source
}

// CheckCopySize refuses a source that is too large to be copied at once.
func CheckCopySize(size int64) error {
	if size > MaxPartBytes {
		return Errorf(InvalidRequest, "The specified copy source is larger than the maximum allowable size for a copy source: %d", int64(MaxPartBytes))
	}
	return nil
}

// CopyRange is the part of its source that an UploadPartCopy wants. The zero
// value is all of it.
type CopyRange struct {
	first, last int64
	set         bool
}

// ParseCopyRange reads x-amz-copy-source-range, in which, unlike in a Range,
// both ends have to stand. InvalidArgument.
func ParseCopyRange(h http.Header) (CopyRange, error) {
	const name = "x-amz-copy-source-range"
	v := h.Get(name)
	if v == "" {
		return CopyRange{}, nil
	}
	from, to, ok := strings.Cut(strings.TrimPrefix(v, "bytes="), "-")
	first, ok1 := decimal(from)
	last, ok2 := decimal(to)
	if !ok || !ok1 || !ok2 || first > last || !strings.HasPrefix(v, "bytes=") {
		return CopyRange{}, invalidArgument(name, v,
			"The x-amz-copy-source-range value must be of the form bytes=first-last where first and last are the zero-based offsets of the first and last bytes to copy")
	}
	return CopyRange{first, last, true}, nil
}

// FormatCopyRange is the header's value for n bytes from offset on.
func FormatCopyRange(offset, n int64) string {
	return "bytes=" + strconv.FormatInt(offset, 10) + "-" + strconv.FormatInt(offset+n-1, 10)
}

// Of returns the range of an object of this size; one that does not fit is
// InvalidArgument, for a copy is never shorter than was asked.
func (c CopyRange) Of(size int64) (Range, error) {
	switch {
	case !c.set:
		return Range{Length: size, Size: size}, CheckCopySize(size)
	case c.last >= size:
		return Range{}, invalidArgument("x-amz-copy-source-range", FormatCopyRange(c.first, c.last-c.first+1),
			"Range specified is not valid for source object of size: %d", size)
	}
	r := Range{Offset: c.first, Length: c.last - c.first + 1, Size: size, Partial: true}
	return r, CheckCopySize(r.Length)
}

// Copied is what became of a copy, of an object or of a part.
type Copied struct {
	ETag      string // without quotes
	Modified  time.Time
	Checksums object.Headers
}

// Document is the answer to a CopyObject: CopyObjectResult.
func (c *Copied) Document() []byte { return c.document("CopyObjectResult", true) }

// PartDocument is the answer to an UploadPartCopy: CopyPartResult.
func (c *Copied) PartDocument() []byte { return c.document("CopyPartResult", false) }

func (c *Copied) document(root string, typed bool) []byte {
	x := newXML(384)
	x.openNamespace(root)
	x.time("LastModified", c.Modified)
	x.etag(c.ETag)
	x.checksums(c.Checksums, typed)
	x.close(root)
	return x.bytes()
}

// DecodeCopied reads the CopyObjectResult or CopyPartResult of a backend. An
// Error document, which may come with status 200, is returned as an *Error; one
// that ends early is another error, which says nothing of what became of the
// copy.
func DecodeCopied(r io.Reader) (*Copied, error) {
	d := newXMLReader(r, maxResultBytes)
	c := &Copied{Checksums: object.Headers{}}
	root, err := d.answer()
	if err == nil && root != "CopyObjectResult" && root != "CopyPartResult" {
		err = errUnexpectedElement(root)
	}
	if err == nil {
		err = d.children(func(name []byte) (err error) {
			switch string(name) {
			case "ETag":
				c.ETag, err = d.text()
				c.ETag = UnquoteETag(c.ETag)
			case "LastModified":
				c.Modified, err = d.moment()
			default:
				err = d.checksum(name, c.Checksums)
			}
			return err
		})
	}
	if err == nil {
		err = d.end()
	}
	if err == nil && c.ETag == "" {
		err = errMissingElement("ETag")
	}
	if err != nil {
		return nil, answerError("copy", err)
	}
	return c, nil
}

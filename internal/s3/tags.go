package s3

import (
	"io"
	"net/http"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/s3mirror/s3mirror/internal/object"
)

// The limits of S3 on the tags of an object.
const (
	MaxTags          = 10
	MaxTagKeyRunes   = 128
	MaxTagValueRunes = 256
)

// MaxBucketTags is how many tags a bucket may have.
const MaxBucketTags = 50

// maxBucketTaggingBytes is maxTaggingBytes for a bucket.
const maxBucketTaggingBytes = 256 << 10

// maxTaggingBytes bounds a Tagging document: ten tags of the longest keys and
// values, every character of them escaped, and blanks between.
const maxTaggingBytes = 64 << 10

// ParseTagging reads the Tagging document of a PutObjectTagging. MalformedXML,
// or what CheckTags says of the set. An error of the reader itself is returned
// as it is.
func ParseTagging(body io.Reader) (object.Tags, error) {
	return parseTagging(body, maxTaggingBytes, tagSet{max: MaxTags})
}

// ParseBucketTagging is ParseTagging for the tags of a bucket, of which there
// may be more.
func ParseBucketTagging(body io.Reader) (object.Tags, error) {
	return parseTagging(body, maxBucketTaggingBytes, tagSet{max: MaxBucketTags})
}

func parseTagging(body io.Reader, maxBytes int64, set tagSet) (object.Tags, error) {
	d := newXMLReader(body, maxBytes)
	root, err := d.root()
	if err == nil {
		err = d.tagging(root, &set, errUnexpectedElement)
	}
	if err == nil {
		err = set.check()
	}
	if err != nil {
		return nil, malformed(err)
	}
	return set.tags, nil
}

// DecodeTagging reads the Tagging document of a backend. Elements that we do
// not know are skipped, and limits are the backend's. An Error document, which
// may come with status 200, is returned as an *Error.
func DecodeTagging(r io.Reader) (object.Tags, error) {
	var set tagSet
	d := newXMLReader(r, maxTaggingBytes)
	root, err := d.answer()
	if err == nil {
		err = d.tagging(root, &set, nil)
	}
	if err != nil {
		return nil, answerError("tagging", err)
	}
	return set.tags, nil
}

// tagSet collects tags and what is wrong with them.
type tagSet struct {
	tags  object.Tags
	count int
	max   int // zero: as many as come
	fault *Error
}

func (s *tagSet) add(key, value string) {
	s.count++
	if _, twice := s.tags[key]; twice && s.fault == nil {
		s.fault = Errorf(InvalidTag, "Cannot provide multiple Tags with the same key").With("TagKey", key)
	}
	if s.tags == nil {
		s.tags = object.Tags{}
	}
	if s.max == 0 || s.count <= s.max { // more are refused, not kept
		s.tags[key] = value
	}
}

func (s *tagSet) check() error {
	switch {
	case s.count > s.max:
		return errManyTags(s.max)
	case s.fault != nil:
		return s.fault
	}
	return checkTags(s.tags, s.max)
}

// tagging reads <Tagging><TagSet><Tag><Key/><Value/></Tag>. unknown is what
// becomes of another element; nil: it is skipped.
func (x *xmlReader) tagging(root string, set *tagSet, unknown func(string) error) error {
	other := func(name []byte) error {
		if unknown == nil {
			return x.skip()
		}
		return unknown(string(name))
	}
	if root != "Tagging" {
		return errUnexpectedElement(root)
	}
	sets := 0
	err := x.children(func(name []byte) error {
		if string(name) != "TagSet" {
			return other(name)
		}
		sets++
		return x.tags(set, other)
	})
	switch {
	case err != nil:
		return err
	case sets != 1:
		return errMissingElement("TagSet")
	}
	return x.end()
}

// tags reads the tags in the open element.
func (x *xmlReader) tags(set *tagSet, other func([]byte) error) error {
	return x.children(func(name []byte) error {
		if string(name) != "Tag" {
			return other(name)
		}
		return x.tag(set, other)
	})
}

func (x *xmlReader) tag(set *tagSet, other func([]byte) error) error {
	var key, value string
	keys, values := 0, 0
	err := x.children(func(name []byte) (err error) {
		switch string(name) {
		case "Key":
			keys++
			key, err = x.text()
		case "Value":
			values++
			value, err = x.text()
		default:
			err = other(name)
		}
		return err
	})
	switch {
	case err != nil:
		return err
	case keys != 1:
		return errMissingElement("Key")
	case values > 1:
		return errUnexpectedElement("Value")
	}
	set.add(key, value)
	return nil
}

// ParseTaggingHeader reads x-amz-tagging: the tags as a query, in which a plus
// is a blank. Nil when there is none. What is no such query, and a key that
// occurs twice, is InvalidArgument; else what CheckTags says.
func ParseTaggingHeader(h http.Header) (object.Tags, error) {
	value := h.Get("x-amz-tagging")
	set := tagSet{max: MaxTags}
	for pair := range strings.SplitSeq(value, "&") {
		if pair == "" {
			continue
		}
		rawKey, rawValue, _ := strings.Cut(pair, "=")
		key, err := DecodeQuery(rawKey)
		if err != nil {
			return nil, errTaggingHeader(value)
		}
		text, err := DecodeQuery(rawValue)
		if err != nil || rawKey == "" || !utf8.ValidString(key) || !utf8.ValidString(text) {
			return nil, errTaggingHeader(value)
		}
		if set.add(key, text); set.fault != nil {
			return nil, errTaggingHeader(value)
		}
	}
	if err := set.check(); err != nil {
		return nil, err
	}
	return set.tags, nil
}

// TaggingHeader is the value of x-amz-tagging for the tags, empty for none.
func TaggingHeader(tags object.Tags) string {
	var b strings.Builder
	for key, value := range tags.Sorted() {
		if b.Len() > 0 {
			b.WriteByte('&')
		}
		b.WriteString(EscapeQuery(key) + "=" + EscapeQuery(value))
	}
	return b.String()
}

// SetTaggingCount sets x-amz-tagging-count, which a GetObject or HeadObject of
// an object with tags answers.
func SetTaggingCount(h http.Header, tags object.Tags) {
	if len(tags) > 0 {
		h.Set("x-amz-tagging-count", strconv.Itoa(len(tags)))
	}
}

// CheckTags holds a tag set against the limits of S3: at most ten (BadRequest),
// keys of 1 to 128 and values of up to 256 characters, letters, digits, blanks
// and _.:/=+-@ alone, no key of AWS's own (InvalidTag).
func CheckTags(tags object.Tags) error { return checkTags(tags, MaxTags) }

func checkTags(tags object.Tags, most int) error {
	if len(tags) > most {
		return errManyTags(most)
	}
	for key, value := range tags.Sorted() {
		switch {
		case strings.HasPrefix(key, "aws:"):
			return Errorf(InvalidTag, "System tags cannot be added/updated by requester").With("TagKey", key)
		case key == "" || !tagText(key, MaxTagKeyRunes):
			return Errorf(InvalidTag, "The TagKey you have provided is invalid").With("TagKey", key)
		case !tagText(value, MaxTagValueRunes):
			return Errorf(InvalidTag, "The TagValue you have provided is invalid").With("TagKey", key).With("TagValue", value)
		}
	}
	return nil
}

func tagText(s string, maxRunes int) bool {
	return utf8.ValidString(s) && utf8.RuneCountInString(s) <= maxRunes && !strings.ContainsFunc(s, func(r rune) bool {
		return !unicode.In(r, unicode.L, unicode.Z, unicode.N) && !strings.ContainsRune("_.:/=+-@", r)
	})
}

// TaggingDocument is the Tagging document: the answer to GetObjectTagging, and
// the body of a PutObjectTagging to a backend.
func TaggingDocument(tags object.Tags) []byte {
	x := newXML(256 + 96*len(tags))
	x.openNamespace("Tagging")
	x.open("TagSet")
	for key, value := range tags.Sorted() {
		x.open("Tag")
		x.text("Key", key)
		x.text("Value", value)
		x.close("Tag")
	}
	x.close("TagSet")
	x.close("Tagging")
	return x.bytes()
}

func errManyTags(most int) *Error {
	if most == MaxBucketTags {
		return Errorf(BadRequest, "Bucket tag count cannot be greater than %d", most)
	}
	return Errorf(BadRequest, "Object tags cannot be greater than %d", MaxTags)
}

func errTaggingHeader(value string) *Error {
	return invalidArgument("x-amz-tagging", value,
		"The header 'x-amz-tagging' shall be encoded as UTF-8 then URLEncoded URL query parameters without tag name duplicates.")
}

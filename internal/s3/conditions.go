package s3

import (
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/s3mirror/s3mirror/internal/object"
)

// tags is the value of If-Match or If-None-Match; nil when the header is
// absent.
type tags []string

// ReadConditions are the If-* headers of a GetObject or HeadObject.
type ReadConditions struct {
	ifMatch, ifNoneMatch               tags
	ifModifiedSince, ifUnmodifiedSince time.Time
	ifRange                            string
	ifRangeTime                        time.Time
}

// ParseReadConditions reads all of them. ETags may come with or without
// quotes and with a weak mark, which is dropped. A date that is none is ignored,
// as RFC 9110 wants it.
func ParseReadConditions(h http.Header) ReadConditions {
	c := ReadConditions{
		ifMatch:     parseTags(h.Values("If-Match")),
		ifNoneMatch: parseTags(h.Values("If-None-Match")),
	}
	c.ifModifiedSince = parseDate(h.Get("If-Modified-Since"))
	c.ifUnmodifiedSince = parseDate(h.Get("If-Unmodified-Since"))
	if v := h.Get("If-Range"); v != "" {
		var err error
		if c.ifRangeTime, err = http.ParseTime(v); err != nil {
			c.ifRange = UnquoteETag(v)
		}
	}
	return c
}

// parseDate is zero for what is no date: such a condition is not there.
func parseDate(s string) (t time.Time) {
	if s != "" {
		t, _ = http.ParseTime(s)
	}
	return t
}

// Check judges a version in the order of RFC 9110, section 13.2.2: If-Match
// before If-Unmodified-Since, which counts only without it, then If-None-Match
// before If-Modified-Since. It returns nil, PreconditionFailed (412, the header
// in the element Condition), NotModified (304), or NoSuchKey for a tombstone.
func (c ReadConditions) Check(cur object.Info) error {
	if cur.Kind != object.Present {
		return Err(NoSuchKey)
	}
	modified := seconds(cur.ModTime)
	switch {
	case c.ifMatch != nil && !c.ifMatch.match(cur.ETag):
		return preconditionFailed("If-Match")
	case c.ifMatch == nil && !c.ifUnmodifiedSince.IsZero() && modified.After(c.ifUnmodifiedSince):
		return preconditionFailed("If-Unmodified-Since")
	case c.ifNoneMatch != nil && c.ifNoneMatch.match(cur.ETag):
		return Err(NotModified)
	case c.ifNoneMatch == nil && !c.ifModifiedSince.IsZero() && !modified.After(c.ifModifiedSince):
		return Err(NotModified)
	}
	return nil
}

// RangeApplies tells whether If-Range, when there is one, allows a part of this
// version to be sent. A date must be the exact modification time.
func (c ReadConditions) RangeApplies(cur object.Info) bool {
	if !c.ifRangeTime.IsZero() {
		return seconds(cur.ModTime).Equal(c.ifRangeTime)
	}
	return c.ifRange == "" || c.ifRange == cur.ETag
}

// WriteConditions are the conditions of a PutObject or DeleteObject. The zero
// value always holds. Who writes asks Check twice: early, to refuse before the
// body is read, and inside the intent's compare-and-set, where the verdict falls
// (RELIABILITY R6).
type WriteConditions struct {
	IfNoneMatchStar bool // no object may stand there
	ifMatch         tags

	// Of a DeleteObject.
	deletes  bool // what is gone already is deleted, whatever was expected of it
	size     *int64
	modified time.Time
}

// ParseWriteConditions reads the conditions of the operation; the headers have
// passed CheckHeaders. An If-None-Match that names an ETag, and both headers at
// once, are NotImplemented, as on AWS; a size or time that is none is
// InvalidArgument.
func ParseWriteConditions(h http.Header) (WriteConditions, error) {
	var c WriteConditions
	c.ifMatch = parseTags(h.Values("If-Match"))
	if none := parseTags(h.Values("If-None-Match")); none != nil {
		if len(none) != 1 || none[0] != "*" {
			return c, headerNotImplemented("If-None-Match").
				With("additionalMessage", "We don't accept the provided value of If-None-Match header for this API")
		}
		if c.ifMatch != nil {
			return c, headerNotImplemented("If-Match,If-None-Match").
				With("additionalMessage", "Multiple conditional request headers present in the request")
		}
		c.IfNoneMatchStar = true
	}
	return c, c.parseDelete(h)
}

// ParseDeleteConditions is ParseWriteConditions of a DeleteObject: where there is no object they
// all hold, as on MinIO, versitygw and Ceph.
func ParseDeleteConditions(h http.Header) (WriteConditions, error) {
	c, err := ParseWriteConditions(h)
	c.deletes = true
	return c, err
}

func (c *WriteConditions) parseDelete(h http.Header) error {
	const sizeName, timeName = "x-amz-if-match-size", "x-amz-if-match-last-modified-time"
	if v := h.Get(sizeName); v != "" {
		n, err := strconv.ParseInt(v, 10, 64)
		if err != nil || n < 0 {
			return invalidArgument(sizeName, v, "The value of %s is not a size.", sizeName)
		}
		c.size = &n
	}
	if v := h.Get(timeName); v != "" {
		t, err := parseTime(v)
		if err != nil {
			return invalidArgument(timeName, v, "The value of %s is not a time.", timeName)
		}
		c.modified = seconds(t)
	}
	return nil
}

// Empty tells whether the write is unconditional.
func (c WriteConditions) Empty() bool {
	return !c.IfNoneMatchStar && c.ifMatch == nil && c.size == nil && c.modified.IsZero()
}

// Check judges what stands under the key; a tombstone means nothing does. It
// returns nil, PreconditionFailed (412, the header in the element Condition), or
// NoSuchKey (404) when the If-Match of a PutObject finds no object. The conditions of a
// DeleteObject hold where there is none: there is nothing to protect.
func (c WriteConditions) Check(cur object.Info) error {
	if cur.Kind != object.Present {
		if c.ifMatch != nil && !c.deletes {
			return Err(NoSuchKey)
		}
		return nil
	}
	switch {
	case c.IfNoneMatchStar:
		return preconditionFailed("If-None-Match")
	case c.ifMatch != nil && !c.ifMatch.match(cur.ETag):
		return preconditionFailed("If-Match")
	case !c.modified.IsZero() && !seconds(cur.ModTime).Equal(c.modified):
		return preconditionFailed("If-Match-Last-Mod-Time")
	case c.size != nil && *c.size != cur.Size:
		return preconditionFailed("If-Match-Size")
	}
	return nil
}

func preconditionFailed(condition string) *Error {
	return Err(PreconditionFailed).With("Condition", condition)
}

// match tells whether one of the tags is the ETag. An unknown ETag (a foreign
// object whose backend sends none) is matched by `*` alone.
func (t tags) match(etag string) bool {
	for _, tag := range t {
		if tag == "*" || tag == etag && etag != "" {
			return true
		}
	}
	return false
}

// parseTags splits on commas outside quotes. The result is nil only when the
// header is absent: an empty header is a condition that nothing meets.
func parseTags(values []string) tags {
	if len(values) == 0 {
		return nil
	}
	list := tags{}
	for _, v := range values {
		quoted, start := false, 0
		for i := 0; i <= len(v); i++ {
			if i < len(v) && v[i] == '"' {
				quoted = !quoted
			}
			if i < len(v) && (v[i] != ',' || quoted) {
				continue
			}
			list = appendTag(list, strings.TrimSpace(v[start:i]))
			start = i + 1
		}
	}
	return list
}

// appendTag keeps the star apart from an ETag that is spelled like it.
func appendTag(list tags, tag string) tags {
	switch etag := UnquoteETag(tag); {
	case tag == "":
		return list
	case etag == "*" && tag != "*":
		return append(list, tag)
	default:
		return append(list, etag)
	}
}

// parseTime takes the dates of HTTP and, since SDKs disagree, ISO 8601.
func parseTime(s string) (time.Time, error) {
	if t, err := http.ParseTime(s); err == nil {
		return t, nil
	}
	return time.Parse(time.RFC3339, s)
}

// seconds is the precision of HTTP dates, and so of every comparison with one.
func seconds(t time.Time) time.Time { return t.Truncate(time.Second) }

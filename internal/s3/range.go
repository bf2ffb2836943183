package s3

import (
	"fmt"
	"math"
	"net/http"
	"strconv"
	"strings"
)

// Range is the part of an object that an answer carries.
type Range struct {
	Offset, Length int64 // bytes
	Size           int64 // of the whole object
	Partial        bool  // the client asked for a part and gets one, be it all of it
}

// ParseRange reads a Range header, empty when there is none, against the size
// of the object. As on S3, several ranges in one header and whatever cannot be
// read give the whole object. A range beyond the end, and of an empty object every one
// but its last bytes, is InvalidRange (416, with ActualObjectSize and RangeRequested).
func ParseRange(header string, size int64) (Range, error) {
	whole := Range{Length: size, Size: size}
	first, last, ok := splitRange(header)
	if !ok {
		return whole, nil
	}
	if first < 0 { // a suffix: the last bytes
		if last == 0 {
			return Range{}, invalidRange(header, size)
		}
		if size == 0 { // all of nothing, which no Content-Range can say
			return whole, nil
		}
		n := min(last, size)
		return Range{Offset: size - n, Length: n, Size: size, Partial: true}, nil
	}
	if first >= size {
		return Range{}, invalidRange(header, size)
	}
	last = min(last, size-1)
	return Range{Offset: first, Length: last - first + 1, Size: size, Partial: true}, nil
}

// splitRange returns the bounds of `bytes=first-last`. first is -1 for a
// suffix, whose length is last; last is MaxInt64 when it is open.
func splitRange(header string) (first, last int64, ok bool) {
	unit, spec, found := strings.Cut(header, "=")
	if !found || !strings.EqualFold(strings.TrimSpace(unit), "bytes") {
		return 0, 0, false
	}
	from, to, found := strings.Cut(strings.TrimRight(spec, " "), "-") // a blank in front is none of the grammar
	if !found {
		return 0, 0, false
	}
	first, last = -1, math.MaxInt64
	if from != "" {
		if first, ok = decimal(from); !ok {
			return 0, 0, false
		}
	}
	if to != "" {
		if last, ok = decimal(to); !ok {
			return 0, 0, false
		}
	}
	if from == "" {
		return first, last, to != ""
	}
	return first, last, first <= last
}

// decimal reads digits alone. A number too large for an object is the largest
// one: `bytes=0-99999999999999999999` is a legal way to say "all".
func decimal(s string) (int64, bool) {
	if s == "" || strings.Trim(s, "0123456789") != "" {
		return 0, false
	}
	n, err := strconv.ParseInt(s, 10, 64)
	if err != nil {
		return math.MaxInt64, true
	}
	return n, true
}

func invalidRange(header string, size int64) *Error {
	return Err(InvalidRange).
		With("RangeRequested", header).
		With("ActualObjectSize", strconv.FormatInt(size, 10))
}

// SetHeaders sets Content-Length and, for a part, Content-Range, and returns
// the status that goes with them: 200 or 206.
func (r Range) SetHeaders(h http.Header) int {
	h.Set("Content-Length", strconv.FormatInt(r.Length, 10))
	if !r.Partial {
		return http.StatusOK
	}
	h.Set("Content-Range", fmt.Sprintf("bytes %d-%d/%d", r.Offset, r.Offset+r.Length-1, r.Size))
	return http.StatusPartialContent
}

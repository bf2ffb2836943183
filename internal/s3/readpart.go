package s3

import (
	"net/http"
	"strconv"

	"github.com/s3mirror/s3mirror/internal/object"
)

// ReadRange returns the bytes that a GetObject or HeadObject of a version
// gives: all of them, a Range (when If-Range lets it count), or the part that
// partNumber names, whose number it returns too, zero without one.
//
// Errors: those of ParseRange and PartNumber; InvalidPartNumber (416) for a
// part that the object does not have; InvalidRequest for both at once. Of an
// object that was put in one piece part 1 is all of it.
func (op *Operation) ReadRange(h http.Header, info object.Info, rangeApplies bool) (r Range, part int, err error) {
	header := h.Get("Range")
	if !op.Query.Has("partNumber") {
		if !rangeApplies {
			header = ""
		}
		r, err = ParseRange(header, info.Size)
		return r, 0, err
	}
	if part, err = op.PartNumber(); err != nil {
		return Range{}, 0, err
	}
	if header != "" {
		return Range{}, 0, Errorf(InvalidRequest, "Cannot specify both Range header and partNumber query parameter")
	}
	sizes := info.Parts
	if len(sizes) == 0 {
		sizes = []int64{info.Size}
	}
	if part > len(sizes) {
		return Range{}, 0, Err(InvalidPartNumber).With("ActualPartCount", strconv.Itoa(len(sizes))).
			With("PartNumberRequested", strconv.Itoa(part))
	}
	r = Range{Length: sizes[part-1], Size: info.Size, Partial: sizes[part-1] > 0}
	for _, before := range sizes[:part-1] {
		r.Offset += before
	}
	return r, part, nil
}

// SetPartChecksum sets the checksum of one part of a version whose checksum is COMPOSITE,
// base64.
func SetPartChecksum(h http.Header, info object.Info, sum string) {
	if algorithm, _ := storedChecksum(info.Headers); algorithm != "" {
		h.Set(checksumPrefix+algorithm, sum)
	}
}

// SetPartsCount sets x-amz-mp-parts-count, which the answer to a read of a part
// of a multipart object carries.
func SetPartsCount(h http.Header, info object.Info, part int) {
	if part > 0 && len(info.Parts) > 0 {
		h.Set("x-amz-mp-parts-count", strconv.Itoa(len(info.Parts)))
	}
}

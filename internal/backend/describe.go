package backend

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"

	"github.com/s3mirror/s3mirror/internal/object"
	"github.com/s3mirror/s3mirror/internal/s3"
)

// Describer is the part of an endpoint that tells how an object is made. Not
// every endpoint can.
type Describer interface {
	// Describe returns what the endpoint says of an object beside its metadata.
	Describe(ctx context.Context, bucket, key string) (Description, error)

	// PartSizes returns the sizes in bytes of the parts of a multipart object
	// with this ETag, nil for an object that was put in one piece. ErrAnswer when
	// the endpoint does not tell; Refused with PreconditionFailed for another ETag.
	PartSizes(ctx context.Context, bucket, key, etag string) ([]int64, error)
}

// Description is what an endpoint says of an object (GetObjectAttributes).
type Description struct {
	ETag      string // without quotes
	Size      int64  // bytes; negative: it does not say
	Checksums object.Headers
	PartCount int       // zero: it does not say, or the object has none
	Parts     []s3.Part // number, size and checksum; empty where it keeps no checksums of parts
}

// maxPartPages bounds a description: ten thousand parts, a thousand to a page.
const maxPartPages = 11

// Describe implements Describer.
func (r *Remote) Describe(ctx context.Context, bucket, key string) (Description, error) {
	if err := checkTarget(bucket, key); err != nil {
		return Description{}, r.unsent(OpDescribe, err)
	}
	var d Description
	after := 0
	for range maxPartPages {
		page, err := r.describe(ctx, bucket, key, after)
		if err != nil {
			return Description{}, err
		}
		if after > 0 && page.ETag != d.ETag {
			return Description{}, r.odd(OpDescribe, "an object that changed between two pages of its parts")
		}
		parts := append(d.Parts, page.Parts...)
		d = Description{ETag: page.ETag, Size: page.Size, Checksums: page.Checksums, PartCount: page.PartCount, Parts: parts}
		if !page.Truncated {
			return d, nil
		}
		if n := len(page.Parts); n == 0 || page.Parts[n-1].Number <= after {
			break
		}
		after = page.Parts[len(page.Parts)-1].Number
	}
	return Description{}, r.odd(OpDescribe, "a list of parts without end")
}

func (r *Remote) describe(ctx context.Context, bucket, key string, after int) (page *s3.Attributes, err error) {
	h := http.Header{}
	h.Set("X-Amz-Object-Attributes", "ETag,Checksum,ObjectParts,ObjectSize")
	if after > 0 {
		h.Set("X-Amz-Part-Number-Marker", strconv.Itoa(after))
	}
	c := call{op: OpDescribe, method: http.MethodGet, bucket: bucket, key: key, query: "attributes=", header: h}
	err = r.run(ctx, c, func(resp *http.Response) (err error) {
		page, err = s3.DecodeAttributes(resp.Body)
		return err
	})
	return page, err
}

// odd is the error of answers that are each well-formed and make no sense.
func (r *Remote) odd(op Op, what string) *Error {
	return &Error{Backend: r.o.Name, Op: op, Outcome: Ambiguous, Err: fmt.Errorf("%w: %s", ErrAnswer, what)}
}

// PartSizes implements Describer. It asks for the first and the last part, and
// for the others only when those two do not tell their sizes.
func (r *Remote) PartSizes(ctx context.Context, bucket, key, etag string) ([]int64, error) {
	if err := checkTarget(bucket, key); err != nil {
		return nil, r.unsent(OpParts, err)
	}
	first, err := r.headPart(ctx, bucket, key, etag, 1)
	switch {
	case err != nil:
		return nil, err
	case first.count == 0 && strings.Contains(etag, "-"):
		return nil, r.odd(OpParts, "a multipart object without a number of parts")
	case first.count == 0:
		return nil, nil
	}
	sizes := make([]int64, first.count)
	for i := range sizes {
		sizes[i] = first.size
	}
	if first.count == 1 {
		return sizes, r.sizesAdd(sizes, first.total)
	}
	last, err := r.headPart(ctx, bucket, key, etag, first.count)
	if err != nil {
		return nil, err
	}
	sizes[first.count-1] = last.size
	if sum(sizes) == first.total {
		return sizes, nil
	}
	for n := 2; n < first.count; n++ {
		p, err := r.headPart(ctx, bucket, key, etag, n)
		if err != nil {
			return nil, err
		}
		sizes[n-1] = p.size
	}
	return sizes, r.sizesAdd(sizes, first.total)
}

func (r *Remote) sizesAdd(sizes []int64, total int64) error {
	if sum(sizes) != total {
		return r.odd(OpParts, fmt.Sprintf("parts of %d bytes in an object of %d", sum(sizes), total))
	}
	return nil
}

func sum(sizes []int64) (n int64) {
	for _, size := range sizes {
		n += size
	}
	return n
}

// partHead is what the answer to a HEAD says of a part: its size, that of the
// object, and the number of parts, zero when it says none.
type partHead struct {
	size, total int64
	count       int
}

func (r *Remote) headPart(ctx context.Context, bucket, key, etag string, number int) (p partHead, err error) {
	c := call{
		op: OpParts, method: http.MethodHead, bucket: bucket, key: key, query: "partNumber=" + strconv.Itoa(number),
		header: http.Header{"If-Match": {s3.QuoteETag(etag)}},
	}
	err = r.run(ctx, c, func(resp *http.Response) (err error) {
		p, err = readPartHead(resp)
		return err
	})
	var e *Error
	if errors.As(err, &e) && e.Status == http.StatusNotFound {
		if err := r.confirm(ctx, bucket, key); err != nil {
			return p, err
		}
	}
	return p, err
}

func readPartHead(resp *http.Response) (partHead, error) {
	p := partHead{size: resp.ContentLength, total: resp.ContentLength}
	count := resp.Header.Get("X-Amz-Mp-Parts-Count")
	if count == "" { // an object in one piece, or an endpoint that ignores part numbers
		return p, nil
	}
	n, err := strconv.Atoi(count)
	part, ok := parseContentRange(resp.Header.Get("Content-Range"))
	if err != nil || n < 1 || n > s3.MaxParts || !ok && resp.ContentLength != 0 || ok && part.length != resp.ContentLength {
		return partHead{}, fmt.Errorf("%w: %s parts, range %q, %d bytes", ErrAnswer, count, resp.Header.Get("Content-Range"), resp.ContentLength)
	}
	p.count = n
	if ok {
		p.total = part.size
	}
	return p, nil
}

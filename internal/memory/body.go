package memory

import (
	"errors"
	"hash"
	"io"
	"strconv"

	"github.com/s3mirror/s3mirror/internal/auth"
	"github.com/s3mirror/s3mirror/internal/s3"
)

const (
	maxObject = 5 << 30   // bytes of a single PUT
	slabSize  = 256 << 10 // bytes
)

// slabs are the bytes of an object. They are allocated as bytes arrive, so that
// a client can not make the server allocate what it only announces.
type slabs [][]byte

// writeTo writes n bytes from offset on.
func (s slabs) writeTo(w io.Writer, offset, n int64) error {
	for _, slab := range s {
		size := int64(len(slab))
		if offset >= size {
			offset -= size
			continue
		}
		part := slab[offset:min(size, offset+n)]
		if _, err := w.Write(part); err != nil {
			return err
		}
		if n -= int64(len(part)); n == 0 {
			return nil
		}
		offset = 0
	}
	return nil
}

// cut returns the first n bytes.
func (s slabs) cut(n int64) slabs {
	var out slabs
	for _, slab := range s {
		part := slab[:min(int64(len(slab)), n)]
		out = append(out, part)
		if n -= int64(len(part)); n == 0 {
			break
		}
	}
	return out
}

// sub returns n bytes from offset on, without copying them.
func (s slabs) sub(offset, n int64) slabs {
	var out slabs
	for _, slab := range s {
		size := int64(len(slab))
		if offset >= size {
			offset -= size
			continue
		}
		part := slab[offset:min(size, offset+n)]
		if len(part) > 0 {
			out = append(out, part)
		}
		if n -= int64(len(part)); n == 0 {
			break
		}
		offset = 0
	}
	return out
}

// hash feeds all bytes to h.
func (s slabs) hash(h hash.Hash) []byte {
	for _, slab := range s {
		h.Write(slab)
	}
	return h.Sum(nil)
}

// refuseBody answers a request that must come without a body and has one.
func (q *request) refuseBody() error {
	if q.ContentLength == 0 {
		return nil
	}
	return s3.Errorf(s3.InvalidRequest, "The request included a body. Requests of this type must not include a non-empty body.")
}

// upload returns the body of a PUT. Its MD5 is always computed, for the ETag.
func (q *request) upload() (*auth.Body, error) {
	b, err := q.sender.Body(q.Request)
	if err != nil {
		return nil, err
	}
	if b.Size() > maxObject {
		return nil, s3.Err(s3.EntityTooLarge).
			With("ProposedSize", strconv.FormatInt(b.Size(), 10)).
			With("MaxSizeAllowed", strconv.Itoa(maxObject))
	}
	b.ComputeMD5()
	return b, nil
}

// receive reads a body until everything about it is verified.
func receive(b *auth.Body) (slabs, error) {
	var data slabs
	for left := b.Size(); left > 0; {
		slab := make([]byte, min(left, slabSize))
		if _, err := io.ReadFull(b, slab); err != nil {
			return nil, whole(err)
		}
		data = append(data, slab)
		left -= int64(len(slab))
	}
	// The end is where a body is proved.
	if _, err := io.ReadFull(b, make([]byte, 1)); !errors.Is(err, io.EOF) {
		return nil, whole(err)
	}
	return data, nil
}

// whole makes sure that a body which did not end well is never taken for one
// that did. Body never lets it come to that.
func whole(err error) error {
	if err == nil || errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return s3.Err(s3.IncompleteBody).Because(err)
	}
	return err
}

package gateway

import (
	"errors"
	"fmt"
	"net/http"

	"github.com/s3mirror/s3mirror/internal/object"
	"github.com/s3mirror/s3mirror/internal/replica"
	"github.com/s3mirror/s3mirror/internal/s3"
)

// errOther: the version changed between two looks at it.
var errOther = errors.New("another version was written meanwhile")

// partTries bounds how often a part of a version that is being replaced is asked for.
const partTries = 3

// getPart serves the part that partNumber names, of the version whose parts were asked
// for, and of no other.
func (h *Handler) getPart(w http.ResponseWriter, r *request, read *read) error {
	err := r.checkPartNumber()
	if err != nil {
		return h.bucketFirst(r, err)
	}
	for range partTries {
		if err = h.tryPart(w, r, read); !errors.Is(err, errOther) {
			return err
		}
	}
	return s3.Err(s3.SlowDown).Because(err)
}

func (h *Handler) tryPart(w http.ResponseWriter, r *request, read *read) error {
	v, err := h.Replicas.Head(r.Context(), r.op.ObjectKey())
	if err != nil {
		return err
	}
	if err := read.judge(w.Header(), v.Info); err != nil {
		return err
	}
	if v.Parts, err = h.Replicas.PartSizes(r.Context(), r.op.ObjectKey(), v.Info); err != nil {
		return err
	}
	part, number, err := r.op.ReadRange(r.oneRange(), v.Info, false)
	if err != nil {
		return err
	}
	if err := h.partChecksum(w.Header(), r, v.Info, number); err != nil {
		return err
	}
	get := replica.GetRequest{Key: r.op.ObjectKey(), Check: func(cur object.Info) error {
		if cur.ID != v.ID || cur.ETag != v.ETag || cur.Size != v.Size {
			return errOther
		}
		return nil
	}}
	if part.Partial {
		get.Range = fmt.Sprintf("bytes=%d-%d", part.Offset, part.Offset+part.Length-1)
	}
	obj, err := h.Replicas.Get(r.Context(), get)
	if err != nil {
		return err
	}
	defer obj.Body.Close()
	return send(w, connOf(r.Request), obj, func() {
		s3.SetPartsCount(w.Header(), v.Info, number)
		w.WriteHeader(h.describe(w.Header(), r, obj.Version, obj.Range))
	})
}

// partChecksum sets the checksum of the part, zero for none, if the client wants it and S3
// has one.
func (h *Handler) partChecksum(header http.Header, r *request, info object.Info, number int) error {
	if number == 0 || !s3.WantsChecksums(r.Header) {
		return nil
	}
	sums, err := h.Replicas.PartSums(r.Context(), r.op.ObjectKey(), info, info.Parts)
	if err == nil && number <= len(sums) {
		s3.SetPartChecksum(header, info, sums[number-1])
	}
	return err
}

// checkPartNumber refuses a number that no part has, whatever the object.
func (r *request) checkPartNumber() error {
	if !r.op.Query.Has("partNumber") {
		return nil
	}
	_, err := r.op.PartNumber()
	return err
}

// oneRange are the headers without a Range that is several, which counts as none.
func (r *request) oneRange() http.Header {
	if len(r.Header["Range"]) < 2 {
		return r.Header
	}
	own := r.Header.Clone()
	own.Del("Range")
	return own
}

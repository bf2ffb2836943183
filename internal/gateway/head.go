package gateway

import (
	"net/http"

	"github.com/s3mirror/s3mirror/internal/s3"
)

// headObject is getObject without a body: the same verdicts, the same headers.
func (h *Handler) headObject(w http.ResponseWriter, r *request) error {
	if err := r.checkPartNumber(); err != nil {
		return h.bucketFirst(r, err)
	}
	v, err := h.Replicas.Peek(r.Context(), r.op.ObjectKey())
	if err != nil {
		return toldStale(w, err)
	}
	read := newRead(r)
	if err := read.judge(w.Header(), v.Info); err != nil {
		return err
	}
	if r.op.Query.Has("partNumber") {
		if v.Parts, err = h.Replicas.PartSizes(r.Context(), r.op.ObjectKey(), v.Info); err != nil {
			return err
		}
	}
	part, number, err := r.op.ReadRange(r.oneRange(), v.Info, read.RangeApplies(v.Info))
	if err != nil {
		return err
	}
	if err := h.partChecksum(w.Header(), r, v.Info, number); err != nil {
		return err
	}
	s3.SetPartsCount(w.Header(), v.Info, number)
	w.WriteHeader(h.describe(w.Header(), r, v, part))
	return nil
}

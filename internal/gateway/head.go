package gateway

import (
	"net/http"

	"github.com/s3mirror/s3mirror/internal/s3"
)

// headObject is getObject without a body: the same verdicts, the same headers.
func (h *Handler) headObject(w http.ResponseWriter, r *request) error {
	v, err := h.Replicas.Head(r.Context(), r.op.ObjectKey())
	if err != nil {
		return err
	}
	read := newRead(r)
	if err := read.judge(w.Header(), v.Info); err != nil {
		return err
	}
	part := s3.Range{Length: v.Size, Size: v.Size}
	if read.RangeApplies(v.Info) {
		if part, err = s3.ParseRange(read.span, v.Size); err != nil {
			return err
		}
	}
	w.WriteHeader(h.describe(w.Header(), r, v, part))
	return nil
}

package gateway

import (
	"net/http"
	"slices"

	"github.com/s3mirror/s3mirror/internal/object"
	"github.com/s3mirror/s3mirror/internal/s3"
)

// getAttributes tells how the current version is made.
func (h *Handler) getAttributes(w http.ResponseWriter, r *request) error {
	ask, err := s3.ParseAttributes(r.Header)
	if err != nil {
		return h.bucketFirst(r, err)
	}
	v, err := h.Replicas.Head(r.Context(), r.op.ObjectKey())
	if err != nil {
		return err
	}
	r.replica = v.Replica
	var sums []string // of the parts
	if slices.Contains(ask.Wanted, s3.AttributeObjectParts) {
		if v.Parts, err = h.Replicas.PartSizes(r.Context(), r.op.ObjectKey(), v.Info); err != nil {
			return err
		}
		if sums, err = h.Replicas.PartSums(r.Context(), r.op.ObjectKey(), v.Info, v.Parts); err != nil {
			return err
		}
	}
	s3.ResponseHeaders(w.Header(), object.Info{ModTime: v.ModTime}, s3.ResponseOptions{})
	delete(w.Header(), "ETag") // of the object, and not of the document, as those below; Del would look for Etag
	for _, name := range []string{"Content-Length", "Content-Type", "Accept-Ranges"} {
		w.Header().Del(name)
	}
	s3.WriteXML(w, ask.Document(v.Info, sums))
	return nil
}

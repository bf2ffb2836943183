package gateway

import (
	"net/http"

	"github.com/s3mirror/s3mirror/internal/s3"
)

// listVersions lists the one version that each object has.
func (h *Handler) listVersions(w http.ResponseWriter, r *request) error {
	ask, err := s3.ParseListVersions(r.op)
	if err != nil {
		return err
	}
	page, err := h.listPage(w, r, &ask.ListRequest)
	if err != nil {
		return err
	}
	s3.WriteXML(w, ask.Document(page))
	return nil
}

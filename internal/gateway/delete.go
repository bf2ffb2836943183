package gateway

import (
	"net/http"

	"github.com/s3mirror/s3mirror/internal/replica"
	"github.com/s3mirror/s3mirror/internal/s3"
)

// deleteObject answers 204 whether or not there was an object.
func (h *Handler) deleteObject(w http.ResponseWriter, r *request) error {
	conditions, err := s3.ParseDeleteConditions(r.Header)
	if err != nil {
		return err
	}
	err = h.Replicas.Delete(r.Context(), replica.DeleteRequest{
		Key: r.op.ObjectKey(), If: conditions, Actor: r.actor(), Request: r.id,
	})
	if err != nil {
		return err
	}
	return empty(w, http.StatusNoContent)
}

package gateway

import (
	"bytes"
	"net/http"

	"github.com/s3mirror/s3mirror/internal/replica"
	"github.com/s3mirror/s3mirror/internal/s3"
)

// deleteObjects answers for each key on its own: what may not be deleted, or not by
// this sender, keeps no other key from it.
func (h *Handler) deleteObjects(w http.ResponseWriter, r *request) error {
	if err := s3.RequireDigest(r.Header); err != nil {
		return err
	}
	document, err := r.sender.Document(r.Request, s3.MaxDeleteBytes)
	if err != nil {
		return err
	}
	if len(document) == 0 {
		return s3.Err(s3.MissingRequestBody)
	}
	del, err := s3.ParseDelete(r.op, bytes.NewReader(document))
	if err != nil {
		return err
	}
	outcomes := make([]s3.DeleteOutcome, len(del.Objects))
	ask := replica.DeleteManyRequest{Bucket: r.op.Bucket, Actor: r.actor(), Request: r.id}
	var asked []int
	for i, o := range del.Objects {
		outcomes[i].Key, outcomes[i].Version = o.Key, o.Version
		if err := h.mayDelete(r, o); err != nil {
			outcomes[i].Err = err
			continue
		}
		ask.Objects = append(ask.Objects, replica.DeleteKey{Name: o.Key, If: o.If})
		asked = append(asked, i)
	}
	results, err := h.Replicas.DeleteMany(r.Context(), ask)
	if err != nil {
		return err
	}
	for i, n := range asked {
		outcomes[n].Err = results[i]
	}
	s3.WriteXML(w, del.Document(outcomes))
	return nil
}

// mayDelete tells why a key is not deleted, whoever asks or by this sender.
func (h *Handler) mayDelete(r *request, o s3.DeleteEntry) error {
	err := h.permit(r, o.Key)
	if err == nil && o.Refusal != nil {
		err = o.Refusal
	}
	if err != nil {
		h.noteKey(r, o.Key, err)
	}
	return err
}

package gateway

import (
	"bytes"
	"net/http"

	"github.com/s3mirror/s3mirror/internal/object"
	"github.com/s3mirror/s3mirror/internal/replica"
	"github.com/s3mirror/s3mirror/internal/s3"
)

// maxTagging bounds the document of a PutObjectTagging, in bytes.
const maxTagging = 64 << 10

func (h *Handler) getTags(w http.ResponseWriter, r *request) error {
	tags, _, err := h.Replicas.Tags(r.Context(), r.op.ObjectKey())
	if err != nil {
		return err
	}
	s3.WriteXML(w, s3.TaggingDocument(tags))
	return nil
}

// putTags replaces the tags of an object by those of the document.
func (h *Handler) putTags(w http.ResponseWriter, r *request) error {
	body, err := r.sender.Document(r.Request, maxTagging)
	if err != nil {
		return err
	}
	tags, err := s3.ParseTagging(bytes.NewReader(body))
	if err != nil {
		return err
	}
	if err := h.tag(r, tags); err != nil {
		return err
	}
	return empty(w, http.StatusOK)
}

func (h *Handler) deleteTags(w http.ResponseWriter, r *request) error {
	if err := h.tag(r, nil); err != nil {
		return err
	}
	return empty(w, http.StatusNoContent)
}

func (h *Handler) tag(r *request, tags object.Tags) error {
	return h.Replicas.PutTags(r.Context(), replica.TagRequest{Key: r.op.ObjectKey(), Tags: tags, Actor: r.actor(), Request: r.id})
}

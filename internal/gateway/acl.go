package gateway

import (
	"bytes"
	"errors"
	"net/http"

	"github.com/s3mirror/s3mirror/internal/s3"
)

// getACL shows the one list that there is, of a bucket or an object.
func (h *Handler) getACL(w http.ResponseWriter, r *request) error {
	if err := h.exists(r); err != nil {
		return err
	}
	s3.WriteXML(w, s3.ACLDocument(r.owner()))
	return nil
}

// putACL takes the one list that there is.
func (h *Handler) putACL(w http.ResponseWriter, r *request) error {
	if err := h.exists(r); err != nil {
		return err
	}
	ownership, err := h.setting(r, settingOwnership)
	if err != nil {
		return err
	}
	document, err := r.sender.Document(r.Request, maxSetting)
	if err != nil {
		return err
	}
	off := ownership == settings[settingOwnership].unset
	if err := s3.CheckPutACL(r.Header, bytes.NewReader(document), len(document) == 0, r.isOwner, off); err != nil {
		return err
	}
	return empty(w, http.StatusOK)
}

// exists returns nil when what the request addresses is there.
func (h *Handler) exists(r *request) error {
	if r.op.Key == "" {
		return h.Replicas.HeadBucket(r.Context(), r.op.Bucket)
	}
	_, err := h.Replicas.Head(r.Context(), r.op.ObjectKey())
	return err
}

// bucketFirst is what is wrong with a request to a bucket: that it is not there comes
// before what S3 judges only afterwards.
func (h *Handler) bucketFirst(r *request, err error) error {
	if gone := h.Replicas.HeadBucket(r.Context(), r.op.Bucket); errors.Is(gone, s3.NoSuchBucket) {
		return gone
	}
	return err
}

// isOwner tells whether an id is one that the sender may know the owner by.
func (r *request) isOwner(id string) bool { return id == owner.ID || id == r.owner().ID }

// expectOwner refuses a request whose sender takes the bucket, or that of a
// copy's source, for somebody else's. Servers without accounts name owners by the key
// that a client signs with, so that is taken for one's own as well.
func (r *request) expectOwner() error {
	for _, name := range []string{"X-Amz-Expected-Bucket-Owner", "X-Amz-Source-Expected-Bucket-Owner"} {
		if expected := r.Header.Get(name); expected != "" && !r.isOwner(expected) && expected != owner.DisplayName && expected != r.sender.AccessKeyID {
			return s3.Err(s3.AccessDenied)
		}
	}
	return nil
}

package gateway

import (
	"cmp"
	"errors"
	"net/http"

	"github.com/s3mirror/s3mirror/internal/object"
	"github.com/s3mirror/s3mirror/internal/replica"
	"github.com/s3mirror/s3mirror/internal/s3"
)

// copyObject makes an object of another one. Whether the sender may read the source
// was judged with the rest: see access.
func (h *Handler) copyObject(w http.ResponseWriter, r *request) error {
	source, err := r.op.CopySource(r.Header)
	if err != nil {
		return err
	}
	ask, err := s3.ParseCopy(r.Header)
	if err != nil {
		return err
	}
	onSource := s3.ParseCopyConditions(r.Header)
	if err := ask.CheckSelf(source, r.op.ObjectKey()); err != nil {
		return h.sourceFirst(r, source, onSource, err)
	}
	conditions, err := s3.ParseWriteConditions(r.Header)
	if err != nil {
		return err
	}
	return h.lateDocument(s3.NewLateAnswer(w), r, func() ([]byte, error) {
		info, err := h.Replicas.Copy(r.Context(), replica.CopyRequest{
			Key: r.op.ObjectKey(), Source: source, Headers: ask.Apply, Tags: ask.ApplyTags, KeepsTags: !ask.ReplaceTags, Algorithm: ask.Algorithm, If: conditions,
			Check: func(source object.Info) error {
				if err := onSource.CheckCopy(source); err != nil {
					return err
				}
				return s3.CheckCopySize(source.Size)
			},
			Actor: r.actor(), Request: r.id,
		})
		if err != nil {
			return nil, err
		}
		copied := s3.Copied{ETag: info.ETag, Modified: info.ModTime, Checksums: info.Headers}
		return copied.Document(), nil
	})
}

// sourceFirst is what is wrong with a copy of an object to itself: that it is not there, or
// not what was expected, comes first.
func (h *Handler) sourceFirst(r *request, source object.Key, conditions s3.ReadConditions, err error) error {
	v, gone := h.Replicas.Head(r.Context(), source)
	switch {
	case errors.Is(gone, s3.NoSuchKey), errors.Is(gone, s3.NoSuchBucket):
		return gone
	case gone != nil:
		return err
	}
	return cmp.Or(conditions.CheckCopy(v.Info), err)
}

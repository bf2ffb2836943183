package gateway

import (
	"encoding/base64"
	"net/http"
	"strconv"

	"github.com/s3mirror/s3mirror/internal/object"
	"github.com/s3mirror/s3mirror/internal/replica"
	"github.com/s3mirror/s3mirror/internal/s3"
)

// maxObjectBytes is what one PutObject may carry.
const maxObjectBytes = 5 << 30

// putObject hands the body on unread: the replicas read it once their own
// checks have passed.
func (h *Handler) putObject(w http.ResponseWriter, r *request) error {
	body, err := r.sender.Body(r.Request)
	if err != nil {
		return err
	}
	if body.Size() > maxObjectBytes {
		return s3.Err(s3.EntityTooLarge).
			With("ProposedSize", strconv.FormatInt(body.Size(), 10)).
			With("MaxSizeAllowed", strconv.FormatInt(maxObjectBytes, 10))
	}
	headers, err := s3.VersionHeaders(r.Header)
	if err != nil {
		return err
	}
	conditions, err := s3.ParseWriteConditions(r.Header)
	if err != nil {
		return err
	}
	info, err := h.Replicas.Put(r.Context(), replica.PutRequest{
		Key: r.op.ObjectKey(), Headers: headers, Body: body, If: conditions,
		Actor: r.actor(), Request: r.id,
	})
	if err != nil {
		return err
	}
	s3.WrittenHeaders(w.Header(), object.Info{ETag: info.ETag, Headers: promised(body)})
	return empty(w, http.StatusOK)
}

// promised is the checksum that the client gave, in a header or a trailer: it
// is told back to it, and only that.
func promised(body replica.Body) object.Headers {
	sum := body.Promised()
	if sum.Algorithm == "" {
		return nil
	}
	return object.Headers{sum.Header(): base64.StdEncoding.EncodeToString(sum.Value)}
}

// empty answers with headers alone.
func empty(w http.ResponseWriter, status int) error {
	if status != http.StatusNoContent {
		w.Header().Set("Content-Length", "0")
	}
	w.WriteHeader(status)
	return nil
}

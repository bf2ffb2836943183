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
	info, sum, err := h.put(r, r.Request)
	if err != nil {
		return err
	}
	s3.WrittenHeaders(w.Header(), object.Info{ETag: info.ETag, Headers: sum})
	w.Header().Set("X-Amz-Object-Size", strconv.FormatInt(info.Size, 10))
	return empty(w, http.StatusOK)
}

// put writes the body of a request that is a PutObject or another form of one,
// and tells what was written and the checksum that the client promised.
func (h *Handler) put(r *request, req *http.Request) (info object.Info, sum object.Headers, err error) {
	body, err := r.sender.Body(req)
	if err != nil {
		return info, nil, err
	}
	if body.Size() > maxObjectBytes {
		return info, nil, s3.Err(s3.EntityTooLarge).
			With("ProposedSize", strconv.FormatInt(body.Size(), 10)).
			With("MaxSizeAllowed", strconv.FormatInt(maxObjectBytes, 10))
	}
	headers, err := s3.VersionHeaders(req.Header)
	if err != nil {
		return info, nil, err
	}
	tags, err := s3.ParseTaggingHeader(req.Header)
	if err != nil {
		return info, nil, err
	}
	conditions, err := s3.ParseWriteConditions(req.Header)
	if err != nil {
		return info, nil, err
	}
	info, err = h.Replicas.Put(r.Context(), replica.PutRequest{
		Key: r.op.ObjectKey(), Headers: headers, Tags: tags, Body: body, If: conditions,
		Actor: r.actor(), Request: r.id,
	})
	if err != nil {
		return info, nil, err
	}
	return info, told(body.Promised(), info.Headers), nil
}

// told is the checksum that a client is told of what it wrote: its own, from a header or
// a trailer, or else the one that S3 computes by itself, where the replicas keep it.
func told(sum s3.Checksum, written object.Headers) object.Headers {
	if sum.Algorithm != "" {
		return object.Headers{sum.Header(): base64.StdEncoding.EncodeToString(sum.Value)}
	}
	sum.Algorithm = s3.DefaultChecksum
	if value := written[sum.Header()]; value != "" {
		return object.Headers{sum.Header(): value}
	}
	return nil
}

// empty answers with headers alone.
func empty(w http.ResponseWriter, status int) error {
	if status != http.StatusNoContent {
		w.Header().Set("Content-Length", "0")
	}
	w.WriteHeader(status)
	return nil
}

package probe

import (
	"context"
	"errors"
	"fmt"
	"net/http"

	"github.com/s3mirror/s3mirror/internal/backend"
	"github.com/s3mirror/s3mirror/internal/object"
)

// copyMatch: whether a copy keeps to x-amz-copy-source-if-match, and is the source's bytes
// under headers of its own. Only such a server may copy by itself (RELIABILITY 4.3).
func (r *runner) copyMatch(ctx context.Context) (Result, string) {
	const source, target = "copy/source", "copy/target"
	data := pattern("copy", 5000)
	b, framing := backend.FromBytes(data)
	placed, err := r.upload(ctx, source, int64(len(data)), b, framing, object.Headers{"x-amz-meta-from": "source", "content-type": "text/x-source"})
	if err != nil {
		return unknown(err)
	}
	res, err := r.copy(ctx, source, target, "0123456789abcdef0123456789abcdef")
	var e *backend.Error
	if errors.As(err, &e) && e.Status == http.StatusNotImplemented {
		return No, "refused: " + err.Error()
	}
	if err != nil && backend.OutcomeOf(err) != backend.Refused {
		return unknown(err)
	}
	switch same, holdsErr := r.holds(ctx, target, nil); {
	case holdsErr != nil:
		return unknown(holdsErr)
	case !same || err == nil:
		return No, "a source with another ETag is copied"
	}
	if res, err = r.copy(ctx, source, target, placed.ETag); backend.OutcomeOf(err) == backend.Refused {
		return No, "refused: " + err.Error()
	} else if err != nil {
		return unknown(err)
	}
	got, obj, err := r.get(ctx, target)
	switch {
	case err != nil:
		return unknown(err)
	case string(got) != string(data):
		return No, fmt.Sprintf("%d bytes that are not the %d of the source", len(got), len(data))
	case obj.ETag != res.ETag || obj.ETag != placed.ETag:
		return No, fmt.Sprintf("the source's ETag is %q, the copy's is answered as %q and shown as %q", placed.ETag, res.ETag, obj.ETag)
	case obj.Headers["x-amz-meta-from"] != "" || obj.Headers["x-amz-meta-to"] != "target" || obj.Headers["content-type"] != "text/x-target":
		return No, fmt.Sprintf("the copy's headers are %v", obj.Headers)
	case obj.Headers[object.ChecksumPrefix+"crc32c"] != crc32cOf(data):
		return No, "the copy does not get the checksum that was asked for"
	}
	return Yes, ""
}

func (r *runner) copy(ctx context.Context, source, target, etag string) (backend.CopyResult, error) {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	return r.remote.Copy(ctx, backend.CopyRequest{
		Bucket: r.bucket, Key: r.full(target),
		Source:    backend.CopySource{Bucket: r.bucket, Key: r.full(source), ETag: etag},
		Headers:   object.Headers{"x-amz-meta-to": "target", "content-type": "text/x-target"},
		Algorithm: "crc32c",
	})
}

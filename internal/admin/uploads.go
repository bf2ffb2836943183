package admin

import (
	"bytes"
	"cmp"
	"context"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/s3mirror/s3mirror/internal/admin/api"
	"github.com/s3mirror/s3mirror/internal/object"
	"github.com/s3mirror/s3mirror/internal/replica"
	"github.com/s3mirror/s3mirror/internal/s3"
)

// about notes the key that a parameter names.
func (c *call) about(bucket, key string) s3.Target {
	c.object = object.Key{Bucket: bucket, Name: key}
	return s3.Target{Key: c.object}
}

// CreateUpload begins an upload in parts.
func (h face) CreateUpload(ctx context.Context, r api.CreateUploadRequestObject) (api.CreateUploadResponseObject, error) {
	c := callOf(ctx)
	t := c.about(r.Bucket, r.Params.Key)
	asked := c.r.Clone(ctx)
	asked.Header = http.Header{}
	if r.Body != nil {
		if err := versionHeaders(asked.Header, r.Body); err != nil {
			return nil, err
		}
	}
	answer := &silent{ResponseWriter: c.w, keep: true}
	if err := h.S3.Do(answer, asked, c.caller(), s3.CreateMultipartUpload, t); err != nil {
		return nil, err
	}
	id, err := s3.DecodeInitiated(&answer.body)
	if err != nil {
		return nil, fmt.Errorf("begin an upload: %w", err)
	}
	return api.CreateUpload201JSONResponse{ID: id, Bucket: r.Bucket, Key: r.Params.Key}, nil
}

// versionHeaders writes what an object is to have as the headers of a request. The
// rest of what can be wrong with them S3 knows.
func versionHeaders(h http.Header, want *api.NewUpload) error {
	if want.ContentType != "" {
		h.Set("Content-Type", want.ContentType)
	}
	for name, text := range want.Metadata {
		h["X-Amz-Meta-"+name] = []string{text}
	}
	for name, values := range h {
		if !isToken(name) || strings.ContainsFunc(values[0], func(r rune) bool { return r < ' ' && r != '\t' || r == 0x7f }) {
			return problem(http.StatusBadRequest, "bad-body", "Wrong body", "%q: this can be no header", name)
		}
	}
	return nil
}

// isToken tells whether a text can be the name of a header (RFC 9110, 5.6.2).
func isToken(name string) bool {
	return !strings.ContainsFunc(name, func(r rune) bool {
		return (r < '0' || r > '9') && (r < 'A' || r > 'Z') && (r < 'a' || r > 'z') && !strings.ContainsRune("!#$%&'*+-.^_`|~", r)
	})
}

// PutPart writes one part.
func (h face) PutPart(ctx context.Context, r api.PutPartRequestObject) (api.PutPartResponseObject, error) {
	c := callOf(ctx)
	t := c.about(r.Bucket, r.Params.Key)
	t.UploadID, t.Part = r.Upload, r.Part
	answer := &silent{ResponseWriter: c.w}
	size := c.r.ContentLength
	if err := h.S3.Do(answer, c.r, c.caller(), s3.UploadPart, t); err != nil {
		return nil, err
	}
	return api.PutPart200JSONResponse{Number: r.Part, Etag: answer.etag(), Size: size}, nil
}

// ListParts answers one page of the parts of an upload.
func (h face) ListParts(ctx context.Context, r api.ListPartsRequestObject) (api.ListPartsResponseObject, error) {
	t := callOf(ctx).about(r.Bucket, r.Params.Key)
	limit, err := limitOf(r.Params.Limit)
	if err != nil {
		return nil, err
	}
	last, err := after(r.Params.Cursor)
	if err != nil {
		return nil, err
	}
	number, err := strconv.Atoi(cmp.Or(last, "0"))
	if err != nil {
		return nil, badCursor()
	}
	t.UploadID = r.Upload
	if err := h.may(ctx, s3.ListParts, t); err != nil {
		return nil, err
	}
	found, err := h.Replicas.ListUploadParts(ctx, t.Key, r.Upload, number, limit)
	if err != nil {
		return nil, fmt.Errorf("parts of an upload: %w", err)
	}
	page := api.PartPage{Parts: make([]api.WrittenPart, len(found.Parts))}
	for i, p := range found.Parts {
		page.Parts[i] = api.WrittenPart{Number: p.Number, Etag: p.ETag, Size: p.Size}
	}
	if found.More {
		page.Cursor = cursorAfter(strconv.Itoa(found.Parts[len(found.Parts)-1].Number))
	}
	return api.ListParts200JSONResponse(page), nil
}

// CompleteUpload makes the object of its parts.
func (h face) CompleteUpload(ctx context.Context, r api.CompleteUploadRequestObject) (api.CompleteUploadResponseObject, error) {
	c := callOf(ctx)
	t := c.about(r.Bucket, r.Params.Key)
	t.UploadID = r.Upload
	parts := make([]s3.CompletedPart, len(r.Body.Parts))
	for i, p := range r.Body.Parts {
		parts[i] = s3.CompletedPart{Number: p.Number, ETag: p.Etag}
	}
	document := s3.CompleteDocument(parts)
	asked := c.r.Clone(ctx)
	asked.Header = http.Header{}
	for _, name := range []string{"If-Match", "If-None-Match"} {
		if values := c.r.Header.Values(name); len(values) > 0 {
			asked.Header[name] = values
		}
	}
	asked.Body, asked.ContentLength, asked.TransferEncoding = io.NopCloser(bytes.NewReader(document)), int64(len(document)), nil
	answer := &silent{ResponseWriter: c.w, keep: true}
	if err := h.S3.Do(answer, asked, c.caller(), s3.CompleteMultipartUpload, t); err != nil {
		return nil, err
	}
	done, err := s3.DecodeCompleted(&answer.body)
	if err != nil {
		return nil, fmt.Errorf("complete an upload: %w", err)
	}
	return api.CompleteUpload200JSONResponse{Bucket: r.Bucket, Key: r.Params.Key, Etag: done.ETag}, nil
}

// AbortUpload gives an upload up.
func (h face) AbortUpload(ctx context.Context, r api.AbortUploadRequestObject) (api.AbortUploadResponseObject, error) {
	t := callOf(ctx).about(r.Bucket, r.Params.Key)
	t.UploadID = r.Upload
	return api.AbortUpload204Response{}, h.do(ctx, s3.AbortMultipartUpload, t)
}

// ListUploads answers one page of the uploads under way. A cursor holds key and id of
// the last one, which no key has a NUL between.
func (h face) ListUploads(ctx context.Context, r api.ListUploadsRequestObject) (api.ListUploadsResponseObject, error) {
	limit, err := limitOf(r.Params.Limit)
	if err != nil {
		return nil, err
	}
	last, err := after(r.Params.Cursor)
	if err != nil {
		return nil, err
	}
	id, key, ok := strings.Cut(last, " ")
	if !ok && last != "" {
		return nil, badCursor()
	}
	prefix := value(r.Params.Prefix)
	if err := h.may(ctx, s3.ListMultipartUploads, s3.Target{Key: object.Key{Bucket: r.Bucket}, Prefix: prefix}); err != nil {
		return nil, err
	}
	found, err := h.Replicas.ListUploads(ctx, replica.ListUploadsRequest{Bucket: r.Bucket, Prefix: prefix, AfterKey: key, AfterID: id, Max: limit})
	if err != nil {
		return nil, fmt.Errorf("uploads: %w", err)
	}
	page := api.UploadPage{Uploads: make([]api.UploadEntry, len(found.Uploads))}
	for i, u := range found.Uploads {
		page.Uploads[i] = api.UploadEntry{ID: u.ID, Key: u.Key, Started: u.Initiated.UTC(), By: u.Initiator}
		if !utf8.ValidString(u.Key) {
			page.Uploads[i].Key, page.Uploads[i].KeyEncoded = strings.ToValidUTF8(u.Key, "\uFFFD"), percentEncode(u.Key)
		}
	}
	if found.More {
		page.Cursor = cursorAfter(found.LastID + " " + found.LastKey)
	}
	return api.ListUploads200JSONResponse(page), nil
}

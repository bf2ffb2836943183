package backend

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"

	"github.com/s3mirror/s3mirror/internal/object"
	"github.com/s3mirror/s3mirror/internal/s3"
)

// Copier is the part of an endpoint that copies objects which it holds.
type Copier interface {
	// Copy makes one object of another one's bytes, in one attempt, and gives it
	// headers, tags and stamp of its own; the source's are never taken over. It
	// may take minutes, and waits as long as the endpoint shows that it lives; ctx
	// bounds it. Outcomes are those of Put; Absent says that there is no source.
	Copy(ctx context.Context, r CopyRequest) (CopyResult, error)
}

// CopySource is an object of the endpoint, as it must stand there: a source with
// another ETag is Refused with PreconditionFailed, and nothing is copied.
type CopySource struct {
	Bucket, Key string
	ETag        string // without quotes; never empty
}

// CopyRequest is one copy.
type CopyRequest struct {
	Bucket, Key string
	Source      CopySource

	// Headers, Tags and Stamp are those of the copy, as of PutRequest. Checksums
	// are left out: the endpoint computes them.
	Headers object.Headers
	Tags    object.Tags
	Stamp   object.Stamp

	// Algorithm of the checksum that the endpoint shall compute; empty: the one
	// that the source has, if any.
	Algorithm string
}

// CopyResult is what the endpoint says it made.
type CopyResult struct {
	ETag      string // without quotes
	ModTime   time.Time
	Checksums object.Headers
}

// Copy implements Copier.
func (r *Remote) Copy(ctx context.Context, q CopyRequest) (CopyResult, error) {
	if err := errors.Join(checkTarget(q.Bucket, q.Key), q.Source.check()); err != nil {
		return CopyResult{}, r.unsent(OpCopy, err)
	}
	if err := checkHeaders(q.Headers); err != nil {
		return CopyResult{}, r.unsent(OpCopy, fmt.Errorf("%w: %w", ErrRequest, err))
	}
	h := r.versionHeaders(object.Key{Bucket: q.Bucket, Name: q.Key}, q.Headers, q.Tags, q.Stamp)
	q.Source.setHeaders(h)
	h.Set("X-Amz-Metadata-Directive", "REPLACE")
	h.Set("X-Amz-Tagging-Directive", "REPLACE")
	if q.Algorithm != "" && !r.o.NoChecksums {
		h.Set("X-Amz-Checksum-Algorithm", strings.ToUpper(q.Algorithm))
	}
	copied, err := r.copied(ctx, call{op: OpCopy, method: http.MethodPut, bucket: q.Bucket, key: q.Key, header: h})
	if err != nil {
		return CopyResult{}, err
	}
	return CopyResult{ETag: copied.ETag, ModTime: copied.Modified, Checksums: copied.Checksums}, nil
}

// CopyPart implements Multiparter.
func (r *Remote) CopyPart(ctx context.Context, q CopyPartRequest) (PutResult, error) {
	if err := errors.Join(checkTarget(q.Bucket, q.Key), checkPart(q.UploadID, q.Number), q.Source.check(), q.checkRange()); err != nil {
		return PutResult{}, r.unsent(OpCopyPart, err)
	}
	h := http.Header{}
	q.Source.setHeaders(h)
	if q.Length > 0 {
		h.Set("X-Amz-Copy-Source-Range", s3.FormatCopyRange(q.Offset, q.Length))
	}
	copied, err := r.copied(ctx, call{
		op: OpCopyPart, method: http.MethodPut, bucket: q.Bucket, key: q.Key, query: partQuery(q.UploadID, q.Number), header: h,
	})
	if err != nil {
		return PutResult{}, err
	}
	return PutResult{ETag: copied.ETag, Checksums: copied.Checksums}, nil
}

func (q CopyPartRequest) checkRange() error {
	if q.Offset < 0 || q.Length <= 0 && q.Offset != 0 {
		return fmt.Errorf("%w: %d bytes from %d on", ErrRequest, q.Length, q.Offset)
	}
	return nil
}

// copied does a call that answers with what was copied.
func (r *Remote) copied(ctx context.Context, c call) (copied *s3.Copied, err error) {
	c.slow = true
	err = r.runResult(ctx, c, func(body io.Reader) (err error) {
		copied, err = s3.DecodeCopied(body)
		return err
	})
	return copied, err
}

func (s CopySource) check() error {
	if s.Bucket == "" || s.Key == "" || s.ETag == "" {
		return fmt.Errorf("%w: a source without bucket, key or ETag", ErrRequest)
	}
	return nil
}

func (s CopySource) setHeaders(h http.Header) {
	h.Set("X-Amz-Copy-Source", s3.FormatCopySource(object.Key{Bucket: s.Bucket, Name: s.Key}))
	h.Set("X-Amz-Copy-Source-If-Match", s3.QuoteETag(s.ETag))
}

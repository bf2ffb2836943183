package replica

import (
	"context"
	"crypto/md5" //nolint:gosec // S3's ETag
	"errors"
	"fmt"
	"hash"
	"io"
	"time"

	"github.com/s3mirror/s3mirror/internal/backend"
	"github.com/s3mirror/s3mirror/internal/object"
	"github.com/s3mirror/s3mirror/internal/s3"
)

// CopyPartRequest is one UploadPartCopy.
type CopyPartRequest struct {
	Key      object.Key
	UploadID string
	Number   int // 1 to s3.MaxParts
	Source   object.Key

	// Span judges the version that is going to be read, and says which bytes of it
	// are wanted; its error is returned as it is.
	Span func(source object.Info) (s3.Range, error)
}

// CopyPart is PutPart with bytes of an object. They come from a replica that holds it, and
// go through us: what a replica would take from its own copy, which may lag, could not be
// told. Of the source NoSuchKey, NoSuchBucket, SlowDown.
func (s *Set) CopyPart(ctx context.Context, r CopyPartRequest) (object.Info, error) {
	from, err := s.buckets.readable(ctx, r.Source.Bucket)
	if err != nil {
		return object.Info{}, err
	}
	if _, err := s.buckets.readable(ctx, r.Key.Bucket); err != nil {
		return object.Info{}, err
	}
	_, rec, err := s.openUpload(ctx, r.Key, r.UploadID)
	if err != nil {
		return object.Info{}, err
	}
	body, err := s.openSpan(ctx, from, r)
	if err != nil {
		return object.Info{}, err
	}
	defer func() { _ = body.Close() }()                                  // it was read to its end, or is not wanted
	if algorithm := checksumOfText(rec.Sum).Algorithm; algorithm != "" { // a checksum that nobody asked for the part's plan computes
		body.promised.Algorithm = algorithm
		body.ComputeChecksum(algorithm)
	}
	info, err := s.PutPart(ctx, PartRequest{Key: r.Key, UploadID: r.UploadID, Number: r.Number, Body: body})
	if err == nil {
		info.ModTime = s.o.Wall().Truncate(time.Millisecond)
	}
	return info, err
}

// openSpan opens the bytes that are wanted of the source.
func (s *Set) openSpan(ctx context.Context, from *bucket, r CopyPartRequest) (*spanBody, error) {
	for range moves {
		found, err := s.look(ctx, from, r.Source, true, func(ctx context.Context, at place) (object.Seen, *backend.Object, error) {
			seen, err := at.head(ctx, r.Source.Name)
			return seen, nil, err
		})
		s.metrics.read("head", err)
		if err != nil {
			return nil, err
		}
		source := found.served.Info
		span, err := r.Span(source)
		if err != nil {
			return nil, err
		}
		get := GetRequest{Key: r.Source, Check: func(now object.Info) error {
			if now.ID != source.ID || now.ETag != source.ETag || now.Size != source.Size {
				return errMoved
			}
			return nil
		}}
		if span.Partial {
			get.Range = fmt.Sprintf("bytes=%d-%d", span.Offset, span.Offset+span.Length-1)
		}
		obj, err := s.get(ctx, from, get)
		s.metrics.read("get", err)
		if err == nil {
			return &spanBody{body: obj.Body, size: obj.Range.Length, sums: map[string]hash.Hash{}}, nil
		}
		if !errors.Is(err, errMoved) && !errors.Is(err, s3.NoSuchKey) {
			return nil, err
		}
	}
	return nil, unavailable(errMoved)
}

// spanBody is a Body of bytes that a replica gives: nobody promised anything of them but
// their number.
type spanBody struct {
	body     io.ReadCloser
	size     int64
	promised s3.Checksum // of what the part has to have
	sums     map[string]hash.Hash
	md5      hash.Hash
	done     bool
}

// Close implements io.Closer.
func (b *spanBody) Close() error { return b.body.Close() }

// Read implements io.Reader. The source ends with io.EOF only when all of it came.
func (b *spanBody) Read(p []byte) (int, error) {
	n, err := b.body.Read(p)
	for _, h := range b.sums {
		_, _ = h.Write(p[:n]) // hashes never fail
	}
	if b.md5 != nil {
		_, _ = b.md5.Write(p[:n])
	}
	switch {
	case err == io.EOF:
		b.done = true
	case err != nil:
		err = unavailable(fmt.Errorf("source of the part: %w", err))
	}
	return n, err
}

// Size implements Body.
func (b *spanBody) Size() int64 { return b.size }

// SHA256 implements Body: nobody signed these bytes.
func (b *spanBody) SHA256() (sum [32]byte, ok bool) { return sum, false }

// ContentMD5 implements Body.
func (b *spanBody) ContentMD5() []byte { return nil }

// Promised implements Body.
func (b *spanBody) Promised() s3.Checksum { return b.promised }

// ComputeMD5 implements Body.
func (b *spanBody) ComputeMD5() { b.md5 = md5.New() } //nolint:gosec // see above

// ComputeChecksum implements Body.
func (b *spanBody) ComputeChecksum(algorithm string) {
	if h, err := backend.NewChecksum(algorithm); err == nil {
		b.sums[algorithm] = h
	}
}

// Checksum implements Body.
func (b *spanBody) Checksum() (algorithm, value string) {
	return b.promised.Algorithm, b.Sum(b.promised.Algorithm)
}

// MD5 implements Body.
func (b *spanBody) MD5() []byte {
	if b.md5 == nil || !b.done {
		return nil
	}
	return b.md5.Sum(nil)
}

// Sum implements Body.
func (b *spanBody) Sum(algorithm string) string {
	if h := b.sums[algorithm]; h != nil && b.done {
		return sumOf(h)
	}
	return ""
}

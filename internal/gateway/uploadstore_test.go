package gateway_test

import (
	"context"
	"io"

	"github.com/s3mirror/s3mirror/internal/object"
	"github.com/s3mirror/s3mirror/internal/replica"
	"github.com/s3mirror/s3mirror/internal/s3"
)

// uploads is what a store does with multipart uploads: it tells of each call, and gives
// what it was told to give.
type uploads struct {
	created  []replica.CreateUploadRequest
	parts    []replica.PartRequest
	spans    []s3.Range // of the parts that were copied
	complete func(ctx context.Context, r replica.CompleteRequest) (object.Info, error)
	pages    replica.UploadsPage
	listed   replica.PartsPage
	sizes    []int64
	sums     []string
}

func (s *store) CreateUpload(ctx context.Context, r replica.CreateUploadRequest) (string, error) {
	if err := s.begin(ctx, "CreateUpload"); err != nil {
		return "", err
	}
	s.uploads.created = append(s.uploads.created, r)
	return theUpload, nil
}

func (s *store) PutPart(ctx context.Context, r replica.PartRequest) (object.Info, error) {
	if err := s.begin(ctx, "PutPart"); err != nil {
		return object.Info{}, err
	}
	if r.UploadID != theUpload {
		return object.Info{}, s3.NoUpload(r.UploadID)
	}
	data, err := io.ReadAll(r.Body)
	if err != nil {
		return object.Info{}, err
	}
	s.uploads.parts = append(s.uploads.parts, r)
	return object.Info{ETag: "e", Size: int64(len(data))}, nil
}

func (s *store) CopyPart(ctx context.Context, r replica.CopyPartRequest) (object.Info, error) {
	if err := s.begin(ctx, "CopyPart"); err != nil {
		return object.Info{}, err
	}
	source, err := s.Head(ctx, r.Source)
	if err != nil {
		return object.Info{}, err
	}
	span, err := r.Span(source.Info)
	if err != nil {
		return object.Info{}, err
	}
	s.uploads.spans = append(s.uploads.spans, span)
	return object.Info{ETag: "e", Size: span.Length, ModTime: testTime}, nil
}

func (s *store) CompleteUpload(ctx context.Context, r replica.CompleteRequest) (object.Info, error) {
	if err := s.begin(ctx, "CompleteUpload"); err != nil {
		return object.Info{}, err
	}
	if r.UploadID != theUpload {
		return object.Info{}, s3.NoUpload(r.UploadID)
	}
	return s.uploads.complete(ctx, r)
}

// theUpload is the id of every upload of a store.
const theUpload = "0123456789abcdef0123456789abcdef"

func (s *store) AbortUpload(ctx context.Context, _ replica.AbortRequest) error {
	return s.begin(ctx, "AbortUpload")
}

func (s *store) ListUploadParts(ctx context.Context, _ object.Key, _ string, _, _ int) (replica.PartsPage, error) {
	return s.uploads.listed, s.begin(ctx, "ListUploadParts")
}

func (s *store) ListUploads(ctx context.Context, _ replica.ListUploadsRequest) (replica.UploadsPage, error) {
	return s.uploads.pages, s.begin(ctx, "ListUploads")
}

func (s *store) PartSizes(ctx context.Context, _ object.Key, _ object.Info) ([]int64, error) {
	return s.uploads.sizes, s.begin(ctx, "PartSizes")
}

func (s *store) PartSums(ctx context.Context, _ object.Key, _ object.Info, _ []int64) ([]string, error) {
	return s.uploads.sums, s.begin(ctx, "PartSums")
}

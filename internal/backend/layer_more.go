package backend

import (
	"context"

	"github.com/s3mirror/s3mirror/internal/object"
)

func (l layer) CreateUpload(ctx context.Context, r CreateUploadRequest) (uploadID string, err error) {
	a := l.run(OpCreateUpload)
	for a.on(ctx) {
		uploadID, a.err = l.next.CreateUpload(ctx, r)
	}
	return uploadID, a.err
}

func (l layer) PutPart(ctx context.Context, r PartRequest) (res PutResult, err error) {
	a := l.run(OpPutPart)
	for a.on(ctx) {
		res, a.err = l.next.PutPart(ctx, r)
	}
	return res, a.err
}

func (l layer) CopyPart(ctx context.Context, r CopyPartRequest) (res PutResult, err error) {
	a := l.run(OpCopyPart)
	for a.on(ctx) {
		res, a.err = l.next.CopyPart(ctx, r)
	}
	return res, a.err
}

func (l layer) CompleteUpload(ctx context.Context, r CompleteRequest) (res PutResult, err error) {
	a := l.run(OpCompleteUpload)
	for a.on(ctx) {
		res, a.err = l.next.CompleteUpload(ctx, r)
	}
	return res, a.err
}

func (l layer) AbortUpload(ctx context.Context, bucket, key, uploadID string) error {
	a := l.run(OpAbortUpload)
	for a.on(ctx) {
		a.err = l.next.AbortUpload(ctx, bucket, key, uploadID)
	}
	return a.err
}

func (l layer) ListParts(ctx context.Context, r ListPartsRequest) (page PartsPage, err error) {
	a := l.run(OpListParts)
	for a.on(ctx) {
		page, a.err = l.next.ListParts(ctx, r)
	}
	return page, a.err
}

func (l layer) ListUploads(ctx context.Context, bucket string, r ListUploadsRequest) (page UploadsPage, err error) {
	a := l.run(OpListUploads)
	for a.on(ctx) {
		page, a.err = l.next.ListUploads(ctx, bucket, r)
	}
	return page, a.err
}

func (l layer) Copy(ctx context.Context, r CopyRequest) (res CopyResult, err error) {
	a := l.run(OpCopy)
	for a.on(ctx) {
		res, a.err = l.next.Copy(ctx, r)
	}
	return res, a.err
}

func (l layer) DeleteMany(ctx context.Context, bucket string, keys []string) (results []error, err error) {
	a := l.run(OpDeleteMany)
	for a.on(ctx) {
		results, a.err = l.next.DeleteMany(ctx, bucket, keys)
	}
	return results, a.err
}

func (l layer) Tags(ctx context.Context, bucket, key string) (tags object.Tags, err error) {
	a := l.run(OpTags)
	for a.on(ctx) {
		tags, a.err = l.next.Tags(ctx, bucket, key)
	}
	return tags, a.err
}

func (l layer) PutTags(ctx context.Context, bucket, key string, tags object.Tags) error {
	a := l.run(OpPutTags)
	for a.on(ctx) {
		a.err = l.next.PutTags(ctx, bucket, key, tags)
	}
	return a.err
}

func (l layer) DeleteTags(ctx context.Context, bucket, key string) error {
	a := l.run(OpDeleteTags)
	for a.on(ctx) {
		a.err = l.next.DeleteTags(ctx, bucket, key)
	}
	return a.err
}

func (l layer) Describe(ctx context.Context, bucket, key string) (d Description, err error) {
	a := l.run(OpDescribe)
	for a.on(ctx) {
		d, a.err = l.next.Describe(ctx, bucket, key)
	}
	return d, a.err
}

func (l layer) PartSizes(ctx context.Context, bucket, key, etag string) (sizes []int64, err error) {
	a := l.run(OpParts)
	for a.on(ctx) {
		sizes, a.err = l.next.PartSizes(ctx, bucket, key, etag)
	}
	return sizes, a.err
}

// PutPart spends what its body has.
func (l limited) PutPart(ctx context.Context, r PartRequest) (PutResult, error) {
	r.Body = l.limits.body(r.Body)
	return l.layer.PutPart(ctx, r)
}

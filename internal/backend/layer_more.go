package backend

import (
	"context"

	"github.com/s3mirror/s3mirror/internal/object"
)

func (l layer) CreateUpload(ctx context.Context, r CreateUploadRequest) (uploadID string, err error) {
	err = l.around(ctx, OpCreateUpload, func(ctx context.Context) (err error) {
		uploadID, err = l.next.CreateUpload(ctx, r)
		return err
	})
	return uploadID, err
}

func (l layer) PutPart(ctx context.Context, r PartRequest) (res PutResult, err error) {
	err = l.around(ctx, OpPutPart, func(ctx context.Context) (err error) {
		res, err = l.next.PutPart(ctx, r)
		return err
	})
	return res, err
}

func (l layer) CopyPart(ctx context.Context, r CopyPartRequest) (res PutResult, err error) {
	err = l.around(ctx, OpCopyPart, func(ctx context.Context) (err error) {
		res, err = l.next.CopyPart(ctx, r)
		return err
	})
	return res, err
}

func (l layer) CompleteUpload(ctx context.Context, r CompleteRequest) (res PutResult, err error) {
	err = l.around(ctx, OpCompleteUpload, func(ctx context.Context) (err error) {
		res, err = l.next.CompleteUpload(ctx, r)
		return err
	})
	return res, err
}

func (l layer) AbortUpload(ctx context.Context, bucket, key, uploadID string) error {
	return l.around(ctx, OpAbortUpload, func(ctx context.Context) error { return l.next.AbortUpload(ctx, bucket, key, uploadID) })
}

func (l layer) ListParts(ctx context.Context, r ListPartsRequest) (page PartsPage, err error) {
	err = l.around(ctx, OpListParts, func(ctx context.Context) (err error) {
		page, err = l.next.ListParts(ctx, r)
		return err
	})
	return page, err
}

func (l layer) ListUploads(ctx context.Context, bucket string, r ListUploadsRequest) (page UploadsPage, err error) {
	err = l.around(ctx, OpListUploads, func(ctx context.Context) (err error) {
		page, err = l.next.ListUploads(ctx, bucket, r)
		return err
	})
	return page, err
}

func (l layer) Copy(ctx context.Context, r CopyRequest) (res CopyResult, err error) {
	err = l.around(ctx, OpCopy, func(ctx context.Context) (err error) {
		res, err = l.next.Copy(ctx, r)
		return err
	})
	return res, err
}

func (l layer) DeleteMany(ctx context.Context, bucket string, keys []string) (results []error, err error) {
	err = l.around(ctx, OpDeleteMany, func(ctx context.Context) (err error) {
		results, err = l.next.DeleteMany(ctx, bucket, keys)
		return err
	})
	return results, err
}

func (l layer) Tags(ctx context.Context, bucket, key string) (tags object.Tags, err error) {
	err = l.around(ctx, OpTags, func(ctx context.Context) (err error) {
		tags, err = l.next.Tags(ctx, bucket, key)
		return err
	})
	return tags, err
}

func (l layer) PutTags(ctx context.Context, bucket, key string, tags object.Tags) error {
	return l.around(ctx, OpPutTags, func(ctx context.Context) error { return l.next.PutTags(ctx, bucket, key, tags) })
}

func (l layer) DeleteTags(ctx context.Context, bucket, key string) error {
	return l.around(ctx, OpDeleteTags, func(ctx context.Context) error { return l.next.DeleteTags(ctx, bucket, key) })
}

func (l layer) Describe(ctx context.Context, bucket, key string) (d Description, err error) {
	err = l.around(ctx, OpDescribe, func(ctx context.Context) (err error) {
		d, err = l.next.Describe(ctx, bucket, key)
		return err
	})
	return d, err
}

func (l layer) PartSizes(ctx context.Context, bucket, key, etag string) (sizes []int64, err error) {
	err = l.around(ctx, OpParts, func(ctx context.Context) (err error) {
		sizes, err = l.next.PartSizes(ctx, bucket, key, etag)
		return err
	})
	return sizes, err
}

// PutPart spends what its body has.
func (l limited) PutPart(ctx context.Context, r PartRequest) (PutResult, error) {
	if r.Body != nil {
		r.Body = limitedBody{r.Body, l.limits}
	}
	return l.layer.PutPart(ctx, r)
}

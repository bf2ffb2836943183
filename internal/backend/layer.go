package backend

import (
	"context"

	"github.com/s3mirror/s3mirror/internal/object"
)

// around runs one operation, once or several times or not at all. It returns
// what call returned, or an *Error of its own.
type around func(ctx context.Context, op Op, call func(context.Context) error) error

// layer is an Endpoint that does the same around each operation of the next
// one. The wrappers embed it, so that the methods are spelled out once.
type layer struct {
	next   Endpoint
	around around
}

func (l layer) Name() string { return l.next.Name() }

func (l layer) Put(ctx context.Context, r PutRequest) (res PutResult, err error) {
	err = l.around(ctx, OpPut, func(ctx context.Context) (err error) {
		res, err = l.next.Put(ctx, r)
		return err
	})
	return res, err
}

func (l layer) Get(ctx context.Context, bucket, key string, o GetOptions) (obj *Object, err error) {
	err = l.around(ctx, OpGet, func(ctx context.Context) (err error) {
		obj, err = l.next.Get(ctx, bucket, key, o)
		return err
	})
	return obj, err
}

func (l layer) Head(ctx context.Context, bucket, key string) (seen object.Seen, err error) {
	err = l.around(ctx, OpHead, func(ctx context.Context) (err error) {
		seen, err = l.next.Head(ctx, bucket, key)
		return err
	})
	return seen, err
}

func (l layer) Delete(ctx context.Context, bucket, key string) error {
	return l.around(ctx, OpDelete, func(ctx context.Context) error { return l.next.Delete(ctx, bucket, key) })
}

func (l layer) List(ctx context.Context, bucket string, r ListRequest) (page ListPage, err error) {
	err = l.around(ctx, OpList, func(ctx context.Context) (err error) {
		page, err = l.next.List(ctx, bucket, r)
		return err
	})
	return page, err
}

func (l layer) CreateBucket(ctx context.Context, bucket string) error {
	return l.around(ctx, OpCreateBucket, func(ctx context.Context) error { return l.next.CreateBucket(ctx, bucket) })
}

func (l layer) HeadBucket(ctx context.Context, bucket string) error {
	return l.around(ctx, OpHeadBucket, func(ctx context.Context) error { return l.next.HeadBucket(ctx, bucket) })
}

func (l layer) DeleteBucket(ctx context.Context, bucket string) error {
	return l.around(ctx, OpDeleteBucket, func(ctx context.Context) error { return l.next.DeleteBucket(ctx, bucket) })
}

func (l layer) ListBuckets(ctx context.Context) (buckets []BucketInfo, err error) {
	err = l.around(ctx, OpListBuckets, func(ctx context.Context) (err error) {
		buckets, err = l.next.ListBuckets(ctx)
		return err
	})
	return buckets, err
}

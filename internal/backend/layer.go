package backend

import (
	"context"
	"time"

	"github.com/s3mirror/s3mirror/internal/object"
)

// watch is what a wrapper does before and after operations. Both are told what
// they need by value: a small write passes four wrappers, and a closure for each
// would keep the request on the heap.
type watch interface {
	// before comes ahead of each attempt. An error, which is an *Error, ends the
	// operation unattempted.
	before(ctx context.Context, op Op) (began time.Time, err error)
	// after is told how an attempt ended, the tries-th, and whether to make another.
	after(ctx context.Context, op Op, began time.Time, tries int, err error) (again bool)
}

// layer is an Endpoint that does the same around each operation of the next
// one. The wrappers embed it, so that the methods are spelled out once.
type layer struct {
	next  Endpoint
	watch watch
}

// attempts are those at one operation:
//
//	for a := l.run(ctx, op); a.on(); { a.err = whatever is done }
type attempts struct {
	watch watch
	op    Op
	began time.Time
	tries int
	err   error // of the last attempt, or why there was none
}

func (l layer) run(op Op) attempts { return attempts{watch: l.watch, op: op} }

// on tells whether to make an attempt now.
func (a *attempts) on(ctx context.Context) bool {
	if a.tries > 0 && !a.watch.after(ctx, a.op, a.began, a.tries, a.err) {
		return false
	}
	a.tries++
	began, err := a.watch.before(ctx, a.op)
	if err != nil {
		a.err = err
	}
	a.began = began
	return err == nil
}

func (l layer) Name() string { return l.next.Name() }

func (l layer) Put(ctx context.Context, r PutRequest) (res PutResult, err error) {
	a := l.run(OpPut)
	for a.on(ctx) {
		res, a.err = l.next.Put(ctx, r)
	}
	return res, a.err
}

func (l layer) Get(ctx context.Context, bucket, key string, o GetOptions) (obj *Object, err error) {
	a := l.run(OpGet)
	for a.on(ctx) {
		obj, a.err = l.next.Get(ctx, bucket, key, o)
	}
	return obj, a.err
}

func (l layer) Head(ctx context.Context, bucket, key string) (seen object.Seen, err error) {
	a := l.run(OpHead)
	for a.on(ctx) {
		seen, a.err = l.next.Head(ctx, bucket, key)
	}
	return seen, a.err
}

func (l layer) Delete(ctx context.Context, bucket, key string) error {
	a := l.run(OpDelete)
	for a.on(ctx) {
		a.err = l.next.Delete(ctx, bucket, key)
	}
	return a.err
}

func (l layer) List(ctx context.Context, bucket string, r ListRequest) (page ListPage, err error) {
	a := l.run(OpList)
	for a.on(ctx) {
		page, a.err = l.next.List(ctx, bucket, r)
	}
	return page, a.err
}

func (l layer) CreateBucket(ctx context.Context, bucket string) error {
	a := l.run(OpCreateBucket)
	for a.on(ctx) {
		a.err = l.next.CreateBucket(ctx, bucket)
	}
	return a.err
}

func (l layer) HeadBucket(ctx context.Context, bucket string) error {
	a := l.run(OpHeadBucket)
	for a.on(ctx) {
		a.err = l.next.HeadBucket(ctx, bucket)
	}
	return a.err
}

func (l layer) DeleteBucket(ctx context.Context, bucket string) error {
	a := l.run(OpDeleteBucket)
	for a.on(ctx) {
		a.err = l.next.DeleteBucket(ctx, bucket)
	}
	return a.err
}

func (l layer) ListBuckets(ctx context.Context) (buckets []BucketInfo, err error) {
	a := l.run(OpListBuckets)
	for a.on(ctx) {
		buckets, a.err = l.next.ListBuckets(ctx)
	}
	return buckets, a.err
}

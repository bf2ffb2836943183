package replica

import (
	"context"

	"github.com/s3mirror/s3mirror/internal/commit"
	"github.com/s3mirror/s3mirror/internal/object"
	"github.com/s3mirror/s3mirror/internal/s3"
)

func (s *Set) Put(ctx context.Context, r PutRequest) (object.Info, error) {
	return object.Info{}, s3.Err(s3.NotImplemented)
}

// DeleteRequest is one DeleteObject.
type DeleteRequest struct {
	Key            object.Key
	If             s3.WriteConditions
	Actor, Request string
}

func (s *Set) Delete(ctx context.Context, r DeleteRequest) error { return s3.Err(s3.NotImplemented) }
func (s *Set) Head(ctx context.Context, key object.Key) (Version, error) {
	return Version{}, s3.Err(s3.NotImplemented)
}
func (s *Set) Get(ctx context.Context, r GetRequest) (*Object, error) {
	return nil, s3.Err(s3.NotImplemented)
}
func (s *Set) List(ctx context.Context, r ListRequest) (ListPage, error) {
	return ListPage{}, s3.Err(s3.NotImplemented)
}
func (s *Set) Buckets(ctx context.Context) ([]Bucket, error) { return nil, s3.Err(s3.NotImplemented) }
func (s *Set) CreateBucket(ctx context.Context, name, actor, request string) error {
	return s3.Err(s3.NotImplemented)
}
func (s *Set) HeadBucket(ctx context.Context, name string) error { return s3.Err(s3.NotImplemented) }
func (s *Set) DeleteBucket(ctx context.Context, name, actor, request string) error {
	return s3.Err(s3.NotImplemented)
}
func (s *Set) Repair(ctx context.Context, key object.Key, expired object.ID) (commit.Report, error) {
	return commit.Report{}, s3.Err(s3.NotImplemented)
}
func (s *Set) Status(ctx context.Context) (Status, error) { return Status{}, s3.Err(s3.NotImplemented) }

type (
	locks       struct{}
	buckets     struct{}
	history     struct{}
	metrics     struct{}
	repairs     struct{}
	statusCache struct{}
)

func (*history) open(*Set)                        {}
func (*history) run(context.Context)              {}
func (*history) flush(context.Context)            {}
func (*buckets) open(context.Context, *Set) error { return nil }
func (*buckets) run(context.Context)              {}
func newMetrics(any, *Set) *metrics               { return nil }

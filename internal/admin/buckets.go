package admin

import (
	"context"
	"encoding/base64"
	"fmt"
	"net/http"
	"slices"
	"strings"

	"github.com/s3mirror/s3mirror/internal/admin/api"
	"github.com/s3mirror/s3mirror/internal/auth"
	"github.com/s3mirror/s3mirror/internal/object"
	"github.com/s3mirror/s3mirror/internal/replica"
	"github.com/s3mirror/s3mirror/internal/s3"
)

// S3 is the face of S3, which knows what a caller may do and does it: a
// *gateway.Handler.
type S3 interface {
	// May tells whether the caller may do the operation: nil, or why not.
	// prefix is that of a list.
	May(caller auth.Caller, name s3.OperationName, key object.Key, prefix string) error
	// Do does the operation, with the headers and the body of the request, and
	// answers as S3 does. An error was not answered unless w has been written to.
	Do(w http.ResponseWriter, r *http.Request, caller auth.Caller, name s3.OperationName, key object.Key) error
}

// Replicas is what stands behind S3, as an operator sees it: a *replica.Set. Of
// what it is asked the caller may know. Errors hold an *s3.Error that he may read,
// or are our own.
type Replicas interface {
	Buckets(ctx context.Context) ([]replica.Bucket, error)
	Detail(ctx context.Context, bucket string) (replica.BucketDetail, error)
	List(ctx context.Context, r replica.ListRequest) (replica.ListPage, error)
	Head(ctx context.Context, key object.Key) (replica.Version, error)
	States(ctx context.Context, bucket string, keys []string) ([]map[string]replica.KeyState, error)
}

// caller is who sent the request, for S3.
func (c *call) caller() auth.Caller {
	return auth.Caller{Identity: c.who, Client: c.client, Request: c.id}
}

// may tells whether the caller may do an operation.
func (h face) may(ctx context.Context, name s3.OperationName, key object.Key, prefix string) error {
	return h.S3.May(callOf(ctx).caller(), name, key, prefix)
}

// do has an operation done whose answer is in its error alone.
func (h face) do(ctx context.Context, name s3.OperationName, key object.Key) error {
	c := callOf(ctx)
	return h.S3.Do(&silent{ResponseWriter: c.w}, c.r, c.caller(), name, key)
}

// silent is a writer for S3 whose answer nobody gets. Deadlines of the connection
// are not its own.
type silent struct {
	http.ResponseWriter
	header http.Header
}

func (s *silent) Header() http.Header {
	if s.header == nil {
		s.header = http.Header{}
	}
	return s.header
}

// etag is without quotes. S3 writes the name as no header is written in Go.
func (s *silent) etag() string {
	for name, values := range s.header {
		if strings.EqualFold(name, "ETag") {
			return strings.Trim(values[0], `"`)
		}
	}
	return ""
}

func (s *silent) WriteHeader(int)             {}
func (s *silent) Write(p []byte) (int, error) { return len(p), nil }
func (s *silent) Unwrap() http.ResponseWriter { return s.ResponseWriter }

// after is what the cursor of a page before says: the last name on it.
func after(cursor *api.Cursor) (string, error) {
	name, err := base64.RawURLEncoding.DecodeString(value(cursor))
	if err != nil {
		return "", problem(http.StatusBadRequest, "bad-parameter", "Wrong parameter", "cursor: this is not a cursor of an earlier page")
	}
	return string(name), nil
}

func cursorAfter(name string) string { return base64.RawURLEncoding.EncodeToString([]byte(name)) }

// ListBuckets answers one page of the buckets that the caller may know of.
func (h face) ListBuckets(ctx context.Context, r api.ListBucketsRequestObject) (api.ListBucketsResponseObject, error) {
	limit, err := limitOf(r.Params.Limit)
	if err != nil {
		return nil, err
	}
	last, err := after(r.Params.Cursor)
	if err != nil {
		return nil, err
	}
	if err := h.may(ctx, s3.ListBuckets, object.Key{}, ""); err != nil {
		return nil, err
	}
	all, err := h.Replicas.Buckets(ctx)
	if err != nil {
		return nil, fmt.Errorf("buckets: %w", err)
	}
	slices.SortFunc(all, func(a, b replica.Bucket) int { return strings.Compare(a.Name, b.Name) })
	user := callOf(ctx).who.User
	page := api.BucketPage{Buckets: []api.BucketEntry{}}
	for _, b := range all {
		switch {
		case b.Name <= last || !user.Sees(b.Name):
		case len(page.Buckets) == limit:
			page.Cursor = cursorAfter(page.Buckets[limit-1].Name)
			return api.ListBuckets200JSONResponse(page), nil
		default:
			page.Buckets = append(page.Buckets, api.BucketEntry{Name: b.Name, Created: b.Created.UTC()})
		}
	}
	return api.ListBuckets200JSONResponse(page), nil
}

// GetBucket shows one bucket.
func (h face) GetBucket(ctx context.Context, r api.GetBucketRequestObject) (api.GetBucketResponseObject, error) {
	if err := h.may(ctx, s3.HeadBucket, object.Key{Bucket: r.Bucket}, ""); err != nil {
		return nil, err
	}
	bucket, err := h.bucket(ctx, r.Bucket)
	return api.GetBucket200JSONResponse{BucketJSONResponse: bucket}, err
}

// bucket is the document of a bucket of which the caller may know.
func (h face) bucket(ctx context.Context, name string) (api.BucketJSONResponse, error) {
	d, err := h.Replicas.Detail(ctx, name)
	if err != nil {
		return api.BucketJSONResponse{}, fmt.Errorf("bucket: %w", err)
	}
	out := api.BucketJSONResponse{
		Name: d.Name, Created: d.Created.UTC(), Deleting: d.Deleting,
		Ack: api.Ack{AtLeast: d.Ack.Need, Include: listed([]string(d.Ack.Include))}, Replicas: []api.BucketReplica{},
	}
	for _, r := range d.Replicas {
		one := api.BucketReplica{Backend: r.Backend, Name: r.Name, State: bucketState(r)}
		if callOf(ctx).who.User.Role == auth.RoleAdmin {
			one.Reason = r.Reason
		}
		out.Replicas = append(out.Replicas, one)
	}
	return out, nil
}

func bucketState(r replica.BucketReplica) api.BucketState {
	switch {
	case r.Reason != "":
		return api.BucketUnusable
	case r.Wiped:
		return api.BucketFilling
	case !r.Made:
		return api.BucketPending
	}
	return api.BucketPresent
}

// CreateBucket makes the bucket that the body names.
func (h face) CreateBucket(ctx context.Context, r api.CreateBucketRequestObject) (api.CreateBucketResponseObject, error) {
	bucket, err := h.newBucket(ctx, r.Body.Name)
	return api.CreateBucket201JSONResponse{BucketJSONResponse: bucket}, err
}

// PutBucket makes the bucket that the path names.
func (h face) PutBucket(ctx context.Context, r api.PutBucketRequestObject) (api.PutBucketResponseObject, error) {
	bucket, err := h.newBucket(ctx, r.Bucket)
	return api.PutBucket201JSONResponse{BucketJSONResponse: bucket}, err
}

func (h face) newBucket(ctx context.Context, name string) (api.BucketJSONResponse, error) {
	callOf(ctx).object.Bucket = name
	if err := h.do(ctx, s3.CreateBucket, object.Key{Bucket: name}); err != nil {
		return api.BucketJSONResponse{}, err
	}
	return h.bucket(ctx, name)
}

// DeleteBucket removes an empty bucket.
func (h face) DeleteBucket(ctx context.Context, r api.DeleteBucketRequestObject) (api.DeleteBucketResponseObject, error) {
	return api.DeleteBucket204Response{}, h.do(ctx, s3.DeleteBucket, object.Key{Bucket: r.Bucket})
}

package admin

import (
	"bytes"
	"context"
	"encoding/base64"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"

	"github.com/s3mirror/s3mirror/internal/admin/api"
	"github.com/s3mirror/s3mirror/internal/auth"
	"github.com/s3mirror/s3mirror/internal/object"
	"github.com/s3mirror/s3mirror/internal/oplog"
	"github.com/s3mirror/s3mirror/internal/replica"
	"github.com/s3mirror/s3mirror/internal/s3"
)

// S3 is the face of S3, which knows what a caller may do and does it: a
// *gateway.Handler.
type S3 interface {
	// May tells whether the caller may do the operation: nil, or why not.
	May(caller auth.Caller, name s3.OperationName, t s3.Target) error
	// Do does the operation, with the headers and the body of the request, and
	// answers as S3 does. An error was not answered unless w has been written to.
	Do(w http.ResponseWriter, r *http.Request, caller auth.Caller, name s3.OperationName, t s3.Target) error
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
	ListUploads(ctx context.Context, r replica.ListUploadsRequest) (replica.UploadsPage, error)
	ListUploadParts(ctx context.Context, key object.Key, uploadID string, after, limit int) (replica.PartsPage, error)
	Refusals(ctx context.Context, key object.Key) ([]oplog.Refusal, error)
}

// caller is who sent the request, for S3.
func (c *call) caller() auth.Caller {
	return auth.Caller{Identity: c.who, Client: c.client, Secure: c.r.TLS != nil, Request: c.id}
}

func bucketNamed(name string) s3.Target { return s3.Target{Key: object.Key{Bucket: name}} }

// may tells whether the caller may do an operation.
func (h face) may(ctx context.Context, name s3.OperationName, t s3.Target) error {
	return h.S3.May(callOf(ctx).caller(), name, t)
}

// do has an operation done whose answer is in its error alone.
func (h face) do(ctx context.Context, name s3.OperationName, t s3.Target) error {
	c := callOf(ctx)
	return h.S3.Do(&silent{ResponseWriter: c.w}, c.r, c.caller(), name, t)
}

// silent is a writer for S3 whose answer nobody gets. Deadlines of the connection
// are not its own.
type silent struct {
	http.ResponseWriter
	header http.Header
	keep   bool // its body, for whoever asked
	body   bytes.Buffer
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

func (s *silent) WriteHeader(int) {}

func (s *silent) Write(p []byte) (int, error) {
	if s.keep {
		return s.body.Write(p)
	}
	return len(p), nil
}

// FlushError keeps back what S3 would send early.
func (s *silent) FlushError() error { return nil }

func (s *silent) Unwrap() http.ResponseWriter { return s.ResponseWriter }

// after is what the cursor of a page before says: the last name on it.
func after(cursor *api.Cursor) (string, error) {
	name, err := base64.RawURLEncoding.DecodeString(value(cursor))
	if err != nil {
		return "", badCursor()
	}
	return string(name), nil
}

func badCursor() error {
	return problem(http.StatusBadRequest, "bad-parameter", "Wrong parameter", "cursor: this is not a cursor of an earlier page")
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
	if err := h.may(ctx, s3.ListBuckets, s3.Target{}); err != nil {
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
	if err := h.may(ctx, s3.HeadBucket, bucketNamed(r.Bucket)); err != nil {
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
		Ack: api.Ack{AtLeast: d.Ack.Need, Include: listed([]string(d.Ack.Include))}, OwnAck: d.OwnAck,
		Mode: modeWord(d.Mode), Primary: d.Mode.Primary, OwnMode: d.OwnMode, Replicas: []api.BucketReplica{},
	}
	for _, r := range d.Replicas {
		one := api.BucketReplica{Backend: r.Backend, Name: r.Name, State: bucketStates[r.Presence()]}
		if callOf(ctx).who.User.Role == auth.RoleAdmin {
			one.Reason = r.Reason
		}
		out.Replicas = append(out.Replicas, one)
	}
	return out, nil
}

var bucketStates = map[replica.Presence]api.BucketState{
	replica.BucketPresent: api.BucketPresent, replica.BucketPending: api.BucketPending,
	replica.BucketFilling: api.BucketFilling, replica.BucketBehind: api.BucketBehind, replica.BucketUnusable: api.BucketUnusable,
}

// CreateBucket makes the bucket that the body names.
func (h face) CreateBucket(ctx context.Context, r api.CreateBucketRequestObject) (api.CreateBucketResponseObject, error) {
	bucket, err := h.newBucket(ctx, *r.Body)
	return api.CreateBucket201JSONResponse{BucketJSONResponse: bucket}, err
}

// PutBucket makes the bucket that the path names.
func (h face) PutBucket(ctx context.Context, r api.PutBucketRequestObject) (api.PutBucketResponseObject, error) {
	want := api.NewBucket{Name: r.Bucket}
	if r.Body != nil {
		want.ReplicaSet, want.Names, want.AssumeEqual = r.Body.ReplicaSet, r.Body.Names, r.Body.AssumeEqual
	}
	bucket, err := h.newBucket(ctx, want)
	return api.PutBucket201JSONResponse{BucketJSONResponse: bucket}, err
}

func (h face) newBucket(ctx context.Context, want api.NewBucket) (api.BucketJSONResponse, error) {
	c := callOf(ctx)
	c.object.Bucket = want.Name
	if want.ReplicaSet == nil {
		if len(want.Names) > 0 || want.AssumeEqual {
			return api.BucketJSONResponse{}, badPlace("names and assume_equal go with replica_set")
		}
		if err := h.do(ctx, s3.CreateBucket, bucketNamed(want.Name)); err != nil {
			return api.BucketJSONResponse{}, err
		}
		return h.bucket(ctx, want.Name)
	}
	at, err := placement(want.ReplicaSet, want.Names)
	if err != nil {
		return api.BucketJSONResponse{}, err
	}
	at.AssumeEqual = want.AssumeEqual
	if c.who.User.Role != auth.RoleAdmin {
		return api.BucketJSONResponse{}, forbidden("replica_set needs the role admin")
	}
	if err := h.may(ctx, s3.CreateBucket, bucketNamed(want.Name)); err != nil {
		return api.BucketJSONResponse{}, err
	}
	if err := s3.CheckBucketName(want.Name); err != nil {
		return api.BucketJSONResponse{}, fmt.Errorf("make bucket: %w", err)
	}
	if err := h.Handler.Replication.CreateBucketAt(ctx, want.Name, at, c.who.Login, c.id); err != nil {
		return api.BucketJSONResponse{}, fmt.Errorf("make bucket: %w", replicationProblem(err))
	}
	return h.bucket(ctx, want.Name)
}

// placement reads where a bucket is to stand.
func placement(set []string, names map[string]string) (at replica.Placement, err error) {
	at = replica.Placement{Replicas: object.NewReplicas(set...), Names: names}
	switch {
	case len(at.Replicas) == 0:
		return at, badPlace("replica_set: name at least one backend")
	case len(at.Replicas) != len(set):
		return at, badPlace("replica_set: names a backend twice")
	}
	for _, backend := range slices.Sorted(maps.Keys(names)) {
		real := names[backend]
		switch {
		case !at.Replicas.Has(backend):
			return at, badPlace("names.%s: is not a backend of the replica set", short(backend))
		case len(real) < 3 || len(real) > 255 || strings.Contains(real, "/"):
			return at, badPlace("names.%s: %q is not a bucket name", backend, short(real))
		}
	}
	return at, nil
}

func badPlace(format string, args ...any) *Problem {
	return problem(http.StatusBadRequest, "bad-replica-set", "A bucket cannot stand there", format, args...)
}

// UpdateBucket sets how a bucket is replicated: all of what is asked for is looked at
// before any of it is set.
func (h face) UpdateBucket(ctx context.Context, r api.UpdateBucketRequestObject) (api.UpdateBucketResponseObject, error) {
	c, want := callOf(ctx), *r.Body
	c.target = short(r.Bucket)
	var mode *replica.Mode
	if want.Mode != "" || want.Primary != "" {
		m, err := modeOf(want.Mode, want.Primary)
		if err != nil {
			return nil, err
		}
		mode = &m
	}
	if want.Ack != nil && want.Ack.AtLeast < 0 {
		return nil, problem(http.StatusBadRequest, "bad-ack", "That is no ack rule", "at_least: want 0 or more")
	}
	at, err := h.joining(ctx, want)
	if err != nil {
		return nil, err
	}
	if at != nil {
		c.detail = short(strings.TrimSpace(fmt.Sprintf("%s replica set %q", c.detail, want.ReplicaSet)))
		if err := h.Handler.Replication.SetReplicas(ctx, r.Bucket, *at); err != nil {
			return nil, fmt.Errorf("set replica set: %w", replicationProblem(err))
		}
	}
	if mode != nil {
		c.detail = short("mode " + mode.String())
		if err := h.Handler.Replication.SetMode(ctx, r.Bucket, *mode); err != nil {
			return nil, fmt.Errorf("set mode: %w", replicationProblem(err))
		}
	}
	if want.Ack != nil {
		var rule *replica.Rule
		if want.Ack.AtLeast > 0 || len(want.Ack.Include) > 0 {
			rule = &replica.Rule{Need: max(want.Ack.AtLeast, 1), Include: object.NewReplicas(want.Ack.Include...)}
		}
		c.detail = short(strings.TrimSpace(fmt.Sprintf("%s ack at least %d of %q", c.detail, want.Ack.AtLeast, want.Ack.Include)))
		if err := h.Handler.Replication.SetAck(ctx, r.Bucket, rule); err != nil {
			return nil, fmt.Errorf("set ack rule: %w", replicationProblem(err))
		}
	}
	if want.AssumeEqual != nil && at == nil {
		c.detail = short(strings.TrimSpace(fmt.Sprintf("%s assume equal %v", c.detail, *want.AssumeEqual)))
		if err := h.Handler.Replication.SetAssumeEqual(ctx, r.Bucket, *want.AssumeEqual); err != nil {
			return nil, fmt.Errorf("set assume_equal: %w", err)
		}
	}
	bucket, err := h.bucket(ctx, r.Bucket)
	return api.UpdateBucket200JSONResponse{BucketJSONResponse: bucket}, err
}

// joining is the replica set that is asked for; nil: none is.
func (h face) joining(ctx context.Context, want api.BucketChange) (*replica.Placement, error) {
	if want.ReplicaSet == nil {
		if len(want.Names) > 0 {
			return nil, badPlace("names go with replica_set")
		}
		return nil, nil
	}
	at, err := placement(want.ReplicaSet, want.Names)
	if err != nil {
		return nil, err
	}
	at.AssumeEqual = want.AssumeEqual != nil && *want.AssumeEqual
	return &at, nil
}

// DeleteBucket removes an empty bucket.
func (h face) DeleteBucket(ctx context.Context, r api.DeleteBucketRequestObject) (api.DeleteBucketResponseObject, error) {
	return api.DeleteBucket204Response{}, h.do(ctx, s3.DeleteBucket, bucketNamed(r.Bucket))
}

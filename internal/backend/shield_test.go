package backend_test

import (
	"context"
	"errors"
	"reflect"
	"slices"
	"testing"

	"github.com/s3mirror/s3mirror/internal/backend"
	"github.com/s3mirror/s3mirror/internal/backend/backendtest"
	"github.com/s3mirror/s3mirror/internal/memory"
	"github.com/s3mirror/s3mirror/internal/object"
	"github.com/s3mirror/s3mirror/internal/s3"
)

func TestShielded(t *testing.T) {
	_, u := newServer(t)
	backendtest.Run(t, func(t *testing.T) backendtest.Target {
		return backendtest.Target{
			Endpoint: backend.Shield(newRemote(t, u), object.LongSegment, object.FileAndFolder|object.DotSegment|object.DotDotSegment|object.EmptySegment),
			Bucket:   "suite-shield", MinPart: minPart, FoldsKeys: true,
		}
	})
	plain := newRemote(t, u)
	if got := backend.Shield(plain, 0, 0); got != backend.Endpoint(plain) {
		t.Errorf("an endpoint without trouble is wrapped: %T", got)
	}
}

// nobody is an endpoint that panics when it is asked for anything.
type nobody struct{ backend.Endpoint }

func (nobody) Name() string { return "none" }

// TestShieldSendsNothing: of a key that the endpoint would mix up with another one it is
// asked for nothing, by no method; what it refuses is refused unsent, and the rest goes on.
func TestShieldSendsNothing(t *testing.T) {
	_, u := newServer(t)
	ctx := context.Background()
	plain := newRemote(t, u)
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	must(plain.CreateBucket(ctx, "bucket"))
	put := func(e backend.Endpoint, key, data string) error {
		body, framing := backend.FromBytes([]byte(data))
		_, err := e.Put(ctx, backend.PutRequest{Bucket: "bucket", Key: key, Size: int64(len(data)), Body: body, Framing: framing})
		return err
	}
	must(put(plain, "a/./b", "stands"))
	must(put(plain, "a./b", "stands"))
	none := backend.Shield(nobody{}, object.TrailingDot|object.FolderWithData, object.DotSegment)
	e := backend.Shield(plain, object.TrailingDot|object.FolderWithData, object.DotSegment)

	const key = "a/./b"
	etag := "0123456789abcdef0123456789abcdef"
	absent := map[string]func() error{
		"get":      func() error { _, err := none.Get(ctx, "bucket", key, backend.GetOptions{}); return err },
		"tags":     func() error { _, err := none.Tags(ctx, "bucket", key); return err },
		"put tags": func() error { return none.PutTags(ctx, "bucket", key, nil) },
		"del tags": func() error { return none.DeleteTags(ctx, "bucket", key) },
		"describe": func() error { _, err := none.Describe(ctx, "bucket", key); return err },
		"parts":    func() error { _, err := none.PartSizes(ctx, "bucket", key, etag); return err },
		"copy from": func() error {
			_, err := none.Copy(ctx, backend.CopyRequest{Bucket: "bucket", Key: "x", Source: backend.CopySource{Bucket: "bucket", Key: key, ETag: etag}})
			return err
		},
		"copy part": func() error {
			_, err := none.CopyPart(ctx, backend.CopyPartRequest{Bucket: "bucket", Key: "x", Source: backend.CopySource{Bucket: "bucket", Key: key, ETag: etag}})
			return err
		},
	}
	for name, do := range absent {
		if err := do(); !backend.IsAbsent(err) || !errors.Is(err, s3.NoSuchKey) || backend.IsMisconfigured(err) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if seen, err := none.Head(ctx, "bucket", key); err != nil || seen.Kind != object.Tombstone {
		t.Errorf("head: %+v, %v", seen, err)
	}
	if err := none.Delete(ctx, "bucket", key); err != nil {
		t.Errorf("delete: %v", err)
	}
	if results, err := none.DeleteMany(ctx, "bucket", []string{key}); err != nil || !slices.Equal(results, []error{nil}) {
		t.Errorf("delete many: %v, %v", results, err)
	}
	results, err := e.DeleteMany(ctx, "bucket", []string{"x", key, "y"})
	if err != nil || !slices.Equal(results, []error{nil, nil, nil}) {
		t.Errorf("delete many: %v, %v", results, err)
	}
	if seen, err := plain.Head(ctx, "bucket", key); err != nil || seen.Kind != object.Present {
		t.Errorf("what stood under the key: %+v, %v", seen, err)
	}

	refused := map[string]func() error{
		"put, mixed":    func() error { return put(none, key, "x") },
		"put, refused":  func() error { return put(none, "a./b", "x") },
		"put, folder":   func() error { return put(none, "a/", "x") },
		"copy, refused": func() error { _, err := none.Copy(ctx, backend.CopyRequest{Bucket: "bucket", Key: "a./b"}); return err },
		"upload, refused": func() error {
			_, err := none.CreateUpload(ctx, backend.CreateUploadRequest{Bucket: "bucket", Key: "a/"})
			return err
		},
	}
	for name, do := range refused {
		err := do()
		var e *s3.Error
		if backend.OutcomeOf(err) != backend.Refused || !errors.As(err, &e) || e.Code != s3.InvalidArgument || e.Status != 400 || backend.IsMisconfigured(err) {
			t.Errorf("%s: %v", name, err)
		}
	}
	must(put(e, "a/", ""))
	if seen, err := e.Head(ctx, "bucket", "a./b"); err != nil || seen.Kind != object.Present { // it is refused, not mixed up: what stands, stands
		t.Errorf("head: %+v, %v", seen, err)
	}
	must(e.Delete(ctx, "bucket", "a./b"))
}

// TestShieldOfARefusal: where an endpoint refuses even a look at a key of a kind that it
// refuses, nothing stands there; a refusal of anything else, and one of ourselves, stays one.
func TestShieldOfARefusal(t *testing.T) {
	srv, u := newServer(t)
	ctx := context.Background()
	plain := newRemote(t, u)
	if err := plain.CreateBucket(ctx, "bucket"); err != nil {
		t.Fatal(err)
	}
	e := backend.Shield(plain, object.TrailingDot, 0)
	do := func(key string) map[string]error {
		_, head := e.Head(ctx, "bucket", key)
		_, get := e.Get(ctx, "bucket", key, backend.GetOptions{})
		if backend.IsAbsent(get) {
			get = nil
		}
		results, many := e.DeleteMany(ctx, "bucket", []string{"other", key})
		if many == nil {
			many = results[1]
		}
		return map[string]error{"head": head, "get": get, "delete": e.Delete(ctx, "bucket", key), "delete many": many}
	}
	ops := []s3.OperationName{s3.GetObject, s3.HeadObject, s3.DeleteObject}
	for _, c := range []struct {
		key  string
		code s3.Code
		ok   bool
	}{{"a.", s3.InvalidArgument, true}, {"a", s3.InvalidArgument, false}, {"a.", s3.SignatureDoesNotMatch, false}, {"a.", s3.InternalError, false}} {
		srv.SetFaults(memory.Faults{ErrorRate: 1, ErrorCode: c.code, Ops: ops})
		for what, err := range do(c.key) {
			if (err == nil) != c.ok && what != "delete many" {
				t.Errorf("%s of %q that is answered %s: %v", what, c.key, c.code, err)
			}
		}
	}
	srv.SetFaults(memory.Faults{})
	for what, err := range do("a.") {
		if err != nil {
			t.Errorf("%s: %v", what, err)
		}
	}
}

// TestShieldKnowsEveryMethod: one that is added and names a key must be thought about.
func TestShieldKnowsEveryMethod(t *testing.T) {
	want := []string{
		"AbortUpload", "CompleteUpload", "Copy", "CopyPart", "CreateBucket", "CreateUpload", "Delete", "DeleteBucket", "DeleteMany", "DeleteTags",
		"Describe", "Get", "Head", "HeadBucket", "List", "ListBuckets", "ListParts", "ListUploads", "Name", "PartSizes", "Put", "PutPart", "PutTags", "Tags",
	}
	var got []string
	for i := range reflect.TypeFor[backend.Endpoint]().NumMethod() {
		got = append(got, reflect.TypeFor[backend.Endpoint]().Method(i).Name)
	}
	if !slices.Equal(got, want) {
		t.Errorf("got %q", got)
	}
}

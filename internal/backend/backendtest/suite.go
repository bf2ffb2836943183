package backendtest

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/s3mirror/s3mirror/internal/backend"
	"github.com/s3mirror/s3mirror/internal/object"
	"github.com/s3mirror/s3mirror/internal/s3"
	"github.com/s3mirror/s3mirror/internal/sigv4"
)

// Target is an endpoint under test.
type Target struct {
	Endpoint backend.Endpoint

	// Bucket that the suite makes, fills, empties and removes. It must not
	// exist.
	Bucket string

	// Framings that the endpoint verifies at the end of a body. Empty: all.
	Framings []backend.Framing

	// FoldsKeys: keys with empty, "." or ".." segments are refused or stored
	// under other names.
	FoldsKeys bool
	// NoFileAndFolder: "a" and "a/b" can not both stand.
	NoFileAndFolder bool

	// MinPart is the least size in bytes of a part that is not the last. Zero:
	// S3's 5 MiB.
	MinPart int
	// OpaqueETags: ETags are no MD5s.
	OpaqueETags bool
	// SkipsUploads: a page of uploads that ends within one key is not continued
	// there.
	SkipsUploads bool
}

// framings are what a body of some size may travel in.
func (g Target) framings() map[string]func(data []byte) backend.Framing {
	all := map[string]func(data []byte) backend.Framing{
		"literal": func(data []byte) backend.Framing {
			return backend.Framing{Mode: sigv4.Literal, SHA256: sha256.Sum256(data)}
		},
	}
	list := g.Framings
	if list == nil {
		list = []backend.Framing{{Mode: sigv4.Signed, ChunkSize: 64 << 10}}
		for _, a := range []string{"crc32", "crc32c", "crc64nvme", "sha1", "sha256"} {
			list = append(list, backend.Framing{Mode: sigv4.UnsignedTrailer, Algorithm: a, ChunkSize: 64 << 10},
				backend.Framing{Mode: sigv4.SignedTrailer, Algorithm: a, ChunkSize: 64 << 10})
		}
	}
	for _, f := range list {
		all[fmt.Sprintf("%v %s", f.Mode, f.Algorithm)] = func([]byte) backend.Framing { return f }
	}
	return all
}

// Run runs the suite. open is called once.
func Run(t *testing.T, open func(t *testing.T) Target) {
	g := open(t)
	ctx := t.Context()
	must(t, g.Endpoint.CreateBucket(ctx, g.Bucket))
	t.Cleanup(func() {
		ctx := context.WithoutCancel(ctx) // t's own is done by now
		g.empty(ctx, t)
		must(t, g.Endpoint.DeleteBucket(ctx, g.Bucket))
	})

	for name, test := range map[string]func(*testing.T, Target){
		"buckets":             testBuckets,
		"absence":             testAbsence,
		"bodies":              testBodies,
		"overwrite":           testOverwrite,
		"headers":             testHeaders,
		"checksums":           testChecksums,
		"stamp":               testStamp,
		"keys":                testKeys,
		"ranges":              testRanges,
		"conditions":          testConditions,
		"list":                testList,
		"list pages":          testListPages,
		"cut bodies":          testCutBodies,
		"wrong bodies":        testWrongBodies,
		"requests never sent": testNeverSent,
		"cancelled":           testCancelled,
		"atomic":              testAtomic,
		"uploads":             testUploads,
		"uploads refused":     testUploadsRefused,
		"uploads absent":      testUploadsAbsent,
		"uploads never sent":  testUploadsNeverSent,
		"uploads listed":      testListUploads,
		"uploads replace":     testCompleteReplaces,
		"cut parts":           testCutParts,
		"copy":                testCopy,
		"copy part":           testCopyPart,
		"delete many":         testDeleteMany,
		"tags":                testTags,
		"describe":            testDescribe,
	} {
		t.Run(name, func(t *testing.T) { test(t, g) })
	}
}

// empty removes everything from the bucket.
func (g Target) empty(ctx context.Context, t *testing.T) {
	for after := ""; ; {
		page, err := g.Endpoint.List(ctx, g.Bucket, backend.ListRequest{After: after})
		must(t, err)
		for _, e := range page.Entries {
			must(t, g.Endpoint.Delete(ctx, g.Bucket, e.Key))
		}
		if after = page.Next; after == "" {
			return
		}
	}
}

// put stores data in the framing and returns the result.
func (g Target) put(t *testing.T, key string, data []byte, f backend.Framing, change ...func(*backend.PutRequest)) backend.PutResult {
	t.Helper()
	res, err := g.tryPut(t.Context(), key, data, f, change...)
	must(t, err)
	return res
}

func (g Target) tryPut(ctx context.Context, key string, data []byte, f backend.Framing, change ...func(*backend.PutRequest)) (backend.PutResult, error) {
	body, err := backend.NewBody(bytes.NewReader(data), f)
	if err != nil {
		return backend.PutResult{}, err
	}
	r := backend.PutRequest{Bucket: g.Bucket, Key: key, Size: int64(len(data)), Body: body, Framing: f}
	for _, c := range change {
		c(&r)
	}
	return g.Endpoint.Put(ctx, r)
}

func literal(data []byte) backend.Framing {
	return backend.Framing{Mode: sigv4.Literal, SHA256: sha256.Sum256(data)}
}

func (g Target) read(t *testing.T, key string, o backend.GetOptions) (*backend.Object, []byte) {
	t.Helper()
	obj, err := g.Endpoint.Get(t.Context(), g.Bucket, key, o)
	must(t, err)
	defer obj.Body.Close()
	data, err := io.ReadAll(obj.Body)
	must(t, err)
	if int64(len(data)) != obj.Length {
		t.Fatalf("get %q: %d bytes, announced %d", key, len(data), obj.Length)
	}
	return obj, data
}

// stands checks that exactly data is stored under the key.
func (g Target) stands(t *testing.T, key string, data []byte) {
	t.Helper()
	obj, got := g.read(t, key, backend.GetOptions{})
	if !bytes.Equal(got, data) {
		t.Fatalf("%q: read %d bytes, other than the %d written", key, len(got), len(data))
	}
	seen, err := g.Endpoint.Head(t.Context(), g.Bucket, key)
	must(t, err)
	if seen.Kind != object.Present || seen.Size != int64(len(data)) || seen.ETag != obj.ETag || obj.ETag == "" || obj.Size != seen.Size {
		t.Fatalf("%q: HEAD and GET disagree: %+v, %+v", key, seen.Info, obj.Info)
	}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// wants checks the outcome of an error.
func wants(t *testing.T, err error, want ...backend.Outcome) *backend.Error {
	t.Helper()
	var e *backend.Error
	if !errors.As(err, &e) {
		t.Fatalf("error %v (%T) is no *backend.Error", err, err)
	}
	if !slices.Contains(want, e.Outcome) {
		t.Fatalf("outcome %v, want one of %v: %v", e.Outcome, want, err)
	}
	return e
}

func random(size int) []byte {
	data := make([]byte, size)
	r := rand.NewChaCha8([32]byte{byte(size), byte(size >> 8), byte(size >> 16)})
	_, _ = r.Read(data) // never fails
	return data
}

func testBuckets(t *testing.T, g Target) {
	ctx := t.Context()
	must(t, g.Endpoint.CreateBucket(ctx, g.Bucket)) // ours already
	must(t, g.Endpoint.HeadBucket(ctx, g.Bucket))
	list, err := g.Endpoint.ListBuckets(ctx)
	must(t, err)
	if !slices.ContainsFunc(list, func(b backend.BucketInfo) bool { return b.Name == g.Bucket && !b.Created.IsZero() }) {
		t.Errorf("%s is not among %v", g.Bucket, list)
	}
	other := g.Bucket + "-2"
	_ = wants(t, g.Endpoint.HeadBucket(ctx, other), backend.Absent)
	must(t, g.Endpoint.DeleteBucket(ctx, other))
	g.put(t, "in-the-way", []byte("x"), literal([]byte("x")))
	e := wants(t, g.Endpoint.DeleteBucket(ctx, g.Bucket), backend.Refused)
	if !errors.Is(e, s3.BucketNotEmpty) || e.Misconfigured {
		t.Errorf("delete of a bucket with an object: %v", e)
	}
	must(t, g.Endpoint.Delete(ctx, g.Bucket, "in-the-way"))
}

func testAbsence(t *testing.T, g Target) {
	ctx := t.Context()
	seen, err := g.Endpoint.Head(ctx, g.Bucket, "nothing")
	must(t, err)
	if seen.Kind != object.Tombstone {
		t.Errorf("head of nothing: %+v", seen)
	}
	_, err = g.Endpoint.Get(ctx, g.Bucket, "nothing", backend.GetOptions{})
	if wants(t, err, backend.Absent).Misconfigured || !backend.IsAbsent(err) {
		t.Error(err)
	}
	must(t, g.Endpoint.Delete(ctx, g.Bucket, "nothing"))

	// Without the bucket nothing is known of the key.
	nowhere := g.Bucket + "-3"
	_, err = g.Endpoint.Head(ctx, nowhere, "nothing")
	misconfigured(t, "head", err)
	_, err = g.Endpoint.Get(ctx, nowhere, "nothing", backend.GetOptions{})
	misconfigured(t, "get", err)
	_, err = g.Endpoint.List(ctx, nowhere, backend.ListRequest{})
	misconfigured(t, "list", err)
	misconfigured(t, "delete", g.Endpoint.Delete(ctx, nowhere, "nothing"))
	g.Bucket = nowhere
	_, err = g.tryPut(ctx, "nothing", []byte("x"), literal([]byte("x")))
	misconfigured(t, "put", err)
}

func misconfigured(t *testing.T, what string, err error) {
	t.Helper()
	if e := wants(t, err, backend.Refused); !e.Misconfigured || !errors.Is(e, s3.NoSuchBucket) {
		t.Errorf("%s in no bucket: %v", what, err)
	}
}

var sizes = []int{0, 1, 8191, 8192, 8193, 64 << 10, 200_000, 1<<20 + 1}

func testBodies(t *testing.T, g Target) {
	for name, framing := range g.framings() {
		t.Run(name, func(t *testing.T) {
			for _, size := range sizes {
				data := random(size)
				res := g.put(t, "body", data, framing(data))
				g.stands(t, "body", data)
				seen, err := g.Endpoint.Head(t.Context(), g.Bucket, "body")
				must(t, err)
				if res.ETag != seen.ETag {
					t.Errorf("size %d: put answered ETag %q, head %q", size, res.ETag, seen.ETag)
				}
			}
		})
	}
}

func testOverwrite(t *testing.T, g Target) {
	before := time.Now().Add(-2 * time.Minute)
	for i := range 5 {
		data := fmt.Appendf(nil, "version %d", i)
		g.put(t, "again", data, literal(data))
		g.stands(t, "again", data)
	}
	seen, err := g.Endpoint.Head(t.Context(), g.Bucket, "again")
	must(t, err)
	if seen.ModTime.Before(before) || seen.ModTime.After(time.Now().Add(2*time.Minute)) {
		t.Errorf("modification time %v", seen.ModTime)
	}
	must(t, g.Endpoint.Delete(t.Context(), g.Bucket, "again"))
	seen, err = g.Endpoint.Head(t.Context(), g.Bucket, "again")
	must(t, err)
	if seen.Kind != object.Tombstone {
		t.Error("deleted object stands")
	}
}

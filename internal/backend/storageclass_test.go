package backend_test

import (
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"testing"

	"github.com/s3mirror/s3mirror/internal/backend"
)

// TestStorageClass: every version that is made is made in the endpoint's class, parts say
// nothing of it, and no answer shows it.
func TestStorageClass(t *testing.T) {
	asked := map[string]string{} // of the last request of its kind
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		kind := r.Method
		switch {
		case r.URL.Query().Has("uploads"):
			kind = "create"
			_, _ = io.WriteString(w, `<InitiateMultipartUploadResult><Bucket>b</Bucket><Key>k</Key><UploadId>u</UploadId></InitiateMultipartUploadResult>`)
		case r.URL.Query().Has("partNumber"):
			kind = "part"
			w.Header().Set("ETag", `"0"`)
		case r.Header.Get("X-Amz-Copy-Source") != "":
			kind = "copy"
			_, _ = io.WriteString(w, `<CopyObjectResult><ETag>"0"</ETag></CopyObjectResult>`)
		default:
			w.Header().Set("ETag", `"0"`)
			w.Header().Set("Content-Length", "0")
			w.Header().Set("X-Amz-Storage-Class", "STANDARD_IA")
		}
		asked[kind] = r.Header.Get("X-Amz-Storage-Class")
	}))
	defer server.Close()
	endpoint, err := url.Parse(server.URL)
	if err != nil {
		t.Fatal(err)
	}
	remote := newRemote(t, endpoint, func(o *backend.Options) { o.StorageClass = "STANDARD_IA" })
	ctx := t.Context()
	if _, err := remote.Put(ctx, backend.PutRequest{Bucket: "b", Key: "k"}); err != nil {
		t.Error("put:", err)
	}
	if _, err := remote.CreateUpload(ctx, backend.CreateUploadRequest{Bucket: "b", Key: "k"}); err != nil {
		t.Error("create:", err)
	}
	if _, err := remote.PutPart(ctx, backend.PartRequest{Bucket: "b", Key: "k", UploadID: "u", Number: 1}); err != nil {
		t.Error("part:", err)
	}
	if _, err := remote.Copy(ctx, backend.CopyRequest{Bucket: "b", Key: "k", Source: backend.CopySource{Bucket: "b", Key: "s", ETag: "0"}}); err != nil {
		t.Error("copy:", err)
	}
	seen, err := remote.Head(ctx, "b", "k")
	if class, shown := seen.Headers["x-amz-storage-class"]; err != nil || shown {
		t.Errorf("head: %v, class %q", err, class)
	}
	for kind, want := range map[string]string{"PUT": "STANDARD_IA", "create": "STANDARD_IA", "copy": "STANDARD_IA", "part": "", "HEAD": ""} {
		if got, ok := asked[kind]; !ok || got != want {
			t.Errorf("%s with class %q (%v), want %q", kind, got, ok, want)
		}
	}
}

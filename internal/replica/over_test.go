package replica_test

import (
	"errors"
	"testing"

	"github.com/s3mirror/s3mirror/internal/replica"
	"github.com/s3mirror/s3mirror/internal/s3"
)

// TestAnUploadThatBecameAnObjectIsGone: at once, not when its record says so; only the
// completion may be repeated.
func TestAnUploadThatBecameAnObjectIsGone(t *testing.T) {
	withUploads(t, func(t *testing.T, r *rig) {
		p := r.begin("k", s3.UploadChecksum{})
		p.put(1, content(10, 1))
		req := p.request()
		if _, err := r.set.CompleteUpload(r.ctx, req); err != nil {
			t.Fatal(err)
		}
		if _, err := r.set.ListUploadParts(r.ctx, p.key, p.id, 0, 10); !errors.Is(err, s3.NoSuchUpload) {
			t.Errorf("its parts: %v", err)
		}
		if _, err := p.try(2, []byte("x")); !errors.Is(err, s3.NoSuchUpload) {
			t.Errorf("another part: %v", err)
		}
		page, err := r.set.ListUploads(r.ctx, replica.ListUploadsRequest{Bucket: testBucket, Max: 10})
		if err != nil || len(page.Uploads) > 0 {
			t.Errorf("listed: %+v, %v", page, err)
		}
		if _, err := r.set.CompleteUpload(r.ctx, req); err != nil {
			t.Errorf("completed again: %v", err)
		}
	})
}

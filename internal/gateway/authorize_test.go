package gateway

import (
	"errors"
	"testing"

	"github.com/s3mirror/s3mirror/internal/auth"
	"github.com/s3mirror/s3mirror/internal/s3"
)

// TestAuthorize: until there are users, root may do everything, and nobody
// else anything, whatever the operation.
func TestAuthorize(t *testing.T) {
	operations := append(s3.ImplementedOperations(),
		s3.CopyObject, s3.CreateMultipartUpload, s3.UploadPart, s3.CompleteMultipartUpload, s3.AbortMultipartUpload, s3.ListParts,
		s3.ListMultipartUploads, s3.DeleteObjects, s3.PostObject, s3.PutBucketPolicy, s3.GetObjectAcl, s3.PutObjectTagging, s3.Unsupported)
	for _, name := range operations {
		op := &s3.Operation{Name: name, Bucket: "photos", Key: "k"}
		if err := authorize(auth.Identity{Login: auth.RootLogin, AccessKeyID: "AK", Root: true}, op); err != nil {
			t.Errorf("root, %s: %v", name, err)
		}
		for _, who := range []auth.Identity{{}, {Login: "ann", AccessKeyID: "AK"}, {Login: auth.RootLogin, AccessKeyID: "AK"}} {
			if err := authorize(who, op); !errors.Is(err, s3.AccessDenied) {
				t.Errorf("%+v, %s: %v, want AccessDenied", who, name, err)
			}
		}
	}
}

// TestActsAreTheImplementedOperations: the dialect and the gateway agree on
// what is done.
func TestActsAreTheImplementedOperations(t *testing.T) {
	implemented := s3.ImplementedOperations()
	for _, name := range implemented {
		if acts[name] == nil {
			t.Errorf("%s has no act", name)
		}
	}
	if len(acts) != len(implemented) {
		t.Errorf("%d acts for %d operations", len(acts), len(implemented))
	}
}

package probe

import (
	"context"
	"errors"
	"fmt"
	"net/http"

	"github.com/s3mirror/s3mirror/internal/backend"
	"github.com/s3mirror/s3mirror/internal/object"
	"github.com/s3mirror/s3mirror/internal/s3"
)

// tagsKept: whether tags of an object are kept however they come, and go with the
// version that they are of. Where they are not the log keeps them (docs/decisions/0029).
func (r *runner) tagsKept(ctx context.Context) (Result, string) {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	const key = "tags/object"
	first, second := object.Tags{"a b": "1+2"}, object.Tags{"c": "", "d": "é"}
	steps := []struct {
		what string
		do   func() error
		want object.Tags
	}{
		{"with an object", func() error { return r.putTagged(ctx, key, first) }, first},
		{"of their own", func() error { return r.remote.PutTags(ctx, r.bucket, r.full(key), second) }, second},
		{"of a copy", func() error { return r.copyTagged(ctx, key, first) }, first},
		{"taken off", func() error { return r.remote.DeleteTags(ctx, r.bucket, r.full(key)) }, nil},
		{"with an upload", func() error { return r.uploadTagged(ctx, key, second) }, second},
		{"of an object over it that has none", func() error { return r.putTagged(ctx, key, nil) }, nil},
	}
	for _, step := range steps {
		var have object.Tags
		err := step.do()
		if err == nil {
			have, err = r.remote.Tags(ctx, r.bucket, r.full(key))
		}
		var e *backend.Error
		switch {
		case errors.As(err, &e) && (backend.OutcomeOf(err) == backend.Refused || e.Status == http.StatusNotImplemented):
			return No, fmt.Sprintf("tags %s are refused: %v", step.what, err)
		case err != nil:
			return unknown(err)
		case !have.Equal(step.want):
			return No, fmt.Sprintf("tags %s are %v, not %v", step.what, have, step.want)
		}
	}
	return Yes, ""
}

func (r *runner) putTagged(ctx context.Context, key string, tags object.Tags) error {
	data := []byte("tagged")
	body, framing := backend.FromBytes(data)
	_, err := r.remote.Put(ctx, backend.PutRequest{Bucket: r.bucket, Key: r.full(key), Tags: tags, Size: int64(len(data)), Body: body, Framing: framing})
	return err
}

func (r *runner) copyTagged(ctx context.Context, key string, tags object.Tags) error {
	seen, err := r.remote.Head(ctx, r.bucket, r.full(key))
	if err != nil {
		return err
	}
	_, err = r.remote.Copy(ctx, backend.CopyRequest{
		Bucket: r.bucket, Key: r.full(key), Tags: tags, Source: backend.CopySource{Bucket: r.bucket, Key: r.full(key), ETag: seen.ETag},
		Headers: object.Headers{"x-amz-meta-copy": "1"},
	})
	var e *backend.Error
	if errors.As(err, &e) && (backend.OutcomeOf(err) == backend.Refused || e.Status == http.StatusNotImplemented) {
		return r.remote.PutTags(ctx, r.bucket, r.full(key), tags) // it copies nothing, and is not asked to
	}
	return err
}

func (r *runner) uploadTagged(ctx context.Context, key string, tags object.Tags) error {
	id, err := r.remote.CreateUpload(ctx, backend.CreateUploadRequest{Bucket: r.bucket, Key: r.full(key), Tags: tags})
	if err != nil {
		return err
	}
	data := []byte("part")
	body, framing := backend.FromBytes(data)
	part, err := r.remote.PutPart(ctx, backend.PartRequest{Bucket: r.bucket, Key: r.full(key), UploadID: id, Number: 1, Size: int64(len(data)), Body: body, Framing: framing})
	if err == nil {
		_, err = r.remote.CompleteUpload(ctx, backend.CompleteRequest{
			Bucket: r.bucket, Key: r.full(key), UploadID: id, Parts: []s3.CompletedPart{{Number: 1, ETag: part.ETag}},
		})
	}
	if err != nil {
		_ = r.remote.AbortUpload(context.WithoutCancel(ctx), r.bucket, r.full(key), id) // the next sweep finds it
	}
	return err
}

package backend

import (
	"context"
	"crypto/md5" //nolint:gosec // what old endpoints want with this request
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net/http"

	"github.com/s3mirror/s3mirror/internal/s3"
)

// Batcher is the part of an endpoint that deletes many objects at once.
type Batcher interface {
	// DeleteMany removes up to 1,000 objects in one attempt. When err is nil, each
	// key has its own result, in the order of keys: nil when the object is gone,
	// absence included, else an *Error whose Outcome is that of a Delete; a key of
	// which the endpoint says nothing is Ambiguous. When err is not nil its Outcome
	// is that of every key.
	//
	// Keys that no document can name are deleted one by one.
	DeleteMany(ctx context.Context, bucket string, keys []string) (results []error, err error)
}

// DeleteMany implements Batcher.
func (r *Remote) DeleteMany(ctx context.Context, bucket string, keys []string) ([]error, error) {
	if err := checkKeys(bucket, keys); err != nil {
		return nil, r.unsent(OpDeleteMany, err)
	}
	var batch []string
	for _, key := range keys {
		if s3.Batchable(key) {
			batch = append(batch, key)
		}
	}
	said, err := r.deleteBatch(ctx, bucket, batch)
	if err != nil {
		return nil, err
	}
	results := make([]error, len(keys))
	for i, key := range keys {
		if s3.Batchable(key) {
			results[i] = r.deleted(said, key)
		} else {
			results[i] = r.Delete(ctx, bucket, key)
		}
	}
	return results, nil
}

func checkKeys(bucket string, keys []string) error {
	if bucket == "" || len(keys) == 0 || len(keys) > s3.MaxDeletes {
		return fmt.Errorf("%w: %d keys of bucket %q", ErrRequest, len(keys), bucket)
	}
	for _, key := range keys {
		if key == "" {
			return fmt.Errorf("%w: an empty key", ErrRequest)
		}
	}
	return nil
}

// deleteBatch returns what the endpoint says of the keys that it names.
func (r *Remote) deleteBatch(ctx context.Context, bucket string, keys []string) (said map[string]error, err error) {
	if len(keys) == 0 {
		return nil, nil
	}
	body := s3.DeleteDocument(keys)
	h := http.Header{"Content-Type": {contentXML}}
	h.Set("Content-MD5", contentMD5(body))
	c := call{op: OpDeleteMany, method: http.MethodPost, bucket: bucket, query: "delete=", header: h, body: body, slow: true}
	err = r.runResult(ctx, c, func(body io.Reader) (err error) {
		said, err = s3.DecodeDeleted(body)
		return err
	})
	return said, err
}

// deleted is the result of one key.
func (r *Remote) deleted(said map[string]error, key string) error {
	verdict, named := said[key]
	if !named {
		return &Error{Backend: r.o.Name, Op: OpDeleteMany, Outcome: Ambiguous, Released: true, Status: http.StatusOK,
			Err: fmt.Errorf("%w: nothing is said of the key", ErrAnswer)}
	}
	var e *s3.Error
	if !errors.As(verdict, &e) {
		return nil
	}
	// What is said of one key is said as of a Delete.
	err := r.within(OpDelete, http.MethodDelete, http.StatusOK, e)
	if err.Outcome == Absent {
		return nil
	}
	err.Op = OpDeleteMany
	return err
}

func contentMD5(body []byte) string {
	sum := md5.Sum(body) //nolint:gosec // see above
	return base64.StdEncoding.EncodeToString(sum[:])
}

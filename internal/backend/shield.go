package backend

import (
	"context"
	"net/http"

	"github.com/s3mirror/s3mirror/internal/object"
	"github.com/s3mirror/s3mirror/internal/s3"
)

// Shield wraps an endpoint that was found to have trouble with kinds of keys. A write of
// a kind that it refuses is refused here, before it is sent; where it refuses even a look
// at such a key, nothing stands under it, and nothing has to be deleted. Of a key that it
// would mix up with another one it is asked for nothing at all: nothing stands there, a
// write is refused, and to delete it is done. So no request for one key ever touches
// another. It needs no breaker and no meter: nothing is sent.
func Shield(e Endpoint, refuses, mixes object.KeyRules) Endpoint {
	if refuses|mixes == 0 {
		return e
	}
	return shield{e, refuses, mixes}
}

type shield struct {
	Endpoint
	refuses, mixes object.KeyRules
}

// refused are the kinds of the key that the endpoint refuses, of any size.
func (s shield) refused(key string) object.KeyRules {
	return (object.KeyRulesOf(key, 0) | object.KeyRulesOf(key, 1)) & s.refuses
}

// denies tells whether the endpoint refused to look at a key of a kind that it refuses.
func (s shield) denies(key string, err error) bool {
	return err != nil && s.refused(key) != 0 && OutcomeOf(err) == Refused && !IsMisconfigured(err)
}

// mixed are the kinds of the key for which the endpoint may take another one. The size
// does not matter: a folder is one with data and without.
func (s shield) mixed(key string) object.KeyRules {
	return (object.KeyRulesOf(key, 0) | object.KeyRulesOf(key, 1)) & s.mixes
}

// refuse is the error of a write that the endpoint cannot hold; nil: it may.
func (s shield) refuse(op Op, key string, size int64) error {
	trouble := object.KeyRulesOf(key, size)&s.refuses | s.mixed(key)
	if trouble == 0 {
		return nil
	}
	return s.error(op, Refused, s3.InvalidArgument, "The server does not hold keys with "+trouble.Words()+".")
}

// absent is the answer of an endpoint under whose key nothing stands.
func (s shield) absent(op Op, key string) error {
	if s.mixed(key) == 0 {
		return nil
	}
	return s.error(op, Absent, s3.NoSuchKey, s3.NoSuchKey.Text())
}

func (s shield) error(op Op, o Outcome, code s3.Code, words string) error {
	status := code.Status()
	if o == Absent {
		status = http.StatusNotFound
	}
	return &Error{Backend: s.Name(), Op: op, Outcome: o, Status: status, S3: &s3.Error{Code: code, Message: words, Status: status}}
}

func (s shield) Put(ctx context.Context, r PutRequest) (PutResult, error) {
	if err := s.refuse(OpPut, r.Key, r.Size); err != nil {
		return PutResult{}, err
	}
	return s.Endpoint.Put(ctx, r)
}

func (s shield) Get(ctx context.Context, bucket, key string, o GetOptions) (*Object, error) {
	if err := s.absent(OpGet, key); err != nil {
		return nil, err
	}
	obj, err := s.Endpoint.Get(ctx, bucket, key, o)
	if s.denies(key, err) && o.whole() { // of a part it may be about the range
		return nil, s.error(OpGet, Absent, s3.NoSuchKey, s3.NoSuchKey.Text())
	}
	return obj, err
}

func (s shield) Head(ctx context.Context, bucket, key string) (object.Seen, error) {
	if s.mixed(key) != 0 {
		return object.Seen{Info: object.Info{Kind: object.Tombstone}}, nil
	}
	if s.refused(key) == 0 {
		return s.Endpoint.Head(ctx, bucket, key)
	}
	obj, err := s.Get(ctx, bucket, key, GetOptions{}) // a HEAD would not say why it is refused
	if IsAbsent(err) {
		return object.Seen{Info: object.Info{Kind: object.Tombstone}}, nil
	}
	if err != nil {
		return object.Seen{}, err
	}
	return obj.Seen, obj.Body.Close()
}

func (s shield) Delete(ctx context.Context, bucket, key string) error {
	if s.mixed(key) != 0 {
		return nil
	}
	err := s.Endpoint.Delete(ctx, bucket, key)
	if s.denies(key, err) {
		return nil
	}
	return err
}

func (s shield) DeleteMany(ctx context.Context, bucket string, keys []string) ([]error, error) {
	own := make([]string, 0, len(keys))
	for _, key := range keys {
		if s.mixed(key) == 0 {
			own = append(own, key)
		}
	}
	if len(own) == 0 && len(keys) > 0 {
		return make([]error, len(keys)), nil
	}
	said, err := s.Endpoint.DeleteMany(ctx, bucket, own)
	if err != nil {
		return nil, err
	}
	results := make([]error, len(keys))
	for i, key := range keys {
		if s.mixed(key) != 0 {
			continue
		}
		if !s.denies(key, said[0]) {
			results[i] = said[0]
		}
		said = said[1:]
	}
	return results, nil
}

func (s shield) Copy(ctx context.Context, r CopyRequest) (CopyResult, error) {
	if err := s.refuse(OpCopy, r.Key, 0); err != nil { // of a folder the endpoint itself sees whether it has data
		return CopyResult{}, err
	}
	if err := s.absent(OpCopy, r.Source.Key); err != nil {
		return CopyResult{}, err
	}
	return s.Endpoint.Copy(ctx, r)
}

func (s shield) CreateUpload(ctx context.Context, r CreateUploadRequest) (string, error) {
	if err := s.refuse(OpCreateUpload, r.Key, -1); err != nil {
		return "", err
	}
	return s.Endpoint.CreateUpload(ctx, r)
}

// CopyPart looks at the source alone: there is an upload, so the key was taken.
func (s shield) CopyPart(ctx context.Context, r CopyPartRequest) (PutResult, error) {
	if err := s.absent(OpCopyPart, r.Source.Key); err != nil {
		return PutResult{}, err
	}
	return s.Endpoint.CopyPart(ctx, r)
}

func (s shield) Tags(ctx context.Context, bucket, key string) (object.Tags, error) {
	if err := s.absent(OpTags, key); err != nil {
		return nil, err
	}
	return s.Endpoint.Tags(ctx, bucket, key)
}

func (s shield) PutTags(ctx context.Context, bucket, key string, tags object.Tags) error {
	if err := s.absent(OpPutTags, key); err != nil {
		return err
	}
	return s.Endpoint.PutTags(ctx, bucket, key, tags)
}

func (s shield) DeleteTags(ctx context.Context, bucket, key string) error {
	if err := s.absent(OpDeleteTags, key); err != nil {
		return err
	}
	return s.Endpoint.DeleteTags(ctx, bucket, key)
}

func (s shield) Describe(ctx context.Context, bucket, key string) (Description, error) {
	if err := s.absent(OpDescribe, key); err != nil {
		return Description{}, err
	}
	return s.Endpoint.Describe(ctx, bucket, key)
}

func (s shield) PartSizes(ctx context.Context, bucket, key, etag string) ([]int64, error) {
	if err := s.absent(OpParts, key); err != nil {
		return nil, err
	}
	return s.Endpoint.PartSizes(ctx, bucket, key, etag)
}

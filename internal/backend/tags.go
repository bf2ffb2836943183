package backend

import (
	"context"
	"errors"
	"net/http"

	"github.com/s3mirror/s3mirror/internal/object"
	"github.com/s3mirror/s3mirror/internal/s3"
)

// Tagger is the part of an endpoint that keeps tags of objects. Absent says that
// there is no object.
type Tagger interface {
	// Tags returns the tags of an object, none for one without.
	Tags(ctx context.Context, bucket, key string) (object.Tags, error)
	// PutTags gives an object these tags and no others, and changes nothing else
	// of it. It is sent at most once, with Outcomes as of Put.
	PutTags(ctx context.Context, bucket, key string, tags object.Tags) error
	// DeleteTags takes the tags off an object. Outcomes as of PutTags.
	DeleteTags(ctx context.Context, bucket, key string) error
}

const tagging = "tagging="

// Tags implements Tagger.
func (r *Remote) Tags(ctx context.Context, bucket, key string) (tags object.Tags, err error) {
	if err := checkTarget(bucket, key); err != nil {
		return nil, r.unsent(OpTags, err)
	}
	err = r.run(ctx, call{op: OpTags, method: http.MethodGet, bucket: bucket, key: key, query: tagging}, func(resp *http.Response) (err error) {
		tags, err = s3.DecodeTagging(resp.Body)
		return err
	})
	if errors.Is(err, s3.NoSuchTagSet) { // some servers say so of an object without tags
		return nil, nil
	}
	return tags, err
}

// PutTags implements Tagger.
func (r *Remote) PutTags(ctx context.Context, bucket, key string, tags object.Tags) error {
	if err := checkTarget(bucket, key); err != nil {
		return r.unsent(OpPutTags, err)
	}
	body := s3.TaggingDocument(tags)
	h := http.Header{"Content-Type": {contentXML}}
	h.Set("Content-MD5", contentMD5(body))
	return r.run(ctx, call{op: OpPutTags, method: http.MethodPut, bucket: bucket, key: key, query: tagging, header: h, body: body}, nil)
}

// DeleteTags implements Tagger.
func (r *Remote) DeleteTags(ctx context.Context, bucket, key string) error {
	if err := checkTarget(bucket, key); err != nil {
		return r.unsent(OpDeleteTags, err)
	}
	return r.run(ctx, call{op: OpDeleteTags, method: http.MethodDelete, bucket: bucket, key: key, query: tagging}, nil)
}

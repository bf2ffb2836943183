package replica

import (
	"context"
	"maps"

	"github.com/s3mirror/s3mirror/internal/commit"
	"github.com/s3mirror/s3mirror/internal/s3"
)

// maxSettings bounds the settings of one bucket together, in bytes of their
// names and documents: they stand in the bucket's record, which nodes that share
// a log read before each write.
const maxSettings = 128 << 10

// Setting is a document of a bucket's configuration, by the name of the
// sub-resource of S3 that shows it.
type Setting struct{ Name, Document string }

// BucketSetting returns a document of the bucket's configuration that
// SetBucketSetting kept; ok is false when there is none. Nobody but the log is
// asked: a bucket that no request has met yet is NoSuchBucket. SlowDown.
func (s *Set) BucketSetting(ctx context.Context, name, setting string) (document string, ok bool, err error) {
	b, err := s.buckets.noted(ctx, name)
	if err != nil {
		return "", false, err
	}
	document, ok = b.record().Settings[setting]
	return document, ok, nil
}

// GlanceSetting is BucketSetting by a record that may be a second old where other nodes
// may change it, or older while the log is away (Options.StaleReads). It is for what is
// asked with every request.
func (s *Set) GlanceSetting(ctx context.Context, name, setting string) (document string, ok bool, err error) {
	bs := &s.buckets
	bs.mu.Lock()
	b := bs.known[name]
	bs.mu.Unlock()
	switch {
	case b == nil:
		b, err = bs.noted(ctx, name)
	case !s.o.Exclusive && !b.younger(recordFresh):
		err = bs.reload(ctx, b)
	}
	if b, err = bs.lastKnown(name, b, err); err != nil {
		return "", false, err
	}
	document, ok = b.setting(setting)
	return document, ok, nil
}

// setting is a document of the record.
func (b *bucket) setting(name string) (document string, ok bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	document, ok = b.rec.Settings[name]
	return document, ok
}

// noted returns a bucket that stands by its record. NoSuchBucket, SlowDown.
func (bs *buckets) noted(ctx context.Context, name string) (*bucket, error) {
	bs.mu.Lock()
	b := bs.known[name]
	bs.mu.Unlock()
	if b == nil || !bs.set.o.Exclusive {
		var err error
		if b, err = bs.recorded(ctx, name); err != nil {
			return nil, err
		}
	}
	if b.record().State == commit.BucketCreating {
		return nil, s3.Err(s3.NoSuchBucket)
	}
	return b, nil
}

// SetBucketSetting keeps a document of the bucket's configuration, durably; nil
// drops it. It says nothing to the backends: what it means is the face's
// business. The document stands in the bucket's record, so it is seen on every
// node, it lives as long as the bucket and no other one of that name ever has it.
// NoSuchBucket, OperationAborted for a bucket that is being deleted, SlowDown,
// MaxMessageLengthExceeded when the bucket has too much of them.
func (s *Set) SetBucketSetting(ctx context.Context, name, setting string, document *string, actor, request string) (err error) {
	leave, err := s.enter()
	if err != nil {
		return err
	}
	defer leave()
	defer func() { s.recordBucket("bucket-"+setting, name, actor, request, err) }()
	b, err := s.buckets.readable(ctx, name)
	if err != nil {
		return err
	}
	var refusal error
	err = b.amend(ctx, func(rec *record) {
		if refusal = admits(rec); refusal == nil {
			refusal = rec.set(setting, document)
		}
	})
	switch {
	case refusal != nil:
		return refusal
	case err != nil:
		return unavailable(err)
	}
	return nil
}

// set changes one setting of the record, which shares its map with the one
// before.
func (rec *record) set(setting string, document *string) error {
	next := maps.Clone(rec.Settings)
	if document == nil {
		delete(next, setting)
	} else {
		if next == nil {
			next = map[string]string{}
		}
		next[setting] = *document
	}
	size := 0
	for name, text := range next {
		size += len(name) + len(text)
	}
	if size > maxSettings {
		return s3.Err(s3.MaxMessageLengthExceeded)
	}
	rec.Settings = next
	return nil
}

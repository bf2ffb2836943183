package replica

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/s3mirror/s3mirror/internal/commit"
	"github.com/s3mirror/s3mirror/internal/object"
	"github.com/s3mirror/s3mirror/internal/oplog"
	"github.com/s3mirror/s3mirror/internal/s3"
)

// A version whose checksum is one of its parts' checksums (COMPOSITE) can be asked for
// those. Many servers forget them, so the log keeps them: in the upload's document as long
// as that is remembered, then in a document of the key. Whoever tells, they are given only
// when they make the version's own checksum.

// partSumsDoc is what a document of the kind oplog.DocPartSums holds.
type partSumsDoc struct {
	ID   object.ID      `json:"id"` // of the version
	Ver  object.Version `json:"ver"`
	Sums []string       `json:"sums"` // base64, in the order of the parts
}

// PartSums are the checksums, base64, of the parts of a version that was read, whose sizes
// are given: nil where S3 keeps none (its checksum is of the whole, or there is none), and
// where nobody knows them, as of an object that was not written through here.
func (s *Set) PartSums(ctx context.Context, key object.Key, info object.Info, sizes []int64) ([]string, error) {
	sum, want := checksumIn(info.Headers)
	if sum.Type != s3.Composite || len(sizes) == 0 {
		return nil, nil
	}
	fit := func(sums []string) bool { return joins(sum, sums, sizes) == want }
	b, err := s.buckets.readable(ctx, key.Bucket)
	if err != nil {
		return nil, err
	}
	kept, err := s.keptSums(ctx, key, info.ID)
	if err == nil && fit(kept) {
		return kept, nil
	}
	if told := s.describedSums(ctx, b, key, fit); told != nil {
		return told, nil
	}
	if err != nil {
		return nil, unavailable(fmt.Errorf("checksums of parts: %w", err))
	}
	return nil, nil
}

// joins is the checksum of an object of these parts; empty when they have none.
func joins(sum s3.UploadChecksum, sums []string, sizes []int64) string {
	if len(sums) != len(sizes) {
		return ""
	}
	parts := make([]s3.PartSum, len(sums))
	for i := range sums {
		parts[i] = s3.PartSum{Value: sums[i], Size: sizes[i]}
	}
	whole, err := sum.Join(parts)
	if err != nil {
		return ""
	}
	return whole
}

// keptSums are what the log has of the checksums of a version's parts; nil: nothing.
func (s *Set) keptSums(ctx context.Context, key object.Key, id object.ID) ([]string, error) {
	if id.IsZero() {
		return nil, nil
	}
	rec, _, err := s.readRecord(ctx, key, id)
	if err != nil || rec != nil && len(rec.Sums) > 0 {
		if err != nil {
			return nil, err
		}
		return rec.Sums, nil
	}
	doc, _, err := s.readPartSums(ctx, key)
	if err != nil || doc.ID != id {
		return nil, err
	}
	return doc.Sums, nil
}

func (s *Set) readPartSums(ctx context.Context, key object.Key) (doc partSumsDoc, epoch oplog.Epoch, err error) {
	found, err := s.o.Log.Doc(ctx, oplog.DocPartSums, oplog.UploadsOf(key.Bucket, key.Name))
	switch {
	case errors.Is(err, oplog.ErrNoRow):
		return doc, epoch, nil
	case err != nil:
		s.logFailed(callRead, err)
		return doc, epoch, err
	}
	if err := json.Unmarshal(found.Body, &doc); err != nil {
		return doc, epoch, fmt.Errorf("checksums of parts: %w", err)
	}
	return doc, found.Epoch, nil
}

// describedSums asks the replicas, which may be those that healed it.
func (s *Set) describedSums(ctx context.Context, b *bucket, key object.Key, fit func([]string) bool) []string {
	for _, replica := range s.order(b) {
		at, err := s.at(ctx, b, replica, clients)
		if err != nil {
			continue
		}
		d, err := at.Describe(ctx, at.bucket, key.Name)
		if err != nil {
			_ = at.doubt(err) // another one is asked, and nobody has to know them
			continue
		}
		sums := make([]string, len(d.Parts))
		for i, p := range d.Parts {
			sums[i] = p.Checksum
		}
		if fit(sums) {
			return sums
		}
	}
	return nil
}

// keepSums moves the checksums of parts from the document of an upload, which is about to
// be dropped, to one of its key. false: it may not have.
func (s *Set) keepSums(ctx context.Context, key object.Key, id object.ID) bool {
	rec, _, err := s.readRecord(ctx, key, id)
	if err != nil {
		return false
	}
	if rec == nil || rec.State != commit.UploadDone || rec.Info == nil || len(rec.Sums) == 0 {
		return true
	}
	old, epoch, err := s.readPartSums(ctx, key)
	if err != nil {
		return false
	}
	if !epoch.IsZero() && old.Ver >= rec.Info.Ver {
		return true // of a later version, or a visit before this one kept it
	}
	body, err := json.Marshal(partSumsDoc{ID: id, Ver: rec.Info.Ver, Sums: rec.Sums})
	if err != nil {
		panic(fmt.Sprintf("replica: checksums of parts: %v", err)) // it has no field that cannot be
	}
	return s.swapPartSums(ctx, key, epoch, body)
}

// swapPartSums changes the document of a key; a nil body drops it.
func (s *Set) swapPartSums(ctx context.Context, key object.Key, old oplog.Epoch, body []byte) bool {
	doc := oplog.Doc{Kind: oplog.DocPartSums, Name: oplog.UploadsOf(key.Bucket, key.Name), Body: body}
	if body != nil {
		doc.Epoch = oplog.NewEpoch()
	}
	return casOf(s.o.Log.SwapDoc(ctx, old, doc), s) == commit.Applied
}

const (
	// sumsAtOnce is how many keys whose parts' checksums are kept are looked at together.
	sumsAtOnce = 16
	// sumsEvery is the least time between two beginnings of a walk through them.
	sumsEvery = 24 * time.Hour
)

// sumsWalk is a slow walk through the keys whose parts' checksums are kept: those of a
// version that is not there any more are dropped.
type sumsWalk struct {
	after string
	begun time.Duration // Boot
	on    bool
}

// step looks at a few keys. Owned by who runs the uploads.
func (w *sumsWalk) step(ctx context.Context, s *Set) {
	if now := s.o.Boot(); !w.on {
		if w.begun != 0 && now-w.begun < sumsEvery {
			return
		}
		w.on, w.begun, w.after = true, now, ""
	}
	docs, err := s.o.Log.Docs(ctx, oplog.DocPartSums, w.after, sumsAtOnce)
	if err != nil {
		s.logFailed(callWalk, err)
		return
	}
	for _, doc := range docs {
		w.after = doc.Name
		s.tendSums(ctx, doc)
	}
	w.on = len(docs) == sumsAtOnce
}

// tendSums drops a document whose version is gone, which never comes back.
func (s *Set) tendSums(ctx context.Context, doc oplog.Doc) {
	bucket, name, ok := strings.Cut(doc.Name, "\x00")
	var kept partSumsDoc
	if !ok || json.Unmarshal(doc.Body, &kept) != nil {
		return
	}
	key := object.Key{Bucket: bucket, Name: name}
	gone := false
	switch b, err := s.buckets.legible(ctx, bucket); {
	case IsNoBucket(err):
		gone = true
	case err == nil:
		gone = s.superseded(ctx, b, key, kept.ID)
	}
	if gone && !s.swapPartSums(ctx, key, doc.Epoch, nil) {
		s.o.Logger.DebugContext(ctx, "checksums of the parts of a version that is gone are not forgotten yet", "key", key)
	}
}

// superseded tells that another version stands under the key, or none.
func (s *Set) superseded(ctx context.Context, b *bucket, key object.Key, id object.ID) bool {
	leave, err := s.enter()
	if err != nil {
		return false
	}
	defer leave()
	v, err := s.headFor(ctx, b, key, false)
	return errors.Is(err, s3.NoSuchKey) || err == nil && v.ID != id
}

// forgetSums drops what the log has of the checksums of parts in a bucket that is being
// removed.
func (s *Set) forgetSums(ctx context.Context, bucket string) error {
	head := oplog.UploadsOf(bucket, "")
	for after := head; ; {
		docs, err := s.o.Log.Docs(ctx, oplog.DocPartSums, after, docsAtOnce)
		if err != nil {
			s.logFailed(callWalk, err)
			return err
		}
		for _, doc := range docs {
			after = doc.Name
			if !strings.HasPrefix(doc.Name, head) {
				return nil
			}
			key := object.Key{Bucket: bucket, Name: strings.TrimPrefix(doc.Name, head)}
			if !s.swapPartSums(ctx, key, doc.Epoch, nil) {
				return errDoubt
			}
		}
		if len(docs) < docsAtOnce {
			return nil
		}
	}
}

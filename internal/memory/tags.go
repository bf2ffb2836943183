package memory

import (
	"bytes"
	"net/http"
	"strings"

	"github.com/s3mirror/s3mirror/internal/object"
	"github.com/s3mirror/s3mirror/internal/s3"
)

// maxTagging bounds the body of a PutObjectTagging, in bytes.
const maxTagging = 64 << 10

func (s *Server) getTags(q *request) error {
	o, err := s.store.get(q.op.ObjectKey())
	if err != nil {
		return err
	}
	return s.document(q, s3.TaggingDocument(o.tags))
}

func (s *Server) putTags(q *request) error {
	body, err := q.sender.Document(q.Request, maxTagging)
	if err != nil {
		return err
	}
	tags, err := s3.ParseTagging(bytes.NewReader(body))
	if err != nil {
		return err
	}
	return s.finish(q, func() error { return s.store.tag(q.op.ObjectKey(), tags) }, http.StatusOK)
}

func (s *Server) deleteTags(q *request) error {
	return s.finish(q, func() error { return s.store.tag(q.op.ObjectKey(), nil) }, http.StatusNoContent)
}

// tag gives the object other tags; nothing else of it changes.
func (s *store) tag(key object.Key, tags object.Tags) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	b, err := s.bucket(key.Bucket)
	if err != nil {
		return err
	}
	o := b.find(key.Name)
	if o == nil {
		return s3.Err(s3.NoSuchKey).With("Key", key.Name)
	}
	tagged := *o
	tagged.tags = tags
	b.objects[key.Name] = &tagged
	return nil
}

func (s *Server) attributes(q *request) error {
	a, err := s3.ParseAttributes(q.Header)
	if err != nil {
		return err
	}
	o, err := s.store.get(q.op.ObjectKey())
	if err != nil {
		return err
	}
	if err := s3.ParseReadConditions(q.Header).Check(o.info); err != nil {
		return err
	}
	q.w.Header().Set("Last-Modified", o.info.ModTime.Format(http.TimeFormat))
	sums := o.partSums
	if !hasChecksum(o.info.Headers) || s.o.ForgetsPartSums {
		sums = nil
	}
	return s.document(q, a.Document(o.info, sums))
}

func hasChecksum(h object.Headers) bool {
	for name := range h {
		if strings.HasPrefix(name, object.ChecksumPrefix) {
			return true
		}
	}
	return false
}

package memory

import (
	"bytes"
	"io"
	"net/http"
	"strconv"

	"github.com/s3mirror/s3mirror/internal/s3"
)

// maxConfiguration bounds the body of a CreateBucket, in bytes.
const maxConfiguration = 16 << 10

// owner of everything.
var owner = s3.Owner{ID: "memory", DisplayName: "memory"}

func (s *Server) listBuckets(q *request) error {
	l, err := s3.ParseListBuckets(q.op, s.tokens)
	if err != nil {
		return err
	}
	page := &s3.BucketsPage{Owner: owner}
	page.Buckets, page.Truncated = s.store.names(l, s.o.Region)
	return s.document(q, l.Document(page, s.tokens))
}

func (s *Server) createBucket(q *request) error {
	document, err := q.sender.Document(q.Request, maxConfiguration)
	if err != nil {
		return err
	}
	// Any location is fine: it is a name, and here there is one place.
	made, err := s3.ParseCreateBucket(bytes.NewReader(document))
	if err != nil {
		return err
	}
	if len(made.Tags) > 0 { // it has nowhere to keep them
		return s3.Err(s3.NotImplemented)
	}
	q.w.Header().Set("Location", "/"+q.op.Bucket)
	err = s.finish(q, func() error { return s.store.create(q.op.Bucket, s.o.Now().UTC()) }, http.StatusOK)
	if err != nil {
		q.w.Header().Del("Location")
	}
	return err
}

func (s *Server) headBucket(q *request) error {
	if err := s.store.has(q.op.Bucket); err != nil {
		return err
	}
	q.w.Header().Set("X-Amz-Bucket-Region", s.o.Region)
	return s.finish(q, nil, http.StatusOK)
}

func (s *Server) deleteBucket(q *request) error {
	return s.finish(q, func() error { return s.store.drop(q.op.Bucket) }, http.StatusNoContent)
}

func (s *Server) bucketLocation(q *request) error {
	if err := s.store.has(q.op.Bucket); err != nil {
		return err
	}
	return s.document(q, s3.LocationDocument(s.o.Region))
}

// document answers with XML.
func (s *Server) document(q *request, doc []byte) error {
	h := q.w.Header()
	h.Set("Content-Type", "application/xml")
	h.Set("Content-Length", strconv.Itoa(len(doc)))
	return s.finish(q, nil, http.StatusOK, func(w io.Writer) error {
		_, err := w.Write(doc)
		return err
	})
}

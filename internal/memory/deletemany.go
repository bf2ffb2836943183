package memory

import (
	"bytes"
	"io"
	"net/http"

	"github.com/s3mirror/s3mirror/internal/object"
	"github.com/s3mirror/s3mirror/internal/s3"
)

func (s *Server) deleteObjects(q *request) error {
	if err := s3.RequireDigest(q.Header); err != nil {
		return err
	}
	body, err := q.sender.Document(q.Request, s3.MaxDeleteBytes)
	if err != nil {
		return err
	}
	d, err := s3.ParseDelete(q.op, bytes.NewReader(body))
	if err != nil {
		return err
	}
	if err := s.store.has(q.op.Bucket); err != nil {
		return err
	}
	var outcomes []s3.DeleteOutcome
	effect := func() error {
		for _, e := range d.Objects {
			outcomes = append(outcomes, s3.DeleteOutcome{Key: e.Key, Err: s.deleteEntry(q, e)})
		}
		return nil
	}
	q.w.Header().Set("Content-Type", "application/xml")
	return s.finish(q, effect, http.StatusOK, func(w io.Writer) error {
		_, err := w.Write(d.Document(outcomes))
		return err
	})
}

func (s *Server) deleteEntry(q *request, e s3.DeleteEntry) error {
	switch {
	case e.Refusal != nil:
		return e.Refusal
	case s.faults.hits(q.faults.keyErrorRate):
		return s3.Err(s3.InternalError)
	}
	name, err := s.o.Files.path(e.Key)
	if err != nil {
		return err
	}
	return s.store.remove(object.Key{Bucket: q.op.Bucket, Name: name}, q.started, e.If, q.faults.startOrdered)
}

// writing is the writer of a document for finish.
func writing(doc []byte) func(io.Writer) error {
	return func(w io.Writer) error {
		_, err := w.Write(doc)
		return err
	}
}

package memory

import (
	"encoding/hex"
	"io"
	"net/http"
	"strings"
	"time"

	"github.com/s3mirror/s3mirror/internal/auth"
	"github.com/s3mirror/s3mirror/internal/object"
	"github.com/s3mirror/s3mirror/internal/s3"
)

// putObject asks everything that can be known before the body is read first, so
// that a client that waits for leave to send is refused for free.
func (s *Server) putObject(q *request) error {
	cond, err := s3.ParseWriteConditions(q.Header)
	if err != nil {
		return err
	}
	o, err := newStored(q)
	if err != nil {
		return err
	}
	body, err := q.upload()
	if err != nil {
		return err
	}
	key := q.op.ObjectKey()
	if err := s.store.check(key, cond); err != nil {
		return err
	}
	if err := s.store.reserve(body.Size()); err != nil {
		return err
	}
	if o.data, err = receive(body); err != nil {
		s.store.release(body.Size())
		return err
	}
	o.fill(body, s.o.Now())
	s3.WrittenHeaders(q.w.Header(), o.info)
	if q.faults.short {
		whole := o.info.Size
		o = o.truncated()
		s.store.release(whole - o.info.Size)
	}
	return s.finish(q, func() error {
		return s.store.put(key, o, cond, q.faults.startOrdered)
	}, http.StatusOK)
}

// newStored reads what the headers of a PUT say of the object.
func newStored(q *request) (*stored, error) {
	o := &stored{internal: map[string]string{}, started: q.started}
	h := http.Header{}
	for name, values := range q.Header {
		if lower := strings.ToLower(name); strings.HasPrefix(lower, object.InternalPrefix) {
			o.internal[lower] = strings.Join(values, ",")
			continue
		}
		h[name] = values
	}
	headers, err := s3.VersionHeaders(h)
	o.info.Headers = headers
	return o, err
}

// fill completes an object with what its body has proved.
func (o *stored) fill(b *auth.Body, now time.Time) {
	o.info.Kind = object.Present
	o.info.ETag = hex.EncodeToString(b.MD5())
	o.info.Size = b.Size()
	o.info.ModTime = now.UTC().Truncate(time.Second) // as headers say it
	if algorithm, value := b.Checksum(); algorithm != "" {
		o.info.Headers[object.ChecksumPrefix+algorithm] = value
	}
}

// truncated is what a server that loses data keeps of an object.
func (o *stored) truncated() *stored {
	t := *o
	t.info.Size /= 2
	t.data = o.data.cut(t.info.Size)
	return &t
}

func (s *Server) getObject(q *request) error {
	o, err := s.store.get(q.op.ObjectKey())
	if err != nil {
		return err
	}
	cond := s3.ParseReadConditions(q.Header)
	if err := cond.Check(o.info); err != nil {
		s3.ResponseHeaders(q.w.Header(), o.info, s3.ResponseOptions{})
		return err
	}
	part := s3.Range{Length: o.info.Size, Size: o.info.Size}
	if cond.RangeApplies(o.info) {
		if part, err = s3.ParseRange(q.Header.Get("Range"), o.info.Size); err != nil {
			return err
		}
	}
	h := q.w.Header()
	s3.ResponseHeaders(h, o.info, s3.ResponseOptions{
		Overrides: q.op.Overrides,
		Checksums: s3.WantsChecksums(q.Header) && !part.Partial,
	})
	for name, value := range o.internal {
		h[name] = []string{value}
	}
	return s.finish(q, nil, part.SetHeaders(h), func(w io.Writer) error {
		if q.Method == http.MethodHead {
			return nil
		}
		return o.data.writeTo(w, part.Offset, part.Length)
	})
}

func (s *Server) deleteObject(q *request) error {
	cond, err := s3.ParseWriteConditions(q.Header)
	if err != nil {
		return err
	}
	key := q.op.ObjectKey()
	if err := s.store.check(key, cond); err != nil {
		return err
	}
	return s.finish(q, func() error {
		return s.store.remove(key, q.started, cond, q.faults.startOrdered)
	}, http.StatusNoContent)
}

func (s *Server) listObjects(q *request) error {
	l, err := s3.ParseList(q.op, s.tokens)
	if err != nil {
		return err
	}
	page, err := s.store.list(l)
	if err != nil {
		return err
	}
	page.Owner = owner
	return s.document(q, l.Document(page, s.tokens))
}

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
	early, cond, unlock, err := s.conditions(q)
	if err != nil {
		return err
	}
	defer unlock()
	o, err := newStored(q)
	if err != nil {
		return err
	}
	body, err := q.upload()
	if err != nil {
		return err
	}
	if s.o.Files == RefusingFiles && strings.HasSuffix(q.op.Key, "/") && body.Size() > 0 {
		return s3.Err(s3.DirectoryObjectContainsData)
	}
	key := q.op.ObjectKey()
	if err := s.store.check(key, early); err != nil {
		return err
	}
	if err := s.store.reserve(body.Size()); err != nil {
		return err
	}
	if o.data, err = s.take(q, body); err != nil {
		s.store.release(body.Size())
		return err
	}
	if s.o.KeepsCut {
		s.cutShort(o)
		s.store.release(body.Size() - o.info.Size)
	} else {
		s.fill(o, body)
	}
	if s.o.ShowsLate > 0 {
		o.shows = s.o.Now().Add(s.o.ShowsLate)
	}
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

// newStored reads what the headers of a request say of the object that it
// makes.
func newStored(q *request) (*stored, error) {
	plain, internal := split(q.Header)
	o := &stored{internal: internal, started: q.started}
	var err error
	if o.info.Headers, err = s3.VersionHeaders(plain); err != nil {
		return nil, err
	}
	o.tags, err = s3.ParseTaggingHeader(q.Header)
	return o, err
}

// split takes the metadata of the gateway's own out of the headers: to a
// backend it is metadata like any other.
func split(h http.Header) (plain http.Header, internal map[string]string) {
	plain, internal = http.Header{}, map[string]string{}
	for name, values := range h {
		if lower := strings.ToLower(name); strings.HasPrefix(lower, object.InternalPrefix) {
			internal[lower] = strings.Join(values, ",")
			continue
		}
		plain[name] = values
	}
	return plain, internal
}

// fill completes an object with what its body has proved.
func (s *Server) fill(o *stored, b *auth.Body) {
	o.info.ETag = s.o.etag(hex.EncodeToString(b.MD5()))
	o.info.Size = b.Size()
	s.date(o)
	algorithm, value := b.Checksum()
	s.sum(o, algorithm, value, "")
}

// date makes an object one that is written now.
func (s *Server) date(o *stored) {
	o.info.Kind = object.Present
	o.info.ModTime = s.o.Now().UTC().Truncate(time.Second) // as headers say it
}

// sum gives an object the checksum, and no other one.
func (s *Server) sum(o *stored, algorithm, value string, t s3.ChecksumType) {
	for name := range o.info.Headers {
		if strings.HasPrefix(name, object.ChecksumPrefix) {
			delete(o.info.Headers, name)
		}
	}
	if value == "" || s.o.DropsChecksums {
		return
	}
	o.info.Headers[object.ChecksumPrefix+algorithm] = value
	if t != "" {
		o.info.Headers[object.ChecksumPrefix+"type"] = string(t)
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
	if o = s.shown(o); o == nil {
		return s3.Err(s3.NoSuchKey).With("Key", q.op.Key)
	}
	cond := s3.ParseReadConditions(q.Header)
	if err := cond.Check(o.info); err != nil && !s.o.IgnoresIfModified {
		s3.ResponseHeaders(q.w.Header(), o.info, s3.ResponseOptions{})
		return err
	}
	part, number, err := s.readRange(q, o, cond.RangeApplies(o.info))
	if err != nil {
		return err
	}
	h := q.w.Header()
	s3.SetPartsCount(h, o.info, number)
	s3.SetTaggingCount(h, o.tags)
	s3.ResponseHeaders(h, o.info, s3.ResponseOptions{
		Overrides: q.op.Overrides,
		Checksums: s3.WantsChecksums(q.Header) && !part.Partial,
	})
	if s.o.TellsClass && h.Get("x-amz-storage-class") == "" {
		h.Set("x-amz-storage-class", "STANDARD")
	}
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

func (s *Server) readRange(q *request, o *stored, rangeApplies bool) (s3.Range, int, error) {
	if s.o.IgnoresPartNumber && q.op.Query.Has("partNumber") {
		return s3.Range{Length: o.info.Size, Size: o.info.Size}, 0, nil
	}
	return q.op.ReadRange(q.Header, o.info, rangeApplies)
}

func (s *Server) deleteObject(q *request) error {
	_, cond, unlock, err := s.conditions(q)
	if err != nil {
		return err
	}
	defer unlock()
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
	page, err := s.store.list(l, s.o.Files == HidingFiles)
	if err != nil {
		return err
	}
	page.Owner = owner
	return s.document(q, l.Document(page, s.tokens))
}

package memory

import (
	"crypto/md5" //nolint:gosec // what S3 makes ETags of
	"encoding/base64"
	"encoding/hex"
	"maps"
	"strings"

	"github.com/s3mirror/s3mirror/internal/object"
	"github.com/s3mirror/s3mirror/internal/s3"
)

// copySource returns the object that a copy is made of, if the conditions on it
// hold.
func (s *Server) copySource(q *request) (*stored, error) {
	if err := q.refuseBody(); err != nil {
		return nil, err
	}
	key, err := q.op.CopySource(q.Header)
	if err != nil {
		return nil, err
	}
	o, err := s.store.get(key)
	if err != nil {
		return nil, err
	}
	if s.o.IgnoresCopyConditions {
		return o, nil
	}
	return o, s3.ParseCopyConditions(q.Header).CheckCopy(o.info)
}

func (s *Server) copyObject(q *request) error {
	cond, err := s3.ParseWriteConditions(q.Header)
	if err != nil {
		return err
	}
	plain, internal := split(q.Header)
	c, err := s3.ParseCopy(plain)
	if err != nil {
		return err
	}
	source, err := s.copySource(q)
	if err != nil {
		return err
	}
	from, _ := q.op.CopySource(q.Header)
	if err := c.CheckSelf(from, q.op.ObjectKey()); err != nil {
		return err
	}
	if err := s3.CheckCopySize(source.info.Size); err != nil {
		return err
	}
	o := &stored{internal: internal, started: q.started, tags: c.ApplyTags(source.tags), data: source.data}
	if !c.Replace {
		o.internal = maps.Clone(source.internal)
	}
	if o.info.Headers = c.Apply(source.info.Headers); o.info.Headers == nil {
		o.info.Headers = object.Headers{}
	}
	// One object now, whatever the source was made of.
	o.info.ETag = s.o.etag(hex.EncodeToString(o.data.hash(md5.New()))) //nolint:gosec // see above
	o.info.Size = source.info.Size
	s.date(o)
	s.copySum(o, c, source)
	if err := s.store.reserve(o.info.Size); err != nil {
		return err
	}
	copied := s3.Copied{ETag: o.info.ETag, Modified: o.info.ModTime, Checksums: o.info.Headers}
	return s.finishLate(q, func() error {
		return s.store.put(q.op.ObjectKey(), o, cond, q.faults.startOrdered)
	}, copied.Document)
}

// copySum gives the copy the checksum that was asked for, else one of the
// source's algorithm, over all its bytes.
func (s *Server) copySum(o *stored, c *s3.Copy, source *stored) {
	algorithm := c.Algorithm
	for name := range source.info.Headers {
		if a, ok := strings.CutPrefix(name, object.ChecksumPrefix); ok && a != "type" && algorithm == "" {
			algorithm = a
		}
	}
	if algorithm == "" {
		return
	}
	s.sum(o, algorithm, base64.StdEncoding.EncodeToString(o.data.hash(s3.NewChecksum(algorithm))), s3.FullObject)
}

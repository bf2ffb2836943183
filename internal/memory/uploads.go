package memory

import (
	"bytes"
	"crypto/md5" //nolint:gosec // what S3 makes ETags of
	"encoding/base64"
	"encoding/hex"
	"net/http"
	"strconv"

	"github.com/s3mirror/s3mirror/internal/object"
	"github.com/s3mirror/s3mirror/internal/s3"
)

func (s *Server) createUpload(q *request) error {
	o, err := newStored(q)
	if err != nil {
		return err
	}
	sum, err := s3.ParseUploadChecksum(q.Header)
	if err != nil {
		return err
	}
	s.sum(o, "", "", "") // the headers announce one, they have none
	sum = s.o.promised(sum)
	u := &upload{key: q.op.Key, id: newUploadID(), initiated: s.o.Now().UTC(), object: o, sum: sum, parts: map[int]*part{}}
	sum.SetHeaders(q.w.Header())
	q.w.Header().Set("Content-Type", "application/xml")
	return s.finish(q, func() error { return s.store.begin(q.op.Bucket, u) }, http.StatusOK,
		writing(s3.InitiateDocument(q.op.Bucket, q.op.Key, u.id)))
}

// partNumber is the number of the part, within what this server takes.
func (s *Server) partNumber(q *request) (int, error) {
	n, err := q.op.PartNumber()
	if err == nil && n > s.o.MaxParts {
		err = s3.Errorf(s3.InvalidArgument, "Part number must be an integer between 1 and %d, inclusive.", s.o.MaxParts).
			With("ArgumentName", "partNumber").With("ArgumentValue", strconv.Itoa(n))
	}
	return n, err
}

func (s *Server) uploadPart(q *request) error {
	number, err := s.partNumber(q)
	if err != nil {
		return err
	}
	sum, err := s.store.checksumOf(q.op.ObjectKey(), q.op.UploadID())
	if err != nil {
		return err
	}
	body, err := q.upload()
	if err != nil {
		return err
	}
	if err := s.o.checkPart(sum, body.Promised().Algorithm); err != nil {
		return err
	}
	if sum.Algorithm != "" {
		body.ComputeChecksum(sum.Algorithm)
	}
	if err := s.store.reserve(body.Size()); err != nil {
		return err
	}
	p := &part{}
	if p.data, err = receive(body); err != nil {
		s.store.release(body.Size())
		return err
	}
	p.Part = s3.Part{
		Number: number, Size: body.Size(), Modified: s.o.Now().UTC(),
		ETag: s.o.etag(hex.EncodeToString(body.MD5())),
	}
	h := q.w.Header()
	h["ETag"] = []string{s3.QuoteETag(p.ETag)}
	if algorithm, value := body.Checksum(); algorithm != "" && !s.o.DropsChecksums {
		p.Algorithm, p.Checksum = algorithm, value
		h.Set(object.ChecksumPrefix+algorithm, value)
	}
	return s.finish(q, func() error {
		return s.store.putPart(q.op.ObjectKey(), q.op.UploadID(), p, q.faults.losePart)
	}, http.StatusOK)
}

// copyPart takes a part from an object that is stored here.
func (s *Server) copyPart(q *request) error {
	number, err := s.partNumber(q)
	if err != nil {
		return err
	}
	r, err := s3.ParseCopyRange(q.Header)
	if err != nil {
		return err
	}
	source, err := s.copySource(q)
	if err != nil {
		return err
	}
	piece, err := r.Of(source.info.Size)
	if err != nil {
		return err
	}
	sum, err := s.store.checksumOf(q.op.ObjectKey(), q.op.UploadID())
	if err != nil {
		return err
	}
	if err := s.store.reserve(piece.Length); err != nil {
		return err
	}
	p := &part{data: source.data.sub(piece.Offset, piece.Length)}
	p.Part = s3.Part{
		Number: number, Size: piece.Length, Modified: s.o.Now().UTC(),
		ETag: s.o.etag(hex.EncodeToString(p.data.hash(md5.New()))), //nolint:gosec // see above
	}
	copied := s3.Copied{ETag: p.ETag, Modified: p.Modified}
	if sum.Algorithm != "" {
		p.Algorithm, p.Checksum = sum.Algorithm, base64.StdEncoding.EncodeToString(p.data.hash(s3.NewChecksum(sum.Algorithm)))
		copied.Checksums = object.Headers{sum.Header(): p.Checksum}
	}
	return s.finishLate(q, func() error {
		return s.store.putPart(q.op.ObjectKey(), q.op.UploadID(), p, q.faults.losePart)
	}, copied.PartDocument)
}

func (s *Server) completeUpload(q *request) error {
	cond, err := s3.ParseWriteConditions(q.Header)
	if err != nil {
		return err
	}
	body, err := q.sender.Document(s3.WithoutChecksums(q.Request), s3.MaxCompleteBytes)
	if err != nil {
		return err
	}
	c, err := s3.ParseComplete(q.Header, bytes.NewReader(body))
	if err != nil {
		return err
	}
	s.o.complete(c)
	var result s3.Completed
	effect := func() error {
		var err error
		result, err = s.store.complete(q.op.ObjectKey(), q.op.UploadID(), c, cond, s, q.faults.startOrdered)
		return err
	}
	return s.finishLate(q, effect, func() []byte {
		result.Location = "http://" + q.Host + "/" + q.op.Bucket + "/" + s3.EscapeKey(q.op.Key)
		return result.Document()
	})
}

func (s *Server) abortUpload(q *request) error {
	return s.finish(q, func() error {
		return s.store.abort(q.op.ObjectKey(), q.op.UploadID(), s.o.AbortsAnything)
	}, http.StatusNoContent)
}

func (s *Server) listParts(q *request) error {
	p, err := s3.ParseListParts(q.op)
	if err != nil {
		return err
	}
	page, err := s.store.listParts(p)
	if err != nil {
		return err
	}
	page.Owner = owner
	return s.document(q, p.Document(page))
}

func (s *Server) listUploads(q *request) error {
	u, err := s3.ParseListUploads(q.op)
	if err != nil {
		return err
	}
	page, err := s.store.listUploads(u)
	if err != nil {
		return err
	}
	page.Owner = owner
	return s.document(q, u.Document(page))
}

package gateway

import (
	"bytes"
	"context"
	"net/http"
	"strconv"
	"time"

	"github.com/s3mirror/s3mirror/internal/object"
	"github.com/s3mirror/s3mirror/internal/replica"
	"github.com/s3mirror/s3mirror/internal/s3"
)

// Uploads is what the gateway needs of the replicas to serve multipart uploads. Errors
// are as of Objects; NoSuchUpload for an id that is not one of the key's.
type Uploads interface {
	CreateUpload(ctx context.Context, r replica.CreateUploadRequest) (id string, err error)
	// PutPart reads Body as Put does.
	PutPart(ctx context.Context, r replica.PartRequest) (object.Info, error)
	// CopyPart is PutPart with bytes of an object.
	CopyPart(ctx context.Context, r replica.CopyPartRequest) (object.Info, error)
	// CompleteUpload may take minutes. When ctx ends it goes on without its caller,
	// and may be asked for again.
	CompleteUpload(ctx context.Context, r replica.CompleteRequest) (object.Info, error)
	AbortUpload(ctx context.Context, r replica.AbortRequest) error
	ListUploadParts(ctx context.Context, key object.Key, uploadID string, after, limit int) (replica.PartsPage, error)
	ListUploads(ctx context.Context, r replica.ListUploadsRequest) (replica.UploadsPage, error)
	// PartSizes are the sizes in bytes of the parts of a version; none of one that was
	// put in one piece.
	PartSizes(ctx context.Context, key object.Key, info object.Info) ([]int64, error)
	// PartSums are the checksums, base64, of the parts of a version, of these sizes; nil
	// where there are none or nobody knows them.
	PartSums(ctx context.Context, key object.Key, info object.Info, sizes []int64) ([]string, error)
}

func (h *Handler) createUpload(w http.ResponseWriter, r *request) error {
	headers, err := s3.VersionHeaders(r.Header)
	if err != nil {
		return err
	}
	tags, err := s3.ParseTaggingHeader(r.Header)
	if err != nil {
		return err
	}
	sum, err := s3.ParseUploadChecksum(r.Header)
	if err != nil {
		return err
	}
	id, err := h.Replicas.CreateUpload(r.Context(), replica.CreateUploadRequest{
		Key: r.op.ObjectKey(), Headers: headers, Tags: tags, Checksum: sum, Actor: r.actor(),
	})
	if err != nil {
		return err
	}
	sum.SetHeaders(w.Header())
	s3.WriteXML(w, s3.InitiateDocument(r.op.Bucket, r.op.Key, id))
	return nil
}

// uploadPart hands the body on unread, as putObject does.
func (h *Handler) uploadPart(w http.ResponseWriter, r *request) error {
	number, err := r.op.PartNumber()
	if err != nil {
		return err
	}
	body, err := r.sender.Body(r.Request)
	if err != nil {
		return err
	}
	if body.Size() > s3.MaxPartBytes {
		return s3.Err(s3.EntityTooLarge).
			With("ProposedSize", strconv.FormatInt(body.Size(), 10)).
			With("MaxSizeAllowed", strconv.FormatInt(s3.MaxPartBytes, 10))
	}
	part, err := h.Replicas.PutPart(r.Context(), replica.PartRequest{
		Key: r.op.ObjectKey(), UploadID: r.op.UploadID(), Number: number, Body: body,
	})
	if err != nil {
		return err
	}
	s3.WrittenHeaders(w.Header(), object.Info{ETag: part.ETag, Headers: part.Headers})
	w.Header().Del("x-amz-checksum-type") // it is of objects
	return empty(w, http.StatusOK)
}

// completeUpload answers when the replicas are done, or, from ten seconds on, begins to
// answer with blanks, which keep the connection: then an error stands in the body.
func (h *Handler) completeUpload(w http.ResponseWriter, r *request) error {
	plain := s3.WithoutChecksums(r.Request)
	document, err := r.sender.Document(plain, s3.MaxCompleteBytes)
	if err != nil {
		return err
	}
	ask, err := s3.ParseComplete(r.Header, bytes.NewReader(document))
	if err != nil {
		return err
	}
	conditions, err := s3.ParseWriteConditions(r.Header)
	if err != nil {
		return err
	}
	return h.lateDocument(s3.NewLateAnswer(w), r, func() ([]byte, error) {
		info, err := h.Replicas.CompleteUpload(r.Context(), replica.CompleteRequest{
			Key: r.op.ObjectKey(), UploadID: r.op.UploadID(), Complete: ask, If: conditions,
			Actor: r.actor(), Request: r.id,
		})
		if err != nil {
			return nil, err
		}
		done := s3.Completed{Location: address(r), Bucket: r.op.Bucket, Key: r.op.Key, ETag: info.ETag, Checksums: info.Headers}
		return done.Document(), nil
	})
}

func (h *Handler) abortUpload(w http.ResponseWriter, r *request) error {
	if at := r.Header.Get("X-Amz-If-Match-Initiated-Time"); at != "" {
		if err := h.begunAt(r, at); err != nil {
			return err
		}
	}
	err := h.Replicas.AbortUpload(r.Context(), replica.AbortRequest{Key: r.op.ObjectKey(), UploadID: r.op.UploadID()})
	if err != nil {
		return err
	}
	return empty(w, http.StatusNoContent)
}

// begunAt wants the request's upload to have begun at that second. A moment that is yet to
// come asks for nothing, as on AWS; of an upload that is not there the abort tells.
// PreconditionFailed, InvalidArgument.
func (h *Handler) begunAt(r *request, moment string) error {
	at, err := http.ParseTime(moment)
	if err != nil {
		return s3.Errorf(s3.InvalidArgument, "x-amz-if-match-initiated-time is no date of HTTP.").With("ArgumentValue", moment)
	}
	if at.After(time.Now()) {
		return nil
	}
	key := r.op.ObjectKey()
	ask := replica.ListUploadsRequest{Bucket: key.Bucket, Prefix: key.Name, Max: 1000}
	for {
		page, err := h.Replicas.ListUploads(r.Context(), ask)
		if err != nil {
			return err
		}
		for _, u := range page.Uploads {
			switch {
			case u.Key != key.Name:
				return nil
			case u.ID == r.op.UploadID() && !u.Initiated.Truncate(time.Second).Equal(at):
				return s3.Err(s3.PreconditionFailed).With("Condition", "x-amz-if-match-initiated-time")
			case u.ID == r.op.UploadID():
				return nil
			}
		}
		if !page.More {
			return nil
		}
		ask.AfterKey, ask.AfterID = page.LastKey, page.LastID
	}
}

func (h *Handler) listParts(w http.ResponseWriter, r *request) error {
	ask, err := s3.ParseListParts(r.op)
	if err != nil {
		return err
	}
	found, err := h.Replicas.ListUploadParts(r.Context(), r.op.ObjectKey(), ask.UploadID, ask.After, ask.Max)
	if err != nil {
		return err
	}
	page := &s3.PartsPage{Checksum: found.Checksum, Truncated: found.More && ask.Max > 0, Owner: r.owner()}
	for _, p := range found.Parts {
		part := s3.Part{Number: p.Number, ETag: p.ETag, Size: p.Size, Modified: p.Added}
		for name, value := range p.Sums {
			part.Algorithm, part.Checksum = name[len(object.ChecksumPrefix):], value
		}
		page.Parts = append(page.Parts, part)
	}
	s3.WriteXML(w, ask.Document(page))
	return nil
}

func (h *Handler) listUploads(w http.ResponseWriter, r *request) error {
	ask, err := s3.ParseListUploads(r.op)
	if err != nil {
		return err
	}
	found, err := h.Replicas.ListUploads(r.Context(), replica.ListUploadsRequest{
		Bucket: r.op.Bucket, Prefix: ask.Prefix, Delimiter: ask.Delimiter,
		AfterKey: ask.AfterKey, AfterID: ask.AfterID, Max: ask.Max,
	})
	if err != nil {
		return err
	}
	page := &s3.UploadsPage{
		CommonPrefixes: found.Prefixes, Truncated: found.More && ask.Max > 0,
		LastKey: found.LastKey, LastID: found.LastID, Owner: r.owner(),
	}
	for _, u := range found.Uploads {
		page.Uploads = append(page.Uploads, s3.Upload{Key: u.Key, ID: u.ID, Initiated: u.Initiated, Checksum: u.Checksum})
	}
	s3.WriteXML(w, ask.Document(page))
	return nil
}

// copyPart makes a part of an object. Whether the sender may read the source was judged
// with the rest: see access.
func (h *Handler) copyPart(w http.ResponseWriter, r *request) error {
	number, err := r.op.PartNumber()
	if err != nil {
		return err
	}
	source, err := r.op.CopySource(r.Header)
	if err != nil {
		return h.bucketFirst(r, err)
	}
	span, err := s3.ParseCopyRange(r.Header)
	if err != nil {
		return err
	}
	conditions := s3.ParseCopyConditions(r.Header)
	return h.lateDocument(s3.NewLateAnswer(w), r, func() ([]byte, error) {
		part, err := h.Replicas.CopyPart(r.Context(), replica.CopyPartRequest{
			Key: r.op.ObjectKey(), UploadID: r.op.UploadID(), Number: number, Source: source,
			Span: func(source object.Info) (s3.Range, error) {
				if err := conditions.CheckCopy(source); err != nil {
					return s3.Range{}, err
				}
				return span.Of(source.Size)
			},
		})
		if err != nil {
			return nil, err
		}
		copied := s3.Copied{ETag: part.ETag, Modified: part.ModTime, Checksums: part.Headers}
		return copied.PartDocument(), nil
	})
}

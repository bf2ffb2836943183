package backend

import (
	"context"
	"time"

	"github.com/s3mirror/s3mirror/internal/object"
	"github.com/s3mirror/s3mirror/internal/s3"
)

// Multiparter is the part of an endpoint that puts objects together from parts.
// Each call is one attempt, and Outcomes are those of Backend; in addition,
// Absent says that there is no such upload: it was aborted, expired, or became
// an object.
type Multiparter interface {
	// CreateUpload begins an upload and returns its id. An attempt that is
	// Ambiguous may have left one that nobody knows, and that ListUploads shows.
	CreateUpload(ctx context.Context, r CreateUploadRequest) (uploadID string, err error)

	// PutPart stores one part, in place of one of the same number. When the
	// Outcome is Ambiguous, the part may be stored now, later or never, and may yet
	// take the place of one that is put again: tell them apart by their ETag.
	PutPart(ctx context.Context, r PartRequest) (PutResult, error)

	// CopyPart is PutPart with bytes of an object that the endpoint holds.
	CopyPart(ctx context.Context, r CopyPartRequest) (PutResult, error)

	// CompleteUpload makes the object of the parts named. It may take minutes,
	// and waits as long as the endpoint shows that it lives; ctx bounds it. A nil
	// error means a result, not merely a status of 200: what stands in the answer
	// instead is judged by its code, and an answer that breaks off is Ambiguous.
	//
	// Absent does not prove that the upload never became the object: something on
	// the way may have sent the request twice. Nor does success prove that this
	// upload did: compare the result with what was sent, and look at the key.
	CompleteUpload(ctx context.Context, r CompleteRequest) (PutResult, error)

	// AbortUpload frees an upload and its parts. Absent is as good as done, but
	// tells that there was nothing to abort; some endpoints do not tell.
	AbortUpload(ctx context.Context, bucket, key, uploadID string) error

	// ListParts returns one page of the parts of an upload, by number.
	ListParts(ctx context.Context, r ListPartsRequest) (PartsPage, error)

	// ListUploads returns one page of the uploads under way, by key.
	ListUploads(ctx context.Context, bucket string, r ListUploadsRequest) (UploadsPage, error)
}

// CreateUploadRequest begins an upload. What is fixed here is of the object.
type CreateUploadRequest struct {
	Bucket, Key string
	Headers     object.Headers // as of PutRequest; checksums are left out
	Tags        object.Tags
	Stamp       object.Stamp

	// Checksum is of which parts and object the endpoint shall keep checksums;
	// the zero value: none. Each part must then come with one. It is left out for
	// an endpoint that knows none (Options.NoChecksums).
	Checksum s3.UploadChecksum
}

// PartRequest is the upload of one part.
type PartRequest struct {
	Bucket, Key, UploadID string
	Number                int // 1 to 10,000

	// Checksums has at most one x-amz-checksum-*; with a trailer of the same
	// algorithm the trailer carries it.
	Checksums  object.Headers
	ContentMD5 string // base64; empty: none

	// Size, Body and Framing are those of PutRequest.
	Size    int64
	Body    Body
	Framing Framing
}

// CopyPartRequest takes a part from an object of the same endpoint.
type CopyPartRequest struct {
	Bucket, Key, UploadID string
	Number                int // 1 to 10,000

	Source CopySource
	// Offset and Length are the part of the source, in bytes. A Length of zero or
	// less is all of it, and Offset is then zero.
	Offset, Length int64
}

// CompleteRequest names the parts of an object, by ascending number, each with
// the ETag that this endpoint gave it and, when it keeps checksums, the checksum.
type CompleteRequest struct {
	Bucket, Key, UploadID string
	Parts                 []s3.CompletedPart

	// Checksums has at most one x-amz-checksum-*, of the object, and its type:
	// the endpoint then refuses what does not add up.
	Checksums object.Headers
}

// ListPartsRequest selects a page.
type ListPartsRequest struct {
	Bucket, Key, UploadID string
	After                 int // parts of higher numbers
	Max                   int // 0 means 1000
}

// PartsPage is a part of the parts of an upload.
type PartsPage struct {
	Parts []s3.Part
	// Next is the After of the following page, zero when this is the last.
	Next int
}

// ListUploadsRequest selects a page.
type ListUploadsRequest struct {
	Prefix string
	After  UploadMark // zero: from the start
	Max    int        // 0 means 1000
}

// UploadMark is a place among the uploads of a bucket: behind those of the key,
// up to the one with the id.
type UploadMark struct{ Key, ID string }

// UploadsPage is a part of the uploads of a bucket, by key.
type UploadsPage struct {
	Uploads []UploadInfo
	// Next is the After of the following page, zero when this is the last. A page
	// may be short, even empty, and yet not the last.
	Next UploadMark
}

// UploadInfo is one upload that is under way.
type UploadInfo struct {
	Key, ID string
	Started time.Time
}

package backend

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"

	"github.com/s3mirror/s3mirror/internal/object"
	"github.com/s3mirror/s3mirror/internal/s3"
	"github.com/s3mirror/s3mirror/internal/sigv4"
)

// contentXML is the type of the documents that are sent.
const contentXML = "application/xml"

// CreateUpload implements Multiparter.
func (r *Remote) CreateUpload(ctx context.Context, u CreateUploadRequest) (uploadID string, err error) {
	if err := checkTarget(u.Bucket, u.Key); err != nil {
		return "", r.unsent(OpCreateUpload, err)
	}
	if err := checkHeaders(u.Headers); err != nil {
		return "", r.unsent(OpCreateUpload, fmt.Errorf("%w: %w", ErrRequest, err))
	}
	h := r.versionHeaders(object.Key{Bucket: u.Bucket, Name: u.Key}, u.Headers, u.Tags, u.Stamp)
	if !r.o.NoChecksums {
		u.Checksum.SetHeaders(h)
	}
	c := call{op: OpCreateUpload, method: http.MethodPost, bucket: u.Bucket, key: u.Key, query: "uploads=", header: h}
	err = r.runResult(ctx, c, func(body io.Reader) (err error) {
		uploadID, err = s3.DecodeInitiated(body)
		return err
	})
	return uploadID, err
}

// CompleteUpload implements Multiparter.
func (r *Remote) CompleteUpload(ctx context.Context, u CompleteRequest) (PutResult, error) {
	if err := u.check(); err != nil {
		return PutResult{}, r.unsent(OpCompleteUpload, err)
	}
	h := http.Header{"Content-Type": {contentXML}}
	parts := u.Parts
	if r.o.NoChecksums {
		parts = withoutSums(parts)
	} else {
		for name, value := range u.Checksums {
			if strings.HasPrefix(name, object.ChecksumPrefix) {
				h.Set(name, value)
			}
		}
	}
	c := call{
		op: OpCompleteUpload, method: http.MethodPost, bucket: u.Bucket, key: u.Key, query: uploadQuery(u.UploadID),
		header: h, body: s3.CompleteDocument(parts), slow: true,
	}
	var res PutResult
	err := r.runResult(ctx, c, func(body io.Reader) error {
		done, err := s3.DecodeCompleted(body)
		if err == nil {
			res = PutResult{ETag: done.ETag, Checksums: done.Checksums}
		}
		return err
	})
	return res, err
}

func (u CompleteRequest) check() error {
	if err := checkTarget(u.Bucket, u.Key); err != nil {
		return err
	}
	last := 0
	for _, p := range u.Parts {
		if p.Number <= last || p.Number > s3.MaxParts || p.ETag == "" {
			return fmt.Errorf("%w: part %d with ETag %q after part %d", ErrRequest, p.Number, p.ETag, last)
		}
		last = p.Number
	}
	if last == 0 {
		return fmt.Errorf("%w: no parts", ErrRequest)
	}
	return checkUpload(u.UploadID)
}

func withoutSums(parts []s3.CompletedPart) []s3.CompletedPart {
	out := make([]s3.CompletedPart, len(parts))
	for i, p := range parts {
		out[i] = s3.CompletedPart{Number: p.Number, ETag: p.ETag}
	}
	return out
}

// AbortUpload implements Multiparter.
func (r *Remote) AbortUpload(ctx context.Context, bucket, key, uploadID string) error {
	if err := errors.Join(checkTarget(bucket, key), checkUpload(uploadID)); err != nil {
		return r.unsent(OpAbortUpload, err)
	}
	return r.run(ctx, call{op: OpAbortUpload, method: http.MethodDelete, bucket: bucket, key: key, query: uploadQuery(uploadID)}, nil)
}

// ListParts implements Multiparter.
func (r *Remote) ListParts(ctx context.Context, l ListPartsRequest) (PartsPage, error) {
	if err := errors.Join(checkTarget(l.Bucket, l.Key), checkUpload(l.UploadID)); err != nil {
		return PartsPage{}, r.unsent(OpListParts, err)
	}
	if l.Max <= 0 {
		l.Max = s3.MaxKeys
	}
	q := "max-parts=" + strconv.Itoa(l.Max)
	if l.After > 0 {
		q += "&part-number-marker=" + strconv.Itoa(l.After)
	}
	var listing *s3.PartsListing
	c := call{op: OpListParts, method: http.MethodGet, bucket: l.Bucket, key: l.Key, query: q + "&" + uploadQuery(l.UploadID)}
	err := r.run(ctx, c, func(resp *http.Response) (err error) {
		if listing, err = s3.DecodeParts(resp.Body); err != nil {
			return err
		}
		return l.check(listing)
	})
	if err != nil {
		return PartsPage{}, err
	}
	page := PartsPage{Parts: listing.Parts}
	if listing.Truncated {
		page.Next = listing.Next
	}
	return page, nil
}

// check makes sure that pages come to an end, and hold what was asked for.
func (l ListPartsRequest) check(in *s3.PartsListing) error {
	if len(in.Parts) > 0 && in.Parts[0].Number <= l.After {
		return fmt.Errorf("%w: part %d after %d", ErrOrder, in.Parts[0].Number, l.After)
	}
	if in.Truncated && in.Next <= l.After {
		return fmt.Errorf("%w: a list of parts that goes on without anything in it", ErrAnswer)
	}
	return nil
}

// ListUploads implements Multiparter. Some endpoints refuse a mark within one
// key that they gave themselves; they are asked again for what is behind the
// key. More than a page of uploads of one key is then not seen whole until some
// of them are gone.
func (r *Remote) ListUploads(ctx context.Context, bucket string, l ListUploadsRequest) (UploadsPage, error) {
	if l.Max <= 0 {
		l.Max = s3.MaxKeys
	}
	listing, err := r.listUploads(ctx, bucket, l)
	if l.After.ID != "" && errors.Is(err, s3.InvalidArgument) {
		l.After.ID = ""
		listing, err = r.listUploads(ctx, bucket, l)
	}
	if err != nil {
		return UploadsPage{}, err
	}
	var page UploadsPage
	for _, u := range listing.Uploads {
		page.Uploads = append(page.Uploads, UploadInfo{Key: u.Key, ID: u.ID, Started: u.Initiated})
	}
	if listing.Truncated {
		page.Next = UploadMark{listing.NextKey, listing.NextID}
	}
	return page, nil
}

func (r *Remote) listUploads(ctx context.Context, bucket string, l ListUploadsRequest) (listing *s3.UploadsListing, err error) {
	c := call{op: OpListUploads, method: http.MethodGet, bucket: bucket, query: l.query()}
	err = r.run(ctx, c, func(resp *http.Response) (err error) {
		if listing, err = s3.DecodeUploads(resp.Body); err != nil {
			return err
		}
		return l.check(listing)
	})
	return listing, err
}

// query builds the parameters, in the order in which they are signed.
func (l ListUploadsRequest) query() string {
	q := "encoding-type=url" // XML can not carry every key
	add := func(name, value string) {
		if value != "" {
			q += "&" + name + "=" + sigv4.EscapeQuery(value)
		}
	}
	add("key-marker", l.After.Key)
	add("max-uploads", strconv.Itoa(l.Max))
	add("prefix", l.Prefix)
	if l.After.Key != "" {
		add("upload-id-marker", l.After.ID)
	}
	return q + "&uploads="
}

// check holds a page against the request.
func (l ListUploadsRequest) check(in *s3.UploadsListing) error {
	last := l.After.Key
	for _, u := range in.Uploads {
		if u.Key < last || u.Key == l.After.Key && l.After.ID == "" && last != "" || !strings.HasPrefix(u.Key, l.Prefix) {
			return fmt.Errorf("%w: upload of %q after %q, prefix %q", ErrOrder, u.Key, last, l.Prefix)
		}
		last = u.Key
	}
	if in.Truncated && (UploadMark{in.NextKey, in.NextID} == l.After || in.NextKey < l.After.Key) {
		return fmt.Errorf("%w: a list of uploads that goes on without anything in it", ErrAnswer)
	}
	return nil
}

func uploadQuery(uploadID string) string { return "uploadId=" + sigv4.EscapeQuery(uploadID) }

func checkTarget(bucket, key string) error {
	if bucket == "" || key == "" {
		return fmt.Errorf("%w: no bucket or no key", ErrRequest)
	}
	return nil
}

func checkUpload(uploadID string) error {
	if uploadID == "" {
		return fmt.Errorf("%w: no upload", ErrRequest)
	}
	return nil
}

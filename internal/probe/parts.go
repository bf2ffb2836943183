package probe

import (
	"context"
	"crypto/md5" //nolint:gosec // S3's ETag
	"encoding/hex"
	"errors"
	"fmt"
	"net/http"

	"github.com/s3mirror/s3mirror/internal/backend"
	"github.com/s3mirror/s3mirror/internal/s3"
)

// upload is one multipart upload of the probes.
type upload struct {
	r       *runner
	key, id string
}

// begin starts an upload, which the caller ends.
func (r *runner) begin(ctx context.Context, key string) (upload, error) {
	id, err := r.remote.CreateUpload(ctx, backend.CreateUploadRequest{Bucket: r.bucket, Key: r.full(key)})
	return upload{r, key, id}, err
}

// end throws away what is left of it; of one that was completed there is nothing.
func (u upload) end(ctx context.Context) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), callTimeout)
	defer cancel()
	_ = u.r.remote.AbortUpload(ctx, u.r.bucket, u.r.full(u.key), u.id) // the next sweep finds it
}

func (u upload) put(ctx context.Context, number int, data []byte) (s3.CompletedPart, error) {
	b, framing := backend.FromBytes(data)
	return u.send(ctx, number, len(data), b, framing)
}

func (u upload) send(ctx context.Context, number, size int, b backend.Body, f backend.Framing) (s3.CompletedPart, error) {
	res, err := u.r.remote.PutPart(ctx, backend.PartRequest{
		Bucket: u.r.bucket, Key: u.r.full(u.key), UploadID: u.id, Number: number, Size: int64(size), Body: b, Framing: f,
	})
	return s3.CompletedPart{Number: number, ETag: res.ETag}, err
}

func (u upload) complete(ctx context.Context, parts ...s3.CompletedPart) (backend.PutResult, error) {
	return u.r.remote.CompleteUpload(ctx, backend.CompleteRequest{Bucket: u.r.bucket, Key: u.r.full(u.key), UploadID: u.id, Parts: parts})
}

// leastPart is the least size of a part that is not the last, by S3's rule.
const leastPart = 5 << 20

// multipartETag: whether the ETag of an upload of two parts is the MD5 of their MD5s, and -2.
func (r *runner) multipartETag(ctx context.Context) (Result, string) {
	u, err := r.begin(ctx, "parts/etag")
	if err != nil {
		return denied(err)
	}
	defer u.end(ctx)
	b, framing, firstSum := repeat(pattern("first part", 64<<10), leastPart)
	first, err := u.send(ctx, 1, leastPart, b, framing)
	if err != nil {
		return denied(err)
	}
	last := pattern("last part of two", 1000)
	second, err := u.put(ctx, 2, last)
	if err != nil {
		return denied(err)
	}
	res, err := u.complete(ctx, first, second)
	if err != nil {
		return denied(err)
	}
	lastSum := md5.Sum(last)                           //nolint:gosec // see above
	sum := md5.Sum(append(firstSum[:], lastSum[:]...)) //nolint:gosec // see above
	if want := hex.EncodeToString(sum[:]) + "-2"; res.ETag != want {
		return No, fmt.Sprintf("%q, and S3's would be %q", res.ETag, want)
	}
	return Yes, ""
}

// denied is the finding about what an endpoint may well not do: No where it says so.
func denied(err error) (Result, string) {
	var e *backend.Error
	if errors.As(err, &e) && (e.Outcome == backend.Refused || e.Outcome == backend.Absent || e.Status == http.StatusNotImplemented) {
		return No, "refused: " + err.Error()
	}
	return unknown(err)
}

// partSize: whether parts below 5 MiB that are not the last are refused, as S3 does.
func (r *runner) partSize(ctx context.Context) (Result, string) {
	u, err := r.begin(ctx, "parts/size")
	if err != nil {
		return denied(err)
	}
	defer u.end(ctx)
	first, err := u.put(ctx, 1, pattern("small 1", 1000))
	if err != nil {
		return denied(err)
	}
	second, err := u.put(ctx, 2, pattern("small 2", 1000))
	if err != nil {
		return denied(err)
	}
	_, err = u.complete(ctx, first, second)
	switch {
	case err == nil:
		return No, "a first part of 1000 bytes is taken"
	case backend.OutcomeOf(err) == backend.Refused:
		return Yes, ""
	}
	return unknown(err)
}

// partNumbers: whether parts are numbered up to 10,000.
func (r *runner) partNumbers(ctx context.Context) (Result, string) {
	u, err := r.begin(ctx, "parts/numbers")
	if err != nil {
		return denied(err)
	}
	defer u.end(ctx)
	if _, err := u.put(ctx, s3.MaxParts, pattern("last part", 100)); err != nil {
		return denied(err)
	}
	return Yes, ""
}

// partCopy: whether a part can be made of a range of an object, by its ETag.
func (r *runner) partCopy(ctx context.Context) (Result, string) {
	const source = "parts/source"
	data := pattern(source, 5000)
	b, framing := backend.FromBytes(data)
	placed, err := r.upload(ctx, source, int64(len(data)), b, framing, nil)
	if err != nil {
		return unknown(err)
	}
	u, err := r.begin(ctx, "parts/copy")
	if err != nil {
		return denied(err)
	}
	defer u.end(ctx)
	res, err := r.remote.CopyPart(ctx, backend.CopyPartRequest{
		Bucket: r.bucket, Key: r.full(u.key), UploadID: u.id, Number: 1, Offset: 1000, Length: 2000,
		Source: backend.CopySource{Bucket: r.bucket, Key: r.full(source), ETag: placed.ETag},
	})
	if err != nil {
		return denied(err)
	}
	if _, err := u.complete(ctx, s3.CompletedPart{Number: 1, ETag: res.ETag}); err != nil {
		return denied(err)
	}
	switch same, err := r.holds(ctx, u.key, data[1000:3000]); {
	case err != nil:
		return unknown(err)
	case !same:
		return No, "the part is not the range that was asked for"
	}
	return Yes, ""
}

// partSizes: whether the sizes of the parts of an object are told again. Where they are, a
// copy of it can be made of the same parts, and gets the same ETag.
func (r *runner) partSizes(ctx context.Context) (Result, string) {
	const size = 1000
	u, err := r.begin(ctx, "parts/sizes")
	if err != nil {
		return denied(err)
	}
	defer u.end(ctx)
	part, err := u.put(ctx, 1, pattern("part sizes", size))
	if err != nil {
		return denied(err)
	}
	res, err := u.complete(ctx, part)
	if err != nil {
		return denied(err)
	}
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	got, err := r.remote.PartSizes(ctx, r.bucket, r.full(u.key), res.ETag)
	switch {
	case errors.Is(err, backend.ErrAnswer):
		return No, err.Error()
	case err != nil:
		return denied(err)
	case len(got) != 1 || got[0] != size:
		return No, fmt.Sprintf("one of %d bytes is told as %d", size, got)
	}
	return Yes, ""
}

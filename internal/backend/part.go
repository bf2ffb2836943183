package backend

import (
	"context"
	"errors"
	"fmt"
	"strconv"

	"github.com/s3mirror/s3mirror/internal/s3"
)

// PutPart implements Multiparter.
func (r *Remote) PutPart(ctx context.Context, p PartRequest) (PutResult, error) {
	put := PutRequest{
		Bucket: p.Bucket, Key: p.Key, Headers: p.Checksums, ContentMD5: p.ContentMD5,
		Size: p.Size, Body: p.Body, Framing: p.Framing,
	}
	c, err := r.putCall(put)
	if err := errors.Join(err, checkPart(p.UploadID, p.Number)); err != nil {
		return PutResult{}, r.unsent(OpPutPart, err)
	}
	c.op, c.query = OpPutPart, partQuery(p.UploadID, p.Number)
	c.header.Del("Content-Type") // of the object, not of its parts
	c.header.Del(storageClassHeader)
	return r.put(ctx, c, put)
}

func checkPart(uploadID string, number int) error {
	if number < 1 || number > s3.MaxParts {
		return fmt.Errorf("%w: part %d", ErrRequest, number)
	}
	return checkUpload(uploadID)
}

func partQuery(uploadID string, number int) string {
	return "partNumber=" + strconv.Itoa(number) + "&" + uploadQuery(uploadID)
}

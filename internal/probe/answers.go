package probe

import (
	"bytes"
	"context"
	"crypto/md5" //nolint:gosec // S3's ETag
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"hash/crc32"

	"github.com/s3mirror/s3mirror/internal/backend"
	"github.com/s3mirror/s3mirror/internal/object"
)

// crc32cOf is the checksum as S3's headers have it.
func crc32cOf(data []byte) string {
	sum := binary.BigEndian.AppendUint32(nil, crc32.Checksum(data, crc32.MakeTable(crc32.Castagnoli)))
	return base64.StdEncoding.EncodeToString(sum)
}

// etag: whether the ETag of an object in one piece is its MD5.
func (r *runner) etag(ctx context.Context) (Result, string) {
	data := pattern("etag", 1000)
	b, framing := backend.FromBytes(data)
	res, err := r.upload(ctx, "etag", int64(len(data)), b, framing, nil)
	if err != nil {
		return unknown(err)
	}
	sum := md5.Sum(data) //nolint:gosec // see above
	switch _, obj, err := r.get(ctx, "etag"); {
	case err != nil:
		return unknown(err)
	case obj.ETag != res.ETag:
		return No, fmt.Sprintf("PUT answered %q, GET %q", res.ETag, obj.ETag)
	case res.ETag != hex.EncodeToString(sum[:]):
		return No, fmt.Sprintf("%q", res.ETag)
	}
	return Yes, ""
}

// checksum: whether a checksum sent with an object is told again.
func (r *runner) checksum(ctx context.Context) (Result, string) {
	data := pattern("checksum", 1000)
	want := crc32cOf(data)
	name := object.ChecksumPrefix + "crc32c"
	b, framing := backend.FromBytes(data)
	_, err := r.upload(ctx, "checksum", int64(len(data)), b, framing, object.Headers{name: want})
	if backend.OutcomeOf(err) == backend.Refused {
		return No, "refused: " + err.Error()
	}
	if err != nil {
		return unknown(err)
	}
	_, obj, err := r.get(ctx, "checksum")
	if err != nil {
		return unknown(err)
	}
	if got := obj.Headers[name]; got != want {
		return No, fmt.Sprintf("told again as %q", got)
	}
	return Yes, ""
}

// headers: whether the headers of a version come back as they were.
func (r *runner) headers(ctx context.Context) (Result, string) {
	want := object.Headers{
		"content-type": "text/x-probe; charset=utf-8", "content-encoding": "gzip", "cache-control": "max-age=7",
		"content-disposition": `attachment; filename="a b.txt"`, "content-language": "en", "x-amz-meta-probe": "A b",
	}
	if err := r.put(ctx, "headers", []byte("headers"), want); err != nil {
		if backend.OutcomeOf(err) == backend.Refused {
			return No, "refused: " + err.Error()
		}
		return unknown(err)
	}
	_, obj, err := r.get(ctx, "headers")
	if err != nil {
		return unknown(err)
	}
	for name, value := range want {
		if got := obj.Headers[name]; got != value {
			return No, fmt.Sprintf("%s: %q comes back as %q", name, value, got)
		}
	}
	return Yes, ""
}

// rounds of overwriting that readYourWrite makes.
const rounds = 20

// readYourWrite: whether what was answered is seen at once, by GET, HEAD and
// LIST, after overwriting and after deleting (RELIABILITY A6).
func (r *runner) readYourWrite(ctx context.Context) (Result, string) {
	for i := range rounds {
		data := pattern("round "+itoa(i), 100+i)
		if err := r.put(ctx, "again", data, nil); err != nil {
			return unknown(err)
		}
		switch got, _, err := r.get(ctx, "again"); {
		case err != nil && err != errAbsent: //nolint:errorlint // get returns it as it is
			return unknown(err)
		case !bytes.Equal(got, data):
			return Unsafe, "a GET after a PUT did not show it"
		}
		if i%5 != 4 {
			continue
		}
		if err := r.remote.Delete(ctx, r.bucket, r.prefix+"again"); err != nil {
			return unknown(err)
		}
		switch gone, err := r.holds(ctx, "again", nil); {
		case err != nil:
			return unknown(err)
		case !gone:
			return Unsafe, "a GET after a DELETE still showed the object"
		}
		page, err := r.remote.List(ctx, r.bucket, backend.ListRequest{Prefix: r.prefix + "again"})
		if err != nil {
			return unknown(err)
		}
		if len(page.Entries) > 0 {
			return Unsafe, "a LIST after a DELETE still showed the object"
		}
	}
	return Yes, ""
}

package probe

import (
	"bytes"
	"context"
	"crypto/md5" //nolint:gosec // S3's ETag
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"hash/crc32"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

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

// lanes is how many keys readYourWrite writes side by side.
const lanes = 4

// readYourWrite: whether what was answered is seen at once, by GET, HEAD and
// LIST, after overwriting and after deleting (RELIABILITY A6).
func (r *runner) readYourWrite(ctx context.Context) (Result, string) {
	end := time.Now().Add(r.effort.Patience)
	var made atomic.Int64
	var group errgroup.Group
	for lane := range lanes {
		group.Go(func() error {
			for i := 0; i < r.effort.Rounds/lanes && time.Now().Before(end); i++ {
				if err := r.round(ctx, "again/"+itoa(lane), i); err != nil {
					return err
				}
				made.Add(1)
			}
			return nil
		})
	}
	err := group.Wait()
	var stale errStale
	switch {
	case errors.As(err, &stale):
		return Unsafe, stale.Error()
	case err != nil:
		return unknown(err)
	}
	return Yes, fmt.Sprintf("%d writes were read back", made.Load())
}

// errStale says what was not seen.
type errStale string

func (e errStale) Error() string { return string(e) }

// round writes once and reads; every fifth time it looks in every way, and deletes.
func (r *runner) round(ctx context.Context, key string, i int) error {
	data := pattern(key+itoa(i), 100+i%1000)
	if err := r.put(ctx, key, data, nil); err != nil {
		return err
	}
	got, obj, err := r.get(ctx, key)
	if err != nil && !errors.Is(err, errAbsent) {
		return err
	}
	if !bytes.Equal(got, data) {
		return errStale("a GET after a PUT did not show it")
	}
	if i%5 != 4 {
		return nil
	}
	switch differs, err := r.disagree(ctx, key, obj); {
	case err != nil:
		return err
	case differs != "":
		return errStale("after a PUT: " + differs)
	}
	if err := r.delete(ctx, key); err != nil {
		return err
	}
	switch gone, err := r.holds(ctx, key, nil); {
	case err != nil:
		return err
	case !gone:
		return errStale("a GET after a DELETE still showed the object")
	}
	switch shown, err := r.listed(ctx, key); {
	case err != nil:
		return err
	case shown:
		return errStale("a LIST after a DELETE still showed the object")
	}
	return nil
}

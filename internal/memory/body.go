package memory

import (
	"crypto/md5"
	"crypto/sha1"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"errors"
	"fmt"
	"hash"
	"hash/crc32"
	"io"
	"net/http"
	"strconv"
	"strings"

	"github.com/minio/crc64nvme"

	"github.com/s3mirror/s3mirror/internal/s3"
	"github.com/s3mirror/s3mirror/internal/sigv4"
)

const (
	maxObject = 5 << 30   // bytes of a single PUT
	slabSize  = 256 << 10 // bytes
)

// slabs are the bytes of an object. They are allocated as bytes arrive, so that
// a client can not make the server allocate what it only announces.
type slabs [][]byte

// writeTo writes n bytes from offset on.
func (s slabs) writeTo(w io.Writer, offset, n int64) error {
	for _, slab := range s {
		size := int64(len(slab))
		if offset >= size {
			offset -= size
			continue
		}
		part := slab[offset:min(size, offset+n)]
		if _, err := w.Write(part); err != nil {
			return err
		}
		if n -= int64(len(part)); n == 0 {
			return nil
		}
		offset = 0
	}
	return nil
}

// cut returns the first n bytes.
func (s slabs) cut(n int64) slabs {
	var out slabs
	for _, slab := range s {
		part := slab[:min(int64(len(slab)), n)]
		out = append(out, part)
		if n -= int64(len(part)); n == 0 {
			break
		}
	}
	return out
}

// upload is the body of a PUT and everything that it is held against.
type upload struct {
	sig    *sigv4.Request
	size   int64 // decoded bytes, as announced
	md5    []byte
	sum    s3.Checksum
	stream io.Reader // decoded
	chunks *sigv4.ChunkReader
}

// received is a body that passed every check.
type received struct {
	data slabs
	md5  []byte
	sum  string // base64 value of the checksum, empty for none
}

// newUpload reads what the headers say of the body.
func newUpload(r *http.Request, sig *sigv4.Request, secret sigv4.Secret) (*upload, error) {
	u := &upload{sig: sig, size: r.ContentLength, stream: r.Body}
	var err error
	if u.md5, err = s3.ParseContentMD5(r.Header); err != nil {
		return nil, err
	}
	if u.sum, err = s3.ParseChecksum(r.Header); err != nil {
		return nil, err
	}
	if sig.Mode.Chunked() {
		if u.size, err = decodedLength(r.Header); err != nil {
			return nil, err
		}
	}
	switch {
	case u.size < 0:
		return nil, s3.Err(s3.MissingContentLength)
	case u.size > maxObject:
		return nil, s3.Err(s3.EntityTooLarge).With("ProposedSize", strconv.FormatInt(u.size, 10))
	}
	var trailers []string
	if name := r.Header.Get("X-Amz-Trailer"); name != "" {
		if !sig.Mode.Trailing() {
			return nil, s3.Errorf(s3.InvalidRequest, "x-amz-trailer needs a payload with a trailer")
		}
		trailers = []string{strings.TrimSpace(name)}
	}
	if sig.Mode.Chunked() {
		u.chunks = sig.Chunks(r.Body, secret, u.size, trailers)
		u.stream = u.chunks
	}
	return u, nil
}

func decodedLength(h http.Header) (int64, error) {
	v := h.Get("X-Amz-Decoded-Content-Length")
	if v == "" {
		return 0, s3.Err(s3.MissingContentLength)
	}
	n, err := strconv.ParseUint(v, 10, 63)
	if err != nil {
		return 0, s3.Errorf(s3.InvalidArgument, "x-amz-decoded-content-length is no length").With("ArgumentValue", v)
	}
	return int64(n), nil
}

// receive reads the body to its end and verifies it.
func (u *upload) receive() (*received, error) {
	sums, err := u.hashes()
	if err != nil {
		return nil, err
	}
	in := &received{}
	for left := u.size; left > 0; {
		slab := make([]byte, min(left, slabSize))
		if _, err := io.ReadFull(u.stream, slab); err != nil {
			return nil, cutShort(err)
		}
		sums.Write(slab)
		in.data = append(in.data, slab)
		left -= int64(len(slab))
	}
	// The end is where a chunked body is proved, and a plain one must have one.
	var one [1]byte
	switch n, err := io.ReadFull(u.stream, one[:]); {
	case n > 0:
		return nil, s3.Err(s3.IncompleteBody)
	case err != io.EOF:
		return nil, cutShort(err)
	}
	return in, u.verify(in, sums)
}

// cutShort tells a client that went away from one that broke a rule.
func cutShort(err error) error {
	var sig *sigv4.Error
	if errors.As(err, &sig) {
		return err
	}
	return s3.Err(s3.IncompleteBody).Because(err)
}

// hashes are those that the body needs; md5 always, for the ETag.
type hashes struct {
	io.Writer
	md5, sha256, sum hash.Hash // sha256 and sum may be nil
}

func (u *upload) hashes() (*hashes, error) {
	h := &hashes{md5: md5.New()}
	writers := []io.Writer{h.md5}
	if u.sig.Mode == sigv4.Literal {
		h.sha256 = sha256.New()
		writers = append(writers, h.sha256)
	}
	if u.sum.Algorithm != "" {
		var err error
		if h.sum, err = checksum(u.sum.Algorithm); err != nil {
			return nil, err
		}
		writers = append(writers, h.sum)
	}
	h.Writer = io.MultiWriter(writers...)
	return h, nil
}

func checksum(algorithm string) (hash.Hash, error) {
	switch algorithm {
	case "crc32":
		return crc32.NewIEEE(), nil
	case "crc32c":
		return crc32.New(crc32.MakeTable(crc32.Castagnoli)), nil
	case "crc64nvme":
		return crc64nvme.New(), nil
	case "sha1":
		return sha1.New(), nil
	case "sha256":
		return sha256.New(), nil
	}
	return nil, fmt.Errorf("no checksum %q", algorithm)
}

func (u *upload) verify(in *received, h *hashes) error {
	in.md5 = h.md5.Sum(nil)
	if h.sha256 != nil && subtle.ConstantTimeCompare(h.sha256.Sum(nil), u.sig.PayloadSum[:]) != 1 {
		return s3.Err(s3.XAmzContentSHA256Mismatch)
	}
	if u.md5 != nil && subtle.ConstantTimeCompare(in.md5, u.md5) != 1 {
		return s3.Err(s3.BadDigest)
	}
	if h.sum == nil {
		return nil
	}
	in.sum = base64.StdEncoding.EncodeToString(h.sum.Sum(nil))
	want := base64.StdEncoding.EncodeToString(u.sum.Value)
	if u.sum.Value == nil {
		want = u.trailer()
	}
	if in.sum != want {
		return s3.Errorf(s3.BadDigest, "The %s you specified did not match the calculated checksum.", strings.ToUpper(u.sum.Algorithm))
	}
	return nil
}

// trailer returns the checksum that came behind the body.
func (u *upload) trailer() string {
	if values := u.chunks.Trailer()[u.sum.Header()]; len(values) == 1 {
		return values[0]
	}
	return ""
}

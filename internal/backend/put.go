package backend

import (
	"context"
	"fmt"
	"net/http"
	"strconv"
	"strings"

	"github.com/s3mirror/s3mirror/internal/object"
	"github.com/s3mirror/s3mirror/internal/s3"
)

// expectAbove is the size in bytes above which the endpoint is asked before the
// body is sent. Smaller bodies cost less than the round trip.
const expectAbove = 1 << 20

// Put implements Backend.
func (r *Remote) Put(ctx context.Context, p PutRequest) (PutResult, error) {
	c, err := r.putCall(p)
	if err != nil {
		return PutResult{}, r.unsent(OpPut, err)
	}
	return r.put(ctx, c, p)
}

// put sends an upload.
func (r *Remote) put(ctx context.Context, c call, p PutRequest) (PutResult, error) {
	res, x, err := r.putOnce(ctx, c, p)
	if err != nil && x.upload != nil && x.resp == nil && x.kept && x.upload.fresh() && ctx.Err() == nil {
		// The kept connection was dead: the body is untouched and the endpoint
		// has at most a head without a body, which is nothing. A second one may
		// be dead too, but that is rare: dead ones are noticed while idle.
		c.header = x.header.Clone()
		res, _, err = r.putOnce(ctx, c, p)
	}
	return res, err
}

// putOnce makes one attempt. The exchange has ended when it returns.
func (r *Remote) putOnce(ctx context.Context, c call, p PutRequest) (PutResult, *exchange, error) {
	if p.Size > 0 {
		c.upload = newUpload(context.WithoutCancel(ctx), p)
	}
	x, err := r.begin(ctx, c, 0)
	defer x.end()
	if err == nil {
		x.timer.Reset(r.o.StallTimeout)
	}
	if err := r.judge(x, err); err != nil {
		return PutResult{}, x, err
	}
	res := PutResult{ETag: s3.UnquoteETag(x.resp.Header.Get("ETag")), Checksums: object.Headers{}}
	for name := range x.resp.Header {
		if name = strings.ToLower(name); strings.HasPrefix(name, object.ChecksumPrefix) && object.Stored(name) {
			res.Checksums[name] = x.resp.Header.Get(name)
		}
	}
	drain(x.resp)
	return res, x, nil
}

// putCall checks the request and builds all of it but the body.
func (r *Remote) putCall(p PutRequest) (call, error) {
	if err := p.check(); err != nil {
		return call{}, fmt.Errorf("%w: %w", ErrRequest, err)
	}
	h := r.versionHeaders(object.Key{Bucket: p.Bucket, Name: p.Key}, p.Headers, p.Tags, p.Stamp)
	if p.ContentMD5 != "" {
		h.Set("Content-MD5", p.ContentMD5)
	}
	framing := p.Framing
	if p.Size == 0 {
		framing = Framing{Mode: Literal}
	}
	if !r.o.NoChecksums {
		p.checksumHeaders(h)
	}
	r.framingHeaders(h, framing, p.Size)
	return call{
		op: OpPut, method: http.MethodPut, bucket: p.Bucket, key: p.Key,
		header: h, payload: framing.payload(p.Size), length: framing.wireLength(p.Size),
	}, nil
}

const storageClassHeader = "X-Amz-Storage-Class"

// versionHeaders are those that make a version what it is, but for its checksum.
func (r *Remote) versionHeaders(key object.Key, headers object.Headers, tags object.Tags, stamp object.Stamp) http.Header {
	h := http.Header{}
	for name, value := range headers {
		if object.Stored(name) && !strings.HasPrefix(name, object.ChecksumPrefix) {
			h.Set(name, value)
		}
	}
	if h.Get("Content-Type") == "" {
		h.Set("Content-Type", s3.DefaultContentType)
	}
	if r.o.StorageClass != "" && h.Get(storageClassHeader) == "" {
		h.Set(storageClassHeader, r.o.StorageClass)
	}
	if len(tags) > 0 {
		h.Set("X-Amz-Tagging", s3.TaggingHeader(tags))
	}
	if !stamp.ID.IsZero() {
		h.Set(object.StampHeader, r.o.StampKey.Seal(key, stamp))
	}
	return h
}

// framingHeaders announce how the body travels.
func (r *Remote) framingHeaders(h http.Header, f Framing, size int64) {
	if size > expectAbove {
		h.Set("Expect", "100-continue")
	}
	if !f.Mode.Chunked() {
		return
	}
	h.Set("X-Amz-Decoded-Content-Length", strconv.FormatInt(size, 10))
	if name := f.trailer(); name != "" {
		h.Set("X-Amz-Trailer", name)
		h.Set("X-Amz-Sdk-Checksum-Algorithm", strings.ToUpper(f.Algorithm))
	}
	if r.o.DeclareChunked {
		h.Set("Content-Encoding", strings.TrimSuffix("aws-chunked,"+h.Get("Content-Encoding"), ","))
	}
}

// check refuses what would be sent wrong.
func (p PutRequest) check() error {
	switch {
	case p.Bucket == "" || p.Key == "":
		return fmt.Errorf("no bucket or no key")
	case p.Size < 0:
		return fmt.Errorf("size %d", p.Size)
	case p.Size > 0 && p.Body == nil:
		return fmt.Errorf("%d bytes and no body", p.Size)
	}
	if err := checkHeaders(p.Headers); err != nil {
		return err
	}
	if _, _, err := p.checksum(); err != nil {
		return err
	}
	if p.Size == 0 {
		return nil
	}
	return p.Framing.check(p.Size)
}

func checkHeaders(headers object.Headers) error {
	for name, value := range headers {
		if !sendable(value) {
			return fmt.Errorf("header %s has a control character", name)
		}
	}
	return nil
}

// sendable tells whether a header can carry the value.
func sendable(value string) bool {
	for i := range len(value) {
		if c := value[i]; c < ' ' && c != '\t' || c == 0x7f {
			return false
		}
	}
	return true
}

// checksum returns the one that is to be sent as a header; the endpoint takes
// only one, in a header or in the trailer.
func (p PutRequest) checksum() (algorithm, value string, err error) {
	for name, v := range p.Headers {
		a, ok := strings.CutPrefix(name, object.ChecksumPrefix)
		if !ok || a == "type" || !object.Stored(name) {
			continue
		}
		if algorithm != "" {
			return "", "", fmt.Errorf("two checksums, %s and %s", algorithm, a)
		}
		algorithm, value = a, v
	}
	if !p.Framing.Mode.Trailing() {
		return algorithm, value, nil
	}
	if algorithm != "" && algorithm != p.Framing.Algorithm {
		return "", "", fmt.Errorf("two checksums, %s and the trailer's %s", algorithm, p.Framing.Algorithm)
	}
	if p.Size == 0 {
		// There is no body to trail.
		value, err = checksumOf(p.Framing.Algorithm, nil)
		return p.Framing.Algorithm, value, err
	}
	return "", "", nil
}

func (p PutRequest) checksumHeaders(h http.Header) {
	if algorithm, value, _ := p.checksum(); algorithm != "" {
		h.Set(object.ChecksumPrefix+algorithm, value)
		h.Set("X-Amz-Sdk-Checksum-Algorithm", strings.ToUpper(algorithm))
	}
}

package backend

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/s3mirror/s3mirror/internal/object"
	"github.com/s3mirror/s3mirror/internal/s3"
)

// Get implements Backend.
func (r *Remote) Get(ctx context.Context, bucket, key string, o GetOptions) (*Object, error) {
	x, err := r.begin(ctx, r.getCall(bucket, key, o), r.o.ReadTimeout)
	if err := r.judge(x, err); err != nil {
		x.end()
		return nil, err
	}
	part, err := o.part(x.resp)
	if err != nil {
		e := r.failed(x, err)
		x.end()
		return nil, e
	}
	seen := r.seen(bucket, key, x.resp.Header, part.size)
	if !part.whole() {
		dropChecksums(seen.Headers)
	}
	x.timer.Stop()
	return &Object{
		Seen:   seen,
		Offset: part.offset,
		Length: part.length,
		Body:   &body{exchange: x, stall: r.o.StallTimeout, left: part.length},
	}, nil
}

func (r *Remote) getCall(bucket, key string, o GetOptions) call {
	h := http.Header{}
	switch {
	case o.whole():
		if o.Checksums && !r.o.NoChecksums {
			h.Set("X-Amz-Checksum-Mode", "ENABLED")
		}
	case o.Length <= 0:
		h.Set("Range", fmt.Sprintf("bytes=%d-", o.Offset))
	default:
		h.Set("Range", fmt.Sprintf("bytes=%d-%d", o.Offset, o.Offset+o.Length-1))
	}
	if o.IfMatch != "" {
		h.Set("If-Match", s3.QuoteETag(o.IfMatch))
	}
	return call{op: OpGet, method: http.MethodGet, bucket: bucket, key: key, header: h}
}

// extent is the part of an object that an answer has.
type extent struct{ offset, length, size int64 }

func (e extent) whole() bool { return e.length == e.size }

// part checks that the answer has what was asked for. An answer that ignores
// the range would put the wrong bytes at the right place.
func (o GetOptions) part(resp *http.Response) (extent, error) {
	n := resp.ContentLength
	if n < 0 {
		return extent{}, fmt.Errorf("%w: no content length", ErrAnswer)
	}
	if resp.StatusCode == http.StatusOK {
		if o.Offset > 0 || o.Length > 0 && n > o.Length {
			return extent{}, fmt.Errorf("%w: the range was ignored", ErrAnswer)
		}
		return extent{0, n, n}, nil
	}
	e, ok := parseContentRange(resp.Header.Get("Content-Range"))
	want := e.size - o.Offset
	if o.Length > 0 {
		want = min(want, o.Length)
	}
	if !ok || resp.StatusCode != http.StatusPartialContent || o.whole() || e.offset != o.Offset || e.length != want || e.length != n {
		return extent{}, fmt.Errorf("%w: status %d with range %q", ErrAnswer, resp.StatusCode, resp.Header.Get("Content-Range"))
	}
	return e, nil
}

// parseContentRange reads "bytes first-last/size".
func parseContentRange(v string) (e extent, ok bool) {
	v, ok = strings.CutPrefix(v, "bytes ")
	first, rest, ok1 := strings.Cut(v, "-")
	last, size, ok2 := strings.Cut(rest, "/")
	if !ok || !ok1 || !ok2 {
		return extent{}, false
	}
	a, err1 := strconv.ParseUint(first, 10, 63)
	b, err2 := strconv.ParseUint(last, 10, 63)
	n, err3 := strconv.ParseUint(size, 10, 63)
	if err1 != nil || err2 != nil || err3 != nil || a > b || b >= n {
		return extent{}, false
	}
	return extent{int64(a), int64(b - a + 1), int64(n)}, true
}

// seen reads what an answer shows of the object.
func (r *Remote) seen(bucket, key string, h http.Header, size int64) object.Seen {
	s := object.Seen{Info: object.Info{
		Kind:    object.Present,
		ETag:    s3.UnquoteETag(h.Get("ETag")),
		Size:    size,
		Headers: s3.StoredHeaders(h),
	}}
	if r.o.StorageClass != "" {
		delete(s.Headers, strings.ToLower(storageClassHeader))
	}
	if n, err := strconv.Atoi(h.Get("X-Amz-Tagging-Count")); err == nil && n > 0 {
		s.TagCount = n
	}
	if t, err := http.ParseTime(h.Get("Last-Modified")); err == nil {
		s.ModTime = t.UTC()
	}
	// A stamp that does not open was not written by us for this key.
	if stamp, err := r.o.StampKey.Open(object.Key{Bucket: bucket, Name: key}, h.Get(object.StampHeader)); err == nil {
		s.ID, s.Ver, s.Flag, s.Uploaded = stamp.ID, stamp.Ver, stamp.Flag, stamp.Uploaded
	}
	return s
}

func dropChecksums(h object.Headers) {
	for name := range h {
		if strings.HasPrefix(name, object.ChecksumPrefix) {
			delete(h, name)
		}
	}
}

// body gives the bytes of an answer, and fails when they stop coming. Close may
// be called while Read runs, and ends it.
type body struct {
	*exchange
	stall time.Duration
	left  int64
	once  sync.Once
}

func (b *body) Read(p []byte) (int, error) {
	b.timer.Reset(b.stall)
	n, err := b.resp.Body.Read(p)
	b.timer.Stop() // the caller's own pace is none of the endpoint's
	b.left -= int64(n)
	if err != nil && !errors.Is(err, io.EOF) {
		err = fmt.Errorf("body of the object, %d bytes short: %w", b.left, b.reason(err))
	}
	return n, err
}

func (b *body) Close() error {
	b.once.Do(b.end)
	return nil
}

// headTries bounds how often Head follows an object that comes and goes.
const headTries = 3

// Head implements Backend.
func (r *Remote) Head(ctx context.Context, bucket, key string) (object.Seen, error) {
	for range headTries {
		seen, err := r.head(ctx, bucket, key)
		var e *Error
		if err == nil || !errors.As(err, &e) || e.Status != http.StatusNotFound {
			return seen, err
		}
		if err := r.confirm(ctx, bucket, key); err == nil {
			continue // it stands, now
		} else if IsAbsent(err) {
			return object.Seen{}, nil
		} else {
			return object.Seen{}, err
		}
	}
	return object.Seen{}, &Error{Backend: r.o.Name, Op: OpHead, Outcome: Ambiguous,
		Err: fmt.Errorf("%w: the object is there for GET and not for HEAD", ErrAnswer)}
}

func (r *Remote) head(ctx context.Context, bucket, key string) (seen object.Seen, err error) {
	c := call{op: OpHead, method: http.MethodHead, bucket: bucket, key: key, header: http.Header{}}
	if !r.o.NoChecksums {
		c.header.Set("X-Amz-Checksum-Mode", "ENABLED")
	}
	err = r.run(ctx, c, func(resp *http.Response) error {
		if resp.ContentLength < 0 || resp.StatusCode != http.StatusOK {
			return fmt.Errorf("%w: status %d, content length %d", ErrAnswer, resp.StatusCode, resp.ContentLength)
		}
		seen = r.seen(bucket, key, resp.Header, resp.ContentLength)
		return nil
	})
	return seen, err
}

// confirm asks with a GET of one byte, whose refusal names its reason: nil when
// the object stands.
func (r *Remote) confirm(ctx context.Context, bucket, key string) error {
	c := call{op: OpHead, method: http.MethodGet, bucket: bucket, key: key, header: http.Header{"Range": {"bytes=0-0"}}}
	err := r.run(ctx, c, nil)
	if errors.Is(err, s3.InvalidRange) {
		return nil // it is empty
	}
	return err
}

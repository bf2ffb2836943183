package probe

import (
	"context"
	"fmt"
	"maps"
	"net/http"
	"strings"
	"time"

	"github.com/s3mirror/s3mirror/internal/object"
	"github.com/s3mirror/s3mirror/internal/s3"
)

// headAsGet: whether HEAD tells of an object what GET tells of it.
func (r *runner) headAsGet(ctx context.Context) (Result, string) {
	const key = "reads/head"
	want := object.Headers{"content-type": "text/x-probe", "cache-control": "max-age=7", "x-amz-meta-probe": "a b"}
	if err := r.put(ctx, key, pattern(key, 1000), want); err != nil {
		return unknown(err)
	}
	_, obj, err := r.get(ctx, key)
	if err != nil {
		return unknown(err)
	}
	seen, err := r.remote.Head(ctx, r.bucket, r.prefix+key)
	switch {
	case err != nil:
		return unknown(err)
	case seen.ETag != obj.ETag || seen.Size != obj.Size || !seen.ModTime.Equal(obj.ModTime):
		return No, fmt.Sprintf("GET: %q, %d bytes, %s; HEAD: %q, %d bytes, %s", obj.ETag, obj.Size, obj.ModTime, seen.ETag, seen.Size, seen.ModTime)
	case !maps.Equal(seen.Headers, obj.Headers):
		return No, fmt.Sprintf("headers of GET: %v; of HEAD: %v", obj.Headers, seen.Headers)
	}
	return Yes, ""
}

// classUntold: whether the storage class STANDARD is kept to itself, as on AWS.
func (r *runner) classUntold(ctx context.Context) (Result, string) {
	const key = "reads/class"
	placed, err := r.conditional(ctx, key, pattern(key, 100), "", "")
	if err != nil || placed.status/100 != 2 {
		return unknown(fmt.Errorf("status %d, %w", placed.status, err))
	}
	a, err := r.ask(ctx, http.MethodHead, key, "", "", "")
	switch {
	case err != nil:
		return unknown(err)
	case a.status != http.StatusOK:
		return unknown(fmt.Errorf("status %d", a.status))
	case a.header.Get("x-amz-storage-class") == "STANDARD":
		return No, "it says STANDARD"
	}
	return Yes, ""
}

// notModified: whether a read is answered 304, with the ETag, when nothing has changed.
func (r *runner) notModified(ctx context.Context) (Result, string) {
	const key = "reads/not-modified"
	placed, err := r.conditional(ctx, key, pattern(key, 300), "", "")
	if err != nil || placed.status/100 != 2 {
		return unknown(fmt.Errorf("status %d, %w", placed.status, err))
	}
	for _, method := range []string{http.MethodGet, http.MethodHead} {
		a, err := r.ask(ctx, method, key, "", ifNoneMatch, placed.etag)
		switch {
		case err != nil:
			return unknown(err)
		case a.status != http.StatusNotModified:
			return No, fmt.Sprintf("%s is answered %d", method, a.status)
		case a.etag != placed.etag:
			return No, fmt.Sprintf("%s is answered 304 with ETag %s, which was %s", method, a.etag, placed.etag)
		}
	}
	return Yes, ""
}

// deleteMatch: whether a DELETE keeps to If-Match.
func (r *runner) deleteMatch(ctx context.Context) (Result, string) {
	const key = "condition/delete"
	data := pattern(key, 300)
	placed, err := r.conditional(ctx, key, data, "", "")
	if err != nil || placed.status/100 != 2 {
		return unknown(fmt.Errorf("status %d, %w", placed.status, err))
	}
	refused, err := r.ask(ctx, http.MethodDelete, key, "", ifMatch, `"0123456789abcdef0123456789abcdef"`)
	if err != nil {
		return unknown(err)
	}
	switch same, err := r.holds(ctx, key, data); {
	case err != nil:
		return unknown(err)
	case !same:
		return No, fmt.Sprintf("an object of another ETag is deleted (%d)", refused.status)
	}
	a, err := r.ask(ctx, http.MethodDelete, key, "", ifMatch, placed.etag)
	if err != nil {
		return unknown(err)
	}
	switch gone, err := r.holds(ctx, key, nil); {
	case err != nil:
		return unknown(err)
	case !gone:
		return No, fmt.Sprintf("an object of this ETag stays (%d)", a.status)
	}
	return Yes, ""
}

// operationName: whether the parameter with the name of the operation, which many clients
// add to what they send, is no hindrance.
func (r *runner) operationName(ctx context.Context) (Result, string) {
	const key = "reads/x-id"
	if err := r.put(ctx, key, pattern(key, 300), nil); err != nil {
		return unknown(err)
	}
	for _, method := range []string{http.MethodHead, http.MethodGet} {
		a, err := r.ask(ctx, method, key, "x-id=GetObject", "", "")
		if err != nil {
			return unknown(err)
		}
		if a.status != http.StatusOK {
			return No, fmt.Sprintf("%s is answered %d", method, a.status)
		}
	}
	return Yes, ""
}

// metadata: whether an object may have as much metadata as a client may give it and the
// stamp needs beside it: 2 KiB with the names, as S3 allows.
func (r *runner) metadata(ctx context.Context) (Result, string) {
	const key, own = "reads/metadata", object.InternalPrefix + "probe"
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	req, err := r.wire.request(ctx, http.MethodPut, r.bucket, r.full(key), "")
	if err != nil {
		return unknown(err)
	}
	value := strings.Repeat("m", s3.MaxMetadataBytes-len("probe"))
	const prefix = "x-amz-meta-"
	req.Header.Set(prefix+"probe", value)
	req.Header.Set(own, strings.Repeat("s", metadataBytes-s3.MaxMetadataBytes-len(own)+len(prefix)))
	r.wire.sign(req, emptySHA256)
	switch a, err := r.wire.send(req, nil); {
	case err != nil:
		return unknown(err)
	case a.status/100 == 4:
		return No, fmt.Sprintf("it is refused: %d", a.status)
	case a.status/100 != 2:
		return unknown(fmt.Errorf("status %d", a.status))
	}
	_, obj, err := r.get(ctx, key)
	if err != nil {
		return unknown(err)
	}
	if got := obj.Headers[prefix+"probe"]; got != value {
		return No, fmt.Sprintf("%d bytes of %d come back", len(got), len(value))
	}
	return Yes, ""
}

// metadataBytes is what S3 takes of metadata, with the names behind x-amz-meta-.
const metadataBytes = 2048

const emptySHA256 = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"

// closeClock is how far apart clocks may be before somebody should look at them: answers
// say the time in whole seconds. Signatures are refused at fifteen minutes.
const closeClock = 3 * time.Second

// clock: whether the endpoint's clock is close to ours.
func (r *runner) clock(ctx context.Context) (Result, string) {
	before := time.Now()
	a, err := r.ask(ctx, http.MethodHead, "reads/nothing", "", "", "")
	if err != nil {
		return unknown(err)
	}
	after := time.Now()
	theirs, err := http.ParseTime(a.header.Get("Date"))
	if err != nil {
		return No, "its answers do not tell the time"
	}
	// The Date was written between before and after, and lost its fraction.
	ahead, behind := theirs.Sub(after), before.Sub(theirs.Add(time.Second))
	switch {
	case ahead > closeClock:
		return No, fmt.Sprintf("it is %s ahead of ours", ahead.Round(time.Second))
	case behind > closeClock:
		return No, fmt.Sprintf("it is %s behind ours", behind.Round(time.Second))
	case ahead > 0, behind > 0: // some servers tell the time that they looked up a moment ago
		return Yes, fmt.Sprintf("within %s of ours", closeClock)
	}
	return Yes, "within a second of ours"
}

// ask sends a request without a body about one of the run's keys.
func (r *runner) ask(ctx context.Context, method, key, query, name, value string) (answer, error) {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	return r.wire.ask(ctx, method, r.bucket, r.full(key), query, nil, name, value)
}

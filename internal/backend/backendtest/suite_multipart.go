package backendtest

import (
	"bytes"
	"context"
	"crypto/md5" //nolint:gosec // what S3 makes ETags of
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/s3mirror/s3mirror/internal/backend"
	"github.com/s3mirror/s3mirror/internal/object"
	"github.com/s3mirror/s3mirror/internal/s3"
	"github.com/s3mirror/s3mirror/internal/sigv4"
)

// minPart is the least size of a part that is not the last, in bytes.
func (g Target) minPart() int {
	if g.MinPart > 0 {
		return g.MinPart
	}
	return s3.MinPartBytes
}

// upload is one under way, and what its parts shall be.
type upload struct {
	g       Target
	t       *testing.T
	key, id string
	sum     s3.UploadChecksum
}

func (g Target) begin(t *testing.T, key string, change ...func(*backend.CreateUploadRequest)) *upload {
	t.Helper()
	r := backend.CreateUploadRequest{Bucket: g.Bucket, Key: key}
	for _, c := range change {
		c(&r)
	}
	id, err := g.Endpoint.CreateUpload(t.Context(), r)
	must(t, err)
	return &upload{g, t, key, id, r.Checksum}
}

// try sends a part; where the upload has checksums, in the header unless a
// trailer brings it.
func (u *upload) try(ctx context.Context, number int, data []byte, f backend.Framing, change ...func(*backend.PartRequest)) (backend.PutResult, error) {
	body, err := backend.NewBody(bytes.NewReader(data), f)
	if err != nil {
		return backend.PutResult{}, err
	}
	r := backend.PartRequest{Bucket: u.g.Bucket, Key: u.key, UploadID: u.id, Number: number, Size: int64(len(data)), Body: body, Framing: f}
	if u.sum.Algorithm != "" && !f.Mode.Trailing() {
		r.Checksums = object.Headers{u.sum.Header(): checksum(u.sum.Algorithm, data)}
	}
	for _, c := range change {
		c(&r)
	}
	return u.g.Endpoint.PutPart(ctx, r)
}

func (u *upload) put(number int, data []byte, f backend.Framing) s3.CompletedPart {
	u.t.Helper()
	res, err := u.try(u.t.Context(), number, data, f)
	must(u.t, err)
	return u.named(number, data, res)
}

// named is how a Complete names the part.
func (u *upload) named(number int, data []byte, res backend.PutResult) s3.CompletedPart {
	u.t.Helper()
	p := s3.CompletedPart{Number: number, ETag: res.ETag}
	if u.sum.Algorithm != "" {
		p.Algorithm, p.Checksum = u.sum.Algorithm, checksum(u.sum.Algorithm, data)
		if got := res.Checksums[u.sum.Header()]; got != "" && got != p.Checksum {
			u.t.Errorf("part %d: checksum %q, want %q", number, got, p.Checksum)
		}
	}
	if res.ETag == "" {
		u.t.Errorf("part %d has no ETag", number)
	}
	return p
}

func (u *upload) complete(parts ...s3.CompletedPart) (backend.PutResult, error) {
	return u.g.Endpoint.CompleteUpload(u.t.Context(), backend.CompleteRequest{Bucket: u.g.Bucket, Key: u.key, UploadID: u.id, Parts: parts})
}

func (u *upload) parts(t *testing.T, max int) (all []s3.Part) {
	t.Helper()
	for after := 0; ; {
		page, err := u.g.Endpoint.ListParts(t.Context(), backend.ListPartsRequest{Bucket: u.g.Bucket, Key: u.key, UploadID: u.id, After: after, Max: max})
		must(t, err)
		if len(page.Parts) > max {
			t.Fatalf("%d parts in a page of %d", len(page.Parts), max)
		}
		all = append(all, page.Parts...)
		if after = page.Next; after == 0 {
			return all
		}
	}
}

func checksum(algorithm string, data []byte) string {
	h := s3.NewChecksum(algorithm)
	h.Write(data)
	return base64.StdEncoding.EncodeToString(h.Sum(nil))
}

func md5Of(data []byte) string {
	sum := md5.Sum(data) //nolint:gosec // see above
	return hex.EncodeToString(sum[:])
}

// testUploads puts an object together in every framing: parts out of order, one
// put twice, one left out.
func testUploads(t *testing.T, g Target) {
	sums := []s3.UploadChecksum{{}, {Algorithm: "crc32", Type: s3.Composite}, {Algorithm: "crc64nvme", Type: s3.FullObject}, {Algorithm: "sha256", Type: s3.Composite}, {Algorithm: "crc32c", Type: s3.FullObject}}
	n := 0
	for name, framing := range g.framings() {
		n++
		_, algorithm, trailing := strings.Cut(name, "TRAILER ")
		sum := sums[n%len(sums)]
		if trailing { // the trailer's algorithm must be the upload's
			sum = s3.UploadChecksum{Algorithm: algorithm, Type: s3.Composite}
			if algorithm == "crc64nvme" {
				sum.Type = s3.FullObject
			}
		}
		t.Run(fmt.Sprintf("%s, %s %s", name, sum.Algorithm, sum.Type), func(t *testing.T) { g.testUpload(t, framing, sum) })
	}
}

func (g Target) testUpload(t *testing.T, framing func([]byte) backend.Framing, sum s3.UploadChecksum) {
	a, b, c := random(g.minPart()), random(g.minPart()+1), random(17)
	whole := slices.Concat(a, b, c)
	stamp := object.Stamp{ID: object.NewID(), Flag: object.FlagMultipart, Uploaded: time.Now().UTC().Truncate(time.Millisecond)}
	u := g.begin(t, "upload", func(r *backend.CreateUploadRequest) {
		r.Headers = object.Headers{"content-type": "text/x-thing", "x-amz-meta-a": "b  c", "cache-control": "no-cache"}
		r.Stamp, r.Checksum, r.Tags = stamp, sum, object.Tags{"k": "v w"}
	})
	p9 := u.put(9, c, framing(c))
	u.put(4, random(33), framing(random(33)))
	p2 := u.put(2, a, framing(a))
	p4 := u.put(4, b, framing(b))
	u.put(10_000, nil, framing(nil))
	for _, max := range []int{1, 3, 1000} {
		var numbers []int
		for _, p := range u.parts(t, max) {
			numbers = append(numbers, p.Number)
			if p.Number == 4 && (p.Size != int64(len(b)) || p.ETag != p4.ETag || p.Modified.IsZero()) {
				t.Errorf("%+v, want %+v", p, p4)
			}
		}
		if !slices.Equal(numbers, []int{2, 4, 9, 10_000}) {
			t.Errorf("parts %v", numbers)
		}
	}
	res, err := u.complete(p2, p4, p9)
	must(t, err)
	g.stands(t, "upload", whole)
	seen, err := g.Endpoint.Head(t.Context(), g.Bucket, "upload")
	must(t, err)
	if res.ETag != seen.ETag || seen.ID != stamp.ID || seen.Flag != stamp.Flag || !seen.Uploaded.Equal(stamp.Uploaded) ||
		seen.Headers["content-type"] != "text/x-thing" || seen.Headers["x-amz-meta-a"] != "b  c" || seen.Headers["cache-control"] != "no-cache" {
		t.Errorf("answered %q, stands %+v", res.ETag, seen)
	}
	if want, _ := s3.MultipartETag([]string{md5Of(a), md5Of(b), md5Of(c)}); !g.OpaqueETags && res.ETag != want {
		t.Errorf("ETag %s, want %s", res.ETag, want)
	}
	g.checkSums(t, sum, whole, seen, a, b, c)
	tags, err := g.Endpoint.Tags(t.Context(), g.Bucket, "upload")
	must(t, err)
	if !tags.Equal(object.Tags{"k": "v w"}) {
		t.Errorf("tags %v", tags)
	}
	if sizes, err := g.Endpoint.PartSizes(t.Context(), g.Bucket, "upload", seen.ETag); err != nil || !slices.Equal(sizes, []int64{int64(len(a)), int64(len(b)), int64(len(c))}) {
		t.Errorf("sizes of parts %v, %v", sizes, err)
	}
	// Again: some remember and some do not, and nothing changes.
	if again, err := u.complete(p2, p4, p9); err == nil && again.ETag != res.ETag {
		t.Errorf("completed again: %+v", again)
	} else if err != nil {
		_ = wants(t, err, backend.Absent)
	}
	g.stands(t, "upload", whole)
}

// checkSums holds the object's checksum against that of its bytes or parts.
func (g Target) checkSums(t *testing.T, sum s3.UploadChecksum, whole []byte, seen object.Seen, parts ...[]byte) {
	t.Helper()
	if sum.Algorithm == "" {
		return
	}
	var sums []s3.PartSum
	for _, p := range parts {
		sums = append(sums, s3.PartSum{Value: checksum(sum.Algorithm, p), Size: int64(len(p))})
	}
	want, err := sum.Join(sums)
	must(t, err)
	if sum.Type == s3.FullObject && want != checksum(sum.Algorithm, whole) {
		t.Errorf("joined %s, of all bytes %s", want, checksum(sum.Algorithm, whole))
	}
	if got := seen.Headers[sum.Header()]; got != want || seen.Headers["x-amz-checksum-type"] != string(sum.Type) {
		t.Errorf("checksum %q %q, want %q %s", got, seen.Headers["x-amz-checksum-type"], want, sum.Type)
	}
}

// testUploadsRefused expects that what does not add up changes nothing.
func testUploadsRefused(t *testing.T, g Target) {
	old := random(100)
	g.put(t, "refused", old, literal(old))
	u := g.begin(t, "refused", func(r *backend.CreateUploadRequest) {
		r.Checksum = s3.UploadChecksum{Algorithm: "crc32", Type: s3.Composite}
	})
	small, last := random(50), random(5)
	p1, p2 := u.put(1, small, literal(small)), u.put(2, last, literal(last))
	other := p1
	other.ETag = "0123456789abcdef0123456789abcdef"
	sum := p1
	sum.Checksum = "AAAAAA=="
	missing := p2
	missing.Number = 3
	for name, c := range map[string]struct {
		parts []s3.CompletedPart
		code  s3.Code
	}{
		"another ETag":     {[]s3.CompletedPart{other}, s3.InvalidPart},
		"another checksum": {[]s3.CompletedPart{sum}, s3.InvalidPart},
		"no such part":     {[]s3.CompletedPart{missing}, s3.InvalidPart},
		"too small":        {[]s3.CompletedPart{p1, p2}, s3.EntityTooSmall},
	} {
		_, err := u.complete(c.parts...)
		if e := wants(t, err, backend.Refused); !errors.Is(e, c.code) || e.Misconfigured {
			t.Errorf("%s: %v, want %s", name, err, c.code)
		}
		g.stands(t, "refused", old)
	}
	_, err := g.Endpoint.CompleteUpload(t.Context(), backend.CompleteRequest{Bucket: g.Bucket, Key: "refused", UploadID: u.id, Parts: []s3.CompletedPart{p1},
		Checksums: object.Headers{"x-amz-checksum-crc32": "AAAAAA==-1"}})
	if e := wants(t, err, backend.Refused); !errors.Is(e, s3.BadDigest) {
		t.Errorf("another checksum of the object: %v", err)
	}
	g.stands(t, "refused", old)
	if _, err := u.complete(p1); err != nil {
		t.Errorf("after all that: %v", err)
	}
	g.stands(t, "refused", small)
}

// testUploadsAbsent expects that an upload which is not there is said to be
// Absent, and a bucket which is not there is our misconfiguration.
func testUploadsAbsent(t *testing.T, g Target) {
	ctx := t.Context()
	u := g.begin(t, "gone")
	p := u.put(1, random(10), literal(random(10)))
	must(t, g.Endpoint.AbortUpload(ctx, g.Bucket, "gone", u.id))
	if err := g.Endpoint.AbortUpload(ctx, g.Bucket, "gone", u.id); err != nil { // some do not tell
		_ = wants(t, err, backend.Absent)
	}
	check := func(what string, err error) {
		t.Helper()
		if e := wants(t, err, backend.Absent); e.Misconfigured || !errors.Is(e, s3.NoSuchUpload) {
			t.Errorf("%s: %v", what, err)
		}
	}
	_, err := u.try(ctx, 1, random(10), literal(random(10)))
	check("put part", err)
	_, err = u.complete(p)
	check("complete", err)
	_, err = g.Endpoint.ListParts(ctx, backend.ListPartsRequest{Bucket: g.Bucket, Key: "gone", UploadID: u.id})
	check("list parts", err)
	seen, err := g.Endpoint.Head(ctx, g.Bucket, "gone")
	must(t, err)
	if seen.Kind != object.Tombstone {
		t.Error("an object stands")
	}

	nowhere := g.Bucket + "-3"
	_, err = g.Endpoint.CreateUpload(ctx, backend.CreateUploadRequest{Bucket: nowhere, Key: "gone"})
	misconfigured(t, "create upload", err)
	_, err = g.Endpoint.ListUploads(ctx, nowhere, backend.ListUploadsRequest{})
	misconfigured(t, "list uploads", err)
	misconfigured(t, "abort", g.Endpoint.AbortUpload(ctx, nowhere, "gone", u.id))
}

// testCutParts expects that a part which ends early, wherever, is a definitive no
// and leaves the old part.
func testCutParts(t *testing.T, g Target) {
	u := g.begin(t, "cut part")
	old := random(1000)
	p := u.put(1, old, literal(old))
	for name, framing := range g.framings() {
		if strings.Contains(name, "TRAILER") {
			continue // its algorithm would have to be the upload's
		}
		data := random(300_000)
		for _, good := range []int{0, len(data) / 2, len(data) - 1} {
			f := framing(data)
			_, err := u.try(t.Context(), 1, data, f, func(r *backend.PartRequest) { r.Body = brokenBody(t, data, good, f) })
			if e := wants(t, err, backend.NotSent); !errors.Is(err, errBroken) || e.Released {
				t.Errorf("%s, %d of %d bytes: %v", name, good, len(data), err)
			}
		}
	}
	_, err := u.try(t.Context(), 1, random(5000), literal(old))
	if e := wants(t, err, backend.Refused); e.Misconfigured {
		t.Errorf("hash of another body: %v", err)
	}
	if all := u.parts(t, 10); len(all) != 1 || all[0].ETag != p.ETag || all[0].Size != 1000 {
		t.Errorf("%+v", all)
	}
	must(t, g.Endpoint.AbortUpload(t.Context(), g.Bucket, "cut part", u.id))
}

func testListUploads(t *testing.T, g Target) {
	ctx := t.Context()
	want := map[string]string{} // ids to keys
	for _, key := range []string{"list up/a b+c", "list up/a", "list up/ä", "list up/z/1", "list up/z/2"} {
		want[g.begin(t, key).id] = key
	}
	twice := g.begin(t, "list up/a").id
	want[twice] = "list up/a"
	other := g.begin(t, "other")
	for _, max := range []int{1, 2, 4, 1000} {
		got := map[string]string{}
		for r := (backend.ListUploadsRequest{Prefix: "list up/", Max: max}); ; {
			page, err := g.Endpoint.ListUploads(ctx, g.Bucket, r)
			must(t, err)
			if len(page.Uploads) > max {
				t.Fatalf("%d uploads in a page of %d", len(page.Uploads), max)
			}
			for _, u := range page.Uploads {
				if got[u.ID] != "" || u.Started.IsZero() {
					t.Errorf("by %d: %+v, again or without a time", max, u)
				}
				got[u.ID] = u.Key
			}
			if r.After = page.Next; r.After == (backend.UploadMark{}) {
				break
			}
		}
		missing := 0
		for id, key := range want {
			if got[id] != key {
				missing++
				if !g.SkipsUploads || key != "list up/a" {
					t.Errorf("by %d: upload of %q is listed as %q", max, key, got[id])
				}
			}
		}
		if len(got) != len(want)-missing {
			t.Errorf("by %d: %v", max, got)
		}
	}
	for id, key := range want {
		must(t, g.Endpoint.AbortUpload(ctx, g.Bucket, key, id))
	}
	must(t, g.Endpoint.AbortUpload(ctx, g.Bucket, "other", other.id))
	page, err := g.Endpoint.ListUploads(ctx, g.Bucket, backend.ListUploadsRequest{Prefix: "list up/"})
	must(t, err)
	if len(page.Uploads) != 0 || page.Next != (backend.UploadMark{}) {
		t.Errorf("left: %+v", page)
	}
}

// testCompleteReplaces expects that the object is as it was until the upload is
// complete, and then all new.
func testCompleteReplaces(t *testing.T, g Target) {
	old := random(100)
	g.put(t, "replace", old, literal(old), func(r *backend.PutRequest) { r.Headers = object.Headers{"x-amz-meta-old": "1"} })
	u := g.begin(t, "replace", func(r *backend.CreateUploadRequest) { r.Headers = object.Headers{"x-amz-meta-new": "2"} })
	data := random(1000)
	p := u.put(1, data, backend.Framing{Mode: sigv4.Signed})
	g.stands(t, "replace", old)
	// A part may bring a checksum that the upload did not announce.
	more := random(7)
	res, err := u.try(t.Context(), 2, more, literal(more), func(r *backend.PartRequest) {
		r.Checksums = object.Headers{"x-amz-checksum-crc32": checksum("crc32", more)}
	})
	must(t, err)
	if got := res.Checksums["x-amz-checksum-crc32"]; got != "" && got != checksum("crc32", more) {
		t.Errorf("checksum %q", got)
	}
	_, err = u.try(t.Context(), 2, random(8), literal(random(8)), func(r *backend.PartRequest) {
		r.Checksums = object.Headers{"x-amz-checksum-crc32": "AAAAAA=="}
	})
	if e := wants(t, err, backend.Refused); !errors.Is(e, s3.BadDigest) || e.Misconfigured {
		t.Errorf("another checksum: %v", err)
	}
	_, err = u.complete(p)
	must(t, err)
	g.stands(t, "replace", data)
	seen, err := g.Endpoint.Head(t.Context(), g.Bucket, "replace")
	must(t, err)
	if seen.Headers["x-amz-meta-old"] != "" || seen.Headers["x-amz-meta-new"] != "2" {
		t.Errorf("%v", seen.Headers)
	}
}

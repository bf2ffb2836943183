package replica_test

import (
	"context"
	"encoding/base64"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/s3mirror/s3mirror/internal/memory"
	"github.com/s3mirror/s3mirror/internal/object"
	"github.com/s3mirror/s3mirror/internal/replica"
	"github.com/s3mirror/s3mirror/internal/s3"
)

// withSums is withUploads over backends that keep S3's own checksum, but those named.
func withSums(t *testing.T, without string, do func(r *rig)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		t.Cleanup(func() { time.Sleep(time.Second) }) // servers look after connections that were cut
		r := newRig(t, memory.NewLog(), "a", "b", "c")
		r.open(func(o *replica.Options) {
			uploadTimes(o)
			o.Qualify = func(_ context.Context, name, _ string) (replica.Quality, error) {
				if name == without {
					return replica.Quality{}, nil
				}
				return replica.Quality{Sums: []string{s3.DefaultChecksum}}, nil
			}
		})
		r.makeBucket()
		do(r)
	})
}

// crc64 is S3's own checksum of data.
func crc64(data []byte) string {
	h := s3.NewChecksum(s3.DefaultChecksum)
	h.Write(data)
	return base64.StdEncoding.EncodeToString(h.Sum(nil))
}

// giving sends a part with a checksum of the client's.
func (p *pieces) giving(number int, data []byte, algorithm string) object.Info {
	p.r.t.Helper()
	u := newUpload(data)
	u.promised = s3.Checksum{Algorithm: algorithm}
	u.ComputeChecksum(algorithm)
	info, err := p.r.set.PutPart(p.r.ctx, replica.PartRequest{Key: p.key, UploadID: p.id, Number: number, Body: u})
	if err != nil {
		p.r.t.Fatal(err)
	}
	p.data[number], p.etags[number] = data, info.ETag
	time.Sleep(time.Millisecond)
	return info
}

// TestUploadThatWasBegunWithoutChecksum has S3's own, of the whole, whoever answers and whoever
// was healed; of its parts the client hears what it gave, and no more.
func TestUploadThatWasBegunWithoutChecksum(t *testing.T) {
	withSums(t, "", func(r *rig) {
		p := r.begin("k", s3.UploadChecksum{})
		if info, err := p.try(1, content(5<<20, 1)); err != nil || len(info.Headers) != 0 {
			t.Fatalf("a part is answered with %v, %v", info.Headers, err)
		}
		p.put(1, content(5<<20, 1))
		r.wires["c"].plug(true) // it leaves the upload, and is healed
		if info := p.giving(2, content(5<<20, 2), "crc32"); sumText(info.Headers) == "" || len(info.Headers) != 1 {
			t.Errorf("a part with a CRC32 is answered with %v", info.Headers)
		}
		if info := p.giving(3, content(100, 3), s3.DefaultChecksum); len(info.Headers) != 1 || info.Headers["x-amz-checksum-crc64nvme"] != crc64(content(100, 3)) {
			t.Errorf("a part with a CRC64NVME is answered with %v", info.Headers)
		}
		source := content(1000, 4)
		r.mustPut("source", source)
		copied, err := r.set.CopyPart(r.ctx, replica.CopyPartRequest{
			Key: p.key, UploadID: p.id, Number: 3, Source: key("source"), Span: func(i object.Info) (s3.Range, error) { return s3.Range{Length: i.Size}, nil },
		})
		if err != nil || len(copied.Headers) != 0 {
			t.Errorf("a part that is copied is answered with %v, %v", copied.Headers, err)
		}
		p.data[3] = source
		page, err := r.set.ListUploadParts(r.ctx, p.key, p.id, 0, 10)
		if err != nil || page.Checksum != (s3.UploadChecksum{}) || len(page.Parts) != 3 || len(page.Parts[0].Sums)+len(page.Parts[2].Sums) != 0 || len(page.Parts[1].Sums) != 1 {
			t.Errorf("the parts are told as %+v, %v", page, err)
		}
		want := s3.DefaultChecksum + " " + crc64(p.whole())
		if info := p.complete(); sumText(info.Headers) != want || info.Headers["x-amz-checksum-type"] != string(s3.FullObject) {
			t.Errorf("completed with %v, want %s", info.Headers, want)
		}
		r.mustGet("k", p.whole())
		r.wires["c"].plug(false)
		r.converge()
		for _, name := range r.names {
			r.only(name)
			if got := r.sumsOf("k"); got != want {
				t.Errorf("%s tells %q, want %q", name, got, want)
			}
			r.only("")
			if got := sumText(r.stored(name)["k"].Headers); got != want {
				t.Errorf("%s holds %q, want %q", name, got, want)
			}
		}
		r.equal()
	})
}

// Where one replica does not know the algorithm an upload has no checksum, as before.
func TestUploadWithoutChecksumWhereOneLosesIt(t *testing.T) {
	withSums(t, "b", func(r *rig) {
		p := r.begin("k", s3.UploadChecksum{})
		p.put(1, content(5<<20, 1))
		p.giving(2, content(10, 2), "crc32")
		if info := p.complete(); sumText(info.Headers) != "" {
			t.Errorf("completed with %v", info.Headers)
		}
		r.converge()
		if got := r.sumsOf("k"); got != "" {
			t.Errorf("it is told with %s", got)
		}
	})
}

// TestEmptyPart: nothing of an empty body can be held back, so it is sent when the client's end
// of it is known to be right.
func TestEmptyPart(t *testing.T) {
	withUploads(t, func(t *testing.T, r *rig) {
		for _, sum := range []s3.UploadChecksum{{}, {Algorithm: "crc32", Type: s3.FullObject}} {
			p := r.begin("k", sum)
			body := &pausing{upload: newUpload(nil), rest: time.Second}
			if sum.Algorithm != "" {
				body.ComputeChecksum(sum.Algorithm)
			}
			if _, err := r.set.PutPart(r.ctx, replica.PartRequest{Key: p.key, UploadID: p.id, Number: 1, Body: body}); err != nil {
				t.Errorf("%v: %v", sum, err)
			}
			wrong := &pausing{upload: newUpload(nil), rest: time.Second}
			wrong.fault = s3.Err(s3.BadDigest)
			if _, err := r.set.PutPart(r.ctx, replica.PartRequest{Key: p.key, UploadID: p.id, Number: 2, Body: wrong}); !errors.Is(err, s3.BadDigest) {
				t.Errorf("%v: a wrong body: %v", sum, err)
			}
			r.converge()
			for _, name := range r.names {
				if n := r.counts[name].of("PUT", "k"); n != 1 {
					t.Errorf("%v: %s was sent %d parts", sum, name, n)
				}
				r.counts[name].reset()
			}
			if info := p.complete(); info.Size != 0 {
				t.Errorf("completed as %+v", info)
			}
			r.mustGet("k", nil)
		}
	})
}

// pausing is a body that tells its end after a rest.
type pausing struct {
	*upload
	rest time.Duration
}

func (p *pausing) Read(b []byte) (int, error) {
	n, err := p.upload.Read(b)
	if err != nil {
		time.Sleep(p.rest)
	}
	return n, err
}

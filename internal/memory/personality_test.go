package memory_test

import (
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awss3 "github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"

	"github.com/s3mirror/s3mirror/internal/memory"
	"github.com/s3mirror/s3mirror/internal/s3"
	"github.com/s3mirror/s3mirror/internal/sigv4"
)

func TestOpaqueETags(t *testing.T) {
	f := newForeign(t, memory.Personality{OpaqueETags: true})
	out := f.put("key", []byte("data"))
	if etag := aws.ToString(out.ETag); len(etag) != 42 || aws.ToString(f.stands("key", []byte("data")).ETag) != etag {
		t.Errorf("ETag %s", etag)
	}
	id := f.create("large")
	parts := f.parts("large", id, "", random(1000), random(1))
	done, err := f.complete("large", id, parts)
	if err != nil || strings.Contains(aws.ToString(done.ETag), "-") || aws.ToString(f.stands("large", append(random(1000), random(1)...)).ETag) != aws.ToString(done.ETag) {
		t.Errorf("%+v, %v", done, err)
	}
	copied, err := f.CopyObject(bg, &awss3.CopyObjectInput{Bucket: f.bucket, Key: aws.String("copy"), CopySource: aws.String("bucket/key")})
	if err != nil || aws.ToString(copied.CopyObjectResult.ETag) != aws.ToString(out.ETag) {
		t.Errorf("%+v, %v", copied, err)
	}
}

// TestDroppedChecksums: verified, and forgotten.
func TestDroppedChecksums(t *testing.T) {
	f := newForeign(t, memory.Personality{DropsChecksums: true})
	f.put("key", []byte("data"), func(in *awss3.PutObjectInput) { in.ChecksumAlgorithm = "SHA1" })
	if got := f.stands("key", []byte("data")); got.ChecksumSHA1 != nil {
		t.Errorf("%+v", got)
	}
	_, err := f.PutObject(bg, &awss3.PutObjectInput{Bucket: f.bucket, Key: aws.String("key"), Body: strings.NewReader("other"), ChecksumCRC32: aws.String("AAAAAA==")})
	code(t, err, "BadDigest")
	id := f.create("large", func(in *awss3.CreateMultipartUploadInput) { in.ChecksumAlgorithm = "CRC32" })
	parts := f.parts("large", id, "CRC32", random(1000), random(1))
	parts[0].ChecksumCRC32 = aws.String(crc(random(1000)))
	done, err := f.complete("large", id, parts, func(in *awss3.CompleteMultipartUploadInput) { in.ChecksumType = "COMPOSITE" })
	if err != nil || done.ChecksumCRC32 != nil {
		t.Errorf("%+v, %v", done, err)
	}
}

func TestIgnoredPartNumber(t *testing.T) {
	f := newForeign(t, memory.Personality{IgnoresPartNumber: true})
	id := f.create("key")
	if _, err := f.complete("key", id, f.parts("key", id, "", random(1000), random(10))); err != nil {
		t.Fatal(err)
	}
	out, err := f.GetObject(bg, &awss3.GetObjectInput{Bucket: f.bucket, Key: aws.String("key"), PartNumber: aws.Int32(2)})
	if err != nil {
		t.Fatal(err)
	}
	out.Body.Close()
	if aws.ToInt64(out.ContentLength) != 1010 || out.ContentRange != nil || out.PartsCount != nil {
		t.Errorf("%+v", out)
	}
}

// TestUploadsThatAreNotThere: the two servers that answer otherwise than AWS.
func TestUploadsThatAreNotThere(t *testing.T) {
	f := newForeign(t, memory.Personality{ForgetsCompleted: true, AbortsAnything: true, MaxParts: 10})
	id := f.create("key")
	parts := f.parts("key", id, "", random(1000))
	if _, err := f.complete("key", id, parts); err != nil {
		t.Fatal(err)
	}
	_, err := f.complete("key", id, parts)
	code(t, err, "NoSuchUpload")
	if _, err := f.AbortMultipartUpload(bg, &awss3.AbortMultipartUploadInput{Bucket: f.bucket, Key: aws.String("key"), UploadId: id}); err != nil {
		t.Error(err)
	}
	_, err = f.AbortMultipartUpload(bg, &awss3.AbortMultipartUploadInput{Bucket: aws.String("nowhere"), Key: aws.String("key"), UploadId: id})
	code(t, err, "NoSuchBucket")
	f.stands("key", random(1000))
	_, err = f.part("key", f.create("key"), 11, random(1), "")
	code(t, err, "InvalidArgument")
}

// TestBlanks looks at the bytes: one declaration, blanks, then the document or
// the error, and always 200.
func TestBlanks(t *testing.T) {
	_, endpoint := serve(t, memory.Options{Personality: memory.Personality{Blanks: 4}})
	r := connect(t, endpoint)
	must(t, put(r, "source", "data"))
	for source, want := range map[string]string{"source": "<CopyObjectResult", "nothing": ""} {
		req, err := http.NewRequest("PUT", endpoint+"/bucket/copy", nil)
		must(t, err)
		req.Header.Set("X-Amz-Copy-Source", "/bucket/"+source)
		sigv4.NewSigner(accessKey, secretKey, region).Sign(req, "/bucket/copy", "", "UNSIGNED-PAYLOAD", time.Now())
		resp, err := (&http.Client{Transport: transport(t)}).Do(req)
		must(t, err)
		body, err := io.ReadAll(resp.Body)
		must(t, err)
		resp.Body.Close()
		if want == "" { // known before anything long begins
			if resp.StatusCode != 404 || !strings.Contains(string(body), "NoSuchKey") {
				t.Errorf("%d %s", resp.StatusCode, body)
			}
			continue
		}
		if resp.StatusCode != 200 || !strings.HasPrefix(string(body), "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n    "+want) || strings.Count(string(body), "<?xml") != 1 {
			t.Errorf("%d %s", resp.StatusCode, body)
		}
	}
}

// TestUploadFaults: what is lost, late, unanswered or refused of uploads,
// copies and batches.
func TestUploadFaults(t *testing.T) {
	for _, blanks := range []int{0, 2} {
		f := newForeign(t, memory.Personality{Blanks: blanks})
		faults := func(op s3.OperationName, m memory.Faults) {
			m.Ops = []s3.OperationName{op}
			f.server.SetFaults(m)
		}
		id := f.create("key")
		faults(s3.UploadPart, memory.Faults{LosePartRate: 1})
		lost, err := f.part("key", id, 2, random(10), "")
		if err != nil {
			t.Fatal(err)
		}
		f.server.SetFaults(memory.Faults{})
		parts := append(f.parts("key", id, "", random(1000)), lost)
		_, err = f.complete("key", id, parts)
		code(t, err, "InvalidPart")
		if parts[1], err = f.part("key", id, 2, random(10), ""); err != nil {
			t.Fatal(err)
		}
		faults(s3.CompleteMultipartUpload, memory.Faults{DropRate: 1})
		if out, err := f.complete("key", id, parts); err == nil {
			t.Errorf("answered %+v", out)
		}
		f.server.SetFaults(memory.Faults{})
		f.stands("key", append(random(1000), random(10)...))
		if _, err := f.complete("key", id, parts); err != nil {
			t.Errorf("asked again: %v", err)
		}

		id = f.create("late")
		parts = f.parts("late", id, "", random(5))
		faults(s3.CompleteMultipartUpload, memory.Faults{LateRate: 1, LateBy: 100 * time.Millisecond})
		if out, err := f.complete("late", id, parts); err == nil {
			t.Errorf("answered %+v", out)
		}
		f.server.SetFaults(memory.Faults{})
		eventually(t, "the late object stands", func() bool { return f.server.Pending() == 0 && f.server.Stats().Uploads == 0 })
		f.stands("late", random(5))

		faults(s3.CopyObject, memory.Faults{ErrorRate: 1, ErrorCode: s3.SlowDown})
		_, err = f.CopyObject(bg, &awss3.CopyObjectInput{Bucket: f.bucket, Key: aws.String("copy"), CopySource: aws.String("bucket/late")})
		code(t, err, "SlowDown")
		f.server.SetFaults(memory.Faults{})

		var many []types.ObjectIdentifier
		for i := range 50 {
			f.put(fmt.Sprint("m", i), nil)
			many = append(many, types.ObjectIdentifier{Key: aws.String(fmt.Sprint("m", i))})
		}
		faults(s3.DeleteObjects, memory.Faults{KeyErrorRate: 0.5})
		out, err := f.DeleteObjects(bg, &awss3.DeleteObjectsInput{Bucket: f.bucket, Delete: &types.Delete{Objects: many}})
		if err != nil || len(out.Errors) == 0 || len(out.Deleted) == 0 || len(out.Errors)+len(out.Deleted) != 50 || f.server.Stats().Objects != 2+len(out.Errors) {
			t.Errorf("%d deleted, %d not, %v, %+v", len(out.Deleted), len(out.Errors), err, f.server.Stats())
		}
	}
}

// TestStartOrderedUploads: an upload is as old as its start, so it may succeed
// and not be seen.
func TestStartOrderedUploads(t *testing.T) {
	f := newForeign(t, memory.Personality{})
	f.server.SetFaults(memory.Faults{StartOrdered: true})
	id := f.create("key")
	parts := f.parts("key", id, "", random(5))
	f.put("key", []byte("newer"))
	if _, err := f.complete("key", id, parts); err != nil {
		t.Fatal(err)
	}
	f.stands("key", []byte("newer"))
	if st := f.server.Stats(); st.Bytes != 5 || st.Uploads != 0 {
		t.Errorf("%+v", st)
	}
	// A delete in a batch is a delete.
	id = f.create("gone")
	parts = f.parts("gone", id, "", random(5))
	if _, err := f.DeleteObjects(bg, &awss3.DeleteObjectsInput{Bucket: f.bucket, Delete: &types.Delete{Objects: []types.ObjectIdentifier{{Key: aws.String("gone")}}}}); err != nil {
		t.Fatal(err)
	}
	if _, err := f.complete("gone", id, parts); err != nil {
		t.Fatal(err)
	}
	if st := f.server.Stats(); st.Objects != 1 {
		t.Errorf("%+v", st)
	}
}

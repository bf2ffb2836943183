package memory_test

import (
	"bytes"
	"crypto/md5"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	awss3 "github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
	"github.com/minio/minio-go/v7"
	"github.com/minio/minio-go/v7/pkg/credentials"
	"github.com/minio/minio-go/v7/pkg/tags"

	"github.com/s3mirror/s3mirror/internal/memory"
	"github.com/s3mirror/s3mirror/internal/s3"
	"github.com/s3mirror/s3mirror/internal/sigv4"
)

// minPart is what the servers of these tests ask of a part.
const minPart = 1000

// foreign is the AWS SDK on a bucket of a server of its own.
type foreign struct {
	*awss3.Client
	t      *testing.T
	server *memory.Server
	bucket *string
}

func newForeign(t *testing.T, p memory.Personality) *foreign {
	t.Helper()
	if p.MinPartBytes == 0 {
		p.MinPartBytes = minPart
	}
	srv, endpoint := serve(t, memory.Options{Personality: p})
	f := &foreign{awsClient(endpoint, &http.Client{Transport: transport(t)}), t, srv, aws.String("bucket")}
	if _, err := f.CreateBucket(bg, &awss3.CreateBucketInput{Bucket: f.bucket, CreateBucketConfiguration: &types.CreateBucketConfiguration{LocationConstraint: region}}); err != nil {
		t.Fatal(err)
	}
	return f
}

func (f *foreign) create(key string, change ...func(*awss3.CreateMultipartUploadInput)) *string {
	f.t.Helper()
	in := &awss3.CreateMultipartUploadInput{Bucket: f.bucket, Key: &key}
	for _, c := range change {
		c(in)
	}
	out, err := f.CreateMultipartUpload(bg, in)
	if err != nil {
		f.t.Fatal(err)
	}
	return out.UploadId
}

func (f *foreign) part(key string, id *string, n int32, data []byte, a types.ChecksumAlgorithm) (types.CompletedPart, error) {
	out, err := f.UploadPart(bg, &awss3.UploadPartInput{Bucket: f.bucket, Key: &key, UploadId: id, PartNumber: &n, Body: bytes.NewReader(data), ChecksumAlgorithm: a},
		func(o *awss3.Options) {
			if a == "" {
				o.RequestChecksumCalculation = aws.RequestChecksumCalculationWhenRequired
			}
		})
	if err != nil {
		return types.CompletedPart{}, err
	}
	return types.CompletedPart{ETag: out.ETag, PartNumber: &n, ChecksumCRC32: out.ChecksumCRC32, ChecksumCRC32C: out.ChecksumCRC32C,
		ChecksumCRC64NVME: out.ChecksumCRC64NVME, ChecksumSHA1: out.ChecksumSHA1, ChecksumSHA256: out.ChecksumSHA256}, nil
}

func (f *foreign) parts(key string, id *string, a types.ChecksumAlgorithm, datas ...[]byte) (all []types.CompletedPart) {
	f.t.Helper()
	for i, data := range datas {
		p, err := f.part(key, id, int32(i+1), data, a)
		if err != nil {
			f.t.Fatal(err)
		}
		all = append(all, p)
	}
	return all
}

func (f *foreign) complete(key string, id *string, parts []types.CompletedPart, change ...func(*awss3.CompleteMultipartUploadInput)) (*awss3.CompleteMultipartUploadOutput, error) {
	in := &awss3.CompleteMultipartUploadInput{Bucket: f.bucket, Key: &key, UploadId: id, MultipartUpload: &types.CompletedMultipartUpload{Parts: parts}}
	for _, c := range change {
		c(in)
	}
	return f.CompleteMultipartUpload(bg, in)
}

// stands reads an object, and lets the SDK verify its checksum.
func (f *foreign) stands(key string, want []byte) *awss3.GetObjectOutput {
	f.t.Helper()
	out, err := f.GetObject(bg, &awss3.GetObjectInput{Bucket: f.bucket, Key: &key, ChecksumMode: types.ChecksumModeEnabled})
	if err != nil {
		f.t.Fatal(err)
	}
	defer out.Body.Close()
	if got, err := io.ReadAll(out.Body); err != nil || !bytes.Equal(got, want) {
		f.t.Fatalf("%s: %d bytes, want %d, %v", key, len(got), len(want), err)
	}
	return out
}

func (f *foreign) put(key string, data []byte, change ...func(*awss3.PutObjectInput)) *awss3.PutObjectOutput {
	f.t.Helper()
	in := &awss3.PutObjectInput{Bucket: f.bucket, Key: &key, Body: bytes.NewReader(data)}
	for _, c := range change {
		c(in)
	}
	out, err := f.PutObject(bg, in)
	if err != nil {
		f.t.Fatal(err)
	}
	return out
}

// multipartETag is what AWS says of parts.
func multipartETag(parts ...[]byte) string {
	h := md5.New()
	for _, p := range parts {
		sum := md5.Sum(p)
		h.Write(sum[:])
	}
	return `"` + hex.EncodeToString(h.Sum(nil)) + "-" + strconv.Itoa(len(parts)) + `"`
}

func checksums(a types.ChecksumAlgorithm, out *awss3.CompleteMultipartUploadOutput) string {
	return aws.ToString(map[types.ChecksumAlgorithm]*string{"CRC32": out.ChecksumCRC32, "CRC32C": out.ChecksumCRC32C, "CRC64NVME": out.ChecksumCRC64NVME,
		"SHA1": out.ChecksumSHA1, "SHA256": out.ChecksumSHA256}[a])
}

func sumOf(a types.ChecksumAlgorithm, data []byte) []byte {
	h := s3.NewChecksum(strings.ToLower(string(a)))
	h.Write(data)
	return h.Sum(nil)
}

// TestUploads: parts in any order, put again, left out; the ETag, the checksum
// and the parts of the object are AWS's.
func TestUploads(t *testing.T) {
	a, b, c := random(1500), random(1000), random(7)
	whole := slices.Concat(a, b, c)
	for _, blanks := range []int{0, 3} {
		f := newForeign(t, memory.Personality{Blanks: blanks})
		for _, alg := range []types.ChecksumAlgorithm{"", "CRC32", "CRC32C", "CRC64NVME", "SHA1", "SHA256"} {
			for _, kind := range []types.ChecksumType{"", "COMPOSITE", "FULL_OBJECT"} {
				if kind != "" && alg == "" || kind == "COMPOSITE" && alg == "CRC64NVME" || kind == "FULL_OBJECT" && strings.HasPrefix(string(alg), "SHA") {
					continue
				}
				t.Run(fmt.Sprintf("%s %s %d blanks", alg, kind, blanks), func(t *testing.T) {
					f.t = t
					id := f.create("key", func(in *awss3.CreateMultipartUploadInput) {
						in.ChecksumAlgorithm, in.ChecksumType = alg, kind
						in.Metadata, in.ContentType, in.Tagging = map[string]string{"a": "b"}, aws.String("text/x-thing"), aws.String("t=1&u=2")
					})
					var parts []types.CompletedPart
					for _, p := range []struct {
						n    int32
						data []byte
					}{{5, c}, {3, random(1234)}, {2, a}, {3, b}, {9, random(5000)}} {
						part, err := f.part("key", id, p.n, p.data, alg)
						if err != nil {
							t.Fatal(err)
						}
						parts = append(parts, part)
					}
					named := []types.CompletedPart{parts[2], parts[3], parts[0]}
					out, err := f.complete("key", id, named)
					if err != nil {
						t.Fatal(err)
					}
					if aws.ToString(out.ETag) != multipartETag(a, b, c) || aws.ToString(out.Key) != "key" || !strings.HasSuffix(aws.ToString(out.Location), "/bucket/key") {
						t.Errorf("%+v", out)
					}
					want := ""
					switch {
					case alg == "":
					case kind == "FULL_OBJECT" || alg == "CRC64NVME":
						want = base64.StdEncoding.EncodeToString(sumOf(alg, whole))
					default:
						want = base64.StdEncoding.EncodeToString(sumOf(alg, slices.Concat(sumOf(alg, a), sumOf(alg, b), sumOf(alg, c)))) + "-3"
					}
					if got := checksums(alg, out); got != want {
						t.Errorf("checksum %q, want %q", got, want)
					}
					got := f.stands("key", whole)
					if got.Metadata["a"] != "b" || aws.ToString(got.ContentType) != "text/x-thing" || aws.ToInt32(got.TagCount) != 2 || aws.ToString(got.ETag) != aws.ToString(out.ETag) {
						t.Errorf("%+v", got)
					}
					for i, p := range [][]byte{a, b, c} {
						part, err := f.GetObject(bg, &awss3.GetObjectInput{Bucket: f.bucket, Key: aws.String("key"), PartNumber: aws.Int32(int32(i + 1))})
						if err != nil {
							t.Fatal(err)
						}
						data, err := io.ReadAll(part.Body)
						part.Body.Close()
						if err != nil || !bytes.Equal(data, p) || aws.ToInt32(part.PartsCount) != 3 {
							t.Errorf("part %d: %d bytes of %d, %v", i+1, len(data), aws.ToInt32(part.PartsCount), err)
						}
					}
					again, err := f.complete("key", id, named)
					if err != nil || aws.ToString(again.ETag) != aws.ToString(out.ETag) || checksums(alg, again) != want {
						t.Errorf("completed again: %+v, %v", again, err)
					}
					if st := f.server.Stats(); st.Uploads != 0 || st.Bytes != int64(len(whole)) {
						t.Errorf("%+v", st)
					}
				})
			}
		}
	}
}

// TestUploadsRefused: AWS's code, and nothing changed.
func TestUploadsRefused(t *testing.T) {
	for _, blanks := range []int{0, 2} {
		f := newForeign(t, memory.Personality{Blanks: blanks})
		old := f.put("key", []byte("old"))
		id := f.create("key", func(in *awss3.CreateMultipartUploadInput) { in.ChecksumAlgorithm = "CRC32" })
		p := f.parts("key", id, "CRC32", random(1000), random(999), random(5))
		plain := f.create("plain")
		q := f.parts("plain", plain, "", random(5))
		other := p[1]
		other.ETag = aws.String("\"00000000000000000000000000000000\"")
		unsummed := p[0]
		unsummed.ChecksumCRC32 = nil
		wrong := p[0]
		wrong.ChecksumCRC32 = aws.String("AAAAAA==")
		missing := p[2]
		missing.PartNumber = aws.Int32(4)
		for name, c := range map[string]struct {
			id     *string
			key    string
			parts  []types.CompletedPart
			change func(*awss3.CompleteMultipartUploadInput)
			code   string
		}{
			"no parts":           {id, "key", nil, nil, "MalformedXML"},
			"order":              {id, "key", []types.CompletedPart{p[1], p[0]}, nil, "InvalidPartOrder"},
			"small":              {id, "key", p, nil, "EntityTooSmall"},
			"ETag":               {id, "key", []types.CompletedPart{p[0], other}, nil, "InvalidPart"},
			"missing":            {id, "key", []types.CompletedPart{p[0], missing}, nil, "InvalidPart"},
			"checksum missing":   {id, "key", []types.CompletedPart{unsummed}, nil, "InvalidRequest"},
			"checksum of a part": {id, "key", []types.CompletedPart{wrong}, nil, "InvalidPart"},
			"checksum":           {id, "key", p[:1], func(in *awss3.CompleteMultipartUploadInput) { in.ChecksumCRC32 = aws.String("AAAAAA==-1") }, "BadDigest"},
			"type":               {id, "key", p[:1], func(in *awss3.CompleteMultipartUploadInput) { in.ChecksumType = "FULL_OBJECT" }, "InvalidRequest"},
			"size":               {id, "key", p[:1], func(in *awss3.CompleteMultipartUploadInput) { in.MpuObjectSize = aws.Int64(999) }, "InvalidRequest"},
			"condition":          {id, "key", p[:1], func(in *awss3.CompleteMultipartUploadInput) { in.IfNoneMatch = aws.String("*") }, "PreconditionFailed"},
			"another condition":  {id, "key", p[:1], func(in *awss3.CompleteMultipartUploadInput) { in.IfMatch = p[0].ETag }, "PreconditionFailed"},
			"unknown upload":     {aws.String("nothing"), "key", p[:1], nil, "NoSuchUpload"},
			"another key's":      {plain, "key", q, nil, "NoSuchUpload"},
		} {
			change := func(*awss3.CompleteMultipartUploadInput) {}
			if c.change != nil {
				change = c.change
			}
			_, err := f.complete(c.key, c.id, c.parts, change)
			if err == nil {
				t.Errorf("%s: done", name)
				continue
			}
			code(t, err, c.code)
			f.stands("key", []byte("old"))
		}
		// Part numbers, uploads and checksums of parts.
		for _, n := range []int32{0, 10_001} {
			_, err := f.part("plain", plain, n, random(5), "")
			code(t, err, "InvalidArgument")
		}
		_, err := f.part("plain", id, 1, random(5), "")
		code(t, err, "NoSuchUpload")
		_, err = f.part("key", id, 1, random(5), "")
		code(t, err, "InvalidRequest")
		_, err = f.part("key", id, 1, random(5), "SHA1")
		code(t, err, "InvalidRequest")
		_, err = f.CreateMultipartUpload(bg, &awss3.CreateMultipartUploadInput{Bucket: f.bucket, Key: aws.String("x"), ChecksumAlgorithm: "SHA1", ChecksumType: "FULL_OBJECT"})
		code(t, err, "InvalidRequest")
		_, err = f.CreateMultipartUpload(bg, &awss3.CreateMultipartUploadInput{Bucket: aws.String("nowhere"), Key: aws.String("x")})
		code(t, err, "NoSuchBucket")
		// After all that the upload is as it was.
		if _, err := f.complete("key", id, p[:1], func(in *awss3.CompleteMultipartUploadInput) { in.IfMatch = old.ETag }); err != nil {
			t.Error(err)
		}
		f.stands("key", random(1000))
		if _, err := f.AbortMultipartUpload(bg, &awss3.AbortMultipartUploadInput{Bucket: f.bucket, Key: aws.String("plain"), UploadId: plain}); err != nil {
			t.Error(err)
		}
		for _, gone := range []*string{id, plain} {
			_, err = f.AbortMultipartUpload(bg, &awss3.AbortMultipartUploadInput{Bucket: f.bucket, Key: aws.String("plain"), UploadId: gone})
			code(t, err, "NoSuchUpload")
		}
		_, err = f.part("plain", plain, 1, random(5), "")
		code(t, err, "NoSuchUpload")
		if st := f.server.Stats(); st.Uploads != 0 || st.Bytes != 1000 {
			t.Errorf("%+v", st)
		}
	}
}

// TestUnannouncedChecksums: SDKs give each part a checksum though the upload was
// begun without; it is verified, and may be named or not.
func TestUnannouncedChecksums(t *testing.T) {
	f := newForeign(t, memory.Personality{})
	data := random(1000)
	for name, change := range map[string]func(*types.CompletedPart){
		"named":     func(*types.CompletedPart) {},
		"not named": func(p *types.CompletedPart) { p.ChecksumCRC32 = nil },
		"another":   func(p *types.CompletedPart) { p.ChecksumCRC32 = aws.String("AAAAAA==") },
	} {
		up, err := f.CreateMultipartUpload(bg, &awss3.CreateMultipartUploadInput{Bucket: f.bucket, Key: aws.String("key")},
			func(o *awss3.Options) { o.RequestChecksumCalculation = aws.RequestChecksumCalculationWhenRequired })
		if err != nil || up.ChecksumAlgorithm != "" {
			t.Fatalf("%+v, %v", up, err)
		}
		p, err := f.part("key", up.UploadId, 1, data, "CRC32")
		if err != nil || aws.ToString(p.ChecksumCRC32) != crc(data) {
			t.Fatalf("%+v, %v", p, err)
		}
		list, err := f.ListParts(bg, &awss3.ListPartsInput{Bucket: f.bucket, Key: aws.String("key"), UploadId: up.UploadId})
		if err != nil || aws.ToString(list.Parts[0].ChecksumCRC32) != crc(data) || list.ChecksumAlgorithm != "null" {
			t.Errorf("%+v, %v", list, err)
		}
		change(&p)
		_, err = f.complete("key", up.UploadId, []types.CompletedPart{p})
		if name == "another" {
			code(t, err, "InvalidPart")
			continue
		}
		if err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if got := f.stands("key", data); got.ChecksumCRC32 != nil {
			t.Errorf("%s: %+v", name, got)
		}
	}
}

// TestPartStrictness: a part is held to the checks of a body like an object.
func TestPartStrictness(t *testing.T) {
	_, endpoint := serve(t, memory.Options{})
	c := awsClient(endpoint, &http.Client{Transport: transport(t)})
	connect(t, endpoint)
	b, key := aws.String("bucket"), aws.String("key")
	up, err := c.CreateMultipartUpload(bg, &awss3.CreateMultipartUploadInput{Bucket: b, Key: key, ChecksumAlgorithm: "CRC32", ChecksumType: "FULL_OBJECT"})
	if err != nil {
		t.Fatal(err)
	}
	in := &awss3.UploadPartInput{Bucket: b, Key: key, UploadId: up.UploadId, PartNumber: aws.Int32(1), Body: strings.NewReader("old"), ChecksumAlgorithm: "CRC32"}
	old, err := c.UploadPart(bg, in)
	if err != nil {
		t.Fatal(err)
	}
	target := "/bucket/key?partNumber=1&uploadId=" + *up.UploadId
	stands := func(what string) {
		t.Helper()
		out, err := c.ListParts(bg, &awss3.ListPartsInput{Bucket: b, Key: key, UploadId: up.UploadId})
		if err != nil || len(out.Parts) != 1 || aws.ToString(out.Parts[0].ETag) != aws.ToString(old.ETag) {
			t.Fatalf("%s: %+v, %v", what, out, err)
		}
	}
	for _, br := range breaches() {
		for _, mode := range br.modes {
			br.put.mode, br.put.data, br.put.target = mode, bytes.Repeat([]byte("d"), 100_000), target
			status, code := br.put.send(t, endpoint)
			if status == 200 || br.code != "" && status != 0 && code != br.code && !strings.Contains(br.name, "copy source") {
				t.Errorf("%s, %v: answered %d %s, want %s", br.name, mode, status, code, br.code)
			}
			stands(fmt.Sprint(br.name, mode))
		}
	}
	for _, mode := range []sigv4.Mode{sigv4.Literal, sigv4.Unsigned, sigv4.UnsignedTrailer, sigv4.Signed, sigv4.SignedTrailer} {
		if status, code := (raw{mode: mode, data: []byte("new"), target: target}).send(t, endpoint); status != 200 {
			t.Errorf("%v: %d %s", mode, status, code)
		}
	}
	if out, err := c.ListParts(bg, &awss3.ListPartsInput{Bucket: b, Key: key, UploadId: up.UploadId}); err != nil || aws.ToString(out.Parts[0].ChecksumCRC32) != crc([]byte("new")) {
		t.Errorf("the checksum that the client left out: %+v, %v", out, err)
	}
}

// TestUploadLists: pages of any size put together are the whole, in order.
func TestUploadLists(t *testing.T) {
	f := newForeign(t, memory.Personality{})
	want := map[string]string{}
	var order []string
	for _, key := range []string{"a", "a", "a", "b/1", "b/2", "c d", "z", "é"} {
		id := f.create(key)
		want[*id] = key
		order = append(order, key)
	}
	for _, max := range []int32{1, 2, 3, 1000} {
		var keys []string
		seen := map[string]bool{}
		p := awss3.NewListMultipartUploadsPaginator(f.Client, &awss3.ListMultipartUploadsInput{Bucket: f.bucket, MaxUploads: &max, EncodingType: "url"})
		for p.HasMorePages() {
			page, err := p.NextPage(bg)
			if err != nil {
				t.Fatal(err)
			}
			for _, u := range page.Uploads {
				key, err := s3.DecodeQuery(*u.Key)
				must(t, err)
				if want[*u.UploadId] != key || seen[*u.UploadId] || u.Initiated == nil {
					t.Errorf("%+v", u)
				}
				seen[*u.UploadId] = true
				keys = append(keys, key)
			}
		}
		if !slices.Equal(keys, order) {
			t.Errorf("by %d: %q, want %q", max, keys, order)
		}
	}
	for _, max := range []int32{1, 2, 1000} {
		var got []string
		p := awss3.NewListMultipartUploadsPaginator(f.Client, &awss3.ListMultipartUploadsInput{Bucket: f.bucket, MaxUploads: &max, Delimiter: aws.String("/")})
		for p.HasMorePages() {
			page, err := p.NextPage(bg)
			if err != nil {
				t.Fatal(err)
			}
			for _, u := range page.Uploads {
				got = append(got, *u.Key)
			}
			for _, p := range page.CommonPrefixes {
				got = append(got, *p.Prefix)
			}
		}
		if slices.Sort(got); !slices.Equal(got, []string{"a", "a", "a", "b/", "c d", "z", "é"}) {
			t.Errorf("by %d: %q", max, got)
		}
	}
	id := f.create("parts")
	for _, n := range []int32{7, 2, 10_000, 2, 3} {
		if _, err := f.part("parts", id, n, random(int(n)%100), ""); err != nil {
			t.Fatal(err)
		}
	}
	for _, max := range []int32{1, 2, 1000} {
		var got []int32
		p := awss3.NewListPartsPaginator(f.Client, &awss3.ListPartsInput{Bucket: f.bucket, Key: aws.String("parts"), UploadId: id, MaxParts: &max})
		for p.HasMorePages() {
			page, err := p.NextPage(bg)
			if err != nil {
				t.Fatal(err)
			}
			for _, part := range page.Parts {
				got = append(got, *part.PartNumber)
				if *part.Size != int64(*part.PartNumber%100) {
					t.Errorf("%+v", part)
				}
			}
		}
		if !slices.Equal(got, []int32{2, 3, 7, 10_000}) {
			t.Errorf("by %d: %v", max, got)
		}
	}
	if out, err := f.ListMultipartUploads(bg, &awss3.ListMultipartUploadsInput{Bucket: f.bucket, MaxUploads: aws.Int32(0)}); err != nil || len(out.Uploads) != 0 || aws.ToBool(out.IsTruncated) {
		t.Errorf("%+v, %v", out, err)
	}
	// A bucket goes with its uploads.
	if _, err := f.DeleteBucket(bg, &awss3.DeleteBucketInput{Bucket: f.bucket}); err != nil {
		t.Error(err)
	}
	if st := f.server.Stats(); st != (memory.Stats{}) {
		t.Errorf("%+v", st)
	}
}

func TestCopies(t *testing.T) {
	for _, blanks := range []int{0, 2} {
		f := newForeign(t, memory.Personality{Blanks: blanks})
		data := random(3000)
		source := f.put("source", data, func(in *awss3.PutObjectInput) {
			in.ContentType, in.Metadata, in.Tagging, in.ChecksumAlgorithm = aws.String("text/x"), map[string]string{"a": "1"}, aws.String("t=1"), "SHA1"
			in.WebsiteRedirectLocation = aws.String("/elsewhere")
		})
		do := func(key string, change ...func(*awss3.CopyObjectInput)) (*awss3.CopyObjectOutput, error) {
			in := &awss3.CopyObjectInput{Bucket: f.bucket, Key: &key, CopySource: aws.String("bucket/source")}
			for _, c := range change {
				c(in)
			}
			return f.CopyObject(bg, in)
		}
		out, err := do("copy")
		if err != nil || aws.ToString(out.CopyObjectResult.ETag) != aws.ToString(source.ETag) || aws.ToString(out.CopyObjectResult.ChecksumSHA1) != aws.ToString(source.ChecksumSHA1) {
			t.Fatalf("%+v, %v", out, err)
		}
		got := f.stands("copy", data)
		if aws.ToString(got.ContentType) != "text/x" || got.Metadata["a"] != "1" || aws.ToInt32(got.TagCount) != 1 || aws.ToString(got.WebsiteRedirectLocation) != "" {
			t.Errorf("%+v", got)
		}
		_, err = do("replaced", func(in *awss3.CopyObjectInput) {
			in.MetadataDirective, in.TaggingDirective, in.ChecksumAlgorithm = "REPLACE", "REPLACE", "CRC64NVME"
			in.Metadata, in.ContentType, in.Tagging = map[string]string{"b": "2"}, aws.String("text/y"), aws.String("u=2&v=3")
			in.CopySourceIfMatch = source.ETag
		})
		if err != nil {
			t.Fatal(err)
		}
		got = f.stands("replaced", data)
		if aws.ToString(got.ContentType) != "text/y" || got.Metadata["b"] != "2" || got.Metadata["a"] != "" || aws.ToInt32(got.TagCount) != 2 || aws.ToString(got.ChecksumCRC64NVME) == "" || aws.ToString(got.ChecksumSHA1) != "" {
			t.Errorf("%+v", got)
		}
		if _, err := do("source", func(in *awss3.CopyObjectInput) { in.MetadataDirective = "REPLACE" }); err != nil {
			t.Errorf("onto itself with other metadata: %v", err)
		}
		for name, c := range map[string]struct {
			change func(*awss3.CopyObjectInput)
			code   string
		}{
			"itself":        {func(in *awss3.CopyObjectInput) { in.Key = aws.String("source") }, "InvalidRequest"},
			"no source":     {func(in *awss3.CopyObjectInput) { in.CopySource = aws.String("bucket/nothing") }, "NoSuchKey"},
			"no bucket":     {func(in *awss3.CopyObjectInput) { in.CopySource = aws.String("nowhere/source") }, "NoSuchBucket"},
			"nowhere":       {func(in *awss3.CopyObjectInput) { in.Bucket = aws.String("nowhere") }, "NoSuchBucket"},
			"version":       {func(in *awss3.CopyObjectInput) { in.CopySource = aws.String("bucket/source?versionId=1") }, "InvalidArgument"},
			"if match":      {func(in *awss3.CopyObjectInput) { in.CopySourceIfMatch = aws.String("x") }, "PreconditionFailed"},
			"if none match": {func(in *awss3.CopyObjectInput) { in.CopySourceIfNoneMatch = source.ETag }, "PreconditionFailed"},
			"target":        {func(in *awss3.CopyObjectInput) { in.IfNoneMatch = aws.String("*") }, "PreconditionFailed"},
			"directive":     {func(in *awss3.CopyObjectInput) { in.MetadataDirective = "MERGE" }, "InvalidArgument"},
		} {
			if _, err := do("copy", c.change); err == nil {
				t.Errorf("%s: done", name)
			} else {
				code(t, err, c.code)
			}
		}
		f.stands("copy", data)

		// A copy of parts, and what becomes of a multipart object that is copied.
		id := f.create("put together", func(in *awss3.CreateMultipartUploadInput) { in.ChecksumAlgorithm = "CRC32C" })
		var parts []types.CompletedPart
		for i, r := range []string{"bytes=0-999", "bytes=1000-2999", ""} {
			in := &awss3.UploadPartCopyInput{Bucket: f.bucket, Key: aws.String("put together"), UploadId: id, PartNumber: aws.Int32(int32(i + 1)), CopySource: aws.String("/bucket/copy"), CopySourceIfMatch: source.ETag}
			if r != "" {
				in.CopySourceRange = &r
			}
			out, err := f.UploadPartCopy(bg, in)
			if err != nil {
				t.Fatal(err)
			}
			parts = append(parts, types.CompletedPart{ETag: out.CopyPartResult.ETag, ChecksumCRC32C: out.CopyPartResult.ChecksumCRC32C, PartNumber: in.PartNumber})
		}
		for r, want := range map[string]string{"bytes=0-3000": "InvalidArgument", "bytes=0-": "InvalidArgument"} {
			_, err := f.UploadPartCopy(bg, &awss3.UploadPartCopyInput{Bucket: f.bucket, Key: aws.String("put together"), UploadId: id, PartNumber: aws.Int32(1), CopySource: aws.String("bucket/copy"), CopySourceRange: &r})
			code(t, err, want)
		}
		done, err := f.complete("put together", id, parts)
		if err != nil || aws.ToString(done.ETag) != multipartETag(data[:1000], data[1000:], data) {
			t.Fatalf("%+v, %v", done, err)
		}
		f.stands("put together", slices.Concat(data, data))
		out, err = do("flat", func(in *awss3.CopyObjectInput) { in.CopySource = aws.String("bucket/put%20together") })
		sum := md5.Sum(slices.Concat(data, data))
		if err != nil || aws.ToString(out.CopyObjectResult.ETag) != `"`+hex.EncodeToString(sum[:])+`"` {
			t.Errorf("%+v, %v", out, err)
		}
		if st := f.server.Stats(); st.Bytes != 3*3000+2*6000 {
			t.Errorf("%+v", st)
		}
	}
}

func TestBatchesTagsAttributes(t *testing.T) {
	f := newForeign(t, memory.Personality{})
	for _, key := range []string{"a", "b <&> c", "d"} {
		f.put(key, []byte(key))
	}
	etag := f.put("e", []byte("e")).ETag
	out, err := f.DeleteObjects(bg, &awss3.DeleteObjectsInput{Bucket: f.bucket, Delete: &types.Delete{Objects: []types.ObjectIdentifier{
		{Key: aws.String("a")}, {Key: aws.String("b <&> c")}, {Key: aws.String("nothing")}, {Key: aws.String("d"), ETag: etag}, {Key: aws.String("e"), ETag: etag}, {Key: aws.String("x"), VersionId: aws.String("1")},
	}}})
	if err != nil || len(out.Deleted) != 4 || len(out.Errors) != 2 || aws.ToString(out.Errors[0].Code) != "PreconditionFailed" || aws.ToString(out.Errors[1].Code) != "InvalidArgument" {
		t.Fatalf("%+v, %v", out, err)
	}
	f.stands("d", []byte("d"))
	if out, err := f.DeleteObjects(bg, &awss3.DeleteObjectsInput{Bucket: f.bucket, Delete: &types.Delete{Quiet: aws.Bool(true), Objects: []types.ObjectIdentifier{{Key: aws.String("d")}}}}); err != nil || len(out.Deleted) != 0 {
		t.Errorf("%+v, %v", out, err)
	}
	if st := f.server.Stats(); st.Objects != 0 || st.Bytes != 0 {
		t.Errorf("%+v", st)
	}
	many := make([]types.ObjectIdentifier, 1001)
	for i := range many {
		many[i].Key = aws.String(fmt.Sprint(i))
	}
	_, err = f.DeleteObjects(bg, &awss3.DeleteObjectsInput{Bucket: f.bucket, Delete: &types.Delete{Objects: many}})
	code(t, err, "MalformedXML")
	_, err = f.DeleteObjects(bg, &awss3.DeleteObjectsInput{Bucket: aws.String("nowhere"), Delete: &types.Delete{Objects: many[:1]}})
	code(t, err, "NoSuchBucket")

	f.put("k", []byte("k"), func(in *awss3.PutObjectInput) { in.Tagging = aws.String("a=1") })
	tagging := func() map[string]string {
		t.Helper()
		out, err := f.GetObjectTagging(bg, &awss3.GetObjectTaggingInput{Bucket: f.bucket, Key: aws.String("k")})
		if err != nil {
			t.Fatal(err)
		}
		all := map[string]string{}
		for _, tag := range out.TagSet {
			all[*tag.Key] = *tag.Value
		}
		return all
	}
	if got := tagging(); len(got) != 1 || got["a"] != "1" {
		t.Errorf("%v", got)
	}
	set := func(key string, pairs ...string) error {
		in := &awss3.PutObjectTaggingInput{Bucket: f.bucket, Key: &key, Tagging: &types.Tagging{TagSet: []types.Tag{}}}
		for i := 0; i < len(pairs); i += 2 {
			in.Tagging.TagSet = append(in.Tagging.TagSet, types.Tag{Key: &pairs[i], Value: &pairs[i+1]})
		}
		_, err := f.PutObjectTagging(bg, in)
		return err
	}
	if err := set("k", "b", "2", "c é", "3 +"); err != nil {
		t.Error(err)
	}
	if got := tagging(); len(got) != 2 || got["c é"] != "3 +" {
		t.Errorf("%v", got)
	}
	code(t, set("k", "b", "2", "b", "3"), "InvalidTag")
	code(t, set("k", "b", "&"), "InvalidTag")
	code(t, set("nothing", "b", "2"), "NoSuchKey")
	f.stands("k", []byte("k"))
	if _, err := f.DeleteObjectTagging(bg, &awss3.DeleteObjectTaggingInput{Bucket: f.bucket, Key: aws.String("k")}); err != nil || len(tagging()) != 0 {
		t.Error(err, tagging())
	}
	_, err = f.GetObjectTagging(bg, &awss3.GetObjectTaggingInput{Bucket: f.bucket, Key: aws.String("nothing")})
	code(t, err, "NoSuchKey")

	id := f.create("m", func(in *awss3.CreateMultipartUploadInput) { in.ChecksumAlgorithm = "SHA256" })
	if _, err := f.complete("m", id, f.parts("m", id, "SHA256", random(1000), random(20))); err != nil {
		t.Fatal(err)
	}
	attributes, err := f.GetObjectAttributes(bg, &awss3.GetObjectAttributesInput{Bucket: f.bucket, Key: aws.String("m"), ObjectAttributes: types.ObjectAttributes("").Values()})
	if err != nil || aws.ToString(attributes.ETag) != strings.Trim(multipartETag(random(1000), random(20)), `"`) || aws.ToInt64(attributes.ObjectSize) != 1020 || attributes.LastModified == nil ||
		aws.ToInt32(attributes.ObjectParts.TotalPartsCount) != 2 || len(attributes.ObjectParts.Parts) != 2 || aws.ToInt64(attributes.ObjectParts.Parts[1].Size) != 20 ||
		attributes.Checksum.ChecksumType != "COMPOSITE" || !strings.HasSuffix(aws.ToString(attributes.Checksum.ChecksumSHA256), "-2") {
		t.Errorf("%+v, %v", attributes, err)
	}
	_, err = f.GetObjectAttributes(bg, &awss3.GetObjectAttributesInput{Bucket: f.bucket, Key: aws.String("nothing"), ObjectAttributes: types.ObjectAttributes("").Values()})
	code(t, err, "NoSuchKey")
	_, err = f.GetObject(bg, &awss3.GetObjectInput{Bucket: f.bucket, Key: aws.String("m"), PartNumber: aws.Int32(3)})
	code(t, err, "InvalidPartNumber")
}

// TestMinioUploads: another client puts large objects together by itself.
func TestMinioUploads(t *testing.T) {
	srv, plain := serve(t, memory.Options{})
	secure := serveTLS(t)
	creds := credentials.NewStaticV4(accessKey, secretKey, "")
	data := random(11<<20 + 7)
	for name, o := range map[string]struct {
		endpoint string
		o        minio.Options
	}{
		"http":  {strings.TrimPrefix(plain, "http://"), minio.Options{Creds: creds, Transport: transport(t)}},
		"https": {strings.TrimPrefix(secure.URL, "https://"), minio.Options{Creds: creds, Secure: true, Transport: secure.Client().Transport, TrailingHeaders: true}},
	} {
		t.Run(name, func(t *testing.T) {
			c, err := minio.New(o.endpoint, &o.o)
			must(t, err)
			must(t, c.MakeBucket(bg, "minio", minio.MakeBucketOptions{Region: region}))
			for _, size := range []int64{int64(len(data)), -1} {
				info, err := c.PutObject(bg, "minio", "large", bytes.NewReader(data), size, minio.PutObjectOptions{PartSize: 5 << 20, UserTags: map[string]string{"a": "b c"}})
				if err != nil || !strings.HasSuffix(info.ETag, "-3") {
					t.Fatalf("%d: %+v, %v", size, info, err)
				}
				obj, err := c.GetObject(bg, "minio", "large", minio.GetObjectOptions{})
				must(t, err)
				got, err := io.ReadAll(obj)
				obj.Close()
				if err != nil || !bytes.Equal(got, data) {
					t.Errorf("%d bytes, %v", len(got), err)
				}
			}
			tg, err := c.GetObjectTagging(bg, "minio", "large", minio.GetObjectTaggingOptions{})
			if err != nil || tg.ToMap()["a"] != "b c" {
				t.Errorf("%v, %v", tg, err)
			}
			more, err := tags.NewTags(map[string]string{"x": "y"}, true)
			must(t, err)
			must(t, c.PutObjectTagging(bg, "minio", "large", more, minio.PutObjectTaggingOptions{}))
			must(t, c.RemoveObjectTagging(bg, "minio", "large", minio.RemoveObjectTaggingOptions{}))
			if _, err := c.CopyObject(bg, minio.CopyDestOptions{Bucket: "minio", Object: "copy"}, minio.CopySrcOptions{Bucket: "minio", Object: "large"}); err != nil {
				t.Error(err)
			}
			composed, err := c.ComposeObject(bg, minio.CopyDestOptions{Bucket: "minio", Object: "composed"}, minio.CopySrcOptions{Bucket: "minio", Object: "large"}, minio.CopySrcOptions{Bucket: "minio", Object: "copy"})
			if err != nil || composed.Size != 2*int64(len(data)) {
				t.Errorf("%+v, %v", composed, err)
			}
			gone := make(chan minio.ObjectInfo, 3)
			for _, key := range []string{"large", "copy", "composed"} {
				gone <- minio.ObjectInfo{Key: key}
			}
			close(gone)
			for e := range c.RemoveObjects(bg, "minio", gone, minio.RemoveObjectsOptions{}) {
				t.Errorf("%+v", e)
			}
			for u := range c.ListIncompleteUploads(bg, "minio", "", true) {
				t.Errorf("left: %+v", u)
			}
			must(t, c.RemoveBucket(bg, "minio"))
		})
	}
	if st := srv.Stats(); st != (memory.Stats{}) {
		t.Errorf("%+v", st)
	}
}

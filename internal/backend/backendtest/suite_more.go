package backendtest

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/s3mirror/s3mirror/internal/backend"
	"github.com/s3mirror/s3mirror/internal/object"
	"github.com/s3mirror/s3mirror/internal/s3"
)

func testCopy(t *testing.T, g Target) {
	ctx := t.Context()
	data := random(20_000)
	old := object.Stamp{ID: object.NewID(), Flag: object.FlagSmall, Uploaded: time.Now()}
	res := g.put(t, "source a+b", data, literal(data), func(r *backend.PutRequest) {
		r.Headers = object.Headers{"x-amz-meta-old": "1", "content-type": "text/old", "cache-control": "no-cache"}
		r.Stamp, r.Tags = old, object.Tags{"old": "1"}
	})
	stamp := object.Stamp{ID: object.NewID(), Flag: object.FlagStream, Uploaded: time.Now().UTC().Truncate(time.Millisecond)}
	r := backend.CopyRequest{
		Bucket: g.Bucket, Key: "copy é", Source: backend.CopySource{Bucket: g.Bucket, Key: "source a+b", ETag: res.ETag},
		Headers: object.Headers{"x-amz-meta-new": "2", "content-type": "text/new"}, Stamp: stamp, Tags: object.Tags{"new": "2 3"}, Algorithm: "crc32",
	}
	copied, err := g.Endpoint.Copy(ctx, r)
	must(t, err)
	g.stands(t, "copy é", data)
	seen, err := g.Endpoint.Head(ctx, g.Bucket, "copy é")
	must(t, err)
	if copied.ETag != seen.ETag || !g.OpaqueETags && copied.ETag != md5Of(data) || copied.ModTime.IsZero() || seen.ID != stamp.ID || seen.Flag != stamp.Flag {
		t.Errorf("%+v, stands %+v", copied, seen)
	}
	want := object.Headers{"x-amz-meta-new": "2", "content-type": "text/new"}
	rest := seen.Headers.Clone()
	maps.DeleteFunc(rest, func(name, _ string) bool { return strings.HasPrefix(name, object.ChecksumPrefix) })
	if !rest.Equal(want) {
		t.Errorf("headers %v, want %v", rest, want)
	}
	if got := seen.Headers["x-amz-checksum-crc32"]; got != checksum("crc32", data) {
		t.Errorf("checksum %q", got)
	}
	tags, err := g.Endpoint.Tags(ctx, g.Bucket, "copy é")
	must(t, err)
	if !tags.Equal(r.Tags) {
		t.Errorf("tags %v", tags)
	}

	again := random(300)
	g.put(t, "source a+b", again, literal(again))
	_, err = g.Endpoint.Copy(ctx, r)
	if e := wants(t, err, backend.Refused); !errors.Is(e, s3.PreconditionFailed) || e.Misconfigured {
		t.Errorf("a source that changed: %v", err)
	}
	r.Source.Key = "nothing"
	_, err = g.Endpoint.Copy(ctx, r)
	if e := wants(t, err, backend.Absent); e.Misconfigured {
		t.Errorf("no source: %v", err)
	}
	g.stands(t, "copy é", data)
	r.Bucket = g.Bucket + "-3"
	_, err = g.Endpoint.Copy(ctx, r)
	_ = wants(t, err, backend.Refused, backend.Absent) // which of the two is missing comes first
}

func testCopyPart(t *testing.T, g Target) {
	ctx := t.Context()
	data := random(g.minPart() + 1000)
	res := g.put(t, "source", data, literal(data))
	for _, sum := range []s3.UploadChecksum{{}, {Algorithm: "crc32c", Type: s3.FullObject}} {
		u := g.begin(t, "pieced", func(r *backend.CreateUploadRequest) { r.Checksum = sum })
		r := backend.CopyPartRequest{Bucket: g.Bucket, Key: "pieced", UploadID: u.id, Number: 1, Source: backend.CopySource{Bucket: g.Bucket, Key: "source", ETag: res.ETag}}
		first, err := g.Endpoint.CopyPart(ctx, r)
		must(t, err)
		r.Number, r.Offset, r.Length = 2, 100, 700
		second, err := g.Endpoint.CopyPart(ctx, r)
		must(t, err)
		_, err = u.complete(u.named(1, data, first), u.named(2, data[100:800], second))
		must(t, err)
		g.stands(t, "pieced", slices.Concat(data, data[100:800]))
	}
	u := g.begin(t, "pieced")
	r := backend.CopyPartRequest{Bucket: g.Bucket, Key: "pieced", UploadID: u.id, Number: 1, Source: backend.CopySource{Bucket: g.Bucket, Key: "source", ETag: "0123456789abcdef0123456789abcdef"}}
	_, err := g.Endpoint.CopyPart(ctx, r)
	if e := wants(t, err, backend.Refused); !errors.Is(e, s3.PreconditionFailed) {
		t.Errorf("a source that changed: %v", err)
	}
	r.Source.ETag, r.Offset, r.Length = res.ETag, int64(len(data)), 1
	_, err = g.Endpoint.CopyPart(ctx, r)
	if e := wants(t, err, backend.Refused); e.Misconfigured {
		t.Errorf("behind the end: %v", err)
	}
	r.Source.Key, r.Offset, r.Length = "nothing", 0, 0
	_, err = g.Endpoint.CopyPart(ctx, r)
	_ = wants(t, err, backend.Absent)
	if all := u.parts(t, 10); len(all) != 0 {
		t.Errorf("%+v", all)
	}
	must(t, g.Endpoint.AbortUpload(ctx, g.Bucket, "pieced", u.id))
}

func testDeleteMany(t *testing.T, g Target) {
	ctx := t.Context()
	keys := []string{"many/a b+c", "many/é <&>\"'", "many/dir/x", "many/tab\there"}
	if !g.FoldsKeys {
		keys = append(keys, "many/\x01control", "many/new\nline\r")
	}
	for i := range 30 {
		keys = append(keys, fmt.Sprint("many/", i))
	}
	for _, key := range keys {
		g.put(t, key, []byte(key), literal([]byte(key)))
	}
	g.put(t, "many-more", []byte("x"), literal([]byte("x")))
	results, err := g.Endpoint.DeleteMany(ctx, g.Bucket, append(slices.Clone(keys), "many/nothing", keys[0]))
	must(t, err)
	if len(results) != len(keys)+2 {
		t.Fatalf("%d results of %d keys", len(results), len(keys)+2)
	}
	for i, err := range results {
		if err != nil {
			t.Errorf("key %d: %v", i, err)
		}
	}
	page, err := g.Endpoint.List(ctx, g.Bucket, backend.ListRequest{Prefix: "many"})
	must(t, err)
	if got := keysOf(page.Entries); !slices.Equal(got, []string{"many-more"}) {
		t.Errorf("left: %q", got)
	}
	must(t, g.Endpoint.Delete(ctx, g.Bucket, "many-more"))
	_, err = g.Endpoint.DeleteMany(ctx, g.Bucket+"-3", keys)
	misconfigured(t, "delete many", err)
	for _, keys := range [][]string{nil, {""}, make([]string, 1001)} {
		results, err := g.Endpoint.DeleteMany(ctx, g.Bucket, keys)
		if wants(t, err, backend.NotSent); !errors.Is(err, backend.ErrRequest) || results != nil {
			t.Errorf("%d keys: %v", len(keys), err)
		}
	}
}

func testTags(t *testing.T, g Target) {
	ctx := t.Context()
	data := []byte("tagged")
	tags := func() object.Tags {
		t.Helper()
		got, err := g.Endpoint.Tags(ctx, g.Bucket, "tags")
		must(t, err)
		return got
	}
	stamp := object.Stamp{ID: object.NewID(), Flag: object.FlagSmall, Uploaded: time.Now()}
	g.put(t, "tags", data, literal(data), func(r *backend.PutRequest) { r.Tags, r.Stamp = object.Tags{"a b": "1+2"}, stamp })
	if got := tags(); !got.Equal(object.Tags{"a b": "1+2"}) {
		t.Errorf("put with the object: %v", got)
	}
	before, err := g.Endpoint.Head(ctx, g.Bucket, "tags")
	must(t, err)
	many := object.Tags{}
	for i := range 10 {
		many[fmt.Sprint("k", i)] = fmt.Sprint("v é", i)
	}
	must(t, g.Endpoint.PutTags(ctx, g.Bucket, "tags", many))
	if got := tags(); !got.Equal(many) {
		t.Errorf("%v", got)
	}
	after, err := g.Endpoint.Head(ctx, g.Bucket, "tags")
	must(t, err)
	if after.ID != before.ID || after.ETag != before.ETag || !after.Headers.Equal(before.Headers) || after.Size != before.Size {
		t.Errorf("the object changed with its tags: %+v, %+v", before, after)
	}
	err = g.Endpoint.PutTags(ctx, g.Bucket, "tags", object.Tags{"k": "&"})
	if e := wants(t, err, backend.Refused); e.Misconfigured || !errors.Is(e, s3.InvalidTag) {
		t.Errorf("a tag that is none: %v", err)
	}
	must(t, g.Endpoint.DeleteTags(ctx, g.Bucket, "tags"))
	must(t, g.Endpoint.DeleteTags(ctx, g.Bucket, "tags"))
	if got := tags(); len(got) != 0 {
		t.Errorf("%v", got)
	}
	must(t, g.Endpoint.PutTags(ctx, g.Bucket, "tags", many))
	g.put(t, "tags", data, literal(data))
	if got := tags(); len(got) != 0 {
		t.Errorf("an object that was written again kept %v", got)
	}
	_, err = g.Endpoint.Tags(ctx, g.Bucket, "nothing")
	_ = wants(t, err, backend.Absent)
	_ = wants(t, g.Endpoint.PutTags(ctx, g.Bucket, "nothing", many), backend.Absent)
	_ = wants(t, g.Endpoint.DeleteTags(ctx, g.Bucket, "nothing"), backend.Absent)
	_, err = g.Endpoint.Tags(ctx, g.Bucket+"-3", "nothing")
	misconfigured(t, "tags", err)
}

func testDescribe(t *testing.T, g Target) {
	ctx := t.Context()
	data := random(100)
	res := g.put(t, "described", data, literal(data), func(r *backend.PutRequest) {
		r.Headers = object.Headers{"x-amz-checksum-crc32": checksum("crc32", data)}
	})
	d, err := g.Endpoint.Describe(ctx, g.Bucket, "described")
	must(t, err)
	if d.ETag != res.ETag || d.Size != 100 || d.PartCount != 0 || d.Checksums["x-amz-checksum-crc32"] != checksum("crc32", data) {
		t.Errorf("%+v", d)
	}
	if sizes, err := g.Endpoint.PartSizes(ctx, g.Bucket, "described", res.ETag); err != nil || sizes != nil {
		t.Errorf("an object in one piece: %v, %v", sizes, err)
	}
	_, err = g.Endpoint.PartSizes(ctx, g.Bucket, "described", "0123456789abcdef0123456789abcdef")
	if e := wants(t, err, backend.Refused); !errors.Is(e, s3.PreconditionFailed) {
		t.Errorf("another ETag: %v", err)
	}
	_, err = g.Endpoint.Describe(ctx, g.Bucket, "nothing")
	_ = wants(t, err, backend.Absent)
	_, err = g.Endpoint.PartSizes(ctx, g.Bucket, "nothing", res.ETag)
	_ = wants(t, err, backend.Absent)

	u := g.begin(t, "described", func(r *backend.CreateUploadRequest) {
		r.Checksum = s3.UploadChecksum{Algorithm: "sha256", Type: s3.Composite}
	})
	var parts []s3.CompletedPart
	sizes := []int{g.minPart() + 5, g.minPart(), g.minPart() + 7, 3}
	want := []int64{}
	for i, size := range sizes {
		data := random(size)
		parts = append(parts, u.put(i+1, data, literal(data)))
		want = append(want, int64(size))
	}
	done, err := u.complete(parts...)
	must(t, err)
	if got, err := g.Endpoint.PartSizes(ctx, g.Bucket, "described", done.ETag); err != nil || !slices.Equal(got, want) {
		t.Errorf("parts of different sizes: %v, %v", got, err)
	}
	d, err = g.Endpoint.Describe(ctx, g.Bucket, "described")
	must(t, err)
	if d.ETag != done.ETag || d.PartCount != 0 && d.PartCount != 4 || len(d.Parts) != 0 && len(d.Parts) != 4 {
		t.Errorf("%+v", d)
	}
	for i, p := range d.Parts {
		if p.Size != want[i] || p.Checksum != parts[i].Checksum {
			t.Errorf("%+v, want %+v", p, parts[i])
		}
	}
}

// testUploadsNeverSent expects that what breaks the contract does not leave.
func testUploadsNeverSent(t *testing.T, g Target) {
	ctx := t.Context()
	u := g.begin(t, "never")
	data := []byte("x")
	good := u.put(1, data, literal(data))
	part := func(number int, change func(*backend.PartRequest)) error {
		_, err := u.try(ctx, number, data, literal(data), change)
		return err
	}
	complete := func(change func(*backend.CompleteRequest)) error {
		r := backend.CompleteRequest{Bucket: g.Bucket, Key: "never", UploadID: u.id, Parts: []s3.CompletedPart{good}}
		change(&r)
		_, err := g.Endpoint.CompleteUpload(ctx, r)
		return err
	}
	source := backend.CopySource{Bucket: g.Bucket, Key: "never", ETag: "e"}
	copyPart := func(change func(*backend.CopyPartRequest)) error {
		r := backend.CopyPartRequest{Bucket: g.Bucket, Key: "never", UploadID: u.id, Number: 1, Source: source}
		change(&r)
		_, err := g.Endpoint.CopyPart(ctx, r)
		return err
	}
	none := func(*backend.PartRequest) {}
	_, create := g.Endpoint.CreateUpload(ctx, backend.CreateUploadRequest{Bucket: g.Bucket})
	_, header := g.Endpoint.CreateUpload(ctx, backend.CreateUploadRequest{Bucket: g.Bucket, Key: "k", Headers: object.Headers{"x-amz-meta-a": "b\nc"}})
	_, copied := g.Endpoint.Copy(ctx, backend.CopyRequest{Bucket: g.Bucket, Key: "k", Source: backend.CopySource{Bucket: g.Bucket, Key: "never"}})
	_, copyHeader := g.Endpoint.Copy(ctx, backend.CopyRequest{Bucket: g.Bucket, Key: "k", Source: source, Headers: object.Headers{"x-amz-meta-a": "b\nc"}})
	_, parts := g.Endpoint.ListParts(ctx, backend.ListPartsRequest{Bucket: g.Bucket, Key: "never"})
	_, tags := g.Endpoint.Tags(ctx, g.Bucket, "")
	_, describe := g.Endpoint.Describe(ctx, g.Bucket, "")
	_, sizes := g.Endpoint.PartSizes(ctx, g.Bucket, "", "e")
	for what, err := range map[string]error{
		"no key": create, "control character": header, "no source ETag": copied, "control character in a copy": copyHeader, "no upload": parts,
		"tags of nothing": tags, "description of nothing": describe, "parts of nothing": sizes,
		"tags for nothing":   g.Endpoint.PutTags(ctx, g.Bucket, "", nil),
		"no tags of nothing": g.Endpoint.DeleteTags(ctx, g.Bucket, ""),
		"part 0":             part(0, none),
		"part 10001":         part(10_001, none),
		"part without id":    part(1, func(r *backend.PartRequest) { r.UploadID = "" }),
		"part without body":  part(1, func(r *backend.PartRequest) { r.Body = nil }),
		"no parts":           complete(func(r *backend.CompleteRequest) { r.Parts = nil }),
		"part without ETag":  complete(func(r *backend.CompleteRequest) { r.Parts = []s3.CompletedPart{{Number: 1}} }),
		"parts in disorder":  complete(func(r *backend.CompleteRequest) { r.Parts = append(r.Parts, good) }),
		"complete nothing":   complete(func(r *backend.CompleteRequest) { r.UploadID = "" }),
		"abort nothing":      g.Endpoint.AbortUpload(ctx, g.Bucket, "never", ""),
		"copy part 0":        copyPart(func(r *backend.CopyPartRequest) { r.Number = 0 }),
		"copy from behind":   copyPart(func(r *backend.CopyPartRequest) { r.Offset = 5 }),
		"copy from before":   copyPart(func(r *backend.CopyPartRequest) { r.Offset, r.Length = -1, 5 }),
	} {
		if wants(t, err, backend.NotSent); !errors.Is(err, backend.ErrRequest) {
			t.Errorf("%s: %v", what, err)
		}
	}
	if all := u.parts(t, 10); len(all) != 1 || all[0].ETag != good.ETag {
		t.Errorf("%+v", all)
	}
	must(t, g.Endpoint.AbortUpload(ctx, g.Bucket, "never", u.id))
}

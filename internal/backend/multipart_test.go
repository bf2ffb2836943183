package backend_test

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/s3mirror/s3mirror/internal/backend"
	"github.com/s3mirror/s3mirror/internal/memory"
	"github.com/s3mirror/s3mirror/internal/object"
	"github.com/s3mirror/s3mirror/internal/s3"
)

var (
	onePart   = []s3.CompletedPart{{Number: 1, ETag: "e"}}
	someWhere = backend.CopySource{Bucket: "bucket", Key: "source", ETag: "e"}
)

// acts are the operations of this file, each by a call that every server takes.
var acts = map[backend.Op]func(context.Context, *backend.Remote) error{
	backend.OpCreateUpload: func(ctx context.Context, r *backend.Remote) error {
		_, err := r.CreateUpload(ctx, backend.CreateUploadRequest{Bucket: "bucket", Key: "key"})
		return err
	},
	backend.OpPutPart: func(ctx context.Context, r *backend.Remote) error {
		body, f := backend.FromBytes([]byte("data"))
		_, err := r.PutPart(ctx, backend.PartRequest{Bucket: "bucket", Key: "key", UploadID: "u", Number: 1, Size: 4, Body: body, Framing: f})
		return err
	},
	backend.OpCopyPart: func(ctx context.Context, r *backend.Remote) error {
		_, err := r.CopyPart(ctx, backend.CopyPartRequest{Bucket: "bucket", Key: "key", UploadID: "u", Number: 1, Source: someWhere})
		return err
	},
	backend.OpCompleteUpload: func(ctx context.Context, r *backend.Remote) error {
		_, err := r.CompleteUpload(ctx, backend.CompleteRequest{Bucket: "bucket", Key: "key", UploadID: "u", Parts: onePart})
		return err
	},
	backend.OpAbortUpload: func(ctx context.Context, r *backend.Remote) error { return r.AbortUpload(ctx, "bucket", "key", "u") },
	backend.OpListParts: func(ctx context.Context, r *backend.Remote) error {
		_, err := r.ListParts(ctx, backend.ListPartsRequest{Bucket: "bucket", Key: "key", UploadID: "u"})
		return err
	},
	backend.OpListUploads: func(ctx context.Context, r *backend.Remote) error {
		_, err := r.ListUploads(ctx, "bucket", backend.ListUploadsRequest{})
		return err
	},
	backend.OpCopy: func(ctx context.Context, r *backend.Remote) error {
		_, err := r.Copy(ctx, backend.CopyRequest{Bucket: "bucket", Key: "key", Source: someWhere})
		return err
	},
	backend.OpDeleteMany: func(ctx context.Context, r *backend.Remote) error {
		results, err := r.DeleteMany(ctx, "bucket", []string{"key"})
		return errors.Join(append(results, err)...)
	},
	backend.OpTags: func(ctx context.Context, r *backend.Remote) error {
		_, err := r.Tags(ctx, "bucket", "key")
		return err
	},
	backend.OpPutTags: func(ctx context.Context, r *backend.Remote) error {
		return r.PutTags(ctx, "bucket", "key", object.Tags{"a": "b"})
	},
	backend.OpDeleteTags: func(ctx context.Context, r *backend.Remote) error { return r.DeleteTags(ctx, "bucket", "key") },
	backend.OpDescribe: func(ctx context.Context, r *backend.Remote) error {
		_, err := r.Describe(ctx, "bucket", "key")
		return err
	},
	backend.OpParts: func(ctx context.Context, r *backend.Remote) error {
		_, err := r.PartSizes(ctx, "bucket", "key", "e")
		return err
	},
}

// results are documents that say yes.
var results = map[backend.Op]string{
	backend.OpCreateUpload:   "<InitiateMultipartUploadResult><UploadId>u</UploadId></InitiateMultipartUploadResult>",
	backend.OpCompleteUpload: "<CompleteMultipartUploadResult><ETag>e-1</ETag></CompleteMultipartUploadResult>",
	backend.OpCopy:           "<CopyObjectResult><ETag>e</ETag><LastModified>2026-01-02T03:04:05.000Z</LastModified></CopyObjectResult>",
	backend.OpCopyPart:       "<CopyPartResult><ETag>e</ETag></CopyPartResult>",
	backend.OpDeleteMany:     "<DeleteResult><Deleted><Key>key</Key></Deleted></DeleteResult>",
}

func ok(body string) string { return answerWith(200, "application/xml", body) }

// TestOutcomesOfUploads: what each answer proves, for each operation.
func TestOutcomesOfUploads(t *testing.T) {
	inError := func(code string) string {
		return "<?xml version=\"1.0\"?>\n   <Error><Code>" + code + "</Code><Message>m</Message></Error>"
	}
	for op, act := range acts {
		reads := op.Reads()
		result, late := results[op]
		mutation := func(o backend.Outcome) want { // what a mutation says, and a read that got nothing usable
			if reads {
				return want{backend.Ambiguous, false}
			}
			return want{o, false}
		}
		absentUpload := map[backend.Op]bool{backend.OpPutPart: true, backend.OpCopyPart: true, backend.OpCompleteUpload: true, backend.OpAbortUpload: true, backend.OpListParts: true}
		absentKey := map[backend.Op]bool{backend.OpCopyPart: true, backend.OpCopy: true, backend.OpTags: true, backend.OpPutTags: true, backend.OpDeleteTags: true, backend.OpDescribe: true, backend.OpParts: true}
		missing := func(m map[backend.Op]bool) want {
			if m[op] {
				return want{backend.Absent, false}
			}
			return want{backend.Refused, false}
		}
		cases := map[string]want{
			xmlAnswer(400, "InvalidPart"):           {backend.Refused, false},
			xmlAnswer(400, "EntityTooSmall"):        {backend.Refused, false},
			xmlAnswer(412, "PreconditionFailed"):    {backend.Refused, false},
			xmlAnswer(403, "AccessDenied"):          {backend.Refused, true},
			xmlAnswer(404, "NoSuchBucket"):          {backend.Refused, true},
			xmlAnswer(404, "NoSuchUpload"):          missing(absentUpload),
			xmlAnswer(404, "NoSuchKey"):             missing(absentKey),
			xmlAnswer(301, "PermanentRedirect"):     {backend.Refused, true},
			answerWith(404, "text/html", "no"):      {backend.Refused, true},
			xmlAnswer(500, "InternalError"):         {backend.Ambiguous, false},
			answerWith(502, "text/html", "gateway"): {backend.Ambiguous, false},
			xmlAnswer(501, "NotImplemented"):        {backend.Ambiguous, false},
			"":                                      {backend.Ambiguous, false},
		}
		if reads {
			cases[xmlAnswer(503, "SlowDown")] = want{backend.Throttled, false}
		} else {
			cases[xmlAnswer(503, "SlowDown")] = want{backend.Ambiguous, false}
		}
		if op == backend.OpParts { // by HEAD, whose answers have no document: a 404 is looked into
			for answer := range cases {
				switch {
				case strings.HasPrefix(answer, "HTTP/1.1 400"):
					cases[answer] = want{backend.Refused, true}
				case strings.Contains(answer, "SlowDown"):
					cases[answer] = want{backend.Ambiguous, false} // a 503 alone says less
				}
			}
		}
		if late {
			cases[ok(result)] = want{backend.OK, false}
			cases[ok("<?xml version=\"1.0\"?>\n      "+result)] = want{backend.OK, false}
			cases[ok("")] = mutation(backend.Ambiguous)
			cases[ok("     ")] = mutation(backend.Ambiguous)
			cases[ok(result[:len(result)-3])] = mutation(backend.Ambiguous)
			cases[ok("<html>ok</html>")] = mutation(backend.Ambiguous)
			cases["HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n    "+result] = mutation(backend.Ambiguous)
			cases[ok(inError("InternalError"))] = mutation(backend.Ambiguous)
			cases[ok(inError("SlowDown"))] = mutation(backend.Ambiguous)
			cases[ok(inError("SomethingNew"))] = mutation(backend.Ambiguous)
			cases[ok("<Error/>")] = mutation(backend.Ambiguous)
			cases[ok(inError("PreconditionFailed"))] = mutation(backend.Refused)
			cases[ok(inError("InvalidPart"))] = mutation(backend.Refused)
			cases[ok(inError("AccessDenied"))] = want{backend.Refused, true}
			cases[ok(inError("NoSuchUpload"))] = missing(absentUpload)
		}
		for answer, want := range cases {
			name, _, _ := strings.Cut(answer, "\r\n")
			t.Run(fmt.Sprintf("%s, %s %d", op, name, len(answer)), func(t *testing.T) {
				short := strings.Contains(answer, "Content-Length: 1000")
				s := newScript(t, func(s *script, _ int, c net.Conn) {
					r := bufio.NewReader(c)
					for {
						req, err := s.request(r)
						if err != nil {
							return
						}
						io.Copy(io.Discard, req.Body)
						body := answer
						if req.Method == "HEAD" {
							head, _, _ := strings.Cut(answer, "\r\n\r\n")
							body = head + "\r\n\r\n"
						}
						if answer == "" {
							return
						}
						if io.WriteString(c, body); short {
							return
						}
					}
				})
				err := act(bg, newRemote(t, s.endpoint))
				want.check(t, string(op), err)
				var e *backend.Error
				if errors.As(err, &e) && (e.Op != op && op != backend.OpParts || e.S3 != nil && s3.ForClient(e).Code != s3.InternalError) {
					t.Errorf("%+v would be shown as %v", e, s3.ForClient(e))
				}
				if n := len(s.seen()); !reads && n != 1 {
					t.Errorf("sent %d times", n)
				}
			})
		}
	}
}

// TestUploadsOnTheWire holds what leaves against what S3 wants.
func TestUploadsOnTheWire(t *testing.T) {
	type sent struct {
		line, body string
		header     http.Header
	}
	var last sent
	answer := okEmpty
	s := newScript(t, func(s *script, _ int, c net.Conn) {
		r := bufio.NewReader(c)
		for {
			req, err := s.request(r)
			if err != nil {
				return
			}
			body, _ := io.ReadAll(req.Body)
			s.mu.Lock()
			last = sent{req.Method + " " + req.RequestURI, string(body), req.Header}
			s.mu.Unlock()
			if req.ContentLength != int64(len(body)) || len(req.TransferEncoding) > 0 {
				t.Errorf("%s: length %d of %d", last.line, req.ContentLength, len(body))
			}
			io.WriteString(c, answer)
		}
	})
	r := newRemote(t, s.endpoint)
	bare := newRemote(t, s.endpoint, func(o *backend.Options) { o.NoChecksums = true })
	const ns = ` xmlns="http://s3.amazonaws.com/doc/2006-03-01/"`
	const decl = `<?xml version="1.0" encoding="UTF-8"?>` + "\n"
	sums := s3.UploadChecksum{Algorithm: "crc32", Type: s3.Composite}
	summed := []s3.CompletedPart{{Number: 1, ETag: "a", Algorithm: "crc32", Checksum: "AAAAAA=="}, {Number: 7, ETag: "b", Algorithm: "crc32", Checksum: "AAAAAA=="}}
	part := func(r *backend.Remote, uploadID string, f backend.Framing, sums object.Headers) error {
		body, err := backend.NewBody(strings.NewReader("data"), f)
		if err != nil {
			return err
		}
		_, err = r.PutPart(bg, backend.PartRequest{Bucket: "bucket", Key: "a b", UploadID: uploadID, Number: 7, Size: 4, Body: body, Framing: f, Checksums: sums})
		return err
	}
	stamp := object.Stamp{ID: object.NewID(), Flag: object.FlagMultipart, Uploaded: time.Now()}
	for name, c := range map[string]struct {
		answer string
		do     func() error
		line   string
		body   string
		header map[string]string // empty value: absent
	}{
		"create": {ok(results[backend.OpCreateUpload]), func() error {
			_, err := r.CreateUpload(bg, backend.CreateUploadRequest{Bucket: "bucket", Key: "a b", Checksum: sums, Stamp: stamp, Tags: object.Tags{"t u": "1"},
				Headers: object.Headers{"x-amz-meta-a": "b", "content-type": "text/x", "x-amz-checksum-crc32": "AAAAAA=="}})
			return err
		}, "POST /bucket/a%20b?uploads=", "", map[string]string{"X-Amz-Checksum-Algorithm": "CRC32", "X-Amz-Checksum-Type": "COMPOSITE", "X-Amz-Tagging": "t%20u=1", "X-Amz-Meta-A": "b", "Content-Type": "text/x", "X-Amz-Checksum-Crc32": "", "X-Amz-Meta-S3mirror-Stamp": "*"}},
		"create, no checksums": {ok(results[backend.OpCreateUpload]), func() error {
			_, err := bare.CreateUpload(bg, backend.CreateUploadRequest{Bucket: "bucket", Key: "k", Checksum: sums})
			return err
		}, "POST /bucket/k?uploads=", "", map[string]string{"X-Amz-Checksum-Algorithm": "", "X-Amz-Checksum-Type": "", "Content-Type": "binary/octet-stream", "X-Amz-Meta-S3mirror-Stamp": ""}},
		"part": {okEmpty, func() error {
			return part(r, "u/+", literal([]byte("data")), object.Headers{"x-amz-checksum-crc32": "rfPzYw=="})
		}, "PUT /bucket/a%20b?partNumber=7&uploadId=u%2F%2B", "data", map[string]string{"X-Amz-Checksum-Crc32": "rfPzYw==", "X-Amz-Sdk-Checksum-Algorithm": "CRC32", "Content-Type": "", "X-Amz-Tagging": ""}},
		"part, no checksums": {okEmpty, func() error {
			return part(bare, "u", literal([]byte("data")), object.Headers{"x-amz-checksum-crc32": "rfPzYw=="})
		}, "PUT /bucket/a%20b?partNumber=7&uploadId=u", "data", map[string]string{"X-Amz-Checksum-Crc32": "", "X-Amz-Sdk-Checksum-Algorithm": ""}},
		"part with trailer": {okEmpty, func() error {
			return part(r, "u", backend.Framing{Mode: backend.Trailer, Algorithm: "crc32"}, nil)
		}, "PUT /bucket/a%20b?partNumber=7&uploadId=u", "4\r\ndata\r\n0\r\nx-amz-checksum-crc32:rfPzYw==\r\n\r\n", map[string]string{"X-Amz-Trailer": "x-amz-checksum-crc32", "X-Amz-Decoded-Content-Length": "4", "X-Amz-Content-Sha256": "STREAMING-UNSIGNED-PAYLOAD-TRAILER"}},
		"complete": {ok(results[backend.OpCompleteUpload]), func() error {
			_, err := r.CompleteUpload(bg, backend.CompleteRequest{Bucket: "bucket", Key: "k", UploadID: "u", Parts: summed, Checksums: object.Headers{"x-amz-checksum-crc32": "AAAAAA==-2", "x-amz-checksum-type": "COMPOSITE"}})
			return err
		}, "POST /bucket/k?uploadId=u", decl + "<CompleteMultipartUpload" + ns + "><Part><ChecksumCRC32>AAAAAA==</ChecksumCRC32><ETag>&quot;a&quot;</ETag><PartNumber>1</PartNumber></Part>" +
			"<Part><ChecksumCRC32>AAAAAA==</ChecksumCRC32><ETag>&quot;b&quot;</ETag><PartNumber>7</PartNumber></Part></CompleteMultipartUpload>",
			map[string]string{"X-Amz-Checksum-Crc32": "AAAAAA==-2", "X-Amz-Checksum-Type": "COMPOSITE", "X-Amz-Sdk-Checksum-Algorithm": "", "Content-Type": "application/xml"}},
		"complete, no checksums": {ok(results[backend.OpCompleteUpload]), func() error {
			_, err := bare.CompleteUpload(bg, backend.CompleteRequest{Bucket: "bucket", Key: "k", UploadID: "u", Parts: summed[:1], Checksums: object.Headers{"x-amz-checksum-crc32": "AAAAAA==-2"}})
			return err
		}, "POST /bucket/k?uploadId=u", decl + "<CompleteMultipartUpload" + ns + "><Part><ETag>&quot;a&quot;</ETag><PartNumber>1</PartNumber></Part></CompleteMultipartUpload>", map[string]string{"X-Amz-Checksum-Crc32": ""}},
		"abort": {okEmpty, func() error { return r.AbortUpload(bg, "bucket", "k", "u v") }, "DELETE /bucket/k?uploadId=u%20v", "", nil},
		"list parts": {ok("<ListPartsResult/>"), func() error {
			_, err := r.ListParts(bg, backend.ListPartsRequest{Bucket: "bucket", Key: "k", UploadID: "u", After: 3, Max: 7})
			return err
		}, "GET /bucket/k?max-parts=7&part-number-marker=3&uploadId=u", "", nil},
		"list uploads": {ok("<ListMultipartUploadsResult/>"), func() error {
			_, err := r.ListUploads(bg, "bucket", backend.ListUploadsRequest{Prefix: "p q", After: backend.UploadMark{Key: "k l", ID: "u"}})
			return err
		}, "GET /bucket?encoding-type=url&key-marker=k%20l&max-uploads=1000&prefix=p%20q&upload-id-marker=u&uploads=", "", nil},
		"copy": {ok(results[backend.OpCopy]), func() error {
			_, err := r.Copy(bg, backend.CopyRequest{Bucket: "bucket", Key: "k", Source: backend.CopySource{Bucket: "other", Key: "a+b é", ETag: "e"}, Algorithm: "sha256", Stamp: stamp,
				Headers: object.Headers{"x-amz-meta-a": "b", "x-amz-checksum-crc32": "AAAAAA=="}, Tags: object.Tags{"a": "b"}})
			return err
		}, "PUT /bucket/k", "", map[string]string{"X-Amz-Copy-Source": "/other/a%2Bb%20%C3%A9", "X-Amz-Copy-Source-If-Match": `"e"`, "X-Amz-Metadata-Directive": "REPLACE", "X-Amz-Tagging-Directive": "REPLACE",
			"X-Amz-Tagging": "a=b", "X-Amz-Checksum-Algorithm": "SHA256", "X-Amz-Meta-A": "b", "X-Amz-Checksum-Crc32": "", "X-Amz-Meta-S3mirror-Stamp": "*"}},
		"copy part": {ok(results[backend.OpCopyPart]), func() error {
			_, err := r.CopyPart(bg, backend.CopyPartRequest{Bucket: "bucket", Key: "k", UploadID: "u", Number: 2, Source: someWhere, Offset: 5, Length: 10})
			return err
		}, "PUT /bucket/k?partNumber=2&uploadId=u", "", map[string]string{"X-Amz-Copy-Source": "/bucket/source", "X-Amz-Copy-Source-Range": "bytes=5-14", "X-Amz-Copy-Source-If-Match": `"e"`, "Content-Type": ""}},
		"delete many": {ok("<DeleteResult><Deleted><Key>a</Key></Deleted><Deleted><Key> &lt;b&gt;</Key></Deleted></DeleteResult>"), func() error {
			results, err := r.DeleteMany(bg, "bucket", []string{"a", " <b>"})
			return errors.Join(append(results, err)...)
		}, "POST /bucket?delete=", decl + "<Delete" + ns + "><Object><Key>a</Key></Object><Object><Key> &lt;b&gt;</Key></Object></Delete>", map[string]string{"Content-Md5": "*", "Content-Type": "application/xml"}},
		"tags": {ok("<Tagging><TagSet/></Tagging>"), func() error {
			_, err := r.Tags(bg, "bucket", "k")
			return err
		}, "GET /bucket/k?tagging=", "", nil},
		"put tags": {okEmpty, func() error { return r.PutTags(bg, "bucket", "k", object.Tags{"b": "2", "a": "1"}) }, "PUT /bucket/k?tagging=",
			decl + "<Tagging" + ns + "><TagSet><Tag><Key>a</Key><Value>1</Value></Tag><Tag><Key>b</Key><Value>2</Value></Tag></TagSet></Tagging>", map[string]string{"Content-Md5": "*"}},
		"delete tags": {okEmpty, func() error { return r.DeleteTags(bg, "bucket", "k") }, "DELETE /bucket/k?tagging=", "", nil},
		"describe": {ok("<GetObjectAttributesResponse/>"), func() error {
			_, err := r.Describe(bg, "bucket", "k")
			return err
		}, "GET /bucket/k?attributes=", "", map[string]string{"X-Amz-Object-Attributes": "ETag,Checksum,ObjectParts,ObjectSize"}},
		"put with tags": {okEmpty, func() error {
			req := putRequest([]byte("data"), literal([]byte("data")))
			req.Tags = object.Tags{"a": "1"}
			_, err := r.Put(bg, req)
			return err
		}, "PUT /bucket/key", "data", map[string]string{"X-Amz-Tagging": "a=1"}},
	} {
		answer = c.answer
		if err := c.do(); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if last.line != c.line || last.body != c.body {
			t.Errorf("%s: sent %s\n%q\nwant %s\n%q", name, last.line, last.body, c.line, c.body)
		}
		for h, want := range c.header {
			if got := last.header.Get(h); got != want && (want != "*" || got == "") {
				t.Errorf("%s: %s is %q, want %q", name, h, got, want)
			}
		}
	}
}

// silence says nothing more until the client gives up.
func silence(c net.Conn) { _, _ = io.Copy(io.Discard, c) }

// TestLateResults: a result may take as long as its caller waits, as long as
// blanks come or nothing was said yet; silence in the middle is a stall.
func TestLateResults(t *testing.T) {
	complete := func(ctx context.Context, r *backend.Remote) error { return acts[backend.OpCompleteUpload](ctx, r) }
	head := "HTTP/1.1 200 OK\r\nContent-Type: application/xml\r\nTransfer-Encoding: chunked\r\n\r\n"
	chunk := func(s string) string { return fmt.Sprintf("%x\r\n%s\r\n", len(s), s) }
	for name, c := range map[string]struct {
		serve func(net.Conn)
		do    func(context.Context, *backend.Remote) error
		wait  time.Duration // of the caller
		took  time.Duration
		want  backend.Outcome
		cause error
	}{
		"blanks for an hour": {func(c net.Conn) {
			io.WriteString(c, head+chunk("<?xml version=\"1.0\"?>\n"))
			for range 360 {
				time.Sleep(10 * time.Second)
				io.WriteString(c, chunk(" "))
			}
			io.WriteString(c, chunk(results[backend.OpCompleteUpload])+"0\r\n\r\n")
		}, complete, 2 * time.Hour, time.Hour, backend.OK, nil},
		"nothing for half an hour": {func(c net.Conn) {
			time.Sleep(30 * time.Minute)
			io.WriteString(c, ok(results[backend.OpCompleteUpload]))
		}, complete, 2 * time.Hour, 30 * time.Minute, backend.OK, nil},
		"silence behind a blank": {func(c net.Conn) {
			io.WriteString(c, head+chunk(" "))
			silence(c)
		}, complete, 2 * time.Hour, 30 * time.Second, backend.Ambiguous, backend.ErrStalled},
		"the caller's patience": {silence, complete, 10 * time.Minute, 10 * time.Minute, backend.Ambiguous, context.DeadlineExceeded},
		"a copy": {func(c net.Conn) {
			time.Sleep(5 * time.Minute)
			io.WriteString(c, ok(results[backend.OpCopy]))
		}, acts[backend.OpCopy], time.Hour, 5 * time.Minute, backend.OK, nil},
		"an abort is no such thing": {silence, acts[backend.OpAbortUpload], time.Hour, time.Minute, backend.Ambiguous, nil},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := pipes(t, func(conn net.Conn) {
					req, err := http.ReadRequest(bufio.NewReader(conn))
					if err != nil {
						return
					}
					io.Copy(io.Discard, req.Body)
					c.serve(conn)
				})
				ctx, cancel := context.WithTimeout(bg, c.wait)
				defer cancel()
				start := time.Now()
				err := c.do(ctx, r)
				if took := time.Since(start); took != c.took || backend.OutcomeOf(err) != c.want || c.cause != nil && !errors.Is(err, c.cause) {
					t.Errorf("%v after %v, want %v after %v", err, took, c.want, c.took)
				}
			})
		})
	}
}

// TestDeleteManyResults: each key has what is said of it, and silence is no yes.
func TestDeleteManyResults(t *testing.T) {
	s := newScript(t, func(s *script, _ int, c net.Conn) {
		r := bufio.NewReader(c)
		for {
			req, err := s.request(r)
			if err != nil {
				return
			}
			io.Copy(io.Discard, req.Body)
			if req.Method == "DELETE" {
				io.WriteString(c, "HTTP/1.1 204 No Content\r\n\r\n")
				continue
			}
			io.WriteString(c, ok("<DeleteResult><Deleted><Key>gone</Key></Deleted>"+
				"<Error><Key>denied</Key><Code>AccessDenied</Code></Error><Error><Key>failed</Key><Code>InternalError</Code></Error>"+
				"<Error><Key>never</Key><Code>NoSuchKey</Code></Error><Error><Key>long</Key><Code>KeyTooLongError</Code></Error></DeleteResult>"))
		}
	})
	r := newRemote(t, s.endpoint)
	keys := []string{"failed", "gone", "denied", "a\x01", "never", "forgotten", "long"}
	got, err := r.DeleteMany(bg, "bucket", keys)
	if err != nil || len(got) != len(keys) {
		t.Fatalf("%v, %v", got, err)
	}
	for i, w := range []want{{backend.Ambiguous, false}, {backend.OK, false}, {backend.Refused, true}, {backend.OK, false}, {backend.OK, false}, {backend.Ambiguous, false}, {backend.Refused, false}} {
		w.check(t, keys[i], got[i])
		var e *backend.Error
		if errors.As(got[i], &e) && (e.Op != backend.OpDeleteMany || !e.Released) {
			t.Errorf("%s: %+v", keys[i], e)
		}
	}
	if want := []string{"POST /bucket?delete=", "DELETE /bucket/a%01"}; !slices.Equal(s.seen(), want) {
		t.Errorf("%q", s.seen())
	}
	// A batch of such keys alone is no batch.
	if got, err := r.DeleteMany(bg, "bucket", []string{"b\x02"}); err != nil || got[0] != nil || len(s.seen()) != 3 {
		t.Errorf("%v, %v, %q", got, err, s.seen())
	}
}

// TestUploadMarks: a server that refuses its own mark is asked for what is behind
// the key, and one whose list never ends is not followed.
func TestUploadMarks(t *testing.T) {
	page := "<ListMultipartUploadsResult><IsTruncated>true</IsTruncated><NextKeyMarker>a</NextKeyMarker><NextUploadIdMarker>1</NextUploadIdMarker>%s</ListMultipartUploadsResult>"
	up := "<Upload><Key>%s</Key><UploadId>1</UploadId></Upload>"
	s := newScript(t, func(s *script, _ int, c net.Conn) {
		r := bufio.NewReader(c)
		for {
			req, err := s.request(r)
			if err != nil {
				return
			}
			q := req.URL.Query()
			switch {
			case q.Get("upload-id-marker") == "1":
				io.WriteString(c, xmlAnswer(400, "InvalidArgument"))
			case q.Get("key-marker") == "a":
				io.WriteString(c, ok("<ListMultipartUploadsResult>"+fmt.Sprintf(up, "b")+"</ListMultipartUploadsResult>"))
			case q.Get("prefix") == "order":
				io.WriteString(c, ok(fmt.Sprintf(page, fmt.Sprintf(up, "order2")+fmt.Sprintf(up, "order1"))))
			case q.Get("prefix") == "other":
				io.WriteString(c, ok(fmt.Sprintf(page, fmt.Sprintf(up, "a"))))
			case q.Get("key-marker") == "z":
				io.WriteString(c, ok(fmt.Sprintf(page, "")))
			default:
				io.WriteString(c, ok(fmt.Sprintf(page, fmt.Sprintf(up, "a"))))
			}
		}
	})
	r := newRemote(t, s.endpoint)
	first, err := r.ListUploads(bg, "bucket", backend.ListUploadsRequest{})
	if err != nil || first.Next != (backend.UploadMark{Key: "a", ID: "1"}) {
		t.Fatalf("%+v, %v", first, err)
	}
	second, err := r.ListUploads(bg, "bucket", backend.ListUploadsRequest{After: first.Next})
	if err != nil || len(second.Uploads) != 1 || second.Uploads[0].Key != "b" || second.Next != (backend.UploadMark{}) {
		t.Errorf("%+v, %v", second, err)
	}
	for _, l := range []backend.ListUploadsRequest{{Prefix: "order"}, {Prefix: "other"}} {
		if _, err := r.ListUploads(bg, "bucket", l); !errors.Is(err, backend.ErrOrder) {
			t.Errorf("%+v: %v", l, err)
		}
	}
	if _, err := r.ListUploads(bg, "bucket", backend.ListUploadsRequest{After: backend.UploadMark{Key: "z"}}); !errors.Is(err, backend.ErrAnswer) {
		t.Errorf("a list that goes back: %v", err)
	}
	parts := answering(t, true, ok("<ListPartsResult><IsTruncated>true</IsTruncated><Part><PartNumber>3</PartNumber></Part></ListPartsResult>"))
	r = newRemote(t, parts.endpoint)
	for after, want := range map[int]error{0: nil, 2: nil, 3: backend.ErrOrder, 5: backend.ErrOrder} {
		got, err := r.ListParts(bg, backend.ListPartsRequest{Bucket: "bucket", Key: "key", UploadID: "u", After: after})
		if !errors.Is(err, want) || err == nil && got.Next != 3 {
			t.Errorf("after %d: %+v, %v", after, got, err)
		}
	}
	empty := answering(t, true, ok("<ListPartsResult><IsTruncated>true</IsTruncated></ListPartsResult>"))
	if _, err := newRemote(t, empty.endpoint).ListParts(bg, backend.ListPartsRequest{Bucket: "bucket", Key: "key", UploadID: "u"}); !errors.Is(err, backend.ErrAnswer) {
		t.Errorf("pages of nothing: %v", err)
	}
}

// TestPartSizes: what servers say of parts, and what of it can not be.
func TestPartSizes(t *testing.T) {
	answer := func(status int, size, total int64, count string) string {
		h := ""
		if count != "" {
			h = "x-amz-mp-parts-count: " + count + "\r\n"
		}
		return fmt.Sprintf("HTTP/1.1 %d X\r\nContent-Range: bytes 0-%d/%d\r\n%sContent-Length: %d\r\n\r\n", status, size-1, total, h, size)
	}
	for name, c := range map[string]struct {
		answers []string // to part 1, 2, ...; the last of a request that is not there
		etag    string
		want    []int64
		asked   int
		err     error
	}{
		"equal but the last":    {[]string{answer(206, 5, 22, "5"), "", "", "", answer(206, 2, 22, "5")}, "e-5", []int64{5, 5, 5, 5, 2}, 2, nil},
		"different":             {[]string{answer(206, 5, 22, "3"), answer(206, 7, 22, "3"), answer(206, 10, 22, "3")}, "e-3", []int64{5, 7, 10}, 3, nil},
		"one part":              {[]string{answer(206, 5, 5, "1")}, "e-1", []int64{5}, 1, nil},
		"one that is not whole": {[]string{answer(206, 5, 6, "1")}, "e-1", nil, 1, backend.ErrAnswer},
		"an empty part":         {[]string{"HTTP/1.1 200 OK\r\nx-amz-mp-parts-count: 1\r\nContent-Length: 0\r\n\r\n"}, "e-1", []int64{0}, 1, nil},
		"in one piece":          {[]string{answer(206, 5, 5, "")}, "e", nil, 1, nil},
		"ignored":               {[]string{"HTTP/1.1 200 OK\r\nContent-Length: 22\r\n\r\n"}, "e-5", nil, 1, backend.ErrAnswer},
		"do not add up":         {[]string{answer(206, 5, 22, "3"), answer(206, 5, 22, "3"), answer(206, 10, 22, "3")}, "e-3", nil, 3, backend.ErrAnswer},
		"too many":              {[]string{answer(206, 5, 22, "10001")}, "e-5", nil, 1, backend.ErrAnswer},
		"no number":             {[]string{answer(206, 5, 22, "x")}, "e-5", nil, 1, backend.ErrAnswer},
		"no range":              {[]string{"HTTP/1.1 200 OK\r\nx-amz-mp-parts-count: 2\r\nContent-Length: 5\r\n\r\n"}, "e-5", nil, 1, backend.ErrAnswer},
		"changed":               {[]string{"HTTP/1.1 412 X\r\nContent-Length: 0\r\n\r\n"}, "e-5", nil, 1, s3.PreconditionFailed},
		"changed on the way":    {[]string{answer(206, 5, 22, "2"), "HTTP/1.1 412 X\r\nContent-Length: 0\r\n\r\n"}, "e-2", nil, 2, s3.PreconditionFailed},
	} {
		t.Run(name, func(t *testing.T) {
			s := newScript(t, func(s *script, _ int, conn net.Conn) {
				r := bufio.NewReader(conn)
				for {
					req, err := s.request(r)
					if err != nil {
						return
					}
					var n int
					fmt.Sscan(req.URL.Query().Get("partNumber"), &n)
					if req.Header.Get("If-Match") != `"`+c.etag+`"` || n < 1 || n > len(c.answers) {
						t.Errorf("%s with If-Match %s", req.RequestURI, req.Header.Get("If-Match"))
						return
					}
					io.WriteString(conn, c.answers[n-1])
				}
			})
			got, err := newRemote(t, s.endpoint).PartSizes(bg, "bucket", "key", c.etag)
			if !errors.Is(err, c.err) || c.err == nil && !slices.Equal(got, c.want) || len(s.seen()) != c.asked {
				t.Errorf("%v, %v, asked %d times", got, err, len(s.seen()))
			}
		})
	}
}

// TestDescribePages: parts by the thousand.
func TestDescribePages(t *testing.T) {
	page := func(etag string, truncated bool, numbers ...int) string {
		var b strings.Builder
		fmt.Fprintf(&b, "<GetObjectAttributesResponse><ETag>%s</ETag><ObjectSize>9</ObjectSize><ObjectParts><PartsCount>4</PartsCount><IsTruncated>%v</IsTruncated>", etag, truncated)
		for _, n := range numbers {
			fmt.Fprintf(&b, "<Part><PartNumber>%d</PartNumber><Size>%d</Size></Part>", n, n)
		}
		return ok(b.String() + "</ObjectParts></GetObjectAttributesResponse>")
	}
	for name, c := range map[string]struct {
		pages []string
		parts int
		err   error
	}{
		"one":         {[]string{page("e", false, 1, 2)}, 2, nil},
		"two":         {[]string{page("e", true, 1, 2), page("e", false, 3, 4)}, 4, nil},
		"changed":     {[]string{page("e", true, 1, 2), page("f", false, 3, 4)}, 0, backend.ErrAnswer},
		"the same":    {[]string{page("e", true, 1, 2), page("e", true, 1, 2)}, 0, backend.ErrAnswer},
		"without end": {[]string{page("e", true)}, 0, backend.ErrAnswer},
	} {
		n := 0
		s := newScript(t, func(s *script, _ int, conn net.Conn) {
			r := bufio.NewReader(conn)
			for {
				if _, err := s.request(r); err != nil || n == len(c.pages) {
					return
				}
				n++
				io.WriteString(conn, c.pages[n-1])
			}
		})
		d, err := newRemote(t, s.endpoint).Describe(bg, "bucket", "key")
		if !errors.Is(err, c.err) || len(d.Parts) != c.parts || c.err == nil && (d.PartCount != 4 || d.Size != 9 || d.ETag != "e") {
			t.Errorf("%s: %+v, %v", name, d, err)
		}
	}
}

// TestPartsAreCut: an upload of a part that is given up leaves the part that was
// there, in memory as elsewhere.
func TestPartsAreCut(t *testing.T) {
	srv, u := newServer(t)
	r := newRemote(t, u)
	if err := r.CreateBucket(bg, "bucket"); err != nil {
		t.Fatal(err)
	}
	id, err := r.CreateUpload(bg, backend.CreateUploadRequest{Bucket: "bucket", Key: "key"})
	if err != nil {
		t.Fatal(err)
	}
	data := bytes.Repeat([]byte("d"), 300_000)
	req := backend.PartRequest{Bucket: "bucket", Key: "key", UploadID: id, Number: 1, Size: int64(len(data)), Framing: literal(data)}
	put := func() error {
		req.Body, _ = backend.NewBody(bytes.NewReader(data), req.Framing)
		_, err := r.PutPart(bg, req)
		return err
	}
	if err := put(); err != nil {
		t.Fatal(err)
	}
	srv.SetFaults(memory.Faults{DropRate: 1, Ops: []s3.OperationName{s3.UploadPart}})
	want{backend.Ambiguous, false}.check(t, "a lost answer", put())
	srv.SetFaults(memory.Faults{LosePartRate: 1})
	if err := put(); err != nil {
		t.Errorf("a part that is lost: %v", err)
	}
	srv.SetFaults(memory.Faults{})
	page, err := r.ListParts(bg, backend.ListPartsRequest{Bucket: "bucket", Key: "key", UploadID: id})
	if err != nil || len(page.Parts) != 1 || page.Parts[0].Size != int64(len(data)) {
		t.Errorf("%+v, %v", page, err)
	}
	if st := srv.Stats(); st.Uploads != 1 || st.Bytes != int64(len(data)) {
		t.Errorf("%+v", st)
	}
}

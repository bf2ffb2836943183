//go:build e2e

package e2e

import (
	"bytes"
	"crypto/md5"
	"encoding/base64"
	"encoding/binary"
	"encoding/xml"
	"errors"
	"fmt"
	"hash/crc32"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/s3mirror/s3mirror/test/e2e/harness"
	"github.com/s3mirror/s3mirror/test/e2e/wire"
)

// badWrite is an upload, copy, batch or change of tags that S3 refuses.
type badWrite struct {
	name   string
	method string
	at     string // bucket/key
	query  string // as pairs for wire.Query, split by blanks; "a=" for a flag
	header []wire.Field
	body   string
	who    *harness.Client // nil: root
	want   string
}

// badWrites is what the tests of bad writes have at hand: an upload with parts 1 (5 MiB),
// 2 and 3 (1000 bytes), one for a key that stands, one that keeps checksums, one that was
// aborted and one that was completed; two objects and a stranger.
type badWrites struct {
	g        *harness.Gateway
	backends []*harness.Backend
	open     *upload
	standing *upload
	summed   *upload
	aborted  *upload
	complete *upload
	stranger *harness.Client
}

// startBadWrites starts three backends and a gateway with all that.
func startBadWrites(t *testing.T) *badWrites {
	t.Helper()
	s := &badWrites{backends: harness.StartBackends(t, 3)}
	s.g = harness.StartGateway(t, s.backends, harness.Options{})
	c, ctx := s.g.Client, t.Context()
	createBucket(t, c, "proof")
	createBucket(t, c, "private")
	for _, at := range [][2]string{{"proof", "old"}, {"proof", "other"}, {"private", "secret"}} {
		w := harness.NewWrite(at[1], 10_000, newRand(41))
		if a, err := c.Put(ctx, at[0], at[1], wire.Literal, w.Body, wire.Field{Name: "x-amz-tagging", Value: "colour=blue"}); err != nil || a.Status != 200 {
			t.Fatalf("put %v: %v, %v", at, a, err)
		}
	}
	begin := func(key string, parts int) *upload {
		t.Helper()
		u := newUpload(c, "proof", key, parts)
		if err := u.create(ctx); err != nil {
			t.Fatal(err)
		}
		return u
	}
	s.open = begin("up", 3)
	s.open.parts[1] = s.open.parts[2]
	s.open.etags[1] = s.open.etags[2]
	s.standing, s.aborted, s.complete = begin("old", 1), begin("up", 1), begin("done", 2)
	err := errors.Join(s.open.putAll(ctx, 3), s.standing.putAll(ctx, 1), s.aborted.putAll(ctx, 1), s.complete.putAll(ctx, 2), s.complete.complete(ctx))
	if err != nil {
		t.Fatal(err)
	}
	if a, err := c.Do(ctx, "DELETE", "proof", "up", wire.Query("uploadId", s.aborted.id), nil); err != nil || a.Status != 204 {
		t.Fatalf("abort: %v, %v", a, err)
	}
	s.summed = newUpload(c, "proof", "summed", 1)
	s.summed.begin(t, wire.Field{Name: "x-amz-checksum-algorithm", Value: "CRC32"})
	s.summed.send(t, 1)
	s.stranger = s.user(t, "stranger", "--allow-bucket", "proof/theirs/")
	return s
}

// begin creates the upload with headers of its own.
func (u *upload) begin(t *testing.T, header ...wire.Field) {
	t.Helper()
	a, err := u.c.Do(t.Context(), "POST", u.bucket, u.key, "uploads=", nil, header...)
	if err != nil || a.Status != 200 {
		t.Fatalf("create: %v, %v", a, err)
	}
	var out struct{ UploadId string }
	if err := xml.Unmarshal(a.Body, &out); err != nil || out.UploadId == "" {
		t.Fatalf("create: %s: %v", a.Body, err)
	}
	u.id = out.UploadId
}

// send puts one part with its CRC32.
func (u *upload) send(t *testing.T, number int) {
	t.Helper()
	a, err := u.c.Do(t.Context(), "PUT", u.bucket, u.key, wire.Query("partNumber", fmt.Sprint(number), "uploadId", u.id), u.parts[number-1],
		wire.Field{Name: "x-amz-checksum-crc32", Value: crc32Of(u.parts[number-1])})
	if err != nil || a.Status != 200 {
		t.Fatalf("part %d: %v, %v", number, a, err)
	}
}

// summedList is the document of a Complete of all parts with their checksums.
func (u *upload) summedList() string {
	var b strings.Builder
	for i, etag := range u.etags {
		fmt.Fprintf(&b, "<Part><PartNumber>%d</PartNumber><ETag>%s</ETag><ChecksumCRC32>%s</ChecksumCRC32></Part>", i+1, etag, crc32Of(u.parts[i]))
	}
	return "<CompleteMultipartUpload>" + b.String() + "</CompleteMultipartUpload>"
}

func crc32Of(data []byte) string {
	return base64.StdEncoding.EncodeToString(binary.BigEndian.AppendUint32(nil, crc32.ChecksumIEEE(data)))
}

// user is a client with a key of a user who is made here.
func (s *badWrites) user(t *testing.T, login string, limits ...string) *harness.Client {
	t.Helper()
	file := filepath.Join(t.TempDir(), "password")
	if err := os.WriteFile(file, []byte("the password of "+login), 0o600); err != nil {
		t.Fatal(err)
	}
	if code, _, stderr := s.g.CLI(t, append([]string{"user", "create", login, "--password-file", file}, limits...)...); code != 0 {
		t.Fatalf("create user: %s", stderr)
	}
	code, stdout, stderr := s.g.CLI(t, "key", "create", login, "--output", "json")
	if code != 0 {
		t.Fatalf("create key: %s", stderr)
	}
	var key struct {
		ID     string `json:"access_key_id"`
		Secret string `json:"secret_access_key"`
	}
	decode(t, stdout, &key)
	return harness.NewClient(s.g.S3Addr, wire.Keys{Access: key.ID, Secret: key.Secret, Region: s.g.Keys.Region})
}

// onDisk is every file of the backends, with what changes when it does: bytes, and
// attributes, which is where versitygw keeps metadata and tags.
func (s *badWrites) onDisk(t *testing.T) map[string]string {
	t.Helper()
	files := map[string]string{}
	for _, b := range s.backends {
		err := filepath.WalkDir(b.Dir, func(path string, d fs.DirEntry, err error) error {
			if err != nil || d.IsDir() {
				return err
			}
			info, err := d.Info()
			if err != nil {
				return err
			}
			st := info.Sys().(*syscall.Stat_t) //nolint:forcetypeassert // of a Linux file
			files[path] = fmt.Sprintf("%d bytes, inode %d, written %v, changed %v", info.Size(), st.Ino, info.ModTime().UnixNano(), st.Ctim)
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	return files
}

// list is the document of a Complete of these parts.
func (u *upload) list(numbers ...int) string {
	var b strings.Builder
	for _, n := range numbers {
		etag := "0123456789abcdef0123456789abcdef"
		if n >= 1 && n <= len(u.etags) {
			etag = u.etags[n-1]
		}
		fmt.Fprintf(&b, "<Part><PartNumber>%d</PartNumber><ETag>%s</ETag></Part>", n, etag)
	}
	return "<CompleteMultipartUpload>" + b.String() + "</CompleteMultipartUpload>"
}

const bomb = `<!DOCTYPE x [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;&a;">]>`

func md5Of(body string) string {
	sum := md5.Sum([]byte(body)) //nolint:gosec // S3's header
	return base64.StdEncoding.EncodeToString(sum[:])
}

// fields are headers by name and value in turn.
func fields(pairs ...string) (h []wire.Field) {
	for i := 0; i < len(pairs); i += 2 {
		h = append(h, wire.Field{Name: pairs[i], Value: pairs[i+1]})
	}
	return h
}

func (s *badWrites) completes() []badWrite {
	of := func(u *upload, name, body, want string, header ...string) badWrite {
		return badWrite{name: name, method: "POST", at: "proof/" + u.key, query: "uploadId " + u.id, body: body, header: fields(header...), want: want}
	}
	swapped := strings.Replace(s.open.list(1), s.open.etags[0], s.open.etags[1], 1)
	long := make([]int, 10_001)
	for i := range long {
		long[i] = i + 1
	}
	elsewhere := func(name, at, id, want string) badWrite {
		return badWrite{name: name, method: "POST", at: at, query: "uploadId " + id, body: s.open.list(1), want: want}
	}
	stranger := elsewhere("of another user", "proof/up", s.open.id, "403 AccessDenied")
	stranger.who = s.stranger
	theirs := elsewhere("of another user under his own key", "proof/theirs/up", s.open.id, "404 NoSuchUpload")
	theirs.who = s.stranger
	return []badWrite{
		of(s.open, "a part that was not sent", s.open.list(1, 9), "400 InvalidPart"),
		of(s.open, "a part with the ETag of another", swapped, "400 InvalidPart"),
		of(s.open, "parts out of order", s.open.list(2, 1), "400 InvalidPartOrder"),
		of(s.open, "a part twice", s.open.list(1, 1), "400 InvalidPartOrder"),
		of(s.open, "a small part before the last", s.open.list(1, 2, 3), "400 EntityTooSmall"),
		of(s.open, "10,001 parts", s.open.list(long...), "400 MalformedXML"),
		of(s.open, "part 0", s.open.list(0, 1), "400 InvalidArgument"),
		of(s.open, "part 10,001", s.open.list(1, 10_001), "400 InvalidArgument"),
		of(s.open, "no parts", s.open.list(), "400 MalformedXML"),
		of(s.open, "no document", "", "400 MalformedXML"),
		of(s.open, "half a document", s.open.list(1)[:60], "400 MalformedXML"),
		of(s.open, "another document", "<Delete><Object><Key>old</Key></Object></Delete>", "400 MalformedXML"),
		of(s.open, "a bomb", bomb+"<CompleteMultipartUpload>&b;</CompleteMultipartUpload>", "400 MalformedXML"),
		of(s.open, "another MD5 of the document", s.open.list(1), "400 BadDigest", "Content-MD5", md5Of("x")),
		of(s.open, "a size that lies", s.open.list(1), "400 InvalidRequest", "x-amz-mp-object-size", "4"),
		of(s.open, "a kind of checksum that was not announced", s.open.list(1), "400 InvalidRequest", "x-amz-checksum-type", "COMPOSITE"),
		of(s.summed, "a checksum that lies", s.summed.summedList(), "400 BadDigest", "x-amz-checksum-crc32", "AAAAAA=="),
		of(s.summed, "a part's checksum that lies", strings.Replace(s.summed.summedList(), crc32Of(s.summed.parts[0]), "AAAAAA==", 1), "400 InvalidPart"),
		of(s.summed, "checksums left out", s.summed.list(1), "400 InvalidRequest"),
		of(s.standing, "a key that stands", s.standing.list(1), "412 PreconditionFailed", "If-None-Match", "*"),
		of(s.standing, "a key with another ETag", s.standing.list(1), "412 PreconditionFailed", "If-Match", `"0123456789abcdef0123456789abcdef"`),
		of(s.open, "a key that does not stand", s.open.list(1), "404 NoSuchKey", "If-Match", `"0123456789abcdef0123456789abcdef"`),
		of(s.complete, "completed with other parts", s.complete.list(1), "404 NoSuchUpload"),
		of(s.aborted, "aborted", s.aborted.list(1), "404 NoSuchUpload"),
		elsewhere("no upload", "proof/up", "no-upload", "404 NoSuchUpload"),
		elsewhere("of another key", "proof/other", s.open.id, "404 NoSuchUpload"),
		elsewhere("of another bucket", "private/up", s.open.id, "404 NoSuchUpload"),
		elsewhere("of no bucket", "no-such-bucket/up", s.open.id, "404 NoSuchBucket"),
		stranger, theirs,
	}
}

func (s *badWrites) parts() []badWrite {
	part := func(name, number, id, want string, header ...string) badWrite {
		return badWrite{name: name, method: "PUT", at: "proof/up", query: "partNumber " + number + " uploadId " + id, header: fields(header...), body: "part", want: want}
	}
	at := func(b badWrite, key string, who *harness.Client) badWrite {
		b.at, b.who = key, who
		return b
	}
	return []badWrite{
		part("part 0", "0", s.open.id, "400 InvalidArgument"),
		part("part 10,001", "10001", s.open.id, "400 InvalidArgument"),
		part("part -1", "-1", s.open.id, "400 InvalidArgument"),
		part("no number", "one", s.open.id, "400 InvalidArgument"),
		part("no upload", "1", "no-upload", "404 NoSuchUpload"),
		part("an aborted upload", "1", s.aborted.id, "404 NoSuchUpload"),
		at(part("a completed upload", "1", s.complete.id, "404 NoSuchUpload"), "proof/done", nil),
		at(part("the upload of another key", "1", s.open.id, "404 NoSuchUpload"), "proof/other", nil),
		at(part("the upload of another bucket", "1", s.open.id, "404 NoSuchUpload"), "private/up", nil),
		at(part("the upload of another user", "1", s.open.id, "403 AccessDenied"), "proof/up", s.stranger),
		at(part("the upload of another user under his own key", "1", s.open.id, "404 NoSuchUpload"), "proof/theirs/up", s.stranger),
		part("another MD5", "1", s.open.id, "400 BadDigest", "Content-MD5", md5Of("x")),
		part("no MD5", "1", s.open.id, "400 InvalidDigest", "Content-MD5", "!"),
		part("another checksum", "1", s.open.id, "400 BadDigest", "x-amz-checksum-crc32", "AAAAAA=="),
		part("no checksum", "1", s.open.id, "400 InvalidRequest", "x-amz-checksum-crc32", "!"),
		at(part("a checksum of another kind", "1", s.summed.id, "400 InvalidRequest", "x-amz-checksum-sha1", "qvTGHdzF6KLavt4PO0gs2a6pQ00="), "proof/summed", nil),
		at(part("a checksum left out", "1", s.summed.id, "400 InvalidRequest"), "proof/summed", nil),
	}
}

func (s *badWrites) partCopies() []badWrite {
	copied := func(name, source, want string, header ...string) badWrite {
		return badWrite{name: name, method: "PUT", at: "proof/up", query: "partNumber 1 uploadId " + s.open.id,
			header: append(fields("x-amz-copy-source", source), fields(header...)...), want: want}
	}
	as := func(b badWrite, query string, who *harness.Client) badWrite {
		b.query, b.who = query, who
		if who != nil {
			b.at = "proof/theirs/up"
		}
		return b
	}
	return []badWrite{
		copied("a range beyond the end", "/proof/old", "400 InvalidArgument", "x-amz-copy-source-range", "bytes=0-10000"),
		copied("a range behind the end", "/proof/old", "400 InvalidArgument", "x-amz-copy-source-range", "bytes=10000-10001"),
		copied("a range backwards", "/proof/old", "400 InvalidArgument", "x-amz-copy-source-range", "bytes=9-8"),
		copied("a range without end", "/proof/old", "400 InvalidArgument", "x-amz-copy-source-range", "bytes=9-"),
		copied("no range", "/proof/old", "400 InvalidArgument", "x-amz-copy-source-range", "all"),
		copied("a source that is gone", "/proof/absent", "404 NoSuchKey"),
		copied("a source in no bucket", "/no-such-bucket/old", "404 NoSuchBucket"),
		copied("no source", "old", "400 InvalidArgument"),
		copied("a source of ours", "/proof/.s3mirror/identity", "403 AccessDenied"),
		copied("another ETag of the source", "/proof/old", "412 PreconditionFailed", "x-amz-copy-source-if-match", `"0123456789abcdef0123456789abcdef"`),
		as(copied("part 0", "/proof/old", "400 InvalidArgument"), "partNumber 0 uploadId "+s.open.id, nil),
		as(copied("part 10,001", "/proof/old", "400 InvalidArgument"), "partNumber 10001 uploadId "+s.open.id, nil),
		as(copied("an aborted upload", "/proof/old", "404 NoSuchUpload"), "partNumber 1 uploadId "+s.aborted.id, nil),
		as(copied("a source that the user may not read", "/private/secret", "403 AccessDenied"), "partNumber 1 uploadId "+s.open.id, s.stranger),
	}
}

func (s *badWrites) copies() []badWrite {
	copied := func(name, at, source, want string, header ...string) badWrite {
		return badWrite{name: name, method: "PUT", at: at, header: append(fields("x-amz-copy-source", source), fields(header...)...), want: want}
	}
	forbidden := copied("a source that the user may not read", "proof/theirs/copy", "/private/secret", "403 AccessDenied")
	forbidden.who = s.stranger
	into := copied("a target that the user may not write", "proof/copy", "/proof/theirs/x", "403 AccessDenied")
	into.who = s.stranger
	return []badWrite{
		copied("itself without a change", "proof/old", "/proof/old", "400 InvalidRequest"),
		copied("itself with the same tags", "proof/old", "/proof/old", "400 InvalidRequest", "x-amz-tagging-directive", "COPY"),
		copied("a source that is gone", "proof/copy", "/proof/absent", "404 NoSuchKey"),
		copied("itself, which is gone", "proof/absent", "/proof/absent", "404 NoSuchKey"),
		copied("a source in no bucket", "proof/copy", "/no-such-bucket/old", "404 NoSuchBucket"),
		copied("into no bucket", "no-such-bucket/copy", "/proof/old", "404 NoSuchBucket"),
		copied("no source", "proof/copy", "old", "400 InvalidArgument"),
		copied("a source that is no escape", "proof/copy", "/proof/%zz", "400 InvalidArgument"),
		copied("a source of ours", "proof/copy", "/proof/.s3mirror/identity", "403 AccessDenied"),
		copied("a target of ours", "proof/.s3mirror/identity", "/proof/old", "403 AccessDenied"),
		copied("another ETag of the source", "proof/copy", "/proof/old", "412 PreconditionFailed", "x-amz-copy-source-if-match", `"0123456789abcdef0123456789abcdef"`),
		copied("a target that stands", "proof/other", "/proof/old", "412 PreconditionFailed", "If-None-Match", "*"),
		copied("no directive", "proof/copy", "/proof/old", "400 InvalidArgument", "x-amz-metadata-directive", "MAYBE"),
		copied("no directive for tags", "proof/copy", "/proof/old", "400 InvalidArgument", "x-amz-tagging-directive", "MAYBE"),
		copied("no algorithm", "proof/copy", "/proof/old", "400 InvalidRequest", "x-amz-checksum-algorithm", "MD4"),
		copied("metadata of 3 KB", "proof/copy", "/proof/old", "400 MetadataTooLarge", "x-amz-metadata-directive", "REPLACE", "x-amz-meta-big", strings.Repeat("m", 3<<10)),
		forbidden, into,
	}
}

func (s *badWrites) batches() []badWrite {
	object := func(key string) string { return "<Object><Key>" + key + "</Key></Object>" }
	batch := func(name, body, want string, header ...string) badWrite {
		h := fields(header...)
		if header == nil {
			h = fields("Content-MD5", md5Of(body))
		}
		return badWrite{name: name, method: "POST", at: "proof/", query: "delete ", header: h, body: body, want: want}
	}
	all := "<Delete>" + object("old") + object("other") + "</Delete>"
	unproven := batch("neither MD5 nor checksum", all, "400 InvalidRequest")
	unproven.header = nil
	return []badWrite{
		batch("1,001 keys", "<Delete>"+strings.Repeat(object("old"), 1001)+"</Delete>", "400 MalformedXML"),
		batch("no keys", "<Delete></Delete>", "400 MalformedXML"),
		batch("half a document", all[:len(all)-12], "400 MalformedXML"),
		batch("another document", s.open.list(1), "400 MalformedXML"),
		batch("a bomb", bomb+"<Delete><Object><Key>&b;</Key></Object></Delete>", "400 MalformedXML"),
		batch("no document", "", "400 MissingRequestBodyError"),
		unproven,
		batch("another MD5", all, "400 BadDigest", "Content-MD5", md5Of("x")),
		batch("no MD5", all, "400 InvalidDigest", "Content-MD5", "!"),
		batch("another checksum", all, "400 BadDigest", "x-amz-checksum-crc32", "AAAAAA=="),
		batch("neither true nor false", "<Delete><Quiet>perhaps</Quiet>"+object("old")+"</Delete>", "400 MalformedXML"),
	}
}

func (s *badWrites) tags() []badWrite {
	tag := func(key, value string) string { return "<Tag><Key>" + key + "</Key><Value>" + value + "</Value></Tag>" }
	set := func(tags string) string { return "<Tagging><TagSet>" + tags + "</TagSet></Tagging>" }
	tagging := func(name, body, want string, header ...string) badWrite {
		if header == nil {
			header = []string{"Content-MD5", md5Of(body)}
		}
		return badWrite{name: name, method: "PUT", at: "proof/old", query: "tagging ", header: fields(header...), body: body, want: want}
	}
	put := func(name, tags, want string) badWrite {
		return badWrite{name: name, method: "PUT", at: "proof/old", header: fields("x-amz-tagging", tags), body: "new", want: want}
	}
	var eleven string
	var header []string
	for i := range 11 {
		eleven += tag(fmt.Sprint("k", i), "v")
		header = append(header, fmt.Sprint("k", i, "=v"))
	}
	absent := tagging("of a key that is not there", set(tag("a", "b")), "404 NoSuchKey")
	absent.at = "proof/absent"
	stranger := tagging("of another user", set(tag("a", "b")), "403 AccessDenied")
	stranger.who = s.stranger
	return []badWrite{
		tagging("eleven tags", set(eleven), "400 BadRequest"),
		tagging("a key of 129 characters", set(tag(strings.Repeat("k", 129), "v")), "400 InvalidTag"),
		tagging("a value of 257 characters", set(tag("k", strings.Repeat("v", 257))), "400 InvalidTag"),
		tagging("a key twice", set(tag("k", "a")+tag("k", "b")), "400 InvalidTag"),
		tagging("a key of AWS", set(tag("aws:k", "v")), "400 InvalidTag"),
		tagging("no key", set(tag("", "v")), "400 InvalidTag"),
		tagging("a sign that no tag has", set(tag("k", "a;b")), "400 InvalidTag"),
		tagging("half a document", set(tag("a", "b"))[:40], "400 MalformedXML"),
		tagging("another document", s.open.list(1), "400 MalformedXML"),
		tagging("a bomb", bomb+set(tag("k", "&b;")), "400 MalformedXML"),
		tagging("no document", "", "400 MalformedXML"),
		tagging("another MD5", set(tag("a", "b")), "400 BadDigest", "Content-MD5", md5Of("x")),
		absent, stranger,
		put("eleven tags with an object", strings.Join(header, "&"), "400 BadRequest"),
		put("a key twice with an object", "k=a&k=b", "400 InvalidArgument"),
		put("a key of 129 characters with an object", strings.Repeat("k", 129)+"=v", "400 InvalidTag"),
		put("a tag that is no escape", "k=%zz", "400 InvalidArgument"),
		{name: "eleven tags with an upload", method: "POST", at: "proof/tagged", query: "uploads ", header: fields("x-amz-tagging", strings.Join(header, "&")), want: "400 BadRequest"},
	}
}

func (s *badWrites) others() []badWrite {
	of := func(name, method, at, query, want string, header ...string) badWrite {
		return badWrite{name: name, method: method, at: at, query: query, header: fields(header...), want: want}
	}
	abort := of("an abort by another user", "DELETE", "proof/up", "uploadId "+s.open.id, "403 AccessDenied")
	abort.who = s.stranger
	list := of("a list of parts by another user", "GET", "proof/up", "uploadId "+s.open.id, "403 AccessDenied")
	list.who = s.stranger
	return []badWrite{
		of("an abort of no upload", "DELETE", "proof/up", "uploadId no-upload", "404 NoSuchUpload"),
		of("an abort of another key's upload", "DELETE", "proof/other", "uploadId "+s.open.id, "404 NoSuchUpload"),
		of("an abort of a completed upload", "DELETE", "proof/done", "uploadId "+s.complete.id, "404 NoSuchUpload"),
		of("parts of no upload", "GET", "proof/up", "uploadId no-upload", "404 NoSuchUpload"),
		of("parts of an aborted upload", "GET", "proof/up", "uploadId "+s.aborted.id, "404 NoSuchUpload"),
		of("a number of parts that is none", "GET", "proof/up", "max-parts many uploadId "+s.open.id, "400 InvalidArgument"),
		of("no algorithm", "POST", "proof/new", "uploads ", "400 InvalidRequest", "x-amz-checksum-algorithm", "MD4"),
		of("a type without an algorithm", "POST", "proof/new", "uploads ", "400 InvalidRequest", "x-amz-checksum-type", "COMPOSITE"),
		of("a hash of the whole", "POST", "proof/new", "uploads ", "400 InvalidRequest", "x-amz-checksum-algorithm", "SHA256", "x-amz-checksum-type", "FULL_OBJECT"),
		of("an upload of a key of ours", "POST", "proof/.s3mirror/new", "uploads ", "403 AccessDenied"),
		of("an upload in no bucket", "POST", "no-such-bucket/new", "uploads ", "404 NoSuchBucket"),
		of("part 0 of an object", "GET", "proof/done", "partNumber 0", "400 InvalidArgument"),
		of("part 3 of two", "GET", "proof/done", "partNumber 3", "416 InvalidPartNumber"),
		of("a part and a range", "GET", "proof/done", "partNumber 1", "400 InvalidRequest", "Range", "bytes=0-1"),
		of("no attribute", "GET", "proof/done", "attributes ", "400 InvalidRequest"),
		of("an attribute that there is not", "GET", "proof/done", "attributes ", "400 InvalidArgument", "x-amz-object-attributes", "Colour"),
		abort, list,
	}
}

func (s *badWrites) send(t *testing.T, b badWrite) wire.Answer {
	t.Helper()
	c := b.who
	if c == nil {
		c = s.g.Client
	}
	bucket, key, _ := strings.Cut(b.at, "/")
	query := ""
	if b.query != "" {
		query = wire.Query(strings.Split(b.query, " ")...)
	}
	a, err := c.Do(t.Context(), b.method, bucket, key, query, []byte(b.body), b.header...)
	if err != nil {
		t.Fatalf("%v", err)
	}
	return a
}

// TestBadWrites: each is refused with S3's code, and no file of any backend is another
// than before. What was under way goes on.
func TestBadWrites(t *testing.T) {
	t.Parallel()
	s := startBadWrites(t)
	groups := map[string][]badWrite{
		"complete": s.completes(), "part": s.parts(), "part copy": s.partCopies(), "copy": s.copies(),
		"batch": s.batches(), "tags": s.tags(), "others": s.others(),
	}
	s.g.Converge(t)
	for _, b := range s.backends {
		harness.Eventually(t, "what was aborted is gone from "+b.Name, func() error {
			a, err := b.Client.Do(t.Context(), "GET", "proof", "", "uploads=", nil)
			if n := bytes.Count(a.Body, []byte("<UploadId>")); err != nil || n != 3 {
				return fmt.Errorf("%d uploads, %w", n, err)
			}
			return nil
		})
	}
	refused := 0
	for _, group := range slices.Sorted(maps.Keys(groups)) {
		for _, b := range groups[group] {
			t.Run(group+"/"+b.name, func(t *testing.T) {
				before := s.onDisk(t)
				if a := s.send(t, b); a.String() != b.want {
					t.Errorf("answered %v, want %s\n%s", a, b.want, a.Body)
				}
				if after := s.onDisk(t); !maps.Equal(before, after) {
					t.Errorf("the backends hold something else:\n%s", changes(before, after))
				}
				refused++
			})
		}
	}
	floor(t, "bad writes", int64(refused), 120)
	s.large(t)
	s.goOn(t)
}

// changes are the files that differ.
func changes(before, after map[string]string) string {
	var out []string
	for path, is := range after {
		if was := before[path]; was != is {
			out = append(out, fmt.Sprintf("%s: %s, was %s", path, is, was))
		}
	}
	for path, was := range before {
		if _, ok := after[path]; !ok {
			out = append(out, fmt.Sprintf("%s: gone, was %s", path, was))
		}
	}
	return strings.Join(out, "\n")
}

// large sends what is refused by its length alone: nobody sends so many bytes.
func (s *badWrites) large(t *testing.T) {
	t.Helper()
	before := s.onDisk(t)
	for name, query := range map[string]string{
		"a part of more than 5 GiB": wire.Query("partNumber", "1", "uploadId", s.open.id), "an object of more than 5 GiB": "",
	} {
		r := wire.Request{Method: "PUT", Host: s.g.S3Addr, Path: "/proof/up", Query: query, Header: fields("Content-Length", fmt.Sprint(5<<30+1))}
		s.g.Keys.Sign(&r, "UNSIGNED-PAYLOAD", time.Now())
		a, err := wire.Exchange(s.g.S3Addr, "PUT", wire.Message{Head: r.Head()}, wire.Wait, answerLimit)
		if err != nil || a.String() != "400 EntityTooLarge" {
			t.Errorf("%s: answered %v, %v, want 400 EntityTooLarge", name, a, err)
		}
	}
	if after := s.onDisk(t); !maps.Equal(before, after) {
		t.Errorf("what is too large changed the backends:\n%s", changes(before, after))
	}
}

// goOn completes what was open all the while: no refusal hurt it.
func (s *badWrites) goOn(t *testing.T) {
	t.Helper()
	u := s.open
	u.parts, u.etags = u.parts[:2], u.etags[:2]
	if err := u.complete(t.Context()); err != nil {
		t.Errorf("the upload can not go on: %v", err)
	}
	for _, u := range []*upload{s.standing, s.summed} {
		a, err := u.c.Do(t.Context(), "DELETE", u.bucket, u.key, wire.Query("uploadId", u.id), nil)
		if err != nil || a.Status != 204 {
			t.Errorf("abort: %v, %v", a, err)
		}
	}
	settled(t, s.g, "proof", s.backends, u)
}

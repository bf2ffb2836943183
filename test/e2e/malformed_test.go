//go:build e2e

package e2e

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/s3mirror/s3mirror/test/e2e/harness"
	"github.com/s3mirror/s3mirror/test/e2e/wire"
)

// badRequest is one that HTTP can carry and S3 must refuse.
type badRequest struct {
	name   string
	method string
	path   string // below /proof/ unless it begins with a slash
	query  string
	header []wire.Field
	body   string
	mode   string                            // x-amz-content-sha256; literal when empty
	keys   func(k wire.Keys) wire.Keys       // who signs
	at     time.Duration                     // the client's clock, off by this
	after  func(h []wire.Field) []wire.Field // what happens to the header once it is signed
	want   []string
}

func (b badRequest) message(g *harness.Gateway) wire.Message {
	r := wire.Request{Method: b.method, Host: g.S3Addr, Path: b.path, Query: b.query, Header: slices.Clone(b.header)}
	if !strings.HasPrefix(r.Path, "/") {
		r.Path = "/proof/" + r.Path
	}
	keys := g.Keys
	if b.keys != nil {
		keys = b.keys(keys)
	}
	framed := slices.ContainsFunc(b.header, func(f wire.Field) bool {
		return f.Name == "Content-Length" || f.Name == "Transfer-Encoding"
	})
	if !framed && (b.body != "" || b.method == "PUT") {
		r.Header = append(r.Header, wire.Field{Name: "Content-Length", Value: fmt.Sprint(len(b.body))})
	}
	mode := b.mode
	if mode == "" {
		mode = wire.Hash([]byte(b.body))
	}
	keys.Sign(&r, mode, time.Now().Add(b.at))
	if b.after != nil {
		r.Header = b.after(r.Header)
	}
	return wire.Message{Head: r.Head(), Body: []byte(b.body)}
}

func without(name string) func([]wire.Field) []wire.Field {
	return func(h []wire.Field) []wire.Field {
		return slices.DeleteFunc(h, func(f wire.Field) bool { return strings.EqualFold(f.Name, name) })
	}
}

func with(name, value string) func([]wire.Field) []wire.Field {
	return func(h []wire.Field) []wire.Field {
		return append(without(name)(h), wire.Field{Name: name, Value: value})
	}
}

func field(name, value string) []wire.Field { return []wire.Field{{Name: name, Value: value}} }

// chunked are the headers of an aws-chunked body of unsigned chunks.
func chunked(decoded string, body string) []wire.Field {
	return []wire.Field{{Name: "x-amz-decoded-content-length", Value: decoded}, {Name: "x-amz-trailer", Value: "x-amz-checksum-crc32"},
		{Name: "Content-Length", Value: fmt.Sprint(len(body))}}
}

const trailerMode = "STREAMING-UNSIGNED-PAYLOAD-TRAILER"

func badRequests() []badRequest {
	broken := func(name, decoded, body string, want ...string) badRequest {
		return badRequest{name: name, method: "PUT", path: "x", mode: trailerMode, header: chunked(decoded, body), body: body, want: want}
	}
	return []badRequest{
		{name: "anonymous", method: "PUT", path: "x", body: "b", after: without("Authorization"), want: []string{"403 AccessDenied"}},
		{name: "garbage Authorization", method: "PUT", path: "x", body: "b", after: with("Authorization", "AWS4-HMAC-SHA256 nonsense"),
			want: []string{"400 AuthorizationHeaderMalformed"}},
		{name: "unknown access key", method: "PUT", path: "x", body: "b",
			keys: func(k wire.Keys) wire.Keys { k.Access = "nobody"; return k }, want: []string{"403 InvalidAccessKeyId"}},
		{name: "wrong secret", method: "PUT", path: "x", body: "b",
			keys: func(k wire.Keys) wire.Keys { k.Secret = "guess"; return k }, want: []string{"403 SignatureDoesNotMatch"}},
		{name: "clock too slow", method: "PUT", path: "x", body: "b", at: -16 * time.Minute, want: []string{"403 RequestTimeTooSkewed"}},
		{name: "clock too fast", method: "PUT", path: "x", body: "b", at: 16 * time.Minute, want: []string{"403 RequestTimeTooSkewed"}},
		{name: "no date", method: "PUT", path: "x", body: "b", after: without("x-amz-date"), want: []string{"403 AccessDenied"}},
		{name: "metadata added after signing", method: "PUT", path: "x", body: "b", after: with("x-amz-meta-forged", "1"), want: []string{"403 AccessDenied"}},
		{name: "no payload hash", method: "PUT", path: "x", body: "b", after: without("x-amz-content-sha256"), want: []string{"400 InvalidRequest", "403 AccessDenied"}},
		{name: "garbage payload hash", method: "PUT", path: "x", body: "b", mode: "UNSIGNED", want: []string{"400 InvalidArgument", "400 XAmzContentSHA256Mismatch"}},
		{name: "ECDSA chunks", method: "PUT", path: "x", body: "b", mode: "STREAMING-AWS4-ECDSA-P256-SHA256-PAYLOAD", want: []string{"501 NotImplemented"}},
		{name: "session token", method: "PUT", path: "x", body: "b", header: field("x-amz-security-token", "t"), want: []string{"400 InvalidToken", "403 InvalidToken"}},
		{name: "chunks on a GET", method: "GET", path: "x", mode: trailerMode, want: []string{"400 InvalidRequest"}},
		{name: "no length", method: "PUT", path: "x", mode: "UNSIGNED-PAYLOAD", header: field("Transfer-Encoding", "chunked"),
			body: "1\r\nb\r\n0\r\n\r\n", want: []string{"411 MissingContentLength"}},
		broken("garbage decoded length", "many", "1\r\nb\r\n0\r\n\r\n", "400 InvalidArgument", "400 InvalidRequest", "411 MissingContentLength"),
		broken("negative decoded length", "-1", "1\r\nb\r\n0\r\n\r\n", "400 InvalidArgument", "400 InvalidRequest", "411 MissingContentLength"),
		broken("chunk size is no number", "1", "zz\r\nb\r\n0\r\n\r\n", "400 IncompleteBody", "400 InvalidRequest"),
		broken("chunk size overflows", "1", "ffffffffffffffffff\r\nb\r\n0\r\n\r\n", "400 IncompleteBody", "400 InvalidRequest"),
		broken("chunk header without end", "1", strings.Repeat("1", 5000), "400 IncompleteBody", "400 InvalidRequest"),
		broken("small chunk before the last", "2", "1\r\nb\r\n1\r\nb\r\n0\r\nx-amz-checksum-crc32:AAAAAA==\r\n\r\n", "400 InvalidChunkSizeError", "403 InvalidChunkSizeError"),
		{name: "Content-MD5 is no digest", method: "PUT", path: "x", body: "b", header: field("Content-MD5", "!"), want: []string{"400 InvalidDigest"}},
		{name: "checksum is no digest", method: "PUT", path: "x", body: "b", header: field("x-amz-checksum-crc32", "!"), want: []string{"400 InvalidRequest"}},
		{name: "two checksums", method: "PUT", path: "x", body: "b", want: []string{"400 InvalidRequest"},
			header: []wire.Field{{Name: "x-amz-checksum-crc32", Value: "AAAAAA=="}, {Name: "x-amz-checksum-sha1", Value: "AAAAAAAAAAAAAAAAAAAAAAAAAAA="}}},
		{name: "metadata of 3 KB", method: "PUT", path: "x", body: "b", header: field("x-amz-meta-big", strings.Repeat("m", 3<<10)), want: []string{"400 MetadataTooLarge"}},
		{name: "If-None-Match with a tag", method: "PUT", path: "x", body: "b", header: field("If-None-Match", `"tag"`), want: []string{"501 NotImplemented"}},
		{name: "customer's encryption key", method: "PUT", path: "x", body: "b", want: []string{"501 NotImplemented"},
			header: field("x-amz-server-side-encryption-customer-algorithm", "AES256")},
		{name: "object lock", method: "PUT", path: "x", body: "b", header: field("x-amz-object-lock-mode", "GOVERNANCE"), want: []string{"400 InvalidRequest"}},
		{name: "torrent", method: "GET", path: "old", query: "torrent=", want: []string{"501 NotImplemented"}},
		{name: "retention", method: "PUT", path: "x", query: "retention=", body: "<Retention/>", want: []string{"400 InvalidRequest"}},
		{name: "public ACL", method: "PUT", path: "x", body: "b", header: field("x-amz-acl", "public-read"),
			want: []string{"501 NotImplemented", "400 AccessControlListNotSupported"}},
		{name: "no such bucket", method: "PUT", path: "/no-such-bucket/x", body: "b", want: []string{"404 NoSuchBucket"}},
		{name: "no such key", method: "GET", path: "absent", want: []string{"404 NoSuchKey"}},
		{name: "bucket name in capitals", method: "PUT", path: "/Proof", want: []string{"400 InvalidBucketName"}},
		{name: "bucket name too short", method: "PUT", path: "/ab", want: []string{"400 InvalidBucketName"}},
		{name: "create bucket with broken XML", method: "PUT", path: "/broken", body: "<CreateBucketConfiguration><", want: []string{"400 MalformedXML"}},
		{name: "create bucket with a bomb", method: "PUT", path: "/broken", want: []string{"400 MalformedXML"},
			body: `<!DOCTYPE a [<!ENTITY b "bbbb">]><CreateBucketConfiguration><LocationConstraint>&b;</LocationConstraint></CreateBucketConfiguration>`},
		{name: "bucket that exists", method: "PUT", path: "/proof", want: []string{"409 BucketAlreadyOwnedByYou"}},
		{name: "bucket that is not empty", method: "DELETE", path: "/proof", want: []string{"409 BucketNotEmpty"}},
		{name: "max-keys is no number", method: "GET", path: "/proof", query: "list-type=2&max-keys=many", want: []string{"400 InvalidArgument"}},
		{name: "forged list token", method: "GET", path: "/proof", query: "continuation-token=forged&list-type=2", want: []string{"400 InvalidArgument"}},
		{name: "reserved key", method: "PUT", path: ".s3mirror/x", body: "b", want: []string{"403 AccessDenied"}},
		{name: "range beyond the end", method: "GET", path: "old", header: field("Range", "bytes=999999-"), want: []string{"416 InvalidRange"}},
	}
}

// unparsable are requests that are not even HTTP. The answer may come from
// the HTTP server itself, so only its class is asked for.
func unparsable(host string) map[string]string {
	return map[string]string{
		"no HTTP at all":     "hello\r\n\r\n",
		"bad escape":         "PUT /proof/%zz HTTP/1.1\r\nHost: " + host + "\r\nContent-Length: 1\r\n\r\nb",
		"two lengths":        "PUT /proof/x HTTP/1.1\r\nHost: " + host + "\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nbb",
		"header with no end": "PUT /proof/x HTTP/1.1\r\nHost: " + host + "\r\nX-Big: " + strings.Repeat("x", 2<<20) + "\r\n\r\n",
		"no host":            "PUT /proof/x HTTP/1.1\r\nContent-Length: 1\r\n\r\nb",
		"space in a name":    "PUT /proof/x HTTP/1.1\r\nHost: " + host + "\r\nBad Name: 1\r\nContent-Length: 1\r\n\r\nb",
		"length and chunks":  "PUT /proof/x HTTP/1.1\r\nHost: " + host + "\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nb\r\n0\r\n\r\n",
	}
}

// TestMalformedRequests: each gets an S3 error as XML, and leaves nothing.
func TestMalformedRequests(t *testing.T) {
	t.Parallel()
	backends := harness.StartBackends(t, 3)
	g := harness.StartGateway(t, backends, harness.Options{})
	createBucket(t, g.Client, "proof")
	old := harness.NewWrite("old", 1000, newRand(41))
	mustPut(t, g.Client, "old", wire.Literal, &old)
	refused := 0
	for _, b := range badRequests() {
		answer, err := wire.Exchange(g.S3Addr, b.method, b.message(g), wire.Wait, answerLimit)
		switch {
		case err != nil:
			t.Errorf("%s: %v", b.name, err)
		case !slices.Contains(b.want, answer.String()):
			t.Errorf("%s: answered %v, want one of %q\n%s", b.name, answer, b.want, answer.Body)
		default:
			refused++
			isS3Error(t, b.name, answer)
		}
	}
	for name, text := range unparsable(g.S3Addr) {
		answer, err := wire.Exchange(g.S3Addr, "PUT", wire.Message{Head: []byte(text)}, wire.Wait, answerLimit)
		if err != nil || answer.Status != 0 && (answer.Status < 400 || answer.Status > 499) {
			t.Errorf("%s: answered %v, %v, want 4xx or a closed connection", name, answer, err)
		}
	}
	g.Converge(t)
	held := harness.RequireEqual(t, g, "proof", backends...)
	if len(held) != 1 || held["old"].Sum != old.Sum {
		t.Errorf("malformed requests left something: %d objects", len(held))
	}
	for _, b := range backends {
		if a, err := b.Client.Do(t.Context(), "HEAD", "broken", "", "", nil); err != nil || a.Status != 404 {
			t.Errorf("%s has a bucket that nobody may have made: %v, %v", b.Name, a, err)
		}
	}
	floor(t, "malformed requests refused", int64(refused), 40)
}

// isS3Error checks what every error document must be like.
func isS3Error(t *testing.T, name string, a wire.Answer) {
	t.Helper()
	if ct := a.Header.Get("Content-Type"); !strings.HasPrefix(ct, "application/xml") {
		t.Errorf("%s: the error is %q, want application/xml", name, ct)
	}
	if id := a.Header.Get("x-amz-request-id"); id == "" || id != a.ID {
		t.Errorf("%s: request id %q in the header, %q in the body", name, id, a.ID)
	}
	if date, err := http.ParseTime(a.Header.Get("Date")); err != nil || time.Since(date).Abs() > time.Hour {
		t.Errorf("%s: Date %q, by which clients set their clocks: %v", name, a.Header.Get("Date"), err)
	}
}

package gateway_test

import (
	"crypto/md5"
	"encoding/base64"
	"encoding/binary"
	"hash/crc32"
	"maps"
	"net/http"
	"strings"
	"testing"

	"github.com/s3mirror/s3mirror/internal/s3"
)

// example is one request whose answer is kept, byte for byte, in a golden file.
type example struct {
	name string
	ask  ask
}

// The MD5 of "hello world" and its CRC32.
const (
	helloETag  = `"5eb63bbbe01eeed093cb22bb8f5acdc3"`
	helloCRC32 = "DUoRhQ=="
)

func get(path string, headers ...string) ask {
	return ask{method: "GET", path: path, header: header(headers...)}
}

func query(method, path, q string, headers ...string) ask {
	return ask{method: method, path: path, query: q, header: header(headers...)}
}

func upload(path, body string, headers ...string) ask {
	return ask{method: "PUT", path: path, header: header(headers...), body: body}
}

func head(path string, headers ...string) ask {
	return ask{method: "HEAD", path: path, header: header(headers...)}
}

func remove(path string, headers ...string) ask {
	return ask{method: "DELETE", path: path, header: header(headers...)}
}

// document is a PUT of a sub-resource.
func document(path, sub, body string, headers ...string) ask {
	return ask{method: "PUT", path: path, query: sub, header: header(headers...), body: body}
}

// preflight is what a browser asks, unsigned.
func preflight(path, origin, method, headers string) ask {
	a := ask{method: "OPTIONS", path: path, anonymous: true, header: http.Header{}}
	for name, value := range map[string]string{"Origin": origin, "Access-Control-Request-Method": method, "Access-Control-Request-Headers": headers} {
		if value != "" {
			a.header.Set(name, value)
		}
	}
	return a
}

// Documents that are taken.
const (
	tagging      = `<Tagging><TagSet><Tag><Key>colour</Key><Value>blue</Value></Tag></TagSet></Tagging>`
	ownership    = `<OwnershipControls><Rule><ObjectOwnership>ObjectWriter</ObjectOwnership></Rule></OwnershipControls>`
	publicAccess = `<PublicAccessBlockConfiguration><BlockPublicAcls>true</BlockPublicAcls><RestrictPublicBuckets>TRUE</RestrictPublicBuckets></PublicAccessBlockConfiguration>`
	website      = `<WebsiteConfiguration><IndexDocument><Suffix>index.html</Suffix></IndexDocument></WebsiteConfiguration>`
	cors         = `<CORSConfiguration><CORSRule><ID>site</ID><AllowedOrigin>https://*.example.org</AllowedOrigin><AllowedMethod>GET</AllowedMethod>` +
		`<AllowedMethod>PUT</AllowedMethod><AllowedHeader>x-amz-*</AllowedHeader><ExposeHeader>x-amz-request-id</ExposeHeader><MaxAgeSeconds>60</MaxAgeSeconds></CORSRule>` +
		`<CORSRule><AllowedOrigin>*</AllowedOrigin><AllowedMethod>HEAD</AllowedMethod></CORSRule></CORSConfiguration>`
	ownerID = "eb388fbcac047cac0bd7e7cfd12813b95af09739660fa6f0a7efd1c523734609"
	ownACL  = `<AccessControlPolicy><Owner><ID>` + ownerID + `</ID></Owner><AccessControlList><Grant><Grantee><ID>` + ownerID +
		`</ID></Grantee><Permission>FULL_CONTROL</Permission></Grant></AccessControlList></AccessControlPolicy>`
)

// copyOf is a CopyObject.
func copyOf(path, source string, headers ...string) ask {
	return ask{method: "PUT", path: path, header: header(append(headers, "X-Amz-Copy-Source", source)...)}
}

// deletes is the document of a DeleteObjects; keys are escaped already.
func deletes(keys ...string) string {
	var b strings.Builder
	for _, key := range keys {
		b.WriteString("<Object><Key>" + key + "</Key></Object>")
	}
	return "<Delete>" + b.String() + "</Delete>"
}

// batch is a DeleteObjects with the digest that it must have.
func batch(path, document string, headers ...string) ask {
	headers = append(headers, "Content-Md5", digest(document))
	return ask{method: "POST", path: path, query: "delete", header: header(headers...), body: document}
}

func digest(s string) string {
	sum := md5.Sum([]byte(s))
	return base64.StdEncoding.EncodeToString(sum[:])
}

func crc32Of(s string) string {
	return base64.StdEncoding.EncodeToString(binary.BigEndian.AppendUint32(nil, crc32.ChecksumIEEE([]byte(s))))
}

// examples are the operations, each with what can go well and what can not.
// They run in order, on one store.
var examples = []struct {
	file  string
	cases []example
}{
	{"put", []example{
		{"plain", upload("/photos/plain", "hello world")},
		{"empty", upload("/photos/empty", "")},
		{"everything that is stored", upload("/photos/full", "hello world",
			"Content-Type", "text/plain", "Cache-Control", "no-cache", "Content-Disposition", "attachment", "Content-Language", "de",
			"Content-Encoding", "gzip,aws-chunked", "Expires", "Thu, 01 Jan 2026 00:00:00 GMT", "X-Amz-Meta-Colour", "blue  green",
			"X-Amz-Meta-Name", "hé", "X-Amz-Checksum-Crc32", helloCRC32, "X-Amz-Sdk-Checksum-Algorithm", "CRC32")},
		{"only if there is none", upload("/photos/plain", "other", "If-None-Match", "*")},
		{"only over the right one", upload("/photos/plain", "hello world", "If-Match", helloETag)},
		{"only over another one", upload("/photos/plain", "other", "If-Match", `"feed"`)},
		{"over nothing", upload("/photos/absent", "other", "If-Match", helloETag)},
		{"no bucket", upload("/nothing/key", "hello world")},
		{"wrong checksum", upload("/photos/plain", "hello world", "X-Amz-Checksum-Crc32", "AAAAAA==")},
		{"wrong MD5", upload("/photos/plain", "hello world", "Content-Md5", "AAAAAAAAAAAAAAAAAAAAAA==")},
		{"malformed MD5", upload("/photos/plain", "hello world", "Content-Md5", "AAAA")},
		{"wrong hash", ask{method: "PUT", path: "/photos/plain", body: "hello world", mode: strings.Repeat("0", 64)}},
		{"too large", upload("/photos/huge", "", "Content-Length", "5368709121", "Expect", "100-continue")},
		{"no length", ask{method: "PUT", path: "/photos/plain", body: "0\r\n\r\n", mode: "UNSIGNED-PAYLOAD", header: header("Transfer-Encoding", "chunked")}},
		{"too much metadata", upload("/photos/plain", "hello world", "X-Amz-Meta-Big", strings.Repeat("m", 2048))},
		{"metadata of ours", upload("/photos/plain", "hello world", "X-Amz-Meta-S3mirror-Id", "1")},
		{"key too long", upload("/photos/"+strings.Repeat("k", 1025), "hello world")},
		{"reserved key", upload("/photos/.s3mirror/identity", "hello world")},
		{"encryption", upload("/photos/plain", "hello world", "X-Amz-Server-Side-Encryption", "AES256")},
		{"part", ask{method: "PUT", path: "/photos/plain", query: "partNumber=1&uploadId=u", body: "hello world"}},
		{"retention", ask{method: "PUT", path: "/photos/plain", query: "retention", body: "<Retention/>"}},
	}},
	{"get", []example{
		{"plain", get("/photos/plain")},
		{"empty", get("/photos/empty")},
		{"everything that is stored", get("/photos/full")},
		{"checksums", get("/photos/full", "X-Amz-Checksum-Mode", "ENABLED")},
		{"no checksums of a part", get("/photos/full", "X-Amz-Checksum-Mode", "ENABLED", "Range", "bytes=0-4")},
		{"overrides", query("GET", "/photos/full", "response-content-type=image%2Fpng&response-cache-control=private&response-content-disposition=inline"+
			"&response-content-encoding=identity&response-content-language=en&response-expires=never")},
		{"an override that splits the answer", query("GET", "/photos/full", "response-content-type=a%0d%0aSet-Cookie:b")},
		{"range", get("/photos/plain", "Range", "bytes=6-")},
		{"suffix", get("/photos/plain", "Range", "bytes=-5")},
		{"several ranges", get("/photos/plain", "Range", "bytes=0-1,4-5")},
		{"two Range headers", get("/photos/plain", "Range", "bytes=0-1", "Range", "bytes=4-5")},
		{"no range at all", get("/photos/plain", "Range", "lines=1-2")},
		{"range beyond the end", get("/photos/plain", "Range", "bytes=11-")},
		{"range of nothing", get("/photos/empty", "Range", "bytes=0-")},
		{"If-Range holds", get("/photos/plain", "Range", "bytes=0-4", "If-Range", helloETag)},
		{"If-Range does not", get("/photos/plain", "Range", "bytes=0-4", "If-Range", `"other"`)},
		{"If-Range with a date", get("/photos/plain", "Range", "bytes=0-4", "If-Range", "Wed, 04 Mar 2026 05:06:07 GMT")},
		{"If-Match holds", get("/photos/plain", "If-Match", helloETag)},
		{"If-Match does not", get("/photos/plain", "If-Match", `"other"`)},
		{"If-Match does not, range beyond the end", get("/photos/plain", "If-Match", `"other"`, "Range", "bytes=99-")},
		{"not modified", get("/photos/full", "If-None-Match", helloETag)},
		{"not modified since", get("/photos/full", "If-Modified-Since", "Wed, 04 Mar 2026 05:06:07 GMT")},
		{"modified", get("/photos/plain", "If-None-Match", `"other"`)},
		{"modified since", get("/photos/plain", "If-Unmodified-Since", "Wed, 04 Mar 2026 05:06:06 GMT")},
		{"no key", get("/photos/absent")},
		{"no bucket", get("/nothing/key")},
		{"reserved key", get("/photos/.s3mirror/identity")},
		{"a body", ask{method: "GET", path: "/photos/plain", body: "why"}},
		{"version", query("GET", "/photos/plain", "versionId=null")},
		{"part", query("GET", "/photos/plain", "partNumber=1")},
		{"acl", query("GET", "/photos/plain", "acl")},
		{"customer's key", get("/photos/plain", "X-Amz-Server-Side-Encryption-Customer-Algorithm", "AES256")},
		{"x-id is ignored", query("GET", "/photos/plain", "x-id=GetObject")},
	}},
	{"head", []example{
		{"plain", head("/photos/plain")},
		{"everything that is stored", head("/photos/full", "X-Amz-Checksum-Mode", "ENABLED")},
		{"range", head("/photos/plain", "Range", "bytes=0-4")},
		{"range beyond the end", head("/photos/plain", "Range", "bytes=11-")},
		{"If-Range does not hold", head("/photos/plain", "Range", "bytes=0-4", "If-Range", `"other"`)},
		{"not modified", head("/photos/full", "If-None-Match", helloETag)},
		{"If-Match does not hold", head("/photos/plain", "If-Match", `"other"`)},
		{"overrides", query("HEAD", "/photos/full", "response-content-type=image%2Fpng")},
		{"no key", head("/photos/absent")},
		{"reserved key", head("/photos/.s3mirror/identity")},
		{"no bucket", head("/nothing/key")},
		{"part", query("HEAD", "/photos/plain", "partNumber=1")},
	}},
	{"list", []example{
		{"version 2", query("GET", "/photos", "list-type=2")},
		{"version 1", query("GET", "/photos", "")},
		{"a page", query("GET", "/photos/", "list-type=2&max-keys=1&fetch-owner=true&encoding-type=url&delimiter=%2F&prefix=&start-after=e")},
		{"a page of version 1", query("GET", "/photos", "max-keys=1&marker=e")},
		{"no keys", query("GET", "/photos", "list-type=2&max-keys=0")},
		{"no keys of no bucket", query("GET", "/nothing", "list-type=2&max-keys=0")},
		{"no bucket", query("GET", "/nothing", "list-type=2")},
		{"malformed max-keys", query("GET", "/photos", "list-type=2&max-keys=many")},
		{"negative max-keys", query("GET", "/photos", "list-type=2&max-keys=-1")},
		{"unknown encoding", query("GET", "/photos", "encoding-type=base64")},
		{"forged token", query("GET", "/photos", "list-type=2&continuation-token=forged")},
		{"token of the first page", query("GET", "/photos", "list-type=2&continuation-token=")},
		{"versions", query("GET", "/photos", "versions")},
		{"a page of versions", query("GET", "/photos", "versions&max-keys=1&encoding-type=url&delimiter=%2F&key-marker=e&version-id-marker=null")},
		{"versions behind a version without a key", query("GET", "/photos", "versions&version-id-marker=null")},
		{"versions behind a version that is none", query("GET", "/photos", "versions&key-marker=e&version-id-marker=1")},
		{"malformed max-keys of versions", query("GET", "/photos", "versions&max-keys=many")},
		{"malformed encoding of versions", query("GET", "/photos", "versions&encoding-type=base64")},
		{"versions of no bucket", query("GET", "/nothing", "versions")},
	}},
	{"delete", []example{
		{"only the right one", remove("/photos/plain", "If-Match", `"other"`)},
		{"by a size that is none", remove("/photos/plain", "X-Amz-If-Match-Size", "many")},
		{"by size", remove("/photos/plain", "X-Amz-If-Match-Size", "1")},
		{"there", remove("/photos/plain")},
		{"not there", remove("/photos/plain")},
		{"with a condition, not there", remove("/photos/plain", "If-Match", helloETag)},
		{"no bucket", remove("/nothing/key")},
		{"reserved key", remove("/photos/.s3mirror/identity")},
		{"version", query("DELETE", "/photos/full", "versionId=1")},
		{"a condition of reads", remove("/photos/full", "If-None-Match", "*")},
		{"a second factor", remove("/photos/full", "X-Amz-Mfa", "1 2")},
	}},
	{"copy", []example{
		{"a source", upload("/photos/c/from", "hello world", "Content-Type", "text/plain", "Cache-Control", "no-cache", "X-Amz-Meta-Colour", "blue",
			"X-Amz-Checksum-Crc32", helloCRC32, "X-Amz-Sdk-Checksum-Algorithm", "CRC32")},
		{"as it is", copyOf("/photos/c/to", "/photos/c/from")},
		{"what it is", head("/photos/c/to")},
		{"without a slash, escaped", copyOf("/photos/c/to", "photos%2Fc%2Ffrom")},
		{"a content type that no directive wants", copyOf("/photos/c/to", "/photos/c/from", "Content-Type", "text/other", "X-Amz-Metadata-Directive", "COPY")},
		{"is not taken", head("/photos/c/to")},
		{"with headers of its own", copyOf("/photos/c/to", "/photos/c/from", "X-Amz-Metadata-Directive", "REPLACE", "Content-Type", "text/other", "X-Amz-Meta-Size", "1")},
		{"which it has", head("/photos/c/to", "X-Amz-Checksum-Mode", "ENABLED")},
		{"onto itself", copyOf("/photos/c/to", "/photos/c/to")},
		{"onto itself, changed", copyOf("/photos/c/to", "/photos/c/to", "X-Amz-Metadata-Directive", "REPLACE")},
		{"if it is the right one", copyOf("/photos/c/to", "/photos/c/from", "X-Amz-Copy-Source-If-Match", helloETag, "X-Amz-Copy-Source-If-Unmodified-Since", "Wed, 04 Mar 2020 05:06:07 GMT")},
		{"if it is another one", copyOf("/photos/c/to", "/photos/c/from", "X-Amz-Copy-Source-If-Match", `"other"`)},
		{"if it is none of these", copyOf("/photos/c/to", "/photos/c/from", "X-Amz-Copy-Source-If-None-Match", helloETag)},
		{"if it was not changed", copyOf("/photos/c/to", "/photos/c/from", "X-Amz-Copy-Source-If-Unmodified-Since", "Wed, 04 Mar 2020 05:06:07 GMT")},
		{"if it was changed", copyOf("/photos/c/to", "/photos/c/from", "X-Amz-Copy-Source-If-Modified-Since", "Wed, 04 Mar 2099 05:06:07 GMT")},
		{"over nothing", copyOf("/photos/c/to", "/photos/c/from", "If-None-Match", "*")},
		{"over another one", copyOf("/photos/c/to", "/photos/c/from", "If-Match", `"other"`)},
		{"over the right one", copyOf("/photos/c/to", "/photos/c/from", "If-Match", helloETag)},
		{"no source", copyOf("/photos/c/to", "/photos/c/absent")},
		{"no bucket of the source", copyOf("/photos/c/to", "/nothing/c/from")},
		{"no bucket", copyOf("/nothing/c/to", "/photos/c/from")},
		{"a source without a key", copyOf("/photos/c/to", "/photos")},
		{"a source that is no name", copyOf("/photos/c/to", "/Photos/c/from")},
		{"a source in broken escapes", copyOf("/photos/c/to", "/photos/%zz")},
		{"a version", copyOf("/photos/c/to", "/photos/c/from?versionId=1")},
		{"an access point", copyOf("/photos/c/to", "arn:aws:s3:eu-west-1:1:accesspoint/a/object/b")},
		{"a reserved source", copyOf("/photos/c/to", "/photos/.s3mirror/identity")},
		{"a reserved target", copyOf("/photos/.s3mirror/x", "/photos/c/from")},
		{"an unknown directive", copyOf("/photos/c/to", "/photos/c/from", "X-Amz-Metadata-Directive", "MERGE")},
		{"an unknown directive for tags", copyOf("/photos/c/to", "/photos/c/from", "X-Amz-Tagging-Directive", "MERGE")},
		{"an unknown algorithm", copyOf("/photos/c/to", "/photos/c/from", "X-Amz-Checksum-Algorithm", "MD4")},
		{"too much metadata", copyOf("/photos/c/to", "/photos/c/from", "X-Amz-Metadata-Directive", "REPLACE", "X-Amz-Meta-Big", strings.Repeat("m", 2048))},
		{"metadata of ours", copyOf("/photos/c/to", "/photos/c/from", "X-Amz-Metadata-Directive", "REPLACE", "X-Amz-Meta-S3mirror-Id", "1")},
		{"a body", upload("/photos/c/to", "hello", "X-Amz-Copy-Source", "/photos/c/from")},
		{"encryption", copyOf("/photos/c/to", "/photos/c/from", "X-Amz-Server-Side-Encryption", "AES256")},
		{"the customer's key of the source", copyOf("/photos/c/to", "/photos/c/from", "X-Amz-Copy-Source-Server-Side-Encryption-Customer-Algorithm", "AES256")},
	}},
	{"deletemany", []example{
		{"something to delete", upload("/photos/d/1", "hello world")},
		{"and more", upload("/photos/d/2", "hello world")},
		{"and more &", upload("/photos/d/3%20%26%20%3C", "hello world")},
		{"no digest", ask{method: "POST", path: "/photos", query: "delete", body: deletes("d/1")}},
		{"a wrong digest", ask{method: "POST", path: "/photos", query: "delete", body: deletes("d/1"), header: header("Content-Md5", "AAAAAAAAAAAAAAAAAAAAAA==")}},
		{"a wrong checksum", ask{method: "POST", path: "/photos", query: "delete", body: deletes("d/1"), header: header("X-Amz-Checksum-Crc32", "AAAAAA==")}},
		{"a wrong hash", ask{method: "POST", path: "/photos", query: "delete", body: deletes("d/1"), header: header("Content-Md5", digest(deletes("d/1"))), mode: strings.Repeat("0", 64)}},
		{"nothing", batch("/photos", "<Delete/>")},
		{"no document", batch("/photos", "")},
		{"1,001 keys", batch("/photos", deletes(make([]string, 1001)...))},
		{"a bomb", batch("/photos", `<!DOCTYPE d [<!ENTITY a "d/1">]><Delete><Object><Key>&a;</Key></Object></Delete>`)},
		{"too much", batch("/photos", "", "Content-Length", "4194305", "Expect", "100-continue")},
		{"no bucket", batch("/nothing", deletes("d/1"))},
		{"a condition as a header", batch("/photos", deletes("d/1"), "If-Match", helloETag)},
		{"a second factor", batch("/photos", deletes("d/1"), "X-Amz-Mfa", "1 2")},
		{"some may not, some need not", batch("/photos", "<Delete>"+
			"<Object><Key>d/1</Key><ETag>\"other\"</ETag></Object><Object><Key>d/absent</Key></Object><Object><Key>.s3mirror/identity</Key></Object>"+
			"<Object><Key>d/2</Key><VersionId>1</VersionId></Object><Object><Key>d/absent</Key><ETag>\"other\"</ETag></Object>"+
			"<Object><Key>"+strings.Repeat("k", 1025)+"</Key></Object><Object><Key>d/2</Key><Size>many</Size></Object><Object><Key>d/2</Key><Size>1</Size></Object></Delete>")},
		{"quiet", batch("/photos", "<Delete><Quiet>true</Quiet>"+
			"<Object><Key>d/1</Key><ETag>5eb63bbbe01eeed093cb22bb8f5acdc3</ETag><Size>11</Size></Object><Object><Key>d/2</Key><VersionId>null</VersionId></Object><Object><Key>.s3mirror</Key></Object></Delete>")},
		{"twice, by a checksum", ask{method: "POST", path: "/photos", query: "delete", body: deletes("d/3 &amp; &lt;", "d/3 &amp; &lt;"),
			header: header("X-Amz-Checksum-Crc32", crc32Of(deletes("d/3 &amp; &lt;", "d/3 &amp; &lt;")), "X-Amz-Sdk-Checksum-Algorithm", "CRC32")}},
		{"all of them are gone", query("GET", "/photos", "list-type=2&prefix=d")},
	}},
	{"website", []example{
		{"site, never set", query("GET", "/photos", "website")},
		{"set site", document("/photos", "website", website)},
		{"site", query("GET", "/photos", "website")},
		{"site of no bucket", document("/nothing", "website", website)},
		{"site without an index", document("/photos", "website", "<WebsiteConfiguration/>")},
		{"suffix with a slash", document("/photos", "website", strings.Replace(website, "index.html", "a/b", 1))},
		{"too large a site", document("/photos", "website", website+strings.Repeat(" ", 128<<10))},
		{"delete site", query("DELETE", "/photos", "website")},
		{"no site", query("GET", "/photos", "website")},
	}},
	{"cors", []example{
		{"preflight without rules", preflight("/photos/k", "https://a.example.org", "GET", "")},
		{"answer without rules", get("/photos/plain", "Origin", "https://a.example.org")},
		{"rules, never set", query("GET", "/photos", "cors")},
		{"set rules", document("/photos", "cors", cors)},
		{"rules", query("GET", "/photos", "cors")},
		{"rules of no bucket", document("/nothing", "cors", cors)},
		{"rules that are none", document("/photos", "cors", "<CORSConfiguration/>")},
		{"a rule without an origin", document("/photos", "cors", strings.Replace(cors, "<AllowedOrigin>*</AllowedOrigin>", "", 1))},
		{"a rule without a method", document("/photos", "cors", strings.Replace(cors, "<AllowedMethod>HEAD</AllowedMethod>", "", 1))},
		{"a rule for another method", document("/photos", "cors", strings.Replace(cors, "HEAD", "PATCH", 1))},
		{"a rule for two wildcards", document("/photos", "cors", strings.Replace(cors, "https://*", "*://*", 1))},
		{"a rule for a header that is none", document("/photos", "cors", strings.Replace(cors, "x-amz-*", "x amz", 1))},
		{"a rule with an age that is none", document("/photos", "cors", strings.Replace(cors, ">60<", ">old<", 1))},
		{"a rule of something else", document("/photos", "cors", strings.Replace(cors, "<ID>site</ID>", "<Site/>", 1))},
		{"preflight", preflight("/photos/k", "https://a.example.org", "PUT", "X-Amz-Date, x-amz-meta-a")},
		{"preflight of a bucket", preflight("/photos", "https://a.example.org", "GET", "")},
		{"preflight of anyone", preflight("/photos/k", "null", "HEAD", "")},
		{"preflight of another origin", preflight("/photos/k", "https://example.com", "GET", "")},
		{"preflight for another method", preflight("/photos/k", "https://a.example.org", "DELETE", "")},
		{"preflight for another header", preflight("/photos/k", "https://a.example.org", "PUT", "x-amz-date,authorization")},
		{"preflight for a method that is none", preflight("/photos/k", "https://a.example.org", "PATCH", "")},
		{"preflight for a header that is none", preflight("/photos/k", "https://a.example.org", "PUT", "a b")},
		{"preflight without an origin", preflight("/photos/k", "", "PUT", "")},
		{"preflight without a method", preflight("/photos/k", "https://a.example.org", "", "")},
		{"preflight of no bucket", preflight("/nothing/k", "https://a.example.org", "PUT", "")},
		{"preflight of the service", preflight("/", "https://a.example.org", "PUT", "")},
		{"preflight of a reserved key", preflight("/photos/.s3mirror/k", "https://a.example.org", "PUT", "")},
		{"answer", get("/photos/plain", "Origin", "https://a.example.org")},
		{"answer to anyone", head("/photos/plain", "Origin", "https://example.com")},
		{"answer to another origin", get("/photos/plain", "Origin", "https://example.com")},
		{"answer to a question that is wrong", get("/photos/plain", "Origin", "https://a.example.org", "Access-Control-Request-Method", "PATCH")},
		{"error", get("/photos/absent", "Origin", "https://a.example.org")},
		{"error before anything is known", ask{method: "GET", path: "/photos/plain", header: header("Origin", "https://a.example.org"), anonymous: true}},
		{"delete rules", query("DELETE", "/photos", "cors")},
		{"no rules", query("GET", "/photos", "cors")},
	}},
	{"tagging", []example{
		{"an object", upload("/photos/plain", "hello world")},
		{"of an object without", query("GET", "/photos/plain", "tagging")},
		{"set", document("/photos/plain", "tagging", tagging)},
		{"get", query("GET", "/photos/plain", "tagging")},
		{"get of the null version", query("GET", "/photos/plain", "tagging&versionId=null")},
		{"get of a version", query("GET", "/photos/plain", "tagging&versionId=x")},
		{"count", head("/photos/plain")},
		{"count on GET", get("/photos/plain")},
		{"copied", copyOf("/photos/copy", "/photos/plain")},
		{"tags of the copy", query("GET", "/photos/copy", "tagging")},
		{"others for a copy", copyOf("/photos/copy", "/photos/plain", "X-Amz-Tagging-Directive", "REPLACE", "X-Amz-Tagging", "a=b+c%2B")},
		{"which it has", query("GET", "/photos/copy", "tagging")},
		{"none for a copy", copyOf("/photos/copy", "/photos/plain", "X-Amz-Tagging-Directive", "REPLACE")},
		{"which has none", query("GET", "/photos/copy", "tagging")},
		{"on PUT", upload("/photos/plain", "hello world", "X-Amz-Tagging", "k=v&empty=")},
		{"of that", query("GET", "/photos/plain", "tagging")},
		{"delete", query("DELETE", "/photos/plain", "tagging")},
		{"no more", query("GET", "/photos/plain", "tagging")},
		{"delete none", query("DELETE", "/photos/plain", "tagging")},
		{"set none", document("/photos/plain", "tagging", "<Tagging><TagSet/></Tagging>")},
		{"not a document", document("/photos/plain", "tagging", "tags")},
		{"without a set", document("/photos/plain", "tagging", "<Tagging/>")},
		{"of AWS", document("/photos/plain", "tagging", `<Tagging><TagSet><Tag><Key>aws:x</Key></Tag></TagSet></Tagging>`)},
		{"twice", document("/photos/plain", "tagging", `<Tagging><TagSet><Tag><Key>a</Key></Tag><Tag><Key>a</Key></Tag></TagSet></Tagging>`)},
		{"eleven", document("/photos/plain", "tagging", "<Tagging><TagSet>"+strings.Repeat("<Tag><Key>a</Key></Tag>", 11)+"</TagSet></Tagging>")},
		{"a key too long", document("/photos/plain", "tagging", "<Tagging><TagSet><Tag><Key>"+strings.Repeat("k", 129)+"</Key><Value/></Tag></TagSet></Tagging>")},
		{"a value too long", document("/photos/plain", "tagging", "<Tagging><TagSet><Tag><Key>k</Key><Value>"+strings.Repeat("v", 257)+"</Value></Tag></TagSet></Tagging>")},
		{"of a bad character", document("/photos/plain", "tagging", "<Tagging><TagSet><Tag><Key>k</Key><Value>a&amp;b</Value></Tag></TagSet></Tagging>")},
		{"with a wrong MD5", document("/photos/plain", "tagging", tagging, "Content-Md5", "AAAAAAAAAAAAAAAAAAAAAA==")},
		{"too much", document("/photos/plain", "tagging", strings.Repeat(" ", 64<<10+1))},
		{"of no object", query("GET", "/photos/absent", "tagging")},
		{"for no object", document("/photos/absent", "tagging", tagging)},
		{"from no object", query("DELETE", "/photos/absent", "tagging")},
		{"in no bucket", document("/nothing/k", "tagging", tagging)},
		{"of a reserved key", document("/photos/.s3mirror/identity", "tagging", tagging)},
	}},
	{"setting", []example{
		{"tags, never set", query("GET", "/photos", "tagging")},
		{"set tags", document("/photos", "tagging", tagging)},
		{"tags", query("GET", "/photos", "tagging")},
		{"tags that are none", document("/photos", "tagging", "<Tagging/>")},
		{"tags of AWS", document("/photos", "tagging", `<Tagging><TagSet><Tag><Key>aws:x</Key></Tag></TagSet></Tagging>`)},
		{"a tag twice", document("/photos", "tagging", `<Tagging><TagSet><Tag><Key>a</Key></Tag><Tag><Key>a</Key></Tag></TagSet></Tagging>`)},
		{"too many tags", document("/photos", "tagging", "<Tagging><TagSet>"+strings.Repeat("<Tag><Key>a</Key></Tag>", 51)+"</TagSet></Tagging>")},
		{"tags with a wrong MD5", document("/photos", "tagging", tagging, "Content-Md5", "AAAAAAAAAAAAAAAAAAAAAA==")},
		{"tags with a wrong checksum", document("/photos", "tagging", tagging, "X-Amz-Checksum-Crc32", "AAAAAA==")},
		{"too much for tags", document("/photos", "tagging", strings.Repeat(" ", 256<<10+1))},
		{"tags of no bucket", document("/nothing", "tagging", tagging)},
		{"get tags of no bucket", query("GET", "/nothing", "tagging")},
		{"delete tags of no bucket", query("DELETE", "/nothing", "tagging")},
		{"delete tags", query("DELETE", "/photos", "tagging")},
		{"no tags", query("GET", "/photos", "tagging")},
		{"ownership by default", query("GET", "/photos", "ownershipControls")},
		{"set ownership", document("/photos", "ownershipControls", ownership)},
		{"ownership", query("GET", "/photos", "ownershipControls")},
		{"ownership that is none", document("/photos", "ownershipControls", strings.Replace(ownership, "ObjectWriter", "Mine", 1))},
		{"two ownerships", document("/photos", "ownershipControls", strings.Replace(ownership, "</Rule>", "</Rule><Rule/>", 1))},
		{"acl of grants beside a canned one", query("PUT", "/photos", "acl", "X-Amz-Acl", "private", "X-Amz-Grant-Read", "id=1")},
		{"acl of nothing", query("PUT", "/photos", "acl")},
		{"acl in two ways", document("/photos", "acl", ownACL, "X-Amz-Acl", "private")},
		{"acl as it is", document("/photos", "acl", ownACL)},
		{"acl for somebody else", document("/photos", "acl", strings.Replace(ownACL, "<Grantee><ID>", "<Grantee><ID>x", 1))},
		{"acl for nobody", document("/photos", "acl", `<AccessControlPolicy><Owner><ID>`+ownerID+`</ID></Owner><AccessControlList/></AccessControlPolicy>`)},
		{"acl of another owner", document("/photos", "acl", strings.Replace(ownACL, "<Owner><ID>", "<Owner><ID>x", 1))},
		{"acl without an owner", document("/photos", "acl", `<AccessControlPolicy/>`)},
		{"acl that permits something else", document("/photos", "acl", strings.Replace(ownACL, "FULL_CONTROL", "ALL", 1))},
		{"acl of broken XML", document("/photos", "acl", `<AccessControlPolicy>`)},
		{"public acl", query("PUT", "/photos", "acl", "X-Amz-Acl", "public-read")},
		{"delete ownership", query("DELETE", "/photos", "ownershipControls")},
		{"no ownership", query("GET", "/photos", "ownershipControls")},
		{"public access block, never set", query("GET", "/photos", "publicAccessBlock")},
		{"set public access block", document("/photos", "publicAccessBlock", publicAccess)},
		{"public access block", query("GET", "/photos", "publicAccessBlock")},
		{"public access block of something else", document("/photos", "publicAccessBlock", strings.Replace(publicAccess, "true", "maybe", 1))},
		{"delete public access block", query("DELETE", "/photos", "publicAccessBlock")},
		{"acl", query("GET", "/photos", "acl")},
		{"acl of an object", query("GET", "/photos/full", "acl")},
		{"acl of no object", query("GET", "/photos/absent", "acl")},
		{"acl of no bucket", query("GET", "/nothing", "acl")},
		{"private acl of an object", query("PUT", "/photos/full", "acl", "X-Amz-Acl", "private")},
		{"unknown acl of an object", query("PUT", "/photos/full", "acl", "X-Amz-Acl", "mine")},
		{"acl of no object, set", query("PUT", "/photos/absent", "acl", "X-Amz-Acl", "private")},
		{"versioning", query("GET", "/photos", "versioning")},
		{"versioning of no bucket", query("GET", "/nothing", "versioning")},
		{"request payment", query("GET", "/photos", "requestPayment")},
		{"encryption", query("GET", "/photos", "encryption")},
		{"set encryption", document("/photos", "encryption", "<ServerSideEncryptionConfiguration/>")},
		{"delete a policy of no bucket", query("DELETE", "/nothing", "policy")},
		{"expected owner", query("GET", "/photos", "location", "X-Amz-Expected-Bucket-Owner", ownerID)},
		{"another owner than expected", query("GET", "/photos", "location", "X-Amz-Expected-Bucket-Owner", "123456789012")},
		{"create with tags and ownership", ask{method: "PUT", path: "/tagged", header: header("X-Amz-Object-Ownership", "BucketOwnerPreferred"),
			body: `<CreateBucketConfiguration><Tags><Tag><Key>a</Key><Value>b</Value></Tag></Tags></CreateBucketConfiguration>`}},
		{"tags of a new bucket", query("GET", "/tagged", "tagging")},
		{"ownership of a new bucket", query("GET", "/tagged", "ownershipControls")},
		{"delete it", remove("/tagged")},
	}},
	{"bucket", []example{
		{"location", query("GET", "/photos", "location")},
		{"location of none", query("GET", "/nothing", "location")},
		{"head", head("/photos")},
		{"head of none", head("/nothing")},
		{"create", ask{method: "PUT", path: "/created"}},
		{"create again", ask{method: "PUT", path: "/created", header: header("X-Amz-Bucket-Object-Lock-Enabled", "false")}},
		{"create somewhere", ask{method: "PUT", path: "/elsewhere",
			body: `<CreateBucketConfiguration xmlns="http://s3.amazonaws.com/doc/2006-03-01/"><LocationConstraint>eu-west-1</LocationConstraint></CreateBucketConfiguration>`}},
		{"create with a tag without a key", ask{method: "PUT", path: "/tagged", body: `<CreateBucketConfiguration><Tags><Tag/></Tags></CreateBucketConfiguration>`}},
		{"create with an ownership that is none", ask{method: "PUT", path: "/owned", header: header("X-Amz-Object-Ownership", "mine")}},
		{"create with a lock", ask{method: "PUT", path: "/locked", header: header("X-Amz-Bucket-Object-Lock-Enabled", "true")}},
		{"create in public", ask{method: "PUT", path: "/public", header: header("X-Amz-Acl", "public-read")}},
		{"create from broken XML", ask{method: "PUT", path: "/broken", body: "<CreateBucketConfiguration><"}},
		{"create from too much", ask{method: "PUT", path: "/broken", body: strings.Repeat(" ", 256<<10+1)}},
		{"create with a wrong hash", ask{method: "PUT", path: "/broken", body: "<CreateBucketConfiguration/>", mode: strings.Repeat("0", 64)}},
		{"create with a bad name", ask{method: "PUT", path: "/Capitals"}},
		{"list", ask{method: "GET", path: "/"}},
		{"list a page", query("GET", "/", "max-buckets=1&prefix=e")},
		{"list the first", query("GET", "/", "max-buckets=2")},
		{"list another region", query("GET", "/", "bucket-region=eu-west-1")},
		{"list with a forged token", query("GET", "/", "continuation-token=forged")},
		{"list too many", query("GET", "/", "max-buckets=10001")},
		{"delete", remove("/created")},
		{"delete again", remove("/created")},
		{"delete what is not empty", remove("/photos")},
		{"versioning", ask{method: "PUT", path: "/photos", query: "versioning", body: "<VersioningConfiguration/>"}},
		{"post a form", ask{method: "POST", path: "/photos", body: "x"}},
		{"patch", ask{method: "PATCH", path: "/photos"}},
		{"post to the service", ask{method: "POST", path: "/"}},
		{"another host", ask{method: "HEAD", path: "/", host: "photos.s3.test"}},
	}},
}

// absent are the sub-resources that no bucket has, and how that is told.
var absent = map[string]s3.Code{
	"encryption": s3.SSEConfigurationNotFound, "lifecycle": s3.NoSuchLifecycleConfiguration, "object-lock": s3.ObjectLockConfigurationNotFound,
	"policy": s3.NoSuchBucketPolicy, "policyStatus": s3.NoSuchBucketPolicy, "replication": s3.ReplicationNotFound,
	"website": s3.NoSuchWebsiteConfiguration,
}

// TestOperations: each answer stands in testdata, byte for byte.
func TestOperations(t *testing.T) {
	f := newFixture(t, debugHeaders)
	for _, group := range examples {
		var all strings.Builder
		for _, e := range group.cases {
			all.WriteString("=== " + e.name + "\n" + f.raw(t, e.ask.text(f.addr)) + "\n")
		}
		golden(t, group.file, all.String())
	}
}

// TestRefusalsChangeNothing: whatever is answered with 4xx or 501 leaves all
// as it was, and what is not implemented does not even reach the replicas.
func TestRefusalsChangeNothing(t *testing.T) {
	f := newFixture(t)
	f.put(t, "/photos/plain", "hello world")
	f.put(t, "/photos/full", "hello world")
	refused := 0
	for _, group := range examples {
		for _, e := range group.cases {
			before := f.snapshot()
			f.called()
			a := f.send(t, e.ask)
			if a.status < 400 {
				continue
			}
			refused++
			if after := f.snapshot(); !maps.Equal(before, after) {
				t.Errorf("%s: %s: answered %v and changed %v to %v", group.file, e.name, a, before, after)
			}
			if calls := f.called(); a.status == 501 && len(calls) > 0 {
				t.Errorf("%s: %s: not implemented, but %v called", group.file, e.name, calls)
			}
		}
	}
	if refused < 60 {
		t.Errorf("only %d refusals", refused)
	}
}

// TestEveryAnswerNamesItself: the ids, the server, and a type wherever there is
// a body.
func TestEveryAnswerNamesItself(t *testing.T) {
	f := newFixture(t)
	f.put(t, "/photos/plain", "hello world")
	for _, group := range examples {
		for _, e := range group.cases {
			a := f.send(t, e.ask)
			id := a.header.Get("x-amz-request-id")
			if len(id) != 16 || a.header.Get("x-amz-id-2") == "" || a.header.Get("Server") != "s3mirror" || a.header.Get("Date") == "" {
				t.Errorf("%s: %s: %s", group.file, e.name, a.raw)
			}
			if a.body != "" && a.header.Get("Content-Type") == "" {
				t.Errorf("%s: %s: no type: %s", group.file, e.name, a.raw)
			}
			if a.code() != "" && !strings.Contains(a.body, "<RequestId>"+id+"</RequestId>") {
				t.Errorf("%s: %s: another id in the body: %s", group.file, e.name, a.raw)
			}
			if e.ask.method == "HEAD" && a.body != "" {
				t.Errorf("%s: %s: a body: %s", group.file, e.name, a.raw)
			}
			if line := f.log.last(t); line["request_id"] != id || line["status"] != float64(a.status) {
				t.Errorf("%s: %s: answered %d as %s, logged %v", group.file, e.name, a.status, id, line)
			}
		}
	}
}

// TestEveryOperationIsThere: what the dialect calls implemented is done.
func TestEveryOperationIsThere(t *testing.T) {
	f := newFixture(t)
	f.put(t, "/photos/k", "old")
	completes(f.store)
	done := map[string]bool{}
	for _, a := range append(uploadAsks(), []ask{
		get("/"), get("/photos"), query("GET", "/photos", "list-type=2"), query("GET", "/photos", "location"), head("/photos"),
		query("GET", "/photos", "versions"),
		document("/photos", "website", website), query("GET", "/photos", "website"), query("DELETE", "/photos", "website"),
		document("/photos", "tagging", tagging), query("GET", "/photos", "tagging"), query("DELETE", "/photos", "tagging"),
		document("/photos", "ownershipControls", ownership), query("GET", "/photos", "ownershipControls"), query("DELETE", "/photos", "ownershipControls"),
		document("/photos", "publicAccessBlock", publicAccess), query("GET", "/photos", "publicAccessBlock"), query("DELETE", "/photos", "publicAccessBlock"),
		document("/photos", "cors", cors), query("GET", "/photos", "cors"), query("DELETE", "/photos", "cors"),
		query("GET", "/photos", "acl"), query("PUT", "/photos", "acl", "X-Amz-Acl", "private"),
		query("GET", "/photos/k", "acl"), query("PUT", "/photos/k", "acl", "X-Amz-Acl", "private"),
		query("GET", "/photos", "accelerate"), query("GET", "/photos", "logging"), query("GET", "/photos", "notification"),
		query("GET", "/photos", "requestPayment"), query("GET", "/photos", "versioning"),
		document("/photos", "policy", publicPolicy), query("GET", "/photos", "policy"), query("GET", "/photos", "policyStatus"),
		query("DELETE", "/photos", "policy"), query("DELETE", "/photos", "website"),
		{method: "PUT", path: "/more"}, remove("/more"), upload("/photos/k", "v"), get("/photos/k"), head("/photos/k"), remove("/photos/k"),
		upload("/photos/k", "v"), copyOf("/photos/k2", "/photos/k"),
		document("/photos/k", "tagging", tagging), query("GET", "/photos/k", "tagging"), query("DELETE", "/photos/k", "tagging"),
		batch("/photos", deletes("k", "k2")),
	}...) {
		if got := f.send(t, a); got.status/100 != 2 {
			t.Errorf("%s %s?%s: %s", a.method, a.path, a.query, got.raw)
		}
		done[f.log.last(t)["operation"].(string)] = true
	}
	if got := f.send(t, (&browserForm{fields: []string{"key", "k"}}).ask(t)); got.status != 204 {
		t.Errorf("form: %s", got.raw)
	}
	done[f.log.last(t)["operation"].(string)] = true
	for sub, code := range absent {
		got := f.send(t, query("GET", "/photos", sub))
		if got.status != 404 || got.code() != string(code) {
			t.Errorf("%s: %s, want %s", sub, got.raw, code)
		}
		done[f.log.last(t)["operation"].(string)] = true
	}
	for _, a := range []ask{
		query("GET", "/photos/k", "retention"), document("/photos/k", "retention", "<Retention><Mode>GOVERNANCE</Mode></Retention>"),
		query("GET", "/photos/k", "legal-hold"), document("/photos/k", "legal-hold", "<LegalHold><Status>ON</Status></LegalHold>"),
	} {
		if got := f.send(t, a); got.status != 400 || got.code() != string(s3.InvalidRequest) {
			t.Errorf("%s %s: %s", a.method, a.query, got.raw)
		}
		done[f.log.last(t)["operation"].(string)] = true
		a.path = "/nowhere/k"
		if got := f.send(t, a); got.code() != string(s3.NoSuchBucket) {
			t.Errorf("%s %s: %s", a.method, a.query, got.raw)
		}
		a.path, a.body = "/photos/k", strings.Repeat("x", 100<<10)
		if got := f.send(t, a); a.method == "PUT" && got.status/100 != 4 {
			t.Errorf("%s %s with a long body: %s", a.method, a.query, got.raw)
		}
	}
	for _, name := range s3.ImplementedOperations() {
		if !done[string(name)] {
			t.Errorf("%s is not done", name)
		}
	}
}

//go:build e2e

package differential

import (
	"encoding/xml"
	"fmt"
	"math/rand/v2"
	"strings"

	"github.com/s3mirror/s3mirror/test/e2e/wire"
)

// generator makes the requests of one seed. It knows what was answered only as far as both
// sides agreed.
type generator struct {
	*rand.Rand
	etags   map[string]string   // of objects that stand, by key; quoted
	uploads map[string]string   // key of each upload that was begun, by a name of ours
	parts   map[string][]string // ETags of its parts, quoted, by number-1
	n       int
	spare   string // the kind of request that is not made
}

const bucket = "proof"

// keys are few, so that requests meet.
var keys = []string{"a", "b", "dir/c", "dir/d", "sp ace", "é", "x+y&z"}

func (g *generator) key() string { return keys[g.IntN(len(keys))] }

func (g *generator) body() []byte {
	size := pick(g.Rand, 0, 1, 5, 100, 8191, 8192, 70000)
	data := make([]byte, size)
	for i := range data {
		data[i] = byte(g.IntN(256)) //nolint:gosec // of a byte
	}
	return data
}

// next is a request of a random kind, broken in one of eight.
func (g *generator) next() request {
	kinds := []func() request{g.put, g.put, g.put, g.get, g.get, g.get, g.head, g.remove, g.removeMany, g.copy, g.list, g.list, g.begin, g.part, g.part, g.complete, g.uploadsOf, g.config, g.tags, g.settings, g.attributes, g.versions, g.dressed,
		g.summed, g.presigned, g.copyWhen, g.partOfCopy, g.removeWhen, g.readWhen, g.form}
	r := kinds[g.IntN(len(kinds))]()
	for g.spare != "" && r.label == g.spare {
		r = kinds[g.IntN(len(kinds))]()
	}
	if g.IntN(8) == 0 && r.mode == "" && r.presign == "" && r.form == nil {
		r.twist = twists[g.IntN(len(twists))]
		r.label += "/" + string(r.twist)
	}
	return r
}

// where is a bucket: now and then one that is not there.
func (g *generator) where() string {
	if g.IntN(25) == 0 {
		return "nowhere"
	}
	return bucket
}

func (g *generator) put() request {
	r := request{label: "put", method: "PUT", bucket: g.where(), key: g.key(), body: g.body(), mode: wire.Modes[g.IntN(len(wire.Modes))]}
	if g.IntN(3) == 0 {
		r.header = append(r.header, field("Content-Type", pick(g.Rand, "text/plain", "application/json; charset=utf-8")))
	}
	if g.IntN(3) == 0 {
		r.header = append(r.header, field("x-amz-meta-a", pick(g.Rand, "1", "two words", "a  b")), field("Cache-Control", "max-age=7"))
	}
	switch g.IntN(8) {
	case 0:
		r.label, r.header = "put/if-none-match", append(r.header, field("If-None-Match", "*"))
	case 1:
		r.label, r.header = "put/if-match", append(r.header, field("If-Match", g.etag()))
	case 2:
		if !r.mode.Trailer() {
			r.label, r.header = "put/digest", append(r.header, digest(g.Rand, r.body))
		}
	case 3:
		if faults := r.mode.Faults(); len(r.body) > 0 && len(faults) > 0 {
			if f := faults[g.IntN(len(faults))]; !f.Cut() {
				r.label, r.fault = "put/fault", f
			}
		}
	case 4:
		r.label, r.header = "put/odd-header", append(r.header, pick(g.Rand,
			field("Content-MD5", "!"), field("x-amz-checksum-crc32", "AAAA"), field("x-amz-storage-class", "STANDARD"), field("x-amz-acl", "private"),
			field("x-amz-checksum-crc16", "AAAA"), field("x-amz-sdk-checksum-algorithm", "CRC9"), field("x-amz-website-redirect-location", "nowhere")))
	}
	return r
}

// etag is one that stands, or not.
func (g *generator) etag() string {
	if e := g.etags[g.key()]; e != "" && g.IntN(4) > 0 {
		return e
	}
	return `"0123456789abcdef0123456789abcdef"`
}

func (g *generator) read(method, label string) request {
	r := request{label: label, method: method, bucket: g.where(), key: g.key()}
	if g.IntN(10) == 0 {
		r.key = "none"
	}
	switch g.IntN(7) {
	case 0, 1:
		r.label += "/range"
		r.header = append(r.header, field("Range", pick(g.Rand, "bytes=0-0", "bytes=5-", "bytes=-3", "bytes=-0", "bytes=3-1", "bytes=0-1,3-4", "bytes=999999-", "bytes=a-b", "items=0-1", "bytes=0-999999999999")))
	case 2:
		r.label += "/if"
		r.header = append(r.header, field(pick(g.Rand, "If-Match", "If-None-Match"), pick(g.Rand, g.etag(), "*", strings.Trim(g.etag(), `"`))))
	case 3:
		r.label, r.query = r.label+"/part", "partNumber="+pick(g.Rand, "1", "2", "0", "10001", "x")
	case 4:
		r.label, r.query = r.label+"/override", pick(g.Rand, "response-content-type=text%2Fx", "response-cache-control=no-store", "response-expires=x")
	case 5:
		r.label, r.header = r.label+"/checksum", append(r.header, field("x-amz-checksum-mode", "ENABLED"))
	}
	return r
}

func (g *generator) get() request  { return g.read("GET", "get") }
func (g *generator) head() request { return g.read("HEAD", "head") }

func (g *generator) remove() request {
	r := request{label: "delete", method: "DELETE", bucket: g.where(), key: g.key()}
	if g.IntN(3) == 0 {
		r.label, r.header = "delete/if-match", append(r.header, field("If-Match", g.etag()))
	}
	return r
}

func (g *generator) removeMany() request {
	var b strings.Builder
	b.WriteString("<Delete>")
	quiet := g.IntN(3) == 0
	if quiet {
		b.WriteString("<Quiet>true</Quiet>")
	}
	for range 1 + g.IntN(3) {
		b.WriteString("<Object><Key>")
		_ = xml.EscapeText(&b, []byte(g.key())) // into memory
		b.WriteString("</Key></Object>")
	}
	b.WriteString("</Delete>")
	r := request{label: "delete-many", method: "POST", bucket: bucket, query: "delete="}
	r.body = []byte(b.String())
	if quiet {
		r.label = "delete-many/quiet"
	}
	if g.IntN(5) == 0 {
		r.label, r.body = "delete-many/broken", []byte(pick(g.Rand, "<Delete><Object>", "", "{}", "<Remove/>"))
	}
	sum := digest(rand.New(rand.NewPCG(1, 5)), r.body) //nolint:gosec // a seed that gives a right one
	r.header = append(r.header, sum)
	return r
}

func (g *generator) copy() request {
	source := g.key()
	r := request{label: "copy", method: "PUT", bucket: g.where(), key: g.key(), header: []wire.Field{field("x-amz-copy-source", wire.Path(bucket, source))}}
	if r.key == source {
		r.label = "copy/itself"
	}
	switch g.IntN(5) {
	case 0:
		r.label, r.header[0].Value = "copy/odd-source", pick(g.Rand, "nokey", "/"+bucket+"/none", "/nowhere/k", "/"+bucket+"/%zz")
	case 1:
		r.label, r.header = "copy/replace", append(r.header, field("x-amz-metadata-directive", pick(g.Rand, "REPLACE", "COPY", "OTHER")), field("x-amz-meta-b", "new"))
	case 2:
		r.label, r.header = "copy/if-match", append(r.header, field("x-amz-copy-source-if-match", g.etag()))
	}
	return r
}

func (g *generator) list() request {
	r := request{label: "list", method: "GET", bucket: bucket}
	pairs := []string{"encoding-type", "url"}
	if g.IntN(2) == 0 {
		r.label, pairs = "list-v2", append(pairs, "list-type", "2")
		if g.IntN(3) == 0 {
			pairs = append(pairs, "start-after", g.key())
		}
	}
	if g.IntN(2) == 0 {
		pairs = append(pairs, "delimiter", pick(g.Rand, "/", "c"))
	}
	if g.IntN(2) == 0 {
		pairs = append(pairs, "prefix", pick(g.Rand, "dir/", "d", "none", ""))
	}
	if g.IntN(3) == 0 {
		pairs = append(pairs, "max-keys", pick(g.Rand, "1", "3", "1000", "5000"))
	}
	if g.IntN(8) == 0 {
		r.label, pairs = r.label+"/broken", append(pairs, "max-keys", pick(g.Rand, "-1", "x", "99999999999"))
	}
	r.query = wire.Query(pairs...)
	return r
}

func (g *generator) begin() request {
	g.n++
	name := fmt.Sprintf("u%d", g.n)
	key := g.key()
	g.uploads[name] = key
	return request{label: "create-upload", method: "POST", bucket: bucket, key: key, query: "uploads=", upload: name}
}

// some is an upload that was begun, or one that never was.
func (g *generator) some() (name, key string) {
	if len(g.uploads) > 0 && g.IntN(10) > 0 {
		name = fmt.Sprintf("u%d", 1+g.IntN(g.n))
	}
	if key = g.uploads[name]; key == "" {
		key = "a"
	}
	return name, key
}

func (g *generator) part() request {
	name, key := g.some()
	r := request{label: "part", method: "PUT", bucket: bucket, key: key, upload: name, body: g.body()}
	r.query = "partNumber=" + pick(g.Rand, "1", "1", "1", "2", "0", "10001") + "&uploadId=UPLOAD"
	return r
}

func (g *generator) complete() request {
	name, key := g.some()
	r := request{label: "complete", method: "POST", bucket: bucket, key: key, query: "uploadId=UPLOAD", upload: name}
	var b strings.Builder
	b.WriteString("<CompleteMultipartUpload>")
	for i, etag := range g.parts[name] {
		if etag == "" {
			continue
		}
		if g.IntN(6) == 0 {
			r.label, etag = "complete/wrong-etag", `"0123456789abcdef0123456789abcdef"`
		}
		fmt.Fprintf(&b, "<Part><PartNumber>%d</PartNumber><ETag>%s</ETag></Part>", i+1, etag)
	}
	b.WriteString("</CompleteMultipartUpload>")
	r.body = []byte(b.String())
	if g.IntN(8) == 0 {
		r.label, r.body = "complete/broken", []byte(pick(g.Rand, "", "<CompleteMultipartUpload>", "<CompleteMultipartUpload/>", "<Other/>"))
	}
	return r
}

func (g *generator) uploadsOf() request {
	name, key := g.some()
	switch g.IntN(3) {
	case 0:
		return request{label: "abort", method: "DELETE", bucket: bucket, key: key, query: "uploadId=UPLOAD", upload: name}
	case 1:
		return request{label: "list-parts", method: "GET", bucket: bucket, key: key, query: "uploadId=UPLOAD", upload: name}
	}
	return request{label: "list-uploads", method: "GET", bucket: bucket, query: "uploads="}
}

func (g *generator) config() request {
	what := pick(g.Rand, "location", "versioning", "tagging", "cors", "policy", "acl", "ownershipControls", "object-lock", "website")
	r := request{label: "config/" + what, method: "GET", bucket: bucket, query: what + "="}
	switch g.IntN(6) {
	case 0:
		r.bucket = "nowhere"
	case 1:
		r.label, r.method = r.label+"/head-bucket", "HEAD"
		r.query = ""
	}
	return r
}

// tags are those of an object: set, asked for, removed.
func (g *generator) tags() request {
	r := request{label: "tags/get", method: "GET", bucket: g.where(), key: g.key(), query: "tagging="}
	if g.IntN(8) == 0 {
		r.key = "none"
	}
	switch g.IntN(4) {
	case 0:
		r.label, r.method = "tags/delete", "DELETE"
	case 1, 2:
		r.label, r.method = "tags/put", "PUT"
		r.body = []byte("<Tagging><TagSet>" + pick(g.Rand, "", "<Tag><Key>a</Key><Value>1</Value></Tag>", "<Tag><Key>a</Key><Value></Value></Tag><Tag><Key>b c</Key><Value>x+y=z@_.:/-</Value></Tag>",
			"<Tag><Key>a</Key><Value>1</Value></Tag><Tag><Key>a</Key><Value>2</Value></Tag>", "<Tag><Key></Key><Value>1</Value></Tag>",
			"<Tag><Key>"+strings.Repeat("k", 129)+"</Key><Value>1</Value></Tag>", strings.Repeat("<Tag><Key>k</Key><Value>v</Value></Tag>", 11)) + "</TagSet></Tagging>")
		r.header = append(r.header, digest(rand.New(rand.NewPCG(1, 5)), r.body)) //nolint:gosec // a seed that gives a right one
	}
	return r
}

// settings are what of a bucket can be set.
func (g *generator) settings() request {
	what := pick(g.Rand, "tagging", "cors", "ownershipControls", "policy")
	r := request{label: "settings/" + what + "/get", method: "GET", bucket: bucket, query: what + "="}
	switch g.IntN(3) {
	case 0:
		r.label, r.method = "settings/"+what+"/delete", "DELETE"
	case 1:
		r.label, r.method = "settings/"+what+"/put", "PUT"
		body := map[string][]string{
			"tagging":           {"<Tagging><TagSet><Tag><Key>a</Key><Value>1</Value></Tag></TagSet></Tagging>", "<Tagging/>", "<Other/>"},
			"cors":              {"<CORSConfiguration><CORSRule><AllowedMethod>GET</AllowedMethod><AllowedOrigin>*</AllowedOrigin></CORSRule></CORSConfiguration>", "<CORSConfiguration><CORSRule><AllowedMethod>FETCH</AllowedMethod><AllowedOrigin>*</AllowedOrigin></CORSRule></CORSConfiguration>", "<CORSConfiguration/>"},
			"ownershipControls": {"<OwnershipControls><Rule><ObjectOwnership>BucketOwnerPreferred</ObjectOwnership></Rule></OwnershipControls>", "<OwnershipControls><Rule><ObjectOwnership>Mine</ObjectOwnership></Rule></OwnershipControls>", "<OwnershipControls/>"},
			"policy":            {`{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":"*","Action":"s3:GetObject","Resource":"arn:aws:s3:::` + bucket + `/public/*"}]}`, `{"Statement":[]}`, "{", ""},
		}[what]
		r.body = []byte(pick(g.Rand, body...))
		r.header = append(r.header, digest(rand.New(rand.NewPCG(1, 5)), r.body)) //nolint:gosec // a seed that gives a right one
	}
	return r
}

// attributes are asked for one by one, or wrongly.
func (g *generator) attributes() request {
	r := request{label: "attributes", method: "GET", bucket: g.where(), key: g.key(), query: "attributes="}
	r.header = append(r.header, field("x-amz-object-attributes", pick(g.Rand, "ETag", "ETag,ObjectSize,StorageClass", "Checksum", "Nothing", "")))
	return r
}

// versions name the one version that an object has, or another, or list them.
func (g *generator) versions() request {
	if g.IntN(2) == 0 {
		return request{label: "versions/list", method: "GET", bucket: bucket, query: pick(g.Rand, "versions=", "prefix=dir%2F&versions=", "delimiter=%2F&versions=", "max-keys=2&versions=")}
	}
	return request{label: "versions/" + pick(g.Rand, "get", "head"), method: pick(g.Rand, "GET", "HEAD"), bucket: bucket, key: g.key(), query: "versionId=" + pick(g.Rand, "null", "01BX5ZZKBKACTAV9WEVGEMMVRZ", "x")}
}

// dressed is a small object with all that a version may carry, under a key that needs
// escaping.
func (g *generator) dressed() request {
	r := request{label: "put/dressed", method: "PUT", bucket: bucket, key: pick(g.Rand, append([]string{"100%", "a%20b", "q?x=1", "#", "~'()*!", "日本", "e\u0301", "trail.", "  lead"}, keys...)...), body: g.body(), mode: wire.Literal}
	fields := []wire.Field{
		field("Content-Encoding", pick(g.Rand, "gzip", "identity", "gzip, br")), field("Expires", pick(g.Rand, "Wed, 21 Oct 2065 07:28:00 GMT", "soon")),
		field("Cache-Control", "no-cache, max-age=0"), field("Content-Disposition", `attachment; filename="a b.txt"`), field("Content-Language", "de, en"),
		field("x-amz-website-redirect-location", pick(g.Rand, "/there", "https://example.org/")), field("x-amz-storage-class", pick(g.Rand, "STANDARD", "REDUCED_REDUNDANCY", "STANDARD_IA")),
		field("x-amz-meta-a", "1"), field("x-amz-tagging", pick(g.Rand, "a=1&b=2", "a", "a=%20", "=")), field("x-amz-expected-bucket-owner", "somebody"),
	}
	for _, f := range fields {
		if g.IntN(4) == 0 {
			r.header = append(r.header, f)
			if strings.HasPrefix(f.Name, "x-amz-tagging") || strings.HasPrefix(f.Name, "x-amz-expected") {
				r.label = "put/dressed-" + f.Name
			}
		}
	}
	return r
}

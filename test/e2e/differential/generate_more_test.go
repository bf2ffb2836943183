//go:build e2e

package differential

import (
	"crypto/sha1" //nolint:gosec // S3's digest
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"hash/crc64"
	"strings"

	"github.com/s3mirror/s3mirror/test/e2e/wire"
)

// dates are those that conditions name: long ago, far off, and what is none.
var dates = []string{"Wed, 21 Oct 2015 07:28:00 GMT", "Wed, 21 Oct 2065 07:28:00 GMT", "soon"}

// sums are the checksums that requests carry, each with what makes it.
var sums = map[string]func([]byte) []byte{
	"crc32": func(b []byte) []byte { return binary.BigEndian.AppendUint32(nil, crc32.ChecksumIEEE(b)) },
	"crc32c": func(b []byte) []byte {
		return binary.BigEndian.AppendUint32(nil, crc32.Checksum(b, crc32.MakeTable(crc32.Castagnoli)))
	},
	"crc64nvme": func(b []byte) []byte {
		return binary.BigEndian.AppendUint64(nil, crc64.Checksum(b, crc64.MakeTable(0x9a6c9329ac4bc9b5)))
	},
	"sha1":   func(b []byte) []byte { s := sha1.Sum(b); return s[:] }, //nolint:gosec // see above
	"sha256": func(b []byte) []byte { s := sha256.Sum256(b); return s[:] },
}

// sum is a checksum of the body, of one kind or another; now and then of something else.
func (g *generator) sum(body []byte) (f wire.Field, right bool) {
	algorithm := pick(g.Rand, "crc32", "crc32c", "crc64nvme", "sha1", "sha256")
	if right = g.IntN(4) > 0; !right {
		body = append([]byte("not "), body...)
	}
	return field("x-amz-checksum-"+algorithm, base64.StdEncoding.EncodeToString(sums[algorithm](body))), right
}

// summed is an object with a checksum, as a header or behind its body.
func (g *generator) summed() request {
	r := request{label: "put/sum", method: "PUT", bucket: bucket, key: g.key(), body: g.body()}
	sum, right := g.sum(r.body)
	if r.mode = pick(g.Rand, wire.Modes...); r.mode.Trailer() {
		r.sum = sum
	} else {
		r.header = append(r.header, sum)
	}
	if !right {
		r.label = "put/wrong-sum"
	}
	return r
}

// presigned is a read, a write or a delete whose credentials stand in the URL.
func (g *generator) presigned() request {
	r := request{label: "get", method: "GET", bucket: g.where(), key: g.key(), presign: pick(g.Rand, "v4", "v4", "v2"), lives: pick(g.Rand, 60, 60, 60, 0, -5, 604801)}
	switch g.IntN(5) {
	case 0:
		r.label, r.method, r.body = "put", "PUT", g.body()
	case 1:
		r.label, r.method = "head", "HEAD"
	case 2:
		r.query = wire.Query(pick(g.Rand, "response-content-type", "response-content-disposition", "response-cache-control"), pick(g.Rand, "text/x", `attachment; filename="a b"`))
	case 3:
		r.label, r.method = "delete", "DELETE"
	}
	r.label += "/presigned-" + r.presign
	if r.lives != 60 {
		r.label += "-odd"
	}
	if g.IntN(8) == 0 {
		r.twist = pick(g.Rand, wrongKey, forged)
		r.label += "/" + string(r.twist)
	}
	return r
}

// copyWhen is a copy with conditions of time and of tags.
func (g *generator) copyWhen() request {
	r := request{label: "copy/when", method: "PUT", bucket: bucket, key: g.key(), header: []wire.Field{field("x-amz-copy-source", wire.Path(bucket, g.key()))}}
	r.header = append(r.header, g.sourceCondition())
	if other := g.sourceCondition(); g.IntN(3) == 0 && other.Name != r.header[1].Name {
		r.header = append(r.header, other)
	}
	return r
}

func (g *generator) sourceCondition() wire.Field {
	name := "x-amz-copy-source-" + pick(g.Rand, "if-match", "if-none-match", "if-modified-since", "if-unmodified-since")
	if strings.HasSuffix(name, "since") {
		return field(name, pick(g.Rand, dates...))
	}
	return field(name, pick(g.Rand, g.etag(), "*", strings.Trim(g.etag(), `"`)))
}

// partOfCopy is a part that is a range of an object.
func (g *generator) partOfCopy() request {
	name, key := g.some()
	r := request{label: "part/copy", method: "PUT", bucket: bucket, key: key, upload: name, query: "partNumber=" + pick(g.Rand, "1", "1", "2") + "&uploadId=UPLOAD"}
	r.header = append(r.header, field("x-amz-copy-source", wire.Path(bucket, g.key())))
	if g.IntN(3) > 0 {
		r.label = "part/copy-range"
		r.header = append(r.header, field("x-amz-copy-source-range", pick(g.Rand, "bytes=0-0", "bytes=0-4", "bytes=1-99", "bytes=100-8190", "bytes=3-1", "bytes=0-99999999", "bytes=5-", "bytes=-5", "0-4", "bytes=a-b")))
	}
	if g.IntN(4) == 0 {
		r.label, r.header = r.label+"-when", append(r.header, g.sourceCondition())
	}
	return r
}

// removeWhen is a delete with conditions.
func (g *generator) removeWhen() request {
	r := request{label: "delete/when", method: "DELETE", bucket: bucket, key: g.key()}
	switch g.IntN(4) {
	case 0:
		r.header = append(r.header, field("x-amz-if-match-size", pick(g.Rand, "0", "5", "100", "8191")))
	case 1:
		r.header = append(r.header, field("x-amz-if-match-last-modified-time", pick(g.Rand, dates[:2]...)))
	case 2:
		r.header = append(r.header, field("If-Match", "*"))
	case 3:
		r.label, r.method, r.key, r.query = "delete-many/when", "POST", "", "delete="
		r.body = fmt.Appendf(nil, "<Delete><Object><Key>a</Key><ETag>%s</ETag></Object><Object><Key>b</Key></Object></Delete>", strings.Trim(g.etag(), `"`))
		r.header = append(r.header, field("x-amz-checksum-sha256", base64.StdEncoding.EncodeToString(sums["sha256"](r.body))))
	}
	return r
}

// readWhen is a read with a condition of time, or of parts and a range at once.
func (g *generator) readWhen() request {
	r := request{label: "get/when", method: "GET", bucket: bucket, key: g.key()}
	if g.IntN(2) == 0 {
		r.label, r.method = "head/when", "HEAD"
	}
	r.header = append(r.header, field(pick(g.Rand, "If-Modified-Since", "If-Unmodified-Since"), pick(g.Rand, dates...)))
	if g.IntN(3) == 0 {
		r.header = append(r.header, field(pick(g.Rand, "If-Match", "If-None-Match"), g.etag()))
	}
	return r
}

// form is what a browser sends, whole or with something wrong.
func (g *generator) form() request {
	f := &form{key: pick(g.Rand, g.key(), "up/${filename}", "${filename}"), file: g.body(), status: pick(g.Rand, "", "", "200", "201", "204", "404"), most: 100000}
	r := request{label: "form", method: "POST", bucket: g.where(), form: f}
	switch g.IntN(12) {
	case 0:
		r.label, f.forged = "form/forged", true
	case 1:
		r.label, f.expired = "form/expired", true
	case 2:
		r.label, f.most = "form/too-large", 4
	case 3:
		r.label, f.least = "form/too-small", 50
	case 4:
		r.label, f.extra = "form/extra-field", field("x-amz-meta-a", "1")
	case 5:
		r.label, f.extra, f.allowed = "form/meta", field("x-amz-meta-a", "1"), true
	case 6:
		r.label, f.without = "form/without", pick(g.Rand, "key", "policy", "x-amz-signature", "x-amz-credential", "x-amz-date", "x-amz-algorithm", "file")
	case 7:
		r.label, f.policy = "form/policy", pick(g.Rand, "{", "{}", `{"expiration":"2065-01-01T00:00:00Z"}`, `{"conditions":[]}`, `{"expiration":"soon","conditions":[]}`,
			`{"expiration":"2065-01-01T00:00:00Z","conditions":[["like","$key","a"]]}`, `{"expiration":"2065-01-01T00:00:00Z","conditions":[["content-length-range",0]]}`, `{"expiration":"2065-01-01T00:00:00Z","conditions":[{}]}`)
	case 8:
		r.label, f.extra, f.allowed = "form/type", field("Content-Type", "text/x"), true
	case 9:
		r.label, f.extra, f.allowed = "form/tags", field("tagging", "<Tagging><TagSet><Tag><Key>a</Key><Value>1</Value></Tag></TagSet></Tagging>"), true
	}
	return r
}

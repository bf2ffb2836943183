//go:build e2e

package differential

import (
	"cmp"
	"crypto/md5" //nolint:gosec // S3's digest
	"encoding/base64"
	"fmt"
	"hash/crc32"
	"math/rand/v2"
	"strings"
	"time"

	"github.com/s3mirror/s3mirror/test/e2e/wire"
)

// A request is one that is sent to both sides, each signing it for itself.
type request struct {
	label  string // of its kind, for the table of differences
	method string
	bucket string
	key    string
	query  string
	header []wire.Field
	body   []byte
	mode   wire.Mode  // of a PutObject or UploadPart; empty: a literal hash
	fault  wire.Fault // what is wrong with its body
	twist  twist      // what is wrong with its head
	upload string     // the upload whose id each side puts in the place of UPLOAD

	sum     wire.Field // the trailer of the body
	presign string     // v4 or v2: the credentials stand in the URL
	lives   int        // seconds, of such a URL
	form    *form      // a browser's, instead of a body
}

// twist is what is wrong with the head of a request.
type twist string

const (
	straight   twist = ""
	skewed     twist = "skewed"      // signed long ago
	wrongKey   twist = "wrong-key"   // by nobody
	forged     twist = "forged"      // with another secret
	unsigned   twist = "unsigned"    // not at all
	addedMeta  twist = "added-meta"  // x-amz-meta-* after signing
	noSHA      twist = "no-sha"      // without x-amz-content-sha256
	garbageSHA twist = "garbage-sha" // with one that is none
)

var twists = []twist{skewed, wrongKey, forged, unsigned, addedMeta, noSHA, garbageSHA}

func (r request) String() string {
	form := ""
	if r.form != nil {
		form = fmt.Sprintf(" %+v", *r.form)
	}
	return fmt.Sprintf("%s: %s %s?%s %v %v %s %s %s %d, %d bytes%.400s", r.label, r.method, wire.Path(r.bucket, r.key), r.query, r.header, r.sum, r.mode, r.twist, r.presign, r.lives, len(r.body), form)
}

// signed is the request for one side.
func (r request) signed(keys wire.Keys, host string, ids map[string]string) (wire.Request, []byte) {
	now := time.Now()
	switch r.twist {
	case skewed:
		now = now.Add(-time.Hour)
	case wrongKey:
		keys.Access = "nobody"
	case forged:
		keys.Secret = "guess"
	}
	query := strings.ReplaceAll(r.query, "UPLOAD", cmp.Or(ids[r.upload], ids[""]))
	var out wire.Request
	body := r.body
	switch {
	case r.form != nil:
		body = r.form.body(keys, r.bucket, now)
		out = wire.Request{Method: r.method, Host: host, Path: wire.Path(r.bucket, "")}
		out.Header = []wire.Field{field("Content-Type", "multipart/form-data; boundary="+boundary), field("Content-Length", fmt.Sprint(len(body)))}
		return out, body
	case r.presign != "":
		out = wire.Request{Method: r.method, Host: host, Path: wire.Path(r.bucket, r.key), Query: query}
		if r.method == "PUT" {
			out.Header = []wire.Field{field("Content-Length", fmt.Sprint(len(body)))}
		}
		presign(&out, r.presign, keys, now, r.lives)
		return out, body
	case r.mode != "" && query == "":
		out, body = wire.Put{Keys: keys, Host: host, Bucket: r.bucket, Key: r.key, Mode: r.mode, Body: r.body, Header: r.header, Fault: r.fault, Sum: r.sum, Now: now}.Request()
	default:
		out = wire.Request{Method: r.method, Host: host, Path: wire.Path(r.bucket, r.key), Query: query, Header: append([]wire.Field(nil), r.header...)}
		payload := wire.Hash(body)
		if r.twist == garbageSHA {
			payload = "garbage"
		}
		if len(body) > 0 || r.method == "PUT" || r.method == "POST" {
			out.Header = append(out.Header, wire.Field{Name: "Content-Length", Value: fmt.Sprint(len(body))})
		}
		keys.Sign(&out, payload, now)
	}
	drop := map[twist]string{unsigned: "authorization", noSHA: "x-amz-content-sha256"}[r.twist]
	var kept []wire.Field
	for _, f := range out.Header {
		if drop == "" || !strings.EqualFold(f.Name, drop) {
			kept = append(kept, f)
		}
	}
	if out.Header = kept; r.twist == addedMeta {
		out.Header = append(out.Header, wire.Field{Name: "x-amz-meta-added", Value: "1"})
	}
	return out, body
}

func pick[T any](r *rand.Rand, of ...T) T { return of[r.IntN(len(of))] }

func field(name, value string) wire.Field { return wire.Field{Name: name, Value: value} }

// digest is a Content-MD5, or a checksum, of the body; of something else when it is wrong.
func digest(r *rand.Rand, body []byte) wire.Field {
	if r.IntN(3) == 0 {
		body = append([]byte("not "), body...)
	}
	if r.IntN(2) == 0 {
		sum := md5.Sum(body) //nolint:gosec // see above
		return field("Content-MD5", base64.StdEncoding.EncodeToString(sum[:]))
	}
	sum := crc32.ChecksumIEEE(body)
	return field("x-amz-checksum-crc32", base64.StdEncoding.EncodeToString([]byte{byte(sum >> 24), byte(sum >> 16), byte(sum >> 8), byte(sum)}))
}

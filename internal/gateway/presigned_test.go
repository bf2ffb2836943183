package gateway_test

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/s3mirror/s3mirror/internal/sigv4"
)

// presigned is a request by somebody who has a URL and no key. signed are the
// headers that its signer fixed.
func (f *fixture) presigned(method, path, query, body string, signed ...string) ask {
	h := header(signed...)
	r := &http.Request{Method: method, Host: f.addr, Header: h}
	query = sigv4.NewSigner(testKey, testSecret, "eu").Presign(r, path, query, time.Hour, time.Now())
	return ask{method: method, path: path, query: query, header: h, body: body, anonymous: true}
}

// TestPresigned does every kind of operation by URL.
func TestPresigned(t *testing.T) {
	f := newFixture(t)
	for _, tc := range []struct {
		method, path, query, body string
		status                    int
		want                      string // in the answer
	}{
		{"PUT", "/photos/a%20b", "x-id=PutObject", "by a stranger", 200, ""},
		{"GET", "/photos/a%20b", "x-id=GetObject", "", 200, "by a stranger"},
		{"GET", "/photos/a%20b", "response-content-type=text%2Fx-mine&response-content-disposition=attachment", "", 200, "Content-Type: text/x-mine\r\n"},
		{"HEAD", "/photos/a%20b", "", "", 200, "Content-Length: 13\r\n"},
		{"GET", "/photos", "list-type=2&prefix=a", "", 200, "<Key>a b</Key>"},
		{"GET", "/photos", "location", "", 200, "LocationConstraint"},
		{"GET", "/", "", "", 200, "<Name>photos</Name>"},
		{"GET", "/photos/a%20b", "versionId=x", "", 400, "Invalid version id specified"},
		{"GET", "/photos/a%20b", "acl", "", 200, "FULL_CONTROL"},
		{"DELETE", "/photos/a%20b", "", "", 204, ""},
		{"GET", "/photos/a%20b", "", "", 404, "NoSuchKey"},
		{"PUT", "/fresh", "", "", 200, ""},
		{"HEAD", "/fresh", "", "", 200, ""},
		{"DELETE", "/fresh", "", "", 204, ""},
	} {
		a := f.send(t, f.presigned(tc.method, tc.path, tc.query, tc.body))
		if a.status != tc.status || !strings.Contains(a.raw, tc.want) {
			t.Errorf("%s %s?%s: %s\n%s", tc.method, tc.path, tc.query, a, a.raw)
		}
	}
}

// TestPresignedVirtualHost: the bucket is in the host, and so in the signature.
func TestPresignedVirtualHost(t *testing.T) {
	f := newFixture(t)
	f.put(t, "/photos/k", "hello")
	sign := func(host string) ask {
		r := &http.Request{Method: "GET", Host: host, Header: http.Header{}}
		query := sigv4.NewSigner(testKey, testSecret, "eu").Presign(r, "/k", "", time.Hour, time.Now())
		return ask{method: "GET", path: "/k", query: query, anonymous: true, host: host}
	}
	if a := f.send(t, sign("photos.s3.test:9000")); a.status != 200 || a.body != "hello" {
		t.Errorf("got %s", a.raw)
	}
	stolen := sign("photos.s3.test")
	stolen.host = "other.s3.test"
	if a := f.send(t, stolen); a.code() != "SignatureDoesNotMatch" {
		t.Errorf("another bucket's host: %s", a)
	}
}

// TestPresignedMeansWhatWasSigned: headers that an SDK moved into the query
// count, and promises about the body hold.
func TestPresignedMeansWhatWasSigned(t *testing.T) {
	f := newFixture(t)
	const crc = "x-amz-checksum-crc32=DUoRhQ%3D%3D" // of "hello world"
	for _, tc := range []struct {
		name  string
		a     ask
		code  string
		after string // header of a HEAD afterwards
	}{
		{"metadata in the query", f.presigned("PUT", "/photos/k", "x-amz-meta-by=signer", "hello world"), "", "x-amz-meta-by: signer\r\n"},
		{"metadata in a header", f.presigned("PUT", "/photos/k", "", "hello world", "x-amz-meta-by", "header"), "", "x-amz-meta-by: header\r\n"},
		{"checksum of the body", f.presigned("PUT", "/photos/k", crc, "hello world"), "", "X-Amz-Checksum-Crc32: DUoRhQ==\r\n"},
		{"checksum of another", f.presigned("PUT", "/photos/k", crc, "hello there"), "BadDigest", ""},
		{"checksum of nothing, as SDKs have it", f.presigned("PUT", "/photos/k", "x-amz-checksum-crc32=AAAAAA%3D%3D&x-amz-sdk-checksum-algorithm=CRC32", "hello world"), "", ""},
		{"md5 of another", f.presigned("PUT", "/photos/k", "", "hello", "Content-MD5", "1B2M2Y8AsgTpgAmY7PhCfg=="), "BadDigest", ""},
		{"hash of the body", f.presigned("PUT", "/photos/k", "", "", "X-Amz-Content-Sha256", sigv4.EmptySHA256), "", ""},
		{"hash of another", f.presigned("PUT", "/photos/k", "", "hello", "X-Amz-Content-Sha256", sigv4.EmptySHA256), "XAmzContentSHA256Mismatch", ""},
		{"copy source in the query", f.presigned("PUT", "/photos/k", "x-amz-copy-source=%2Fphotos%2Fsecret", ""), "NotImplemented", ""},
		{"encryption in the query", f.presigned("PUT", "/photos/k", "x-amz-server-side-encryption=AES256", "x"), "NotImplemented", ""},
		{"line break in the query", f.presigned("PUT", "/photos/k", "x-amz-meta-a=b%0D%0AX-Evil:%20y", "x"), "InvalidArgument", ""},
	} {
		a := f.send(t, tc.a)
		if a.code() != tc.code || (tc.code == "") != (a.status == 200) {
			t.Errorf("%s: %s\n%s", tc.name, a, a.raw)
		}
		if tc.after == "" {
			continue
		}
		if head := f.send(t, ask{method: "HEAD", path: "/photos/k", header: header("x-amz-checksum-mode", "ENABLED")}); !strings.Contains(head.raw, tc.after) {
			t.Errorf("%s: %s", tc.name, head.raw)
		}
	}
}

// TestPresignedAbuse: what was not signed is not done, and changes nothing.
func TestPresignedAbuse(t *testing.T) {
	f := newFixture(t)
	f.put(t, "/photos/k", "mine")
	before := f.snapshot()
	change := func(a ask, how func(a *ask)) ask { how(&a); return a }
	put := f.presigned("PUT", "/photos/k", "", "stranger's")
	unsigned := func(name, value string) ask {
		return change(put, func(a *ask) { a.after = func(h http.Header) { h.Set(name, value) } })
	}
	for name, tc := range map[string]struct {
		a    ask
		want string
	}{
		"copy source added": {unsigned("X-Amz-Copy-Source", "/photos/secret"), "403 AccessDenied"},
		"tagging added":     {unsigned("X-Amz-Tagging", "a=b"), "403 AccessDenied"},
		"acl added":         {unsigned("X-Amz-Acl", "public-read"), "403 AccessDenied"},
		"metadata added":    {unsigned("X-Amz-Meta-A", "b"), "403 AccessDenied"},
		"redirect added":    {unsigned("X-Amz-Website-Redirect-Location", "/x"), "403 AccessDenied"},
		"digest added":      {unsigned("Content-MD5", "1B2M2Y8AsgTpgAmY7PhCfg=="), "403 AccessDenied"},
		"mode added":        {unsigned("X-Amz-Content-Sha256", "STREAMING-UNSIGNED-PAYLOAD-TRAILER"), "403 AccessDenied"},
		"both kinds":        {change(put, func(a *ask) { a.anonymous = false }), "400 InvalidRequest"},
		"stripped":          {change(put, func(a *ask) { a.query = "" }), "403 AccessDenied"},
		"signature only":    {change(put, func(a *ask) { a.query = a.query[strings.Index(a.query, "X-Amz-Signature"):] }), "400 AuthorizationQueryParametersError"},
		"version 2":         {change(put, func(a *ask) { a.query = "AWSAccessKeyId=" + testKey + "&Signature=x&Expires=9999999999" }), "400 InvalidRequest"},
		"other method":      {change(put, func(a *ask) { a.method, a.body = "DELETE", "" }), "403 SignatureDoesNotMatch"},
		"other key":         {change(put, func(a *ask) { a.path = "/photos/other" }), "403 SignatureDoesNotMatch"},
		"other host":        {change(put, func(a *ask) { a.host = "s3.test" }), "403 SignatureDoesNotMatch"},
		"sub-resource":      {change(put, func(a *ask) { a.query += "&acl" }), "403 SignatureDoesNotMatch"},
		"override":          {change(f.presigned("GET", "/photos/k", "", ""), func(a *ask) { a.query += "&response-content-type=text%2Fhtml" }), "403 SignatureDoesNotMatch"},
		"session token":     {f.presigned("PUT", "/photos/k", "X-Amz-Security-Token=t", "x"), "400 InvalidToken"},
		"no length":         {change(put, func(a *ask) { a.after = func(h http.Header) { h["Content-Length"] = []string{"\x00"} } }), "411 MissingContentLength"},
	} {
		if a := f.send(t, tc.a); a.String() != tc.want {
			t.Errorf("%s: %s, want %s\n%s", name, a, tc.want, a.raw)
		}
	}
	if after := f.snapshot(); len(after) != len(before) || after["photos/k"] != before["photos/k"] {
		t.Errorf("left %v", after)
	}
}

// TestPresignedIsNotLogged: whoever reads the log may not use the URL.
func TestPresignedIsNotLogged(t *testing.T) {
	f := newFixture(t)
	a := f.presigned("GET", "/photos/absent", "", "")
	f.send(t, a)
	a.path = "/photos/other"
	f.send(t, a)
	_, signature, _ := strings.Cut(a.query, "X-Amz-Signature=")
	f.log.lines(t) // waits for nothing: the line is written before the answer ends
	f.log.mu.Lock()
	defer f.log.mu.Unlock()
	if text := f.log.text.String(); strings.Contains(text, signature) || strings.Contains(text, "X-Amz-Credential") {
		t.Error(text)
	}
}

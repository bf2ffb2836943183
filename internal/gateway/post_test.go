package gateway_test

import (
	"bytes"
	"cmp"
	"encoding/base64"
	"fmt"
	"mime/multipart"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/minio/minio-go/v7/pkg/signer"

	"github.com/s3mirror/s3mirror/internal/auth"
	"github.com/s3mirror/s3mirror/internal/gateway"
)

// browserForm is a browser's upload.
type browserForm struct {
	bucket     string   // default photos
	fields     []string // names and values, beside those of the signature
	conditions string   // more of them, each behind a comma
	file       string
	filename   string
	v2         bool
	unsigned   bool
	key        sigKey
}

type sigKey struct{ id, secret string }

// ask signs the form with another signer than ours and writes it down.
func (f *browserForm) ask(t testing.TB) ask {
	t.Helper()
	if f.key.id == "" {
		f.key = sigKey{testKey, string(testSecret)}
	}
	now := time.Now().UTC()
	date, scope := now.Format("20060102T150405Z"), f.key.id+"/"+now.Format("20060102")+"/eu/s3/aws4_request"
	bucket := cmp.Or(f.bucket, "photos")
	conditions := fmt.Sprintf(`{"bucket": %q}`, bucket)
	for i := 0; i < len(f.fields); i += 2 {
		conditions += fmt.Sprintf(`, ["starts-with", "$%s", ""]`, f.fields[i])
	}
	fields := f.fields
	if !f.v2 {
		conditions += fmt.Sprintf(`, {"x-amz-algorithm": "AWS4-HMAC-SHA256"}, {"x-amz-credential": %q}, {"x-amz-date": %q}`, scope, date)
		fields = append(fields, "x-amz-algorithm", "AWS4-HMAC-SHA256", "x-amz-credential", scope, "x-amz-date", date)
	}
	policy := fmt.Sprintf(`{"expiration": %q, "conditions": [%s%s]}`, now.Add(time.Hour).Format("2006-01-02T15:04:05.000Z"), conditions, f.conditions)
	policy = base64.StdEncoding.EncodeToString([]byte(policy))
	fields = append(fields, "policy", policy)
	if f.v2 {
		fields = append(fields, "AWSAccessKeyId", f.key.id, "signature", signer.PostPresignSignatureV2(policy, f.key.secret))
	} else {
		fields = append(fields, "x-amz-signature", signer.PostPresignSignatureV4(policy, now, f.key.secret, "eu"))
	}
	if f.unsigned {
		fields = f.fields
	}
	var b bytes.Buffer
	w := multipart.NewWriter(&b)
	for i := 0; i < len(fields); i += 2 {
		w.WriteField(fields[i], fields[i+1])
	}
	part, err := w.CreateFormFile("file", f.filename)
	if err != nil {
		t.Fatal(err)
	}
	part.Write([]byte(f.file))
	w.Close()
	return ask{method: "POST", path: "/" + bucket, anonymous: true, body: b.String(), header: header("Content-Type", w.FormDataContentType())}
}

func TestPostForm(t *testing.T) {
	f := newFixture(t, func(o *gateway.Options) { o.Verifier = o.Verifier.WithV2(o.Domains) })
	for name, c := range map[string]struct {
		browserForm
		status int
		code   string
		at     string // what it wrote
	}{
		"plain":                 {browserForm{fields: []string{"key", "plain"}, file: "hello"}, 204, "", "plain"},
		"empty":                 {browserForm{fields: []string{"key", "empty"}}, 204, "", "empty"},
		"version 2":             {browserForm{fields: []string{"key", "two"}, file: "hello", v2: true}, 204, "", "two"},
		"filename":              {browserForm{fields: []string{"key", "user/${filename}"}, file: "hello", filename: `C:\tmp\a b.txt`}, 204, "", "user/a b.txt"},
		"large":                 {browserForm{fields: []string{"key", "large"}, file: strings.Repeat("0123456789abcdef", 100<<10)}, 204, "", "large"},
		"status 200":            {browserForm{fields: []string{"key", "s200", "success_action_status", "200"}, file: "hello"}, 200, "", "s200"},
		"status 201":            {browserForm{fields: []string{"key", "s201", "success_action_status", "201"}, file: "hello"}, 201, "", "s201"},
		"status that is none":   {browserForm{fields: []string{"key", "s500", "success_action_status", "500"}, file: "hello"}, 204, "", "s500"},
		"redirect":              {browserForm{fields: []string{"key", "re", "success_action_redirect", "https://site.test/done?x=1"}, file: "hello"}, 303, "", "re"},
		"redirect to nowhere":   {browserForm{fields: []string{"key", "nowhere", "success_action_redirect", "javascript:alert(1)"}, file: "hello"}, 204, "", "nowhere"},
		"metadata":              {browserForm{fields: []string{"key", "meta", "x-amz-meta-colour", "blue", "Content-Type", "text/plain"}, file: "hello"}, 204, "", "meta"},
		"acl":                   {browserForm{fields: []string{"key", "acl", "acl", "private"}, file: "hello"}, 204, "", "acl"},
		"right checksum":        {browserForm{fields: []string{"key", "sum", "x-amz-checksum-crc32", helloCRC32}, file: "hello world"}, 204, "", "sum"},
		"wrong checksum":        {browserForm{fields: []string{"key", "k", "x-amz-checksum-crc32", "AAAAAA=="}, file: "hello"}, 400, "BadDigest", ""},
		"another acl":           {browserForm{fields: []string{"key", "k", "acl", "public-read"}, file: "hello"}, 400, "AccessControlListNotSupported", ""},
		"encryption":            {browserForm{fields: []string{"key", "k", "x-amz-server-side-encryption", "AES256"}, file: "hello"}, 501, "NotImplemented", ""},
		"no key":                {browserForm{file: "hello"}, 400, "InvalidArgument", ""},
		"long key":              {browserForm{fields: []string{"key", strings.Repeat("k", 1025)}, file: "hello"}, 400, "KeyTooLongError", ""},
		"reserved key":          {browserForm{fields: []string{"key", ".s3mirror/x"}, file: "hello"}, 403, "AccessDenied", ""},
		"reserved by its name":  {browserForm{fields: []string{"key", "${filename}/identity"}, filename: ".s3mirror", file: "hello"}, 403, "AccessDenied", ""},
		"unsigned":              {browserForm{fields: []string{"key", "k"}, file: "hello", unsigned: true}, 403, "AccessDenied", ""},
		"somebody unknown":      {browserForm{fields: []string{"key", "k"}, file: "hello", key: sigKey{"nobody", "x"}}, 403, "InvalidAccessKeyId", ""},
		"another secret":        {browserForm{fields: []string{"key", "k"}, file: "hello", key: sigKey{testKey, "x"}}, 403, "SignatureDoesNotMatch", ""},
		"another secret, v2":    {browserForm{fields: []string{"key", "k"}, file: "hello", v2: true, key: sigKey{testKey, "x"}}, 403, "SignatureDoesNotMatch", ""},
		"a policy against it":   {browserForm{fields: []string{"key", "k"}, file: "hello", conditions: `, {"key": "other"}`}, 403, "AccessDenied", ""},
		"a broken policy":       {browserForm{fields: []string{"key", "k"}, file: "hello", conditions: `, 5`}, 400, "InvalidPolicyDocument", ""},
		"too small":             {browserForm{fields: []string{"key", "k"}, file: "hello", conditions: `, ["content-length-range", 6, 9]`}, 400, "EntityTooSmall", ""},
		"too large":             {browserForm{fields: []string{"key", "k"}, file: "hello", conditions: `, ["content-length-range", 0, 4]`}, 400, "EntityTooLarge", ""},
		"too large, seen early": {browserForm{fields: []string{"key", "k"}, file: strings.Repeat("x", 1<<20+1000), conditions: `, ["content-length-range", 0, 4]`}, 400, "EntityTooLarge", ""},
	} {
		before := f.snapshot()
		a := f.send(t, c.ask(t))
		if a.status != c.status || a.code() != c.code {
			t.Errorf("%s: %s", name, a.raw)
			continue
		}
		after := f.snapshot()
		switch {
		case c.at == "" && len(after) != len(before):
			t.Errorf("%s: it wrote %v", name, after)
		case c.at != "" && after["photos/"+c.at] != c.file:
			t.Errorf("%s: %d bytes, want %d", name, len(after["photos/"+c.at]), len(c.file))
		case c.at != "" && a.header.Get("ETag") == "":
			t.Errorf("%s: no ETag in %s", name, a.raw)
		}
	}
	if a := f.send(t, (&browserForm{fields: []string{"key", "a b", "success_action_status", "201"}, file: "hello"}).ask(t)); !strings.Contains(a.body, "<Location>http://"+f.addr+"/photos/a%20b</Location><Bucket>photos</Bucket><Key>a b</Key><ETag>&quot;5d41402abc4b2a76b9719d911017c592&quot;</ETag>") {
		t.Error(a.raw)
	}
	if a := f.send(t, (&browserForm{fields: []string{"key", "re", "success_action_redirect", "https://site.test/done?x=1"}, file: "hello"}).ask(t)); a.header.Get("Location") != "https://site.test/done?x=1&bucket=photos&key=re&etag=%225d41402abc4b2a76b9719d911017c592%22" {
		t.Error(a.raw)
	}
	if a := f.send(t, get("/photos/meta")); a.header.Get("Content-Type") != "text/plain" || a.header.Get("X-Amz-Meta-Colour") != "blue" {
		t.Error(a.raw)
	}
	if a := f.send(t, get("/photos/plain")); a.header.Get("Content-Type") != "binary/octet-stream" {
		t.Error(a.raw)
	}
}

// TestPostIsNoForm: what is none, or is signed as no form is.
func TestPostIsNoForm(t *testing.T) {
	f := newFixture(t)
	for name, c := range map[string]struct {
		ask
		want string
	}{
		"no form":            {ask{method: "POST", path: "/photos", body: "x", anonymous: true}, "412 PreconditionFailed"},
		"no boundary":        {ask{method: "POST", path: "/photos", body: "x", anonymous: true, header: header("Content-Type", "multipart/form-data")}, "400 MalformedPOSTRequest"},
		"no form, signed":    {ask{method: "POST", path: "/photos", body: "x"}, "412 PreconditionFailed"},
		"version 2, not on":  {(&browserForm{fields: []string{"key", "k"}, v2: true}).ask(t), "400 InvalidRequest"},
		"of a key":           {ask{method: "POST", path: "/photos/k", body: "x"}, "405 MethodNotAllowed"},
		"of no bucket's own": {func() ask { a := (&browserForm{fields: []string{"key", "k"}}).ask(t); a.path = "/nothing"; return a }(), "403 AccessDenied"}, // the policy names another one
		"in two ways":        {func() ask { a := (&browserForm{fields: []string{"key", "k"}}).ask(t); a.anonymous = false; return a }(), "400 InvalidRequest"},
	} {
		if a := f.send(t, c.ask); a.String() != c.want {
			t.Errorf("%s: %s", name, a.raw)
		}
	}
	if got := f.snapshot(); len(got) != 1 {
		t.Errorf("left %v", got)
	}
}

// TestPostWithoutLength: a form that comes in chunks is taken into memory.
func TestPostWithoutLength(t *testing.T) {
	f := newFixture(t)
	a := (&browserForm{fields: []string{"key", "chunked"}, file: "hello"}).ask(t)
	a.header.Set("Transfer-Encoding", "chunked")
	a.body = fmt.Sprintf("%x\r\n%s\r\n0\r\n\r\n", len(a.body), a.body)
	if got := f.send(t, a); got.status != 204 || f.snapshot()["photos/chunked"] != "hello" {
		t.Error(got.raw)
	}
}

// TestPostIsAuthorized: with the final key, and with nothing that the form only
// claims.
func TestPostIsAuthorized(t *testing.T) {
	f, who, _ := newUserFixture(t)
	place, err := auth.ParsePlace("photos/in/")
	if err != nil {
		t.Fatal(err)
	}
	who.become(&auth.User{Login: "ann", Role: auth.RoleUser, Active: true, Scopes: []auth.Scope{auth.ScopeWrite}, AllowedBuckets: []auth.Place{place}, AllowedExtensions: []string{"txt"}})
	for key, want := range map[string]string{"in/${filename}": "204", "out/${filename}": "403 AccessDenied", "in/../${filename}": "403 AccessDenied", "in/x.exe": "403 AccessDenied"} {
		if a := f.send(t, (&browserForm{fields: []string{"key", key}, filename: "a.txt", file: "x"}).ask(t)); a.String() != want {
			t.Errorf("%s: %s", key, a.raw)
		}
	}
}

// TestVersion2: what older clients sign, with another signer than ours.
func TestVersion2(t *testing.T) {
	f := newFixture(t, func(o *gateway.Options) { o.Verifier = o.Verifier.WithV2(o.Domains) })
	f.put(t, "/photos/k", "hello world")
	off := newFixture(t)
	off.put(t, "/photos/k", "hello world")
	for name, c := range map[string]struct {
		method, target string
		body           string
		want           string
	}{
		"get":          {"GET", "/photos/k", "", "200"},
		"get a part":   {"GET", "/photos/k?response-content-type=text%2Fplain", "", "200"},
		"list":         {"GET", "/photos?list-type=2", "", "200"},
		"location":     {"GET", "/photos?location", "", "200"},
		"put":          {"PUT", "/photos/new", "hello", "200"},
		"delete":       {"DELETE", "/photos/new", "", "204"},
		"no such key":  {"GET", "/photos/absent", "", "404 NoSuchKey"},
		"not done":     {"GET", "/photos/k?torrent", "", "501 NotImplemented"},
		"reserved key": {"GET", "/photos/.s3mirror/identity", "", "403 AccessDenied"},
	} {
		for _, presigned := range []bool{true, false} {
			r, err := http.NewRequest(c.method, "http://"+f.addr+c.target, nil)
			if err != nil {
				t.Fatal(err)
			}
			if presigned {
				r = signer.PreSignV2(*r, testKey, string(testSecret), 600, false)
			} else {
				r = signer.SignV2(*r, testKey, string(testSecret), false)
			}
			a := ask{method: c.method, path: r.URL.EscapedPath(), query: r.URL.RawQuery, header: r.Header, body: c.body, anonymous: true}
			if got := f.send(t, a); got.String() != c.want {
				t.Errorf("%s (presigned %v): %s", name, presigned, got.raw)
			}
			if got := off.send(t, a); got.String() != "400 InvalidRequest" {
				t.Errorf("%s (presigned %v) where it is off: %s", name, presigned, got.raw)
			}
		}
	}
}

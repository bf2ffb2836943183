package gateway_test

import (
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/s3mirror/s3mirror/internal/auth"
)

// openPolicy lets everybody read and write below open/, and nobody read open/shut/.
const openPolicy = `{"Statement":[
	{"Effect":"Allow","Principal":"*","Action":["s3:GetObject","s3:PutObject","s3:DeleteObject"],"Resource":"arn:aws:s3:::photos/open/*"},
	{"Effect":"Allow","Principal":{"AWS":"*"},"Action":["s3:ListBucket","s3:GetBucketCORS"],"Resource":"arn:aws:s3:::photos"},
	{"Effect":"Deny","Principal":"*","Action":"s3:*","Resource":"arn:aws:s3:::photos/open/shut/*"}]}`

// TestAnonymousOnTheWire: without credentials one may what a policy allows to everybody, by
// every way, and nothing else; and the audit names him.
func TestAnonymousOnTheWire(t *testing.T) {
	f, who, audit := newUserFixture(t)
	f.handler.Anonymous = true
	who.become(auth.RootUser())
	for _, key := range []string{"photos/open/k", "photos/open/shut/k", "photos/k", "docs/k.txt"} {
		f.put(t, "/"+key, "as it was")
	}
	bare := func(a ask) ask { a.anonymous = true; return a }
	with := func(a ask, name, value string) ask {
		a = bare(a)
		a.header = a.header.Clone()
		if a.header == nil {
			a.header = http.Header{}
		}
		a.header.Set(name, value)
		return a
	}
	ways := []struct {
		what    string
		ask     ask
		private string // what is answered where no policy speaks; empty: the same as open
		open    string
	}{
		{"GET", bare(get("/photos/open/k")), "403 AccessDenied", "200"},
		{"HEAD", bare(head("/photos/open/k")), "403", "200"},
		{"a range", with(get("/photos/open/k"), "Range", "bytes=0-1"), "403 AccessDenied", "206"},
		{"a key that is not there", bare(get("/photos/open/none")), "403 AccessDenied", "404 NoSuchKey"},
		{"list", bare(query("GET", "/photos", "list-type=2")), "403 AccessDenied", "200"},
		{"head the bucket", bare(ask{method: "HEAD", path: "/photos"}), "403", "200"},
		{"PUT", bare(upload("/photos/open/new", "new")), "403 AccessDenied", "200"},
		{"PUT with a hash", with(upload("/photos/open/new", "new"), "x-amz-content-sha256", "11507a0e2f5e69d5dfa40a62a1bd7b6ee57e6bcd85c67c9b8431b36fff21c437"), "403 AccessDenied", "200"},
		{"PUT with a wrong hash", with(upload("/photos/open/new", "new"), "x-amz-content-sha256", strings.Repeat("0", 64)), "403 AccessDenied", "400 XAmzContentSHA256Mismatch"},
		{"PUT with what is no hash", with(upload("/photos/open/new", "new"), "x-amz-content-sha256", "incorrect_hash"), "403 AccessDenied", "400 XAmzContentSHA256Mismatch"},
		{"PUT in signed chunks", with(upload("/photos/open/new", "new"), "x-amz-content-sha256", "STREAMING-AWS4-HMAC-SHA256-PAYLOAD"), "403 AccessDenied", "400 InvalidRequest"},
		{"PUT in chunks with a trailer", with(with(with(upload("/photos/open/new", "3\r\nnew\r\n0\r\nx-amz-checksum-crc32:LdwCCA==\r\n\r\n"),
			"x-amz-content-sha256", "STREAMING-UNSIGNED-PAYLOAD-TRAILER"), "x-amz-decoded-content-length", "3"), "x-amz-trailer", "x-amz-checksum-crc32"), "403 AccessDenied", "400 BadDigest"},
		{"DELETE", bare(remove("/photos/open/new")), "403 AccessDenied", "204"},
		{"a bare form", (&browserForm{unsigned: true, fields: []string{"key", "open/form"}, file: "x"}).ask(t), "403 AccessDenied", "204"},
		{"CORS", bare(query("GET", "/photos", "cors")), "403 AccessDenied", "404 NoSuchCORSConfiguration"},
		{"response-*", bare(query("GET", "/photos/open/k", "response-content-type=text/html")), "403 AccessDenied", "400 InvalidRequest"},

		{"what is denied", bare(get("/photos/open/shut/k")), "", "403 AccessDenied"},
		{"what no policy names", bare(get("/photos/k")), "", "403 AccessDenied"},
		{"PUT beside", bare(upload("/photos/new", "new")), "", "403 AccessDenied"},
		{"a bare form beside", (&browserForm{unsigned: true, fields: []string{"key", "form"}, file: "x"}).ask(t), "", "403 AccessDenied"},
		{"another bucket", bare(get("/docs/k.txt")), "", "403 AccessDenied"},
		{"a bucket that is not there", bare(get("/nowhere/k")), "", "403 AccessDenied"},
		{"list of buckets", bare(get("/")), "", "403 AccessDenied"},
		{"make a bucket", bare(ask{method: "PUT", path: "/squat"}), "", "403 AccessDenied"},
		{"the policy", bare(query("GET", "/photos", "policy")), "", "403 AccessDenied"},
		{"set a policy", bare(document("/photos", "policy", publicPolicy)), "", "403 AccessDenied"},
		{"an upload in parts", bare(query("POST", "/photos/open/parts", "uploads")), "", "403 AccessDenied"},
		{"copy", bare(copyOf("/photos/open/copy", "/photos/open/k")), "", "403 AccessDenied"},

		{"half: a date of a signature", with(get("/photos/open/k"), "x-amz-date", "20260101T000000Z"), "", "403 AccessDenied"},
		{"half: an empty Authorization", with(get("/photos/open/k"), "Authorization", ""), "", "400 InvalidArgument"},
		{"half: a presigned URL", bare(query("GET", "/photos/open/k", "X-Amz-Credential=x&X-Amz-Expires=60")), "", "400 AuthorizationQueryParametersError"},
		{"half: a date in the query", bare(query("GET", "/photos/open/k", "X-Amz-Date=20260101T000000Z")), "", "403 AccessDenied"},
		{"half: a URL of version 2", bare(query("GET", "/photos/open/k", "Signature=x&Expires=1")), "", "403 AccessDenied"},
		{"half: a session token", with(get("/photos/open/k"), "x-amz-security-token", "x"), "", "403 AccessDenied"},
		{"half: a form with a signature", (&browserForm{unsigned: true, fields: []string{"key", "open/form", "policy", "e30="}, file: "x"}).ask(t), "", "400 InvalidArgument"},
	}
	round := func(open bool) {
		t.Helper()
		audit.Take()
		for _, w := range ways {
			want := w.open
			if !open && w.private != "" {
				want = w.private
			}
			got := f.send(t, w.ask)
			if got.String() != want {
				t.Errorf("open %v: %s: %s, want %s", open, w.what, got.raw, want)
			}
			actor, audited := auth.AnonymousLogin, got.status == 403
			if strings.HasPrefix(w.what, "half: ") {
				actor, audited = "", true // nobody was proved, and nobody is without a name
			}
			if !f.handler.Anonymous {
				actor = ""
			}
			entries := audit.Take()
			if audited != (len(entries) == 1) || audited && (entries[0].Actor != actor || entries[0].Claimed != "") {
				t.Errorf("open %v: %s: %d, audited %+v", open, w.what, got.status, entries)
			}
			if login := f.log.last(t)["login"]; login != nil && login != auth.AnonymousLogin {
				t.Errorf("%s: the access line says %v", w.what, login)
			}
		}
	}
	round(false)
	f.store.keep("photos", "policy", openPolicy)
	round(true)

	// The words of S3, and what it computed.
	if got := f.send(t, ways[9].ask); !strings.Contains(got.body, "<ClientComputedContentSHA256>incorrect_hash</ClientComputedContentSHA256>") {
		t.Errorf("%s", got.raw)
	}
	if got := f.send(t, bare(query("POST", "/photos/open/parts", "uploads"))); !strings.Contains(got.body, "Anonymous users cannot initiate multipart uploads.") {
		t.Errorf("%s", got.raw)
	}
	if left := f.snapshot(); left["photos/open/form"] != "x" || left["photos/form"] != "" || left["photos/new"] != "" {
		t.Errorf("left %v", left)
	}

	block := func(which string) {
		f.store.keep("photos", "publicAccessBlock", "<PublicAccessBlockConfiguration><"+which+">true</"+which+"></PublicAccessBlockConfiguration>")
	}
	block("RestrictPublicBuckets")
	if got := f.send(t, ways[0].ask); got.String() != "403 AccessDenied" {
		t.Errorf("in a restricted bucket: %s", got.raw)
	}
	for _, which := range []string{"IgnorePublicAcls", "BlockPublicAcls", "BlockPublicPolicy"} { // which are not about a policy that stands
		block(which)
		if got := f.send(t, ways[0].ask); got.String() != "200" {
			t.Errorf("with %s: %s", which, got.raw)
		}
	}
	f.handler.Anonymous = false
	round(false)
}

// TestAnonymousIsOff unless the configuration says otherwise.
func TestAnonymousIsOff(t *testing.T) {
	f := newFixture(t)
	f.store.keep("photos", "policy", publicPolicy)
	f.put(t, "/photos/k", "x")
	if got := f.send(t, ask{method: "GET", path: "/photos/k", anonymous: true}); got.String() != "403 AccessDenied" {
		t.Errorf("%s", got.raw)
	}
}

// TestAnonymousTransferEndsWithThePolicy: who sends a body without credentials is looked
// after like everybody else.
func TestAnonymousTransferEndsWithThePolicy(t *testing.T) {
	watched(t, func(t *testing.T, f *fixture, c net.Conn, p *presence) {
		f.handler.Anonymous = true
		f.store.keep("photos", "policy", openPolicy)
		a := upload("/photos/open/long", strings.Repeat("x", 1<<20))
		a.anonymous = true
		text := a.text("h")
		io.WriteString(c, text[:len(text)-1<<20+1000])
		time.Sleep(10 * time.Second)
		f.store.drop("photos", "policy")
		resp, took := within(t, c)
		if body, err := io.ReadAll(resp.Body); err != nil || resp.StatusCode != 403 || !strings.Contains(string(body), "AccessDenied") || took > soon || p.looks() > 0 {
			t.Errorf("after %v %v %s %v, %d looks at a user", took, resp, body, err, p.looks())
		}
		if _, ok := f.snapshot()["photos/open/long"]; ok {
			t.Error("stored")
		}
	})
}

package gateway_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"path"
	"strings"
	"sync"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/s3mirror/s3mirror/internal/auth"
	"github.com/s3mirror/s3mirror/internal/auth/authtest"
	"github.com/s3mirror/s3mirror/internal/gateway"
	"github.com/s3mirror/s3mirror/internal/object"
	"github.com/s3mirror/s3mirror/internal/s3"
	"github.com/s3mirror/s3mirror/internal/sigv4"
)

// someone has the key that the tests sign with.
type someone struct {
	mu   sync.Mutex // guards user
	user *auth.User
}

func (s *someone) Used(string) {}

func (s *someone) Secret(_ context.Context, id string) (sigv4.Secret, auth.Identity, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.user == nil {
		return "", auth.Identity{}, auth.ErrNoKey
	}
	return testSecret, auth.Identity{Login: s.user.Login, AccessKeyID: id, User: s.user}, nil
}

func (s *someone) become(u *auth.User) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.user = u
}

// ann may work on photos/a/*.txt and on all of docs, from the loopback.
func ann() *auth.User {
	return &auth.User{
		Login: "ann", Role: auth.RoleUser, Active: true, Scopes: []auth.Scope{auth.ScopeRead, auth.ScopeWrite},
		AllowedIPs: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}, AllowedExtensions: []string{"txt"},
		AllowedBuckets: []auth.Place{{Bucket: "photos", Prefix: "a/"}, {Bucket: "docs"}},
	}
}

func newUserFixture(t *testing.T) (*fixture, *someone, *authtest.Auditor) {
	t.Helper()
	who, audit := &someone{user: ann()}, &authtest.Auditor{}
	f := newHandler(newStore("photos", "docs", "private"), func(o *gateway.Options) {
		o.Verifier, o.Audit = auth.NewVerifier(who, time.Now), audit
		o.Proxies = gateway.Proxies{netip.MustParsePrefix("127.0.0.1/32")}
	})
	f.serve(t)
	return f, who, audit
}

// TestWhatAUserMayDo on the wire, and what not: the store is not even asked, the
// client learns which limit it was, and the audit everything.
func TestWhatAUserMayDo(t *testing.T) {
	f, who, audit := newUserFixture(t)
	yes := []ask{
		upload("/photos/a/k.txt", "x"), upload("/docs/k.TXT", "x"), get("/photos/a/k.txt"), get("/docs/k.TXT"),
		{method: "HEAD", path: "/photos/a/k.txt"}, query("GET", "/photos", "list-type=2&prefix=a/"), query("GET", "/photos", "prefix=a%2F&delimiter=%2F"),
		query("GET", "/docs", "list-type=2"), {method: "HEAD", path: "/photos"}, query("GET", "/photos", "location"), get("/"),
		{method: "DELETE", path: "/photos/a/k.txt"}, {method: "DELETE", path: "/docs/none.txt"},
		{method: "PUT", path: "/docs/sub/%6b.txt", body: "x"}, get("/docs/a.exe"),
		upload("/photos/a/from.txt", "x"), copyOf("/docs/copy.txt", "/photos/a/from.txt"), copyOf("/photos/a/back.txt", "docs%2Fcopy.txt"), copyOf("/docs/copy.txt", "/docs/none.exe"),
	}
	for _, a := range yes {
		if got := f.send(t, a); got.status/100 != 2 && got.code() != "NoSuchKey" {
			t.Errorf("%s %s?%s: %s", a.method, a.path, a.query, got.raw)
		}
	}
	if got := audit.Take(); len(got) > 0 {
		t.Errorf("audited %+v", got)
	}
	f.called()

	full := func() *auth.User { return ann() }
	with := func(change func(u *auth.User)) func() *auth.User {
		return func() *auth.User { u := ann(); change(u); return u }
	}
	for _, tc := range []struct {
		ask    ask
		user   func() *auth.User
		reason string
	}{
		{upload("/photos/b/k.txt", "x"), full, "bucket"},
		{upload("/photos/a/../b/k.txt", "x"), full, "bucket"},
		{upload("/photos/a%2F..%2Fb%2Fk.txt", "x"), full, "bucket"},
		{upload("/private/k.txt", "x"), full, "bucket"},
		{get("/photos/k.txt"), full, "bucket"},
		{ask{method: "HEAD", path: "/private/k.txt"}, full, "bucket"},
		{ask{method: "HEAD", path: "/private"}, full, "bucket"},
		{ask{method: "DELETE", path: "/photos/b/k.txt"}, full, "bucket"},
		{query("GET", "/photos", "list-type=2"), full, "bucket"},
		{query("GET", "/photos", "prefix=b/"), full, "bucket"},
		{query("GET", "/photos", "prefix=b/&prefix=a/"), full, "bucket"},
		{ask{method: "PUT", path: "/photos"}, full, "bucket"},
		{ask{method: "DELETE", path: "/photos"}, full, "bucket"},
		{ask{method: "PUT", path: "/mine"}, full, "bucket"},
		{upload("/docs/k.exe", "x"), full, "extension"},
		{upload("/docs/k.EXE", "x"), full, "extension"},
		{upload("/docs/k.exe.", "x"), full, "extension"},
		{upload("/docs/k%2eexe", "x"), full, "extension"},
		{upload("/docs/k.txt%20", "x"), full, "extension"},
		{upload("/docs/k.txt/", "x"), full, "extension"},
		{upload("/docs/k.t%D1%85t", "x"), full, "extension"},
		{ask{method: "DELETE", path: "/docs/k.exe"}, full, "extension"},
		{ask{method: "POST", path: "/docs/k.exe", query: "uploads"}, full, "extension"},
		{ask{method: "PUT", path: "/docs/k.exe", query: "partNumber=1&uploadId=u", body: "x"}, full, "extension"},
		{ask{method: "POST", path: "/docs/k.exe", query: "uploadId=u", body: "x"}, full, "extension"},
		{ask{method: "PUT", path: "/docs/k.txt", header: header("X-Amz-Copy-Source", "/private/k.txt")}, full, "source"},
		{copyOf("/docs/k.txt", "/photos/b/k.txt"), full, "source"},
		{copyOf("/docs/k.txt", "photos%2Fa%2F..%2Fb%2Fk.txt"), full, "source"},
		{copyOf("/docs/k.txt", "/photos"), full, "source"},
		{copyOf("/docs/k.exe", "/photos/a/k.txt"), full, "extension"},
		{copyOf("/private/k.txt", "/photos/a/k.txt"), full, "bucket"},
		{copyOf("/docs/k.txt", "/photos/a/k.txt"), with(func(u *auth.User) { u.Scopes = []auth.Scope{auth.ScopeWrite} }), "scope"},
		{upload("/docs/k.txt", "x"), with(func(u *auth.User) { u.Scopes = []auth.Scope{auth.ScopeRead} }), "scope"},
		{ask{method: "DELETE", path: "/docs/k.txt"}, with(func(u *auth.User) { u.Scopes = []auth.Scope{auth.ScopeRead} }), "scope"},
		{get("/docs/k.txt"), with(func(u *auth.User) { u.Scopes = []auth.Scope{auth.ScopeWrite} }), "scope"},
		{get("/"), with(func(u *auth.User) { u.Scopes = nil }), "scope"},
		{get("/docs/k.txt"), with(func(u *auth.User) { u.Active = false }), "inactive"},
		{get("/docs/k.txt"), with(func(u *auth.User) { u.AllowedIPs[0] = netip.MustParsePrefix("10.0.0.0/8") }), "address"},
		{ask{method: "GET", path: "/docs/k.txt", after: func(h http.Header) { h.Set("X-Forwarded-For", "192.0.2.9") }}, full, "address"},
		{ask{method: "GET", path: "/docs/k.txt", after: func(h http.Header) { h.Set("X-Forwarded-For", "127.0.0.2, 192.0.2.9") }}, full, "address"},
		{ask{method: "PUT", path: "/docs", query: "policy", body: "{}"}, full, "role"},
		{ask{method: "GET", path: "/docs", query: "session"}, full, "operation"},
	} {
		who.become(tc.user())
		got := f.send(t, tc.ask)
		name := tc.ask.method + " " + tc.ask.path + "?" + tc.ask.query
		if got.status != 403 || tc.ask.method != "HEAD" && got.code() != "AccessDenied" {
			t.Errorf("%s: %s, want 403 for %s", name, got.raw, tc.reason)
		}
		entries := audit.Take()
		if len(entries) != 1 {
			t.Errorf("%s: audited %+v", name, entries)
			continue
		}
		e, line := entries[0], f.log.last(t)
		if e.Refused != tc.reason || e.Actor != "ann" || e.Request != line["request_id"] || e.Act != line["operation"] || !e.Client.IsValid() {
			t.Errorf("%s: audited %+v, want %s", name, e, tc.reason)
		}
		if bucket, _ := line["bucket"].(string); e.Bucket != bucket || line["login"] != "ann" || !strings.Contains(line["error"].(string), tc.reason) {
			t.Errorf("%s: logged %v", name, line)
		}
	}
	if calls := f.called(); len(calls) > 0 {
		t.Errorf("called %v", calls)
	}
}

// TestWhatAUserMayDeleteOfMany: each key is asked about; what may not be deleted is told
// and audited, and keeps no other from it.
func TestWhatAUserMayDeleteOfMany(t *testing.T) {
	f, who, audit := newUserFixture(t)
	for _, path := range []string{"/photos/a/1.txt", "/photos/a/2.txt", "/photos/b/3.txt"} {
		who.become(auth.RootUser())
		f.put(t, path, "x")
	}
	who.become(ann())
	f.put(t, "/docs/4.txt", "x")
	got := f.send(t, batch("/photos", deletes("a/1.txt", "b/3.txt", "a/k.exe", ".s3mirror/x.txt", "a/../b/3.txt", "a/none.txt")))
	var codes []string
	for _, part := range strings.Split(got.body, "<Key>")[1:] {
		key, rest, _ := strings.Cut(part, "</Key>")
		_, code, _ := strings.Cut(rest, "<Code>")
		code, _, _ = strings.Cut(code, "</Code>")
		codes = append(codes, key+":"+code)
	}
	if want := "[a/1.txt: b/3.txt:AccessDenied a/k.exe:AccessDenied .s3mirror/x.txt:AccessDenied a/../b/3.txt:AccessDenied a/none.txt:]"; got.status != 200 || fmt.Sprint(codes) != want {
		t.Errorf("%s", got.raw)
	}
	var noted []string
	for _, e := range audit.Take() {
		if e.Actor != "ann" || e.Act != "DeleteObjects" || e.Bucket != "photos" || e.Request == "" || !e.Client.IsValid() {
			t.Errorf("audited %+v", e)
		}
		noted = append(noted, e.Key+":"+e.Refused)
	}
	if want := "[b/3.txt:bucket a/k.exe:extension .s3mirror/x.txt:bucket a/../b/3.txt:bucket]"; fmt.Sprint(noted) != want {
		t.Errorf("audited %q, want %s", noted, want)
	}
	if left := f.snapshot(); left["photos/b/3.txt"] != "x" || left["photos/a/2.txt"] != "x" || left["photos/a/1.txt"] != "" {
		t.Errorf("left %v", left)
	}
	for reason, user := range map[string]func(u *auth.User){
		"scope":    func(u *auth.User) { u.Scopes = []auth.Scope{auth.ScopeRead} },
		"inactive": func(u *auth.User) { u.Active = false },
	} {
		u := ann()
		user(u)
		who.become(u)
		if got := f.send(t, batch("/docs", deletes("4.txt"))); got.status != 403 {
			t.Errorf("%s: %s", reason, got.raw)
		}
	}
	who.become(ann())
	if got := f.send(t, batch("/private", deletes("4.txt"))); got.status != 403 || f.snapshot()["docs/4.txt"] != "x" {
		t.Errorf("another's bucket: %s", got.raw)
	}
}

// TestWhoIsNotProved is audited with what he claims.
func TestWhoIsNotProved(t *testing.T) {
	f, who, audit := newUserFixture(t)
	forged := upload("/docs/k.txt", "x")
	forged.after = func(h http.Header) {
		signature := h.Get("Authorization")
		h.Set("Authorization", signature[:len(signature)-4]+"0000")
	}
	for _, tc := range []struct {
		ask              ask
		gone             bool
		refused, claimed string
	}{
		{ask{method: "GET", path: "/docs/k.txt", anonymous: true}, false, "AccessDenied", ""},
		{forged, false, "SignatureDoesNotMatch", testKey},
		{get("/docs/k.txt"), true, "InvalidAccessKeyId", testKey},
	} {
		who.become(ann())
		if tc.gone {
			who.become(nil)
		}
		got := f.send(t, tc.ask)
		entries := audit.Take()
		if got.String() != "403 "+tc.refused || len(entries) != 1 || entries[0].Refused != tc.refused || entries[0].Claimed != tc.claimed ||
			entries[0].Actor != "" || entries[0].Bucket != "docs" || entries[0].Key != "k.txt" {
			t.Errorf("%s: audited %+v", got, entries)
		}
	}
	f.send(t, ask{method: "OPTIONS", path: "/docs/k.txt", anonymous: true})
	f.send(t, ask{method: "GET", path: "/docs/none.txt"})
	who.become(ann())
	f.send(t, ask{method: "GET", path: "/docs/none.txt"})
	f.send(t, ask{method: "PUT", path: "/docs/k.txt", body: "x", header: header("Content-MD5", "nonsense")})
	if entries := audit.Take(); len(entries) != 1 || entries[0].Refused != "InvalidAccessKeyId" {
		t.Errorf("audited %+v", entries)
	}
	if calls := f.called(); len(calls) != 1 {
		t.Errorf("called %v", calls)
	}
}

// TestUsersSeeTheirBuckets in the list of buckets, page by page.
func TestUsersSeeTheirBuckets(t *testing.T) {
	f, who, _ := newUserFixture(t)
	for _, tc := range []struct {
		user  *auth.User
		names []string
	}{
		{ann(), []string{"docs", "photos"}},
		{&auth.User{Login: "bob", Active: true, Scopes: []auth.Scope{auth.ScopeRead}, AllowedBuckets: []auth.Place{{Bucket: "none"}}}, nil},
		{&auth.User{Login: "bob", Active: true, Scopes: []auth.Scope{auth.ScopeRead}}, []string{"docs", "photos", "private"}},
		{auth.RootUser(), []string{"docs", "photos", "private"}},
	} {
		who.become(tc.user)
		for _, q := range []string{"", "max-buckets=1"} {
			got := f.send(t, query("GET", "/", q))
			want := len(tc.names)
			if q != "" {
				want = min(1, want)
			}
			if n := strings.Count(got.body, "<Name>"); n != want {
				t.Errorf("%s, %q: %d buckets: %s", tc.user.Login, q, n, got.body)
			}
			for _, name := range []string{"docs", "photos", "private"} {
				if strings.Contains(got.body, "<Name>"+name+"<") && !strings.Contains(strings.Join(tc.names, " "), name) {
					t.Errorf("%s sees %s", tc.user.Login, name)
				}
			}
		}
	}
}

func (s *someone) Bearer(_ context.Context, token string) (auth.Identity, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if token != "token of ann" {
		return auth.Identity{}, fmt.Errorf("%w: forged", auth.ErrToken)
	}
	return auth.Identity{Login: s.user.Login, User: s.user, Session: "s"}, nil
}

// TestTokensOnTheS3Port: `curl -T file -H "Authorization: Bearer ..."` works,
// and passes the same check as a signature.
func TestTokensOnTheS3Port(t *testing.T) {
	f, who, audit := newUserFixture(t)
	f.handler.Verifier = f.handler.Verifier.WithBearers(who)
	with := func(method, path, token, body string, headers ...string) ask {
		return ask{method: method, path: path, body: body, anonymous: true, header: header(append(headers, "Authorization", "Bearer "+token)...)}
	}
	const good = "token of ann"
	if a := f.send(t, with("PUT", "/docs/k.txt", good, "hello")); a.status != 200 {
		t.Fatal(a.raw)
	}
	if a := f.send(t, with("GET", "/docs/k.txt", good, "")); a.status != 200 || a.body != "hello" {
		t.Error(a.raw)
	}
	if line := f.log.last(t); line["login"] != "ann" || strings.Contains(fmt.Sprint(line), good) {
		t.Errorf("logged %v", line)
	}
	f.called()
	for _, tc := range []struct {
		ask             ask
		want, reason    string
		actor           string
		wwwAuthenticate bool
	}{
		{with("PUT", "/docs/k.exe", good, "x"), "403 AccessDenied", "extension", "ann", false},
		{with("GET", "/photos/b/k.txt", good, ""), "403 AccessDenied", "bucket", "ann", false},
		{with("GET", "/docs/k.txt", "forged", ""), "401 Unauthorized", "Unauthorized", "", true},
		{with("PUT", "/docs/k.txt", "forged", "x"), "401 Unauthorized", "Unauthorized", "", true},
		{with("GET", "/docs/%2e%2e/k.txt?X-Amz-Signature=1", good, ""), "400 InvalidRequest", "InvalidRequest", "", false},
	} {
		a := f.send(t, tc.ask)
		entries := audit.Take()
		if a.String() != tc.want || (a.header.Get("WWW-Authenticate") != "") != tc.wwwAuthenticate ||
			len(entries) != 1 || entries[0].Refused != tc.reason || entries[0].Actor != tc.actor {
			t.Errorf("%s %s: %s, audited %+v", tc.ask.method, tc.ask.path, a.raw, entries)
		}
	}
	// What a client says of the body holds here too, and nothing unproved is kept.
	a := f.send(t, with("PUT", "/docs/bad.txt", good, "hello", "X-Amz-Content-Sha256", strings.Repeat("0", 64)))
	if a.String() != "400 XAmzContentSHA256Mismatch" {
		t.Error(a.raw)
	}
	if a := f.send(t, with("GET", "/docs/bad.txt", good, "")); a.status != 404 {
		t.Error(a.raw)
	}
}

// TestEveryDoorAgrees: for random users and requests each proof of identity gets
// the same yes or no, and it is Authorize's.
func TestEveryDoorAgrees(t *testing.T) {
	f, who, _ := newUserFixture(t)
	f.handler.Verifier, f.handler.Anonymous = f.handler.Verifier.WithBearers(who), true
	statements := []string{
		`{"Effect":"Allow","Principal":"*","Action":"s3:GetObject","Resource":"arn:aws:s3:::BUCKET/*"}`,
		`{"Effect":"Allow","Principal":{"AWS":"*"},"Action":["s3:ListBucket","s3:GetBucketLocation"],"Resource":"arn:aws:s3:::BUCKET"}`,
		`{"Effect":"Allow","Principal":"*","Action":"s3:*","Resource":["arn:aws:s3:::BUCKET","arn:aws:s3:::BUCKET/*"]}`,
		`{"Effect":"Allow","Principal":{"AWS":"ann"},"Action":"s3:*","Resource":["arn:aws:s3:::BUCKET","arn:aws:s3:::BUCKET/*"]}`,
		`{"Effect":"Deny","Principal":"*","Action":"s3:PutObject","Resource":"arn:aws:s3:::BUCKET/a/*"}`,
	}
	known := func(string) (bool, error) { return true, nil }
	nobody, err := auth.Anonymous(nil)
	if err != nil {
		t.Fatal(err)
	}
	requests := []struct {
		op          s3.OperationName
		ask         ask
		bucket, key string
		prefix      string
	}{
		{s3.PutObject, upload("/photos/a/k.txt", "x"), "photos", "a/k.txt", ""},
		{s3.PutObject, upload("/photos/a/k.EXE", "x"), "photos", "a/k.EXE", ""},
		{s3.PutObject, upload("/docs/k.tar.gz", "x"), "docs", "k.tar.gz", ""},
		{s3.GetObject, get("/photos/b/k.txt"), "photos", "b/k.txt", ""},
		{s3.GetObject, get("/docs/k.exe"), "docs", "k.exe", ""},
		{s3.HeadObject, ask{method: "HEAD", path: "/private/k"}, "private", "k", ""},
		{s3.DeleteObject, ask{method: "DELETE", path: "/photos/a/k.txt"}, "photos", "a/k.txt", ""},
		{s3.ListObjectsV2, query("GET", "/photos", "list-type=2&prefix=a%2F"), "photos", "", "a/"},
		{s3.ListObjects, query("GET", "/docs", ""), "docs", "", ""},
		{s3.HeadBucket, ask{method: "HEAD", path: "/photos"}, "photos", "", ""},
		{s3.GetBucketLocation, query("GET", "/private", "location"), "private", "", ""},
		{s3.ListBuckets, get("/"), "", "", ""},
		{s3.DeleteBucket, ask{method: "DELETE", path: "/none-of-these"}, "none-of-these", "", ""},
		{s3.CreateMultipartUpload, ask{method: "POST", path: "/docs/k.txt", query: "uploads"}, "docs", "k.txt", ""},
		{s3.PutBucketPolicy, ask{method: "PUT", path: "/docs", query: "policy", body: "{}"}, "docs", "", ""},
		{s3.CreateSession, query("GET", "/docs", "session"), "docs", "", ""},
	}
	some := func(t *rapid.T, name string, all ...string) []string {
		return rapid.SliceOfNDistinct(rapid.SampledFrom(all), 0, len(all), rapid.ID[string]).Draw(t, name)
	}
	counts := map[bool]int{}
	rapid.Check(t, func(rt *rapid.T) {
		u := &auth.User{Login: "ann", Role: auth.Role(rapid.SampledFrom([]string{"admin", "user"}).Draw(rt, "role")), Active: rapid.IntRange(0, 7).Draw(rt, "active") > 0}
		for _, s := range some(rt, "scopes", "read", "write") {
			u.Scopes = append(u.Scopes, auth.Scope(s))
		}
		for _, n := range some(rt, "ips", "127.0.0.0/8", "10.0.0.0/8", "::/0") {
			u.AllowedIPs = append(u.AllowedIPs, netip.MustParsePrefix(n))
		}
		u.AllowedExtensions = some(rt, "extensions", "txt", "exe", "gz")
		for _, p := range some(rt, "places", "photos", "photos/a/", "docs", "private/k") {
			place, err := auth.ParsePlace(p)
			if err != nil {
				rt.Fatal(err)
			}
			u.AllowedBuckets = append(u.AllowedBuckets, place)
		}
		who.become(u)
		r := requests[rapid.IntRange(0, len(requests)-1).Draw(rt, "request")]
		access := auth.Access{Operation: r.op, Bucket: r.bucket, Key: r.key, Prefix: r.prefix, Client: netip.MustParseAddr("127.0.0.1")}
		f.store.drop(r.bucket, "policy")
		f.store.drop(r.bucket, "publicAccessBlock")
		if told := some(rt, "policy", statements...); len(told) > 0 && r.bucket != "" && r.bucket != "none-of-these" {
			document := strings.ReplaceAll(`{"Statement":[`+strings.Join(told, ",")+`]}`, "BUCKET", r.bucket)
			f.store.keep(r.bucket, "policy", document)
			if access.Policy, err = auth.ParseBucketPolicy([]byte(document), r.bucket, known); err != nil {
				rt.Fatal(err)
			}
			if access.Restricted = rapid.Bool().Draw(rt, "restricted"); access.Restricted {
				f.store.keep(r.bucket, "publicAccessBlock", "<PublicAccessBlockConfiguration><RestrictPublicBuckets>true</RestrictPublicBuckets></PublicAccessBlockConfiguration>")
			}
		}
		want := auth.Authorize(u, access)
		counts[want == nil]++
		bearer, signedURL := r.ask, f.presigned(r.ask.method, r.ask.path, r.ask.query, r.ask.body)
		bearer.anonymous, bearer.header = true, header("Authorization", "Bearer token of ann")
		doors := map[string]ask{"header": r.ask, "presigned": signedURL, "bearer": bearer}
		if r.op == s3.PutObject {
			form := browserForm{bucket: r.bucket, fields: []string{"key", r.key}, file: "x"}
			doors["form"] = form.ask(t)
			folder, name := path.Split(r.key)
			form.fields, form.filename = []string{"key", folder + "${filename}"}, name
			doors["form that is named by the file"] = form.ask(t)
		}
		for door, a := range doors {
			if got := f.send(t, a); (got.status == 403) != (want != nil) {
				rt.Errorf("%s %s?%s by %s: %d, Authorize says %v", r.ask.method, r.ask.path, r.ask.query, door, got.status, want)
			}
		}
		bare := r.ask
		bare.anonymous = true
		without := map[string]ask{"nothing": bare}
		if r.op == s3.PutObject {
			without["a bare form"] = (&browserForm{bucket: r.bucket, unsigned: true, fields: []string{"key", r.key}, file: "x"}).ask(t)
		}
		want = auth.Authorize(nobody.User, access)
		for door, a := range without {
			if got := f.send(t, a); (got.status == 403) != (want != nil) {
				rt.Errorf("%s %s?%s by %s: %d, Authorize says %v", r.ask.method, r.ask.path, r.ask.query, door, got.status, want)
			}
		}
		want = auth.Authorize(u, access)
		if gateway.Within(r.op) { // the door of the admin API
			caller := auth.Caller{Identity: auth.Identity{Login: u.Login, User: u}, Client: netip.MustParseAddr("127.0.0.1")}
			key := object.Key{Bucket: r.bucket, Name: r.key}
			target := s3.Target{Key: key, Prefix: r.prefix, UploadID: "u", Part: 1}
			may := f.handler.May(caller, r.op, target)
			if errors.Is(may, s3.AccessDenied) != (want != nil) || may == nil != (want == nil) {
				rt.Errorf("%s of %v by May: %v, Authorize says %v", r.op, key, may, want)
			}
			asked, err := http.NewRequest("POST", "/", strings.NewReader("x"))
			if err != nil {
				rt.Fatal(err)
			}
			asked.Header.Set("Content-Length", "1")
			if err := f.handler.Do(httptest.NewRecorder(), asked, caller, r.op, target); r.prefix == "" && errors.Is(err, s3.AccessDenied) != (want != nil) {
				rt.Errorf("%s of %v by Do: %v, Authorize says %v", r.op, key, err, want)
			}
		}
	})
	if !testing.Short() && (counts[true] < 5 || counts[false] < 5) { // 20 requests, some of which may be all of one kind
		t.Errorf("%d yes, %d no: that proves nothing", counts[true], counts[false])
	}
}

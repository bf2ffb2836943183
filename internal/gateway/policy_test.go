package gateway_test

import (
	"net/http"
	"net/netip"
	"strings"
	"testing"

	"github.com/s3mirror/s3mirror/internal/auth"
	"github.com/s3mirror/s3mirror/internal/gateway"
)

const publicPolicy = `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":"*","Action":"s3:GetObject","Resource":"arn:aws:s3:::photos/*"}]}`

// TestPolicyOfABucket: it is told as it was sent, goes when it is removed, and is refused
// when it means nothing, or is for everybody in a bucket that blocks that.
func TestPolicyOfABucket(t *testing.T) {
	f := newFixture(t)
	want := func(a ask, status int, code string) answer {
		t.Helper()
		got := f.send(t, a)
		if got.status != status || got.code() != code {
			t.Errorf("%s %s?%s: %s, want %d %s", a.method, a.path, a.query, got.raw, status, code)
		}
		return got
	}
	want(query("GET", "/photos", "policy"), 404, "NoSuchBucketPolicy")
	want(query("GET", "/photos", "policyStatus"), 404, "NoSuchBucketPolicy")
	want(query("DELETE", "/photos", "policy"), 204, "")
	for _, path := range []string{"policy", "policyStatus"} {
		want(query("GET", "/nowhere", path), 404, "NoSuchBucket")
	}
	want(document("/nowhere", "policy", publicPolicy), 404, "NoSuchBucket")
	want(query("DELETE", "/nowhere", "policy"), 404, "NoSuchBucket")

	want(document("/photos", "policy", publicPolicy), 204, "")
	if got := want(query("GET", "/photos", "policy"), 200, ""); got.body != publicPolicy || got.header.Get("Content-Type") != "application/json" {
		t.Errorf("%s", got.raw)
	}
	if got := want(query("GET", "/photos", "policyStatus"), 200, ""); !strings.Contains(got.body, "<IsPublic>true</IsPublic>") {
		t.Errorf("%s", got.raw)
	}
	want(document("/photos", "policy", `{"Statement":[]}`), 400, "MalformedPolicy")
	want(document("/photos", "policy", strings.Replace(publicPolicy, `"*"`, `"nobody"`, 1)), 400, "MalformedPolicy")
	want(document("/photos", "policy", publicPolicy+strings.Repeat(" ", auth.MaxPolicyBytes)), 400, "MaxMessageLengthExceeded")
	if got := want(query("GET", "/photos", "policy"), 200, ""); got.body != publicPolicy {
		t.Errorf("after refusals: %s", got.raw)
	}
	own := strings.Replace(publicPolicy, `"*"`, `"`+testKey+`"`, 1) // a key of root, who exists
	want(document("/photos", "policy", own, "x-amz-confirm-remove-self-bucket-access", "true"), 204, "")
	if got := want(query("GET", "/photos", "policyStatus"), 200, ""); !strings.Contains(got.body, "<IsPublic>false</IsPublic>") {
		t.Errorf("%s", got.raw)
	}
	want(document("/photos", "publicAccessBlock", `<PublicAccessBlockConfiguration><BlockPublicPolicy>TRUE</BlockPublicPolicy></PublicAccessBlockConfiguration>`), 200, "")
	want(document("/photos", "policy", publicPolicy), 403, "AccessDenied")
	want(document("/photos", "policy", own), 204, "")
	want(query("DELETE", "/photos", "policy"), 204, "")
	want(query("GET", "/photos", "policy"), 404, "NoSuchBucketPolicy")
}

// TestPoliciesOnTheWire: what a policy allows and denies to somebody, by every way to an
// object; and that nobody without credentials gets in by one.
func TestPoliciesOnTheWire(t *testing.T) {
	f, who, _ := newUserFixture(t)
	f.store.set["photos?policy"] = `{"Statement":[
		{"Effect":"Allow","Principal":{"AWS":"ben"},"Action":["s3:GetObject","s3:PutObject","s3:DeleteObject"],"Resource":"arn:aws:s3:::photos/open/*"},
		{"Effect":"Allow","Principal":"*","Action":"s3:ListBucket","Resource":"arn:aws:s3:::photos","Condition":{"StringLike":{"s3:prefix":"open/*"}}},
		{"Effect":"Allow","Principal":"*","Action":"s3:GetObject","Resource":"arn:aws:s3:::photos/open/*"},
		{"Effect":"Deny","Principal":"*","Action":"s3:*","Resource":"arn:aws:s3:::photos/open/shut/*"},
		{"Effect":"Deny","Principal":"*","Action":"s3:GetObject","Resource":"arn:aws:s3:::photos/tls/*","Condition":{"Bool":{"aws:SecureTransport":"false"}}}]}`
	f.store.set["docs?policy"] = `{"Statement":{"Effect":"Deny","Principal":{"AWS":"ann"},"Action":"s3:PutObject","Resource":"arn:aws:s3:::docs/*",
		"Condition":{"StringEquals":{"s3:x-amz-acl":"private"}}}}`
	ben := &auth.User{Login: "ben", Role: auth.RoleUser, Active: true}
	root := &auth.User{Login: auth.RootLogin}
	rich := ann()
	rich.AllowedBuckets, rich.AllowedExtensions = nil, nil
	who.become(root)
	for _, key := range []string{"open/k", "open/shut/k", "shut/k", "tls/k"} {
		f.put(t, "/photos/"+key, "x")
	}
	for _, c := range []struct {
		who    *auth.User
		ask    ask
		status int
	}{
		{ben, get("/photos/open/k"), 200}, {ben, head("/photos/open/k"), 200}, {ben, upload("/photos/open/n", "x"), 200},
		{ben, get("/photos/shut/k"), 403}, {ben, get("/photos/open/shut/k"), 403}, {ben, get("/docs/k"), 403}, {ben, get("/private/k"), 403},
		{ben, query("GET", "/photos", "list-type=2&prefix=open/"), 200}, {ben, query("GET", "/photos", "prefix=shut/"), 403}, {ben, get("/photos"), 403},
		{ben, copyOf("/photos/open/copy", "/photos/open/k"), 200}, {ben, copyOf("/photos/open/copy", "/photos/shut/k"), 403},
		{ben, copyOf("/photos/open/copy", "/photos/open/shut/k"), 403}, {ben, copyOf("/docs/copy", "/photos/open/k"), 403},
		{ben, remove("/photos/open/copy"), 204}, {ben, remove("/photos/shut/k"), 403}, {ben, query("DELETE", "/photos", "policy"), 403},
		{ben, query("POST", "/photos/open/parts", "uploads"), 200}, {ben, query("POST", "/photos/shut/parts", "uploads"), 403},
		{rich, get("/photos/open/shut/k"), 403}, {rich, get("/photos/shut/k"), 200}, {rich, get("/photos/tls/k"), 403},
		{rich, ask{method: "GET", path: "/photos/tls/k", header: http.Header{"X-Forwarded-Proto": {"https"}}}, 200}, // by a proxy of ours
		{rich, upload("/docs/k.txt", "x"), 200}, {rich, upload("/docs/k.txt", "x", "x-amz-acl", "private"), 403},
		{root, get("/photos/open/shut/k"), 200},
		{root, ask{method: "GET", path: "/photos/open/k", anonymous: true}, 403},
	} {
		who.become(c.who)
		if got := f.send(t, c.ask); got.status != c.status {
			t.Errorf("%s: %s %s?%s: %s, want %d", c.who.Login, c.ask.method, c.ask.path, c.ask.query, got.raw, c.status)
		}
	}
	who.become(ben)
	got := f.send(t, batch("/photos", deletes("open/n", "shut/k", "open/shut/k")))
	if got.status != 200 || strings.Count(got.body, "<Deleted>") != 1 || strings.Count(got.body, "<Code>AccessDenied</Code>") != 2 {
		t.Errorf("many keys: %s", got.raw)
	}
	for key, status := range map[string]int{"open/form": 204, "shut/form": 403, "open/shut/form": 403} {
		if got := f.send(t, (&browserForm{fields: []string{"key", key}}).ask(t)); got.status != status {
			t.Errorf("a form for %s: %s, want %d", key, got.raw, status)
		}
	}
	f.store.set["photos?policy"] = "{" // what nobody should have kept
	if got := f.send(t, get("/photos/open/k")); got.status != 500 {
		t.Errorf("a policy that cannot be read: %s", got.raw)
	}
	who.become(root)
	form := (&browserForm{fields: []string{"key", "open/form", "success_action_status", "201"}}).ask(t)
	form.header.Set("X-Forwarded-Proto", "https")
	if got := f.send(t, form); !strings.Contains(got.body, "<Location>https://") {
		t.Errorf("the address of what came by TLS to a proxy of ours: %s", got.raw)
	}
	if got := f.send(t, query("DELETE", "/photos", "policy")); got.status != 204 {
		t.Errorf("root can not remove it: %s", got.raw)
	}
}

// TestSecure: who came by TLS.
func TestSecure(t *testing.T) {
	proxies := gateway.Proxies{netip.MustParsePrefix("10.0.0.0/8")}
	for _, c := range []struct {
		peer  string
		proto []string
		want  bool
	}{
		{"10.0.0.1:1", []string{"https"}, true}, {"10.0.0.1:1", []string{"http"}, false}, {"10.0.0.1:1", nil, false},
		{"10.0.0.1:1", []string{"https", "http"}, false}, {"192.0.2.1:1", []string{"https"}, false}, {"a socket", []string{"https"}, false},
	} {
		r := &http.Request{RemoteAddr: c.peer, Header: http.Header{"X-Forwarded-Proto": c.proto}}
		if got := proxies.Secure(r); got != c.want {
			t.Errorf("%s %q: %v", c.peer, c.proto, got)
		}
	}
}

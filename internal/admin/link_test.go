package admin_test

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/s3mirror/s3mirror/internal/admin"
	"github.com/s3mirror/s3mirror/internal/admin/api"
	"github.com/s3mirror/s3mirror/internal/auth"
)

// follow sends what a link is for, as somebody without a login does.
func follow(t *testing.T, method, link, data string) (*http.Response, string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, link, strings.NewReader(data))
	if err != nil {
		t.Fatal(err)
	}
	resp, err := http.DefaultTransport.RoundTrip(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp, string(body)
}

// TestLinks open one thing to whoever has them, and end with the tokens of their maker.
func TestLinks(t *testing.T) {
	f, _ := newEngineFixture(t, func(o *admin.Options) {
		port := httptest.NewServer(o.S3.(http.Handler))
		t.Cleanup(port.Close)
		o.S3URL = url.URL{Scheme: "http", Host: port.URL[strings.LastIndexByte(port.URL, ':'):]}
	})
	f.user(t, "ann", func(u *auth.User) { u.Scopes = []auth.Scope{auth.ScopeRead, auth.ScopeWrite} })
	f.put(t, photos+"/a%20b/%C3%BC+.txt", "content")
	f.audit.Take()
	link := func(login, key, want string) api.Link {
		t.Helper()
		resp, body := f.send(t, "POST", "/api/v1/buckets/photos/presign?key="+url.QueryEscape(key), login, want)
		l := answered[api.Link](t, 201, resp, body)
		if entries := f.audit.Take(); len(entries) != 1 || entries[0].Act != "presignObject" || entries[0].Actor != login || entries[0].Key != key || entries[0].Detail == "" {
			t.Errorf("audited %+v", entries)
		}
		return l
	}

	get := link("ann", "a b/ü+.txt", `{"method":"GET","expires_in":60,"download":true}`)
	if begins := get.Expires.Add(-60 * time.Second).Format("20060102T150405Z"); !strings.Contains(get.URL, "X-Amz-Date="+begins) || get.Method != "GET" {
		t.Errorf("%+v", get)
	}
	resp, body := follow(t, "GET", get.URL, "")
	if resp.StatusCode != 200 || body != "content" || resp.Header.Get("Content-Disposition") != "attachment" {
		t.Errorf("%d %s", resp.StatusCode, body)
	}
	for what, c := range map[string][2]string{
		"another method": {"PUT", get.URL},
		"another key":    {"GET", strings.Replace(get.URL, ".txt", ".exe", 1)},
		"a later end":    {"GET", strings.Replace(get.URL, "X-Amz-Expires=60", "X-Amz-Expires=600", 1)},
		"no token":       {"GET", get.URL[:strings.IndexByte(get.URL, '?')] + get.URL[strings.IndexByte(get.URL, '&'):]},
		"more in it":     {"GET", get.URL + "&response-content-type=text/html"},
	} {
		if resp, body := follow(t, c[0], c[1], ""); resp.StatusCode != 403 {
			t.Errorf("%s: %d %s", what, resp.StatusCode, body)
		}
	}
	put := link("root", "new", `{"method":"PUT"}`)
	if resp, body := follow(t, "PUT", put.URL, "written"); resp.StatusCode != 200 {
		t.Errorf("%d %s", resp.StatusCode, body)
	}
	if _, body := f.do(t, "GET", photos+"/new?download=true", "root"); body != "written" {
		t.Errorf("%s", body)
	}

	if status, body := f.ask(t, "root", "PATCH", "/api/v1/users/ann", `{"password":"quite another one"}`); status != 200 {
		t.Fatalf("%d %s", status, body)
	}
	if resp, body := follow(t, "GET", get.URL, ""); resp.StatusCode/100 != 4 {
		t.Errorf("after a new password: %d %s", resp.StatusCode, body)
	}
	for want, kind := range map[string]string{
		`{"method":"DELETE"}`:                         "bad-link",
		`{"method":"PUT","download":true}`:            "bad-link",
		`{"method":"GET","expires_in":604801}`:        "bad-link",
		`{"method":"GET","expires_in":-1}`:            "bad-link",
		`{"method":"GET","expires_in":9223372036854}`: "bad-link",
		`{"method":"GET","expire":1}`:                 "bad-body",
		`{}`:                                          "bad-link",
	} {
		if resp, body := f.send(t, "POST", "/api/v1/buckets/photos/presign?key=k", "root", want); resp.StatusCode != 400 || problemOf(t, body).Type != "urn:s3mirror:problem:"+kind {
			t.Errorf("%s: %d %s", want, resp.StatusCode, body)
		}
	}
}

// TestLinksBeginAsClientsReachS3.
func TestLinksBeginAsClientsReachS3(t *testing.T) {
	for _, c := range []struct{ s3, host, want string }{
		{"https://s3.example.org", "console.example.org", "https://s3.example.org/photos/k?"},
		{"http://:9000", "127.0.0.1:9001", "http://127.0.0.1:9000/photos/k?"},
		{"http://:9000", "[::1]:9001", "http://[::1]:9000/photos/k?"},
		{"http://:9000", "[::1]", "http://[::1]:9000/photos/k?"},
		{"https://:9000", "console", "https://console:9000/photos/k?"},
	} {
		base, err := url.Parse(c.s3)
		if err != nil {
			t.Fatal(err)
		}
		f, _ := newEngineFixture(t, func(o *admin.Options) { o.S3URL = *base })
		req, err := http.NewRequestWithContext(t.Context(), "POST", f.server.URL+"/api/v1/buckets/photos/presign?key=k", strings.NewReader(`{"method":"GET"}`))
		if err != nil {
			t.Fatal(err)
		}
		req.Host = c.host
		req.SetBasicAuth("root", "secret")
		resp, err := http.DefaultTransport.RoundTrip(req)
		if err != nil {
			t.Fatal(err)
		}
		var l api.Link
		err = json.NewDecoder(resp.Body).Decode(&l)
		resp.Body.Close()
		if err != nil || !strings.HasPrefix(l.URL, c.want) {
			t.Errorf("%s by %s: %.60s %v", c.s3, c.host, l.URL, err)
		}
	}
}

// TestBucketIsSet: mode and ack rule, of one bucket.
func TestBucketIsSet(t *testing.T) {
	f, e := newEngineFixture(t)
	const path = "/api/v1/buckets/photos"
	show := func(b api.Bucket) string {
		return fmt.Sprintf("%s %q %v, %d %v %v", b.Mode, b.Primary, b.OwnMode, b.Ack.AtLeast, b.Ack.Include, b.OwnAck)
	}
	resp, body := f.do(t, "GET", path, "root")
	if got := show(answered[api.Bucket](t, 200, resp, body)); got != `active "" false, 2 [] false` {
		t.Error(got)
	}
	f.audit.Take()
	for _, c := range []struct{ want, got string }{
		{`{"mode":"disabled","primary":"eu-2"}`, `disabled "eu-2" true, 2 [] false`},
		{`{"ack":{"at_least":1,"include":["ru-1"]}}`, `disabled "eu-2" true, 1 [ru-1] true`},
		{`{"mode":"active","ack":{"at_least":3}}`, `active "" false, 3 [] true`},
		{`{}`, `active "" false, 3 [] true`},
		{`{"ack":{"at_least":0}}`, `active "" false, 2 [] false`},
	} {
		resp, body := f.send(t, "PATCH", path, "root", c.want)
		if got := show(answered[api.Bucket](t, 200, resp, body)); got != c.got {
			t.Errorf("%s: %s, want %s", c.want, got, c.got)
		}
		resp, body = f.do(t, "GET", path, "root")
		if got := show(answered[api.Bucket](t, 200, resp, body)); got != c.got {
			t.Errorf("%s, later: %s, want %s", c.want, got, c.got)
		}
		if entries := f.audit.Take(); len(entries) != 1 || entries[0].Act != "updateBucket" || entries[0].Target != "photos" {
			t.Errorf("%s: audited %+v", c.want, entries)
		}
	}
	for want, c := range map[string]struct {
		status int
		kind   string
	}{
		`{"mode":"off"}`:                               {400, "bad-mode"},
		`{"mode":"disabled"}`:                          {400, "bad-mode"},
		`{"primary":"eu-1"}`:                           {400, "bad-mode"},
		`{"mode":"active","primary":"eu-1"}`:           {400, "bad-mode"},
		`{"mode":"disabled","primary":"eu-9"}`:         {404, "unknown-backend"},
		`{"ack":{"at_least":4}}`:                       {409, "unfitting"},
		`{"ack":{"at_least":-1}}`:                      {400, "bad-ack"},
		`{"ack":{"at_least":1,"include":["eu-9"]}}`:    {409, "unfitting"},
		`{"acks":{"at_least":1}}`:                      {400, "bad-body"},
		`{"mode":"disabled","primary":"eu-1","ack":3}`: {400, "bad-body"},
	} {
		if resp, body := f.send(t, "PATCH", path, "root", want); resp.StatusCode != c.status || problemOf(t, body).Type != "urn:s3mirror:problem:"+c.kind {
			t.Errorf("%s: %d %s", want, resp.StatusCode, body)
		}
	}
	if resp, body := f.send(t, "PATCH", "/api/v1/buckets/nowhere", "root", `{"mode":"active"}`); resp.StatusCode != 404 {
		t.Errorf("%d %s", resp.StatusCode, body)
	}
	// A rule that needs what is paused would stop all writes.
	if err := e.set.Pause(t.Context(), "eu-1", time.Time{}); err != nil {
		t.Fatal(err)
	}
	if resp, body := f.send(t, "PATCH", path, "root", `{"ack":{"at_least":3}}`); resp.StatusCode != 409 || !strings.Contains(body, "paused") {
		t.Errorf("%d %s", resp.StatusCode, body)
	}
}

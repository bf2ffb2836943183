package admin_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/netip"
	"net/url"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/s3mirror/s3mirror/internal/admin"
	"github.com/s3mirror/s3mirror/internal/admin/api"
	"github.com/s3mirror/s3mirror/internal/auth"
	"github.com/s3mirror/s3mirror/internal/memory"
	"github.com/s3mirror/s3mirror/internal/s3"
)

// put writes an object as root.
func (f *fixture) put(t *testing.T, path, data string, header ...string) {
	t.Helper()
	if resp, body := f.send(t, "PUT", path, "root", data, header...); resp.StatusCode != 200 {
		t.Fatalf("put %s: %d %s", path, resp.StatusCode, body)
	}
}

// send is do with a body.
func (f *fixture) send(t *testing.T, method, path, login, data string, header ...string) (*http.Response, string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, f.server.URL, strings.NewReader(data))
	if err != nil {
		t.Fatal(err)
	}
	before, query, _ := strings.Cut(path, "?")
	req.URL.Opaque, req.URL.RawQuery = before, query // as it stands, dots and all
	req.SetBasicAuth(login, "secret")
	for i := 0; i+1 < len(header); i += 2 {
		req.Header.Set(header[i], header[i+1])
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

const photos = "/api/v1/buckets/photos/objects"

// TestObjectThereAndBack: written, shown, listed, sent and removed by the admin
// API, with all that S3 keeps of it.
func TestObjectThereAndBack(t *testing.T) {
	f, _ := newEngineFixture(t)
	data := strings.Repeat("0123456789", 100_000) // more than a document may have
	resp, body := f.send(t, "PUT", photos+"/2026/a%20b.txt", "root", data, "Content-Type", "text/plain", "X-Amz-Meta-Who", "ann", "Cache-Control", "max-age=60")
	var written api.WrittenObject
	if json.Unmarshal([]byte(body), &written) != nil || resp.StatusCode != 200 || written.Bucket != "photos" || written.Key != "2026/a b.txt" || len(written.Etag) != 32 {
		t.Fatalf("%d %s", resp.StatusCode, body)
	}

	resp, body = f.do(t, "GET", photos+"/2026/a%20b.txt", "root")
	var shown api.Object
	if json.Unmarshal([]byte(body), &shown) != nil || resp.StatusCode != 200 || resp.Header.Get("Content-Type") != "application/json" {
		t.Fatalf("%d %s", resp.StatusCode, body)
	}
	if shown.Size != int64(len(data)) || shown.Etag != written.Etag || shown.Metadata["who"] != "ann" || shown.Headers["content-type"] != "text/plain" ||
		shown.Headers["cache-control"] != "max-age=60" || len(shown.Replicas) != 3 || shown.LastModified.IsZero() {
		t.Errorf("%s", body)
	}

	for path, want := range map[string]string{"": data, "%2F": ""} { // the key as it is, and one that is not there
		resp, body = f.do(t, "GET", strings.Replace(photos+"/2026/a%20b.txt", "/2026/", "/2026%2F"+path, 1)+"?download=true", "root")
		if want == "" {
			if resp.StatusCode != 404 || problemOf(t, body).Type != "urn:s3mirror:problem:no-such-key" || resp.Header.Get("Content-Disposition") != "" {
				t.Errorf("%d %s", resp.StatusCode, body)
			}
			continue
		}
		if resp.StatusCode != 200 || body != want || resp.Header.Get("Content-Type") != "text/plain" || resp.Header.Get("ETag") != `"`+written.Etag+`"` ||
			resp.Header.Get("X-Amz-Meta-Who") != "ann" || !strings.Contains(resp.Header.Get("Content-Security-Policy"), "sandbox") || resp.Header.Get("Content-Disposition") != "attachment" {
			t.Errorf("%d %v", resp.StatusCode, resp.Header)
		}
	}
	if resp, body = f.do(t, "GET", photos+"/2026/a%20b.txt?download=true", "root", "Range", "bytes=5-14"); resp.StatusCode != 206 || body != "5678901234" {
		t.Errorf("range: %d %q", resp.StatusCode, body)
	}
	if resp, body = f.do(t, "GET", photos+"/2026/a%20b.txt?download=true", "root", "If-None-Match", `"`+written.Etag+`"`); resp.StatusCode != 304 || body != "" {
		t.Errorf("condition: %d %q", resp.StatusCode, body)
	}
	if resp, _ = f.do(t, "HEAD", photos+"/2026/a%20b.txt?download=true", "root"); resp.StatusCode != 200 || resp.ContentLength != int64(len(data)) {
		t.Errorf("head: %d %d", resp.StatusCode, resp.ContentLength)
	}
	var sent bytes.Buffer
	if err := f.client.Download(t.Context(), "photos", "2026/a b.txt", &sent); err != nil || sent.String() != data {
		t.Errorf("%d bytes, %v", sent.Len(), err)
	}
	var missing *admin.Problem
	if err := f.client.Download(t.Context(), "photos", "none", &sent); !errors.As(err, &missing) || missing.Status != 404 {
		t.Errorf("%v", err)
	}

	for range 2 { // that there is none is no error
		if resp, body := f.do(t, "DELETE", photos+"/2026/a%20b.txt", "root"); resp.StatusCode != 204 {
			t.Errorf("delete: %d %s", resp.StatusCode, body)
		}
	}
	if resp, _ := f.do(t, "GET", photos+"/2026/a%20b.txt", "root"); resp.StatusCode != 404 {
		t.Errorf("after the delete: %d", resp.StatusCode)
	}
}

// TestKeysOfEveryKind are the same key whichever way a client escapes it, and
// never another one.
func TestKeysOfEveryKind(t *testing.T) {
	f, e := newEngineFixture(t)
	keys := []string{"a", "a/b", "a//b", "a/", "/a", "a/../b", "a/./b", "..", ".", "../a", "ü/ß", "100%", "a+b c", "a?b#c", "a%2Fb"}
	for i, key := range keys {
		f.put(t, photos+"/"+url.PathEscape(key), fmt.Sprint(i))
	}
	for i, key := range keys {
		for _, path := range []string{url.PathEscape(key), strings.ReplaceAll(url.PathEscape(key), "%2F", "/")} {
			if resp, body := f.send(t, "GET", photos+"/"+path+"?download=true", "root", ""); resp.StatusCode != 200 || body != fmt.Sprint(i) {
				t.Errorf("%q as %s: %d %s", key, path, resp.StatusCode, body)
			}
		}
	}
	page, err := e.set.States(t.Context(), "photos", keys)
	if err != nil || len(page) != len(keys) {
		t.Errorf("%v %v", page, err)
	}
	for _, path := range []string{photos + "/", photos + "/.s3mirror/identity", photos + "/a/..%2F.s3mirror/x", "/api/v1/buckets/pho%2Ftos/objects/a", "/api/v1/buckets/X/objects/a"} {
		for _, method := range []string{"GET", "PUT", "DELETE"} {
			if resp, body := f.send(t, method, path, "root", ""); resp.StatusCode/100 != 4 {
				t.Errorf("%s %s: %d %s", method, path, resp.StatusCode, body)
			}
		}
	}
	if resp, body := f.send(t, "PUT", photos+"/copy", "root", "", "X-Amz-Copy-Source", "/photos/a"); resp.StatusCode != 400 {
		t.Errorf("a copy: %d %s", resp.StatusCode, body)
	}
}

func list(t *testing.T, f *fixture, login, query string) (page api.ObjectPage) {
	t.Helper()
	resp, body := f.do(t, "GET", photos+query, login)
	if resp.StatusCode != 200 || json.Unmarshal([]byte(body), &page) != nil {
		t.Fatalf("list%s: %d %s", query, resp.StatusCode, body)
	}
	return page
}

// TestListOfObjects by pages, prefix and delimiter.
func TestListOfObjects(t *testing.T) {
	f, _ := newEngineFixture(t)
	var want []string
	for i := range 25 {
		key := fmt.Sprintf("d%d/%02d", i%3, i)
		f.put(t, photos+"/"+key, "x")
		want = append(want, key)
	}
	slices.Sort(want)
	for _, limit := range []int{1, 7, 25, 26} {
		var got []string
		for cursor := ""; ; {
			page := list(t, f, "root", fmt.Sprintf("?limit=%d&cursor=%s", limit, cursor))
			if len(page.Objects) > limit {
				t.Fatalf("%d on a page of %d", len(page.Objects), limit)
			}
			for _, o := range page.Objects {
				got = append(got, o.Key)
				if o.Size != 1 || o.Etag == "" || len(o.Replicas) != 3 {
					t.Errorf("%+v", o)
				}
			}
			if cursor = page.Cursor; cursor == "" {
				break
			}
		}
		if !slices.Equal(got, want) {
			t.Errorf("limit %d: %q", limit, got)
		}
	}
	page := list(t, f, "root", "?delimiter=/")
	if !slices.Equal(page.Prefixes, []string{"d0/", "d1/", "d2/"}) || len(page.Objects) != 0 {
		t.Errorf("%+v", page)
	}
	if page := list(t, f, "root", "?prefix=d1/&delimiter=/"); len(page.Objects) != 8 || len(page.Prefixes) != 0 {
		t.Errorf("%+v", page)
	}
	for query, kind := range map[string]string{"?limit=0": "bad-parameter", "?cursor=!": "bad-parameter", "?delimitr=/": "bad-parameter"} {
		if resp, body := f.do(t, "GET", photos+query, "root"); resp.StatusCode != 400 || problemOf(t, body).Type != "urn:s3mirror:problem:"+kind {
			t.Errorf("%s: %d %s", query, resp.StatusCode, body)
		}
	}
	if resp, body := f.do(t, "GET", "/api/v1/buckets/nowhere/objects", "root"); resp.StatusCode != 404 || problemOf(t, body).Type != "urn:s3mirror:problem:no-such-bucket" {
		t.Errorf("%d %s", resp.StatusCode, body)
	}
}

// TestRefusalsOfAnObject are told in the backend's words.
func TestRefusalsOfAnObject(t *testing.T) {
	f, e := newEngineFixture(t)
	server, ok := e.servers["eu-2"].Config.Handler.(*memory.Server)
	if !ok {
		t.Fatal("another server")
	}
	server.SetFaults(memory.Faults{ErrorRate: 1, ErrorCode: s3.KeyTooLong, Ops: []s3.OperationName{s3.PutObject}})
	f.put(t, photos+"/long", "x")
	var o api.Object
	for o.Refusals == nil { // the write may be answered before the last backend has refused it
		resp, body := f.do(t, "GET", photos+"/long", "root")
		if resp.StatusCode != 200 || json.Unmarshal([]byte(body), &o) != nil {
			t.Fatalf("%d %s", resp.StatusCode, body)
		}
	}
	if got := o.Refusals["eu-2"]; len(o.Refusals) != 1 || got.Code != string(s3.KeyTooLong) || got.Message != s3.KeyTooLong.Text() {
		t.Errorf("%+v", o.Refusals)
	}
}

// TestStatesOfReplicas: one that is away lags.
func TestStatesOfReplicas(t *testing.T) {
	f, e := newEngineFixture(t)
	f.put(t, photos+"/both", "x")
	e.servers["eu-2"].CloseClientConnections()
	e.servers["eu-2"].Close()
	f.put(t, photos+"/missed", "x")
	page := list(t, f, "root", "")
	if len(page.Objects) != 2 {
		t.Fatalf("%+v", page)
	}
	if got := page.Objects[1].Replicas; got["eu-1"] != api.ReplicaCurrent || got["ru-1"] != api.ReplicaCurrent || got["eu-2"] != api.ReplicaLagging && got["eu-2"] != api.ReplicaUnsettled {
		t.Errorf("%v", got)
	}
	_, body := f.do(t, "GET", photos+"/missed", "root")
	var o api.Object
	if err := json.Unmarshal([]byte(body), &o); err != nil || o.Replicas["eu-2"] == api.ReplicaCurrent || len(o.Replicas) != 3 {
		t.Errorf("%s", body)
	}
}

// TestBuckets: made in both ways, listed by pages, shown, removed.
func TestBuckets(t *testing.T) {
	f, _ := newEngineFixture(t)
	for _, name := range []string{"docs", "music"} {
		resp, body := f.send(t, "POST", "/api/v1/buckets", "root", `{"name":"`+name+`"}`, "Content-Type", "application/json")
		var b api.Bucket
		if resp.StatusCode != 201 || json.Unmarshal([]byte(body), &b) != nil || b.Name != name || b.Ack.AtLeast != 2 || len(b.Replicas) != 3 || b.Replicas[0].State != api.BucketPresent || b.Created.IsZero() {
			t.Errorf("%d %s", resp.StatusCode, body)
		}
	}
	var got []string
	for path := "/api/v1/buckets?limit=2"; path != ""; {
		_, body := f.do(t, "GET", path, "root")
		var page api.BucketPage
		if err := json.Unmarshal([]byte(body), &page); err != nil {
			t.Fatal(body)
		}
		for _, b := range page.Buckets {
			got = append(got, b.Name)
		}
		if path = ""; page.Cursor != "" {
			path = "/api/v1/buckets?limit=2&cursor=" + page.Cursor
		}
	}
	if !slices.Equal(got, []string{"docs", "music", "photos"}) {
		t.Errorf("%q", got)
	}
	f.put(t, photos+"/k", "x")
	for _, c := range []struct {
		method, path, body string
		status             int
		kind               string
	}{
		{"PUT", "/api/v1/buckets/docs", "", 409, "bucket-already-owned-by-you"},
		{"PUT", "/api/v1/buckets/NO", "", 400, "invalid-bucket-name"},
		{"POST", "/api/v1/buckets", `{"name":""}`, 400, "invalid-bucket-name"},
		{"POST", "/api/v1/buckets", `{"name":"a/b"}`, 400, "invalid-bucket-name"},
		{"GET", "/api/v1/buckets/nowhere", "", 404, "no-such-bucket"},
		{"DELETE", "/api/v1/buckets/nowhere", "", 404, "no-such-bucket"},
		{"DELETE", "/api/v1/buckets/photos", "", 409, "bucket-not-empty"},
		{"GET", "/api/v1/buckets?cursor=!", "", 400, "bad-parameter"},
		{"GET", "/api/v1/buckets?limit=0", "", 400, "bad-parameter"},
	} {
		if resp, body := f.send(t, c.method, c.path, "root", c.body); resp.StatusCode != c.status || problemOf(t, body).Type != "urn:s3mirror:problem:"+c.kind {
			t.Errorf("%s %s: %d %s", c.method, c.path, resp.StatusCode, body)
		}
	}
	if resp, body := f.do(t, "DELETE", "/api/v1/buckets/docs", "root"); resp.StatusCode != 204 {
		t.Errorf("%d %s", resp.StatusCode, body)
	}
}

// TestUserSeesOnlyWhatIsHis, and of the rest not even whether it is there. Every
// refusal is audited, with bucket and key.
func TestUserSeesOnlyWhatIsHis(t *testing.T) {
	f, _ := newEngineFixture(t)
	f.user(t, "ann", func(u *auth.User) {
		u.Scopes = []auth.Scope{auth.ScopeRead, auth.ScopeWrite}
		u.AllowedBuckets = []auth.Place{{Bucket: "photos", Prefix: "ann/"}}
		u.AllowedExtensions = []string{"txt"}
	})
	f.user(t, "reader", func(u *auth.User) { u.Scopes = []auth.Scope{auth.ScopeRead} })
	f.user(t, "elsewhere", func(u *auth.User) { u.AllowedIPs = []netip.Prefix{netip.MustParsePrefix("192.0.2.0/24")} })
	f.do(t, "PUT", "/api/v1/buckets/private", "root")
	f.put(t, photos+"/ann/k.txt", "x")
	f.put(t, photos+"/other/k.txt", "x")
	f.audit.Take()
	for _, c := range []struct {
		login, method, path string
		status              int
		reason              string
	}{
		{"ann", "GET", photos + "/ann/k.txt", 200, ""},
		{"ann", "GET", photos + "/ann/k.txt?download=true", 200, ""},
		{"ann", "GET", photos + "?prefix=ann/", 200, ""},
		{"ann", "PUT", photos + "/ann/new.txt", 200, ""},
		{"ann", "DELETE", photos + "/ann/new.txt", 204, ""},
		{"ann", "GET", "/api/v1/buckets/photos", 200, ""},
		{"ann", "GET", photos + "/other/k.txt", 403, "bucket"},
		{"ann", "GET", photos + "/other/k.txt?download=true", 403, "bucket"},
		{"ann", "GET", photos + "/ann/../other/k.txt", 403, "bucket"},
		{"ann", "GET", photos + "/none", 403, "bucket"},
		{"ann", "GET", photos, 403, "bucket"},
		{"ann", "GET", photos + "?prefix=o", 403, "bucket"},
		{"ann", "PUT", photos + "/ann/new.exe", 403, "extension"},
		{"ann", "DELETE", photos + "/ann/new.exe", 403, "extension"},
		{"ann", "DELETE", photos + "/other/k.txt", 403, "bucket"},
		{"ann", "GET", "/api/v1/buckets/private", 403, "bucket"},
		{"ann", "GET", "/api/v1/buckets/nowhere", 403, "bucket"},
		{"ann", "PUT", "/api/v1/buckets/mine", 403, "bucket"},
		{"ann", "DELETE", "/api/v1/buckets/photos", 403, "bucket"},
		{"reader", "GET", photos + "/other/k.txt", 200, ""},
		{"reader", "PUT", photos + "/other/k.txt", 403, "scope"},
		{"reader", "DELETE", photos + "/other/k.txt", 403, "scope"},
		{"reader", "PUT", "/api/v1/buckets/mine", 403, "scope"},
		{"elsewhere", "GET", photos + "/other/k.txt", 401, "login or password"},
	} {
		resp, body := f.send(t, c.method, c.path, c.login, "")
		if resp.StatusCode != c.status {
			t.Errorf("%s %s %s: %d, want %d: %s", c.login, c.method, c.path, resp.StatusCode, c.status, body)
		}
		entries := f.audit.Take()
		if c.reason == "" {
			if len(entries) != 0 { // the history of the engine has what was done
				t.Errorf("%s %s %s: audited %+v", c.login, c.method, c.path, entries)
			}
			continue
		}
		if len(entries) != 1 || !strings.Contains(entries[0].Refused, c.reason) || c.status == 403 && (entries[0].Bucket == "" || entries[0].Actor != c.login) {
			t.Errorf("%s %s %s: audited %+v", c.login, c.method, c.path, entries)
		}
	}
	_, body := f.do(t, "GET", "/api/v1/buckets", "ann")
	var page api.BucketPage
	if json.Unmarshal([]byte(body), &page) != nil || len(page.Buckets) != 1 || page.Buckets[0].Name != "photos" {
		t.Errorf("ann sees %s", body)
	}
}

// TestUploadThatIsRefusedOrCut leaves nothing behind.
func TestUploadThatIsRefusedOrCut(t *testing.T) {
	f, _ := newEngineFixture(t)
	if resp, body := f.send(t, "PUT", photos+"/k", "root", "x", "Content-MD5", "1B2M2Y8AsgTpgAmY7PhCfg=="); resp.StatusCode != 400 || problemOf(t, body).Type != "urn:s3mirror:problem:bad-digest" {
		t.Errorf("%d %s", resp.StatusCode, body)
	}
	if resp, body := f.send(t, "PUT", photos+"/k", "root", "x", "X-Amz-Acl", "public-read"); resp.StatusCode/100 == 2 {
		t.Errorf("%d %s", resp.StatusCode, body)
	}
	req, err := http.NewRequestWithContext(t.Context(), "PUT", f.server.URL+photos+"/k", io.MultiReader(strings.NewReader("half"), failing{}))
	if err != nil {
		t.Fatal(err)
	}
	req.ContentLength = 8
	req.SetBasicAuth("root", "secret")
	if resp, err := http.DefaultTransport.RoundTrip(req); err == nil {
		resp.Body.Close()
		if resp.StatusCode == 200 {
			t.Error("half a body was taken")
		}
	}
	if resp, _ := f.do(t, "GET", photos+"/k", "root"); resp.StatusCode != 404 {
		t.Errorf("%d", resp.StatusCode)
	}
}

type failing struct{}

func (failing) Read([]byte) (int, error) { return 0, errors.New("cut") }

// TestProblemsOfS3 keep their types: programs match them.
func TestProblemsOfS3(t *testing.T) {
	got := map[string]string{}
	for _, code := range []string{"NoSuchKey", "InvalidURI", "EntityTooLarge", "XAmzContentSHA256Mismatch", "BucketAlreadyOwnedByYou", "SlowDown"} {
		got[code] = admin.Kebab(code)
	}
	want := map[string]string{
		"NoSuchKey": "no-such-key", "InvalidURI": "invalid-uri", "EntityTooLarge": "entity-too-large",
		"XAmzContentSHA256Mismatch": "x-amz-content-sha256-mismatch", "BucketAlreadyOwnedByYou": "bucket-already-owned-by-you", "SlowDown": "slow-down",
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("%v", slices.Sorted(maps.Values(got)))
	}
}

package admin_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/s3mirror/s3mirror/internal/admin/api"
	"github.com/s3mirror/s3mirror/internal/auth"
)

const uploads = "/api/v1/buckets/photos/uploads"

// answered reads an answer that must have this status.
func answered[T any](t *testing.T, status int, resp *http.Response, body string) (out T) {
	t.Helper()
	if resp.StatusCode != status || json.Unmarshal([]byte(body), &out) != nil {
		t.Fatalf("%d, want %d: %s", resp.StatusCode, status, body)
	}
	return out
}

// TestUploadInParts: begun, parts in any order and one of them twice, listed by pages,
// completed with metadata; what is there then is what was sent.
func TestUploadInParts(t *testing.T) {
	f, _ := newEngineFixture(t)
	const key = "2026/a b%2F.txt" // escaped in the query like everything
	query := "?key=2026/a%20b%252F.txt"
	resp, body := f.send(t, "POST", uploads+query, "root", `{"content_type":"text/plain","metadata":{"who":"ann"}}`)
	u := answered[api.Upload](t, 201, resp, body)
	if u.ID == "" || u.Bucket != "photos" || u.Key != key {
		t.Fatalf("%+v", u)
	}
	resp, body = f.do(t, "GET", uploads+"?prefix=2026/", "root")
	if page := answered[api.UploadPage](t, 200, resp, body); len(page.Uploads) != 1 || page.Uploads[0].ID != u.ID || page.Uploads[0].Key != key || page.Uploads[0].By != "root" || page.Uploads[0].Started.IsZero() {
		t.Errorf("%+v", page)
	}

	first, last := strings.Repeat("0123456789", 600_000), "the end"
	etags := map[int]string{}
	for _, p := range []struct {
		number int
		data   string
	}{{2, last}, {1, "too early"}, {1, first}} {
		resp, body := f.send(t, "PUT", fmt.Sprintf("%s/%s/%d%s", uploads, u.ID, p.number, query), "root", p.data)
		part := answered[api.WrittenPart](t, 200, resp, body)
		if part.Number != p.number || part.Size != int64(len(p.data)) || part.Etag == "" {
			t.Errorf("%+v", part)
		}
		etags[p.number] = part.Etag
	}
	var listed []api.WrittenPart
	for cursor := ""; ; {
		resp, body = f.do(t, "GET", uploads+"/"+u.ID+query+"&limit=1&cursor="+cursor, "root")
		page := answered[api.PartPage](t, 200, resp, body)
		listed = append(listed, page.Parts...)
		if cursor = page.Cursor; cursor == "" {
			break
		}
	}
	want := []api.WrittenPart{{Number: 1, Etag: etags[1], Size: int64(len(first))}, {Number: 2, Etag: etags[2], Size: int64(len(last))}}
	if !slices.Equal(listed, want) {
		t.Errorf("%+v, want %+v", listed, want)
	}

	parts := fmt.Sprintf(`{"parts":[{"number":1,"etag":%q},{"number":2,"etag":%q,"size":7}]}`, etags[1], etags[2])
	resp, body = f.send(t, "POST", uploads+"/"+u.ID+query, "root", parts)
	if done := answered[api.WrittenObject](t, 200, resp, body); done.Key != key || !strings.HasSuffix(done.Etag, "-2") {
		t.Errorf("%+v", done)
	}
	resp, body = f.do(t, "GET", photos+"/2026/a%20b%252F.txt?download=true", "root")
	if resp.StatusCode != 200 || body != first+last || resp.Header.Get("Content-Type") != "text/plain" || resp.Header.Get("X-Amz-Meta-Who") != "ann" {
		t.Errorf("%d, %d bytes, %v", resp.StatusCode, len(body), resp.Header)
	}
	resp, body = f.do(t, "GET", uploads, "root")
	if page := answered[api.UploadPage](t, 200, resp, body); len(page.Uploads) != 0 {
		t.Errorf("%+v", page)
	}
}

// TestUploadThatIsGivenUp is not there any more, and no object is.
func TestUploadThatIsGivenUp(t *testing.T) {
	f, _ := newEngineFixture(t)
	resp, body := f.send(t, "POST", uploads+"?key=k", "root", "")
	u := answered[api.Upload](t, 201, resp, body)
	f.send(t, "PUT", uploads+"/"+u.ID+"/1?key=k", "root", "x")
	if resp, body := f.do(t, "DELETE", uploads+"/"+u.ID+"?key=k", "root"); resp.StatusCode != 204 {
		t.Errorf("%d %s", resp.StatusCode, body)
	}
	for method, path := range map[string]string{"GET": "?key=k", "PUT": "/1?key=k"} {
		if resp, body := f.send(t, method, uploads+"/"+u.ID+path, "root", ""); resp.StatusCode != 404 || problemOf(t, body).Type != "urn:s3mirror:problem:no-such-upload" {
			t.Errorf("%s: %d %s", method, resp.StatusCode, body)
		}
	}
	if resp, _ := f.do(t, "GET", photos+"/k", "root"); resp.StatusCode != 404 {
		t.Errorf("%d", resp.StatusCode)
	}
}

// TestWrongUploads are problems that a program can tell apart.
func TestWrongUploads(t *testing.T) {
	f, _ := newEngineFixture(t)
	resp, body := f.send(t, "POST", uploads+"?key=k", "root", "")
	u := answered[api.Upload](t, 201, resp, body)
	small := answered[api.WrittenPart](t, 200, first(f.send(t, "PUT", uploads+"/"+u.ID+"/1?key=k", "root", "x")), second(f.send(t, "PUT", uploads+"/"+u.ID+"/1?key=k", "root", "x")))
	f.send(t, "PUT", uploads+"/"+u.ID+"/2?key=k", "root", "x")
	for _, c := range []struct {
		method, path, body string
		status             int
		kind               string
	}{
		{"POST", uploads, "", 400, "bad-parameter"},
		{"POST", uploads + "?key=", "", 400, ""},
		{"POST", uploads + "?key=k", `{"metadata":{"a b":"c"}}`, 400, "bad-body"},
		{"POST", uploads + "?key=k", `{"metadata":{"a":"c\n"}}`, 400, "bad-body"},
		{"POST", uploads + "?key=k", `{"metadata":{"s3mirror-stamp":"c"}}`, 400, "invalid-argument"},
		{"POST", uploads + "?key=k", `{"kind":"text/plain"}`, 400, "bad-body"},
		{"POST", uploads + "?key=.s3mirror/k", "", 403, "access-denied"},
		{"POST", "/api/v1/buckets/nowhere/uploads?key=k", "", 404, "no-such-bucket"},
		{"PUT", uploads + "/" + u.ID + "/0?key=k", "x", 400, "invalid-argument"},
		{"PUT", uploads + "/" + u.ID + "/10001?key=k", "x", 400, "invalid-argument"},
		{"PUT", uploads + "/" + u.ID + "/one?key=k", "x", 400, "bad-parameter"},
		{"PUT", uploads + "/" + u.ID + "/1?key=other", "x", 404, "no-such-upload"},
		{"POST", uploads + "/" + u.ID + "?key=k", `{"parts":[]}`, 400, "malformed-xml"},
		{"POST", uploads + "/" + u.ID + "?key=k", "", 400, "bad-body"},
		{"POST", uploads + "/" + u.ID + "?key=k", `{"parts":[{"number":7,"etag":"x"}]}`, 400, "invalid-part"},
		{"POST", uploads + "/" + u.ID + "?key=k", `{"parts":[{"number":1,"etag":"` + small.Etag + `"},{"number":2,"etag":"` + small.Etag + `"}]}`, 400, "entity-too-small"},
		{"POST", uploads + "/" + u.ID + "?key=k", `{"parts":[` + strings.Repeat(" ", 2<<20) + `]}`, 413, "too-large"},
		{"GET", uploads + "/" + u.ID + "?key=k&cursor=YQ", "", 400, "bad-parameter"},
		{"GET", uploads + "?cursor=YQ", "", 400, "bad-parameter"},
		{"GET", uploads + "?limit=0", "", 400, "bad-parameter"},
	} {
		resp, body := f.send(t, c.method, c.path, "root", c.body)
		if resp.StatusCode != c.status || c.kind != "" && problemOf(t, body).Type != "urn:s3mirror:problem:"+c.kind {
			t.Errorf("%s %.60s %.60s: %d %s", c.method, c.path, c.body, resp.StatusCode, body)
		}
	}
}

func first(resp *http.Response, _ string) *http.Response { return resp }
func second(_ *http.Response, body string) string        { return body }

// TestPagesOfUploads, several of one key among them.
func TestPagesOfUploads(t *testing.T) {
	f, _ := newEngineFixture(t)
	var want []string
	for _, key := range []string{"b", "a", "b", "c%20d"} {
		resp, body := f.send(t, "POST", uploads+"?key="+key, "root", "")
		u := answered[api.Upload](t, 201, resp, body)
		want = append(want, u.Key+" "+u.ID)
	}
	slices.Sort(want)
	for _, limit := range []int{1, 2, 3, 4, 5} {
		var got []string
		for cursor := ""; ; {
			resp, body := f.do(t, "GET", fmt.Sprintf("%s?limit=%d&cursor=%s", uploads, limit, cursor), "root")
			page := answered[api.UploadPage](t, 200, resp, body)
			for _, u := range page.Uploads {
				got = append(got, u.Key+" "+u.ID)
			}
			if cursor = page.Cursor; cursor == "" {
				break
			}
		}
		slices.Sort(got)
		if !slices.Equal(got, want) {
			t.Errorf("limit %d: %q, want %q", limit, got, want)
		}
	}
}

// TestLimitsHoldForUploads: on every call that names the key, and for links.
func TestLimitsHoldForUploads(t *testing.T) {
	f, _ := newEngineFixture(t)
	f.user(t, "ann", func(u *auth.User) {
		u.Scopes = []auth.Scope{auth.ScopeRead, auth.ScopeWrite}
		u.AllowedBuckets = []auth.Place{{Bucket: "photos", Prefix: "ann/"}}
		u.AllowedExtensions = []string{"txt"}
	})
	f.user(t, "reader", func(u *auth.User) { u.Scopes = []auth.Scope{auth.ScopeRead} })
	resp, body := f.send(t, "POST", uploads+"?key=ann/a.exe", "root", "")
	u := answered[api.Upload](t, 201, resp, body)
	for _, c := range []struct {
		login, method, path, body string
		status                    int
	}{
		{"ann", "POST", uploads + "?key=ann/a.txt", "", 201},
		{"ann", "GET", uploads + "?prefix=ann/", "", 200},
		{"ann", "GET", uploads, "", 403},
		{"ann", "POST", uploads + "?key=ann/a.exe", "", 403},
		{"ann", "POST", uploads + "?key=b/a.txt", "", 403},
		{"ann", "PUT", uploads + "/" + u.ID + "/1?key=ann/a.exe", "x", 403},
		{"ann", "POST", uploads + "/" + u.ID + "?key=ann/a.exe", `{"parts":[{"number":1,"etag":"x"}]}`, 403},
		{"ann", "DELETE", uploads + "/" + u.ID + "?key=ann/a.exe", "", 403},
		{"reader", "POST", uploads + "?key=ann/a.txt", "", 403},
		{"reader", "PUT", uploads + "/" + u.ID + "/1?key=ann/a.exe", "x", 403},
		{"reader", "POST", "/api/v1/buckets/photos/presign?key=k", `{"method":"PUT"}`, 403},
		{"reader", "POST", "/api/v1/buckets/photos/presign?key=k", `{"method":"GET"}`, 201},
		{"ann", "POST", "/api/v1/buckets/photos/presign?key=k", `{"method":"GET"}`, 403},
		{"ann", "POST", "/api/v1/buckets/photos/presign?key=ann/k.exe", `{"method":"PUT"}`, 403},
		{"ann", "PATCH", "/api/v1/buckets/photos", `{"mode":"active"}`, 403},
	} {
		if resp, body := f.send(t, c.method, c.path, c.login, c.body); resp.StatusCode != c.status {
			t.Errorf("%s %s %s: %d, want %d: %s", c.login, c.method, c.path, resp.StatusCode, c.status, body)
		}
	}
}

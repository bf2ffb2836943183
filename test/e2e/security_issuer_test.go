//go:build e2e

package e2e

import (
	"fmt"
	"io"
	"maps"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/s3mirror/s3mirror/internal/auth/authtest"
	"github.com/s3mirror/s3mirror/test/e2e/wire"
)

const (
	foreignIssuer   = "https://login.example.org"
	foreignAudience = "s3mirror.example.org"
)

// foreignTokens: every forgery of a token of another issuer, on both ports.
func (s *security) foreignTokens(t *testing.T) {
	token := func(others map[string]any) person {
		p := person{access: s.issuer.Token(t, "rsa", "RS256", nil, authtest.Claims(foreignIssuer, foreignAudience, others))}
		s.secrets = append(s.secrets, p.access)
		return p
	}
	send := doors[3].send
	good := token(nil)
	if a := send(s, t, good, ask{method: "GET", path: "/proof/a/k.txt"}); a.Status != 200 {
		t.Fatalf("a good token: %v", a)
	}
	if status, body := s.admin(t, good.access, "GET", "/api/v1/users", ""); status != 200 {
		t.Fatalf("a good token of an administrator: %d %s", status, body)
	}
	forged := authtest.Forgeries(t, s.issuer, foreignIssuer, foreignAudience)
	for _, attack := range slices.Sorted(maps.Keys(forged)) {
		token := forged[attack]
		if strings.Contains(token, "\n") { // no header could bring it
			continue
		}
		a := send(s, t, person{access: token}, ask{method: "PUT", path: "/proof/a/k.txt", body: "forged"})
		s.refused(t, "token of another issuer, by S3 port", attack, a.String(), "401 Unauthorized")
		status, _ := s.admin(t, token, "GET", "/api/v1/users", "")
		s.refused(t, "token of another issuer, by admin API", attack, fmt.Sprint(status), "401")
	}

	// Who is not stored here has what his token says and nothing more.
	zoe := token(map[string]any{"sub": "zoe", "scope": "read", "buckets": []string{"proof/a/"}})
	if a := send(s, t, zoe, ask{method: "GET", path: "/proof/a/k.txt"}); a.Status != 200 {
		t.Fatalf("a token of someone who is not stored: %v", a)
	}
	for attack, a := range map[string]ask{
		"a write without the scope":    {method: "PUT", path: "/proof/a/k.txt", body: "forged"},
		"a read of another prefix":     {method: "GET", path: "/proof/b/k.txt"},
		"a read of another bucket":     {method: "GET", path: "/private/k.txt"},
		"a delete without the scope":   {method: "DELETE", path: "/proof/a/k.txt"},
		"a list of the whole bucket":   {method: "GET", path: "/proof", query: "list-type=2"},
		"a bucket without the scope":   {method: "PUT", path: "/zoes"},
		"an upload without the scope":  {method: "POST", path: "/proof/a/k.txt", query: "uploads="},
		"a batch without the scope":    {method: "POST", path: "/proof", query: "delete=", body: "<Delete/>"},
		"a copy without the scope":     {method: "PUT", path: "/proof/a/c.txt", header: []wire.Field{{Name: "x-amz-copy-source", Value: "/proof/a/k.txt"}}},
		"a setting that admins change": {method: "PUT", path: "/proof", query: "tagging=", body: "<Tagging/>"},
	} {
		s.refused(t, "user of another issuer", attack, send(s, t, zoe, a).String(), "403 AccessDenied")
	}
	for attack, path := range map[string]string{"the list of users": "/api/v1/users", "the events": "/api/v1/events", "the history": "/api/v1/history"} {
		status, _ := s.admin(t, zoe.access, "GET", path, "")
		s.refused(t, "user of another issuer", attack, fmt.Sprint(status), "403")
	}
	status, _ := s.admin(t, zoe.access, "POST", "/api/v1/auth/logout", "")
	s.refused(t, "user of another issuer", "the end of a session that is not ours", fmt.Sprint(status), "401")
	status, body := s.sts(t, "WebIdentityToken", zoe.access)
	_, code, _ := strings.Cut(body, "<Code>")
	code, _, _ = strings.Cut(code, "</Code>")
	s.refused(t, "user of another issuer", "keys that nobody could take back", fmt.Sprint(status, " ", code), "400 InvalidIdentityToken")
	status, _ = s.admin(t, zoe.access, "POST", "/api/v1/buckets/proof/presign?key=a/k.txt", `{"method":"GET"}`)
	s.refused(t, "user of another issuer", "a link that nobody could take back", fmt.Sprint(status), "400")
	status, _ = s.admin(t, good.access, "PATCH", "/api/v1/users/alice", `{"password":"of whoever found the token"}`)
	s.refused(t, "user of another issuer", "a new password by a token alone", fmt.Sprint(status), "400")
}

// links: what one is not for.
func (s *security) links(t *testing.T) {
	link := func(p person, key, want string) string {
		status, body := s.admin(t, p.access, "POST", "/api/v1/buckets/proof/presign?key="+key, want)
		var l struct{ URL string }
		if status != 201 {
			t.Fatalf("link: %d %s", status, body)
		}
		decode(t, body, &l)
		s.secrets = append(s.secrets, l.URL[strings.Index(l.URL, "X-Amz-Signature="):])
		return l.URL
	}
	follow := func(method, url, body string, header ...string) (int, string) {
		req, err := http.NewRequestWithContext(t.Context(), method, url, strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		for i := 0; i+1 < len(header); i += 2 {
			req.Header.Set(header[i], header[i+1])
		}
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		text, err := io.ReadAll(resp.Body)
		if err != nil {
			t.Fatal(err)
		}
		if resp.StatusCode == 403 {
			s.ids = append(s.ids, resp.Header.Get("x-amz-request-id"))
		}
		s.answers.Write(text)
		return resp.StatusCode, string(text)
	}
	ann := s.who["ann"]
	get := link(ann, "a/k.txt", `{"method":"GET","expires_in":600}`)
	if status, body := follow("GET", get, ""); status != 200 || body != "as it was" {
		t.Fatalf("a good link: %d %s", status, body)
	}
	put := link(ann, "a/k.txt", `{"method":"PUT"}`)
	for _, tc := range []struct {
		attack, method, url string
		header              []string
	}{
		{"a link for GET, used for PUT", "PUT", get, nil},
		{"a link for GET, used for DELETE", "DELETE", get, nil},
		{"a link for another key", "GET", strings.Replace(get, "/a/k.txt", "/b/k.txt", 1), nil},
		{"a link for another bucket", "GET", strings.Replace(get, "/proof/", "/private/", 1), nil},
		{"a link with a later end", "GET", strings.Replace(get, "Expires=600", "Expires=60000", 1), nil},
		{"a link with another answer", "GET", get + "&response-content-type=text/html", nil},
		{"a link for PUT with a copy source", "PUT", put, []string{"X-Amz-Copy-Source", "/private/k.txt"}},
		{"a link for PUT with metadata", "PUT", put, []string{"X-Amz-Meta-A", "b"}},
		{"a link from an address that its maker may not come from", "GET", get, []string{"X-Forwarded-For", "203.0.113.9"}},
	} {
		status, _ := follow(tc.method, tc.url, "forged", tc.header...)
		s.refused(t, "link", tc.attack, fmt.Sprint(status), "403")
	}
	for _, tc := range []struct{ attack, who, key, want, status string }{
		{"a link to what its maker may not read", "ann", "b/k.txt", `{"method":"GET"}`, "403"},
		{"a link to what its maker may not write", "reader", "a/k.txt", `{"method":"PUT"}`, "403"},
		{"a link to an extension that its maker may not write", "ann", "a/k.exe", `{"method":"PUT"}`, "403"},
		{"a link to a reserved name", "boss", ".s3mirror/k", `{"method":"GET"}`, "403"},
		{"a link for years", "boss", "a/k.txt", `{"method":"GET","expires_in":99999999}`, "400"},
		{"a link for DELETE", "boss", "a/k.txt", `{"method":"DELETE"}`, "400"},
	} {
		status, _ := s.admin(t, s.who[tc.who].access, "POST", "/api/v1/buckets/proof/presign?key="+tc.key, tc.want)
		s.refused(t, "link", tc.attack, fmt.Sprint(status), tc.status)
	}
}

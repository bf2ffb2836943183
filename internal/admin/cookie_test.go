package admin_test

import (
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/s3mirror/s3mirror/internal/admin"
	"github.com/s3mirror/s3mirror/internal/admin/api"
	"github.com/s3mirror/s3mirror/internal/memory"
)

const sessionPath = "/api/v1/auth/session"

// browse asks as a page of the console does, with the cookie that it has.
func (f *fixture) browse(t *testing.T, method, body string, cookie *http.Cookie, header ...string) (*http.Response, string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, f.server.URL+sessionPath, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("X-S3mirror-Session", "1")
	req.Header.Set("Sec-Fetch-Site", "same-origin")
	if cookie != nil {
		req.AddCookie(cookie)
	}
	for i := 0; i+1 < len(header); i += 2 {
		req.Header.Set(header[i], header[i+1])
		if header[i+1] == "" {
			req.Header.Del(header[i])
		}
	}
	resp, err := http.DefaultTransport.RoundTrip(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	answer, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp, string(answer)
}

// cookieOf is the one that the answer sets, nil for none.
func cookieOf(t *testing.T, resp *http.Response) *http.Cookie {
	t.Helper()
	set := resp.Cookies()
	if len(set) > 1 {
		t.Fatalf("sets %d cookies", len(set))
	}
	if len(set) == 0 {
		return nil
	}
	if c := set[0]; c.Name != "s3mirror_session" || !c.HttpOnly || c.SameSite != http.SameSiteStrictMode || c.Path != "" || c.Domain != "" {
		t.Errorf("cookie %+v", c)
	}
	return set[0]
}

const annsPassword = `{"login":"ann","password":"secret"}`

func TestBrowserSession(t *testing.T) {
	f := newFixture(t)
	f.user(t, "ann")
	resp, body := f.browse(t, "POST", annsPassword, nil)
	want(t, "begin", resp.StatusCode, body, 200, "")
	first := cookieOf(t, resp)
	if first == nil || first.Value == "" || first.Expires.IsZero() || first.Secure {
		t.Fatalf("cookie %+v", first)
	}
	if strings.Contains(body, first.Value) || strings.Contains(body, "refresh") {
		t.Error("a script sees the refresh token")
	}
	begun := read[api.AccessToken](t, body)
	if begun.TokenType != "Bearer" || begun.ExpiresIn != 900 {
		t.Errorf("got %+v", begun)
	}
	status, answer := f.ask(t, begun.AccessToken, "GET", "/api/v1/auth/validate", "")
	want(t, "the token", status, answer, 200, "")

	resp, body = f.browse(t, "PUT", "", first)
	want(t, "renew", resp.StatusCode, body, 200, "")
	second := cookieOf(t, resp)
	if second == nil || second.Value == "" || second.Value == first.Value {
		t.Fatalf("the cookie is not replaced: %+v", second)
	}
	resp, body = f.browse(t, "PUT", "", first)
	want(t, "another tab a moment later", resp.StatusCode, body, 200, "")
	if again := cookieOf(t, resp); again == nil || again.Value != second.Value {
		t.Error("two tabs have two sessions")
	}
	// For programs there is no leeway.
	if status, body := f.ask(t, "", "POST", "/api/v1/auth/refresh", `{"refresh_token":"`+first.Value+`"}`); status != 401 {
		t.Errorf("the token before, at /auth/refresh: %d %s", status, body)
	}
	resp, body = f.browse(t, "PUT", "", second)
	want(t, "after that", resp.StatusCode, body, 401, "token-refused")
	if gone := cookieOf(t, resp); gone == nil || gone.Value != "" || gone.MaxAge >= 0 {
		t.Errorf("the dead cookie stays: %+v", gone)
	}
	if challenge := resp.Header.Get("WWW-Authenticate"); !strings.HasPrefix(challenge, "Bearer") {
		t.Errorf("the browser would ask for a password: %q", challenge)
	}
}

func TestBrowserSessionEnds(t *testing.T) {
	f := newFixture(t)
	f.user(t, "ann")
	resp, body := f.browse(t, "POST", annsPassword, nil)
	cookie, token := cookieOf(t, resp), read[api.AccessToken](t, body)
	for range 2 { // the second time there is none any more
		resp, body = f.browse(t, "DELETE", "", cookie)
		want(t, "end", resp.StatusCode, body, 204, "")
		if gone := cookieOf(t, resp); gone == nil || gone.Value != "" || gone.MaxAge >= 0 {
			t.Errorf("the cookie stays: %+v", gone)
		}
	}
	status, answer := f.ask(t, token.AccessToken, "GET", "/api/v1/auth/validate", "")
	want(t, "after the end", status, answer, 401, "token-refused")
	resp, body = f.browse(t, "PUT", "", cookie)
	want(t, "renew after the end", resp.StatusCode, body, 401, "token-refused")
	resp, body = f.browse(t, "PUT", "", nil)
	want(t, "renew nothing", resp.StatusCode, body, 204, "")
	resp, body = f.browse(t, "DELETE", "", nil)
	want(t, "end nothing", resp.StatusCode, body, 204, "")
}

// TestBrowserSessionIsGuarded: another site can neither begin, renew nor end one.
func TestBrowserSessionIsGuarded(t *testing.T) {
	f := newFixture(t)
	f.user(t, "ann")
	resp, _ := f.browse(t, "POST", annsPassword, nil)
	cookie := cookieOf(t, resp)
	for _, tc := range []struct {
		name   string
		header []string
		status int
		kind   string
	}{
		{"without the header", []string{"X-S3mirror-Session", ""}, 400, "bad-parameter"},
		{"with another value", []string{"X-S3mirror-Session", "yes"}, 400, "bad-parameter"},
		{"from another site", []string{"Sec-Fetch-Site", "cross-site"}, 403, "cross-origin"},
		{"from a neighbour", []string{"Sec-Fetch-Site", "same-site"}, 403, "cross-origin"},
		{"from another origin, by an old browser", []string{"Sec-Fetch-Site", "", "Origin", "https://evil.example"}, 403, "cross-origin"},
	} {
		for method, body := range map[string]string{"POST": annsPassword, "PUT": "", "DELETE": ""} {
			resp, answer := f.browse(t, method, body, cookie, tc.header...)
			want(t, tc.name+" "+method, resp.StatusCode, answer, tc.status, tc.kind)
			if c := cookieOf(t, resp); c != nil {
				t.Errorf("%s %s: sets %+v", tc.name, method, c)
			}
		}
	}
	resp, body := f.browse(t, "PUT", "", cookie)
	want(t, "the session stands", resp.StatusCode, body, 200, "")
	// A preflight is told nothing that would let the header through.
	resp, _ = f.browse(t, "OPTIONS", "", nil, "Sec-Fetch-Site", "cross-site", "Origin", "https://evil.example", "Access-Control-Request-Method", "PUT")
	for name := range resp.Header {
		if strings.HasPrefix(name, "Access-Control-") {
			t.Errorf("a preflight is answered %s", name)
		}
	}
}

func TestBrowserSessionIsSecureOverTLS(t *testing.T) {
	f := newFixture(t)
	f.user(t, "ann")
	host := strings.TrimPrefix(f.server.URL, "http://")
	for origin, secure := range map[string]bool{"https://" + host: true, "http://" + host: false} {
		resp, body := f.browse(t, "POST", annsPassword, nil, "Origin", origin)
		want(t, origin, resp.StatusCode, body, 200, "")
		if c := cookieOf(t, resp); c.Secure != secure {
			t.Errorf("from %s: %+v", origin, c)
		}
	}
}

// TestBrowserSessionRefusals: as of login, and without a question by the browser.
func TestBrowserSessionRefusals(t *testing.T) {
	f := newFixture(t)
	f.user(t, "ann")
	resp, body := f.browse(t, "POST", `{"login":"ann","password":"a guess"}`, nil)
	want(t, "wrong password", resp.StatusCode, body, 401, "login-refused")
	if challenge := resp.Header.Get("WWW-Authenticate"); !strings.HasPrefix(challenge, "Bearer") {
		t.Errorf("the browser would ask for a password: %q", challenge)
	}
	if c := cookieOf(t, resp); c != nil {
		t.Errorf("sets %+v", c)
	}
	for _, body := range []string{"", "{}", `{"login":"ann"}`, `{"login":"ann","password":"secret","more":1}`} {
		if resp, answer := f.browse(t, "POST", body, nil); resp.StatusCode/100 != 4 {
			t.Errorf("%s: %d %s", body, resp.StatusCode, answer)
		}
	}
	for _, cookie := range []string{"x", "s3mr_AAAA"} {
		resp, body := f.browse(t, "PUT", "", &http.Cookie{Name: "s3mirror_session", Value: cookie})
		want(t, cookie, resp.StatusCode, body, 401, "token-refused")
	}
}

// TestBrowserSessionIsAudited: as login and logout are, and a page that only asks
// whether there is a session is nothing to tell.
func TestBrowserSessionIsAudited(t *testing.T) {
	f := newFixture(t)
	f.user(t, "ann")
	f.audit.Take()
	resp, _ := f.browse(t, "POST", annsPassword, nil)
	cookie := cookieOf(t, resp)
	f.browse(t, "PUT", "", nil)
	f.browse(t, "PUT", "", cookie)
	f.browse(t, "POST", `{"login":"ann","password":"a guess"}`, nil)
	f.browse(t, "DELETE", "", cookie)
	f.browse(t, "PUT", "", cookie)
	var got []string
	for _, e := range f.audit.Take() {
		got = append(got, strings.TrimSpace(e.Act+" "+e.Actor+e.Claimed+" "+e.Refused))
	}
	if want := "beginSession ann, renewSession ann, beginSession ann login or password is wrong: the password is wrong, endSession, " +
		"renewSession  token is not valid: its session has ended"; strings.Join(got, ", ") != want {
		t.Errorf("audited %q, want %q", strings.Join(got, ", "), want)
	}
}

// TestBrowserSessionWithoutLog: what cannot be known is no reason to forget it.
func TestBrowserSessionWithoutLog(t *testing.T) {
	log := memory.NewFaultyLog(memory.NewLog(), nil)
	f := newFixture(t, func(o *admin.Options) {
		u := newUsers(t, log)
		o.Logins, o.Accounts = u.logins, u.accounts
	})
	resp, body := f.browse(t, "POST", `{"login":"root","password":"secret"}`, nil)
	want(t, "begin", resp.StatusCode, body, 200, "")
	cookie := cookieOf(t, resp)
	log.SetDown(true)
	for _, method := range []string{"PUT", "DELETE"} {
		resp, body := f.browse(t, method, "", cookie)
		if resp.StatusCode < 500 {
			t.Errorf("%s: %d %s", method, resp.StatusCode, body)
		}
		if c := cookieOf(t, resp); c != nil {
			t.Errorf("%s sets %+v", method, c)
		}
	}
}

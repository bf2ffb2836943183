package admin_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/s3mirror/s3mirror/internal/admin"
	"github.com/s3mirror/s3mirror/internal/admin/api"
	"github.com/s3mirror/s3mirror/internal/auth"
	"github.com/s3mirror/s3mirror/internal/memory"
)

// ask sends a body as somebody: a login with the password "secret", or a token.
func (f *fixture) ask(t *testing.T, who, method, path, body string, header ...string) (int, string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, f.server.URL+path, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	switch {
	case who == "":
	case strings.Contains(who, "."):
		req.Header.Set("Authorization", "Bearer "+who)
	default:
		req.SetBasicAuth(who, "secret")
	}
	if body != "" {
		req.Header.Set("Content-Type", "application/json")
	}
	for i := 0; i < len(header); i += 2 {
		req.Header.Set(header[i], header[i+1])
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
	return resp.StatusCode, string(answer)
}

// want wants an answer, and of a problem its type.
func want(t *testing.T, what string, status int, body string, wantStatus int, kind string) {
	t.Helper()
	if status != wantStatus || kind != "" && problemOf(t, body).Type != "urn:s3mirror:problem:"+kind {
		t.Errorf("%s: %d %s, want %d %s", what, status, body, wantStatus, kind)
	}
}

func read[T any](t *testing.T, body string) T {
	t.Helper()
	var v T
	d := json.NewDecoder(strings.NewReader(body))
	d.DisallowUnknownFields()
	if err := d.Decode(&v); err != nil {
		t.Fatalf("%s: %v", body, err)
	}
	return v
}

func TestUsers(t *testing.T) {
	f := newFixture(t)
	status, body := f.ask(t, "root", "POST", "/api/v1/users", `{"login":"ann","password":"long enough","role":"user","scopes":["read","write"],
		"allowed_ips":["10.0.0.0/8","2001:db8::1"],"allowed_extensions":[".TXT","tar.gz","txt"],"allowed_buckets":["photos","logs/2026/"],"active":true}`)
	want(t, "create", status, body, 201, "")
	made := read[api.User](t, body)
	if made.Login != "ann" || made.Role != "user" || !made.Active || !made.HasPassword || made.Keys != 0 || made.Created == nil || made.LockedUntil != nil ||
		!slices.Equal(made.AllowedIps, []string{"10.0.0.0/8", "2001:db8::1/128"}) || !slices.Equal(made.AllowedExtensions, []string{"txt", "tar.gz"}) ||
		!slices.Equal(made.AllowedBuckets, []string{"photos", "logs/2026/"}) || !slices.Equal(made.Scopes, []api.Scope{"read", "write"}) {
		t.Errorf("made %+v", made)
	}
	if strings.Contains(body, "argon2") || strings.Contains(body, "hash") {
		t.Errorf("shows %s", body)
	}
	status, body = f.ask(t, "root", "POST", "/api/v1/users", `{"login":"ann"}`)
	want(t, "again", status, body, 409, "user-exists")
	status, body = f.ask(t, "root", "GET", "/api/v1/users/ann", "")
	if got := read[api.User](t, body); status != 200 || fmt.Sprint(got.AllowedIps) != fmt.Sprint(made.AllowedIps) {
		t.Errorf("got %s", body)
	}

	// What is not said is no limit, and what is empty is said.
	_, body = f.ask(t, "root", "POST", "/api/v1/users", `{"login":"bob"}`)
	if u := read[api.User](t, body); u.Role != "user" || len(u.Scopes) != 2 || !u.Active || u.HasPassword || len(u.AllowedIps)+len(u.AllowedBuckets)+len(u.AllowedExtensions) != 0 {
		t.Errorf("bob %+v", u)
	}
	_, body = f.ask(t, "root", "POST", "/api/v1/users", `{"login":"carl","scopes":[],"active":false,"role":"admin"}`)
	if u := read[api.User](t, body); u.Role != "admin" || len(u.Scopes) != 0 || u.Active {
		t.Errorf("carl %+v", u)
	}

	// A change of one field leaves the others.
	status, body = f.ask(t, "root", "PATCH", "/api/v1/users/ann", `{"allowed_buckets":[]}`)
	want(t, "patch", status, body, 200, "")
	if u := read[api.User](t, body); len(u.AllowedBuckets) != 0 || len(u.AllowedIps) != 2 || !u.Active || u.Changed == nil {
		t.Errorf("patched %+v", u)
	}
	status, body = f.ask(t, "root", "PATCH", "/api/v1/users/ann", `{}`)
	want(t, "empty patch", status, body, 200, "")
	status, body = f.ask(t, "root", "DELETE", "/api/v1/users/ann", "")
	want(t, "delete", status, body, 204, "")
	for _, method := range []string{"GET", "PATCH", "DELETE"} {
		content := ""
		if method == "PATCH" {
			content = `{"active":true}`
		}
		status, body = f.ask(t, "root", method, "/api/v1/users/ann", content)
		want(t, method+" of nobody", status, body, 404, "unknown-user")
	}
}

func TestWrongUsers(t *testing.T) {
	f := newFixture(t)
	f.user(t, "ann")
	for body, detail := range map[string]string{
		`{"login":"Ann"}`:                                     "login",
		`{"login":"root"}`:                                    "built-in",
		`{"login":""}`:                                        "login",
		`{"login":"x","password":"short"}`:                    "password",
		`{"login":"x","role":"boss"}`:                         "role",
		`{"login":"x","scopes":["delete"]}`:                   "scopes",
		`{"login":"x","allowed_ips":["10.0.0.1/8","x"]}`:      "x",
		`{"login":"x","allowed_extensions":["t xt"]}`:         "allowed_extensions",
		`{"login":"x","allowed_buckets":["A"]}`:               "allowed_buckets",
		`{"login":"x","allowed_ips":["::1%lo","10.0.0.0/8"]}`: "allowed_ips",
		`{"login":"x","allowed_ips":[` + strings.Repeat(`"10.0.0.1",`, 3) + `"10.0.0.0/99"]}`: "allowed_ips",
	} {
		status, answer := f.ask(t, "root", "POST", "/api/v1/users", body)
		want(t, body, status, answer, 400, "bad-user")
		if !strings.Contains(problemOf(t, answer).Detail, detail) {
			t.Errorf("%s: %s does not name %s", body, answer, detail)
		}
	}
	for body, kind := range map[string]string{
		`{"login":"x","allowed_ip":["10.0.0.0/8"]}`: "there is no such field",
		`{"login":"x","login":"y"}`:                 "given twice",
		`{"login":"x","scopes":null}`:               "null",
		`{"login":"x"} {}`:                          "one JSON object",
		`{"login":"x"`:                              "JSON object",
		`[]`:                                        "JSON object",
		`"x"`:                                       "JSON object",
		`{"login":5}`:                               "login",
		`{"login":"x","active":"yes"}`:              "active",
		`{"login":"x","scopes":"read"}`:             "scopes",
		`{"Login":"x"}`:                             "no such field",
	} {
		status, answer := f.ask(t, "root", "POST", "/api/v1/users", body)
		want(t, body, status, answer, 400, "bad-body")
		if !strings.Contains(answer, kind) {
			t.Errorf("%s: %s does not say %q", body, answer, kind)
		}
	}
	status, body := f.ask(t, "root", "POST", "/api/v1/users", `{"login":"x"}`, "Content-Type", "text/plain")
	want(t, "text", status, body, 415, "bad-body")
	status, body = f.ask(t, "root", "POST", "/api/v1/users", "")
	want(t, "no body", status, body, 400, "bad-body")
	status, body = f.ask(t, "root", "DELETE", "/api/v1/users/ann", `{"x":1}`)
	want(t, "a body where none is", status, body, 400, "bad-body")
	status, body = f.ask(t, "root", "GET", "/api/v1/users?limit=1&limit=2", "")
	want(t, "twice", status, body, 400, "bad-parameter")
	if _, err := f.accounts.User(t.Context(), "x"); err == nil {
		t.Error("one of them was made")
	}
}

func TestRootIsBuiltIn(t *testing.T) {
	f := newFixture(t)
	status, body := f.ask(t, "root", "GET", "/api/v1/users/root", "")
	want(t, "get", status, body, 200, "")
	if u := read[api.User](t, body); u.Role != "admin" || !u.HasPassword || u.Created != nil {
		t.Errorf("root is %+v", u)
	}
	for _, tc := range []struct{ method, path, body string }{
		{"PATCH", "/api/v1/users/root", `{"active":false}`}, {"DELETE", "/api/v1/users/root", ""}, {"POST", "/api/v1/users/root/keys", ""},
		{"DELETE", "/api/v1/users/root/keys/AKROOT", ""},
	} {
		status, body := f.ask(t, "root", tc.method, tc.path, tc.body)
		want(t, tc.method+" "+tc.path, status, body, 409, "root-is-built-in")
	}
	status, body = f.ask(t, "root", "GET", "/api/v1/users/root/keys", "")
	if list := read[api.KeyList](t, body); status != 200 || len(list.Keys) != 0 {
		t.Errorf("%d %s", status, body)
	}
}

func TestPagesOfUsers(t *testing.T) {
	f := newFixture(t)
	logins := []string{"root"}
	for i := range 23 {
		logins = append(logins, fmt.Sprintf("u%02d", i))
		f.user(t, logins[i+1])
	}
	for _, limit := range []int{1, 2, 5, 23, 24, 25} {
		var got []string
		for cursor, pages := "", 0; ; pages++ {
			status, body := f.ask(t, "root", "GET", fmt.Sprintf("/api/v1/users?limit=%d&cursor=%s", limit, cursor), "")
			page := read[api.UserPage](t, body)
			if status != 200 || len(page.Users) > limit || pages > 30 {
				t.Fatalf("limit %d: %d %s", limit, status, body)
			}
			for _, u := range page.Users {
				got = append(got, u.Login)
			}
			if cursor = page.Cursor; cursor == "" {
				break
			}
		}
		if !slices.Equal(got, logins) {
			t.Errorf("limit %d: %q", limit, got)
		}
	}
	status, body := f.ask(t, "root", "GET", "/api/v1/users?cursor=!", "")
	want(t, "cursor", status, body, 400, "bad-parameter")
}

func TestKeys(t *testing.T) {
	f := newFixture(t)
	f.user(t, "ann")
	status, body := f.ask(t, "root", "POST", "/api/v1/users/ann/keys", "")
	want(t, "create", status, body, 201, "")
	key := read[api.KeyWithSecret](t, body)
	if len(key.AccessKeyID) != 20 || len(key.SecretAccessKey) != 40 || key.Expires != nil {
		t.Errorf("key %s", body)
	}
	if secret, who, err := f.directory.Secret(t.Context(), key.AccessKeyID); err != nil || string(secret) != key.SecretAccessKey || who.Login != "ann" {
		t.Errorf("it opens nothing: %v", err)
	}
	until := time.Now().Add(time.Hour).UTC().Truncate(time.Second)
	status, body = f.ask(t, "root", "POST", "/api/v1/users/ann/keys", fmt.Sprintf(`{"expires":%q}`, until.Format(time.RFC3339)))
	want(t, "create with an end", status, body, 201, "")
	if second := read[api.KeyWithSecret](t, body); second.Expires == nil || !second.Expires.Equal(until) {
		t.Errorf("key %s", body)
	}
	_, body = f.ask(t, "root", "GET", "/api/v1/users/ann/keys", "")
	if list := read[api.KeyList](t, body); len(list.Keys) != 2 || list.Keys[0].AccessKeyID != key.AccessKeyID || list.Keys[0].LastUsed != nil || strings.Contains(body, key.SecretAccessKey) {
		t.Errorf("list %s", body)
	}
	status, body = f.ask(t, "root", "GET", "/api/v1/users/ann/keys/"+key.AccessKeyID, "")
	if got := read[api.Key](t, body); status != 200 || got.AccessKeyID != key.AccessKeyID {
		t.Errorf("get %s", body)
	}
	if _, body = f.ask(t, "root", "GET", "/api/v1/users/ann", ""); read[api.User](t, body).Keys != 2 {
		t.Errorf("user %s", body)
	}
	status, body = f.ask(t, "root", "DELETE", "/api/v1/users/ann/keys/"+key.AccessKeyID, "")
	want(t, "delete", status, body, 204, "")
	for _, method := range []string{"GET", "DELETE"} {
		status, body = f.ask(t, "root", method, "/api/v1/users/ann/keys/"+key.AccessKeyID, "")
		want(t, method+" again", status, body, 404, "unknown-key")
	}
	for _, tc := range []struct {
		method, path, body, kind string
		status                   int
	}{
		{"POST", "/api/v1/users/nobody/keys", "", "unknown-user", 404},
		{"GET", "/api/v1/users/nobody/keys", "", "unknown-user", 404},
		{"POST", "/api/v1/users/ann/keys", `{"expires":"2001-01-01T00:00:00Z"}`, "bad-user", 400},
		{"POST", "/api/v1/users/ann/keys", `{"expires":"tomorrow"}`, "bad-body", 400},
	} {
		status, body := f.ask(t, "root", tc.method, tc.path, tc.body)
		want(t, tc.method+" "+tc.path, status, body, tc.status, tc.kind)
	}
}

// TestSelf: what a user may do to himself, and to nobody else.
func TestSelf(t *testing.T) {
	f := newFixture(t)
	f.user(t, "ann")
	f.user(t, "bob")
	status, body := f.ask(t, "ann", "POST", "/api/v1/users/ann/keys", "")
	want(t, "own key", status, body, 201, "")
	id := read[api.KeyWithSecret](t, body).AccessKeyID
	for _, path := range []string{"/api/v1/users/ann", "/api/v1/users/ann/keys", "/api/v1/users/ann/keys/" + id, "/api/v1/auth/validate"} {
		status, body := f.ask(t, "ann", "GET", path, "")
		want(t, path, status, body, 200, "")
	}
	f.audit.Take()
	for _, tc := range []struct{ method, path, body string }{
		{"GET", "/api/v1/users/bob", ""}, {"GET", "/api/v1/users/nobody", ""}, {"GET", "/api/v1/users/root", ""},
		{"PATCH", "/api/v1/users/bob", `{"password":"long enough"}`},
		{"PATCH", "/api/v1/users/ann", `{"role":"admin"}`}, {"PATCH", "/api/v1/users/ann", `{"password":"long enough","role":"admin"}`},
		{"PATCH", "/api/v1/users/ann", `{"scopes":["read","write"]}`}, {"PATCH", "/api/v1/users/ann", `{"allowed_ips":[]}`},
		{"PATCH", "/api/v1/users/ann", `{"active":true}`}, {"PATCH", "/api/v1/users/ann", `{}`},
		{"GET", "/api/v1/users/bob/keys", ""}, {"POST", "/api/v1/users/bob/keys", ""}, {"GET", "/api/v1/users/bob/keys/" + id, ""},
		{"DELETE", "/api/v1/users/bob/keys/" + id, ""}, {"POST", "/api/v1/users/ann/unlock", ""}, {"DELETE", "/api/v1/users/ann", ""},
		{"POST", "/api/v1/users", `{"login":"x"}`}, {"GET", "/api/v1/users", ""}, {"GET", "/api/v1/history", ""}, {"GET", "/api/v1/status", ""},
	} {
		status, body := f.ask(t, "ann", tc.method, tc.path, tc.body)
		want(t, tc.method+" "+tc.path+" "+tc.body, status, body, 403, "forbidden")
		if e := f.audit.Take(); len(e) != 1 || e[0].Actor != "ann" || e[0].Refused == "" || e[0].Request == "" || !e[0].Client.IsValid() {
			t.Errorf("%s %s: audited %+v", tc.method, tc.path, e)
		}
	}
	status, body = f.ask(t, "ann", "PATCH", "/api/v1/users/ann", `{"password":"long enough"}`) // by Basic the present one is proved
	want(t, "own password", status, body, 200, "")
	status, body = f.ask(t, "ann", "GET", "/api/v1/users/ann", "")
	want(t, "with the old one", status, body, 401, "login-refused")
}

func (f *fixture) login(t *testing.T, login, password string) api.Tokens {
	t.Helper()
	status, body := f.ask(t, "", "POST", "/api/v1/auth/login", fmt.Sprintf(`{"login":%q,"password":%q}`, login, password))
	want(t, "login", status, body, 200, "")
	return read[api.Tokens](t, body)
}

func TestSessions(t *testing.T) {
	f := newFixture(t)
	f.user(t, "ann")
	tokens := f.login(t, "ann", "secret")
	if tokens.TokenType != "Bearer" || tokens.ExpiresIn != 900 || tokens.AccessToken == "" || tokens.RefreshToken == "" {
		t.Errorf("got %+v", tokens)
	}
	for _, method := range []string{"GET", "POST"} {
		status, body := f.ask(t, tokens.AccessToken, method, "/api/v1/auth/validate", "")
		if who := read[api.Whoami](t, body); status != 200 || who.Login != "ann" || who.Role != "user" || len(who.Scopes) != 1 || who.Expires == nil {
			t.Errorf("%s: %d %s", method, status, body)
		}
	}
	status, body := f.ask(t, "ann", "GET", "/api/v1/auth/validate", "")
	if who := read[api.Whoami](t, body); status != 200 || who.Expires != nil {
		t.Errorf("by password: %d %s", status, body)
	}
	status, body = f.ask(t, "", "POST", "/api/v1/auth/refresh", fmt.Sprintf(`{"refresh_token":%q}`, tokens.RefreshToken))
	want(t, "refresh", status, body, 200, "")
	next := read[api.Tokens](t, body)
	status, body = f.ask(t, "", "POST", "/api/v1/auth/refresh", fmt.Sprintf(`{"refresh_token":%q}`, tokens.RefreshToken))
	want(t, "refresh again", status, body, 401, "token-refused")
	status, body = f.ask(t, next.AccessToken, "GET", "/api/v1/auth/validate", "")
	want(t, "after a reuse", status, body, 401, "token-refused")

	for name, logout := range map[string]func(tokens api.Tokens) (int, string){
		"access": func(tk api.Tokens) (int, string) { return f.ask(t, tk.AccessToken, "POST", "/api/v1/auth/logout", "") },
		"refresh": func(tk api.Tokens) (int, string) {
			return f.ask(t, "", "POST", "/api/v1/auth/logout", fmt.Sprintf(`{"refresh_token":%q}`, tk.RefreshToken))
		},
	} {
		tokens, other := f.login(t, "ann", "secret"), f.login(t, "ann", "secret")
		status, body := logout(tokens)
		want(t, "logout by "+name, status, body, 204, "")
		status, body = f.ask(t, tokens.AccessToken, "GET", "/api/v1/auth/validate", "")
		want(t, "after logout", status, body, 401, "token-refused")
		status, body = f.ask(t, "", "POST", "/api/v1/auth/refresh", fmt.Sprintf(`{"refresh_token":%q}`, tokens.RefreshToken))
		want(t, "refresh after logout", status, body, 401, "token-refused")
		status, body = f.ask(t, other.AccessToken, "GET", "/api/v1/auth/validate", "")
		want(t, "another session", status, body, 200, "")
	}
	for _, tc := range []struct {
		who, body, kind string
	}{{"", "", "unauthorized"}, {"ann", "", "unauthorized"}, {"a.b.c", "", "token-refused"}, {"", `{"refresh_token":"x"}`, "token-refused"}} {
		status, body := f.ask(t, tc.who, "POST", "/api/v1/auth/logout", tc.body)
		want(t, "logout of nothing", status, body, 401, tc.kind)
	}
	status, body = f.ask(t, "", "GET", "/.well-known/jwks.json", "")
	if set := read[api.KeySet](t, body); status != 200 || len(set.Keys) != 1 || set.Keys[0].Kty != "OKP" || set.Keys[0].X == "" {
		t.Errorf("JWKS %s", body)
	}
}

// TestPasswordByToken: who has found a token does not get the user by it.
func TestPasswordByToken(t *testing.T) {
	f := newFixture(t)
	f.user(t, "ann")
	f.user(t, "boss", func(u *auth.User) { u.Role = auth.RoleAdmin })
	for _, login := range []string{"ann", "boss"} {
		tokens := f.login(t, login, "secret")
		for body, tc := range map[string]struct {
			status int
			kind   string
		}{
			`{"password":"long enough"}`:                              {400, "bad-user"},
			`{"password":"long enough","current_password":"a guess"}`: {403, "forbidden"},
			`{"password":"short","current_password":"secret"}`:        {400, "bad-user"},
		} {
			status, answer := f.ask(t, tokens.AccessToken, "PATCH", "/api/v1/users/"+login, body)
			want(t, login+" "+body, status, answer, tc.status, tc.kind)
		}
		status, body := f.ask(t, tokens.AccessToken, "PATCH", "/api/v1/users/"+login, `{"password":"long enough","current_password":"secret"}`)
		want(t, "right", status, body, 200, "")
		status, body = f.ask(t, tokens.AccessToken, "GET", "/api/v1/auth/validate", "")
		want(t, "the session ends", status, body, 401, "token-refused")
	}
	boss := f.login(t, "boss", "long enough")
	status, body := f.ask(t, boss.AccessToken, "PATCH", "/api/v1/users/ann", `{"password":"even longer"}`)
	want(t, "by an administrator", status, body, 200, "")
	f.login(t, "ann", "even longer")
}

// TestLockout: seen, told alike for who is there and who is not, and undone.
func TestLockout(t *testing.T) {
	f := newFixture(t)
	f.user(t, "ann")
	var answers []string
	for _, login := range []string{"ann", "nobody"} {
		for range 5 {
			status, body := f.ask(t, "", "POST", "/api/v1/auth/login", fmt.Sprintf(`{"login":%q,"password":"a guess"}`, login))
			want(t, login, status, body, 401, "login-refused")
			answers = append(answers, problemOf(t, body).Title+problemOf(t, body).Detail)
		}
		resp, err := http.Post(f.server.URL+"/api/v1/auth/login", "application/json", strings.NewReader(fmt.Sprintf(`{"login":%q,"password":"secret"}`, login)))
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		if after := resp.Header.Get("Retry-After"); resp.StatusCode != 429 || after == "" || after == "0" {
			t.Errorf("%s: %d, Retry-After %q", login, resp.StatusCode, after)
		}
	}
	if len(slices.Compact(answers)) != 1 {
		t.Errorf("answers differ: %q", answers)
	}
	_, body := f.ask(t, "root", "GET", "/api/v1/users/ann", "")
	if u := read[api.User](t, body); u.LockedUntil == nil || !u.LockedUntil.After(time.Now()) {
		t.Errorf("the lock is not shown: %s", body)
	}
	status, body := f.ask(t, "root", "POST", "/api/v1/users/ann/unlock", "")
	want(t, "unlock", status, body, 204, "")
	f.login(t, "ann", "secret")
}

// TestUsersFromElsewhere: the limit on addresses holds for the admin API too,
// whatever the proof.
func TestUsersFromElsewhere(t *testing.T) {
	client := "10.0.0.1"
	f := newFixture(t, func(o *admin.Options) {
		o.Client = func(*http.Request) netip.Addr { return netip.MustParseAddr(client) }
	})
	f.user(t, "ann", func(u *auth.User) { u.AllowedIPs = []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")} })
	tokens := f.login(t, "ann", "secret")
	for _, who := range []string{"ann", tokens.AccessToken} {
		status, body := f.ask(t, who, "GET", "/api/v1/auth/validate", "")
		want(t, "from where he may", status, body, 200, "")
	}
	client = "11.0.0.1"
	status, body := f.ask(t, "ann", "GET", "/api/v1/auth/validate", "")
	want(t, "by password", status, body, 401, "login-refused")
	status, body = f.ask(t, tokens.AccessToken, "GET", "/api/v1/auth/validate", "")
	want(t, "by token", status, body, 403, "forbidden")
	status, body = f.ask(t, "", "POST", "/api/v1/auth/login", `{"login":"ann","password":"secret"}`)
	want(t, "login", status, body, 401, "login-refused")
	status, body = f.ask(t, "", "POST", "/api/v1/auth/refresh", fmt.Sprintf(`{"refresh_token":%q}`, tokens.RefreshToken))
	want(t, "refresh", status, body, 401, "token-refused")
}

// TestAudit: every refusal and every change, who and what.
func TestAudit(t *testing.T) {
	f := newFixture(t)
	f.user(t, "ann")
	id := ""
	for _, tc := range []struct {
		who, method, path, body string
		want                    string // act actor claimed target detail refused
	}{
		{"root", "POST", "/api/v1/users", `{"login":"bob"}`, "createUser root - bob - -"},
		{"root", "PATCH", "/api/v1/users/bob", `{"role":"admin","password":"long enough"}`, "updateUser root - bob password, role -"},
		{"root", "POST", "/api/v1/users/bob/keys", "", "createKey root - bob ID -"},
		{"root", "DELETE", "/api/v1/users/bob/keys/ID", "", "deleteKey root - bob ID -"},
		{"root", "POST", "/api/v1/users/bob/unlock", "", "unlockUser root - bob - -"},
		{"root", "DELETE", "/api/v1/users/bob", "", "deleteUser root - bob - -"},
		{"", "POST", "/api/v1/auth/login", `{"login":"ann","password":"secret"}`, "login ann - - - -"},
		{"", "POST", "/api/v1/auth/login", `{"login":"ann","password":"a guess"}`, "login - ann - - login or password is wrong: the password is wrong"},
		{"", "POST", "/api/v1/auth/login", `{"login":"ghost","password":"a guess"}`, "login - ghost - - login or password is wrong: there is no such user"},
		{"", "POST", "/api/v1/auth/refresh", `{"refresh_token":"x"}`, "refresh - - - - token is not valid: it is no refresh token of ours"},
		{"mallory", "GET", "/api/v1/status", "", "status - mallory - - login or password is wrong: there is no such user"},
		{"", "GET", "/api/v1/status", "", "status - - - - unauthorized"},
		{"ann", "GET", "/api/v1/status", "", "status ann - - - forbidden"},
		{"ann", "DELETE", "/api/v1/users/root", "", "deleteUser ann - root - forbidden"},
		{"root", "POST", "/api/v1/demo/backends/eu-1/off", "", "demoOff root - eu-1 - -"},
		{"root", "GET", "/api/v1/users", "", ""},
		{"root", "POST", "/api/v1/users", `{"login":"BAD"}`, ""},
		{"ann", "POST", "/api/v1/auth/validate", "", ""},
	} {
		f.audit.Take()
		_, body := f.ask(t, tc.who, tc.method, strings.ReplaceAll(tc.path, "ID", id), tc.body)
		if strings.HasSuffix(tc.path, "/keys") {
			id = read[api.KeyWithSecret](t, body).AccessKeyID
		}
		got := ""
		for _, e := range f.audit.Take() {
			parts := []string{e.Act, e.Actor, e.Claimed, e.Target, e.Detail, e.Refused}
			for i := range parts {
				if parts[i] == "" {
					parts[i] = "-"
				}
			}
			got += strings.Join(parts, " ")
		}
		if want := strings.ReplaceAll(tc.want, "ID", id); got != want {
			t.Errorf("%s %s: audited %q, want %q", tc.method, tc.path, got, want)
		}
	}
}

// TestSecretsStayOutOfTheLog of the server.
func TestSecretsStayOutOfTheLog(t *testing.T) {
	f := newFixture(t)
	f.user(t, "ann")
	tokens := f.login(t, "ann", "secret")
	f.ask(t, "", "POST", "/api/v1/auth/login", `{"login":"ann","password":"PASSWORD-A"}`)
	f.ask(t, "root", "PATCH", "/api/v1/users/ann", `{"password":"PASSWORD-B"}`)
	f.ask(t, "root", "PATCH", "/api/v1/users/ann", `{"pasword":"PASSWORD-C"}`)
	f.ask(t, "root", "PATCH", "/api/v1/users/ann", `{"password":PASSWORD-D}`)
	_, body := f.ask(t, "root", "POST", "/api/v1/users/ann/keys", "")
	key := read[api.KeyWithSecret](t, body)
	f.ask(t, tokens.AccessToken+"x", "GET", "/api/v1/status", "")
	f.ask(t, "", "POST", "/api/v1/auth/refresh", fmt.Sprintf(`{"refresh_token":%q}`, tokens.RefreshToken))
	if f.log.Len() < 500 {
		t.Fatalf("the log is %q", f.log)
	}
	for _, secret := range []string{tokens.AccessToken, tokens.RefreshToken, "PASSWORD", key.SecretAccessKey, "argon2"} {
		if bytes.Contains(f.log.Bytes(), []byte(secret)) {
			t.Errorf("the log holds %s:\n%s", secret, f.log)
		}
	}
}

// TestUsersWhileTheLogIsDown: a problem that says so, and nothing of the cause.
func TestUsersWhileTheLogIsDown(t *testing.T) {
	log := memory.NewFaultyLog(memory.NewLog(), nil)
	f := newFixture(t, func(o *admin.Options) {
		u := newUsers(t, log)
		o.Logins, o.Accounts = u.logins, u.accounts
	})
	f.ask(t, "root", "GET", "/api/v1/users", "") // root's password is known from now on
	log.SetDown(true)
	for _, tc := range []struct{ method, path, body string }{
		{"GET", "/api/v1/users", ""}, {"POST", "/api/v1/users", `{"login":"x"}`}, {"GET", "/api/v1/users/x", ""},
		{"PATCH", "/api/v1/users/x", `{"active":true}`}, {"DELETE", "/api/v1/users/x", ""}, {"POST", "/api/v1/users/x/keys", ""},
		{"POST", "/api/v1/auth/login", `{"login":"ann","password":"secret"}`},
	} {
		status, body := f.ask(t, "root", tc.method, tc.path, tc.body)
		if status/100 != 5 || strings.Contains(body, "fault") {
			t.Errorf("%s %s: %d %s", tc.method, tc.path, status, body)
		}
	}
}

package auth_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"reflect"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/s3mirror/s3mirror/internal/auth"
	"github.com/s3mirror/s3mirror/internal/auth/authtest"
	"github.com/s3mirror/s3mirror/internal/memory"
)

const (
	otherIssuer   = "https://login.example.org"
	otherAudience = "s3mirror.example.org"
)

// foreign is a node that trusts another issuer, whose clock a test sets.
type foreign struct {
	loginNode
	issuer *authtest.Issuer
	ahead  atomic.Int64 // of the clock, as a time.Duration
}

func newForeign(t *testing.T, change ...func(*auth.IssuerOptions)) *foreign {
	t.Helper()
	f := &foreign{loginNode: newLoginNode(t, memory.NewLog()).withAlice(t), issuer: authtest.NewIssuer(t)}
	o := auth.IssuerOptions{
		ID: otherIssuer, Audience: []string{otherAudience}, KeySet: f.issuer.URL, Login: "sub", HTTP: &http.Client{
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		},
		Now: func() time.Time { return time.Now().Add(time.Duration(f.ahead.Load())) },
	}
	for _, c := range change {
		c(&o)
	}
	f.Trust(auth.NewIssuer(o))
	return f
}

func (f *foreign) token(t *testing.T, key, alg string, others map[string]any) string {
	t.Helper()
	return f.issuer.Token(t, key, alg, nil, authtest.Claims(otherIssuer, otherAudience, others))
}

var keyOf = map[string]string{
	"RS256": "rsa", "RS384": "rsa", "RS512": "rsa", "PS256": "rsa", "ES256": "p256", "ES384": "p384", "EdDSA": "ed",
}

// TestTokensOfAnotherIssuer speak for users who are stored here, with what they may do.
func TestTokensOfAnotherIssuer(t *testing.T) {
	f := newForeign(t)
	if len(keyOf) != len(auth.Algorithms()) {
		t.Fatal(auth.Algorithms())
	}
	for alg, key := range keyOf {
		token := f.token(t, key, alg, nil)
		for range 2 {
			who, err := f.Bearer(t.Context(), token)
			if err != nil || who.Login != "alice" || who.User.Login != "alice" || who.User.Issuer != "" || who.Session != "" || who.Expires.IsZero() {
				t.Errorf("%s: %+v, %v", alg, who, err)
			}
		}
	}
	if n := f.issuer.Asked(); n != 1 {
		t.Errorf("the keys were asked for %d times", n)
	}
	f.speaks(t, f.login(t).Access, true) // our own go on
	for name, others := range map[string]map[string]any{
		"audience among others": {"aud": []string{"x", otherAudience}},
		"more claims":           {"azp": "app", "scope": "openid", "nbf": time.Now().Unix(), "jti": "1", "deep": map[string]any{"a": []int{1}}},
	} {
		if _, err := f.Bearer(t.Context(), f.token(t, "ed", "EdDSA", others)); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	token := f.token(t, "ed", "EdDSA", nil)
	who, err := f.Bearer(t.Context(), token)
	if err != nil {
		t.Fatal(err)
	}
	if u, err := f.Present(t.Context(), who); err != nil || u.Login != "alice" {
		t.Errorf("%v %v", u, err)
	}
	if tmp, err := f.Assume(t.Context(), token, time.Hour, here); err != nil || tmp.Login != "alice" {
		t.Errorf("%v %v", tmp, err)
	}
	if _, err := f.accounts.Update(t.Context(), "alice", func(u *auth.User) error { u.Active = false; return nil }); err != nil {
		t.Fatal(err)
	}
	if _, err := f.Bearer(t.Context(), token); !errors.Is(err, auth.ErrToken) {
		t.Errorf("made inactive: %v", err)
	}
}

// TestForgedTokensOfAnotherIssuer: every forgery of docs/reliability.md 6.6.
func TestForgedTokensOfAnotherIssuer(t *testing.T) {
	f := newForeign(t, func(o *auth.IssuerOptions) { o.Algorithms = []string{"RS256", "ES256", "EdDSA"} })
	for name, token := range authtest.Forgeries(t, f.issuer, otherIssuer, otherAudience) {
		if who, err := f.Bearer(t.Context(), token); !errors.Is(err, auth.ErrToken) {
			t.Errorf("%s: %+v, %v\n%.300s", name, who, err, token)
		}
	}
	good := f.token(t, "ed", "EdDSA", nil)
	for i := range good {
		b := []byte(good)
		b[i] ^= 1
		if _, err := f.Bearer(t.Context(), string(b)); !errors.Is(err, auth.ErrToken) {
			t.Errorf("a bit of byte %d: %v", i, err)
		}
	}
	if n := f.issuer.Asked(); n > 2 { // names that nobody has do not make it work
		t.Errorf("asked %d times", n)
	}
}

// TestUsersOfAnotherIssuer: what the claims say of who is not stored here.
func TestUsersOfAnotherIssuer(t *testing.T) {
	f := newForeign(t, func(o *auth.IssuerOptions) {
		o.Login, o.Scopes, o.Role, o.Buckets = "preferred_username", "realm_access.roles", "realm_access.roles", "buckets"
		o.Words = map[string]string{"s3-reader": "read", "s3-editor": "write", "s3-operator": "admin"}
	})
	who := func(others map[string]any) (auth.Identity, error) {
		return f.Bearer(t.Context(), f.token(t, "ed", "EdDSA", others))
	}
	roles := func(list ...string) map[string]any { return map[string]any{"roles": list} }
	got, err := who(map[string]any{"preferred_username": "zoe", "realm_access": roles("s3-reader", "read", "s3-reader", "x"), "buckets": "photos/2026/ docs"})
	want := &auth.User{
		Login: "zoe", Role: auth.RoleUser, Scopes: []auth.Scope{auth.ScopeRead}, Active: true, Issuer: otherIssuer,
		AllowedBuckets: []auth.Place{{Bucket: "photos", Prefix: "2026/"}, {Bucket: "docs"}},
	}
	if err != nil || got.Login != "zoe" || !reflect.DeepEqual(got.User, want) {
		t.Errorf("%+v, %v", got.User, err)
	}
	if u, err := f.Present(t.Context(), got); err != nil || u != got.User {
		t.Errorf("%v %v", u, err)
	}
	if got, err := who(map[string]any{"preferred_username": "op", "realm_access": roles("s3-operator", "s3-editor"), "buckets": []string{"docs"}}); err != nil || got.User.Role != auth.RoleAdmin || len(got.User.Scopes) != 1 {
		t.Errorf("%+v, %v", got.User, err)
	}
	// Who is stored has what is stored, whatever the token says.
	if got, err := who(map[string]any{"preferred_username": "alice", "realm_access": roles("s3-operator"), "buckets": []string{"docs"}}); err != nil || got.User.Role == auth.RoleAdmin || got.User.Issuer != "" {
		t.Errorf("%+v, %v", got.User, err)
	}
	if _, err := who(map[string]any{"preferred_username": "alice"}); err != nil {
		t.Error(err)
	}
	for name, others := range map[string]map[string]any{
		"no buckets":          {"preferred_username": "zoe", "realm_access": roles("s3-reader")},
		"empty buckets":       {"preferred_username": "zoe", "realm_access": roles("s3-reader"), "buckets": []string{}},
		"a bucket that is no": {"preferred_username": "zoe", "realm_access": roles("s3-reader"), "buckets": []string{"docs", "A B"}},
		"buckets of numbers":  {"preferred_username": "zoe", "realm_access": roles("s3-reader"), "buckets": []int{1}},
		"root":                {"preferred_username": "root", "realm_access": roles("s3-reader"), "buckets": "docs"},
		"another spelling":    {"preferred_username": "Zoe", "realm_access": roles("s3-reader"), "buckets": "docs"},
		"nobody":              {"realm_access": roles("s3-reader"), "buckets": "docs"},
	} {
		if got, err := who(others); !errors.Is(err, auth.ErrToken) {
			t.Errorf("%s: %+v, %v", name, got.User, err)
		}
	}
	// No key and no link of one whom nobody could shut out here.
	token := f.token(t, "ed", "EdDSA", map[string]any{"preferred_username": "zoe", "realm_access": roles("s3-reader"), "buckets": "docs"})
	if _, err := f.Assume(t.Context(), token, time.Hour, here); !errors.Is(err, auth.ErrToken) {
		t.Errorf("%v", err)
	}
	var wrong *auth.InvalidError
	if _, _, err := f.Link(want, auth.LinkOptions{Life: time.Hour}); !errors.As(err, &wrong) {
		t.Errorf("%v", err)
	}
}

// TestNobodyWhoIsNotStored without a claim that says what he may do.
func TestNobodyWhoIsNotStored(t *testing.T) {
	f := newForeign(t)
	if _, err := f.Bearer(t.Context(), f.token(t, "ed", "EdDSA", map[string]any{"sub": "zoe"})); !errors.Is(err, auth.ErrToken) {
		t.Errorf("%v", err)
	}
}

// TestKeysOfAnotherIssuer change: new ones are found, those taken back end, and while it
// is away those that are known serve for an hour.
func TestKeysOfAnotherIssuer(t *testing.T) {
	f := newForeign(t)
	long := map[string]any{"exp": time.Now().Add(23 * time.Hour).Unix()}
	say := func(what string, err, want error) {
		t.Helper()
		if want == nil && err != nil || !errors.Is(err, want) {
			t.Errorf("%s: %v, want %v", what, err, want)
		}
	}
	bearer := func(token string) error { _, err := f.Bearer(t.Context(), token); return err }

	f.issuer.Down(true)
	old := f.token(t, "p256", "ES256", long)
	say("down from the start", bearer(old), auth.ErrIssuer)
	f.issuer.Down(false)
	say("back, and not asked again at once", bearer(old), auth.ErrIssuer)
	f.ahead.Add(int64(11 * time.Second))
	say("back", bearer(old), nil)

	f.ahead.Add(int64(11 * time.Second))
	f.issuer.Renew(t, "p256", "newer")
	say("a new key", bearer(f.issuer.Token(t, "newer", "ES256", nil, authtest.Claims(otherIssuer, otherAudience, long))), nil)
	asked := f.issuer.Asked()
	for range 20 {
		say("a key of nobody", bearer(f.issuer.Token(t, "newer", "ES256", map[string]any{"alg": "ES256", "kid": "none"}, authtest.Claims(otherIssuer, otherAudience, long))), auth.ErrToken)
	}
	if n := f.issuer.Asked() - asked; n > 1 {
		t.Errorf("asked %d times for a key that nobody has", n)
	}

	f.issuer.TakeBack("p256")
	say("not read anew yet", bearer(old), nil)
	f.ahead.Add(int64(6 * time.Minute))
	say("taken back", bearer(old), auth.ErrToken)

	newer := f.issuer.Token(t, "newer", "ES256", nil, authtest.Claims(otherIssuer, otherAudience, long))
	f.issuer.Down(true)
	f.ahead.Add(int64(30 * time.Minute))
	say("away for half an hour", bearer(newer), nil)
	f.ahead.Add(int64(31 * time.Minute))
	say("away for an hour", bearer(newer), auth.ErrIssuer)
	f.issuer.Down(false)
	f.ahead.Add(int64(11 * time.Second))
	say("back again", bearer(newer), nil)
}

// TestAnswersOfAnotherIssuer that are none: nothing is taken of them.
func TestAnswersOfAnotherIssuer(t *testing.T) {
	away := httptest.NewServer(http.NotFoundHandler())
	defer away.Close()
	for name, reply := range map[string]func(w http.ResponseWriter){
		"no JSON":    func(w http.ResponseWriter) { fmt.Fprint(w, "<html>") },
		"no keys":    func(w http.ResponseWriter) { fmt.Fprint(w, `{"keys":[]}`) },
		"too much":   func(w http.ResponseWriter) { fmt.Fprint(w, `{"keys":[`+strings.Repeat(" ", 300<<10)+`]}`) },
		"redirect":   func(w http.ResponseWriter) { w.Header().Set("Location", away.URL); w.WriteHeader(302) },
		"cut":        func(w http.ResponseWriter) { w.Header().Set("Content-Length", "100"); fmt.Fprint(w, `{`) },
		"empty":      func(w http.ResponseWriter) { w.WriteHeader(204) },
		"one secret": func(w http.ResponseWriter) { fmt.Fprint(w, `{"keys":[{"kty":"oct","kid":"ed","k":"AAAA"}]}`) },
	} {
		f := newForeign(t)
		f.issuer.Reply(func(w http.ResponseWriter) bool { reply(w); return true })
		if who, err := f.Bearer(t.Context(), f.token(t, "ed", "EdDSA", nil)); !errors.Is(err, auth.ErrIssuer) || errors.Is(err, auth.ErrToken) {
			t.Errorf("%s: %+v %v", name, who, err)
		}
	}
}

// TestManyAtOnceAskOnce.
func TestManyAtOnceAskOnce(t *testing.T) {
	f := newForeign(t)
	token := f.token(t, "ed", "EdDSA", nil)
	var all sync.WaitGroup
	for range 50 {
		all.Go(func() {
			if _, err := f.Bearer(t.Context(), token); err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	if n := f.issuer.Asked(); n != 1 {
		t.Errorf("asked %d times", n)
	}
}

// TestKeysThatAreNotTaken: weak ones, of other uses, and secrets. The token that such a
// key signed is refused.
func TestKeysThatAreNotTaken(t *testing.T) {
	f := newForeign(t)
	good := authtest.JWK("other", f.issuer.Key("ed").Public()) // so that the set is one
	point := authtest.JWK("p256", f.issuer.Key("p256").Public())
	with := func(jwk map[string]any, pairs ...any) map[string]any {
		out := maps.Clone(jwk)
		for i := 0; i < len(pairs); i += 2 {
			out[pairs[i].(string)] = pairs[i+1]
		}
		return out
	}
	rsaKey, ed := authtest.JWK("rsa", f.issuer.Key("rsa").Public()), authtest.JWK("ed", f.issuer.Key("ed").Public())
	for name, c := range map[string]struct {
		jwk      map[string]any
		key, alg string
	}{
		"for encryption":       {with(ed, "use", "enc"), "ed", "EdDSA"},
		"to sign only":         {with(ed, "key_ops", []string{"sign"}), "ed", "EdDSA"},
		"of another algorithm": {with(rsaKey, "alg", "RS512"), "rsa", "RS256"},
		"alg none":             {with(ed, "alg", "none"), "ed", "EdDSA"},
		"alg HS256":            {with(rsaKey, "alg", "HS256"), "rsa", "RS256"},
		"alg of another kind":  {with(rsaKey, "alg", "ES256"), "rsa", "RS256"},
		"a private one":        {with(ed, "d", "AAAA"), "ed", "EdDSA"},
		"exponent 1":           {with(rsaKey, "e", "AQ"), "rsa", "RS256"},
		"exponent even":        {with(rsaKey, "e", "AQAA"), "rsa", "RS256"},
		"a short modulus":      {with(rsaKey, "n", rsaKey["n"].(string)[:100]), "rsa", "RS256"},
		"a huge modulus":       {with(rsaKey, "n", strings.Repeat(rsaKey["n"].(string), 5)), "rsa", "RS256"},
		"not on the curve":     {with(point, "y", point["x"]), "p256", "ES256"},
		"of another curve":     {with(point, "crv", "P-384"), "p256", "ES256"},
		"short point":          {with(point, "x", point["x"].(string)[:40]), "p256", "ES256"},
		"X25519":               {with(ed, "crv", "X25519"), "ed", "EdDSA"},
		"short Ed25519":        {with(ed, "x", "AAAA"), "ed", "EdDSA"},
		"without a name":       {with(ed, "kid", ""), "ed", "EdDSA"},
		"of no kind":           {with(ed, "kty", "x"), "ed", "EdDSA"},
	} {
		node := newForeign(t)
		node.issuer.Reply(func(w http.ResponseWriter) bool {
			_ = json.NewEncoder(w).Encode(map[string]any{"keys": []any{good, c.jwk}})
			return true
		})
		token := f.issuer.Token(t, c.key, c.alg, nil, authtest.Claims(otherIssuer, otherAudience, nil))
		if who, err := node.Bearer(t.Context(), token); !errors.Is(err, auth.ErrToken) {
			t.Errorf("%s: %+v, %v", name, who, err)
		}
	}
	node := newForeign(t)
	node.issuer.Reply(func(w http.ResponseWriter) bool {
		_ = json.NewEncoder(w).Encode(map[string]any{"keys": []any{good, good}})
		return true
	})
	if _, err := node.Bearer(t.Context(), f.token(t, "ed", "EdDSA", nil)); !errors.Is(err, auth.ErrIssuer) {
		t.Errorf("one name twice: %v", err)
	}
}

// FuzzForeignToken: whatever opens was signed by the issuer.
func FuzzForeignToken(f *testing.F) {
	issuer := authtest.NewIssuer(f)
	n := newNode(memory.NewLog())
	l, err := auth.NewLogins(f.Context(), n.directory, auth.NewPasswords(2), make([]byte, 32))
	if err != nil {
		f.Fatal(err)
	}
	l.Trust(auth.NewIssuer(auth.IssuerOptions{
		ID: otherIssuer, Audience: []string{otherAudience}, KeySet: issuer.URL, Login: "sub", Scopes: "scope", HTTP: http.DefaultClient, Now: time.Now,
		Algorithms: []string{"RS256", "ES256", "EdDSA"},
	}))
	good := map[string]bool{}
	for _, alg := range []string{"RS256", "ES256", "EdDSA"} {
		key := keyOf[alg]
		token := issuer.Token(f, key, alg, nil, authtest.Claims(otherIssuer, otherAudience, map[string]any{"scope": "read"}))
		good[token[:strings.LastIndexByte(token, '.')]] = true
		f.Add(token)
	}
	for _, token := range authtest.Forgeries(f, issuer, otherIssuer, otherAudience) {
		f.Add(token)
	}
	f.Fuzz(func(t *testing.T, token string) {
		who, err := l.Bearer(t.Context(), token)
		if err != nil {
			return
		}
		if i := strings.LastIndexByte(token, '.'); !good[token[:i]] {
			t.Errorf("%q was never signed, and opens for %s", token, who.Login)
		}
	})
}

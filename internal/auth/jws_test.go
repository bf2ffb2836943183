package auth

import (
	"bytes"
	"crypto/ed25519"
	"crypto/hmac"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"
)

var tokenTime = time.Unix(1_790_000_000, 0)

// forge is what a forger has: the public key, a private key of his own, and a
// token of somebody's.
type forge struct {
	public  ed25519.PublicKey
	private ed25519.PrivateKey // ours: to make what only we can make
	own     ed25519.PrivateKey // the forger's
	claims  claims
}

func newForge() forge {
	seed := sha256.Sum256([]byte("ours"))
	other := sha256.Sum256([]byte("his"))
	f := forge{private: ed25519.NewKeyFromSeed(seed[:]), own: ed25519.NewKeyFromSeed(other[:])}
	f.public = f.private.Public().(ed25519.PublicKey)
	f.claims = claims{
		login: "alice", session: "s1", tokens: Revision{1, 2, 3}, issued: tokenTime, expires: tokenTime.Add(accessLife), signedBy: "k1",
	}
	return f
}

func (f forge) open(token string) (claims, error) {
	return openToken(token, tokenTime, func(name string) (ed25519.PublicKey, error) {
		if name != "k1" {
			return nil, fmt.Errorf("%w: no such key", ErrToken)
		}
		return f.public, nil
	})
}

func b64(s string) string { return base64.RawURLEncoding.EncodeToString([]byte(s)) }

// parts are header and claims of a good token, as text.
func (f forge) parts(t testing.TB) (head, body string) {
	t.Helper()
	p := strings.Split(signToken(f.claims, f.private), ".")
	for i := range 2 {
		b, err := base64.RawURLEncoding.DecodeString(p[i])
		if err != nil {
			t.Fatal(err)
		}
		p[i] = string(b)
	}
	return p[0], p[1]
}

// signed is a token of any header and claims with our own signature: only its
// form can be against it.
func (f forge) signed(head, body string) string {
	text := b64(head) + "." + b64(body)
	return text + "." + base64.RawURLEncoding.EncodeToString(ed25519.Sign(f.private, []byte(text)))
}

func TestTokens(t *testing.T) {
	f := newForge()
	token := signToken(f.claims, f.private)
	got, err := f.open(token)
	if err != nil || got != f.claims {
		t.Errorf("got %+v, %v", got, err)
	}
	if len(token) > 512 {
		t.Errorf("%d bytes", len(token))
	}
	head, body := f.parts(t)
	if got, err := f.open(f.signed(head, body)); err != nil || got != f.claims {
		t.Errorf("taken apart and signed again: %+v, %v", got, err)
	}
}

// TestForgedTokens: every forgery of docs/reliability.md 6.6.
func TestForgedTokens(t *testing.T) {
	f := newForge()
	head, body := f.parts(t)
	good := signToken(f.claims, f.private)
	goodText, _, _ := cutLast(good)
	hs256 := func(key []byte) string {
		text := b64(`{"alg":"HS256","kid":"k1","typ":"at+jwt"}`) + "." + b64(body)
		m := hmac.New(sha256.New, key)
		m.Write([]byte(text))
		return text + "." + base64.RawURLEncoding.EncodeToString(m.Sum(nil))
	}
	der, err := x509.MarshalPKIXPublicKey(f.public)
	if err != nil {
		t.Fatal(err)
	}
	rsaKey, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	ownKey := base64.RawURLEncoding.EncodeToString(f.own.Public().(ed25519.PublicKey))
	byOwn := func(head string) string {
		text := b64(head) + "." + b64(body)
		return text + "." + base64.RawURLEncoding.EncodeToString(ed25519.Sign(f.own, []byte(text)))
	}
	change := func(old, by string) string { return f.signed(head, strings.Replace(body, old, by, 1)) }
	changeHead := func(old, by string) string { return f.signed(strings.Replace(head, old, by, 1), body) }
	iat, exp := fmt.Sprintf(`"iat":%d`, tokenTime.Unix()), fmt.Sprintf(`"exp":%d`, tokenTime.Add(accessLife).Unix())
	nbf := fmt.Sprintf(`"nbf":%d`, tokenTime.Unix())

	forged := map[string]string{
		"alg none, no signature":            b64(`{"alg":"none","kid":"k1","typ":"at+jwt"}`) + "." + b64(body) + ".",
		"alg NoNe":                          b64(`{"alg":"NoNe","kid":"k1","typ":"at+jwt"}`) + "." + b64(body) + ".",
		"alg none with our signature":       changeHead("EdDSA", "none"),
		"alg in another case":               changeHead("EdDSA", "eddsa"),
		"alg of another curve":              changeHead("EdDSA", "Ed25519"),
		"alg list":                          changeHead(`"EdDSA"`, `["EdDSA"]`),
		"alg null":                          changeHead(`"EdDSA"`, `null`),
		"no alg":                            f.signed(`{"kid":"k1","typ":"at+jwt"}`, body),
		"HS256 with the public key":         hs256(f.public),
		"HS256 with the public key, DER":    hs256(der),
		"HS256 with nothing":                hs256(nil),
		"alg RS256":                         changeHead("EdDSA", "RS256"),
		"kid is a path":                     changeHead(`"k1"`, `"../../dev/null"`),
		"kid is SQL":                        changeHead(`"k1"`, `"k1' OR '1'='1"`),
		"kid is a URL":                      changeHead(`"k1"`, `"https://attacker.test/key"`),
		"kid is empty":                      changeHead(`"k1"`, `""`),
		"kid is a number":                   changeHead(`"k1"`, `1`),
		"no kid":                            f.signed(`{"alg":"EdDSA","typ":"at+jwt"}`, body),
		"jwk in the header":                 byOwn(`{"alg":"EdDSA","kid":"k1","typ":"at+jwt","jwk":{"kty":"OKP","crv":"Ed25519","x":"` + ownKey + `"}}`),
		"jku in the header":                 byOwn(`{"alg":"EdDSA","kid":"k1","typ":"at+jwt","jku":"https://attacker.test/jwks"}`),
		"x5u in the header":                 byOwn(`{"alg":"EdDSA","kid":"k1","typ":"at+jwt","x5u":"https://attacker.test/x"}`),
		"jwk, and our signature":            f.signed(strings.Replace(head, "{", `{"jwk":{},`, 1), body),
		"crit":                              f.signed(strings.Replace(head, "{", `{"crit":["exp"],`, 1), body),
		"b64 false":                         f.signed(strings.Replace(head, "{", `{"b64":false,"crit":["b64"],`, 1), body),
		"typ JWT":                           changeHead("at+jwt", "JWT"),
		"no typ":                            f.signed(`{"alg":"EdDSA","kid":"k1"}`, body),
		"alg twice":                         f.signed(`{"alg":"EdDSA","alg":"EdDSA","kid":"k1","typ":"at+jwt"}`, body),
		"alg twice, second none":            f.signed(`{"alg":"EdDSA","kid":"k1","typ":"at+jwt","alg":"none"}`, body),
		"alg twice, by escape":              f.signed(`{"alg":"EdDSA","\u0061lg":"EdDSA","typ":"at+jwt"}`, body),
		"signed by another":                 byOwn(head),
		"another payload":                   b64(head) + "." + b64(strings.Replace(body, "alice", "admin", 1)) + good[len(goodText):],
		"another header":                    b64(" "+head) + "." + b64(body) + good[len(goodText):],
		"issuer":                            change(`"iss":"s3mirror"`, `"iss":"s3mirror2"`),
		"issuer list":                       change(`"iss":"s3mirror"`, `"iss":["s3mirror"]`),
		"audience":                          change(`"aud":"s3mirror"`, `"aud":"other"`),
		"audience list":                     change(`"aud":"s3mirror"`, `"aud":["s3mirror","other"]`),
		"no issuer":                         change(`"iss":"s3mirror",`, ``),
		"no audience":                       change(`"aud":"s3mirror",`, ``),
		"no subject":                        change(`"sub":"alice"`, `"sub2":"alice"`),
		"empty subject":                     change(`"sub":"alice"`, `"sub":""`),
		"subject is an object":              change(`"sub":"alice"`, `"sub":{"alice":1}`),
		"no session":                        change(`"sid":"s1"`, `"sid2":"s1"`),
		"no revision":                       change(`"tok":`, `"tok2":`),
		"short revision":                    change(`"tok":"`, `"tok":"AA","x":"`),
		"no exp":                            change(exp, `"x":1`),
		"exp null":                          change(exp, `"exp":null`),
		"exp text":                          change(exp, fmt.Sprintf(`"exp":"%d"`, tokenTime.Add(time.Hour).Unix())),
		"exp broken":                        change(exp, `"exp":1790000900.5`),
		"exp as a float":                    change(exp, `"exp":1.79e99`),
		"exp negative":                      change(exp, `"exp":-1`),
		"exp out of the world":              change(exp, `"exp":9223372036854775807`),
		"exp true":                          change(exp, `"exp":true`),
		"expired":                           change(exp, fmt.Sprintf(`"exp":%d`, tokenTime.Add(-time.Second).Unix())),
		"expires now":                       change(exp, fmt.Sprintf(`"exp":%d`, tokenTime.Unix())),
		"exp twice":                         change(exp, exp+","+exp),
		"no nbf":                            change(nbf, `"x":1`),
		"nbf tomorrow":                      change(nbf, fmt.Sprintf(`"nbf":%d`, tokenTime.Add(time.Hour).Unix())),
		"no iat":                            change(iat, `"x":1`),
		"iat tomorrow":                      change(iat, fmt.Sprintf(`"iat":%d`, tokenTime.Add(time.Hour).Unix())),
		"sub twice":                         change(`"sub":"alice"`, `"sub":"alice","sub":"admin"`),
		"sub twice, by escape":              change(`"sub":"alice"`, `"sub":"alice","\u0073ub":"admin"`),
		"claims are a list":                 f.signed(head, `[`+body+`]`),
		"claims twice":                      f.signed(head, body+body),
		"claims and a space":                f.signed(head, body+" "),
		"claims are cut":                    f.signed(head, body[:len(body)-1]),
		"claims not UTF-8":                  change(`alice`, "al\xffice"),
		"claims are null":                   f.signed(head, `null`),
		"no claims":                         f.signed(head, ``),
		"deeply nested":                     change(`"sub":"alice"`, `"sub":"alice","n":`+strings.Repeat("[", 700)+strings.Repeat("]", 700)),
		"huge":                              change(`"sub":"alice"`, `"sub":"alice","n":"`+strings.Repeat("x", 1<<20)+`"`),
		"two parts":                         goodText,
		"four parts":                        good + ".",
		"five parts, as JWE":                b64(head) + "." + good + ".x",
		"empty":                             "",
		"dots":                              "..",
		"JSON form":                         `{"payload":"` + b64(body) + `","protected":"` + b64(head) + `"}`,
		"padding":                           good + "=",
		"other base64":                      strings.NewReplacer("-", "+", "_", "/").Replace(good) + "+",
		"loose bits":                        good[:len(good)-1] + string(rune(good[len(good)-1]+1)),
		"newline in the signature":          good[:len(good)-4] + "\n" + good[len(good)-4:],
		"newline in the header":             good[:4] + "\n" + good[4:],
		"space before":                      " " + good,
		"empty signature":                   goodText + ".",
		"signature of zeros":                goodText + "." + base64.RawURLEncoding.EncodeToString(make([]byte, 64)),
		"signature and more":                goodText + "." + base64.RawURLEncoding.EncodeToString(append(ed25519.Sign(f.private, []byte(goodText)), 0)),
		"signed with RSA":                   goodText + "." + base64.RawURLEncoding.EncodeToString(rsaKey.N.Bytes()),
		"the signature of the claims alone": goodText + "." + base64.RawURLEncoding.EncodeToString(ed25519.Sign(f.private, []byte(body))),
	}
	for name, token := range forged {
		if got, err := f.open(token); !errors.Is(err, ErrToken) || got != (claims{}) {
			t.Errorf("%s: %+v, %v\n%.200s", name, got, err, token)
		}
		if token == good {
			t.Errorf("%s is the good one", name)
		}
	}
	for i := range good {
		b := []byte(good)
		b[i] ^= 1
		if _, err := f.open(string(b)); !errors.Is(err, ErrToken) {
			t.Errorf("a bit of byte %d: %v", i, err)
		}
		if _, err := f.open(good[:i]); !errors.Is(err, ErrToken) {
			t.Errorf("cut at %d: %v", i, err)
		}
	}
}

func TestTokenTimes(t *testing.T) {
	f := newForge()
	token := signToken(f.claims, f.private)
	key := func(string) (ed25519.PublicKey, error) { return f.public, nil }
	for at, ok := range map[time.Duration]bool{
		0: true, -tokenSkew: true, -tokenSkew - time.Second: false, accessLife - time.Second: true, accessLife: false, 24 * time.Hour: false,
	} {
		if _, err := openToken(token, tokenTime.Add(at), key); (err == nil) != ok {
			t.Errorf("%v after its issue: %v", at, err)
		}
	}
	down := errors.New("log is down")
	if _, err := openToken(token, tokenTime, func(string) (ed25519.PublicKey, error) { return nil, down }); !errors.Is(err, down) || errors.Is(err, ErrToken) {
		t.Errorf("got %v", err)
	}
}

// FuzzToken: whatever is opened is what we signed.
func FuzzToken(f *testing.F) {
	g := newForge()
	head, body := g.parts(f)
	good := signToken(g.claims, g.private)
	for _, seed := range []string{good, "", "..", good + ".", strings.ToUpper(good), g.signed(head, "{}"), g.signed(`{"alg":"none"}`, body)} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, token string) {
		got, err := g.open(token)
		if err == nil && (token != good && got != g.claims) {
			t.Errorf("%q opens as %+v", token, got)
		}
		if err == nil && token != good {
			signed, _, _ := cutLast(token)
			want, _, _ := cutLast(good)
			if signed != want {
				t.Errorf("%q was never signed", token)
			}
		}
	})
}

// FuzzDecodePart: what is read is what encoding/json reads, and of that only
// what has one reading.
func FuzzDecodePart(f *testing.F) {
	for _, seed := range []string{`{}`, `{"a":1,"b":"x"}`, `{"a":1,"a":2}`, `{"a":{"b":[1]}} `, `[]`, `null`, `{"\u0061":1,"a":2}`, "{\"a\":\"\xff\"}"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, s string) {
		got, err := decodePart(b64(s))
		if err != nil {
			return
		}
		var want map[string]json.RawMessage
		if err := json.Unmarshal([]byte(s), &want); err != nil || len(want) != len(got) {
			t.Fatalf("%q: %v, %d names for %d", s, err, len(got), len(want))
		}
		for name := range want {
			var a, b bytes.Buffer
			if json.Compact(&a, want[name]) != nil || json.Compact(&b, got[name]) != nil || a.String() != b.String() {
				t.Errorf("%q: %q is %s, want %s", s, name, got[name], want[name])
			}
		}
	})
}

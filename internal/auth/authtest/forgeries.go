package authtest

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"strings"
	"testing"
	"time"
)

// Forgeries are tokens that claim to be of another issuer and must be refused: every
// kind of docs/reliability.md 6.6, by what is wrong with them. PS256 must not be among
// the algorithms that are taken.
func Forgeries(t testing.TB, i *Issuer, issuer, audience string) map[string]string {
	t.Helper()
	claims := func(others map[string]any) map[string]any { return Claims(issuer, audience, others) }
	encode := func(v any) string {
		b, err := json.Marshal(v)
		if err != nil {
			t.Fatal(err)
		}
		return string(b)
	}
	body := encode(claims(nil))
	head := func(pairs ...any) map[string]any {
		h := map[string]any{"alg": "EdDSA", "kid": "ed", "typ": "JWT"}
		for n := 0; n < len(pairs); n += 2 {
			if h[pairs[n].(string)] = pairs[n+1]; pairs[n+1] == nil {
				delete(h, pairs[n].(string))
			}
		}
		return h
	}
	signed := func(header, claims any) string { return i.Token(t, "ed", "EdDSA", header, claims) }
	change := func(name string, value any) string { return signed(head(), claims(map[string]any{name: value})) }
	unsigned := func(alg string) string { return b64([]byte(encode(head("alg", alg)))) + "." + b64([]byte(body)) + "." }
	hs256 := func(kid string, key []byte) string {
		text := b64([]byte(encode(head("alg", "HS256", "kid", kid)))) + "." + b64([]byte(body))
		m := hmac.New(sha256.New, key)
		m.Write([]byte(text))
		return text + "." + b64(m.Sum(nil))
	}
	der, err := x509.MarshalPKIXPublicKey(i.Key("rsa").Public())
	if err != nil {
		t.Fatal(err)
	}
	thief, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	stolen := func(header map[string]any) string {
		text := b64([]byte(encode(header))) + "." + b64([]byte(body))
		return text + "." + b64(Sign(t, thief, "RS256", text))
	}
	own := JWK("rsa", thief.Public())
	good := signed(head(), claims(nil))
	text := good[:strings.LastIndexByte(good, '.')]
	now := time.Now()
	return map[string]string{
		"alg none":                       unsigned("none"),
		"alg NoNe":                       unsigned("NoNe"),
		"alg none with its signature":    signed(head("alg", "none"), claims(nil)),
		"alg in another case":            signed(head("alg", "eddsa"), claims(nil)),
		"alg list":                       signed(head("alg", []string{"EdDSA"}), claims(nil)),
		"no alg":                         signed(head("alg", nil), claims(nil)),
		"HS256 with the public key":      hs256("rsa", der),
		"HS256 with the public key, PEM": hs256("rsa", pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der})),
		"HS256 with nothing":             hs256("ed", nil),
		"HS256 with a key of the set":    hs256("secret", []byte("secret")),
		"an algorithm that is not taken": i.Token(t, "rsa", "PS256", nil, claims(nil)),
		"alg of another kind of key":     signed(head("alg", "RS256"), claims(nil)),
		"kid of another kind of key":     signed(head("kid", "rsa"), claims(nil)),
		"kid is a path":                  signed(head("kid", "../../dev/null"), claims(nil)),
		"kid is SQL":                     signed(head("kid", "ed' OR '1'='1"), claims(nil)),
		"kid is a URL":                   signed(head("kid", "https://attacker.test/key"), claims(nil)),
		"kid is empty":                   signed(head("kid", ""), claims(nil)),
		"kid is a number":                signed(head("kid", 1), claims(nil)),
		"no kid":                         signed(head("kid", nil), claims(nil)),
		"jwk in the header":              stolen(head("alg", "RS256", "kid", "rsa", "jwk", own)),
		"jku in the header":              stolen(head("alg", "RS256", "kid", "rsa", "jku", "https://attacker.test/jwks")),
		"x5u in the header":              stolen(head("alg", "RS256", "kid", "rsa", "x5u", "https://attacker.test/x")),
		"x5c in the header":              stolen(head("alg", "RS256", "kid", "rsa", "x5c", []string{"AAAA"})),
		"jku, and its signature":         signed(head("jku", "https://login.example.org/jwks"), claims(nil)),
		"crit":                           signed(head("crit", []string{"exp"}), claims(nil)),
		"b64 false":                      signed(head("b64", false, "crit", []string{"b64"}), claims(nil)),
		"zip":                            signed(head("zip", "DEF"), claims(nil)),
		"typ of something else":          signed(head("typ", "logout+jwt"), claims(nil)),
		"typ is a number":                signed(head("typ", 1), claims(nil)),
		"alg twice":                      signed(`{"alg":"EdDSA","alg":"EdDSA","kid":"ed"}`, claims(nil)),
		"signed by another":              stolen(head("alg", "RS256", "kid", "rsa")),
		"another payload":                b64([]byte(encode(head()))) + "." + b64([]byte(strings.Replace(body, "alice", "admin", 1))) + good[len(text):],
		"another audience":               change("aud", "other"),
		"audiences that are others":      change("aud", []string{"a", "b"}),
		"no audience":                    change("aud", nil),
		"audience is an object":          change("aud", map[string]any{audience: 1}),
		"no subject":                     change("sub", nil),
		"subject root":                   change("sub", "root"),
		"subject is an object":           change("sub", map[string]any{"alice": 1}),
		"subject that cannot be":         change("sub", "Alice\n"),
		"no exp":                         change("exp", nil),
		"exp text":                       change("exp", "4102444800"),
		"exp null":                       signed(head(), strings.Replace(body, `"exp":`, `"exp":null,"x":`, 1)),
		"exp as a float":                 signed(head(), strings.Replace(body, `"exp":`, `"exp":4.1e99,"x":`, 1)),
		"expired":                        change("exp", now.Add(-time.Second).Unix()),
		"no iat":                         change("iat", nil),
		"iat tomorrow":                   change("iat", now.Add(20*time.Hour).Unix()),
		"nbf tomorrow":                   change("nbf", now.Add(time.Hour/2).Unix()),
		"nbf text":                       change("nbf", "1"),
		"good for years":                 change("exp", now.Add(5000*time.Hour).Unix()),
		"sub twice":                      signed(head(), strings.Replace(body, `"sub":"alice"`, `"sub":"alice","sub":"admin"`, 1)),
		"sub twice, by escape":           signed(head(), strings.Replace(body, `"sub":"alice"`, `"sub":"alice","\u0073ub":"admin"`, 1)),
		"exp twice":                      signed(head(), strings.Replace(body, `"exp":`, `"exp":1,"exp":`, 1)),
		"another issuer":                 change("iss", issuer+"/"),
		"our own issuer":                 change("iss", "s3mirror"),
		"issuer list":                    change("iss", []string{issuer}),
		"no issuer":                      change("iss", nil),
		"claims are a list":              signed(head(), "["+body+"]"),
		"claims and more":                signed(head(), body+" {}"),
		"no claims":                      signed(head(), ""),
		"deeply nested":                  change("n", json.RawMessage(strings.Repeat("[", 5000)+strings.Repeat("]", 5000))),
		"huge":                           change("n", strings.Repeat("x", 20<<10)),
		"two parts":                      text,
		"four parts":                     good + ".",
		"JWE":                            b64([]byte(encode(head()))) + "." + good + ".x",
		"padding":                        good + "=",
		"newline":                        good[:len(good)-4] + "\n" + good[len(good)-4:],
		"empty signature":                text + ".",
		"signature of zeros":             text + "." + b64(make([]byte, 64)),
		"signature and more":             text + "." + b64(append(Sign(t, i.Key("ed"), "EdDSA", text), 0)),
		"ECDSA of zeros":                 b64([]byte(encode(head("alg", "ES256", "kid", "p256")))) + "." + b64([]byte(body)) + "." + b64(make([]byte, 64)),
		"a curve for another":            i.Token(t, "p384", "ES384", map[string]any{"alg": "ES256", "kid": "p384"}, claims(nil)),
	}
}

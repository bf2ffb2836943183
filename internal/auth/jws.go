package auth

import (
	"bytes"
	"crypto/ed25519"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"
	"unicode/utf8"
)

// ErrToken says that a token is not one of ours, or is no longer good. Why
// stands behind it, for the log.
var ErrToken = errors.New("token is not valid")

// The one form of an access token (RFC 7515, 7519, 9068): a compact JWS with
// exactly these header fields, signed with Ed25519. No other algorithm is known,
// so none can be asked for; a key is found by its name among those that this
// deployment made, and nothing in a token can bring or point to another.
const (
	tokenAlg = "EdDSA"
	tokenTyp = "at+jwt"
	// OwnIssuer is ours, and the audience: a deployment's keys are its own.
	OwnIssuer = "s3mirror"
	// maxToken is the longest token that is looked at, in bytes.
	maxToken = 2 << 10
	// tokenSkew is how far ahead another node's clock may be.
	tokenSkew = 5 * time.Second
)

// claims are what a token says.
type claims struct {
	login    string
	session  string
	tokens   Revision // User.Tokens
	issued   time.Time
	expires  time.Time
	signedBy string // the key's name
}

// signToken makes the token of the claims.
func signToken(c claims, key ed25519.PrivateKey) string {
	text := func(v map[string]any) string {
		b, err := json.Marshal(v)
		if err != nil {
			panic(err) // strings and numbers only
		}
		return base64.RawURLEncoding.EncodeToString(b)
	}
	signed := text(map[string]any{"alg": tokenAlg, "typ": tokenTyp, "kid": c.signedBy}) + "." +
		text(map[string]any{
			"iss": OwnIssuer, "aud": OwnIssuer, "sub": c.login, "sid": c.session, "tok": base64.RawURLEncoding.EncodeToString(c.tokens[:]),
			"iat": c.issued.Unix(), "nbf": c.issued.Unix(), "exp": c.expires.Unix(),
		})
	return signed + "." + base64.RawURLEncoding.EncodeToString(ed25519.Sign(key, []byte(signed)))
}

// openToken verifies a token against the keys and the clock. ErrToken; any other
// error is what key returned.
func openToken(token string, now time.Time, key func(name string) (ed25519.PublicKey, error)) (claims, error) {
	bad := func(format string, args ...any) (claims, error) {
		return claims{}, fmt.Errorf("%w: %s", ErrToken, fmt.Sprintf(format, args...))
	}
	if len(token) > maxToken || strings.ContainsAny(token, "\r\n") { // which base64 passes over
		return bad("it is too long, or in lines")
	}
	signed, signature, ok := cutLast(token)
	head, body, ok2 := strings.Cut(signed, ".")
	if !ok || !ok2 || strings.Contains(body, ".") {
		return bad("it has not three parts")
	}
	header, err := decodePart(head)
	if err != nil {
		return bad("header: %v", err)
	}
	// A field more would be one that we do not act upon: crit, b64, jwk, jku, x5u.
	if len(header) != 3 || text(header["alg"]) != tokenAlg || text(header["typ"]) != tokenTyp {
		return bad("its header is not of our tokens")
	}
	name := text(header["kid"])
	public, err := key(name)
	if err != nil {
		return claims{}, err
	}
	sum, err := strictBase64.DecodeString(signature)
	if err != nil || !ed25519.Verify(public, []byte(signed), sum) {
		return bad("its signature is wrong")
	}
	payload, err := decodePart(body)
	if err != nil {
		return bad("claims: %v", err)
	}
	return readClaims(payload, name, now)
}

// readClaims wants every claim that signToken writes, and now to be within
// their time.
func readClaims(p map[string]json.RawMessage, key string, now time.Time) (claims, error) {
	bad := func(why string) (claims, error) { return claims{}, fmt.Errorf("%w: %s", ErrToken, why) }
	c := claims{login: text(p["sub"]), session: text(p["sid"]), signedBy: key}
	tokens, err := strictBase64.DecodeString(text(p["tok"]))
	issued, ok1 := moment(p["iat"])
	begins, ok2 := moment(p["nbf"])
	expires, ok3 := moment(p["exp"])
	c.issued, c.expires = issued, expires
	switch {
	case text(p["iss"]) != OwnIssuer || text(p["aud"]) != OwnIssuer:
		return bad("it is of another issuer, or for another audience")
	case c.login == "" || c.session == "" || err != nil || len(tokens) != len(c.tokens):
		return bad("a claim is missing")
	case !ok1 || !ok2 || !ok3:
		return bad("a time is missing or malformed")
	case !now.Before(expires):
		return bad("it has expired")
	case begins.After(now.Add(tokenSkew)) || issued.After(now.Add(tokenSkew)):
		return bad("it is of the future")
	}
	c.tokens = Revision(tokens)
	return c, nil
}

// strictBase64 has one text for each value.
var strictBase64 = base64.RawURLEncoding.Strict()

// decodePart reads a JSON object of which there is only one reading: UTF-8, no
// name twice, nothing behind it.
func decodePart(part string) (map[string]json.RawMessage, error) {
	data, err := strictBase64.DecodeString(part)
	if err != nil || !utf8.Valid(data) {
		return nil, errors.New("not base64url of UTF-8")
	}
	malformed := errors.New("not a JSON object with distinct names")
	d := json.NewDecoder(bytes.NewReader(data))
	if t, err := d.Token(); err != nil || t != json.Delim('{') {
		return nil, malformed
	}
	fields := map[string]json.RawMessage{}
	for d.More() {
		t, err := d.Token()
		name, ok := t.(string)
		if _, twice := fields[name]; err != nil || !ok || twice {
			return nil, malformed
		}
		var value json.RawMessage
		if err := d.Decode(&value); err != nil {
			return nil, malformed
		}
		fields[name] = value
	}
	if t, err := d.Token(); err != nil || t != json.Delim('}') {
		return nil, malformed
	}
	if rest := data[d.InputOffset():]; len(rest) > 0 {
		return nil, malformed
	}
	return fields, nil
}

// text is a JSON string, empty for anything else.
func text(raw json.RawMessage) string {
	var s string
	if len(raw) == 0 || raw[0] != '"' || json.Unmarshal(raw, &s) != nil {
		return ""
	}
	return s
}

// moment is a whole number of seconds since 1970, of this millennium or so.
func moment(raw json.RawMessage) (time.Time, bool) {
	var n int64
	if len(raw) == 0 || raw[0] == 'n' || json.Unmarshal(raw, &n) != nil || n <= 0 || n > 1<<40 {
		return time.Time{}, false
	}
	return time.Unix(n, 0), true
}

// cutLast cuts at the last dot.
func cutLast(s string) (before, after string, ok bool) {
	i := strings.LastIndexByte(s, '.')
	if i < 0 {
		return "", "", false
	}
	return s[:i], s[i+1:], true
}

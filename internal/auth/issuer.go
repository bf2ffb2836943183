package auth

import (
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"
)

// IssuerOptions are what is known of another issuer whose tokens are taken, and what
// its tokens say in our words. ID, Audience, KeySet and Login are required.
type IssuerOptions struct {
	ID         string        // the claim iss, byte for byte
	Audience   []string      // one of them must be in aud
	KeySet     string        // URL of its JSON Web Key Set
	Algorithms []string      // of Algorithms; empty: all of them
	MaxLife    time.Duration // between iat and exp; default a day

	// Names of claims, with dots for what lies deeper (realm_access.roles). Login is
	// who it is. The others say what someone may do whose login is not stored here;
	// without Scopes there is nobody like that.
	Login, Scopes, Role, Buckets string
	// Words are ours (read, write, admin) for its own; nil: it uses ours.
	Words map[string]string

	HTTP *http.Client // asks for the keys; it follows no redirect
	Now  func() time.Time
}

// Issuer verifies the tokens of another issuer. It is safe for concurrent use.
type Issuer struct {
	o    IssuerOptions
	keys keySet
}

// NewIssuer returns an Issuer that has asked nobody yet.
func NewIssuer(o IssuerOptions) *Issuer {
	if len(o.Algorithms) == 0 {
		o.Algorithms = Algorithms()
	}
	if o.MaxLife == 0 {
		o.MaxLife = 24 * time.Hour
	}
	return &Issuer{o: o, keys: keySet{url: o.KeySet, http: o.HTTP, now: o.Now}}
}

const (
	// maxForeignToken is the longest token of another issuer that is looked at, in
	// bytes.
	maxForeignToken = 8 << 10
	// foreignSkew is how far ahead its clock may be.
	foreignSkew = time.Minute
)

// foreignHeader are the fields that the header of another issuer's token may have. Any
// other one would be one that we do not act upon: crit, b64, jwk, jku, x5u, x5c, zip.
var foreignHeader = []string{"alg", "kid", "typ", "x5t", "x5t#S256"}

// foreign is what a token of another issuer says.
type foreign struct {
	login   string
	user    *User // who it is if his login is not stored; nil: nobody, for the reason why
	why     error
	expires time.Time
	key     string // that signed it
}

// untrustedIssuer is the claim iss of a token of which nothing is proved.
func untrustedIssuer(token string) string {
	if len(token) > maxForeignToken {
		return ""
	}
	_, rest, _ := strings.Cut(token, ".")
	body, _, _ := strings.Cut(rest, ".")
	claims, err := decodePart(body)
	if err != nil {
		return ""
	}
	return text(claims["iss"])
}

// parsed is a token that was taken apart: nothing of it is proved.
type parsed struct {
	alg, kid  string
	signed    string
	signature []byte
	claims    map[string]json.RawMessage
}

func refuseToken(format string, args ...any) error {
	return fmt.Errorf("%w: %s", ErrToken, fmt.Sprintf(format, args...))
}

// parse takes a token apart. ErrToken.
func (i *Issuer) parse(token string) (parsed, error) {
	if len(token) > maxForeignToken || strings.ContainsAny(token, "\r\n") { // which base64 passes over
		return parsed{}, refuseToken("it is too long, or in lines")
	}
	signed, signature, ok := cutLast(token)
	head, body, ok2 := strings.Cut(signed, ".")
	if !ok || !ok2 || strings.Contains(body, ".") {
		return parsed{}, refuseToken("it has not three parts")
	}
	header, err := decodePart(head)
	if err != nil {
		return parsed{}, refuseToken("header: %v", err)
	}
	for name := range header {
		if !slices.Contains(foreignHeader, name) {
			return parsed{}, refuseToken("its header has a field that means nothing here")
		}
	}
	p := parsed{alg: text(header["alg"]), kid: text(header["kid"]), signed: signed}
	typ, typed := header["typ"]
	switch kind := strings.ToLower(text(typ)); {
	case typed && kind != "jwt" && kind != "at+jwt":
		return parsed{}, refuseToken("it is no access token")
	case !slices.Contains(i.o.Algorithms, p.alg):
		return parsed{}, refuseToken("its algorithm is not one that is taken")
	case p.kid == "":
		return parsed{}, refuseToken("it names no key")
	}
	if p.signature, err = strictBase64.DecodeString(signature); err != nil {
		return parsed{}, refuseToken("its signature is wrong")
	}
	if p.claims, err = decodePart(body); err != nil {
		return parsed{}, refuseToken("claims: %v", err)
	}
	return p, nil
}

// read says what a token means whose signature is proved. ErrToken.
func (i *Issuer) read(p parsed) (foreign, error) {
	issued, ok1 := moment(p.claims["iat"])
	expires, ok2 := moment(p.claims["exp"])
	begins, ok3 := issued, true
	if raw, has := p.claims["nbf"]; has {
		begins, ok3 = moment(raw)
	}
	now := i.o.Now()
	login := text(claimAt(p.claims, i.o.Login))
	switch {
	case text(p.claims["iss"]) != i.o.ID:
		return foreign{}, refuseToken("it is of another issuer")
	case !slices.ContainsFunc(words(p.claims["aud"], false), func(a string) bool { return slices.Contains(i.o.Audience, a) }):
		return foreign{}, refuseToken("it is for another audience")
	case !ok1 || !ok2 || !ok3:
		return foreign{}, refuseToken("a time is missing or malformed")
	case !now.Before(expires):
		return foreign{}, refuseToken("it has expired")
	case begins.After(now.Add(foreignSkew)) || issued.After(now.Add(foreignSkew)):
		return foreign{}, refuseToken("it is of the future")
	case expires.Sub(issued) > i.o.MaxLife:
		return foreign{}, refuseToken("it lives longer than is taken")
	case CheckLogin(login) != nil || login == RootLogin:
		return foreign{}, refuseToken("it names nobody who could be a user")
	}
	f := foreign{login: login, expires: expires, key: p.kid}
	f.user, f.why = i.user(login, p.claims)
	return f, nil
}

// user is who a token says that somebody is. What is not one of our words gives
// nothing; a place that is none is an error, since to pass it over could widen.
func (i *Issuer) user(login string, claims map[string]json.RawMessage) (*User, error) {
	if i.o.Scopes == "" {
		return nil, refuseToken("its user %s is not stored here", login)
	}
	u := &User{Login: login, Role: RoleUser, Active: true, Issuer: i.o.ID}
	for _, w := range i.ours(claims, i.o.Scopes) {
		if s := Scope(w); (s == ScopeRead || s == ScopeWrite) && !slices.Contains(u.Scopes, s) {
			u.Scopes = append(u.Scopes, s)
		}
	}
	if i.o.Role != "" && slices.Contains(i.ours(claims, i.o.Role), string(RoleAdmin)) {
		u.Role = RoleAdmin
	}
	if i.o.Buckets == "" {
		return u, nil
	}
	for _, w := range words(claimAt(claims, i.o.Buckets), true) {
		p, err := ParsePlace(w)
		if err != nil {
			return nil, refuseToken("the claim %s: %v", i.o.Buckets, err)
		}
		u.AllowedBuckets = append(u.AllowedBuckets, p)
	}
	if len(u.AllowedBuckets) == 0 { // an empty list would be no limit
		return nil, refuseToken("the claim %s names no bucket", i.o.Buckets)
	}
	return u, nil
}

// ours are the words of a claim in our words.
func (i *Issuer) ours(claims map[string]json.RawMessage, name string) []string {
	list := words(claimAt(claims, name), true)
	if i.o.Words == nil {
		return list
	}
	var out []string
	for _, w := range list {
		if our, ok := i.o.Words[w]; ok {
			out = append(out, our)
		}
	}
	return out
}

// claimAt is the claim of this name; dots lead into objects.
func claimAt(claims map[string]json.RawMessage, name string) json.RawMessage {
	if raw, ok := claims[name]; ok {
		return raw
	}
	outer, inner, ok := strings.Cut(name, ".")
	var deeper map[string]json.RawMessage
	if !ok || json.Unmarshal(claims[outer], &deeper) != nil {
		return nil
	}
	return claimAt(deeper, inner)
}

// words are those of a text, in which blanks part them if split, or of a list of
// texts.
func words(raw json.RawMessage, split bool) []string {
	if s := text(raw); s != "" {
		if split {
			return strings.Fields(s)
		}
		return []string{s}
	}
	var list []string
	if len(raw) == 0 || raw[0] != '[' || json.Unmarshal(raw, &list) != nil {
		return nil
	}
	return list
}

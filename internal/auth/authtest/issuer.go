package authtest

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/base64"
	"encoding/json"
	"maps"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
	"time"
)

// Issuer is another issuer of tokens, on loopback, with keys of every kind. It is safe
// for concurrent use.
type Issuer struct {
	URL string // of its key set

	mu    sync.Mutex // guards what follows
	keys  map[string]crypto.Signer
	asked int
	down  bool
	reply func(w http.ResponseWriter) bool // answers in its place, if it returns true
}

// NewIssuer starts one that ends with the test. Its keys are called rsa, p256, p384 and
// ed.
func NewIssuer(t testing.TB) *Issuer {
	t.Helper()
	i := &Issuer{keys: map[string]crypto.Signer{}}
	for _, name := range []string{"rsa", "p256", "p384", "ed"} {
		i.Renew(t, name, name)
	}
	server := httptest.NewServer(http.HandlerFunc(i.serve))
	t.Cleanup(server.Close)
	i.URL = server.URL + "/jwks"
	return i
}

// Renew takes the key called old back, and makes one of the kind (rsa, p256, p384, ed)
// that is called name.
func (i *Issuer) Renew(t testing.TB, kind, name string) {
	t.Helper()
	var key crypto.Signer
	var err error
	switch kind {
	case "rsa":
		key, err = rsa.GenerateKey(rand.Reader, 2048)
	case "p256":
		key, err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	case "p384":
		key, err = ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	default:
		_, key, err = ed25519.GenerateKey(rand.Reader)
	}
	if err != nil {
		t.Fatal(err)
	}
	i.mu.Lock()
	defer i.mu.Unlock()
	i.keys[name] = key
}

// TakeBack has a key served no more.
func (i *Issuer) TakeBack(name string) {
	i.mu.Lock()
	defer i.mu.Unlock()
	delete(i.keys, name)
}

// Down has it answer nothing but errors, or again what it should.
func (i *Issuer) Down(down bool) {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.down = down
}

// Reply has another answer given, until reply is nil.
func (i *Issuer) Reply(reply func(w http.ResponseWriter) bool) {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.reply = reply
}

// Asked is how often its keys were asked for.
func (i *Issuer) Asked() int {
	i.mu.Lock()
	defer i.mu.Unlock()
	return i.asked
}

// Key is a key of it.
func (i *Issuer) Key(name string) crypto.Signer {
	i.mu.Lock()
	defer i.mu.Unlock()
	return i.keys[name]
}

func (i *Issuer) serve(w http.ResponseWriter, _ *http.Request) {
	i.mu.Lock()
	keys, down, reply := maps.Clone(i.keys), i.down, i.reply
	i.asked++
	i.mu.Unlock()
	switch {
	case down:
		w.WriteHeader(http.StatusServiceUnavailable)
		return
	case reply != nil && reply(w):
		return
	}
	set := []map[string]any{{"kty": "oct", "kid": "secret", "k": "c2VjcmV0"}} // which is nobody's business
	for name, key := range keys {
		set = append(set, JWK(name, key.Public()))
	}
	_ = json.NewEncoder(w).Encode(map[string]any{"keys": set})
}

func b64(b []byte) string { return base64.RawURLEncoding.EncodeToString(b) }

// JWK is a public key as a key set shows it.
func JWK(name string, public crypto.PublicKey) map[string]any {
	out := map[string]any{"kid": name, "use": "sig"}
	switch k := public.(type) {
	case *rsa.PublicKey:
		out["kty"], out["n"], out["e"] = "RSA", b64(k.N.Bytes()), "AQAB"
	case *ecdsa.PublicKey:
		raw, err := k.Bytes()
		if err != nil {
			panic(err) // it was generated a moment ago
		}
		size := (len(raw) - 1) / 2
		out["kty"], out["crv"], out["x"], out["y"] = "EC", k.Curve.Params().Name, b64(raw[1:1+size]), b64(raw[1+size:])
	case ed25519.PublicKey:
		out["kty"], out["crv"], out["x"] = "OKP", "Ed25519", b64(k)
	}
	return out
}

// Claims are those of a good token for alice, of this issuer, with others in their place.
func Claims(issuer, audience string, others map[string]any) map[string]any {
	now := time.Now().Unix()
	out := map[string]any{"iss": issuer, "aud": audience, "sub": "alice", "iat": now, "exp": now + 3600}
	for name, value := range others {
		if out[name] = value; value == nil {
			delete(out, name)
		}
	}
	return out
}

// Token is signed by a key of this name: header and claims may be whatever encoding/json
// takes, or a text as it stands.
func (i *Issuer) Token(t testing.TB, key, alg string, header, claims any) string {
	t.Helper()
	if header == nil {
		header = map[string]any{"alg": alg, "kid": key, "typ": "JWT"}
	}
	text := ""
	for n, part := range []any{header, claims} {
		raw, ok := part.(string)
		if !ok {
			b, err := json.Marshal(part)
			if err != nil {
				t.Fatal(err)
			}
			raw = string(b)
		}
		if n > 0 {
			text += "."
		}
		text += b64([]byte(raw))
	}
	return text + "." + b64(Sign(t, i.Key(key), alg, text))
}

// Sign signs a text as a JWS.
func Sign(t testing.TB, key crypto.Signer, alg, text string) []byte {
	t.Helper()
	var sum []byte
	var hash crypto.Hash
	switch alg {
	case "RS384", "ES384":
		s := sha512.Sum384([]byte(text))
		sum, hash = s[:], crypto.SHA384
	case "RS512":
		s := sha512.Sum512([]byte(text))
		sum, hash = s[:], crypto.SHA512
	default:
		s := sha256.Sum256([]byte(text))
		sum, hash = s[:], crypto.SHA256
	}
	var out []byte
	var err error
	switch k := key.(type) {
	case *rsa.PrivateKey:
		if alg == "PS256" {
			out, err = rsa.SignPSS(rand.Reader, k, hash, sum, &rsa.PSSOptions{SaltLength: rsa.PSSSaltLengthEqualsHash})
		} else {
			out, err = rsa.SignPKCS1v15(rand.Reader, k, hash, sum)
		}
	case *ecdsa.PrivateKey:
		size := k.Curve.Params().BitSize / 8
		r, s, failed := ecdsa.Sign(rand.Reader, k, sum)
		if err = failed; err == nil {
			out = append(r.FillBytes(make([]byte, size)), s.FillBytes(make([]byte, size))...)
		}
	case ed25519.PrivateKey:
		out = ed25519.Sign(k, []byte(text))
	}
	if err != nil {
		t.Fatal(err)
	}
	return out
}

package auth

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"hash"
	"math/big"
	"slices"
)

// algorithms are those that tokens of other issuers may be signed with (RFC 7518,
// 8037): all of them with a pair of keys. A name that is not here has no meaning, so
// none can be asked for: not none, and no HMAC, which would take a public key for a
// secret.
var algorithms = map[string]algorithm{
	"RS256": {kind: "RSA", sum: sha256.New, hash: crypto.SHA256},
	"RS384": {kind: "RSA", sum: sha512.New384, hash: crypto.SHA384},
	"RS512": {kind: "RSA", sum: sha512.New, hash: crypto.SHA512},
	"PS256": {kind: "RSA", sum: sha256.New, hash: crypto.SHA256, pss: true},
	"ES256": {kind: "EC", sum: sha256.New, hash: crypto.SHA256, curve: "P-256"},
	"ES384": {kind: "EC", sum: sha512.New384, hash: crypto.SHA384, curve: "P-384"},
	"EdDSA": {kind: "OKP"},
}

// Algorithms are the names of the signatures that tokens of other issuers may have.
func Algorithms() []string {
	return []string{"RS256", "RS384", "RS512", "PS256", "ES256", "ES384", "EdDSA"}
}

type algorithm struct {
	kind  string // of its keys, as a JWK names it
	curve string // of EC
	sum   func() hash.Hash
	hash  crypto.Hash
	pss   bool
}

// verifyKey is a public key of another issuer.
type verifyKey struct {
	kind, curve string
	alg         string // the only one it is for; empty: any of its kind
	public      crypto.PublicKey
}

// The bounds of RSA keys, in bits: none that can be broken, none that takes long.
const (
	minRSA = 2048
	maxRSA = 8192
)

// jwkForm is a key of a JSON Web Key Set (RFC 7517), as far as it matters.
type jwkForm struct {
	Kty    string   `json:"kty"`
	Kid    string   `json:"kid"`
	Use    string   `json:"use"`
	Ops    []string `json:"key_ops"`
	Alg    string   `json:"alg"`
	Crv    string   `json:"crv"`
	N      string   `json:"n"`
	E      string   `json:"e"`
	X      string   `json:"x"`
	Y      string   `json:"y"`
	Secret string   `json:"k"`
	Priv   string   `json:"d"`
}

// parseKeySet reads the keys of a JSON Web Key Set that verify something, by their
// names. Keys of other kinds or uses are passed over: a set may hold them. One name
// for two keys, and a set that has none for us, are errors.
func parseKeySet(document []byte) (map[string]verifyKey, error) {
	var set struct {
		Keys []json.RawMessage `json:"keys"`
	}
	if err := json.Unmarshal(document, &set); err != nil {
		return nil, fmt.Errorf("not a JSON Web Key Set: %w", err)
	}
	keys := map[string]verifyKey{}
	for _, raw := range set.Keys {
		var form jwkForm
		if json.Unmarshal(raw, &form) != nil || form.Kid == "" || form.Use != "" && form.Use != "sig" ||
			len(form.Ops) > 0 && !slices.Contains(form.Ops, "verify") || form.Secret != "" || form.Priv != "" {
			continue
		}
		key, err := form.public()
		if err != nil {
			continue
		}
		if a, known := algorithms[form.Alg]; form.Alg != "" && (!known || a.kind != key.kind || a.curve != key.curve) {
			continue
		}
		if _, twice := keys[form.Kid]; twice {
			return nil, fmt.Errorf("two keys are called %.100q", form.Kid)
		}
		keys[form.Kid] = key
	}
	if len(keys) == 0 {
		return nil, errors.New("no key in it verifies signatures")
	}
	return keys, nil
}

var errWeakKey = errors.New("no key that is taken")

// public is the key itself.
func (f jwkForm) public() (verifyKey, error) {
	switch f.Kty {
	case "RSA":
		n, err1 := decodeNumber(f.N)
		e, err2 := decodeNumber(f.E)
		if err1 != nil || err2 != nil || n.BitLen() < minRSA || n.BitLen() > maxRSA || e.BitLen() > 31 || e.Int64() < 3 || e.Bit(0) == 0 {
			return verifyKey{}, errWeakKey
		}
		return verifyKey{kind: f.Kty, alg: f.Alg, public: &rsa.PublicKey{N: n, E: int(e.Int64())}}, nil
	case "EC":
		curve := map[string]elliptic.Curve{"P-256": elliptic.P256(), "P-384": elliptic.P384()}[f.Crv]
		x, err1 := strictBase64.DecodeString(f.X)
		y, err2 := strictBase64.DecodeString(f.Y)
		if curve == nil || err1 != nil || err2 != nil || len(x) != curve.Params().BitSize/8 || len(y) != len(x) {
			return verifyKey{}, errWeakKey
		}
		public, err := ecdsa.ParseUncompressedPublicKey(curve, slices.Concat([]byte{4}, x, y)) // on the curve, or an error
		return verifyKey{kind: f.Kty, curve: f.Crv, alg: f.Alg, public: public}, err
	case "OKP":
		x, err := strictBase64.DecodeString(f.X)
		if f.Crv != "Ed25519" || err != nil || len(x) != ed25519.PublicKeySize {
			return verifyKey{}, errWeakKey
		}
		return verifyKey{kind: f.Kty, alg: f.Alg, public: ed25519.PublicKey(x)}, nil
	}
	return verifyKey{}, errWeakKey
}

func decodeNumber(text string) (*big.Int, error) {
	b, err := base64.RawURLEncoding.DecodeString(text)
	return new(big.Int).SetBytes(bytes.TrimLeft(b, "\x00")), err
}

// verify tells whether a signature by an algorithm over a text is the key's.
func (k verifyKey) verify(name, text string, signature []byte) bool {
	a, known := algorithms[name]
	if !known || a.kind != k.kind || a.curve != k.curve || k.alg != "" && k.alg != name {
		return false
	}
	var sum []byte
	if a.sum != nil {
		h := a.sum()
		h.Write([]byte(text))
		sum = h.Sum(nil)
	}
	switch public := k.public.(type) {
	case *rsa.PublicKey:
		if a.pss {
			return rsa.VerifyPSS(public, a.hash, sum, signature, &rsa.PSSOptions{SaltLength: rsa.PSSSaltLengthEqualsHash}) == nil
		}
		return rsa.VerifyPKCS1v15(public, a.hash, sum, signature) == nil
	case *ecdsa.PublicKey:
		size := public.Curve.Params().BitSize / 8 // two numbers of this many bytes, and nothing else
		if len(signature) != 2*size {
			return false
		}
		return ecdsa.Verify(public, sum, new(big.Int).SetBytes(signature[:size]), new(big.Int).SetBytes(signature[size:]))
	case ed25519.PublicKey:
		return ed25519.Verify(public, []byte(text), signature)
	}
	return false
}

package auth

import (
	"encoding/json"
	"net/netip"
	"strings"
	"testing"
)

// A key set comes from an issuer's server, over the network. What is taken of it is public,
// strong, of an algorithm that we have, and has the name that the document gives it once.
func FuzzKeySet(f *testing.F) {
	const rsa = `{"kty":"RSA","kid":"r","e":"AQAB","n":"` // and 2048 bits of it
	n := strings.Repeat("v", 341) + "8"
	f.Add([]byte(`{"keys":[` + rsa + n + `"}]}`))
	f.Add([]byte(`{"keys":[` + rsa + n + `","d":"AA"},{"kty":"oct","kid":"s","k":"AA"}]}`))
	f.Add([]byte(`{"keys":[{"kty":"OKP","crv":"Ed25519","kid":"e","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}]}`))
	f.Add([]byte(`{"keys":[{"kty":"EC","crv":"P-256","kid":"p","use":"sig","alg":"ES256","x":"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU","y":"x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0"}]}`))
	f.Add([]byte(`{"keys":[{"kty":"EC","crv":"P-256","kid":"p","x":"AA","y":"AA"}]}`))
	f.Add([]byte(`{"keys":null}`))
	f.Fuzz(func(t *testing.T, document []byte) {
		keys, err := parseKeySet(document)
		if (err == nil) != (len(keys) > 0) {
			t.Fatalf("%d keys, %v", len(keys), err)
		}
		var set struct {
			Keys []json.RawMessage `json:"keys"`
		}
		if err == nil {
			if err := json.Unmarshal(document, &set); err != nil {
				t.Fatalf("keys of what is no JSON: %v", err)
			}
		}
		for kid, key := range keys {
			if kid == "" || key.public == nil || key.alg != "" && algorithms[key.alg].kind != key.kind {
				t.Errorf("%q: %+v", kid, key)
			}
			named := 0
			for _, raw := range set.Keys {
				var form jwkForm
				if json.Unmarshal(raw, &form) != nil || form.Kid != kid {
					continue
				}
				if again, err := form.public(); err == nil && again.kind == key.kind && form.Secret == "" && form.Priv == "" {
					named++
				}
			}
			if named == 0 {
				t.Errorf("%q is a key of nothing in the set", kid)
			}
		}
	})
}

// Networks and places come from the admin API. What is taken has one form, which means the same
// when it is read again, and a network holds what its text says.
func FuzzNetwork(f *testing.F) {
	for _, s := range []string{"10.0.0.0/8", "10.0.0.1", "::ffff:10.0.0.0/104", "::ffff:0.0.0.0/95", "2001:db8::/32", "fe80::1%eth0", "10.0.0.1/8", "0.0.0.0/0", "::/0", "1.2.3.4/032"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		p, err := ParseNetwork(s)
		if err != nil {
			return
		}
		if !p.IsValid() || p.Addr().Is4In6() || p.Addr().Zone() != "" || p != p.Masked() {
			t.Errorf("%q is taken for %v", s, p)
		}
		if again, err := ParseNetwork(p.String()); err != nil || again != p {
			t.Errorf("%q is %v, and that is %v (%v)", s, p, again, err)
		}
		text, _, _ := strings.Cut(s, "/")
		if a, err := netip.ParseAddr(text); err != nil || !p.Contains(a.Unmap()) {
			t.Errorf("%q is taken for %v, which does not hold it", s, p)
		}
	})
}

func FuzzPlace(f *testing.F) {
	for _, s := range []string{"photos", "photos/", "photos/2026/", "photos//x", "photos/../x", "a/b", "photos/\x00", "photos/./", "photos/\xff", "photos/a b"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		p, err := ParsePlace(s)
		if err != nil {
			return
		}
		if again, err := ParsePlace(p.String()); err != nil || again != p {
			t.Errorf("%q is %+v, and that is %+v (%v)", s, p, again, err)
		}
		for _, part := range strings.Split(p.Prefix, "/") {
			if part == "." || part == ".." {
				t.Errorf("%q is taken", s)
			}
		}
	})
}

package auth

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/sha256"
	"errors"
	"fmt"
)

// Vault encrypts what a Store keeps and nobody may read there: secret access
// keys, which signatures need in the clear, and signing keys. It is safe for
// concurrent use.
type Vault struct {
	aead cipher.AEAD
	name [4]byte // of the key, so that a text sealed with another one is told from a damaged one
}

// ErrSealed says that a text was sealed with another key, for another use, or
// was changed.
var ErrSealed = errors.New("sealed with another secret key, or damaged")

// NewVault derives the key from the deployment's 32-byte secret.
func NewVault(secret []byte) *Vault {
	derive := func(use string, size int) []byte {
		key, err := hkdf.Key(sha256.New, secret, nil, use, size)
		if err != nil {
			panic(err) // only for sizes that are not asked for here
		}
		return key
	}
	block, err := aes.NewCipher(derive("s3mirror vault v1", 32))
	if err != nil {
		panic(err) // the key has 32 bytes
	}
	aead, err := cipher.NewGCMWithRandomNonce(block)
	if err != nil {
		panic(err) // only for a block of another size than AES's
	}
	v := &Vault{aead: aead}
	copy(v.name[:], derive("s3mirror vault name v1", len(v.name)))
	return v
}

// Format hides the key from every verb of package fmt.
func (v *Vault) Format(f fmt.State, _ rune) { fmt.Fprint(f, "vault") }

// Seal encrypts text for one use ("key AK123 of alice"): it opens for no other.
func (v *Vault) Seal(use string, text []byte) []byte {
	return v.aead.Seal(append([]byte(nil), v.name[:]...), nil, text, []byte(use)) //nolint:gosec // the nonce is drawn inside
}

// Open decrypts what Seal made for the same use. ErrSealed.
func (v *Vault) Open(use string, sealed []byte) ([]byte, error) {
	if !v.Sealed(sealed) {
		return nil, ErrSealed
	}
	text, err := v.aead.Open(nil, nil, sealed[len(v.name):], []byte(use))
	if err != nil {
		return nil, ErrSealed
	}
	return text, nil
}

// Sealed tells whether a text was sealed with this vault's key.
func (v *Vault) Sealed(sealed []byte) bool {
	return len(sealed) > len(v.name) && [4]byte(sealed[:4]) == v.name
}

package auth

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/sha256"
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
)

// Vault encrypts what a Store keeps and nobody may read there: secret access
// keys, which signatures need in the clear, and signing keys. It is safe for
// concurrent use.
//
// While the deployment's secret is changed it knows two: it seals with the newer one
// and opens what either has sealed.
type Vault struct {
	rings atomic.Pointer[[]ring] // the first one seals; never empty

	// storing is held for reading from the sealing of what is going to be stored until
	// it is: what was sealed before a change of the secret must be found by Reseal.
	storing sync.RWMutex
}

// ring is what is derived from one secret.
type ring struct {
	aead cipher.AEAD
	name [4]byte // of the key, so that a text sealed with another one is told from a damaged one
}

// ErrSealed says that a text was sealed with another key, for another use, or
// was changed.
var ErrSealed = errors.New("sealed with another secret key, or damaged")

// NewVault derives the keys from the deployment's 32-byte secret, and from those
// before it that still open.
func NewVault(secret []byte, before ...[]byte) *Vault {
	rings := []ring{newRing(secret)}
	for _, old := range before {
		rings = append(rings, newRing(old))
	}
	v := &Vault{}
	v.rings.Store(&rings)
	return v
}

func newRing(secret []byte) ring {
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
	r := ring{aead: aead}
	copy(r.name[:], derive("s3mirror vault name v1", len(r.name)))
	return r
}

// Format hides the key from every verb of package fmt.
func (v *Vault) Format(f fmt.State, _ rune) { fmt.Fprint(f, "vault") }

// Storing begins the storing of what is sealed behind it; the caller ends it. A change of
// the secret waits for it, so that what was sealed before is found when it is sealed anew.
func (v *Vault) Storing() (end func()) {
	v.storing.RLock()
	return v.storing.RUnlock
}

// change has another secret seal from now on; those before it open as they did. It
// returns when whatever they sealed is stored. Only one caller at a time.
func (v *Vault) change(secret []byte) {
	v.storing.Lock()
	defer v.storing.Unlock()
	rings := slices.Insert(slices.Clone(*v.rings.Load()), 0, newRing(secret))
	v.rings.Store(&rings)
}

// forget has nothing opened any more that earlier secrets sealed.
func (v *Vault) forget() {
	rings := (*v.rings.Load())[:1:1]
	v.rings.Store(&rings)
}

// Seal encrypts text for one use ("key AK123 of alice"): it opens for no other.
func (v *Vault) Seal(use string, text []byte) []byte {
	r := (*v.rings.Load())[0]
	return r.aead.Seal(append([]byte(nil), r.name[:]...), nil, text, []byte(use)) //nolint:gosec // the nonce is drawn inside
}

// Open decrypts what Seal made for the same use. ErrSealed.
func (v *Vault) Open(use string, sealed []byte) ([]byte, error) {
	for _, r := range *v.rings.Load() {
		if !r.sealed(sealed) {
			continue
		}
		if text, err := r.aead.Open(nil, nil, sealed[len(r.name):], []byte(use)); err == nil {
			return text, nil
		}
	}
	return nil, ErrSealed
}

// Sealed tells whether a text was sealed with the key that seals now.
func (v *Vault) Sealed(sealed []byte) bool { return (*v.rings.Load())[0].sealed(sealed) }

func (r ring) sealed(sealed []byte) bool {
	return len(sealed) > len(r.name) && [4]byte(sealed[:4]) == r.name
}

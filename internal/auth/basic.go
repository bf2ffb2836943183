package auth

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"net/http"
	"sync/atomic"
)

// Basic proves one login by HTTP Basic. It is safe for concurrent use.
//
// A password is hashed slowly only until it has been right once. From then on
// it is recognised by a keyed hash that lives in this process alone, so that
// tools which poll do not pay for argon2id each time. A wrong password, or a
// wrong login, costs the full work always.
type Basic struct {
	login     string
	hash      string
	passwords *Passwords
	key       [32]byte // of the keyed hash, random
	known     atomic.Pointer[[32]byte]
}

// NewBasic returns a Basic for one login and its password's hash as made by
// Passwords.Hash.
func NewBasic(passwords *Passwords, login, hash string) (*Basic, error) {
	if err := checkHash(hash); err != nil {
		return nil, err
	}
	b := &Basic{login: login, hash: hash, passwords: passwords}
	rand.Read(b.key[:])
	return b, nil
}

// CheckBasic verifies the HTTP Basic credentials of a request. An unknown
// login takes as long as a wrong password. While many check at once it waits
// its turn; a request that ends meanwhile is refused.
func (b *Basic) CheckBasic(r *http.Request) (login string, ok bool) {
	user, password, ok := r.BasicAuth()
	if !ok {
		return "", false
	}
	sum := b.mac(password)
	right := subtle.ConstantTimeCompare([]byte(user), []byte(b.login)) == 1
	if known := b.known.Load(); right && known != nil && hmac.Equal(sum[:], known[:]) {
		return b.login, true
	}
	match, err := b.passwords.Check(r.Context(), password, b.hash)
	if err != nil || !match || !right {
		return "", false
	}
	b.known.Store(&sum)
	return b.login, true
}

func (b *Basic) mac(password string) [32]byte {
	h := hmac.New(sha256.New, b.key[:])
	h.Write([]byte(password))
	return [32]byte(h.Sum(nil))
}

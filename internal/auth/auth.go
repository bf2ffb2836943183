package auth

import (
	"context"
	"crypto/subtle"
	"fmt"
	"time"

	"github.com/s3mirror/s3mirror/internal/sigv4"
)

// Identity is who sent a request.
type Identity struct {
	Login       string
	AccessKeyID string // the key that signed; empty when something else proved the identity
	User        *User  // what he may do; shared, not to be changed

	Session string    // of a token; empty when something else proved the identity
	Expires time.Time // of that token
}

// RootUser is the built-in user as others see him. He has no limits, and
// nothing that is stored can give him any.
func RootUser() *User {
	return &User{Login: RootLogin, Role: RoleAdmin, Scopes: []Scope{ScopeRead, ScopeWrite}, Active: true}
}

// Keys finds who has an access key. It is safe for concurrent use.
type Keys interface {
	// Secret returns the secret of an access key and whose it is. ErrNoKey when
	// there is no such key, or it opens nothing any more; any other error means
	// that the answer is not known now.
	Secret(ctx context.Context, accessKeyID string) (sigv4.Secret, Identity, error)
	// Used notes that the key has proved its owner's identity.
	Used(accessKeyID string)
}

// Root knows the one access key of the built-in user. An empty key or secret
// is nobody's: it does not mean that anyone may come in.
func Root(accessKeyID string, secret sigv4.Secret) Keys {
	return &rootKey{accessKeyID, secret, RootUser()}
}

// rootKey is used by pointer, so that it shows no secret inside of a struct
// that is printed.
type rootKey struct {
	accessKeyID string
	secret      sigv4.Secret
	user        *User
}

// Format shows whose key it is, whatever the verb.
func (k *rootKey) Format(f fmt.State, _ rune) { fmt.Fprint(f, "key of "+RootLogin) }

func (k *rootKey) Secret(_ context.Context, accessKeyID string) (sigv4.Secret, Identity, error) {
	same := subtle.ConstantTimeCompare([]byte(accessKeyID), []byte(k.accessKeyID)) == 1
	if !same || k.accessKeyID == "" || k.secret == "" {
		return "", Identity{}, ErrNoKey
	}
	return k.secret, Identity{Login: RootLogin, AccessKeyID: accessKeyID, User: k.user}, nil
}

func (k *rootKey) Used(string) {}

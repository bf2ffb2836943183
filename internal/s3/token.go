package s3

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
)

// TokenKey authenticates continuation tokens. It is derived from the
// deployment's secret key, so every node opens every node's tokens.
type TokenKey [32]byte

// NewTokenKey derives the key from the deployment's 32-byte secret.
func NewTokenKey(secret []byte) TokenKey {
	m := hmac.New(sha256.New, secret)
	m.Write([]byte("s3mirror list token v1"))
	return TokenKey(m.Sum(nil))
}

// TokenScope is what a token belongs to: it is worth nothing in another bucket
// or with another prefix or delimiter.
type TokenScope struct{ Bucket, Prefix, Delimiter string }

const (
	tokenFormat = 1
	tokenMAC    = 16
)

// SealToken makes the token that resumes a list behind after, the last key or
// common prefix that was sent. It hides nothing: the client has just seen after.
func (k TokenKey) SealToken(scope TokenScope, after string) string {
	b := make([]byte, 0, 1+len(after)+tokenMAC)
	b = append(b, tokenFormat)
	b = append(b, after...)
	b = append(b, k.mac(scope, after)...)
	return base64.RawURLEncoding.EncodeToString(b)
}

// OpenToken returns what SealToken was given. A token that is malformed, of
// another scope or of another deployment is InvalidArgument.
func (k TokenKey) OpenToken(scope TokenScope, token string) (after string, err error) {
	b, err := base64.RawURLEncoding.Strict().DecodeString(token)
	if err != nil || len(b) < 1+tokenMAC || b[0] != tokenFormat {
		return "", badToken(token)
	}
	after = string(b[1 : len(b)-tokenMAC])
	if !hmac.Equal(b[len(b)-tokenMAC:], k.mac(scope, after)) {
		return "", badToken(token)
	}
	return after, nil
}

func badToken(token string) *Error {
	return invalidArgument("continuation-token", token, "The continuation token provided is incorrect")
}

// mac covers every part with its length, so that no two scopes run together.
func (k TokenKey) mac(scope TokenScope, after string) []byte {
	m := hmac.New(sha256.New, k[:])
	for _, s := range []string{scope.Bucket, scope.Prefix, scope.Delimiter, after} {
		var n [8]byte
		binary.BigEndian.PutUint64(n[:], uint64(len(s)))
		m.Write(n[:])
		m.Write([]byte(s))
	}
	return m.Sum(nil)[:tokenMAC]
}

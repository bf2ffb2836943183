package auth

import (
	"errors"
	"net/http"
	"strings"

	"github.com/s3mirror/s3mirror/internal/s3"
	"github.com/s3mirror/s3mirror/internal/sigv4"
)

// Bare tells whether a request brings no credentials of any kind, and nothing that only
// goes with them. One that brings a part of them is never anonymous.
func Bare(r *http.Request) bool { return sigv4.Bare(r) }

// BareForm is Bare for the fields of a browser's form, by their lower-case names.
func BareForm(fields map[string]string) bool { return sigv4.BareForm(fields) }

// Anonymous is a request of nobody in particular, which Authorize judges like every other.
// The error is what is wrong with the framing of its body, to be told once he may do what he
// asks for; the request is whole but for that.
func Anonymous(h http.Header) (*Verified, error) {
	who := Identity{Login: AnonymousLogin, User: &User{Login: AnonymousLogin, Role: RoleUser, Active: true}}
	payload := strings.Join(h.Values("X-Amz-Content-Sha256"), ",")
	mode, sum := sigv4.Unsigned, [32]byte{}
	var err error
	if payload != "" {
		mode, sum, err = sigv4.ParseMode(payload)
	}
	var refusal *sigv4.Error
	switch {
	case mode.ChunksSigned(), errors.As(err, &refusal) && refusal.Code == string(s3.NotImplemented): // of SigV4A
		mode = sigv4.Unsigned
		err = s3.Errorf(s3.InvalidRequest, "Anonymous requests don't support this x-amz-content-sha256 value. Please use UNSIGNED-PAYLOAD or STREAMING-UNSIGNED-PAYLOAD-TRAILER.")
	default:
		err = nil // what is no hash at all is not the body's
	}
	return &Verified{Identity: who, Mode: mode, request: sigv4.Plain(mode, payload, sum)}, err
}

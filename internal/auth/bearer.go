package auth

import (
	"errors"
	"fmt"
	"net/http"
	"strings"

	"github.com/s3mirror/s3mirror/internal/s3"
	"github.com/s3mirror/s3mirror/internal/sigv4"
)

// bearer returns the token of the request's Authorization header. Of several
// headers none is looked at here: sigv4 refuses them.
func bearer(r *http.Request) (token string, ok bool) {
	values := r.Header.Values("Authorization")
	if len(values) != 1 {
		return "", false
	}
	scheme, token, ok := strings.Cut(values[0], " ")
	return token, ok && strings.EqualFold(scheme, "Bearer")
}

// verifyBearer proves a request by its token. The token covers no part of the
// request, so nothing of it is framed or hashed but what the client says of his
// own accord: the body is plain, and its hash is checked if he gives one.
func (v *Verifier) verifyBearer(r *http.Request, token string) (*Verified, error) {
	if sigv4.InQuery(r) {
		return nil, s3.Errorf(s3.InvalidRequest, "Only one auth mechanism allowed: a bearer token, or the parameters of a presigned URL.")
	}
	q := &sigv4.Request{Mode: sigv4.Unsigned}
	if payload := r.Header.Values("X-Amz-Content-Sha256"); len(payload) > 0 {
		var err error
		if q.Mode, q.PayloadSum, err = sigv4.ParseMode(strings.Join(payload, ",")); err != nil {
			return nil, asS3(err)
		}
		if q.Mode.Chunked() {
			return nil, s3.Errorf(s3.InvalidRequest, "A request with a bearer token has a plain body: leave x-amz-content-sha256 out, or give the hash of the body.")
		}
	}
	who, err := v.bearers.Bearer(r.Context(), token)
	switch {
	case errors.Is(err, ErrToken):
		return nil, s3.Err(s3.Unauthorized).Because(err)
	case err != nil:
		return nil, s3.Err(s3.InternalError).Because(fmt.Errorf("look up bearer token: %w", err))
	}
	return &Verified{Identity: who, Mode: q.Mode, request: q}, nil
}

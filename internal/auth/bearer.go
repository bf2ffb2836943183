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

// verifyBearer proves a request by its token, once what is wrong with the
// request itself was told.
func (v *Verifier) verifyBearer(r *http.Request, token string) (*Verified, error) {
	if sigv4.InQuery(r) {
		return nil, s3.Errorf(s3.InvalidRequest, "Only one auth mechanism allowed: a bearer token, or the parameters of a presigned URL.")
	}
	verified, err := unsigned(Identity{}, r.Header)
	if err != nil {
		return nil, err
	}
	who, err := v.bearers.Bearer(r.Context(), token)
	switch {
	case errors.Is(err, ErrToken):
		return nil, s3.Err(s3.Unauthorized).Because(err)
	case err != nil:
		return nil, s3.Err(s3.InternalError).Because(fmt.Errorf("look up bearer token: %w", err))
	}
	verified.Identity = who
	return verified, nil
}

package auth

import (
	"net/http"
	"net/netip"
	"strings"

	"github.com/s3mirror/s3mirror/internal/s3"
	"github.com/s3mirror/s3mirror/internal/sigv4"
)

// Caller is who asks, as another face than that of S3 has proved him.
type Caller struct {
	Identity
	Client  netip.Addr // where he is
	Secure  bool       // he came by TLS
	Request string     // id of his request
}

// Verified is what Verifier.Verify would return had the caller come to the face
// of S3 with a bearer token: his proof covers nothing of the request.
// InvalidRequest for a body in chunks that carry signatures.
func (c Caller) Verified(h http.Header) (*Verified, error) { return unsigned(c.Identity, h) }

// unsigned is a request whose sender's proof covers no part of it. Nothing of it
// is framed or hashed but what the client says of his own accord: the body is plain,
// and its hash is checked if he gives one.
func unsigned(who Identity, h http.Header) (*Verified, error) {
	q := &sigv4.Request{Mode: sigv4.Unsigned}
	if payload := h.Values("X-Amz-Content-Sha256"); len(payload) > 0 {
		var err error
		if q.Mode, q.PayloadSum, err = sigv4.ParseMode(strings.Join(payload, ",")); err != nil {
			return nil, asS3(err)
		}
		if q.Mode.Chunked() {
			return nil, s3.Errorf(s3.InvalidRequest, "A request with a bearer token has a plain body: leave x-amz-content-sha256 out, or give the hash of the body.")
		}
	}
	return &Verified{Identity: who, Mode: q.Mode, request: q}, nil
}

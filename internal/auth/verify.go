package auth

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"time"

	"github.com/s3mirror/s3mirror/internal/s3"
	"github.com/s3mirror/s3mirror/internal/sigv4"
)

// standIn takes the place of the secret of an unknown access key, so that it takes
// as long to refuse as a wrong signature of a known one.
const standIn sigv4.Secret = "an access key that does not exist"

// Bearers knows whom a bearer token speaks for. It is safe for concurrent use.
type Bearers interface {
	// Bearer returns ErrToken for a token that is no good; any other error means
	// that the answer is not known now.
	Bearer(ctx context.Context, token string) (Identity, error)
}

// Temporaries knows temporary keys, of which all is in their session token. It is
// safe for concurrent use.
type Temporaries interface {
	// Temporary returns the secret of the key and whose it is. ErrToken for a session
	// token that is not the key's, ErrExpired for one that was; any other error means
	// that the answer is not known now.
	Temporary(ctx context.Context, accessKeyID, sessionToken string) (sigv4.Secret, Identity, error)
}

// Verifier proves who sent a request. It is safe for concurrent use.
type Verifier struct {
	keys        Keys
	bearers     Bearers     // nil: no token is taken
	temporaries Temporaries // nil: no session token is taken
	v2          bool        // Signature Version 2 is taken
	domains     []string
	ring        *sigv4.Keyring
	now         func() time.Time
}

// NewVerifier returns a Verifier that looks keys up in keys and takes the time
// from now.
func NewVerifier(keys Keys, now func() time.Time) *Verifier {
	return &Verifier{keys: keys, ring: sigv4.NewKeyring(standIn), now: now}
}

// WithBearers returns a Verifier that takes tokens too; and the keys that were
// given for them, if b knows any.
func (v *Verifier) WithBearers(b Bearers) *Verifier {
	with := *v
	with.bearers = b
	with.temporaries, _ = b.(Temporaries)
	return &with
}

// WithV2 returns a Verifier that takes Signature Version 2 too: presigned URLs,
// headers and forms. domains are the names below which a bucket may stand in the
// Host, which that signature covers as a part of the path.
func (v *Verifier) WithV2(domains []string) *Verifier {
	with := *v
	with.v2, with.domains = true, domains
	return &with
}

// Knows tells whether a login or an access key exists.
func (v *Verifier) Knows(ctx context.Context, principal string) (bool, error) {
	if users, ok := v.keys.(interface {
		User(ctx context.Context, login string) (*User, error)
	}); ok && (CheckLogin(principal) == nil || principal == RootLogin) {
		switch _, err := users.User(ctx, principal); {
		case err == nil:
			return true, nil
		case !errors.Is(err, ErrNoUser):
			return false, s3.Err(s3.InternalError).Because(fmt.Errorf("look up login: %w", err))
		}
	}
	switch _, _, err := v.keys.Secret(ctx, principal); {
	case err == nil:
		return true, nil
	case !errors.Is(err, ErrNoKey):
		return false, s3.Err(s3.InternalError).Because(fmt.Errorf("look up access key: %w", err))
	}
	return false, nil
}

// parse reads the credentials of a request of either version.
func (v *Verifier) parse(r *http.Request) (*sigv4.Request, error) {
	if v.v2 && sigv4.IsV2(r) {
		bucket, _ := s3.HostBucket(r.Host, v.domains)
		return sigv4.ParseV2(r, bucket, v.now())
	}
	return sigv4.Parse(r, v.now())
}

// VerifyForm is Verify for a browser's form, whose fields hold the credentials,
// by their lower-case names. What is proved is who signed the policy; what it
// allows is the caller's question. The body of what is returned is that of the
// request which it is given, unsigned.
func (v *Verifier) VerifyForm(ctx context.Context, fields map[string]string) (*Verified, error) {
	q, err := sigv4.ParseForm(fields, v.v2, v.now())
	if err != nil {
		return nil, asS3(err)
	}
	return v.prove(ctx, q)
}

// Claims tells whether a request brings credentials where all but browsers' forms
// have them, be they any good or not.
func Claims(r *http.Request) bool {
	return len(r.Header.Values("Authorization")) > 0 || sigv4.InQuery(r)
}

// Verify proves the signature of a received request, in its Authorization
// header or in its query, or the bearer token in its Authorization header: one of
// them, never two. It reads neither the body
// nor anything of the URL but the raw request target, so it comes before
// routing. Errors are *s3.Error:
//
//	AccessDenied                  no credentials; unsigned x-amz-* headers; no date;
//	                              a presigned URL that has expired or is not valid yet
//	InvalidAccessKeyId            nobody has the key
//	SignatureDoesNotMatch         with what the client needs to find out why
//	RequestTimeTooSkewed          more than 15 minutes off
//	AuthorizationHeaderMalformed, AuthorizationQueryParametersError,
//	InvalidArgument, InvalidRequest, InvalidURI
//	InvalidToken, ExpiredToken    a session token that is not, or not any more, the key's
//	Unauthorized                  a bearer token that is no good
//	NotImplemented                SigV4A
//	InternalError                 the keys cannot be read now
func (v *Verifier) Verify(r *http.Request) (*Verified, error) {
	if token, ok := bearer(r); ok && v.bearers != nil {
		return v.verifyBearer(r, token)
	}
	q, err := v.parse(r)
	if err != nil {
		return nil, asS3(err)
	}
	return v.prove(r.Context(), q)
}

// prove looks the key up and compares.
func (v *Verifier) prove(ctx context.Context, q *sigv4.Request) (*Verified, error) {
	if q.SessionToken != "" { // S3 looks at it before the signature, whose key it decides
		return v.verifyTemporary(ctx, q)
	}
	secret, who, err := v.keys.Secret(ctx, q.AccessKeyID)
	switch {
	case errors.Is(err, ErrNoKey):
		_ = v.ring.Verify(q, standIn) // the same work; the verdict does not matter
		return nil, s3.Err(s3.InvalidAccessKeyID).With("AWSAccessKeyId", q.AccessKeyID).Because(err)
	case err != nil:
		return nil, s3.Err(s3.InternalError).Because(fmt.Errorf("look up access key: %w", err))
	}
	if err := v.ring.Verify(q, secret); err != nil {
		return nil, asS3(err)
	}
	v.keys.Used(q.AccessKeyID)
	return &Verified{Identity: who, Mode: q.Mode, request: q}, nil
}

// verifyTemporary proves a request that a temporary key signed.
func (v *Verifier) verifyTemporary(ctx context.Context, q *sigv4.Request) (*Verified, error) {
	if v.temporaries == nil {
		return nil, s3.Err(s3.InvalidToken)
	}
	secret, who, err := v.temporaries.Temporary(ctx, q.AccessKeyID, q.SessionToken)
	switch {
	case errors.Is(err, ErrExpired):
		return nil, s3.Err(s3.ExpiredToken).Because(err)
	case errors.Is(err, ErrToken):
		return nil, s3.Err(s3.InvalidToken).Because(err)
	case err != nil:
		return nil, s3.Err(s3.InternalError).Because(fmt.Errorf("look up session token: %w", err))
	}
	if err := v.ring.Verify(q, secret); err != nil {
		var refusal *sigv4.Error
		if errors.As(err, &refusal) { // it would show the session token
			delete(refusal.Fields, "CanonicalRequest")
			delete(refusal.Fields, "CanonicalRequestBytes")
		}
		return nil, asS3(err)
	}
	return &Verified{Identity: who, Mode: q.Mode, request: q}, nil
}

// Verified is a request whose sender is proved. Its body is not yet: read it
// through Body or Document.
type Verified struct {
	Identity
	Mode sigv4.Mode // how the body is framed

	request *sigv4.Request
}

// Format shows the identity only, whatever the verb.
func (v *Verified) Format(f fmt.State, _ rune) { fmt.Fprint(f, "request of "+v.Login) }

// asS3 is a refusal of sigv4 as the error of the S3 API; anything else is an
// error of ours.
func asS3(err error) *s3.Error {
	var refusal *sigv4.Error
	if !errors.As(err, &refusal) {
		return s3.Err(s3.InternalError).Because(err)
	}
	out := &s3.Error{Code: s3.Code(refusal.Code), Message: refusal.Message, Err: refusal.Err}
	for _, name := range slices.Sorted(maps.Keys(refusal.Fields)) {
		out = out.With(name, refusal.Fields[name])
	}
	return out
}

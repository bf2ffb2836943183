package auth_test

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/s3mirror/s3mirror/internal/auth"
	"github.com/s3mirror/s3mirror/internal/s3"
	"github.com/s3mirror/s3mirror/internal/sigv4"
)

// bearers knows one token.
type bearers struct{ err error }

func (b bearers) Bearer(_ context.Context, token string) (auth.Identity, error) {
	if b.err != nil {
		return auth.Identity{}, b.err
	}
	if token != "good" {
		return auth.Identity{}, fmt.Errorf("%w: not that one", auth.ErrToken)
	}
	u := alice()
	return auth.Identity{Login: u.Login, User: &u, Session: "s"}, nil
}

func tokenRequest(t *testing.T, body string, headers ...string) *http.Request {
	t.Helper()
	r := &http.Request{Method: "PUT", Host: "s3.test", Header: http.Header{"Authorization": {"Bearer good"}}}
	for i := 0; i < len(headers); i += 2 {
		r.Header.Add(headers[i], headers[i+1])
	}
	return receive(t, r, []byte(body), len(body))
}

func bearerVerifier() *auth.Verifier { return rootVerifier().WithBearers(bearers{}) }

func TestBearer(t *testing.T) {
	sum := sha256.Sum256([]byte("hello"))
	for name, headers := range map[string][]string{
		"plain":       nil,
		"unsigned":    {"X-Amz-Content-Sha256", "UNSIGNED-PAYLOAD"},
		"hash":        {"X-Amz-Content-Sha256", hex.EncodeToString(sum[:])},
		"Content-MD5": {"Content-Md5", md5Of([]byte("hello"))},
		"checksum":    {"X-Amz-Checksum-Crc32c", checksumOf("crc32c", []byte("hello"))},
	} {
		r := tokenRequest(t, "hello", headers...)
		v, err := bearerVerifier().Verify(r)
		if err != nil || v.Login != "alice" || v.User.Login != "alice" || v.AccessKeyID != "" || v.Session != "s" {
			t.Errorf("%s: %v, %v", name, v, err)
			continue
		}
		b, err := v.Body(r)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if got, err := io.ReadAll(b); err != nil || string(got) != "hello" {
			t.Errorf("%s: %q, %v", name, got, err)
		}
	}
	r := tokenRequest(t, "<x/>")
	v, err := bearerVerifier().Verify(r)
	if err != nil {
		t.Fatal(err)
	}
	if got, err := v.Document(r, 100); err != nil || string(got) != "<x/>" {
		t.Errorf("document %q, %v", got, err)
	}
}

// TestBearerBodies: what the client says of the body is checked.
func TestBearerBodies(t *testing.T) {
	for name, tc := range map[string]struct {
		headers []string
		want    s3.Code
	}{
		"hash":     {[]string{"X-Amz-Content-Sha256", strings.Repeat("0", 64)}, s3.XAmzContentSHA256Mismatch},
		"MD5":      {[]string{"Content-Md5", md5Of([]byte("other"))}, s3.BadDigest},
		"checksum": {[]string{"X-Amz-Checksum-Crc32c", checksumOf("crc32c", []byte("other"))}, s3.BadDigest},
	} {
		r := tokenRequest(t, "hello", tc.headers...)
		v, err := bearerVerifier().Verify(r)
		if err != nil {
			t.Fatal(err)
		}
		b, err := v.Body(r)
		if err == nil {
			_, err = io.ReadAll(b)
		}
		if !errors.Is(err, tc.want) {
			t.Errorf("%s: %v, want %s", name, err, tc.want)
		}
	}
}

func TestBearerRefuses(t *testing.T) {
	for name, tc := range map[string]struct {
		change func(r *http.Request)
		want   s3.Code
	}{
		"other token":      {func(r *http.Request) { r.Header.Set("Authorization", "Bearer bad") }, s3.Unauthorized},
		"empty token":      {func(r *http.Request) { r.Header.Set("Authorization", "Bearer ") }, s3.Unauthorized},
		"two spaces":       {func(r *http.Request) { r.Header.Set("Authorization", "Bearer  good") }, s3.Unauthorized},
		"no token":         {func(r *http.Request) { r.Header.Set("Authorization", "Bearer") }, s3.InvalidArgument},
		"Basic":            {func(r *http.Request) { r.Header.Set("Authorization", "Basic good") }, s3.InvalidArgument},
		"two headers":      {func(r *http.Request) { r.Header.Add("Authorization", "Bearer good") }, s3.InvalidRequest},
		"with a signature": {func(r *http.Request) { r.Header.Add("Authorization", "AWS4-HMAC-SHA256 Credential=x") }, s3.InvalidRequest},
		"and a presigned":  {func(r *http.Request) { r.RequestURI += "?X-Amz-Signature=0" }, s3.InvalidRequest},
		"and version 2":    {func(r *http.Request) { r.RequestURI += "?AWSAccessKeyId=a&Signature=b&Expires=1" }, s3.InvalidRequest},
		"and an expiry":    {func(r *http.Request) { r.RequestURI += "?x=1&x-amz-expires=1" }, s3.InvalidRequest},
		"chunks":           {func(r *http.Request) { r.Header.Set("X-Amz-Content-Sha256", sigv4.Signed.String()) }, s3.InvalidRequest},
		"chunks, trailer":  {func(r *http.Request) { r.Header.Set("X-Amz-Content-Sha256", sigv4.UnsignedTrailer.String()) }, s3.InvalidRequest},
		"mode of tomorrow": {func(r *http.Request) { r.Header.Set("X-Amz-Content-Sha256", "STREAMING-2") }, s3.InvalidArgument},
		"two modes": {func(r *http.Request) {
			r.Header["X-Amz-Content-Sha256"] = []string{"UNSIGNED-PAYLOAD", "UNSIGNED-PAYLOAD"}
		}, s3.InvalidArgument},
		"an empty mode": {func(r *http.Request) { r.Header.Set("X-Amz-Content-Sha256", "") }, s3.InvalidArgument},
		"mode of SigV4A": {func(r *http.Request) {
			r.Header.Set("X-Amz-Content-Sha256", "STREAMING-AWS4-ECDSA-P256-SHA256-PAYLOAD")
		}, s3.NotImplemented},
	} {
		r := tokenRequest(t, "")
		tc.change(r)
		if v, err := bearerVerifier().Verify(r); v != nil || code(t, err) != tc.want {
			t.Errorf("%s: %v, %v, want %s", name, v, err, tc.want)
		}
	}
	if _, err := rootVerifier().Verify(tokenRequest(t, "")); code(t, err) != s3.InvalidArgument {
		t.Errorf("where no token is taken: %v", err)
	}
	down := errors.New("log is down")
	if _, err := rootVerifier().WithBearers(bearers{down}).Verify(tokenRequest(t, "")); code(t, err) != s3.InternalError || !errors.Is(err, down) {
		t.Errorf("got %v", err)
	}
	if v, err := bearerVerifier().Verify(get(t, testKey, testSecret, testTime, nil)); err != nil || v.Login != auth.RootLogin {
		t.Errorf("a signature beside: %v, %v", v, err)
	}
}

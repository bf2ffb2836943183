package auth_test

import (
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/s3mirror/s3mirror/internal/auth"
	"github.com/s3mirror/s3mirror/internal/s3"
	"github.com/s3mirror/s3mirror/internal/sigv4"
)

// get is a signed request without body.
func get(t testing.TB, key string, secret sigv4.Secret, at time.Time, headers map[string]string) *http.Request {
	t.Helper()
	r := &http.Request{Method: "GET", Host: "s3.test", Header: http.Header{}}
	for name, value := range headers {
		r.Header.Set(name, value)
	}
	sigv4.NewSigner(key, secret, "any-region").Sign(r, "/b/k", "", sigv4.EmptySHA256, at)
	return receive(t, r, nil, -1)
}

func TestVerify(t *testing.T) {
	v, err := rootVerifier().Verify(get(t, testKey, testSecret, testTime, nil))
	if err != nil {
		t.Fatal(err)
	}
	if v.Login != "root" || v.AccessKeyID != testKey || v.User.Login != "root" || v.Mode != sigv4.Literal {
		t.Errorf("got %+v, mode %v", v.Identity, v.Mode)
	}
}

func TestVerifyRefuses(t *testing.T) {
	broken := func(change func(r *http.Request)) *http.Request {
		r := get(t, testKey, testSecret, testTime, nil)
		change(r)
		return r
	}
	header := func(name, value string) *http.Request {
		return broken(func(r *http.Request) { r.Header.Set(name, value) })
	}
	for _, tc := range []struct {
		name   string
		r      *http.Request
		code   s3.Code
		status int
	}{
		{"no credentials", broken(func(r *http.Request) { r.Header.Del("Authorization") }), s3.AccessDenied, 403},
		{"unknown key", get(t, "AKOTHER", testSecret, testTime, nil), s3.InvalidAccessKeyID, 403},
		{"unknown key that begins like ours", get(t, testKey+"x", testSecret, testTime, nil), s3.InvalidAccessKeyID, 403},
		{"wrong secret", get(t, testKey, testSecret+"x", testTime, nil), s3.SignatureDoesNotMatch, 403},
		{"empty secret", get(t, testKey, "", testTime, nil), s3.SignatureDoesNotMatch, 403},
		{"old", get(t, testKey, testSecret, testTime.Add(-time.Hour), nil), s3.RequestTimeTooSkewed, 403},
		{"session token", get(t, testKey, testSecret, testTime, map[string]string{"X-Amz-Security-Token": "t"}), s3.InvalidToken, 400},
		{"session token, wrong secret", get(t, testKey, "x", testTime, map[string]string{"X-Amz-Security-Token": "t"}), s3.InvalidToken, 400},
		{"session token added to a URL", broken(func(r *http.Request) {
			r.Header.Del("Authorization")
			r.Header.Del("X-Amz-Date")
			r.Header.Del("X-Amz-Content-Sha256")
			q := sigv4.NewSigner(testKey, testSecret, "eu").Presign(&http.Request{Method: "GET", Host: "s3.test", Header: http.Header{}}, "/b/k", "", time.Minute, testTime)
			r.RequestURI = "/b/k?" + q + "&X-Amz-Security-Token=t"
		}), s3.InvalidToken, 400},
		{"header added on the way", header("X-Amz-Copy-Source", "b/secret"), s3.AccessDenied, 403},
		{"no date", broken(func(r *http.Request) { r.Header.Del("X-Amz-Date") }), s3.AccessDenied, 403},
		{"no payload hash", broken(func(r *http.Request) { r.Header.Del("X-Amz-Content-Sha256") }), s3.InvalidRequest, 400},
		{"payload mode of tomorrow", header("X-Amz-Content-Sha256", "STREAMING-UNSIGNED-PAYLOAD-2"), s3.InvalidArgument, 400},
		{"payload mode of SigV4A", header("X-Amz-Content-Sha256", "STREAMING-AWS4-ECDSA-P256-SHA256-PAYLOAD"), s3.NotImplemented, 501},
		{"broken header", header("Authorization", "AWS4-HMAC-SHA256 x,y,z"), s3.AuthorizationHeaderMalformed, 400},
		{"bearer token", header("Authorization", "Bearer abc"), s3.InvalidArgument, 400},
		{"version 2", header("Authorization", "AWS a:b"), s3.InvalidRequest, 400},
		{"a presigned URL of nothing but a signature", broken(func(r *http.Request) { r.Header.Del("Authorization"); r.RequestURI += "?X-Amz-Signature=0" }), s3.AuthorizationQueryParametersError, 400},
		{"presigned and header", broken(func(r *http.Request) { r.RequestURI += "?X-Amz-Signature=0" }), s3.InvalidRequest, 400},
		{"two headers", broken(func(r *http.Request) { r.Header.Add("Authorization", r.Header.Get("Authorization")) }), s3.InvalidRequest, 400},
		{"broken target", broken(func(r *http.Request) { r.RequestURI = "/%" }), s3.InvalidURI, 400},
		{"other path", broken(func(r *http.Request) { r.RequestURI = "/b/k2" }), s3.SignatureDoesNotMatch, 403},
	} {
		t.Run(tc.name, func(t *testing.T) {
			v, err := rootVerifier().Verify(tc.r)
			if v != nil || code(t, err) != tc.code || code(t, err).Status() != tc.status {
				t.Errorf("got %v, want %s", err, tc.code)
			}
		})
	}
}

func TestRefusalsExplainThemselves(t *testing.T) {
	var e *s3.Error
	_, err := rootVerifier().Verify(get(t, testKey, "wrong", testTime, nil))
	if !errors.As(err, &e) || e.Field("AWSAccessKeyId") != testKey || !strings.HasPrefix(e.Field("CanonicalRequest"), "GET\n/b/k\n") || e.Field("StringToSign") == "" {
		t.Errorf("wrong signature: %+v", e)
	}
	_, err = rootVerifier().Verify(get(t, "AKOTHER", testSecret, testTime, nil))
	if !errors.As(err, &e) || e.Field("AWSAccessKeyId") != "AKOTHER" || e.Field("StringToSign") != "" {
		t.Errorf("unknown key: %+v", e)
	}
}

func TestKeysThatFail(t *testing.T) {
	down := errors.New("store is down")
	keys := keysFunc(func(string) (sigv4.Secret, auth.Identity, error) { return "", auth.Identity{}, down })
	_, err := auth.NewVerifier(keys, testNow).Verify(get(t, testKey, testSecret, testTime, nil))
	if code(t, err) != s3.InternalError || !errors.Is(err, down) {
		t.Errorf("got %v", err)
	}
}

func TestKeysAreAskedForTheKey(t *testing.T) {
	keys := keysFunc(func(id string) (sigv4.Secret, auth.Identity, error) {
		if id != "team/ann" {
			return "", auth.Identity{}, fmt.Errorf("wrapped: %w", auth.ErrNoKey)
		}
		return "s", auth.Identity{Login: "ann", AccessKeyID: id}, nil
	})
	v, err := auth.NewVerifier(keys, testNow).Verify(get(t, "team/ann", "s", testTime, nil))
	if err != nil || v.Login != "ann" || v.AccessKeyID != "team/ann" {
		t.Errorf("got %+v, %v", v, err)
	}
	if _, err := auth.NewVerifier(keys, testNow).Verify(get(t, "team/bob", "s", testTime, nil)); code(t, err) != s3.InvalidAccessKeyID {
		t.Errorf("got %v", err)
	}
}

func TestEmptyRootIsNobody(t *testing.T) {
	for _, keys := range []auth.Keys{auth.Root("", ""), auth.Root("", "s"), auth.Root(testKey, "")} {
		for _, id := range []string{"", testKey} {
			if _, _, err := keys.Secret(t.Context(), id); !errors.Is(err, auth.ErrNoKey) {
				t.Errorf("%q: %v", id, err)
			}
		}
	}
}

func TestNothingPrintsTheSecret(t *testing.T) {
	v := rootVerifier()
	verified, err := v.Verify(get(t, testKey, testSecret, testTime, nil))
	if err != nil {
		t.Fatal(err)
	}
	keys := auth.Root(testKey, testSecret)
	nested := struct{ v, k, d any }{v, keys, verified}
	if got := fmt.Sprintf("%v %+v %#v %v %+v %#v %v %+v %#v %v", v, v, v, verified, verified, verified, keys, keys, keys, nested); strings.Contains(got, string(testSecret)) {
		t.Errorf("the secret shows in %s", got)
	}
}

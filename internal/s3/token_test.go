package s3

import (
	"encoding/base64"
	"strings"
	"testing"
)

var testKey = NewTokenKey([]byte("0123456789abcdef0123456789abcdef"))

func TestTokenIsBound(t *testing.T) {
	scope := TokenScope{Bucket: "photos", Prefix: "a/", Delimiter: "/"}
	token := testKey.SealToken(scope, "a/b\x01 \u00e9")
	if after, err := testKey.OpenToken(scope, token); err != nil || after != "a/b\x01 \u00e9" {
		t.Fatalf("%q, %v", after, err)
	}
	for name, other := range map[string]TokenScope{
		"bucket":    {"photoz", "a/", "/"},
		"prefix":    {"photos", "a", "/"},
		"delimiter": {"photos", "a/", ""},
		"shifted":   {"photosa/", "", "/"},
	} {
		if _, err := testKey.OpenToken(other, token); codeOf(err) != InvalidArgument {
			t.Errorf("another %s: %v", name, err)
		}
	}
	if _, err := NewTokenKey([]byte("another")).OpenToken(scope, token); codeOf(err) != InvalidArgument {
		t.Errorf("another deployment: %v", err)
	}
}

func TestTokenIsRefused(t *testing.T) {
	raw, _ := base64.RawURLEncoding.DecodeString(testKey.SealToken(TokenScope{}, "k"))
	flipped := func(i int) string {
		b := append([]byte(nil), raw...)
		b[i] ^= 1
		return base64.RawURLEncoding.EncodeToString(b)
	}
	bad := []string{"", "garbage!", "AAAA", base64.RawURLEncoding.EncodeToString(raw[:len(raw)-1]),
		base64.URLEncoding.EncodeToString(raw[:16])}
	for i := range raw {
		bad = append(bad, flipped(i))
	}
	for _, token := range bad {
		_, err := testKey.OpenToken(TokenScope{}, token)
		if codeOf(err) != InvalidArgument || !strings.Contains(err.Error(), "The continuation token provided is incorrect") {
			t.Errorf("%q: %v", token, err)
		}
	}
}

func FuzzToken(f *testing.F) {
	f.Add("photos", "a/", "/", "a/b", "x")
	f.Add("", "", "", "\x00\xff", "AQ")
	f.Fuzz(func(t *testing.T, bucket, prefix, delimiter, after, junk string) {
		scope := TokenScope{bucket, prefix, delimiter}
		token := testKey.SealToken(scope, after)
		if got, err := testKey.OpenToken(scope, token); err != nil || got != after {
			t.Fatalf("%q: %q, %v", after, got, err)
		}
		if junk == token {
			return
		}
		if got, err := testKey.OpenToken(scope, junk); err == nil {
			t.Fatalf("forged token %q opens as %q", junk, got)
		}
		if strings.Trim(token, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_") != "" {
			t.Fatalf("token %q needs escaping", token)
		}
	})
}

package main

import (
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/s3mirror/s3mirror/internal/auth/authtest"
	"github.com/s3mirror/s3mirror/internal/memory"
)

// TestIssuersOfTheConfiguration are trusted as it says, and follow no redirect.
func TestIssuersOfTheConfiguration(t *testing.T) {
	issuer := authtest.NewIssuer(t)
	redirect := httptest.NewServer(http.RedirectHandler(issuer.URL, http.StatusFound))
	defer redirect.Close()
	cfg := defaultConfig()
	cfg.Issuers = []IssuerConfig{
		{Issuer: "https://a", Audience: []string{"s3"}, JWKSURL: issuer.URL, Claims: ClaimsConfig{Scopes: "scope"}},
		{Issuer: "https://b", Audience: []string{"s3"}, JWKSURL: redirect.URL, Claims: ClaimsConfig{Scopes: "scope"}},
	}
	cfg.setDefaults()
	issuers, err := openIssuers(&cfg)
	if err != nil {
		t.Fatal(err)
	}
	_, logins := testUsers(t, memory.NewLog())
	logins.Trust(issuers...)
	for name, want := range map[string]bool{"https://a": true, "https://b": false} {
		token := issuer.Token(t, "ed", "EdDSA", nil, authtest.Claims(name, "s3", map[string]any{"scope": "read"}))
		if who, err := logins.Bearer(t.Context(), token); (err == nil) != want {
			t.Errorf("%s: %+v, %v", name, who, err)
		}
	}
	cfg.Issuers[0].CAFile = "testdata/none"
	if _, err := openIssuers(&cfg); err == nil {
		t.Error("a file of certificates that is not there")
	}
}

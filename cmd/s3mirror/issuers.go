package main

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/s3mirror/s3mirror/internal/auth"
)

// validateIssuers looks at what can be known of issuers without asking them.
func validateIssuers(c *Config, bad report) {
	seen := map[string]bool{auth.OwnIssuer: true}
	for i, issuer := range c.Issuers {
		at := fmt.Sprintf("issuers[%d]", i)
		switch {
		case issuer.Issuer == "":
			bad(at+".issuer", "is required")
		case seen[issuer.Issuer]:
			bad(at+".issuer", "%q is the name of an earlier issuer too, or of s3mirror itself", issuer.Issuer)
		}
		seen[issuer.Issuer] = true
		if len(issuer.Audience) == 0 || slices.Contains(issuer.Audience, "") {
			bad(at+".audience", "is required: a token for another service must not open this one")
		}
		if u, err := url.Parse(issuer.JWKSURL); err != nil || u.Host == "" || u.User != nil || u.Fragment != "" || u.Scheme != "https" && (u.Scheme != "http" || !onThisHost(u.Hostname())) {
			bad(at+".jwks_url", "%q is not a URL of https, nor one of http on this host", issuer.JWKSURL)
		}
		for _, a := range issuer.Algorithms {
			if !slices.Contains(auth.Algorithms(), a) {
				bad(at+".algorithms", "%q: want some of %s", a, strings.Join(auth.Algorithms(), ", "))
			}
		}
		if issuer.Claims.Scopes == "" && (issuer.Claims.Role != "" || issuer.Claims.Buckets != "") {
			bad(at+".claims.scopes", "is needed beside the other claims of users who are not stored")
		}
		for word, our := range issuer.Words {
			if !slices.Contains([]string{"read", "write", "admin"}, our) {
				bad(at+".words."+word, "%q: want read, write or admin", our)
			}
		}
		if _, err := trusted(issuer.CAFile); err != nil {
			bad(at+".ca_file", "%v", err)
		}
	}
}

func onThisHost(name string) bool {
	ip := net.ParseIP(name)
	return name == "localhost" || ip != nil && ip.IsLoopback()
}

// trusted are the certificates of a PEM file; nil: the system's.
func trusted(file string) (*x509.CertPool, error) {
	if file == "" {
		return nil, nil
	}
	pem, err := readBounded(file, 1<<20)
	if err != nil {
		return nil, err
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(pem) {
		return nil, fmt.Errorf("%s holds no certificate in PEM form", file)
	}
	return pool, nil
}

var errIssuerRedirects = errors.New("it redirects, which is not followed")

// openIssuers makes those of the configuration. None is asked before a token is of it.
func openIssuers(c *Config) ([]*auth.Issuer, error) {
	var out []*auth.Issuer
	for _, i := range c.Issuers {
		roots, err := trusted(i.CAFile)
		if err != nil {
			return nil, err
		}
		out = append(out, auth.NewIssuer(auth.IssuerOptions{
			ID: i.Issuer, Audience: i.Audience, KeySet: i.JWKSURL, Algorithms: i.Algorithms, MaxLife: time.Duration(i.MaxLife),
			Login: i.Claims.Login, Scopes: i.Claims.Scopes, Role: i.Claims.Role, Buckets: i.Claims.Buckets, Words: i.Words, Now: time.Now,
			HTTP: &http.Client{
				CheckRedirect: func(*http.Request, []*http.Request) error { return errIssuerRedirects },
				Transport: &http.Transport{
					Proxy: http.ProxyFromEnvironment, DisableKeepAlives: true, // once in minutes
					TLSClientConfig:        &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12},
					MaxResponseHeaderBytes: 64 << 10, ForceAttemptHTTP2: true,
				},
			},
		}))
	}
	return out, nil
}

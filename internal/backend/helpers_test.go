package backend_test

import (
	"context"
	"net/http"
	"net/url"
	"testing"
	"time"
)

type ctx = context.Context

var bg = context.Background()

// timeOf is when the request was signed.
func timeOf(t *testing.T, r *http.Request) time.Time {
	t.Helper()
	at, err := time.Parse("20060102T150405Z", r.Header.Get("X-Amz-Date"))
	if err != nil {
		t.Error(err)
	}
	return at
}

// endpointOf is a plain endpoint.
func endpointOf(host string) *url.URL { return &url.URL{Scheme: "http", Host: host} }

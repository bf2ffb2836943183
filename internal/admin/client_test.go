package admin_test

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"reflect"
	"strings"
	"testing"

	"github.com/s3mirror/s3mirror/internal/admin"
)

func TestClientGetsWhatTheServerHas(t *testing.T) {
	f := newFixture(t)
	f.status = admin.Status{Node: "n1", Converged: true, Backends: []admin.BackendStatus{{Name: "eu-1", State: admin.Up}}}
	f.backends = f.status.Backends
	f.lag = admin.Lag{Converged: true, Backends: []admin.BackendLag{{
		Name: "eu-1", State: admin.Up,
		Buckets: []admin.BucketLag{{Bucket: "b", Lagging: admin.Backlog{Keys: 1}}},
	}}}
	f.client.BaseURL += "/" // a slash too many does no harm

	status, err := f.client.Status(t.Context())
	if err != nil || !reflect.DeepEqual(status, f.status) {
		t.Errorf("status %+v %v", status, err)
	}
	backends, err := f.client.Backends(t.Context())
	if err != nil || !reflect.DeepEqual(backends, f.backends) {
		t.Errorf("backends %+v %v", backends, err)
	}
	lag, err := f.client.Lag(t.Context())
	if err != nil || !reflect.DeepEqual(lag, f.lag) {
		t.Errorf("lag %+v %v", lag, err)
	}
	if s, err := f.client.Switch(t.Context(), "eu-1", false); err != nil || s.On || f.demo["eu-1"] {
		t.Errorf("off: %+v %v", s, err)
	}
	if s, err := f.client.Switch(t.Context(), "eu-1", true); err != nil || !s.On || !f.demo["eu-1"] {
		t.Errorf("on: %+v %v", s, err)
	}
}

func TestClientTellsWhatWentWrong(t *testing.T) {
	f := newFixture(t)
	f.client.Password = "wrong"
	_, err := f.client.Status(t.Context())
	var p *admin.Problem
	if !errors.As(err, &p) || p.Status != http.StatusUnauthorized || !strings.Contains(err.Error(), "wrong") {
		t.Errorf("got %v", err)
	}

	f.client.BaseURL = "http://127.0.0.1:1"
	if _, err := f.client.Status(t.Context()); err == nil {
		t.Error("nothing listens, and no error")
	}
	f.client.BaseURL = "http://[::1"
	if _, err := f.client.Status(t.Context()); err == nil {
		t.Error("no URL, and no error")
	}
}

// Strangers on the address: another server, a proxy, a redirect.
func TestClientIsNotTakenInByAnotherServer(t *testing.T) {
	cases := map[string]struct {
		answer http.HandlerFunc
		want   string
	}{
		"html": {func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "text/html")
			_, _ = w.Write([]byte("<html>"))
		}, "not the admin API"},
		"truncated": {func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "application/json")
			_, _ = w.Write([]byte(`{"version":`))
		}, "read the answer"},
		"cut": {func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Length", "100")
			w.WriteHeader(http.StatusOK)
		}, "read the answer"},
		"proxy error": {func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusBadGateway) }, "502 Bad Gateway"},
		"redirect": {func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, "http://example.org/", http.StatusFound)
		}, "redirects"},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			server := httptest.NewServer(c.answer)
			defer server.Close()
			_, err := (&admin.Client{BaseURL: server.URL}).Status(t.Context())
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("got %v, want %q in it", err, c.want)
			}
		})
	}
}

func TestClientPrefersTheToken(t *testing.T) {
	var got string
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		got = r.Header.Get("Authorization")
		w.Header().Set("Content-Type", "application/json")
		_, _ = w.Write([]byte(`{}`))
	}))
	defer server.Close()
	if _, err := (&admin.Client{BaseURL: server.URL, User: "root", Token: func(context.Context) (string, error) { return "abc", nil }}).Status(t.Context()); err != nil || got != "Bearer abc" {
		t.Errorf("%q %v", got, err)
	}
}

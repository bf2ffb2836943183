package gateway

import (
	"errors"
	"net/http"
	"net/netip"
	"testing"

	"github.com/s3mirror/s3mirror/internal/auth"
	"github.com/s3mirror/s3mirror/internal/s3"
)

// TestRefusalsAreTold: every limit has its words, and the cause stays for the
// log.
func TestRefusalsAreTold(t *testing.T) {
	reasons := map[auth.Reason]bool{}
	for _, name := range s3.Operations() {
		for _, u := range []*auth.User{
			nil, {Login: "a", Active: true}, {Login: "a", Active: true, Scopes: []auth.Scope{auth.ScopeRead, auth.ScopeWrite}},
			{Login: "a", Active: true, AllowedIPs: []netip.Prefix{netip.MustParsePrefix("192.0.2.0/24")}},
			{Login: "a", Active: true, Scopes: []auth.Scope{auth.ScopeRead, auth.ScopeWrite}, AllowedBuckets: []auth.Place{{Bucket: "photos"}}},
			{Login: "a", Active: true, Scopes: []auth.Scope{auth.ScopeRead, auth.ScopeWrite}, AllowedBuckets: []auth.Place{{Bucket: "others"}}},
			{Login: "a", Active: true, Scopes: []auth.Scope{auth.ScopeRead, auth.ScopeWrite}, AllowedExtensions: []string{"txt"}},
		} {
			r := &request{Request: &http.Request{}, op: &s3.Operation{Name: name, Bucket: "photos", Key: "k"}, sender: &auth.Verified{Identity: auth.Identity{User: u}}}
			err := r.authorize()
			if err == nil {
				continue
			}
			var denial *auth.Denial
			var told *s3.Error
			if !errors.As(err, &denial) || !errors.As(err, &told) || told.Code != s3.AccessDenied || told.Message != "Access Denied: "+denial.Reason.Text()+"." {
				t.Fatalf("%s: %v", name, err)
			}
			reasons[denial.Reason] = true
		}
	}
	if len(reasons) != 8 {
		t.Errorf("met %v", reasons)
	}
	for reason := range reasons {
		if reason.Text() == "" {
			t.Errorf("%s is told in no words", reason)
		}
	}
}

// TestPermit: the second half of a request whose keys come in the body.
func TestPermit(t *testing.T) {
	u := &auth.User{
		Login: "a", Active: true, Scopes: []auth.Scope{auth.ScopeWrite}, AllowedExtensions: []string{"txt"},
		AllowedBuckets: []auth.Place{{Bucket: "photos", Prefix: "a/"}},
	}
	r := &request{Request: &http.Request{}, op: &s3.Operation{Name: s3.DeleteObjects, Bucket: "photos"}, sender: &auth.Verified{Identity: auth.Identity{User: u}}}
	if err := r.authorize(); err != nil {
		t.Error(err)
	}
	for key, ok := range map[string]bool{"a/k.txt": true, "b/k.txt": false, "a/k.exe": false, "": true} {
		if err := r.permit(key); (err == nil) != ok {
			t.Errorf("%q: %v", key, err)
		}
	}
}

// TestActsAreTheImplementedOperations: the dialect and the gateway agree on
// what is done.
func TestActsAreTheImplementedOperations(t *testing.T) {
	implemented := s3.ImplementedOperations()
	for _, name := range implemented {
		if acts[name] == nil {
			t.Errorf("%s has no act", name)
		}
	}
	if len(acts) != len(implemented) {
		t.Errorf("%d acts for %d operations", len(acts), len(implemented))
	}
}

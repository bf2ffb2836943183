package gateway

import (
	"context"
	"errors"
	"net/http"
	"net/netip"
	"testing"

	"github.com/s3mirror/s3mirror/internal/auth"
	"github.com/s3mirror/s3mirror/internal/s3"
)

// ruled are replicas of which one bucket, "closed", has a policy.
type ruled struct{ Replicas }

func (ruled) GlanceSetting(_ context.Context, bucket, setting string) (string, bool, error) {
	switch {
	case bucket == "closed" && setting == settingPolicy:
		return `{"Statement":{"Effect":"Deny","Principal":"*","Action":"s3:*","Resource":["arn:aws:s3:::closed","arn:aws:s3:::closed/*"]}}`, true, nil
	case bucket == "broken":
		return "{", true, nil
	case bucket == "away":
		return "", false, s3.Err(s3.SlowDown)
	}
	return "", false, s3.Err(s3.NoSuchBucket)
}

// TestRefusalsAreTold: every limit has its words, and the cause stays for the
// log.
func TestRefusalsAreTold(t *testing.T) {
	h := &Handler{Options: Options{Replicas: ruled{}}}
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
			err := h.authorize(r)
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
	h := &Handler{Options: Options{Replicas: ruled{}}}
	if err := h.authorize(r); err != nil {
		t.Error(err)
	}
	for key, ok := range map[string]bool{"a/k.txt": true, "b/k.txt": false, "a/k.exe": false, "": true} {
		if err := h.permit(r, key); (err == nil) != ok {
			t.Errorf("%q: %v", key, err)
		}
	}
}

// TestPoliciesAreAsked: a bucket's policy denies; one that cannot be read now lets nobody
// through but root.
func TestPoliciesAreAsked(t *testing.T) {
	h := &Handler{Options: Options{Replicas: ruled{}}}
	ask := func(u *auth.User, name s3.OperationName, bucket string) error {
		r := &request{
			Request: &http.Request{Header: http.Header{"X-Amz-Copy-Source": {"closed/k"}}}, op: &s3.Operation{Name: name, Bucket: bucket, Key: "k"},
			sender: &auth.Verified{Identity: auth.Identity{User: u}},
		}
		return h.authorize(r)
	}
	ann := &auth.User{Login: "ann", Active: true, Scopes: []auth.Scope{auth.ScopeRead, auth.ScopeWrite}}
	root := &auth.User{Login: auth.RootLogin}
	for _, c := range []struct {
		name   s3.OperationName
		bucket string
		want   error
	}{
		{s3.GetObject, "closed", s3.AccessDenied}, {s3.GetObject, "closed", s3.AccessDenied}, // parsed, and remembered
		{s3.CopyObject, "open", s3.AccessDenied}, // from it
		{s3.GetObject, "open", nil}, {s3.GetObject, "broken", s3.InternalError}, {s3.GetObject, "away", s3.SlowDown},
	} {
		err := ask(ann, c.name, c.bucket)
		if c.want == nil && err != nil || c.want != nil && !errors.Is(err, c.want) {
			t.Errorf("%s of %s: %v, want %v", c.name, c.bucket, err, c.want)
		}
		if err := ask(root, c.name, c.bucket); err != nil {
			t.Errorf("root: %s of %s: %v", c.name, c.bucket, err)
		}
	}
	var denial *auth.Denial
	if err := ask(ann, s3.GetObject, "closed"); !errors.As(err, &denial) || denial.Reason != auth.ReasonPolicy {
		t.Errorf("%v", err)
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

package gateway

import (
	"context"
	"errors"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/s3mirror/s3mirror/internal/auth"
	"github.com/s3mirror/s3mirror/internal/s3"
)

// settingPolicy is kept as the very bytes that the client sent, as S3 does.
const settingPolicy = "policy"

// policies are those that were parsed, by bucket. A bucket that is gone stays until there
// are too many.
type policies struct {
	mu     sync.Mutex // guards what follows
	parsed map[string]parsedPolicy
}

type parsedPolicy struct {
	document string
	policy   *auth.BucketPolicy
}

// mostPolicies bounds what is kept, of up to auth.MaxPolicyBytes each.
const mostPolicies = 1000

// rule puts the policies of the buckets that the request is about into the access. Root is
// held to none. A policy that cannot be read now lets nobody else through.
func (h *Handler) rule(ctx context.Context, r *request, u *auth.User, a *auth.Access) (err error) {
	if u == nil || u.Login == auth.RootLogin || a.Bucket == "" {
		return nil
	}
	if a.Policy, err = h.policy(ctx, a.Bucket); err != nil {
		return err
	}
	if a.Source.Bucket != "" {
		if a.SourcePolicy, err = h.policy(ctx, a.Source.Bucket); err != nil {
			return err
		}
	}
	if a.Policy != nil || a.SourcePolicy != nil {
		a.Facts = r
	}
	if u.Anonymous() && a.Policy != nil {
		block, _, err := h.Replicas.GlanceSetting(ctx, a.Bucket, settingPublicAccess)
		if err != nil {
			return err
		}
		a.Restricted = s3.PublicAccessBlocks(block, s3.RestrictPublicBuckets)
	}
	return nil
}

// policy is a bucket's; nil: it has none, or there is no such bucket.
func (h *Handler) policy(ctx context.Context, bucket string) (*auth.BucketPolicy, error) {
	document, ok, err := h.Replicas.GlanceSetting(ctx, bucket, settingPolicy)
	switch {
	case errors.Is(err, s3.NoSuchBucket):
		return nil, nil //nolint:nilnil // the operation tells it in its own words
	case err != nil || !ok:
		return nil, err
	}
	h.policies.mu.Lock()
	defer h.policies.mu.Unlock()
	if known, ok := h.policies.parsed[bucket]; ok && known.document == document {
		return known.policy, nil
	}
	policy, err := auth.ParseBucketPolicy([]byte(document), bucket, known)
	if err != nil {
		return nil, s3.Err(s3.InternalError).Because(errors.Join(errors.New("the policy that was kept"), err))
	}
	if h.policies.parsed == nil || len(h.policies.parsed) >= mostPolicies {
		h.policies.parsed = map[string]parsedPolicy{}
	}
	h.policies.parsed[bucket] = parsedPolicy{document, policy}
	return policy, nil
}

// known takes every principal of a policy that was taken once: whoever is gone since then
// is nobody.
func known(string) (bool, error) { return true, nil }

// Fact implements auth.Facts.
func (r *request) Fact(name string) string {
	switch name {
	case "securetransport":
		return strconv.FormatBool(r.secure)
	case "currenttime":
		return r.start.UTC().Format(time.RFC3339)
	case "epochtime":
		return strconv.FormatInt(r.start.Unix(), 10)
	case "useragent":
		return r.Header.Get("User-Agent")
	case "referer":
		return r.Header.Get("Referer")
	case "versionid":
		return r.op.Query.Get("versionId")
	case "delimiter", "max-keys":
		return r.op.Query.Get(name)
	}
	if r.form != nil {
		if name == "x-amz-acl" {
			return r.form["acl"]
		}
		if name == "x-amz-tagging" {
			return r.form["tagging"]
		}
		return r.form[name]
	}
	if value := r.Header.Get(name); value != "" || !strings.HasPrefix(name, "x-amz-") {
		return value
	}
	for _, p := range r.op.Query { // of a presigned URL
		if strings.EqualFold(p.Name, name) {
			return p.Value
		}
	}
	return ""
}

func (h *Handler) getPolicy(w http.ResponseWriter, r *request) error {
	document, err := h.policyDocument(r)
	if err != nil {
		return err
	}
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Content-Length", strconv.Itoa(len(document)))
	w.WriteHeader(http.StatusOK)
	_, err = w.Write([]byte(document)) //nolint:gosec // JSON, which the bucket's administrator wrote
	return err
}

// policyDocument is the bucket's policy as it was sent. NoSuchBucketPolicy.
func (h *Handler) policyDocument(r *request) (string, error) {
	if err := h.Replicas.HeadBucket(r.Context(), r.op.Bucket); err != nil {
		return "", err
	}
	document, ok, err := h.Replicas.BucketSetting(r.Context(), r.op.Bucket, settingPolicy)
	if err == nil && !ok {
		err = s3.Err(s3.NoSuchBucketPolicy).With("BucketName", r.op.Bucket)
	}
	return document, err
}

func (h *Handler) policyStatus(w http.ResponseWriter, r *request) error {
	document, err := h.policyDocument(r)
	if err != nil {
		return err
	}
	policy, err := auth.ParseBucketPolicy([]byte(document), r.op.Bucket, known)
	if err != nil {
		return s3.Err(s3.InternalError).Because(err)
	}
	s3.WriteXML(w, s3.PolicyStatusDocument(policy.Public()))
	return nil
}

// putPolicy takes a policy that means something, and one for everybody only where the
// bucket's public access block lets it.
func (h *Handler) putPolicy(w http.ResponseWriter, r *request) error {
	if err := h.Replicas.HeadBucket(r.Context(), r.op.Bucket); err != nil {
		return err
	}
	body, err := r.sender.Document(r.Request, auth.MaxPolicyBytes)
	if err != nil {
		return err
	}
	policy, err := auth.ParseBucketPolicy(body, r.op.Bucket, func(principal string) (bool, error) {
		return h.Verifier.Knows(r.Context(), principal)
	})
	if err != nil {
		return err
	}
	if policy.Public() {
		block, err := h.setting(r, settingPublicAccess)
		if err != nil {
			return err
		}
		if s3.PublicAccessBlocks(block, s3.BlockPublicPolicy) {
			return s3.Errorf(s3.AccessDenied, "Access Denied: the bucket's public access block refuses policies for everybody.")
		}
	}
	document := string(body)
	if err := h.Replicas.SetBucketSetting(r.Context(), r.op.Bucket, settingPolicy, &document, r.actor(), r.id); err != nil {
		return err
	}
	return empty(w, http.StatusNoContent)
}

//go:build e2e

package e2e

import (
	"fmt"
	"strings"
	"testing"

	"github.com/s3mirror/s3mirror/test/e2e/harness"
	"github.com/s3mirror/s3mirror/test/e2e/wire"
)

// openToAll lets everybody read below a/ of the bucket, and write below in/; the rest is
// nobody's, and what is below a/shut/ is denied to all.
const openToAll = `{"Statement": [
  {"Effect": "Allow", "Principal": "*", "Action": "s3:GetObject", "Resource": "arn:aws:s3:::proof/a/*"},
  {"Effect": "Allow", "Principal": {"AWS": "*"}, "Action": "s3:PutObject", "Resource": "arn:aws:s3:::proof/in/*"},
  {"Effect": "Deny", "Principal": "*", "Action": "s3:*", "Resource": "arn:aws:s3:::proof/a/shut/*"}]}`

// bare sends what asks for something without any credentials.
func (s *security) bare(t *testing.T, a ask) wire.Answer {
	t.Helper()
	r := a.request(s)
	return s.exchange(t, a.method, wire.Message{Head: r.Head(), Body: []byte(a.body)})
}

// anonymous: without credentials everything is refused, until a policy says otherwise of that
// very thing; and a request with a part of its signature is not one without.
func (s *security) anonymous(t *testing.T) {
	const name = "without credentials"
	get := func(path, query string) ask { return ask{method: "GET", path: path, query: query} }
	policy := func(method, query, body string, want int) {
		t.Helper()
		if a, err := s.g.Client.Do(t.Context(), method, proofBucket, "", query, []byte(body)); err != nil || a.Status != want {
			t.Fatalf("%s ?%s: %v, %v", method, query, a, err)
		}
	}
	always := []struct {
		attack string
		ask    ask
		want   []string
	}{
		{"list the buckets", get("/", ""), []string{"403 AccessDenied"}},
		{"make a bucket", ask{method: "PUT", path: "/squatted"}, []string{"403 AccessDenied"}},
		{"delete a bucket", ask{method: "DELETE", path: "/private"}, []string{"403 AccessDenied"}},
		{"look whether a bucket is there", ask{method: "HEAD", path: "/private"}, []string{"403"}},
		{"a bucket that is not there", get("/nowhere/k", ""), []string{"403 AccessDenied"}},
		{"read what is private", get("/private/x", ""), []string{"403 AccessDenied"}},
		{"read beside what is open", get("/proof/b/k.txt", ""), []string{"403 AccessDenied"}},
		{"out of what is open by ..", get("/proof/a/../b/k.txt", ""), []string{"403 AccessDenied"}},
		{"out of what is open by %2F..%2F", get("/proof/a%2F..%2Fb%2Fk.txt", ""), []string{"403 AccessDenied"}},
		{"into what is denied by ..", get("/proof/a/x/../shut/k.txt", ""), []string{"403 AccessDenied"}},
		{"list", get("/proof", "list-type=2&prefix=a%2F"), []string{"403 AccessDenied"}},
		{"write over what may be read", ask{method: "PUT", path: "/proof/a/k.txt", body: "forged"}, []string{"403 AccessDenied"}},
		{"delete what may be read", ask{method: "DELETE", path: "/proof/a/k.txt"}, []string{"403 AccessDenied"}},
		{"delete many", ask{method: "POST", path: "/proof", query: "delete", body: "<Delete><Object><Key>a/k.txt</Key></Object></Delete>"}, []string{"403 AccessDenied"}},
		{"copy what may be read to where one may write", ask{method: "PUT", path: "/proof/in/k.txt", header: []wire.Field{{Name: "x-amz-copy-source", Value: "/proof/a/k.txt"}}}, []string{"403 AccessDenied"}},
		{"begin an upload where one may write", ask{method: "POST", path: "/proof/in/k.txt", query: "uploads"}, []string{"403 AccessDenied"}},
		{"read the policy", get("/proof", "policy"), []string{"403 AccessDenied"}},
		{"set a policy", ask{method: "PUT", path: "/proof", query: "policy", body: openToAll}, []string{"403 AccessDenied"}},
		{"a list for everybody", ask{method: "PUT", path: "/proof/in/k.txt", query: "acl", header: []wire.Field{{Name: "x-amz-acl", Value: "public-read"}}}, []string{"403 AccessDenied"}},
		{"an administrator's operation", ask{method: "PUT", path: "/proof", query: "tagging", body: "<Tagging/>"}, []string{"403 AccessDenied"}},
		{"a reserved key", get("/proof/a/.s3mirror/x", ""), []string{"403 AccessDenied", "404 NoSuchKey"}},
		{"an empty Authorization", ask{method: "GET", path: "/proof/a/k.txt", header: []wire.Field{{Name: "Authorization", Value: ""}}}, []string{"400 InvalidArgument"}},
		{"a token that is none", ask{method: "GET", path: "/proof/a/k.txt", header: []wire.Field{{Name: "Authorization", Value: "Bearer x"}}}, []string{"401 Unauthorized"}},
		{"the date of a signature", ask{method: "GET", path: "/proof/a/k.txt", header: []wire.Field{{Name: "x-amz-date", Value: "20260101T000000Z"}}}, []string{"403 AccessDenied"}},
		{"a session token", ask{method: "GET", path: "/proof/a/k.txt", header: []wire.Field{{Name: "x-amz-security-token", Value: "x"}}}, []string{"403 AccessDenied"}},
		{"a presigned URL without its signature", get("/proof/a/k.txt", "X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential=x&X-Amz-Expires=60"), []string{"400 AuthorizationQueryParametersError"}},
		{"a presigned URL without its algorithm", get("/proof/a/k.txt", "X-Amz-Date=20260101T000000Z"), []string{"403 AccessDenied"}},
		{"a URL of version 2 without its key", get("/proof/a/k.txt", "Signature=x&Expires=99999999999"), []string{"403 AccessDenied"}},
	}
	private := []struct {
		attack string
		ask    ask
	}{
		{"read what no policy opens", get("/proof/a/k.txt", "")},
		{"write where no policy opens", ask{method: "PUT", path: "/proof/in/k.txt", body: "forged"}},
	}
	for _, tc := range private {
		s.refused(t, name, tc.attack, s.bare(t, tc.ask).String(), "403 AccessDenied")
	}
	for _, tc := range always {
		s.refused(t, name, tc.attack, s.bare(t, tc.ask).String(), tc.want...)
	}

	policy("PUT", "policy=", openToAll, 204)
	harness.Eventually(t, "the policy is in force", func() error {
		if a := s.bare(t, private[0].ask); a.Status != 200 || string(a.Body) != "as it was" {
			return fmt.Errorf("answered %v", a)
		}
		return nil
	})
	if a := s.bare(t, private[1].ask); a.Status != 200 {
		t.Errorf("a policy lets everybody write: %v", a)
	}
	for _, tc := range always {
		s.refused(t, name+", while a policy opens a part", tc.attack, s.bare(t, tc.ask).String(), tc.want...)
	}
	for attack, tc := range map[string]struct {
		ask  ask
		want string
	}{
		"what a policy denies to all":   {get("/proof/a/shut/k.txt", ""), "403 AccessDenied"},
		"the answer's headers":          {get("/proof/a/k.txt", "response-content-type=text%2Fhtml"), "400 InvalidRequest"},
		"chunks that claim a signature": {ask{method: "PUT", path: "/proof/in/k.txt", body: "x", header: []wire.Field{{Name: "x-amz-content-sha256", Value: "STREAMING-AWS4-HMAC-SHA256-PAYLOAD"}}}, "400 InvalidRequest"},
		"a hash that is not the body's": {ask{method: "PUT", path: "/proof/in/k.txt", body: "x", header: []wire.Field{{Name: "x-amz-content-sha256", Value: strings.Repeat("0", 64)}}}, "400 XAmzContentSHA256Mismatch"},
	} {
		s.refused(t, name+", while a policy opens a part", attack, s.bare(t, tc.ask).String(), tc.want)
	}
	policy("PUT", "publicAccessBlock=", "<PublicAccessBlockConfiguration><RestrictPublicBuckets>true</RestrictPublicBuckets></PublicAccessBlockConfiguration>", 200)
	harness.Eventually(t, "the bucket is restricted", func() error {
		if a := s.bare(t, private[0].ask); a.Status != 403 {
			return fmt.Errorf("answered %v", a)
		}
		return nil
	})
	for _, tc := range private {
		s.refused(t, name+", in a bucket that RestrictPublicBuckets closes", tc.attack, s.bare(t, tc.ask).String(), "403 AccessDenied")
	}
	policy("DELETE", "publicAccessBlock=", "", 204)
	policy("DELETE", "policy=", "", 204)
	harness.Eventually(t, "the policy is gone", func() error {
		if a := s.bare(t, private[0].ask); a.Status != 403 {
			return fmt.Errorf("answered %v", a)
		}
		return nil
	})
	if a, err := s.g.Client.Delete(t.Context(), proofBucket, "in/k.txt"); err != nil || a.Status != 204 {
		t.Errorf("clean up: %v, %v", a, err)
	}
}

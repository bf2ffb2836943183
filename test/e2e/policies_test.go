//go:build e2e

package e2e

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/s3mirror/s3mirror/test/e2e/harness"
	"github.com/s3mirror/s3mirror/test/e2e/wire"
)

// bucketPolicy opens a part of the bucket to ben, who may do nothing by himself, shuts
// another one to everybody, and lets only one network delete.
const bucketPolicy = `{
  "Version": "2012-10-17",
  "Statement": [
    {"Sid": "Open", "Effect": "Allow", "Principal": {"AWS": ["arn:aws:iam::123456789012:user/ben"]},
     "Action": ["s3:GetObject", "s3:PutObject"], "Resource": "arn:aws:s3:::files/open/*"},
    {"Sid": "Show", "Effect": "Allow", "Principal": {"AWS": "ben"}, "Action": "s3:ListBucket",
     "Resource": "arn:aws:s3:::files", "Condition": {"StringLike": {"s3:prefix": "open/*"}}},
    {"Sid": "Shut", "Effect": "Deny", "Principal": "*", "Action": "s3:*", "Resource": "arn:aws:s3:::files/shut/*"},
    {"Sid": "Elsewhere", "Effect": "Deny", "Principal": "*", "Action": "s3:DeleteObject", "Resource": "arn:aws:s3:::files/*",
     "Condition": {"NotIpAddress": {"aws:SourceIp": "192.0.2.0/24"}}}
  ]
}`

// TestBucketPolicies: a policy that the aws CLI sets is in force at once, also after a
// kill -9, for whoever has a key; and not when it is removed. No backend has it.
func TestBucketPolicies(t *testing.T) {
	t.Parallel()
	aws := harness.Tool(t, "py-aws/bin/aws", "python3 with venv; then scripts/tools.sh")
	backends := harness.StartBackends(t, 2)
	g := harness.StartGateway(t, backends, harness.Options{Settle: time.Second, Lease: time.Second, Retention: 7 * time.Second})
	at := site{scheme: "http", addr: g.S3Addr, keys: g.Keys}
	createBucket(t, g.Client, "files")
	file := filepath.Join(t.TempDir(), "policy.json")
	if err := os.WriteFile(file, []byte(bucketPolicy), 0o600); err != nil {
		t.Fatal(err)
	}
	api := func(args ...string) (int, string) {
		t.Helper()
		return tryRun(t, at.env(t), "", append([]string{aws, "--endpoint-url", at.url(), "s3api"}, args...)...)
	}
	if code, out := api("put-bucket-policy", "--bucket", "files", "--policy", "file://"+file); code == 0 || !strings.Contains(out, "Invalid principal in policy") {
		t.Errorf("a policy about nobody: exit %d, %s", code, out)
	}
	who := map[string]*harness.Client{"root": g.Client, "ben": holder(t, g, "ben", "--scopes", ""), "ann": holder(t, g, "ann")}
	if code, out := api("put-bucket-policy", "--bucket", "files", "--policy", "file://"+file); code != 0 {
		t.Fatalf("exit %d, %s", code, out)
	}
	if code, out := api("get-bucket-policy", "--bucket", "files", "--query", "Policy", "--output", "text"); code != 0 || strings.TrimSpace(out) != bucketPolicy {
		t.Errorf("exit %d, %s", code, out)
	}
	if code, out := api("get-bucket-policy-status", "--bucket", "files"); code != 0 || !strings.Contains(out, `"IsPublic": false`) {
		t.Errorf("exit %d, %s", code, out)
	}
	for _, key := range []string{"open/k", "shut/k", "else/k"} {
		if a, err := g.Client.Put(t.Context(), "files", key, wire.Literal, []byte(key)); err != nil || a.Status != 200 {
			t.Fatalf("%v, %v", a, err)
		}
	}
	asked := 0
	try := func(login, method, key, query string, want int) {
		t.Helper()
		asked++
		a, err := who[login].Do(t.Context(), method, "files", key, query, nil)
		if err != nil || a.Status != want {
			t.Errorf("%s: %s %s?%s: %v, %v, want %d", login, method, key, query, a, err, want)
		}
	}
	inForce := func() {
		t.Helper()
		try("ben", "GET", "open/k", "", 200)
		try("ben", "PUT", "open/by-ben", "", 200)
		try("ben", "GET", "else/k", "", 403)
		try("ben", "DELETE", "open/by-ben", "", 403)
		try("ben", "GET", "", "list-type=2&prefix=open%2F", 200)
		try("ben", "GET", "", "list-type=2", 403)
		try("ben", "GET", "", "policy=", 403)
		try("ann", "GET", "else/k", "", 200)
		try("ann", "GET", "shut/k", "", 403)
		try("ann", "PUT", "shut/k", "", 403)
		try("ann", "DELETE", "else/k", "", 403) // she is not in that network
		try("root", "GET", "shut/k", "", 200)
	}
	inForce()
	g.Kill()
	g.Start(t)
	inForce()
	for _, b := range backends {
		if a, err := b.Client.Do(t.Context(), "GET", "files", "", "policy=", nil); err != nil || a.Code != "NoSuchBucketPolicy" {
			t.Errorf("on %s: %v, %v", b.Name, a, err)
		}
	}
	if code, out := api("delete-bucket-policy", "--bucket", "files"); code != 0 {
		t.Fatalf("exit %d, %s", code, out)
	}
	try("ben", "GET", "open/k", "", 403)
	try("ann", "GET", "shut/k", "", 200)
	try("ann", "DELETE", "else/k", "", 204)
	floor(t, "answers", int64(asked), 25)
	g.Converge(t)
	harness.RequireEqual(t, g, "files", backends...)
}

// holder makes a user, and returns a client with his key.
func holder(t *testing.T, g *harness.Gateway, login string, limits ...string) *harness.Client {
	t.Helper()
	password := filepath.Join(t.TempDir(), "password")
	if err := os.WriteFile(password, []byte("the password of "+login), 0o600); err != nil {
		t.Fatal(err)
	}
	if code, out, errs := g.CLI(t, append([]string{"user", "create", login, "--password-file", password}, limits...)...); code != 0 {
		t.Fatalf("exit %d: %s%s", code, out, errs)
	}
	code, out, errs := g.CLI(t, "key", "create", login, "--output", "json")
	var key struct {
		ID     string `json:"access_key_id"`
		Secret string `json:"secret_access_key"`
	}
	if err := json.Unmarshal([]byte(out), &key); code != 0 || err != nil {
		t.Fatalf("exit %d: %v: %s%s", code, err, out, errs)
	}
	return harness.NewClient(g.S3Addr, wire.Keys{Access: key.ID, Secret: key.Secret, Region: g.Keys.Region})
}

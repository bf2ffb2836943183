//go:build e2e

package e2e

import (
	"net/http/httptest"
	"path/filepath"
	"strconv"
	"testing"

	"github.com/s3mirror/s3mirror/internal/memory"
	"github.com/s3mirror/s3mirror/internal/sigv4"
	"github.com/s3mirror/s3mirror/test/e2e/harness"
	"github.com/s3mirror/s3mirror/test/e2e/wire"
)

// TestUploadsByBoto3 asks the same of the server in memory and of a real one, so
// that what boto3 expects is judged by both.
func TestUploadsByBoto3(t *testing.T) {
	t.Parallel()
	python := harness.Tool(t, "py-aws/bin/python", "python3 with venv; then scripts/tools.sh")
	keys := wire.Keys{Access: "access-uploads", Secret: "secret-of-uploads", Region: "us-east-1"}
	inMemory := httptest.NewServer(memory.New(memory.Options{AccessKeyID: keys.Access, SecretAccessKey: sigv4.Secret(keys.Secret)}))
	t.Cleanup(inMemory.Close)
	real := harness.StartBackend(t, "uploads", true)
	for name, server := range map[string]struct {
		endpoint string
		keys     wire.Keys
		odd      []string // what it does otherwise
	}{
		"memory":    {inMemory.URL, keys, nil},
		"versitygw": {"http://" + real.Addr, real.Keys, []string{"LENIENT_BATCHES=1"}},
	} {
		t.Run(name, func(t *testing.T) {
			env := append(site{scheme: "http", keys: server.keys}.env(t), "ENDPOINT="+server.endpoint, "BUCKET=uploads")
			env = append(env, server.odd...)
			out := run(t, env, "", python, filepath.Join(harness.Root(), "test", "clients", "boto3_uploads.py"))
			m := passed.FindStringSubmatch(out)
			if m == nil {
				t.Fatalf("boto3 says nothing of its checks:\n%s", out)
			}
			n, _ := strconv.ParseInt(m[1], 10, 64) // digits, by the pattern
			floor(t, "checks with boto3", n, 60)
		})
	}
}

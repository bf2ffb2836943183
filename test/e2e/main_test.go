//go:build e2e

package e2e

import (
	"os"
	"testing"

	"github.com/s3mirror/s3mirror/test/e2e/harness"
	"github.com/s3mirror/s3mirror/test/e2e/wire"
)

func TestMain(m *testing.M) { os.Exit(harness.Main(m)) }

// floor fails the test when it did less of something than makes it a proof.
func floor(t *testing.T, what string, got, least int64) {
	t.Helper()
	t.Logf("%-40s %6d (at least %d)", what, got, least)
	if got < least {
		t.Errorf("only %d %s, the test wants at least %d to mean anything", got, what, least)
	}
}

// createBucket makes a bucket through the gateway, which may say at first that it still
// gets to know its backends.
func createBucket(t *testing.T, c *harness.Client, bucket string) {
	t.Helper()
	a, err := until(t.Context(), "create bucket", func() (wire.Answer, error) { return c.Do(t.Context(), "PUT", bucket, "", "", nil) })
	if a.Status == 409 { // it was made all the same
		a.Status = 200
	}
	if err != nil || a.Status != 200 {
		t.Fatalf("create bucket %s: %v, %v", bucket, a, err)
	}
}

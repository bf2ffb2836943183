//go:build e2e

package e2e

import (
	"net/url"
	"testing"

	"github.com/s3mirror/s3mirror/internal/backend"
	"github.com/s3mirror/s3mirror/internal/backend/backendtest"
	"github.com/s3mirror/s3mirror/internal/object"
	"github.com/s3mirror/s3mirror/internal/sigv4"
	"github.com/s3mirror/s3mirror/test/e2e/harness"
)

// TestSuiteOnVersitygw runs the suite of the backend contract over a real
// server, so that the one in memory is not the only judge of it.
func TestSuiteOnVersitygw(t *testing.T) {
	t.Parallel()
	for name, keepAlive := range map[string]bool{"kept connections": true, "a connection for each request": false} {
		t.Run(name, func(t *testing.T) {
			b := harness.StartBackend(t, "suite", keepAlive)
			r, err := backend.NewRemote(backend.Options{
				Name: "versitygw", Endpoint: &url.URL{Scheme: "http", Host: b.Addr}, Region: b.Keys.Region,
				AccessKeyID: b.Keys.Access, SecretAccessKey: sigv4.Secret(b.Keys.Secret),
				StampKey: object.NewStampKey([]byte("0123456789abcdef0123456789abcdef")),
			})
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { r.Close() })
			backendtest.Run(t, func(*testing.T) backendtest.Target {
				return backendtest.Target{Endpoint: r, Bucket: "suite", FoldsKeys: true, NoFileAndFolder: true, SkipsUploads: true}
			})
		})
	}
}

//go:build e2e

package e2e

import (
	"fmt"
	"os"
	"runtime"
	"testing"

	"github.com/s3mirror/s3mirror/test/e2e/harness"
)

// openFiles is how many files and sockets a gateway holds.
func openFiles(t *testing.T, g *harness.Gateway) int {
	t.Helper()
	if runtime.GOOS != "linux" {
		harness.Lacking(t, "/proc", "Linux")
	}
	entries, err := os.ReadDir(fmt.Sprintf("/proc/%d/fd", g.Process().Pid()))
	if err != nil {
		t.Fatal(err)
	}
	return len(entries)
}

package auth

import (
	"flag"
	"os"
	"testing"
)

// TestMain makes passwords cheap in short mode, in which the race detector runs: it makes
// argon2id, which has nothing to race with, twenty times as dear.
func TestMain(m *testing.M) {
	flag.Parse()
	if testing.Short() {
		passwordCost.Memory, passwordCost.Iterations = 64, 1
	}
	os.Exit(m.Run())
}

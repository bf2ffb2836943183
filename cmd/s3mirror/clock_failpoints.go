//go:build failpoints

package main

import (
	"os"
	"strings"
	"time"
)

// clockVariable names a file that says by how much the node's clock is ahead of the
// machine's, as in -2s, so that a test can set it while the node runs. No build that
// ships has it.
const clockVariable = "S3MIRROR_CLOCK_FILE"

// wallClock is the node's clock; nil: the machine's.
var wallClock = clockOf(os.Getenv(clockVariable))

func clockOf(file string) func() time.Time {
	if file == "" {
		return nil
	}
	return func() time.Time {
		text, err := os.ReadFile(file) //nolint:gosec // the test's own
		if err != nil {
			panic(err)
		}
		ahead, err := time.ParseDuration(strings.TrimSpace(string(text)))
		if err != nil {
			panic(err)
		}
		return time.Now().Add(ahead)
	}
}

package harness

import (
	"testing"
	"time"
)

// Patience is how long a wait for something that must come goes on. It is far
// beyond what a healthy run on a slow machine needs.
const Patience = 2 * time.Minute

// Eventually polls until check returns nil, and fails the test with the last
// error when it never does.
func Eventually(t testing.TB, what string, check func() error) {
	t.Helper()
	if err := poll(Patience, check); err != nil {
		t.Fatalf("%s: %v", what, err)
	}
}

func poll(limit time.Duration, check func() error) error {
	pause := 10 * time.Millisecond
	for end := time.Now().Add(limit); ; {
		err := check()
		if err == nil || time.Now().After(end) {
			return err
		}
		time.Sleep(pause)
		pause = min(2*pause, 250*time.Millisecond)
	}
}

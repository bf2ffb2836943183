//go:build !linux

package replica

import "time"

var started = time.Now()

// bootTime is Go's monotonic clock. Where it stops during suspension, a lease
// may outlast a sleep: this system is for development only.
func bootTime() time.Duration { return time.Since(started) }

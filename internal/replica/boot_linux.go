package replica

import (
	"time"

	"golang.org/x/sys/unix"
)

// bootTime is the time since boot with suspensions in it, which Go's own
// monotonic clock leaves out (RELIABILITY H31): a lease must not outlast a
// laptop's sleep.
func bootTime() time.Duration {
	var t unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_BOOTTIME, &t); err != nil {
		panic("replica: CLOCK_BOOTTIME: " + err.Error()) // Linux has it since 2.6.39
	}
	return time.Duration(t.Nano())
}

package explore

import (
	"runtime"
	"syscall"
	"time"
)

// cpuTime is what the thread of the caller, which keeps it from now on, has used of
// a CPU: other tests and other programs run beside it.
func cpuTime() time.Duration {
	runtime.LockOSThread()
	const thread = 1 // RUSAGE_THREAD
	var u syscall.Rusage
	if err := syscall.Getrusage(thread, &u); err != nil {
		panic(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

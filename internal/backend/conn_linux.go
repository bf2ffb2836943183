package backend

import (
	"errors"
	"net"
	"syscall"

	"golang.org/x/sys/unix"
)

// setUserTimeout sets TCP_USER_TIMEOUT on a socket that is about to connect.
func setUserTimeout(_, _ string, c syscall.RawConn) error {
	var err error
	if cerr := c.Control(func(fd uintptr) {
		err = unix.SetsockoptInt(int(fd), unix.IPPROTO_TCP, unix.TCP_USER_TIMEOUT, int(userTimeout.Milliseconds()))
	}); cerr != nil {
		return cerr
	}
	return err
}

// prober returns conn.probe: it asks the kernel for a byte. There is one only
// when the connection is of no use any more, so nothing is lost by taking it.
func prober(c *net.TCPConn) func() bool {
	raw, err := c.SyscallConn()
	if err != nil {
		return nil
	}
	var one [1]byte
	var failure error
	try := func(fd uintptr) bool {
		_, failure = unix.Read(int(fd), one[:])
		return true // whatever it was: nothing is waited for
	}
	return func() bool {
		err := raw.Read(try)
		return err == nil && errors.Is(failure, unix.EAGAIN)
	}
}

package backend

import (
	"net"
	"testing"

	"golang.org/x/sys/unix"
)

// TestSocketOptions: what the kernel was told of a connection.
func TestSocketOptions(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	c, err := dial(t.Context(), nil, l.Addr().String(), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer c.cut()
	raw, err := c.tcp.SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	if err := raw.Control(func(fd uintptr) {
		ms, err := unix.GetsockoptInt(int(fd), unix.IPPROTO_TCP, unix.TCP_USER_TIMEOUT)
		if err != nil || ms != 10_000 {
			t.Errorf("TCP_USER_TIMEOUT is %d ms, %v", ms, err)
		}
		linger, err := unix.GetsockoptLinger(int(fd), unix.SOL_SOCKET, unix.SO_LINGER)
		if err != nil || linger.Onoff != 1 || linger.Linger != 0 {
			t.Errorf("SO_LINGER is %+v, %v", linger, err)
		}
	}); err != nil {
		t.Fatal(err)
	}
}

package backend

import (
	"errors"
	"net"
	"syscall"

	"golang.org/x/sys/unix"
)

// pipeSize is the capacity that is asked for, in bytes. Users without privileges
// may have but a number of such pipes; the kernel's default does too.
const pipeSize = 256 << 10

// pipe is a pipe of the kernel, through which bytes go from socket to socket
// without being copied. One goroutine uses it at a time.
type pipe struct {
	in, out int
	size    int64
	full    int64 // bytes in it
}

func newPipe() (*pipe, error) {
	var fds [2]int
	if err := unix.Pipe2(fds[:], unix.O_CLOEXEC|unix.O_NONBLOCK); err != nil {
		return nil, err
	}
	p := &pipe{in: fds[1], out: fds[0], size: 64 << 10}
	if n, err := unix.FcntlInt(uintptr(p.in), unix.F_SETPIPE_SZ, pipeSize); err == nil {
		p.size = int64(n)
	}
	return p, nil
}

func (p *pipe) close() {
	_ = unix.Close(p.in)
	_ = unix.Close(p.out)
}

// fill moves what src has into the empty pipe, at most max bytes, and waits until
// there is some; 0 is the end of src.
func (p *pipe) fill(src *net.TCPConn, max int64) (n int64, err error) {
	raw, err := src.SyscallConn()
	if err != nil {
		return 0, err
	}
	var failure error
	err = raw.Read(func(fd uintptr) bool {
		n, failure = splice(int(fd), p.in, min(max, p.size))
		return !errors.Is(failure, unix.EAGAIN)
	})
	if err == nil {
		err = failure
	}
	p.full += n
	return n, err
}

// drain moves n bytes out of the pipe, and tells how many dst took before it
// failed.
func (p *pipe) drain(dst *net.TCPConn, n int64) (moved int64, err error) {
	raw, err := dst.SyscallConn()
	if err != nil {
		return 0, err
	}
	var failure error
	err = raw.Write(func(fd uintptr) bool {
		for moved < n {
			var k int64
			k, failure = splice(p.out, int(fd), n-moved)
			if errors.Is(failure, unix.EAGAIN) {
				return false
			}
			if failure != nil || k == 0 {
				return true
			}
			moved += k
		}
		return true
	})
	p.full -= moved
	switch {
	case err != nil:
	case failure != nil:
		err = failure
	case moved < n:
		err = syscall.EPIPE
	}
	return moved, err
}

// splice is splice(2), again when a signal came between.
func splice(from, to int, n int64) (int64, error) {
	for {
		k, err := unix.Splice(from, nil, to, nil, int(n), unix.SPLICE_F_MOVE|unix.SPLICE_F_NONBLOCK)
		if !errors.Is(err, unix.EINTR) {
			return max(int64(k), 0), err
		}
	}
}

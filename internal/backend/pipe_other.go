//go:build !linux

package backend

import (
	"errors"
	"net"
)

// pipe is Linux's.
type pipe struct{ full int64 }

func newPipe() (*pipe, error) { return nil, errors.ErrUnsupported }

func (*pipe) close()                                   {}
func (*pipe) fill(*net.TCPConn, int64) (int64, error)  { return 0, errors.ErrUnsupported }
func (*pipe) drain(*net.TCPConn, int64) (int64, error) { return 0, errors.ErrUnsupported }

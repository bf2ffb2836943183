//go:build !linux

package backend

import (
	"net"
	"syscall"
)

// setUserTimeout does nothing: the option is Linux's. Elsewhere the keep-alive
// probes of an idle connection and the deadlines of requests have to do.
func setUserTimeout(_, _ string, _ syscall.RawConn) error { return nil }

// prober knows nothing: a connection that died while idle shows it when it is
// used.
func prober(*net.TCPConn) func() bool { return nil }

//go:build !linux

package backend

import "syscall"

// setUserTimeout does nothing: the option is Linux's. Elsewhere the keep-alive
// probes of an idle connection and the deadlines of requests have to do.
func setUserTimeout(_, _ string, _ syscall.RawConn) error { return nil }

// Package authtest holds the promises of auth.Store as tests. Run is the suite:
// every implementation, over every engine of the log, runs it. Auditor is for tests of
// who audits.
//
// It must not know any implementation, nor what users may do.
package authtest

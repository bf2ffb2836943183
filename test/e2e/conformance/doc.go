// Package conformance runs suites of others against a server directly and through
// s3mirror in front of it: whatever passes directly has to pass through it, but for what a
// table names with its reason. The tests need the build tag e2e.
package conformance

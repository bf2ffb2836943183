// Package differential compares a server with s3mirror in front of another one of the same
// make: TestDifferential by random requests, valid and slightly broken, and by what both hold
// afterwards; TestSweep by some 700 odd requests that are written down. What differs stands in
// a table, with its reason. The tests need the build tag e2e.
package differential

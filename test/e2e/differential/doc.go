// Package differential sends random requests, valid and slightly broken, to a server and to
// s3mirror in front of another one of the same make, and compares every answer and what
// both hold afterwards. The tests need the build tag e2e.
package differential

// Package memory keeps in memory what other packages keep elsewhere: an S3
// server (Server), for the demo and for tests, and an operation log (Log), for
// tests.
//
// The server is strict. It verifies each signature and each way in which a body
// can be framed, and commits nothing but a whole body that passed every check
// it was sent with; writes are atomic, reads see one version, lists are in the
// binary order of UTF-8. Its misbehaviour is a type (Faults) that can be
// changed while it runs, so that everything above it can be shown bad days.
// Nothing outlives the process.
//
// The server is a backend, not the gateway: it must not know stamps, rows or
// replicas, and it stores internal objects like any other. It shares the
// dialect (s3, sigv4) with the gateway, so tests of either use foreign clients
// too.
package memory

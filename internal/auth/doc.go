// Package auth says who sent a request and proves the body that came with it.
//
// Verify is the one way in: it turns the signature of a request into an
// Identity, or into the S3 error that the client gets. The body is read through
// what Verify returns, never from the request, so that no payload mode can reach
// a handler that does not check it: io.EOF of a Body means that the payload
// hash, the chunk signatures, Content-MD5, the checksum (header or trailer) and
// the length have all been proved, each byte hashed once per algorithm. The
// password of the admin API is checked here too.
//
// Unknown names cost the same work as known ones. Secrets are never printed.
//
// The package must not know buckets, replicas or how users are stored: whoever
// stores them implements Keys. It starts no goroutine and reads no clock but the
// one it is given.
package auth

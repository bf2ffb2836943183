// Package auth says who sent a request, proves the body that came with it, and
// says what its sender may do.
//
// Verify is the one way in: it turns the signature or the token of a request
// into an Identity, or into the S3 error that the client gets. The body is read
// through what Verify returns, never from the request, so that no payload mode can
// reach a handler that does not check it: io.EOF of a Body means that the payload
// hash, the chunk signatures, Content-MD5, the checksum (header or trailer) and
// the length have all been proved, each byte hashed once per algorithm.
//
// Authorize is the one decision, for every proof of identity, and is pure.
// Directory finds users and keys for it, never older than five seconds; Accounts
// changes them; Logins turns passwords into tokens and tokens into identities. All
// stand on a Store, the contract of whoever keeps users.
//
// Unknown names cost the same work as known ones. Secrets are never printed, and
// leave the process sealed or not at all.
//
// The package must not know buckets, replicas or how a Store keeps things. It
// starts no goroutine, but for what is run by its Run methods, and reads no clock
// but the one it is given.
package auth

// Package s3 is the dialect: what a request of the S3 API means and what an
// answer looks like. It turns a request into one Operation, headers into the
// parts of a version, conditions and ranges into verdicts, and errors and lists
// into the exact bytes that clients expect. It reads the same documents when a
// backend sends them to us.
//
// It promises that nothing is ignored in silence. A sub-resource, header or
// value that the dialect knows but the gateway does not do is NotImplemented; a
// request that could mean two things is refused; a key is the bytes that the
// client meant, decoded once and never cleaned. Routing, permission, metric
// label and log attribute all come from the one Operation.
//
// Every function is pure: no clock, no socket (but for the ResponseWriter that
// it is handed), no randomness and no state, so all of it is safe for
// concurrent use. It must not know who the client is, which signature it sent
// or which replica answers; it imports nothing of ours but object.
package s3

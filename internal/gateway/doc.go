// Package gateway is the S3 face: it turns a request of a client into calls of
// the replicas, and what they say into the answer of an S3 server.
//
// Every request runs down one chain (Handler.ServeHTTP): it is parsed once into
// one Operation, its sender is proved before anything is revealed, what is not
// implemented is refused and never half done, and everything that can fail
// without the body is asked before the first byte of the body is read, so that a
// client that waits for "100 Continue" is refused for free. Handlers return
// errors; one function writes them. A body that cannot be sent to its end is
// cut, never ended cleanly. Every connection has a deadline that moves with its
// progress, in both directions.
//
// Every answer of a Handler carries x-amz-request-id, which stands in the one
// log line of the request. What is no HTTP request at all never reaches it:
// net/http and Listen answer malformed heads, escapes and framing by themselves
// (400, or 431 for a head of more than 64 KiB, as plain text) and close the
// connection.
//
// The package must not know backends, rows or how many replicas there are. It
// decides nothing about versions: conditions are passed on, to be judged where
// the version is chosen.
package gateway

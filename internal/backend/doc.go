// Package backend is the contract of one S3 endpoint and the one S3 client of
// this program. An endpoint is reached through a stack built by Wrap: meter
// and breaker around Remote, which speaks the protocol; retries of reads
// around those; limits only for who must yield to clients.
//
// It promises to tell exactly what is known of a request that failed. Every
// error is an *Error whose Outcome says whether the request was surely not
// applied, or may have been. A mutation is sent at most once, an upload that is
// given up is cut so that no server can take what it got for the whole, and
// what is wrong between us and the endpoint (credentials, bucket, clock,
// redirects) is told apart from what is wrong with the request of a client.
//
// It must not know the log, the other endpoints, or which version of a key is
// the right one: it reports what it saw (object.Seen), never what is true.
package backend

// Package probe finds out what one S3 endpoint does, by asking it: how a body
// must be framed so that the endpoint itself refuses a damaged one, what its
// ETags are, which keys it keeps apart, what its conditions are worth and in
// which order it puts overlapping writes. Documentation and version numbers
// are not believed.
//
// The probes write small objects under a name that no client can use, in a
// bucket that is ours, and remove them. A finding that could not be made,
// because the endpoint went away, is Unknown; it is never taken for a good one.
//
// The package knows one endpoint. It must not know of replicas, rows or users.
package probe

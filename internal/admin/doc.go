// Package admin is the REST face of s3mirror and its Go client, in one package
// so that the two cannot drift apart: the handler that serves what package api
// describes, beside /healthz, /readyz, /version and /metrics, and the Client that
// the command line uses.
//
// It promises that an operation answers nobody who has not proved the role that
// its description names, that what is not described is refused, that every error
// is a problem document (RFC 9457) with a stable type and the request's id, and
// that refusals and changes are audited.
//
// It must not know backends, rows, records of users or how a state came to be: it
// asks a Source, which it declares itself, and package auth.
package admin

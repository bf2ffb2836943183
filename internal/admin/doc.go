// Package admin is the REST face of s3mirror and its Go client, in one package
// so that the two cannot drift apart: the documents both speak, the handler that
// serves them under /api/v1 beside /healthz, /readyz, /version and /metrics, and
// the Client that the command line uses.
//
// It promises that nothing but those four answers without a login, that every
// error is a problem document (RFC 9457) with a stable type and the request's
// id, and that openapi.yaml describes exactly the routes that exist.
//
// It must not know backends, rows or how a state came to be: it asks a Source,
// which it declares itself.
package admin

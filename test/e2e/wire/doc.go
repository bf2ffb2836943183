// Package wire writes S3 requests as the bytes that travel: the head with its
// Signature Version 4, and the body in each payload mode that clients use,
// whole or deliberately broken.
//
// It promises to be independent of the product: nothing here comes from
// internal/sigv4 or internal/s3, so that a misreading of the protocol on one
// side shows as a failed test and not as two errors that agree. It knows
// nothing of gateways, backends or processes.
package wire

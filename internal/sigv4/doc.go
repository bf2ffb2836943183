// Package sigv4 is the arithmetic of AWS Signature Version 4 as S3 speaks it:
// it verifies requests, signs requests, and reads and writes the chunked
// payloads whose signatures chain from the request's own.
//
// It promises that both directions share one canonical form, so what Signer
// signs Parse and Verify accept; that a signature is compared in constant time;
// that a ChunkReader says io.EOF only after every chunk, the trailer and the
// decoded length are proved and the outer body has ended; and that secrets never
// print. Names, times and bodies are taken from the raw request (RequestURI,
// header bytes), never from a cleaned or re-encoded form of it.
//
// It does no I/O of its own, keeps no clock, and knows no user, bucket,
// permission or checksum algorithm: those belong to its callers.
package sigv4

package replica

import (
	"io"

	"github.com/s3mirror/s3mirror/internal/object"
	"github.com/s3mirror/s3mirror/internal/s3"
)

// Body is the verifying body of an upload; *auth.Body is one. io.EOF from Read
// means that it is whole and that all its promises hold. It is read by the
// goroutine that called Put, and not after Put has returned.
type Body interface {
	io.Reader
	// Size is the decoded length in bytes.
	Size() int64
	// SHA256 is the literal hash that the client signed, known before the first
	// Read; ok is false when it signed none.
	SHA256() (sum [32]byte, ok bool)
	// ContentMD5 is what the client promised, nil for nothing.
	ContentMD5() []byte
	// Promised is the checksum that the client promised.
	Promised() s3.Checksum
	// ComputeMD5 and ComputeChecksum ask for hashes, before the first Read.
	ComputeMD5()
	ComputeChecksum(algorithm string)
	// Checksum, MD5 and Sum tell them after io.EOF.
	Checksum() (algorithm, value string)
	MD5() []byte
	Sum(algorithm string) string
}

// PutRequest is one PutObject.
type PutRequest struct {
	Key     object.Key
	Headers object.Headers // of the version, as s3.VersionHeaders gives them
	Body    Body
	If      s3.WriteConditions
	Actor   string // login, for the history
	Request string // request id, for the history
}

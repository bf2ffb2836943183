package backend

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"

	"github.com/s3mirror/s3mirror/internal/object"
	"github.com/s3mirror/s3mirror/internal/s3"
	"github.com/s3mirror/s3mirror/internal/sigv4"
)

// Body gives the decoded bytes of one upload to one endpoint. Several uploads
// may share what is behind it; each has a Body of its own.
//
// It is where the tail of an upload is held back: as long as Next blocks, the
// endpoint lacks data bytes and can not commit. Once Next has returned the last
// byte the upload is released. The calls for one Body never overlap.
type Body interface {
	// Next returns the bytes that follow those it returned before: at least
	// one, at most limit. The slice is valid, and not changed, until the next
	// call of Next or Sum or until Put returns. Next blocks while there is
	// nothing to give; when ctx is done it returns context.Cause(ctx) soon. Any
	// error cuts the upload. It is not called again after PutRequest.Size bytes.
	Next(ctx context.Context, limit int) ([]byte, error)

	// Sum returns the SHA-256 of the n bytes that Next will give next; it
	// blocks until they are there. Only signed chunks need it, and never for
	// more than Framing.ChunkSize bytes. One hash serves every endpoint.
	Sum(ctx context.Context, n int) ([sha256.Size]byte, error)

	// Trailer returns the checksum of the whole body, as the header of the
	// framing's algorithm has it (base64). It is called once, after the last
	// byte, and only when the framing has a trailer.
	Trailer() (string, error)
}

// Gatherer is a Body whose bytes lie in memory, so that many can be sent in one
// call, and those that are there without waiting for others.
type Gatherer interface {
	Body

	// Gather is Next for several pieces: it appends to dst, in one piece or
	// more, what follows; a call of Gather ends what pieces of before are valid
	// for. Unless wait is set it appends only what is there,
	// perhaps nothing, and does not block. Otherwise all that is said of Next
	// holds.
	Gather(ctx context.Context, limit int, wait bool, dst [][]byte) ([][]byte, error)
}

// Mode is a kind of framing; the names here are those that are ever sent.
type Mode = sigv4.Mode

// Each is one that the endpoint verifies at the end, so that an upload which is
// cut is never stored. S3 knows a plain unsigned body too; some servers store
// what they got of it.
const (
	Literal       = sigv4.Literal         // as it is, its hash signed
	Trailer       = sigv4.UnsignedTrailer // chunks, a checksum behind them
	SignedChunks  = sigv4.Signed          // chunks with a signature each
	SignedTrailer = sigv4.SignedTrailer   // both
)

// Framing says how a body travels.
type Framing struct {
	Mode Mode

	// SHA256 is the hash of the body, of Literal only. It may be left zero for
	// an empty body.
	SHA256 [sha256.Size]byte

	// Algorithm of the trailer, as of NewChecksum.
	Algorithm string

	// ChunkSize in bytes, at least 8192. 0 means the default of the mode.
	ChunkSize int
}

// Chunk sizes that were measured to be best: what is not signed may be small,
// a signature per chunk wants few chunks.
const (
	defaultChunk       = 256 << 10
	defaultSignedChunk = 1 << 20
	minChunk           = 8 << 10 // S3 refuses shorter ones, but for the last
)

// chunk returns the chunk size in force.
func (f Framing) chunk() int {
	switch {
	case f.ChunkSize != 0:
		return f.ChunkSize
	case f.Mode.ChunksSigned():
		return defaultSignedChunk
	}
	return defaultChunk
}

// trailer returns the name of the trailing header, empty for a framing without.
func (f Framing) trailer() string {
	if !f.Mode.Trailing() {
		return ""
	}
	return object.ChecksumPrefix + f.Algorithm
}

// payload is the value of x-amz-content-sha256.
func (f Framing) payload(size int64) string {
	switch {
	case f.Mode != Literal:
		return f.Mode.String()
	case size == 0:
		return emptySHA256
	}
	return hex.EncodeToString(f.SHA256[:])
}

var emptySHA256 = hexSum(nil)

func hexSum(b []byte) string {
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:])
}

// wireLength is the length of the framed body in bytes.
func (f Framing) wireLength(size int64) int64 {
	return sigv4.EncodedLength(f.Mode, size, f.chunk(), f.trailer(), s3.ChecksumLength(f.Algorithm))
}

// check refuses what must never be sent.
func (f Framing) check(size int64) error {
	switch f.Mode {
	case Literal:
		if size > 0 && f.SHA256 == [sha256.Size]byte{} {
			return fmt.Errorf("literal framing without a hash")
		}
		return nil
	case Trailer, SignedTrailer:
		if s3.ChecksumLength(f.Algorithm) == 0 {
			return fmt.Errorf("trailer algorithm %q is not known", f.Algorithm)
		}
	case SignedChunks:
	default:
		return fmt.Errorf("framing %v is not verified by endpoints", f.Mode)
	}
	if f.chunk() < minChunk {
		return fmt.Errorf("chunks of %d bytes are too short", f.chunk())
	}
	return nil
}

package sigv4

import (
	"crypto/sha256"
	"strconv"
)

// A chunked body is, in this order:
//
//	for each chunk: its header, its data, CRLF
//	the header of an empty chunk
//	the end: CRLF, or what one of the Trailer functions appends
//
// The functions below append these pieces to dst; data is never copied.

const (
	chunkSignature = ";chunk-signature="

	// CRLF follows the data of each chunk, and ends a body without trailer.
	CRLF = "\r\n"
)

// ChunkHeader appends the header of an unsigned chunk of n bytes.
func ChunkHeader(dst []byte, n int) []byte {
	dst = strconv.AppendInt(dst, int64(n), 16)
	return append(dst, CRLF...)
}

// Trailer appends the trailer of an unsigned body and the body's end.
func Trailer(dst []byte, name, value string) []byte {
	dst = append(dst, name...)
	dst = append(dst, ':')
	dst = append(dst, value...)
	return append(dst, CRLF+CRLF...)
}

// ChunkSigner frames one body in a signed mode. Signatures chain, so chunks
// must be framed in the order they are sent, each once. It is not safe for
// concurrent use.
type ChunkSigner struct{ chain }

// ChunkHeader appends the header of the next chunk: n bytes of data whose
// SHA-256 is sum. The empty chunk needs no sum. One sum serves any number of
// signers, so a body that goes to several places is hashed once.
func (c *ChunkSigner) ChunkHeader(dst []byte, n int, sum [32]byte) []byte {
	if n == 0 {
		sum = sha256.Sum256(nil)
	}
	c.chunk(sum)
	dst = strconv.AppendInt(dst, int64(n), 16)
	dst = append(dst, chunkSignature...)
	dst = append(dst, c.prev[:]...)
	return append(dst, CRLF...)
}

// Trailer appends the trailer, its signature and the body's end. It follows
// the header of the empty chunk.
func (c *ChunkSigner) Trailer(dst []byte, name, value string) []byte {
	start := len(dst)
	dst = append(dst, name...)
	dst = append(dst, ':')
	dst = append(dst, value...)
	c.trailer(append(dst, '\n')[start:])
	dst = append(dst, CRLF+trailerSignature+":"...)
	dst = append(dst, c.prev[:]...)
	return append(dst, CRLF+CRLF...)
}

// EncodedLength is the length in bytes of a body of decoded bytes, framed as
// mode demands in chunks of chunk bytes (the last may be shorter) with one
// trailer. In modes without a trailer trailerName and trailerValueLen are
// ignored; an empty trailerName stands for no trailer.
func EncodedLength(mode Mode, decoded int64, chunk int, trailerName string, trailerValueLen int) int64 {
	if !mode.Chunked() {
		return decoded
	}
	perHeader := int64(len(CRLF))
	if mode.ChunksSigned() {
		perHeader += int64(len(chunkSignature) + len(signature{}))
	}
	framed := func(n int64) int64 {
		return int64(len(strconv.FormatInt(n, 16))) + perHeader + n + int64(len(CRLF))
	}
	size := int64(chunk)
	total := decoded / size * framed(size)
	if rest := decoded % size; rest > 0 {
		total += framed(rest)
	}
	total += framed(0) // its closing CRLF is the one that ends the body
	if mode.Trailing() && trailerName != "" {
		total += int64(len(trailerName) + len(":") + trailerValueLen + len(CRLF))
		if mode == SignedTrailer {
			total += int64(len(trailerSignature) + len(":") + len(signature{}) + len(CRLF))
		}
	}
	return total
}

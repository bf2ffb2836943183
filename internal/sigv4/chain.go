package sigv4

import (
	"crypto/sha256"
	"encoding/hex"
	"hash"
)

const (
	chunkAlgorithm   = "AWS4-HMAC-SHA256-PAYLOAD"
	trailerAlgorithm = "AWS4-HMAC-SHA256-TRAILER"
	trailerSignature = "x-amz-trailer-signature"

	// EmptySHA256 is the SHA-256 of nothing, in hex.
	EmptySHA256 = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
)

// signature is a signature in its wire form, lower-case hex.
type signature [2 * sha256.Size]byte

// chain is the chain of signatures of a chunked payload: each covers the one
// before it, the first covers the request's own.
type chain struct {
	mac     hash.Hash // HMAC keyed with the signing key
	context string    // "<x-amz-date>\n<scope>\n"
	prev    signature
	text    []byte // scratch: the string to sign
}

// chunk advances the chain over a chunk of data with the given SHA-256.
func (c *chain) chunk(sum [sha256.Size]byte) {
	b := append(c.text[:0], chunkAlgorithm+"\n"...)
	b = append(b, c.context...)
	b = append(b, c.prev[:]...)
	b = append(b, "\n"+EmptySHA256+"\n"...)
	c.advance(hex.AppendEncode(b, sum[:]))
}

// trailer advances the chain over the trailer block: a line "name:value\n"
// for each trailer.
func (c *chain) trailer(block []byte) {
	sum := sha256.Sum256(block)
	b := append(c.text[:0], trailerAlgorithm+"\n"...)
	b = append(b, c.context...)
	b = append(b, c.prev[:]...)
	b = append(b, '\n')
	c.advance(hex.AppendEncode(b, sum[:]))
}

func (c *chain) advance(text []byte) {
	c.text = text
	c.mac.Reset()
	c.mac.Write(text)
	var sum [sha256.Size]byte
	hex.Encode(c.prev[:], c.mac.Sum(sum[:0]))
}

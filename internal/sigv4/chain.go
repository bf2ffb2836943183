package sigv4

import (
	"crypto/sha256"
	"encoding/hex"
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
	key            *macKey
	amzDate, scope string
	prev           signature
	mac            *signing // nil before the first use: most bodies have no chunks
	text           []byte   // scratch: the string to sign
}

// begin begins a string to sign: all of them name the day and the signature
// before.
func (c *chain) begin(algorithm string) []byte {
	b := append(c.text[:0], algorithm+"\n"...)
	b = append(b, c.amzDate...)
	b = append(b, '\n')
	b = append(b, c.scope...)
	b = append(b, '\n')
	b = append(b, c.prev[:]...)
	return append(b, '\n')
}

// chunk advances the chain over a chunk of data with the given SHA-256.
func (c *chain) chunk(sum [sha256.Size]byte) {
	b := append(c.begin(chunkAlgorithm), EmptySHA256+"\n"...)
	c.advance(hex.AppendEncode(b, sum[:]))
}

// trailer advances the chain over the trailer block: a line "name:value\n"
// for each trailer.
func (c *chain) trailer(block []byte) {
	sum := sha256.Sum256(block)
	c.advance(hex.AppendEncode(c.begin(trailerAlgorithm), sum[:]))
}

func (c *chain) advance(text []byte) {
	c.text = text
	if c.mac == nil {
		c.mac = c.key.signing()
	}
	c.prev = c.mac.of(text)
}

package sigv4

import (
	"encoding/hex"
	"fmt"
)

// Mode says how the body of a request is framed and what of it is signed: the
// meaning of the header x-amz-content-sha256.
type Mode int

// The modes of S3. Those of SigV4A are not among them.
const (
	Literal         Mode = iota // the SHA-256 of the whole body, in hex
	Unsigned                    // plain body, nothing of it signed
	UnsignedTrailer             // chunks without signatures, a checksum trailer
	Signed                      // chunks with signatures
	SignedTrailer               // chunks with signatures, a checksum trailer with its own
)

var modeNames = [...]string{
	Unsigned:        "UNSIGNED-PAYLOAD",
	UnsignedTrailer: "STREAMING-UNSIGNED-PAYLOAD-TRAILER",
	Signed:          "STREAMING-AWS4-HMAC-SHA256-PAYLOAD",
	SignedTrailer:   "STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER",
}

// String is the header value that announces the mode, ready for Signer.Sign.
// A literal hash has no fixed value; its mode prints as "literal".
func (m Mode) String() string {
	if m > Literal && int(m) < len(modeNames) {
		return modeNames[m]
	}
	return "literal"
}

// Chunked tells whether the body is in aws-chunked framing. Only the mode
// tells: some clients send no Content-Encoding with it.
func (m Mode) Chunked() bool { return m >= UnsignedTrailer }

// ChunksSigned tells whether each chunk carries a signature.
func (m Mode) ChunksSigned() bool { return m == Signed || m == SignedTrailer }

// Trailing tells whether a trailer may follow the last chunk.
func (m Mode) Trailing() bool { return m == UnsignedTrailer || m == SignedTrailer }

// ParseMode reads the value of x-amz-content-sha256. For Literal it returns
// the hash as well. SigV4A's modes are refused with NotImplemented, anything
// unknown with InvalidArgument: a mode that we do not verify is never let in.
func ParseMode(value string) (Mode, [32]byte, error) {
	var sum [32]byte
	for m := Unsigned; m <= SignedTrailer; m++ {
		if value == modeNames[m] {
			return m, sum, nil
		}
	}
	switch value {
	case "STREAMING-AWS4-ECDSA-P256-SHA256-PAYLOAD", "STREAMING-AWS4-ECDSA-P256-SHA256-PAYLOAD-TRAILER":
		return Literal, sum, &Error{
			Code:    codeNotImplemented,
			Message: fmt.Sprintf("The chunk encoding algorithm %s is not supported.", value),
		}
	}
	if len(value) == hex.EncodedLen(len(sum)) {
		if _, err := hex.Decode(sum[:], []byte(value)); err == nil {
			return Literal, sum, nil
		}
	}
	return Literal, [32]byte{}, invalidArgument("x-amz-content-sha256", value,
		"x-amz-content-sha256 must be UNSIGNED-PAYLOAD, STREAMING-UNSIGNED-PAYLOAD-TRAILER, STREAMING-AWS4-HMAC-SHA256-PAYLOAD, STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER, STREAMING-AWS4-ECDSA-P256-SHA256-PAYLOAD, STREAMING-AWS4-ECDSA-P256-SHA256-PAYLOAD-TRAILER or a valid sha256 value.")
}

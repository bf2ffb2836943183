package object

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"time"
)

// Flag says how a stored copy was written, and with it how far a reader may
// trust the upload time (RELIABILITY R20).
type Flag uint8

const (
	FlagNone      Flag = iota // no stamp: a foreign object
	FlagSmall                 // sent whole after its intent: upload time bounds the commit
	FlagStream                // sent while its place was not known yet
	FlagMultipart             // put together from parts
)

// StampHeader is the metadata header that carries the stamp on a backend.
const StampHeader = InternalPrefix + "stamp"

// Stamp is the hidden metadata of a stored copy: which write it is. Ver and
// ETag are set for small bodies only, whose place is known when they are sent.
type Stamp struct {
	ID       ID
	Flag     Flag
	Uploaded time.Time // millisecond precision
	Ver      Version
	ETag     string
}

// StampKey authenticates stamps. It is derived from the deployment's secret
// key, so that a stamp forged by someone with direct access to a backend, or
// copied from another key, counts as none.
type StampKey [32]byte

// NewStampKey derives the key from the deployment's 32-byte secret.
func NewStampKey(secret []byte) StampKey {
	m := hmac.New(sha256.New, secret)
	m.Write([]byte("s3mirror stamp v1"))
	return StampKey(m.Sum(nil))
}

const (
	stampFormat = 1
	stampFixed  = 1 + 16 + 1 + 8 + 8
	stampMAC    = 16
)

// Seal encodes the stamp for one key: base64url of the fields and a MAC over
// bucket, key and every field.
func (k StampKey) Seal(key Key, s Stamp) string {
	var room [256]byte
	b := append(room[:0], stampFormat)
	b = append(b, s.ID[:]...)
	b = append(b, byte(s.Flag))
	b = binary.BigEndian.AppendUint64(b, uint64(s.Uploaded.UnixMilli()))
	b = binary.BigEndian.AppendUint64(b, uint64(s.Ver))
	b = append(b, s.ETag...)
	sum := k.mac(key, b)
	b = append(b, sum[:]...)
	var text [256]byte
	return string(base64.RawURLEncoding.AppendEncode(text[:0], b))
}

// Open decodes and verifies a stamp that was read from key. ErrBadStamp.
func (k StampKey) Open(key Key, text string) (Stamp, error) {
	b, err := base64.RawURLEncoding.Strict().DecodeString(text)
	if err != nil || len(b) < stampFixed+stampMAC || b[0] != stampFormat {
		return Stamp{}, ErrBadStamp
	}
	body, sum := b[:len(b)-stampMAC], b[len(b)-stampMAC:]
	if want := k.mac(key, body); !hmac.Equal(sum, want[:]) {
		return Stamp{}, ErrBadStamp
	}
	var s Stamp
	copy(s.ID[:], body[1:17])
	s.Flag = Flag(body[17])
	s.Uploaded = time.UnixMilli(int64(binary.BigEndian.Uint64(body[18:26]))).UTC()
	s.Ver = Version(binary.BigEndian.Uint64(body[26:34]))
	s.ETag = string(body[stampFixed:])
	if s.Flag == FlagNone || s.Flag > FlagMultipart || s.ID.IsZero() {
		return Stamp{}, ErrBadStamp
	}
	return s, nil
}

// mac is HMAC-SHA256 (RFC 2104) without the two hashes on the heap that
// crypto/hmac makes for each: every small write seals one stamp per replica.
func (k StampKey) mac(key Key, body []byte) [stampMAC]byte {
	var room [512]byte
	b := k.pad(room[:0], 0x36)
	b = binary.BigEndian.AppendUint64(b, uint64(len(key.Bucket)))
	b = append(b, key.Bucket...)
	b = binary.BigEndian.AppendUint64(b, uint64(len(key.Name)))
	b = append(b, key.Name...)
	b = append(b, body...)
	inner := sha256.Sum256(b)
	outer := sha256.Sum256(append(k.pad(b[:0], 0x5c), inner[:]...))
	return [stampMAC]byte(outer[:])
}

// pad appends the key as a block of SHA-256, each byte mixed with x.
func (k StampKey) pad(b []byte, x byte) []byte {
	for _, c := range k {
		b = append(b, c^x)
	}
	for range sha256.BlockSize - len(k) {
		b = append(b, x)
	}
	return b
}

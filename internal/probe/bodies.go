package probe

import (
	"bytes"
	"context"
	"crypto/md5" //nolint:gosec // S3's ETag
	"crypto/sha256"
	"errors"
	"fmt"

	"github.com/s3mirror/s3mirror/internal/backend"
)

// bodySize makes two chunks of the least size that S3 allows, and some.
const (
	bodySize  = 20 << 10
	chunkSize = 8 << 10
)

// pattern is a body that no other probe writes.
func pattern(name string, n int) []byte {
	seed := sha256.Sum256([]byte(name))
	return bytes.Repeat(seed[:], n/len(seed)+1)[:n]
}

// body is a backend.Body of bytes that are all there. It may be made to lie
// about their checksum, or to break off before the last byte.
type body struct {
	data    []byte
	trailer string
	cut     bool
}

var errCut = errors.New("cut on purpose")

func (b *body) Next(_ context.Context, limit int) ([]byte, error) {
	n := min(limit, len(b.data))
	if b.cut && n == len(b.data) {
		if n--; n == 0 {
			return nil, errCut
		}
	}
	data := b.data[:n]
	b.data = b.data[n:]
	return data, nil
}

func (b *body) Sum(_ context.Context, n int) ([sha256.Size]byte, error) {
	return sha256.Sum256(b.data[:n]), nil
}

func (b *body) Trailer() (string, error) { return b.trailer, nil }

// repeated is a long body of literal framing that needs no memory: a start probes every
// backend at once, beside the first clients.
type repeated struct {
	block []byte
	left  int
}

// repeat returns a body of n bytes, a multiple of the block's, and its MD5.
func repeat(block []byte, n int) (*repeated, backend.Framing, [md5.Size]byte) {
	whole, sum := sha256.New(), md5.New() //nolint:gosec // S3's ETag
	for range n / len(block) {
		whole.Write(block)
		sum.Write(block)
	}
	return &repeated{block, n}, backend.Framing{Mode: backend.Literal, SHA256: [sha256.Size]byte(whole.Sum(nil))}, [md5.Size]byte(sum.Sum(nil))
}

// Next implements backend.Body. It may begin at any place of the block.
func (b *repeated) Next(_ context.Context, limit int) ([]byte, error) {
	at := (len(b.block) - b.left%len(b.block)) % len(b.block)
	n := min(limit, len(b.block)-at, b.left)
	b.left -= n
	return b.block[at : at+n], nil
}

// Sum is never asked: only signed chunks need it.
func (*repeated) Sum(context.Context, int) (sum [sha256.Size]byte, err error) {
	return sum, errLiteral
}

// Trailer is never asked.
func (*repeated) Trailer() (string, error) { return "", errLiteral }

var errLiteral = errors.New("the body is sent in literal framing")

// mode is a way to send a body, and to send it wrong.
type mode struct {
	name   string
	right  func(data []byte) (*body, backend.Framing)
	forged func(ctx context.Context, key string, data []byte) error // nil: it was refused
}

var errTaken = errors.New("was taken")

func (r *runner) literal(ctx context.Context) (Result, string) {
	right := func(data []byte) (*body, backend.Framing) {
		return &body{data: data}, backend.Framing{Mode: backend.Literal, SHA256: sha256.Sum256(data)}
	}
	return r.mode(ctx, mode{"literal", right, func(ctx context.Context, key string, data []byte) error {
		b, f := right(data)
		f.SHA256 = sha256.Sum256([]byte("something else"))
		return r.refused(ctx, key, b, f, len(data))
	}})
}

// wrongCRC32C is a checksum that the patterns do not have.
const wrongCRC32C = "AAAAAA=="

func (r *runner) trailer(ctx context.Context) (Result, string) {
	right := func(data []byte) (*body, backend.Framing) {
		return &body{data: data, trailer: crc32cOf(data)},
			backend.Framing{Mode: backend.Trailer, Algorithm: "crc32c", ChunkSize: chunkSize}
	}
	return r.mode(ctx, mode{"trailer", right, func(ctx context.Context, key string, data []byte) error {
		b, f := right(data)
		b.trailer = wrongCRC32C
		return r.refused(ctx, key, b, f, len(data))
	}})
}

func (r *runner) signed(ctx context.Context) (Result, string) {
	right := func(data []byte) (*body, backend.Framing) {
		return &body{data: data}, backend.Framing{Mode: backend.SignedChunks, ChunkSize: chunkSize}
	}
	return r.mode(ctx, mode{"signed", right, func(ctx context.Context, key string, data []byte) error {
		ctx, cancel := context.WithTimeout(ctx, callTimeout)
		defer cancel()
		a, err := r.wire.putForged(ctx, r.bucket, r.full(key), data)
		if err == nil && a.status/100 == 2 {
			err = errTaken
		}
		if err == nil && a.status/100 == 5 {
			err = fmt.Errorf("status %d", a.status)
		}
		return err
	}})
}

// refused sends a body and returns nil when the endpoint definitely refused it.
func (r *runner) refused(ctx context.Context, key string, b *body, f backend.Framing, size int) error {
	_, err := r.upload(ctx, key, int64(size), b, f, nil)
	switch {
	case err == nil:
		return errTaken
	case backend.OutcomeOf(err) == backend.Refused:
		return nil
	}
	return err
}

// mode probes one way of sending a body (S3.md 2.4): it arrives as it was, a
// forged one and one that breaks off leave the old object as it was.
func (r *runner) mode(ctx context.Context, m mode) (Result, string) {
	key := "body/" + m.name
	old := pattern(m.name, bodySize)
	b, framing := m.right(old)
	if _, err := r.upload(ctx, key, bodySize, b, framing, nil); err != nil {
		if backend.OutcomeOf(err) == backend.Refused {
			return No, "refused: " + err.Error()
		}
		return unknown(err)
	}
	switch got, _, err := r.get(ctx, key); {
	case err != nil && !errors.Is(err, errAbsent):
		return unknown(err)
	case !bytes.Equal(got, old):
		return Unsafe, fmt.Sprintf("%d bytes were sent, %d others are stored", len(old), len(got))
	}
	other := pattern(m.name+" forged", bodySize)
	switch err := m.forged(ctx, key, other); {
	case errors.Is(err, errTaken):
		return Unsafe, "a body with a wrong proof is stored"
	case err != nil:
		return unknown(err)
	}
	b, framing = m.right(pattern(m.name+" cut", bodySize))
	b.cut = true
	if _, err := r.upload(ctx, key, bodySize, b, framing, nil); err == nil {
		return Unsafe, "a body that broke off was answered with success"
	}
	switch same, err := r.holds(ctx, key, old); {
	case err != nil:
		return unknown(err)
	case !same:
		return Unsafe, "a body that was forged or broke off replaced the object"
	}
	return Yes, "forged and cut bodies leave the object as it was"
}

package backend

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"hash"
	"io"

	"github.com/s3mirror/s3mirror/internal/s3"
)

// newChecksum returns the hash of a trailer's algorithm.
func newChecksum(algorithm string) (hash.Hash, error) {
	if h := s3.NewChecksum(algorithm); h != nil {
		return h, nil
	}
	return nil, fmt.Errorf("checksum algorithm %q is not known", algorithm)
}

func checksumOf(algorithm string, data []byte) (string, error) {
	h, err := newChecksum(algorithm)
	if err != nil {
		return "", err
	}
	h.Write(data)
	return base64.StdEncoding.EncodeToString(h.Sum(nil)), nil
}

// NewBody returns a Body that gives what r reads, hashed as the framing needs.
// It is for uploads that go to one endpoint. A Read that blocks is not
// interrupted when the upload is cut: who made r must see to that, by the same
// context.
func NewBody(r io.Reader, f Framing) (Body, error) {
	b := &readerBody{r: r}
	if f.Mode.Trailing() {
		var err error
		if b.sum, err = newChecksum(f.Algorithm); err != nil {
			return nil, err
		}
	}
	return b, nil
}

// FromBytes returns the Body and the framing of a small object that is all
// there.
func FromBytes(data []byte) (Body, Framing) {
	return &bytesBody{data: data}, Framing{Mode: Literal, SHA256: sha256.Sum256(data)}
}

// bytesBody is a Gatherer of literal framing.
type bytesBody struct{ data []byte }

func (b *bytesBody) Next(_ context.Context, limit int) ([]byte, error) {
	n := min(limit, len(b.data))
	data := b.data[:n]
	b.data = b.data[n:]
	return data, nil
}

func (b *bytesBody) Gather(ctx context.Context, limit int, _ bool, dst [][]byte) ([][]byte, error) {
	data, err := b.Next(ctx, limit)
	return append(dst, data), err
}

func (b *bytesBody) Sum(_ context.Context, n int) ([sha256.Size]byte, error) {
	return sha256.Sum256(b.data[:n]), nil
}

// Trailer is never asked.
func (b *bytesBody) Trailer() (string, error) {
	return "", errors.New("literal bodies have no trailer")
}

type readerBody struct {
	r     io.Reader
	buf   []byte
	ahead []byte // of buf: read, not yet given
	sum   hash.Hash
}

// readerBuffer is how many bytes are read at once when nobody asks for more.
const readerBuffer = 32 << 10

func (b *readerBody) Next(ctx context.Context, limit int) ([]byte, error) {
	if len(b.ahead) == 0 {
		if err := b.fill(ctx, min(limit, readerBuffer), false); err != nil {
			return nil, err
		}
	}
	n := min(limit, len(b.ahead))
	data := b.ahead[:n]
	b.ahead = b.ahead[n:]
	if b.sum != nil {
		b.sum.Write(data)
	}
	return data, nil
}

func (b *readerBody) Sum(ctx context.Context, n int) ([sha256.Size]byte, error) {
	if err := b.fill(ctx, n, true); err != nil {
		return [sha256.Size]byte{}, err
	}
	return sha256.Sum256(b.ahead[:n]), nil
}

// fill reads until there are n bytes ahead, or, unless all are wanted, some.
func (b *readerBody) fill(ctx context.Context, n int, all bool) error {
	if cap(b.buf) < n {
		b.buf = append(make([]byte, 0, n), b.ahead...)
	} else {
		b.buf = append(b.buf[:0], b.ahead...)
	}
	for len(b.buf) < n && (all || len(b.buf) == 0) {
		if err := context.Cause(ctx); err != nil {
			return err
		}
		k, err := b.r.Read(b.buf[len(b.buf):n])
		b.buf = b.buf[:len(b.buf)+k]
		if err == io.EOF && k == 0 {
			err = io.ErrUnexpectedEOF
		}
		if err != nil && err != io.EOF {
			return err
		}
	}
	b.ahead = b.buf
	return nil
}

func (b *readerBody) Trailer() (string, error) {
	return base64.StdEncoding.EncodeToString(b.sum.Sum(nil)), nil
}

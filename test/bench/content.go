package main

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"hash/crc32"
	"io"
	"math/rand/v2"
	"sync"
)

const (
	kib = 1 << 10
	mib = 1 << 20
	gib = 1 << 30
)

// noiseSize is how many bytes repeat in a long body: more than the processors'
// caches hold, so that sending it costs what sending other people's bytes costs.
const noiseSize = 64 * mib

// noise is what all bodies are made of. Nothing in the path packs or compares
// them, so that it repeats is seen by nobody.
var noise = sync.OnceValue(func() []byte {
	b := make([]byte, noiseSize)
	dice := rand.NewChaCha8([32]byte{'b', 'e', 'n', 'c', 'h'})
	_, _ = dice.Read(b) // never fails
	return b
})

// content is the body of an object: size bytes of noise from start on.
type content struct {
	start int // a multiple of maxPiece
	size  int64
}

// maxPiece is the most that at gives, so that pieces of up to so many bytes at
// multiples of their size are never broken.
const maxPiece = mib

// at returns the bytes from an offset on, at most max of them.
func (c content) at(offset int64, max int) []byte {
	from := (int64(c.start) + offset) % noiseSize
	return noise()[from:min(from+int64(max), from+c.size-offset, noiseSize)]
}

// small returns all bytes of a body that is no longer than maxPiece.
func (c content) small() []byte { return c.at(0, int(c.size)) }

// contents gives every body another place in the noise.
func newContent(size int64, number int) content {
	return content{start: number % (noiseSize / maxPiece) * maxPiece, size: size}
}

// reader reads a content as an SDK wants it.
type reader struct {
	content
	offset int64
}

func (r *reader) Read(p []byte) (int, error) {
	if r.offset == r.size {
		return 0, io.EOF
	}
	n := copy(p, r.at(r.offset, len(p)))
	r.offset += int64(n)
	return n, nil
}

func (r *reader) Seek(offset int64, whence int) (int64, error) {
	switch whence {
	case io.SeekCurrent:
		offset += r.offset
	case io.SeekEnd:
		offset += r.size
	}
	if offset < 0 || offset > r.size {
		return r.offset, errors.New("seek to a place outside of the body")
	}
	r.offset = offset
	return offset, nil
}

// digest hashes a body once, for all who send it at the same time, a little
// ahead of them.
type digest struct {
	chunk int // bytes of each sum; 0: a CRC32C of the whole

	mu      sync.Mutex // guards what follows
	more    sync.Cond
	sums    [][sha256.Size]byte
	trailer string // once all is read
}

func newDigest(chunk int) *digest {
	d := &digest{chunk: chunk}
	d.more.L = &d.mu
	return d
}

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// run hashes the body.
func (d *digest) run(c content) {
	if d.chunk == 0 {
		crc := uint32(0)
		for at := int64(0); at < c.size; {
			data := c.at(at, 256*kib)
			crc = crc32.Update(crc, castagnoli, data)
			at += int64(len(data))
		}
		d.mu.Lock()
		d.trailer = base64.StdEncoding.EncodeToString(binary.BigEndian.AppendUint32(nil, crc))
		d.mu.Unlock()
		d.more.Broadcast()
		return
	}
	for at := int64(0); at < c.size; at += int64(d.chunk) {
		sum := sha256.Sum256(c.at(at, d.chunk))
		d.mu.Lock()
		d.sums = append(d.sums, sum)
		d.mu.Unlock()
		d.more.Broadcast()
	}
}

// sum waits for the hash of a chunk.
func (d *digest) sum(i int) [sha256.Size]byte {
	d.mu.Lock()
	defer d.mu.Unlock()
	for len(d.sums) <= i {
		d.more.Wait()
	}
	return d.sums[i]
}

// crc32c waits for the checksum of the whole, as S3's headers have it.
func (d *digest) crc32c() string {
	d.mu.Lock()
	defer d.mu.Unlock()
	for d.trailer == "" {
		d.more.Wait()
	}
	return d.trailer
}

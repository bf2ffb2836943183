package replica

import (
	"encoding/hex"

	"github.com/s3mirror/s3mirror/internal/backend"
	"github.com/s3mirror/s3mirror/internal/object"
	"github.com/s3mirror/s3mirror/internal/s3"
)

// defaultChecksum is computed when the client gave nothing that a backend could
// verify: it is the cheapest by far, for us and for them.
const defaultChecksum = "crc32c"

// plan is how one body travels to the replicas: with which framing, and with
// which headers. The framing of one write is the same everywhere, but for
// endpoints that know no trailers, so that the replicas store the same checksum.
type plan struct {
	headers   object.Headers // known before the body
	literal   bool
	sha256    [32]byte
	algorithm string // of the trailer; empty: none
	payload   map[string]Payload
}

// planFor asks the body for the hashes that the write needs. It must be called
// before the first Read.
func (s *Set) planFor(b Body, headers object.Headers, replicas object.Replicas, small bool) plan {
	p := plan{headers: headers, payload: s.qualities.payloads(), algorithm: b.Promised().Algorithm}
	p.sha256, p.literal = b.SHA256()
	p.literal = p.literal && p.sha256 != [32]byte{} // which no body has: it fails whatever the framing, and the framing must not be to blame
	signed := 0
	for _, r := range replicas {
		switch p.payload[r] {
		case PayloadTrailer:
			p.literal = false
		case PayloadSigned:
			signed++
		}
	}
	if !p.literal && p.algorithm == "" && signed < len(replicas) {
		p.algorithm = defaultChecksum
		b.ComputeChecksum(defaultChecksum)
	}
	if small || b.ContentMD5() != nil {
		b.ComputeMD5() // of small bodies the stamp tells it, and every answer can be compared
	}
	return p
}

// of is the framing and the headers of the upload to one replica.
func (p plan) of(replica string, f *fanout) (backend.Framing, object.Headers) {
	switch {
	case p.payload[replica] == PayloadSigned:
		return backend.Framing{Mode: backend.SignedChunks, ChunkSize: f.chunk}, p.headers
	case p.literal:
		return backend.Framing{Mode: backend.Literal, SHA256: p.sha256}, p.headers
	case p.algorithm == "":
		return backend.Framing{Mode: backend.SignedChunks, ChunkSize: f.chunk}, p.headers
	}
	return backend.Framing{Mode: backend.Trailer, Algorithm: p.algorithm}, p.headers
}

// verified is what the version will be, after the body's end.
func (p *plan) verified(b Body) object.Info {
	info := object.Info{Kind: object.Present, Size: b.Size(), Headers: p.headers.Clone()}
	if info.Headers == nil {
		info.Headers = object.Headers{}
	}
	if p.algorithm != "" {
		info.Headers[object.ChecksumPrefix+p.algorithm] = b.Sum(p.algorithm)
	}
	if info.Headers["content-type"] == "" {
		info.Headers["content-type"] = s3.DefaultContentType
	}
	if sum := b.MD5(); sum != nil {
		info.ETag = hex.EncodeToString(sum)
	}
	return info
}

// echoes tells whether the checksums of an answer hold the body's own, as far as both are
// known.
func (p plan) echoes(answer object.Headers, sum string) bool {
	if p.algorithm == "" {
		return true
	}
	got, ok := answer[object.ChecksumPrefix+p.algorithm]
	return !ok || got == sum
}

package replica

import (
	"cmp"
	"encoding/hex"

	"github.com/s3mirror/s3mirror/internal/backend"
	"github.com/s3mirror/s3mirror/internal/object"
	"github.com/s3mirror/s3mirror/internal/s3"
)

// everyChecksum is what a body travels with when the client gave nothing that a backend
// could verify, and one of them lacks s3.DefaultChecksum.
const everyChecksum = "crc32c"

// plan is how one body travels to the replicas: with which framing, and with
// which headers. The framing of one write is the same everywhere, but for
// endpoints that know no trailers, or not the algorithm, so that the replicas store the
// same checksum.
type plan struct {
	headers   object.Headers // known before the body
	tags      object.Tags    // of the version
	literal   bool
	sha256    [32]byte
	algorithm string // of the trailer; empty: none
	told      string // what is computed for the answer alone, where the backends compute it too; empty: nothing
	unkept    bool   // the checksum is one that nobody asked for, and some replica loses it: the version has none
	payload   map[string]Payload
	keeps     func(replica, algorithm string) bool // nil: all do
}

// newPlan is a plan with what is known of the backends.
func (s *Set) newPlan(headers object.Headers, algorithm string) plan {
	return plan{headers: headers, payload: s.qualities.payloads(), keeps: s.qualities.keeps(), algorithm: algorithm}
}

// plainChecksum is the algorithm for a body without a promise: S3's own, where all of the
// replicas keep it that keep any.
func (p *plan) plainChecksum(replicas object.Replicas) string {
	for _, r := range replicas {
		if p.payload[r] != PayloadSigned && !p.kept(r, s3.DefaultChecksum) {
			return everyChecksum
		}
	}
	return s3.DefaultChecksum
}

func (p *plan) kept(replica, algorithm string) bool {
	return p.keeps == nil || p.keeps(replica, algorithm)
}

// planFor asks the body for the hashes that the write needs. It must be called
// before the first Read.
func (s *Set) planFor(b Body, headers object.Headers, replicas object.Replicas, small bool) plan {
	p := s.newPlan(headers, b.Promised().Algorithm)
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
	if p.algorithm == "" && signed < len(replicas) {
		plain := p.plainChecksum(replicas)
		switch {
		case !p.literal:
			p.algorithm = plain
			b.ComputeChecksum(plain)
		case plain == s3.DefaultChecksum:
			p.told = plain
			b.ComputeChecksum(plain)
		}
		p.unkept = s.qualities.anyLoses(replicas, plain)
	}
	if small || b.ContentMD5() != nil {
		b.ComputeMD5() // of small bodies the stamp tells it, and every answer can be compared
	}
	return p
}

// of is the framing and the headers of the upload to one replica.
func (p plan) of(replica string, f *fanout) (backend.Framing, object.Headers) {
	headers, kept := p.headers, p.kept(replica, p.algorithm)
	if name := object.ChecksumPrefix + p.algorithm; !kept && headers[name] != "" {
		headers = headers.Clone()
		delete(headers, name)
	}
	switch {
	case p.payload[replica] == PayloadSigned:
		return backend.Framing{Mode: backend.SignedChunks, ChunkSize: f.chunk}, headers
	case p.literal:
		return backend.Framing{Mode: backend.Literal, SHA256: p.sha256}, headers
	case p.algorithm == "", !kept:
		return backend.Framing{Mode: backend.SignedChunks, ChunkSize: f.chunk}, headers
	}
	return backend.Framing{Mode: backend.Trailer, Algorithm: p.algorithm}, headers
}

// verified is what the version will be, after the body's end.
func (p *plan) verified(b Body) object.Info {
	info := object.Info{Kind: object.Present, Size: b.Size(), Headers: p.headers.Clone(), Tags: p.tags}
	if info.Headers == nil {
		info.Headers = object.Headers{}
	}
	if algorithm := cmp.Or(p.algorithm, p.told); algorithm != "" && !p.unkept {
		info.Headers[object.ChecksumPrefix+algorithm] = b.Sum(algorithm)
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

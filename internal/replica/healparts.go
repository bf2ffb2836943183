package replica

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"hash"
	"strings"
	"sync"
	"time"

	"github.com/s3mirror/s3mirror/internal/backend"
	"github.com/s3mirror/s3mirror/internal/commit"
	"github.com/s3mirror/s3mirror/internal/object"
	"github.com/s3mirror/s3mirror/internal/s3"
)

// A version that was put together from parts is healed by an upload of parts of the same
// sizes, so that the copy has the same ETag. So is one that is too large for a PUT. To
// the protocol it is a write like any other: its parts are what is sent before the
// intent, and the request to put them together is what is released.

// errNoSizes: no replica tells how a version is made.
var errNoSizes = errors.New("the source does not tell the sizes of its parts")

// partsOf are the sizes of the parts that a copy of the version is made of; none for one
// that is put in one piece. Of what no endpoint tells the sizes the copy is one piece,
// with an ETag of its own.
func (s *Set) partsOf(ctx context.Context, b *bucket, key object.Key, e commit.Copy) []int64 {
	var total int64
	for _, n := range e.Info.Parts {
		total += n
	}
	if len(e.Info.Parts) > 0 && total == e.Info.Size {
		return e.Info.Parts
	}
	if strings.Contains(e.Info.ETag, "-") {
		sizes, err := s.sizesAt(ctx, b, key, e)
		if err == nil && len(sizes) > 0 {
			return sizes
		}
		s.o.Logger.InfoContext(ctx, "copy of a multipart object gets an ETag of its own", "key", key, "backend", e.Target, "error", err)
	}
	if e.Info.Size <= s3.MaxPartBytes {
		return nil
	}
	return evenParts(e.Info.Size)
}

// sizesAt asks the replicas that hold the version.
func (s *Set) sizesAt(ctx context.Context, b *bucket, key object.Key, e commit.Copy) ([]int64, error) {
	cause := errNoSizes
	for _, replica := range s.order(b) {
		if !e.Sources.Has(replica) || replica == e.Target {
			continue
		}
		at, err := s.at(ctx, b, replica, paced)
		if err != nil {
			cause = err
			continue
		}
		sizes, err := at.PartSizes(ctx, at.bucket, key.Name, e.Info.ETag)
		var total int64
		for _, n := range sizes {
			total += n
		}
		switch {
		case err != nil:
			cause = at.doubt(err)
		case total == e.Info.Size && len(sizes) > 0:
			return sizes, nil
		}
	}
	return nil, cause
}

// evenParts cuts a large body into equal parts, as few as may be of a handy size.
func evenParts(size int64) []int64 {
	part := int64(512 << 20)
	for size/part >= s3.MaxParts {
		part *= 2
	}
	var out []int64
	for ; size > part; size -= part {
		out = append(out, part)
	}
	return append(out, size)
}

// partSums are the checksums of the parts of a body that passes by in order.
type partSums struct {
	algorithm s3.UploadChecksum
	sizes     []int64

	h    hash.Hash // of the part that passes now; owned by who writes
	at   int
	left int64

	mu   sync.Mutex // guards what follows
	done []string   // base64, of the parts that have passed
}

// newPartSums is for a body whose parts have these sizes; nil without an algorithm.
func newPartSums(sum s3.UploadChecksum, sizes []int64) *partSums {
	if sum.Algorithm == "" {
		return nil
	}
	p := &partSums{algorithm: sum, sizes: sizes, h: s3.NewChecksum(sum.Algorithm), left: sizes[0]}
	p.pass()
	return p
}

// Write implements io.Writer.
func (p *partSums) Write(data []byte) (int, error) {
	n := len(data)
	for len(data) > 0 && p.at < len(p.sizes) {
		piece := data[:min(int64(len(data)), p.left)]
		p.h.Write(piece)
		p.left -= int64(len(piece))
		data = data[len(piece):]
		p.pass()
	}
	return n, nil
}

// pass ends the parts that are complete.
func (p *partSums) pass() {
	for p.left == 0 && p.at < len(p.sizes) {
		p.mu.Lock()
		p.done = append(p.done, base64.StdEncoding.EncodeToString(p.h.Sum(nil)))
		p.mu.Unlock()
		p.h.Reset()
		if p.at++; p.at < len(p.sizes) {
			p.left = p.sizes[p.at]
		}
	}
}

// of is the checksum of a part; ok is false before it has passed.
func (p *partSums) of(i int) (sum string, ok bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if i >= len(p.done) {
		return "", false
	}
	return p.done[i], true
}

// whole is the checksum of the object, as its header has it.
func (p *partSums) whole() (string, error) {
	sums := make([]s3.PartSum, len(p.sizes))
	for i, size := range p.sizes {
		sums[i].Size = size
		sums[i].Value, _ = p.of(i)
	}
	return p.algorithm.Join(sums)
}

// checksumIn is the checksum that a multipart object has, and its type; the zero value
// for none.
func checksumIn(h object.Headers) (sum s3.UploadChecksum, value string) {
	for name, v := range h {
		algorithm, ok := strings.CutPrefix(name, object.ChecksumPrefix)
		if !ok || s3.NewChecksum(algorithm) == nil {
			continue
		}
		sum = s3.UploadChecksum{Algorithm: algorithm, Type: s3.FullObject}
		if strings.Contains(v, "-") {
			sum.Type = s3.Composite
		}
		return sum, v
	}
	return s3.UploadChecksum{}, ""
}

// carryParts heals a replica by an upload of its own: it sends the parts as the body
// comes, waits until the write is released, and has them put together.
func carryParts(sizes []int64, sums *partSums) carrier {
	return func(w *write, q *request, at place, stamp object.Stamp) (backend.PutResult, error) {
		u := &healing{w: w, q: q, at: at, sizes: sizes, sums: sums}
		if sums != nil {
			u.announced = w.set.announced(q.replica, sums.algorithm)
		}
		id, err := at.createUpload(q.ctx, backend.CreateUploadRequest{
			Key: w.key.Name, Headers: w.plan.headers, Tags: w.tagsAt(q.replica), Stamp: stamp, Checksum: u.announced,
		})
		if err != nil {
			return backend.PutResult{}, err
		}
		defer w.set.uploads.begins(q.replica, id)()
		res, err := u.run(id)
		if o := backend.OutcomeOf(err); err != nil && (!u.asked || o == backend.Refused || o == backend.NotSent) {
			w.set.abortOn(context.WithoutCancel(q.ctx), w.b, w.key, q.replica, id, paced)
		}
		return res, err
	}
}

// healing is one upload that heals a replica.
type healing struct {
	w         *write
	q         *request
	at        place
	sizes     []int64
	sums      *partSums
	announced s3.UploadChecksum
	asked     bool // to be put together: it may be
}

func (u *healing) run(id string) (backend.PutResult, error) {
	named := make([]s3.CompletedPart, len(u.sizes))
	for i, size := range u.sizes {
		named[i].Number = i + 1
		body := &piece{c: u.q.cursor, left: size}
		framing := backend.Framing{Mode: backend.SignedChunks, ChunkSize: u.w.body.chunk}
		if u.announced.Algorithm != "" {
			framing = backend.Framing{Mode: backend.Trailer, Algorithm: u.announced.Algorithm}
			body.trailer = func() (string, bool) { return u.sums.of(i) }
		}
		res, err := u.at.putPart(u.q.ctx, backend.PartRequest{
			Key: u.w.key.Name, UploadID: id, Number: i + 1, Size: size, Body: body, Framing: framing,
		})
		if err != nil {
			return backend.PutResult{}, fmt.Errorf("part %d: %w", i+1, err)
		}
		named[i].ETag = res.ETag
		if u.announced.Algorithm != "" {
			named[i].Algorithm = u.announced.Algorithm
			named[i].Checksum, _ = u.sums.of(i)
		}
	}
	select {
	case <-u.q.let:
	case <-u.q.ctx.Done():
		return backend.PutResult{}, context.Cause(u.q.ctx)
	}
	u.asked = true
	return u.at.completeUpload(u.q.ctx, backend.CompleteRequest{Key: u.w.key.Name, UploadID: id, Parts: named})
}

// piece is a part of the body of a cursor: a backend.Gatherer.
type piece struct {
	c       *cursor
	left    int64
	trailer func() (string, bool) // nil: it has none
}

// Next implements backend.Body.
func (p *piece) Next(ctx context.Context, most int) ([]byte, error) {
	data, err := p.c.Next(ctx, int(min(int64(most), p.left)))
	p.left -= int64(len(data))
	return data, err
}

// Gather implements backend.Gatherer.
func (p *piece) Gather(ctx context.Context, most int, wait bool, dst [][]byte) ([][]byte, error) {
	had := len(dst)
	dst, err := p.c.Gather(ctx, int(min(int64(most), p.left)), wait, dst)
	for _, data := range dst[had:] {
		p.left -= int64(len(data))
	}
	return dst, err
}

// Sum implements backend.Body.
func (p *piece) Sum(ctx context.Context, n int) ([sha256.Size]byte, error) { return p.c.Sum(ctx, n) }

// Trailer implements backend.Body.
func (p *piece) Trailer() (string, error) {
	if p.trailer == nil {
		return "", nil
	}
	sum, ok := p.trailer()
	if !ok {
		return "", errBroken
	}
	return sum, nil
}

// slowHeal is how long a replica may work on a copy that is put together.
func (s *Set) slowHeal(sizes []int64, size int64) time.Duration {
	if len(sizes) == 0 {
		return 0
	}
	return s.work(size)
}

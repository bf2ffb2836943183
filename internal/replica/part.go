package replica

import (
	"context"
	"encoding/base64"
	"encoding/hex"
	"fmt"

	"github.com/s3mirror/s3mirror/internal/backend"
	"github.com/s3mirror/s3mirror/internal/commit"
	"github.com/s3mirror/s3mirror/internal/object"
	"github.com/s3mirror/s3mirror/internal/oplog"
	"github.com/s3mirror/s3mirror/internal/s3"
)

// opPart is what metrics call the upload of a part.
const opPart = "part"

// PartRequest is one UploadPart.
type PartRequest struct {
	Key      object.Key
	UploadID string
	Number   int // 1 to s3.MaxParts
	Body     Body
}

// PutPart sends one part to every replica that is in the upload, as Put sends a body,
// and returns its ETag and checksums. When it is acknowledged every replica that is
// still in the upload holds it. A part may be sent again, also under way, and with other
// bytes: each is an attempt of its own.
func (s *Set) PutPart(ctx context.Context, r PartRequest) (object.Info, error) {
	leave, err := s.enter()
	if err != nil {
		return object.Info{}, err
	}
	defer leave()
	b, over, err := s.buckets.writable(ctx, r.Key.Bucket)
	if err != nil {
		return object.Info{}, err
	}
	id, rec, err := s.openUpload(ctx, r.Key, r.UploadID)
	if err == nil {
		err = checksumOfText(rec.Sum).CheckPart(r.Body.Promised().Algorithm)
	}
	if err != nil {
		over()
		return object.Info{}, err
	}
	size := r.Body.Size()
	slabs := slabsFor(min(size, s.o.PerUpload))
	if err := s.memory.reserve(ctx, slabs); err != nil {
		over()
		return object.Info{}, unavailable(fmt.Errorf("no memory for the body: %w", err))
	}
	part := oplog.Part{Upload: id, Number: r.Number, Attempt: object.NewID(), Size: size}
	m := commit.NewPart(b.configFor(rec), part, nil)
	w := s.newMutation(b, r.Key, commit.Op{ID: part.Attempt, Stream: true}, m, carryPart(r.Number), origin{})
	w.spans.follow(ctx)
	w.name, w.judge, w.upload, w.idOf = opPart, uploadAnswer, id, m.UploadID
	sum, asked := carried(rec)
	w.plan = s.planForPart(r.Body, sum, asked, size <= s.o.Held)
	w.body = newFanout(s.memory, size, min(size, s.o.Held), slabs)
	w.filling.Add(1)
	w.start(s.up(b), over)
	res, err := w.receivePart(ctx, r.Body)
	switch {
	case err != nil:
		return object.Info{}, err
	case res.Kind == commit.Acked:
		if r.Body.Promised().Algorithm != sum.Algorithm {
			res.Info.Headers = toldSums(rec, res.Info.Headers)
		}
		return res.Info, nil
	case res.Code == string(s3.NoSuchUpload), goneEverywhere(res.No):
		return object.Info{}, s3.NoUpload(r.UploadID)
	}
	return object.Info{}, failure(res)
}

// goneEverywhere tells whether every replica that refused a part has its upload no more: it
// became an object while its record still says that it is about to.
func goneEverywhere(no map[string]string) bool {
	for _, code := range no {
		if code != string(s3.NoSuchUpload) {
			return false
		}
	}
	return len(no) > 0
}

// carryPart sends a part to one replica.
func carryPart(number int) carrier {
	return func(w *write, q *request, at place, _ object.Stamp) (backend.PutResult, error) {
		framing, sums := w.plan.of(q.replica, w.body)
		if framing.Mode == backend.SignedChunks {
			sums = nil // the upload was begun without checksums there
		}
		return at.putPart(q.ctx, backend.PartRequest{
			Key: w.key.Name, UploadID: q.uploadID, Number: number, Checksums: sums,
			Size: w.body.size, Body: q.cursor, Framing: framing,
		})
	}
}

// planForPart is planFor for a part. A checksum goes with it only where the upload was
// begun with one: S3 refuses what was not announced. One that the client did not ask for is
// computed beside what it gives. A part without travels as signed chunks, which every
// endpoint verifies.
func (s *Set) planForPart(b Body, sum s3.UploadChecksum, asked, small bool) plan {
	p := s.newPlan(nil, sum.Algorithm)
	p.sha256, p.literal = b.SHA256()
	p.literal = p.literal && p.sha256 != [32]byte{}
	promised := b.Promised()
	switch {
	case sum.Algorithm == "":
	case !asked, promised.Algorithm == "": // of a full object's checksum the client may leave the parts' out
		p.literal = false
		b.ComputeChecksum(sum.Algorithm)
	case promised.Value != nil && p.literal:
		p.headers = object.Headers{promised.Header(): base64.StdEncoding.EncodeToString(promised.Value)}
	default:
		p.literal = false
	}
	if small || b.ContentMD5() != nil {
		b.ComputeMD5()
	}
	return p
}

// receivePart reads the client's body into the ring and waits for the verdict.
func (w *write) receivePart(ctx context.Context, body Body) (commit.Result, error) {
	err := w.read(ctx, body)
	w.filling.Done()
	if err == nil {
		w.deliver(commit.Verified{Info: partInfo(body, w.plan.algorithm)})
	} else {
		w.deliver(commit.Broken{})
	}
	return w.await(ctx, err)
}

// partInfo is what a part is, after its end.
func partInfo(body Body, algorithm string) object.Info {
	info := object.Info{Size: body.Size(), Headers: object.Headers{}}
	if given := body.Promised().Algorithm; given != "" { // kept, also where the upload was begun without
		info.Headers[object.ChecksumPrefix+given] = body.Sum(given)
	}
	if algorithm != "" {
		info.Headers[object.ChecksumPrefix+algorithm] = body.Sum(algorithm)
	}
	if sum := body.MD5(); sum != nil {
		info.ETag = hex.EncodeToString(sum)
	}
	return info
}

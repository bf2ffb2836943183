package replica

import (
	"context"
	"fmt"
	"maps"
	"time"

	"github.com/s3mirror/s3mirror/internal/backend"
	"github.com/s3mirror/s3mirror/internal/commit"
	"github.com/s3mirror/s3mirror/internal/object"
	"github.com/s3mirror/s3mirror/internal/oplog"
	"github.com/s3mirror/s3mirror/internal/s3"
)

// CompleteRequest is one CompleteMultipartUpload.
type CompleteRequest struct {
	Key      object.Key
	UploadID string
	Complete *s3.Complete
	If       s3.WriteConditions
	Actor    string // login, for the history
	Request  string // request id, for the history
}

// CompleteUpload makes the version that an upload was begun for. It is ordered among the
// writes of the key when it is completed, takes effect at most once, and may be repeated:
// whoever does so within Times.Remember is told what the first was. Errors as Put.
// When ctx ends it goes on without its caller.
func (s *Set) CompleteUpload(ctx context.Context, r CompleteRequest) (object.Info, error) {
	leave, err := s.enter()
	if err != nil {
		return object.Info{}, err
	}
	defer leave()
	b, over, err := s.buckets.writable(ctx, r.Key.Bucket)
	if err != nil {
		return object.Info{}, err
	}
	w, cond, err := s.completion(ctx, b, r)
	if err != nil {
		over()
		return object.Info{}, err
	}
	err = w.takeUpload(ctx)
	if err == nil {
		err = w.takeTurn(ctx)
	}
	if err != nil {
		w.dropLock()
		w.cancel()
		over()
		return object.Info{}, err
	}
	w.start(s.up(b), over)
	res, err := w.await(ctx, nil)
	switch {
	case err != nil:
		return object.Info{}, err
	case res.Kind == commit.Failed && res.Code == string(s3.NoSuchUpload):
		return object.Info{}, s3.NoUpload(r.UploadID)
	}
	info, err := cond.conclude(res)
	if err == nil {
		s.uploads.became(w.upload, time.Now())
	}
	return info, err
}

// takeUpload waits until no other Complete of the upload is under way here, as long as a
// backend may work on it: a client whose connection broke asks again, and is told what
// becomes of the first, not to come back while that runs.
func (w *write) takeUpload(ctx context.Context) error {
	wait, cancel := context.WithTimeout(ctx, max(w.slow, w.set.o.Times.LockWait))
	defer cancel()
	unlock, err := w.set.locks.lock(wait, object.Key{Name: w.upload.String()}) // no key is in no bucket
	if err != nil {
		return unavailable(fmt.Errorf("the upload is being completed: %w", err))
	}
	w.hold(unlock)
	return nil
}

// completion is the write of a Complete, not begun, if the client's list is one that can
// be completed.
func (s *Set) completion(ctx context.Context, b *bucket, r CompleteRequest) (*write, *condition, error) {
	id, rec, err := s.knownUpload(ctx, r.Key, r.UploadID)
	if err != nil {
		return nil, nil, err
	}
	if rec.State == commit.UploadAborted {
		return nil, nil, s3.NoUpload(r.UploadID)
	}
	chosen, parts, err := s.choose(ctx, id, rec, r)
	if err != nil {
		return nil, nil, err
	}
	cond := &condition{c: r.If}
	op := commit.CompleteOp{ID: object.NewID(), Upload: id, Chosen: chosen, If: cond.verdict(), Slow: s.work(chosen.Info.Size)}
	m := commit.NewComplete(b.configFor(rec), op)
	told := commit.Op{ID: op.ID, Type: oplog.OpComplete, Upload: id, Info: chosen.Info, Slow: op.Slow}
	sum, asked := carried(rec)
	w := s.newMutation(b, r.Key, told, m, s.carryComplete(chosen, parts, sum, asked), origin{r.Actor, r.Request})
	w.spans.follow(ctx)
	w.judge, w.upload, w.idOf = uploadAnswer, id, m.UploadID
	return w, cond, nil
}

// choose holds the client's list against the parts that were acknowledged.
func (s *Set) choose(ctx context.Context, id object.ID, rec *commit.UploadRecord, r CompleteRequest) (commit.Chosen, []s3.Part, error) {
	all, err := s.readParts(ctx, id)
	if err != nil {
		return commit.Chosen{}, nil, unavailable(err)
	}
	list := make([]commit.Named, len(r.Complete.Parts))
	for i, p := range r.Complete.Parts {
		list[i] = commit.Named{Number: p.Number, ETag: p.ETag}
	}
	chosen, code := commit.Choose(rec, all, list, s3.MinPartBytes)
	byNumber := map[int]oplog.Part{}
	for _, p := range latest(all) {
		byNumber[p.Number] = p // says better than the code what is wrong with the list
	}
	for _, p := range chosen.Parts {
		byNumber[p.Number] = p
	}
	parts, sum, err := r.Complete.Select(s3.UploadParts{
		ID: r.UploadID, Checksum: checksumOfText(rec.Sum), MinPart: s3.MinPartBytes,
		Part: func(number int) (s3.Part, bool) { p, ok := byNumber[number]; return storedPart(rec, p), ok },
	})
	switch {
	case err != nil:
		return commit.Chosen{}, nil, err
	case code != "":
		return commit.Chosen{}, nil, s3.Err(s3.Code(code)).With("UploadId", r.UploadID)
	}
	kind, asked := carried(rec)
	if !asked {
		sum = plainOf(kind, parts)
	}
	if sum != "" {
		chosen.Info.Headers = maps.Clone(chosen.Info.Headers)
		chosen.Info.Headers[kind.Header()] = sum
		chosen.Info.Headers[object.ChecksumPrefix+"type"] = string(kind.Type)
		if kind.Type == s3.Composite {
			for _, p := range parts {
				chosen.Sums = append(chosen.Sums, p.Checksum)
			}
		}
	}
	return chosen, parts, nil
}

// plainOf is the checksum of the parts that nobody asked for; empty where one has none, as one
// that a node of an older version took.
func plainOf(kind s3.UploadChecksum, parts []s3.Part) string {
	sums := make([]s3.PartSum, len(parts))
	for i, p := range parts {
		sums[i] = s3.PartSum{Value: p.Plain, Size: p.Size}
	}
	sum, err := kind.Join(sums)
	if err != nil {
		return ""
	}
	return sum
}

// storedPart is a record in the words of the dialect.
func storedPart(rec *commit.UploadRecord, p oplog.Part) s3.Part {
	out := s3.Part{Number: p.Number, ETag: p.ETag, Size: p.Size, Modified: p.Added}
	if sum, asked := carried(rec); !asked {
		out.Plain = p.Sums[sum.Header()]
	}
	for name, value := range toldSums(rec, p.Sums) {
		out.Algorithm, out.Checksum = name[len(object.ChecksumPrefix):], value
	}
	return out
}

// workRate is what a backend is trusted to copy of the parts in a second, in bytes.
const workRate = 32 << 20

// work is how long a backend may work on an object of this size.
func (s *Set) work(size int64) time.Duration {
	return s.o.Work + time.Duration(size/workRate)*time.Second
}

// carryComplete asks one replica to put the parts together, by the ETags that it gave
// them itself.
func (s *Set) carryComplete(chosen commit.Chosen, parts []s3.Part, sum s3.UploadChecksum, asked bool) carrier {
	return func(w *write, q *request, at place, _ object.Stamp) (backend.PutResult, error) {
		named := make([]s3.CompletedPart, len(parts))
		announced := s.announced(q.replica, sum)
		for i, p := range parts {
			named[i] = s3.CompletedPart{Number: p.Number, ETag: chosen.ETags[q.replica][i]}
			switch {
			case announced.Algorithm == "":
			case !asked && p.Plain != "":
				named[i].Algorithm, named[i].Checksum = sum.Algorithm, p.Plain
			case asked:
				named[i].Algorithm, named[i].Checksum = p.Algorithm, p.Checksum
			}
		}
		res, err := at.completeUpload(q.ctx, backend.CompleteRequest{Key: w.key.Name, UploadID: q.uploadID, Parts: named})
		if err == nil {
			err = echoed(res.Checksums, chosen.Info.Headers, sum)
		}
		return res, err
	}
}

// echoed refuses a result whose checksum is another than the parts': the replica holds
// something else, and a HEAD tells what.
func echoed(answer, want object.Headers, sum s3.UploadChecksum) error {
	if sum.Algorithm == "" || want[sum.Header()] == "" {
		return nil
	}
	if got, ok := answer[sum.Header()]; ok && got != want[sum.Header()] {
		return fmt.Errorf("checksum of the parts is %s, the backend's %s", want[sum.Header()], got)
	}
	return nil
}

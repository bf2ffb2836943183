package replica

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/s3mirror/s3mirror/internal/backend"
	"github.com/s3mirror/s3mirror/internal/commit"
	"github.com/s3mirror/s3mirror/internal/object"
	"github.com/s3mirror/s3mirror/internal/oplog"
	"github.com/s3mirror/s3mirror/internal/s3"
)

// What the machines of uploads ask for beside a key's row: the upload's document and
// the records of its parts.

// readRecord reads the document of an upload; nil when there is none.
func (s *Set) readRecord(ctx context.Context, key object.Key, id object.ID) (*commit.UploadRecord, oplog.Epoch, error) {
	began := time.Now()
	doc, err := s.o.Log.Doc(ctx, oplog.DocUpload, oplog.UploadName(key, id))
	s.metrics.logSeconds[callRead].Observe(time.Since(began).Seconds())
	if errors.Is(err, oplog.ErrNoRow) {
		return nil, oplog.Epoch{}, nil
	}
	if err != nil {
		s.logFailed(callRead, err)
		return nil, oplog.Epoch{}, err
	}
	rec, err := decodeRecord(doc.Body)
	return rec, doc.Epoch, err
}

func decodeRecord(body []byte) (*commit.UploadRecord, error) {
	rec := &commit.UploadRecord{}
	if err := json.Unmarshal(body, rec); err != nil {
		return nil, fmt.Errorf("document of an upload: %w", err)
	}
	return rec, nil
}

// swapRecord changes the document of an upload; nil drops it.
func (s *Set) swapRecord(ctx context.Context, key object.Key, id object.ID, old oplog.Epoch, rec *commit.UploadRecord) (oplog.Epoch, commit.CAS) {
	doc := oplog.Doc{Kind: oplog.DocUpload, Name: oplog.UploadName(key, id)}
	if rec != nil {
		body, err := json.Marshal(rec)
		if err != nil {
			panic(fmt.Sprintf("replica: document of an upload: %v", err)) // it has no field that cannot be
		}
		doc.Epoch, doc.Body = oplog.NewEpoch(), body
	}
	began := time.Now()
	outcome := casOf(s.o.Log.SwapDoc(ctx, old, doc), s)
	s.metrics.logSeconds[callSwap].Observe(time.Since(began).Seconds())
	return doc.Epoch, outcome
}

// partsAtOnce is how many records of parts are read together.
const partsAtOnce = 2000

// readParts reads the records of all parts of an upload.
func (s *Set) readParts(ctx context.Context, id object.ID) ([]oplog.Part, error) {
	var all []oplog.Part
	after := oplog.PartName{}
	for {
		page, err := s.o.Log.Parts(ctx, id, after, partsAtOnce)
		if err != nil {
			s.logFailed(callRead, err)
			return nil, err
		}
		all = append(all, page...)
		if len(page) < partsAtOnce {
			return all, nil
		}
		after = page[len(page)-1].Name()
	}
}

// uploadEffect carries out what the machines of uploads have in common; false: it is no
// such effect. It is called by the driver.
func (p *process) uploadEffect(e commit.Effect) bool {
	switch e := e.(type) {
	case commit.ReadUpload:
		p.calls = append(p.calls, p.readUpload)
	case commit.SwapUpload:
		p.calls = append(p.calls, func() commit.Event { return p.swapUpload(e) })
	case commit.AddPart:
		p.calls = append(p.calls, func() commit.Event { return p.addPart(e) })
	case commit.DropParts:
		p.calls = append(p.calls, p.dropParts)
	case commit.Abort:
		p.asks.Go(func() {
			ok := p.set.abortOn(p.ctx, p.b, p.key, e.Replica, e.UploadID, p.pace)
			p.deliver(commit.Aborted{Replica: e.Replica, OK: ok})
		})
	default:
		return false
	}
	return true
}

func (p *process) readUpload() commit.Event {
	ctx, cancel := p.logContext()
	defer cancel()
	rec, epoch, err := p.set.readRecord(ctx, p.key, p.upload)
	return commit.UploadRead{Record: rec, Epoch: epoch, Failed: err != nil}
}

func (p *process) swapUpload(e commit.SwapUpload) commit.Event {
	ctx, cancel := p.logContext()
	defer cancel()
	epoch, outcome := p.set.swapRecord(ctx, p.key, p.upload, e.Old, e.Record)
	return commit.UploadSwapped{Outcome: outcome, Epoch: epoch}
}

func (p *process) addPart(e commit.AddPart) commit.Event {
	ctx, cancel := p.logContext()
	defer cancel()
	began := time.Now()
	outcome := casOf(p.set.o.Log.AddPart(ctx, e.Part), p.set)
	p.set.metrics.logSeconds[callSwap].Observe(time.Since(began).Seconds())
	return commit.PartAdded{Outcome: outcome}
}

func (p *process) dropParts() commit.Event {
	ctx, cancel := p.logContext()
	defer cancel()
	if !p.set.keepSums(ctx, p.key, p.upload) {
		return commit.PartsDropped{}
	}
	return commit.PartsDropped{OK: casOf(p.set.o.Log.DropParts(ctx, p.upload), p.set) == commit.Applied}
}

// abortOn throws an upload away on one replica: false when it may still be there.
func (s *Set) abortOn(ctx context.Context, b *bucket, key object.Key, replica, uploadID string, pace pace) bool {
	ctx, cancel := context.WithTimeout(ctx, s.o.Times.Keep)
	defer cancel()
	at, err := s.at(ctx, b, replica, pace)
	if err != nil {
		return false
	}
	err = at.doubt(at.AbortUpload(ctx, at.bucket, key.Name, uploadID))
	outcome := backend.OutcomeOf(err)
	return outcome == backend.OK || outcome == backend.Absent
}

// sumText and checksumOfText are how a document keeps what an upload promises of checksums.
func sumText(c s3.UploadChecksum) string {
	if c.Algorithm == "" {
		return ""
	}
	return c.Algorithm + "/" + string(c.Type)
}

// carried is the checksum that the parts of an upload travel with, and whether the client asked
// for it. Where it did not they have the one that S3 computes by itself: beside what the client
// gives with a part, and told of the object alone.
func carried(rec *commit.UploadRecord) (sum s3.UploadChecksum, asked bool) {
	if rec.Sum != "" || rec.Plain == "" {
		return checksumOfText(rec.Sum), true
	}
	return checksumOfText(rec.Plain), false
}

// plainSum is the checksum of an upload that is begun without: S3's own, where every replica
// keeps it.
func (s *Set) plainSum(replicas object.Replicas) s3.UploadChecksum {
	keeps := s.qualities.keeps()
	for _, r := range replicas {
		if s.qualities.payloads()[r] == PayloadSigned || !keeps(r, s3.DefaultChecksum) {
			return s3.UploadChecksum{}
		}
	}
	if s.qualities.anyLoses(replicas, s3.DefaultChecksum) {
		return s3.UploadChecksum{}
	}
	return s3.UploadChecksum{Algorithm: s3.DefaultChecksum, Type: s3.FullObject}
}

// toldSums are what of a part's checksums its client is told: not the one that it did not give.
func toldSums(rec *commit.UploadRecord, sums object.Headers) object.Headers {
	sum, asked := carried(rec)
	if _, ok := sums[sum.Header()]; asked || !ok {
		return sums
	}
	sums = sums.Clone()
	delete(sums, sum.Header())
	return sums
}

func checksumOfText(sum string) s3.UploadChecksum {
	for i := range sum {
		if sum[i] == '/' {
			return s3.UploadChecksum{Algorithm: sum[:i], Type: s3.ChecksumType(sum[i+1:])}
		}
	}
	return s3.UploadChecksum{}
}

package oplogtest

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/s3mirror/s3mirror/internal/object"
	"github.com/s3mirror/s3mirror/internal/oplog"
)

// partsOf is the partition of an upload's parts: plain records, for which nothing
// is conditional.
func partsOf(upload object.ID) string { return "parts/" + string(upload[:]) }

func partRecord(name oplog.PartName) string {
	return string(append(binary.BigEndian.AppendUint16(nil, uint16(name.Number)), name.Attempt[:]...)) //nolint:gosec // at most MaxPart
}

// AddPart implements oplog.Parts.
func (p *Primitive) AddPart(ctx context.Context, part oplog.Part) error {
	if p.closed.Load() {
		return oplog.ErrClosed
	}
	if err := errors.Join(oplog.CheckBegin(ctx), oplog.CheckPart(&part)); err != nil {
		return err
	}
	return p.store.Mark(ctx, partsOf(part.Upload), partRecord(part.Name()), oplog.EncodePart(&part))
}

// Parts implements oplog.Parts.
func (p *Primitive) Parts(ctx context.Context, upload object.ID, after oplog.PartName, limit int) ([]oplog.Part, error) {
	if p.closed.Load() {
		return nil, oplog.ErrClosed
	}
	records, err := p.store.Scan(ctx, partsOf(upload), partRecord(after)+"\x00", limit)
	if err != nil {
		return nil, fmt.Errorf("parts of %s: %w", upload, err)
	}
	var page []oplog.Part
	for _, r := range records {
		name := oplog.PartName{Number: int(binary.BigEndian.Uint16([]byte(r.Name[:2]))), Attempt: object.ID([]byte(r.Name[2:]))}
		part, err := oplog.DecodePart(upload, name, r.Body)
		if err != nil {
			return nil, err
		}
		page = append(page, part)
	}
	return page, nil
}

// DropParts implements oplog.Parts.
func (p *Primitive) DropParts(ctx context.Context, upload object.ID) error {
	if p.closed.Load() {
		return oplog.ErrClosed
	}
	if err := oplog.CheckBegin(ctx); err != nil {
		return err
	}
	return p.store.DropPartition(ctx, partsOf(upload))
}

package cassandra

import (
	"context"
	"fmt"

	"github.com/s3mirror/s3mirror/internal/object"
	"github.com/s3mirror/s3mirror/internal/oplog"
)

// AddPart implements oplog.Parts: a plain record, for which nothing is conditional
// and which may be sent twice.
func (l *Log) AddPart(ctx context.Context, part oplog.Part) error {
	if err := oplog.CheckPart(&part); err != nil {
		return err
	}
	if err := l.beginChange(ctx); err != nil {
		return err
	}
	defer l.end()
	name := key{int64(part.Number), string(part.Attempt[:])}
	if err := l.store.put(ctx, parts, key{string(part.Upload[:])}, name, oplog.EncodePart(&part)); err != nil {
		return oplog.Unknown(fmt.Errorf("add part %d: %w", part.Number, err))
	}
	return nil
}

// Parts implements oplog.Parts.
func (l *Log) Parts(ctx context.Context, upload object.ID, after oplog.PartName, limit int) ([]oplog.Part, error) {
	if err := l.begin(ctx); err != nil {
		return nil, err
	}
	defer l.end()
	from := key{int64(after.Number), string(after.Attempt[:]) + "\x00"}
	found, err := l.store.scan(ctx, parts, key{string(upload[:])}, span{from: from, limit: limit})
	if err != nil {
		return nil, fmt.Errorf("parts of %s: %w", upload, err)
	}
	var page []oplog.Part
	for _, r := range found {
		name := oplog.PartName{Number: int(r.name[0].(int64))}
		copy(name.Attempt[:], r.name[1].(string))
		part, err := oplog.DecodePart(upload, name, r.body)
		if err != nil {
			return nil, fmt.Errorf("parts of %s: %w", upload, err)
		}
		page = append(page, part)
	}
	return page, nil
}

// DropParts implements oplog.Parts.
func (l *Log) DropParts(ctx context.Context, upload object.ID) error {
	if err := l.beginChange(ctx); err != nil {
		return err
	}
	defer l.end()
	if err := l.store.drop(ctx, parts, key{string(upload[:])}); err != nil {
		return oplog.Unknown(fmt.Errorf("drop parts of %s: %w", upload, err))
	}
	return nil
}

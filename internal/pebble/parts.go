package pebble

import (
	"context"
	"errors"
	"fmt"

	"github.com/cockroachdb/pebble/v2"
	"github.com/s3mirror/s3mirror/internal/object"
	"github.com/s3mirror/s3mirror/internal/oplog"
)

// AddPart implements oplog.Parts. Parts are the first that are refused when space
// runs short: they begin something.
func (l *Log) AddPart(ctx context.Context, part oplog.Part) error {
	if err := oplog.CheckPart(&part); err != nil {
		return err
	}
	return l.swap(ctx, swap{
		key: partKey(nil, part.Upload, part.Name()), value: oplog.EncodePart(&part), fresh: true,
		admit: func([]byte) error { return l.space.admit(needLater) },
	})
}

// Parts implements oplog.Parts.
func (l *Log) Parts(ctx context.Context, upload object.ID, after oplog.PartName, limit int) ([]oplog.Part, error) {
	if err := l.begin(ctx); err != nil {
		return nil, err
	}
	defer l.end()
	all := partsKey(nil, upload)
	var page []oplog.Part
	err := l.scan(ctx, append(partKey(nil, upload, after), 0), end(all), limit, func(key, stored []byte) error {
		name, ok := parsePartName(key[len(all):])
		if !ok {
			return fmt.Errorf("key %x: %w", key, oplog.ErrBadRecord)
		}
		part, err := oplog.DecodePart(upload, name, stored)
		page = append(page, part)
		return err
	})
	if err == nil { // the range's drop is known under its first key
		err = l.inflight.awaitDrops(ctx, l.dead, all, append(all, 0))
	}
	if err != nil {
		return nil, fmt.Errorf("parts of %s: %w", upload, err)
	}
	return page, nil
}

// DropParts implements oplog.Parts by one range deletion.
func (l *Log) DropParts(ctx context.Context, upload object.ID) error {
	err := l.dropParts(ctx, partsKey(nil, upload))
	if err != nil {
		return fmt.Errorf("drop parts of %s: %w", upload, err)
	}
	return nil
}

func (l *Log) dropParts(ctx context.Context, all []byte) error {
	if err := l.begin(ctx); err != nil {
		return notApplied(err)
	}
	if err := l.space.admit(needNow); err != nil {
		l.end()
		return err
	}
	c := l.inflight.acquire(ctx, l.dead, all)
	if c == nil {
		l.end()
		return notApplied(errors.Join(ctx.Err(), l.deadErr()))
	}
	batch := l.db.NewBatch()
	if err := batch.DeleteRange(all, end(all), nil); err != nil {
		l.inflight.release(c)
		l.end()
		return oplog.NotApplied(errors.Join(err, batch.Close()))
	}
	l.inflight.commit(c, nil, true)
	return l.commit(ctx, batch, pebble.Sync, func() { l.inflight.release(c) })
}

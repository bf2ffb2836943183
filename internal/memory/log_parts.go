package memory

import (
	"bytes"
	"cmp"
	"context"
	"slices"

	"github.com/s3mirror/s3mirror/internal/object"
	"github.com/s3mirror/s3mirror/internal/oplog"
)

// storedPart is a part's record in its stored form.
type storedPart struct {
	name oplog.PartName
	data []byte
}

func comparePart(p storedPart, name oplog.PartName) int {
	return cmp.Or(cmp.Compare(p.name.Number, name.Number), bytes.Compare(p.name.Attempt[:], name.Attempt[:]))
}

// AddPart implements oplog.Parts.
func (l *Log) AddPart(ctx context.Context, part oplog.Part) error {
	if err := oplog.CheckPart(&part); err != nil {
		return err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if err := l.writable(ctx); err != nil {
		return err
	}
	all := l.parts[part.Upload]
	at, found := slices.BinarySearchFunc(all, part.Name(), comparePart)
	if !found {
		l.parts[part.Upload] = slices.Insert(all, at, storedPart{part.Name(), oplog.EncodePart(&part)})
	}
	return nil
}

// Parts implements oplog.Parts.
func (l *Log) Parts(ctx context.Context, upload object.ID, after oplog.PartName, limit int) ([]oplog.Part, error) {
	l.mu.RLock()
	defer l.mu.RUnlock()
	if err := l.readable(ctx); err != nil {
		return nil, err
	}
	all := l.parts[upload]
	at, found := slices.BinarySearchFunc(all, after, comparePart)
	if found {
		at++
	}
	var page []oplog.Part
	for _, p := range all[at:min(at+limit, len(all))] {
		part, err := oplog.DecodePart(upload, p.name, p.data)
		if err != nil {
			return nil, err
		}
		page = append(page, part)
	}
	return page, nil
}

// DropParts implements oplog.Parts.
func (l *Log) DropParts(ctx context.Context, upload object.ID) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if err := l.writable(ctx); err != nil {
		return err
	}
	delete(l.parts, upload)
	return nil
}

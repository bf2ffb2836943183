package oplogtest

import (
	"cmp"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/s3mirror/s3mirror/internal/object"
	"github.com/s3mirror/s3mirror/internal/oplog"
)

func docID(kind oplog.DocKind, name string) RowID {
	return RowID{Space: "doc/" + string(kind), Name: name}
}

// docMarks is the partition that names the documents of a kind. They are few and
// their names come back, so a mark stays once it is made.
func docMarks(kind oplog.DocKind) string { return "docs/" + string(kind) }

// Doc implements oplog.Documents.
func (p *Primitive) Doc(ctx context.Context, kind oplog.DocKind, name string) (oplog.Doc, error) {
	if p.closed.Load() {
		return oplog.Doc{}, oplog.ErrClosed
	}
	stored, ok, err := p.store.Read(ctx, docID(kind, name))
	if err != nil {
		return oplog.Doc{}, fmt.Errorf("read document %s %q: %w", kind, name, err)
	}
	if !ok {
		return oplog.Doc{}, oplog.ErrNoRow
	}
	return oplog.DecodeDoc(kind, name, stored.Body)
}

// SwapDoc implements oplog.Documents.
func (p *Primitive) SwapDoc(ctx context.Context, old oplog.Epoch, doc oplog.Doc) error {
	if p.closed.Load() {
		return oplog.ErrClosed
	}
	if err := errors.Join(oplog.CheckBegin(ctx), oplog.CheckDoc(old, doc)); err != nil {
		return err
	}
	id := docID(doc.Kind, doc.Name)
	switch {
	case doc.Body == nil && old.IsZero():
		_, exists, err := p.store.Read(ctx, id)
		if err != nil {
			return oplog.NotApplied(err)
		}
		return verdict(!exists, nil)
	case doc.Body == nil:
		return verdict(p.store.Delete(ctx, id, old))
	case !old.IsZero():
		return verdict(p.store.Update(ctx, id, old, doc.Epoch, oplog.EncodeDoc(doc)))
	}
	if err := p.store.Mark(ctx, docMarks(doc.Kind), doc.Name, nil); err != nil {
		return oplog.NotApplied(err)
	}
	return verdict(p.store.Insert(ctx, id, StoredRow{Epoch: doc.Epoch, Body: oplog.EncodeDoc(doc)}))
}

// Docs implements oplog.Documents.
func (p *Primitive) Docs(ctx context.Context, kind oplog.DocKind, after string, limit int) ([]oplog.Doc, error) {
	if p.closed.Load() {
		return nil, oplog.ErrClosed
	}
	marks, err := p.store.Scan(ctx, docMarks(kind), after+"\x00", 0)
	if err != nil {
		return nil, fmt.Errorf("page of documents %s: %w", kind, err)
	}
	var page []oplog.Doc
	for _, mark := range marks {
		if len(page) == limit {
			break
		}
		doc, err := p.Doc(ctx, kind, mark.Name)
		switch {
		case err == nil:
			page = append(page, doc)
		case !errors.Is(err, oplog.ErrNoRow):
			return nil, err
		}
	}
	return page, nil
}

// hours is the partition that names the hours that have a history.
const hours = "hours"

func hourName(t time.Time) string { return ordered(t.Truncate(time.Hour).Unix()) }

func hourMarks(name string) string { return "history/" + name }

// ordered is a text that sorts as the number does.
func ordered(v int64) string {
	return string(binary.BigEndian.AppendUint64(nil, uint64(v)^1<<63))
}

// Append implements oplog.History.
func (p *Primitive) Append(ctx context.Context, events ...oplog.Event) error {
	if p.closed.Load() {
		return oplog.ErrClosed
	}
	if err := oplog.CheckBegin(ctx); err != nil {
		return err
	}
	for i, ev := range events {
		ev.Seq = p.seq.Add(1)
		unique := object.NewID()
		hour := hourName(ev.Time)
		name := ordered(ev.Time.UnixNano()) + ordered(int64(ev.Seq)) + string(unique[:])
		err := p.store.Mark(ctx, hours, hour, nil)
		if err == nil {
			err = p.store.Mark(ctx, hourMarks(hour), name, oplog.EncodeEvent(&ev))
		}
		if err != nil && i > 0 {
			return oplog.Unknown(err) // some are there
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// Events implements oplog.History.
func (p *Primitive) Events(ctx context.Context, q oplog.HistoryQuery) ([]oplog.Event, error) {
	if p.closed.Load() {
		return nil, oplog.ErrClosed
	}
	limit := cmp.Or(q.Limit, oplog.DefaultEvents)
	all, err := p.store.Scan(ctx, hours, "", 0)
	if err != nil {
		return nil, fmt.Errorf("history: %w", err)
	}
	var found []oplog.Event
	for _, hour := range slices.Backward(all) {
		if len(found) >= limit {
			break
		}
		records, err := p.store.Scan(ctx, hourMarks(hour.Name), "", 0)
		if err != nil {
			return nil, fmt.Errorf("history: %w", err)
		}
		for _, r := range slices.Backward(records) {
			ev, err := oplog.DecodeEvent(r.Body)
			if err != nil {
				return nil, err
			}
			if selects(q, ev) {
				found = append(found, ev)
			}
		}
	}
	return found[:min(limit, len(found))], nil
}

func selects(q oplog.HistoryQuery, ev oplog.Event) bool {
	return (q.Bucket == "" || q.Bucket == ev.Bucket) && strings.HasPrefix(ev.Key, q.Prefix) &&
		!ev.Time.Before(q.Since) && (q.Before.IsZero() || ev.Time.Before(q.Before))
}

// Expire implements oplog.History.
func (p *Primitive) Expire(ctx context.Context, before time.Time) error {
	if p.closed.Load() {
		return oplog.ErrClosed
	}
	all, err := p.store.Scan(ctx, hours, "", 0)
	if err != nil {
		return oplog.NotApplied(err)
	}
	for _, hour := range all {
		if hour.Name >= hourName(before) {
			break
		}
		if err := p.store.DropPartition(ctx, hourMarks(hour.Name)); err != nil {
			return err
		}
		if err := p.store.Unmark(ctx, hours, hour.Name); err != nil {
			return err
		}
	}
	return nil
}

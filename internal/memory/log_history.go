package memory

import (
	"cmp"
	"context"
	"slices"
	"strings"
	"time"

	"github.com/s3mirror/s3mirror/internal/oplog"
)

// Doc implements oplog.Documents.
func (l *Log) Doc(ctx context.Context, kind oplog.DocKind, name string) (oplog.Doc, error) {
	l.mu.RLock()
	defer l.mu.RUnlock()
	if err := l.readable(ctx); err != nil {
		return oplog.Doc{}, err
	}
	data, ok := l.docs[docName{kind, name}]
	if !ok {
		return oplog.Doc{}, oplog.ErrNoRow
	}
	return oplog.DecodeDoc(kind, name, data)
}

// SwapDoc implements oplog.Documents.
func (l *Log) SwapDoc(ctx context.Context, old oplog.Epoch, doc oplog.Doc) error {
	if err := oplog.CheckDoc(old, doc); err != nil {
		return err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if err := l.writable(ctx); err != nil {
		return err
	}
	id := docName{doc.Kind, doc.Name}
	was, exists := l.docs[id]
	if err := compare(was, exists, old); err != nil {
		return err
	}
	switch {
	case doc.Body == nil && exists:
		delete(l.docs, id)
		l.names = without(l.names, id, compareDocs)
	case doc.Body != nil:
		if !exists {
			l.names = with(l.names, id, compareDocs)
		}
		l.docs[id] = oplog.EncodeDoc(doc)
	}
	return nil
}

// Docs implements oplog.Documents.
func (l *Log) Docs(ctx context.Context, kind oplog.DocKind, after string, limit int) ([]oplog.Doc, error) {
	l.mu.RLock()
	defer l.mu.RUnlock()
	if err := l.readable(ctx); err != nil {
		return nil, err
	}
	start, found := slices.BinarySearchFunc(l.names, docName{kind, after}, compareDocs)
	if found {
		start++
	}
	var page []oplog.Doc
	for _, id := range l.names[start:] {
		if len(page) == limit || id.kind != kind {
			break
		}
		doc, err := oplog.DecodeDoc(id.kind, id.name, l.docs[id])
		if err != nil {
			return nil, err
		}
		page = append(page, doc)
	}
	return page, nil
}

// storedEvent is an event with what it is ordered by.
type storedEvent struct {
	at   time.Time
	seq  uint64
	data []byte
}

// Append implements oplog.History.
func (l *Log) Append(ctx context.Context, events ...oplog.Event) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if err := l.writable(ctx); err != nil {
		return err
	}
	for _, ev := range events {
		l.seq++
		ev.Seq = l.seq
		l.events = with(l.events, storedEvent{ev.Time, ev.Seq, oplog.EncodeEvent(&ev)}, compareEvents)
	}
	return nil
}

// Events implements oplog.History.
func (l *Log) Events(ctx context.Context, q oplog.HistoryQuery) ([]oplog.Event, error) {
	l.mu.RLock()
	defer l.mu.RUnlock()
	if err := l.readable(ctx); err != nil {
		return nil, err
	}
	limit := cmp.Or(q.Limit, oplog.DefaultEvents)
	var found []oplog.Event
	for _, stored := range slices.Backward(l.events) {
		if len(found) == limit || stored.at.Before(q.Since) {
			break
		}
		if !q.Before.IsZero() && !stored.at.Before(q.Before) {
			continue
		}
		ev, err := oplog.DecodeEvent(stored.data)
		if err != nil {
			return nil, err
		}
		if (q.Bucket == "" || q.Bucket == ev.Bucket) && strings.HasPrefix(ev.Key, q.Prefix) {
			found = append(found, ev)
		}
	}
	return found, nil
}

// Expire implements oplog.History.
func (l *Log) Expire(ctx context.Context, before time.Time) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if err := l.writable(ctx); err != nil {
		return err
	}
	edge := storedEvent{at: before.Truncate(time.Hour)}
	at, _ := slices.BinarySearchFunc(l.events, edge, compareEvents)
	l.events = slices.Delete(l.events, 0, at)
	return nil
}

func compareDocs(a, b docName) int {
	return cmp.Or(strings.Compare(string(a.kind), string(b.kind)), strings.Compare(a.name, b.name))
}

func compareEvents(a, b storedEvent) int {
	return cmp.Or(a.at.Compare(b.at), cmp.Compare(a.seq, b.seq))
}

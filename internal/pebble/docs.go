package pebble

import (
	"context"
	"errors"
	"fmt"

	"github.com/s3mirror/s3mirror/internal/oplog"
)

// Doc implements oplog.Documents.
func (l *Log) Doc(ctx context.Context, kind oplog.DocKind, name string) (oplog.Doc, error) {
	if err := l.begin(ctx); err != nil {
		return oplog.Doc{}, err
	}
	defer l.end()
	var doc oplog.Doc
	err := l.view(docKey(nil, kind, name), func(stored []byte) (err error) {
		doc, err = oplog.DecodeDoc(kind, name, stored)
		return err
	})
	if err != nil && !errors.Is(err, oplog.ErrNoRow) {
		err = fmt.Errorf("read document %s %q: %w", kind, name, err)
	}
	return doc, err
}

// SwapDoc implements oplog.Documents. Documents are small and few: they are
// written as long as outcomes are.
func (l *Log) SwapDoc(ctx context.Context, old oplog.Epoch, doc oplog.Doc) error {
	if err := oplog.CheckDoc(old, doc); err != nil {
		return err
	}
	s := swap{
		key: docKey(nil, doc.Kind, doc.Name), old: old,
		admit: func([]byte) error { return l.space.admit(needNow) },
	}
	if doc.Body != nil {
		s.value = oplog.EncodeDoc(doc)
	}
	return l.swap(ctx, s)
}

// Docs implements oplog.Documents.
func (l *Log) Docs(ctx context.Context, kind oplog.DocKind, after string, limit int) ([]oplog.Doc, error) {
	if err := l.begin(ctx); err != nil {
		return nil, err
	}
	defer l.end()
	all := docKey(nil, kind, "")
	var page []oplog.Doc
	err := l.scan(ctx, append(docKey(nil, kind, after), 0), end(all), limit, func(key, stored []byte) error {
		doc, err := oplog.DecodeDoc(kind, string(key[len(all):]), stored)
		page = append(page, doc)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("page of documents %s: %w", kind, err)
	}
	return page, nil
}

package cassandra

import (
	"context"
	"fmt"

	"github.com/s3mirror/s3mirror/internal/oplog"
)

func docID(kind oplog.DocKind, name string) rowID { return rowID{space: string(kind), name: name} }

// Doc implements oplog.Documents.
func (l *Log) Doc(ctx context.Context, kind oplog.DocKind, name string) (oplog.Doc, error) {
	if err := l.begin(ctx); err != nil {
		return oplog.Doc{}, err
	}
	defer l.end()
	row, ok, err := l.store.read(ctx, docRows, docID(kind, name))
	switch {
	case err != nil:
		return oplog.Doc{}, fmt.Errorf("read document %s %q: %w", kind, name, err)
	case !ok:
		return oplog.Doc{}, oplog.ErrNoRow
	}
	return oplog.DecodeDoc(kind, name, row.body)
}

// SwapDoc implements oplog.Documents.
func (l *Log) SwapDoc(ctx context.Context, old oplog.Epoch, doc oplog.Doc) error {
	if err := oplog.CheckDoc(old, doc); err != nil {
		return err
	}
	c := change{family: docFamily, id: docID(doc.Kind, doc.Name), old: old}
	if doc.Body != nil {
		c.epoch, c.body = doc.Epoch, oplog.EncodeDoc(doc)
	}
	return l.swap(ctx, c)
}

// Docs implements oplog.Documents.
func (l *Log) Docs(ctx context.Context, kind oplog.DocKind, after string, limit int) ([]oplog.Doc, error) {
	if err := l.begin(ctx); err != nil {
		return nil, err
	}
	defer l.end()
	page, err := l.find(ctx, docFamily, string(kind), "", after, limit)
	if err != nil {
		return nil, fmt.Errorf("page of documents %s: %w", kind, err)
	}
	var docs []oplog.Doc
	for _, f := range page {
		doc, err := oplog.DecodeDoc(kind, f.name, f.body)
		if err != nil {
			return nil, err
		}
		docs = append(docs, doc)
	}
	return docs, nil
}

package archive

import (
	"context"
	"fmt"
	"io"
	"slices"
	"time"

	"github.com/s3mirror/s3mirror/internal/oplog"
)

// page is how many records are read at a time.
const page = 500

// stays tells which documents belong to a place, and not to what is kept there.
func stays(k oplog.DocKind) bool {
	return k == oplog.DocNode || k == oplog.DocShare || k == oplog.DocMove
}

// Export writes everything that the log holds, but for what belongs to its place:
// documents of nodes, of what they share, and of moves. Nothing may change it meanwhile. Errors are
// the log's and the writer's.
func Export(ctx context.Context, log oplog.Log, w io.Writer, h Header) (Counts, error) {
	out, err := newWriter(w, h)
	if err != nil {
		return Counts{}, err
	}
	e := exporter{ctx: ctx, log: log, out: out}
	for _, step := range []func() error{e.documents, e.rows, e.parts, e.events, out.end} {
		if err := step(); err != nil {
			return out.counts, err
		}
	}
	return out.counts, nil
}

type exporter struct {
	ctx     context.Context
	log     oplog.Log
	out     *writer
	buckets []string
	uploads []oplog.Doc // only their names
}

func (e *exporter) documents() error {
	for _, kind := range oplog.DocKinds {
		if stays(kind) {
			continue
		}
		err := walkDocs(e.ctx, e.log, kind, func(d oplog.Doc) error {
			switch kind {
			case oplog.DocBucket:
				e.buckets = append(e.buckets, d.Name)
			case oplog.DocUpload:
				e.uploads = append(e.uploads, oplog.Doc{Name: d.Name})
			}
			return e.out.document(d)
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// walkDocs hands over all documents of a kind, the one without a name first: no
// page begins before it.
func walkDocs(ctx context.Context, log oplog.Log, kind oplog.DocKind, use func(oplog.Doc) error) error {
	if d, err := log.Doc(ctx, kind, ""); err == nil {
		if err := use(d); err != nil {
			return err
		}
	}
	for after := ""; ; {
		docs, err := log.Docs(ctx, kind, after, page)
		if err != nil {
			return err
		}
		for _, d := range docs {
			if err := use(d); err != nil {
				return err
			}
			after = d.Name
		}
		if len(docs) < page {
			return nil
		}
	}
}

// rows writes them bucket by bucket: a range is read as clients' lists are, and
// so ends what was left undecided. The index tells of buckets that have no
// document any more.
func (e *exporter) rows() error {
	for shard := range oplog.Shards {
		err := walkShard(e.ctx, e.log, shard, func(kr oplog.KeyRow) error {
			if !slices.Contains(e.buckets, kr.Key.Bucket) {
				e.buckets = append(e.buckets, kr.Key.Bucket)
			}
			return nil
		})
		if err != nil {
			return err
		}
	}
	slices.Sort(e.buckets)
	for _, bucket := range e.buckets {
		if err := e.rowsOf(bucket); err != nil {
			return err
		}
	}
	return nil
}

func (e *exporter) rowsOf(bucket string) error {
	for after := ""; ; {
		rows, err := e.log.Range(e.ctx, bucket, "", after, page)
		if err != nil {
			return err
		}
		for i := range rows {
			if err := e.out.row(&rows[i]); err != nil {
				return err
			}
			after = rows[i].Key.Name
		}
		if len(rows) < page {
			return nil
		}
	}
}

func walkShard(ctx context.Context, log oplog.Log, shard int, use func(oplog.KeyRow) error) error {
	for at := oplog.Cursor(""); ; {
		rows, next, err := log.Due(ctx, shard, at, page)
		if err != nil {
			return err
		}
		for _, kr := range rows {
			if err := use(kr); err != nil {
				return err
			}
		}
		if at = next; at == "" {
			return nil
		}
	}
}

// parts writes those of the uploads that there are; others nobody asks for.
func (e *exporter) parts() error {
	for _, u := range e.uploads {
		_, id, ok := oplog.ParseUploadName(u.Name)
		if !ok {
			return fmt.Errorf("document %q has no name of an upload: %w", u.Name, oplog.ErrBadRecord)
		}
		for after := (oplog.PartName{}); ; {
			parts, err := e.log.Parts(e.ctx, id, after, page)
			if err != nil {
				return err
			}
			for i := range parts {
				if err := e.out.part(&parts[i]); err != nil {
					return err
				}
				after = parts[i].Name()
			}
			if len(parts) < page {
				break
			}
		}
	}
	return nil
}

// events goes back in time. A page ends anywhere among the events of one moment,
// so the next begins with that moment again.
func (e *exporter) events() error {
	limit := page
	for before := (time.Time{}); ; {
		found, err := e.log.Events(e.ctx, oplog.HistoryQuery{Before: before, Limit: limit})
		if err != nil {
			return err
		}
		whole := found
		if len(found) == limit { // the last moment may not be whole
			last := found[limit-1].Time
			whole = found[:slices.IndexFunc(found, func(ev oplog.Event) bool { return ev.Time.Equal(last) })]
			if len(whole) == 0 {
				limit *= 2
				continue
			}
		}
		if err := e.moments(whole); err != nil || len(found) < limit {
			return err
		}
		before, limit = whole[len(whole)-1].Time, page
	}
}

// moments writes events that come newest first, those of one moment in the order
// in which they came.
func (e *exporter) moments(found []oplog.Event) error {
	for len(found) > 0 {
		n := slices.IndexFunc(found, func(ev oplog.Event) bool { return !ev.Time.Equal(found[0].Time) })
		if n < 0 {
			n = len(found)
		}
		for i := n - 1; i >= 0; i-- {
			if err := e.out.event(&found[i]); err != nil {
				return err
			}
		}
		found = found[n:]
	}
	return nil
}

package oplogtest

import (
	"context"
	"errors"
	"fmt"
	"testing"

	"github.com/s3mirror/s3mirror/internal/oplog"
)

var documentChecks = []check{
	{"a document is made, replaced and dropped", func(t *testing.T, s subject) {
		s.wantDoc(t, oplog.DocGeneration, "g", nil)
		first, second := newDoc(oplog.DocGeneration, "g"), newDoc(oplog.DocGeneration, "g")
		second.Body = []byte("\x00\xff")
		s.swapDoc(t, oplog.Epoch{}, first)
		s.wantDoc(t, oplog.DocGeneration, "g", &first)
		s.swapDoc(t, first.Epoch, second)
		s.wantDoc(t, oplog.DocGeneration, "g", &second)
		s.swapDoc(t, second.Epoch, oplog.Doc{Kind: oplog.DocGeneration, Name: "g"})
		s.wantDoc(t, oplog.DocGeneration, "g", nil)
		s.swapDoc(t, oplog.Epoch{}, oplog.Doc{Kind: oplog.DocGeneration, Name: "g"}) // dropping nothing
	}},

	{"an empty body is a document", func(t *testing.T, s subject) {
		doc := newDoc(oplog.DocNode, "n")
		doc.Body = []byte{}
		s.swapDoc(t, oplog.Epoch{}, doc)
		s.wantDoc(t, oplog.DocNode, "n", &doc)
		got, err := s.Doc(context.Background(), oplog.DocNode, "n")
		if err != nil || got.Body == nil {
			t.Errorf("body %v, %v: nil would drop the document when swapped back", got.Body, err)
		}
	}},

	{"a document's conflict changes nothing", func(t *testing.T, s subject) {
		doc := newDoc(oplog.DocBucket, "b")
		s.swapDoc(t, oplog.Epoch{}, doc)
		gone := oplog.Doc{Kind: oplog.DocBucket, Name: "b"}
		for name, err := range map[string]error{
			"create over":   s.SwapDoc(context.Background(), oplog.Epoch{}, newDoc(oplog.DocBucket, "b")),
			"stale replace": s.SwapDoc(context.Background(), oplog.NewEpoch(), newDoc(oplog.DocBucket, "b")),
			"stale drop":    s.SwapDoc(context.Background(), oplog.NewEpoch(), gone),
			"absent":        s.SwapDoc(context.Background(), oplog.NewEpoch(), newDoc(oplog.DocBucket, "other")),
		} {
			if !errors.Is(err, oplog.ErrConflict) {
				t.Errorf("%s: got %v, want ErrConflict", name, err)
			}
		}
		s.wantDoc(t, oplog.DocBucket, "b", &doc)
		s.wantDoc(t, oplog.DocBucket, "other", nil)
	}},

	{"kinds are apart, names in order, bodies not shared", func(t *testing.T, s subject) {
		names := []string{"", "\x00", "a", "a\x00b", "a/b", "b", "\xff"}
		for _, name := range names {
			s.swapDoc(t, oplog.Epoch{}, newDoc(oplog.DocUser, name))
			s.swapDoc(t, oplog.Epoch{}, newDoc(oplog.DocBucket, name))
		}
		for _, limit := range []int{1, 3, 100} {
			var got []string
			for after := ""; ; after = got[len(got)-1] {
				page, err := s.Docs(context.Background(), oplog.DocUser, after, limit)
				if err != nil || len(page) > limit {
					t.Fatalf("docs: %d, %v", len(page), err)
				}
				for _, doc := range page {
					if doc.Kind != oplog.DocUser || string(doc.Body) != string(newDoc(oplog.DocUser, doc.Name).Body) {
						t.Errorf("docs returned %+v", doc)
					}
					got = append(got, doc.Name)
					doc.Body[0] = 'X'
				}
				if len(page) < limit {
					break
				}
			}
			wantNames(t, fmt.Sprintf("limit %d", limit), got, names[1:]) // "" is not after ""
		}
		if page, err := s.Docs(context.Background(), oplog.DocNode, "", 5); err != nil || len(page) != 0 {
			t.Errorf("a kind without documents has %v, %v", page, err)
		}
	}},
}

func (s subject) swapDoc(t *testing.T, old oplog.Epoch, doc oplog.Doc) {
	t.Helper()
	if err := s.SwapDoc(context.Background(), old, doc); err != nil {
		t.Fatalf("swap document %s %q: %v", doc.Kind, doc.Name, err)
	}
}

// wantDoc reads a document and wants exactly this one; nil: none.
func (s subject) wantDoc(t *testing.T, kind oplog.DocKind, name string, want *oplog.Doc) {
	t.Helper()
	got, err := s.Doc(context.Background(), kind, name)
	if want == nil {
		if !errors.Is(err, oplog.ErrNoRow) {
			t.Errorf("document %s %q: got %+v, %v; want ErrNoRow", kind, name, got, err)
		}
		return
	}
	if err != nil || !equalDoc(got, *want) {
		t.Errorf("document %s %q: got %+v, %v; want %+v", kind, name, got, err, *want)
	}
}

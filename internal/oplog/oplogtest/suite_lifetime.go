package oplogtest

import (
	"context"
	"errors"
	"sync"
	"testing"

	"github.com/s3mirror/s3mirror/internal/object"
	"github.com/s3mirror/s3mirror/internal/oplog"
)

var lifetimeChecks = []check{
	{"a closed log refuses everything", func(t *testing.T, s subject) {
		s.put(t, key("k"))
		for range 2 { // the second Close is a no-op
			if err := s.Close(); err != nil {
				t.Fatalf("close: %v", err)
			}
		}
		errs := readErrors(context.Background(), s.Log)
		errs["swap"] = s.Swap(context.Background(), key("new"), oplog.Epoch{}, newRow())
		errs["doc swap"] = s.SwapDoc(context.Background(), oplog.Epoch{}, newDoc(oplog.DocNode, "n"))
		errs["add part"] = s.AddPart(context.Background(), newPart(object.NewID(), 1))
		errs["drop parts"] = s.DropParts(context.Background(), object.NewID())
		errs["append"] = s.Append(context.Background(), event(noon, "b", "k"))
		errs["expire"] = s.Expire(context.Background(), noon)
		for name, err := range errs {
			if !errors.Is(err, oplog.ErrClosed) || !errors.Is(err, oplog.ErrNotApplied) {
				t.Errorf("%s: got %v, want ErrClosed", name, err)
			}
		}
	}},

	{"close lets running calls finish or fail", func(t *testing.T, s subject) {
		var wg sync.WaitGroup
		for w := range 8 {
			wg.Go(func() {
				for i := 0; ; i++ {
					err := s.Swap(context.Background(), key("%d/%d", w, i), oplog.Epoch{}, newRow())
					if errors.Is(err, oplog.ErrClosed) {
						return
					}
					if err == nil {
						_, err = s.Row(context.Background(), key("%d/%d", w, i))
					}
					if err != nil && !errors.Is(err, oplog.ErrClosed) {
						t.Errorf("while closing: %v", err)
						return
					}
				}
			})
		}
		s.put(t, key("first")) // the others are under way
		if err := s.Close(); err != nil {
			t.Errorf("close: %v", err)
		}
		wg.Wait()
	}},

	{"what was written is there after reopening", func(t *testing.T, s subject) {
		if s.reopen == nil {
			return // nothing outlives Close here, and nothing else is promised
		}
		kept, dropped := s.put(t, key("kept")), s.put(t, key("dropped"))
		next := newRow()
		s.swap(t, key("kept"), kept.Epoch, next)
		s.swap(t, key("dropped"), dropped.Epoch, nil)
		doc := newDoc(oplog.DocGeneration, "g")
		s.swapDoc(t, oplog.Epoch{}, doc)
		part, over := newPart(object.NewID(), 1), newPart(object.NewID(), 1)
		s.addPart(t, part)
		s.addPart(t, over)
		if err := s.DropParts(context.Background(), over.Upload); err != nil {
			t.Fatal(err)
		}
		s.append(t, event(noon, "b", "1"), event(noon, "b", "2"))
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}

		again := s
		again.Log = s.reopen(t)
		t.Cleanup(func() { _ = again.Close() })
		again.wantRow(t, key("kept"), next)
		again.wantRow(t, key("dropped"), nil)
		again.wantDoc(t, oplog.DocGeneration, "g", &doc)
		again.wantParts(t, part.Upload, part)
		again.wantParts(t, over.Upload)
		again.append(t, event(noon, "b", "3"))
		wantNames(t, "history", again.events(t, oplog.HistoryQuery{}), []string{"3", "2", "1"})
		if n := len(again.walk(t, 10)); n != 1 {
			t.Errorf("index holds %d keys after reopening, want 1", n)
		}
		again.swap(t, key("kept"), next.Epoch, nil)
	}},
}

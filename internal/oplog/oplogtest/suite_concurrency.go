package oplogtest

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"

	"github.com/s3mirror/s3mirror/internal/object"
	"github.com/s3mirror/s3mirror/internal/oplog"
)

var concurrencyChecks = []check{
	{"one of 64 compare-and-sets wins", func(t *testing.T, s subject) {
		k := key("hot")
		old := oplog.Epoch{}
		for round := range 5 { // the first creates the row, the others replace it
			won := race(t, 64, func(int) (oplog.Epoch, error) {
				row := newRow()
				return row.Epoch, s.Swap(context.Background(), k, old, row)
			})
			got, err := s.Row(context.Background(), k)
			if err != nil || got.Epoch != won {
				t.Fatalf("round %d: row %x, %v; the winner wrote %x", round, got.Epoch, err, won)
			}
			old = won
		}
		race(t, 64, func(int) (oplog.Epoch, error) {
			return oplog.NewEpoch(), s.Swap(context.Background(), k, old, nil)
		})
		s.wantRow(t, k, nil)
	}},

	{"one of 64 documents wins", func(t *testing.T, s subject) {
		won := race(t, 64, func(int) (oplog.Epoch, error) {
			doc := newDoc(oplog.DocBucket, "b")
			return doc.Epoch, s.SwapDoc(context.Background(), oplog.Epoch{}, doc)
		})
		if doc, err := s.Doc(context.Background(), oplog.DocBucket, "b"); err != nil || doc.Epoch != won {
			t.Errorf("document %x, %v; the winner wrote %x", doc.Epoch, err, won)
		}
	}},

	{"what is known applied is seen by everyone", func(t *testing.T, s subject) {
		k, old := key("seen"), oplog.Epoch{}
		for round := range 30 {
			row := newRow()
			if round%5 == 4 {
				row = nil
			}
			s.swap(t, k, old, row)
			var wg sync.WaitGroup
			for range 4 {
				wg.Go(func() { s.wantRow(t, k, row) })
				wg.Go(func() { s.wantListed(t, k, row != nil) })
			}
			wg.Wait()
			old = oplog.Epoch{}
			if row != nil {
				old = row.Epoch
			}
		}
	}},

	{"an abandoned swap is told truthfully", func(t *testing.T, s subject) {
		for i := range 40 {
			k, row := key("abandoned %d", i), newRow()
			ctx, cancel := context.WithCancel(context.Background())
			swapped := make(chan error)
			go func() { swapped <- s.Swap(ctx, k, oplog.Epoch{}, row) }()
			cancel()
			err := <-swapped
			switch {
			case err == nil:
				s.wantRow(t, k, row)
			case errors.Is(err, oplog.ErrNotApplied):
				s.wantRow(t, k, nil)
			case !errors.Is(err, oplog.ErrUnknown) || !errors.Is(err, context.Canceled):
				t.Errorf("got %v, want ErrUnknown that wraps context.Canceled", err)
			}
			s.settle(t, k, row)
		}
	}},

	{"keys do not disturb each other", func(t *testing.T, s subject) {
		var wg sync.WaitGroup
		for w := range 8 {
			wg.Go(func() {
				k := object.Key{Bucket: fmt.Sprintf("bucket-%d", w%2), Name: fmt.Sprintf("own/%d", w)}
				old := oplog.Epoch{}
				for range 25 {
					row := newRow()
					if !s.swap(t, k, old, row) {
						return
					}
					s.wantRow(t, k, row)
					old = row.Epoch
				}
			})
		}
		wg.Wait()
	}},

	{"histories are linearizable", func(t *testing.T, s subject) {
		out := CheckRegister(t, s.Log, Workload{Keys: 3, Clients: 8, Ops: 80, Seed: 1})
		if out.Applied == 0 || out.Conflicts == 0 || out.Unknown+out.Refused > 0 {
			t.Errorf("outcomes %+v: want applied and conflicting ones only", out)
		}
	}},
}

// race runs n contenders at once, wants exactly one to win and the others to
// meet a conflict, and returns what the winner wrote.
func race(t *testing.T, n int, contend func(i int) (oplog.Epoch, error)) oplog.Epoch {
	t.Helper()
	var (
		wg    sync.WaitGroup
		mu    sync.Mutex // guards won
		won   []oplog.Epoch
		start = make(chan struct{})
	)
	for i := range n {
		wg.Go(func() {
			<-start
			epoch, err := contend(i)
			if err == nil {
				mu.Lock()
				won = append(won, epoch)
				mu.Unlock()
			} else if !errors.Is(err, oplog.ErrConflict) {
				t.Errorf("contender %d: %v, want ErrConflict", i, err)
			}
		})
	}
	close(start)
	wg.Wait()
	if len(won) != 1 {
		t.Fatalf("%d of %d contenders won, want 1", len(won), n)
	}
	return won[0]
}

// wantListed wants the key in the bucket's range, or not in it.
func (s subject) wantListed(t *testing.T, k object.Key, want bool) {
	t.Helper()
	page, err := s.Range(context.Background(), k.Bucket, k.Name, "", 10)
	if err != nil {
		t.Errorf("range: %v", err)
		return
	}
	for _, kr := range page {
		if kr.Key == k {
			if !want {
				t.Errorf("range returned %v, whose row was dropped", k)
			}
			return
		}
	}
	if want {
		t.Errorf("range left out %v, whose row was written before", k)
	}
}

// settle moves the epoch by a compare-and-set of its own (R29). After that what
// was abandoned can never be seen again.
func (s subject) settle(t *testing.T, k object.Key, abandoned *oplog.Row) {
	t.Helper()
	mine := newRow()
	for range 1000 {
		seen, err := s.Row(context.Background(), k)
		if err != nil && !errors.Is(err, oplog.ErrNoRow) {
			t.Fatalf("row %v: %v", k, err)
		}
		if err == nil && seen.Epoch != abandoned.Epoch {
			t.Fatalf("row %v is %x, written by nobody", k, seen.Epoch)
		}
		err = s.Swap(context.Background(), k, seen.Epoch, mine)
		if err == nil {
			s.wantConflict(t, k, oplog.Epoch{}, abandoned)
			s.wantRow(t, k, mine)
			return
		}
		if !errors.Is(err, oplog.ErrConflict) {
			t.Fatalf("settle %v: %v", k, err)
		}
	}
	t.Fatalf("%v: no compare-and-set of 1000 won against one abandoned", k)
}

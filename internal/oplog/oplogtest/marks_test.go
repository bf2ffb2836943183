package oplogtest

import (
	"context"
	"testing"
	"time"

	"github.com/s3mirror/s3mirror/internal/object"
	"github.com/s3mirror/s3mirror/internal/oplog"
)

// TestIndexNeedsItsMarker: two nodes make the row of one key, one loses and takes
// its mark back. The mark of the one that won is its own, so the row stays in the
// index. With one mark for both, which is rule R30 broken, it is lost from it.
func TestIndexNeedsItsMarker(t *testing.T) {
	for _, shared := range []bool{false, true} {
		ctx := context.Background()
		store := NewStore()
		first, second := NewPrimitive(store, nil), NewPrimitive(store, nil)
		first.sharedMarks, second.sharedMarks = shared, shared
		key := object.Key{Bucket: "photos", Name: "k"}
		row := func() *oplog.Row {
			return &oplog.Row{Epoch: oplog.NewEpoch(), Changed: time.Now(), Open: true, Good: object.NewReplicas("a")}
		}
		if err := first.Swap(ctx, key, oplog.Epoch{}, row()); err != nil {
			t.Fatal(err)
		}
		if err := second.Swap(ctx, key, oplog.Epoch{}, row()); err == nil {
			t.Fatal("two rows of one key")
		}
		rows, err := first.Range(ctx, "photos", "", "", 10)
		if err != nil {
			t.Fatal(err)
		}
		if indexed := len(rows) == 1; indexed == shared {
			t.Errorf("shared marks %v: the index shows %d rows", shared, len(rows))
		}
	}
}

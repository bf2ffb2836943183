package oplogtest

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"testing"
	"time"

	"github.com/s3mirror/s3mirror/internal/object"
	"github.com/s3mirror/s3mirror/internal/oplog"
)

// Tolerance says where an implementation uses the room that the contract leaves.
type Tolerance struct {
	// Repeats: a walk with Due may return a row more than once.
	Repeats bool
}

// Harness is one open, empty log and what the suite may do to it. The suite
// closes the log.
type Harness struct {
	Log oplog.Log
	// Reopen is called after Log was closed and opens the same storage again.
	// Nil: nothing outlives Close, and the promises about that are not checked.
	Reopen func(t *testing.T) oplog.Log
}

// Run checks every promise of oplog.Log. open is called once per promise.
func Run(t *testing.T, tolerance Tolerance, open func(t *testing.T) Harness) {
	for _, part := range []struct {
		name   string
		checks []check
	}{
		{"Rows", rowChecks},
		{"Concurrency", concurrencyChecks},
		{"Index", indexChecks},
		{"Documents", documentChecks},
		{"Parts", partChecks},
		{"History", historyChecks},
		{"Lifetime", lifetimeChecks},
	} {
		for _, c := range part.checks {
			t.Run(part.name+"/"+c.name, func(t *testing.T) {
				h := open(t)
				t.Cleanup(func() { _ = h.Log.Close() })
				c.run(t, subject{Log: h.Log, Tolerance: tolerance, reopen: h.Reopen})
			})
		}
	}
}

// check is one promise.
type check struct {
	name string
	run  func(t *testing.T, s subject)
}

// subject is the log under test with the suite's shorthands.
type subject struct {
	oplog.Log
	Tolerance
	reopen func(t *testing.T) oplog.Log
}

// newRow makes a row whose fresh epoch names it.
func newRow() *oplog.Row {
	return &oplog.Row{
		Epoch: oplog.NewEpoch(),
		Cur:   object.Info{ID: object.NewID(), Ver: 7, Kind: object.Present, ETag: "e", Size: 3},
		Good:  object.NewReplicas("eu-1"),
	}
}

// put makes a row under the key and returns it.
func (s subject) put(t *testing.T, key object.Key) *oplog.Row {
	t.Helper()
	row := newRow()
	s.swap(t, key, oplog.Epoch{}, row)
	return row
}

// swap wants the compare-and-set to be applied; it may run on any goroutine.
func (s subject) swap(t *testing.T, key object.Key, old oplog.Epoch, row *oplog.Row) bool {
	t.Helper()
	err := s.Swap(context.Background(), key, old, row)
	if err != nil {
		t.Errorf("swap %v: %v", key, err)
	}
	return err == nil
}

// wantConflict swaps and wants to be told that the epoch was another one.
func (s subject) wantConflict(t *testing.T, key object.Key, old oplog.Epoch, row *oplog.Row) {
	t.Helper()
	if err := s.Swap(context.Background(), key, old, row); !errors.Is(err, oplog.ErrConflict) {
		t.Errorf("swap %v: got %v, want ErrConflict", key, err)
	}
}

// wantRow reads the key and wants exactly the row; nil: none.
func (s subject) wantRow(t *testing.T, key object.Key, want *oplog.Row) {
	t.Helper()
	got, err := s.Row(context.Background(), key)
	switch {
	case want == nil && !errors.Is(err, oplog.ErrNoRow):
		t.Errorf("row %v: got %+v, %v; want ErrNoRow", key, got, err)
	case want != nil && err != nil:
		t.Errorf("row %v: %v", key, err)
	case want != nil && !reflect.DeepEqual(got, *want):
		t.Errorf("row %v:\n got %#v\nwant %#v", key, got, *want)
	}
}

// walk pages through all shards and returns how often each key came.
func (s subject) walk(t *testing.T, limit int) map[object.Key]int {
	t.Helper()
	seen := map[object.Key]int{}
	for shard := range oplog.Shards {
		for _, kr := range walkShard(t, s.Log, shard, limit) {
			seen[kr.Key]++
		}
	}
	return seen
}

func walkShard(t testing.TB, log oplog.Log, shard, limit int) []oplog.KeyRow {
	t.Helper()
	var all []oplog.KeyRow
	for at, pages := oplog.Cursor(""), 0; ; pages++ {
		page, next, err := log.Due(context.Background(), shard, at, limit)
		if err != nil {
			t.Fatalf("due, shard %d: %v", shard, err)
		}
		if len(page) > limit || pages > 100_000 {
			t.Fatalf("due, shard %d: %d rows on page %d, limit %d", shard, len(page), pages, limit)
		}
		all = append(all, page...)
		if at = next; at == "" {
			return all
		}
	}
}

// list pages through a bucket and returns the keys in the order they came.
func (s subject) list(t *testing.T, bucket, prefix string, limit int) []string {
	t.Helper()
	var names []string
	after := ""
	for {
		page, err := s.Range(context.Background(), bucket, prefix, after, limit)
		if err != nil || len(page) > limit {
			t.Fatalf("range %q %q: %d rows, %v", bucket, prefix, len(page), err)
		}
		for _, kr := range page {
			if kr.Key.Bucket != bucket {
				t.Errorf("range %q returned %v", bucket, kr.Key)
			}
			names = append(names, kr.Key.Name)
		}
		if len(page) < limit {
			return names
		}
		after = names[len(names)-1]
	}
}

func wantNames(t *testing.T, what string, got, want []string) {
	t.Helper()
	if !slices.Equal(got, want) {
		t.Errorf("%s:\n got %q\nwant %q", what, got, want)
	}
}

func key(format string, args ...any) object.Key {
	return object.Key{Bucket: "photos", Name: fmt.Sprintf(format, args...)}
}

// noon is a fixed moment on an hour's edge.
var noon = time.Date(2026, 11, 24, 12, 0, 0, 0, time.UTC)

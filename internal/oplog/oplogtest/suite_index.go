package oplogtest

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/s3mirror/s3mirror/internal/object"
	"github.com/s3mirror/s3mirror/internal/oplog"
)

var indexChecks = []check{
	{"range is in byte order, whole, and of one bucket", func(t *testing.T, s subject) {
		names := []string{"", "\x00", "a", "a\x00", "a!", "a/", "a/b", "a/b/c", "a/\xff", "a0", "b", "\xc3\xa9", "\xff", "\xff\xff", "\xff\xff\x00"}
		for _, i := range rand.New(rand.NewPCG(1, 2)).Perm(len(names)) {
			s.put(t, object.Key{Bucket: "photos", Name: names[i]})
			s.put(t, object.Key{Bucket: "photos2", Name: names[i]})
			s.put(t, object.Key{Bucket: "photo", Name: names[i]})
		}
		slices.Sort(names)
		for _, limit := range []int{1, 2, 7, 100} {
			// The empty key is greater than no "after", so it is never in a range.
			wantNames(t, fmt.Sprintf("limit %d", limit), s.list(t, "photos", "", limit), names[1:])
		}
		for _, prefix := range []string{"a", "a/", "a/b", "\xff", "\xff\xff", "nothing"} {
			var want []string
			for _, name := range names {
				if strings.HasPrefix(name, prefix) {
					want = append(want, name)
				}
			}
			wantNames(t, fmt.Sprintf("prefix %q", prefix), s.list(t, "photos", prefix, 3), want)
		}
		if got := s.list(t, "none", "", 5); len(got) != 0 {
			t.Errorf("a bucket without rows has %q", got)
		}
	}},

	{"range begins after a key, wherever it lies", func(t *testing.T, s subject) {
		for _, name := range []string{"a", "b/1", "b/2", "b/3", "c"} {
			s.put(t, object.Key{Bucket: "photos", Name: name})
		}
		for _, c := range []struct {
			prefix, after string
			limit         int
			want          []string
		}{
			{"", "b/1", 10, []string{"b/2", "b/3", "c"}},
			{"", "b/1\x00", 10, []string{"b/2", "b/3", "c"}},
			{"", "b/", 2, []string{"b/1", "b/2"}},
			{"b/", "", 10, []string{"b/1", "b/2", "b/3"}},
			{"b/", "a", 10, []string{"b/1", "b/2", "b/3"}}, // before the prefix
			{"b/", "b/2", 10, []string{"b/3"}},
			{"b/", "c", 10, nil}, // beyond it
			{"b/", "\xff", 10, nil},
			{"", "c", 10, nil},
		} {
			page, err := s.Range(context.Background(), "photos", c.prefix, c.after, c.limit)
			if err != nil {
				t.Fatal(err)
			}
			var got []string
			for _, kr := range page {
				got = append(got, kr.Key.Name)
			}
			wantNames(t, fmt.Sprintf("prefix %q after %q", c.prefix, c.after), got, c.want)
		}
	}},

	{"range returns rows as they are", func(t *testing.T, s subject) {
		row := s.put(t, key("k"))
		next := newRow()
		s.swap(t, key("k"), row.Epoch, next)
		page, err := s.Range(context.Background(), "photos", "k", "", 1)
		if err != nil || len(page) != 1 || page[0].Row.Epoch != next.Epoch || page[0].Key != key("k") {
			t.Errorf("got %+v, %v; want epoch %x", page, err, next.Epoch)
		}
	}},

	{"due walks every row of every shard", func(t *testing.T, s subject) {
		const rows = 200
		for i := range rows {
			s.put(t, object.Key{Bucket: fmt.Sprintf("bucket-%d", i%3), Name: fmt.Sprintf("key/%d", i)})
		}
		for _, limit := range []int{1, 7, 1000} {
			seen := s.walk(t, limit)
			for k, n := range seen {
				if n > 1 && !s.Repeats {
					t.Errorf("limit %d: %v came %d times", limit, k, n)
				}
			}
			if len(seen) != rows {
				t.Errorf("limit %d: %d rows, want %d", limit, len(seen), rows)
			}
		}
		for shard := range oplog.Shards {
			for _, kr := range walkShard(t, s.Log, shard, 50) {
				if oplog.ShardOf(kr.Key) != shard {
					t.Errorf("%v came with shard %d, its own is %d", kr.Key, shard, oplog.ShardOf(kr.Key))
				}
			}
		}
	}},

	{"due refuses a shard that is none", func(t *testing.T, s subject) {
		for _, shard := range []int{-1, oplog.Shards} {
			if _, _, err := s.Due(context.Background(), shard, "", 1); err == nil {
				t.Errorf("shard %d: no error", shard)
			}
		}
	}},

	{"due finds what stands while rows change", func(t *testing.T, s subject) {
		for i := range 60 {
			s.put(t, key("stands/%d", i))
		}
		stop := make(chan struct{})
		var wg sync.WaitGroup
		for w := range 4 {
			wg.Go(func() { churn(t, s, w, stop) })
		}
		for range 5 {
			seen := s.walk(t, 3)
			for i := range 60 {
				if n := seen[key("stands/%d", i)]; n == 0 || n > 1 && !s.Repeats {
					t.Errorf("a row that stands came %d times", n)
				}
			}
		}
		close(stop)
		wg.Wait()
	}},

	{"rows and index agree after any changes", func(t *testing.T, s subject) {
		rng := rand.New(rand.NewPCG(3, 4))
		model := map[object.Key]oplog.Epoch{}
		var keys []object.Key
		for i := range 40 {
			keys = append(keys, object.Key{Bucket: fmt.Sprintf("m%d", i%3), Name: fmt.Sprintf("%d/\x00\xff", rng.IntN(1000)+1000*i)})
		}
		for range 300 {
			k := keys[rng.IntN(len(keys))]
			var row *oplog.Row
			if rng.IntN(3) > 0 {
				row = newRow()
			}
			s.swap(t, k, model[k], row)
			delete(model, k)
			if row != nil {
				model[k] = row.Epoch
			}
		}
		for _, k := range keys {
			row, _ := s.Row(context.Background(), k)
			if row.Epoch != model[k] {
				t.Errorf("row %v is %x, want %x", k, row.Epoch, model[k])
			}
		}
		CheckIndex(t, s.Log, keys)
	}},
}

// churn makes, changes and drops rows of its own until stop.
func churn(t *testing.T, s subject, worker int, stop chan struct{}) {
	for i := 0; ; i++ {
		select {
		case <-stop:
			return
		default:
		}
		k, row := key("churn/%d/%d", worker, i%10), newRow()
		if !s.swap(t, k, oplog.Epoch{}, row) || !s.swap(t, k, row.Epoch, nil) {
			return
		}
	}
}

// CheckIndex wants Row, Range and Due to tell the same of the keys: every row
// that can be read is found by both, with the same epoch, and no other. Nothing
// may change meanwhile.
func CheckIndex(t testing.TB, log oplog.Log, keys []object.Key) {
	t.Helper()
	rows, ranged, due := map[object.Key]oplog.Epoch{}, map[object.Key]oplog.Epoch{}, map[object.Key]oplog.Epoch{}
	for _, k := range keys {
		if row, err := log.Row(context.Background(), k); err == nil {
			rows[k] = row.Epoch
		}
		page, err := log.Range(context.Background(), k.Bucket, k.Name, "", 1)
		if err != nil {
			t.Fatalf("range %v: %v", k, err)
		}
		if len(page) == 1 && page[0].Key == k {
			ranged[k] = page[0].Row.Epoch
		}
	}
	for shard := range oplog.Shards {
		for _, kr := range walkShard(t, log, shard, 100) {
			if slices.Contains(keys, kr.Key) {
				due[kr.Key] = kr.Row.Epoch
			}
		}
	}
	for _, k := range keys {
		if rows[k] != ranged[k] || rows[k] != due[k] {
			t.Errorf("%v: row has epoch %x, range %x, due %x", k, rows[k], ranged[k], due[k])
		}
	}
}

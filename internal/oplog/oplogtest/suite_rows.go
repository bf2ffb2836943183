package oplogtest

import (
	"bytes"
	"context"
	"errors"
	"strings"
	"testing"

	"github.com/s3mirror/s3mirror/internal/object"
	"github.com/s3mirror/s3mirror/internal/oplog"
)

var rowChecks = []check{
	{"a key without row says so", func(t *testing.T, s subject) {
		s.wantRow(t, key("nothing"), nil)
	}},

	{"a row is made, replaced and dropped", func(t *testing.T, s subject) {
		first, second := newRow(), newRow()
		s.swap(t, key("k"), oplog.Epoch{}, first)
		s.wantRow(t, key("k"), first)
		s.swap(t, key("k"), first.Epoch, second)
		s.wantRow(t, key("k"), second)
		s.swap(t, key("k"), second.Epoch, nil)
		s.wantRow(t, key("k"), nil)
	}},

	{"every field survives", func(t *testing.T, s subject) {
		for seed := range 30 {
			row := Rows().Example(seed)
			k := key("field %d", seed)
			s.swap(t, k, oplog.Epoch{}, &row)
			s.wantRow(t, k, &row)
		}
	}},

	{"a conflict changes nothing", func(t *testing.T, s subject) {
		row := s.put(t, key("k"))
		s.wantConflict(t, key("k"), oplog.Epoch{}, newRow())
		s.wantConflict(t, key("k"), oplog.NewEpoch(), newRow())
		s.wantConflict(t, key("k"), oplog.NewEpoch(), nil)
		s.wantConflict(t, key("k"), oplog.Epoch{}, nil)
		s.wantRow(t, key("k"), row)

		s.wantConflict(t, key("absent"), oplog.NewEpoch(), newRow())
		s.wantConflict(t, key("absent"), oplog.NewEpoch(), nil)
		s.wantRow(t, key("absent"), nil)
		if n := len(s.walk(t, 10)); n != 1 {
			t.Errorf("index holds %d keys, want 1", n)
		}
	}},

	{"dropping nothing is no conflict", func(t *testing.T, s subject) {
		s.swap(t, key("absent"), oplog.Epoch{}, nil)
		s.wantRow(t, key("absent"), nil)
	}},

	{"a stale epoch is refused after drop and re-creation", func(t *testing.T, s subject) {
		stale := s.put(t, key("k")).Epoch
		s.swap(t, key("k"), stale, nil)
		again := s.put(t, key("k"))
		s.wantConflict(t, key("k"), stale, newRow())
		s.wantConflict(t, key("k"), stale, nil)
		s.wantRow(t, key("k"), again)
	}},

	{"an epoch that is not fresh is refused", func(t *testing.T, s subject) {
		row := s.put(t, key("k"))
		same := newRow()
		same.Epoch = row.Epoch
		for name, err := range map[string]error{
			"zero":     s.Swap(context.Background(), key("new"), oplog.Epoch{}, &oplog.Row{}),
			"the same": s.Swap(context.Background(), key("k"), row.Epoch, same),
			"zero doc": s.SwapDoc(context.Background(), oplog.Epoch{}, oplog.Doc{Kind: oplog.DocNode, Name: "n", Body: []byte("1")}),
		} {
			if !errors.Is(err, oplog.ErrNotApplied) {
				t.Errorf("%s: got %v, want ErrNotApplied", name, err)
			}
		}
		s.wantRow(t, key("k"), row)
		s.wantRow(t, key("new"), nil)
	}},

	{"rows are not shared with the caller", func(t *testing.T, s subject) {
		row := Rows().Filter(func(r oplog.Row) bool {
			return r.Intent != nil && len(r.Good) > 0 && len(r.Unsettled) > 0 && len(r.ETags) > 0 && len(r.Cur.Headers) > 0
		}).Example(1)
		want := row.Clone()
		s.swap(t, key("k"), oplog.Epoch{}, &row)
		spoil(&row)
		s.wantRow(t, key("k"), want)

		got, err := s.Row(context.Background(), key("k"))
		if err != nil {
			t.Fatal(err)
		}
		spoil(&got)
		page, err := s.Range(context.Background(), "photos", "", "", 1)
		if err != nil || len(page) != 1 {
			t.Fatalf("range: %d rows, %v", len(page), err)
		}
		spoil(&page[0].Row)
		due := walkShard(t, s.Log, oplog.ShardOf(key("k")), 10)
		if len(due) == 0 {
			t.Fatal("the row is not in the index")
		}
		spoil(&due[0].Row)
		s.wantRow(t, key("k"), want)
	}},

	{"keys are raw bytes", func(t *testing.T, s subject) {
		rows := map[object.Key]*oplog.Row{}
		for _, k := range rawKeys() {
			rows[k] = s.put(t, k)
		}
		for k, row := range rows {
			s.wantRow(t, k, row)
		}
		for k, n := range s.walk(t, 3) {
			if rows[k] == nil || n > 1 && !s.Repeats {
				t.Errorf("the index returned %v %d times", k, n)
			}
		}
		for _, k := range rawKeys() {
			s.swap(t, k, rows[k].Epoch, nil)
			s.wantRow(t, k, nil)
			delete(rows, k)
			for other, row := range rows {
				s.wantRow(t, other, row)
			}
		}
	}},

	{"an ended context changes nothing and reads nothing", func(t *testing.T, s subject) {
		row := s.put(t, key("k"))
		ctx, cancel := context.WithCancel(context.Background())
		cancel()
		for name, err := range map[string]error{
			"swap":   s.Swap(ctx, key("k"), row.Epoch, newRow()),
			"drop":   s.Swap(ctx, key("k"), row.Epoch, nil),
			"doc":    s.SwapDoc(ctx, oplog.Epoch{}, newDoc(oplog.DocNode, "n")),
			"append": s.Append(ctx, oplog.Event{Time: noon, Op: "put"}),
			"expire": s.Expire(ctx, noon),
		} {
			if !errors.Is(err, oplog.ErrNotApplied) || !errors.Is(err, context.Canceled) {
				t.Errorf("%s: got %v, want ErrNotApplied that wraps context.Canceled", name, err)
			}
		}
		for name, err := range readErrors(ctx, s.Log) {
			if !errors.Is(err, context.Canceled) {
				t.Errorf("%s: got %v, want context.Canceled", name, err)
			}
		}
		s.wantRow(t, key("k"), row)
		if _, err := s.Doc(context.Background(), oplog.DocNode, "n"); !errors.Is(err, oplog.ErrNoRow) {
			t.Errorf("document: got %v, want ErrNoRow", err)
		}
	}},

	{"stats count rows, roughly", func(t *testing.T, s subject) {
		for i := range 40 {
			row := s.put(t, key("%d", i))
			if i%4 == 0 {
				s.swap(t, key("%d", i), row.Epoch, nil)
			}
		}
		if stats, err := s.Stats(context.Background()); err != nil || stats.Rows < 20 || stats.Rows > 60 {
			t.Errorf("stats of 30 rows: %+v, %v", stats, err)
		}
	}},
}

// spoil changes everything that a row refers to.
func spoil(r *oplog.Row) {
	for i := range r.Good {
		r.Good[i] = "spoilt"
	}
	for i := range r.Unsettled {
		r.Unsettled[i].Replica = "spoilt"
	}
	for name := range r.ETags {
		r.ETags[name] = "spoilt"
	}
	for name := range r.Cur.Headers {
		r.Cur.Headers[name] = "spoilt"
	}
	for i := range r.Cur.Parts {
		r.Cur.Parts[i]++
	}
	if r.Intent != nil {
		r.Intent.Owner = "spoilt"
		for i := range r.Intent.Reps {
			r.Intent.Reps[i] = "spoilt"
		}
	}
	r.Cfg++
}

// rawKeys are keys that a careless encoding confuses.
func rawKeys() []object.Key {
	var keys []object.Key
	for _, name := range []string{
		"", "\x00", "\x00\x00", "\x00\xff", "\xff", "\xff\xff", "a", "a\x00", "a\x00b", "a\xff", "a/", "a//b", "/", "//", "/a",
		".", "..", "a/../b", "%2F", "a+b", "a b", "\r\n", "\xc3\xa9", "e\xcc\x81", "r", "photos", strings.Repeat("k", 1024),
		strings.Repeat("\xff", 1024), strings.Repeat("\x00", 1024),
	} {
		keys = append(keys, object.Key{Bucket: "photos", Name: name})
	}
	return append(keys, // the border between bucket and key
		object.Key{Bucket: "photo", Name: "sa"}, object.Key{Bucket: "photo", Name: ""},
		object.Key{Bucket: "photosa", Name: ""}, object.Key{Bucket: "photosa", Name: "a"})
}

// readErrors calls every reading method and returns what each said.
func readErrors(ctx context.Context, log oplog.Log) map[string]error {
	errs := map[string]error{}
	_, errs["row"] = log.Row(ctx, key("k"))
	_, _, errs["due"] = log.Due(ctx, oplog.ShardOf(key("k")), "", 10)
	_, errs["range"] = log.Range(ctx, "photos", "", "", 10)
	_, errs["doc"] = log.Doc(ctx, oplog.DocNode, "n")
	_, errs["docs"] = log.Docs(ctx, oplog.DocNode, "", 10)
	_, errs["parts"] = log.Parts(ctx, object.NewID(), oplog.PartName{}, 10)
	_, errs["events"] = log.Events(ctx, oplog.HistoryQuery{})
	_, errs["stats"] = log.Stats(ctx)
	return errs
}

func equalDoc(a, b oplog.Doc) bool {
	return a.Kind == b.Kind && a.Name == b.Name && a.Epoch == b.Epoch && bytes.Equal(a.Body, b.Body)
}

func newDoc(kind oplog.DocKind, name string) oplog.Doc {
	return oplog.Doc{Kind: kind, Name: name, Epoch: oplog.NewEpoch(), Body: []byte(`{"n":"` + name + `"}`)}
}

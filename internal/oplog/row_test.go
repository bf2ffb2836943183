package oplog_test

import (
	"reflect"
	"testing"

	"github.com/s3mirror/s3mirror/internal/object"
	"github.com/s3mirror/s3mirror/internal/oplog"
)

func TestCloneSharesNothing(t *testing.T) {
	row := fullRow()
	row.Intent.Info = row.Cur
	want := oplog.EncodeRow(&row)
	clone := row.Clone()
	if !reflect.DeepEqual(*clone, row) {
		t.Fatalf("clone is %+v, want %+v", clone, row)
	}
	clone.Good[0], clone.Unsettled[0].Replica, clone.Refused[0].Code, clone.ETags["ru-1"] = "x", "x", "x", "x"
	clone.Cur.Headers["content-type"], clone.Cur.Parts[0] = "x", -1
	clone.Cur.Tags["colour"], clone.Unsettled[0].Tags["a"], clone.Tagging[0].Tags["colour"] = "x", "x", "x"
	clone.Tagging[0].Replica, clone.Mistagged[0], clone.Bare[0], clone.Rotten[0], clone.Sumless[0] = "x", "x", "x", "x", "x"
	clone.Intent.Owner, clone.Intent.Reps[0], clone.Intent.Info.Headers["content-type"], clone.Intent.Info.Parts[0] = "x", "x", "x", -1
	if got := oplog.EncodeRow(&row); !reflect.DeepEqual(got, want) {
		t.Error("changing the clone changed the row")
	}
	if (*oplog.Row)(nil).Clone() != nil {
		t.Error("the clone of no row is a row")
	}
}

// TestRefusable: a deletion is left to offer, and nothing else.
func TestRefusable(t *testing.T) {
	serving := object.NewReplicas("a", "b", "c")
	row := func(change func(r *oplog.Row)) *oplog.Row {
		r := &oplog.Row{Cur: object.Info{Kind: object.Tombstone, Ver: 5}, Good: object.NewReplicas("a", "b"), Refused: []oplog.Refusal{{Replica: "c"}}}
		change(r)
		return r
	}
	for name, c := range map[string]struct {
		row  *oplog.Row
		want bool
	}{
		"one refuses": {row(func(*oplog.Row) {}), true},
		"all refuse": {row(func(r *oplog.Row) {
			r.Good, r.Refused = nil, []oplog.Refusal{{Replica: "a"}, {Replica: "b"}, {Replica: "c"}}
		}), true},
		"one lags":                   {row(func(r *oplog.Row) { r.Refused = nil }), false},
		"one refuses, another lags":  {row(func(r *oplog.Row) { r.Good = object.NewReplicas("a") }), false},
		"something is on its way":    {row(func(r *oplog.Row) { r.Unsettled = []oplog.Entry{{}} }), false},
		"a write is under way":       {row(func(r *oplog.Row) { r.Intent = &oplog.Intent{} }), false},
		"what stands is not known":   {row(func(r *oplog.Row) { r.Open = true }), false},
		"an object stands elsewhere": {row(func(r *oplog.Row) { r.Cur.Kind = object.Present }), false},
		"an upload is remembered":    {row(func(r *oplog.Row) { r.Done = []oplog.Done{{}} }), false},
	} {
		if got := c.row.Refusable(serving); got != c.want {
			t.Errorf("%s: %v", name, got)
		}
	}
}

func TestQuietAndMapRowsAndMaxVer(t *testing.T) {
	serving := object.NewReplicas("eu-1", "eu-2")
	row := oplog.Row{Cur: object.Info{Ver: 5, Kind: object.Present}, Good: serving}
	if !row.Quiet(serving) || row.IsMap() || row.MaxVer() != 5 {
		t.Errorf("a settled row: quiet %v, map %v, max %d", row.Quiet(serving), row.IsMap(), row.MaxVer())
	}
	for name, change := range map[string]func(*oplog.Row){
		"intent":    func(r *oplog.Row) { r.Intent = &oplog.Intent{Ver: 6} },
		"unsettled": func(r *oplog.Row) { r.Unsettled = []oplog.Entry{{Ver: 6}} },
	} {
		busy := row.Clone()
		change(busy)
		if busy.Quiet(serving) || busy.MaxVer() != 6 {
			t.Errorf("%s: quiet %v, max %d; want false, 6", name, busy.Quiet(serving), busy.MaxVer())
		}
	}
	for name, change := range map[string]func(*oplog.Row){
		"open":    func(r *oplog.Row) { r.Open = true },
		"lagging": func(r *oplog.Row) { r.Good = r.Good.Without("eu-2") },
		"tagging": func(r *oplog.Row) { r.Tagging = []oplog.Entry{{Replica: "eu-1"}} },
		"tags":    func(r *oplog.Row) { r.Mistagged = object.NewReplicas("eu-2") },
	} {
		busy := row.Clone()
		change(busy)
		if busy.Quiet(serving) {
			t.Errorf("%s: the row is quiet", name)
		}
	}
	away := row.Clone()
	away.Mistagged, away.Bare = object.NewReplicas("elsewhere"), object.NewReplicas("eu-1")
	if !away.Quiet(serving) || !away.IsMap() {
		t.Error("a row of a replica that keeps no tags is quiet, and a map row")
	}
	away = row.Clone()
	away.Sumless = object.NewReplicas("eu-2")
	if !away.Quiet(serving) || !away.IsMap() {
		t.Error("a row of a replica that keeps no checksums is quiet, and a map row")
	}
	row.ETags = map[string]string{"eu-1": "x-1"}
	if !row.IsMap() {
		t.Error("a row with an ETag of a replica's own is no map row")
	}
	row.Cur.Kind = object.Tombstone
	if row.IsMap() {
		t.Error("a tombstone is a map row")
	}
}

func TestKindsHaveNames(t *testing.T) {
	for kind, want := range map[oplog.OpKind]string{oplog.OpPut: "put", oplog.OpDelete: "delete", oplog.OpHeal: "heal", 0: "unknown"} {
		if kind.String() != want {
			t.Errorf("kind %d is %q, want %q", kind, kind, want)
		}
	}
	if oplog.NewEpoch().IsZero() || !(oplog.Epoch{}).IsZero() {
		t.Error("IsZero tells the wrong epochs")
	}
}

func TestShardsAreFixedAndEven(t *testing.T) {
	// A row must be found in the same shard for ever.
	for name, want := range map[string]int{"": 8, "a": 9, "\x00": 10} {
		if got := oplog.ShardOf(object.Key{Bucket: "photos", Name: name}); got != want {
			t.Errorf("shard of %q is %d, want %d", name, got, want)
		}
	}
	var counts [oplog.Shards]int
	const keys = 16000
	for i := range keys {
		counts[oplog.ShardOf(object.Key{Bucket: "b", Name: string(rune('a'+i%26)) + "/" + string(rune(i))})]++
	}
	for shard, n := range counts {
		if n < keys/oplog.Shards/2 || n > keys/oplog.Shards*2 {
			t.Errorf("shard %d holds %d of %d keys", shard, n, keys)
		}
	}
}

func TestOpensIntent(t *testing.T) {
	with := func(op byte) *oplog.Row { return &oplog.Row{Intent: &oplog.Intent{Op: object.ID{op}}} }
	for name, c := range map[string]struct {
		from, to *oplog.Row
		want     bool
	}{
		"created":  {nil, with(1), true},
		"added":    {&oplog.Row{}, with(1), true},
		"another":  {with(1), with(2), true},
		"renewed":  {with(1), with(1), false},
		"decided":  {with(1), &oplog.Row{}, false},
		"dropped":  {&oplog.Row{}, nil, false},
		"no write": {nil, &oplog.Row{}, false},
	} {
		if got := oplog.OpensIntent(c.from, c.to); got != c.want {
			t.Errorf("%s: %v, want %v", name, got, c.want)
		}
	}
}

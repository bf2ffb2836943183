package rebuild

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/s3mirror/s3mirror/internal/object"
)

var start = time.Date(2026, 11, 28, 7, 0, 0, 0, time.UTC)

// world is one key on some replicas, as a gateway leaves it.
type world struct {
	now      time.Time
	replicas []string
	holds    map[string]object.Seen // by replica
	last     map[string]int         // by replica: the newest write that it has
	ids      []object.ID            // of the writes; 0 is what stood there before
	deletes  []bool
	tombs    map[string][]Deleted // by replica
}

// step lets the clocks go on: streams are ordered by whole seconds.
func (w *world) step() { w.now = w.now.Add(2 * time.Second) }

// write applies a write to those who are there; the others miss it.
func (w *world) write(n int, seen object.Seen, there []string, ver object.Version) {
	for _, r := range there {
		w.holds[r], w.last[r] = seen, n
	}
	if seen.Kind == object.Tombstone && len(there) < len(w.replicas) {
		for _, r := range there {
			w.tombs[r] = append(w.tombs[r], Deleted{ID: w.ids[n], Ver: ver})
		}
	}
}

// heal brings one replica to what another one has that is newest.
func (w *world) heal(target string) {
	newest := w.replicas[0]
	for _, r := range w.replicas {
		if w.last[r] > w.last[newest] {
			newest = r
		}
	}
	if w.last[target] == w.last[newest] {
		return
	}
	seen := w.holds[newest]
	if seen.Kind == object.Present {
		seen.ModTime = w.now.Truncate(time.Second)
	} else {
		w.tombs[target] = append(w.tombs[target], w.tombs[newest]...)
	}
	w.holds[target], w.last[target] = seen, w.last[newest]
}

// TestRebuildOfAnySubset: whatever a key's replicas went through, what Judge makes of any of
// them is the newest write that one of them has, and good are exactly those who have it.
func TestRebuildOfAnySubset(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		w := &world{now: start, replicas: []string{"a", "b", "c"}, holds: map[string]object.Seen{}, last: map[string]int{}, tombs: map[string][]Deleted{}}
		foreign := object.Seen{}
		if rapid.Bool().Draw(t, "foreign") {
			foreign = object.Seen{Info: object.Info{Kind: object.Present, ETag: "0123456789abcdef0123456789abcdef", Size: 1, ModTime: start.Add(time.Hour)}}
		}
		w.ids, w.deletes = []object.ID{{}}, []bool{foreign.Kind != object.Present}
		for _, r := range w.replicas {
			w.holds[r] = foreign
		}
		subset := func(label string) []string {
			return rapid.SliceOfNDistinct(rapid.SampledFrom(w.replicas), 1, 3, rapid.ID[string]).Draw(t, label)
		}
		for i := range rapid.IntRange(1, 8).Draw(t, "writes") {
			w.step()
			id := object.ID{byte(i + 1)}
			ver := object.Tick(w.now, 0)
			seen := object.Seen{Info: object.Info{ID: id, Kind: object.Present, ETag: fmt.Sprintf("%032x", i+1), Size: 10, ModTime: w.now.Truncate(time.Second)}}
			kind := rapid.SampledFrom([]string{"small", "stream", "parts", "delete"}).Draw(t, "kind")
			switch kind {
			case "small":
				seen.Ver, seen.Flag, seen.Uploaded = ver, object.FlagSmall, w.now
			case "stream":
				seen.Flag, seen.Uploaded = object.FlagStream, w.now.Add(-time.Duration(rapid.IntRange(0, 100).Draw(t, "long"))*time.Second)
			case "parts":
				seen.Flag, seen.Uploaded = object.FlagMultipart, w.now.Add(-time.Hour)
			case "delete":
				seen = object.Seen{}
			}
			w.ids, w.deletes = append(w.ids, id), append(w.deletes, kind == "delete")
			w.write(i+1, seen, subset("there"), ver)
			if rapid.Bool().Draw(t, "heals") {
				w.step()
				w.heal(rapid.SampledFrom(w.replicas).Draw(t, "healed"))
			}
		}

		asked := subset("asked")
		shown, newest, deleted := map[string]object.Seen{}, 0, Deleted{}
		for _, r := range asked {
			shown[r], newest = w.holds[r], max(newest, w.last[r])
			for _, d := range w.tombs[r] {
				if d.Ver > deleted.Ver {
					deleted = d
				}
			}
		}
		var have []string
		for _, r := range asked {
			if w.last[r] == newest || w.deletes[newest] && w.holds[r].Kind != object.Present {
				have = append(have, r)
			}
		}
		row := Judge(shown, deleted, 1, w.now)
		if row == nil {
			if len(have) != len(asked) {
				t.Fatalf("no row, and only %v of %v have write %d", have, asked, newest)
			}
			return
		}
		if w.deletes[newest] != (row.Cur.Kind == object.Tombstone) || row.Cur.ID != w.ids[newest] {
			t.Fatalf("current is %v, want write %d: %v", row.Cur, newest, shown)
		}
		if good := object.NewReplicas(have...); !row.Good.Equal(good) {
			t.Fatalf("good are %v, want %v", row.Good, good)
		}
		if len(have) == len(asked) {
			t.Fatalf("a row for a key that is the same everywhere: %+v", row)
		}
		if row.Cur.Ver > object.Tick(w.now.Add(time.Second), 0) {
			t.Fatalf("place %v is in the future", row.Cur.Ver.Time())
		}
	})
}

func present(id byte, ver object.Version, etag string) object.Seen {
	s := object.Seen{Info: object.Info{ID: object.ID{id}, Ver: ver, Kind: object.Present, ETag: etag, Size: 5, ModTime: start}}
	if id == 0 {
		s.Ver = 0
	}
	return s
}

// TestJudgeOfCorners: what the property does not come across.
func TestJudgeOfCorners(t *testing.T) {
	const one, two = "0123456789abcdef0123456789abcdef", "fedcba9876543210fedcba9876543210"
	at := object.Tick(start, 0)
	none := object.Seen{}
	for name, c := range map[string]struct {
		shown   map[string]object.Seen
		deleted Deleted
		good    []string // nil: no row
		id      byte
		tomb    bool
		etags   map[string]string
		etag    string
	}{
		"nothing anywhere":              {shown: map[string]object.Seen{"a": none, "b": none}, deleted: Deleted{object.ID{9}, at}},
		"a tombstone, and an old copy":  {shown: map[string]object.Seen{"a": none, "b": present(1, at, one)}, deleted: Deleted{object.ID{9}, at + 1}, good: []string{"a"}, id: 9, tomb: true},
		"an old tombstone":              {shown: map[string]object.Seen{"a": none, "b": present(1, at, one)}, deleted: Deleted{object.ID{9}, at}, good: []string{"b"}, id: 1, etag: one},
		"a tombstone that all missed":   {shown: map[string]object.Seen{"a": present(1, at, one), "b": present(1, at, one)}, deleted: Deleted{object.ID{9}, at + 1}, good: []string{}, id: 9, tomb: true},
		"a foreign copy is older":       {shown: map[string]object.Seen{"a": present(0, 0, two), "b": present(1, at, one)}, good: []string{"b"}, id: 1, etag: one},
		"a foreign copy was deleted":    {shown: map[string]object.Seen{"a": present(0, 0, two), "b": none}, deleted: Deleted{object.ID{9}, 1}, good: []string{"b"}, id: 9, tomb: true},
		"foreign copies that differ":    {shown: map[string]object.Seen{"a": present(0, 0, two), "b": present(0, 0, one)}, good: []string{"a"}, etag: two},
		"foreign copies that are equal": {shown: map[string]object.Seen{"a": present(0, 0, one), "b": present(0, 0, one)}},
		"ETags of two forms": {shown: map[string]object.Seen{"a": present(1, at, "x"), "b": present(1, at, one)}, good: []string{"a", "b"}, id: 1,
			etags: map[string]string{"a": "x"}, etag: one},
		"one ETag of three is wrong": {shown: map[string]object.Seen{"a": present(1, at, one), "b": present(1, at, two), "c": present(1, at, one)}, good: []string{"a", "c"}, id: 1, etag: one},
		"parts and one piece": {shown: map[string]object.Seen{"a": present(1, at, one+"-2"), "b": present(1, at, one)}, good: []string{"a", "b"}, id: 1,
			etags: map[string]string{"a": one + "-2"}, etag: one},
	} {
		row := Judge(c.shown, c.deleted, 1, start)
		if row == nil || c.good == nil {
			if row != nil || c.good != nil {
				t.Errorf("%s: row %+v, want good %v", name, row, c.good)
			}
			continue
		}
		if !row.Good.Equal(object.NewReplicas(c.good...)) || row.Cur.ID != (object.ID{c.id}) || (row.Cur.Kind == object.Tombstone) != c.tomb || row.Cur.ETag != c.etag {
			t.Errorf("%s: %+v", name, row)
		}
		if fmt.Sprint(row.ETags) != fmt.Sprint(c.etags) {
			t.Errorf("%s: ETags %v, want %v", name, row.ETags, c.etags)
		}
	}
}

// TestACutCopyIsNotTheVersion: of two copies of one write the longer one counts.
func TestACutCopyIsNotTheVersion(t *testing.T) {
	whole, cut := present(1, object.Tick(start, 0), "0123456789abcdef0123456789abcdef"), present(1, object.Tick(start, 0), "fedcba9876543210fedcba9876543210")
	cut.Size = 2
	row := Judge(map[string]object.Seen{"a": cut, "b": whole}, Deleted{}, 1, start)
	if row == nil || row.Cur.Size != whole.Size || !slices.Equal(row.Good, []string{"b"}) {
		t.Errorf("%+v", row)
	}
}

package commit

import (
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/s3mirror/s3mirror/internal/object"
	"github.com/s3mirror/s3mirror/internal/oplog"
)

// keys draws few distinct names that share prefixes and delimiters.
func keys(t *rapid.T, label string) []string {
	return rapid.SliceOfDistinct(rapid.StringMatching(`[ab](/[ab]){0,2}/?`), func(s string) string { return s }).Draw(t, label)
}

// rolledUp is the reference: a list of the live keys by definition.
func rolledUp(live map[string]bool, w Window) []Item {
	seen := map[string]bool{}
	var out []Item
	for name := range live {
		if !w.holds(name) {
			continue
		}
		it := Item{Name: name}
		if p := w.rolled(name); p != "" {
			it = Item{Name: p, Prefix: true}
		}
		if !seen[it.Name] {
			seen[it.Name] = true
			out = append(out, it)
		}
	}
	slices.SortFunc(out, func(a, b Item) int { return strings.Compare(a.Name, b.Name) })
	return out
}

// TestOverlayIsTheListOfLiveKeys: whatever a lagging replica shows, the rows make
// the page right, once doubtful prefixes have been looked into.
func TestOverlayIsTheListOfLiveKeys(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		w := Window{
			Prefix:    rapid.SampledFrom([]string{"", "a", "a/"}).Draw(t, "prefix"),
			Delimiter: rapid.SampledFrom([]string{"", "/"}).Draw(t, "delimiter"),
			After:     rapid.SampledFrom([]string{"", "a", "a/", "a/a/", "b"}).Draw(t, "after"),
			Until:     rapid.SampledFrom([]string{"", "a/b", "a/b/", "b/"}).Draw(t, "until"),
		}
		onReplica, live := map[string]bool{}, map[string]bool{}
		for _, k := range keys(t, "on the replica") {
			onReplica[k], live[k] = true, true
		}
		var views []View
		for _, k := range keys(t, "rows") {
			v := View{Name: k, Info: object.Info{Kind: object.Tombstone}}
			delete(live, k)
			if rapid.Bool().Draw(t, "present") {
				v.Info.Kind, live[k] = object.Present, true
			}
			views = append(views, v)
		}
		got, doubtful := Overlay(rolledUp(onReplica, w), views, w)
		want := rolledUp(live, w)
		has := func(items []Item, name string) bool {
			return slices.ContainsFunc(items, func(i Item) bool { return i.Name == name })
		}
		got = slices.DeleteFunc(got, func(i Item) bool { return slices.Contains(doubtful, i.Name) && !has(want, i.Name) })
		if !slices.EqualFunc(got, want, func(a, b Item) bool { return a.Name == b.Name && a.Prefix == b.Prefix }) {
			t.Fatalf("window %+v\n got %v\nwant %v\ndoubtful %v", w, got, want, doubtful)
		}
		for _, p := range doubtful {
			if !has(rolledUp(onReplica, w), p) {
				t.Fatalf("doubtful prefix %q was not on the page", p)
			}
		}
	})
}

func TestViewsPreferTheSecondScan(t *testing.T) {
	row := func(name string, size int64) oplog.KeyRow {
		return oplog.KeyRow{Key: object.Key{Name: name}, Row: oplog.Row{Cur: object.Info{Kind: object.Present, Size: size}}}
	}
	got := Views([]oplog.KeyRow{row("a", 1), row("b", 1), row("d", 1)}, []oplog.KeyRow{row("b", 2), row("c", 2)})
	var text []string
	for _, v := range got {
		text = append(text, v.Name+string(rune('0'+v.Info.Size)))
	}
	if strings.Join(text, " ") != "a1 b2 c2 d1" {
		t.Fatalf("got %v", text)
	}
}

func TestOverlayHidesInternalKeys(t *testing.T) {
	items, _ := Overlay([]Item{{Name: ".s3mirror/identity"}, {Name: "x"}}, nil, Window{})
	if len(items) != 1 || items[0].Name != "x" {
		t.Fatalf("got %v", items)
	}
	items, _ = Overlay([]Item{{Name: ".s3mirror/", Prefix: true}}, nil, Window{Delimiter: "/"})
	if len(items) != 0 {
		t.Fatalf("got %v", items)
	}
}

package commit

import (
	"slices"
	"strings"
	"time"

	"github.com/s3mirror/s3mirror/internal/object"
	"github.com/s3mirror/s3mirror/internal/oplog"
)

// Item is one line of a list: an object, or a common prefix.
type Item struct {
	Name   string
	Prefix bool

	// Of an object, as in object.Info.
	ETag    string
	Size    int64
	ModTime time.Time
}

func itemOf(v View) Item {
	return Item{Name: v.Name, ETag: v.Info.ETag, Size: v.Info.Size, ModTime: v.Info.ModTime}
}

// View is what the log says of one key while a list is made.
type View struct {
	Name string
	Info object.Info // Kind Tombstone: not there
	Open bool        // the base is not known: only a read of the key can tell
}

// Views merges the rows of a range as they were before the page was asked for
// and as they are after it (R23): the second scan rules, because a row that is
// new in it belongs to a write that the page may or may not show; a row that was
// dropped in between was true when the list began. Both are sorted by name.
func Views(before, after []oplog.KeyRow) []View {
	var out []View
	add := func(kr oplog.KeyRow) {
		out = append(out, View{Name: kr.Key.Name, Info: kr.Row.Cur, Open: kr.Row.Open})
	}
	if !holds(R23After) {
		after = nil
	}
	i := 0
	for _, kr := range after {
		for ; i < len(before) && before[i].Key.Name < kr.Key.Name; i++ {
			add(before[i])
		}
		if i < len(before) && before[i].Key.Name == kr.Key.Name {
			i++
		}
		add(kr)
	}
	for ; i < len(before); i++ {
		add(before[i])
	}
	return out
}

// Window is the part of the key space that a page of a list speaks for.
type Window struct {
	Prefix, Delimiter string
	After             string // exclusive; a key, or a common prefix that was listed last
	Until             string // inclusive; empty: to the end
}

// holds tells whether a key is in the window.
func (w Window) holds(name string) bool {
	if !strings.HasPrefix(name, w.Prefix) || name <= w.After || w.skipped(name) {
		return false
	}
	return w.Until == "" || name <= w.Until || w.Delimiter != "" && strings.HasSuffix(w.Until, w.Delimiter) && strings.HasPrefix(name, w.Until)
}

// skipped tells whether the key lies under the common prefix that was listed last.
func (w Window) skipped(name string) bool {
	return w.Delimiter != "" && w.rolled(w.After) == w.After && w.After != "" && strings.HasPrefix(name, w.After)
}

// rolled is the common prefix that a key belongs to, or "".
func (w Window) rolled(name string) string {
	if w.Delimiter == "" || !strings.HasPrefix(name, w.Prefix) {
		return ""
	}
	if i := strings.Index(name[len(w.Prefix):], w.Delimiter); i >= 0 {
		return name[:len(w.Prefix)+i+len(w.Delimiter)]
	}
	return ""
}

// Overlay lays the views over the page of one replica: what the log says of a
// key rules, and the rest is the page's, whose memory is used again. Views with Open must
// have been resolved by reads before. doubtful are common prefixes that only a deleted,
// absent or internal key may have put on the page: the caller lists below each to see
// whether a live key is left, and drops it otherwise. Items come sorted by name.
func Overlay(page []Item, views []View, w Window) (items []Item, doubtful []string) {
	ruled := map[string]bool{}
	live, gone := map[string]bool{}, map[string]bool{} // common prefixes by what rows say of keys below
	var said []Item                                    // by the rows
	for _, v := range views {
		if !w.holds(v.Name) {
			continue
		}
		ruled[v.Name] = true
		p := w.rolled(v.Name)
		switch {
		case v.Info.Kind == object.Tombstone && p != "":
			gone[p] = true
		case v.Info.Kind == object.Present && p != "":
			if !live[p] {
				said = append(said, Item{Name: p, Prefix: true})
			}
			live[p] = true
		case v.Info.Kind == object.Present:
			said = append(said, itemOf(v))
		}
	}
	shown := slices.DeleteFunc(page, func(it Item) bool {
		if strings.HasPrefix(it.Name, object.ReservedPrefix) {
			return true
		}
		if !it.Prefix {
			return ruled[it.Name]
		}
		if live[it.Name] {
			return true
		}
		if gone[it.Name] || strings.HasPrefix(object.ReservedPrefix, it.Name) {
			doubtful = append(doubtful, it.Name)
		}
		return false
	})
	return merged(shown, said), doubtful
}

// merged puts two lists into one, sorted by name, in the memory of the first. Both are
// nearly sorted.
func merged(a, b []Item) []Item {
	sortItems(a)
	sortItems(b)
	i, j := len(a)-1, len(b)-1
	a = append(a, b...)
	for k := len(a) - 1; j >= 0; k-- { // from the end, so that nothing is overwritten before it was moved
		if i >= 0 && a[i].Name > b[j].Name {
			a[k] = a[i]
			i--
		} else {
			a[k] = b[j]
			j--
		}
	}
	return a
}

func sortItems(items []Item) {
	byName := func(a, b Item) int { return strings.Compare(a.Name, b.Name) }
	if !slices.IsSortedFunc(items, byName) {
		slices.SortFunc(items, byName)
	}
}

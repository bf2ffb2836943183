package object

import (
	"iter"
	"maps"
	"slices"
)

// Tags are the tag set of an object: keys to values. A nil map is an empty
// one; the two are equal.
type Tags map[string]string

// Equal compares keys and values byte by byte.
func (t Tags) Equal(o Tags) bool { return maps.Equal(t, o) }

// Clone returns a copy that shares nothing.
func (t Tags) Clone() Tags { return maps.Clone(t) }

// Sorted gives the tags in the order of their keys, the same on every node.
func (t Tags) Sorted() iter.Seq2[string, string] {
	return func(yield func(key, value string) bool) {
		for _, key := range slices.Sorted(maps.Keys(t)) {
			if !yield(key, t[key]) {
				return
			}
		}
	}
}

package object

import "slices"

// Replicas is a set of backend names: sorted, without repeats. The zero value
// is the empty set. Methods never change their receiver.
type Replicas []string

// NewReplicas sorts the names and drops repeats.
func NewReplicas(names ...string) Replicas {
	r := slices.Clone(names)
	slices.Sort(r)
	return Replicas(slices.Compact(r))
}

// Has tells whether name is in the set.
func (r Replicas) Has(name string) bool {
	_, ok := slices.BinarySearch(r, name)
	return ok
}

// With returns the set with name in it.
func (r Replicas) With(name string) Replicas {
	at, found := slices.BinarySearch(r, name)
	if found {
		return r
	}
	out := make(Replicas, 0, len(r)+1)
	return append(append(append(out, r[:at]...), name), r[at:]...)
}

// Without returns the set with name left out.
func (r Replicas) Without(name string) Replicas {
	if !r.Has(name) {
		return r
	}
	return r.Filter(func(n string) bool { return n != name })
}

// Filter returns the members for which keep holds.
func (r Replicas) Filter(keep func(string) bool) Replicas {
	kept := 0
	for kept < len(r) && keep(r[kept]) {
		kept++
	}
	if kept == len(r) && kept > 0 {
		return r[:kept:kept] // as it nearly always is
	}
	var out Replicas
	if kept > 0 {
		out = append(make(Replicas, 0, len(r)), r[:kept]...)
	}
	for i := kept + 1; i < len(r); i++ {
		if keep(r[i]) {
			if out == nil {
				out = make(Replicas, 0, len(r))
			}
			out = append(out, r[i])
		}
	}
	return out
}

// Minus returns the members that are not in o.
func (r Replicas) Minus(o Replicas) Replicas {
	return r.Filter(func(n string) bool { return !o.Has(n) })
}

// And returns the members that are in o too.
func (r Replicas) And(o Replicas) Replicas { return r.Filter(o.Has) }

// Or returns the members of either set.
func (r Replicas) Or(o Replicas) Replicas {
	switch {
	case len(o) == 0:
		return r
	case len(r) == 0:
		return o
	}
	return NewReplicas(append(slices.Clone([]string(r)), o...)...)
}

// Covers tells whether every member of o is in r.
func (r Replicas) Covers(o Replicas) bool {
	for _, n := range o {
		if !r.Has(n) {
			return false
		}
	}
	return true
}

// Equal compares the sets.
func (r Replicas) Equal(o Replicas) bool { return slices.Equal(r, o) }

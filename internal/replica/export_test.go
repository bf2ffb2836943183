package replica

import "reflect"

// PeakMemory is the most that bodies in flight ever held, in bytes.
func (s *Set) PeakMemory() int64 { return s.memory.peak.Load() * slabSize }

// UsedMemory is what is reserved now, in bytes.
func (s *Set) UsedMemory() int64 { return s.memory.used.Load() * slabSize }

// SetWindow bounds the rows that one page of a list reads.
func (s *Set) SetWindow(rows int) { s.window = rows }

// Contexts is how many contexts the Set keeps for what is under way. It looks into
// package context, and panics when that is made otherwise.
func (s *Set) Contexts() int {
	return reflect.ValueOf(s.base).Elem().FieldByName("children").Len()
}

package replica

// PeakMemory is the most that bodies in flight ever held, in bytes.
func (s *Set) PeakMemory() int64 { return s.memory.peak.Load() * slabSize }

// UsedMemory is what is reserved now, in bytes.
func (s *Set) UsedMemory() int64 { return s.memory.used.Load() * slabSize }

// SetWindow bounds the rows that one page of a list reads.
func (s *Set) SetWindow(rows int) { s.window = rows }

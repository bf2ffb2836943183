package explore

// table holds the names of the states that were visited, 16 bytes each: a search of
// 10^8 states fits into 3 GB. It grows in parts, so that it is never there twice.
type table struct {
	parts [1 << 8]part
}

// part is a hash table with open addresses. The zero stateID marks a free place: no
// state has that name but with a chance of 2^-128.
type part struct {
	slots []stateID
	used  int
}

// add tells whether the name is new, and holds it from now on.
func (t *table) add(id stateID) bool {
	p := &t.parts[id[0]>>56]
	if p.used*8 >= len(p.slots)*7 {
		p.grow()
	}
	at := p.find(id)
	if p.slots[at] == id {
		return false
	}
	p.slots[at] = id
	p.used++
	return true
}

// has tells whether the name is held.
func (t *table) has(id stateID) bool {
	p := &t.parts[id[0]>>56]
	return p.used > 0 && p.slots[p.find(id)] == id
}

// find is where the name is, or the free place that is its.
func (p *part) find(id stateID) uint64 {
	mask := uint64(len(p.slots) - 1)
	at := id[1] & mask
	for p.slots[at] != id && p.slots[at] != (stateID{}) {
		at = (at + 1) & mask
	}
	return at
}

func (p *part) grow() {
	old := p.slots
	p.slots = make([]stateID, max(16, 2*len(old)))
	for _, id := range old {
		if id != (stateID{}) {
			p.slots[p.find(id)] = id
		}
	}
}

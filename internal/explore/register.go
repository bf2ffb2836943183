package explore

// value is a state of the key: nothing, the base, or what client i wrote.
type value uint8

const (
	vNothing value = iota
	vBase
	vFirst // of client 0
)

// maxClients bounds the operations of one path.
const maxClients = 6

// register judges a history while it happens, by one order of its operations that it
// demands: a write takes effect at the moment at which it is decided, and that lies
// between its coming and its answer, or after it came if nothing was answered; a read
// saw what the key was at some moment between its coming and its answer (I7); a
// condition failed against what the key was at such a moment. Whoever keeps to this
// is linearizable, and keeps to more: who comes at a moment sees what was decided.
type register struct {
	now     value
	pending [maxClients]bool // came, and did not end in a way that settles it
	took    [maxClients]bool // writes that have had their effect
	might   [maxClients]seen
}

// seen is a set of values: of a reader, what the key was since it came; of a write
// with a condition, what failed it.
type seen uint16

func (s seen) has(v value) bool { return s&(1<<v) != 0 }

func newRegister(base Base) register {
	if base == Nothing {
		return register{now: vNothing}
	}
	return register{now: vBase}
}

func (c Client) fails(v value) bool {
	return c.If == Absent && v != vNothing || c.If == Matches && v != vBase
}

func (r *register) invoke(clients []Client, i int) {
	r.pending[i], r.might[i] = true, 0
	r.note(clients, i)
}

func (r *register) note(clients []Client, i int) {
	if c := clients[i]; r.pending[i] && (!c.writes() || c.fails(r.now)) {
		r.might[i] |= 1 << r.now
	}
}

// decide lets client i's write take effect; false when it may not.
func (r *register) decide(clients []Client, i int) bool {
	if !r.pending[i] || r.took[i] || clients[i].fails(r.now) {
		return false
	}
	r.took[i], r.now = true, vFirst+value(i) //nolint:gosec // fewer than maxClients
	if clients[i].Do == Delete {
		r.now = vNothing
	}
	for j := range clients {
		r.note(clients, j)
	}
	return true
}

// acked ends a write that took effect, failed one that did not, refused one whose
// condition failed, saw a read; each is false when that is not so.
func (r *register) acked(i int) bool {
	r.pending[i] = false
	return r.took[i]
}

func (r *register) failed(i int) bool {
	r.pending[i] = false
	return !r.took[i]
}

func (r *register) refused(i int) bool { return r.failed(i) && r.might[i] != 0 }

func (r *register) saw(i int, v value) bool {
	r.pending[i] = false
	return r.might[i].has(v)
}

// forget ends a read of which nothing was learned.
func (r *register) forget(i int) { r.pending[i] = false }

// encode writes the register, with the clients in their places.
func (r *register) encode(e *encoder) {
	e.byte(byte(r.now.named(e.by)))
	for _, i := range e.by.clients {
		e.bool(r.pending[i] && (e.full || !r.took[i]))
		e.bool(r.took[i])
		switch {
		case e.full:
			e.int(int64(r.might[i]))
		case !r.pending[i] || e.w.clients[i] != under: // nothing is answered any more
		case e.sc.Clients[i].writes():
			e.bool(r.might[i] != 0)
		default:
			e.int(int64(r.might[i].named(e.by)))
		}
	}
}

// named is the value with the clients in other places.
func (v value) named(by *naming) value {
	if v < vFirst {
		return v
	}
	return vFirst + value(by.clientPlace[v-vFirst]) //nolint:gosec // few
}

func (s seen) named(by *naming) seen {
	if !by.exchanges {
		return s
	}
	out := seen(0)
	for v := range vFirst + maxClients {
		if s.has(v) {
			out |= 1 << v.named(by)
		}
	}
	return out
}

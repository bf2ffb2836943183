package explore

import (
	"cmp"
	"slices"
)

// value is a state of the key: nothing, the base, or what client i wrote.
type value uint8

const (
	vNothing value = iota
	vBase
	vFirst // of client 0
)

// maxClients bounds the operations of one path.
const maxClients = 6

// outcome of one operation in one possible order.
type outcome uint8

const (
	open    outcome = iota // not begun, or begun and not placed in the order yet
	took                   // a write took effect
	refused                // a condition failed
	saw                    // saw + v: a read saw v
)

// register judges a history while it happens: it holds every state in which the
// key can be if the operations so far took effect one after the other, each
// between its invocation and its answer. No state left means that the history is
// not linearizable. What it holds is all that a later verdict depends on, so it
// is part of a state's name instead of the history.
type register struct {
	pending [maxClients]bool
	states  []possible // sorted, without repeats, closed under placing a pending operation; never changed in place
}

type possible struct {
	now value
	out [maxClients]outcome // of pending operations
}

func newRegister(base Base) register {
	v := vBase
	if base == Nothing {
		v = vNothing
	}
	return register{states: []possible{{now: v}}}
}

func (r *register) invoke(clients []Client, i int) {
	r.pending[i] = true
	r.close(clients)
}

// answer keeps the orders in which the operation had one of these outcomes. The
// operation is over; false when no order is left.
func (r *register) answer(i int, fits ...outcome) bool {
	return r.settle(i, func(o outcome) bool { return slices.Contains(fits, o) })
}

// forget ends an operation of which nothing was learned, and which changes nothing.
func (r *register) forget(i int) { r.settle(i, func(outcome) bool { return true }) }

func (r *register) settle(i int, fits func(outcome) bool) bool {
	var kept []possible
	for _, s := range r.states {
		if fits(s.out[i]) {
			s.out[i] = open
			kept = append(kept, s)
		}
	}
	r.pending[i] = false
	r.states = sorted(kept)
	return len(kept) > 0
}

// may tells whether the key can be in this state now, with every pending
// operation placed or not.
func (r *register) may(v value) bool {
	return slices.ContainsFunc(r.states, func(s possible) bool { return s.now == v })
}

// close adds every state that placing pending operations leads to.
func (r *register) close(clients []Client) {
	all := slices.Clone(r.states)
	for n := 0; n < len(all); n++ {
		for i := range clients {
			if !r.pending[i] || all[n].out[i] != open {
				continue
			}
			if s := all[n].place(clients[i], i); !slices.Contains(all, s) {
				all = append(all, s)
			}
		}
	}
	r.states = sorted(all)
}

func (s possible) place(c Client, i int) possible {
	switch {
	case !c.writes():
		s.out[i] = saw + outcome(s.now)
	case c.If == Absent && s.now != vNothing, c.If == Matches && s.now != vBase:
		s.out[i] = refused
	default:
		s.out[i], s.now = took, vFirst+value(i)
		if c.Do == Delete {
			s.now = vNothing
		}
	}
	return s
}

// named is the state with the clients in other places.
func (s possible) named(by *naming) possible {
	rename := func(v value) value {
		if v < vFirst {
			return v
		}
		return vFirst + value(by.clientPlace[v-vFirst]) //nolint:gosec // few
	}
	out := possible{now: rename(s.now)}
	for k, i := range by.clients {
		out.out[k] = s.out[i]
		if o := s.out[i]; o >= saw {
			out.out[k] = saw + outcome(rename(value(o-saw)))
		}
	}
	return out
}

func sorted(states []possible) []possible {
	slices.SortFunc(states, func(a, b possible) int {
		if c := cmp.Compare(a.now, b.now); c != 0 {
			return c
		}
		return slices.Compare(a.out[:], b.out[:])
	})
	return slices.Compact(states)
}

// encode writes the register; the states are in order already.
func (r *register) encode(e *encoder) {
	for _, i := range e.by.clients {
		e.bool(r.pending[i])
	}
	e.int(int64(len(r.states)))
	states := r.states
	if e.by.exchanges {
		states = make([]possible, len(r.states))
		for n, s := range r.states {
			states[n] = s.named(e.by)
		}
		states = sorted(states)
	}
	for _, s := range states {
		e.byte(byte(s.now))
		for k, i := range e.by.clients {
			if r.pending[i] {
				e.byte(byte(s.out[k]))
			}
		}
	}
}

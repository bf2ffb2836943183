package explore

import (
	"slices"
)

// naming is one way to name the replicas, and the clients with their gateways.
type naming struct {
	flip                     bool  // the replicas are exchanged
	exchanges                bool  // two clients are
	clients, gateways, procs []int // by place
	clientPlace              [maxClients]int
	gatewayPlace, procPlace  []int
}

func (n *naming) replica(k int) int {
	if n.flip {
		return 1 - k
	}
	return k
}

// index is the place of a replica, or -1.
func (n *naming) index(name string) int {
	if i := index(name); i >= 0 {
		return n.replica(i)
	}
	return -1
}

// symmetry of a scenario: the exchanges of names that turn the small world into
// itself. What one of two states that an exchange turns into each other leads to,
// the other one leads to with exchanged names: one of them is searched.
type symmetry struct {
	all     []naming // the first one changes nothing
	twins   [2]int   // the clients that are exchanged, if any
	writers bool     // are they?
	flips   bool     // may the replicas be exchanged?
}

func newSymmetry(sc *Scenario) *symmetry {
	s := &symmetry{flips: sc.evenHanded()}
	for i := range sc.Clients {
		for j := range i {
			if !s.writers && sc.Clients[i].writes() && sc.alike(j, i) {
				s.twins, s.writers = [2]int{j, i}, true
			}
		}
	}
	for _, exchange := range []bool{false, true} {
		for _, flip := range []bool{false, true} {
			if exchange && !s.writers || flip && !s.flips {
				continue
			}
			s.all = append(s.all, s.naming(sc, exchange, flip))
		}
	}
	return s
}

func (s *symmetry) naming(sc *Scenario, exchange, flip bool) naming {
	n := naming{flip: flip, exchanges: exchange}
	for i := range sc.Clients {
		n.clients = append(n.clients, i)
	}
	for g := range sc.gateways() {
		n.gateways = append(n.gateways, g)
	}
	if exchange {
		i, j := s.twins[0], s.twins[1]
		n.clients[i], n.clients[j] = j, i
		g, h := sc.Clients[i].Gateway, sc.Clients[j].Gateway
		n.gateways[g], n.gateways[h] = h, g
	}
	n.procs = slices.Clone(n.clients)
	for _, after := range []int{len(n.clients), len(n.clients) + len(n.gateways)} {
		for _, g := range n.gateways {
			n.procs = append(n.procs, after+g)
		}
	}
	for k, i := range n.clients {
		n.clientPlace[i] = k
	}
	n.gatewayPlace, n.procPlace = inverse(n.gateways), inverse(n.procs)
	return n
}

func inverse(order []int) []int {
	places := make([]int, len(order))
	for k, i := range order {
		places[i] = k
	}
	return places
}

// evenHanded tells whether nothing in the scenario prefers a replica. A condition
// on a key without row is judged by the first replica (R4).
func (sc *Scenario) evenHanded() bool {
	if len(sc.StartOrdered) == 1 {
		return false
	}
	for _, c := range sc.Clients {
		if c.If != Always || c.Up != "" {
			return false
		}
	}
	return true
}

// fitting are the namings of which the state's name is the least one: those under
// which what tells the two writers apart, or the two replicas, comes in order.
// Only where a glance tells nothing both are tried.
func (s *symmetry) fitting(w *world) []*naming {
	var few [4]*naming
	out := few[:0]
	exchange, flip := 0, 0
	if s.writers {
		exchange = compare(w.glanceAtWriter(s.twins[0]), w.glanceAtWriter(s.twins[1]))
	}
	if s.flips {
		flip = compare(w.glanceAtReplica(0), w.glanceAtReplica(1))
	}
	for i := range s.all {
		n := &s.all[i]
		if s.writers && exchange != 0 && n.exchanges != (exchange > 0) || s.flips && flip != 0 && n.flip != (flip > 0) {
			continue
		}
		out = append(out, n)
	}
	return out
}

func compare(a, b uint64) int {
	switch {
	case a < b:
		return -1
	case a > b:
		return 1
	}
	return 0
}

// glanceAtWriter sums up a writer without a name.
func (w *world) glanceAtWriter(i int) uint64 {
	p := w.procs[i]
	sum := uint64(w.clients[i])
	if p.write != nil {
		sum = sum*64 + 1 + uint64(stateOf(p.write))
	}
	if w.truth.decided[i] {
		sum += 1 << 20
	}
	if w.dead[p.gateway] {
		sum += 1 << 21
	}
	sum += uint64(len(p.timers)) << 24 //nolint:gosec // few
	for j := range w.msgs {
		if w.msgs[j].proc == i {
			sum += 1 << (28 + 4*w.msgs[j].kind)
		}
	}
	return sum
}

// glanceAtReplica sums up a replica without a name.
func (w *world) glanceAtReplica(r int) uint64 {
	s := &w.servers[r]
	sum := uint64(s.seen.Kind) + uint64(s.seen.Size)<<2 + uint64(s.seen.Flag)<<6 //nolint:gosec // small
	if w.row != nil {
		if w.row.Good.Has(replicas[r]) {
			sum += 1 << 10
		}
		for i := range w.row.Unsettled {
			if w.row.Unsettled[i].Replica == replicas[r] {
				sum += 1 << 12
			}
		}
	}
	for j := range w.msgs {
		switch m := &w.msgs[j]; m.kind {
		case look, request, answered:
			if m.replica == r {
				sum += 1 << (20 + 4*m.kind)
			}
		}
	}
	return sum
}

package explore

import (
	"os"
	"strings"

	"cmp"
	"encoding/binary"
	"hash/maphash"
	"slices"
	"time"

	"github.com/s3mirror/s3mirror/internal/commit"
	"github.com/s3mirror/s3mirror/internal/object"
	"github.com/s3mirror/s3mirror/internal/oplog"
)

// stateID is 128 bits of a state's canonical form: among 10^9 states two fall
// together with a chance below 10^-20.
type stateID [2]uint64

var seeds = [2]maphash.Seed{maphash.MakeSeed(), maphash.MakeSeed()}

// encoder writes the canonical form of a state: states that differ only in what
// no later step depends on get one form (doc.go).
type encoder struct {
	full        bool // leaves nothing out and exchanges nothing: the form without reductions
	out         []byte
	sc          *Scenario
	w           *world
	young       bool  // somebody may ask how old an object is
	proc        *proc // whose machine is written
	conflicts   bool  // what it waits for is known to conflict
	by          *naming
	now         time.Duration
	ids, ownIDs []object.ID // in order of appearance; the zero value is 0
	epochs      []oplog.Epoch
	ownEpochs   []oplog.Epoch
	own         bool // names that are new belong to one machine: the rest of the world has forgotten them
	versions    []object.Version
	places      []int    // where in out a version's rank goes
	orders      [2][]int // of requests' starts, by replica
	orderPlaces [2][]int
	sorted      []int // messages
}

// id is the canonical name of the state: the least of those that it has by its
// symmetries.
func (w *world) id(e *encoder) stateID {
	if e.full {
		return w.idBy(e, &w.sym.all[0])
	}
	least := stateID{}
	for i, by := range w.sym.fitting(w) {
		if tog["sym"] {
			by = &w.sym.all[0]
		}

		if id := w.idBy(e, by); i == 0 || id[0] < least[0] || id[0] == least[0] && id[1] < least[1] {
			least = id
		}
	}
	return least
}

func (w *world) idBy(e *encoder, by *naming) stateID {
	e.write(w, by)
	return stateID{maphash.Bytes(seeds[0], e.out), maphash.Bytes(seeds[1], e.out)}
}

func (e *encoder) write(w *world, by *naming) {
	e.out, e.w, e.sc, e.by, e.now, e.own = e.out[:0], w, w.sc, by, w.now, false
	e.young = w.row == nil || w.readsQuiet()
	e.ids, e.epochs, e.versions, e.places = e.ids[:0], e.epochs[:0], e.versions[:0], e.places[:0]
	for r := range e.orders {
		e.orders[r], e.orderPlaces[r] = e.orders[r][:0], e.orderPlaces[r][:0]
	}
	for _, i := range by.clients {
		e.byte(byte(w.clients[i]))
		e.bool(w.truth.failed[i])
		e.bool(w.truth.decided[i])
	}
	e.version(w.truth.last)
	e.id(w.truth.lastID)
	if e.bool(w.row != nil); w.row != nil {
		of(e, w.row)
	}
	for k := range w.servers {
		r := by.replica(k)
		of(e, &w.servers[r].seen)
		if len(w.sc.StartOrdered) > 0 {
			e.order(r, w.servers[r].started)
		}
	}
	for _, g := range by.gateways {
		e.bool(w.dead[g])
	}
	e.byte(byte(by.gatewayPlace[w.heir])) //nolint:gosec // few
	of(e, &w.left)
	if e.full || tog["due"] || w.row != nil && w.procs[w.repairs(w.healer())].machine() == nil {
		e.int(int64(max(w.due-w.now, 0))) // else it is set anew before it counts
	}
	w.reg.encode(e)
	e.messages(w)
	for _, n := range by.procs {
		e.own, e.ownIDs, e.ownEpochs = !e.full && !tog["own"], e.ownIDs[:0], e.ownEpochs[:0]
		e.proc, e.conflicts = w.procs[n], !e.full && w.conflicting(n)
		e.proc.encode(e)
	}
	e.rank(w)
}

// messages writes them in an order that no name decides.
func (e *encoder) messages(w *world) {
	e.int(int64(len(w.msgs)))
	e.sorted = e.sorted[:0]
	for i := range w.msgs {
		e.sorted = append(e.sorted, i)
	}
	if e.by != &w.sym.all[0] {
		slices.SortStableFunc(e.sorted, func(i, j int) int {
			a, b := &w.msgs[i], &w.msgs[j]
			return cmp.Or(cmp.Compare(a.kind, b.kind), cmp.Compare(e.by.procPlace[a.proc], e.by.procPlace[b.proc]),
				cmp.Compare(a.placeOf(e.by), b.placeOf(e.by)), cmp.Compare(a.at, b.at))
		})
	}
	for _, i := range e.sorted {
		w.msgs[i].encode(e, w)
	}
}

func (p *proc) encode(e *encoder) {
	if p.client < 0 {
		if e.full || e.w.remembers(p.gateway) {
			e.memory(&p.memory)
		}
		e.int(int64(len(p.waiters)))
		for _, n := range p.waiters {
			e.byte(byte(e.by.procPlace[n])) //nolint:gosec // few
		}
	}
	if p.machine() == nil {
		e.bool(false)
		return
	}
	e.bool(true)
	e.id(p.op.ID)
	switch {
	case p.write != nil:
		of(e, p.write)
		of(e, &p.sources)
		e.bool(p.told)
		e.bool(p.intent.set)
		if p.intent.set {
			e.age(p.intent.at)
		}
		if p.op.Stream && len(e.sc.StartOrdered) > 0 {
			for k := range p.started {
				e.order(e.by.replica(k), p.started[e.by.replica(k)])
			}
		}
	case p.read != nil:
		of(e, p.read)
		for k := range p.served {
			if r := e.by.replica(k); e.full || heldBy(p.read) == replicas[r] {
				of(e, &p.served[r]) // the other one is not served any more
			}
		}
	default:
		of(e, p.repair)
		e.bool(p.copies)
	}
	e.int(int64(len(p.timers)))
	for _, t := range p.timers {
		e.byte(byte(t.t))
		e.age(t.at)
	}
}

// placeOf is the place of a message's replica.
func (m *message) placeOf(by *naming) int {
	if !m.kind.ofReplica() {
		return 0
	}
	return by.replica(m.replica)
}

func (m *message) encode(e *encoder, w *world) {
	e.byte(byte(m.kind))
	e.byte(byte(e.by.procPlace[m.proc])) //nolint:gosec // few
	if m.kind.ofReplica() {
		e.byte(byte(e.by.replica(m.replica))) //nolint:gosec // two
	}
	e.bool(m.late)
	e.bool(m.silent)
	e.id(m.op)
	switch m.kind {
	case look:
		e.bool(m.or)
	case swap:
		e.age(m.at)
		if e.bool(w.doomed(m)); w.doomed(m) && !e.full && !tog["doomed"] {
			return // it will conflict, whatever it says
		}
		if e.bool(m.row != nil); m.row != nil {
			of(e, m.row)
		}
		e.epoch(m.old)
		e.epoch(m.epoch)
	case swapped:
		e.byte(byte(m.outcome))
		e.epoch(m.epoch)
	case request:
		e.age(m.at)
		of(e, &m.put)
		e.version(m.ver)
		if len(e.sc.StartOrdered) > 0 {
			e.order(m.replica, m.started)
		}
	case answered:
		of(e, &m.answer)
	}
}

// memory leaves out what has no effect any more: the nonce of no intent that stands;
// a series that a pause ended, and one that no entry waits for; when an entry was
// first seen, if its series began later, or will; an age beyond T_settle.
//
// A visit notes the entries of the row and looks at the replicas at one moment, but
// when the clock hurries: an entry that is new is as old as the series that begins
// then, and there is nothing to tell of it before the look.
func (e *encoder) memory(m *commit.Memory) {
	exact := e.full || e.sc.Faults.Hurry > 0
	nonce := m.Nonce
	if row := e.w.row; !exact && (row == nil || row.Intent == nil || row.Intent.Nonce != nonce) {
		nonce = object.ID{}
	}
	e.id(nonce)
	if !nonce.IsZero() {
		e.ageUpTo(m.Since-bootBase, times.Lease)
	}
	keys := make([]commit.EntryKey, 0, 4)
	for k, at := range m.Seen {
		if s := m.Series[k.Replica]; exact || e.goesOn(s) && (at-bootBase < e.now || s.Last == at) {
			keys = append(keys, k)
		}
	}
	// By the names that they have already: the row, that is earlier, has most.
	slices.SortFunc(keys, func(a, b commit.EntryKey) int {
		return cmp.Or(e.known(a.Op)-e.known(b.Op), slices.Compare(a.Op[:], b.Op[:]), e.by.index(a.Replica)-e.by.index(b.Replica))
	})
	e.int(int64(len(keys)))
	for _, k := range keys {
		e.id(k.Op)
		e.byte(byte(e.by.index(k.Replica))) //nolint:gosec // two
		at := m.Seen[k]
		if !exact {
			at = max(at, m.Series[k.Replica].Begun)
		}
		e.ageUpTo(at-bootBase, times.Settle)
	}
	for k := range replicas {
		r := replicas[e.by.replica(k)]
		s := m.Series[r]
		waited := exact || slices.ContainsFunc(keys, func(k commit.EntryKey) bool { return k.Replica == r })
		if waited = waited && e.goesOn(s); waited {
			e.ageUpTo(s.Last-bootBase, times.Gap)
		}
		if e.bool(waited); waited && exact {
			e.ageUpTo(s.Begun-bootBase, times.Settle)
		}
	}
}

// goesOn tells whether a series goes on with a look that comes now.
func (e *encoder) goesOn(s commit.Series) bool {
	return s.Begun > 0 && e.now-(s.Last-bootBase) <= times.Gap
}

func (e *encoder) byte(b byte) { e.out = append(e.out, b) }

func (e *encoder) bool(b bool) {
	if b {
		e.byte(1)
		return
	}
	e.byte(0)
}

func (e *encoder) int(n int64) { e.out = binary.AppendVarint(e.out, n) }

// string writes a word. Names of replicas, and ETags, which name their writer, are
// exchanged with them.
func (e *encoder) string(s string) {
	switch len(s) {
	case 1:
		e.byte(1)
		e.byte(byte(e.by.index(s))) //nolint:gosec // two, or -1
	case len(baseETag):
		e.etag(s)
	default:
		e.byte(0)
		e.int(int64(len(s)))
		e.out = append(e.out, s...)
	}
}

func (e *encoder) etag(s string) {
	e.byte(2)
	e.bool(s[0] == 'f')
	if s[0] == 'f' {
		s = s[1:] // halfOf
	}
	if s[3] == '2' { // etagOf(writer(i))
		e.byte(byte(1 + e.by.clientPlace[s[5]-'1'])) //nolint:gosec // few
		return
	}
	e.byte(0)
	e.out = append(e.out, s...)
}

// name encodes what is drawn at random in the real world by the order in which it
// appears: only whether two are equal ever counts. What only one machine still
// knows has a name of that machine's own: it holds nothing but the machine's own
// names, and those of the world, against it.
func name[T object.ID | oplog.Epoch](e *encoder, world, own []T, id T) (_, _ []T) {
	if i := slices.Index(world, id); i >= 0 {
		e.byte(byte(i + 1 + maxClients)) //nolint:gosec // few
		return world, own
	}
	if !e.own {
		e.byte(byte(len(world) + 1 + maxClients)) //nolint:gosec // few
		return append(world, id), own
	}
	i := slices.Index(own, id)
	if i < 0 {
		i = len(own)
		own = append(own, id)
	}
	e.byte(byte(255 - i)) //nolint:gosec // few
	return world, own
}

func (e *encoder) id(id object.ID) {
	switch {
	case id == (object.ID{}):
		e.byte(0)
	case id[1] == 2 && id[15] == 0: // writer(i)
		e.byte(byte(1 + e.by.clientPlace[id[2]-1])) //nolint:gosec // few
	default:
		e.ids, e.ownIDs = name(e, e.ids, e.ownIDs, id)
	}
}

func (e *encoder) epoch(ep oplog.Epoch) {
	if ep == (oplog.Epoch{}) {
		e.byte(0)
		return
	}
	e.epochs, e.ownEpochs = name(e, e.epochs, e.ownEpochs, ep)
}

// known is where an identity comes in the order of names.
func (e *encoder) known(id object.ID) int {
	if id[1] == 2 && id[15] == 0 && id[2] > 0 {
		return e.by.clientPlace[id[2]-1]
	}
	if i := slices.Index(e.ids, id); i >= 0 {
		return maxClients + i
	}
	if i := slices.Index(e.ownIDs, id); i >= 0 {
		return 100 + i
	}
	return 200
}

// age encodes a moment by its distance from now. Beyond every time that the
// machines compare a distance with, all are alike, for ever.
func (e *encoder) age(at time.Duration) { e.ageUpTo(at, oldest) }

const noAge = 1 << 62

var oldest = max(times.Retention/2, times.Lease, times.Keep, times.LockWait, lateMax) + time.Second

func (e *encoder) ageUpTo(at, limit time.Duration) { e.int(int64(min(e.now-at, limit))) }

// boot encodes a reading of a machine's monotonic clock; zero is "never".
func (e *encoder) boot(at time.Duration) {
	if at == 0 {
		e.int(noAge)
		return
	}
	e.age(at - bootBase)
}

// wall encodes a reading of a wall clock, as its distance from wall0; ok is false
// for "never".
func (e *encoder) wall(at time.Duration, ok bool) {
	if !ok {
		e.int(noAge)
		return
	}
	e.ageUpTo(at, times.Retention+2*time.Second) // A4: clocks differ by less than a second
}

// version leaves room for the rank of a version among all of the state.
func (e *encoder) version(v object.Version) {
	e.places, e.versions = append(e.places, len(e.out)), append(e.versions, v)
	e.byte(0)
}

// order leaves room for the rank of a request's start among those on its replica.
func (e *encoder) order(r, n int) {
	e.orderPlaces[r], e.orders[r] = append(e.orderPlaces[r], len(e.out)), append(e.orders[r], n)
	e.byte(0)
}

// rank fills in the ranks. Of versions that every clock has passed the rank is
// all that counts; for the others their distance from the clocks is written too,
// for it decides what a clock's next version will be (object.Tick).
func (e *encoder) rank(w *world) {
	fillRanks(e.out, e.places, e.versions)
	for r := range e.orders {
		fillRanks(e.out, e.orderPlaces[r], e.orders[r])
	}
	slowest := object.Tick(wall0.Add(w.now+min(w.sc.Skew, 0)), 0)
	slices.Sort(e.versions)
	for _, v := range slices.Compact(e.versions) {
		if v >= slowest {
			e.int(int64(v - slowest)) //nolint:gosec // seconds apart
		}
	}
}

func fillRanks[T int | object.Version](out []byte, places []int, of []T) {
	var few [32]T
	order := append(append(few[:0], 0), of...)
	slices.Sort(order)
	order = slices.Compact(order)
	for i, at := range places {
		rank, _ := slices.BinarySearch(order, of[i])
		out[at] = byte(rank) //nolint:gosec // few
	}
}

var tog = func() map[string]bool {
	m := map[string]bool{}
	for _, f := range strings.Split(os.Getenv("TOG"), ",") {
		m[f] = true
	}
	return m
}()

package explore

import (
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
	out         []byte
	now         time.Duration
	ids         []object.ID // in order of appearance; the zero value is 0
	epochs      []oplog.Epoch
	versions    []object.Version
	places      []int // where in out a version's rank goes
	orders      []int // of requests' starts
	orderPlaces []int
}

// id is the canonical name of the state.
func (w *world) id(e *encoder) stateID {
	e.write(w)
	return stateID{maphash.Bytes(seeds[0], e.out), maphash.Bytes(seeds[1], e.out)}
}

func (e *encoder) write(w *world) {
	*e = encoder{
		out: e.out[:0], now: w.now, ids: e.ids[:0], epochs: e.epochs[:0], versions: e.versions[:0],
		places: e.places[:0], orders: e.orders[:0], orderPlaces: e.orderPlaces[:0],
	}
	for i := range w.clients {
		e.id(writer(i))
		e.byte(byte(w.clients[i]))
		e.bool(w.truth.failed[i])
		e.bool(w.truth.decided[i])
	}
	e.version(w.truth.last)
	e.id(w.truth.lastID)
	e.of(&w.row)
	for i := range w.servers {
		e.of(&w.servers[i].seen)
		if len(w.sc.StartOrdered) > 0 {
			e.order(w.servers[i].started)
		}
	}
	for _, d := range w.dead {
		e.bool(d)
	}
	e.of(&w.left)
	e.int(int64(max(w.due-w.now, 0)))
	w.reg.encode(e)
	for _, p := range w.procs {
		p.encode(e, w.sc)
	}
	e.int(int64(len(w.msgs)))
	for i := range w.msgs {
		w.msgs[i].encode(e, w.sc)
	}
	e.rank(w)
}

func (p *proc) encode(e *encoder, sc *Scenario) {
	if p.client < 0 {
		e.memory(&p.memory)
		e.ints(p.waiters)
	}
	if p.machine() == nil {
		e.bool(false)
		return
	}
	e.bool(true)
	e.id(p.op.ID)
	switch {
	case p.write != nil:
		e.of(p.write)
		e.of(&p.sources)
		e.bool(p.told)
		e.bool(p.intent.set)
		if p.intent.set {
			e.age(p.intent.at)
		}
		if p.op.Stream && len(sc.StartOrdered) > 0 {
			e.order(p.started[0])
			e.order(p.started[1])
		}
	case p.read != nil:
		e.of(p.read)
		e.of(&p.served)
	default:
		e.of(p.repair)
		e.bool(p.copies)
	}
	e.int(int64(len(p.timers)))
	for _, t := range p.timers {
		e.byte(byte(t.t))
		e.age(t.at)
	}
}

func (m *message) encode(e *encoder, sc *Scenario) {
	e.byte(byte(m.kind))
	e.byte(byte(m.proc))    //nolint:gosec // few
	e.byte(byte(m.replica)) //nolint:gosec // two
	e.bool(m.late)
	e.bool(m.silent)
	e.id(m.op)
	switch m.kind {
	case swap:
		e.age(m.at)
		e.of(&m.row)
		e.epoch(m.old)
		e.epoch(m.epoch)
	case swapped:
		e.byte(byte(m.outcome))
		e.epoch(m.epoch)
	case request:
		e.age(m.at)
		e.of(&m.put)
		e.version(m.ver)
		if len(sc.StartOrdered) > 0 {
			e.order(m.started)
		}
	case answered:
		e.of(&m.answer)
	}
}

// memory leaves out what has no effect any more: a series that a pause ended is
// none, an age beyond T_settle is T_settle, and the time of no nonce is none.
func (e *encoder) memory(m *commit.Memory) {
	e.id(m.Nonce)
	if !m.Nonce.IsZero() {
		e.ageUpTo(m.Since-bootBase, times.Lease)
	}
	for _, r := range replicas {
		s, ok := m.Series[r]
		ok = ok && e.now-(s.Last-bootBase) <= times.Gap
		e.bool(ok)
		if ok {
			e.ageUpTo(s.Begun-bootBase, times.Settle)
			e.ageUpTo(s.Last-bootBase, times.Gap)
		}
	}
	keys := make([]commit.EntryKey, 0, 4)
	for k := range m.Seen {
		keys = append(keys, k)
	}
	// By the names that they have already: the row, that is earlier, has most.
	slices.SortFunc(keys, func(a, b commit.EntryKey) int {
		return cmp.Or(slices.Index(e.ids, a.Op)-slices.Index(e.ids, b.Op), slices.Compare(a.Op[:], b.Op[:]), index(a.Replica)-index(b.Replica))
	})
	e.int(int64(len(keys)))
	for _, k := range keys {
		e.id(k.Op)
		e.byte(byte(index(k.Replica))) //nolint:gosec // two
		e.ageUpTo(m.Seen[k]-bootBase, times.Settle)
	}
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

func (e *encoder) ints(list []int) {
	e.int(int64(len(list)))
	for _, n := range list {
		e.int(int64(n))
	}
}

func (e *encoder) string(s string) {
	e.int(int64(len(s)))
	e.out = append(e.out, s...)
}

// name encodes what is drawn at random in the real world by the order in which it
// appears: only whether two are equal ever counts.
func name[T object.ID | oplog.Epoch](e *encoder, known []T, id T) []T {
	if id == (T{}) {
		e.byte(0)
		return known
	}
	i := slices.Index(known, id)
	if i < 0 {
		i = len(known)
		known = append(known, id)
	}
	e.byte(byte(i + 1)) //nolint:gosec // few
	return known
}

func (e *encoder) id(id object.ID)      { e.ids = name(e, e.ids, id) }
func (e *encoder) epoch(ep oplog.Epoch) { e.epochs = name(e, e.epochs, ep) }

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

func (e *encoder) order(n int) {
	e.orderPlaces, e.orders = append(e.orderPlaces, len(e.out)), append(e.orders, n)
	e.byte(0)
}

// rank fills in the ranks. Of versions that every clock has passed the rank is
// all that counts; for the others their distance from the clocks is written too,
// for it decides what a clock's next version will be (object.Tick).
func (e *encoder) rank(w *world) {
	fillRanks(e.out, e.places, e.versions)
	fillRanks(e.out, e.orderPlaces, e.orders)
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

package explore

import (
	"reflect"
	"time"
	"unsafe"

	"github.com/s3mirror/s3mirror/internal/commit"
	"github.com/s3mirror/s3mirror/internal/oplog"
)

// A machine keeps what it has no use for any more: a writer that was released
// still knows how long it wanted to wait for its turn. Two states that differ in
// nothing else have one form. This file says of each such field when a later step
// may read it; fields that are not here always count.

// life of a field, in the state that its machine is in.
type life uint8

const (
	lives  life = iota
	dies        // it is written before it is read again
	ifSet       // only whether it is nil is asked for
	epochs      // of a row: only its epoch is asked for
)

// The states of commit's machines, as it numbers them (TestTheStatesAreCommits).
const (
	wVerdict  = 3
	wBody     = 4
	wRepair   = 8
	wIntent   = 9
	wUndo     = 11
	wUndoRead = 12
	wAnswers  = 13
	wSwap     = 14
	wReread   = 15

	rQuiet   = 2
	rSecond  = 3
	rConfirm = 4
	rHold    = 5
	rOpen    = 6
	rBase    = 7
	rHelp    = 8

	pHeads = 2
	pSwap  = 3
	pCopy  = 4

	repairRounds = 8
)

// lifeOf tells how to find out whether a field lives; nil when it always does.
func lifeOf(t reflect.Type, name string) func(e *encoder, machine unsafe.Pointer) life {
	switch t {
	case reflect.TypeFor[commit.Write]():
		return lifeInWrite(name)
	case reflect.TypeFor[commit.Read]():
		return lifeInRead(name)
	case reflect.TypeFor[commit.Repair]():
		return lifeInRepair(name)
	}
	return nil
}

func liveIf(ok bool) life {
	if ok {
		return lives
	}
	return dies
}

// member reads a field that another package keeps to itself.
type member[T any] uintptr

func memberOf[T, M any](name string) member[T] {
	f, ok := reflect.TypeFor[M]().FieldByName(name)
	if !ok || f.Type.Kind() != reflect.TypeFor[T]().Kind() {
		panic("explore: " + reflect.TypeFor[M]().String() + " has no such field: " + name)
	}
	return member[T](f.Offset)
}

func (m member[T]) of(machine unsafe.Pointer) T { return *(*T)(unsafe.Add(machine, m)) } //nolint:gosec // read only

var (
	writeState  = memberOf[byte, commit.Write]("state")
	writeDoubt  = memberOf[bool, commit.Write]("doubt")
	writeFloor  = memberOf[bool, commit.Write]("floor")
	writeMoved  = memberOf[bool, commit.Write]("moved")
	readState   = memberOf[byte, commit.Read]("state")
	readHeld    = memberOf[string, commit.Read]("held")
	repairState = memberOf[byte, commit.Repair]("state")
	repairRound = memberOf[int, commit.Repair]("rounds")
)

func stateOf(w *commit.Write) byte { return writeState.of(unsafe.Pointer(w)) } //nolint:gosec // read only
func heldBy(r *commit.Read) string { return readHeld.of(unsafe.Pointer(r)) }   //nolint:gosec // read only

func lifeInWrite(name string) func(*encoder, unsafe.Pointer) life {
	before := func(state byte) func(*encoder, unsafe.Pointer) life {
		return func(_ *encoder, m unsafe.Pointer) life { return liveIf(writeState.of(m) < state) }
	}
	switch name {
	case "first": // place
		return func(e *encoder, _ unsafe.Pointer) life { return liveIf(e.proc.op.Stream) }
	case "doubtOld": // examine
		return func(_ *encoder, m unsafe.Pointer) life {
			return liveIf(writeDoubt.of(m) || writeState.of(m) == wIntent)
		}
	case "refusal": // refused
		return func(_ *encoder, m unsafe.Pointer) life { return liveIf(writeState.of(m) == wVerdict) }
	case "waitUntil", "foreign", "foreignSince", "readAt", "up", "base", "asked": // all of them before the release
		return before(wAnswers)
	case "begun": // place, and the floor
		return func(_ *encoder, m unsafe.Pointer) life {
			return liveIf(writeState.of(m) < wAnswers || !writeFloor.of(m))
		}
	case "held": // folded sets it before rest reads it
		return func(*encoder, unsafe.Pointer) life { return dies }
	case "triedAs": // rowRead, until the row has moved
		return func(_ *encoder, m unsafe.Pointer) life {
			return liveIf(writeState.of(m) >= wAnswers && !writeMoved.of(m))
		}
	case "row":
		return writtenRow
	case "tried":
		return func(e *encoder, m unsafe.Pointer) life {
			switch s := writeState.of(m); {
			case s == wIntent && !e.conflicts, s == wSwap && !e.conflicts:
				return lives
			case s >= wAnswers:
				return ifSet // fired
			}
			return dies
		}
	}
	return nil
}

// writtenRow is the row as a writer last read or wrote it. Every read replaces it,
// and so does every swap that is applied.
func writtenRow(e *encoder, m unsafe.Pointer) life {
	switch s := writeState.of(m); s {
	case wVerdict, wBody, wRepair, wIntent, wUndo, wUndoRead:
		return dies
	case wSwap, wReread:
		switch {
		case s == wSwap && !e.conflicts:
			return lives
		case writeMoved.of(m):
			return dies
		}
		return epochs
	}
	return lives
}

func lifeInRead(name string) func(*encoder, unsafe.Pointer) life {
	in := func(states ...byte) func(*encoder, unsafe.Pointer) life {
		return func(_ *encoder, m unsafe.Pointer) life {
			for _, s := range states {
				if readState.of(m) == s {
					return lives
				}
			}
			return dies
		}
	}
	switch name {
	case "by": // nobody reads it
		return in()
	case "begun": // confirmed: a read waits thrice at most, which is less than is asked for, unless the clock hurries
		return func(e *encoder, _ unsafe.Pointer) life { return liveIf(e.sc.Faults.Hurry > 0) }
	case "seen":
		return in(rSecond, rBase)
	case "openOp":
		return in(rBase)
	case "asked":
		return in(rQuiet, rConfirm, rHold, rOpen)
	case "or":
		return in(rQuiet, rHold)
	case "queue":
		return in(rQuiet, rSecond, rConfirm, rHold, rOpen)
	case "row":
		return in(rHold, rOpen)
	case "tried":
		return func(e *encoder, m unsafe.Pointer) life { return liveIf(readState.of(m) == rHelp && !e.conflicts) }
	}
	return nil
}

func lifeInRepair(name string) func(*encoder, unsafe.Pointer) life {
	switch name {
	case "drops": // nobody reads it
		return func(*encoder, unsafe.Pointer) life { return dies }
	case "shown", "asked": // conclude
		return func(_ *encoder, m unsafe.Pointer) life {
			return liveIf(repairState.of(m) == pHeads || repairState.of(m) > pCopy)
		}
	case "row": // conclude; the report of a visit that gives up
		return func(e *encoder, m unsafe.Pointer) life {
			return liveIf(repairState.of(m) == pHeads || repairState.of(m) > pCopy || e.sc.Faults.Mute > 0 || repairRound.of(m) >= repairRounds)
		}
	case "tried": // swapped
		return func(_ *encoder, m unsafe.Pointer) life {
			if repairState.of(m) == pSwap {
				return ifSet
			}
			return dies
		}
	}
	return nil
}

// conflicting tells whether the compare-and-set that a machine waits for is known
// not to be applied: what it would have written, and to what, is no matter.
func (w *world) conflicting(n int) bool {
	for i := range w.msgs {
		m := &w.msgs[i]
		if m.proc == n && (m.kind == swap && !m.silent && w.doomed(m) || m.kind == swapped && m.outcome != commit.Applied) {
			return true
		}
	}
	return false
}

// readsQuiet tells whether a reader may still be shown an object for which it saw no
// row. Nobody else asks how old an object is, and a row stays for longer than an
// object counts as young (R20, R28).
func (w *world) readsQuiet() bool {
	for i := range w.clients {
		if r := w.procs[i].read; r != nil && readState.of(unsafe.Pointer(r)) == rQuiet { //nolint:gosec // read only
			return true
		}
	}
	return false
}

// uploadedForm is that of the moment at which an object was stored: it counts as
// young, or not.
func uploadedForm(e *encoder, p unsafe.Pointer) {
	if !e.full && !e.young {
		return
	}
	d, ok := sinceWall0(*(*time.Time)(p))
	if !ok {
		e.int(noAge)
		return
	}
	e.ageUpTo(d, times.Retention/2+2*time.Second)
}

// remembers tells whether a gateway may visit the key once more: it heals, may have
// to when another one dies, or has a client that may want an intent resolved.
func (w *world) remembers(gateway int) bool {
	if w.dead[gateway] {
		return false
	}
	if gateway == w.heir || w.left.Crash > 0 || w.procs[w.repairs(gateway)].machine() != nil {
		return true
	}
	for i, c := range w.sc.Clients {
		if c.Gateway == gateway && (w.clients[i] != over || w.procs[i].machine() != nil) {
			return true
		}
	}
	return false
}

// rowForm is that of a row in a machine, or in a message. The row that stands now
// is written once: a machine that holds it holds nothing else. Of an older one
// nobody asks when it changed, and its epoch is none that comes back.
func rowForm(whole form) form {
	return func(e *encoder, p unsafe.Pointer) {
		row := (*oplog.Row)(p)
		switch {
		case !e.own:
			e.byte(0)
		case row.Epoch == epochOf(e.w.row):
			e.byte(1)
			return
		default:
			e.byte(2)
		}
		whole(e, p)
	}
}

// epochForm writes only the epoch of a row.
func epochForm(e *encoder, row *oplog.Row) {
	e.bool(row != nil)
	if row != nil {
		e.epoch(row.Epoch)
	}
}

// heldForm is that of the row with which a reader asks good replicas: it compares
// what they show with the version, and tells no more of it.
func heldForm(e *encoder, row *oplog.Row) {
	e.id(row.Cur.ID)
	e.byte(byte(row.Cur.Kind))
	e.string(row.Cur.ETag)
	e.int(row.Cur.Size)
	of(e, &row.ETags)
}
